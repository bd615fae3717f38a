//! Secrets come back, strangers stay out, and no moment of a change leaves the keystore closed.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;

fn keystore(folder: &Path) -> Keystore {
    Keystore {
        file: folder.join("keystore.age"),
        key_file: folder.join("keystore.key"),
        credentials_directory: None,
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned()).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn set(keystore: &Keystore, name: &str, text: &str) -> WasSet {
    keystore.set(name, &secret(text), now()).unwrap()
}

fn find(keystore: &Keystore, name: &str) -> String {
    keystore.find(name).unwrap().expose().to_owned()
}

#[test]
fn what_is_set_is_found_and_the_first_one_makes_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let keystore = keystore(dir.path());
    assert_eq!(keystore.names(), Ok(Vec::new()));
    let first = set(&keystore, "a", "p\u{e4}ss \t word");
    assert_eq!(first, WasSet { replaced: false, made_key: Some(keystore.key_file.clone()) });
    assert_eq!(set(&keystore, "b", "two"), WasSet { replaced: false, made_key: None });
    assert!(set(&keystore, "b", "three").replaced);
    assert_eq!(find(&keystore, "a"), "p\u{e4}ss \t word");
    assert_eq!(find(&keystore, "b"), "three");
    let names = keystore.names().unwrap();
    assert_eq!(names, [("a".to_owned(), now()), ("b".to_owned(), now())]);
    for file in ["keystore.age", "keystore.key", "keystore.lock"] {
        assert_eq!(dir.path().join(file).metadata().unwrap().mode() & 0o7777, 0o600, "{file}");
    }
    let sealed = fs::read(&keystore.file).unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1\n"));
    assert!(!sealed.windows(5).any(|octets| octets == b"three"));
}

#[test]
fn a_name_that_is_not_there_is_told_with_those_that_are() {
    let dir = tempfile::tempdir().unwrap();
    let keystore = keystore(dir.path());
    set(&keystore, "imap.a", "x");
    set(&keystore, "imap.b", "y");
    let fault = keystore.find("imap.c").unwrap_err();
    assert_eq!(fault.to_string(), "the keystore has no `imap.c` (it has: imap.a, imap.b)");
    assert_eq!(keystore.remove("imap.a"), Ok(true));
    assert_eq!(keystore.remove("imap.a"), Ok(false));
    assert!(keystore.find("imap.a").is_err());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test's own files")]
fn a_key_that_is_lost_or_another_one_is_never_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let keystore = keystore(dir.path());
    set(&keystore, "a", "x");
    let key = fs::read(&keystore.key_file).unwrap();
    fs::remove_file(&keystore.key_file).unwrap();
    let fault = keystore.set("b", &secret("y"), now()).unwrap_err();
    assert!(matches!(fault, KeystoreFault::Closed { .. }), "{fault}");
    assert!(!keystore.key_file.exists());
    Keys::make(&keystore.key_file).unwrap();
    let fault = keystore.find("a").unwrap_err().to_string();
    assert!(fault.contains("another key"), "{fault}");
    durable::replace(&keystore.key_file, &key).unwrap();
    assert_eq!(find(&keystore, "a"), "x");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let keystore = keystore(dir.path());
    set(&keystore, "a", "x");
    fs::set_permissions(&keystore.key_file, fs::Permissions::from_mode(0o644)).unwrap();
    let fault = keystore.find("a").unwrap_err().to_string();
    assert!(fault.contains("everyone can read it"), "{fault}");
}

#[test]
fn the_credential_goes_before_the_file_and_is_not_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let credentials = dir.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    let mut keystore = keystore(dir.path());
    Keys::make(&credentials.join(KEY_CREDENTIAL)).unwrap();
    keystore.credentials_directory = Some(credentials);
    assert_eq!(set(&keystore, "a", "x").made_key, None);
    assert!(!keystore.key_file.exists());
    assert_eq!(find(&keystore, "a"), "x");
    assert!(matches!(keystore.rotate(), Err(KeystoreFault::Closed { .. })));
}

#[test]
fn a_rotation_that_is_cut_at_any_step_leaves_the_keystore_open() {
    let dir = tempfile::tempdir().unwrap();
    let keystore = keystore(dir.path());
    set(&keystore, "a", "x");
    let before = fs::read(&keystore.key_file).unwrap();
    assert_eq!(keystore.rotate(), Ok(1));
    assert_eq!(find(&keystore, "a"), "x");
    assert_ne!(fs::read(&keystore.key_file).unwrap(), before);
    // Cut after the first step, then after the second.
    let both = Keys::read(&keystore.key_file).unwrap().with_a_new_one();
    both.write(&keystore.key_file).unwrap();
    assert_eq!(find(&keystore, "a"), "x");
    keystore.write(&keystore.read().unwrap(), &both).unwrap();
    assert_eq!(find(&keystore, "a"), "x");
    // The next one ends what was begun.
    assert_eq!(keystore.rotate(), Ok(1));
    assert_eq!(find(&keystore, "a"), "x");
    let text = fs::read_to_string(&keystore.key_file).unwrap();
    assert_eq!(text.matches("AGE-SECRET-KEY-1").count(), 1);
}

#[test]
fn a_damaged_keystore_is_told_and_shows_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let keystore = keystore(dir.path());
    set(&keystore, "a", "hunter2");
    let mut octets = fs::read(&keystore.file).unwrap();
    *octets.last_mut().unwrap() ^= 1;
    durable::replace(&keystore.file, &octets).unwrap();
    let fault = keystore.find("a").unwrap_err();
    assert!(matches!(fault, SecretFault::Keystore(KeystoreFault::Broken { .. })), "{fault:?}");
    durable::replace(&keystore.file, b"").unwrap();
    assert!(keystore.find("a").is_err());
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let keystore = keystore(dir.path());
    set(&keystore, "first", "x");
    std::thread::scope(|scope| {
        for n in 0..8 {
            let keystore = &keystore;
            scope.spawn(move || set(keystore, &format!("n{n}"), "x"));
        }
    });
    assert_eq!(keystore.names().unwrap().len(), 9);
}

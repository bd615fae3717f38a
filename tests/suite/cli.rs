//! The command line's own promises: what is refused, and what changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Dovecot, Relay, Site, loopback_account, messages};

#[test]
fn unknown_key_ends_every_command_before_anything_is_made() {
    let mut site = Site::empty();
    site.account("a", &(loopback_account("imap", "none", 1, "u1") + "pol_interval = \"5m\"\n"));
    for arguments in [&["check"][..], &["poll"], &["run"], &["plan", "a"], &["status"], &["log"]] {
        let output = site.cli(arguments);
        assert_eq!(output.code, 2, "{arguments:?}: {output:?}");
        let said = output.stdout.clone() + &output.stderr;
        for word in ["pol_interval", "poll_interval", "inbound.a", "postrider.toml:"] {
            assert!(said.contains(word), "{arguments:?}: {word} in {said}");
        }
        assert!(!said.contains("secret-u1"), "{said}");
    }
    assert!(!site.root().exists());
    assert_eq!(fs::read_dir(site.state()).unwrap().count(), 0);
}

/// Path → octets and time of the last change, of all that is below the folders.
fn snapshot(folders: &[PathBuf]) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    let mut open: Vec<PathBuf> = folders.to_vec();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let changed = path.symlink_metadata().unwrap().modified().unwrap();
            if path.is_dir() {
                all.insert(path.clone(), (Vec::new(), changed));
                open.push(path);
            } else {
                all.insert(path.clone(), (fs::read(&path).unwrap(), changed));
            }
        }
    }
    all
}

/// What SQLite's readers write between themselves, made anew where it is lost, and a write-ahead
/// file without a write.
fn is_of_readers(path: &Path, octets: &[u8]) -> bool {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    name.ends_with(".db-shm") || (name.ends_with(".db-wal") && octets.is_empty())
}

#[test]
fn plan_and_status_change_nothing_on_either_side() {
    let dovecot = Dovecot::start();
    for message in messages(5) {
        dovecot.deliver("u1", &message);
        dovecot.deliver("u2", &message);
    }
    for (protocol, port) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
        let relay = Relay::to(port);
        let rules = "delete_read = true\nignore_older_than = \"72h\"\n";
        let account = |user: &str| loopback_account(protocol, "none", relay.port, user);
        let site = Site::new(&[("a", account("u1") + rules), ("b", account("u2"))]);
        for round in ["before the first poll", "after it"] {
            let said_before = relay.commands().len();
            let mut before = snapshot(&[site.state(), site.root()]);
            before.retain(|path, (octets, _)| !is_of_readers(path, octets));
            for arguments in [
                &["plan", "a"][..],
                &["plan", "a", "--json"],
                &["plan", "b", "--messages"],
                &["status"],
                &["log"],
                &["check"],
            ] {
                let output = site.cli(arguments);
                assert_eq!(output.code, 0, "{round}: {arguments:?}: {output:?}");
            }
            let mut after = snapshot(&[site.state(), site.root()]);
            after.retain(|path, (octets, _)| !is_of_readers(path, octets));
            let names = |all: &BTreeMap<PathBuf, _>| all.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&after), names(&before), "{protocol}: {round}");
            let changed: Vec<&PathBuf> = after
                .iter()
                .filter_map(|(path, now)| (before.get(path) != Some(now)).then_some(path))
                .collect();
            assert!(changed.is_empty(), "{protocol}: {round}: {changed:?}");
            let said = relay.commands().split_off(said_before);
            let wild = |line: &String| {
                let line = format!(" {} ", line.to_uppercase());
                [" SELECT ", " STORE ", " EXPUNGE ", " CLOSE ", " DELE ", " RETR ", " BODY["]
                    .iter()
                    .any(|word| line.contains(word))
            };
            assert!(!said.is_empty() && !said.iter().any(wild), "{protocol}: {said:?}");
            site.cli(&["poll", "b"]);
        }
        assert_eq!(dovecot.imap_client("u1").uids("INBOX").len(), 5);
    }
}

//! Rules and canaries move with their accounts, and none gets lost.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::config::load;

const ACCOUNT: &str = "[inbound.a]\nprotocol = \"imap\"\nhost = \"imap.example.org\"\nuser = \"a\"\n\
    password = { env = \"A\" }\n";
const RULES: &str = "[inbound.a.canary]\nvia = \"relay\"\nto = \"a@example.org\"\n\
    [[inbound.a.on_received]]\nname = \"shop\" # the shop's\ndo = \"webhook\"\n\
    url = \"https://shop.example.org/in\"\nsecret = \"hunter2hunter2hunter2hunter2hunter2\"\n\
    [[inbound.a.on_received]]\ndo = \"none\"\nwhen = 'subject ~ \"x\"'\n";
const RELAY: &str = "[outbound.relay]\nhost = \"smtp.example.org\"\nfrom = \"p@example.org\"\n\
    encryption = \"starttls\"\n";

#[expect(clippy::disallowed_methods, reason = "a test's own files")]
fn instance(tables: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("postrider.toml");
    let text = format!("[archive]\nroot = \"/\"\n[notices]\nsystem = \"p@example.org\"\n{tables}");
    std::fs::write(&main, text).unwrap();
    std::fs::set_permissions(&main, std::fs::Permissions::from_mode(0o600)).unwrap();
    (folder, main)
}

fn take(main: &Path, bundle: &str, options: &ImportOptions) -> Import {
    import_text(main, (Path::new("/b.toml"), bundle), options, Timestamp::UNIX_EPOCH)
}

fn written(import: &Import, main: &Path) -> String {
    assert!(import.problems.is_empty(), "{:?}", import.problems);
    import.files[main].as_ref().unwrap().to_string()
}

#[test]
fn bundle_without_rules_takes_none_away() {
    let (_folder, main) = instance(&format!("{ACCOUNT}{RULES}{RELAY}"));
    let changed = ACCOUNT.replace("imap.example.org", "other.example.org");
    let import = take(&main, &changed, &ImportOptions::default());
    let text = written(&import, &main);
    assert!(text.contains("other.example.org") && text.contains(RULES), "{text}");
    let same = take(&main, ACCOUNT, &ImportOptions::default());
    assert!(same.files.is_empty() && same.verdicts["inbound.a"] == Verdict::Same);
}

#[test]
fn rules_and_canaries_are_in_the_bundle_and_come_out_of_it() {
    let (_folder, main) = instance(&format!("{ACCOUNT}{RULES}{RELAY}"));
    let bundle = export(&load(&main, Timestamp::UNIX_EPOCH).facts);
    let text = &bundle.text;
    assert!(!text.contains("hunter2") && text.contains("inbound.a.on_received.1.secret"), "{text}");
    let (_other, there) = instance("");
    let import = take(&there, text, &ImportOptions::default());
    let new = written(&import, &there);
    assert!(new.contains("secret = { key = \"a.inbound.on_received.1.secret\" }"), "{new}");
    let again = export(&import.loaded.facts).text;
    let own =
        |text: &str| text.replace("secret = { key = \"a.inbound.on_received.1.secret\" }\n", "");
    assert_eq!(own(&again), text.split("\n[bundle]").next().unwrap());
    // Where they are the same, secret and comments stay.
    let same = take(&main, text, &ImportOptions::default());
    assert!(same.files.is_empty(), "{:?}", same.files);
}

#[test]
fn other_rules_of_a_bundle_take_the_place_of_those_here_and_secrets_go_to_their_own_service() {
    let (_folder, main) = instance(&format!("{ACCOUNT}{RULES}{RELAY}"));
    let text = export(&load(&main, Timestamp::UNIX_EPOCH).facts).text;
    let fewer = take(&main, &text.replace("subject ~", "from ~"), &ImportOptions::default());
    let Verdict::Update { changes } = &fewer.verdicts["inbound.a"] else { panic!("{fewer:?}") };
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].key, "on_received.2.when");
    let new = written(&fewer, &main);
    assert!(new.contains("from ~") && new.contains("hunter2") && !new.contains("subject"), "{new}");
    let stolen = text.replace("shop.example.org", "evil.example.org");
    let new = written(&take(&main, &stolen, &ImportOptions::default()), &main);
    assert!(new.contains("evil.example.org") && !new.contains("hunter2"), "{new}");
}

#[test]
fn rules_of_the_defaults_here_dont_act_on_an_account_that_has_none_elsewhere() {
    let rules = "[[defaults.inbound.on_received]]\ndo = \"none\"\n";
    let (_folder, main) = instance(rules);
    let refused = take(&main, ACCOUNT, &ImportOptions::default());
    assert!(refused.problems[0].message.contains("defaults.inbound.on_received"));
    let counting = ImportOptions { defaults_count: true, ..ImportOptions::default() };
    assert!(written(&take(&main, ACCOUNT, &counting), &main).contains("[inbound.a]"));
}

#[test]
fn file_that_is_no_part_of_this_configuration_is_never_replaced() {
    let (folder, main) = instance("");
    let home = folder.path().join("elsewhere");
    std::fs::create_dir(&home).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test's own files")]
    std::fs::write(home.join("a.toml"), "theirs").unwrap();
    let options = ImportOptions { home: Some(home), ..ImportOptions::default() };
    let refused = take(&main, ACCOUNT, &options);
    assert!(refused.problems[0].message.contains("is there"), "{:?}", refused.problems);
}

#[test]
fn empty_bundle_prunes_nothing() {
    let (_folder, main) = instance(ACCOUNT);
    let options = ImportOptions { prune: true, ..ImportOptions::default() };
    let refused = take(&main, "", &options);
    assert!(refused.files.is_empty() && !refused.problems.is_empty(), "{refused:?}");
    let nothing = export(&Facts::new()).text;
    let meant = take(&main, &nothing, &options);
    assert_eq!(meant.verdicts["inbound.a"], Verdict::Remove);
}

#[test]
fn rules_of_the_defaults_keep_their_names_where_some_are_not_for_the_account() {
    let defaults = "[[defaults.inbound.on_received]]\ndo = \"seen\"\n\
        [[defaults.inbound.on_received]]\ndo = \"none\"\nwhen = 'subject ~ \"x\"'\n\
        [[defaults.inbound.on_received]]\ndo = \"webhook\"\nurl = \"https://x.example.org\"\n\
        [[defaults.inbound.on_received]]\nname = \"own\"\ndo = \"none\"\n";
    let account = ACCOUNT.replace("imap\"", "pop3\"");
    let (_folder, main) = instance(&format!("{account}{RELAY}{defaults}"));
    let names = |loaded: &crate::config::Loaded| -> Vec<String> {
        let config = loaded.config.as_ref();
        let config = config.unwrap_or_else(|| panic!("{:?}", loaded.problems));
        config.inbound["a"].on_received.iter().map(|rule| rule.name.clone()).collect()
    };
    let here = load(&main, Timestamp::UNIX_EPOCH);
    assert_eq!(names(&here), ["none-2", "webhook-3", "own"]);
    let text = export(&here.facts).text;
    let (_other, there) = instance("");
    let import = take(&there, &text, &ImportOptions::default());
    assert_eq!(names(&import.loaded), names(&here), "{text}");
    // Where all are for the account nothing is added.
    let (_folder, main) = instance(&format!("{ACCOUNT}{RELAY}{defaults}"));
    let text = export(&load(&main, Timestamp::UNIX_EPOCH).facts).text;
    assert!(!text.contains("none-2"), "{text}");
}

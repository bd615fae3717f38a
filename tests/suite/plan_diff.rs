//! `plan --diff`, and deletes that a change of the config arms: told before any mail goes.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Dovecot, Relay, Site, loopback_account, messages, sample, wait_for};

/// Gives the account other lines, and keeps the config as it was in a file; the option that names
/// that one.
fn change(site: &mut Site, lines: &str) -> String {
    let old = site.path().join("old.toml");
    fs::copy(site.config(), &old).unwrap();
    site.account("a", lines);
    format!("--diff={}", old.display())
}

#[test]
fn new_rules_are_compared_by_one_listing_and_nothing_is_changed() {
    let dovecot = Dovecot::start();
    for message in messages(5) {
        dovecot.deliver("u1", &message);
    }
    let relay = Relay::to(dovecot.imap);
    let account = loopback_account("imap", "none", relay.port, "u1");
    let mut site = Site::new(&[("a", account.clone())]);
    site.poll();
    dovecot.deliver("u1", &sample("new", 300));
    let rules = "delete_read = true\nprocess_after = 2035-01-01T00:00:00Z\n";
    let diff = change(&mut site, &(account.clone() + rules));
    let before = relay.commands().len();
    let output = site.cli(&["plan", "a", &diff, "--json"]);
    assert_eq!(output.code, 0, "{output:?}");
    let value: Value = serde_json::from_str(&output.stdout).unwrap();
    let lists = &value["mailboxes"][0]["lists"];
    let figures = |act: &str| {
        ["before", "after", "added", "removed"].map(|name| lists[act][name].as_u64().unwrap())
    };
    assert_eq!(figures("fetch"), [1, 0, 0, 1], "{value}");
    assert_eq!(figures("skip"), [0, 1, 1, 0]);
    assert_eq!(figures("delete"), [0, 5, 5, 0]);
    assert_eq!(figures("keep"), [5, 0, 0, 5]);
    let changes = value["mailboxes"][0]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 6);
    assert_eq!(changes[0]["before"]["reason"]["code"], "rule-off", "{value}");
    assert_eq!(changes[0]["after"]["reason"]["days"], 0, "{value}");
    let text = site.cli(&["plan", "a", &diff]);
    assert!(text.stdout.contains("keep (rule-off) -> delete (due)"), "{text:?}");
    assert!(text.stdout.contains("deletes are armed over 5 archived messages"), "{text:?}");
    // What the server got: one listing each, and nothing that changes anything.
    let said = relay.commands()[before..].join("\n");
    let count = |word: &str| said.matches(word).count();
    assert_eq!((count("RFC822.SIZE)"), count("EXAMINE")), (2, 2), "{said}");
    for word in ["UID STORE", "EXPUNGE", "MOVE", "COPY", "SELECT", "BODY[", "CLOSE", "APPEND"] {
        assert!(!said.contains(word), "{word}: {said}");
    }
    let other = account.replace("user = \"u1\"", "user = \"u2\"");
    site.account("a", &other);
    let refused = site.cli(&["plan", "a", &diff]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("the configs differ in `user`"), "{refused:?}");
}

#[test]
fn plan_of_a_maildrop_sends_nothing_that_changes_it() {
    let dovecot = Dovecot::start();
    for message in messages(3) {
        dovecot.deliver("u1", &message);
    }
    let relay = Relay::to(dovecot.pop3);
    let account = loopback_account("pop3", "none", relay.port, "u1") + "delete_read = true\n";
    let mut site = Site::new(&[("a", account.clone() + "delete_after_days = 3\n")]);
    site.poll();
    let diff = change(&mut site, &(account + "process_after = 2026-01-01T00:00:00Z\n"));
    let before = relay.commands().len();
    let output = site.cli(&["plan", "a", &diff]);
    assert!(output.stdout.contains("keep (too-young) -> delete (due)"), "{output:?}");
    let said = relay.commands()[before..].join("\n");
    for word in ["DELE", "RETR"] {
        assert!(!said.contains(word), "{word}: {said}");
    }
}

#[test]
fn deletes_that_a_change_arms_are_told_by_check_and_at_the_start_and_the_reload_once() {
    let dovecot = Dovecot::start();
    for message in messages(6) {
        dovecot.deliver("u1", &message);
    }
    let account = dovecot.account("imap", "tls", "u1");
    let mut site = Site::new(&[("a", account.clone())]);
    site.poll();
    let armed = |site: &Site| {
        let records = site.log().into_iter().filter(|record| record["code"] == "delete-armed");
        records.map(|record| record["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let slow = "poll_interval = \"1h\"\ndelete_read = true\ndelete_after_days = ";
    site.account("a", &(account.clone() + slow + "3\ndelete_max_per_poll = 2\n"));
    let check = site.cli(&["check"]);
    for words in [
        "a: deletes are armed over 6 archived messages",
        "0 now, 0 by the end of today, 6 within 7 days",
        "`delete_max_per_poll = 2`",
    ] {
        assert!(check.stdout.contains(words), "{words}: {check:?}");
    }
    let daemon = site.spawn(&["run"]);
    let told = wait_for("the warning", Duration::from_secs(20), || {
        let told = armed(&site);
        (!told.is_empty()).then_some(told)
    });
    assert!(told[0].contains("6 stored messages: 0 are due now"), "{told:?}");
    site.account("a", &(account.clone() + slow + "1\n"));
    daemon.signal(rustix::process::Signal::HUP);
    wait_for("the second warning", Duration::from_secs(20), || {
        (armed(&site).len() == 2).then_some(())
    });
    assert!(armed(&site)[1].contains("no brake"), "{:?}", armed(&site));
    site.account("a", &(account + slow + "2\n"));
    daemon.signal(rustix::process::Signal::HUP);
    daemon.stop(Duration::from_secs(20));
    site.poll();
    assert_eq!(armed(&site).len(), 2, "what lets less go is no news");
    let check = site.cli(&["check"]);
    assert!(!check.stdout.contains("armed"), "{check:?}");
}

//! `why`: each way to name a message, what is told of it, and what is told of none.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Dovecot, Site, messages, sample, wait_for};

fn why(site: &Site, asked: &[&str]) -> (i32, Value) {
    let output = site.cli(&[&["why", "--json"], asked].concat());
    let value = serde_json::from_str(&output.stdout);
    (output.code, value.unwrap_or_else(|error| panic!("{error}: {output:?}")))
}

/// What a message is told to be by each name; all must find it.
fn found(site: &Site, asked: &[&str]) -> Value {
    let (code, value) = why(site, asked);
    let found = value["found"].as_array().unwrap();
    assert_eq!((code, found.len()), (0, 1), "{asked:?}: {value}");
    found[0].clone()
}

fn events(told: &Value) -> Vec<String> {
    let all = told["events"].as_array().unwrap();
    all.iter().map(|event| event["what"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn message_is_found_by_each_of_its_names() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("other", 300));
    dovecot.deliver("u1", &sample("wanted", 300));
    dovecot.deliver("u2", &sample("dropped", 300));
    let site = Site::new(&[
        ("a", dovecot.account("imap", "tls", "u1")),
        ("p", dovecot.account("pop3", "tls", "u2")),
    ]);
    site.poll();
    let all = site.stored();
    let wanted = all.iter().find(|stored| stored.text("subject") == "wanted").unwrap();
    let id = wanted.text("id");
    let path = wanted.path.to_string_lossy().into_owned();
    let file = site.root().join(&wanted.path).join("message.eml").display().to_string();
    let record = site
        .log()
        .into_iter()
        .find(|record| record["code"] == "message-archived" && record["fields"]["path"] == *path);
    let record = record.expect("a record")["id"].to_string();
    for asked in [
        &["<wanted@example.org>"][..],
        &["wanted@example.org"],
        &["a", "inbox:2"],
        &["a INBOX:2"],
        &[id],
        &[&id[..16]],
        &[&path],
        &[&file],
        &[&record],
    ] {
        let told = found(&site, asked);
        assert_eq!((&told["subject"], &told["id"]), (&"wanted".into(), &id.into()), "{asked:?}");
        assert_eq!(told["sha256"].as_str(), Some(wanted.text("sha256")));
        assert_eq!(told["copy_faults"], serde_json::json!([]));
        assert!(events(&told).starts_with(&["listed".into(), "archived".into()]), "{told}");
    }
    let dropped = all.iter().find(|stored| stored.account() == "p").unwrap();
    let told = found(&site, &[dropped.text("unique_id")]);
    assert_eq!(told["subject"], "dropped");
    assert_eq!(found(&site, &["p", dropped.text("unique_id")])["id"], told["id"]);
}

#[test]
fn one_message_id_in_two_accounts_is_told_of_both() {
    let dovecot = Dovecot::start();
    for user in ["u1", "u2"] {
        dovecot.deliver(user, &sample("twice", 300));
    }
    let account = |user| dovecot.account("imap", "tls", user);
    let site = Site::new(&[("a", account("u1")), ("b", account("u2"))]);
    site.poll();
    let (code, value) = why(&site, &["<twice@example.org>"]);
    assert_eq!((code, value["found"].as_array().unwrap().len()), (0, 2));
    let shown = site.cli(&["why", "<twice@example.org>"]);
    assert!(shown.stdout.starts_with("2 messages match"), "{shown:?}");
}

#[test]
fn copy_is_looked_at_and_its_fault_is_named() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("hurt", 300));
    let site = Site::new(&[("a", dovecot.account("imap", "tls", "u1"))]);
    site.poll();
    site.leave_unverified();
    let eml = site.root().join(&site.stored()[0].path).join("message.eml");
    let mut octets = fs::read(&eml).unwrap();
    octets[3] ^= 1;
    fs::write(&eml, octets).unwrap();
    let told = found(&site, &["a", "INBOX:1"]);
    assert!(told["copy_faults"][0].as_str().unwrap().contains("message.eml"), "{told}");
    fs::remove_dir_all(eml.parent().unwrap()).unwrap();
    let told = found(&site, &["<hurt@example.org>"]);
    assert!(told["copy_faults"][0].as_str().unwrap().contains("its folder"), "{told}");
}

#[test]
fn held_message_is_told_with_its_figures_and_a_deleted_one_with_its_days() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("small", 300));
    dovecot.deliver("u1", &sample("large", 30_000));
    let rules = "max_message_size = \"10KiB\"\ndelete_read = true\ndelete_after_days = 14\n";
    let account = dovecot.account("imap", "tls", "u1");
    let mut site = Site::new(&[("a", account.clone() + rules)]);
    site.poll();
    let large = found(&site, &["a", "INBOX:2"]);
    assert_eq!(large["state"], "held");
    let text = large["now"]["text"].as_str().unwrap();
    assert!(text.contains("more than `max_message_size` 10 KiB"), "{large}");
    let small = found(&site, &["a", "INBOX:1"]);
    assert_eq!(small["now"]["what"], "delete due");
    assert!(small["now"]["text"].as_str().unwrap().contains("14 days after it was archived"));
    site.account("a", &(account + "delete_read = true\n"));
    site.poll();
    let small = found(&site, &["<small@example.org>"]);
    let happened = events(&small);
    assert!(happened.ends_with(&["delete begun".into(), "deleted".into()]), "{small}");
    assert_eq!(
        (&small["state"], &small["now"]["text"]),
        (&"deleted".into(), &"nothing is left to decide".into())
    );
}

#[test]
fn message_that_was_re_keyed_is_found_by_its_old_and_its_new_name() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("kept", 300));
    let site = Site::new(&[("a", dovecot.account("imap", "tls", "u1"))]);
    site.poll();
    dovecot.recreate("u1", "INBOX");
    site.poll();
    let id = site.stored()[0].text("id")[..16].to_owned();
    let (code, value) = why(&site, &[&id]);
    assert_eq!(code, 0);
    let is_moved = |told: &&Value| events(told).contains(&"re-keyed".to_owned());
    assert_eq!(value["found"].as_array().unwrap().iter().filter(is_moved).count(), 1, "{value}");
    assert!(is_moved(&&found(&site, &["<kept@example.org>"])));
}

#[test]
fn what_was_never_seen_is_told_with_what_was_listed() {
    let dovecot = Dovecot::start();
    for message in messages(4) {
        dovecot.deliver("u1", &message);
    }
    let rules = "process_after = 2035-01-01T00:00:00Z\n";
    let site = Site::new(&[("a", dovecot.account("imap", "tls", "u1") + rules)]);
    let before = site.cli(&["why", "<none@example.org>"]);
    assert_eq!(before.code, 1, "{before:?}");
    site.poll();
    let output = site.cli(&["why", "<none@example.org>"]);
    assert_eq!(output.code, 1);
    for words in ["the server had 4 messages at", "all 4 were looked at", "4 before-start"] {
        assert!(output.stdout.contains(words), "{words}: {output:?}");
    }
    let skipped = site.cli(&["why", "a", "INBOX:2"]);
    assert!(skipped.stdout.contains("UID 2 was given to a message before that"), "{skipped:?}");
    let later = site.cli(&["why", "a", "INBOX:9"]);
    assert!(later.stdout.contains("UID 9 was not given to any message by then"), "{later:?}");
    assert_eq!((skipped.code, later.code), (1, 1));
}

#[test]
fn questions_are_answered_beside_a_running_daemon() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("first", 300));
    let often = dovecot.account("imap", "tls", "u1") + "poll_interval = \"1s\"\n";
    let site = Site::new(&[("a", often)]);
    let daemon = site.spawn(&["run"]);
    wait_for("the first poll", Duration::from_secs(20), || (site.whole().len() == 1).then_some(()));
    wait_for("the answer", Duration::from_secs(10), || {
        let output = site.cli(&["why", "<first@example.org>"]);
        (output.code == 0).then_some(())
    });
    daemon.stop(Duration::from_secs(20));
}

//! "Start from now": what is on the server counts as known, and is neither stored nor deleted.

use serde_json::Value;

use crate::support::server::{Protocol, Server};
use crate::support::{Delivery, Dovecot, Relay, Site, loopback_account, messages, sample};

const DELETES: &str = "delete_read = true\n";

fn json(site: &Site, arguments: &[&str]) -> Value {
    let output = site.cli(&[arguments, &["--json"]].concat());
    assert_eq!(output.code, 0, "{output:?}");
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn promise_p3_mail_that_was_caught_up_with_is_never_stored_deleted_or_marked() {
    let dovecot = Dovecot::start();
    for (protocol, port, user) in [("imap", dovecot.imap, "u1"), ("pop3", dovecot.pop3, "u2")] {
        for message in messages(7) {
            dovecot.deliver(user, &message);
        }
        let relay = Relay::to(port);
        let account = loopback_account(protocol, "none", relay.port, user) + DELETES;
        let site = Site::new(&[("a", account)]);
        let dry = json(&site, &["catch-up", "a", "--dry-run"]);
        assert_eq!(dry["mailboxes"][0]["caught_up"], 7, "{dry}");
        let done = json(&site, &["catch-up", "a"]);
        assert_eq!(done["mailboxes"][0]["caught_up"], 7, "{done}");
        dovecot.deliver(user, &sample("new", 300));
        site.poll();
        site.poll();
        assert_eq!(site.stored().len(), 1, "{protocol}: only what came later");
        assert_eq!(dovecot.imap_client(user).uids("INBOX"), [1, 2, 3, 4, 5, 6, 7], "{protocol}");
        let acts = ["UID STORE", "EXPUNGE", "MOVE", "BODY.PEEK[]", "DELE ", "RETR "];
        let said = relay.commands();
        let on = said.iter().filter(|line| acts.iter().any(|act| line.contains(act)));
        let words = |line: &String| line.split(' ').any(|word| word == "8");
        let on: Vec<&String> = on.collect();
        assert!(!on.is_empty() && on.iter().all(|line| words(line)), "{protocol}: {on:?}");
        let plan = json(&site, &["plan", "a"]);
        let skipped = plan["skip"].as_array().unwrap();
        let by = |one: &&Value| one["reason"]["code"] == "caught-up";
        assert_eq!(skipped.iter().filter(by).count(), 7, "{plan}");
        let status = site.status();
        assert_eq!(status["accounts"][0]["archived"], 1, "it counts as no storing: {status}");
        let name = match skipped[0]["unique_id"].as_str() {
            Some(unique_id) => unique_id.to_owned(),
            None => "INBOX:1".to_owned(),
        };
        let why = site.cli(&["why", "a", &name]);
        assert_eq!(why.code, 0, "{why:?}");
        assert!(why.stdout.contains("it was there at the catch-up of"), "{why:?}");
    }
}

#[test]
fn catch_up_is_taken_back_whole() {
    let dovecot = Dovecot::start();
    for (protocol, user) in [("imap", "u1"), ("pop3", "u2")] {
        for message in messages(3) {
            dovecot.deliver(user, &message);
        }
        let site = Site::new(&[("a", dovecot.account(protocol, "tls", user))]);
        json(&site, &["catch-up", "a"]);
        site.poll();
        assert_eq!(site.stored().len(), 0, "{protocol}");
        let undone = json(&site, &["catch-up", "a", "--undo"]);
        assert_eq!(undone["undone"][0]["n"], 3, "{undone}");
        site.poll();
        assert_eq!(site.stored().len(), 3, "{protocol}");
        let none = site.cli(&["catch-up", "a", "--undo"]);
        assert!(none.stdout.contains("no catch-up to take back"), "{none:?}");
    }
}

#[test]
fn date_leaves_what_came_later_and_what_is_stored_stays_so() {
    let dovecot = Dovecot::start();
    let day = |day: u64| Delivery::default().at(1_790_000_000 + day * 86_400);
    dovecot.deliver_as("u1", &sample("stored", 300), &day(0));
    let site = Site::new(&[("a", dovecot.account("imap", "tls", "u1"))]);
    site.poll();
    dovecot.deliver_as("u1", &sample("old", 300), &day(1));
    dovecot.deliver_as("u1", &sample("recent", 300), &day(9));
    let before = "2026-09-25T00:00:00Z";
    let done = json(&site, &["catch-up", "a", "--before", before]);
    let found = &done["mailboxes"][0];
    let figures = ["listed", "caught_up", "stored", "left"].map(|name| found[name].as_u64());
    assert_eq!(figures, [3, 1, 1, 1].map(Some), "{done}");
    site.poll();
    assert_eq!(site.stored().len(), 2);
    let why = site.cli(&["why", "a", "INBOX:1"]);
    assert_eq!(why.code, 0, "{why:?}");
}

#[test]
fn changed_uid_validity_ends_a_catch_up_with_a_word() {
    let dovecot = Dovecot::start();
    for message in messages(2) {
        dovecot.deliver("u1", &message);
    }
    let site = Site::new(&[("a", dovecot.account("imap", "tls", "u1"))]);
    json(&site, &["catch-up", "a"]);
    site.poll();
    dovecot.recreate("u1", "INBOX");
    let refused = site.cli(&["catch-up", "a"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("UIDVALIDITY changed since the last poll"), "{refused:?}");
    site.poll();
    assert_eq!(site.stored().len(), 2, "no mail is skipped on a guess");
    assert!(site.log().iter().any(|record| record["code"] == "catch-up-ended"));
}

#[test]
fn i06_mail_that_got_the_uid_of_one_that_was_caught_up_with_is_stored() {
    let server = Server::start(Protocol::Imap);
    for n in 0..5 {
        server.deliver(&sample(&format!("old {n}"), 700 + n));
    }
    let site = Site::new(&[("a", server.account("u1") + DELETES)]);
    let done = json(&site, &["catch-up", "a"]);
    assert_eq!(done["mailboxes"][0]["caught_up"], 5, "{done}");
    site.poll();
    assert!(site.stored().is_empty());
    // UIDs are begun anew under the same UIDVALIDITY: three others, with dates before the catch-up.
    server.store(|store| {
        for uid in [2, 4, 5] {
            let message = store.inbox().messages.get_mut(&uid).unwrap();
            let text = format!("Subject: new {uid}\r\n\r\nanother\r\n");
            message.octets = std::sync::Arc::new(text.into_bytes());
            message.internal_date = "01-Jan-2026 10:00:00 +0000".to_owned();
        }
    });
    server.deliver(&sample("later", 300));
    site.poll();
    site.poll();
    let subjects: Vec<_> =
        site.stored().iter().map(|stored| stored.text("subject").to_owned()).collect();
    let subjects: std::collections::BTreeSet<_> = subjects.iter().map(String::as_str).collect();
    assert_eq!(subjects, ["later", "new 2", "new 4", "new 5"].into());
    // Fewer UIDs than there were: nothing that was caught up with can be there any more.
    server.store(|store| {
        let inbox = store.inbox();
        inbox.messages.retain(|uid, _| *uid == 1);
        inbox.uid_next = 2;
    });
    site.poll();
    assert_eq!(site.stored().len(), 5);
    let ended = |record: &Value| record["code"] == "catch-up-ended";
    assert_eq!(site.log().iter().filter(|record| ended(record)).count(), 1);
}

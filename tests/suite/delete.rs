//! What leaves the server and when, and what stays there whatever happens.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{
    Delivery, Dovecot, Options, Output, Relay, Site, as_sent, loopback_account, messages, sample,
    stored_octets,
};

const DAY: u64 = 24 * 60 * 60;

/// Polls with the wall clock moved forwards; the monotonic ones run on. After such a jump deletes
/// are held for three polls, so four are made.
fn polls_after(site: &Site, moved: u64) -> Vec<Output> {
    let moved = format!("+{moved}");
    let variables = ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"];
    let wrapper = [&variables[..], &["faketime", "-f", &moved]].concat();
    (0..4)
        .map(|_| {
            let output = site.cli_below(&wrapper, &["poll"]);
            assert_eq!(output.code, 0, "is faketime installed? {output:?}");
            output
        })
        .collect()
}

/// Numbers of the messages that are on the server; their subjects are `message 0007`.
fn on_server(dovecot: &Dovecot, user: &str) -> BTreeSet<usize> {
    let listed = dovecot.imap_client(user).list("INBOX");
    let number = |body: &[u8]| {
        let text = String::from_utf8_lossy(body).into_owned();
        let (_, after) = text.split_once("Subject: message ").expect("a subject");
        after[..4].parse().unwrap()
    };
    listed.iter().map(|message| number(&message.body)).collect()
}

fn numbered(n: usize) -> Vec<u8> {
    sample(&format!("message {n:04}"), 500)
}

#[test]
fn d17_promise_p3_what_is_due_goes_on_its_day_and_nothing_else_does() {
    let dovecot = Dovecot::start();
    let users = [("imap", "u1"), ("pop3", "u2")];
    // Numbers from 90 on are skipped by age and never stored.
    let skipped = [90, 91];
    for (_, user) in users {
        for n in 0..4 {
            dovecot.deliver(user, &numbered(n));
        }
        for n in skipped {
            let aged = Delivery::default().aged(Duration::from_secs(600 * DAY));
            dovecot.deliver_as(user, &numbered(n), &aged);
        }
        // Somebody else is about to remove a stored and a skipped message.
        for uid in [2, 6] {
            dovecot.imap_client(user).mark_deleted("INBOX", uid);
        }
    }
    let rules =
        "delete_read = true\ndelete_after_days = 14\nprocess_after = 2026-01-01T00:00:00Z\n";
    let account = |(protocol, user): (&str, &str)| dovecot.account(protocol, "tls", user) + rules;
    let site = Site::new(&[("imap", account(users[0])), ("pop3", account(users[1]))]);
    let expect = |when: &str, numbers: &[usize]| {
        for (protocol, user) in users {
            let left: Vec<usize> = on_server(&dovecot, user).into_iter().collect();
            assert_eq!(left, numbers, "{protocol}, {when}");
        }
    };
    // POP3 reads the dates of its old messages from their Received field, which is of 2026.
    site.poll();
    let first = site.stored().len();
    expect("first day", &[0, 1, 2, 3, 90, 91]);
    polls_after(&site, 14 * DAY - 300);
    expect("five minutes before its day", &[0, 1, 2, 3, 90, 91]);
    for (_, user) in users {
        dovecot.deliver(user, &numbered(10));
    }
    polls_after(&site, 14 * DAY - 200);
    assert_eq!(site.stored().len(), first + 2);
    polls_after(&site, 14 * DAY + 60);
    let left = on_server(&dovecot, "u1");
    assert_eq!(left, BTreeSet::from([10, 90, 91]), "imap: the day");
    let listed = dovecot.imap_client("u1").list("INBOX");
    let marked = listed.iter().filter(|message| message.flags == ["\\Deleted"]).count();
    assert_eq!(marked, 1, "what another client marked and we never stored is as it was");
    assert!(on_server(&dovecot, "u2").contains(&10), "pop3: archived on the last day");
    assert!(on_server(&dovecot, "u2").is_disjoint(&BTreeSet::from([0, 1, 2, 3])));
    assert_eq!(site.stored().len(), first + 2);
    assert_eq!(site.tree_faults(), [""; 0]);
}

#[test]
fn i24_deletes_without_uidplus_wait_and_are_counted() {
    let options = Options { imap_capability: Some("IMAP4rev1"), ..Options::default() };
    let dovecot = Dovecot::start_with(&options);
    for message in messages(4) {
        dovecot.deliver("u1", &message);
    }
    dovecot.imap_client("u1").mark_deleted("INBOX", 2);
    let relay = Relay::to(dovecot.imap);
    let account = loopback_account("imap", "none", relay.port, "u1") + "delete_read = true\n";
    let site = Site::new(&[("a", account)]);
    for round in 0..3 {
        let output = site.poll();
        let status = site.status();
        let account = &status["accounts"][0];
        assert_eq!(account["delete_pending"], 4, "round {round}: {status}");
        assert!(account["delete_pending_why"].is_string(), "{status}");
        assert!(output.stdout.contains("4 messages not deleted"), "round {round}: {output:?}");
    }
    let listed = dovecot.imap_client("u1").list("INBOX");
    let flags: Vec<&[String]> = listed.iter().map(|message| &*message.flags).collect();
    assert_eq!(flags, [&[][..], &["\\Deleted".to_owned()], &[], &[]]);
    let said = relay.commands().join("\n");
    for word in ["STORE", "EXPUNGE", "CLOSE", "MOVE"] {
        assert!(!said.contains(word), "{said}");
    }
}

#[test]
fn i01_new_uid_validity_deletes_nothing_at_first_and_everything_due_later() {
    let messages = messages(10);
    let dovecot = Dovecot::start();
    for message in &messages {
        dovecot.deliver("u1", message);
    }
    let account = dovecot.account("imap", "tls", "u1");
    let mut site = Site::new(&[("a", account.clone())]);
    site.poll();
    let before: Vec<_> = site.stored().into_iter().map(|stored| stored.path).collect();
    dovecot.recreate("u1", "INBOX");
    site.account("a", &(account + "delete_read = true\n"));
    site.poll();
    assert_eq!(dovecot.imap_client("u1").uids("INBOX").len(), 10, "nothing goes in that poll");
    assert_eq!(site.log().iter().filter(|r| r["code"] == "uidvalidity-changed").count(), 1);
    for _ in 0..2 {
        site.poll();
    }
    let after: Vec<_> = site.stored().into_iter().map(|stored| stored.path).collect();
    assert_eq!(after, before, "nothing came twice");
    assert_eq!(stored_octets(&site), as_sent(&messages));
    assert!(dovecot.imap_client("u1").uids("INBOX").is_empty());
}

#[test]
fn d11_promise_p3_altered_copies_keep_their_mail_on_the_server_and_hold_up_no_other() {
    let dovecot = Dovecot::start();
    for user in ["u1", "u2"] {
        for n in 0..4 {
            dovecot.deliver(user, &numbered(n));
        }
    }
    let rules = "delete_read = true\ndelete_after_days = 3\n";
    let site = Site::new(&[
        ("imap", dovecot.account("imap", "tls", "u1") + rules),
        ("pop3", dovecot.account("pop3", "tls", "u2") + rules),
    ]);
    site.poll();
    site.leave_unverified();
    for stored in site.stored() {
        let folder = site.root().join(&stored.path);
        match stored.text("subject") {
            "message 0000" => {
                let mut octets = stored.eml.clone();
                *octets.last_mut().unwrap() ^= 1;
                std::fs::write(folder.join("message.eml"), octets).unwrap();
            }
            "message 0001" => std::fs::remove_file(folder.join("body.txt")).unwrap(),
            "message 0002" => std::fs::remove_dir_all(folder).unwrap(),
            _ => {}
        }
    }
    polls_after(&site, 3 * DAY + 60);
    for user in ["u1", "u2"] {
        assert_eq!(on_server(&dovecot, user), BTreeSet::from([0, 1, 2]), "{user}");
    }
}

#[test]
fn deletes_in_one_poll_are_braked() {
    let dovecot = Dovecot::start();
    for n in 0..10 {
        dovecot.deliver("u1", &numbered(n));
    }
    let rules = "delete_read = true\ndelete_max_per_poll = 4\n";
    let site = Site::new(&[("a", dovecot.account("imap", "tls", "u1") + rules)]);
    for left in [6, 2, 0] {
        site.poll();
        assert_eq!(on_server(&dovecot, "u1").len(), left);
    }
    assert_eq!(site.stored().len(), 10);
}

/// Whether an IMAP command only looks.
fn only_looks(line: &str) -> bool {
    let line = line.to_uppercase();
    let Some((_, command)) = line.split_once(' ') else { return line.is_empty() };
    let command = command.strip_prefix("UID ").unwrap_or(command);
    let word = command.split(' ').next().unwrap_or_default();
    match word {
        "AUTHENTICATE" | "CAPABILITY" | "ENABLE" | "EXAMINE" | "ID" | "LIST" | "LOGIN"
        | "LOGOUT" | "NOOP" | "SEARCH" => true,
        "FETCH" => {
            let names = command.replace("BODY.PEEK[", "").replace("RFC822.SIZE", "");
            !names.contains("BODY[") && !names.contains("RFC822")
        }
        _ => false,
    }
}

#[test]
fn without_a_due_delete_mailboxes_are_only_looked_at() {
    let dovecot = Dovecot::start();
    let tables = [
        "",
        "batch_max = 2\n",
        "batch_max_bytes = \"8KiB\"\ndrain = false\n",
        "process_after = 2026-01-01T00:00:00Z\nignore_older_than = \"90d\"\nmin_age = \"1s\"\n",
        "max_message_size = \"10KiB\"\n",
        "folders = [\"*\"]\nproperties = { imap.fetch_chunk = \"16KiB\", imap.fetch_batch = 1 }\n",
        "delete_read = false\n",
        "delete_read = true\ndelete_after_days = 14\n",
    ];
    for message in messages(7) {
        dovecot.deliver("u1", &message);
    }
    dovecot.deliver_as("u1", &sample("large", 200_000), &Delivery::to("Work/Old"));
    for rules in tables {
        let relay = Relay::to(dovecot.imap);
        let mut site = Site::empty();
        site.account("a", &(loopback_account("imap", "none", relay.port, "u1") + rules));
        site.init_root();
        for verb in [&["poll"][..], &["poll"], &["plan", "a"], &["poll", "a"]] {
            let output = site.cli(verb);
            assert_eq!(output.code, 0, "{rules}: {output:?}");
        }
        assert!(!site.stored().is_empty(), "{rules}");
        let wild: Vec<String> =
            relay.commands().into_iter().filter(|line| !only_looks(line)).collect();
        assert_eq!(wild, [""; 0], "{rules}");
        for mailbox in ["INBOX", "Work/Old"] {
            let listed = dovecot.imap_client("u1").list(mailbox);
            assert!(listed.iter().all(|message| message.flags.is_empty()), "{rules}: {listed:?}");
        }
    }
}

#[test]
fn without_a_delete_rule_a_maildrop_is_never_told_to_delete() {
    let dovecot = Dovecot::start();
    for message in messages(7) {
        dovecot.deliver("u1", &message);
    }
    for rules in ["", "batch_max = 2\n", "delete_read = true\ndelete_after_days = 14\n"] {
        let relay = Relay::to(dovecot.pop3);
        let account = loopback_account("pop3", "none", relay.port, "u1") + rules;
        let site = Site::new(&[("a", account)]);
        for _ in 0..3 {
            site.poll();
        }
        assert_eq!(site.stored().len(), 7);
        let said = relay.commands();
        assert!(!said.iter().any(|line| line.to_uppercase().starts_with("DELE")), "{said:?}");
        assert_eq!(dovecot.pop3_client("u1").uidl().len(), 7);
    }
}

/// Years ahead, then back again, then a machine without a clock: nothing goes, mail still comes.
#[test]
fn d17_clock_that_jumps_by_years_deletes_nothing() {
    let dovecot = Dovecot::start();
    let relay = Relay::to(dovecot.imap);
    let account = loopback_account("imap", "none", relay.port, "u1");
    let site = Site::new(&[("a", account + "delete_read = true\ndelete_after_days = 14\n")]);
    let poll_at = |time: &str| {
        let variables = ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"];
        let output =
            site.cli_below(&[&variables[..], &["faketime", "-f", time]].concat(), &["poll"]);
        assert_eq!(output.code, 0, "{time}: {output:?}");
    };
    let mut n = 0;
    dovecot.deliver("u1", &numbered(n));
    site.poll();
    // The doubt lasts for three polls; by the fifth a leap of years still is no time that passed.
    let ahead_and_back = ["+3650d"; 5].into_iter().chain(["-3650d"; 4]);
    for time in ahead_and_back.chain(["@1970-01-02 00:00:00", "+0d"]) {
        n += 1;
        dovecot.deliver("u1", &numbered(n));
        poll_at(time);
        assert_eq!(site.stored().len(), n + 1, "{time}: mail still comes");
    }
    assert_eq!(on_server(&dovecot, "u1").len(), n + 1);
    let said = relay.commands().join("\n");
    assert!(!said.contains(" STORE ") && !said.contains("EXPUNGE"), "{said}");
    let doubts = site.log().iter().filter(|r| r["code"] == "clock-doubt").count();
    assert!(doubts >= 3, "{doubts}");
}

//! Servers whose mailboxes, names and identities change: nothing is stored twice, nothing of
//! others is taken for known, nothing is deleted before its content is proven.

use std::time::Instant;

use crate::support::server::{Fault, Protocol, Server};
use crate::support::{
    Dovecot, Relay, Site, as_sent, loopback_account, messages, sample, stored_octets,
};

fn dovecot_with(user: &str, messages: &[Vec<u8>]) -> Dovecot {
    let dovecot = Dovecot::start();
    for message in messages {
        dovecot.deliver(user, message);
    }
    dovecot
}

/// Subjects of what is stored, sorted; the octets are those of the messages with these subjects.
fn subjects(site: &Site) -> Vec<String> {
    let mut all: Vec<String> =
        site.stored().iter().map(|stored| stored.text("subject").to_owned()).collect();
    all.sort();
    all
}

/// Lines of the log with a code.
fn logged(site: &Site, code: &str) -> usize {
    site.log().iter().filter(|record| record["code"] == code).count()
}

/// Bodies that a relay has seen asked for: `BODY.PEEK[]` or RETR.
fn asked(relay: &Relay) -> usize {
    let commands = relay.commands();
    let is_fetch = |line: &&String| line.contains("BODY.PEEK[]") || line.contains("RETR ");
    commands.iter().filter(is_fetch).count()
}

fn deletes(relay: &Relay) -> usize {
    let is_delete =
        |line: &&String| ["UID STORE", "EXPUNGE", "DELE "].iter().any(|word| line.contains(word));
    relay.commands().iter().filter(is_delete).count()
}

#[test]
fn i01_recreated_mailbox_is_recognised_without_a_second_download() {
    let messages = messages(40);
    let dovecot = dovecot_with("u1", &messages);
    let relay = Relay::to(dovecot.imap);
    let mut site = Site::new(&[("a", loopback_account("imap", "none", relay.port, "u1"))]);
    site.poll();
    let fetched = asked(&relay);
    dovecot.recreate("u1", "INBOX");
    site.poll();
    assert_eq!((asked(&relay), logged(&site, "uidvalidity-changed")), (fetched, 1));
    assert!(stored_octets(&site) == as_sent(&messages));
    // What is due now is proven by its content first, and then deleted.
    site.add("inbound.a", "delete_read = true\ndelete_after_days = 0");
    site.poll();
    assert!(asked(&relay) > fetched);
    assert!(dovecot.imap_client("u1").uids("INBOX").is_empty());
    assert!(stored_octets(&site) == as_sent(&messages));
}

#[test]
fn p1_account_of_another_user_takes_nothing_for_known_and_deletes_nothing_unproven() {
    for protocol in ["imap", "pop3"] {
        let (own, foreign) = (messages(6), messages(9));
        let dovecot = dovecot_with("u1", &own);
        for message in &foreign[3..] {
            dovecot.deliver("u2", message);
        }
        let port = if protocol == "imap" { dovecot.imap } else { dovecot.pop3 };
        let relay = Relay::to(port);
        let lines = |user| {
            loopback_account(protocol, "none", relay.port, user)
                + "delete_read = true\ndelete_after_days = 9\n"
        };
        let mut site = Site::new(&[("a", lines("u1"))]);
        site.poll();
        site.account("a", &lines("u2"));
        site.poll();
        assert_eq!(logged(&site, "account-moved"), 1);
        // Three messages are in both mailboxes: one copy; the other three are new.
        let want: Vec<String> = (0..9).map(|n| format!("message {n:04}")).collect();
        assert_eq!(subjects(&site), want, "{protocol}");
        assert_eq!(deletes(&relay), 0, "{:?}", relay.commands());
        site.account("a", &lines("u2").replace("days = 9", "days = 0"));
        site.poll();
        site.poll();
        assert!(stored_octets(&site) == as_sent(&foreign), "{protocol}");
        assert!(dovecot.imap_client("u2").uids("INBOX").is_empty());
        assert_eq!(dovecot.imap_client("u1").uids("INBOX").len(), 6);
    }
}

#[test]
fn p2_server_with_another_name_stores_nothing_twice() {
    let messages = messages(25);
    let dovecot = dovecot_with("u1", &messages);
    for protocol in ["imap", "pop3"] {
        let port = if protocol == "imap" { dovecot.imap } else { dovecot.pop3 };
        let relay = Relay::to(port);
        let lines = loopback_account(protocol, "none", relay.port, "u1");
        let mut site = Site::new(&[("a", lines.clone())]);
        site.poll();
        let fetched = asked(&relay);
        site.account("a", &lines.replace("127.0.0.1", "localhost"));
        site.poll();
        site.poll();
        assert_eq!(asked(&relay), fetched, "{protocol}");
        assert!(stored_octets(&site) == as_sent(&messages), "{protocol}");
    }
}

#[test]
fn p2_account_that_changes_its_protocol_stores_nothing_twice() {
    let messages = messages(12);
    let dovecot = dovecot_with("u1", &messages);
    let mut site = Site::new(&[("a", dovecot.account("pop3", "tls", "u1"))]);
    for protocol in ["imap", "pop3", "imap"] {
        site.poll();
        assert!(stored_octets(&site) == as_sent(&messages), "before {protocol}");
        site.account("a", &dovecot.account(protocol, "tls", "u1"));
    }
    site.poll();
    assert!(stored_octets(&site) == as_sent(&messages));
}

#[test]
fn i34_renamed_mailbox_keeps_its_copies() {
    let messages = messages(10);
    let dovecot = Dovecot::start();
    let mut client = dovecot.imap_client("u1");
    client.command("CREATE Old");
    for message in &messages {
        dovecot.deliver_as("u1", message, &crate::support::Delivery::to("Old"));
    }
    let relay = Relay::to(dovecot.imap);
    let lines = loopback_account("imap", "none", relay.port, "u1");
    let mut site = Site::new(&[("a", lines.clone() + "folders = [\"Old\"]\n")]);
    site.poll();
    let fetched = asked(&relay);
    client.command("RENAME Old New");
    site.account("a", &(lines + "folders = [\"New\"]\n"));
    site.poll();
    site.poll();
    assert_eq!(asked(&relay), fetched);
    assert!(stored_octets(&site) == as_sent(&messages));
}

#[test]
fn g03_account_under_another_name_is_refused_with_the_line_to_write() {
    let messages = messages(3);
    let dovecot = dovecot_with("u1", &messages);
    let lines = dovecot.account("imap", "tls", "u1");
    let mut site = Site::new(&[("before", lines.clone())]);
    site.poll();
    site.remove("inbound.before");
    site.account("after", &lines);
    let output = site.cli(&["poll"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stdout.contains("renamed_from = \"before\""), "{output:?}");
    assert_eq!(site.stored().len(), 3);
    site.account("after", &(lines + "renamed_from = \"before\"\n"));
    site.poll();
    assert!(stored_octets(&site) == as_sent(&messages));
}

#[test]
fn c20_message_that_kills_the_program_is_stored_whole_and_stops_no_other() {
    for protocol in ["imap", "pop3"] {
        let mut all = messages(30);
        all.insert(11, sample("a POISON in the middle", 2_000));
        let dovecot = dovecot_with("u1", &all);
        let site = Site::new(&[("a", dovecot.account(protocol, "none", "u1"))]);
        let variables = [("POSTRIDER_PARSE_ABORT", "POISON"), ("POSTRIDER_BATCH", "4")];
        let codes: Vec<i32> = (0..4).map(|_| site.cli_with(&variables, &["poll"]).code).collect();
        assert!(codes[..3].iter().all(|code| *code != 0), "{codes:?}");
        assert_eq!(codes[3], 0, "{protocol}: {codes:?}");
        assert!(stored_octets(&site) == as_sent(&all), "{protocol}");
        let poison: Vec<_> = site
            .stored()
            .into_iter()
            .filter(|stored| stored.json["warnings"][0]["code"] == "parse-skipped")
            .collect();
        assert_eq!(poison.len(), 1, "{protocol}");
        assert!(String::from_utf8_lossy(&poison[0].eml).contains("POISON"));
        assert!(poison[0].json["subject"].is_null());
        assert_eq!(logged(&site, "parse-skipped"), 1);
    }
}

#[test]
fn c20_crash_for_another_reason_leaves_every_message_parsed() {
    let all = messages(20);
    let dovecot = dovecot_with("u1", &all);
    let site = Site::new(&[("a", dovecot.account("imap", "none", "u1"))]);
    // A third could find the same message under its mark a second time.
    for step in [40, 55] {
        let order = format!("kill@{step}");
        site.cli_with(&[("POSTRIDER_STEP", &order), ("POSTRIDER_BATCH", "2")], &["poll"]);
    }
    site.poll();
    assert!(stored_octets(&site) == as_sent(&all));
    assert_eq!(logged(&site, "parse-skipped"), 0);
    assert!(site.stored().iter().all(|stored| !stored.json["subject"].is_null()));
}

/// A server of one message that stays empty, listed with so many octets.
fn empty(protocol: Protocol, size: u64, fault: Fault) -> Server {
    let server = Server::start(protocol);
    server.deliver(&sample("empty", 300));
    server.store(|store| store.inbox().messages.get_mut(&1).unwrap().told_size = Some(size));
    server.set_fault(fault);
    server
}

fn empty_maildrop(size: u64) -> Server {
    empty(Protocol::Pop3, size, Fault::on("RETR").instead("+OK\r\n.\r\n"))
}

/// The body comes in this shape.
fn empty_mailbox(size: u64, body: &str) -> Server {
    let whole = format!("* 1 FETCH (UID 1 BODY[] {body})\r\n{{tag}} OK done\r\n");
    empty(Protocol::Imap, size, Fault::on("BODY.PEEK[]").instead(&whole))
}

#[test]
fn i09_empty_body_is_held_and_retried_and_stored_only_where_the_server_announced_none() {
    let servers = [
        ("pop3", 0, empty_maildrop(0)),
        ("pop3", 900, empty_maildrop(900)),
        ("imap", 0, empty_mailbox(0, "{0}\r\n")),
        ("imap", 0, empty_mailbox(0, "NIL")),
        ("imap", 900, empty_mailbox(900, "\"\"")),
        ("imap", 900, empty_mailbox(900, "NIL")),
    ];
    for (protocol, size, server) in servers {
        let lines = loopback_account(protocol, "none", server.port, "u1")
            + "delete_read = true\ndelete_after_days = 0\n";
        let site = Site::new(&[("a", lines)]);
        // Each poll an hour and more after the one before, so that every retry is due.
        let mut stored_after = None;
        for n in 0..9_u64 {
            let moved = format!("+{}", n * 3 * 3600);
            let wrapper = ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1", "faketime"];
            let wrapper = [&wrapper[..], &["-f", &moved]].concat();
            let output = site.cli_below(&wrapper, &["poll", "a"]);
            assert!(output.code == 0 || output.code == 3, "{protocol} {size}: {output:?}");
            if !site.stored().is_empty() {
                stored_after.get_or_insert(n + 1);
                continue;
            }
            let account = &site.status()["accounts"][0];
            let held = &account["held_messages"][0];
            assert_eq!((&account["held"], &held["attempts"]), (&1.into(), &(n + 1).into()));
            assert!(held["reason"].as_str().unwrap().contains("empty"), "{held}");
            assert!(held["retry_at"].is_string(), "{held}");
        }
        let heard = server.commands().join("\n");
        assert!(
            !["UID STORE", "EXPUNGE", "DELE "].iter().any(|word| heard.contains(word)),
            "{heard}"
        );
        assert_eq!(stored_after, (size == 0).then_some(6), "{protocol} {size}");
        for stored in site.stored() {
            assert_eq!(
                (stored.eml.len(), &stored.json["warnings"][0]["code"]),
                (0, &"empty".into())
            );
        }
    }
}

#[test]
fn pop04_moved_maildrop_is_recognised_without_a_second_download() {
    let messages = messages(30);
    let dovecot = dovecot_with("u1", &messages);
    let relay = Relay::to(dovecot.pop3);
    let site = Site::new(&[("a", loopback_account("pop3", "none", relay.port, "u1"))]);
    site.poll();
    let fetched = asked(&relay);
    // Dovecot's unique-ids are UIDVALIDITY and UID.
    dovecot.recreate("u1", "INBOX");
    site.poll();
    assert_eq!((asked(&relay), logged(&site, "unique-ids-changed")), (fetched, 1));
    assert!(stored_octets(&site) == as_sent(&messages));
    site.poll();
    assert_eq!(asked(&relay), fetched);
}

/// Run by hand: `cargo test --test suite -- --ignored --nocapture twenty_thousand`.
#[test]
#[ignore = "takes minutes: it delivers and polls 20,000 messages"]
fn i01_twenty_thousand_messages_are_recognised_in_seconds() {
    let dovecot = Dovecot::start();
    for n in 0..20_000 {
        dovecot.deliver("u1", &sample(&format!("message {n}"), 2_000));
    }
    for (protocol, port) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
        let relay = Relay::to(port);
        let site = Site::new(&[("a", loopback_account(protocol, "none", relay.port, "u1"))]);
        let timed = |what: &str| {
            let began = Instant::now();
            site.poll();
            eprintln!("{protocol}, {what}: {:?}", began.elapsed());
        };
        timed("first poll");
        let fetched = asked(&relay);
        timed("idle poll");
        dovecot.recreate("u1", "INBOX");
        dovecot.imap_client("u1").uids("INBOX");
        timed("poll after all identities changed");
        assert_eq!(asked(&relay), fetched);
        assert_eq!(site.stored().len(), 20_000);
        timed("idle poll");
    }
}

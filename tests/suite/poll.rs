//! The whole program against real servers: what arrives, what stays, what is deleted.

use std::time::Duration;

use crate::support::{
    Act, Certificate, Delivery, Dovecot, Options, Relay, Site, When, as_sent, loopback_account,
    messages, sample, stored_octets, wait_for,
};

const DAY: Duration = Duration::from_hours(24);

fn dovecot_with(messages: &[Vec<u8>]) -> Dovecot {
    let dovecot = Dovecot::start();
    for message in messages {
        dovecot.deliver("u1", message);
    }
    dovecot
}

#[test]
fn promise_p1_p5_every_message_arrives_once_and_unmarked_over_each_protocol_and_encryption() {
    let messages = messages(40);
    let dovecot = dovecot_with(&messages);
    for protocol in ["imap", "pop3"] {
        for encryption in ["tls", "starttls", "none"] {
            let site = Site::new(&[("a", dovecot.account(protocol, encryption, "u1"))]);
            site.poll();
            assert_eq!(stored_octets(&site), as_sent(&messages), "{protocol} {encryption}");
            if protocol == "imap" {
                // Comes first: Dovecot itself marks what RETR has read.
                let listed = dovecot.imap_client("u1").list("INBOX");
                assert!(listed.iter().all(|message| message.flags.is_empty()), "{encryption}");
            }
            let before: Vec<_> = site.stored().into_iter().map(|stored| stored.path).collect();
            site.poll();
            let after: Vec<_> = site.stored().into_iter().map(|stored| stored.path).collect();
            assert_eq!(after, before, "a second poll fetches nothing");
        }
    }
}

#[test]
fn plan_shows_what_a_poll_would_do_and_changes_nothing() {
    let dovecot = dovecot_with(&messages(3));
    let site = Site::new(&[("a", dovecot.account("imap", "tls", "u1"))]);
    let plan = site.cli(&["plan", "a", "--json"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    assert!(plan["fetch"].to_string().contains("\"uid\":3"), "{plan}");
    assert!(site.stored().is_empty());
}

#[test]
fn promise_p4_only_what_is_stored_is_deleted_and_others_deleted_mail_stays() {
    let dovecot = dovecot_with(&messages(5));
    dovecot.deliver_as("u1", &sample("old", 100), &Delivery::default().aged(DAY * 30));
    let young = Delivery::default().aged(Duration::from_mins(1));
    dovecot.deliver_as("u1", &sample("young", 100), &young);
    dovecot.imap_client("u1").mark_deleted("INBOX", 6);
    let rules = "delete_read = true\nignore_older_than = \"72h\"\n";
    let relay = Relay::to(dovecot.imap);
    let account = loopback_account("imap", "none", relay.port, "u1");
    let site = Site::new(&[("a", account + rules)]);
    for _ in 0..3 {
        site.poll();
    }
    let left = dovecot.imap_client("u1").uids("INBOX");
    assert!(left.contains(&6) && !left.contains(&7), "left: {left:?}");
    let expunges: Vec<String> =
        relay.commands().into_iter().filter(|line| line.contains("EXPUNGE")).collect();
    assert!(expunges.iter().all(|line| line.contains("UID EXPUNGE")), "{expunges:?}");
    assert!(!relay.commands().iter().any(|line| line.ends_with(" CLOSE")));
}

#[test]
fn i24_server_without_uidplus_is_never_told_to_delete() {
    let options = Options { imap_capability: Some("IMAP4rev1"), ..Options::default() };
    let dovecot = Dovecot::start_with(&options);
    dovecot.deliver("u1", &sample("stays", 100));
    let relay = Relay::to(dovecot.imap);
    let account = loopback_account("imap", "none", relay.port, "u1") + "delete_read = true\n";
    let site = Site::new(&[("a", account)]);
    for _ in 0..3 {
        site.cli(&["poll"]);
    }
    assert_eq!(site.stored().len(), 1);
    assert_eq!(dovecot.imap_client("u1").list("INBOX")[0].flags, [""; 0]);
    let said = relay.commands().join("\n");
    assert!(!said.contains("STORE") && !said.contains("EXPUNGE"), "{said}");
}

#[test]
fn i01_new_uid_validity_stores_nothing_twice() {
    let messages = messages(10);
    let dovecot = dovecot_with(&messages);
    let site = Site::new(&[("a", dovecot.account("imap", "tls", "u1"))]);
    site.poll();
    dovecot.recreate("u1", "INBOX");
    site.poll();
    site.poll();
    assert_eq!(stored_octets(&site), as_sent(&messages));
}

#[test]
fn wrong_password_is_tried_once_and_stops_no_other_account() {
    let dovecot = dovecot_with(&messages(3));
    let relay = Relay::to(dovecot.imap);
    let bad =
        loopback_account("imap", "none", relay.port, "u2").replace("secret-u2", "not-the-secret");
    let site = Site::new(&[("bad", bad), ("good", dovecot.account("imap", "tls", "u1"))]);
    let output = site.cli(&["poll"]);
    assert_eq!(output.code, 3, "{output:?}");
    assert!((output.stdout.clone() + &output.stderr).contains("bad"), "{output:?}");
    assert_eq!(stored_octets(&site).len(), 3);
    let errors: Vec<_> =
        site.log().into_iter().filter(|record| record["level"] == "error").collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0]["account"], "bad");
    assert!(!errors[0].to_string().contains("not-the-secret"), "{errors:?}");
    let is_login = |line: &String| line.contains("LOGIN") || line.contains("AUTHENTICATE");
    assert_eq!(relay.commands().iter().filter(|line| is_login(line)).count(), 1);
}

#[test]
fn bad_certificate_ends_the_poll_before_any_credentials() {
    for (certificate, code) in [
        (Certificate::Expired, "tls-expired"),
        (Certificate::NotYetValid, "tls-not-yet-valid"),
        (Certificate::Untrusted, "tls-untrusted"),
        (Certificate::WrongName, "tls-wrong-name"),
    ] {
        let dovecot = Dovecot::start_with(&Options { certificate, ..Options::default() });
        for (protocol, encryption) in [("imap", "tls"), ("pop3", "starttls")] {
            let site = Site::new(&[("a", dovecot.account(protocol, encryption, "u1"))]);
            assert_ne!(site.cli(&["poll"]).code, 0);
            let log = site.log();
            let found =
                log.iter().any(|r| r["level"] == "error" && r["code"].to_string().contains(code));
            assert!(found, "{certificate:?}: {log:?}");
        }
        assert!(!dovecot.log().contains("method=PLAIN"), "{}", dovecot.log());
    }
}

#[test]
fn connection_lost_anywhere_loses_nothing() {
    let messages = messages(12);
    let dovecot = dovecot_with(&messages);
    for (protocol, port) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
        let relay = Relay::to(port);
        let site = Site::new(&[("a", loopback_account(protocol, "none", relay.port, "u1"))]);
        for octets in [0, 50, 300, 700, 1_500, 5_000, 20_000, 60_000] {
            relay.set_fault(When::ServerOctets(octets), Act::Cut);
            site.cli(&["poll", "a"]);
            site.stored(); // Whole, each of them; the stage may hold a part until the next poll.
        }
        relay.heal();
        let output = site.cli(&["poll", "a"]);
        assert_eq!(output.code, 0, "{output:?}");
        assert_eq!(stored_octets(&site), as_sent(&messages), "{protocol}");
    }
}

#[test]
fn pop08_promise_p16_lost_answer_to_quit_neither_loses_nor_doubles() {
    let messages = messages(4);
    let dovecot = dovecot_with(&messages);
    let relay = Relay::to(dovecot.pop3);
    let account = loopback_account("pop3", "none", relay.port, "u1") + "delete_read = true\n";
    let site = Site::new(&[("a", account)]);
    relay.set_fault(When::ClientSays("QUIT"), Act::CutAnswer);
    site.cli(&["poll", "a"]);
    site.cli(&["poll", "a"]);
    relay.heal();
    for _ in 0..3 {
        let output = site.cli(&["poll", "a"]);
        assert_eq!(output.code, 0, "{output:?}");
    }
    assert_eq!(stored_octets(&site), as_sent(&messages));
    assert!(dovecot.pop3_client("u1").uidl().is_empty());
}

#[test]
fn poll_that_is_killed_again_and_again_ends_whole() {
    let messages = messages(400);
    let dovecot = dovecot_with(&messages);
    let site = Site::new(&[("a", dovecot.account("imap", "tls", "u1") + "batch_max = 25\n")]);
    for n in 0..10 {
        let poll = site.spawn(&["poll"]);
        std::thread::sleep(Duration::from_millis(30 + n * 23));
        poll.kill();
    }
    site.poll();
    assert_eq!(stored_octets(&site), as_sent(&messages));
}

#[test]
fn daemon_polls_on_its_interval_and_ends_when_told_to() {
    let dovecot = dovecot_with(&messages(2));
    let account = dovecot.account("imap", "tls", "u1") + "poll_interval = \"1s\"\n";
    let site = Site::new(&[("a", account)]);
    let daemon = site.spawn(&["run"]);
    wait_for("the first poll", Duration::from_secs(20), || {
        (site.stored().len() == 2).then_some(())
    });
    assert_eq!(site.cli(&["run"]).code, 75, "a second instance");
    dovecot.deliver("u1", &sample("later", 100));
    wait_for("the next poll", Duration::from_secs(20), || (site.stored().len() == 3).then_some(()));
    let output = daemon.stop(Duration::from_secs(10));
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(site.tree_faults(), [""; 0]);
}

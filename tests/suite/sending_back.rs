//! The whole circle, from a test message into the archive; and inbound logins that come first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::sending::{account, json};
use crate::support::{Dovecot, Fault, Protocol, Server, Site, Submission, wait_for};

/// Brings what a sink takes to a user's INBOX until the end, which comes also when the test fails.
fn carry(sink: &Server, dovecot: &Dovecot, ended: &AtomicBool) {
    let last = Instant::now() + Duration::from_mins(3);
    while !ended.load(Ordering::Relaxed) && Instant::now() < last {
        let taken = sink.store(|store| std::mem::take(&mut store.taken));
        for mail in taken {
            dovecot.deliver("u2", &mail.octets);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn test_message_comes_back_into_the_archive_by_our_own_polls_and_by_the_daemons() {
    let (dovecot, server) = (Dovecot::start(), Submission::start("plain", ""));
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| carry(&server.sink, &dovecot, &ended));
        for protocol in ["imap", "pop3"] {
            let inbound = dovecot.account(protocol, "tls", "u2") + "poll_interval = \"1s\"\n";
            let mut site = Site::new(&[("a", inbound)]);
            site.set("outbound.o", &server.account("tls", "u1"));
            let wait = ["send-test", "o", "--await", "a", "--timeout", "40s", "--json"];
            let output = site.cli(&wait);
            assert_eq!(output.code, 0, "{protocol}: {output:?}");
            let value = json(&output);
            let id = value["message_id"].as_str().unwrap().to_owned();
            let path = value["arrival"]["path"].as_str().unwrap();
            let eml = std::fs::read(site.root().join(path).join("message.eml")).unwrap();
            assert!(String::from_utf8(eml).unwrap().contains(&id));
            let daemon = site.spawn(&["run"]);
            wait_for("the daemon", Duration::from_secs(20), || {
                (!site.status()["live"].is_null()).then_some(())
            });
            let output = site.cli(&wait);
            assert_eq!(output.code, 0, "{protocol}, daemon: {output:?}");
            assert_ne!(json(&output)["arrival"]["path"].as_str().unwrap(), path);
            drop(daemon);
        }
        ended.store(true, Ordering::Relaxed);
    });
}

#[test]
fn message_that_does_not_come_ends_the_wait() {
    let (dovecot, server) = (Dovecot::start(), Submission::start("plain", ""));
    let mut site = Site::new(&[("a", dovecot.account("imap", "tls", "u2"))]);
    site.set("outbound.o", &server.account("tls", "u1"));
    let output = site.cli(&["send-test", "o", "--await", "a", "--timeout", "2s", "--json"]);
    assert_eq!(output.code, 1, "{output:?}");
    let value = json(&output);
    assert!(value["receipt"].is_object() && value["error"].is_null(), "{value}");
    assert!(value["arrival"]["error"].as_str().unwrap().contains("isn't in the archive"));
}

/// A POP3 and an SMTP server; the second takes mail only when somebody has logged in at the first.
fn pair() -> (Server, Arc<Server>, Site) {
    let (pop3, smtp) = (Server::start(Protocol::Pop3), Arc::new(Server::start(Protocol::Smtp)));
    smtp.set_fault(Fault::on("MAIL").instead("550 5.7.1 POP before SMTP\r\n"));
    let mut site = Site::empty();
    site.account("in", &pop3.account("u1"));
    site.set("outbound.o", &account(&smtp));
    (pop3, smtp, site)
}

#[test]
fn inbound_login_comes_first_where_the_server_asks_for_it() {
    let (pop3, smtp, mut site) = pair();
    let output = site.cli(&["send-test", "o", "--json"]);
    let hint = json(&output)["error"]["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("pop_before_smtp"), "{hint}");
    site.add("outbound.o", "pop_before_smtp = \"in\"");
    let opener = Arc::clone(&smtp);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let last = Instant::now() + Duration::from_secs(30);
            while !ended.load(Ordering::Relaxed) && Instant::now() < last {
                if pop3.commands().iter().any(|line| line.starts_with("QUIT")) {
                    opener.heal();
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        // The greeting waits till the other server's login is known.
        smtp.set_fault(Fault { wait_ms: 200, ..Fault::on("connect") });
        let output = site.cli(&["send-test", "o", "--json"]);
        ended.store(true, Ordering::Relaxed);
        assert_eq!(output.code, 0, "{output:?}");
    });
    let heard = pop3.commands().join("\n");
    assert!(!heard.contains("DELE") && !heard.contains("RETR"), "{heard}");
}

#[test]
fn smtp_is_not_tried_when_the_inbound_login_fails() {
    let (pop3, smtp, mut site) = pair();
    site.account("in", &pop3.account("u1").replace("secret-u1", "wr0ng"));
    site.add("outbound.o", "pop_before_smtp = \"in\"");
    for verb in ["send-test", "test"] {
        let output = site.cli(&[verb, "o", "--json"]);
        assert_eq!(output.code, 1, "{output:?}");
        let error = &json(&output)["error"];
        assert_eq!(error["code"], "auth-rejected");
        assert!(error["message"].as_str().unwrap().contains("before sending"), "{error}");
    }
    assert_eq!(smtp.connections(), 0);
}

#[test]
fn account_with_two_halves_shares_its_login() {
    let (pop3, smtp) = (Server::start(Protocol::Pop3), Server::start(Protocol::Smtp));
    let mut site = Site::empty();
    site.set("account.both", "address = \"u1\"\n".replace("u1", "u1@example.org").as_str());
    site.add("account.both", "user = \"u1\"\npassword = \"secret-u1\"");
    let without = |lines: &str| -> String {
        let own =
            |line: &&str| !["user ", "password ", "from "].iter().any(|k| line.starts_with(k));
        lines.lines().filter(own).flat_map(|line| [line, "\n"]).collect()
    };
    site.set("account.both.inbound", &without(&pop3.account("u1")));
    site.set("account.both.outbound", &without(&account(&smtp)));
    assert_eq!(site.cli(&["test", "both"]).code, 0);
    let output = site.cli(&["test", "both", "--outbound", "--json"]);
    assert_eq!(output.code, 0, "{output:?}");
    let output = site.cli(&["send-test", "both"]);
    assert_eq!(output.code, 0, "{output:?}");
    let taken = smtp.store(|store| store.taken.remove(0));
    assert_eq!(taken.from, "<u1@example.org>");
}

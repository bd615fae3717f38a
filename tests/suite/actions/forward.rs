//! Stored mail sent on: whole, recognisable when it comes again, and never in a circle.

use std::time::Duration;

use super::{actions, count, retry, with_rules};
use crate::support::server::{Fault, Taken, Then};
use crate::support::{Dovecot, Protocol, Server, Site, sample, wait_for};

fn site(dovecot: &Dovecot, server: &Server, rules: &[&str]) -> Site {
    let account = dovecot.account("imap", "none", "u1");
    let mut site = Site::empty();
    site.set("outbound.o", &crate::sending::account(server));
    site.account("a", &with_rules(&account, rules));
    site.init_root();
    site
}

fn taken(server: &Server) -> Vec<Taken> {
    server.store(|store| std::mem::take(&mut store.taken))
}

fn field<'t>(mail: &'t str, name: &str) -> Vec<&'t str> {
    let head = mail.split("\r\n\r\n").next().unwrap();
    head.split("\r\n").filter_map(|line| line.strip_prefix(&format!("{name}: "))).collect()
}

const ATTACHED: &str = "name = \"copy\"\ndo = \"forward\"\n\
                        forward_to = [\"x@other.example\", \"y@other.example\"]";
const RESENT: &str = "name = \"on\"\ndo = \"forward\"\nforward_to = \"x@other.example\"\n\
                      forward_as = \"resent\"\nvia = \"o\"";

#[test]
fn forwarded_message_is_whole_as_an_attachment_or_unchanged_behind_its_resent_block() {
    let (dovecot, server) = (Dovecot::start(), Server::start(Protocol::Smtp));
    dovecot.deliver("u1", &sample("a letter", 900));
    let site = site(&dovecot, &server, &[ATTACHED, RESENT]);
    site.poll();
    assert_eq!(count(&site, "done"), 2, "{:?}", actions(&site));
    let eml = site.stored()[0].eml.clone();
    let key = |rule: &str| {
        let action = actions(&site).into_iter().find(|action| action["rule"] == rule).unwrap();
        action["key"].as_str().unwrap().to_owned()
    };
    let check = |all: Vec<Taken>| {
        assert_eq!(all.len(), 2);
        for mail in all {
            assert_eq!(mail.from, "<u1@example.org>");
            let text = String::from_utf8(mail.octets.clone()).unwrap();
            assert_eq!(field(&text, "X-Postrider-Forwarded").len(), 1, "{text}");
            if mail.to.len() == 2 {
                assert_eq!(field(&text, "Message-ID"), [format!("<{}@example.org>", key("copy"))]);
                let inner = text.split("Content-Type: message/rfc822").nth(1).unwrap();
                let inner = inner.split_once("\r\n\r\n").unwrap().1;
                assert!(inner.as_bytes().starts_with(&eml), "{text}");
            } else {
                assert!(mail.octets.ends_with(&eml), "{text}");
                let id = format!("<{}@example.org>", key("on"));
                assert_eq!(field(&text, "Resent-Message-ID"), [id]);
                assert!(text.starts_with("Resent-Date: "), "{text}");
            }
        }
    };
    check(taken(&server));
    // A second time by a person: the same identifiers.
    assert_eq!(site.cli(&["replay", "a"]).code, 0);
    check(taken(&server));
}

#[test]
fn what_comes_back_or_answers_by_itself_is_not_sent_on_and_a_person_can_see_it() {
    let (dovecot, server) = (Dovecot::start(), Server::start(Protocol::Smtp));
    dovecot.deliver("u1", &sample("round", 900));
    let rule = RESENT.to_owned() + "\nretries = \"0s\"";
    let site = site(&dovecot, &server, &[&rule]);
    site.poll();
    let sent = taken(&server).remove(0);
    // The recipient's server brings it back, and answers by itself, too.
    dovecot.deliver("u1", &sent.octets);
    let answer = "Auto-Submitted: auto-replied\r\nSubject: away\r\n\r\nLater.\r\n";
    dovecot.deliver("u1", answer.as_bytes());
    site.poll();
    assert!(taken(&server).is_empty());
    assert_eq!((count(&site, "done"), count(&site, "failed")), (1, 2));
    let list = site.cli(&["actions", "list", "--failed"]);
    assert!(list.stdout.contains("loop: this rule has sent it on before"), "{list:?}");
    assert!(list.stdout.contains("loop: it answers a mail by itself"), "{list:?}");
    assert_eq!(site.stored().len(), 3, "stored they are");
}

#[test]
fn forward_waits_for_its_server_and_goes_with_the_key_that_it_had() {
    let (dovecot, server) = (Dovecot::start(), Server::start(Protocol::Smtp));
    dovecot.deliver("u1", &sample("later", 900));
    let mut site = site(&dovecot, &server, &[ATTACHED]);
    let lines = crate::sending::account(&server);
    let dead = lines.replace(&format!("port = {}", server.port), "port = 9");
    site.set("outbound.o", &dead);
    site.poll();
    let before = actions(&site).remove(0);
    assert_eq!((&before["state"], &before["code"]), (&"pending".into(), &"unreachable".into()));
    site.set("outbound.o", &lines);
    retry(&site);
    site.poll();
    let after = actions(&site).remove(0);
    assert_eq!((&after["state"], &after["key"]), (&"done".into(), &before["key"]));
    assert_eq!(taken(&server).len(), 1);
}

#[test]
fn killed_between_the_sending_and_its_mark_it_goes_again_with_the_same_message_id() {
    let (dovecot, server) = (Dovecot::start(), Server::start(Protocol::Smtp));
    dovecot.deliver("u1", &sample("twice", 900));
    let site = site(&dovecot, &server, &[ATTACHED, RESENT]);
    for (order, sent) in [("kill@act", 0), ("kill@acted", 1)] {
        let killed = site.cli_with(&[("POSTRIDER_STEP", order)], &["poll"]);
        assert_eq!(killed.code, -1, "{order}: {killed:?}");
        assert!(server.store(|store| store.taken.len() >= sent), "{order}");
    }
    site.poll();
    assert_eq!(count(&site, "done"), 2, "{:?}", actions(&site));
    let mut ids: Vec<String> = Vec::new();
    for mail in taken(&server) {
        let text = String::from_utf8(mail.octets).unwrap();
        let own = field(&text, "Resent-Message-ID");
        ids.extend(
            own.iter().chain(&field(&text, "Message-ID")).take(1).map(|id| (*id).to_owned()),
        );
    }
    assert!(ids.len() > 2, "one of them went twice: {ids:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2);
}

/// The server's answer to a message is waited for.
fn be_patient(site: &mut Site, server: &Server) {
    let lines = crate::sending::account(server);
    site.set("outbound.o", &lines.replace("read_timeout = \"2s\"", "read_timeout = \"60s\""));
}

fn dots(server: &Server) -> usize {
    server.commands().iter().filter(|line| *line == ".").count()
}

#[test]
fn a08_login_of_a_forward_that_is_killed_behind_it_counts_as_no_refused_one() {
    let (dovecot, server) = (Dovecot::start(), Server::start(Protocol::Smtp));
    dovecot.deliver("u1", &sample("killed", 900));
    let mut site = site(&dovecot, &server, &[RESENT]);
    be_patient(&mut site, &server);
    server.set_fault(Fault::on(".").instead("").then(Then::Hang));
    // One login that was cut off would ask for no rest.
    for n in 1..=2 {
        let poll = site.spawn(&["poll"]);
        wait_for("the final dot", Duration::from_secs(40), || (dots(&server) == n).then_some(()));
        poll.kill();
    }
    server.heal();
    site.poll();
    assert_eq!(count(&site, "done"), 1, "{:?}", actions(&site));
    assert_eq!(site.status()["outbound"], serde_json::json!([]));
    assert_eq!(taken(&server).len(), 1);
}

#[test]
fn rule_does_not_cut_the_wait_behind_the_final_dot_and_so_sends_once() {
    let (dovecot, server) = (Dovecot::start(), Server::start(Protocol::Smtp));
    dovecot.deliver("u1", &sample("slowly", 900));
    let rule = RESENT.to_owned() + "\ntimeout = \"2s\"";
    let mut site = site(&dovecot, &server, &[&rule]);
    be_patient(&mut site, &server);
    server.set_fault(Fault { wait_ms: 3000, ..Fault::on(".") });
    site.poll();
    // A busy machine may not get so far within `timeout`; then nothing has been sent.
    for _ in 0..5 {
        if dots(&server) == 0 {
            retry(&site);
            site.poll();
        }
    }
    assert_eq!(count(&site, "done"), 1, "{:?}", actions(&site));
    assert_eq!((dots(&server), taken(&server).len()), (1, 1));
}

#[test]
fn rest_of_the_outbound_account_is_no_try_and_its_end_by_a_person_sends_on() {
    let (dovecot, server) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let mut site = site(&dovecot, &server, &[&(RESENT.to_owned() + "\nretries = \"0s\"")]);
    let lines = crate::sending::account(&server);
    site.set("outbound.o", &lines.replace("secret-u1", "wr0ng"));
    dovecot.deliver("u1", &sample("refused", 900));
    site.poll();
    assert_eq!(count(&site, "failed"), 1, "a refused login is a try: {:?}", actions(&site));
    // Its fate is decided when it can be sent, and it isn't read before.
    let answer = "Auto-Submitted: auto-replied\r\nSubject: away\r\n\r\nLater.\r\n";
    dovecot.deliver("u1", answer.as_bytes());
    dovecot.deliver("u1", &sample("waits", 900));
    site.poll();
    assert_eq!((count(&site, "pending"), count(&site, "failed")), (2, 1), "{:?}", actions(&site));
    let waits = actions(&site).into_iter().find(|action| action["code"] == "rests").unwrap();
    assert_eq!((&waits["attempts"], &waits["first_at"]), (&0.into(), &serde_json::Value::Null));
    assert_eq!(server.commands().iter().filter(|line| line.starts_with("AUTH")).count(), 1);
    let resumed = site.cli(&["account", "resume", "o"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    site.set("outbound.o", &lines);
    site.poll();
    assert_eq!((count(&site, "done"), count(&site, "failed")), (1, 2), "{:?}", actions(&site));
    assert_eq!(taken(&server).len(), 1);
}

#[test]
fn check_refuses_forwards_to_nobody_by_nobody_and_to_oneself() {
    let (dovecot, server) = (Dovecot::start(), Server::start(Protocol::Smtp));
    for (rule, said) in [
        ("do = \"forward\"", "`forward_to` is missing"),
        ("do = \"forward\"\nforward_to = \"x@y.example\"\nvia = \"p\"", "no `[outbound.p]`"),
        ("do = \"forward\"\nforward_to = \"x\"", "forward_to"),
        ("do = \"forward\"\nforward_to = \"U1@here.example\"", "which this account polls"),
    ] {
        let account = dovecot.account("imap", "none", "u1");
        let account = account.replace("user = \"u1\"", "user = \"u1@here.example\"");
        let mut site = Site::empty();
        site.account("a", &with_rules(&account, &[rule]));
        site.set("outbound.o", &crate::sending::account(&server));
        let output = site.cli(&["check"]);
        site.leave_unverified();
        assert_eq!(output.code, 2, "{rule}: {output:?}");
        assert!((output.stdout.clone() + &output.stderr).contains(said), "{rule}: {output:?}");
    }
}

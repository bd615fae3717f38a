//! Canaries: out by SMTP, back through a polled mailbox, off the server; and forged ones, which are
//! mail like any other.

use std::time::Duration;

use crate::notices::outbound;
use crate::support::{Dovecot, Protocol, Server, Site, sample, wait_for};

const SOON: Duration = Duration::from_secs(40);

/// A site whose account `a` has a canary every few seconds.
fn site(account: &str, smtp: &Server, max: &str) -> Site {
    let mut site = Site::new(&[("a", format!("{account}poll_interval = \"1s\"\n"))]);
    site.set("outbound.relay", &outbound(smtp.port));
    site.set(
        "notices",
        "system = \"robot@example.org\"\nerror_reporting = \"ops@example.org\"\ndigest = \"1s\"\n",
    );
    site.set(
        "inbound.a.canary",
        &format!("via = \"relay\"\nto = \"u1@example.net\"\nevery = \"20s\"\nmax = \"{max}\"\n"),
    );
    site
}

/// Waits for the nth mail of this kind; its octets with LF.
fn mail(smtp: &Server, report: &str, nth: usize) -> Vec<u8> {
    let field = format!("X-Postrider-Report: {report}\r\n");
    let octets = wait_for(report, SOON, || {
        let taken = smtp.store(|store| store.taken.clone());
        let mut mails = taken.into_iter().map(|mail| mail.octets);
        mails.by_ref().filter(|mail| String::from_utf8_lossy(mail).contains(&field)).nth(nth)
    });
    octets.into_iter().filter(|octet| *octet != b'\r').collect()
}

fn wait_for_stored(site: &Site, count: usize) {
    wait_for("stored messages", SOON, || (site.stored().len() >= count).then_some(()));
}

#[test]
fn canary_goes_out_comes_back_is_measured_and_leaves_the_server() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let site = site(&dovecot.account("imap", "tls", "u1"), &smtp, "15s");
    dovecot.deliver("u1", &sample("mail of somebody", 100));
    let daemon = site.spawn(&["run"]);
    let canary = mail(&smtp, "canary", 0);
    wait_for_stored(&site, 1);
    dovecot.deliver("u1", &canary);
    wait_for_stored(&site, 2);
    let arrived = wait_for("the record", SOON, || {
        site.log().into_iter().find(|record| record["code"] == "canary-arrived")
    });
    assert!(arrived["fields"]["milliseconds"].as_i64() > Some(0), "{arrived}");
    // It leaves the server, the mail of others stays.
    wait_for("the delete", SOON, || {
        (dovecot.imap_client("u1").list("INBOX").len() == 1).then_some(())
    });
    let left = dovecot.imap_client("u1").list("INBOX");
    assert!(String::from_utf8_lossy(&left[0].body).contains("mail of somebody"));
    assert_eq!(site.stored().len(), 2, "both copies stay in the archive");
    let status = site.status();
    let shown = &status["notices"]["canaries"][0];
    assert_eq!(shown["account"], "a", "{status}");
    assert!(shown["last_delay_ms"].as_i64() > Some(0), "{status}");
    assert!(site.cli(&["status"]).stdout.contains("a: last canary"));
    assert_eq!(status["notices"]["open"], serde_json::json!([]), "{status}");
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn canary_that_does_not_come_back_is_told_and_the_next_one_that_does_ends_it() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let site = site(&dovecot.account("imap", "tls", "u1"), &smtp, "3s");
    let daemon = site.spawn(&["run"]);
    let lost = mail(&smtp, "canary", 0);
    let told = String::from_utf8(mail(&smtp, "notice", 0)).unwrap();
    assert!(told.contains("a: canary did not arrive"), "{told}");
    let next = mail(&smtp, "canary", 1);
    assert_ne!(lost, next);
    dovecot.deliver("u1", &next);
    let over = String::from_utf8(mail(&smtp, "notice", 1)).unwrap();
    assert!(over.contains("a: over: canary did not arrive"), "{over}");
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn canary_that_can_not_be_sent_is_told_by_status() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let mut site = site(&dovecot.account("imap", "tls", "u1"), &smtp, "2s");
    site.set("outbound.dead", &outbound(1));
    site.add("notices", "outbound = \"relay\"");
    site.set(
        "inbound.a.canary",
        "via = \"dead\"\nto = \"u1@example.net\"\nevery = \"60s\"\nmax = \"2s\"\n",
    );
    let daemon = site.spawn(&["run"]);
    let told = String::from_utf8(mail(&smtp, "notice", 0)).unwrap();
    assert!(told.contains("a: canary could not be sent"), "{told}");
    assert!(site.status()["notices"]["canaries"][0]["last"]["failed"].is_string());
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn forged_canaries_delete_nothing_and_hide_nothing() {
    let (imap, smtp) = (Server::start(Protocol::Imap), Server::start(Protocol::Smtp));
    let site = site(&imap.account("u1"), &smtp, "15s");
    let daemon = site.spawn(&["run"]);
    let canary = String::from_utf8(mail(&smtp, "canary", 0)).unwrap();
    let field = canary.lines().find(|line| line.starts_with("X-Postrider-Canary: ")).unwrap();
    let forged = |token: &str, subject: &str| {
        let message = String::from_utf8(sample(subject, 100)).unwrap();
        format!("X-Postrider-Canary: {token}\nX-Postrider-Report: canary\n{message}").into_bytes()
    };
    let guessed = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    for (token, subject) in [(guessed, "guessed"), ("' OR 1 --", "sql"), ("", "empty")] {
        imap.deliver(&forged(token, subject));
    }
    imap.deliver(&sample("of somebody", 100));
    wait_for_stored(&site, 4);
    imap.deliver(canary.as_bytes());
    wait_for("the removal", SOON, || (imap.removals().len() == 1).then_some(()));
    // Who reads the genuine one in the mailbox learns a token that is used up.
    let used = field.split_once(": ").unwrap().1;
    imap.deliver(&forged(used, "replayed"));
    wait_for_stored(&site, 6);
    std::thread::sleep(Duration::from_secs(3));
    let removed: Vec<String> = imap
        .removals()
        .iter()
        .map(|removal| String::from_utf8_lossy(&removal.octets).into_owned())
        .collect();
    assert_eq!(removed.len(), 1, "{removed:?}");
    assert!(removed[0].contains("canary for a"), "{removed:?}");
    let flagged: Vec<String> =
        imap.commands().into_iter().filter(|command| command.contains("\\Deleted")).collect();
    assert_eq!(flagged.len(), 1, "{flagged:?}");
    let mut subjects: Vec<String> =
        site.stored().iter().map(|stored| stored.text("subject").to_owned()).collect();
    subjects.retain(|subject| !subject.contains("canary for"));
    subjects.sort();
    assert_eq!(subjects, ["empty", "guessed", "of somebody", "replayed", "sql"]);
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn canary_through_pop3_leaves_the_maildrop_and_nothing_else_does() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let site = site(&dovecot.account("pop3", "tls", "u1"), &smtp, "15s");
    dovecot.deliver("u1", &sample("mail of somebody", 100));
    let daemon = site.spawn(&["run"]);
    let canary = mail(&smtp, "canary", 0);
    dovecot.deliver("u1", &canary);
    wait_for_stored(&site, 2);
    wait_for("the delete", SOON, || {
        (dovecot.imap_client("u1").list("INBOX").len() == 1).then_some(())
    });
    let left = dovecot.imap_client("u1").list("INBOX");
    assert!(String::from_utf8_lossy(&left[0].body).contains("mail of somebody"));
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn canary_is_marked_and_leaves_while_own_and_other_mail_is_only_marked() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let account = dovecot.account("imap", "tls", "u1") + "mark_seen = true\n";
    let site = site(&account, &smtp, "15s");
    dovecot.deliver("u1", &sample("mail of somebody", 100));
    let report = String::from_utf8(sample("report", 100)).unwrap();
    dovecot.deliver("u1", format!("X-Postrider-Report: digest\n{report}").as_bytes());
    let daemon = site.spawn(&["run"]);
    dovecot.deliver("u1", &mail(&smtp, "canary", 0));
    wait_for_stored(&site, 3);
    wait_for("the delete", SOON, || {
        (dovecot.imap_client("u1").list("INBOX").len() == 2).then_some(())
    });
    assert_eq!(daemon.stop(SOON).code, 0);
    // A stop may come between the server's answer and its record.
    site.poll();
    let left = dovecot.imap_client("u1").list("INBOX");
    assert!(left.iter().all(|message| message.flags.contains(&"\\Seen".to_owned())));
    let told = |subject: &str| {
        let all = site.stored();
        let found = all.iter().find(|one| one.text("subject").contains(subject)).unwrap();
        let output = site.cli(&["why", found.text("id")]);
        assert_eq!(output.code, 0, "{output:?}");
        output.stdout
    };
    let canary = told("canary for a");
    for words in ["a test mail of ours", "on the server, by us (expunge)"] {
        assert!(canary.contains(words), "{canary}");
    }
    let own = told("report");
    assert!(own.contains("mail of postrider") && !own.contains("a test mail of ours"), "{own}");
    let other = told("mail of somebody");
    assert!(!other.contains("mail of postrider") && !other.contains("of ours"), "{other}");
    let status = site.status();
    assert!(status["notices"]["canaries"][0]["last_delay_ms"].as_i64() > Some(0), "{status}");
}

#[test]
fn canary_that_was_caught_up_with_stays_on_the_server_and_is_not_called_late() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let site = site(&dovecot.account("imap", "tls", "u1"), &smtp, "4s");
    let daemon = site.spawn(&["run"]);
    let canary = mail(&smtp, "canary", 0);
    assert_eq!(daemon.stop(SOON).code, 0);
    dovecot.deliver("u1", &canary);
    let done = site.cli(&["catch-up", "a"]);
    assert_eq!(done.code, 0, "{done:?}");
    std::thread::sleep(Duration::from_secs(5));
    let daemon = site.spawn(&["run"]);
    // The next one shows that all goes on.
    let next = mail(&smtp, "canary", 1);
    let status = site.status();
    assert_eq!(status["notices"]["open"], serde_json::json!([]), "{status}");
    dovecot.deliver("u1", &next);
    wait_for_stored(&site, 1);
    wait_for("the delete", SOON, || (dovecot.imap_client("u1").uids("INBOX") == [1]).then_some(()));
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn no_canary_goes_out_for_an_account_that_is_paused() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let mut site = site(&dovecot.account("imap", "tls", "u1"), &smtp, "2s");
    for (name, user) in [("a", "u1"), ("b", "u2")] {
        site.account(name, &(dovecot.account("imap", "tls", user) + "poll_interval = \"1s\"\n"));
        let canary =
            format!("via = \"relay\"\nto = \"{user}@example.net\"\nevery = \"2s\"\nmax = \"2s\"\n");
        site.set(&format!("inbound.{name}.canary"), &canary);
    }
    assert_eq!(site.cli(&["account", "pause", "a"]).code, 0);
    let daemon = site.spawn(&["run"]);
    let to = |user: &str| {
        let of =
            |taken: &crate::support::server::Taken| taken.to[0] == format!("<{user}@example.net>");
        smtp.store(|store| store.taken.iter().filter(|taken| of(taken)).count())
    };
    wait_for("canaries of b", SOON, || (to("u2") > 1).then_some(()));
    assert_eq!(to("u1"), 0);
    assert_eq!(site.cli(&["account", "resume", "a"]).code, 0);
    wait_for("a canary of a", SOON, || (to("u1") > 0).then_some(()));
    assert_eq!(daemon.stop(SOON).code, 0);
}

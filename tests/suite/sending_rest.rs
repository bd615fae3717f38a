//! Outbound accounts whose login is refused rest and stop like inbound ones, whoever sends; and the
//! login that comes before sending keeps to the rests of its own account.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::notices::outbound;
use crate::support::{Dovecot, Protocol, Server, Site, wait_for};

const SOON: Duration = Duration::from_secs(40);

/// A site whose account `a` has a canary every two seconds by `relay`.
fn site(dovecot: &Dovecot, relay: &str) -> Site {
    let account = dovecot.account("imap", "none", "u1") + "poll_interval = \"1s\"\n";
    let mut site = Site::new(&[("a", account)]);
    site.set("outbound.relay", relay);
    site.set("notices", "system = \"robot@example.org\"\nfeedback = \"f@example.org\"\n");
    let canary = "via = \"relay\"\nto = \"u1@example.net\"\nevery = \"2s\"\nmax = \"2s\"\n";
    site.set("inbound.a.canary", canary);
    site
}

fn wrong(server: &Server) -> String {
    outbound(server.port).replace("password = \"", "password = \"not-")
}

fn logins(server: &Server, word: &str) -> usize {
    server.commands().iter().filter(|line| line.starts_with(word)).count()
}

/// Waits for a canary that was not sent, in these words.
fn wait_for_unsent(site: &Site, words: &str) -> Value {
    wait_for(words, SOON, || {
        let canaries = site.status()["notices"]["canaries"].clone();
        let all = canaries.as_array().into_iter().flatten();
        all.into_iter().find(|c| c["last"]["failed"].to_string().contains(words)).cloned()
    })
}

/// Has the next canary due at once.
fn next_canary(site: &Site) {
    ledger(site, "DELETE FROM canary");
}

fn ledger(site: &Site, sql: &str) {
    let db = rusqlite::Connection::open(site.state().join("ledger.db")).unwrap();
    assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
}

#[test]
fn promise_p14_a08_refused_smtp_login_rests_over_restarts_whoever_sends() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let site = site(&dovecot, &wrong(&smtp));
    for _ in 0..2 {
        let daemon = site.spawn(&["run"]);
        wait_for_unsent(&site, "rests until");
        assert_eq!(logins(&smtp, "AUTH"), 1, "{:?}", smtp.commands());
        assert_eq!(daemon.stop(SOON).code, 0);
        ledger(&site, "DELETE FROM canary");
    }
    let status = site.status();
    assert_eq!(status["outbound"][0]["state"], "FAILING", "{status}");
    assert_eq!(status["outbound"][0]["last_error"]["code"], "auth-rejected", "{status}");
    let report = site.cli(&["report", "feedback", "hello"]);
    assert!(report.code == 1 && report.stderr.contains("account resume relay"), "{report:?}");
    assert_eq!(logins(&smtp, "AUTH"), 1);
    // A person's own test passes, as a poll by name does.
    assert_eq!(site.cli(&["send-test", "relay", "--to", "x@example.org"]).code, 1);
    assert_eq!(logins(&smtp, "AUTH"), 2);
    let resumed = site.cli(&["account", "resume", "relay"]);
    assert!(resumed.stdout.contains("1 refused login forgotten"), "{resumed:?}");
    assert_eq!(site.status()["outbound"], serde_json::json!([]));
}

#[test]
fn promise_p14_a08_fifth_refused_smtp_login_stops_until_a_person_acts() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let mut site = site(&dovecot, &wrong(&smtp));
    let daemon = site.spawn(&["run"]);
    let refused = |n: u64| {
        wait_for("refusals", SOON, || {
            (site.status()["outbound"][0]["refused_logins"] == n).then_some(())
        });
    };
    refused(1);
    ledger(&site, "UPDATE outbound SET auth_failures = 4, retry_at = 1");
    next_canary(&site);
    refused(5);
    next_canary(&site);
    wait_for_unsent(&site, "stopped till a person acts");
    assert_eq!(logins(&smtp, "AUTH"), 2);
    let shown = site.cli(&["status"]);
    assert!(shown.code == 3 && shown.stdout.contains("outbound relay: STOPPED"), "{shown:?}");
    assert!(shown.stdout.contains("postrider account resume relay"), "{shown:?}");
    let resumed = site.cli(&["account", "resume", "relay"]);
    assert!(resumed.stdout.contains("5 refused logins forgotten"), "{resumed:?}");
    next_canary(&site);
    refused(1);
    assert_eq!(logins(&smtp, "AUTH"), 3);
    // Another secret ends the rest at once.
    site.set("outbound.relay", &outbound(smtp.port));
    daemon.signal(Signal::HUP);
    next_canary(&site);
    wait_for("no refusals", SOON, || {
        (site.status()["outbound"] == serde_json::json!([])).then_some(())
    });
    assert_eq!(daemon.stop(SOON).code, 0);
    assert!(!smtp.store(|store| store.taken.is_empty()));
}

#[test]
fn a08_login_before_sending_keeps_to_the_stop_of_its_account() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let pop3 = Server::start(Protocol::Pop3);
    let mut site = site(&dovecot, &outbound(smtp.port));
    let account = pop3.account("u1").replace("secret-u1", "wr0ng");
    site.account("in", &(account + "poll_interval = \"1d\"\n"));
    site.add("outbound.relay", "pop_before_smtp = \"in\"");
    // Refused by polls; the fifth refusal is that of the daemon's own login.
    assert_eq!(site.cli(&["poll", "in"]).code, 1);
    ledger(&site, "UPDATE account SET failures = 4, auth_failures = 4 WHERE name = 'in'");
    let test = site.cli(&["send-test", "relay", "--to", "x@example.org", "--json"]);
    assert_eq!(crate::sending::json(&test)["error"]["code"], "account-rests", "{test:?}");
    assert_eq!(logins(&pop3, "AUTH"), 1);
    ledger(&site, "UPDATE account SET retry_at = 1 WHERE name = 'in'");
    let daemon = site.spawn(&["run"]);
    wait_for_unsent(&site, "must log in before sending");
    next_canary(&site);
    wait_for_unsent(&site, "stopped till a person acts");
    assert_eq!(logins(&pop3, "AUTH"), 2);
    assert_eq!(site.status()["outbound"], serde_json::json!([]), "nobody refused its own login");
    assert_eq!(site.status()["accounts"][1]["state"], "STOPPED");
    assert_eq!(daemon.stop(SOON).code, 0);
    assert_eq!(smtp.connections(), 0);
}

#[test]
fn login_before_sending_holds_for_all_that_the_daemon_sends() {
    let (dovecot, smtp) = (Dovecot::start(), Server::start(Protocol::Smtp));
    let pop3 = Server::start(Protocol::Pop3);
    let mut site = site(&dovecot, &outbound(smtp.port));
    site.account("in", &(pop3.account("u1") + "poll_interval = \"1d\"\n"));
    site.add("outbound.relay", "pop_before_smtp = \"in\"");
    let more = "error_reporting = \"ops@example.org\"\ndigest = \"1s\"";
    site.add("notices", more);
    let daemon = site.spawn(&["run"]);
    // Canaries, and the notice that they don't come back.
    wait_for("canaries and a notice", SOON, || {
        let taken = smtp.store(|store| store.taken.clone());
        let of = |report: &str| {
            let field = format!("X-Postrider-Report: {report}\r\n");
            taken.iter().filter(|t| String::from_utf8_lossy(&t.octets).contains(&field)).count()
        };
        (of("canary") > 1 && of("notice") > 0).then_some(())
    });
    assert_eq!(daemon.stop(SOON).code, 0);
    // One login for all of them; the account's own poll may have been another one.
    assert!(logins(&pop3, "AUTH") <= 2, "{:?}", pop3.commands());
}

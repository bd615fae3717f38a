//! Accounts that must not be asked again too soon: refused logins, and servers that ask for time.

use std::time::Duration;

use crate::support::server::{Fault, Protocol, Server};
use crate::support::{Dovecot, Relay, Site, loopback_account, wait_for};

/// A server that answers each login so.
fn imap(refusal: &str) -> Server {
    let server = Server::start(Protocol::Imap);
    server.set_fault(Fault::on("AUTHENTICATE").instead(refusal));
    server.set_fault(Fault::on("LOGIN").instead(refusal));
    server
}

/// An empty maildrop that says this to CAPA, and to PASS unless the login is to go well.
fn pop3(capa: &str, pass: Option<&str>) -> Server {
    let server = Server::start(Protocol::Pop3);
    server.set_fault(Fault::on("CAPA").instead(capa));
    if let Some(pass) = pass {
        server.set_fault(Fault::on("PASS").instead(pass));
    }
    server
}

fn site(protocol: &str, port: u16) -> Site {
    let account = loopback_account(protocol, "none", port, "u1");
    Site::new(&[("a", account + "poll_interval = \"1s\"\n")])
}

/// State in `status` after six polls by name, and whether `poll` without names asks again.
fn after_six(site: &Site, server: &Server) -> (String, bool) {
    for _ in 0..6 {
        site.cli(&["poll", "a"]);
    }
    let before = server.connections();
    site.cli(&["poll"]);
    let status = site.status();
    let state = status["accounts"][0]["state"].as_str().unwrap().to_owned();
    (state, server.connections() > before)
}

#[test]
fn i29_refused_credentials_stop_the_account() {
    for code in [
        "AUTHENTICATIONFAILED",
        "AUTHORIZATIONFAILED",
        "EXPIRED",
        "PRIVACYREQUIRED",
        "CONTACTADMIN",
    ] {
        let server = imap(&format!("{{tag}} NO [{code}] no\r\n"));
        let site = site("imap", server.port);
        assert_eq!(after_six(&site, &server), ("STOPPED".to_owned(), false), "{code}");
    }
}

#[test]
fn i30_server_that_is_busy_never_stops_the_account() {
    for said in [
        "[UNAVAILABLE] temporary failure",
        "[INUSE] in use",
        "[LIMIT] too many connections",
        "[THROTTLED] slow down",
        "[OVERQUOTA] bandwidth exceeded",
        "Request is throttled. Suggested Backoff Time: 299962 milliseconds",
    ] {
        let server = imap(&format!("{{tag}} NO {said}\r\n"));
        let site = site("imap", server.port);
        assert_eq!(after_six(&site, &server), ("FAILING".to_owned(), true), "{said}");
        assert_eq!(site.status()["accounts"][0]["last_error"]["code"], "server-busy", "{said}");
    }
}

#[test]
fn pop17_refusals_that_pass_never_stop_the_account_and_others_do() {
    const CAPA: &str = "+OK\r\nUSER\r\nUIDL\r\n.\r\n";
    for (pass, state, code) in [
        ("-ERR [IN-USE] locked\r\n", "FAILING", "server-busy"),
        ("-ERR maildrop locked\r\n", "FAILING", "server-busy"),
        ("-ERR [LOGIN-DELAY] wait\r\n", "FAILING", "server-busy"),
        ("-ERR [SYS/TEMP] later\r\n", "FAILING", "server-busy"),
        ("-ERR [SYS/PERM] disabled\r\n", "FAILING", "server-refused"),
        ("-ERR [AUTH] no\r\n", "STOPPED", "auth-rejected"),
        ("-ERR no\r\n", "STOPPED", "auth-rejected"),
    ] {
        let server = pop3(CAPA, Some(pass));
        let site = site("pop3", server.port);
        let (found, asks) = after_six(&site, &server);
        assert_eq!((found.as_str(), asks), (state, state == "FAILING"), "{pass}");
        assert_eq!(site.status()["accounts"][0]["last_error"]["code"], code, "{pass}");
    }
}

/// How far away the daemon's next poll is after its first, in seconds.
fn next_poll(site: &Site, server: &Server) -> i64 {
    let daemon = site.spawn(&["run"]);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(server.connections(), 1, "{:?}", server.heard());
    let status = site.status();
    let moment = |text: &str| -> jiff::Timestamp { text.parse().unwrap() };
    let now = moment(status["now"].as_str().unwrap());
    let next = moment(status["accounts"][0]["next_poll_at"].as_str().expect("a next poll"));
    assert_eq!(daemon.stop(Duration::from_secs(10)).code, 0);
    next.duration_since(now).as_secs()
}

#[test]
fn i30_daemon_honours_the_rest_that_a_server_suggests() {
    let server =
        imap("{tag} NO Request is throttled. Suggested Backoff Time: 299962 milliseconds\r\n");
    let site = site("imap", server.port);
    assert!((285..=300).contains(&next_poll(&site, &server)));
}

#[test]
fn pop17_login_delay_raises_the_interval_of_the_daemon() {
    let server = pop3("+OK\r\nUSER\r\nUIDL\r\nLOGIN-DELAY 900\r\n.\r\n", None);
    let site = site("pop3", server.port);
    assert!((885..=900).contains(&next_poll(&site, &server)));
    assert_eq!(site.status()["accounts"][0]["state"], "ok");
}

#[test]
fn promise_p14_a08_wrong_password_stops_for_good_and_a_person_resumes_it() {
    let dovecot = Dovecot::start();
    let relay = Relay::to(dovecot.imap);
    let wrong = loopback_account("imap", "none", relay.port, "u1").replace("secret-u1", "wrong");
    let site = Site::new(&[("a", wrong + "poll_interval = \"1s\"\n")]);
    let logins = || relay.commands().iter().filter(|line| line.contains("AUTHENTICATE ")).count();
    for _ in 0..4 {
        site.cli(&["poll", "a"]);
    }
    // The daemon keeps to the rest of the refusals before it, then makes the fifth itself or not.
    let daemon = site.spawn(&["run"]);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(daemon.stop(Duration::from_secs(10)).code, 0);
    assert_eq!(logins(), 4, "an hour's rest outlives the process");
    site.cli(&["poll", "a"]);
    assert_eq!(logins(), 5);
    let poll = site.cli(&["poll"]);
    assert!(poll.stdout.contains("stopped till a person acts"), "{poll:?}");
    let status = site.cli(&["status"]);
    assert!(status.stdout.contains("postrider account resume a"), "{status:?}");
    let daemon = site.spawn(&["run"]);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(logins(), 5, "stopped");
    // By the daemon, which tries at once.
    let resumed = site.cli(&["account", "resume", "a"]);
    assert!(resumed.stdout.contains("5 refused logins forgotten"), "{resumed:?}");
    let refused = || site.log().iter().filter(|r| r["code"] == "account-backoff").count();
    wait_for("a refusal", Duration::from_secs(10), || (refused() == 5).then_some(()));
    assert_eq!(logins(), 6);
    assert_eq!(daemon.stop(Duration::from_secs(10)).code, 0);
    // And without it.
    let resumed = site.cli(&["account", "resume", "a"]);
    assert!(resumed.stdout.contains("1 refused login forgotten"), "{resumed:?}");
    site.cli(&["poll"]);
    assert_eq!(logins(), 7);
}

#[test]
fn pause_of_an_account_that_is_renamed_is_seen_and_ended_under_the_new_name() {
    let server = Server::start(Protocol::Imap);
    let lines = loopback_account("imap", "none", server.port, "u1") + "poll_interval = \"1d\"\n";
    let mut site = Site::new(&[("a", lines.clone())]);
    for with_daemon in [false, true] {
        let (old, new) = if with_daemon { ("b", "c") } else { ("a", "b") };
        site.poll();
        assert_eq!(site.cli(&["account", "pause", old, "--reason", "a move"]).code, 0);
        site.remove(&format!("inbound.{old}"));
        site.account(new, &format!("{lines}renamed_from = \"{old}\"\n"));
        let daemon = with_daemon.then(|| crate::control::daemon(&site));
        assert_eq!(site.status()["accounts"][0]["state"], "paused");
        let polled = site.cli(&["poll", new]);
        assert!(polled.code == 1 && polled.stdout.contains("paused by root"), "{polled:?}");
        let resumed = site.cli(&["account", "resume", new]);
        assert!(resumed.stdout.contains("it was paused by root"), "{resumed:?}");
        site.poll();
        assert_eq!(site.status()["accounts"][0]["state"], "ok");
        if let Some(daemon) = daemon {
            assert_eq!(daemon.stop(Duration::from_secs(20)).code, 0);
        }
    }
}

//! Accounts that must not be asked again too soon: refused logins, and servers that ask for time.

use std::time::Duration;

use crate::support::{Dovecot, Relay, Script, Site, Step, loopback_account};

/// A server that greets, offers what is needed, and answers each login so.
fn imap(refusal: &'static str) -> Script {
    Script::start(vec![
        Step::send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n"),
        Step::Answer {
            table: vec![
                ("AUTHENTICATE", refusal),
                ("LOGIN", refusal),
                ("CAPABILITY", "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n{tag} OK\r\n"),
                ("LOGOUT", "* BYE\r\n{tag} OK\r\n"),
            ],
            until: "never said",
        },
    ])
}

fn pop3(greeting: &str, capa: &'static str, pass: &'static str) -> Script {
    Script::start(vec![
        Step::send(greeting),
        Step::Answer {
            table: vec![
                ("CAPA", capa),
                ("USER", "+OK\r\n"),
                ("PASS", pass),
                ("UIDL", "+OK\r\n.\r\n"),
                ("LIST", "+OK\r\n.\r\n"),
                ("STAT", "+OK 0 0\r\n"),
                ("QUIT", "+OK\r\n"),
            ],
            until: "never said",
        },
    ])
}

fn site(protocol: &str, port: u16) -> Site {
    let account = loopback_account(protocol, "none", port, "u1");
    Site::new(&[("a", account + "poll_interval = \"1s\"\n")])
}

/// State in `status` after six polls by name, and whether `poll` without names asks again.
fn after_six(site: &Site, script: &Script) -> (String, bool) {
    for _ in 0..6 {
        site.cli(&["poll", "a"]);
    }
    let before = script.connections();
    site.cli(&["poll"]);
    let status = site.status();
    let state = status["accounts"][0]["state"].as_str().unwrap().to_owned();
    (state, script.connections() > before)
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
        let script = imap(Box::leak(format!("{{tag}} NO [{code}] no\r\n").into_boxed_str()));
        let site = site("imap", script.port);
        assert_eq!(after_six(&site, &script), ("STOPPED".to_owned(), false), "{code}");
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
        let script = imap(Box::leak(format!("{{tag}} NO {said}\r\n").into_boxed_str()));
        let site = site("imap", script.port);
        assert_eq!(after_six(&site, &script), ("FAILING".to_owned(), true), "{said}");
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
        let script = pop3("+OK ready\r\n", CAPA, pass);
        let site = site("pop3", script.port);
        let (found, asks) = after_six(&site, &script);
        assert_eq!((found.as_str(), asks), (state, state == "FAILING"), "{pass}");
        assert_eq!(site.status()["accounts"][0]["last_error"]["code"], code, "{pass}");
    }
}

/// How far away the daemon's next poll is after its first, in seconds.
fn next_poll(site: &Site, script: &Script) -> i64 {
    let daemon = site.spawn(&["run"]);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(script.connections(), 1, "{:?}", script.heard());
    let status = site.status();
    let moment = |text: &str| -> jiff::Timestamp { text.parse().unwrap() };
    let now = moment(status["now"].as_str().unwrap());
    let next = moment(status["accounts"][0]["next_poll_at"].as_str().expect("a next poll"));
    assert_eq!(daemon.stop(Duration::from_secs(10)).code, 0);
    next.duration_since(now).as_secs()
}

#[test]
fn i30_daemon_honours_the_rest_that_a_server_suggests() {
    let script =
        imap("{tag} NO Request is throttled. Suggested Backoff Time: 299962 milliseconds\r\n");
    let site = site("imap", script.port);
    assert!((285..=300).contains(&next_poll(&site, &script)));
}

#[test]
fn pop17_login_delay_raises_the_interval_of_the_daemon() {
    let script =
        pop3("+OK ready\r\n", "+OK\r\nUSER\r\nUIDL\r\nLOGIN-DELAY 900\r\n.\r\n", "+OK in\r\n");
    let site = site("pop3", script.port);
    assert!((885..=900).contains(&next_poll(&site, &script)));
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
    assert!(poll.stdout.contains("stopped after refused logins"), "{poll:?}");
    let status = site.cli(&["status"]);
    assert!(status.stdout.contains("postrider account resume a"), "{status:?}");
    let daemon = site.spawn(&["run"]);
    std::thread::sleep(Duration::from_secs(3));
    let busy = site.cli(&["account", "resume", "a"]);
    assert_eq!(busy.code, 75, "{busy:?}");
    assert_eq!(daemon.stop(Duration::from_secs(10)).code, 0);
    assert_eq!(logins(), 5, "stopped");
    let resumed = site.cli(&["account", "resume", "a"]);
    assert!(resumed.stdout.contains("5 refused logins forgotten"), "{resumed:?}");
    site.cli(&["poll"]);
    assert_eq!(logins(), 6);
}

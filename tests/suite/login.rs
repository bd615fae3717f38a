//! Logging in: each mechanism over each protocol against a real server, pinned keys, and wrong
//! passwords.

use std::time::Duration;

use crate::support::server::Protocol;
use crate::support::{
    Certificate, Dovecot, Fault, Options, Relay, Server, Site, Stored, Then, crlf,
    loopback_account, sample, wait_for,
};

const MECHANISMS: [&str; 6] =
    ["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN", "USER"];

fn all_mechanisms() -> Dovecot {
    Dovecot::start_with(&Options {
        users: 20,
        mechanisms: "plain login cram-md5 scram-sha-1 scram-sha-256 apop",
        ..Options::default()
    })
}

/// Polls one message as this account; how Dovecot says that it was logged in.
fn method(dovecot: &Dovecot, user: &str, account: &str) -> String {
    let message = sample(user, 400);
    dovecot.deliver(user, &message);
    let site = Site::new(&[("a", account.to_owned())]);
    site.poll();
    let stored: Vec<Vec<u8>> = site.stored().into_iter().map(|Stored { eml, .. }| eml).collect();
    assert_eq!(stored, [crlf(&message)]);
    let log = dovecot.log();
    let line = log.lines().rev().find(|line| line.contains(&format!("Login: user=<{user}>")));
    let (_, rest) = line.unwrap_or_default().split_once("method=").unwrap_or_default();
    rest.split(',').next().unwrap_or_default().to_owned()
}

#[test]
fn each_mechanism_logs_in_over_each_protocol_and_encryption() {
    let dovecot = all_mechanisms();
    let mut users = 1..;
    for protocol in ["imap", "pop3"] {
        let encryptions = ["tls", "starttls", "none"].iter().cycle();
        for (mechanism, encryption) in MECHANISMS.iter().zip(encryptions) {
            if (protocol, *mechanism) == ("imap", "USER") {
                continue;
            }
            let name = format!("u{}", users.next().unwrap());
            let account = dovecot.account(protocol, encryption, &name);
            let used = method(&dovecot, &name, &format!("{account}sasl = [\"{mechanism}\"]\n"));
            // Dovecot calls USER and PASS, and IMAP's LOGIN, by the mechanism that they amount to.
            let wanted = match (protocol, *mechanism) {
                ("imap", "LOGIN") | (_, "USER") => "PLAIN",
                (_, other) => other,
            };
            assert_eq!(used, wanted, "{protocol} {mechanism} {encryption}");
        }
    }
}

#[test]
fn strongest_mechanism_is_taken_and_apop_only_by_name() {
    let dovecot = all_mechanisms();
    let imap = dovecot.account("imap", "tls", "u1");
    assert_eq!(method(&dovecot, "u1", &imap), "SCRAM-SHA-256");
    let pop3 = dovecot.account("pop3", "tls", "u2");
    assert_eq!(method(&dovecot, "u2", &pop3), "SCRAM-SHA-256");
    let apop = dovecot.account("pop3", "none", "u3") + "sasl = [\"APOP\"]\n";
    assert_eq!(method(&dovecot, "u3", &apop), "APOP");
    let strict = dovecot.account("imap", "tls", "u4") + "safe_logon = \"strict\"\n";
    assert_eq!(method(&dovecot, "u4", &strict), "SCRAM-SHA-256");
}

#[test]
fn wrong_password_costs_one_attempt_with_every_mechanism() {
    let dovecot = all_mechanisms();
    for (n, mechanism) in MECHANISMS.into_iter().enumerate() {
        for protocol in ["imap", "pop3"] {
            if (protocol, mechanism) == ("imap", "USER") {
                continue;
            }
            let user = format!("u{}", n + 1);
            let account =
                dovecot.account(protocol, "tls", &user).replace(&Dovecot::password(&user), "wr0ng");
            let before = dovecot.log().matches("auth failed").count();
            let site = Site::new(&[("a", format!("{account}sasl = [\"{mechanism}\"]\n"))]);
            let polled = site.cli(&["poll", "a"]);
            assert_eq!(polled.code, 1, "{protocol} {mechanism}: {polled:?}");
            let codes: Vec<String> =
                site.log().iter().map(|record| record["code"].to_string()).collect();
            let rejected = "\"auth-rejected\"".to_owned();
            assert!(codes.contains(&rejected), "{protocol} {mechanism}: {codes:?}");
            assert!(!polled.stdout.contains("wr0ng") && !polled.stderr.contains("wr0ng"));
            let failed = dovecot.log().matches("auth failed").count().saturating_sub(before);
            assert!(failed <= 1, "{protocol} {mechanism}: {failed} attempts");
        }
    }
}

#[test]
fn t08_t09_refused_certificate_prints_the_pin_that_then_trusts_it_alone() {
    for kind in [Certificate::SelfSigned, Certificate::WrongName, Certificate::Expired] {
        let dovecot = Dovecot::start_with(&Options { certificate: kind, ..Options::default() });
        dovecot.deliver("u1", &sample("pinned", 300));
        let account = dovecot.account("imap", "tls", "u1");
        let mut site = Site::new(&[("a", account.clone())]);
        let refused = site.cli(&["poll", "a"]);
        assert_eq!(refused.code, 1, "{kind:?}: {refused:?}");
        let text = format!("{}{}", refused.stdout, refused.stderr);
        let (_, rest) = text.split_once("tls_pin_sha256 = \"").unwrap_or_else(|| panic!("{text}"));
        let pin = rest.split('"').next().unwrap();
        site.account("a", &format!("{account}tls_pin_sha256 = \"{pin}\"\n"));
        site.poll();
        assert_eq!(site.stored().len(), 1, "{kind:?}");
        // Another key is refused, and nobody tries to log in.
        let logins = dovecot.log().matches("Login: ").count();
        let other = data_encoding::BASE64.encode(&[7; 32]);
        site.account("a", &format!("{account}tls_pin_sha256 = \"{other}\"\n"));
        let refused = site.cli(&["poll", "a"]);
        assert_eq!(refused.code, 1, "{kind:?}");
        assert!(site.log().iter().any(|record| record["code"] == "tls-pin-mismatch"));
        let log = dovecot.log();
        assert_eq!(log.matches("Login: ").count(), logins, "{kind:?}: {log}");
        assert!(!log.contains("auth failed"), "{kind:?}: {log}");
    }
}

#[test]
fn client_certificate_logs_in_without_a_password() {
    let options = Options {
        mechanisms: "plain external",
        more: "ssl_verify_client_cert = yes\nauth_ssl_username_from_cert = yes\n\
               auth_ssl_require_client_cert = no\nssl_require_crl = no\n\
               passdb {\n driver = static\n args = nopassword=y\n mechanisms = external\n}\n",
        ..Options::default()
    };
    for protocol in ["imap", "pop3"] {
        let dovecot = Dovecot::start_with(&options);
        let account = dovecot.account(protocol, "tls", "u1");
        let mut lines: Vec<&str> =
            account.lines().filter(|line| !line.starts_with("password")).collect();
        let client = format!("tls_client_certificate = \"{}\"", dovecot.certs.client().display());
        lines.push(&client);
        assert_eq!(method(&dovecot, "u1", &(lines.join("\n") + "\n")), "EXTERNAL");
    }
}

#[test]
fn t12_t13_only_the_handshake_is_sent_before_tls() {
    let dovecot = Dovecot::start();
    let cases = [
        ("imap", dovecot.imap, &["CAPABILITY", "STARTTLS"][..]),
        ("pop3", dovecot.pop3, &["CAPA", "STLS"][..]),
    ];
    for (protocol, port, handshake) in cases {
        let relay = Relay::to(port);
        let account = dovecot.account(protocol, "starttls", "u1");
        let account = account.replace(&format!("port = {port}"), &format!("port = {}", relay.port));
        dovecot.deliver("u1", &sample("hello", 300));
        Site::new(&[("a", account)]).poll();
        let sent = relay.commands();
        // The client's hello begins with the octets of a handshake of TLS.
        let tls = sent.iter().position(|line| line.starts_with("\u{16}\u{3}"));
        let clear = &sent[..tls.unwrap_or_else(|| panic!("no TLS in {sent:?}"))];
        let words: Vec<&str> =
            clear.iter().map(|line| line.rsplit(' ').next().unwrap_or_default()).collect();
        let last = words.last().copied();
        assert_eq!(last, handshake.last().copied(), "{protocol}: {clear:?}");
        assert!(words.iter().all(|word| handshake.contains(word)), "{protocol}: {clear:?}");
    }
}

#[test]
fn sasl_login_takes_a_password_beyond_ascii() {
    let dovecot = all_mechanisms();
    let account = dovecot.account("imap", "tls", "u1").replace("secret-u1", "sécret-u1");
    let site = Site::new(&[("a", account + "sasl = [\"LOGIN\"]\n")]);
    let refused = site.cli(&["poll", "a"]);
    // Dovecot has another one: it was asked, and it said no.
    assert!(refused.stdout.contains("refused the login of `u1` by LOGIN"), "{refused:?}");
    assert_eq!(dovecot.log().matches("auth failed").count(), 1);
}

#[test]
fn a08_logins_that_a_kill_cuts_are_counted_before_they_are_tried() {
    for (protocol, word) in [(Protocol::Imap, "AUTHENTICATE"), (Protocol::Pop3, "PASS")] {
        let server = Server::start(protocol);
        server.set_fault(Fault::on(word).instead("").then(Then::Hang));
        let lines = loopback_account(protocol.word(), "none", server.port, "u1");
        let more = if protocol == Protocol::Pop3 { "sasl = [\"USER\"]\n" } else { "" };
        let site = Site::new(&[("a", lines + more)]);
        let tried = || server.commands().iter().filter(|line| line.starts_with(word)).count();
        for n in 1..=2 {
            let poll = site.spawn(&["poll"]);
            wait_for("a login", Duration::from_secs(20), || (tried() == n).then_some(()));
            poll.kill();
        }
        // The first cut login costs no rest, the second one does.
        for _ in 0..3 {
            let polled = site.cli(&["poll"]);
            assert!(polled.stdout.contains("15 min") || polled.code != 0, "{polled:?}");
        }
        assert_eq!(tried(), 2, "{protocol:?}: {:?}", server.commands());
        let account = &site.status()["accounts"][0];
        assert_eq!(account["last_error"]["code"], "login-unknown", "{account}");
        // By name a person tries; what the server then takes ends the count.
        server.heal();
        let polled = site.cli(&["poll", "a"]);
        assert_eq!(polled.code, 0, "{polled:?}");
        assert_eq!(site.cli(&["poll"]).code, 0);
        assert!(site.status()["accounts"][0]["last_error"].is_null());
    }
}

//! Tokens of each way to get them, by each mechanism and protocol, at a real Dovecot.

use std::io::Write;
use std::process::Child;

use crate::oauth::{account, assert_no_token, begin, log_in, site};
use crate::oauth_faults::{error_code, with_device};
use crate::support::server::Kind;
use crate::support::{
    Act, Dovecot, Fault, Issuer, MARK, Relay, SECRET, Server, Site, When, sample,
};

/// Two accounts of one record, by this mechanism, and a poll that stores a copy for each.
fn logs_in(dovecot: &Dovecot, site: &mut Site, mechanism: &str) {
    let sasl = format!("\nsasl = [\"{mechanism}\"]");
    site.account("a", &(account(dovecot, "imap") + &sasl));
    site.account("b", &(account(dovecot, "pop3") + &sasl));
    let before = dovecot.log().len();
    let output = site.cli(&["poll"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(site.stored().len(), 2, "{output:?}");
    let log = dovecot.log();
    let logins: Vec<&str> = log[before..].lines().filter(|line| line.contains("Login:")).collect();
    for protocol in ["imap-login", "pop3-login"] {
        let by = |line: &&&str| {
            line.contains(protocol) && line.to_uppercase().contains(&format!("METHOD={mechanism}"))
        };
        assert_eq!(logins.iter().filter(by).count(), 1, "{protocol} {mechanism}: {logins:?}");
    }
}

fn pasted(issuer: &Issuer, (url, mut child): (String, Child)) {
    let address = issuer.consent(&url);
    writeln!(child.stdin.take().unwrap(), "{address}").unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn tokens_of_a_person_log_in_by_each_mechanism_over_imap_and_pop3() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("mechanisms", 400));
    let secret = format!("client_secret = \"{SECRET}\"");
    for mechanism in ["XOAUTH2", "OAUTHBEARER"] {
        for (provider, grant) in [
            ("google", "authorization_code"),
            ("office365", "authorization_code"),
            ("generic", "authorization_code"),
            ("office365", "device_code"),
            ("generic", "device_code"),
        ] {
            let more = if provider == "office365" { "" } else { &*secret };
            let mut site = site(&dovecot, &issuer.record(provider, grant, more));
            if grant == "device_code" {
                log_in(&site);
            } else {
                pasted(&issuer, begin(&site, &["--print-url"]));
            }
            logs_in(&dovecot, &mut site, mechanism);
        }
    }
}

#[test]
fn tokens_without_a_person_log_in_by_each_mechanism_over_imap_and_pop3() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("alone", 400));
    let secret = format!("client_secret = \"{SECRET}\"");
    let service = format!(
        "service_account_file = \"{}\"\nsubject = \"u1@lab.example\"",
        issuer.service_account()
    );
    let seed = format!("{secret}\nrefresh_token = \"{}\"", issuer.refresh_token());
    let certificate = format!("client_certificate_file = \"{}\"", issuer.client_certificate());
    for mechanism in ["XOAUTH2", "OAUTHBEARER"] {
        for (provider, grant, more) in [
            ("office365", "client_credentials", &secret),
            ("office365", "client_credentials", &certificate),
            ("office365", "password", &"user = \"u1\"\npassword = \"secret-u1\"".to_owned()),
            ("google", "service_account", &service),
            ("google", "refresh_token", &seed),
            ("generic", "client_credentials", &secret),
        ] {
            let mut site = site(&dovecot, &issuer.record(provider, grant, more));
            logs_in(&dovecot, &mut site, mechanism);
        }
    }
}

#[test]
fn a01_refused_mailbox_costs_one_login_with_a_new_token_at_each_later_poll() {
    let issuer = Issuer::start();
    let server = Server::start_as(Kind {
        capabilities: Some("IMAP4rev1 SASL-IR AUTH=XOAUTH2".to_owned()),
        ..Kind::default()
    });
    server.set_fault(Fault::on("AUTHENTICATE").instead("{tag} NO AUTHENTICATE failed.\r\n"));
    let mut site = Site::empty();
    site.set("oauth.rec", &issuer.record("office365", "device_code", ""));
    let lines = crate::support::loopback_account("imap", "none", server.port, "u1");
    site.account("a", &lines.replace("password = \"secret-u1\"", "oauth = \"rec\""));
    site.init_root();
    log_in(&site);
    let logins = || {
        let heard = server.heard();
        heard.iter().filter(|line| line.line.contains("AUTHENTICATE")).count()
    };
    let mut before = (0, issuer.asked());
    // The stored token may have ended: two logins. From then on one, with a token just got.
    for (more, renewals) in [(2, 1), (1, 1), (1, 1)] {
        let output = site.cli(&["poll", "a"]);
        assert_eq!(output.code, 1, "{output:?}");
        let now = (logins(), issuer.asked());
        assert_eq!((now.0 - before.0, now.1 - before.1), (more, renewals), "{:?}", server.heard());
        before = now;
    }
    assert_eq!(site.status()["accounts"][0]["last_error"]["code"], "auth-rejected");
    // By itself it rests, as after wrong passwords.
    let resting = site.cli(&["poll"]);
    assert_eq!((logins(), issuer.asked()), before, "{resting:?}");
    assert!(!format!("{resting:?}").contains(MARK));
}

#[test]
fn a01_connection_cut_after_the_tokens_life_goes_on_with_a_new_one() {
    let issuer = Issuer::start();
    let dovecot = issuer.dovecot();
    dovecot.deliver("u1", &sample("over", 300));
    let relay = Relay::to(dovecot.imap);
    // Each token is over when it comes.
    issuer.state().lifetime = 0;
    let mut site = with_device(&issuer, &dovecot);
    let lines = account(&dovecot, "imap");
    let lines =
        lines.replace(&format!("port = {}", dovecot.imaps), &format!("port = {}", relay.port));
    let plain = "encryption = \"none\"\nallow_plaintext = true";
    site.account("a", &lines.replace("encryption = \"tls\"", plain));
    relay.set_fault(When::ClientSays("EXAMINE"), Act::Cut);
    let output = site.cli(&["poll", "a"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert_eq!(error_code(&site), "connection-lost");
    // One session and three more, the last token's end is believed no more.
    let logins =
        || dovecot.log().lines().filter(|line| line.contains("imap-login: Info: Login")).count();
    assert_eq!(logins(), 4, "{}", dovecot.log());
    let ended = |record: &&serde_json::Value| record["code"] == "oauth-session-ended";
    assert_eq!(site.log().iter().filter(ended).count(), 3);
    relay.heal();
    site.poll();
    assert_eq!(site.stored().len(), 1);
    assert!(!dovecot.log().contains("auth failed"), "{}", dovecot.log());
    assert_no_token(&site, &[&output]);
}

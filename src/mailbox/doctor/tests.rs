//! What real servers say, and what stands in the hint then.

use std::path::Path;

use super::*;
use crate::net::NetError;

fn account(host: &str, more: &str) -> Inbound {
    let text = format!(
        "[archive]\nroot = \"/\"\n[oauth.m]\nprovider = \"office365\"\nclient_id = \"c\"\n\
         grant = \"device_code\"\ntenant_id = \"common\"\n[inbound.a]\n\
         host = \"{host}\"\nuser = \"u\"\n{more}"
    );
    let loaded = crate::config::load_text(&text, Path::new("/x"), jiff::Timestamp::UNIX_EPOCH);
    let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems));
    config.inbound.get("a").unwrap().clone()
}

const IMAP: &str = "protocol = \"imap\"\npassword = { key = \"k\" }\n";

fn refused(mechanism: &str, said: &str) -> MailboxError {
    let (user, mechanism, said) = ("u".to_owned(), mechanism.to_owned(), said.to_owned());
    MailboxError::Credentials { user, mechanism, said }
}

/// The advice for a refused login over IMAP.
fn said(host: &str, words: &str) -> String {
    advice(&account(host, IMAP), &refused("PLAIN", words)).unwrap_or_default()
}

#[test]
fn a08_words_of_known_providers_lead_to_what_mends_it() {
    let failed = "[AUTHENTICATIONFAILED] Invalid credentials (Failure)";
    let table = [
        ("imap.gmail.com", failed, "https://myaccount.google.com/apppasswords"),
        ("imap.gmail.com", "[ALERT] Application-specific password required", "apppasswords"),
        ("imap.gmail.com", "[WEBALERT https://x] Web login required.", "DisplayUnlockCaptcha"),
        (
            "imap.gmail.com",
            "[ALERT] Your account is not enabled for IMAP use.",
            "Forwarding and POP/IMAP",
        ),
        ("outlook.office365.com", "LOGIN failed.", "provider = \"office365\""),
        ("outlook.office365.com", "User is authenticated but not connected.", "Set-CASMailbox"),
        ("imap.mail.me.com", failed, "https://account.apple.com"),
        ("imap.mail.yahoo.com", "[AUTHENTICATIONFAILED] AUTHENTICATE Invalid", "app password"),
        ("imap.gmx.net", "authentication failed", "POP3 & IMAP"),
        ("imap.fastmail.com", failed, "Manage app passwords"),
        ("mail.example.org", "[EXPIRED] That password isn't valid any more", "has expired"),
        ("mail.example.org", "[CONTACTADMIN] blocked", "administrator"),
        ("mail.example.org", "[PRIVACYREQUIRED] not here", "starttls"),
        ("mail.example.org", "Plaintext authentication disallowed on non-secure", "starttls"),
        ("mail.example.org", "[AUTHORIZATIONFAILED] no", "the password is right"),
        ("mail.example.org", "IMAP access is not allowed", "switched off"),
        ("mail.example.org", failed, "postrider secret set k"),
        ("notgmail.com", failed, "the whole mail address"),
    ];
    for (host, words, wanted) in table {
        let advice = said(host, words);
        assert!(advice.contains(wanted), "{host}: {words}: {advice}");
    }
}

#[test]
fn a_mechanism_that_needs_the_password_in_some_form_may_be_at_fault() {
    let account = account("mail.example.org", IMAP);
    let scram = advice(&account, &refused("SCRAM-SHA-256", "no")).unwrap();
    assert!(scram.contains("try `sasl = [\"PLAIN\"]`"), "{scram}");
    assert!(!advice(&account, &refused("PLAIN", "no")).unwrap().contains("sasl"));
}

#[test]
fn advice_on_passwords_is_not_for_tokens() {
    let account = account("outlook.office365.com", "protocol = \"imap\"\noauth = \"m\"\n");
    assert_eq!(advice(&account, &refused("XOAUTH2", "AUTHENTICATE failed.")), None);
    let off = refused("XOAUTH2", "User is authenticated but not connected.");
    assert!(advice(&account, &off).unwrap().contains("Set-CASMailbox"));
}

#[test]
fn wrong_hosts_ports_and_protocols_are_told() {
    let lost = || MailboxError::Net(NetError::Lost { why: "end of file".to_owned() });
    let no_tls = || MailboxError::Net(NetError::Handshake { why: "no TLS".to_owned() });
    let greets = |what: &str| MailboxError::Protocol { what: what.to_owned() };
    let no_name =
        || MailboxError::Net(NetError::Dns { host: "x".to_owned(), why: "none".to_owned() });
    let odd = |more: &str| format!("{IMAP}{more}");
    let table = [
        ("imap.outlook.com", odd(""), no_name(), "outlook.office365.com"),
        ("imap.icloud.com", odd(""), no_name(), "imap.mail.me.com"),
        ("h.example", odd("port = 143\n"), no_tls(), "port 143 begins in the clear"),
        ("h.example", odd("port = 993\nencryption = \"starttls\"\n"), lost(), "begins with TLS"),
        ("h.example", odd("port = 995\n"), greets("x"), "the other protocol's"),
        ("h.example", odd("port = 465\n"), greets("x"), "takes mail and gives none"),
        ("h.example", odd("port = 4143\n"), no_tls(), "try `encryption = \"starttls\"`"),
        ("h.example", odd(""), greets("its greeting is not IMAP's: \"+OK hello\""), "\"pop3\""),
        ("h.example", odd(""), greets("its greeting is not IMAP's: \"220 mx ESMTP\""), "SMTP"),
        ("h.example", odd(""), greets("no POP3 greeting, but \"* OK hello\""), "\"imap\""),
        ("smtp.example.org", odd(""), no_name(), "try `imap.`"),
    ];
    for (host, more, error, wanted) in table {
        let advice = advice(&account(host, &more), &error).unwrap_or_default();
        assert!(advice.contains(wanted), "{host} {error}: {advice}");
    }
    assert_eq!(advice(&account("h.example", IMAP), &lost()), None);
}

#[test]
fn where_no_mechanism_is_left_the_side_that_can_give_way_is_named() {
    let none = MailboxError::NoMechanism { what: "x".to_owned() };
    for (more, what) in [
        ("sasl = [\"CRAM-MD5\"]\n", "leave `sasl` out"),
        ("safe_logon = \"strict\"\n", "leave `safe_logon` out"),
        ("encryption = \"none\"\nallow_plaintext = true\nsasl = [\"CRAM-MD5\"]\n", "starttls"),
        ("", "the server's owner"),
    ] {
        let said = advice(&account("mail.example.org", &format!("{IMAP}{more}")), &none);
        assert!(said.as_ref().is_some_and(|said| said.contains(what)), "{more}: {said:?}");
    }
}

#[test]
fn refused_binding_is_told_from_a_wrong_password() {
    let account = account("mail.example.org", &format!("{IMAP}sasl = [\"SCRAM-SHA-256-PLUS\"]\n"));
    let said = advice(&account, &refused("SCRAM-SHA-256-PLUS", "bad protocol / cancel")).unwrap();
    assert!(said.contains("leave SCRAM-SHA-256-PLUS out of `sasl`"), "{said}");
    assert!(!said.contains("PLAIN"), "{said}");
}

//! The table against the manual and against the errors' codes.

use std::fmt::Write as _;
use std::time::Duration;

use super::*;
use crate::mailbox::MailboxError;
use crate::model::Source;
use crate::net::NetError;

#[test]
fn codes_are_words_in_order() {
    assert!(CODES.is_sorted_by(|a, b| a.code < b.code));
    for code in CODES.iter() {
        let plain = code.code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(plain && !code.code.starts_with('-') && !code.code.ends_with('-'));
        assert!(code.cause.ends_with('.') && code.remedy.ends_with('.'), "{}", code.code);
        assert_eq!(find(code.code), Some(code));
    }
    assert_eq!(find("no-such-code"), None);
}

/// Rewrites the tables of `docs/log.md` when `POSTRIDER_BLESS` is set in the environment.
#[test]
fn manual_has_the_same_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/log.md");
    let manual = std::fs::read_to_string(path).expect("docs/log.md");
    let begin = "<!-- codes: begin -->\n";
    let (before, rest) = manual.split_once(begin).expect("a begin");
    let (table, after) = rest.split_once("<!-- codes: end -->").expect("an end");
    let mut wanted = "| Code | Level | Cause | Remedy |\n| --- | --- | --- | --- |\n".to_owned();
    for Code { code, level, cause, remedy } in CODES.iter() {
        writeln!(wanted, "| `{code}` | {level} | {cause} | {remedy} |").expect("a string");
    }
    #[expect(clippy::disallowed_methods, reason = "a switch for the people who write the table")]
    if std::env::var_os("POSTRIDER_BLESS").is_some() {
        let manual = format!("{before}{begin}{wanted}<!-- codes: end -->{after}");
        std::fs::write(path, manual).expect("written");
        return;
    }
    assert_eq!(table, wanted, "run the test with POSTRIDER_BLESS=1 and look at the difference");
}

#[test]
fn manual_names_every_source() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/log.md");
    let manual = std::fs::read_to_string(path).expect("docs/log.md");
    for source in Source::ALL {
        assert!(manual.contains(&format!("| `{source}` |")), "{source}");
    }
}

#[test]
fn codes_of_errors_are_in_the_table() {
    let text = String::new;
    let (limit, octets) = (Duration::ZERO, 0);
    let net = [
        NetError::Dns { host: text(), why: text() },
        NetError::Connect { host: text(), port: 1, why: text() },
        NetError::Silent { stage: "", limit },
        NetError::TooSlow { octets, window: limit },
        NetError::PollDeadline,
        NetError::Lost { why: text() },
        NetError::TooMuch { what: text() },
        NetError::Handshake { why: text() },
        NetError::TlsConfig { what: text() },
    ];
    let mailbox = [
        MailboxError::Credentials { user: text(), mechanism: text(), said: text() },
        MailboxError::NoMechanism { what: text() },
        MailboxError::FalseServer { what: text() },
        MailboxError::Uncounted { why: text() },
        MailboxError::Throttled { said: text(), after: None },
        MailboxError::Refused { command: text(), said: text() },
        MailboxError::NoMailbox { mailbox: text(), said: text() },
        MailboxError::Message { what: text() },
        MailboxError::Unsupported { what: text() },
        MailboxError::Protocol { what: text() },
    ];
    let certificate = [
        "tls-expired",
        "tls-not-yet-valid",
        "tls-wrong-name",
        "tls-untrusted",
        "tls-bad-certificate",
        "starttls-missing",
        "starttls-refused",
        "tls-inject",
        "starttls-preauth",
    ];
    let codes = net.iter().map(NetError::code).chain(mailbox.iter().map(MailboxError::code));
    for code in codes.chain(certificate) {
        assert!(find(code).is_some(), "{code}");
    }
}

//! Fuzz targets: texts that a person types, and texts of servers on their way into a record.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tracing::Level as TracingLevel;

use super::filter::Filter;
use super::redact::Redactor;
use super::{cap, escape, parse_time};
use crate::ledger::log_db::Level;
use crate::tests::fuzz::{about, fuzz, way};

/// Words of filters, times and secrets.
const WORDS: &[&str] = &[
    "debug",
    "trace",
    "off",
    "incoming",
    "pop3-auth",
    "async_imap",
    "postrider::mailbox",
    "=",
    ",",
    "[",
    "]",
    "{",
    "}",
    "2h",
    "30m",
    "1w",
    "now",
    "today",
    "yesterday",
    "2026-11-21",
    "T14:00",
    ":00Z",
    "+02:00",
    "99999999999",
    "[UTC]",
    "s3cret/p%s word",
    "%20",
    "%73",
    "+",
    "\\",
    "\"",
    "\u{1b}[31m",
    "\u{9b}",
    "\u{202e}",
    "…",
    "czNjcmV0L3Alcw==",
];

#[test]
fn fuzz_filters_and_times() {
    let now: Timestamp = "2026-11-21T14:00:00Z".parse().unwrap();
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    fuzz("log-query", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        let filter = Filter::new(Level::Info, Some(&text));
        let extra = filter.has_extra("incoming", TracingLevel::DEBUG);
        let time = parse_time(&text, now, &berlin);
        if let Err(error) = &time {
            assert!(!error.to_string().contains(char::is_control));
        }
        way((extra, time.map(|at| at.as_second() >> 20).map_err(|_| ())))
    });
}

#[test]
fn fuzz_words_of_a_record() {
    const SECRET: &str = "s3cret/p%s word";
    let redactor = Redactor::default();
    redactor.register(SECRET);
    fuzz("log-text", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        let said = escape(&redactor.redact(&text));
        assert!(!said.contains(char::is_control) && !said.contains(SECRET), "{said}");
        assert!(!escape(&text).contains(char::is_control));
        assert!(cap(&text, 40).len() <= 40);
        way((said.matches("***").count().min(4), about(said.len())))
    });
}

//! Fuzz targets: the words of header fields.

use super::facts::Warnings;
use super::fields::{Field, fields};
use super::parameters::Parameters;
use super::{Marks, marks};
use super::{date, decode, header_facts, received_date};
use crate::tests::fuzz::{about, fuzz, fuzz_from, way};

/// Words of header fields.
const WORDS: &[&str] = &[
    "=?utf-8?q?",
    "=?utf-8?B?4oI=?=",
    "=?iso-2022-jp?b?GyRC",
    "?=",
    "=C3=A4",
    "\r\n ",
    "\r\n",
    ";",
    "=",
    "name*0*=utf-8'de'",
    "name*1=",
    "name=\"",
    "filename*=",
    "%C3%A4",
    "''",
    "\\",
    "(",
    ")",
    "<a@b>",
    "\"c d\" <e@f.example>",
    "undisclosed: x@y, z;",
    ",",
    "multipart/mixed",
    "boundary=",
    "text/plain",
    "charset=",
    "Mon, 2 Mar 2026 10:00:00 +0000",
    "(UTC)",
    "-0000",
    "+9999",
    "EST",
    "Feb",
    "31",
    "24:60:61",
    "Subject: ",
    "From: ",
    "Received: from a by b; ",
    "Content-Type: ",
    "References: ",
    "Date: ",
    ": ",
];

#[test]
fn fuzz_header_words() {
    fuzz("header-words", WORDS, |input| {
        let field = Field { name: b"X", body: input };
        let mut warnings = Warnings::default();
        let text = decode::unstructured(field, &mut warnings);
        assert!(text.as_ref().is_none_or(|text| !text.contains(['\r', '\n'])));
        let addresses = decode::addresses(field, &mut warnings);
        for text in addresses.iter().flat_map(|a| [&a.name, &a.address]).flatten() {
            assert!(!text.contains(['\r', '\n']), "{text:?}");
        }
        let ids = decode::ids(field, &mut warnings);
        let parameters = Parameters::read(field, &mut warnings);
        for name in ["name", "filename", "boundary", "charset"] {
            assert!(parameters.get(name).is_none_or(|value| !value.is_empty()));
        }
        let codes: Vec<_> = warnings.into_vec().into_iter().map(|warning| warning.code).collect();
        let named = parameters.get("name").is_some();
        way((codes, text.is_some(), about(addresses.len()), about(ids.len()), named))
    });
}

#[test]
fn fuzz_dates() {
    fuzz("date", WORDS, |input| {
        let (plain, received) = (date::parse(input), date::parse_received(input));
        assert!(received.is_none_or(|at| at >= jiff::Timestamp::UNIX_EPOCH));
        way((plain.map(|at| at.as_second() >> 24), received.is_some()))
    });
}

#[test]
fn fuzz_headers() {
    fuzz_from(&["tests/samples"], "header", WORDS, |input| {
        let facts = header_facts(input);
        assert!(!facts.warnings.iter().any(|w| w.code == super::WarningCode::ParseFailed));
        let text = serde_json::to_string(&facts).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        let dated = received_date(input);
        let some = (facts.subject.is_some(), facts.message_id.is_some(), facts.date.is_some());
        way((some, dated.is_some(), about(facts.from.len()), about(fields(input).count())))
    });
}

#[test]
fn c20_parser_that_panics_costs_only_the_parts() {
    let facts = super::guarded(|| -> super::Facts<'static> { panic!("on purpose") })
        .unwrap_or_else(|| super::failed(header_facts(b"Subject: s\r\n\r\nx")));
    assert_eq!(facts.subject.as_deref(), Some("s"));
    assert_eq!(facts.warnings[0].code, super::WarningCode::ParseFailed);
}

#[test]
fn marks_of_our_own_mail_are_read_from_the_header_alone() {
    let of = |text: &str| marks(text.as_bytes());
    let canary = |token: &str| Marks { own: false, canary: Some(token.to_owned()) };
    assert_eq!(of("X-Postrider-Report: notice\r\n\r\n"), Marks { own: true, canary: None });
    assert_eq!(of("Subject: x\nx-postrider-canary:  abc123 \n\nbody"), canary("abc123"));
    assert_eq!(of("Subject: x\r\n\r\nX-Postrider-Canary: abc\r\n"), Marks::default());
    for token in ["a b", "a'b", "ä", &"a".repeat(65)] {
        assert_eq!(of(&format!("X-Postrider-Canary: {token}\r\n\r\n")), Marks::default());
    }
    assert_eq!(of("X-Postrider-Canary: one\r\nX-Postrider-Canary: two\r\n\r\n"), canary("one"));
}

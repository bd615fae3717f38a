//! The language: what it means, what it says of mistakes, and that nothing makes it fall over.

mod lists;
mod meaning;
mod mistakes;

use jiff::tz::TimeZone;

use super::*;
use crate::tests::fuzz::{about, fuzz, way};

/// Saturday 2026-11-21, two in the afternoon.
pub(super) fn moment() -> Moment {
    let now = "2026-11-21T14:00:00Z".parse().unwrap();
    Moment { now, zone: TimeZone::UTC }
}

const WORDS: &[&str] = &[
    "source",
    "level",
    "message",
    "created_at",
    "fields.size",
    "uid",
    "account",
    "imap-auth",
    "email-logger",
    "warning",
    "2h",
    "10MiB",
    "=",
    "!=",
    "~",
    "!~",
    "<",
    "<=",
    ">",
    ">=",
    "(",
    ")",
    ",",
    "'",
    "\"",
    "and",
    "or",
    "not",
    "in",
    "is",
    "null",
    " ",
    "\n",
    "[a-z]{9}",
    "\\",
    "(?i",
    "ä",
    "\u{1b}",
    "…",
    "汉",
];

#[test]
fn fuzz_conditions() {
    fuzz("query", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        match Query::parse(&text, &LOG, &moment()) {
            Ok(query) => {
                let (mut sql, mut params) = (String::new(), Vec::new());
                query.sql(&mut sql, &mut params);
                assert_eq!(sql.matches('?').count(), params.len(), "{sql}");
                let of_ours = |c: char| c.is_ascii_alphanumeric() || " _(),?=<>+.".contains(c);
                assert!(sql.chars().all(of_ours), "{sql}");
                way((true, about(sql.len()), params.len()))
            }
            Err(mistake) => {
                let [line, caret] = mistake.lines();
                assert!(!mistake.what.contains(char::is_control), "{}", mistake.what);
                assert!(!line.contains(char::is_control) && caret.ends_with('^'));
                assert!(mistake.at.end <= text.len() && mistake.at.start <= mistake.at.end);
                let what = mistake.what.split('`').next().unwrap_or_default().to_owned();
                way((false, what, mistake.hint.is_some()))
            }
        }
    });
}

#[test]
fn depth_length_and_numbers_are_bounded() {
    let refused = |text: &str| Query::parse(text, &LOG, &moment()).unwrap_err().what;
    let deep = |n: usize| format!("{}uid = 1{}", "(".repeat(n), ")".repeat(n));
    assert!(Query::parse(&deep(DEEPEST - 1), &LOG, &moment()).is_ok());
    assert!(refused(&deep(DEEPEST)).contains("within each other"));
    assert!(refused(&deep(2000)).contains("within each other"));
    assert!(refused(&"not ".repeat(1000)).contains("within each other"));
    assert!(refused(&" ".repeat(LONGEST + 1)).contains("4096 characters"));
    assert!(refused(&vec!["uid=1"; MOST_TESTS + 1].join(" or ")).contains("200 comparisons"));
    assert!(refused(&format!("uid in ({})", vec!["1"; 1001].join(","))).contains("1000 values"));
    assert!(refused(&vec!["code~a"; 17].join(" and ")).contains("16 regular expressions"));
    assert!(refused(r"message ~ '(\w{100}){100}'").contains("too large"));
    assert!(refused(&format!("message ~ {}", "a".repeat(1001))).contains("1000 octets"));
}

#[test]
fn what_a_person_writes_is_never_part_of_the_statement() {
    let text = "message = \"'; DROP TABLE record; --\" and code ~ \"x' OR '1\" and uid in (1, 2)";
    let (mut sql, mut params) = (String::new(), Vec::new());
    Query::parse(text, &LOG, &moment()).unwrap().sql(&mut sql, &mut params);
    assert_eq!(
        sql,
        "(message = ? AND query_match(?, code) AND (uid IS NOT NULL AND +uid IN (?, ?)))"
    );
    let text = |text: &str| Param::Text(text.to_owned());
    assert_eq!(
        params,
        [text("'; DROP TABLE record; --"), text("x' OR '1"), Param::Integer(1), Param::Integer(2)]
    );
}

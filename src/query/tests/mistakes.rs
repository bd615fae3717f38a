//! What is said of mistakes, with the caret under the place.

use std::fmt::Write as _;

use super::*;

const MISTAKES: &[&str] = &[
    "",
    "source = imapauth and level = error",
    "sorce = imap-auth",
    "level = eror",
    "level",
    "level error",
    "level =",
    "level = error warning",
    "level = error,warning",
    "level ~ err",
    "account < b",
    "source == daemon",
    "source <> daemon",
    "source =~ imap",
    "source =!= x",
    "source = daemon && level = error",
    "account = null",
    "code = and",
    "\"source\" = daemon",
    "message ~ 'unclosed",
    "message ~ \"(a\"",
    "message ~ *",
    "message ~ (a|b)",
    "(level = error",
    "level = error)",
    "level = error and",
    "and level = error",
    "uid = many",
    "created_at > soon",
    "fields.size > big",
    "fields > 1",
    "source in imap-auth",
    "source in ()",
    "source in (imap-auth pop3-auth)",
    "source in (imap-auth,",
    "source = 汉字\u{1b}[2J and level = error",
];

#[test]
fn mistakes_are_shown_where_they_are() {
    let mut all = String::new();
    for text in MISTAKES {
        let mistake = Query::parse(text, &LOG, &moment()).expect_err(text);
        let hint = mistake.hint.as_ref().map(|hint| format!("\n  hint: {hint}"));
        writeln!(all, "error: {mistake}{}\n", hint.unwrap_or_default()).unwrap();
    }
    insta::assert_snapshot!(all);
}

#[test]
fn long_conditions_are_shown_around_the_mistake() {
    let text = format!("{} and levle = error and {}", "uid = 1", vec!["uid = 2"; 40].join(" or "));
    let text = format!("{} or {text}", vec!["uid = 3"; 30].join(" or "));
    let [line, caret] = Query::parse(&text, &LOG, &moment()).unwrap_err().lines();
    assert!(line.chars().count() <= 80 && line.starts_with("… ") && line.ends_with(" …"), "{line}");
    let at = caret.find('^').unwrap();
    let under: String = line.chars().skip(at).take(caret.trim().len()).collect();
    assert_eq!(under, "levle");
}

//! Lines on a terminal and in a pipe.

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::model::Source;

fn record(code: &str, message: &str) -> Record {
    Record {
        id: 88_121,
        created_at: "2026-11-21T14:00:01Z".parse::<Timestamp>().unwrap(),
        level: Level::Error,
        source: Source::ImapAuth,
        code: code.to_owned(),
        message: message.to_owned(),
        account: Some("scans".to_owned()),
        run: None,
        mailbox: None,
        uid: Some(7),
        username: Some("scans@example.org".to_owned()),
        created_by: "alice".to_owned(),
        created_uid: 1000,
        fields: json!({"size": 12, "path": "a\u{1b}b"}).as_object().unwrap().clone(),
    }
}

fn plain(lines: &[Line]) -> String {
    let line = |line: &Line| line.iter().map(|(text, _)| text.as_str()).collect::<String>();
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

const LONG: &str = "the server closed the connection before it had answered the command, after \
                    4 messages of 200; the next poll goes on where this one ended";

#[test]
fn records_in_a_pipe_have_one_line_each() {
    let mut table = Table::new(&USUAL, None);
    let records = [record("tls-expired", "Certificate expired"), record("", LONG)];
    let lines = table.lines(&records, &TimeZone::UTC);
    let begin = " 88121  2026-11-21 14:00:01  error    imap-auth  scans";
    assert_eq!(
        plain(&lines),
        format!("{begin}  tls-expired  Certificate expired\n{begin}  -            {LONG}")
    );
    assert_eq!(lines[0].iter().filter(|(_, tone)| *tone == Tone::Bad).count(), 1);
}

#[test]
fn lines_on_a_terminal_fit_it() {
    let records = [
        record("tls-expired", "Certificate expired"),
        record("connection-lost", LONG),
        record(&"very-long-code".repeat(4), &"x".repeat(200)),
        record("ok", "汉字".repeat(60).as_str()),
    ];
    for room in [50, 60, 80, 100, 200] {
        for columns in [&USUAL[..], &[Column::Message], &[Column::Id, Column::Fields]] {
            let mut table = Table::new(columns, Some(room));
            for line in table.lines(&records, &TimeZone::UTC) {
                let text = plain(std::slice::from_ref(&line));
                assert!(text.width() <= room, "{room}: {} {text:?}", text.width());
            }
        }
    }
    let mut table = Table::new(&USUAL, Some(80));
    insta::assert_snapshot!(plain(&table.lines(&records[..2], &TimeZone::UTC)));
}

#[test]
fn columns_are_those_that_were_asked_for_and_harmless() {
    let columns = [Column::CreatedBy, Column::Username, Column::Uid, Column::Fields];
    let mut table = Table::new(&columns, None);
    let hostile = Record { created_by: "a\u{9b}2Jb".to_owned(), ..record("", "") };
    let lines = table.lines(&[hostile], &TimeZone::UTC);
    assert_eq!(plain(&lines), "a\\u{9b}2Jb  scans@example.org  7  path=a\\x1bb size=12");
}

#[test]
fn texts_are_broken_at_blanks() {
    assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    assert_eq!(wrap("abcdefghij kl", 6), ["abcdef", "ghij", "kl"]);
    assert_eq!(wrap("", 10), [""]);
}

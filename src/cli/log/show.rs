//! `log show`: one record whole.

use std::path::Path;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::paper::room;
use super::table::wrap;
use crate::cli::Context;
use crate::cli::exit::Exit;
use crate::cli::render::{self, Tone};
use crate::ledger::sqlite::SqliteError;
use crate::log::{LogDb, LogQuery, Record, codes, escape};
use crate::poll::Clock;

/// Shows the record of this number, or the only one whose number begins so.
pub(super) fn show(context: &Context, path: &Path, id: &str) -> Exit {
    let Some(number) = number(id) else {
        let hint = "such as 88121, the first column of `postrider log`";
        render::error(&format!("`{id}` is not the number of a record"), Some(hint));
        return Exit::Usage;
    };
    let db = match LogDb::open_read_only(path) {
        Ok(Some(db)) => db,
        Ok(None) => {
            render::note("there is no log yet");
            return Exit::Done;
        }
        Err(error) => return failed(&error),
    };
    match find(&db, number) {
        Ok(Found::One(record)) => {
            print(context, *record);
            Exit::Done
        }
        Ok(Found::Several(ids)) => {
            let hint = format!("several begin with it: {}", ids.join(", "));
            render::error(&format!("no record {number}"), Some(&hint));
            Exit::Failed
        }
        Ok(Found::None) => {
            let hint = "see `postrider log`; old records are removed, see `log.keep`";
            render::error(&format!("no record {number}"), Some(hint));
            Exit::Failed
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &SqliteError) -> Exit {
    render::error(&error.to_string(), None);
    Exit::Failed
}

/// `88121`, `#88121`, `88,121`.
fn number(text: &str) -> Option<i64> {
    let digits = text.trim().trim_start_matches('#').replace(',', "");
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

enum Found {
    None,
    One(Box<Record>),
    Several(Vec<String>),
}

fn find(db: &LogDb, number: i64) -> Result<Found, SqliteError> {
    let (mut first, mut last) = (number, number);
    let mut found: Vec<Record> = Vec::new();
    loop {
        let query =
            LogQuery { ids: Some((first, last)), limit: Some(SEVERAL), ..LogQuery::default() };
        found.extend(db.query(&query)?);
        if (first == number && !found.is_empty()) || found.len() > 5 || number == 0 {
            break;
        }
        // The numbers with one digit more.
        let next = first.checked_mul(10).zip(last.checked_mul(10).and_then(|n| n.checked_add(9)));
        let Some(next) = next else { break };
        (first, last) = next;
    }
    Ok(match found.len() {
        0 => Found::None,
        1 => found.pop().map_or(Found::None, |record| Found::One(Box::new(record))),
        _ => Found::Several(found.iter().map(|record| record.id.to_string()).collect()),
    })
}

const SEVERAL: u64 = 6;

/// A record with what its code means.
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    record: Record,
    cause: Option<&'static str>,
    remedy: Option<&'static str>,
}

fn print(context: &Context, record: Record) {
    let code = codes::find(&record.code);
    if context.out.json {
        let (cause, remedy) = (code.map(|code| code.cause), code.map(|code| code.remedy));
        return context.out.value(&Whole { record, cause, remedy });
    }
    let local = record.created_at.to_zoned(TimeZone::system());
    let ago = render::ago(Some(record.created_at), Clock.now());
    let or = |value: Option<String>| value.filter(|text| !text.is_empty()).unwrap_or("-".into());
    let mut rows = vec![
        ("record", record.id.to_string()),
        ("created at", format!("{}, {ago}", local.strftime("%Y-%m-%d %H:%M:%S%.3f %:z"))),
        ("level", record.level.to_string()),
        ("source", record.source.to_string()),
        ("code", or(Some(record.code))),
        ("message", or(Some(record.message))),
        ("account", or(record.account)),
        ("username", or(record.username)),
        ("created by", format!("{} (user id {})", record.created_by, record.created_uid)),
        ("run", or(record.run)),
        ("mailbox", or(record.mailbox)),
        ("uid", or(record.uid.map(|uid| uid.to_string()))),
    ];
    for (name, value) in &record.fields {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        rows.push((name, text));
    }
    if let Some(code) = code {
        rows.push(("cause", code.cause.to_owned()));
        rows.push(("remedy", code.remedy.to_owned()));
    }
    context.out.table(&folded(&rows));
}

/// Rows of a name and a text, the text over several lines where a terminal needs it.
pub(super) fn folded(rows: &[(&str, String)]) -> Vec<Vec<(String, Tone)>> {
    let head = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let plain = |text: String| (text, Tone::Plain);
    let row = |(name, text): &(&str, String)| {
        let text = escape(text);
        let lines = match room() {
            Some(room) => wrap(&text, room.saturating_sub(head).saturating_sub(2)),
            None => vec![text],
        };
        let names = std::iter::once((*name).to_owned()).chain(std::iter::repeat(String::new()));
        let row = |(name, line)| vec![plain(name), plain(line)];
        names.zip(lines).map(row).collect::<Vec<_>>()
    };
    rows.iter().flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_as_they_are_shown() {
        assert_eq!(
            ["88121", "#88121", "88,121", " 7 "].map(number).map(|n| n.unwrap_or(0)),
            [88_121, 88_121, 88_121, 7]
        );
        for text in ["", "#", "x", "-1", "8a", "99999999999999999999"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}

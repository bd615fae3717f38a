//! What is told of messages, on the screen or as JSON.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::trail::{Event, Told};
use crate::cli::render::{Out, Tone, plural};
use crate::model::MessageKey;

/// A moment in the local zone, to the second.
pub(super) fn second(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Prints what is known of each message.
pub(super) fn show(out: Out, asked: &str, all: &[Told]) {
    if out.json {
        out.value(&json!({ "asked": asked, "found": all }));
        return;
    }
    if all.len() > 1 {
        out.line(&format!("{} match `{asked}`", plural(all.len() as u64, "message")));
    }
    for told in all {
        out.line(&head(told));
        let mut rows: Vec<_> = told.events.iter().map(row).collect();
        if let Some(faults) = &told.copy_faults {
            let (text, tone) = match faults.as_slice() {
                [] => ("the copy is there, every octet as it was stored".to_owned(), Tone::Good),
                faults => (faults.join("; "), Tone::Bad),
            };
            rows.push(cells("now", ("verified", tone), text));
        }
        rows.push(row(&told.now));
        out.table(&rows);
    }
}

fn head(told: &Told) -> String {
    let validity = match &told.key {
        MessageKey::Imap { uid_validity, .. } => format!(" (UIDVALIDITY {uid_validity})"),
        MessageKey::Pop3 { .. } => String::new(),
    };
    let subject = told.subject.as_ref().map(|subject| format!(", \"{subject}\""));
    let Told { account, key, state, .. } = told;
    format!("{account} {key}{validity}{}: {state}", subject.unwrap_or_default())
}

fn row(event: &Event) -> Vec<(String, Tone)> {
    let at = event.at.map_or("-".to_owned(), second);
    cells(&at, (&event.what, Tone::Plain), event.text.clone())
}

fn cells(at: &str, (what, tone): (&str, Tone), text: String) -> Vec<(String, Tone)> {
    vec![(format!("  {at}"), Tone::Plain), (what.to_owned(), tone), (text, Tone::Plain)]
}

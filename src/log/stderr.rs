//! Records as lines on standard error: for a person, or for the journal.
//!
//! Written by a thread of its own, so that a full pipe stops nobody; a closed one is no error.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;

use super::sink::Shared;
use crate::ledger::log_db::{Level, Record};
use crate::model::Source;

/// How lines on standard error look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// With colour, for a terminal.
    Colour,
    /// Without time, and with the journal's `<N>` priorities.
    Journal,
    /// Plain text.
    Plain,
}

impl Style {
    /// The style for this process' standard error, given `$JOURNAL_STREAM` and whether `$NO_COLOR`
    /// is set.
    pub fn of_stderr(journal_stream: Option<&str>, no_color: bool) -> Self {
        if journal_stream.is_some_and(is_stderr) {
            Self::Journal
        } else if std::io::stderr().is_terminal() && !no_color {
            Self::Colour
        } else {
            Self::Plain
        }
    }

    /// One line, with its end: `time level source account code message fields`.
    pub(super) fn line(self, record: &Record) -> String {
        let mut line = String::new();
        let level = record.level;
        let written = match self {
            Self::Journal => write!(line, "<{}>{}", priority(level), record.source),
            Self::Plain => write!(line, "{:.0} {level} {}", record.created_at, record.source),
            Self::Colour => write!(
                line,
                "\x1b[2m{:.0}\x1b[0m \x1b[{}m{level}\x1b[0m {}",
                record.created_at,
                colour(level),
                record.source
            ),
        };
        written.unwrap_or_default();
        let words = [record.account.as_deref(), Some(record.code.as_str()), Some(&record.message)];
        for word in words.into_iter().flatten().filter(|word| !word.is_empty()) {
            line.push(' ');
            line.push_str(word);
        }
        for (name, value) in &record.fields {
            // Display of a JSON string quotes it; control characters are escaped already.
            write!(line, " {name}={value}").unwrap_or_default();
        }
        line.push('\n');
        line
    }
}

/// Writes lines until the process ends.
pub(super) fn run(shared: &Arc<Shared>, style: Style, mut output: Box<dyn Write + Send>) {
    loop {
        let (lines, dropped) = shared.lines.take(LINES, Duration::from_mins(10));
        for line in &lines {
            write_quietly(output.as_mut(), line);
        }
        if dropped.total() > 0 {
            let message = format!("lines were dropped here: {}", dropped.describe());
            let record = shared.own_record(Level::Warning, Source::Daemon, "log-dropped", message);
            write_quietly(output.as_mut(), &style.line(&record));
        }
        output.flush().unwrap_or_default();
        shared.lines.finish(lines.len());
    }
}

/// Nobody may be reading any more (EPIPE), and there is no better place to say so.
fn write_quietly(output: &mut dyn Write, line: &str) {
    output.write_all(line.as_bytes()).unwrap_or_default();
}

/// Whether `$JOURNAL_STREAM` (`device:inode`) names our standard error.
fn is_stderr(journal_stream: &str) -> bool {
    // Through /proc no descriptor has to be taken over.
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else { return false };
    journal_stream == format!("{}:{}", stderr.dev(), stderr.ino())
}

fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warning => 4,
        Level::Info => 6,
        Level::Debug => 7,
    }
}

fn colour(level: Level) -> u8 {
    match level {
        Level::Error => 31,
        Level::Warning => 33,
        Level::Info => 32,
        Level::Debug => 34,
    }
}

const LINES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            id: 0,
            created_at: "2026-11-21T14:00:01.250Z".parse().expect("a time"),
            level: Level::Error,
            source: Source::ImapAuth,
            code: "tls-expired".to_owned(),
            message: "Certificate expired".to_owned(),
            account: Some("scans".to_owned()),
            run: None,
            mailbox: None,
            uid: None,
            username: None,
            created_by: "system".to_owned(),
            created_uid: 0,
            fields: serde_json::Map::from_iter([("size".to_owned(), 12.into())]),
        }
    }

    #[test]
    fn lines_have_time_level_source_account_code_message() {
        assert_eq!(
            Style::Plain.line(&record()),
            "2026-11-21T14:00:01Z error imap-auth scans tls-expired Certificate expired size=12\n"
        );
        let bare = Record { account: None, code: String::new(), ..record() };
        assert_eq!(Style::Journal.line(&bare), "<3>imap-auth Certificate expired size=12\n");
        assert!(Style::Colour.line(&record()).contains("\x1b[31merror\x1b[0m imap-auth scans"));
    }

    #[test]
    fn only_our_own_stream_is_the_journal() {
        assert!(!is_stderr("0:0"));
        let stderr = std::fs::metadata("/proc/self/fd/2").expect("is there");
        assert!(is_stderr(&format!("{}:{}", stderr.dev(), stderr.ino())));
    }
}

//! What people read: lines, columns, times, counts. Nothing here panics when the reader is gone.

use std::io::{IsTerminal, Write};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use super::failure;
use crate::log::escape;
use crate::model::harmless_json;
use crate::query::Mistake;

/// Columns that lists for people keep to; a path or an id may run over.
pub(super) const WIDTH: usize = 80;

/// Standard output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Out {
    /// JSON for machines.
    pub(super) json: bool,
    colour: bool,
}

/// What a word says by its colour, too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tone {
    Bad,
    Good,
    Plain,
    Warn,
}

impl Out {
    /// For this process; colour only on a terminal and without `NO_COLOR`.
    pub(super) fn new(json: bool, no_color: bool) -> Self {
        Self { json, colour: std::io::stdout().is_terminal() && !no_color }
    }

    /// One line, its control characters escaped.
    #[expect(clippy::unused_self, reason = "one handle for all output")]
    pub(super) fn line(self, text: &str) {
        answer(&escape(text));
    }

    /// A line that begins with a word in its colour: `ok: …`.
    pub(super) fn marked(self, word: &str, tone: Tone, text: &str) {
        answer(&format!("{} {}", self.paint(word, tone), escape(text)));
    }

    /// Several lines, each with its control characters escaped.
    pub(super) fn lines(self, text: &str) {
        for line in text.lines() {
            self.line(line);
        }
    }

    /// One value as JSON on one line.
    #[expect(clippy::unused_self, reason = "one handle for all output")]
    pub(super) fn value(self, value: &impl Serialize) {
        let text = harmless_json(serde_json::to_string(value).unwrap_or_default());
        answer(&text);
    }

    /// Cells in columns, two blanks apart; each row's last cell runs on.
    pub(super) fn table(self, rows: &[Vec<(String, Tone)>]) {
        for line in self.aligned(rows) {
            answer(&line);
        }
    }

    /// The lines of a table, to be written as they are.
    fn aligned(self, rows: &[Vec<(String, Tone)>]) -> Vec<String> {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|(cell, _)| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<(String, Tone)>| {
            let mut line = String::new();
            for (index, (cell, tone)) in row.iter().enumerate() {
                let last = index.saturating_add(1) == row.len();
                let width = if last { 0 } else { widths.get(index).copied().unwrap_or(0) };
                let pad = width.saturating_sub(cell.chars().count());
                line.push_str(&self.paint(&escape(cell), *tone));
                line.push_str(&" ".repeat(pad));
                if !last {
                    line.push_str("  ");
                }
            }
            line.trim_end().to_owned()
        };
        rows.iter().map(line).collect()
    }

    /// A table with words below each of its rows but the first.
    pub(super) fn table_with(self, rows: &[Vec<(String, Tone)>], below: &[Vec<String>]) {
        let mut lines = self.aligned(rows).into_iter();
        for head in lines.by_ref().take(1) {
            answer(&head);
        }
        for (line, below) in lines.zip(below) {
            answer(&line);
            for text in below {
                self.indented(4, text);
            }
        }
    }

    /// A text in lines of [`WIDTH`], all but the first a little further in.
    pub(super) fn hanging(self, text: &str) {
        for (n, line) in wrapped(text, WIDTH.saturating_sub(2)).into_iter().enumerate() {
            self.line(&format!("{}{line}", if n == 0 { "" } else { "  " }));
        }
    }

    /// A text in lines of [`WIDTH`], each so far in.
    pub(super) fn indented(self, by: usize, text: &str) {
        for line in wrapped(text, WIDTH.saturating_sub(by)) {
            self.line(&format!("{}{line}", " ".repeat(by)));
        }
    }

    /// A text that is escaped already, in its colour.
    pub(super) fn paint(self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            _ if !self.colour => return text.to_owned(),
            Tone::Bad => "31",
            Tone::Good => "32",
            Tone::Warn => "33",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// A condition's mistake, its caret under the place, its hint below.
pub(super) fn mistake(mistake: &Mistake) {
    super::eprint(&with_caret(mistake));
}

/// The same as text.
pub(super) fn with_caret(mistake: &Mistake) -> String {
    let hint = mistake.hint.as_ref().map(|hint| format!("\n  hint: {hint}"));
    format!("error: {mistake}{}", hint.unwrap_or_default())
}

/// An error on standard error, with its hint.
pub(super) fn error(message: &str, hint: Option<&str>) {
    failure::note(message, hint);
    let mut stderr = std::io::stderr().lock();
    write(&mut stderr, &format!("error: {}", escape(message)));
    if let Some(hint) = hint {
        write(&mut stderr, &format!("  hint: {}", escape(hint)));
    }
}

/// A warning on standard error, with its hint.
pub(super) fn warning(message: &str, hint: Option<&str>) {
    let mut stderr = std::io::stderr().lock();
    write(&mut stderr, &format!("warning: {}", escape(message)));
    if let Some(hint) = hint {
        write(&mut stderr, &format!("  hint: {}", escape(hint)));
    }
}

/// A word beside the output, for people only: on standard error where that is a terminal.
pub(super) fn note(text: &str) {
    let stderr = std::io::stderr();
    if stderr.is_terminal() {
        write(&mut stderr.lock(), &escape(text));
    }
}

/// Whether the reader of standard output is gone, found out without writing anything.
pub(super) fn nobody_reads() -> bool {
    let stdout = std::io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    if poll(&mut polled, Some(&Timespec::default())).is_err() {
        return false;
    }
    let closed = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    polled.iter().any(|polled| polled.revents().intersects(closed))
}

/// A line of the answer.
fn answer(line: &str) {
    failure::answered();
    write(&mut std::io::stdout().lock(), line);
}

/// A reader that is gone (`| head`) is no failure of ours.
fn write(to: &mut impl Write, line: &str) {
    drop(writeln!(to, "{line}"));
}

/// A number with thin separators: 1,284.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(index);
        if index > 0 && left.is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 message", "2 messages".
pub(super) fn plural(n: u64, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{} {word}s", count(n)) }
}

/// A time span in its largest unit: `38 s`, `2 min`, `3 h`, `5 days`.
pub(super) fn span(of: SignedDuration) -> String {
    let seconds = of.as_secs().max(0);
    match seconds {
        0..=89 => format!("{seconds} s"),
        90..=5_399 => format!("{} min", seconds / 60),
        5_400..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How long ago, or `-`.
pub(super) fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or("-".to_owned(), |at| format!("{} ago", span(now.duration_since(at))))
}

/// How long until then; `now` when it is over; `-` for never.
pub(super) fn ahead(at: Option<Timestamp>, now: Timestamp) -> String {
    match at {
        None => "-".to_owned(),
        Some(at) if at <= now => "now".to_owned(),
        Some(at) => format!("in {}", span(at.duration_since(now))),
    }
}

/// A moment in the local zone, to the minute.
pub(super) fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Cut at blanks into lines that fit; a word that is longer stays whole.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let wider = line.chars().count().saturating_add(word.chars().count()).saturating_add(1);
        if !line.is_empty() && wider > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        assert_eq!(
            (count(7), count(1284), count(1_234_567)),
            ("7".into(), "1,284".into(), "1,234,567".into())
        );
    }

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        let tell = |seconds| span(SignedDuration::from_secs(seconds));
        assert_eq!(
            [tell(38), tell(120), tell(3 * 3600), tell(5 * 86_400)],
            ["38 s", "2 min", "3 h", "5 days"]
        );
    }
}

//! Records as lines of columns: on a terminal no line is wider than it.

use clap::ValueEnum;
use jiff::tz::TimeZone;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::cli::render::Tone;
use crate::log::{Level, Record, escape};

/// What is shown of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Column {
    /// Number of the record
    Id,
    /// When it was made, in the local zone
    CreatedAt,
    /// How bad it is
    Level,
    /// Where in the program it comes from
    Source,
    /// The account that it is about
    Account,
    /// The name that the account logs in with
    Username,
    /// Who made it
    CreatedBy,
    /// User id of who made it
    CreatedUid,
    /// The poll that it belongs to
    Run,
    /// The mailbox that it is about
    Mailbox,
    /// UID of the message that it is about
    Uid,
    /// What happened, as a stable word
    Code,
    /// What happened
    Message,
    /// All other fields
    Fields,
}

/// The columns where nothing else is asked for.
pub(super) const USUAL: [Column; 7] = [
    Column::Id,
    Column::CreatedAt,
    Column::Level,
    Column::Source,
    Column::Account,
    Column::Code,
    Column::Message,
];

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// Pieces of a line, with their tones.
pub(super) type Line = Vec<(String, Tone)>;

/// The widths so far; they only grow, so that lines stay aligned while records come in.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    widths: Vec<usize>,
    /// Columns of the terminal; `None`: lines are as long as they are.
    room: Option<usize>,
}

impl Table {
    pub(super) fn new(columns: &[Column], room: Option<usize>) -> Self {
        let widths = columns.iter().map(|column| column.least()).collect();
        Self { columns: columns.to_vec(), widths, room }
    }

    /// The lines of some records.
    pub(super) fn lines(&mut self, records: &[Record], zone: &TimeZone) -> Vec<Line> {
        let rows: Vec<Vec<String>> = records
            .iter()
            .map(|record| self.columns.iter().map(|column| column.cell(record, zone)).collect())
            .collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let widths = self.fitted();
        let lines = records.iter().zip(&rows);
        lines.flat_map(|(record, row)| self.row(record.level, row, &widths)).collect()
    }

    /// The widths of all columns but the last, made smaller where the terminal is.
    fn fitted(&self) -> Vec<usize> {
        let mut widths = self.widths.clone();
        widths.pop();
        let Some(room) = self.room else { return widths };
        let total = |widths: &[usize]| -> usize {
            widths.iter().map(|width| width.saturating_add(GAP)).fold(0, usize::saturating_add)
        };
        while total(&widths) > room.saturating_add(GAP) {
            let widest = widths.iter_mut().max_by_key(|width| **width);
            let Some(widest) = widest.filter(|width| **width > NARROW) else { break };
            *widest = widest.saturating_sub(1);
        }
        widths
    }

    fn row(&self, level: Level, row: &[String], widths: &[usize]) -> Vec<Line> {
        let mut head: Line = Vec::new();
        let mut taken = 0_usize;
        for ((column, cell), width) in self.columns.iter().zip(row).zip(widths) {
            let cell = if self.room.is_some() { cut(cell, *width) } else { cell.clone() };
            let pad = width.saturating_sub(cell.width()).saturating_add(GAP);
            head.push((cell, column.tone(level)));
            head.push((" ".repeat(pad), Tone::Plain));
            taken = taken.saturating_add(*width).saturating_add(GAP);
        }
        let (last, tone) = match (row.last(), self.columns.last()) {
            (Some(last), Some(column)) => (last, column.tone(level)),
            _ => return vec![head],
        };
        let Some(room) = self.room.filter(|room| taken.saturating_add(last.width()) > *room) else {
            head.push((last.clone(), tone));
            return vec![trimmed(head)];
        };
        // What doesn't fit behind the others goes below them, or has lines of its own.
        let beside = room.saturating_sub(taken) >= LEGIBLE;
        let indent = if beside || taken == 0 { taken } else { INDENT.min(room / 4) };
        let mut texts = wrap(last, room.saturating_sub(indent)).into_iter();
        let mut lines = Vec::new();
        if beside || taken == 0 {
            head.extend(texts.next().map(|text| (text, tone)));
        }
        lines.push(trimmed(head));
        lines.extend(texts.map(|text| vec![(" ".repeat(indent), Tone::Plain), (text, tone)]));
        lines
    }
}

impl Column {
    /// In columns of a terminal.
    fn least(self) -> usize {
        match self {
            Self::Id => 6,
            Self::Level => 7,
            Self::Source => 9,
            _ => 1,
        }
    }

    fn tone(self, level: Level) -> Tone {
        match (self, level) {
            (Self::Level, Level::Error) => Tone::Bad,
            (Self::Level, Level::Warning) => Tone::Warn,
            _ => Tone::Plain,
        }
    }

    /// Without control characters, whoever wrote it.
    fn cell(self, record: &Record, zone: &TimeZone) -> String {
        let text = match self {
            // Filled from the left, as numbers are.
            Self::Id => format!("{:>6}", record.id),
            Self::CreatedAt => {
                let at = record.created_at.to_zoned(zone.clone());
                at.strftime("%Y-%m-%d %H:%M:%S").to_string()
            }
            Self::Level => record.level.to_string(),
            Self::Source => record.source.to_string(),
            Self::Account => record.account.clone().unwrap_or_default(),
            Self::Username => record.username.clone().unwrap_or_default(),
            Self::CreatedBy => record.created_by.clone(),
            Self::CreatedUid => record.created_uid.to_string(),
            Self::Run => record.run.clone().unwrap_or_default(),
            Self::Mailbox => record.mailbox.clone().unwrap_or_default(),
            Self::Uid => record.uid.map(|uid| uid.to_string()).unwrap_or_default(),
            Self::Code => record.code.clone(),
            Self::Message => record.message.clone(),
            Self::Fields => fields(record),
        };
        if text.is_empty() { "-".to_owned() } else { escape(&text) }
    }
}

fn fields(record: &Record) -> String {
    let field = |(name, value): (&String, &serde_json::Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{name}={value}")
    };
    record.fields.iter().map(field).collect::<Vec<_>>().join(" ")
}

/// Lines of at most so many columns, broken at blanks where there are some.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(NARROW);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let gap = usize::from(!line.is_empty());
        if line.width().saturating_add(gap).saturating_add(word.width()) <= room {
            line.push_str(if gap > 0 { " " } else { "" });
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            if line.width().saturating_add(c.width().unwrap_or(0)) > room {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines
}

/// At most so many columns; the cut shows.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.width().saturating_add(c.width().unwrap_or(0)).saturating_add(1) > width {
            break;
        }
        short.push(c);
    }
    short.push('…');
    short
}

/// Without blanks at its end.
fn trimmed(mut line: Line) -> Line {
    while line.last().is_some_and(|(text, _)| text.trim().is_empty()) {
        line.pop();
    }
    line
}

/// Between two columns.
const GAP: usize = 2;

/// No column gets narrower.
const NARROW: usize = 6;

/// A message has at least so much room beside the other columns, else it goes below them.
const LEGIBLE: usize = 30;

/// Of a message below the other columns.
const INDENT: usize = 8;

#[cfg(test)]
mod tests;

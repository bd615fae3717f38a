//! Where records are printed: aligned lines for people, JSON for programs.

use std::io::{IsTerminal as _, Write as _};

use jiff::tz::TimeZone;
use rustix::termios::tcgetwinsize;

use super::table::{Column, Table};
use crate::cli::failure;
use crate::cli::render::{self, Out};
use crate::log::Record;
use crate::model::harmless_json;

/// Standard output, until its reader is gone.
#[derive(Debug)]
pub(super) struct Paper {
    out: Out,
    table: Table,
    zone: TimeZone,
    gone: bool,
}

impl Paper {
    pub(super) fn new(out: Out, columns: &[Column]) -> Self {
        let table = Table::new(columns, room());
        Self { out, table, zone: TimeZone::system(), gone: false }
    }

    /// Prints records, their columns aligned with those before.
    pub(super) fn print(&mut self, records: &[Record]) {
        let lines: Vec<String> = if self.out.json {
            let json = |record| harmless_json(serde_json::to_string(record).unwrap_or_default());
            records.iter().map(json).collect()
        } else {
            let lines = self.table.lines(records, &self.zone);
            let painted = lines.into_iter().map(|line| {
                let pieces = line.iter().map(|(text, tone)| self.out.paint(text, *tone));
                pieces.collect::<String>()
            });
            painted.collect()
        };
        if !lines.is_empty() {
            failure::answered();
        }
        let mut stdout = std::io::stdout().lock();
        for line in lines {
            // Whole lines: whoever reads along never sees half a record.
            if writeln!(stdout, "{line}").is_err() {
                self.gone = true;
                return;
            }
        }
    }

    /// Whether nobody reads any more.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// The same, found out without writing anything.
    pub(super) fn look(&mut self) -> bool {
        self.gone |= render::nobody_reads();
        self.gone
    }
}

/// Columns of the terminal; `None` where there is none.
pub(super) fn room() -> Option<usize> {
    let stdout = std::io::stdout();
    let columns = stdout.is_terminal().then(|| tcgetwinsize(&stdout).ok()).flatten();
    columns.map(|size| match size.ws_col {
        0 => 80,
        columns => usize::from(columns),
    })
}

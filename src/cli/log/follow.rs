//! `log --follow`: new records as they are stored, whatever happens to the daemon and the file.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::paper::Paper;
use crate::cli::exit::Exit;
use crate::cli::{block_on, render};
use crate::ledger::sqlite::SqliteError;
use crate::log::{LogDb, LogQuery, Record};

/// Prints the latest records and all that come, until a signal or until nobody reads any more.
pub(super) fn follow(path: &Path, query: LogQuery, paper: &mut Paper) -> Exit {
    let mut tail = Tail::new(path, query);
    // Before there are handlers of signals: a long search must end at Ctrl-C.
    let begun = tail.begin();
    let work = async {
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return Exit::Failed };
        let mut found = begun;
        let mut failures = 0_u32;
        loop {
            match found {
                Ok(records) => {
                    failures = 0;
                    paper.print(&records);
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    if failures > PATIENCE || matches!(error, SqliteError::NewerSchema { .. }) {
                        render::error(&error.to_string(), None);
                        return Exit::Failed;
                    }
                }
            }
            if paper.is_gone() || paper.look() {
                return Exit::Done;
            }
            tokio::select! {
                _ = interrupt.recv() => return Exit::Done,
                _ = terminate.recv() => return Exit::Done,
                () = tokio::time::sleep(PAUSE) => {}
            }
            found = tail.more();
        }
    };
    block_on(work).unwrap_or_else(|exit| exit)
}

/// The end of the log.
struct Tail {
    path: PathBuf,
    query: LogQuery,
    file: Option<File>,
    /// The last record that was looked at.
    last: i64,
}

/// The open file; another one may take its place.
struct File {
    db: LogDb,
    identity: (u64, u64),
    change: Option<i64>,
}

impl Tail {
    fn new(path: &Path, query: LogQuery) -> Self {
        Self { path: path.to_path_buf(), query, file: None, last: 0 }
    }

    /// The latest records, oldest first.
    fn begin(&mut self) -> Result<Vec<Record>, SqliteError> {
        self.open()?;
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        self.last = file.db.last_id()?;
        let mut records = file.db.query(&self.query)?;
        // What came meanwhile is found by its number.
        records.retain(|record| record.id <= self.last);
        records.reverse();
        Ok(records)
    }

    /// What was stored since.
    fn more(&mut self) -> Result<Vec<Record>, SqliteError> {
        let found = self.look();
        if found.is_err() {
            self.file = None;
        }
        found
    }

    fn look(&mut self) -> Result<Vec<Record>, SqliteError> {
        self.open()?;
        let Some(file) = &mut self.file else { return Ok(Vec::new()) };
        let change = Some(file.db.change()?);
        if file.change == change {
            return Ok(Vec::new());
        }
        let last = file.db.last_id()?;
        let query = LogQuery { after_id: Some(self.last), limit: Some(STEP), ..self.query.clone() };
        let records = file.db.query(&query)?;
        let found = records.last().map_or(0, |record| record.id);
        if u64::try_from(records.len()).unwrap_or(STEP) >= STEP {
            // There may be more of them, before the file changes again.
            self.last = self.last.max(found);
        } else {
            self.last = self.last.max(last).max(found);
            file.change = change;
        }
        Ok(records)
    }

    /// Opens the file; anew when another one has taken its place, which is followed from its start.
    fn open(&mut self) -> Result<(), SqliteError> {
        let identity = self.path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
        let known = self.file.as_ref().map(|file| file.identity);
        if known.is_some() && known == identity {
            return Ok(());
        }
        let Some(identity) = identity else { return Ok(()) };
        // First of all: the old file's locks are no business of the new one.
        self.file = None;
        let Some(db) = LogDb::open_read_only(&self.path)? else { return Ok(()) };
        if known.is_some() {
            self.last = 0;
        }
        self.file = Some(File { db, identity, change: None });
        Ok(())
    }
}

/// Between two looks; a look is two calls of the system and no query while nothing is stored.
const PAUSE: Duration = Duration::from_millis(250);

/// Records of one look.
const STEP: u64 = 1000;

/// Looks that may fail one after the other: ten seconds.
const PATIENCE: u32 = 40;

#[cfg(test)]
mod tests;

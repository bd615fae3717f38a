//! The thread that writes records into `log.db` and removes old ones.
//!
//! Nothing here is fatal: what can't be written is retried for a moment, then counted as lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::retention::{self, Limits};
use super::sink::Shared;
use crate::ledger::log_db::{Level, LogDb, Record};
use crate::ledger::sqlite::SqliteError;
use crate::model::Source;

/// What the writer is told and what it tells, across threads.
#[derive(Debug, Default)]
pub(super) struct WriterState {
    /// Seconds that records are kept; 0: for ever.
    keep: AtomicU64,
    /// Octets that the file may hold; 0: any number.
    max_size: AtomicU64,
    dropped: AtomicU64,
    lost: AtomicU64,
    last_error: std::sync::Mutex<Option<String>>,
}

/// How the log itself fares; for `status`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LogHealth {
    /// Records that were dropped because they came too fast.
    pub dropped: u64,
    /// Records that could not be written.
    pub lost: u64,
    /// Why writing failed last; `None` while it works.
    pub last_error: Option<String>,
}

impl WriterState {
    pub(super) fn set_keep(&self, keep: Option<Duration>) {
        self.keep.store(keep.map_or(0, |keep| keep.as_secs().max(1)), Ordering::Relaxed);
    }

    pub(super) fn set_max_size(&self, octets: Option<u64>) {
        self.max_size.store(octets.map_or(0, |octets| octets.max(1)), Ordering::Relaxed);
    }

    fn limits(&self) -> Limits {
        let set = |number: &AtomicU64| Some(number.load(Ordering::Relaxed)).filter(|n| *n > 0);
        Limits { keep: set(&self.keep), max_size: set(&self.max_size) }
    }

    pub(super) fn health(&self) -> LogHealth {
        let last_error = self.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        LogHealth {
            dropped: self.dropped.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            last_error: last_error.clone(),
        }
    }

    fn set_error(&self, error: Option<String>) {
        *self.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = error;
    }
}

/// The writer; lives on its own thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    path: PathBuf,
    db: Option<LogDb>,
    /// The last batch failed; the next ones are not retried.
    failing: bool,
    /// When there was nothing left to remove, and by which limits.
    tidied: Option<(Timestamp, Limits)>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, path: PathBuf) -> Self {
        Self { shared, path, db: None, failing: false, tidied: None }
    }

    /// Writes until the process ends.
    pub(super) fn run(mut self) {
        let mut wait = Duration::ZERO;
        loop {
            let (mut records, dropped) = self.shared.records.take(BATCH, wait);
            let count = records.len();
            if dropped.total() > 0 {
                self.shared.writer.dropped.fetch_add(dropped.total(), Ordering::Relaxed);
                records.push(self.drop_notice(&dropped.describe()));
            }
            if !records.is_empty() {
                self.store(&records);
            }
            self.shared.records.finish(count);
            let more = self.tidy();
            wait = if more { PAUSE } else { LONGEST_SLEEP };
        }
    }

    fn drop_notice(&self, what: &str) -> Record {
        let message = format!("log records were dropped, they came too fast: {what}");
        self.shared.own_record(Level::Warning, Source::Daemon, "log-dropped", message)
    }

    /// Writes a batch; what stays unwritten after a few attempts is lost.
    fn store(&mut self, records: &[Record]) {
        let attempts = if self.failing { 1 } else { ATTEMPTS };
        for attempt in 1..=attempts {
            match self.try_store(records) {
                Ok(()) => {
                    if self.failing {
                        self.failing = false;
                        self.shared.writer.set_error(None);
                    }
                    return;
                }
                Err(error) => {
                    self.shared.writer.set_error(Some(error.to_string()));
                    // A failed connection may be in any state.
                    self.db = None;
                    if attempt < attempts {
                        std::thread::sleep(RETRY_PAUSE.saturating_mul(attempt));
                    }
                }
            }
        }
        self.failing = true;
        let lost = u64::try_from(records.len()).unwrap_or(u64::MAX);
        self.shared.writer.lost.fetch_add(lost, Ordering::Relaxed);
    }

    fn try_store(&mut self, records: &[Record]) -> Result<(), SqliteError> {
        let db = match self.db.take() {
            Some(db) => db,
            None => LogDb::open(&self.path)?,
        };
        self.db.insert(db).insert(records)
    }

    /// Takes one small step of [`retention`]; true when there may be more of them.
    fn tidy(&mut self) -> bool {
        let limits = self.shared.writer.limits();
        let now = (self.shared.clock)();
        let Some(db) = self.db.as_mut() else { return false };
        let rests = self
            .tidied
            .is_some_and(|(at, by)| by == limits && now.duration_since(at).abs() < LOOK_EACH);
        if rests {
            return false;
        }
        match retention::take(db, limits, now) {
            Ok(true) => true,
            Ok(false) => {
                self.tidied = Some((now, limits));
                false
            }
            Err(error) => {
                self.shared.writer.set_error(Some(error.to_string()));
                self.tidied = Some((now, limits));
                self.db = None;
                false
            }
        }
    }
}

/// Records of one transaction: others can write in between.
const BATCH: usize = 1000;

const ATTEMPTS: u32 = 5;
const RETRY_PAUSE: Duration = Duration::from_millis(200);

const LOOK_EACH: SignedDuration = SignedDuration::from_secs(60);

/// Between two steps of retention, for others.
const PAUSE: Duration = Duration::from_millis(20);

/// So that pruning comes along when nothing is logged.
const LONGEST_SLEEP: Duration = Duration::from_mins(10);

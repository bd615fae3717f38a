//! The thread that writes records into `log.db` and prunes old ones.
//!
//! Nothing here is fatal: what can't be written is retried for a moment, then counted as lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::sink::Shared;
use crate::ledger::log_db::{Level, LogDb, Record};
use crate::ledger::sqlite::SqliteError;
use crate::model::Source;

/// What the writer is told and what it tells, across threads.
#[derive(Debug, Default)]
pub(super) struct WriterState {
    /// Seconds that records are kept; 0: for ever.
    keep: AtomicU64,
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
    last_prune: Option<(Timestamp, u64)>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, path: PathBuf) -> Self {
        Self { shared, path, db: None, failing: false, last_prune: None }
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
            let more = self.prune();
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

    /// Removes a few old records each hour, and when the time to keep them has changed; true when
    /// there may be more of them.
    fn prune(&mut self) -> bool {
        let keep = self.shared.writer.keep.load(Ordering::Relaxed);
        let now = (self.shared.clock)();
        let Some(db) = self.db.as_mut().filter(|_| keep > 0) else { return false };
        if let Some((last, kept)) = self.last_prune
            && kept == keep
            && now.duration_since(last).abs() < PRUNE_EACH
        {
            return false;
        }
        let keep_for = SignedDuration::from_secs(i64::try_from(keep).unwrap_or(i64::MAX));
        // Kept for longer than there is time: nothing is old.
        let removed =
            now.checked_sub(keep_for).map_or(Ok(0), |before| db.prune(before, PRUNE_CHUNK));
        match removed {
            Ok(removed) if removed >= usize::try_from(PRUNE_CHUNK).unwrap_or(usize::MAX) => true,
            Ok(_) => {
                self.last_prune = Some((now, keep));
                false
            }
            Err(error) => {
                self.shared.writer.set_error(Some(error.to_string()));
                self.last_prune = Some((now, keep));
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

const PRUNE_EACH: SignedDuration = SignedDuration::from_hours(1);
const PRUNE_CHUNK: u32 = 2000;

/// Between two chunks of old records, for others.
const PAUSE: Duration = Duration::from_millis(20);

/// So that pruning comes along when nothing is logged.
const LONGEST_SLEEP: Duration = Duration::from_mins(10);

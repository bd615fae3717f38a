//! The log's handle: where events go, and what the rest of the program can tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;

use super::filter::Filter;
use super::layer::LogLayer;
use super::queue::Queue;
use super::redact::Redactor;
use super::stderr::{self, Style};
use super::writer::{LogHealth, Writer, WriterState};
use crate::ledger::log_db::{Level, Record};
use crate::model::{AccountName, Source};

/// The log; clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct Sink {
    shared: Arc<Shared>,
}

/// Who makes the records of this process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Actor {
    /// [`Actor::SYSTEM`] for the daemon, else a person's name.
    pub name: String,
    /// Its user id.
    pub uid: u32,
}

impl Actor {
    /// The name of who makes records of the daemon's own accord.
    pub const SYSTEM: &str = "system";

    /// The daemon, which runs as this user.
    pub fn system(uid: u32) -> Self {
        Self { name: Self::SYSTEM.to_owned(), uid }
    }
}

/// How the log begins.
#[derive(Debug)]
pub struct LogOptions {
    /// Least severe level that is kept, until [`Sink::set_level`] says otherwise.
    pub level: Level,
    /// The value of `$RUST_LOG`; lets more through, within limits.
    pub rust_log: Option<String>,
    /// Who makes the records, unless an event or a span around it has `created_by`.
    pub actor: Actor,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
    /// What is to be hidden.
    pub redactor: Redactor,
    /// Lines for people; `None` for none.
    pub stderr: Option<StderrOptions>,
}

/// Lines on standard error.
pub struct StderrOptions {
    /// Least severe level that is shown; `None`: the level that is kept.
    pub level: Option<Level>,
    /// How they look.
    pub style: Style,
    /// Where they go: `std::io::stderr()`, or around a progress bar.
    pub output: Box<dyn Write + Send>,
}

impl std::fmt::Debug for StderrOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StderrOptions")
            .field("level", &self.level)
            .field("style", &self.style)
            .finish_non_exhaustive()
    }
}

impl Sink {
    /// Begins a log that is not yet stored anywhere; records wait for [`Sink::store_in`].
    pub fn new(options: LogOptions) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            filter: Filter::new(options.level, options.rust_log.as_deref()),
            redactor: options.redactor,
            actor: options.actor,
            logins: RwLock::default(),
            clock: options.clock,
            records: Queue::new(QUEUE_OCTETS),
            lines: Queue::new(QUEUE_OCTETS),
            stderr: options.stderr.as_ref().map(|stderr| (stderr.level, stderr.style)),
            is_stored: AtomicBool::new(false),
            writer: WriterState::default(),
        });
        if let Some(stderr) = options.stderr {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("log-stderr".to_owned())
                .spawn(move || stderr::run(&shared, stderr.style, stderr.output))?;
        }
        Ok(Self { shared })
    }

    /// Stores records in `log.db` of this folder, those made before included.
    ///
    /// One folder for a process: a second call does nothing. An error means that no thread could be
    /// made; a file that can't be written shows in [`Sink::health`] only.
    pub fn store_in(&self, state_dir: &Path) -> io::Result<()> {
        if self.shared.is_stored.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let writer = Writer::new(Arc::clone(&self.shared), state_dir.join(LOG_FILE));
        std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run())
            .map(drop)
            .inspect_err(|_| self.shared.is_stored.store(false, Ordering::Release))
    }

    /// Waits until all that was logged before is written; false when `timeout` came first.
    ///
    /// Blocks its thread. A command calls it last, so that the log is complete when it has ended.
    pub fn flush(&self, timeout: Duration) -> bool {
        let stored =
            !self.shared.is_stored.load(Ordering::Acquire) || self.shared.records.flush(timeout);
        let shown = self.shared.stderr.is_none() || self.shared.lines.flush(timeout);
        stored && shown
    }

    /// Keeps this level and worse ones, and everything of these accounts.
    pub fn set_level(&self, level: Level, debug_accounts: BTreeSet<AccountName>) {
        self.shared.filter.set(level, debug_accounts);
        tracing::callsite::rebuild_interest_cache();
    }

    /// What the accounts log in as, by their names: a record's `username`.
    pub fn set_logins(&self, logins: BTreeMap<AccountName, String>) {
        *self.shared.logins.write().unwrap_or_else(PoisonError::into_inner) = logins;
    }

    /// Removes the oldest records while the file holds more octets; `None` (as in the beginning)
    /// none.
    pub fn set_max_size(&self, octets: Option<u64>) {
        self.shared.writer.set_max_size(octets);
        self.shared.records.nudge();
    }

    /// Removes records that are older, now and each minute; `None` (as in the beginning) none.
    ///
    /// Set it once the clock is trusted: a clock that runs ahead would make all records old.
    pub fn set_keep(&self, keep: Option<Duration>) {
        self.shared.writer.set_keep(keep);
        self.shared.records.nudge();
    }

    /// How the log itself fares.
    pub fn health(&self) -> LogHealth {
        self.shared.writer.health()
    }

    /// Where secrets are registered as soon as they are known.
    pub fn redactor(&self) -> &Redactor {
        &self.shared.redactor
    }

    /// The layer that turns tracing's events into records.
    pub fn layer(&self) -> LogLayer {
        LogLayer::new(Arc::clone(&self.shared))
    }
}

/// What the handle, the layer and the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) filter: Filter,
    pub(super) redactor: Redactor,
    pub(super) actor: Actor,
    logins: RwLock<BTreeMap<AccountName, String>>,
    pub(super) clock: fn() -> Timestamp,
    pub(super) records: Queue<Record>,
    pub(super) lines: Queue<String>,
    stderr: Option<(Option<Level>, Style)>,
    is_stored: AtomicBool,
    pub(super) writer: WriterState,
}

impl Shared {
    /// The least severe level that any output wants.
    pub(super) fn most(&self) -> Level {
        let kept = self.filter.level();
        self.stderr.map_or(kept, |(shown, _)| shown.unwrap_or(kept).max(kept))
    }

    /// Hands a finished record to the outputs that want it; never waits.
    pub(super) fn dispatch(&self, record: Record, is_extra: bool) {
        if let Some((shown, style)) = self.stderr
            && (is_extra || record.level <= shown.unwrap_or_else(|| self.filter.level()))
        {
            let line = style.line(&record);
            self.lines.push(record.level, line.len().saturating_add(ITEM_OCTETS), line);
        }
        if is_extra || self.filter.keeps(record.level, record.account.as_deref()) {
            let fields: usize = record.fields.len().saturating_mul(ITEM_OCTETS);
            let octets = record.message.len().saturating_add(fields).saturating_add(ITEM_OCTETS);
            self.records.push(record.level, octets, record);
        }
    }

    /// What an account logs in as.
    pub(super) fn login(&self, account: &str) -> Option<String> {
        self.logins.read().unwrap_or_else(PoisonError::into_inner).get(account).cloned()
    }

    /// A record about the log itself.
    pub(super) fn own_record(
        &self,
        level: Level,
        source: Source,
        code: &str,
        message: String,
    ) -> Record {
        Record {
            id: 0,
            created_at: (self.clock)(),
            level,
            source,
            code: code.to_owned(),
            message,
            account: None,
            run: None,
            mailbox: None,
            uid: None,
            username: None,
            created_by: self.actor.name.clone(),
            created_uid: self.actor.uid,
            fields: serde_json::Map::new(),
        }
    }
}

/// The log's file in the state folder.
pub const LOG_FILE: &str = "log.db";

/// What each queue may hold: some ten thousand records.
const QUEUE_OCTETS: usize = 8 * 1024 * 1024;

/// What a record takes beside its texts.
const ITEM_OCTETS: usize = 400;

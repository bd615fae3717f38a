//! One transaction of the ledger, and the small things that all its tables share.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction};
use uuid::Uuid;

use super::error::{LedgerError, sqlite};

/// A transaction: the methods are in `accounts`, `mailboxes` and `messages`.
#[derive(Debug)]
pub struct Tx<'a> {
    pub(super) db: &'a Transaction<'a>,
}

impl<'a> Tx<'a> {
    pub(super) fn new(db: &'a Transaction<'a>) -> Self {
        Self { db }
    }

    /// Any statement, for tests of what is above.
    #[cfg(test)]
    pub(crate) fn execute(&self, sql: &str) {
        self.db.execute_batch(sql).unwrap();
    }

    /// Binds the ledger to a root and counts a start; the new generation.
    pub(super) fn bind(&self, root: Uuid) -> Result<u64, LedgerError> {
        let before: u64 = self.meta("generation")?.and_then(|text| text.parse().ok()).unwrap_or(0);
        let generation = before.saturating_add(1);
        self.set_meta("root", &root.to_string())?;
        self.set_meta("generation", &generation.to_string())?;
        self.set_meta("open", "1")?;
        Ok(generation)
    }

    /// Records what the root's marker says durably.
    pub(super) fn record_marker(&self, generation: u64) -> Result<(), LedgerError> {
        self.set_meta("marked", &generation.to_string())
    }

    /// Lifts the generation to at least this one.
    pub(super) fn lift(&self, generation: u64) -> Result<(), LedgerError> {
        let before: u64 = self.meta("generation")?.and_then(|text| text.parse().ok()).unwrap_or(0);
        self.set_meta("generation", &before.max(generation).to_string())
    }

    /// When the whole file was last checked.
    pub fn checked_at(&self) -> Result<Option<Timestamp>, LedgerError> {
        Ok(self.meta("checked_at")?.and_then(|text| text.parse().ok()).map(timestamp))
    }

    /// Records a check of the whole file.
    pub fn set_checked(&self, now: Timestamp) -> Result<(), LedgerError> {
        self.set_meta("checked_at", &millis(now).to_string())
    }

    /// A value of the `meta` table.
    pub(super) fn meta(&self, key: &str) -> Result<Option<String>, LedgerError> {
        self.db
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(sqlite("read meta"))
    }

    /// Sets a value of the `meta` table.
    pub(super) fn set_meta(&self, key: &str, value: &str) -> Result<(), LedgerError> {
        let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.db.execute(sql, [key, value]).map_err(sqlite("write meta"))?;
        Ok(())
    }
}

/// A time as the ledger keeps it.
pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A time from the ledger; one that can't be is the earliest.
pub(super) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MIN)
}

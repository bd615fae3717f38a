//! The time that an action has been given, of which what nobody could use is taken back.

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

use crate::ledger::error::{LedgerError, sqlite};
use crate::ledger::tx::{Tx, millis};

impl Tx<'_> {
    /// For when postrider begins: what was due meanwhile could not be tried, and its time begins so
    /// much later.
    pub fn excuse_absence(&self, now: Timestamp) -> Result<(), LedgerError> {
        // The first condition is that of the index of open actions.
        let sql = "UPDATE action
            SET first_at = min(?1, first_at + ?1 - max(due_at, coalesce(last_at, 0)))
            WHERE state IN ('pending', 'running') AND first_at IS NOT NULL
            AND max(due_at, coalesce(last_at, 0)) < ?1";
        let done = self.db.execute(sql, params![millis(now)]);
        done.map_err(sqlite("excuse an absence"))?;
        Ok(())
    }

    /// For when the wall clock was set, or the machine slept: the time of what is tried goes on
    /// where it was.
    pub fn shift_actions(&self, by: SignedDuration, now: Timestamp) -> Result<(), LedgerError> {
        let by = i64::try_from(by.as_millis()).unwrap_or(0);
        let sql = "UPDATE action SET first_at = min(?1, first_at + ?2)
            WHERE state IN ('pending', 'running') AND first_at IS NOT NULL";
        let done = self.db.execute(sql, params![millis(now), by]);
        done.map_err(sqlite("shift actions"))?;
        Ok(())
    }
}

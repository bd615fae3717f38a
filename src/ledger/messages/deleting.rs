//! How messages leave the server: the intent to delete, what came of it, and departures without us.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::row::key;
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis};
use crate::model::{Delete, MessageKey};

impl Tx<'_> {
    /// The intent to delete; used by [`crate::ledger::Ledger::begin_delete`] alone. Returns the rows:
    /// what a rule wants moved is left out once that is no more to be done.
    pub(in crate::ledger) fn begin_delete(
        &self,
        deletes: &[Delete],
        how: &str,
        now: Timestamp,
    ) -> Result<BTreeSet<i64>, LedgerError> {
        let act = || sqlite("commit the intent to delete");
        let sql = "UPDATE message SET state = 'deleting', delete_how = ?2, delete_at = ?3,
            move_action = ?4 WHERE id = ?1 AND state IN ('archived', 'deleting')";
        let mut set = self.db.prepare_cached(sql).map_err(act())?;
        let mut begun = BTreeSet::new();
        for Delete { copy, action, .. } in deletes {
            if let Some(action) = action
                && !self.is_move_wanted(*action, copy.row)?
            {
                continue;
            }
            let changed = set.execute(params![copy.row, how, millis(now), action]).map_err(act())?;
            if changed != 1 {
                let why = "a message to be deleted is not archived";
                return Err(LedgerError::Damaged { table: "message", row: copy.row, why });
            }
            begun.insert(copy.row);
        }
        Ok(begun)
    }

    /// Records that messages have left the server after our delete; the moves among them are done.
    pub fn deleted(&self, rows: &[i64], now: Timestamp) -> Result<(), LedgerError> {
        let act = || sqlite("record deletes");
        let sql = "UPDATE message SET state = 'deleted', deleted_at = ?2
            WHERE id = ?1 AND state = 'deleting' RETURNING move_action";
        let mut set = self.db.prepare_cached(sql).map_err(act())?;
        for row in rows {
            let done = set.query_row(params![row, millis(now)], |row| row.get(0)).optional();
            self.end_move(done.map_err(act())?.flatten(), *row, now)?;
        }
        Ok(())
    }

    /// Records that messages are marked `\Deleted` on the server, where they stay.
    pub fn flagged(&self, rows: &[i64], now: Timestamp) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET state = 'archived', flagged_at = ?2
            WHERE id = ?1 AND state = 'deleting'";
        let mut set = self.db.prepare_cached(sql).map_err(sqlite("record marks"))?;
        for row in rows {
            set.execute(params![row, millis(now)]).map_err(sqlite("record marks"))?;
        }
        Ok(())
    }

    /// Takes the intent to delete back: the server refused, the messages are still there.
    pub fn undelete(&self, rows: &[i64]) -> Result<(), LedgerError> {
        self.each(
            rows,
            "UPDATE message SET state = 'archived', delete_how = '', move_action = NULL
            WHERE id = ?1 AND state = 'deleting'",
        )
    }

    /// Messages whose fate on the server is open: being fetched, held, or being deleted.
    pub fn open_messages(&self, id: MailboxId) -> Result<Vec<(i64, MessageKey)>, LedgerError> {
        let sql = "SELECT message.id, message.uid_validity, uid, generation, unique_id,
            occurrence, mailbox.name AS mailbox
            FROM message JOIN mailbox ON mailbox.id = message.mailbox_id
            WHERE mailbox_id = ?1 AND state IN ('fetching', 'held', 'deleting')";
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("read open messages"))?;
        let mut rows = get.query([id.0]).map_err(sqlite("read open messages"))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(sqlite("read open messages"))? {
            found.push((row.get("id").map_err(sqlite("read open messages"))?, key(row)?));
        }
        Ok(found)
    }

    /// Closes open messages that a complete listing no longer shows.
    pub fn close(&self, rows: &[i64], now: Timestamp) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET
            deleted_at = CASE WHEN state = 'deleting' THEN ?2 ELSE deleted_at END,
            state = CASE WHEN state = 'deleting' THEN 'deleted' ELSE 'gone' END
            WHERE id = ?1 AND state IN ('fetching', 'held', 'deleting')
            RETURNING CASE WHEN state = 'deleted' THEN move_action END";
        let mut set = self.db.prepare_cached(sql).map_err(sqlite("close messages"))?;
        for row in rows {
            let done = set.query_row(params![row, millis(now)], |row| row.get(0)).optional();
            let done: Option<Option<i64>> = done.map_err(sqlite("close messages"))?;
            self.end_move(done.flatten(), *row, now)?;
        }
        Ok(())
    }
}

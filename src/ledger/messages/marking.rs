//! Archived messages that are to be marked as read on the server, which may be cut at any point.

use jiff::Timestamp;
use rusqlite::params;

use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis};

impl Tx<'_> {
    /// Rows and UIDs of archived messages that are still to be marked, at most `most`.
    pub fn to_mark(
        &self,
        id: MailboxId,
        uid_validity: u32,
        most: u32,
    ) -> Result<Vec<(i64, u32)>, LedgerError> {
        let act = || sqlite("read what is to be marked");
        let sql = "SELECT id, uid FROM message WHERE mailbox_id = ?1 AND to_mark = 1
            AND uid_validity = ?2 AND uid > 0 AND doubtful = 0
            AND state IN ('archived', 'deleting') LIMIT ?3";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows =
            get.query_map(params![id.0, uid_validity, most], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.map_err(act())?.collect::<Result<_, _>>().map_err(act())
    }

    /// Records that the server took the marks.
    pub fn marked(&self, rows: &[i64], now: Timestamp) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET to_mark = 0, marked_at = ?2 WHERE id = ?1 AND to_mark = 1";
        let mut set = self.db.prepare_cached(sql).map_err(sqlite("record marks"))?;
        for row in rows {
            set.execute(params![row, millis(now)]).map_err(sqlite("record marks"))?;
        }
        Ok(())
    }
}

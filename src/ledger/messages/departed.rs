//! Messages that left the server without us, and what is kept of them no longer.

use jiff::Timestamp;
use rusqlite::params;

use super::row::Columns;
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis};
use crate::model::MessageKey;

impl Tx<'_> {
    /// Rows of a mailbox's copies whose messages are on the server as far as is known, ascending.
    pub fn archived_rows(&self, id: MailboxId) -> Result<Vec<i64>, LedgerError> {
        let sql = "SELECT id FROM message WHERE mailbox_id = ?1 AND state = 'archived'";
        let act = || sqlite("read what is archived");
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows = get.query_map([id.0], |row| row.get(0)).map_err(act())?;
        let mut found: Vec<i64> = rows.collect::<Result<_, _>>().map_err(act())?;
        found.sort_unstable();
        Ok(found)
    }

    /// Records that archived messages have left the server without us.
    pub fn left_server(&self, rows: &[i64], now: Timestamp) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET state = 'deleted', deleted_at = ?2, left_server = 1
            WHERE id = ?1 AND state IN ('archived', 'deleting')";
        let mut set = self.db.prepare_cached(sql).map_err(sqlite("record departures"))?;
        for row in rows {
            set.execute(params![row, millis(now)]).map_err(sqlite("record departures"))?;
        }
        Ok(())
    }

    /// Records that messages which had left are listed again, under their old identities. Their
    /// content must be proven before they may be deleted.
    pub fn returned(&self, id: MailboxId, keys: &[MessageKey]) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET state = 'archived', deleted_at = NULL, left_server = 0,
            delete_ok = 0 WHERE mailbox_id = ?1 AND uid_validity = ?2 AND uid = ?3
            AND generation = ?4 AND unique_id = ?5 AND occurrence = ?6
            AND state = 'deleted' AND left_server = 1 AND doubtful = 0";
        let mut set = self.db.prepare_cached(sql).map_err(sqlite("record returns"))?;
        for key in keys {
            let k = Columns::of(key);
            let row = params![id.0, k.uid_validity, k.uid, k.generation, k.unique_id, k.occurrence];
            set.execute(row).map_err(sqlite("record returns"))?;
        }
        Ok(())
    }

    /// Whether anything is kept of messages that are not stored, as long as they are listed.
    pub fn has_seen(&self, id: MailboxId) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM seen WHERE mailbox_id = ?1)
            OR EXISTS (SELECT 1 FROM caught_up WHERE mailbox_id = ?1)
            OR EXISTS (SELECT 1 FROM message WHERE mailbox_id = ?1 AND skipped_by <> '')";
        self.db.query_row(sql, [id.0], |row| row.get(0)).map_err(sqlite("read received dates"))
    }

    /// Forgets the received dates of messages that are not listed; `is_listed` may err on the
    /// side of keeping.
    pub fn prune_seen(
        &self,
        id: MailboxId,
        mailbox: &str,
        is_listed: impl Fn(&MessageKey) -> bool,
    ) -> Result<(), LedgerError> {
        let act = || sqlite("forget received dates");
        let sql = "SELECT uid_validity, uid, unique_id, occurrence FROM seen WHERE mailbox_id = ?1";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let mut rows = get.query([id.0]).map_err(act())?;
        let mut absent = Vec::new();
        while let Some(row) = rows.next().map_err(act())? {
            let unique_id: String = row.get(2).map_err(act())?;
            let key = if unique_id.is_empty() {
                MessageKey::Imap {
                    mailbox: mailbox.to_owned(),
                    uid_validity: row.get(0).map_err(act())?,
                    uid: row.get(1).map_err(act())?,
                    generation: 0,
                }
            } else {
                MessageKey::Pop3 { unique_id, occurrence: row.get(3).map_err(act())? }
            };
            if !is_listed(&key) {
                absent.push(key);
            }
        }
        drop(rows);
        let sql = "DELETE FROM seen WHERE mailbox_id = ?1 AND uid_validity = ?2 AND uid = ?3
            AND unique_id = ?4 AND occurrence = ?5";
        let mut forget = self.db.prepare_cached(sql).map_err(act())?;
        for key in &absent {
            let k = Columns::of(key);
            let row = params![id.0, k.uid_validity, k.uid, k.unique_id, k.occurrence];
            forget.execute(row).map_err(act())?;
        }
        Ok(())
    }
}

//! Copies that were made under another UIDVALIDITY, found again by their content.

use rusqlite::{OptionalExtension, params};

use super::placing::Placing;
use super::row::Columns;
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis};

/// A stored copy whose key is now another one.
#[derive(Clone, Debug)]
pub struct Rekeyed {
    /// Where the copy is.
    pub path: String,
}

impl Tx<'_> {
    /// Whether a mailbox holds copies under another UIDVALIDITY than this one.
    pub fn has_other_epoch(&self, id: MailboxId, uid_validity: u32) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM message WHERE mailbox_id = ?1
            AND uid_validity <> ?2 AND state IN ('archived', 'deleting', 'deleted'))";
        let found = self.db.query_row(sql, params![id.0, uid_validity], |row| row.get(0));
        found.map_err(sqlite("look for an older UIDVALIDITY"))
    }

    /// Gives a copy under an older UIDVALIDITY, with this content, its new key.
    ///
    /// Each copy is taken once, so equal messages keep a copy each. It counts as archived again:
    /// the server shows it.
    pub fn rekey(&self, id: MailboxId, to: &Placing) -> Result<Option<Rekeyed>, LedgerError> {
        let k = Columns::of(&to.key);
        let sql = "SELECT id, path FROM message WHERE mailbox_id = ?1
            AND uid_validity <> ?2 AND sha256 = ?3
            AND state IN ('archived', 'deleting', 'deleted') ORDER BY id LIMIT 1";
        let found: Option<(i64, String)> = self
            .db
            .query_row(sql, params![id.0, k.uid_validity, to.sha256.0], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(sqlite("find a copy by its content"))?;
        let Some((row, path)) = found else { return Ok(None) };
        let sql = "DELETE FROM message WHERE mailbox_id = ?1 AND uid_validity = ?2
            AND uid = ?3 AND generation = ?4 AND unique_id = ?5 AND occurrence = ?6
            AND state IN ('fetching', 'held', 'gone')";
        let at = params![id.0, k.uid_validity, k.uid, k.generation, k.unique_id, k.occurrence];
        self.db.execute(sql, at).map_err(sqlite("re-key a message"))?;
        let sql = "UPDATE message SET uid_validity = ?2, uid = ?3, generation = ?4,
            unique_id = ?5, occurrence = ?6, state = 'archived', listed_size = ?7,
            internal_date = ?8, deleted_at = NULL, flagged_at = NULL, delete_how = '' WHERE id = ?1";
        let set = params![
            row,
            k.uid_validity,
            k.uid,
            k.generation,
            k.unique_id,
            k.occurrence,
            to.listed_size.map(|size| i64::try_from(size).unwrap_or(i64::MAX)),
            to.internal_date.map(millis),
        ];
        self.db.execute(sql, set).map_err(sqlite("re-key a message"))?;
        Ok(Some(Rekeyed { path }))
    }
}

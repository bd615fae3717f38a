//! Copies whose keys are out of date, found again by their content.
//!
//! That is: under another UIDVALIDITY, of a server or user that the account had before, of
//! unique-ids that have all changed, or in a mailbox that has another name now.

use rusqlite::{OptionalExtension, params};

use super::back_under_new_keys;
use super::placing::Placing;
use super::row::Columns;
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis};

/// A stored copy whose key is now another one.
#[derive(Clone, Debug)]
pub struct Rekeyed {
    /// Row of the copy.
    pub row: i64,
    /// Where the copy is.
    pub path: String,
}

impl Tx<'_> {
    /// Whether a mailbox, or one of `others`, holds copies whose keys are out of date.
    pub fn has_former(
        &self,
        id: MailboxId,
        uid_validity: u32,
        others: &[MailboxId],
    ) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM message WHERE mailbox_id = ?1
            AND (mailbox_id <> ?2 OR uid_validity <> ?3 OR doubtful = 1)
            AND state IN ('archived', 'deleting', 'deleted'))";
        let act = || sqlite("look for older identities");
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        for from in [&id].into_iter().chain(others) {
            let found = get.query_row(params![from.0, id.0, uid_validity], |row| row.get(0));
            if found.map_err(act())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gives a copy with an older key, with this content, its new key; looked for in the mailbox
    /// itself, then in `others`.
    ///
    /// Each copy is taken once, so equal messages keep a copy each. It counts as archived again:
    /// the server shows it, and its content is proven.
    pub fn rekey(
        &self,
        id: MailboxId,
        others: &[MailboxId],
        to: &Placing,
    ) -> Result<Option<Rekeyed>, LedgerError> {
        let k = Columns::of(&to.key);
        let sql = "SELECT id, path FROM message WHERE mailbox_id = ?1 AND sha256 = ?2
            AND (mailbox_id <> ?3 OR uid_validity <> ?4 OR doubtful = 1)
            AND state IN ('archived', 'deleting', 'deleted')
            ORDER BY uid = ?5 AND unique_id = ?6 DESC, id LIMIT 1";
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("find a copy by its content"))?;
        let mut found: Option<(i64, String)> = None;
        for from in [&id].into_iter().chain(others) {
            let of = params![from.0, to.sha256.0, id.0, k.uid_validity, k.uid, k.unique_id];
            found = get
                .query_row(of, |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
                .map_err(sqlite("find a copy by its content"))?;
            if found.is_some() {
                break;
            }
        }
        let Some((row, path)) = found else { return Ok(None) };
        let sql = "DELETE FROM message WHERE mailbox_id = ?1 AND uid_validity = ?2
            AND uid = ?3 AND generation = ?4 AND unique_id = ?5 AND occurrence = ?6
            AND state IN ('fetching', 'held', 'gone') AND doubtful = 0";
        let at = params![id.0, k.uid_validity, k.uid, k.generation, k.unique_id, k.occurrence];
        self.db.execute(sql, at).map_err(sqlite("re-key a message"))?;
        let former = self.former_key(row)?;
        let sql = concat!(
            "UPDATE message SET uid_validity = ?2, uid = ?3, generation = ?4,
            unique_id = ?5, occurrence = ?6, ",
            back_under_new_keys!(),
            "listed_size = ?7,
            internal_date = ?8, flagged_at = NULL, delete_how = '',
            mailbox_id = ?9, delete_ok = ?10,
            header_sha256 = coalesce(?11, header_sha256), doubtful = 0, left_server = 0,
            cut = cut OR ?12 WHERE id = ?1"
        );
        let set = params![
            row,
            k.uid_validity,
            k.uid,
            k.generation,
            k.unique_id,
            k.occurrence,
            to.listed_size.map(|size| i64::try_from(size).unwrap_or(i64::MAX)),
            to.internal_date.map(millis),
            id.0,
            to.alone,
            to.header.map(|digest| digest.0),
            to.cut,
        ];
        self.db.execute(sql, set).map_err(sqlite("re-key a message"))?;
        self.leave(row, former)?;
        Ok(Some(Rekeyed { row, path }))
    }
}

//! Received dates of messages that the server doesn't date, learnt before the fetch and kept.

use rusqlite::{OptionalExtension, params};

use super::row::Columns;
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis, timestamp};
use crate::model::{MessageKey, Received, ReceivedBasis};

impl Tx<'_> {
    /// Received dates that were learnt before the fetch.
    pub fn seen(
        &self,
        id: MailboxId,
        keys: &[MessageKey],
    ) -> Result<Vec<Option<Received>>, LedgerError> {
        let sql = "SELECT received, basis FROM seen WHERE mailbox_id = ?1
            AND uid_validity = ?2 AND uid = ?3 AND unique_id = ?4 AND occurrence = ?5";
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("read received dates"))?;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let k = Columns::of(key);
            let at = params![id.0, k.uid_validity, k.uid, k.unique_id, k.occurrence];
            let row =
                get.query_row(at, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
            let row = row.optional().map_err(sqlite("read received dates"))?;
            found.push(row.and_then(|(at, basis)| {
                Some(Received { at: timestamp(at), basis: ReceivedBasis::parse(&basis)? })
            }));
        }
        Ok(found)
    }

    /// Keeps received dates that were learnt before the fetch.
    pub fn set_seen(
        &self,
        id: MailboxId,
        dates: &[(MessageKey, Received)],
    ) -> Result<(), LedgerError> {
        let sql = "INSERT INTO seen
            (mailbox_id, uid_validity, uid, unique_id, occurrence, received, basis)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT (mailbox_id, uid_validity, uid, unique_id, occurrence) DO NOTHING";
        let mut put = self.db.prepare_cached(sql).map_err(sqlite("keep received dates"))?;
        for (key, received) in dates {
            let k = Columns::of(key);
            let basis = received.basis.as_str();
            put.execute(params![
                id.0,
                k.uid_validity,
                k.uid,
                k.unique_id,
                k.occurrence,
                millis(received.at),
                basis
            ])
            .map_err(sqlite("keep received dates"))?;
        }
        Ok(())
    }
}

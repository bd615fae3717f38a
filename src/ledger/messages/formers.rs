//! Copies whose keys are out of date, found again by what the server tells without the content.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};

use super::row::Columns;
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis, timestamp};
use crate::model::{Former, MessageKey, Sha256, Sighting};

impl Tx<'_> {
    /// Copies with out-of-date keys of messages that were listed with one of these sizes, of the
    /// mailbox itself and of `others`; those whose header section isn't known are left out.
    pub fn formers(
        &self,
        id: MailboxId,
        uid_validity: u32,
        others: &[MailboxId],
        sizes: &BTreeSet<u64>,
    ) -> Result<Vec<Former>, LedgerError> {
        let act = || sqlite("read older identities");
        let sql = "SELECT id, listed_size, internal_date, header_sha256 FROM message
            WHERE mailbox_id = ?1 AND listed_size = ?2 AND header_sha256 IS NOT NULL
            AND (mailbox_id <> ?3 OR uid_validity <> ?4 OR doubtful = 1)
            AND state IN ('archived', 'deleting', 'deleted')";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let mut found = Vec::new();
        for from in [&id].into_iter().chain(others) {
            for size in sizes {
                let size = i64::try_from(*size).unwrap_or(i64::MAX);
                let mut rows =
                    get.query(params![from.0, size, id.0, uid_validity]).map_err(act())?;
                while let Some(row) = rows.next().map_err(act())? {
                    let size: Option<i64> = row.get(1).map_err(act())?;
                    let date: Option<i64> = row.get(2).map_err(act())?;
                    let header: Vec<u8> = row.get(3).map_err(act())?;
                    let Some(header) = Sha256::from_slice(&header) else { continue };
                    found.push(Former {
                        row: row.get(0).map_err(act())?,
                        size: size.and_then(|size| u64::try_from(size).ok()),
                        internal_date: date.map(timestamp),
                        header,
                    });
                }
            }
        }
        Ok(found)
    }

    /// Gives copies the keys under which their messages are listed now, as far as facts tell:
    /// none of them may be deleted before its content is proven. Returns how many.
    pub fn rekey_by_facts(
        &self,
        id: MailboxId,
        pairs: &[(Sighting, i64)],
    ) -> Result<u32, LedgerError> {
        let act = || sqlite("re-key messages");
        let begun = "DELETE FROM message WHERE mailbox_id = ?1 AND uid_validity = ?2 AND uid = ?3
            AND unique_id = ?4 AND (?5 OR occurrence = ?6)
            AND state IN ('fetching', 'held', 'gone')";
        let mut give_way = self.db.prepare_cached(begun).map_err(act())?;
        let sql = "UPDATE message SET mailbox_id = ?2, uid_validity = ?3, uid = ?4,
            generation = ?5, unique_id = ?6, occurrence = ?7, state = 'archived',
            listed_size = ?8, internal_date = ?9, deleted_at = NULL, delete_ok = 0, doubtful = 0,
            left_server = 0 WHERE id = ?1";
        let mut set = self.db.prepare_cached(sql).map_err(act())?;
        let mut done = 0_u32;
        for (sighting, row) in pairs {
            let k = Columns::of(&sighting.key);
            let at =
                params![id.0, k.uid_validity, k.uid, k.unique_id, sighting.alone, k.occurrence];
            give_way.execute(at).map_err(act())?;
            let Some(key) = self.free_key(id, sighting, *row)? else { continue };
            let k = Columns::of(&key);
            let to = params![
                row,
                id.0,
                k.uid_validity,
                k.uid,
                k.generation,
                k.unique_id,
                k.occurrence,
                sighting.size.map(|size| i64::try_from(size).unwrap_or(i64::MAX)),
                sighting.internal_date.map(millis),
            ];
            set.execute(to).map_err(act())?;
            done = done.saturating_add(1);
        }
        Ok(done)
    }

    /// The key for a copy of a listed message: the one that the server lists, or, where another
    /// message's copy has that, the next that is free; `None` where there is none to give.
    fn free_key(
        &self,
        id: MailboxId,
        sighting: &Sighting,
        row: i64,
    ) -> Result<Option<MessageKey>, LedgerError> {
        let act = || sqlite("look for a free identity");
        let k = Columns::of(&sighting.key);
        let sql = "SELECT generation + occurrence, id FROM message WHERE mailbox_id = ?1
            AND uid_validity = ?2 AND uid = ?3 AND unique_id = ?4
            AND (?5 OR occurrence = ?6) ORDER BY generation + occurrence DESC LIMIT 1";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let of = params![id.0, k.uid_validity, k.uid, k.unique_id, sighting.alone, k.occurrence];
        let newest: Option<(u32, i64)> =
            get.query_row(of, |row| Ok((row.get(0)?, row.get(1)?))).optional().map_err(act())?;
        Ok(match newest {
            None => Some(sighting.key.clone()),
            Some((turn, newest)) if newest == row => Some(sighting.key.with_turn(turn)),
            Some((turn, _)) if sighting.alone => Some(sighting.key.with_turn(turn).next()),
            Some(_) => None,
        })
    }

    /// Records that the keys of copies may mean other messages by now.
    pub fn doubt(&self, rows: &[i64]) -> Result<(), LedgerError> {
        self.each(rows, "UPDATE message SET doubtful = 1, delete_ok = 0 WHERE id = ?1")
    }

    /// Records that all of a mailbox's keys may mean other messages by now; what has no copy yet
    /// is forgotten.
    pub fn doubt_all(&self, id: MailboxId) -> Result<(), LedgerError> {
        let act = || sqlite("doubt older identities");
        let sql = "UPDATE message SET doubtful = 1, delete_ok = 0,
            state = CASE WHEN state = 'deleting' THEN 'archived' ELSE state END
            WHERE mailbox_id = ?1 AND state IN ('archived', 'deleting', 'deleted')";
        self.db.execute(sql, [id.0]).map_err(act())?;
        let sql = "DELETE FROM message WHERE mailbox_id = ?1
            AND state IN ('fetching', 'held', 'gone')";
        self.db.execute(sql, [id.0]).map_err(act())?;
        let sql = "UPDATE mailbox SET listed_at = NULL WHERE id = ?1";
        self.db.execute(sql, [id.0]).map_err(act())?;
        self.db.execute("DELETE FROM seen WHERE mailbox_id = ?1", [id.0]).map_err(act())?;
        Ok(())
    }
}

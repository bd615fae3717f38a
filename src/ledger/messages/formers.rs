//! Copies whose keys are out of date, found again by what the server tells without the content.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Row, params};

use super::back_under_new_keys;
use super::row::Columns;
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis, timestamp};
use crate::model::{Former, MessageKey, Sha256, Sighting};

/// Attempts under a key; the statements keep to the columns' index, and all rows of a maildrop have
/// the same UID.
const BEGUN_IMAP: &str = "DELETE FROM message WHERE mailbox_id = ?1 AND uid_validity = ?2
    AND uid = ?3 AND unique_id = ?4 AND (?5 OR occurrence = ?6)
    AND state IN ('fetching', 'held', 'gone') AND doubtful = 0";
const BEGUN_POP3: &str = "DELETE FROM message WHERE mailbox_id = ?1 AND uid_validity = ?2
    AND uid = ?3 AND generation = 0 AND unique_id = ?4 AND (?5 OR occurrence = ?6)
    AND state IN ('fetching', 'held', 'gone') AND doubtful = 0";
/// The newest row of an identity.
const NEWEST_IMAP: &str = "SELECT generation, id FROM message WHERE mailbox_id = ?1
    AND uid_validity = ?2 AND uid = ?3 AND unique_id = ?4 AND (?5 OR occurrence = ?6)
    ORDER BY generation DESC LIMIT 1";
const NEWEST_POP3: &str = "SELECT occurrence, id FROM message WHERE mailbox_id = ?1
    AND uid_validity = ?2 AND uid = ?3 AND generation = 0 AND unique_id = ?4
    AND (?5 OR occurrence = ?6) ORDER BY occurrence DESC LIMIT 1";

/// The columns of a key that a copy had.
#[derive(Debug)]
pub(super) struct FormerKey {
    mailbox: i64,
    uid_validity: u32,
    uid: u32,
    generation: u32,
    unique_id: String,
    occurrence: u32,
}

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
        let sql = concat!(
            "UPDATE message SET mailbox_id = ?2, uid_validity = ?3, uid = ?4,
            generation = ?5, unique_id = ?6, occurrence = ?7, ",
            back_under_new_keys!(),
            "listed_size = ?8, internal_date = ?9, delete_ok = 0, doubtful = 0,
            left_server = 0, flagged_at = NULL, delete_how = '' WHERE id = ?1"
        );
        let mut set = self.db.prepare_cached(sql).map_err(act())?;
        let mut done = 0_u32;
        for (sighting, row) in pairs {
            let k = Columns::of(&sighting.key);
            let at =
                params![id.0, k.uid_validity, k.uid, k.unique_id, sighting.alone, k.occurrence];
            let give_way = if k.uid > 0 { BEGUN_IMAP } else { BEGUN_POP3 };
            self.db.prepare_cached(give_way).map_err(act())?.execute(at).map_err(act())?;
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
            let former = self.former_key(*row)?;
            set.execute(to).map_err(act())?;
            self.leave(*row, former)?;
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
        let newest = if k.uid > 0 { NEWEST_IMAP } else { NEWEST_POP3 };
        let mut get = self.db.prepare_cached(newest).map_err(act())?;
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

    /// The key that a copy is about to lose, if its folder has its name by it.
    pub(super) fn former_key(&self, row: i64) -> Result<Option<FormerKey>, LedgerError> {
        let sql = "SELECT mailbox_id, uid_validity, uid, generation, unique_id, occurrence
            FROM message WHERE id = ?1 AND moved = 0";
        let read = |row: &Row<'_>| {
            Ok(FormerKey {
                mailbox: row.get(0)?,
                uid_validity: row.get(1)?,
                uid: row.get(2)?,
                generation: row.get(3)?,
                unique_id: row.get(4)?,
                occurrence: row.get(5)?,
            })
        };
        self.db.query_row(sql, [row], read).optional().map_err(sqlite("read a former identity"))
    }

    /// Keeps the key that a copy has lost from being given to another message: the copy's folder
    /// has its name by it for ever.
    pub(super) fn leave(&self, row: i64, former: Option<FormerKey>) -> Result<(), LedgerError> {
        let Some(key) = former else { return Ok(()) };
        let act = || sqlite("keep a former identity");
        let sql = "INSERT INTO message (mailbox_id, uid_validity, uid, generation, unique_id,
            occurrence, state, first_seen, doubtful)
            SELECT ?2, ?3, ?4, ?5, ?6, ?7, 'gone', first_seen, 1 FROM message WHERE id = ?1
            ON CONFLICT (mailbox_id, uid_validity, uid, generation, unique_id, occurrence)
            DO NOTHING";
        let FormerKey { mailbox, uid_validity, uid, generation, unique_id, occurrence } = key;
        let of = params![row, mailbox, uid_validity, uid, generation, unique_id, occurrence];
        let kept = self.db.prepare_cached(sql).and_then(|mut put| put.execute(of));
        // Where the copy keeps its key, its own row is in the way.
        if kept.map_err(act())? > 0 {
            self.each(&[row], "UPDATE message SET moved = 1 WHERE id = ?1")?;
        }
        Ok(())
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
            AND state IN ('fetching', 'held', 'gone') AND doubtful = 0";
        self.db.execute(sql, [id.0]).map_err(act())?;
        self.end_catch_ups(id)?;
        let sql = "UPDATE mailbox SET listed_at = NULL WHERE id = ?1";
        self.db.execute(sql, [id.0]).map_err(act())?;
        self.db.execute("DELETE FROM seen WHERE mailbox_id = ?1", [id.0]).map_err(act())?;
        Ok(())
    }
}

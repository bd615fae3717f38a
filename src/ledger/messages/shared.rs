//! Messages that share a unique-id: which row is whose, as far as sizes tell.
//!
//! Positions in a listing shift when one of them goes, so that a position names no message. Each is
//! the next row with its size; one that has none is fetched under an occurrence that nothing had,
//! and compared with all copies of the unique-id.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Rows, params};

use super::placing::Placing;
use super::reuse::Restated;
use super::row::{Columns, state};
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis, timestamp};
use crate::model::{KnownState, Listed, MessageKey};

/// The rows of one unique-id, as they are given to the messages of one window.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The highest occurrence of a row or of the window.
    highest: u32,
    any: bool,
    by_size: BTreeMap<i64, VecDeque<KnownState>>,
}

impl Shared {
    /// Reads rows, the highest occurrence first. What left the server and what is in doubt is given
    /// to no message: content decides.
    pub(super) fn read(
        key: &MessageKey,
        listed: &[Listed],
        mut rows: Rows<'_>,
    ) -> Result<Self, LedgerError> {
        let act = || sqlite("read messages");
        let same = listed.iter().filter(|other| other.key.with_turn(0) == key.with_turn(0));
        let highest = same.map(|other| other.key.turn()).max().unwrap_or(0);
        let mut shared = Self { highest, ..Self::default() };
        while let Some(row) = rows.next().map_err(act())? {
            let turn: u32 = row.get("turn").map_err(act())?;
            shared.highest = shared.highest.max(turn);
            shared.any = true;
            let word: String = row.get("state").map_err(act())?;
            let doubtful: bool = row.get("doubtful").map_err(act())?;
            let size: Option<i64> = row.get("listed_size").map_err(act())?;
            let Some(size) = size.filter(|_| !doubtful && word != "deleted") else { continue };
            let key = key.with_turn(turn);
            let retry_at: Option<i64> = row.get("retry_at").map_err(act())?;
            let begun = KnownState::Held {
                key: key.clone(),
                attempts: row.get("failures").map_err(act())?,
                retry_at: retry_at.map_or(Timestamp::MIN, timestamp),
            };
            let state = state(row, key)?.unwrap_or(begun);
            if matches!(state, KnownState::Skipped { .. }) {
                continue;
            }
            shared.by_size.entry(size).or_default().push_front(state);
        }
        Ok(shared)
    }

    /// What is known of the next message of a size that is listed.
    pub(super) fn take(&mut self, listed: &Listed) -> Option<KnownState> {
        let size = listed.size.and_then(|size| i64::try_from(size).ok());
        let found = size.and_then(|size| self.by_size.get_mut(&size)?.pop_front());
        let turn = self.highest.saturating_add(listed.key.turn());
        found.or_else(|| self.any.then(|| KnownState::Other { key: listed.key.with_turn(turn) }))
    }
}

impl Tx<'_> {
    /// Keeps the listed sizes of messages whose fetch was begun and that share their unique-ids.
    pub fn note_sizes(
        &self,
        id: MailboxId,
        sizes: &[(MessageKey, u64)],
    ) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET listed_size = ?4 WHERE mailbox_id = ?1 AND uid_validity = 0
            AND uid = 0 AND generation = 0 AND unique_id = ?2 AND occurrence = ?3
            AND state = 'fetching'";
        let mut set = self.db.prepare_cached(sql).map_err(sqlite("keep sizes"))?;
        for (key, size) in sizes {
            let k = Columns::of(key);
            let size = i64::try_from(*size).unwrap_or(i64::MAX);
            let row = params![id.0, k.unique_id, k.occurrence, size];
            set.execute(row).map_err(sqlite("keep sizes"))?;
        }
        Ok(())
    }

    /// Finds the copy of a message that shares its unique-id and has its content: one that had left
    /// the server, or that was listed with another size. None of them may be deleted.
    pub(super) fn restate_shared(
        &self,
        id: MailboxId,
        to: &Placing,
    ) -> Result<Option<Restated>, LedgerError> {
        let act = || sqlite("restate a message");
        let k = Columns::of(&to.key);
        let size = to.listed_size.map(|size| i64::try_from(size).unwrap_or(i64::MAX));
        let sql = "SELECT id, path FROM message WHERE mailbox_id = ?1 AND uid_validity = 0
            AND uid = 0 AND generation = 0 AND unique_id = ?2 AND sha256 = ?3 AND doubtful = 0
            AND (state = 'deleted'
                OR (state IN ('archived', 'deleting') AND listed_size IS NOT ?4))
            ORDER BY state = 'deleted' DESC, occurrence LIMIT 1";
        let of = params![id.0, k.unique_id, to.sha256.0, size];
        let found: Option<(i64, String)> = self
            .db
            .query_row(sql, of, |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(act())?;
        let Some((row, path)) = found else { return Ok(None) };
        let sql = "DELETE FROM message WHERE mailbox_id = ?1 AND uid_validity = 0 AND uid = 0
            AND generation = 0 AND unique_id = ?2 AND occurrence = ?3
            AND state IN ('fetching', 'held', 'gone') AND doubtful = 0";
        self.db.execute(sql, params![id.0, k.unique_id, k.occurrence]).map_err(act())?;
        let sql = "UPDATE message SET state = 'archived', listed_size = ?2, internal_date = ?3,
            header_sha256 = coalesce(?4, header_sha256), deleted_at = NULL, flagged_at = NULL,
            delete_how = '', delete_ok = 0, left_server = 0 WHERE id = ?1";
        let header = to.header.map(|digest| digest.0);
        let set = params![row, size, to.internal_date.map(millis), header];
        self.db.execute(sql, set).map_err(act())?;
        Ok(Some(Restated { row, path }))
    }
}

//! Messages: from the first attempt to fetch one to the proof that it has left the server.
//!
//! States: `fetching` (an attempt was begun), `held` (it failed, is retried), `placing` (its copy
//! is synced in the stage, the rename is about to happen), `archived` (its copy is durable in the
//! tree), `deleting` (a delete may have left this host), `deleted`, `gone` (it left the server
//! without us; or, with `skipped_by`, a rule left it out of the archive).

mod absent;
mod adopting;
mod attempts;
mod copies;
mod counts;
mod deleting;
mod departed;
mod explain;
mod formers;
mod marking;
mod placing;
mod poison;
mod rekey;
mod reuse;
mod row;
mod seen;
mod shared;
mod skipped;

use std::collections::BTreeMap;

use rusqlite::params;

use super::error::{LedgerError, sqlite};
use super::mailboxes::MailboxId;
use super::tx::Tx;
use crate::model::{Known, KnownState, Listed, MessageKey};

pub use adopting::{Adopted, Adoption, Proof, Shelf};
pub use attempts::{Begun, HeldMessage};
pub use copies::CopyRow;
pub use counts::{Counts, DueBefore};
pub use explain::{Trail, message_id_number};
pub use placing::{Placing, PlacingRow};
pub use rekey::Rekeyed;
pub use reuse::Restated;
use row::{Columns, state};
use shared::Shared;
pub use skipped::LeftOut;

/// By how much the wall clock has leapt since a message was archived.
macro_rules! leaps {
    () => {
        "coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'clock-leaps'), 0) \
         - message.clock_leaps AS leaps"
    };
}

use leaps;

/// State and end of a copy that got new keys: it is stored as before. One whose mail we had deleted
/// and a person has put back stays deleted, so that no rule deletes it again.
macro_rules! back_under_new_keys {
    () => {
        "state = CASE WHEN state = 'deleted' AND EXISTS (SELECT 1 FROM restored \
         WHERE restored.sha256 = message.sha256) THEN 'deleted' ELSE 'archived' END, \
         deleted_at = CASE WHEN state = 'deleted' AND EXISTS (SELECT 1 FROM restored \
         WHERE restored.sha256 = message.sha256) THEN deleted_at END, "
    };
}
use back_under_new_keys;

/// What all that ask for known messages read.
macro_rules! known_columns {
    () => {
        concat!(
            " AS turn, state, failures, retry_at, path, sha256, json_sha256, size, listed_size, \
             internal_date, received, archived_at, delete_ok, cut, flagged_at, own, doubtful, \
             left_server, skipped_by, skipped_at, ",
            leaps!(),
            " FROM message WHERE mailbox_id = ?1 "
        )
    };
}

/// All generations of a UID, the newest first; all statements keep to the columns' index.
const KNOWN_IMAP: &str = concat!(
    "SELECT id, generation",
    known_columns!(),
    "AND uid_validity = ?2 AND uid = ?3
    AND unique_id = '' AND occurrence = 0 ORDER BY generation DESC"
);
/// One of several messages that share a unique-id and whose sizes aren't known.
const KNOWN_SHARED: &str = concat!(
    "SELECT id, occurrence",
    known_columns!(),
    "AND uid_validity = 0 AND uid = 0 AND generation = 0
    AND unique_id = ?2 AND occurrence = ?3"
);
/// All that had a unique-id which is listed once, the newest first.
const KNOWN_ALONE: &str = concat!(
    "SELECT id, occurrence",
    known_columns!(),
    "AND uid_validity = 0 AND uid = 0 AND generation = 0
    AND unique_id = ?2 ORDER BY occurrence DESC"
);

impl Tx<'_> {
    /// What is known of messages by their keys, all of one mailbox; those of POP3 as of messages
    /// that may share their unique-ids.
    pub fn known(&self, id: MailboxId, keys: &[MessageKey]) -> Result<Known, LedgerError> {
        let listed = |key: &MessageKey| Listed {
            key: key.clone(),
            number: 0,
            alone: key.mailbox().is_some(),
            size: None,
            internal_date: None,
            received: None,
            flags: Vec::new(),
        };
        self.known_listed(id, &keys.iter().map(listed).collect::<Vec<_>>())
    }

    /// What is known of the messages that a server lists, all of one mailbox.
    ///
    /// Of an identity that was used again: what is known of its newest message. An attempt at that
    /// one which came to nothing says nothing, so what it was begun beside still counts. Where
    /// several copies stand under one unique-id, none may be deleted before its content is proven.
    pub fn known_listed(&self, id: MailboxId, listed: &[Listed]) -> Result<Known, LedgerError> {
        let act = || sqlite("read messages");
        let mut imap = self.db.prepare_cached(KNOWN_IMAP).map_err(act())?;
        let mut shared = self.db.prepare_cached(KNOWN_SHARED).map_err(act())?;
        let mut alone = self.db.prepare_cached(KNOWN_ALONE).map_err(act())?;
        let mut known = Known::new();
        let mut groups: BTreeMap<&str, Shared> = BTreeMap::new();
        for message in listed {
            let Listed { key, alone: is_alone, .. } = message;
            let k = Columns::of(key);
            if key.mailbox().is_none() && !is_alone && message.size.is_some() {
                if !groups.contains_key(k.unique_id) {
                    let rows = alone.query(params![id.0, k.unique_id]).map_err(act())?;
                    groups.insert(k.unique_id, Shared::read(key, listed, rows)?);
                }
                let taken = groups.get_mut(k.unique_id).and_then(|group| group.take(message));
                known.extend(taken.map(|state| (key.clone(), state)));
                continue;
            }
            let found = match key {
                MessageKey::Imap { .. } => imap.query(params![id.0, k.uid_validity, k.uid]),
                MessageKey::Pop3 { .. } if *is_alone => alone.query(params![id.0, k.unique_id]),
                MessageKey::Pop3 { .. } => shared.query(params![id.0, k.unique_id, k.occurrence]),
            };
            let mut rows = found.map_err(act())?;
            let mut newest = None;
            while let Some(row) = rows.next().map_err(act())? {
                let of = key.with_turn(row.get("turn").map_err(act())?);
                match (&mut newest, state(row, of)?) {
                    (None, state) => newest = state,
                    (Some(KnownState::Stored(copy)), Some(KnownState::Stored(_))) => {
                        copy.delete_ok &= key.mailbox().is_some();
                    }
                    _ => {}
                }
            }
            if let Some(state) = newest {
                known.insert(key.clone(), state);
            }
        }
        self.add_caught_up(id, listed, &mut known)?;
        let (open, unknown) = (self.are_actions_open()?, self.are_actions_unknown()?);
        for state in known.values_mut().filter(|_| open || unknown) {
            if let KnownState::Stored(copy) = state {
                self.note_actions(copy)?;
            }
        }
        Ok(known)
    }

    fn each(&self, rows: &[i64], statement: &'static str) -> Result<(), LedgerError> {
        let mut set = self.db.prepare_cached(statement).map_err(sqlite("update messages"))?;
        for row in rows {
            set.execute([row]).map_err(sqlite("update messages"))?;
        }
        Ok(())
    }
}

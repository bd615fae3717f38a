//! Messages: from the first attempt to fetch one to the proof that it has left the server.
//!
//! States: `fetching` (an attempt was begun), `held` (it failed, is retried), `placing` (its copy
//! is synced in the stage, the rename is about to happen), `archived` (its copy is durable in the
//! tree), `deleting` (a delete may have left this host), `deleted`, `gone` (it left the server
//! without us).

mod attempts;
mod counts;
mod deleting;
mod placing;
mod rekey;
mod reuse;
mod row;
mod seen;

use rusqlite::params;

use super::error::{LedgerError, sqlite};
use super::mailboxes::MailboxId;
use super::tx::Tx;
use crate::model::{Known, MessageKey};

pub use attempts::HeldMessage;
pub use counts::{Counts, DueBefore};
pub use placing::{Placing, PlacingRow};
pub use rekey::Rekeyed;
pub use reuse::Restated;
use row::{Columns, state};

/// All generations of a UID, the newest first; both statements keep to the columns' index.
const KNOWN_IMAP: &str = "SELECT id, generation, state, failures, retry_at, path, sha256,
    json_sha256, size, listed_size, internal_date, received, archived_at, delete_ok,
    flagged_at FROM message
    WHERE mailbox_id = ?1 AND uid_validity = ?2 AND uid = ?3
    AND unique_id = '' AND occurrence = 0 ORDER BY generation DESC";
const KNOWN_POP3: &str = "SELECT id, generation, state, failures, retry_at, path, sha256,
    json_sha256, size, listed_size, internal_date, received, archived_at, delete_ok,
    flagged_at FROM message
    WHERE mailbox_id = ?1 AND uid_validity = 0 AND uid = 0 AND generation = 0
    AND unique_id = ?2 AND occurrence = ?3";

impl Tx<'_> {
    /// What is known of the messages that a server lists under these keys, all of one mailbox.
    ///
    /// Of a UID that was used again: what is known of its newest generation. An attempt at that
    /// one which came to nothing says nothing, so what it was begun beside still counts.
    pub fn known(&self, id: MailboxId, keys: &[MessageKey]) -> Result<Known, LedgerError> {
        let act = || sqlite("read messages");
        let mut imap = self.db.prepare_cached(KNOWN_IMAP).map_err(act())?;
        let mut pop3 = self.db.prepare_cached(KNOWN_POP3).map_err(act())?;
        let mut known = Known::new();
        for key in keys {
            let k = Columns::of(key);
            let found = match key {
                MessageKey::Imap { .. } => imap.query(params![id.0, k.uid_validity, k.uid]),
                MessageKey::Pop3 { .. } => pop3.query(params![id.0, k.unique_id, k.occurrence]),
            };
            let mut rows = found.map_err(act())?;
            while let Some(row) = rows.next().map_err(act())? {
                let generation = row.get("generation").map_err(act())?;
                if let Some(state) = state(row, key.with_generation(generation))? {
                    known.insert(key.clone(), state);
                    break;
                }
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

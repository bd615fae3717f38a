//! Identities that a server gave to another message: generations of a UID under the same
//! UIDVALIDITY, occurrences of a unique-id.
//!
//! RFC 9051 §2.3.1.1 forbids it; servers whose index was lost, and bridges, do it all the same.

use rusqlite::{OptionalExtension, params};

use super::placing::Placing;
use super::row::Columns;
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis};
use crate::model::MessageKey;

/// A stored copy of which the server now lists another size or date.
#[derive(Clone, Debug)]
pub struct Restated {
    /// Row of the copy.
    pub row: i64,
    /// Where the copy is.
    pub path: String,
}

/// Both statements keep to the columns' index: all rows of a maildrop have the same UID.
const OLDER_IMAP: &str = "SELECT id, path, generation FROM message WHERE mailbox_id = ?1
    AND uid_validity = ?2 AND uid = ?3 AND unique_id = ?4 AND generation < ?5 AND sha256 = ?6
    AND state IN ('archived', 'deleting', 'deleted') ORDER BY generation DESC LIMIT 1";
const OLDER_POP3: &str = "SELECT id, path, occurrence FROM message WHERE mailbox_id = ?1
    AND uid_validity = ?2 AND uid = ?3 AND generation = 0 AND unique_id = ?4
    AND occurrence < ?5 AND sha256 = ?6
    AND state IN ('archived', 'deleting', 'deleted') ORDER BY occurrence DESC LIMIT 1";

impl Tx<'_> {
    /// Finds the copy of a message that was fetched as a new generation of its UID and has the
    /// content of an older one: keeps what the server lists of it now.
    ///
    /// It counts as archived again, since the server shows it, and its identity is proven. If
    /// other messages had the identity in between, the copy gets the new generation, so that it
    /// is the newest; they have left.
    pub fn restate(&self, id: MailboxId, to: &Placing) -> Result<Option<Restated>, LedgerError> {
        if !to.alone {
            return self.restate_shared(id, to);
        }
        let k = Columns::of(&to.key);
        let act = || sqlite("restate a message");
        let sql = match to.key {
            MessageKey::Imap { .. } => OLDER_IMAP,
            MessageKey::Pop3 { .. } => OLDER_POP3,
        };
        let turn = to.key.turn();
        let of = params![id.0, k.uid_validity, k.uid, k.unique_id, turn, to.sha256.0];
        let found: Option<(i64, String, u32)> = self
            .db
            .query_row(sql, of, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()
            .map_err(act())?;
        let Some((row, path, found)) = found else { return Ok(None) };
        let is_newest = found.saturating_add(1) == turn;
        let to_turn = to.key.with_turn(if is_newest { found } else { turn });
        let kept = Columns::of(&to_turn);
        self.forget_attempt(id, &to.key)?;
        let sql = "UPDATE message SET generation = ?2, occurrence = ?3, state = 'archived',
            listed_size = ?4, internal_date = ?5, header_sha256 = coalesce(?6, header_sha256),
            deleted_at = NULL, flagged_at = NULL, delete_how = '', delete_ok = 1, cut = ?7,
            doubtful = 0, left_server = 0 WHERE id = ?1";
        let set = params![
            row,
            kept.generation,
            kept.occurrence,
            to.listed_size.map(|size| i64::try_from(size).unwrap_or(i64::MAX)),
            to.internal_date.map(millis),
            to.header.map(|digest| digest.0),
            to.cut,
        ];
        self.db.execute(sql, set).map_err(act())?;
        self.supersede(row)?;
        Ok(Some(Restated { row, path }))
    }

    /// Forgets that a message was fetched, or held: it is none to be stored.
    pub(in crate::ledger) fn forget_attempt(
        &self,
        id: MailboxId,
        key: &MessageKey,
    ) -> Result<(), LedgerError> {
        let k = Columns::of(key);
        let sql = "DELETE FROM message WHERE mailbox_id = ?1 AND uid_validity = ?2 AND uid = ?3
            AND generation = ?4 AND unique_id = ?5 AND occurrence = ?6
            AND state IN ('fetching', 'held', 'gone') AND doubtful = 0";
        let begun = params![id.0, k.uid_validity, k.uid, k.generation, k.unique_id, k.occurrence];
        self.db.execute(sql, begun).map_err(sqlite("forget an attempt"))?;
        Ok(())
    }

    /// Records that the messages which had a message's UID before it have left the server.
    pub(super) fn supersede(&self, row: i64) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET state = 'deleted', deleted_at = newer.archived_at,
            left_server = 1
            FROM message AS newer WHERE newer.id = ?1
            AND message.mailbox_id = newer.mailbox_id
            AND message.uid_validity = newer.uid_validity AND message.uid = newer.uid
            AND message.generation < newer.generation AND newer.uid <> 0
            AND message.state IN ('archived', 'deleting')";
        self.db.execute(sql, [row]).map_err(sqlite("record what a message replaces"))?;
        Ok(())
    }
}

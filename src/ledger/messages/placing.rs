//! The two commits around the rename of a copy into the tree: the intent and the fact.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::leaps;
use super::row::{Columns, copy, key};
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis};
use crate::model::{MessageKey, Sha256, StoredCopy};

/// A copy that is synced in the stage and about to be renamed into the tree.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Placing {
    /// Identity.
    pub key: MessageKey,
    /// Final folder, relative to the root.
    pub path: String,
    /// Of `message.eml`.
    pub sha256: Sha256,
    /// Of `message.json`.
    pub json_sha256: Sha256,
    /// Octets of `message.eml`.
    pub size: u64,
    /// Of its header section, where that tells it from other messages.
    pub header: Option<Sha256>,
    /// No other message was listed under its identity.
    pub alone: bool,
    /// It may be deleted by its identity alone; else it is fetched again and compared first.
    pub proven: bool,
    /// As the server listed it.
    pub listed_size: Option<u64>,
    /// The server's INTERNALDATE.
    pub internal_date: Option<Timestamp>,
    /// The received date that placed it.
    pub received: Timestamp,
    /// Our clock.
    pub archived_at: Timestamp,
    /// Its header says that it is mail of postrider: none that an account was waiting for.
    pub own: bool,
    /// The token of a canary that its header names.
    pub canary: Option<String>,
    /// Of the header, as [`message_id_number`](super::message_id_number) makes it.
    pub message_id: Option<i64>,
    /// It is to be marked as read once it is archived.
    pub mark: bool,
    /// Its end may be missing: it is never deleted.
    pub cut: bool,
}

/// A `placing` row that was left behind.
#[derive(Clone, Debug)]
pub struct PlacingRow {
    /// Identity.
    pub key: MessageKey,
    /// The copy, as it should be.
    pub copy: StoredCopy,
}

impl Tx<'_> {
    /// Commits the intent to place copies; their rows, in order.
    ///
    /// A message that has a durable copy is refused: where that copy is would be forgotten.
    pub fn placing(&self, id: MailboxId, copies: &[Placing]) -> Result<Vec<i64>, LedgerError> {
        let sql = "INSERT INTO message (mailbox_id, uid_validity, uid, generation,
            unique_id, occurrence, state, attempts, first_seen, path, sha256, json_sha256, size,
            listed_size, internal_date, received, archived_at, header_sha256, delete_ok, own,
            message_id, to_mark, cut, clock_leaps)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'placing', 1, ?14, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
            ?15, ?16, ?17, ?18, ?19, ?20,
            coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'clock-leaps'), 0))
            ON CONFLICT (mailbox_id, uid_validity, uid, generation, unique_id, occurrence)
            DO UPDATE SET state = 'placing', path = ?7, sha256 = ?8, json_sha256 = ?9, size = ?10,
            listed_size = ?11, internal_date = ?12, received = ?13, archived_at = ?14,
            header_sha256 = ?15, delete_ok = ?16, own = ?17, message_id = ?18, to_mark = ?19, cut = ?20,
            clock_leaps = excluded.clock_leaps,
            parse_marks = 0, actions_unknown = 0, retry_at = NULL, reason_code = '', reason = ''
            WHERE state IN ('fetching', 'held', 'placing', 'gone')
            RETURNING id";
        let mut put = self.db.prepare_cached(sql).map_err(sqlite("commit the intent to place"))?;
        let mut rows = Vec::with_capacity(copies.len());
        for copy in copies {
            let k = Columns::of(&copy.key);
            let row = params![
                id.0,
                k.uid_validity,
                k.uid,
                k.generation,
                k.unique_id,
                k.occurrence,
                copy.path,
                copy.sha256.0,
                copy.json_sha256.0,
                i64::try_from(copy.size).unwrap_or(i64::MAX),
                copy.listed_size.map(|size| i64::try_from(size).unwrap_or(i64::MAX)),
                copy.internal_date.map(millis),
                millis(copy.received),
                millis(copy.archived_at),
                copy.header.map(|digest| digest.0),
                copy.proven,
                copy.own,
                copy.message_id,
                copy.mark,
                copy.cut,
            ];
            let row = put.query_row(row, |row| row.get(0)).optional();
            let row = row.map_err(sqlite("commit the intent to place"))?;
            let row = row.ok_or(LedgerError::Damaged {
                table: "mailbox",
                row: id.0,
                why: "a message to be placed has a copy already",
            })?;
            if let Some(token) = &copy.canary {
                self.claim_canary(token, row)?;
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Commits the fact that copies are in the tree. Where a UID was used again, the messages
    /// that had it before have left the server.
    pub fn archived(&self, rows: &[i64]) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET state = 'archived' WHERE id = ?1 AND state = 'placing'
            RETURNING generation, own, mailbox_id, archived_at";
        let mut set = self.db.prepare_cached(sql).map_err(sqlite("commit what was archived"))?;
        let mut latest: BTreeMap<i64, i64> = BTreeMap::new();
        for row in rows {
            let read = |row: &Row<'_>| -> rusqlite::Result<(u32, i64, i64, i64)> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            };
            let done = set.query_row([row], read).optional();
            let done = done.map_err(sqlite("commit what was archived"))?;
            let Some((generation, own, mailbox, archived_at)) = done else { continue };
            if generation > 0 {
                self.supersede(*row)?;
            }
            if own == 0 {
                let at = latest.entry(mailbox).or_insert(archived_at);
                *at = archived_at.max(*at);
            } else {
                self.found_canary(*row, archived_at)?;
            }
        }
        for (mailbox, at) in latest {
            self.got_mail(mailbox, at)?;
        }
        Ok(())
    }

    /// Sets the digest of `message.json` of a copy that was found in the place of another.
    pub fn set_json(&self, row: i64, json_sha256: Sha256) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET json_sha256 = ?2 WHERE id = ?1 AND state = 'placing'";
        self.db.execute(sql, params![row, json_sha256.0]).map_err(sqlite("adopt a copy"))?;
        Ok(())
    }

    /// Takes the intent to place back: the copy never got into the tree.
    pub fn unplace(&self, rows: &[i64]) -> Result<(), LedgerError> {
        self.each(rows, "UPDATE message SET state = 'fetching' WHERE id = ?1 AND state = 'placing'")
    }

    /// Placements that a dead or failed run left open.
    pub fn placing_rows(&self, account: &str) -> Result<Vec<PlacingRow>, LedgerError> {
        let sql = concat!(
"SELECT message.id, message.uid_validity, uid, generation, unique_id,
            occurrence, state, message.failures, message.retry_at, path, sha256, json_sha256, size, listed_size,
            internal_date, received, archived_at, delete_ok, cut, flagged_at, own, mailbox.name AS mailbox, ",
 leaps!(),
 "
            FROM message JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id
            WHERE account.name = ?1 AND state = 'placing'"
);
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("read open placements"))?;
        let mut rows = get.query([account]).map_err(sqlite("read open placements"))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(sqlite("read open placements"))? {
            let key = key(row)?;
            found.push(PlacingRow { copy: copy(row, key.clone())?, key });
        }
        Ok(found)
    }
}

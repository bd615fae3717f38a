//! Attempts to fetch a message: counted before its first octet, held after a failure.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::row::{Columns, key};
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis, timestamp};
use crate::model::MessageKey;

/// A message whose fetch was begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Begun {
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// It may be what the process died of: it is parsed under a mark of its own.
    pub suspect: bool,
    /// Parses under its own mark that the process did not survive.
    pub deaths: u32,
}

/// A message that is held.
#[derive(Clone, Debug, Serialize)]
pub struct HeldMessage {
    /// Identity.
    #[serde(flatten)]
    pub key: MessageKey,
    /// Attempts that failed.
    pub attempts: u32,
    /// When it is tried again.
    pub retry_at: Option<Timestamp>,
    /// Stable code of the reason.
    pub code: String,
    /// The words.
    pub reason: String,
}

impl Tx<'_> {
    /// Counts an attempt for each message, before the first octet is asked for, and that messages
    /// of this mailbox are being parsed. After a crash (`crashed`) those are suspects that were
    /// [about to be parsed](Self::parsing).
    pub fn begin_fetch(
        &self,
        id: MailboxId,
        keys: &[MessageKey],
        crashed: bool,
        now: Timestamp,
    ) -> Result<Vec<Begun>, LedgerError> {
        let parsing = "UPDATE mailbox SET parsing = 1 WHERE id = ?1 AND parsing = 0";
        self.db.execute(parsing, [id.0]).map_err(sqlite("count attempts"))?;
        let sql = "INSERT INTO message (mailbox_id, uid_validity, uid, generation,
            unique_id, occurrence, state, attempts, first_seen)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'fetching', 1, ?7)
            ON CONFLICT (mailbox_id, uid_validity, uid, generation, unique_id, occurrence)
            DO UPDATE SET attempts = attempts + 1, skipped_by = '', skipped_at = NULL,
            left_server = CASE WHEN state = 'gone' THEN 0 ELSE left_server END,
            state = CASE WHEN state IN ('held', 'gone') THEN 'fetching' ELSE state END
            RETURNING first_seen, parsing, parse_marks";
        let mut put = self.db.prepare_cached(sql).map_err(sqlite("count attempts"))?;
        let mut begun = Vec::with_capacity(keys.len());
        for key in keys {
            let k = Columns::of(key);
            let row = params![
                id.0,
                k.uid_validity,
                k.uid,
                k.generation,
                k.unique_id,
                k.occurrence,
                millis(now)
            ];
            let read = |row: &Row<'_>| {
                let (parsing, deaths): (bool, u32) = (row.get(1)?, row.get(2)?);
                let suspect = deaths > 0 || (crashed && parsing);
                Ok(Begun { first_seen: timestamp(row.get(0)?), suspect, deaths })
            };
            begun.push(put.query_row(row, read).map_err(sqlite("count attempts"))?);
        }
        Ok(begun)
    }

    /// Holds a message whose fetch failed; how often it has failed by now.
    pub fn hold(
        &self,
        id: MailboxId,
        key: &MessageKey,
        code: &str,
        reason: &str,
    ) -> Result<u32, LedgerError> {
        let sql = "UPDATE message SET state = 'held', failures = failures + 1, reason_code = ?7,
            reason = ?8 WHERE mailbox_id = ?1 AND uid_validity = ?2 AND uid = ?3
            AND generation = ?4 AND unique_id = ?5 AND occurrence = ?6
            AND state IN ('fetching', 'held') RETURNING failures";
        let k = Columns::of(key);
        let row = params![
            id.0,
            k.uid_validity,
            k.uid,
            k.generation,
            k.unique_id,
            k.occurrence,
            code,
            reason
        ];
        let failures = self.db.query_row(sql, row, |row| row.get(0)).optional();
        Ok(failures.map_err(sqlite("hold a message"))?.unwrap_or(0))
    }

    /// Holds messages of these listed sizes that a rule keeps from being fetched, until the rule
    /// changes: they are judged anew by each plan.
    pub fn hold_by_rule(
        &self,
        id: MailboxId,
        held: &[(MessageKey, u64, String)],
        code: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let sql = "INSERT INTO message (mailbox_id, uid_validity, uid, generation,
            unique_id, occurrence, state, reason_code, reason, first_seen, listed_size)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'held', ?7, ?8, ?9, ?10)
            ON CONFLICT (mailbox_id, uid_validity, uid, generation, unique_id, occurrence)
            DO UPDATE SET state = 'held', reason_code = ?7, reason = ?8, retry_at = NULL,
            listed_size = ?10
            WHERE state IN ('fetching', 'held', 'gone')";
        let mut put = self.db.prepare_cached(sql).map_err(sqlite("hold messages"))?;
        for (key, size, reason) in held {
            let k = Columns::of(key);
            put.execute(params![
                id.0,
                k.uid_validity,
                k.uid,
                k.generation,
                k.unique_id,
                k.occurrence,
                code,
                reason,
                millis(now),
                i64::try_from(*size).unwrap_or(i64::MAX)
            ])
            .map_err(sqlite("hold messages"))?;
        }
        Ok(())
    }

    /// Sets when a held message is tried again.
    pub fn set_retry(
        &self,
        id: MailboxId,
        key: &MessageKey,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET retry_at = ?7
            WHERE mailbox_id = ?1 AND uid_validity = ?2 AND uid = ?3 AND generation = ?4
            AND unique_id = ?5 AND occurrence = ?6";
        let k = Columns::of(key);
        let row = params![
            id.0,
            k.uid_validity,
            k.uid,
            k.generation,
            k.unique_id,
            k.occurrence,
            millis(at)
        ];
        self.db.execute(sql, row).map_err(sqlite("set a retry"))?;
        Ok(())
    }

    /// Held messages of an account, oldest row first.
    pub fn held(&self, account: &str, limit: u32) -> Result<Vec<HeldMessage>, LedgerError> {
        let sql = "SELECT message.uid_validity, uid, generation, unique_id, occurrence,
            message.failures, message.retry_at, reason_code, reason, mailbox.name AS mailbox
            FROM message JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id
            WHERE account.name = ?1 AND state = 'held' ORDER BY message.id LIMIT ?2";
        let act = || sqlite("read held messages");
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let mut rows = get.query(params![account, limit]).map_err(act())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(act())? {
            found.push(HeldMessage {
                key: key(row)?,
                attempts: row.get("failures").map_err(act())?,
                retry_at: row.get::<_, Option<i64>>("retry_at").map_err(act())?.map(timestamp),
                code: row.get("reason_code").map_err(act())?,
                reason: row.get("reason").map_err(act())?,
            });
        }
        Ok(found)
    }
}

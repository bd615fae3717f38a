//! Canaries: test mails that were sent out and must come back through a mailbox.
//!
//! A message is a canary only if its header names a token that this ledger gave out for this
//! account, and no other message was taken for it before. Nothing else that a mail says makes it
//! one.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::error::{LedgerError, sqlite};
use super::tx::{Tx, millis, timestamp};

/// A canary.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CanaryRow {
    /// The inbound account that it must come back through.
    pub account: String,
    /// The outbound account that sends it.
    pub via: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// When the outbound server took it.
    pub sent_at: Option<Timestamp>,
    /// When its copy was stored.
    pub found_at: Option<Timestamp>,
    /// Why it could not be sent.
    pub failed: Option<String>,
}

impl Tx<'_> {
    /// Gives out a token for a canary that is about to be sent; older ones than `keep_since` are
    /// forgotten.
    pub fn new_canary(
        &self,
        token: &str,
        (account, via): (&str, &str),
        now: Timestamp,
        keep_since: Timestamp,
    ) -> Result<(), LedgerError> {
        // One from a clock that ran ahead would be the newest for ever.
        let sql = "DELETE FROM canary WHERE account = ?1 AND (made_at < ?2 OR made_at > ?3)";
        let row = params![account, millis(keep_since), millis(now)];
        self.db.execute(sql, row).map_err(sqlite("prune"))?;
        let sql = "INSERT INTO canary (token, account, via, made_at) VALUES (?1, ?2, ?3, ?4)";
        let row = params![token, account, via, millis(now)];
        self.db.execute(sql, row).map_err(sqlite("note a canary"))?;
        Ok(())
    }

    /// Records what came of sending a canary.
    pub fn sent_canary(
        &self,
        token: &str,
        sent: Result<Timestamp, String>,
    ) -> Result<(), LedgerError> {
        let (at, why) = match sent {
            Ok(at) => (Some(millis(at)), String::new()),
            Err(why) => (None, why),
        };
        let sql = "UPDATE canary SET sent_at = ?2, failed = ?3 WHERE token = ?1";
        self.db.execute(sql, params![token, at, why]).map_err(sqlite("note a canary"))?;
        Ok(())
    }

    /// An account's canaries, the newest first.
    pub fn canaries(&self, account: &str, limit: u32) -> Result<Vec<CanaryRow>, LedgerError> {
        let sql = "SELECT account, via, made_at, sent_at, found_at, failed FROM canary
            WHERE account = ?1 ORDER BY made_at DESC LIMIT ?2";
        let act = || sqlite("read canaries");
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows = get.query_map(params![account, limit], read).map_err(act())?;
        rows.collect::<rusqlite::Result<_>>().map_err(act())
    }

    /// Takes a message for the canary that its header names, if it is one: marks its row.
    pub(super) fn claim_canary(&self, token: &str, message: i64) -> Result<bool, LedgerError> {
        let sql = "UPDATE canary SET message = ?2 WHERE token = ?1
            AND (message IS NULL OR message = ?2) AND found_at IS NULL
            AND account = (SELECT account.name FROM message
                JOIN mailbox ON mailbox.id = message.mailbox_id
                JOIN account ON account.id = mailbox.account_id WHERE message.id = ?2)";
        let claimed = self.db.execute(sql, params![token, message]);
        if claimed.map_err(sqlite("claim a canary"))? == 0 {
            return Ok(false);
        }
        let sql = "UPDATE message SET own = 2 WHERE id = ?1";
        self.db.execute(sql, [message]).map_err(sqlite("claim a canary"))?;
        Ok(true)
    }

    /// Records that a message, if it is a canary, was stored.
    pub(super) fn found_canary(&self, message: i64, at: i64) -> Result<(), LedgerError> {
        let sql = "UPDATE canary SET found_at = ?2 WHERE message = ?1 AND found_at IS NULL";
        self.db.execute(sql, [message, at]).map_err(sqlite("record a canary"))?;
        Ok(())
    }

    /// How long a message that is a canary took, if it is one and was stored.
    pub fn canary_delay(&self, message: i64) -> Result<Option<jiff::SignedDuration>, LedgerError> {
        let sql = "SELECT found_at - made_at FROM canary
            WHERE message = ?1 AND found_at IS NOT NULL";
        let found: Option<i64> = self
            .db
            .query_row(sql, [message], |row| row.get(0))
            .optional()
            .map_err(sqlite("read a canary"))?;
        Ok(found.map(jiff::SignedDuration::from_millis))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<CanaryRow> {
    let at = |column: &str| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(timestamp))
    };
    let failed: String = row.get("failed")?;
    Ok(CanaryRow {
        account: row.get("account")?,
        via: row.get("via")?,
        made_at: timestamp(row.get("made_at")?),
        sent_at: at("sent_at")?,
        found_at: at("found_at")?,
        failed: (!failed.is_empty()).then_some(failed),
    })
}

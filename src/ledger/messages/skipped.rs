//! Messages that a rule has left out of the archive: the decision is kept, there is no copy.
//!
//! Their state is `gone`, with the rule's name: nothing that deletes, moves or marks ever looks at
//! such a row. It counts as long as the server lists the message with the same size and date.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::placing::Placing;
use super::row::{Columns, key};
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis};
use crate::model::{MessageKey, Sha256};

/// A message that was fetched and is not archived.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Identity.
    pub key: MessageKey,
    /// The rule's name.
    pub rule: String,
    /// Of its octets.
    pub sha256: Sha256,
    /// Octets.
    pub size: u64,
    /// As the server listed it.
    pub listed_size: Option<u64>,
    /// The server's INTERNALDATE.
    pub internal_date: Option<Timestamp>,
    /// When it was received.
    pub received: Timestamp,
    /// Of the header, as [`message_id_number`](super::message_id_number) makes it.
    pub message_id: Option<i64>,
    /// When it was decided.
    pub at: Timestamp,
}

impl Tx<'_> {
    /// Records that messages are left out of the archive. One that has a copy is refused.
    pub fn leave_out(&self, id: MailboxId, messages: &[LeftOut]) -> Result<(), LedgerError> {
        let act = || sqlite("record what is not archived");
        let sql = "UPDATE message SET state = 'gone', skipped_by = ?7, skipped_at = ?8,
            skipped_sha256 = ?9, size = ?10, listed_size = ?11, internal_date = ?12,
            received = ?13, message_id = ?14, left_server = 0, retry_at = NULL,
            reason_code = '', reason = '', parse_marks = 0
            WHERE mailbox_id = ?1 AND uid_validity = ?2 AND uid = ?3 AND generation = ?4
            AND unique_id = ?5 AND occurrence = ?6 AND state IN ('fetching', 'held')";
        let mut set = self.db.prepare_cached(sql).map_err(act())?;
        let octets = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        for message in messages {
            let k = Columns::of(&message.key);
            let row = params![
                id.0,
                k.uid_validity,
                k.uid,
                k.generation,
                k.unique_id,
                k.occurrence,
                message.rule,
                millis(message.at),
                message.sha256.0,
                octets(message.size),
                message.listed_size.map(octets),
                message.internal_date.map(millis),
                millis(message.received),
                message.message_id,
            ];
            if set.execute(row).map_err(act())? != 1 {
                let why = "a message to be left out was not being fetched";
                return Err(LedgerError::Damaged { table: "mailbox", row: id.0, why });
            }
        }
        Ok(())
    }

    /// Whether a message that was fetched as the next generation of its identity is the one that was
    /// left out, by its content: then what the server lists of it now is kept.
    pub fn restate_left_out(&self, id: MailboxId, to: &Placing) -> Result<bool, LedgerError> {
        let act = || sqlite("restate a message");
        let k = Columns::of(&to.key);
        let sql = "UPDATE message SET listed_size = ?6, internal_date = ?7 WHERE id =
            (SELECT id FROM message WHERE mailbox_id = ?1 AND uid_validity = ?2 AND uid = ?3
            AND unique_id = ?4 AND skipped_sha256 = ?5 AND skipped_by <> '' AND state = 'gone'
            AND left_server = 0 AND generation + occurrence + 1 = ?8) RETURNING id";
        let size = to.listed_size.map(|size| i64::try_from(size).unwrap_or(i64::MAX));
        let of = params![
            id.0,
            k.uid_validity,
            k.uid,
            k.unique_id,
            to.sha256.0,
            size,
            to.internal_date.map(millis),
            to.key.turn(),
        ];
        let found: Option<i64> =
            self.db.query_row(sql, of, |row| row.get(0)).optional().map_err(act())?;
        if found.is_none() {
            return Ok(false);
        }
        let sql = "DELETE FROM message WHERE mailbox_id = ?1 AND uid_validity = ?2 AND uid = ?3
            AND generation = ?4 AND unique_id = ?5 AND occurrence = ?6
            AND state IN ('fetching', 'held')";
        let begun = params![id.0, k.uid_validity, k.uid, k.generation, k.unique_id, k.occurrence];
        self.db.execute(sql, begun).map_err(act())?;
        Ok(true)
    }

    /// How many messages of an account each rule has left out, of those that the server has.
    pub fn left_out(&self, account: &str) -> Result<Vec<(String, u64)>, LedgerError> {
        let act = || sqlite("count what is not archived");
        let sql = "SELECT skipped_by, count(*) FROM mailbox
            JOIN account ON account.id = mailbox.account_id
            JOIN message ON message.mailbox_id = mailbox.id AND skipped_by <> ''
            WHERE account.name = ?1 AND state = 'gone' AND left_server = 0
            GROUP BY skipped_by ORDER BY skipped_by";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows =
            get.query_map([account], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())));
        rows.map_err(act())?.collect::<Result<_, _>>().map_err(act())
    }

    /// How many messages of a mailbox are left out.
    pub fn count_left_out(&self, id: MailboxId) -> Result<u64, LedgerError> {
        let sql = "SELECT count(*) FROM message WHERE mailbox_id = ?1 AND skipped_by <> ''
            AND state = 'gone' AND left_server = 0";
        let n: i64 = self
            .db
            .query_row(sql, [id.0], |row| row.get(0))
            .map_err(sqlite("count what is not archived"))?;
        Ok(n.unsigned_abs())
    }

    /// Forgets what was left out of a mailbox: it is mail like any other. Says how many they were.
    pub fn end_left_out(&self, id: MailboxId) -> Result<u64, LedgerError> {
        let n = self.count_left_out(id)?;
        let sql = "DELETE FROM message WHERE mailbox_id = ?1 AND skipped_by <> ''
            AND state = 'gone' AND left_server = 0";
        self.db.execute(sql, [id.0]).map_err(sqlite("forget what is not archived"))?;
        if n > 0 {
            self.forget_facts(id)?;
        }
        Ok(n)
    }

    /// What was left out and isn't listed has left the server: what comes under its identity later
    /// is other mail.
    pub fn prune_skipped(
        &self,
        id: MailboxId,
        mailbox: &str,
        is_listed: impl Fn(&MessageKey) -> bool,
    ) -> Result<(), LedgerError> {
        let act = || sqlite("forget what has left");
        let sql = "SELECT id, uid_validity, uid, generation, unique_id, occurrence, ?2 AS mailbox
            FROM message WHERE mailbox_id = ?1 AND skipped_by <> '' AND state = 'gone'
            AND left_server = 0";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let mut rows = get.query(params![id.0, mailbox]).map_err(act())?;
        let mut absent: Vec<i64> = Vec::new();
        while let Some(row) = rows.next().map_err(act())? {
            if !is_listed(&key(row)?.as_listed()) {
                absent.push(row.get("id").map_err(act())?);
            }
        }
        drop(rows);
        self.each(&absent, "UPDATE message SET left_server = 1 WHERE id = ?1")
    }
}

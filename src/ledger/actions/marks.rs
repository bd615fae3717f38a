//! Actions that a session of the account does on the server: marks, and what has left before.

use jiff::Timestamp;
use rusqlite::params;

use super::LONGEST_WAIT;
use crate::ledger::error::{LedgerError, sqlite};
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis, timestamp};
use crate::model::IMPORTED;

/// A mark that a rule wants on the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DueMark {
    /// The action's number.
    pub id: i64,
    /// The message's UID.
    pub uid: u32,
    /// Tries so far.
    pub attempts: u32,
    /// When it was first tried.
    pub first_at: Option<Timestamp>,
}

/// Marks and moves of messages that have left the server, or were imported and are on none.
macro_rules! departed {
    () => {
        "WHERE account_id = (SELECT id FROM account WHERE name = ?1) AND state = 'pending' \
         AND kind IN ('seen', 'flag', 'move') \
         AND message_id IN (SELECT message.id FROM message JOIN mailbox \
         ON mailbox.id = message.mailbox_id \
         WHERE message.state IN ('deleted', 'gone') OR mailbox.name = ?2)"
    };
}

impl Tx<'_> {
    /// Actions of a rule that is done on the server, due in one mailbox: with the messages' UIDs.
    pub fn due_marks(
        &self,
        (account, rule): (&str, &str),
        mailbox: MailboxId,
        uid_validity: u32,
        now: Timestamp,
    ) -> Result<Vec<DueMark>, LedgerError> {
        let sql = "SELECT action.id, message.uid, action.attempts, action.first_at FROM action
            JOIN message ON message.id = action.message_id
            WHERE action.account_id = (SELECT id FROM account WHERE name = ?1)
            AND action.rule = ?2 AND action.state = 'pending' AND (action.due_at <= ?5 OR action.due_at > ?6)
            AND message.mailbox_id = ?3 AND message.uid_validity = ?4 AND message.uid > 0
            AND message.doubtful = 0 AND message.state IN ('archived', 'deleting')
            ORDER BY message.uid LIMIT 500";
        let act = || sqlite("read what is to be marked");
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let ahead = now.checked_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX);
        let of = params![account, rule, mailbox.0, uid_validity, millis(now), millis(ahead)];
        let rows = get.query_map(of, |row| {
            let first_at = row.get::<_, Option<i64>>(3)?.map(timestamp);
            Ok(DueMark { id: row.get(0)?, uid: row.get(1)?, attempts: row.get(2)?, first_at })
        });
        rows.map_err(act())?.collect::<Result<_, _>>().map_err(act())
    }

    /// Accounts with marks that are due, how many, and whether the account is paused, rests or has
    /// stopped.
    pub fn marks_by_account(
        &self,
        account: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<(String, u64, bool)>, LedgerError> {
        let sql = "SELECT account.name, count(*), account.auth_failures > 0
            OR (account.paused_at IS NOT NULL
            AND (account.paused_until IS NULL OR account.paused_until > ?2))
            FROM action JOIN account ON account.id = action.account_id
            WHERE action.state = 'pending' AND action.kind IN ('seen', 'flag', 'move')
            AND action.due_at <= ?2 AND (?1 IS NULL OR account.name = ?1)
            GROUP BY account.id ORDER BY account.name";
        let act = || sqlite("read what is to be marked");
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows = get.query_map(params![account, millis(now)], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs(), row.get(2)?))
        });
        rows.map_err(act())?.collect::<Result<_, _>>().map_err(act())
    }

    /// Whether messages that were to be marked or moved on the server have left it.
    pub fn have_marks_departed(&self, account: &str) -> Result<bool, LedgerError> {
        let sql = concat!("SELECT EXISTS (SELECT 1 FROM action ", departed!(), ")");
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("read actions"))?;
        get.query_row([account, IMPORTED], |row| row.get(0)).map_err(sqlite("read actions"))
    }

    /// Gives up what was to be marked or moved on the server and has left it; how many.
    pub fn drop_departed(&self, account: &str) -> Result<u64, LedgerError> {
        let sql = concat!(
            "UPDATE action SET state = 'dropped', code = 'gone', ",
            "detail = 'the message has left the server' ",
            departed!()
        );
        Ok(self.db.execute(sql, [account, IMPORTED]).map_err(sqlite("drop actions"))? as u64)
    }
}

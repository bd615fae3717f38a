//! What a replay reads: stored messages, and how far the actions are that it asked for.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use crate::ledger::error::{LedgerError, sqlite};
use crate::ledger::tx::{Tx, millis};

/// Of the actions that a person asked for at a moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Left {
    /// Those that are not done, with those that failed.
    pub left: u64,
    /// Those whose first try is under way.
    pub running: u64,
    /// Those that wait for their first try.
    pub untried: u64,
}

impl Tx<'_> {
    /// How far the actions are that a person asked for at this moment; those that are done on the
    /// server are for the next poll.
    pub fn left_of(&self, account: &str, asked_at: Timestamp) -> Result<Left, LedgerError> {
        let sql = "SELECT count(*), count(*) FILTER (WHERE state = 'running' AND attempts <= 1),
            count(*) FILTER (WHERE state = 'pending' AND attempts = 0) FROM action
            WHERE account_id = (SELECT id FROM account WHERE name = ?1)
            AND state IN ('pending', 'running', 'failed') AND replay = 1 AND created_at = ?2
            AND kind NOT IN ('seen', 'flag', 'move')";
        let read = |row: &rusqlite::Row<'_>| {
            let n = |at: usize| row.get::<_, i64>(at).map(i64::unsigned_abs);
            Ok(Left { left: n(0)?, running: n(1)?, untried: n(2)? })
        };
        let found = self.db.query_row(sql, params![account, millis(asked_at)], read);
        found.map_err(sqlite("count actions"))
    }

    /// Those of these rows that are stored messages of an account, with their paths.
    pub fn stored_rows(
        &self,
        account: &str,
        rows: &[i64],
    ) -> Result<Vec<(i64, String)>, LedgerError> {
        let sql = "SELECT message.path FROM message
            JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id
            WHERE account.name = ?1 AND message.id = ?2 AND path <> ''
            AND state IN ('archived', 'deleting', 'deleted', 'gone')";
        let act = || sqlite("read stored messages");
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let path = get.query_row(params![account, row], |row| row.get(0)).optional();
            found.extend(path.map_err(act())?.map(|path| (*row, path)));
        }
        Ok(found)
    }

    /// Stored messages of an account, row and path, by rows from the one behind `after` on.
    pub fn stored_after(
        &self,
        account: &str,
        after: i64,
        most: u32,
    ) -> Result<Vec<(i64, String)>, LedgerError> {
        let sql = "SELECT message.id, message.path FROM message
            JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id
            WHERE account.name = ?1 AND message.id > ?2 AND path <> ''
            AND state IN ('archived', 'deleting', 'deleted', 'gone')
            ORDER BY message.id LIMIT ?3";
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("read stored messages"))?;
        let rows =
            get.query_map(params![account, after, most], |row| Ok((row.get(0)?, row.get(1)?)));
        let rows = rows.map_err(sqlite("read stored messages"))?;
        rows.collect::<Result<_, _>>().map_err(sqlite("read stored messages"))
    }
}

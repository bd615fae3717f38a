//! How many messages an account has in which state.

use jiff::Timestamp;
use rusqlite::params;
use serde::Serialize;

use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::tx::{Tx, millis};

/// How many messages of an account are in which state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Copies in the archive, whatever became of the mail on the server.
    pub archived: u64,
    /// Archived since a moment (today's midnight).
    pub today: u64,
    /// Held.
    pub held: u64,
    /// Archived before a moment and still on the server as far as we know.
    pub due: u64,
}

impl Tx<'_> {
    /// Counts an account's messages; `today` and `due` are the moments that bound those counts.
    pub fn counts(
        &self,
        account: &str,
        today: Timestamp,
        due: Option<Timestamp>,
    ) -> Result<Counts, LedgerError> {
        let sql = "SELECT
            count(*) FILTER (WHERE state IN ('archived', 'deleting', 'deleted')),
            count(*) FILTER (WHERE archived_at >= ?2
                AND state IN ('archived', 'deleting', 'deleted')),
            count(*) FILTER (WHERE state = 'held'),
            count(*) FILTER (WHERE state IN ('archived', 'deleting') AND archived_at <= ?3)
            FROM message JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id WHERE account.name = ?1";
        let due = due.map_or(i64::MIN, millis);
        let count = self.db.query_row(sql, params![account, millis(today), due], |row| {
            let n = |i: usize| row.get::<_, i64>(i).map(|n| u64::try_from(n).unwrap_or(0));
            Ok(Counts { archived: n(0)?, today: n(1)?, held: n(2)?, due: n(3)? })
        });
        count.map_err(sqlite("count messages"))
    }
}

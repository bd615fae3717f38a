//! How many messages an account has in which state.

use jiff::Timestamp;
use rusqlite::params;
use serde::Serialize;

use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::tx::{Tx, millis};
use crate::model::IMPORTED;

/// How many messages of an account are in which state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Copies in the archive, whatever became of the mail on the server.
    pub archived: u64,
    /// Archived since a moment (today's midnight).
    pub today: u64,
    /// Held.
    pub held: u64,
    /// Due to be deleted and still on the server as far as we know.
    pub due: u64,
    /// Marked `\Deleted` by us, and no more.
    pub flagged: u64,
}

/// Which copies are due to be deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DueBefore {
    /// Those that count from this moment or an earlier one.
    pub moment: Timestamp,
    /// They count from their date of receipt, where that is before their storing.
    pub from_received: bool,
    /// Those that are marked `\Deleted` are done with.
    pub flagged_is_done: bool,
}

impl Tx<'_> {
    /// How many copies of an account are due to be deleted on the server.
    pub fn due(&self, account: &str, due: DueBefore) -> Result<u64, LedgerError> {
        let sql = "SELECT count(*) FROM message JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id WHERE account.name = ?1
            AND state IN ('archived', 'deleting')
            AND CASE WHEN ?3 THEN min(coalesce(received, archived_at), archived_at)
                ELSE archived_at END <= ?2
            AND NOT (?4 AND flagged_at IS NOT NULL) AND size > 0
            AND mailbox.name <> ?5";
        let of =
            params![account, millis(due.moment), due.from_received, due.flagged_is_done, IMPORTED];
        let n: i64 =
            self.db.query_row(sql, of, |row| row.get(0)).map_err(sqlite("count due deletes"))?;
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Whether any mail of an account was deleted on the server by us.
    pub fn has_deleted(&self, account: &str) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM message
            JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id WHERE account.name = ?1
            AND delete_how <> '' AND move_action IS NULL AND own <> 2)";
        self.db.query_row(sql, [account], |row| row.get(0)).map_err(sqlite("look for deletes"))
    }

    /// Counts an account's messages; `today` is midnight.
    pub fn counts(
        &self,
        account: &str,
        today: Timestamp,
        due: Option<DueBefore>,
    ) -> Result<Counts, LedgerError> {
        let sql = "SELECT
            count(*) FILTER (WHERE state IN ('archived', 'deleting', 'deleted')),
            count(*) FILTER (WHERE archived_at >= ?2
                AND state IN ('archived', 'deleting', 'deleted')),
            count(*) FILTER (WHERE state = 'held'),
            count(*) FILTER (WHERE state IN ('archived', 'deleting')
                AND CASE WHEN ?4 THEN min(coalesce(received, archived_at), archived_at)
                    ELSE archived_at END <= ?3
                AND NOT (?5 AND flagged_at IS NOT NULL) AND size > 0 AND mailbox.name <> ?6),
            count(*) FILTER (WHERE state IN ('archived', 'deleting') AND flagged_at IS NOT NULL)
            FROM message JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id WHERE account.name = ?1";
        let bound = due.map_or(i64::MIN, |due| millis(due.moment));
        let from_received = due.is_some_and(|due| due.from_received);
        let flagged_is_done = due.is_some_and(|due| due.flagged_is_done);
        let row = params![account, millis(today), bound, from_received, flagged_is_done, IMPORTED];
        let count = self.db.query_row(sql, row, |row| {
            let n = |i: usize| row.get::<_, i64>(i).map(|n| u64::try_from(n).unwrap_or(0));
            Ok(Counts { archived: n(0)?, today: n(1)?, held: n(2)?, due: n(3)?, flagged: n(4)? })
        });
        count.map_err(sqlite("count messages"))
    }
}

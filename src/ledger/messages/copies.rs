//! The stored copies of an account, page by page: for what reads the archive as a whole.

use jiff::Timestamp;
use rusqlite::params;

use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, timestamp};
use crate::model::Sha256;

/// A stored copy, as far as it takes to read it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CopyRow {
    /// Its row.
    pub row: i64,
    /// Message folder, relative to the archive root.
    pub path: String,
    /// Of `message.eml`.
    pub sha256: Sha256,
    /// Octets of `message.eml`.
    pub size: u64,
    /// The server's INTERNALDATE, where it told one.
    pub internal_date: Option<Timestamp>,
}

impl Tx<'_> {
    /// Copies of an account, by rows from the one behind `after` on.
    pub fn copies_after(
        &self,
        account: &str,
        after: i64,
        most: u32,
    ) -> Result<Vec<CopyRow>, LedgerError> {
        let act = || sqlite("read stored messages");
        let sql = "SELECT message.id, path, sha256, size, internal_date FROM message
            JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id
            WHERE account.name = ?1 AND message.id > ?2 AND path <> '' AND sha256 IS NOT NULL
            AND state IN ('archived', 'deleting', 'deleted', 'gone')
            ORDER BY message.id LIMIT ?3";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows = get.query_map(params![account, after, most], |row| {
            let sha256: [u8; 32] = row.get("sha256")?;
            let internal_date: Option<i64> = row.get("internal_date")?;
            Ok(CopyRow {
                row: row.get(0)?,
                path: row.get("path")?,
                sha256: Sha256(sha256),
                size: unsigned(row.get::<_, Option<i64>>("size")?.unwrap_or(0)),
                internal_date: internal_date.map(timestamp),
            })
        });
        rows.map_err(act())?.collect::<Result<_, _>>().map_err(act())
    }

    /// Whether an account has a copy with one of each two contents; also one that is being placed.
    pub fn have_content(
        &self,
        account: &str,
        contents: &[(Sha256, Sha256)],
    ) -> Result<Vec<bool>, LedgerError> {
        let act = || sqlite("look for contents");
        let sql = "SELECT EXISTS (SELECT 1 FROM mailbox
            JOIN account ON account.id = mailbox.account_id
            JOIN message ON message.mailbox_id = mailbox.id
            WHERE account.name = ?1 AND sha256 IN (?2, ?3) AND path <> ''
            AND state IN ('placing', 'archived', 'deleting', 'deleted', 'gone'))";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let has = contents.iter().map(|(one, other)| {
            get.query_row(params![account, one.0, other.0], |row| row.get(0)).map_err(act())
        });
        has.collect()
    }

    /// Forgets messages of a mailbox that were begun and not stored.
    pub fn forget_unstored(&self, id: MailboxId) -> Result<(), LedgerError> {
        let sql = "DELETE FROM message WHERE mailbox_id = ?1 AND state IN ('fetching', 'held')";
        self.db.execute(sql, [id.0]).map_err(sqlite("forget what was not stored"))?;
        Ok(())
    }

    /// How many copies an account has.
    pub fn count_copies(&self, account: &str) -> Result<u64, LedgerError> {
        let sql = "SELECT count(*) FROM message
            JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id
            WHERE account.name = ?1 AND path <> '' AND sha256 IS NOT NULL
            AND state IN ('archived', 'deleting', 'deleted', 'gone')";
        let act = sqlite("count stored messages");
        self.db.query_row(sql, [account], |row| Ok(unsigned(row.get(0)?))).map_err(act)
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

//! What the log's file holds, and giving some of it back in small steps.

use jiff::Timestamp;

use super::LogDb;
use crate::ledger::sqlite::SqliteError;

/// How large the file is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FileSize {
    /// Octets that hold something.
    pub used: u64,
    /// Octets that new records will take first.
    pub free: u64,
}

impl LogDb {
    /// Removes at most `most` records that are older than `before`; says how many it removed.
    pub fn prune(&mut self, before: Timestamp, most: u32) -> Result<usize, SqliteError> {
        let mut statement = self.connection.prepare_cached(PRUNE)?;
        Ok(statement.execute((before.as_millisecond(), most))?)
    }

    /// When the oldest record was made.
    pub fn oldest(&self) -> Result<Option<Timestamp>, SqliteError> {
        let mut statement = self.connection.prepare_cached("SELECT MIN(created_at) FROM record")?;
        let oldest: Option<i64> = statement.query_row([], |row| row.get(0))?;
        Ok(oldest.map(|at| Timestamp::from_millisecond(at).unwrap_or_default()))
    }

    /// How large the file is, its write-ahead file left out.
    pub fn size(&self) -> Result<FileSize, SqliteError> {
        let number = |name| -> Result<u64, SqliteError> {
            let number: i64 = self.connection.pragma_query_value(None, name, |row| row.get(0))?;
            Ok(u64::try_from(number).unwrap_or_default())
        };
        let (pages, free) = (number("page_count")?, number("freelist_count")?);
        let octets = number("page_size")?;
        let used = pages.saturating_sub(free);
        Ok(FileSize { used: used.saturating_mul(octets), free: free.saturating_mul(octets) })
    }

    /// Gives free pages at the file's end back to the file system, at most so many.
    ///
    /// Does nothing in files of the first version.
    pub fn give_back(&mut self, pages: u32) -> Result<(), SqliteError> {
        let connection = &self.connection;
        connection.pragma(None, "incremental_vacuum", pages, |_| Ok(()))?;
        Ok(())
    }
}

const PRUNE: &str = r"
DELETE FROM record
WHERE id IN (SELECT id FROM record WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)
";

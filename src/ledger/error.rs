//! What can go wrong with the ledger.

use std::path::PathBuf;

use super::sqlite::SqliteError;
use crate::steps;

/// An error of the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file is not there although the archive root names it.
    #[error("the ledger {} is missing, yet the archive root belongs to one", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It belongs to another archive root, or is older than it.
    #[error("the ledger {} does not fit the archive root: {why}", path.display())]
    Foreign {
        /// The ledger's file.
        path: PathBuf,
        /// What differs.
        why: String,
    },
    /// A newer postrider wrote it.
    #[error(
        "the ledger has schema {found}, this postrider knows {known}: it was made by a newer version"
    )]
    Newer {
        /// Its schema.
        found: i64,
        /// The newest schema that is known here.
        known: i64,
    },
    /// Its file can't be opened.
    #[error("the ledger {} can't be opened: {source}", path.display())]
    Open {
        /// The ledger's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: SqliteError,
    },
    /// SQLite refused; what was being committed may or may not be there.
    #[error("ledger: {act}: {source}")]
    Sqlite {
        /// What was done.
        act: &'static str,
        /// SQLite's error.
        #[source]
        source: rusqlite::Error,
    },
    /// A row can't be read.
    #[error("ledger: row {row} of {table} is damaged: {why}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row.
        row: i64,
        /// What is wrong.
        why: &'static str,
    },
    /// The ledger's thread has ended.
    #[error("the ledger's thread has ended")]
    Gone,
}

impl LedgerError {
    /// The stable code of its log record.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "ledger-missing",
            Self::Foreign { .. } => "ledger-foreign",
            Self::Newer { .. } => "ledger-newer",
            Self::Sqlite { .. } | Self::Gone | Self::Open { .. } => "ledger-failed",
            Self::Damaged { .. } => "ledger-damaged",
        }
    }

    /// Whether the file waits for a rollback that a reader can't do. A ledger has a rollback
    /// journal only while it is made, before it has any tables: later it has a write-ahead log.
    pub(super) fn is_before_first_commit(&self) -> bool {
        let Self::Sqlite { source, .. } = self else { return false };
        source
            .sqlite_error()
            .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK)
    }

    /// Whether nothing can go on before a person has acted.
    pub fn needs_person(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. } | Self::Foreign { .. } | Self::Newer { .. } | Self::Damaged { .. }
        )
    }
}

/// Turns SQLite's error into the ledger's, naming the act.
pub(super) fn sqlite(act: &'static str) -> impl FnOnce(rusqlite::Error) -> LedgerError {
    move |source| LedgerError::Sqlite { act, source }
}

/// Passes a step of the durable sequence; where it is to fail, SQLite seems to.
pub(super) fn step(name: &'static str, act: &'static str) -> Result<(), LedgerError> {
    steps::pass(name).map_err(|error| {
        let full = error.kind() == std::io::ErrorKind::StorageFull;
        let code = if full { rusqlite::ffi::SQLITE_FULL } else { rusqlite::ffi::SQLITE_IOERR };
        let failure = rusqlite::ffi::Error::new(code);
        sqlite(act)(rusqlite::Error::SqliteFailure(failure, Some(error.to_string())))
    })
}

//! What can go wrong with the ledger.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::sqlite::{SqliteError, out_of_files};
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
    /// Its pages or tables are damaged, or it is no ledger at all.
    #[error("the ledger is damaged ({why})")]
    Corrupt {
        /// What SQLite says.
        why: String,
    },
    /// The archive is an old copy: the ledger was written to after it.
    #[error(
        "the archive root is older than its ledger (start {found}, the ledger has seen {wanted}): a \
         copy from a backup, which lacks what was archived since"
    )]
    ArchiveOlder {
        /// What the marker says.
        found: u64,
        /// What it said before.
        wanted: u64,
        /// The ledger is an old copy as well.
        is_copy: bool,
    },
    /// It belongs to another archive root.
    #[error("the ledger {} does not fit the archive root: {why}", path.display())]
    Foreign {
        /// The ledger's file.
        path: PathBuf,
        /// What differs.
        why: String,
    },
    /// It is an old copy: the archive was written to after it.
    #[error(
        "the ledger {} is older than the archive (start {found} of {wanted}), a copy from a backup: \
         it doesn't know what was archived since",
        path.display()
    )]
    Older {
        /// The ledger's file.
        path: PathBuf,
        /// Its generation.
        found: u64,
        /// The archive's.
        wanted: u64,
    },
    /// An older postrider wrote it, and it is only read here.
    #[error(
        "the ledger has schema {found}, this postrider reads {known}: an older version wrote it"
    )]
    Outdated {
        /// Its schema.
        found: i64,
        /// The newest schema that is known here.
        known: i64,
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
            Self::ArchiveOlder { .. } => "archive-older",
            Self::Missing { .. } => "ledger-missing",
            Self::Corrupt { .. } => "ledger-corrupt",
            Self::Foreign { .. } => "ledger-foreign",
            Self::Older { .. } => "ledger-older",
            Self::Newer { .. } => "ledger-newer",
            Self::Outdated { .. } => "ledger-outdated",
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
            Self::ArchiveOlder { .. }
                | Self::Corrupt { .. }
                | Self::Damaged { .. }
                | Self::Foreign { .. }
                | Self::Missing { .. }
                | Self::Newer { .. }
                | Self::Older { .. }
        )
    }

    /// What a person can do about it, and what it means for mail until then.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::ArchiveOlder { .. } => {
                "nothing is fetched or deleted until the newer archive is back; if it is lost, go on \
                 with this one: postrider ledger reconcile (postrider verify lists what is missing)"
            }
            Self::Missing { .. } => {
                "nothing is fetched or deleted until it is back; if it is lost, make it anew from \
                 the archive: postrider ledger rebuild"
            }
            Self::Corrupt { .. } | Self::Damaged { .. } => {
                "nothing is fetched or deleted until it is whole; make it anew from the archive: \
                 postrider ledger rebuild"
            }
            Self::Foreign { .. } => {
                "nothing was changed; put the ledger and the root together that belong together; \
                 if this archive's ledger is lost: postrider ledger rebuild --yes"
            }
            Self::Older { .. } => {
                "nothing is fetched or deleted until it knows them; take them over: \
                 postrider ledger reconcile"
            }
            Self::Outdated { .. } => {
                "start it once (`run` or `poll`): it copies the ledger and brings it up to date"
            }
            Self::Newer { .. } => "install the version again that wrote it; nothing was changed",
            Self::Open { .. } | Self::Sqlite { .. } | Self::Gone => return None,
        })
    }
}

/// Turns SQLite's error into the ledger's, naming the act.
pub(super) fn sqlite(act: &'static str) -> impl FnOnce(rusqlite::Error) -> LedgerError {
    move |source| {
        if is_damage(&source) {
            return LedgerError::Corrupt { why: format!("{act}: {source}") };
        }
        LedgerError::Sqlite { act, source: cause(source) }
    }
}

/// The same for a file that can't be opened.
pub(super) fn unopened(path: &Path, source: SqliteError) -> LedgerError {
    match source {
        SqliteError::Sqlite(error) if is_damage(&error) => {
            LedgerError::Corrupt { why: format!("{}: {error}", path.display()) }
        }
        SqliteError::Sqlite(error) => {
            LedgerError::Open { path: path.to_owned(), source: SqliteError::Sqlite(cause(error)) }
        }
        source => LedgerError::Open { path: path.to_owned(), source },
    }
}

/// SQLite's error, or what is behind it where SQLite only says "unable to open database file".
fn cause(error: rusqlite::Error) -> rusqlite::Error {
    let unopened = error.sqlite_error_code() == Some(ErrorCode::CannotOpen);
    match out_of_files().filter(|_| unopened) {
        Some(cause) => rusqlite::Error::ToSqlConversionFailure(Box::new(cause)),
        None => error,
    }
}

/// Whether SQLite says that the file is not what it wrote.
fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
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

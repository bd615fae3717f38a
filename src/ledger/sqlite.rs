//! Opening SQLite files the one way that this program trusts.
//!
//! WAL, one writer, settings read back instead of believed. Knows no table; what is in a file is
//! `ledger`'s and `log_db`'s part.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::io::Errno;

/// When a COMMIT has returned, what does a power cut take away?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// Nothing (`synchronous=FULL`): the ledger.
    Full,
    /// The last commits, never the file's integrity (`synchronous=NORMAL`): the log.
    Normal,
}

impl Durability {
    fn synchronous(self) -> &'static str {
        match self {
            Self::Full => "2",
            Self::Normal => "1",
        }
    }
}

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// This build's SQLite may corrupt a WAL file (sqlite.org/wal.html#walresetbug).
    #[error("SQLite {found} may corrupt its files; 3.51.3 or newer is needed")]
    TooOld {
        /// Its version.
        found: &'static str,
    },
    /// The file can't be made or opened.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A setting did not take.
    #[error("SQLite keeps `{name}` at `{found}` instead of `{wanted}`")]
    Setting {
        /// The pragma.
        name: &'static str,
        /// What was set.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The file was made by a newer postrider.
    #[error("its schema is version {found}, made by a newer postrider; this one knows {known}")]
    NewerSchema {
        /// In the file.
        found: i64,
        /// In this program.
        known: i64,
    },
    /// Anything else that SQLite says.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Opens a file for writing and makes it when it isn't there, mode 0600 from its first octet on.
///
/// `-wal` and `-shm` get the same mode from SQLite.
pub(super) fn open(path: &Path, durability: Durability) -> Result<Connection, SqliteError> {
    check_version(rusqlite::version_number(), rusqlite::version())?;
    create(path)
        .map_err(|source| SqliteError::File { path: path.display().to_string(), source })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if durability == Durability::Normal {
        // Before WAL, which writes the first page: then it is too late. Old files keep what they have.
        connection.pragma_update(None, "auto_vacuum", "incremental")?;
    }
    set(&connection, "journal_mode", "wal")?;
    set(&connection, "synchronous", durability.synchronous())?;
    for (name, value) in SETTINGS {
        set(&connection, name, value)?;
    }
    check(&connection, "busy_timeout", "10000")?;
    Ok(connection)
}

/// Changes what the next commits of an open connection survive. After an error the connection must
/// not be used any more.
pub(super) fn set_durability(
    connection: &Connection,
    durability: Durability,
) -> Result<(), rusqlite::Error> {
    set(connection, "synchronous", durability.synchronous()).map_err(|error| match error {
        SqliteError::Sqlite(error) => error,
        other => rusqlite::Error::ToSqlConversionFailure(Box::new(other)),
    })
}

/// The reason, where the process can't open as many files as a database needs.
pub(super) fn out_of_files() -> Option<io::Error> {
    // The file, its log, the log's index, and the folder that is synced.
    const NEEDED: usize = 4;
    let opened: io::Result<Vec<File>> = (0..NEEDED).map(|_| File::open("/")).collect();
    opened.err().filter(|error| {
        let errno = Errno::from_io_error(error);
        errno == Some(Errno::MFILE) || errno == Some(Errno::NFILE)
    })
}

/// Opens a file that another process may be writing to; `None` when it isn't there.
pub(super) fn open_read_only(path: &Path) -> Result<Option<Connection>, SqliteError> {
    check_version(rusqlite::version_number(), rusqlite::version())?;
    if let Err(source) = path.metadata() {
        return match source.kind() {
            io::ErrorKind::NotFound => Ok(None),
            _ => Err(SqliteError::File { path: path.display().to_string(), source }),
        };
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    set(&connection, "trusted_schema", "0")?;
    set(&connection, "cell_size_check", "1")?;
    set(&connection, "query_only", "1")?;
    Ok(Some(connection))
}

fn check_version(number: i32, version: &'static str) -> Result<(), SqliteError> {
    if number < OLDEST_VERSION { Err(SqliteError::TooOld { found: version }) } else { Ok(()) }
}

/// Makes the file before SQLite can make it with a wider mode; does not follow a link.
///
/// A file that is there is not opened: closing it would drop the locks that other connections of
/// this process hold on it (POSIX), and another process could then take its log away.
fn create(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made.map(drop),
    }
    if path.symlink_metadata()?.is_file() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file"))
}

fn set(
    connection: &Connection,
    name: &'static str,
    wanted: &'static str,
) -> Result<(), SqliteError> {
    // Some pragmas answer with a row, others don't.
    match connection.pragma_update_and_check(None, name, wanted, |_| Ok(())) {
        Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => check(connection, name, wanted),
        Err(error) => Err(error.into()),
    }
}

/// Reads a setting back.
fn check(
    connection: &Connection,
    name: &'static str,
    wanted: &'static str,
) -> Result<(), SqliteError> {
    let value: rusqlite::types::Value = connection.pragma_query_value(None, name, |r| r.get(0))?;
    let found = match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    };
    if found == wanted { Ok(()) } else { Err(SqliteError::Setting { name, wanted, found }) }
}

/// 3.51.3: older ones may corrupt a WAL file when two connections checkpoint at once.
const OLDEST_VERSION: i32 = 3_051_003;

const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SETTINGS: [(&str, &str); 7] = [
    ("locking_mode", "normal"),
    ("foreign_keys", "1"),
    ("wal_autocheckpoint", "1000"),
    ("journal_size_limit", "67108864"),
    ("trusted_schema", "0"),
    ("cell_size_check", "1"),
    // A truncated file under a memory map is a SIGBUS.
    ("mmap_size", "0"),
];

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_are_private_and_settings_hold() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.db");
        for (durability, synchronous) in [(Durability::Full, "2"), (Durability::Normal, "1")] {
            let connection = open(&path, durability).expect("opens");
            check(&connection, "synchronous", synchronous).expect("holds");
            check(&connection, "journal_mode", "wal").expect("holds");
            connection.execute_batch("CREATE TABLE IF NOT EXISTS t (x)").expect("writes");
            for suffix in ["", "-wal", "-shm"] {
                let file = folder.path().join(format!("x.db{suffix}"));
                let mode = file.metadata().expect("is there").permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{suffix}");
            }
        }
    }

    #[test]
    fn linked_file_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.db");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).expect("a link");
        assert!(matches!(open(&path, Durability::Full), Err(SqliteError::File { .. })));
    }

    #[test]
    fn missing_file_is_not_made_by_readers() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.db");
        assert!(open_read_only(&path).expect("no error").is_none());
        assert!(!path.exists());
    }

    #[test]
    fn versions_with_the_wal_bug_are_refused() {
        assert!(check_version(3_051_002, "3.51.2").is_err());
        assert!(check_version(3_040_001, "3.40.1").is_err());
        assert!(check_version(3_051_003, "3.51.3").is_ok());
        assert!(rusqlite::version_number() >= OLDEST_VERSION);
    }
}

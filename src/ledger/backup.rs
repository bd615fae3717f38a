//! Copies of the ledger, its write-ahead log and its checks: upkeep beside the polls.
//!
//! Works on connections of its own, so that no poll waits for it longer than a moment. A copy is
//! marked as one (generation 0): put in the ledger's place it is known as older than the archive,
//! whenever it was made.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::LEDGER_FILE;
use super::error::{LedgerError, sqlite, unopened};
use super::open;
use super::sqlite::{Durability, SqliteError, open as open_file, open_read_only};

/// The folder of the copies, in the state folder.
pub const BACKUPS: &str = "backup";
/// Copies that are kept.
const KEEP: usize = 3;
/// A write-ahead log that is as large as this has a reader that doesn't let go.
const WAL_ALARM: u64 = 256 << 20;
/// How long a checkpoint waits for readers; polls wait with it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The upkeep of one ledger.
#[derive(Clone, Debug)]
pub struct Upkeep {
    state_dir: PathBuf,
}

impl Upkeep {
    /// Of the ledger in this state folder.
    pub fn new(state_dir: &Path) -> Self {
        Self { state_dir: state_dir.to_owned() }
    }

    fn path(&self) -> PathBuf {
        self.state_dir.join(LEDGER_FILE)
    }

    /// Copies the ledger, unless there is a copy of this day (UTC); its file. Old copies go.
    pub fn back_up(&self, now: Timestamp) -> Result<Option<PathBuf>, LedgerError> {
        let name = format!("ledger-{}.db", now.strftime("%Y%m%d"));
        if self.state_dir.join(BACKUPS).join(&name).exists() {
            return Ok(None);
        }
        let path = self.path();
        let opened = open_read_only(&path).map_err(|source| unopened(&path, source))?;
        let Some(db) = opened else { return Ok(None) };
        let made = copy(&db, &self.state_dir, &name)?;
        let folder = self.state_dir.join(BACKUPS);
        let mut dated = dated(&folder);
        dated.truncate(dated.len().saturating_sub(KEEP));
        for old in dated {
            remove(&folder.join(old)).map_err(|error| file_error(&folder, error))?;
        }
        Ok(Some(made))
    }

    /// Writes the write-ahead log back and empties it, unless a reader holds on to it; the octets
    /// that are left in it, where they are too many.
    pub fn checkpoint(&self) -> Result<Option<u64>, LedgerError> {
        let path = self.path();
        let db = open_file(&path, Durability::Full).map_err(|source| unopened(&path, source))?;
        db.busy_timeout(PATIENCE).map_err(sqlite("write its log back"))?;
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let done = db.query_row(checkpoint, [], |_| Ok(()));
        done.map_err(sqlite("write its log back"))?;
        let wal = self.state_dir.join(format!("{LEDGER_FILE}-wal"));
        let size = wal.metadata().map_or(0, |found| found.len());
        Ok((size >= WAL_ALARM).then_some(size))
    }

    /// Has SQLite check every page and every index. Slow, and no writer waits for it.
    pub fn check(&self) -> Result<(), LedgerError> {
        let path = self.path();
        let opened = open_read_only(&path).map_err(|source| unopened(&path, source))?;
        opened.map_or(Ok(()), |db| open::check(&db, "PRAGMA integrity_check(1)"))
    }
}

/// The newest copy of the ledger: its name and size.
pub fn last_backup(state_dir: &Path) -> Option<(String, u64)> {
    let folder = state_dir.join(BACKUPS);
    let name = dated(&folder).pop()?;
    let size = folder.join(&name).metadata().ok()?.len();
    Some((name, size))
}

/// Copies a ledger that is about to get a newer schema.
pub(super) fn before_migration(
    db: &Connection,
    state_dir: &Path,
    version: i64,
) -> Result<(), LedgerError> {
    let name = format!("ledger-schema-{version}.db");
    if state_dir.join(BACKUPS).join(&name).exists() {
        return Ok(());
    }
    copy(db, state_dir, &name).map(drop)
}

/// Names of the daily copies, the oldest first.
fn dated(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_dated = |name: &String| {
        let day = name.strip_prefix("ledger-").and_then(|name| name.strip_suffix(".db"));
        day.is_some_and(|day| day.len() == 8 && day.bytes().all(|octet| octet.is_ascii_digit()))
    };
    let mut names: Vec<String> = names.filter(is_dated).collect();
    names.sort_unstable();
    names
}

/// Copies a ledger by SQLite's own means: one snapshot, whatever is written meanwhile.
fn copy(db: &Connection, state_dir: &Path, name: &str) -> Result<PathBuf, LedgerError> {
    let folder = state_dir.join(BACKUPS);
    let (new, path) = (folder.join("ledger.new"), folder.join(name));
    let failed = |error| file_error(&folder, error);
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    remove(&new).map_err(failed)?;
    // VACUUM INTO takes an empty file that is there, and so its mode.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new);
    made.map_err(failed)?;
    // A connection that may not write doesn't write to the copy, either; that of a reader still
    // can't write to the ledger.
    db.pragma_update(None, "query_only", false).map_err(sqlite("copy it"))?;
    let into = new.to_string_lossy();
    db.execute("VACUUM INTO ?1", [into.as_ref()]).map_err(sqlite("copy it"))?;
    mark(&new)?;
    let sync = || -> io::Result<()> {
        File::open(&new)?.sync_all()?;
        rustix::fs::rename(&new, &path)?;
        File::open(&folder)?.sync_all()
    };
    sync().map_err(failed)?;
    Ok(path)
}

/// Says in a copy that it is one.
fn mark(path: &Path) -> Result<(), LedgerError> {
    let db = Connection::open(path).map_err(sqlite("open a copy"))?;
    let table = "SELECT 1 FROM sqlite_schema WHERE name = 'meta'";
    let has_meta = db.query_row(table, [], |_| Ok(())).optional().map_err(sqlite("read a copy"))?;
    if has_meta.is_some() {
        let sql = "UPDATE meta SET value = '0' WHERE key = 'generation'";
        db.execute(sql, []).map_err(sqlite("mark a copy"))?;
        let sql = "DELETE FROM meta WHERE key = 'open'";
        db.execute(sql, []).map_err(sqlite("mark a copy"))?;
    }
    db.close().map_err(|(_, error)| sqlite("close a copy")(error))
}

fn remove(path: &Path) -> io::Result<()> {
    match rustix::fs::unlink(path) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn file_error(path: &Path, source: io::Error) -> LedgerError {
    let shown = path.display().to_string();
    LedgerError::Open { path: path.to_owned(), source: SqliteError::File { path: shown, source } }
}

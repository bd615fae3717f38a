//! Opening the ledger's file, and its identity.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use super::error::{LedgerError, sqlite};
use super::{schema, sqlite as file};

/// The ledger's file in the state folder.
pub const LEDGER_FILE: &str = "ledger.db";

/// Which ledger this is, and which root it belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The ledger's file.
    pub path: PathBuf,
    /// Whether there is a file at all; false for the empty ledger of a first preview.
    pub exists: bool,
    /// Names this ledger.
    pub ledger: Option<Uuid>,
    /// The archive root that it is bound to.
    pub root: Option<Uuid>,
    /// Counts the starts of a writing postrider.
    pub generation: u64,
}

/// Opens the ledger for writing, making it when it isn't there.
pub(super) fn open(state_dir: &Path) -> Result<Connection, LedgerError> {
    let path = state_dir.join(LEDGER_FILE);
    let opened = file::open(&path, file::Durability::Full);
    let mut db = opened.map_err(|source| LedgerError::Open { path, source })?;
    schema::migrate(&mut db)?;
    Ok(db)
}

/// Opens the ledger for reading; an empty one in memory when there is no file, or one whose making
/// was cut short before its tables were committed.
pub(super) fn open_read_only(state_dir: &Path) -> Result<Connection, LedgerError> {
    let path = state_dir.join(LEDGER_FILE);
    let opened = file::open_read_only(&path);
    if let Some(db) = opened.map_err(|source| LedgerError::Open { path, source })? {
        match schema::version(&db) {
            Ok(0) => {}
            Err(error) if error.is_before_first_commit() => {}
            found => return found.map(|_| db),
        }
    }
    let mut db = Connection::open_in_memory().map_err(sqlite("open"))?;
    schema::migrate(&mut db)?;
    Ok(db)
}

/// Reads the identity of a ledger that is open for writing; a new one gets its name.
pub(super) fn identity(db: &Connection) -> Result<Identity, LedgerError> {
    let found = read_identity(db)?;
    if found.ledger.is_some() {
        return Ok(found);
    }
    let ledger = Uuid::new_v4();
    let insert = "INSERT INTO meta (key, value) VALUES ('ledger', ?1)";
    db.execute(insert, [ledger.to_string()]).map_err(sqlite("name it"))?;
    Ok(Identity { ledger: Some(ledger), ..found })
}

/// Reads the identity.
pub(super) fn read_identity(db: &Connection) -> Result<Identity, LedgerError> {
    let meta = |key: &str| -> Result<Option<String>, LedgerError> {
        db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(sqlite("read its identity"))
    };
    let uuid = |text: Option<String>| text.and_then(|text| Uuid::parse_str(&text).ok());
    let path = db.path().filter(|path| !path.is_empty()).map(PathBuf::from);
    Ok(Identity {
        exists: path.is_some(),
        path: path.unwrap_or_default(),
        ledger: uuid(meta("ledger")?),
        root: uuid(meta("root")?),
        generation: meta("generation")?.and_then(|text| text.parse().ok()).unwrap_or(0),
    })
}

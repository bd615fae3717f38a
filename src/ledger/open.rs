//! Opening the ledger's file, and its identity.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use super::error::{LedgerError, sqlite, unopened};
use super::{backup, schema, sqlite as file};

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
    /// What digests of secrets are salted with: the name of the ledger, or of the first one whose
    /// orders were taken over.
    pub salt: Option<Uuid>,
    /// Counts the starts of a writing postrider.
    pub generation: u64,
    /// What the root's marker is known to have said durably; 0 if that isn't known.
    pub marked: u64,
}

/// Opens a ledger's file for writing, making it when it isn't there. Before its schema is raised
/// a copy is made.
pub(super) fn open(path: &Path) -> Result<Connection, LedgerError> {
    let opened = file::open(path, file::Durability::Full);
    let mut db = opened.map_err(|source| unopened(path, source))?;
    schema::recognise(&db)?;
    let version = schema::version(&db)?;
    if version > 0 && version < schema::newest() {
        let folder = path.parent().unwrap_or(Path::new("."));
        backup::before_migration(&db, folder, version)?;
    }
    schema::migrate(&mut db)?;
    Ok(db)
}

/// Opens the ledger for reading; an empty one in memory when there is no file, or one whose making
/// was cut short before its tables were committed.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, LedgerError> {
    let opened = file::open_read_only(path);
    if let Some(db) = opened.map_err(|source| unopened(path, source))? {
        match schema::version(&db) {
            Ok(0) => {}
            Err(error) if error.is_before_first_commit() => {}
            Err(error) => return Err(error),
            Ok(_) => {
                schema::recognise(&db)?;
                return Ok(db);
            }
        }
    }
    in_memory()
}

/// The schema of a ledger that an older postrider wrote.
pub(super) fn outdated(db: &Connection) -> Result<Option<i64>, LedgerError> {
    let found = schema::version(db)?;
    Ok((found < schema::newest()).then_some(found))
}

/// Whether a database that is attached under a name has the newest schema.
pub(super) fn is_newest(db: &Connection, name: &'static str) -> Result<bool, LedgerError> {
    let sql = format!("PRAGMA {name}.user_version");
    let found: i64 =
        db.query_row(&sql, [], |row| row.get(0)).map_err(sqlite("read its version"))?;
    Ok(found == schema::newest())
}

/// An empty ledger that is nowhere.
pub(super) fn in_memory() -> Result<Connection, LedgerError> {
    let mut db = Connection::open_in_memory().map_err(sqlite("open"))?;
    schema::migrate(&mut db)?;
    Ok(db)
}

/// Looks at every page when the last process that wrote to it did not close it.
pub(super) fn check_if_unclean(db: &Connection) -> Result<(), LedgerError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'open')";
    let open: bool = db.query_row(sql, [], |row| row.get(0)).map_err(sqlite("read its state"))?;
    if open { check(db, "PRAGMA quick_check(1)") } else { Ok(()) }
}

/// Runs one of SQLite's checks of the whole file.
pub(super) fn check(db: &Connection, pragma: &'static str) -> Result<(), LedgerError> {
    let said: String = db.query_row(pragma, [], |row| row.get(0)).map_err(sqlite("check it"))?;
    if said == "ok" { Ok(()) } else { Err(LedgerError::Corrupt { why: said }) }
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
    Ok(Identity { ledger: Some(ledger), salt: found.salt.or(Some(ledger)), ..found })
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
    let ledger = uuid(meta("ledger")?);
    Ok(Identity {
        exists: path.is_some(),
        path: path.unwrap_or_default(),
        ledger,
        salt: uuid(meta("salt")?).or(ledger),
        root: uuid(meta("root")?),
        generation: meta("generation")?.and_then(|text| text.parse().ok()).unwrap_or(0),
        marked: meta("marked")?.and_then(|text| text.parse().ok()).unwrap_or(0),
    })
}

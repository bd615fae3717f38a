//! The connection that the ledger's thread owns: opened anew when an outcome is unknown, given up
//! when the file is damaged.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::error::{LedgerError, sqlite};
use super::{open, schema};

/// Owns the connection.
#[derive(Debug)]
pub(super) struct Keeper {
    db: Option<Connection>,
    /// Where it can be opened anew; `None` for readers.
    path: Option<PathBuf>,
    /// What SQLite said when it found damage: nothing is done any more.
    corrupt: Option<String>,
    /// The schema of a file that is only read and whose tables are older than the statements.
    outdated: Option<i64>,
    closed: bool,
}

impl Keeper {
    /// Of a file that is open for writing.
    pub(super) fn of_file(db: Connection, path: &Path) -> Self {
        Self {
            db: Some(db),
            path: Some(path.to_owned()),
            corrupt: None,
            outdated: None,
            closed: false,
        }
    }

    /// Of a ledger that is only read.
    pub(super) fn of_reader(db: Connection, outdated: Option<i64>) -> Self {
        Self { db: Some(db), path: None, corrupt: None, outdated, closed: false }
    }

    /// Whether the thread is to end.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Runs one job on the connection.
    ///
    /// A COMMIT that failed may have happened. So after any error the connection is closed, and
    /// the next job reads from the file, opened anew, what is true.
    pub(super) fn run<T>(
        &mut self,
        job: impl FnOnce(&mut Connection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        if let Some(why) = &self.corrupt {
            return Err(LedgerError::Corrupt { why: why.clone() });
        }
        if let Some(found) = self.outdated {
            return Err(LedgerError::Outdated { found, known: schema::newest() });
        }
        let done = self.connection().and_then(job);
        match &done {
            Err(LedgerError::Corrupt { why }) => self.corrupt = Some(why.clone()),
            Err(LedgerError::Sqlite { .. }) if self.path.is_some() => self.db = None,
            _ => {}
        }
        done
    }

    /// From now on every job fails: the file is damaged.
    pub(super) fn condemn(&mut self, why: String) {
        self.corrupt = Some(why);
    }

    /// Marks the file as closed and closes it.
    pub(super) fn close(&mut self) -> Result<(), LedgerError> {
        self.closed = true;
        if self.path.is_none() || self.corrupt.is_some() {
            return Ok(());
        }
        self.run(|db| {
            db.execute("DELETE FROM meta WHERE key = 'open'", []).map_err(sqlite("close it"))?;
            let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
            db.query_row(checkpoint, [], |_| Ok(())).map_err(sqlite("write its log back"))
        })?;
        match self.db.take().map(Connection::close) {
            Some(Err((_, error))) => Err(sqlite("close it")(error)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn connection(&mut self) -> Result<&mut Connection, LedgerError> {
        let db = match (self.db.take(), &self.path) {
            (Some(db), _) => db,
            (None, Some(path)) => open::open(path)?,
            (None, None) => return Err(LedgerError::Gone),
        };
        Ok(self.db.insert(db))
    }
}

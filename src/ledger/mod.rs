//! The ledger: what postrider knows of each message, durable per commit.
//!
//! SQLite in WAL mode with `synchronous=FULL`. One thread owns the connection; others hand it
//! closures over a bounded queue. All SQL of the program is in this module.

mod accounts;
mod error;
mod mailboxes;
mod messages;

pub mod log_db;
mod open;
mod schema;
pub mod sqlite;
mod stops;
mod tx;

use std::path::Path;
use std::thread;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::model::{Delete, DeleteIntent};

pub use accounts::{AccountRow, AccountState, ClockMark, LastError};
pub use error::LedgerError;
pub use mailboxes::{MailboxFacts, MailboxId, MailboxRow};
pub use messages::{Begun, Counts, DueBefore, HeldMessage, Placing, PlacingRow, Rekeyed, Restated};
pub use open::{Identity, LEDGER_FILE};
pub use stops::{DeleteStop, Resumed};
pub use tx::Tx;

/// Jobs that may wait for the ledger's thread.
const QUEUE: usize = 64;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle on the ledger's thread; the thread ends with the last handle.
#[derive(Clone, Debug)]
pub struct Ledger {
    jobs: mpsc::Sender<Job>,
    identity: Identity,
}

impl Ledger {
    /// Makes a new, unbound ledger in the state folder, or opens the one that is there.
    pub fn open(state_dir: &Path) -> Result<Self, LedgerError> {
        let db = open::open(state_dir)?;
        let identity = open::identity(&db)?;
        Self::start(db, identity)
    }

    /// Opens the ledger for reading; one that doesn't exist reads as empty, and nothing is made.
    pub fn open_read_only(state_dir: &Path) -> Result<Self, LedgerError> {
        let db = open::open_read_only(state_dir)?;
        let identity = open::read_identity(&db)?;
        Self::start(db, identity)
    }

    /// The ledger's identity at the time it was opened.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Binds the ledger to an archive root and counts this start; durable on return.
    ///
    /// The ledger's generation is committed before the root's marker is written, so the marker is
    /// never ahead of its ledger, unless the ledger is an old copy.
    pub async fn bind(&mut self, root: Uuid) -> Result<u64, LedgerError> {
        let generation = self.write("count the start", move |tx| tx.bind(root)).await?;
        self.identity.root = Some(root);
        self.identity.generation = generation;
        Ok(generation)
    }

    /// Runs one transaction; durable on return. After an error its outcome is unknown: what is
    /// true is read back by the next transaction.
    pub async fn write<T, F>(&self, act: &'static str, job: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, LedgerError> + Send + 'static,
    {
        self.call(move |db| in_transaction(db, act, job)).await
    }

    /// The same from a thread of its own, outside the runtime: waits for the commit.
    pub fn write_blocking<T, F>(&self, act: &'static str, job: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, LedgerError> + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            // A caller that is gone has no use for the result.
            drop(done.send(in_transaction(db, act, job)));
        });
        self.jobs.blocking_send(job).map_err(|_| LedgerError::Gone)?;
        result.blocking_recv().map_err(|_| LedgerError::Gone)?
    }

    /// Reads in one snapshot.
    pub async fn read<T, F>(&self, act: &'static str, job: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, LedgerError> + Send + 'static,
    {
        self.call(move |db| {
            let tx = db.transaction().map_err(error::sqlite(act))?;
            job(&Tx::new(&tx))
        })
        .await
    }

    /// Returns when the ledger's thread has ended, which it does only by a panic.
    pub async fn ended(&self) {
        self.jobs.closed().await;
    }

    /// Commits the intent to delete: the rows turn from `archived` to `deleting`.
    ///
    /// What it returns is the only key to [`crate::mailbox::DeleteMail::delete_from_server`].
    pub async fn begin_delete(
        &self,
        deletes: Vec<Delete>,
        how: String,
    ) -> Result<DeleteIntent, LedgerError> {
        let rows: Vec<i64> = deletes.iter().map(|delete| delete.copy.row).collect();
        self.write("commit the intent to delete", move |tx| tx.begin_delete(&rows, &how)).await?;
        Ok(DeleteIntent::committed(&deletes))
    }

    fn start(db: Connection, identity: Identity) -> Result<Self, LedgerError> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let work = move || {
            let mut db = db;
            while let Some(job) = queue.blocking_recv() {
                job(&mut db);
            }
        };
        let spawned = thread::Builder::new().name("ledger".to_owned()).spawn(work);
        spawned.map_err(|_| LedgerError::Gone)?;
        Ok(Self { jobs, identity })
    }

    async fn call<T, F>(&self, job: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, LedgerError> + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            // A caller that is gone has no use for the result.
            drop(done.send(job(db)));
        });
        self.jobs.send(job).await.map_err(|_| LedgerError::Gone)?;
        result.await.map_err(|_| LedgerError::Gone)?
    }
}

fn in_transaction<T>(
    db: &mut Connection,
    act: &'static str,
    job: impl FnOnce(&Tx<'_>) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    let tx =
        db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error::sqlite(act))?;
    let done = job(&Tx::new(&tx))?;
    error::step("commit", act)?;
    tx.commit().map_err(error::sqlite(act))?;
    error::step("committed", act)?;
    Ok(done)
}

#[cfg(test)]
mod tests;

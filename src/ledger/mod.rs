//! The ledger: what postrider knows of each message, durable per commit.
//!
//! SQLite in WAL mode with `synchronous=FULL`. One thread owns the connection; others hand it
//! closures over a bounded queue. All SQL of the program is in this module.

mod accounts;
mod actions;
mod backup;
mod canaries;
mod carry;
mod catch_up;
mod error;
mod history;
mod keeper;
mod mailboxes;
mod messages;
mod notices;

pub mod log_db;
mod open;
mod outbounds;
mod pauses;
mod renaming;
mod restored;
mod schema;
pub mod sqlite;
mod stops;
mod tx;

use std::path::Path;
use std::thread;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::model::{Delete, DeleteIntent, DeleteMode};
use sqlite::Durability;

pub use accounts::{AccountRow, AccountState, ClockMark, LastError};
pub use actions::{
    ActionCounts, ActionFilter, ActionRow, ActionState, Asked, DueMark, Left, NewAction, RESTS,
    Resting, Verdict,
};
pub use backup::{BACKUPS, Upkeep, last_backup};
pub use canaries::CanaryRow;
pub use catch_up::{CatchUp, NamedMessage};
pub use error::LedgerError;
pub use history::{ConfigChange, ConfigRow, KEPT_CHANGES, KEPT_STARTS};
use keeper::Keeper;
pub use mailboxes::{MailboxFacts, MailboxId, MailboxRow, PartlyListed};
pub use messages::{
    Adopted, Adoption, Begun, CopyRow, Counts, DueBefore, HeldMessage, LeftOut, Placing,
    PlacingRow, Proof, Rekeyed, Restated, Shelf, Trail, message_id_number,
};
pub use notices::{SendError, WaitingMail, Watched};
pub use open::{Identity, LEDGER_FILE};
pub use outbounds::OutboundRow;
pub use pauses::Pause;
pub use restored::{Home, RestoreEnd, RestoreTarget, RestoredRow};
pub use stops::{DeleteStop, Resumed};
pub use tx::Tx;

/// Jobs that may wait for the ledger's thread.
const QUEUE: usize = 64;

type Job = Box<dyn FnOnce(&mut Keeper) + Send>;

/// A handle on the ledger's thread; the thread ends with the last handle.
#[derive(Clone, Debug)]
pub struct Ledger {
    jobs: mpsc::Sender<Job>,
    identity: Identity,
}

impl Ledger {
    /// Makes a new, unbound ledger in the state folder, or opens the one that is there. One that
    /// was not closed is checked.
    pub fn open(state_dir: &Path) -> Result<Self, LedgerError> {
        Self::open_file(&state_dir.join(LEDGER_FILE))
    }

    /// The same for a file of any name.
    pub fn open_file(path: &Path) -> Result<Self, LedgerError> {
        let db = open::open(path)?;
        open::check_if_unclean(&db)?;
        let identity = open::identity(&db)?;
        Self::start(Keeper::of_file(db, path), identity)
    }

    /// Opens the ledger for reading; one that doesn't exist reads as empty, and nothing is made.
    /// Of one with an older schema only the identity can be read.
    pub fn open_read_only(state_dir: &Path) -> Result<Self, LedgerError> {
        let db = open::open_read_only(&state_dir.join(LEDGER_FILE))?;
        let identity = open::read_identity(&db)?;
        let outdated = open::outdated(&db)?;
        Self::start(Keeper::of_reader(db, outdated), identity)
    }

    /// An empty ledger that is nowhere.
    pub fn in_memory() -> Result<Self, LedgerError> {
        let db = open::in_memory()?;
        let identity = open::read_identity(&db)?;
        Self::start(Keeper::of_reader(db, None), identity)
    }

    /// Whether there is a ledger in the state folder; one that can't be used is an error. Looks
    /// at every page, and changes nothing.
    pub fn look(state_dir: &Path) -> Result<bool, LedgerError> {
        let db = open::open_read_only(&state_dir.join(LEDGER_FILE))?;
        open::check(&db, "PRAGMA quick_check(1)")?;
        Ok(open::read_identity(&db)?.exists)
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

    /// Binds the ledger with a generation above a root's, so that it is newer than the archive.
    pub async fn bind_above(&mut self, root: Uuid, generation: u64) -> Result<u64, LedgerError> {
        self.write("lift the generation", move |tx| tx.lift(generation)).await?;
        self.bind(root).await
    }

    /// Raises the generation while polls go on, so that any copy made until now is known as an
    /// old one. The root's marker follows.
    pub async fn raise(&self) -> Result<u64, LedgerError> {
        let Some(root) = self.identity.root else { return Ok(self.identity.generation) };
        self.write("raise the generation", move |tx| tx.bind(root)).await
    }

    /// Records that the root's marker has this generation, durably: a root whose marker has less is
    /// an older one. Durable with the next commit.
    pub async fn record_marker(&self, generation: u64) -> Result<(), LedgerError> {
        self.mark("record the marker", move |tx| tx.record_marker(generation)).await
    }

    /// Ends all use of the ledger: a check has found damage. Every job from now on fails.
    pub async fn condemn(&self, why: String) {
        let job: Job = Box::new(move |keeper| keeper.condemn(why));
        // A thread that is gone does nothing more, either.
        drop(self.jobs.send(job).await);
    }

    /// Marks the ledger as closed, writes its log back into the file and ends its thread: no
    /// `-wal` is left. Other handles are of no use any more.
    pub async fn close(&self) -> Result<(), LedgerError> {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |keeper| drop(done.send(keeper.close())));
        self.jobs.send(job).await.map_err(|_| LedgerError::Gone)?;
        result.await.map_err(|_| LedgerError::Gone)?
    }

    /// Runs one transaction; durable on return. After an error its outcome is unknown: what is
    /// true is read back from the file, opened anew, by the next transaction.
    pub async fn write<T, F>(&self, act: &'static str, job: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, LedgerError> + Send + 'static,
    {
        self.call(move |db| in_transaction(db, act, job)).await
    }

    /// Runs one transaction that survives this process, not a power cut: for marks that tell what
    /// the process was at when it died. Costs no sync.
    pub async fn mark<T, F>(&self, act: &'static str, job: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, LedgerError> + Send + 'static,
    {
        self.call(move |db| unsynced(db, act, job)).await
    }

    /// The same from a thread of its own, outside the runtime: waits for the commit.
    pub fn mark_blocking<T, F>(&self, act: &'static str, job: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnOnce(&Tx<'_>) -> Result<T, LedgerError> + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |keeper| {
            // A caller that is gone has no use for the result.
            drop(done.send(keeper.run(|db| unsynced(db, act, job))));
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

    /// Commits the intent to delete: the rows turn from `archived` to `deleting`. A move is left out
    /// that a person has given up meanwhile.
    ///
    /// What it returns is the only key to [`crate::mailbox::DeleteMail::delete_from_server`].
    pub async fn begin_delete(
        &self,
        deletes: Vec<Delete>,
        how: DeleteMode,
        now: Timestamp,
    ) -> Result<DeleteIntent, LedgerError> {
        let (mut wanted, text) = (deletes.clone(), how.to_string());
        let begin = move |tx: &Tx<'_>| tx.begin_delete(&deletes, &text, now);
        let rows = self.write("commit the intent to delete", begin).await?;
        wanted.retain(|delete| rows.contains(&delete.copy.row));
        Ok(DeleteIntent::committed(&wanted, how))
    }

    fn start(keeper: Keeper, identity: Identity) -> Result<Self, LedgerError> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let work = move || {
            let mut keeper = keeper;
            while let Some(job) = queue.blocking_recv() {
                job(&mut keeper);
                if keeper.is_closed() {
                    return;
                }
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
        let job: Job = Box::new(move |keeper| {
            // A caller that is gone has no use for the result.
            drop(done.send(keeper.run(job)));
        });
        self.jobs.send(job).await.map_err(|_| LedgerError::Gone)?;
        result.await.map_err(|_| LedgerError::Gone)?
    }
}

/// A transaction whose commit is not synced; after an error the connection is not used any more.
fn unsynced<T>(
    db: &mut Connection,
    act: &'static str,
    job: impl FnOnce(&Tx<'_>) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    sqlite::set_durability(db, Durability::Normal).map_err(error::sqlite(act))?;
    let marked = in_transaction(db, act, job);
    sqlite::set_durability(db, Durability::Full).map_err(error::sqlite(act))?;
    marked
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

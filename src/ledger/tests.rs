//! The ledger as a file: opened, shared, refused; and helpers for the tests of its tables.

mod accounts;
mod actions;
mod carry;
mod damage;
mod moves;
mod notices;
mod reads;
mod rekey;
mod reuse;
mod rules;

use std::os::unix::fs::PermissionsExt as _;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::model::{Delete, DeleteMode, DeleteReason, MessageKey, Sha256, StoredCopy};

/// A ledger whose transactions run on the test's own thread.
struct Book {
    db: Connection,
    temp: TempDir,
}

impl Book {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        Self { db: open::open(&temp.path().join(LEDGER_FILE)).unwrap(), temp }
    }

    /// Runs one transaction; an error takes it back.
    fn write<T>(
        &mut self,
        job: impl FnOnce(&Tx<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let tx = self.db.transaction().unwrap();
        let done = job(&Tx::new(&tx))?;
        tx.commit().unwrap();
        Ok(done)
    }

    /// The INBOX of the account `box`.
    fn inbox(&mut self) -> MailboxId {
        self.write(|tx| tx.mailbox("box", "INBOX")).unwrap().id
    }

    fn state(&self, row: i64) -> String {
        let sql = "SELECT state FROM message WHERE id = ?1";
        self.db.query_row(sql, [row], |row| row.get(0)).unwrap()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000)
        .unwrap()
        .checked_add(SignedDuration::from_secs(second))
        .unwrap()
}

fn imap(uid_validity: u32, uid: u32) -> MessageKey {
    MessageKey::Imap { mailbox: "INBOX".to_owned(), uid_validity, uid, generation: 0 }
}

fn pop3(unique_id: &str, occurrence: u32) -> MessageKey {
    MessageKey::Pop3 { unique_id: unique_id.to_owned(), occurrence }
}

/// A copy whose octets are told apart by `content`.
fn copy_of(key: &MessageKey, content: u8) -> Placing {
    Placing {
        key: key.clone(),
        path: format!("box/in/20270115/{key}"),
        sha256: Sha256([content; 32]),
        json_sha256: Sha256([200; 32]),
        size: 900,
        header: None,
        alone: true,
        proven: true,
        cut: false,
        listed_size: Some(901),
        internal_date: Some(at(-60)),
        received: at(-60),
        archived_at: at(0),
        own: false,
        canary: None,
        message_id: None,
        mark: false,
    }
}

/// Brings a message into a state, the way that polls do; its row.
fn put(tx: &Tx<'_>, id: MailboxId, key: &MessageKey, state: &str) -> Result<i64, LedgerError> {
    tx.begin_fetch(id, std::slice::from_ref(key), false, at(0))?;
    let open = tx.open_messages(id)?;
    let (row, _) = open.into_iter().find(|(_, open)| open == key).unwrap();
    let rows = [row];
    if state == "held" {
        tx.hold(id, key, "imap-protocol", "a literal was cut")?;
    }
    if matches!(state, "placing" | "archived" | "deleting" | "deleted") {
        assert_eq!(tx.placing(id, &[copy_of(key, 1)])?, rows);
    }
    if matches!(state, "archived" | "deleting" | "deleted") {
        tx.archived(&rows)?;
    }
    if matches!(state, "deleting" | "deleted") {
        tx.begin_delete(&[delete_of(key.clone(), row)], "expunge", at(0))?;
    }
    match state {
        "deleted" => tx.deleted(&rows, at(9))?,
        "gone" => tx.close(&rows, at(9))?,
        _ => {}
    }
    Ok(row)
}

/// A delete of the row's message.
fn delete_of(key: MessageKey, row: i64) -> Delete {
    let copy = StoredCopy {
        cut: false,
        leaps: SignedDuration::ZERO,
        canary: false,
        row,
        key: key.clone(),
        path: "p".to_owned(),
        sha256: Sha256([1; 32]),
        json_sha256: Sha256([2; 32]),
        size: 1,
        listed_size: None,
        internal_date: None,
        received: None,
        archived_at: at(0),
        deleting: false,
        flagged: false,
        delete_ok: true,
        actions_open: false,
        actions_unknown: false,
        moves: Vec::new(),
    };
    Delete {
        key,
        number: 3,
        copy,
        how: DeleteMode::Expunge,
        action: None,
        why: DeleteReason::Begun,
    }
}

#[tokio::test]
async fn ledger_keeps_its_name_and_counts_its_starts() {
    let temp = tempfile::tempdir().unwrap();
    let root = Uuid::new_v4();
    let mut first = Ledger::open(temp.path()).unwrap();
    assert_eq!((first.identity().root, first.identity().generation), (None, 0));
    assert!(first.identity().ledger.is_some() && first.identity().exists);
    assert_eq!(first.bind(root).await.unwrap(), 1);
    let mut again = Ledger::open(temp.path()).unwrap();
    assert_eq!(again.identity(), first.identity());
    assert_eq!(again.bind(root).await.unwrap(), 2);
    let reader = Ledger::open_read_only(temp.path()).unwrap();
    assert_eq!(reader.identity(), again.identity());
}

#[tokio::test]
async fn ledger_file_is_private() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path()).unwrap();
    ledger.write("add", |tx| tx.mailbox("box", "INBOX").map(drop)).await.unwrap();
    for entry in std::fs::read_dir(temp.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
    }
}

#[tokio::test]
async fn missing_ledger_reads_as_empty_and_nothing_is_made() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open_read_only(temp.path()).unwrap();
    let identity = ledger.identity();
    assert_eq!((identity.exists, identity.ledger, identity.root), (false, None, None));
    let found = ledger.read("read", |tx| {
        Ok((tx.account("box")?, tx.counts("box", at(0), None)?, tx.held("box", 9)?))
    });
    let (account, counts, held) = found.await.unwrap();
    assert!(account.is_none() && held.is_empty());
    assert_eq!(counts, Counts::default());
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn d12_d15_ledger_of_a_newer_program_is_refused_for_writing_and_for_reading() {
    let temp = tempfile::tempdir().unwrap();
    let db = open::open(&temp.path().join(LEDGER_FILE)).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let newest = schema::newest();
    let newer = |error| matches!(error, LedgerError::Newer { found: 99, known } if known == newest);
    assert!(newer(Ledger::open(temp.path()).unwrap_err()));
    assert!(newer(Ledger::open_read_only(temp.path()).unwrap_err()));
}

#[test]
fn ledger_whose_making_was_cut_short_reads_as_empty_and_is_made_by_the_next_start() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join(LEDGER_FILE);
    std::fs::File::create(&path).unwrap();
    assert!(!Ledger::open_read_only(temp.path()).unwrap().identity().exists);
    // Cut after the file was made a WAL one, before its tables were committed.
    drop(sqlite::open(&path, Durability::Full).unwrap());
    assert!(!Ledger::open_read_only(temp.path()).unwrap().identity().exists);
    assert!(Ledger::open(temp.path()).unwrap().identity().ledger.is_some());
    assert!(Ledger::open_read_only(temp.path()).unwrap().identity().exists);
}

/// The very first writes go by a rollback journal; whoever only reads can't roll it back.
#[test]
fn d02_ledger_that_died_before_its_first_commit_reads_as_empty_and_is_made_by_the_next_start() {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let db = Connection::open(before.path().join(LEDGER_FILE)).unwrap();
    let fill = "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; BEGIN;
        CREATE TABLE t (x); INSERT INTO t VALUES (randomblob(300000));";
    db.execute_batch(fill).unwrap();
    for name in ["ledger.db", "ledger.db-journal"] {
        std::fs::copy(before.path().join(name), after.path().join(name)).unwrap();
    }
    let read = open::open_read_only(&after.path().join(LEDGER_FILE)).unwrap();
    assert_eq!(open::read_identity(&read).unwrap().ledger, None);
    let made = open::open(&after.path().join(LEDGER_FILE)).unwrap();
    assert!(open::identity(&made).unwrap().ledger.is_some());
    drop(made);
    let read = open::open_read_only(&after.path().join(LEDGER_FILE)).unwrap();
    assert!(open::read_identity(&read).unwrap().ledger.is_some());
}

#[tokio::test]
async fn reader_sees_what_was_committed_and_never_half_of_it() {
    let temp = tempfile::tempdir().unwrap();
    let writer = Ledger::open(temp.path()).unwrap();
    let reader = Ledger::open_read_only(temp.path()).unwrap();
    let id = writer.write("add", |tx| tx.mailbox("box", "INBOX")).await.unwrap().id;
    let (look, looked) = std::sync::mpsc::channel();
    let (begun, has_begun) = oneshot::channel();
    let half = {
        let writer = writer.clone();
        async move {
            let done = writer.write("fetch", move |tx| {
                tx.begin_fetch(id, &[imap(7, 1)], false, at(0))?;
                begun.send(()).unwrap();
                looked.recv().unwrap();
                tx.begin_fetch(id, &[imap(7, 2)], false, at(0))
            });
            done.await.unwrap();
        }
    };
    let open = |tx: &Tx<'_>| Ok(tx.find_mailbox("box", "INBOX")?.is_some());
    let watch = async {
        has_begun.await.unwrap();
        assert!(reader.read("read", open).await.unwrap());
        let seen = reader.read("read", move |tx| tx.open_messages(id)).await.unwrap();
        look.send(()).unwrap();
        seen.len()
    };
    let ((), seen) = tokio::join!(half, watch);
    assert_eq!(seen, 0);
    let seen = reader.read("read", move |tx| tx.open_messages(id)).await.unwrap();
    assert_eq!(seen.len(), 2);
    reader.write("write", |tx| tx.set_meta("x", "y")).await.unwrap_err();
}

#[tokio::test]
async fn two_writers_wait_for_each_other() {
    let temp = tempfile::tempdir().unwrap();
    let (one, two) = (Ledger::open(temp.path()).unwrap(), Ledger::open(temp.path()).unwrap());
    assert_eq!(one.identity(), two.identity());
    let id = one.write("add", |tx| tx.mailbox("box", "INBOX")).await.unwrap().id;
    for n in 0..40 {
        let fetch = move |uid| move |tx: &Tx<'_>| tx.begin_fetch(id, &[imap(7, uid)], false, at(0));
        let both = (one.write("fetch", fetch(n)), two.write("fetch", fetch(n)));
        let (a, b) = tokio::join!(both.0, both.1);
        let begun = Begun { first_seen: at(0), suspect: false, deaths: 0 };
        assert_eq!((a.unwrap(), b.unwrap()), (vec![begun], vec![begun]));
    }
    let failures = one.write("hold", move |tx| tx.hold(id, &imap(7, 39), "c", "why")).await;
    assert_eq!(failures.unwrap(), 1);
}

#[tokio::test]
async fn transaction_that_fails_leaves_nothing_behind() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path()).unwrap();
    let failed = ledger.write("add", |tx| {
        tx.mailbox("box", "INBOX")?;
        Err::<(), _>(LedgerError::Damaged { table: "message", row: 1, why: "made up" })
    });
    assert_eq!(failed.await.unwrap_err().code(), "ledger-damaged");
    let found = ledger.read("read", |tx| tx.find_mailbox("box", "INBOX")).await.unwrap();
    assert!(found.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_mark_is_committed_without_a_sync() {
    let temp = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(temp.path()).unwrap();
    let synchronous = |tx: &Tx<'_>| {
        tx.db.query_row("PRAGMA synchronous", [], |row| row.get(0)).map_err(error::sqlite("look"))
    };
    let marking = ledger.clone();
    let marked = move || marking.mark_blocking("mark", synchronous).unwrap();
    let marked: i64 = tokio::task::spawn_blocking(marked).await.unwrap();
    let failing = ledger.clone();
    let failed = move || {
        failing.mark_blocking::<(), _>("mark", |_| {
            Err(LedgerError::Damaged { table: "message", row: 1, why: "a test" })
        })
    };
    tokio::task::spawn_blocking(failed).await.unwrap().unwrap_err();
    let written: i64 = ledger.write("write", synchronous).await.unwrap();
    assert_eq!((marked, written), (1, 2));
}

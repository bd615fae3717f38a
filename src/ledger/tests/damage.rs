//! Files that are damaged, old, copied, or written to with an unknown outcome.

use std::io::{Seek as _, SeekFrom, Write as _};

use super::*;
use crate::ledger::schema::{migrate_to, newest, version};
use crate::model::KnownState;

/// A ledger with some rows that no process closed.
fn left_open(rows: u32) -> TempDir {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join(LEDGER_FILE);
    let mut db = open::open(&path).unwrap();
    open::identity(&db).unwrap();
    let tx = db.transaction().unwrap();
    Tx::new(&tx).bind(Uuid::from_u128(1)).unwrap();
    let id = Tx::new(&tx).mailbox("box", "INBOX").unwrap().id;
    for uid in 1..=rows {
        put(&Tx::new(&tx), id, &imap(7, uid), "archived").unwrap();
    }
    tx.commit().unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    temp
}

fn overwrite(temp: &TempDir, at: u64, octets: &[u8]) {
    let path = temp.path().join(LEDGER_FILE);
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(octets).unwrap();
}

fn is_corrupt(error: &LedgerError) -> bool {
    assert_eq!(error.hint().is_some(), error.needs_person(), "{error}");
    matches!(error, LedgerError::Corrupt { .. })
}

#[test]
fn d12_page_garbage_is_found_by_the_start_after_a_crash() {
    let temp = left_open(300);
    overwrite(&temp, 4 * 4096, &[0xA5; 4096 * 3]);
    assert!(is_corrupt(&Ledger::open(temp.path()).unwrap_err()));
    assert!(is_corrupt(&Ledger::look(temp.path()).unwrap_err()));
}

#[test]
fn d12_file_that_is_no_database_or_another_program_s_is_refused() {
    let temp = left_open(1);
    let db = Connection::open(temp.path().join(LEDGER_FILE)).unwrap();
    db.pragma_update(None, "application_id", 1).unwrap();
    drop(db);
    assert!(is_corrupt(&Ledger::open(temp.path()).unwrap_err()));
    assert!(is_corrupt(&Ledger::open_read_only(temp.path()).unwrap_err()));
    let temp = left_open(1);
    overwrite(&temp, 0, b"this was a ledger once, and is none now");
    assert!(is_corrupt(&Ledger::open(temp.path()).unwrap_err()));
    assert!(is_corrupt(&Ledger::open_read_only(temp.path()).unwrap_err()));
}

#[tokio::test]
async fn d12_damage_that_shows_at_work_ends_all_work() {
    let temp = left_open(1);
    let ledger = Ledger::open(temp.path()).unwrap();
    assert_eq!(ledger.read("count", |tx| tx.shelf_len("")).await.unwrap(), 1);
    ledger.condemn("page 9 is never used".to_owned()).await;
    let delete = ledger
        .begin_delete(Vec::new(), DeleteMode::Expunge, Timestamp::UNIX_EPOCH)
        .await
        .unwrap_err();
    assert!(is_corrupt(&delete), "{delete}");
    assert!(is_corrupt(&ledger.read("read", |_| Ok(())).await.unwrap_err()));
}

#[tokio::test]
async fn d12_after_a_write_of_unknown_outcome_the_file_is_opened_anew() {
    let temp = left_open(1);
    let ledger = Ledger::open(temp.path()).unwrap();
    // As on a full disk; the setting lives as long as the connection.
    ledger
        .read("limit it", |tx| {
            tx.db.pragma_update(None, "max_page_count", 1).map_err(error::sqlite("limit it"))
        })
        .await
        .unwrap();
    let fill = |tx: &Tx<'_>| {
        let id = tx.mailbox("box", "INBOX")?.id;
        let keys: Vec<MessageKey> = (100..2000).map(|uid| imap(7, uid)).collect();
        tx.begin_fetch(id, &keys, false, at(0)).map(drop)
    };
    let refused = ledger.write("fill it", fill).await.unwrap_err();
    assert_eq!(refused.code(), "ledger-failed", "{refused}");
    assert_eq!(ledger.read("count", |tx| tx.shelf_len("box")).await.unwrap(), 1);
    ledger.write("fill it", fill).await.unwrap();
}

#[tokio::test]
async fn d12_closed_ledger_is_one_file_and_needs_no_check() {
    let temp = left_open(3);
    let ledger = Ledger::open(temp.path()).unwrap();
    ledger.close().await.unwrap();
    assert!(matches!(ledger.read("read", |_| Ok(())).await, Err(LedgerError::Gone)));
    let files = std::fs::read_dir(temp.path()).unwrap().count();
    assert_eq!(files, 1);
    let db = open::open(&temp.path().join(LEDGER_FILE)).unwrap();
    let open = "SELECT count(*) FROM meta WHERE key = 'open'";
    assert_eq!(db.query_row(open, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[tokio::test]
async fn d13_daily_copies_are_whole_private_few_and_known_as_copies() {
    let temp = left_open(3);
    let _ledger = Ledger::open(temp.path()).unwrap();
    let upkeep = Upkeep::new(temp.path());
    for day in 0..5 {
        let now = at(day * 86_400);
        let made = upkeep.back_up(now).unwrap().expect("a copy");
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(upkeep.back_up(now).unwrap().is_none(), "one a day");
    }
    let folder = temp.path().join(BACKUPS);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3);
    let (name, _) = last_backup(temp.path()).unwrap();
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(folder.join(name), copy.path().join(LEDGER_FILE)).unwrap();
    let copy = Ledger::open(copy.path()).unwrap();
    assert_eq!((copy.identity().root, copy.identity().generation), (Some(Uuid::from_u128(1)), 0));
    assert_eq!(copy.read("count", |tx| tx.shelf_len("")).await.unwrap(), 3);
    upkeep.check().unwrap();
    assert_eq!(upkeep.checkpoint().unwrap(), None);
    let wal = temp.path().join(format!("{LEDGER_FILE}-wal"));
    assert_eq!(wal.metadata().unwrap().len(), 0, "d14");
}

#[test]
fn d14_checkpoint_waits_for_no_stuck_reader() {
    let temp = left_open(3);
    let path = temp.path().join(LEDGER_FILE);
    let writer = open::open(&path).unwrap();
    let reader = open::open_read_only(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM message").ok();
    let mut begun = reader.prepare("SELECT id FROM message").unwrap();
    let mut rows = begun.query([]).unwrap();
    rows.next().unwrap();
    writer.execute("UPDATE message SET attempts = 9", []).unwrap();
    let patience = std::time::Duration::from_secs(5);
    let ended = thread::scope(|scope| {
        let work = scope.spawn(|| Upkeep::new(temp.path()).checkpoint());
        thread::sleep(patience);
        work.is_finished()
    });
    assert!(ended, "it waits for a second, not for the reader");
}

#[test]
fn d15_migration_is_one_transaction_and_a_copy_of_the_old_ledger_comes_first() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join(LEDGER_FILE);
    let mut db = sqlite::open(&path, Durability::Full).unwrap();
    migrate_to(&mut db, 1, true).unwrap();
    open::identity(&db).unwrap();
    // Killed before the commit, whatever it had done: the old one stays.
    migrate_to(&mut db, usize::try_from(newest()).unwrap(), false).unwrap();
    assert_eq!(version(&db).unwrap(), 1);
    drop(db);
    let db = open::open(&path).unwrap();
    assert_eq!(version(&db).unwrap(), newest());
    let copy = temp.path().join(BACKUPS).join("ledger-schema-1.db");
    let copy = Connection::open(copy).unwrap();
    assert_eq!(version(&copy).unwrap(), 1);
    drop(open::open(&path).unwrap());
}

#[test]
fn p15_adopted_copy_may_not_be_deleted_and_a_second_one_is_told() {
    let mut book = Book::new();
    let found = |path: &str| Adoption {
        account: "box".to_owned(),
        key: imap(7, 1),
        path: path.to_owned(),
        sha256: Sha256([1; 32]),
        json_sha256: Sha256([2; 32]),
        size: 9,
        internal_date: Some(at(0)),
        received: at(0),
        archived_at: at(1),
        origin: String::new(),
    };
    let adopted = book.write(|tx| tx.adopt(&found("box/a"))).unwrap();
    assert_eq!(adopted, Adopted::New);
    let twice = book.write(|tx| tx.adopt(&found("box/b"))).unwrap();
    assert_eq!(twice, Adopted::Twice("box/a".to_owned()));
    assert!(book.write(|tx| tx.has_path("box/a")).unwrap());
    assert!(!book.write(|tx| tx.has_path("box/b")).unwrap());
    let shelf = book.write(|tx| tx.shelf("box", 0, 9)).unwrap();
    assert!(!shelf[0].copy.delete_ok);
    let row = shelf[0].copy.row;
    let proof = Proof { row, listed_size: Some(10), internal_date: Some(at(0)) };
    book.write(|tx| tx.prove(&[proof])).unwrap();
    let shelf = book.write(|tx| tx.shelf_at(row)).unwrap().unwrap();
    assert!(shelf.copy.delete_ok && shelf.copy.listed_size == Some(10));
    let settled = book.write(|tx| {
        tx.settle_mailboxes()?;
        tx.find_mailbox("box", "INBOX")
    });
    assert_eq!(settled.unwrap().unwrap().uid_validity, Some(7));
}

/// Locks of this process on a file, as the kernel lists them.
fn locks(path: &Path) -> usize {
    use std::os::unix::fs::MetadataExt as _;
    let inode = format!(":{} ", path.metadata().unwrap().ino());
    let owner = format!(" {} ", std::process::id());
    let listed = std::fs::read_to_string("/proc/locks").unwrap();
    listed.lines().filter(|line| line.contains(&inode) && line.contains(&owner)).count()
}

#[tokio::test]
async fn d14_upkeep_and_second_connections_leave_the_locks_of_the_ledger_alone() {
    let temp = left_open(1);
    let ledger = Ledger::open(temp.path()).unwrap();
    assert_eq!(ledger.read("count", |tx| tx.shelf_len("")).await.unwrap(), 1);
    let path = temp.path().join(LEDGER_FILE);
    let before = locks(&path);
    assert!(before > 0, "a connection in WAL mode keeps a lock on the file");
    let upkeep = Upkeep::new(temp.path());
    upkeep.checkpoint().unwrap();
    upkeep.check().unwrap();
    upkeep.back_up(at(0)).unwrap();
    drop(Ledger::open_read_only(temp.path()).unwrap());
    assert_eq!(locks(&path), before);
}

#[tokio::test]
async fn d15_ledger_of_an_older_schema_says_so_to_readers_and_is_raised_by_a_start() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join(LEDGER_FILE);
    let mut db = Connection::open(&path).unwrap();
    migrate_to(&mut db, 1, true).unwrap();
    drop(db);
    let reader = Ledger::open_read_only(temp.path()).unwrap();
    let refused = reader.read("count", |tx| tx.shelf_len("")).await.unwrap_err();
    assert_eq!(refused.code(), "ledger-outdated");
    assert!(refused.hint().unwrap().contains("start it once"), "{refused}");
    drop(Ledger::open(temp.path()).unwrap());
    let reader = Ledger::open_read_only(temp.path()).unwrap();
    assert_eq!(reader.read("count", |tx| tx.shelf_len("")).await.unwrap(), 0);
}

fn doubt(tx: &Tx<'_>) -> Result<(), LedgerError> {
    tx.doubt_copies()
}

#[test]
fn d13_doubt_is_ended_by_figures_only_where_there_was_none_before() {
    let mut book = Book::new();
    let (id, drop) = (book.inbox(), book.write(|tx| tx.mailbox("drop", "")).unwrap().id);
    let one = book.write(|tx| put(tx, id, &imap(7, 1), "archived")).unwrap();
    let two = book.write(|tx| put(tx, id, &imap(7, 2), "archived")).unwrap();
    book.db.execute("UPDATE message SET delete_ok = 0 WHERE id = ?1", [two]).unwrap();
    let keys = [pop3("a", 0), pop3("b", 0)];
    book.write(|tx| put(tx, drop, &keys[0], "deleting")).unwrap();
    book.write(|tx| put(tx, drop, &keys[1], "deleted")).unwrap();
    book.write(doubt).unwrap();
    let mut size = |row| book.write(|tx| tx.shelf_at(row)).unwrap().unwrap().copy.listed_size;
    assert_eq!((size(one), size(two)), (None, Some(901)));
    let known = book.write(|tx| tx.known(drop, &keys)).unwrap();
    assert!(keys.iter().all(|key| matches!(known[key], KnownState::Other { .. })), "{known:?}");
    assert!(book.write(|tx| tx.has_former(drop, 0, &[])).unwrap());
}

#[test]
fn d12_adopted_copy_of_a_maildrop_is_known_by_its_content_only() {
    let mut book = Book::new();
    let found = Adoption {
        account: "drop".to_owned(),
        key: pop3("a", 0),
        path: "drop/a".to_owned(),
        sha256: Sha256([1; 32]),
        json_sha256: Sha256([2; 32]),
        size: 9,
        internal_date: None,
        received: at(0),
        archived_at: at(1),
        origin: String::new(),
    };
    assert_eq!(book.write(|tx| tx.adopt(&found)).unwrap(), Adopted::New);
    let drop = book.write(|tx| tx.mailbox("drop", "")).unwrap().id;
    let known = book.write(|tx| tx.known(drop, &[pop3("a", 0)])).unwrap();
    assert!(matches!(known[&pop3("a", 0)], KnownState::Other { .. }), "{known:?}");
    let to = copy_of(&pop3("a", 1), 1);
    assert_eq!(book.write(|tx| tx.restate(drop, &to)).unwrap().unwrap().path, "drop/a");
    let known = book.write(|tx| tx.known(drop, &[pop3("a", 0)])).unwrap();
    assert!(matches!(&known[&pop3("a", 0)], KnownState::Stored(copy) if copy.delete_ok));
}

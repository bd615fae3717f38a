//! UIDs that were given to another message under the same UIDVALIDITY.

use super::*;
use crate::model::KnownState;

fn generation(n: u32) -> MessageKey {
    imap(7, 5).with_generation(n)
}

/// What is known of UID 5: the generation and a word.
fn known(book: &mut Book, id: MailboxId) -> Option<(u32, &'static str)> {
    let known = book.write(|tx| tx.known(id, &[imap(7, 5)])).unwrap();
    known.get(&imap(7, 5)).map(|state| match state {
        KnownState::Stored(copy) => (copy.key.generation(), "stored"),
        KnownState::Held { key, .. } => (key.generation(), "held"),
        KnownState::Deleted { key, .. } => (key.generation(), "deleted"),
        KnownState::Other { key } => (key.generation(), "other"),
        KnownState::Placing { key } => (key.generation(), "placing"),
        KnownState::CaughtUp { key, .. } => (key.generation(), "caught up"),
        KnownState::Skipped { key, .. } => (key.generation(), "left out"),
    })
}

fn archive(book: &mut Book, id: MailboxId, copy: &Placing) -> i64 {
    book.write(|tx| {
        let rows = tx.placing(id, std::slice::from_ref(copy))?;
        tx.archived(&rows)?;
        Ok(rows[0])
    })
    .unwrap()
}

#[test]
fn newest_generation_that_says_something_is_known() {
    let cases = [
        ("archived", "archived", (1, "stored")),
        ("archived", "deleting", (1, "stored")),
        ("archived", "deleted", (1, "deleted")),
        ("archived", "held", (1, "held")),
        ("archived", "fetching", (0, "stored")),
        ("archived", "gone", (0, "stored")),
        ("deleted", "fetching", (0, "deleted")),
        ("deleted", "archived", (1, "stored")),
    ];
    for (old, new, want) in cases {
        let mut book = Book::new();
        let id = book.inbox();
        book.write(|tx| put(tx, id, &generation(0), old)).unwrap();
        book.write(|tx| put(tx, id, &generation(1), new)).unwrap();
        book.write(|tx| put(tx, id, &imap(7, 6).with_generation(3), "archived")).unwrap();
        assert_eq!(known(&mut book, id), Some(want), "{old}, {new}");
    }
}

#[test]
fn message_that_gets_a_uid_takes_the_older_ones_off_the_server() {
    for (state, want) in [("archived", "deleted"), ("deleting", "deleted"), ("held", "held")] {
        let mut book = Book::new();
        let id = book.inbox();
        let old = book.write(|tx| put(tx, id, &generation(0), state)).unwrap();
        let beside = book.write(|tx| put(tx, id, &imap(7, 6), "archived")).unwrap();
        let epoch = book.write(|tx| put(tx, id, &imap(8, 5), "archived")).unwrap();
        let new = archive(&mut book, id, &copy_of(&generation(1), 2));
        assert_eq!((book.state(old), book.state(new)), (want.into(), "archived".into()));
        assert_eq!((book.state(beside), book.state(epoch)), ("archived".into(), "archived".into()));
    }
    let mut book = Book::new();
    let drop = book.write(|tx| tx.mailbox("drop", "")).unwrap().id;
    let one = book.write(|tx| put(tx, drop, &pop3("a", 0), "archived")).unwrap();
    book.write(|tx| put(tx, drop, &pop3("a", 1), "archived")).unwrap();
    assert_eq!(book.state(one), "archived", "occurrences stand side by side");
}

#[test]
fn same_content_only_tells_the_size_and_date_anew() {
    for state in ["archived", "deleting", "deleted"] {
        let mut book = Book::new();
        let id = book.inbox();
        let row = book.write(|tx| put(tx, id, &generation(0), state)).unwrap();
        let begun = book.write(|tx| put(tx, id, &generation(1), "fetching")).unwrap();
        let told = Placing {
            listed_size: Some(5),
            internal_date: Some(at(7)),
            ..copy_of(&generation(1), 1)
        };
        let other = Placing { sha256: Sha256([9; 32]), ..told.clone() };
        assert!(book.write(|tx| tx.restate(id, &other)).unwrap().is_none(), "{state}");
        let found = book.write(|tx| tx.restate(id, &told)).unwrap().unwrap();
        assert_eq!(found.path, copy_of(&generation(0), 1).path);
        assert_eq!(book.state(row), "archived");
        let known = book.write(|tx| tx.known(id, &[imap(7, 5)])).unwrap();
        let KnownState::Stored(copy) = &known[&imap(7, 5)] else { panic!("{known:?}") };
        assert_eq!((copy.row, &copy.key), (row, &generation(0)));
        assert_eq!((copy.listed_size, copy.internal_date), (Some(5), Some(at(7))));
        assert_eq!(copy.archived_at, at(0));
        let sql = "SELECT count(*) FROM message WHERE id = ?1";
        let left: i64 = book.db.query_row(sql, [begun], |row| row.get(0)).unwrap();
        assert_eq!(left, 0, "the attempt is over");
    }
}

#[test]
fn copy_that_comes_back_after_another_is_the_newest_again() {
    let mut book = Book::new();
    let id = book.inbox();
    let first = archive(&mut book, id, &copy_of(&generation(0), 1));
    let second = archive(&mut book, id, &copy_of(&generation(1), 2));
    book.write(|tx| tx.restate(id, &copy_of(&generation(2), 1))).unwrap().unwrap();
    assert_eq!((book.state(first), book.state(second)), ("archived".into(), "deleted".into()));
    assert_eq!(known(&mut book, id), Some((2, "stored")));
}

#[test]
fn copies_of_other_messages_are_not_taken_for_the_same() {
    let mut book = Book::new();
    let id = book.inbox();
    let other = book.write(|tx| tx.mailbox("box", "Other")).unwrap().id;
    archive(&mut book, id, &copy_of(&imap(7, 6), 1));
    archive(&mut book, id, &copy_of(&imap(8, 5), 1));
    archive(&mut book, other, &copy_of(&generation(0), 1));
    book.write(|tx| put(tx, id, &generation(0), "placing")).unwrap();
    assert!(book.write(|tx| tx.restate(id, &copy_of(&generation(1), 1))).unwrap().is_none());
}

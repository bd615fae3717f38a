//! Copies under an older UIDVALIDITY, found again by their content.

use proptest::prelude::*;

use super::*;
use crate::model::{KnownState, Sighting};

/// Archives a copy under the old UIDVALIDITY 7.
fn archive(book: &mut Book, id: MailboxId, uid: u32, content: u8) -> i64 {
    book.write(|tx| {
        let rows = tx.placing(id, &[copy_of(&imap(7, uid), content)])?;
        tx.archived(&rows)?;
        Ok(rows[0])
    })
    .unwrap()
}

fn rekey(book: &mut Book, id: MailboxId, uid: u32, content: u8) -> Option<String> {
    let to = Placing { path: "unused".to_owned(), ..copy_of(&imap(8, uid), content) };
    book.write(|tx| {
        tx.begin_fetch(id, &[imap(8, uid)], false, at(5))?;
        tx.rekey(id, &[], &to)
    })
    .unwrap()
    .map(|found| found.path)
}

#[test]
fn equal_copies_are_taken_once_each_the_oldest_row_first() {
    let mut book = Book::new();
    let id = book.inbox();
    let rows: Vec<i64> = [(11, 1), (12, 2), (13, 1)]
        .map(|(uid, content)| archive(&mut book, id, uid, content))
        .into();
    assert_eq!(rekey(&mut book, id, 1, 1), Some(copy_of(&imap(7, 11), 1).path));
    assert_eq!(rekey(&mut book, id, 2, 1), Some(copy_of(&imap(7, 13), 1).path));
    assert_eq!(rekey(&mut book, id, 3, 1), None);
    let known = book.write(|tx| tx.known(id, &[imap(8, 1), imap(8, 2), imap(8, 3)])).unwrap();
    let found: Vec<_> = known
        .values()
        .map(|state| match state {
            KnownState::Stored(copy) => (copy.row, copy.listed_size, copy.archived_at),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, [(rows[0], Some(901), at(0)), (rows[2], Some(901), at(0))]);
    // Their folders have their names by the old keys, which no other message may get.
    let known = book.write(|tx| tx.known(id, &[imap(7, 11)])).unwrap();
    assert!(matches!(known[&imap(7, 11)], KnownState::Other { .. }), "{known:?}");
}

#[test]
fn row_that_was_begun_for_the_new_key_gives_way() {
    for state in ["fetching", "held", "gone"] {
        let mut book = Book::new();
        let id = book.inbox();
        let old = archive(&mut book, id, 11, 1);
        let begun = book.write(|tx| put(tx, id, &imap(8, 1), state)).unwrap();
        let to = copy_of(&imap(8, 1), 1);
        assert!(book.write(|tx| tx.rekey(id, &[], &to)).unwrap().is_some());
        assert_eq!(book.state(old), "archived");
        let sql = "SELECT count(*) FROM message WHERE id = ?1";
        let left: i64 = book.db.query_row(sql, [begun], |row| row.get(0)).unwrap();
        assert_eq!(left, 0, "{state}");
    }
}

#[test]
fn stored_copy_of_the_new_key_is_not_replaced() {
    for state in ["placing", "archived", "deleting", "deleted"] {
        let mut book = Book::new();
        let id = book.inbox();
        let old = archive(&mut book, id, 11, 1);
        let stored = book.write(|tx| put(tx, id, &imap(8, 1), state)).unwrap();
        book.write(|tx| tx.rekey(id, &[], &copy_of(&imap(8, 1), 1))).unwrap_err();
        assert_eq!((book.state(old), book.state(stored)), ("archived".into(), state.into()));
    }
}

#[test]
fn only_durable_copies_of_an_older_uid_validity_in_the_same_mailbox_are_taken() {
    for (state, taken) in [
        ("fetching", false),
        ("held", false),
        ("placing", false),
        ("archived", true),
        ("deleting", true),
        ("deleted", true),
        ("gone", false),
    ] {
        let mut book = Book::new();
        let id = book.inbox();
        book.write(|tx| put(tx, id, &imap(7, 5), state)).unwrap();
        let other = book.write(|tx| tx.mailbox("box", "Other")).unwrap().id;
        let (same, new) = (copy_of(&imap(7, 9), 1), copy_of(&imap(8, 9), 1));
        assert!(book.write(|tx| tx.rekey(other, &[], &new)).unwrap().is_none(), "{state}");
        assert!(book.write(|tx| tx.rekey(id, &[], &same)).unwrap().is_none(), "{state}");
        assert_eq!(book.write(|tx| tx.has_former(id, 8, &[])).unwrap(), taken, "{state}");
        assert!(!book.write(|tx| tx.has_former(id, 7, &[])).unwrap(), "{state}");
        assert!(!book.write(|tx| tx.has_former(other, 8, &[])).unwrap(), "{state}");
        assert_eq!(book.write(|tx| tx.rekey(id, &[], &new)).unwrap().is_some(), taken, "{state}");
    }
}

#[test]
fn copy_that_is_found_again_counts_as_on_the_server() {
    let mut book = Book::new();
    let id = book.inbox();
    let row = book.write(|tx| put(tx, id, &imap(7, 5), "deleted")).unwrap();
    book.write(|tx| tx.rekey(id, &[], &copy_of(&imap(8, 9), 1))).unwrap().unwrap();
    assert_eq!(book.state(row), "archived");
    let sql = "SELECT deleted_at FROM message WHERE id = ?1";
    let deleted_at: Option<i64> = book.db.query_row(sql, [row], |row| row.get(0)).unwrap();
    assert_eq!(deleted_at, None);
}

#[test]
fn copy_that_facts_find_again_is_neither_marked_nor_on_its_way() {
    let mut book = Book::new();
    let id = book.inbox();
    let row = book.write(|tx| put(tx, id, &imap(7, 5), "deleting")).unwrap();
    book.write(|tx| tx.flagged(&[row], at(9))).unwrap();
    let sighting = Sighting {
        key: imap(8, 9),
        alone: true,
        size: Some(901),
        internal_date: Some(at(-60)),
        header: Sha256([3; 32]),
    };
    assert_eq!(book.write(|tx| tx.rekey_by_facts(id, &[(sighting, row)])).unwrap(), 1);
    let sql = "SELECT state, flagged_at, delete_how FROM message WHERE id = ?1";
    let left: (String, Option<i64>, String) =
        book.db.query_row(sql, [row], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(left, ("archived".to_owned(), None, String::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn equal_mails_and_copies_pair_off(
        copies in proptest::collection::vec(0..3_u8, 0..8),
        listed in proptest::collection::vec(0..3_u8, 0..8),
    ) {
        let mut book = Book::new();
        let id = book.inbox();
        for (uid, content) in (1..).zip(&copies) {
            archive(&mut book, id, uid, *content);
        }
        let mut paths = std::collections::BTreeSet::new();
        let mut left = copies.clone();
        for (uid, content) in (1..).zip(&listed) {
            let place = left.iter().position(|c| c == content);
            let found = rekey(&mut book, id, uid, *content);
            prop_assert_eq!(found.is_some(), place.is_some());
            if let (Some(place), Some(path)) = (place, found) {
                left.remove(place);
                prop_assert!(paths.insert(path), "a copy was taken twice");
            }
        }
        let counts = book.write(|tx| tx.counts("box", at(0), None)).unwrap();
        prop_assert_eq!(counts.archived, copies.len() as u64);
    }
}

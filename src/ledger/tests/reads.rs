//! What the ledger answers: known messages, received dates, counts, mailboxes.

use super::*;
use crate::model::{KnownState, Received, ReceivedBasis};

fn due(moment: Timestamp) -> DueBefore {
    DueBefore { moment, from_received: false, flagged_is_done: false }
}

#[test]
fn messages_are_known_by_their_whole_key() {
    let mut book = Book::new();
    let id = book.inbox();
    book.write(|tx| put(tx, id, &imap(7, 5), "archived")).unwrap();
    let asked = [imap(7, 5), imap(8, 5), imap(7, 6)];
    let known = book.write(|tx| tx.known(id, &asked)).unwrap();
    assert_eq!(known.keys().collect::<Vec<_>>(), [&imap(7, 5)]);
    let other = book.write(|tx| tx.mailbox("box", "Other")).unwrap().id;
    assert!(book.write(|tx| tx.known(other, &asked)).unwrap().is_empty());
}

#[test]
fn maildrop_messages_are_known_by_unique_id_and_occurrence() {
    let mut book = Book::new();
    let id = book.write(|tx| tx.mailbox("drop", "")).unwrap().id;
    let keys = [pop3("a", 0), pop3("a", 1), pop3("A", 0)];
    book.write(|tx| put(tx, id, &keys[0], "archived")).unwrap();
    book.write(|tx| put(tx, id, &keys[1], "held")).unwrap();
    let known = book.write(|tx| tx.known(id, &keys)).unwrap();
    assert_eq!(known.len(), 2);
    assert!(matches!(known[&keys[0]], KnownState::Stored(_)));
    assert!(matches!(known[&keys[1]], KnownState::Held { attempts: 1, .. }));
    let open = book.write(|tx| tx.open_messages(id)).unwrap();
    assert_eq!(open.iter().map(|(_, key)| key).collect::<Vec<_>>(), [&keys[1]]);
    assert_eq!(book.write(|tx| tx.held("drop", 9)).unwrap()[0].key, keys[1]);
}

#[test]
fn message_whose_state_says_nothing_is_new() {
    for state in ["fetching", "gone"] {
        let mut book = Book::new();
        let id = book.inbox();
        book.write(|tx| put(tx, id, &imap(7, 5), state)).unwrap();
        assert!(book.write(|tx| tx.known(id, &[imap(7, 5)])).unwrap().is_empty(), "{state}");
    }
}

#[test]
fn delete_that_was_begun_and_identity_in_doubt_are_seen() {
    let mut book = Book::new();
    let (id, key) = (book.inbox(), imap(7, 5));
    let row = book.write(|tx| put(tx, id, &key, "deleting")).unwrap();
    let flags = |book: &mut Book| match &book.write(|tx| tx.known(id, &[imap(7, 5)])).unwrap()[&key]
    {
        KnownState::Stored(copy) => (copy.deleting, copy.delete_ok),
        other => panic!("{other:?}"),
    };
    assert_eq!(flags(&mut book), (true, true));
    book.db.execute("UPDATE message SET delete_ok = 0 WHERE id = ?1", [row]).unwrap();
    assert_eq!(flags(&mut book), (true, false));
}

#[test]
fn row_without_a_digest_is_damage_and_no_proof() {
    let mut book = Book::new();
    let (id, key) = (book.inbox(), imap(7, 5));
    let row = book.write(|tx| put(tx, id, &key, "archived")).unwrap();
    for damage in ["sha256 = NULL", "sha256 = x'00'", "json_sha256 = NULL", "size = -1"] {
        let sql = format!("UPDATE message SET {damage} WHERE id = ?1");
        book.db.execute(&sql, [row]).unwrap();
        let error = book.write(|tx| tx.known(id, std::slice::from_ref(&key))).unwrap_err();
        assert_eq!(error.code(), "ledger-damaged", "{damage}");
    }
}

#[test]
fn received_date_stays_as_it_was_first_learnt() {
    let mut book = Book::new();
    let id = book.write(|tx| tx.mailbox("drop", "")).unwrap().id;
    let first = Received { at: at(5), basis: ReceivedBasis::ReceivedField };
    let later = Received { at: at(6), basis: ReceivedBasis::FirstSeen };
    book.write(|tx| tx.set_seen(id, &[(pop3("a", 0), first), (pop3("a", 1), later)])).unwrap();
    book.write(|tx| tx.set_seen(id, &[(pop3("a", 0), later)])).unwrap();
    let asked = [pop3("a", 1), pop3("b", 0), pop3("a", 0)];
    let found = book.write(|tx| tx.seen(id, &asked)).unwrap();
    assert_eq!(found, [Some(later), None, Some(first)]);
}

#[test]
fn counts_tell_what_is_in_the_archive_and_what_is_due() {
    let mut book = Book::new();
    let id = book.inbox();
    for (uid, state) in (1..).zip([
        "archived", "archived", "deleting", "deleted", "held", "held", "gone", "fetching",
        "placing",
    ]) {
        book.write(|tx| put(tx, id, &imap(7, uid), state)).unwrap();
    }
    book.db
        .execute("UPDATE message SET archived_at = archived_at - 5000 WHERE uid = 1", [])
        .unwrap();
    let counts = book.write(|tx| tx.counts("box", at(0), Some(due(at(-1))))).unwrap();
    assert_eq!(counts, Counts { archived: 4, today: 3, held: 2, due: 1, flagged: 0 });
    let counts = book.write(|tx| tx.counts("box", at(1), Some(due(at(0))))).unwrap();
    assert_eq!((counts.today, counts.due), (0, 3));
    book.db.execute("UPDATE message SET flagged_at = 1 WHERE uid = 1", []).unwrap();
    let marked = DueBefore { flagged_is_done: true, ..due(at(0)) };
    let counts = book.write(|tx| tx.counts("box", at(1), Some(marked))).unwrap();
    assert_eq!((counts.flagged, counts.due), (1, 2));
    book.db.execute("UPDATE message SET received = archived_at - 9000 WHERE uid = 2", []).unwrap();
    book.db.execute("UPDATE message SET received = archived_at + 9000 WHERE uid = 1", []).unwrap();
    book.db.execute("UPDATE message SET received = NULL WHERE uid = 3", []).unwrap();
    let received = DueBefore { from_received: true, ..due(at(-6)) };
    let counts = book.write(|tx| tx.counts("box", at(1), Some(received))).unwrap();
    assert_eq!(counts.due, 1, "a later date counts as the storing, a missing one too");
    let counts = book.write(|tx| tx.counts("box", at(0), None)).unwrap();
    assert_eq!(counts.due, 0, "without a rule nothing is due");
}

#[test]
fn listing_is_remembered_until_uid_validity_changes() {
    let mut book = Book::new();
    let id = book.inbox();
    let facts = MailboxFacts {
        decided: String::new(),
        uid_next: Some(u32::MAX),
        exists: 3,
        highest_modseq: Some(1 << 62),
        rules: "r".to_owned(),
        listed_at: at(1),
        wake_at: Some(at(2)),
    };
    book.write(|tx| tx.set_uid_validity(id, Some(u32::MAX))).unwrap();
    book.write(|tx| tx.set_facts(id, &facts)).unwrap();
    let found = book.write(|tx| tx.mailbox("box", "INBOX")).unwrap();
    assert_eq!((found.uid_validity, found.facts), (Some(u32::MAX), Some(facts.clone())));
    book.write(|tx| tx.set_uid_validity(id, None)).unwrap();
    let found = book.write(|tx| tx.mailbox("box", "INBOX")).unwrap();
    assert_eq!((found.uid_validity, found.facts), (None, None));
}

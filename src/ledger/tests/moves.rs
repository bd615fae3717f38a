//! Every step that a message may take, and every one that it may not.

use super::*;
use crate::model::KnownState;

const STATES: [&str; 7] =
    ["fetching", "held", "placing", "archived", "deleting", "deleted", "gone"];

/// What an act makes of a message in each of [`STATES`]; `!` refuses, and fails the transaction.
const MOVES: [(&str, [&str; 7]); 10] = [
    ("begin_fetch", ["fetching", "fetching", "", "", "", "", "fetching"]),
    ("hold", ["held", "held", "", "", "", "", ""]),
    ("placing", ["placing", "placing", "placing", "!", "!", "!", "placing"]),
    ("archived", ["", "", "archived", "", "", "", ""]),
    ("unplace", ["", "", "fetching", "", "", "", ""]),
    ("begin_delete", ["!", "!", "!", "deleting", "deleting", "!", "!"]),
    ("deleted", ["", "", "", "", "deleted", "", ""]),
    ("undelete", ["", "", "", "", "archived", "", ""]),
    ("left_server", ["", "", "", "deleted", "deleted", "", ""]),
    ("close", ["gone", "gone", "", "", "deleted", "", ""]),
];

fn act(tx: &Tx<'_>, act: &str, id: MailboxId, row: i64) -> Result<(), LedgerError> {
    let (key, rows) = (imap(7, 5), [row]);
    match act {
        "begin_fetch" => tx.begin_fetch(id, &[key], false, at(20)).map(drop),
        "hold" => tx.hold(id, &key, "code", "why").map(drop),
        "placing" => {
            tx.placing(id, &[Placing { path: "new".to_owned(), ..copy_of(&key, 2) }]).map(drop)
        }
        "archived" => tx.archived(&rows),
        "unplace" => tx.unplace(&rows),
        "begin_delete" => tx.begin_delete(&[delete_of(key, row)], "expunge", at(0)).map(drop),
        "deleted" => tx.deleted(&rows, at(20)),
        "undelete" => tx.undelete(&rows),
        "left_server" => tx.left_server(&rows, at(20)),
        "close" => tx.close(&rows, at(20)),
        _ => panic!("no such act: {act}"),
    }
}

#[test]
fn message_moves_only_where_its_state_allows() {
    for (name, ends) in MOVES {
        for (state, end) in STATES.into_iter().zip(ends) {
            let mut book = Book::new();
            let id = book.inbox();
            let row = book.write(|tx| put(tx, id, &imap(7, 5), state)).unwrap();
            let other = book.write(|tx| put(tx, id, &imap(7, 6), state)).unwrap();
            let done = book.write(|tx| act(tx, name, id, row));
            assert_eq!(done.is_err(), end == "!", "{name} of {state}: {done:?}");
            let want = if matches!(end, "" | "!") { state } else { end };
            assert_eq!(book.state(row), want, "{name} of {state}");
            assert_eq!(book.state(other), state, "{name} reached another message");
        }
    }
}

#[test]
fn copy_is_not_forgotten_by_an_act_that_does_not_fit_its_state() {
    for state in ["archived", "deleting"] {
        let mut book = Book::new();
        let id = book.inbox();
        let row = book.write(|tx| put(tx, id, &imap(7, 5), state)).unwrap();
        let copy = |book: &mut Book| {
            let known = book.write(|tx| tx.known(id, &[imap(7, 5)])).unwrap();
            let Some(KnownState::Stored(copy)) = known.get(&imap(7, 5)) else {
                panic!("{known:?}")
            };
            copy.clone()
        };
        let before = copy(&mut book);
        for name in ["begin_fetch", "hold", "placing", "archived", "unplace"] {
            drop(book.write(|tx| act(tx, name, id, row)));
            assert_eq!(copy(&mut book), before, "{name} of {state}");
        }
    }
}

#[test]
fn c20_suspects_of_a_crash_are_those_that_were_about_to_be_parsed() {
    let mut book = Book::new();
    let id = book.inbox();
    let keys: Vec<_> = (1..=9).map(|uid| imap(7, uid)).collect();
    let mut suspects_of = |crashed, parsing: &[MessageKey]| {
        let begun = book.write(|tx| tx.begin_fetch(id, &keys, crashed, at(0))).unwrap();
        book.write(|tx| tx.parsing(id, parsing)).unwrap();
        (1_u32..).zip(begun).filter(|(_, begun)| begun.suspect).map(|(uid, _)| uid).collect()
    };
    let suspects: Vec<u32> = suspects_of(true, &keys[0..3]);
    assert!(suspects.is_empty(), "nothing was parsed yet: {suspects:?}");
    assert_eq!(suspects_of(true, &keys[3..6]), [1, 2, 3]);
    assert_eq!(suspects_of(true, &[]), [4, 5, 6], "the process had survived the first three");
    assert!(suspects_of(true, &keys[6..]).is_empty());
    assert!(suspects_of(false, &[]).is_empty(), "the process didn't die");
    book.write(|tx| tx.parsing(id, &keys)).unwrap();
    book.write(|tx| tx.parsed(id)).unwrap();
    let last = book.write(|tx| tx.begin_fetch(id, &keys, true, at(0))).unwrap();
    assert!(last.iter().all(|begun| !begun.suspect));
}

#[test]
fn attempts_are_counted_until_the_message_is_archived() {
    let mut book = Book::new();
    let (id, key) = (book.inbox(), imap(7, 5));
    let keys = [key.clone()];
    for n in 1..=3_u32 {
        let first = book.write(|tx| tx.begin_fetch(id, &keys, false, at(i64::from(n)))).unwrap();
        assert_eq!(first[0].first_seen, at(1), "the date of the first sight stays");
        assert_eq!(book.write(|tx| tx.hold(id, &key, "c", "why")).unwrap(), n);
    }
    book.write(|tx| tx.set_retry(id, &key, at(50))).unwrap();
    let held = book.write(|tx| tx.held("box", 9)).unwrap();
    let shown: Vec<_> =
        held.iter().map(|h| (h.attempts, h.retry_at, &*h.code, &*h.reason)).collect();
    assert_eq!(shown, [(3, Some(at(50)), "c", "why")]);
    let known = book.write(|tx| tx.known(id, &keys)).unwrap();
    let held =
        matches!(known[&key], KnownState::Held { attempts: 3, retry_at, .. } if retry_at == at(50));
    assert!(held, "{known:?}");
    // A run that died in the next attempt leaves the message a retry, its count kept.
    book.write(|tx| tx.begin_fetch(id, &keys, false, at(60))).unwrap();
    let known = book.write(|tx| tx.known(id, &keys)).unwrap();
    assert!(matches!(known[&key], KnownState::Held { attempts: 3, .. }), "{known:?}");
    assert_eq!(book.write(|tx| tx.hold(id, &key, "c", "why")).unwrap(), 4);
    // Of a message that isn't being fetched there is nothing to hold.
    let row = book.write(|tx| put(tx, id, &key, "archived")).unwrap();
    assert_eq!(book.write(|tx| tx.hold(id, &key, "c", "why")).unwrap(), 0);
    assert_eq!(book.state(row), "archived");
    assert!(book.write(|tx| tx.held("box", 9)).unwrap().is_empty());
}

#[test]
fn placement_left_open_is_found_with_the_copy_that_it_should_be() {
    let mut book = Book::new();
    let (id, key) = (book.inbox(), imap(7, 5));
    let row = book.write(|tx| put(tx, id, &key, "placing")).unwrap();
    book.write(|tx| put(tx, id, &imap(7, 6), "archived")).unwrap();
    book.write(|tx| {
        let other = tx.mailbox("other", "INBOX")?.id;
        put(tx, other, &key, "placing")
    })
    .unwrap();
    let open = book.write(|tx| tx.placing_rows("box")).unwrap();
    assert_eq!(open.len(), 1);
    let (want, found) = (copy_of(&key, 1), &open[0].copy);
    assert_eq!((&open[0].key, found.row, &found.path), (&key, row, &want.path));
    assert_eq!((found.sha256, found.json_sha256, found.size), (want.sha256, want.json_sha256, 900));
    assert_eq!((found.listed_size, found.internal_date), (Some(901), Some(at(-60))));
    // Nobody knows yet whether the folder is there: neither fetched again nor deleted.
    assert!(!found.delete_ok);
    let known = book.write(|tx| tx.known(id, std::slice::from_ref(&key))).unwrap();
    assert!(matches!(&known[&key], KnownState::Placing { .. }), "{known:?}");
    book.write(|tx| tx.archived(&[row])).unwrap();
    let known = book.write(|tx| tx.known(id, std::slice::from_ref(&key))).unwrap();
    let stored = matches!(&known[&key], KnownState::Stored(copy) if copy.delete_ok);
    assert!(stored, "{known:?}");
}

#[tokio::test]
async fn no_delete_begins_when_one_of_them_is_not_archived() {
    for state in ["fetching", "held", "placing", "deleted", "gone"] {
        let mut book = Book::new();
        let id = book.inbox();
        let good = book.write(|tx| put(tx, id, &imap(7, 1), "archived")).unwrap();
        let bad = book.write(|tx| put(tx, id, &imap(7, 2), state)).unwrap();
        let (good, bad) = (delete_of(imap(7, 1), good), delete_of(imap(7, 2), bad));
        let ledger = Ledger::open(book.temp.path()).unwrap();
        let refused = ledger
            .begin_delete(vec![good.clone(), bad.clone()], DeleteMode::Expunge, at(0))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), "ledger-damaged", "{state}");
        assert_eq!(book.state(good.copy.row), "archived", "{state}");
        assert_eq!(book.state(bad.copy.row), state);
        let intent =
            ledger.begin_delete(vec![good.clone()], DeleteMode::Expunge, at(0)).await.unwrap();
        let named: Vec<_> = intent.deletes().iter().map(|d| (d.number, d.row)).collect();
        assert_eq!(named, [(3, good.copy.row)]);
        assert_eq!(book.state(good.copy.row), "deleting");
    }
}

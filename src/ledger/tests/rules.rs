//! What rules do with rows: moves that end with their messages, and mail that has no copy.

use super::*;
use crate::model::{IMPORTED, KnownState};

fn wanted(row: i64, rule: &str) -> NewAction {
    NewAction {
        row,
        message: format!("m{row}"),
        path: "p".to_owned(),
        rule: rule.to_owned(),
        kind: "move",
        key: format!("{rule}-{row}"),
    }
}

/// A message in a state, with a move that is asked for.
fn asked(state: &str) -> (Book, MailboxId, i64) {
    let mut book = Book::new();
    let id = book.inbox();
    let row = book.write(|tx| put(tx, id, &imap(7, 5), state)).unwrap();
    let add = |tx: &Tx<'_>| tx.add_actions("box", &[wanted(row, "done")], Asked::ByArrival, at(0));
    assert_eq!(book.write(add).unwrap(), 1);
    (book, id, row)
}

fn moving(row: i64) -> Delete {
    Delete { action: Some(1), ..delete_of(imap(7, 5), row) }
}

fn end(book: &mut Book) -> (ActionState, u32) {
    let action = book.write(|tx| tx.actions_of(1)).unwrap().remove(0);
    (action.state, action.attempts)
}

#[test]
fn move_ends_with_the_commit_by_which_its_message_is_gone_and_with_no_other() {
    for (act, state) in [
        ("deleted", ActionState::Done),
        ("close", ActionState::Done),
        ("undelete", ActionState::Pending),
        ("left_server", ActionState::Pending),
    ] {
        let (mut book, _, row) = asked("archived");
        let begun = book.write(|tx| tx.begin_delete(&[moving(row)], "move:Done", at(1))).unwrap();
        assert_eq!(begun.len(), 1);
        assert_eq!(end(&mut book), (ActionState::Pending, 0), "nothing is known yet");
        book.write(|tx| match act {
            "deleted" => tx.deleted(&[row], at(2)),
            "close" => tx.close(&[row], at(2)),
            "undelete" => tx.undelete(&[row]),
            _ => tx.left_server(&[row], at(2)),
        })
        .unwrap();
        assert_eq!(end(&mut book).0, state, "{act}");
        if act == "left_server" {
            assert_eq!(book.write(|tx| tx.drop_departed("box")).unwrap(), 1, "not by us");
        }
    }
}

#[test]
fn delete_by_the_accounts_rule_is_no_move_though_one_was_begun_before() {
    let (mut book, _, row) = asked("archived");
    book.write(|tx| tx.begin_delete(&[moving(row)], "move:Done", at(1)).map(drop)).unwrap();
    let delete = Delete { action: None, ..moving(row) };
    book.write(|tx| tx.begin_delete(&[delete], "expunge", at(2)).map(drop)).unwrap();
    book.write(|tx| tx.deleted(&[row], at(3))).unwrap();
    assert_eq!(end(&mut book), (ActionState::Pending, 0));
    assert_eq!(book.write(|tx| tx.drop_departed("box")).unwrap(), 1);
}

#[test]
fn intent_leaves_out_a_move_that_a_person_has_given_up() {
    let (mut book, _, row) = asked("archived");
    let first = ActionFilter { id: Some(1), ..ActionFilter::default() };
    assert_eq!(book.write(|tx| tx.drop_actions(&first)).unwrap(), 1);
    let begun = book.write(|tx| tx.begin_delete(&[moving(row)], "move:Done", at(1))).unwrap();
    assert!(begun.is_empty());
    assert_eq!(book.state(row), "archived");
}

#[test]
fn copy_knows_what_its_move_waits_for() {
    let (mut book, id, row) = asked("archived");
    let mark = NewAction { kind: "flag", ..wanted(row, "mark") };
    let open = |book: &mut Book| {
        let known = book.write(|tx| tx.known(id, &[imap(7, 5)])).unwrap();
        let KnownState::Stored(copy) = &known[&imap(7, 5)] else { panic!("{known:?}") };
        let asked = copy.moves.iter().find(|asked| !asked.failed);
        let asked = asked.map(|asked| (asked.marks_open, asked.others_open));
        (copy.actions_open, asked)
    };
    assert_eq!(open(&mut book), (true, Some((false, false))));
    book.write(|tx| tx.add_actions("box", &[mark], Asked::ByArrival, at(0))).unwrap();
    assert_eq!(open(&mut book), (true, Some((true, true))));
    let failed = Verdict::Failed { code: "refused", detail: String::new() };
    book.write(|tx| {
        tx.begin_action(2, at(1))?;
        tx.end_action(2, &failed)
    })
    .unwrap();
    assert_eq!(open(&mut book), (true, Some((true, true))), "a failed mark waits for a person");
    book.write(|tx| {
        tx.begin_action(1, at(1))?;
        tx.end_action(1, &failed)
    })
    .unwrap();
    assert_eq!(open(&mut book), (true, None), "a failed move waits for a person");
}

#[test]
fn what_was_imported_is_on_no_server_and_is_neither_marked_nor_moved() {
    let (mut book, _, _) = asked("archived");
    assert!(!book.write(|tx| tx.have_marks_departed("box")).unwrap());
    let add = |tx: &Tx<'_>| {
        let id = tx.mailbox("box", IMPORTED)?.id;
        let row = put(tx, id, &pop3("imported x", 0), "archived")?;
        tx.add_actions("box", &[wanted(row, "done")], Asked::ByPerson, at(0))
    };
    assert_eq!(book.write(add).unwrap(), 1);
    assert!(book.write(|tx| tx.have_marks_departed("box")).unwrap());
    assert_eq!(book.write(|tx| tx.drop_departed("box")).unwrap(), 1);
    assert_eq!(end(&mut book).0, ActionState::Pending, "the one on the server");
}

fn left_out(key: &MessageKey, content: u8) -> LeftOut {
    LeftOut {
        key: key.clone(),
        rule: "spam".to_owned(),
        sha256: Sha256([content; 32]),
        size: 900,
        listed_size: Some(901),
        internal_date: Some(at(-60)),
        received: at(-60),
        message_id: None,
        at: at(1),
    }
}

#[test]
fn only_what_is_being_fetched_can_be_left_out() {
    for state in ["fetching", "held", "placing", "archived", "deleting", "deleted", "gone"] {
        let mut book = Book::new();
        let (id, key) = (book.inbox(), imap(7, 5));
        let row = book.write(|tx| put(tx, id, &key, state)).unwrap();
        let done = book.write(|tx| tx.leave_out(id, &[left_out(&key, 1)]));
        let may = matches!(state, "fetching" | "held");
        assert_eq!((done.is_ok(), book.state(row) == "gone"), (may, may || state == "gone"));
        let known = book.write(|tx| tx.known(id, std::slice::from_ref(&key))).unwrap();
        let skipped = matches!(known.get(&key), Some(KnownState::Skipped { .. }));
        assert_eq!(skipped, may, "{state}");
    }
}

#[test]
fn message_that_was_left_out_is_in_no_list_that_acts_and_counts_until_it_is_gone() {
    let mut book = Book::new();
    let (id, key) = (book.inbox(), imap(7, 5));
    let row = book.write(|tx| put(tx, id, &key, "fetching")).unwrap();
    book.write(|tx| tx.leave_out(id, &[left_out(&key, 1)])).unwrap();
    assert!(book.write(|tx| tx.begin_delete(&[delete_of(key.clone(), row)], "x", at(2))).is_err());
    book.write(|tx| {
        assert!(tx.archived_rows(id)?.is_empty() && tx.open_messages(id)?.is_empty());
        assert!(tx.stored_after("box", 0, 9)?.is_empty() && tx.to_mark(id, 7, 9)?.is_empty());
        assert_eq!(tx.shelf_len("box")?, 0);
        assert_eq!(tx.left_out("box")?, [("spam".to_owned(), 1)]);
        let trail = tx.trail(row)?.unwrap();
        assert!(trail.copy.is_none() && trail.skipped.is_some());
        // The next generation, by its content and by another's.
        let next = Placing { key: key.next(), listed_size: Some(7), ..copy_of(&key, 1) };
        tx.begin_fetch(id, &[key.next()], false, at(3))?;
        assert!(!tx.restate_left_out(id, &Placing { sha256: Sha256([2; 32]), ..next.clone() })?);
        assert!(tx.restate_left_out(id, &next)?);
        let known = tx.known(id, std::slice::from_ref(&key))?;
        let KnownState::Skipped { listed_size, .. } = &known[&key] else { panic!("{known:?}") };
        assert_eq!(*listed_size, Some(7));
        assert!(tx.has_seen(id)?);
        tx.prune_skipped(id, "INBOX", |listed| *listed == key)?;
        assert_eq!(tx.count_left_out(id)?, 1);
        tx.prune_skipped(id, "INBOX", |_| false)?;
        assert_eq!(
            (tx.count_left_out(id)?, tx.known(id, std::slice::from_ref(&key))?.len()),
            (0, 0)
        );
        assert_eq!(tx.end_left_out(id)?, 0);
        Ok(())
    })
    .unwrap();
}

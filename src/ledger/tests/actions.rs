//! The outbox: rows come with the fact, tries are counted, nothing is done or forgotten by itself.

use super::*;

fn new(rule: &str, message: i64) -> NewAction {
    NewAction {
        row: message,
        message: format!("m{message}"),
        path: format!("a/in/{message}"),
        rule: rule.to_owned(),
        kind: "exec",
        key: format!("{rule}-{message}"),
    }
}

fn book(rule: &str, count: i64) -> Book {
    let mut book = Book::new();
    let actions: Vec<NewAction> = (1..=count).map(|n| new(rule, n)).collect();
    let added = book.write(|tx| tx.add_actions("box", &actions, Asked::ByArrival, at(0)));
    assert_eq!(added.unwrap(), count.unsigned_abs());
    book
}

fn due(book: &mut Book, in_order: bool, most: usize, second: i64) -> Vec<i64> {
    let due = book.write(|tx| tx.due_actions(("box", "r"), in_order, most, at(second)));
    due.unwrap().into_iter().map(|row| row.id).collect()
}

fn again(second: i64) -> Verdict {
    let detail = "exit code 1".to_owned();
    Verdict::Again { at: at(second), refused: false, code: "exit", detail }
}

#[test]
fn action_of_one_key_exists_once_and_a_person_can_have_it_done_again() {
    let mut book = book("r", 1);
    let add = |book: &mut Book, asked| {
        book.write(|tx| tx.add_actions("box", &[new("r", 1)], asked, at(5))).unwrap()
    };
    assert_eq!(add(&mut book, Asked::ByArrival), 0);
    assert_eq!(add(&mut book, Asked::ByPerson), 0, "it is due anyway");
    assert!(book.write(|tx| tx.begin_action(1, at(1))).unwrap());
    assert!(!book.write(|tx| tx.begin_action(1, at(1))).unwrap(), "no try beside a try");
    assert_eq!(add(&mut book, Asked::ByPerson), 0, "it is under way");
    book.write(|tx| tx.end_action(1, &Verdict::Done)).unwrap();
    assert_eq!(add(&mut book, Asked::ByArrival), 0);
    assert_eq!(add(&mut book, Asked::ByPerson), 1);
    let row = book.write(|tx| tx.actions_of(1)).unwrap().remove(0);
    assert_eq!((row.state, row.replay, row.attempts), (ActionState::Pending, true, 0));
    assert_eq!((&*row.key, row.created_at), ("r-1", at(5)));
    let left =
        |book: &mut Book, second| book.write(|tx| tx.left_of("box", at(second))).unwrap().left;
    assert_eq!((left(&mut book, 5), left(&mut book, 0)), (1, 0), "what was asked for then");
    let keys = ["x".to_owned(), "r-1".to_owned()];
    let states = book.write(|tx| tx.action_states(&keys)).unwrap();
    assert_eq!(states, [None, Some(ActionState::Pending)]);
}

#[test]
fn any_order_gives_what_is_due_and_the_order_of_messages_only_the_first() {
    let mut book = book("r", 4);
    assert_eq!(due(&mut book, false, 3, 0), [1, 2, 3]);
    assert_eq!(due(&mut book, true, 3, 0), [1]);
    book.write(|tx| tx.begin_action(1, at(0))).unwrap();
    assert_eq!(due(&mut book, false, 9, 0), [2, 3, 4]);
    assert_eq!(due(&mut book, true, 9, 0), [0_i64; 0], "the first one is under way");
    book.write(|tx| tx.end_action(1, &again(60))).unwrap();
    assert_eq!(due(&mut book, true, 9, 59), [0_i64; 0], "the first one rests");
    assert_eq!(due(&mut book, true, 9, 60), [1]);
    let next = |book: &mut Book, in_order| {
        book.write(|tx| tx.next_action(("box", "r"), in_order)).unwrap()
    };
    assert_eq!((next(&mut book, true), next(&mut book, false)), (Some(at(60)), Some(at(0))));
    assert_eq!(due(&mut book, false, 9, 60), [2, 3, 4, 1], "who waits longest comes first");
}

#[test]
fn try_whose_end_is_not_known_is_due_again_and_has_been_counted() {
    let mut book = book("r", 2);
    book.write(|tx| tx.begin_action(2, at(1))).unwrap();
    assert_eq!(book.write(|tx: &Tx<'_>| tx.resume_actions(&[2])).unwrap(), 0, "it is under way");
    assert_eq!(book.write(|tx: &Tx<'_>| tx.resume_actions(&[1])).unwrap(), 1);
    let row = book.write(|tx| tx.actions_of(2)).unwrap().remove(0);
    assert_eq!((row.state, row.attempts), (ActionState::Pending, 1));
    assert_eq!((row.first_at, row.due_at), (Some(at(1)), at(0)));
}

#[test]
fn refusals_are_counted_apart_from_tries_until_a_person_asks_again() {
    let mut book = book("r", 1);
    for refused in [true, false, true] {
        book.write(|tx| tx.begin_action(1, at(1))).unwrap();
        let (code, detail) = ("refused", "404".to_owned());
        let verdict = Verdict::Again { at: at(2), refused, code, detail };
        book.write(|tx| tx.end_action(1, &verdict)).unwrap();
    }
    let row = |book: &mut Book| book.write(|tx| tx.actions_of(1)).unwrap().remove(0);
    assert_eq!((row(&mut book).attempts, row(&mut book).refusals), (3, 2));
    book.write(|tx| tx.retry_actions(&ActionFilter::default(), at(9))).unwrap();
    assert_eq!((row(&mut book).attempts, row(&mut book).refusals), (0, 0));
}

#[test]
fn rest_is_no_try_and_its_end_by_a_person_makes_what_waited_due() {
    let mut book = book("r", 2);
    let rests = Verdict::Rests { until: at(60), detail: "stopped".to_owned() };
    for (begun, verdict) in [(1, again(5)), (7, rests)] {
        book.write(|tx| tx.begin_action(1, at(begun))).unwrap();
        book.write(|tx| tx.end_action(1, &verdict)).unwrap();
    }
    let row = book.write(|tx| tx.actions_of(1)).unwrap().remove(0);
    assert_eq!((row.state, row.attempts, row.first_at), (ActionState::Pending, 1, None));
    assert_eq!((&*row.code, row.due_at), ("rests", at(60)));
    book.write(|tx| tx.begin_action(2, at(8))).unwrap();
    book.write(|tx| tx.end_action(2, &again(50))).unwrap();
    let resting = book.write(|tx| tx.resting("box")).unwrap().unwrap();
    assert_eq!((resting.n, &*resting.rule, &*resting.detail), (1, "r", "stopped"));
    assert_eq!(book.write(|tx| tx.resting("other")).unwrap(), None);
    book.write(|tx| tx.end_rests(at(9))).unwrap();
    assert_eq!(due(&mut book, false, 9, 9), [1], "what has failed waits as before");
}

#[test]
fn failed_actions_are_counted_retried_with_all_their_time_and_dropped() {
    let mut book = book("r", 3);
    let failed = Verdict::Failed { code: "refused", detail: "404".to_owned() };
    for id in [1, 2] {
        book.write(|tx| tx.begin_action(id, at(1))).unwrap();
        book.write(|tx| tx.end_action(id, &failed)).unwrap();
    }
    let counts = |book: &mut Book| book.write(|tx| tx.action_counts("box")).unwrap();
    assert_eq!(
        counts(&mut book),
        ActionCounts { pending: 1, failed: 2, ..ActionCounts::default() }
    );
    let one = ActionFilter { id: Some(1), ..ActionFilter::default() };
    assert_eq!(book.write(|tx| tx.retry_actions(&one, at(9))).unwrap(), 1);
    let row = book.write(|tx| tx.actions_of(1)).unwrap().remove(0);
    assert_eq!((row.attempts, row.first_at, row.due_at), (0, None, at(9)));
    let ill = ActionFilter { failed: true, ..ActionFilter::default() };
    assert_eq!(book.write(|tx| tx.actions(&ill, 9)).unwrap().len(), 1);
    assert_eq!(book.write(|tx| tx.drop_actions(&ill)).unwrap(), 1);
    assert_eq!(
        counts(&mut book),
        ActionCounts { pending: 2, failed: 0, ..ActionCounts::default() }
    );
    let other = ActionFilter { account: Some("other".to_owned()), ..ActionFilter::default() };
    assert_eq!(book.write(|tx| tx.drop_actions(&other)).unwrap(), 0, "another account's stay");
    let open = book.write(|tx: &Tx<'_>| tx.open_rules()).unwrap();
    assert_eq!(open, [("box".to_owned(), "r".to_owned(), 2)]);
}

#[test]
fn fact_and_actions_are_one_commit() {
    let mut book = Book::new();
    let inbox = book.inbox();
    let row = book.write(|tx| put(tx, inbox, &imap(1, 1), "placing")).unwrap();
    let cut: Result<(), LedgerError> = book.write(|tx| {
        tx.archived(&[row])?;
        tx.add_actions("box", &[new("r", row)], Asked::ByArrival, at(0))?;
        Err(LedgerError::Gone)
    });
    assert!(cut.is_err());
    assert_eq!(book.state(row), "placing");
    assert!(book.write(|tx| tx.actions(&ActionFilter::default(), 9)).unwrap().is_empty());
    book.write(|tx| {
        tx.archived(&[row])?;
        tx.add_actions("box", &[new("r", row)], Asked::ByArrival, at(0))
    })
    .unwrap();
    let known = book.write(|tx| tx.known(inbox, &[imap(1, 1)])).unwrap();
    let Some(crate::model::KnownState::Stored(copy)) = known.get(&imap(1, 1)) else { panic!() };
    assert!(copy.actions_open);
    assert_eq!(book.write(|tx| tx.stored_after("box", 0, 9)).unwrap().len(), 1);
    assert!(book.write(|tx| tx.stored_after("box", row, 9)).unwrap().is_empty());
}

#[test]
fn action_that_a_clock_ahead_has_put_off_is_due() {
    const YEAR: i64 = 365 * 86_400;
    let mut book = book("r", 2);
    for id in [1, 2] {
        book.write(|tx| tx.begin_action(id, at(YEAR))).unwrap();
        book.write(|tx| tx.end_action(id, &again(YEAR + 60))).unwrap();
    }
    assert_eq!(due(&mut book, false, 9, 100), [1, 2]);
    assert_eq!(due(&mut book, true, 9, 100), [1]);
    // Its time for tries counts by the right clock, too.
    book.write(|tx| tx.begin_action(1, at(100))).unwrap();
    let row = book.write(|tx| tx.actions_of(1)).unwrap().remove(0);
    assert_eq!(row.first_at, Some(at(100)));
    book.write(|tx| tx.end_action(1, &again(100 + 3_600))).unwrap();
    assert_eq!(due(&mut book, false, 9, 100), [2], "the longest wait is waited");
}

#[test]
fn actions_of_a_found_copy_are_unknown_until_a_person_settles_them() {
    let mut book = Book::new();
    let inbox = book.inbox();
    let adoption = |uid: u32| Adoption {
        account: "box".to_owned(),
        key: imap(1, uid),
        path: format!("a/in/{uid}"),
        sha256: Sha256([1; 32]),
        json_sha256: Sha256([2; 32]),
        size: 7,
        internal_date: None,
        received: at(0),
        archived_at: at(0),
        origin: String::new(),
    };
    for uid in 1..=3 {
        book.write(|tx| tx.adopt(&adoption(uid))).unwrap();
    }
    let unknown = |book: &mut Book| -> Vec<bool> {
        let keys = [1, 2, 3].map(|uid| imap(1, uid));
        let known = book.write(|tx| tx.known(inbox, &keys)).unwrap();
        let of = |key| match &known[key] {
            crate::model::KnownState::Stored(copy) => copy.actions_unknown,
            _ => panic!(),
        };
        keys.iter().map(of).collect()
    };
    let count = |book: &mut Book| book.write(|tx| tx.action_counts("box")).unwrap().unknown;
    assert_eq!((unknown(&mut book), count(&mut book)), (vec![true; 3], 3));
    book.write(|tx| tx.actions_known(&[2])).unwrap();
    assert_eq!((unknown(&mut book), count(&mut book)), (vec![true, false, true], 2));
    let of = |account: &str| ActionFilter {
        account: Some(account.to_owned()),
        unknown: true,
        ..ActionFilter::default()
    };
    assert_eq!(book.write(|tx| tx.drop_actions(&of("other"))).unwrap(), 0);
    assert_eq!(book.write(|tx| tx.drop_actions(&of("box"))).unwrap(), 2);
    assert_eq!((unknown(&mut book), count(&mut book)), (vec![false; 3], 0));
}

#[test]
fn what_could_not_be_tried_while_postrider_was_off_uses_up_no_time() {
    let mut book = book("r", 4);
    let first_at = |book: &mut Book, id: i64| {
        let rows = book.write(move |tx| tx.actions_of(id)).unwrap();
        rows[0].first_at.map(|first| first.duration_since(at(0)).as_secs())
    };
    for id in 1..=3 {
        book.write(|tx| tx.begin_action(id, at(10))).unwrap();
    }
    book.write(|tx| tx.end_action(1, &again(70))).unwrap();
    book.write(|tx| tx.end_action(2, &again(9_000))).unwrap();
    // Off from before its next try until long after it; the third was under way when it died.
    book.write(|tx| tx.excuse_absence(at(5_000))).unwrap();
    assert_eq!(first_at(&mut book, 1), Some(10 + 5_000 - 70));
    assert_eq!(first_at(&mut book, 2), Some(10), "its next try isn't due yet");
    assert_eq!(first_at(&mut book, 3), Some(5_000));
    assert_eq!(first_at(&mut book, 4), None, "never tried");
    // Killed before it was tried again: never more than all the time.
    book.write(|tx| tx.excuse_absence(at(5_100))).unwrap();
    assert_eq!(first_at(&mut book, 1), Some(5_100));
    let day = SignedDuration::from_hours(24);
    book.write(|tx| tx.shift_actions(day, at(5_200))).unwrap();
    assert_eq!(first_at(&mut book, 2), Some(5_200), "no clock leads to a first try to come");
    book.write(|tx| tx.shift_actions(-day, at(5_200))).unwrap();
    assert_eq!(first_at(&mut book, 2), Some(5_200 - 86_400));
}

//! Accounts: errors, renames, and the doubts about the clock.

use super::*;
use crate::model::KnownState;

fn mark(wall: i64, boottime: i64, boot_id: &str) -> ClockMark {
    let boottime = SignedDuration::from_secs(boottime);
    ClockMark { wall: at(wall), boottime, boot_id: boot_id.to_owned() }
}

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

#[test]
fn d17_clock_is_doubted_after_a_jump_and_not_after_a_reboot_or_a_nap() {
    let before = mark(0, 1000, "a");
    for (name, now, doubt) in [
        ("an hour passed", mark(HOUR, 1000 + HOUR, "a"), false),
        ("a nap counts in boot time", mark(8 * HOUR, 1000 + 8 * HOUR, "a"), false),
        ("an hour ahead of boot time", mark(HOUR, 1000, "a"), false),
        ("more than an hour ahead", mark(HOUR + 1, 1000, "a"), true),
        ("ten years ahead", mark(87_600 * HOUR, 1010, "a"), true),
        ("more than an hour behind boot time", mark(0, 1001 + HOUR, "a"), true),
        ("back by five minutes", mark(-5 * MINUTE, 1000, "a"), false),
        ("back by six minutes", mark(-6 * MINUTE, 1000, "a"), true),
        ("a reboot", mark(HOUR, 30, "b"), false),
        ("a reboot after a month", mark(720 * HOUR, 30, "b"), false),
        ("a reboot, back by six minutes", mark(-6 * MINUTE, 30, "b"), true),
    ] {
        assert_eq!(now.doubts(&before), doubt, "{name}");
    }
}

#[test]
fn d17_years_that_the_clock_leaps_are_no_time_that_passes() {
    const YEAR: i64 = 365 * 24 * HOUR;
    let before = mark(0, 1000, "a");
    for (name, now, leap) in [
        ("two years pass", mark(2 * YEAR, 1000 + 2 * YEAR, "a"), None),
        ("a jump of a month", mark(720 * HOUR, 1000, "a"), None),
        ("ten years ahead", mark(10 * YEAR + 60, 1060, "a"), Some(10 * YEAR)),
        ("ten years back", mark(-10 * YEAR + 60, 1060, "a"), Some(-10 * YEAR)),
        ("a boot after a month", mark(720 * HOUR, 30, "b"), None),
        ("a boot after ten years", mark(10 * YEAR, 30, "b"), Some(10 * YEAR - 30)),
    ] {
        assert_eq!(now.leap(&before).map(|leap| leap.as_secs()), leap, "{name}");
    }
    let (key, mut book) = (imap(7, 1), Book::new());
    let leaps = |book: &mut Book| {
        let known = book.write(|tx| tx.known(MailboxId(1), &[imap(7, 1)])).unwrap();
        let Some(KnownState::Stored(copy)) = known.values().next() else { panic!("{known:?}") };
        copy.leaps.as_secs()
    };
    book.write(|tx| tx.observe_clock(&mark(0, 1000, "a"))).unwrap();
    book.write(|tx| {
        let id = tx.mailbox("one", "INBOX")?.id;
        put(tx, id, &key, "archived")
    })
    .unwrap();
    assert_eq!(leaps(&mut book), 0);
    for (look, wanted) in [
        (mark(10 * YEAR, 1000, "a"), 10 * YEAR),
        (mark(10 * YEAR + 60, 1060, "a"), 10 * YEAR),
        (mark(120, 1120, "a"), 0),
        (mark(-50 * YEAR, 10, "b"), -50 * YEAR - 130),
        (mark(HOUR, 40, "b"), HOUR - 120 - 40),
    ] {
        book.write(|tx| tx.observe_clock(&look)).unwrap();
        assert_eq!(leaps(&mut book), wanted, "{look:?}");
    }
}

#[test]
fn d17_three_polls_of_each_account_are_held_after_a_jump() {
    let mut book = Book::new();
    for name in ["one", "two"] {
        assert!(!book.write(|tx| tx.take_clock_hold(name)).unwrap());
    }
    assert!(!book.write(|tx| tx.observe_clock(&mark(0, 1000, "a"))).unwrap(), "the first look");
    assert!(!book.write(|tx| tx.observe_clock(&mark(60, 1060, "a"))).unwrap());
    assert!(book.write(|tx| tx.observe_clock(&mark(9 * HOUR, 1070, "a"))).unwrap());
    let holds = |book: &mut Book, name: &'static str| -> Vec<bool> {
        (0..5).map(|_| book.write(|tx| tx.take_clock_hold(name)).unwrap()).collect()
    };
    assert_eq!(holds(&mut book, "one"), [true, true, true, false, false]);
    assert_eq!(book.write(|tx| tx.account("two")).unwrap().unwrap().clock_hold, 3);
    assert!(!book.write(|tx| tx.observe_clock(&mark(9 * HOUR + 60, 1130, "a"))).unwrap());
    assert_eq!(holds(&mut book, "two"), [true, true, true, false, false]);
    // Back again is a jump of its own.
    assert!(book.write(|tx| tx.observe_clock(&mark(180, 1190, "a"))).unwrap());
    assert!(book.write(|tx| tx.take_clock_hold("one")).unwrap());
}

#[test]
fn d17_looks_at_the_clock_outlive_the_process() {
    let temp = tempfile::tempdir().unwrap();
    for (look, doubt) in [(mark(0, 1000, "a"), false), (mark(9 * HOUR, 1001, "a"), true)] {
        let mut db = open::open(&temp.path().join(LEDGER_FILE)).unwrap();
        let tx = db.transaction().unwrap();
        assert_eq!(Tx::new(&tx).observe_clock(&look).unwrap(), doubt);
        tx.commit().unwrap();
    }
}

#[test]
fn error_stands_from_its_first_failure_to_the_next_success() {
    let mut book = Book::new();
    let error = |second| LastError {
        code: "imap-auth-rejected".to_owned(),
        message: "no".to_owned(),
        hint: Some("h".to_owned()),
        since: at(second),
        at: at(second),
        attempts: 0,
    };
    for n in 1..=2_u32 {
        let state = AccountState {
            failures: n,
            auth_failures: n,
            auth_mark: "m".to_owned(),
            retry_at: Some(at(99)),
        };
        book.write(|tx| tx.poll_failed("box", &state, &error(i64::from(n)))).unwrap();
        assert_eq!(book.write(|tx| tx.account("box")).unwrap().unwrap().state, state);
    }
    let row = book.write(|tx| tx.account("box")).unwrap().unwrap();
    let want = LastError { since: at(1), attempts: 2, ..error(2) };
    assert_eq!((row.last_error, row.last_success_at), (Some(want), None));
    book.write(|tx| tx.poll_succeeded("box", at(3))).unwrap();
    let row = book.write(|tx| tx.account("box")).unwrap().unwrap();
    assert_eq!((row.last_error, row.state), (None, AccountState::default()));
    assert_eq!((row.last_success_at, row.last_poll_at), (Some(at(3)), Some(at(3))));
}

#[test]
fn renamed_account_keeps_its_messages() {
    let mut book = Book::new();
    let id = book.inbox();
    book.write(|tx| put(tx, id, &imap(7, 5), "archived")).unwrap();
    assert!(book.write(|tx| tx.rename_account("box", "new")).unwrap());
    assert!(!book.write(|tx| tx.rename_account("box", "new")).unwrap(), "only once");
    assert!(book.write(|tx| tx.account("box")).unwrap().is_none());
    assert_eq!(book.write(|tx| tx.mailbox("new", "INBOX")).unwrap().id, id);
    assert_eq!(book.write(|tx| tx.counts("new", at(0), None)).unwrap().archived, 1);
}

#[test]
fn account_is_not_renamed_onto_another_one() {
    let mut book = Book::new();
    let id = book.inbox();
    let other = book.write(|tx| tx.mailbox("new", "INBOX")).unwrap().id;
    assert!(!book.write(|tx| tx.rename_account("box", "new")).unwrap());
    assert_eq!(book.write(|tx| tx.mailbox("box", "INBOX")).unwrap().id, id);
    assert_eq!(book.write(|tx| tx.mailbox("new", "INBOX")).unwrap().id, other);
}

#[test]
fn g03_renamed_account_that_has_mail_of_the_same_mailbox_takes_over_the_other_s() {
    let mut book = Book::new();
    let origin = |tx: &Tx<'_>, id| tx.set_origin(id, "imap u@h");
    let id = book.inbox();
    let other = book.write(|tx| tx.mailbox("new", "INBOX")).unwrap().id;
    book.write(|tx| origin(tx, id).and_then(|()| origin(tx, other))).unwrap();
    book.write(|tx| put(tx, id, &imap(7, 1), "archived")).unwrap();
    book.write(|tx| put(tx, id, &imap(7, 2), "archived")).unwrap();
    book.write(|tx| put(tx, other, &imap(7, 1), "held")).unwrap();
    book.write(|tx| put(tx, other, &imap(7, 2), "archived")).unwrap();
    book.write(|tx| put(tx, other, &imap(7, 3), "archived")).unwrap();
    book.write(|tx| tx.stop_deletes("box", "doubt", at(1))).unwrap();
    assert!(book.write(|tx| tx.rename_account("box", "new")).unwrap());
    let keys = [imap(7, 1), imap(7, 2), imap(7, 3)];
    let known = book.write(|tx| tx.known(other, &keys)).unwrap();
    assert!(keys.iter().all(|key| matches!(known[key], KnownState::Stored(_))), "{known:?}");
    let row = book.write(|tx| tx.account("new")).unwrap().unwrap();
    assert_eq!(row.delete_stop.unwrap().why, "doubt");
    // The second copy of one message stays known where it was.
    assert_eq!(book.write(|tx| tx.counts("box", at(0), None)).unwrap().archived, 1);
    assert!(!book.write(|tx| tx.rename_account("box", "new")).unwrap());
}

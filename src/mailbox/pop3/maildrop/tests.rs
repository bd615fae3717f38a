//! Listings, identities and verdicts without a server.

use jiff::Timestamp;

use super::*;
use crate::model::{DeleteMode, DeleteReason, Sha256, StoredCopy};

fn maildrop(uidl: &[&[u8]], list: &[&str]) -> Maildrop {
    let mut lists = Lists::default();
    for line in uidl {
        lists.unique_id_line(line).unwrap();
    }
    for line in list {
        lists.size_line(line.as_bytes()).unwrap();
    }
    lists.finish()
}

fn key(unique_id: &str, occurrence: u32) -> MessageKey {
    MessageKey::Pop3 { unique_id: unique_id.into(), occurrence }
}

fn delete(unique_id: &str, occurrence: u32, number: u32, listed_size: Option<u64>) -> Delete {
    let copy = StoredCopy {
        cut: false,
        leaps: jiff::SignedDuration::ZERO,
        canary: false,
        row: 1,
        key: key(unique_id, occurrence),
        path: "a/in/20260101/000000-x".into(),
        sha256: Sha256([0; 32]),
        json_sha256: Sha256([0; 32]),
        size: 10,
        listed_size,
        internal_date: None,
        received: None,
        archived_at: Timestamp::UNIX_EPOCH,
        deleting: false,
        flagged: false,
        delete_ok: true,
        actions_open: false,
        actions_unknown: false,
        moves: Vec::new(),
    };
    Delete {
        key: key(unique_id, occurrence),
        number,
        copy,
        how: DeleteMode::Expunge,
        action: None,
        why: DeleteReason::Begun,
    }
}

fn keys(listing: &Listing) -> Vec<(u32, MessageKey)> {
    listing.messages.iter().map(|m| (m.number, m.key.clone())).collect()
}

#[test]
fn message_is_listed_only_when_both_lists_name_it() {
    let mut drop = maildrop(&[b"3 c", b"1 a", b"5 e"], &["1 10", "2 20", "3 30 extra"]);
    let window = drop.next_window().unwrap();
    assert_eq!(keys(&window), [(1, key("a", 0)), (3, key("c", 0))]);
    assert_eq!((window.range, window.complete), ((1, 5), false));
    assert_eq!(window.messages[1].size, Some(30));
    assert_eq!(drop.exists(), 3);
    assert!(drop.next_window().is_none());
}

#[test]
fn pop02_shared_unique_ids_are_told_apart_by_their_occurrence() {
    let mut drop = maildrop(&[b"1 x", b"2 y", b"3 x", b"4 x"], &["1 1", "2 1", "3 1", "4 1"]);
    let window = drop.next_window().unwrap();
    let wanted = [(1, key("x", 0)), (2, key("y", 0)), (3, key("x", 1)), (4, key("x", 2))];
    assert_eq!(keys(&window), wanted);
    assert!(window.complete);
    assert!(drop.is_listed(3, &key("x", 1)) && !drop.is_listed(3, &key("x", 0)));
}

#[test]
fn pop05_odd_unique_ids_are_verbatim_or_absent() {
    let long = [b"4 ".as_slice(), &[b'x'; 1024]].concat();
    let too_long = [b"5 ".as_slice(), &[b'x'; 1025]].concat();
    let uidl: [&[u8]; 8] = [
        b"1 ../../x",
        b"2 a b ",
        "3 \u{e9}".as_bytes(),
        &long,
        &too_long,
        b"6 \xff\xe9",
        b"7",
        b"8 \x1b[2J",
    ];
    let sizes: Vec<String> = (1..=8).map(|n| format!("{n} 9")).collect();
    let mut drop = maildrop(&uidl, &sizes.iter().map(String::as_str).collect::<Vec<_>>());
    let window = drop.next_window().unwrap();
    assert!(!window.complete);
    assert_eq!(window.messages.len(), 4);
    assert_eq!(window.messages[0].key, key("../../x", 0));
    assert_eq!(window.messages[1].key, key("a b ", 0));
    assert_eq!(window.range, (1, 8));
}

#[test]
fn numbers_that_are_none_break_the_protocol() {
    for line in ["-1 5", "1 -5", "0 1", "4294967296 1", "1 18446744073709551616", "", "1", "+1 2"] {
        let error = Lists::default().size_line(line.as_bytes()).unwrap_err();
        assert!(matches!(error, MailboxError::Protocol { .. }), "{line}");
    }
    assert!(Lists::default().unique_id_line(b"-1 a").is_err());
    assert!(Lists::default().unique_id_line(b"99999999999 a").is_err());
}

#[test]
fn number_named_twice_makes_the_listing_incomplete() {
    let mut drop = maildrop(&[b"1 a", b"1 b", b"2 c"], &["1 1", "2 2"]);
    let window = drop.next_window().unwrap();
    assert_eq!(keys(&window), [(1, key("a", 0)), (2, key("c", 0))]);
    assert!(!window.complete);
}

#[test]
fn windows_are_ascending_and_leave_no_gap() {
    let mut lists = Lists::default();
    for n in (1..=12_000_u32).rev() {
        lists.unique_id_line(format!("{n} u{n}").as_bytes()).unwrap();
        lists.size_line(format!("{n} {n}").as_bytes()).unwrap();
    }
    let mut drop = lists.finish();
    let ranges: Vec<_> = std::iter::from_fn(|| drop.next_window())
        .map(|window| (window.range, window.messages.len(), window.complete))
        .collect();
    let wanted = [
        ((1, 5_000), 5_000, true),
        ((5_001, 10_000), 5_000, true),
        ((10_001, 12_000), 2_000, true),
    ];
    assert_eq!(ranges, wanted);
    drop.rewind();
    assert!(drop.next_window().is_some());
}

#[test]
fn empty_maildrop_has_no_window() {
    assert!(maildrop(&[], &[]).next_window().is_none());
}

#[test]
fn maildrop_without_usable_unique_ids_is_not_taken_for_empty() {
    let mut drop = maildrop(&[b"1 \xff", b"2"], &["1 10", "2 20"]);
    let window = drop.next_window().unwrap();
    assert_eq!((window.messages.len(), window.complete, window.range), (0, false, (1, 2)));
    assert!(drop.next_window().is_none());
}

#[test]
fn pop02_only_the_same_message_may_be_deleted() {
    let drop = maildrop(&[b"1 a", b"2 b", b"3 b"], &["1 10", "2 20", "3 20"]);
    assert_eq!(drop.verdict(&delete("a", 0, 1, Some(10))), Verdict::Same);
    assert_eq!(drop.verdict(&delete("a", 0, 1, Some(11))), Verdict::Changed);
    assert_eq!(drop.verdict(&delete("a", 0, 1, None)), Verdict::Changed);
    assert_eq!(drop.verdict(&delete("a", 0, 2, Some(10))), Verdict::Changed);
    // The second message that this unique-id was given to, and the only one now.
    assert_eq!(drop.verdict(&delete("a", 1, 1, Some(10))), Verdict::Same);
    assert_eq!(drop.verdict(&delete("b", 0, 2, Some(20))), Verdict::Changed);
    assert_eq!(drop.verdict(&delete("z", 0, 4, Some(20))), Verdict::Gone);
    assert!(drop.may_delete(1, &key("a", 0)) && !drop.may_delete(2, &key("a", 0)));
    assert!(drop.is_listed(2, &key("b", 0)) && !drop.may_delete(2, &key("b", 0)));
}

#[test]
fn nothing_is_gone_from_an_incomplete_listing() {
    let drop = maildrop(&[b"1 a"], &["1 10", "2 20"]);
    assert_eq!(drop.verdict(&delete("z", 0, 2, Some(20))), Verdict::Changed);
    assert_eq!(drop.verdict(&delete("a", 0, 1, Some(10))), Verdict::Same);
}

#[test]
fn deleted_messages_are_listed_no_more() {
    let mut drop = maildrop(&[b"1 a", b"2 b"], &["1 10", "2 20"]);
    drop.mark_deleted(1);
    assert_eq!(keys(&drop.next_window().unwrap()), [(2, key("b", 0))]);
    assert!(!drop.is_listed(1, &key("a", 0)));
}

#[test]
fn pop02_occurrence_behind_those_of_a_listing_is_told_by_the_number() {
    let drop = maildrop(&[b"1 x", b"2 y", b"3 x"], &["1 1", "2 1", "3 1"]);
    assert!(drop.is_listed(1, &key("x", 2)) && drop.is_listed(3, &key("x", 7)));
    assert!(!drop.is_listed(2, &key("x", 7)) && !drop.is_listed(1, &key("x", 1)));
    assert!(!drop.may_delete(1, &key("x", 7)));
}

//! Plans: each rule at its edge, and what holds for every plan.

mod budget;
mod moves;
mod properties;
mod reuse;

use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::config::{DeleteAge, DeleteMode, DeleteRule};
use crate::model::{
    AskedMove, DeleteReason, DeletesHeld, Fetch, FetchReason, KeepReason, LeftOverReason, Listed,
    MessageKey, Received, ReceivedBasis, Sha256, SkipReason, StoredCopy,
};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn now() -> Timestamp {
    "2026-11-19T09:12:31Z".parse().unwrap()
}

/// The moment so many seconds from now.
fn at(seconds: i64) -> Timestamp {
    now().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn hours(n: u64) -> Duration {
    Duration::from_hours(n)
}

fn key(uid: u32) -> MessageKey {
    MessageKey::Imap { mailbox: "INBOX".to_owned(), uid_validity: 7, uid, generation: 0 }
}

fn listed(uid: u32, received: Option<i64>) -> Listed {
    let received =
        received.map(|offset| Received { at: at(offset), basis: ReceivedBasis::InternalDate });
    Listed {
        key: key(uid),
        number: uid,
        alone: true,
        size: Some(900),
        internal_date: received.map(|received| received.at),
        received,
        flags: Vec::new(),
    }
}

fn listing(messages: Vec<Listed>) -> Listing {
    Listing {
        mailbox: Some("INBOX".to_owned()),
        uid_validity: Some(7),
        range: (1, 5000),
        messages,
        complete: true,
    }
}

fn copy(row: i64, archived: i64) -> StoredCopy {
    StoredCopy {
        canary: false,
        cut: false,
        leaps: SignedDuration::ZERO,
        row,
        key: key(u32::try_from(row).unwrap()),
        path: format!("box/in/20261119/{row}"),
        sha256: Sha256([1; 32]),
        json_sha256: Sha256([2; 32]),
        size: 880,
        listed_size: Some(900),
        internal_date: None,
        received: None,
        archived_at: at(archived),
        deleting: false,
        flagged: false,
        delete_ok: true,
        actions_open: false,
        actions_unknown: false,
        moves: Vec::new(),
    }
}

fn stored(uid: u32, archived: i64) -> Known {
    Known::from([(key(uid), KnownState::Stored(copy(i64::from(uid), archived)))])
}

fn held(uid: u32, attempts: u32, retry: i64) -> KnownState {
    KnownState::Held { key: key(uid), attempts, retry_at: at(retry) }
}

fn deleted(uid: u32) -> KnownState {
    KnownState::Deleted { key: key(uid), listed_size: Some(900), internal_date: None }
}

fn plan_all(listing: &Listing, known: &Known, rules: &Rules) -> Plan {
    plan(listing, known, rules, &Conditions::default(), &mut Budget::of(rules), now())
}

/// The plan of one message that is not stored.
fn plan_new(message: Listed, rules: &Rules) -> Plan {
    plan_all(&listing(vec![message]), &Known::new(), rules)
}

#[test]
fn message_of_the_very_second_of_process_after_is_taken() {
    let rules = Rules { process_after: Some(at(-HOUR)), ..Rules::default() };
    assert_eq!(plan_new(listed(1, Some(-HOUR)), &rules).fetch.len(), 1);
    let earlier = plan_new(listed(1, Some(-HOUR - 1)), &rules);
    let why = SkipReason::BeforeStart { received: at(-HOUR - 1), process_after: at(-HOUR) };
    assert_eq!((earlier.fetch.len(), &earlier.skip[0].why), (0, &why));
}

#[test]
fn message_exactly_as_old_as_ignore_older_than_is_taken() {
    let rules = Rules { ignore_older_than: Some(hours(72)), ..Rules::default() };
    assert_eq!(plan_new(listed(1, Some(-3 * DAY)), &rules).fetch.len(), 1);
    let older = plan_new(listed(1, Some(-3 * DAY - 1)), &rules);
    let limit = SignedDuration::from_hours(72);
    assert_eq!(older.skip[0].why, SkipReason::TooOld { received: at(-3 * DAY - 1), limit });
}

#[test]
fn message_waits_until_it_has_the_least_age() {
    let rules = Rules { min_age: Some(hours(1)), ..Rules::default() };
    assert_eq!(plan_new(listed(1, Some(-HOUR)), &rules).fetch.len(), 1);
    let young = plan_new(listed(1, Some(1 - HOUR)), &rules);
    assert_eq!(young.left_over[0].why, LeftOverReason::TooYoung { until: at(1) });
    assert_eq!(next_bound(&young), Some(at(1)));
}

#[test]
fn date_in_the_future_counts_as_now() {
    let future = || listed(1, Some(400 * DAY));
    let rules =
        Rules { process_after: Some(now()), ignore_older_than: Some(hours(1)), ..Rules::default() };
    assert_eq!(plan_new(future(), &rules).fetch.len(), 1);
    let starts_later = Rules { process_after: Some(at(1)), ..Rules::default() };
    assert_eq!(plan_new(future(), &starts_later).skip.len(), 1);
    let waits = Rules { min_age: Some(hours(1)), ..Rules::default() };
    assert_eq!(plan_new(future(), &waits).fetch.len(), 1);
    let plan = plan_new(listed(1, Some(0)), &waits);
    assert_eq!(plan.left_over[0].why, LeftOverReason::TooYoung { until: at(HOUR) });
}

#[test]
fn message_without_a_date_is_fetched_whatever_the_age_rules() {
    let rules = Rules {
        process_after: Some(now()),
        ignore_older_than: Some(hours(1)),
        min_age: Some(hours(1)),
        ..Rules::default()
    };
    assert_eq!(plan_new(listed(1, None), &rules).fetch.len(), 1);
}

#[test]
fn message_that_is_too_large_is_held_and_takes_no_room() {
    let rules = Rules { max_message_size: Some(899), batch_max: Some(1), ..Rules::default() };
    let mut fits = listed(2, None);
    fits.size = Some(899);
    let plan = plan_all(&listing(vec![listed(1, None), fits]), &Known::new(), &rules);
    assert_eq!(plan.keep[0].why, KeepReason::TooLarge { size: 900, limit: 899 });
    assert_eq!(plan.fetch[0].key, key(2));
}

#[test]
fn held_message_is_tried_again_at_its_time() {
    let known = |retry| Known::from([(key(1), held(1, 3, retry))]);
    let listing = listing(vec![listed(1, None)]);
    let due = plan_all(&listing, &known(0), &Rules::default());
    assert_eq!(due.fetch[0].why, FetchReason::Retry { attempts: 3 });
    let early = plan_all(&listing, &known(1), &Rules::default());
    assert_eq!(early.keep[0].why, KeepReason::Held { attempts: 3, retry_at: at(1) });
    assert_eq!(next_bound(&early), Some(at(1)));
}

#[test]
fn d17_copy_exactly_as_old_as_the_limit_lets_the_message_go() {
    let rules = Rules { delete: DeleteRule::AfterDays(14), ..Rules::default() };
    let listing = listing(vec![listed(1, Some(-900 * DAY))]);
    let due = plan_all(&listing, &stored(1, -14 * DAY), &rules);
    assert_eq!(
        due.delete[0].why,
        DeleteReason::Due { archived_at: at(-14 * DAY), since: at(-14 * DAY), days: 14 }
    );
    let young = plan_all(&listing, &stored(1, 1 - 14 * DAY), &rules);
    assert_eq!(young.keep[0].why, KeepReason::TooYoung { until: at(1) });
    let never = Rules::default();
    assert_eq!(plan_all(&listing, &stored(1, -14 * DAY), &never).keep[0].why, KeepReason::RuleOff);
}

#[test]
fn d17_age_from_receipt_takes_no_date_after_the_storing() {
    let rules = Rules {
        delete: DeleteRule::AfterDays(14),
        delete_age_from: DeleteAge::Received,
        ..Rules::default()
    };
    let fate = |received: Option<i64>, archived: i64| {
        let copy = StoredCopy { received: received.map(at), ..copy(1, archived) };
        let known = Known::from([(key(1), KnownState::Stored(copy))]);
        plan_all(&listing(vec![listed(1, None)]), &known, &rules).delete.len()
    };
    assert_eq!(fate(Some(-14 * DAY), -1), 1, "received fourteen days ago, stored just now");
    assert_eq!(fate(Some(-14 * DAY + 1), -1), 0, "a second too young");
    for unknown in [None, Some(400 * DAY), Some(-DAY)] {
        assert_eq!(fate(unknown, -14 * DAY), 1, "{unknown:?}: counts from the storing");
        assert_eq!(fate(unknown, -13 * DAY), 0, "{unknown:?}");
    }
}

#[test]
fn canary_of_ours_goes_once_it_is_stored_and_nothing_else_goes_by_it() {
    let deletes = |canary, wanted, delete_ok| {
        let copy = StoredCopy { delete_ok, canary, ..copy(1, 0) };
        let known = Known::from([(key(1), KnownState::Stored(copy))]);
        let rules = Rules { canary: wanted, ..Rules::default() };
        let deletes = plan_all(&listing(vec![listed(1, None)]), &known, &rules).delete;
        assert!(deletes.iter().all(|one| one.why == DeleteReason::Canary { archived_at: at(0) }));
        deletes.len()
    };
    assert_eq!(deletes(true, true, true), 1);
    assert_eq!(deletes(false, true, true), 0, "other mail stays");
    assert_eq!(deletes(true, false, true), 0, "the account has no canary any more");
    assert_eq!(deletes(true, true, false), 0, "an identity in doubt is proven first");
}

#[test]
fn what_is_marked_is_left_alone_while_marking_is_all_that_is_wanted() {
    let of =
        |mode| Rules { delete: DeleteRule::AfterDays(0), delete_mode: mode, ..Rules::default() };
    let copy = StoredCopy { flagged: true, ..copy(1, -DAY) };
    let known = Known::from([(key(1), KnownState::Stored(copy))]);
    let plan = plan_all(&listing(vec![listed(1, None)]), &known, &of(DeleteMode::Flag));
    assert_eq!((plan.delete.len(), &plan.keep[0].why), (0, &KeepReason::Flagged));
    assert_eq!(next_bound(&plan), None);
    let plan = plan_all(&listing(vec![listed(1, None)]), &known, &of(DeleteMode::Trash));
    assert_eq!(plan.delete.len(), 1, "another mode finishes it");
}

#[test]
fn zero_days_delete_as_soon_as_stored() {
    let rules = Rules { delete: DeleteRule::AfterDays(0), ..Rules::default() };
    let listing = listing(vec![listed(1, None)]);
    assert_eq!(plan_all(&listing, &stored(1, 0), &rules).delete.len(), 1);
    // Archived by a clock that ran ahead: it stays until our clock is there again.
    assert!(plan_all(&listing, &stored(1, 1), &rules).delete.is_empty());
}

#[test]
fn delay_past_the_end_of_time_keeps() {
    let rules = Rules { delete: DeleteRule::AfterDays(u32::MAX), ..Rules::default() };
    let plan = plan_all(&listing(vec![listed(1, None)]), &stored(1, -DAY), &rules);
    assert_eq!(plan.keep[0].why, KeepReason::TooYoung { until: Timestamp::MAX });
}

#[test]
fn every_doubt_holds_deletes_and_says_which() {
    let rules = Rules { delete: DeleteRule::AfterDays(0), ..Rules::default() };
    let cause = |listing: &Listing, known: &Known, held| {
        let conditions = Conditions { held, ..Conditions::default() };
        let plan = plan(listing, known, &rules, &conditions, &mut Budget::of(&rules), now());
        assert!(plan.delete.is_empty());
        let why = &plan.keep[0].why;
        let KeepReason::DeletesHeld { cause } = why else { panic!("{why:?}") };
        *cause
    };
    let whole = listing(vec![listed(1, None)]);
    let known = stored(1, -DAY);
    for held in [DeletesHeld::ClockDoubt, DeletesHeld::NetworkRoot, DeletesHeld::UidValidityChanged]
    {
        assert_eq!(cause(&whole, &known, Some(held)), held);
    }
    let incomplete = Listing { complete: false, ..whole.clone() };
    assert_eq!(cause(&incomplete, &known, None), DeletesHeld::IncompleteListing);
    let nameless = Listing { uid_validity: None, ..whole.clone() };
    assert_eq!(cause(&nameless, &known, None), DeletesHeld::NoUidValidity);
    let empty = StoredCopy { size: 0, ..copy(1, -DAY) };
    let empty = Known::from([(key(1), KnownState::Stored(empty))]);
    assert_eq!(cause(&whole, &empty, None), DeletesHeld::Empty);
    let leapt = StoredCopy { leaps: SignedDuration::from_hours(1), ..copy(1, -15) };
    let leapt = Known::from([(key(1), KnownState::Stored(leapt))]);
    assert!(matches!(plan_all(&whole, &leapt, &rules).keep[0].why, KeepReason::TooYoung { .. }));
    let cut = StoredCopy { cut: true, ..copy(1, -DAY) };
    let cut = Known::from([(key(1), KnownState::Stored(cut))]);
    assert_eq!(cause(&whole, &cut, None), DeletesHeld::Cut);
}

#[test]
fn delete_waits_for_actions_where_the_rule_says_so_and_only_there() {
    let open = StoredCopy { actions_open: true, ..copy(1, -DAY) };
    let known = Known::from([(key(1), KnownState::Stored(open))]);
    let listing = listing(vec![listed(1, None)]);
    let delete = DeleteRule::AfterDays(0);
    let mut rules = Rules { delete, ..Rules::default() };
    assert_eq!(plan_all(&listing, &known, &rules).delete.len(), 1);
    rules.delete_after_actions = true;
    let cause = DeletesHeld::Actions;
    let plan = plan_all(&listing, &known, &rules);
    assert_eq!(plan.keep[0].why, KeepReason::DeletesHeld { cause });
    assert_eq!(plan_all(&listing, &stored(1, -DAY), &rules).delete.len(), 1);
    let unknown = StoredCopy { actions_unknown: true, ..copy(1, -DAY) };
    let known = Known::from([(key(1), KnownState::Stored(unknown))]);
    let cause = DeletesHeld::ActionsUnknown;
    let plan = plan_all(&listing, &known, &rules);
    assert_eq!(plan.keep[0].why, KeepReason::DeletesHeld { cause });
    rules.delete_after_actions = false;
    assert_eq!(plan_all(&listing, &known, &rules).delete.len(), 1);
}

#[test]
fn delete_that_is_due_asks_for_the_content_where_the_identity_is_not_proven() {
    let rules = Rules { delete: DeleteRule::AfterDays(2), ..Rules::default() };
    let doubtful = |days: i64| {
        let copy = StoredCopy { delete_ok: false, ..copy(1, -days * DAY) };
        Known::from([(key(1), KnownState::Stored(copy))])
    };
    let whole = listing(vec![listed(1, Some(-HOUR))]);
    let due = plan_all(&whole, &doubtful(3), &rules);
    assert_eq!((due.delete.len(), due.fetch.len()), (0, 1));
    assert_eq!((&due.fetch[0].key, &due.fetch[0].why), (&key(1).next(), &FetchReason::Proof));
    assert!(plan_all(&whole, &doubtful(1), &rules).fetch.is_empty(), "not due yet");
    // Of messages that share a unique-id none can be proven.
    let shared = listing(vec![Listed { alone: false, ..listed(1, Some(-HOUR)) }]);
    let kept = plan_all(&shared, &doubtful(3), &rules);
    assert_eq!(kept.keep[0].why, KeepReason::DeletesHeld { cause: DeletesHeld::Identity });
}

#[test]
fn i09_message_without_an_octet_is_empty_after_five_attempts_in_an_hour() {
    for (size, attempts, waited, want) in [
        (Some(0), 5, HOUR, true),
        (Some(0), 5, HOUR - 1, false),
        (Some(0), 4, DAY, false),
        (Some(1), 99, DAY, false),
        (None, 99, DAY, false),
    ] {
        let fetch = Fetch {
            key: key(1),
            number: 1,
            alone: true,
            size,
            internal_date: None,
            received: None,
            flags: Vec::new(),
            why: FetchReason::Retry { attempts },
        };
        assert_eq!(is_truly_empty(&fetch, at(-waited), now()), want, "{size:?} {attempts}");
        let new = Fetch { why: FetchReason::New, ..fetch };
        assert!(!is_truly_empty(&new, at(-waited), now()));
    }
}

#[test]
fn d13_copy_that_was_found_is_proven_by_size_and_date() {
    let rules = Rules { delete: DeleteRule::AfterDays(0), ..Rules::default() };
    let found = StoredCopy {
        delete_ok: false,
        listed_size: None,
        internal_date: Some(at(-HOUR)),
        ..copy(1, -DAY)
    };
    let shown = Listed { size: Some(found.size), ..listed(1, Some(-HOUR)) };
    assert_eq!(proof(&shown, &found), Some((found.size, at(-HOUR))));
    let known = Known::from([(key(1), KnownState::Stored(found.clone()))]);
    let kept = plan_all(&listing(vec![shown.clone()]), &known, &rules);
    assert_eq!(kept.keep[0].why, KeepReason::DeletesHeld { cause: DeletesHeld::Identity });
    // What the figures don't prove is fetched: its content tells. Nor do they end other doubts.
    let other = Listed { size: None, ..shown.clone() };
    assert_eq!(plan_all(&listing(vec![other]), &known, &rules).fetch[0].why, FetchReason::Proof);
    let doubtful = StoredCopy { listed_size: shown.size, ..found };
    assert_eq!(proof(&shown, &doubtful), None);
}

#[test]
fn d13_maildrop_s_copy_of_doubtful_identity_is_not_proven_by_its_size() {
    let key = MessageKey::Pop3 { unique_id: "a".to_owned(), occurrence: 0 };
    let copy = StoredCopy { key: key.clone(), delete_ok: false, size: 7, ..copy(1, -DAY) };
    let listed = |size| Listed { key: key.clone(), size, ..listed(1, None) };
    let copy = StoredCopy { listed_size: None, ..copy };
    for size in [Some(7), Some(8), None] {
        assert_eq!(proof(&listed(size), &copy), None);
    }
    let rules = Rules { delete: DeleteRule::AfterDays(0), ..Rules::default() };
    let known = Known::from([(key.clone(), KnownState::Stored(copy))]);
    let drop = Listing { mailbox: None, uid_validity: None, ..listing(vec![listed(Some(7))]) };
    let plan = plan_all(&drop, &known, &rules);
    assert_eq!((plan.delete.len(), &plan.fetch[0].why), (0, &FetchReason::Proof));
}

#[test]
fn maildrop_has_no_uid_validity_and_deletes_all_the_same() {
    let rules = Rules { delete: DeleteRule::AfterDays(0), ..Rules::default() };
    let key = MessageKey::Pop3 { unique_id: "a".to_owned(), occurrence: 0 };
    let messages = vec![Listed { key: key.clone(), ..listed(1, None) }];
    let drop = Listing { mailbox: None, uid_validity: None, ..listing(messages) };
    let copy = StoredCopy { key: key.clone(), ..copy(1, -DAY) };
    let known = Known::from([(key, KnownState::Stored(copy))]);
    assert_eq!(plan_all(&drop, &known, &rules).delete.len(), 1);
}

#[test]
fn delete_that_was_begun_is_finished_only_while_the_rule_asks() {
    let begun = StoredCopy { deleting: true, ..copy(1, -DAY) };
    let known = Known::from([(key(1), KnownState::Stored(begun))]);
    let listing = listing(vec![listed(1, None)]);
    let rules = Rules { delete: DeleteRule::AfterDays(0), ..Rules::default() };
    assert_eq!(plan_all(&listing, &known, &rules).delete[0].why, DeleteReason::Begun);
    assert!(plan_all(&listing, &known, &Rules::default()).delete.is_empty());
}

#[test]
fn message_that_was_deleted_and_is_listed_again_is_left_alone() {
    let rules = Rules { delete: DeleteRule::AfterDays(0), ..Rules::default() };
    let known = Known::from([(key(1), deleted(1))]);
    let plan = plan_all(&listing(vec![listed(1, None)]), &known, &rules);
    assert_eq!((plan.keep.len(), &plan.keep[0].why), (1, &KeepReason::Returned));
}

#[test]
fn retries_come_later_and_later_but_never_end() {
    let waits: Vec<i64> =
        (1..8).map(|n| retry_at(n, now()).duration_since(now()).as_secs() / 60).collect();
    assert_eq!(waits, [0, 1, 5, 30, 120, 120, 120]);
    assert_eq!(retry_at(9, Timestamp::MAX), Timestamp::MAX);
}

#[test]
fn what_only_a_person_ends_asks_for_no_listing() {
    let rules = Rules { delete: DeleteRule::AfterDays(0), ..Rules::default() };
    let bound = |held, size| {
        let copy = StoredCopy { size, ..copy(1, -DAY) };
        let known = Known::from([(key(1), KnownState::Stored(copy))]);
        let (listing, mut budget) = (listing(vec![listed(1, None)]), Budget::of(&rules));
        let plan = plan(
            &listing,
            &known,
            &rules,
            &Conditions { held, ..Conditions::default() },
            &mut budget,
            now(),
        );
        assert!(matches!(plan.keep[0].why, KeepReason::DeletesHeld { .. }), "{plan:?}");
        next_bound(&plan)
    };
    assert_eq!(bound(None, 0), None, "its copy is empty");
    for held in [DeletesHeld::Stopped, DeletesHeld::NetworkRoot] {
        assert_eq!(bound(Some(held), 900), None, "{held:?}");
    }
    for held in [DeletesHeld::ClockDoubt, DeletesHeld::UidValidityChanged] {
        assert_eq!(bound(Some(held), 900), Some(now()), "{held:?}");
    }
}

#[test]
fn what_is_due_as_soon_as_it_is_stored_is_told_before() {
    let fetch = |received: Option<i64>, why: FetchReason| {
        let Listed { key, number, alone, size, internal_date, received, flags } =
            listed(1, received);
        Fetch { key, number, alone, size, internal_date, received, flags, why }
    };
    let rules = |days: u32, age: DeleteAge| Rules {
        delete: DeleteRule::AfterDays(days),
        delete_age_from: age,
        ..Rules::default()
    };
    let due = |received, days, age| {
        due_when_stored(&fetch(received, FetchReason::New), &rules(days, age), now())
    };
    assert!(due(Some(-DAY), 0, DeleteAge::Stored) && due(None, 0, DeleteAge::Received));
    assert!(!due(Some(-9 * DAY), 1, DeleteAge::Stored));
    assert!(due(Some(-9 * DAY), 9, DeleteAge::Received));
    assert!(!due(Some(-9 * DAY), 10, DeleteAge::Received) && !due(None, 1, DeleteAge::Received));
    assert!(!due_when_stored(
        &fetch(None, FetchReason::Proof),
        &rules(0, DeleteAge::Stored),
        now()
    ));
    let off = Rules { delete: DeleteRule::Never, ..Rules::default() };
    assert!(!due_when_stored(&fetch(None, FetchReason::New), &off, now()));
}

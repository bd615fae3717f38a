//! Messages that may be others than those stored under their identity.

use super::*;

fn other_size(uid: u32) -> Listed {
    Listed { size: Some(901), ..listed(uid, Some(-HOUR)) }
}

/// A copy of the first message of UID 1, whose date the server told.
fn dated() -> StoredCopy {
    StoredCopy { internal_date: Some(at(-HOUR)), ..copy(1, -DAY) }
}

fn delete_at_once() -> Rules {
    Rules { delete: DeleteRule::AfterDays(0), ..Rules::default() }
}

/// The state of a copy and of a deleted message with the same facts.
fn states(copy: &StoredCopy) -> [KnownState; 2] {
    let StoredCopy { key, listed_size, internal_date, .. } = copy.clone();
    let deleted = KnownState::Deleted { key, listed_size, internal_date };
    [KnownState::Stored(copy.clone()), deleted]
}

#[test]
fn another_size_or_date_is_another_message_and_is_fetched() {
    let later = Listed { internal_date: Some(at(-HOUR + 1)), ..listed(1, Some(-HOUR)) };
    for listed in [other_size(1), later] {
        for state in states(&dated()) {
            for rules in [Rules::default(), delete_at_once()] {
                let known = Known::from([(key(1), state.clone())]);
                let plan = plan_all(&listing(vec![listed.clone()]), &known, &rules);
                assert_eq!((plan.fetch.len(), plan.delete.len(), plan.keep.len()), (1, 0, 0));
                assert_eq!(plan.fetch[0].key, key(1).with_generation(1));
                assert_eq!(plan.fetch[0].why, FetchReason::Reused { generation: 1 });
            }
        }
    }
}

#[test]
fn what_one_side_does_not_know_says_nothing() {
    let unknown = Listed { size: None, internal_date: None, ..listed(1, None) };
    let unsized_copy = StoredCopy { listed_size: None, internal_date: None, ..dated() };
    for (listed, copy) in [(unknown, dated()), (other_size(1), unsized_copy)] {
        for state in states(&copy) {
            let known = Known::from([(key(1), state)]);
            assert!(
                plan_all(&listing(vec![listed.clone()]), &known, &Rules::default())
                    .fetch
                    .is_empty()
            );
        }
    }
}

#[test]
fn newest_generation_is_deleted_and_kept_under_its_own_key() {
    let newest = key(1).with_generation(2);
    let copy = StoredCopy { key: newest.clone(), ..dated() };
    let listing = listing(vec![listed(1, Some(-HOUR))]);
    let [stored, deleted] = states(&copy).map(|state| Known::from([(key(1), state)]));
    assert_eq!(plan_all(&listing, &stored, &delete_at_once()).delete[0].key, newest);
    assert_eq!(plan_all(&listing, &stored, &Rules::default()).keep[0].key, newest);
    let returned = &plan_all(&listing, &deleted, &delete_at_once()).keep[0];
    assert_eq!((&returned.key, &returned.why), (&newest, &KeepReason::Returned));
}

#[test]
fn next_generation_follows_the_newest() {
    let copy = StoredCopy { key: key(1).with_generation(2), ..dated() };
    let known = Known::from([(key(1), KnownState::Stored(copy))]);
    let plan = plan_all(&listing(vec![other_size(1)]), &known, &Rules::default());
    assert_eq!(plan.fetch[0].why, FetchReason::Reused { generation: 3 });
}

#[test]
fn other_message_is_judged_by_the_rules_as_a_new_one() {
    let known = Known::from([(key(1), KnownState::Stored(dated()))]);
    let plan_by = |rules: &Rules| plan_all(&listing(vec![other_size(1)]), &known, rules);
    let next = key(1).with_generation(1);
    let rules = Rules { process_after: Some(now()), ..delete_at_once() };
    assert_eq!(plan_by(&rules).skip[0].key, next);
    let rules = Rules { min_age: Some(hours(2)), ..delete_at_once() };
    assert_eq!(plan_by(&rules).left_over[0].key, next);
    let rules = Rules { max_message_size: Some(900), ..delete_at_once() };
    let plan = plan_by(&rules);
    assert_eq!(plan.keep[0].why, KeepReason::TooLarge { size: 901, limit: 900 });
    assert_eq!(plan.keep[0].key, next);
}

#[test]
fn held_generation_is_tried_again_under_its_own_key() {
    let next = key(1).with_generation(1);
    let state = |retry| KnownState::Held { key: next.clone(), attempts: 2, retry_at: at(retry) };
    let plan_of = |retry| {
        let known = Known::from([(key(1), state(retry))]);
        plan_all(&listing(vec![other_size(1)]), &known, &Rules::default())
    };
    assert_eq!(plan_of(1).keep[0].key, next);
    let due = plan_of(0);
    assert_eq!(
        (&due.fetch[0].key, &due.fetch[0].why),
        (&next, &FetchReason::Retry { attempts: 2 })
    );
}

fn maildrop(message: Listed) -> Listing {
    Listing { mailbox: None, uid_validity: None, ..listing(vec![message]) }
}

#[test]
fn pop03_another_size_under_a_unique_id_is_another_message_and_is_fetched() {
    let key = MessageKey::Pop3 { unique_id: "a".to_owned(), occurrence: 2 };
    let copy = StoredCopy { key: key.clone(), ..copy(1, -DAY) };
    for state in states(&copy) {
        for rules in [Rules::default(), delete_at_once()] {
            let known = Known::from([(key.with_turn(0), state.clone())]);
            let message = Listed { key: key.with_turn(0), ..other_size(1) };
            let plan = plan_all(&maildrop(message.clone()), &known, &rules);
            assert_eq!((plan.delete.len(), plan.keep.len()), (0, 0));
            assert_eq!(plan.fetch[0].key, key.next());
            assert_eq!(plan.fetch[0].why, FetchReason::Reused { generation: 3 });
            // Of messages that share it none can be told from another.
            let shared = Listed { alone: false, ..message };
            let plan = plan_all(&maildrop(shared), &known, &rules);
            assert!(plan.delete.is_empty() && plan.fetch.is_empty());
            assert_eq!(plan.keep[0].why, KeepReason::SizeChanged { then: 900, now: 901 });
        }
    }
}

#[test]
fn pop03_unique_id_that_comes_back_is_fetched_though_its_size_is_the_same() {
    let key = MessageKey::Pop3 { unique_id: "a".to_owned(), occurrence: 0 };
    let copy = StoredCopy { key: key.clone(), ..copy(1, -DAY) };
    let [stored, deleted] = states(&copy).map(|state| Known::from([(key.clone(), state)]));
    let message = Listed { key: key.clone(), ..listed(1, None) };
    let plan = plan_all(&maildrop(message.clone()), &deleted, &Rules::default());
    assert_eq!(plan.fetch[0].key, key.next());
    assert!(plan_all(&maildrop(message), &stored, &Rules::default()).fetch.is_empty());
}

#[test]
fn i01_key_of_another_server_is_never_taken_for_a_known_message() {
    let known = Known::from([(key(1), KnownState::Other { key: key(1).with_generation(4) })]);
    for rules in [Rules::default(), delete_at_once()] {
        let plan = plan_all(&listing(vec![listed(1, Some(-HOUR))]), &known, &rules);
        assert_eq!((plan.fetch.len(), plan.delete.len(), plan.keep.len()), (1, 0, 0));
        assert_eq!(plan.fetch[0].key, key(1).with_generation(5));
    }
}

//! How much a batch and a poll may take.

use super::*;

fn rules(batch_max: Option<u32>, batch_max_bytes: Option<u64>, delete_max: Option<u32>) -> Rules {
    Rules { batch_max, batch_max_bytes, delete_max_per_poll: delete_max, ..Rules::default() }
}

#[test]
fn batch_without_limits_is_never_full() {
    let mut budget = Budget::of(&Rules::default());
    for _ in 0..1000 {
        assert!(budget.take(u64::MAX) && !budget.is_full());
    }
}

#[test]
fn batch_takes_so_many_messages() {
    let rules = rules(Some(2), None, None);
    let mut budget = Budget::of(&rules);
    assert!(budget.take(1) && !budget.is_full());
    assert!(budget.take(1) && budget.is_full());
    assert!(!budget.take(0));
    budget.next_batch(&rules);
    assert!(!budget.is_full() && budget.take(1));
}

#[test]
fn batch_takes_so_many_octets_and_one_message_always() {
    let rules = rules(None, Some(100), None);
    let mut budget = Budget::of(&rules);
    assert!(budget.take(100) && budget.is_full());
    budget.next_batch(&rules);
    assert!(budget.take(60) && budget.take(40) && !budget.take(1));
    budget.next_batch(&rules);
    assert!(budget.take(u64::MAX) && budget.is_full() && !budget.take(1));
}

#[test]
fn smaller_message_does_not_overtake_one_that_did_not_fit() {
    let mut budget = Budget::of(&rules(None, Some(100), None));
    assert!(budget.take(60));
    assert!(!budget.take(41));
    assert!(!budget.take(1) && budget.is_full());
}

#[test]
fn messages_of_unknown_size_take_no_octets() {
    let mut budget = Budget::of(&rules(None, Some(100), None));
    assert!(budget.take(0) && budget.take(0) && budget.take(100));
}

#[test]
fn deletes_count_on_through_all_batches_of_a_poll() {
    let rules = rules(Some(1), None, Some(2));
    let mut budget = Budget::of(&rules);
    assert_eq!(budget.take_delete(), Ok(()));
    budget.next_batch(&rules);
    assert_eq!(budget.take_delete(), Ok(()));
    budget.next_batch(&rules);
    assert_eq!((budget.take_delete(), budget.take_delete()), (Err(2), Err(2)));
}

#[test]
fn fetches_are_adopted_and_deletes_are_not() {
    let rules = rules(Some(2), None, Some(1));
    let (mut poll, mut trial) = (Budget::of(&rules), Budget::of(&rules));
    assert!(trial.take(1) && trial.take(1));
    assert_eq!(trial.take_delete(), Ok(()));
    poll.adopt_fetches(&trial);
    assert!(poll.is_full());
    assert_eq!(poll.take_delete(), Ok(()));
}

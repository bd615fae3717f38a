//! What holds for mail that a catch-up or `only_unseen` leaves alone.

use super::*;

proptest! {
    #[test]
    fn promise_p3_what_a_catch_up_left_alone_is_never_deleted_and_never_fetched(
        case in case(),
        later in 0..50_000_u32,
    ) {
        let mut case = case;
        let at = at(-DAY);
        for listed in &case.listing.messages {
            let known = case.known.entry(listed.key.clone());
            known.or_insert_with(|| KnownState::CaughtUp { key: listed.key.clone(), at });
        }
        for plan in [case.plan(), case.unlimited().plan(), case.plan_later(later)] {
            let [fetched, deleted, skipped, ..] = lists(&plan);
            for (listed, state) in &case.known {
                if matches!(state, KnownState::CaughtUp { .. }) {
                    let has = |all: &[MessageKey]| all.iter().any(|k| k.with_turn(0) == *listed);
                    prop_assert!(!has(&fetched) && !has(&deleted), "{listed}");
                    prop_assert!(has(&skipped), "{listed}");
                }
            }
        }
    }

    /// One that is listed with another size or date is another message, and may be fetched.
    #[test]
    fn promise_p4_what_a_rule_left_out_is_in_no_delete_list_whatever_the_rules(
        case in case(),
        later in 0..50_000_u32,
    ) {
        for plan in [case.plan(), case.unlimited().plan(), case.plan_later(later)] {
            let [fetched, deleted, skipped, kept, _] = lists(&plan);
            for (listed, state) in &case.known {
                let KnownState::Skipped { key, listed_size, internal_date, .. } = state else {
                    continue;
                };
                let now = case.listed(key);
                let has = |all: &[MessageKey]| all.iter().any(|k| k.with_turn(0) == *listed);
                prop_assert!(!has(&deleted) && !kept.contains(key) && !fetched.contains(key), "{listed}");
                let differs = listed_size.zip(now.size).is_some_and(|(a, b)| a != b)
                    || internal_date.zip(now.internal_date).is_some_and(|(a, b)| a != b);
                if !differs {
                    prop_assert!(has(&skipped) && !has(&fetched), "{listed}");
                }
            }
        }
    }

    #[test]
    fn seen_messages_are_skipped_only_before_a_first_attempt(case in case()) {
        let mut seen = case.unlimited();
        seen.rules.only_unseen = true;
        for listed in &mut seen.listing.messages {
            listed.flags = vec!["\\seen".to_owned()];
        }
        let plan = seen.plan();
        for fetch in &plan.fetch {
            let retry = matches!(fetch.why, FetchReason::Retry { .. } | FetchReason::Proof);
            let held = matches!(
                seen.known.get(&fetch.key.with_turn(0)),
                Some(KnownState::Held { .. })
            );
            prop_assert!(retry || held, "{fetch:?}");
        }
        let mut unseen = seen.clone();
        for listed in &mut unseen.listing.messages {
            listed.flags.clear();
        }
        let mut plain = unseen.clone();
        plain.rules.only_unseen = false;
        prop_assert_eq!(lists(&unseen.plan()), lists(&plain.plan()));
        prop_assert_eq!(deletes(&plan), deletes(&plain.plan()));
    }
}

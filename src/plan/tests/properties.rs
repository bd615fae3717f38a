//! What holds for every plan, whatever a server lists and whatever the rules.
#![expect(clippy::arithmetic_side_effects, reason = "the numbers of tests are small")]

mod skipped;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// All that a plan is made from; the messages' UIDs ascend.
#[derive(Clone, Debug)]
struct Case {
    listing: Listing,
    known: Known,
    rules: Rules,
    conditions: Conditions,
}

impl Case {
    fn plan(&self) -> Plan {
        self.plan_within(&mut Budget::of(&self.rules))
    }

    fn plan_within(&self, budget: &mut Budget) -> Plan {
        plan(&self.listing, &self.known, &self.rules, &self.conditions, budget, now())
    }

    fn plan_later(&self, hours: u32) -> Plan {
        let later = at(i64::from(hours) * HOUR);
        let mut budget = Budget::of(&self.rules);
        plan(&self.listing, &self.known, &self.rules, &self.conditions, &mut budget, later)
    }

    fn unlimited(&self) -> Self {
        let rules = Rules {
            batch_max: None,
            batch_max_bytes: None,
            delete_max_per_poll: None,
            ..self.rules.clone()
        };
        Self { rules, ..self.clone() }
    }

    /// What the ledger says after all that a plan asks for was fetched.
    fn fetch(&mut self, plan: &Plan) {
        for fetch in &plan.fetch {
            let copy = StoredCopy {
                key: fetch.key.clone(),
                listed_size: fetch.size,
                internal_date: fetch.internal_date,
                ..copy(i64::from(fetch.number), 0)
            };
            self.known.insert(fetch.key.with_turn(0), KnownState::Stored(copy));
        }
    }

    /// What the ledger says after a delete, by the mode, or a move by a rule.
    fn delete(&mut self, key: &MessageKey) {
        let Some(KnownState::Stored(copy)) = self.known.get_mut(&key.as_listed()) else {
            panic!("a mark on a message that is not stored");
        };
        let moves =
            !copy.flagged && copy.moves.iter().any(|m| self.rules.moves.contains_key(&m.rule));
        if self.rules.delete_mode == DeleteMode::Flag && !moves {
            (copy.flagged, copy.deleting) = (true, false);
            return;
        }
        let listed = self.listed(key);
        let state = KnownState::Deleted {
            key: key.clone(),
            listed_size: listed.size,
            internal_date: listed.internal_date,
        };
        self.known.insert(key.with_turn(0), state);
    }

    fn listed(&self, key: &MessageKey) -> &Listed {
        self.listing.messages.iter().find(|listed| listed.key == key.with_turn(0)).unwrap()
    }
}

fn fetches(plan: &Plan) -> Vec<MessageKey> {
    plan.fetch.iter().map(|fetch| fetch.key.clone()).collect()
}

fn deletes(plan: &Plan) -> Vec<MessageKey> {
    plan.delete.iter().map(|delete| delete.key.clone()).collect()
}

/// The keys of each list, in its order: fetch, delete, skip, keep, left over.
fn lists(plan: &Plan) -> [Vec<MessageKey>; 5] {
    [
        fetches(plan),
        deletes(plan),
        plan.skip.iter().map(|skip| skip.key.clone()).collect(),
        plan.keep.iter().map(|keep| keep.key.clone()).collect(),
        plan.left_over.iter().map(|left| left.key.clone()).collect(),
    ]
}

/// A moment within some days, with edges that coincide.
fn moment(days: std::ops::Range<i64>) -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        (days.start * 4..days.end * 4).prop_map(|n| at(n * 6 * HOUR)),
        (days.start * DAY..days.end * DAY).prop_map(at),
    ]
}

fn size() -> impl Strategy<Value = Option<u64>> {
    option::weighted(0.9, prop_oneof![Just(900_u64), 0..2000_u64])
}

/// A state of UID 1; the case gives it the key of its message.
fn state() -> impl Strategy<Value = Option<KnownState>> {
    let held = (1..7_u32, moment(-1..1)).prop_map(|(attempts, retry_at)| KnownState::Held {
        key: key(1),
        attempts,
        retry_at,
    });
    let deleted = (size(), date()).prop_map(|(listed_size, internal_date)| KnownState::Deleted {
        key: key(1),
        listed_size,
        internal_date,
    });
    let told = (size(), date());
    let marks = (any::<bool>(), proptest::bool::weighted(0.9), proptest::bool::weighted(0.2));
    let received = option::of(moment(-60..4));
    let asked = (received, option::weighted(0.3, asked_move()));
    let stored = (moment(-40..2), told, marks, asked).prop_map(
        |(archived_at, (listed_size, internal_date), marks, (received, asked))| {
            let (deleting, delete_ok, flagged) = marks;
            let (actions_open, moves) = (asked.is_some(), asked.into_iter().collect());
            let copy = StoredCopy { listed_size, internal_date, received, flagged, ..copy(1, 0) };
            let copy = StoredCopy { actions_open, moves, ..copy };
            KnownState::Stored(StoredCopy { archived_at, deleting, delete_ok, ..copy })
        },
    );
    let left_out = (size(), date()).prop_map(|(listed_size, internal_date)| KnownState::Skipped {
        key: key(1),
        rule: "spam".to_owned(),
        at: at(-DAY),
        listed_size,
        internal_date,
    });
    prop_oneof![
        4 => Just(None),
        1 => left_out.prop_map(Some),
        1 => Just(Some(KnownState::CaughtUp { key: key(1), at: at(-DAY) })),
        1 => held.prop_map(Some),
        4 => stored.prop_map(Some),
        1 => deleted.prop_map(Some),
    ]
}

/// A move by a rule that the config has, or by one that it had.
fn asked_move() -> impl Strategy<Value = AskedMove> {
    let rule = prop_oneof![3 => Just("done"), 1 => Just("gone")];
    let due = prop_oneof![3 => Just(at(-HOUR)), 1 => Just(at(HOUR / 2))];
    let open = (proptest::bool::weighted(0.2), proptest::bool::weighted(0.2));
    (rule, due, open).prop_map(|(rule, due_at, (marks_open, others_open))| AskedMove {
        rule: rule.to_owned(),
        due_at,
        marks_open,
        others_open: marks_open || others_open,
        ..moves::asked()
    })
}

/// An INTERNALDATE, one of few.
fn date() -> impl Strategy<Value = Option<Timestamp>> {
    option::weighted(0.8, prop_oneof![9 => Just(at(-DAY)), 1 => Just(at(-2 * DAY))])
}

/// The state, of another message.
fn with_key(state: KnownState, key: MessageKey) -> KnownState {
    match state {
        KnownState::Held { attempts, retry_at, .. } => KnownState::Held { key, attempts, retry_at },
        KnownState::CaughtUp { at, .. } => KnownState::CaughtUp { key, at },
        KnownState::Stored(copy) => KnownState::Stored(StoredCopy { key, ..copy }),
        KnownState::Other { .. } => KnownState::Other { key },
        KnownState::Skipped { rule, at, listed_size, internal_date, .. } => {
            KnownState::Skipped { key, rule, at, listed_size, internal_date }
        }
        KnownState::Placing { .. } => KnownState::Placing { key },
        KnownState::Deleted { listed_size, internal_date, .. } => {
            KnownState::Deleted { key, listed_size, internal_date }
        }
    }
}

fn duration() -> impl Strategy<Value = Option<Duration>> {
    option::of((0..300_u64).prop_map(Duration::from_hours))
}

fn rules() -> impl Strategy<Value = Rules> {
    let ages = (
        option::of(moment(-20..2)),
        duration(),
        option::of((0..40_u64).prop_map(Duration::from_hours)),
    );
    let limits = (option::of(1..6_u32), option::of(1..4000_u64), option::of(0..2000_u64));
    let delete = prop_oneof![
        Just(DeleteRule::Never),
        (0..30_u32).prop_map(DeleteRule::AfterDays),
        Just(DeleteRule::AfterDays(0)),
    ];
    let how = (
        prop_oneof![Just(DeleteAge::Stored), Just(DeleteAge::Received)],
        prop_oneof![
            3 => Just(DeleteMode::Expunge),
            1 => Just(DeleteMode::Flag),
            1 => Just(DeleteMode::Trash),
            1 => Just(DeleteMode::Move("Done".to_owned())),
        ],
    );
    let all = (ages, limits, delete, option::of(1..6_u32), how, (any::<bool>(), any::<bool>()));
    all.prop_map(|(ages, limits, delete, brake, (delete_age_from, delete_mode), rules)| Rules {
        canary: false,
        moves: rules.0.then(|| ("done".to_owned(), "Done".to_owned())).into_iter().collect(),
        delete_after_actions: rules.1,
        process_after: ages.0,
        ignore_older_than: ages.1,
        min_age: ages.2,
        batch_max: limits.0,
        batch_max_bytes: limits.1,
        max_message_size: limits.2,
        delete,
        delete_age_from,
        delete_mode,
        delete_max_per_poll: brake,
        only_unseen: false,
    })
}

fn case() -> impl Strategy<Value = Case> {
    let told = (size(), date(), option::weighted(0.8, moment(-20..3)));
    let message = (1..4_u32, told, state(), prop_oneof![9 => Just(0), 1 => 1..3_u32]);
    let held = option::weighted(0.1, Just(DeletesHeld::ClockDoubt));
    let about = (any::<bool>(), proptest::bool::weighted(0.9), option::weighted(0.9, Just(7)));
    (vec(message, 0..40), rules(), held, about).prop_map(|(messages, rules, held, about)| {
        let (is_imap, complete, uid_validity) = about;
        let mut known = Known::new();
        let mut uid = 0;
        let mut all = Vec::new();
        for (gap, (size, internal_date, received), state, generation) in messages {
            uid += gap;
            let key = if is_imap {
                key(uid)
            } else {
                MessageKey::Pop3 { unique_id: format!("{:03}", 997 - uid), occurrence: 0 }
            };
            let received = received.map(|at| Received { at, basis: ReceivedBasis::InternalDate });
            if let Some(state) = state {
                known.insert(key.clone(), with_key(state, key.with_generation(generation)));
            }
            let internal_date = internal_date.filter(|_| is_imap);
            all.push(Listed { key, size, internal_date, received, ..listed(uid, None) });
        }
        let mailbox = is_imap.then(|| "INBOX".to_owned());
        let uid_validity = uid_validity.filter(|_| is_imap);
        let listing = Listing { mailbox, uid_validity, complete, ..listing(all) };
        Case { listing, known, rules, conditions: Conditions { held, ..Conditions::default() } }
    })
}

proptest! {
    #[test]
    fn each_listed_message_is_in_exactly_one_list(case in case()) {
        let planned = lists(&case.plan()).concat();
        let mut planned: Vec<MessageKey> = planned.iter().map(|key| key.with_turn(0)).collect();
        let mut listed: Vec<MessageKey> =
            case.listing.messages.iter().map(|listed| listed.key.clone()).collect();
        planned.sort();
        listed.sort();
        prop_assert_eq!(planned, listed);
    }

    #[test]
    fn promise_p3_every_delete_has_all_its_proofs(case in case()) {
        for delete in case.plan().delete {
            let Some(KnownState::Stored(copy)) = case.known.get(&delete.key.with_turn(0)) else {
                panic!("a delete of a message that is not stored: {delete:?}");
            };
            let listed = case.listed(&delete.key);
            prop_assert_eq!((&delete.copy, &delete.key), (copy, &copy.key));
            prop_assert_eq!(delete.number, listed.number);
            prop_assert!(case.listing.complete && case.conditions.held.is_none());
            prop_assert!(case.listing.uid_validity.is_some() || case.listing.mailbox.is_none());
            prop_assert!(copy.delete_ok);
            prop_assert!(!(copy.flagged && delete.how == DeleteMode::Flag));
            if let (Some(then), Some(now)) = (copy.listed_size, listed.size) {
                prop_assert_eq!(then, now);
            }
            if let (Some(then), Some(now)) = (copy.internal_date, listed.internal_date) {
                prop_assert_eq!(then, now);
            }
            if let Some(action) = delete.action {
                let asked = copy.moves.iter().find(|asked| asked.action == action).unwrap();
                let to = case.rules.moves.get(&asked.rule).unwrap();
                prop_assert_eq!(delete.how, DeleteMode::Move(to.clone()));
                prop_assert!(asked.due_at <= now() && !asked.marks_open && !copy.flagged);
                prop_assert!(!(asked.others_open && case.rules.delete_after_actions));
                continue;
            }
            let DeleteRule::AfterDays(days) = case.rules.delete else {
                panic!("a delete that no rule asks for: {delete:?}");
            };
            prop_assert_eq!(&delete.how, &case.rules.delete_mode);
            let wanted = |asked: &AskedMove| case.rules.moves.contains_key(&asked.rule);
            prop_assert!(copy.flagged || !copy.moves.iter().any(wanted), "the move comes first");
            prop_assert!(!(copy.actions_open && case.rules.delete_after_actions));
            let since = match case.rules.delete_age_from {
                DeleteAge::Stored => copy.archived_at,
                DeleteAge::Received => copy.archived_at.min(copy.received.unwrap_or(Timestamp::MAX)),
            };
            let age = now().duration_since(since);
            prop_assert!(age.as_secs() >= i64::from(days) * DAY);
        }
    }

    #[test]
    fn another_message_under_a_known_uid_is_always_fetched_in_the_end(case in case()) {
        let mut case = case;
        let none = Rules { delete: case.rules.delete, ..Rules::default() };
        case.rules = none;
        let plan = case.plan();
        let reused = plan.fetch.iter().filter(|fetch| fetch.why != FetchReason::Proof);
        let fetched: Vec<MessageKey> = reused.map(|fetch| fetch.key.clone()).collect();
        for listed in &case.listing.messages {
            let (key, size, date) = match case.known.get(&listed.key) {
                Some(KnownState::Stored(copy)) => (&copy.key, copy.listed_size, copy.internal_date),
                Some(
                    KnownState::Deleted { key, listed_size, internal_date }
                    | KnownState::Skipped { key, listed_size, internal_date, .. },
                ) => (key, *listed_size, *internal_date),
                Some(_) | None => continue,
            };
            let doubtful = |copy: &StoredCopy| !copy.delete_ok;
            if matches!(case.known.get(&listed.key), Some(KnownState::Stored(c)) if doubtful(c)) {
                continue;
            }
            let differs = size.zip(listed.size).is_some_and(|(then, now)| then != now)
                || date.zip(listed.internal_date).is_some_and(|(then, now)| then != now);
            let left = matches!(case.known.get(&listed.key), Some(KnownState::Deleted { .. }));
            let returned = left && key.uid().is_none();
            prop_assert_eq!(fetched.contains(&key.next()), differs || returned);
            prop_assert!(!fetched.contains(key));
        }
    }

    #[test]
    fn listing_in_doubt_deletes_nothing_and_fetches_as_ever(case in case()) {
        let mut incomplete = case.clone();
        incomplete.listing.complete = false;
        let mut nameless = case.clone();
        nameless.listing.mailbox = Some("INBOX".to_owned());
        nameless.listing.uid_validity = None;
        let mut held = case.clone();
        held.conditions.held = Some(DeletesHeld::UidValidityChanged);
        for doubtful in [incomplete, nameless, held] {
            let plan = doubtful.plan();
            prop_assert!(plan.delete.is_empty());
            let proofs = |plan: Plan| {
                plan.fetch.into_iter().partition::<Vec<_>, _>(|f| f.why == FetchReason::Proof)
            };
            let ((proofs_held, fetched), (_, free)) = (proofs(plan), proofs(case.unlimited().plan()));
            if case.rules.batch_max.is_none() && case.rules.batch_max_bytes.is_none() {
                let keys = |all: Vec<Fetch>| all.into_iter().map(|f| f.key).collect::<Vec<_>>();
                prop_assert_eq!(keys(fetched), keys(free));
            }
            prop_assert!(proofs_held.is_empty());
        }
    }

    #[test]
    fn limits_only_put_off(case in case(), more in 0..4_u32) {
        let all = case.unlimited().plan();
        let limited = case.plan();
        let mut higher = case.clone();
        higher.rules.delete_max_per_poll = case.rules.delete_max_per_poll.map(|n| n + more);
        higher.rules.batch_max = case.rules.batch_max.map(|n| n + more);
        let octets = case.rules.batch_max_bytes;
        higher.rules.batch_max_bytes = octets.map(|n| n + u64::from(more) * 500);
        let higher = higher.plan();
        // The oldest come first: a lower limit takes a beginning of what a higher one takes.
        prop_assert!(fetches(&all).starts_with(&fetches(&higher)));
        prop_assert!(fetches(&higher).starts_with(&fetches(&limited)));
        prop_assert!(deletes(&all).starts_with(&deletes(&higher)));
        prop_assert!(deletes(&higher).starts_with(&deletes(&limited)));
        if let Some(limit) = case.rules.delete_max_per_poll {
            prop_assert_eq!(limited.delete.len(), all.delete.len().min(limit as usize));
        }
    }

    #[test]
    fn batches_together_fetch_what_one_without_limits_fetches(case in case()) {
        let all = fetches(&case.unlimited().plan());
        let mut case = case;
        let mut budget = Budget::of(&case.rules);
        let mut fetched = Vec::new();
        loop {
            let plan = case.plan_within(&mut budget);
            if plan.fetch.is_empty() {
                let waits = plan.left_over.iter().any(|l| l.why == LeftOverReason::BatchFull);
                prop_assert!(!waits, "what is left over is never fetched");
                break;
            }
            let (n, octets) = (plan.fetch.len(), plan.fetch.iter().filter_map(|f| f.size).sum());
            prop_assert!(case.rules.batch_max.is_none_or(|limit| n <= limit as usize));
            let fits = case.rules.batch_max_bytes.is_none_or(|limit: u64| limit >= octets);
            prop_assert!(fits || plan.fetch[0].size == Some(octets), "only the first may be larger");
            fetched.extend(fetches(&plan));
            case.fetch(&plan);
            budget.next_batch(&case.rules);
        }
        prop_assert_eq!(fetched, all);
    }

    #[test]
    fn polls_together_delete_what_one_without_a_brake_deletes(case in case()) {
        let all = deletes(&case.unlimited().plan());
        let mut case = case;
        let mut deleted = Vec::new();
        loop {
            let plan = case.plan();
            if plan.delete.is_empty() {
                break;
            }
            for key in deletes(&plan) {
                case.delete(&key);
                deleted.push(key);
            }
        }
        prop_assert_eq!(deleted, all);
    }

    #[test]
    fn longer_delay_deletes_no_more_and_time_no_less(
        case in case(), more in 0..40_u32, hours in 0..1000_u32
    ) {
        let case = case.unlimited();
        let mut longer = case.clone();
        if let DeleteRule::AfterDays(days) = &mut longer.rules.delete {
            *days += more;
        }
        let set = |plan: Plan| deletes(&plan).into_iter().collect::<BTreeSet<_>>();
        prop_assert!(set(case.plan()).is_superset(&set(longer.plan())));
        prop_assert!(set(case.plan_later(hours)).is_superset(&set(case.plan())));
    }

    #[test]
    fn date_of_receipt_only_brings_deletes_forward_and_never_before_the_storing(case in case()) {
        let mut stored = case.unlimited();
        stored.rules.delete_age_from = DeleteAge::Stored;
        let mut received = stored.clone();
        received.rules.delete_age_from = DeleteAge::Received;
        let (stored, received) = (stored.plan(), received.plan());
        let set = |plan: &Plan| deletes(plan).into_iter().collect::<BTreeSet<_>>();
        prop_assert!(set(&received).is_superset(&set(&stored)));
        // A delete that is due may first ask for the content: no other fetch depends on its age.
        let new = |mut plan: Plan| {
            plan.fetch.retain(|fetch| fetch.why != FetchReason::Proof);
            fetches(&plan)
        };
        prop_assert_eq!(new(received), new(stored));
    }

    #[test]
    fn windows_of_a_listing_share_one_budget(case in case(), cut in 0..40_usize) {
        let whole = case.plan();
        let (mut one, mut two) = (case.clone(), case.clone());
        let cut = cut.min(case.listing.messages.len());
        two.listing.messages = one.listing.messages.split_off(cut);
        let mut budget = Budget::of(&case.rules);
        let (one, two) = (one.plan_within(&mut budget), two.plan_within(&mut budget));
        for (whole, (one, two)) in
            lists(&whole).into_iter().zip(lists(&one).into_iter().zip(lists(&two)))
        {
            prop_assert_eq!(whole, [one, two].concat());
        }
    }

    #[test]
    fn wider_age_rules_never_lose_a_fetch(case in case(), wider in 0..200_u32) {
        let case = case.unlimited();
        let more = SignedDuration::from_hours(i64::from(wider));
        let hours = Duration::from_hours(u64::from(wider));
        let mut wide = case.clone();
        let Rules { process_after, ignore_older_than, min_age, .. } = &mut wide.rules;
        *process_after = process_after.map(|at| at.checked_sub(more).unwrap());
        *ignore_older_than = ignore_older_than.map(|age| age + hours);
        *min_age = min_age.map(|age| age.saturating_sub(hours));
        let none = Rules { process_after: None, ignore_older_than: None, min_age: None, ..case.rules.clone() };
        let without = Case { rules: none, ..case.clone() };
        let set = |case: &Case| fetches(&case.plan()).into_iter().collect::<BTreeSet<_>>();
        prop_assert!(set(&wide).is_superset(&set(&case)));
        prop_assert!(set(&without).is_superset(&set(&wide)));
    }

    #[test]
    fn order_of_the_listing_decides_no_fate(
        (case, shuffled) in case().prop_flat_map(|case| {
            let messages = case.listing.messages.clone();
            (Just(case), Just(messages).prop_shuffle())
        })
    ) {
        let case = case.unlimited();
        let mut other = case.clone();
        other.listing.messages = shuffled;
        for (mut one, mut two) in lists(&case.plan()).into_iter().zip(lists(&other.plan())) {
            one.sort();
            two.sort();
            prop_assert_eq!(one, two);
        }
    }

    #[test]
    fn nothing_is_fetched_twice(case in case(), vanish in any::<bool>()) {
        let mut case = case.unlimited();
        let first = case.plan();
        case.fetch(&first);
        for key in deletes(&first) {
            case.delete(&key);
            if vanish {
                case.listing.messages.retain(|listed| listed.key != key.with_turn(0));
            }
        }
        let second = case.plan();
        // A unique-id that comes back after its delete may be another message's.
        let returned = |key: &MessageKey| {
            let key = key.with_turn(0);
            key.uid().is_none() && matches!(case.known.get(&key), Some(KnownState::Deleted { .. }))
        };
        prop_assert!(second.fetch.iter().all(|fetch| returned(&fetch.key)));
        let again: Vec<_> = deletes(&second);
        prop_assert!(again.iter().all(|key| fetches(&first).contains(key)));
    }
}

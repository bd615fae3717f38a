//! Moves that rules on received mail ask for: when they are made, and what they go before.

use super::*;

/// Of the rule `done`, which is due.
pub(super) fn asked() -> AskedMove {
    AskedMove {
        action: 11,
        rule: "done".to_owned(),
        due_at: at(-HOUR),
        failed: false,
        marks_open: false,
        others_open: false,
        attempts: 0,
        first_at: None,
        detail: String::new(),
    }
}

/// Deletes after days, and the rule `done` moves to `Done`.
fn rules(days: Option<u32>) -> Rules {
    Rules {
        delete: days.map_or(DeleteRule::Never, DeleteRule::AfterDays),
        moves: [("done".to_owned(), "Done".to_owned())].into(),
        ..Rules::default()
    }
}

fn with(moves: Vec<AskedMove>) -> StoredCopy {
    StoredCopy { actions_open: !moves.is_empty(), moves, ..copy(1, -DAY) }
}

fn planned(copy: StoredCopy, rules: &Rules) -> Plan {
    let known = Known::from([(key(1), KnownState::Stored(copy))]);
    plan_all(&listing(vec![listed(1, None)]), &known, rules)
}

/// How the message leaves by the plan, and by which action.
fn leaves(plan: &Plan) -> Option<(DeleteMode, Option<i64>)> {
    plan.delete.first().map(|delete| (delete.how.clone(), delete.action))
}

fn kept(plan: &Plan) -> &KeepReason {
    assert!(plan.delete.is_empty(), "{plan:?}");
    &plan.keep[0].why
}

fn to_done() -> DeleteMode {
    DeleteMode::Move("Done".to_owned())
}

#[test]
fn move_that_is_asked_for_is_made_and_nothing_else_leaves() {
    let plan = planned(with(vec![asked()]), &rules(None));
    assert_eq!(leaves(&plan), Some((to_done(), Some(11))));
    let why = DeleteReason::Moved { rule: "done".to_owned(), to: "Done".to_owned() };
    assert_eq!(plan.delete[0].why, why);
    assert_eq!(kept(&planned(with(Vec::new()), &rules(None))), &KeepReason::RuleOff);
    let orphan = AskedMove { rule: "other".to_owned(), ..asked() };
    assert_eq!(kept(&planned(with(vec![orphan.clone()]), &rules(None))), &KeepReason::RuleOff);
    let both = planned(with(vec![orphan, asked()]), &rules(None));
    assert_eq!(leaves(&both), Some((to_done(), Some(11))), "the first that the config has");
}

#[test]
fn move_goes_before_a_delete_that_is_due_and_never_with_it() {
    let plan = planned(with(vec![asked()]), &rules(Some(0)));
    assert_eq!(leaves(&plan), Some((to_done(), Some(11))));
    let begun = StoredCopy { deleting: true, ..with(vec![asked()]) };
    assert_eq!(leaves(&planned(begun, &rules(Some(0)))), Some((to_done(), Some(11))));
    // It has failed for good: a person decides. A person has given it up: the delete counts again.
    let failed = AskedMove { failed: true, ..asked() };
    let cause = DeletesHeld::Actions;
    let plan = planned(with(vec![failed.clone()]), &rules(Some(0)));
    assert_eq!(kept(&plan), &KeepReason::DeletesHeld { cause });
    assert_eq!(kept(&planned(with(vec![failed]), &rules(None))), &KeepReason::RuleOff);
    let unknown = StoredCopy { actions_unknown: true, ..with(Vec::new()) };
    let cause = DeletesHeld::ActionsUnknown;
    assert_eq!(kept(&planned(unknown, &rules(Some(0)))), &KeepReason::DeletesHeld { cause });
    let plan = planned(with(Vec::new()), &rules(Some(0)));
    assert_eq!(leaves(&plan), Some((DeleteMode::Expunge, None)));
    let until = at(HOUR / 2);
    let later = AskedMove { due_at: until, ..asked() };
    let plan = planned(with(vec![later]), &rules(Some(0)));
    assert_eq!(kept(&plan), &KeepReason::MoveLater { rule: "done".to_owned(), until });
    assert_eq!(next_bound(&plan), Some(until));
    let ahead = AskedMove { due_at: at(3 * HOUR), ..asked() };
    let plan = planned(with(vec![ahead]), &rules(Some(0)));
    assert_eq!(leaves(&plan), Some((to_done(), Some(11))), "put off by a clock that ran ahead");
}

#[test]
fn move_waits_for_marks_always_and_for_all_else_where_deletes_do() {
    let cause = |copy: StoredCopy, after_actions| {
        let rules = Rules { delete_after_actions: after_actions, ..rules(None) };
        let plan = planned(copy, &rules);
        match plan.keep.first().map(|keep| &keep.why) {
            Some(KeepReason::DeletesHeld { cause }) => Some(*cause),
            _ => None,
        }
    };
    let marks = with(vec![AskedMove { marks_open: true, ..asked() }]);
    let others = with(vec![AskedMove { others_open: true, ..asked() }]);
    assert_eq!(cause(marks.clone(), false), Some(DeletesHeld::Actions));
    assert_eq!(cause(marks, true), Some(DeletesHeld::Actions));
    assert_eq!(cause(others.clone(), false), None);
    assert_eq!(cause(others, true), Some(DeletesHeld::Actions));
    let unknown = StoredCopy { actions_unknown: true, ..with(vec![asked()]) };
    assert_eq!(cause(unknown.clone(), false), None);
    assert_eq!(cause(unknown, true), Some(DeletesHeld::ActionsUnknown));
}

#[test]
fn every_doubt_that_holds_deletes_holds_moves() {
    let held = |copy: StoredCopy, listing: Listing, conditions: Conditions| {
        let known = Known::from([(key(1), KnownState::Stored(copy))]);
        let rules = rules(None);
        let plan = plan(&listing, &known, &rules, &conditions, &mut Budget::of(&rules), now());
        let KeepReason::DeletesHeld { cause } = kept(&plan) else { panic!("{plan:?}") };
        *cause
    };
    let (whole, good) = (listing(vec![listed(1, None)]), with(vec![asked()]));
    for cause in [DeletesHeld::ClockDoubt, DeletesHeld::Stopped, DeletesHeld::UidValidityChanged] {
        let conditions = Conditions { held: Some(cause), ..Conditions::default() };
        assert_eq!(held(good.clone(), whole.clone(), conditions), cause);
    }
    let moves = Some(DeletesHeld::NotOffered);
    let lacks = Conditions { moves, ..Conditions::default() };
    assert_eq!(held(good.clone(), whole.clone(), lacks), DeletesHeld::NotOffered);
    let none = Conditions::default();
    let incomplete = Listing { complete: false, ..whole.clone() };
    assert_eq!(held(good.clone(), incomplete, none), DeletesHeld::IncompleteListing);
    let nameless = Listing { uid_validity: None, ..whole.clone() };
    assert_eq!(held(good.clone(), nameless, none), DeletesHeld::NoUidValidity);
    let empty = StoredCopy { size: 0, ..good.clone() };
    assert_eq!(held(empty, whole.clone(), none), DeletesHeld::Empty);
    let doubtful = StoredCopy { delete_ok: false, ..good };
    let plan = planned(doubtful, &rules(None));
    assert_eq!(plan.fetch[0].why, FetchReason::Proof, "its content is compared first");
}

#[test]
fn what_is_marked_deleted_is_left_to_the_delete_rules() {
    let flagged = StoredCopy { flagged: true, ..with(vec![asked()]) };
    let by_flag = Rules { delete_mode: DeleteMode::Flag, ..rules(Some(0)) };
    assert_eq!(kept(&planned(flagged.clone(), &by_flag)), &KeepReason::Flagged);
    assert_eq!(leaves(&planned(flagged, &rules(Some(0)))), Some((DeleteMode::Expunge, None)));
}

#[test]
fn brake_counts_moves_and_deletes_alike() {
    let copies = [(1, true), (2, false), (3, true), (4, false)].map(|(uid, moves)| {
        let moves = if moves { vec![asked()] } else { Vec::new() };
        (key(uid), KnownState::Stored(StoredCopy { key: key(uid), moves, ..copy(1, -DAY) }))
    });
    let listing = listing((1..=4).map(|uid| listed(uid, None)).collect());
    let rules = Rules { delete_max_per_poll: Some(3), ..rules(Some(0)) };
    let plan = plan_all(&listing, &Known::from(copies), &rules);
    let ways: Vec<bool> = plan.delete.iter().map(|delete| delete.action.is_some()).collect();
    assert_eq!(ways, [true, false, true]);
    assert_eq!(plan.keep[0].why, KeepReason::DeleteBrake { limit: 3 });
}

//! Moves that rules ask for: made by the poll that stores, after the marks, with all proofs; the
//! action is done when the message is gone, and not before.

use super::*;
use crate::config::{Deed, Rule};
use crate::ledger::{ActionFilter, ActionRow, ActionState, Asked, NewAction};
use crate::rules::{key, tests::rule};

/// Rules, and a mailbox with messages; `when` of the move.
fn site(rules: Vec<Rule>, messages: u32) -> Site {
    let mut site = Site::new();
    site.config.on_received = rules;
    site.deliver(messages);
    site
}

fn to_done(when: Option<&str>) -> Rule {
    let deed = Deed::Move("Done".to_owned());
    Rule { deed, when: when.map(str::to_owned), ..rule("done") }
}

fn flag() -> Rule {
    Rule { deed: Deed::Flag("$Seen".to_owned()), ..rule("mark") }
}

impl Site {
    async fn actions(&self) -> Vec<ActionRow> {
        let filter = ActionFilter { all: true, ..ActionFilter::default() };
        let ledger = Ledger::open_read_only(&self.temp.path().join("state")).unwrap();
        ledger.read("test", move |tx| tx.actions(&filter, 100)).await.unwrap()
    }

    async fn states(&self) -> Vec<ActionState> {
        self.actions().await.into_iter().map(|row| row.state).collect()
    }

    /// A person makes all due at once.
    async fn retry(&self) {
        let all = ActionFilter::default();
        self.write(move |tx| assert!(tx.retry_actions(&all, Clock.now()).unwrap() > 0)).await;
    }

    /// What changed something on the server.
    fn acts(&self) -> Vec<String> {
        let is_act = |c: &&String| ["delete", "move", "mark"].iter().any(|w| c.starts_with(w));
        self.server.with(|state| state.commands.iter().filter(is_act).cloned().collect())
    }
}

#[tokio::test]
async fn message_is_stored_then_marked_then_moved_by_one_poll_and_its_action_is_done() {
    let site = site(vec![to_done(Some("subject ~ 1")), flag()], 3);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, report.moved, report.deleted), (3, 1, 0));
    assert_eq!(site.acts(), ["mark $Seen [1, 2, 3]", "move:Done 2"], "the mark needs the UID");
    assert_eq!((site.server.uids(), site.stored().len()), (vec![1, 3], 3));
    let moved: Vec<ActionRow> =
        site.actions().await.into_iter().filter(|row| row.kind == "move").collect();
    assert_eq!((moved[0].state, moved[0].attempts), (ActionState::Done, 1));
    assert!(moved[0].last_at.is_some() && moved[0].detail.is_empty());
    for _ in 0..2 {
        ok(&site.poll().await);
    }
    assert_eq!(site.acts().len(), 2, "nothing twice");
}

#[tokio::test]
async fn move_waits_for_a_mark_that_is_not_set_and_says_so() {
    let site = site(vec![to_done(None), flag()], 2);
    site.server.with(|state| state.no_marks = true);
    ok(&site.poll().await);
    assert_eq!((site.acts(), site.server.uids().len()), (Vec::new(), 2));
    let waiting = site.actions().await;
    let waiting: Vec<_> = waiting.iter().filter(|row| row.kind == "move").collect();
    assert_eq!((waiting[0].code.as_str(), waiting[0].attempts), ("waits", 0));
    assert_eq!(waiting[0].detail, DeletesHeld::Actions.as_str());
    site.server.with(|state| state.no_marks = false);
    site.retry().await;
    ok(&site.poll().await);
    assert_eq!(site.server.uids(), [0_u32; 0]);
    assert_eq!(site.states().await, [ActionState::Done; 4]);
}

#[tokio::test]
async fn destination_that_is_not_there_is_a_failed_try_and_the_last_one_ends_the_action() {
    let site = site(vec![Rule { retries: Duration::from_mins(1), ..to_done(None) }], 1);
    site.server.with(|state| state.no_destination = true);
    let report = site.poll().await;
    assert_eq!(report.not_deleted.get("delete-no-destination"), Some(&1));
    let row = site.actions().await.remove(0);
    assert_eq!((row.state, row.attempts, &*row.code), (ActionState::Pending, 1, "destination"));
    assert!(row.due_at > Clock.now() && row.detail.contains("Done"), "{row:?}");
    let why = site.poll().await.kept;
    assert_eq!(why.get("move-later"), Some(&1), "{why:?}");
    for _ in 0..8 {
        let due = "UPDATE action SET due_at = 0, first_at = first_at - 20000;
            UPDATE mailbox SET wake_at = 0";
        site.write(move |tx| tx.execute(due)).await;
        site.poll().await;
    }
    let row = site.actions().await.remove(0);
    assert_eq!((row.state, &*row.code), (ActionState::Failed, "destination"));
    assert_eq!((site.server.uids().len(), site.acts().len()), (1, 0));
}

#[tokio::test]
async fn refused_move_leaves_the_message_stored_and_is_tried_again() {
    let site = site(vec![to_done(None)], 1);
    site.server.with(|state| state.refuse_deletes = true);
    assert_eq!(site.poll().await.not_deleted.get("delete-refused"), Some(&1));
    let row = site.actions().await.remove(0);
    assert_eq!((row.state, row.attempts, &*row.code), (ActionState::Pending, 1, "refused"));
    site.server.with(|state| state.refuse_deletes = false);
    site.retry().await;
    ok(&site.poll().await);
    assert_eq!(site.states().await, [ActionState::Done]);
}

#[tokio::test]
async fn move_wins_over_a_delete_and_is_given_up_with_a_message_that_has_left() {
    let mut site = site(vec![to_done(Some("subject ~ 0")), flag()], 2);
    site.config.delete = DeleteRule::AfterDays(0);
    ok(&site.poll().await);
    assert_eq!(site.acts()[1..], ["move:Done 1", "delete 2"]);
    // Asked for once more, by a person, for a message that is gone.
    let mut new: Vec<NewAction> = Vec::new();
    for row in site.actions().await.into_iter().filter(|row| row.kind == "move") {
        let ActionRow { message, path, rule, .. } = row;
        let key = key(&message, &rule);
        new.push(NewAction { row: 1, message, path, rule, kind: "move", key });
    }
    site.write(move |tx| {
        assert_eq!(tx.add_actions("box", &new, Asked::ByPerson, Clock.now()).unwrap(), 1);
    })
    .await;
    ok(&site.poll().await);
    let row = site.actions().await.into_iter().find(|row| row.kind == "move").unwrap();
    assert_eq!((row.state, &*row.code), (ActionState::Dropped, "gone"));
    assert_eq!(site.acts().len(), 3);
}

#[tokio::test]
async fn held_deletes_hold_moves_which_use_up_no_time() {
    let site = site(vec![to_done(None)], 0);
    site.poll().await;
    site.deliver(1);
    site.write(|tx| tx.execute("UPDATE account SET clock_hold = 1")).await;
    let report = site.poll().await;
    assert_eq!((report.archived, site.acts().len()), (1, 0), "stored, and left there");
    let row = site.actions().await.pop().unwrap();
    assert_eq!((row.state, row.attempts, row.first_at), (ActionState::Pending, 0, None));
    assert_eq!((&*row.code, &*row.detail), ("waits", DeletesHeld::ClockDoubt.as_str()));
    ok(&site.poll().await);
    assert_eq!(site.states().await, [ActionState::Done]);
}

#[tokio::test]
async fn move_of_which_the_outcome_is_not_known_is_done_once_the_message_is_gone() {
    for gone in [true, false] {
        let site = site(vec![to_done(None)], 2);
        site.server.with(|state| state.no_destination = true);
        site.poll().await;
        // As a process leaves it that dies around the command.
        site.write(|tx| {
            tx.execute("UPDATE action SET due_at = 0");
            tx.execute(
                "UPDATE message SET state = 'deleting', delete_how = 'move:Done',
                move_action = (SELECT id FROM action WHERE message_id = message.id)",
            );
        })
        .await;
        site.server.change(|state| {
            state.no_destination = false;
            if gone {
                state.messages.clear();
            }
        });
        ok(&site.poll().await);
        assert_eq!(site.states().await, [ActionState::Done; 2], "gone: {gone}");
        assert_eq!(site.acts().len(), if gone { 0 } else { 2 });
        assert_eq!(site.stored().len(), 2);
    }
}

#[tokio::test]
async fn what_a_person_gives_up_or_what_leaves_by_itself_is_not_moved() {
    let site = site(vec![to_done(None)], 2);
    site.server.with(|state| state.no_destination = true);
    site.poll().await;
    let first = ActionFilter { id: Some(1), ..ActionFilter::default() };
    site.write(move |tx| assert_eq!(tx.drop_actions(&first).unwrap(), 1)).await;
    site.retry().await;
    site.server.change(|state| {
        state.no_destination = false;
        state.messages.remove(&2);
    });
    for _ in 0..2 {
        ok(&site.poll().await);
    }
    assert_eq!((site.acts(), site.server.uids()), (Vec::new(), vec![1]));
    let rows = site.actions().await;
    let ends: Vec<_> = rows.iter().map(|row| (row.state, row.code.as_str())).collect();
    assert_eq!(ends[1], (ActionState::Dropped, "gone"));
    assert_eq!(ends[0].0, ActionState::Dropped);
}

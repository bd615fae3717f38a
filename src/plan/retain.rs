//! Which stored messages may be deleted on the server.
//!
//! The delete itself, with its checks of the copy on disk and of the server, is `poll::delete`.

use jiff::{SignedDuration, Timestamp};

use super::rules::Held;
use super::{Budget, Choice, Rules};
use crate::config::{DeleteAge, DeleteMode, DeleteRule};
use crate::model::{
    AskedMove, Delete, DeleteReason, DeletesHeld, Fetch, FetchReason, Keep, KeepReason, Listed,
    MessageKey, Plan, StoredCopy,
};

/// No action waits longer for its next try: one that is due later was put off by a clock that ran
/// ahead.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// What becomes of a stored message on the server.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It goes.
    Delete(Box<Delete>),
    /// It stays.
    Keep(Keep),
    /// It would go if its content were proven: it is fetched under this key and compared.
    Prove(MessageKey),
}

impl Fate {
    /// Puts the message into the plan's list; a delete needs what the brake leaves.
    pub(super) fn file(self, listed: &Listed, budget: &mut Budget, plan: &mut Plan) {
        match self {
            Self::Prove(key) => {
                let listed = Listed { key, ..listed.clone() };
                Choice::Fetch(FetchReason::Proof).file(&listed, budget, plan);
            }
            Self::Delete(delete) => match budget.take_delete() {
                Ok(()) => plan.delete.push(*delete),
                Err(limit) => {
                    let why = KeepReason::DeleteBrake { limit };
                    plan.keep.push(Keep { key: delete.key, why });
                }
            },
            Self::Keep(keep) => plan.keep.push(keep),
        }
    }
}

/// Decides the fate of one message that is stored, and of which the server lists what it listed
/// when it was stored. A canary of ours goes as soon as it is stored, whatever the rule for mail says.
///
/// What a rule wants moved is moved and not deleted: it is due from the storing on, hence before
/// any delete. One that has failed for good holds the delete until a person retries or drops it.
///
/// The age is counted from [`counted_from`], never from the Date field of the message. A delete
/// that was begun is finished only while the rule still asks; one that we marked stays as it is,
/// also when somebody took the mark off.
pub(super) fn retain(
    listed: &Listed,
    copy: &StoredCopy,
    rules: &Rules,
    held: Held,
    now: Timestamp,
) -> Fate {
    let keep = |why| Fate::Keep(Keep { key: copy.key.clone(), why });
    let is_canary = rules.canary && copy.canary;
    if let Some((asked, to)) = asked_move(copy, rules).filter(|_| !is_canary) {
        return moved(listed, copy, (asked, to), (rules, held.moves), now);
    }
    let rule = if is_canary { DeleteRule::AfterDays(0) } else { rules.delete };
    let DeleteRule::AfterDays(days) = rule else {
        return keep(KeepReason::RuleOff);
    };
    if rules.delete_mode == DeleteMode::Flag && copy.flagged {
        return keep(KeepReason::Flagged);
    }
    let since = counted_from(copy, rules.delete_age_from);
    let age = SignedDuration::from_hours(i64::from(days).saturating_mul(24));
    let until = since.checked_add(age).unwrap_or(Timestamp::MAX);
    if now < until {
        return keep(KeepReason::TooYoung { until });
    }
    if let Some(cause) = held.deletes {
        return keep(KeepReason::DeletesHeld { cause });
    }
    let has_failed = |asked: &AskedMove| asked.failed && rules.moves.contains_key(&asked.rule);
    if copy.moves.iter().any(has_failed) || (rules.delete_after_actions && copy.actions_open) {
        return keep(KeepReason::DeletesHeld { cause: DeletesHeld::Actions });
    }
    // What was to be moved must not be deleted because nobody knows that any more.
    if (rules.delete_after_actions || !rules.moves.is_empty()) && copy.actions_unknown {
        return keep(KeepReason::DeletesHeld { cause: DeletesHeld::ActionsUnknown });
    }
    if let Some(fate) = unproven(listed, copy) {
        return fate;
    }
    let why = if copy.deleting {
        DeleteReason::Begun
    } else if is_canary {
        DeleteReason::Canary { archived_at: copy.archived_at }
    } else {
        DeleteReason::Due { archived_at: copy.archived_at, since, days }
    };
    Fate::Delete(Box::new(removal(listed, copy, rules.delete_mode.clone(), (None, why))))
}

/// The first of the moves that are asked for and that the config still has. One that we marked
/// `\Deleted` is left to the delete rules: the mark would go along.
fn asked_move<'a>(copy: &'a StoredCopy, rules: &'a Rules) -> Option<(&'a AskedMove, &'a str)> {
    let known = |asked: &'a AskedMove| Some((asked, rules.moves.get(&asked.rule)?.as_str()));
    copy.moves.iter().filter(|asked| !asked.failed && !copy.flagged).find_map(known)
}

/// Decides the fate of a message that a rule wants in another mailbox. Marks come before, since
/// the move takes away the UID that they need; with `delete_after_actions` all else does, too.
fn moved(
    listed: &Listed,
    copy: &StoredCopy,
    (asked, to): (&AskedMove, &str),
    (rules, held): (&Rules, Option<DeletesHeld>),
    now: Timestamp,
) -> Fate {
    let keep = |why| Fate::Keep(Keep { key: copy.key.clone(), why });
    let ahead = now.checked_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX);
    if asked.due_at > now && asked.due_at <= ahead {
        let rule = asked.rule.clone();
        return keep(KeepReason::MoveLater { rule, until: asked.due_at });
    }
    if let Some(cause) = held {
        return keep(KeepReason::DeletesHeld { cause });
    }
    if asked.marks_open || (rules.delete_after_actions && asked.others_open) {
        return keep(KeepReason::DeletesHeld { cause: DeletesHeld::Actions });
    }
    if rules.delete_after_actions && copy.actions_unknown {
        return keep(KeepReason::DeletesHeld { cause: DeletesHeld::ActionsUnknown });
    }
    if let Some(fate) = unproven(listed, copy) {
        return fate;
    }
    let why = DeleteReason::Moved { rule: asked.rule.clone(), to: to.to_owned() };
    let how = DeleteMode::Move(to.to_owned());
    Fate::Delete(Box::new(removal(listed, copy, how, (Some(asked.action), why))))
}

/// What stands between a message that is due and its removal: nothing says that it is the one that
/// was stored.
fn unproven(listed: &Listed, copy: &StoredCopy) -> Option<Fate> {
    let held = |cause| {
        let why = KeepReason::DeletesHeld { cause };
        Some(Fate::Keep(Keep { key: copy.key.clone(), why }))
    };
    if copy.size == 0 {
        return held(DeletesHeld::Empty);
    }
    if copy.cut {
        return held(DeletesHeld::Cut);
    }
    if copy.delete_ok {
        return None;
    }
    if proof(listed, copy).is_some() || !listed.alone {
        // `poll` records the proof before it asks again.
        return held(DeletesHeld::Identity);
    }
    Some(Fate::Prove(copy.key.next()))
}

fn removal(
    listed: &Listed,
    copy: &StoredCopy,
    how: DeleteMode,
    (action, why): (Option<i64>, DeleteReason),
) -> Delete {
    let (key, copy) = (copy.key.clone(), copy.clone());
    Delete { key, number: listed.number, copy, how, action, why }
}

/// Whether a message is due to be deleted as soon as it is stored: the poll that fetches it may
/// delete it, too.
pub fn due_when_stored(fetch: &Fetch, rules: &Rules, now: Timestamp) -> bool {
    let DeleteRule::AfterDays(days) = rules.delete else { return false };
    let since = match (rules.delete_age_from, fetch.received) {
        (DeleteAge::Received, Some(received)) => received.at.min(now),
        _ => now,
    };
    let age = SignedDuration::from_hours(i64::from(days).saturating_mul(24));
    fetch.why != FetchReason::Proof && since.checked_add(age).is_ok_and(|until| until <= now)
}

/// The moment that a copy's age counts from: our storing it, by our own clock, so that a message
/// from 2003 that was archived today is today's; or its date of receipt. A message can't have been
/// received after it was stored, so a later date, like a missing one, counts as the storing: never
/// earlier than without it, and no date in the future keeps a message for ever. Where our clock has
/// leapt since, by years, that was no time that passed.
pub fn counted_from(copy: &StoredCopy, age_from: DeleteAge) -> Timestamp {
    let after = |at: Timestamp, leaps| at.checked_add(leaps).unwrap_or(Timestamp::MAX);
    let stored = after(copy.archived_at, copy.leaps);
    match (age_from, copy.received) {
        // The server's clock didn't leap with ours, so that a leap back changes nothing about it.
        (DeleteAge::Received, Some(received)) => {
            after(received, copy.leaps.max(SignedDuration::ZERO)).min(stored)
        }
        (DeleteAge::Received, None) | (DeleteAge::Stored, _) => stored,
    }
}

/// What a listing proves of a copy that was found in the tree or in an older ledger: on IMAP the
/// server lists the size that it has on disk, and its date. A copy of which a server's size is
/// known has its doubt from elsewhere; figures don't end that. A maildrop's size alone proves
/// nothing.
pub fn proof(listed: &Listed, copy: &StoredCopy) -> Option<(u64, Timestamp)> {
    let size = listed.size.filter(|size| copy.listed_size.is_none() && *size == copy.size)?;
    let date = listed.internal_date.filter(|date| Some(*date) == copy.internal_date)?;
    (listed.alone && copy.key.mailbox().is_some()).then_some((size, date))
}

/// A message that was deleted and is listed again.
pub(super) fn returned(key: MessageKey) -> Keep {
    Keep { key, why: KeepReason::Returned }
}

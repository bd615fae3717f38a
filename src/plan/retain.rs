//! Which stored messages may be deleted on the server.
//!
//! The delete itself, with its checks of the copy on disk and of the server, is `poll::delete`.

use jiff::{SignedDuration, Timestamp};

use super::Rules;
use crate::config::DeleteRule;
use crate::model::{
    Delete, DeleteReason, DeletesHeld, Keep, KeepReason, Listed, MessageKey, StoredCopy,
};

/// What becomes of a stored message on the server.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It goes.
    Delete(Box<Delete>),
    /// It stays.
    Keep(Keep),
}

/// Decides the fate of one message that is stored, and of which the server lists what it listed
/// when it was stored.
///
/// The age is counted from [`StoredCopy::archived_at`], our own clock, never from the message's
/// date: a message from 2003 that was archived today is today's. A delete that was begun is
/// finished only while the rule still asks.
pub(super) fn retain(
    listed: &Listed,
    copy: &StoredCopy,
    rules: &Rules,
    held: Option<DeletesHeld>,
    now: Timestamp,
) -> Fate {
    let keep = |why| Fate::Keep(Keep { key: copy.key.clone(), why });
    let DeleteRule::AfterDays(days) = rules.delete else {
        return keep(KeepReason::RuleOff);
    };
    let age = SignedDuration::from_hours(i64::from(days).saturating_mul(24));
    let until = copy.archived_at.checked_add(age).unwrap_or(Timestamp::MAX);
    if now < until {
        return keep(KeepReason::TooYoung { until });
    }
    if let Some(cause) = held {
        return keep(KeepReason::DeletesHeld { cause });
    }
    if !copy.delete_ok {
        return keep(KeepReason::DeletesHeld { cause: DeletesHeld::Identity });
    }
    let why = if copy.deleting {
        DeleteReason::Begun
    } else {
        DeleteReason::Due { archived_at: copy.archived_at, days }
    };
    let (key, copy) = (copy.key.clone(), copy.clone());
    Fate::Delete(Box::new(Delete { key, number: listed.number, copy, why }))
}

/// A delete that `delete_max_per_poll` put off.
pub(super) fn braked(key: MessageKey, limit: u32) -> Keep {
    Keep { key, why: KeepReason::DeleteBrake { limit } }
}

/// A message that was deleted and is listed again.
pub(super) fn returned(key: MessageKey) -> Keep {
    Keep { key, why: KeepReason::Returned }
}

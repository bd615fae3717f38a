//! The planner's reasons as sentences, each with its figures.

use super::render::{count, moment, span};
use crate::config::DeleteAge;
use crate::model::{ByteSize, DeleteReason, FetchReason, KeepReason, LeftOverReason, SkipReason};

/// Why a message is fetched.
pub(super) fn fetch(why: &FetchReason) -> String {
    match why {
        FetchReason::New => "new".to_owned(),
        FetchReason::Proof => "its delete is due, only its content proves what it is".to_owned(),
        FetchReason::Retry { attempts } => format!("tried again after attempt {attempts}"),
        FetchReason::Reused { generation } => {
            format!("another message under a known key, number {}", generation.saturating_add(1))
        }
    }
}

/// Why a message is deleted.
pub(super) fn delete(why: &DeleteReason) -> String {
    match why {
        DeleteReason::Begun => "a delete was begun, its outcome is unknown".to_owned(),
        DeleteReason::Canary { archived_at } => {
            format!("a canary of ours, archived {}", moment(*archived_at))
        }
        DeleteReason::Due { archived_at, since, days } if archived_at == since => {
            format!("archived {}, {}", moment(*archived_at), limit(*days))
        }
        DeleteReason::Due { archived_at, since, days } => format!(
            "received {}, archived {}, {}",
            moment(*since),
            moment(*archived_at),
            limit(*days)
        ),
        DeleteReason::Moved { rule, to } => {
            format!("moved to `{}` by rule {rule}", to.escape_debug())
        }
    }
}

fn limit(days: u32) -> String {
    format!("`delete_after_days = {days}`")
}

/// By which rule a stored message will be due.
pub(super) fn due(days: u32, from: DeleteAge) -> String {
    let from = match from {
        DeleteAge::Received => "received",
        DeleteAge::Stored => "archived",
    };
    format!("{days} days after it was {from} (`delete_after_days`)")
}

/// Why a message is skipped.
pub(super) fn skip(why: &SkipReason) -> String {
    match why {
        SkipReason::BeforeStart { received, process_after } => format!(
            "received {}, before `process_after` {}",
            moment(*received),
            moment(*process_after)
        ),
        SkipReason::CaughtUp { at } => format!("known since the catch-up of {}", moment(*at)),
        SkipReason::LeftOut { rule, at } => {
            format!("not archived by rule {rule}, decided {}", moment(*at))
        }
        SkipReason::Seen => "somebody has read it (`only_unseen`)".to_owned(),
        SkipReason::TooOld { received, limit } => format!(
            "received {}, longer ago than `ignore_older_than` {}",
            moment(*received),
            span(*limit)
        ),
    }
}

/// Why a known message is left as it is.
pub(super) fn keep(why: &KeepReason) -> String {
    match why {
        KeepReason::DeleteBrake { limit } => {
            format!(
                "due to be deleted, after `delete_max_per_poll` {} of this poll",
                count(u64::from(*limit))
            )
        }
        KeepReason::DeletesHeld { cause } => format!("due to be deleted, but {}", cause.as_str()),
        KeepReason::Flagged => "marked \\Deleted, no more is wanted".to_owned(),
        KeepReason::MoveLater { rule, until } => {
            format!("its move by rule {rule} has failed, tried again {}", moment(*until))
        }
        KeepReason::Held { attempts, retry_at } => {
            format!("held after attempt {attempts}, tried again {}", moment(*retry_at))
        }
        KeepReason::Returned => "it was deleted, and is listed again".to_owned(),
        KeepReason::RuleOff => "stored; nothing is deleted (`delete_read` is off)".to_owned(),
        KeepReason::SizeChanged { then, now } => {
            format!("listed with {} octets, then with {}", count(*now), count(*then))
        }
        KeepReason::TooLarge { size, limit } => {
            let (size, limit) = (ByteSize(*size), ByteSize(*limit));
            format!("{size} are more than `max_message_size` {limit}")
        }
        KeepReason::TooYoung { until } => format!("stored, due to be deleted {}", moment(*until)),
    }
}

/// Why a wanted message waits.
pub(super) fn left(why: &LeftOverReason) -> String {
    match why {
        LeftOverReason::BatchFull => {
            "the batch is full (`batch_max`, `batch_max_bytes`)".to_owned()
        }
        LeftOverReason::TooYoung { until } => {
            format!("younger than `min_age`, until {}", moment(*until))
        }
    }
}

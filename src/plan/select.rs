//! Which messages are fetched: new ones and those whose retry is due, within the age rules.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Budget, Rules};
use crate::model::{
    Fetch, FetchReason, Keep, KeepReason, LeftOver, LeftOverReason, Listed, MessageKey, Plan, Skip,
    SkipReason,
};

/// What the rules say of a message that is not stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Choice {
    /// Fetch it.
    Fetch(FetchReason),
    /// Hold it.
    Hold(KeepReason),
    /// Skip it.
    Skip(SkipReason),
    /// Take it later.
    Wait(LeftOverReason),
}

/// Decides about one message that nothing was tried with yet. One that somebody has read is left
/// alone under `only_unseen`; once a fetch has failed, that it is wanted is settled.
pub(super) fn fresh(listed: &Listed, rules: &Rules, now: Timestamp) -> Choice {
    let is_seen = || listed.flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Seen"));
    if rules.only_unseen && is_seen() {
        return Choice::Skip(SkipReason::Seen);
    }
    select(listed, 0, rules, now)
}

/// Decides about one message that is not stored; `attempts` is 0 for a new one. Its key is the
/// one that it will be stored under, with its generation.
///
/// A received date in the future counts as now. A message whose received date is not known yet is
/// fetched: no mail is skipped on a guess.
pub(super) fn select(listed: &Listed, attempts: u32, rules: &Rules, now: Timestamp) -> Choice {
    if let Some(received) = listed.received.map(|received| received.at.min(now)) {
        if let Some(skip) = too_old(received, rules, now) {
            return Choice::Skip(skip);
        }
        // A date in the future never grows old: such mail is not made to wait for it.
        let is_past = listed.received.is_some_and(|received| received.at <= now);
        if let Some(min_age) = rules.min_age.filter(|_| is_past) {
            let until = after(received, min_age);
            if now < until {
                return Choice::Wait(LeftOverReason::TooYoung { until });
            }
        }
    }
    if let (Some(size), Some(limit)) = (listed.size, rules.max_message_size)
        && size > limit
    {
        return Choice::Hold(KeepReason::TooLarge { size, limit });
    }
    let turn = if listed.alone { listed.key.turn() } else { 0 };
    match (attempts, turn) {
        (0, 0) => Choice::Fetch(FetchReason::New),
        (0, generation) => Choice::Fetch(FetchReason::Reused { generation }),
        (attempts, _) => Choice::Fetch(FetchReason::Retry { attempts }),
    }
}

/// Whether a held message goes on waiting.
pub(super) fn held(
    listed: &Listed,
    attempts: u32,
    retry_at: Timestamp,
    now: Timestamp,
) -> Option<Keep> {
    let why = KeepReason::Held { attempts, retry_at };
    // Further away than any retry is set: the clock ran ahead when it was.
    let is_sane = retry_at <= after(now, LONGEST_RETRY);
    (now < retry_at && is_sane).then(|| Keep { key: listed.key.clone(), why })
}

fn too_old(received: Timestamp, rules: &Rules, now: Timestamp) -> Option<SkipReason> {
    if let Some(process_after) = rules.process_after
        && received < process_after
    {
        return Some(SkipReason::BeforeStart { received, process_after });
    }
    let limit = rules.ignore_older_than?;
    let age = now.duration_since(received);
    let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
    (age > limit).then_some(SkipReason::TooOld { received, limit })
}

/// When a skipped or waiting message could next be judged otherwise by the passing of time alone:
/// the earliest end of a wait. Skips never end by themselves, mail only grows older.
pub fn next_bound(plan: &Plan) -> Option<Timestamp> {
    let waits = plan.left_over.iter().filter_map(|left| match left.why {
        LeftOverReason::TooYoung { until } => Some(until),
        LeftOverReason::BatchFull => None,
    });
    let keeps = plan.keep.iter().filter_map(|keep| match keep.why {
        KeepReason::TooYoung { until } | KeepReason::MoveLater { until, .. } => Some(until),
        KeepReason::Held { retry_at, .. } => Some(retry_at),
        KeepReason::DeletesHeld { cause } => (!cause.stands()).then_some(plan.now),
        KeepReason::DeleteBrake { .. } => Some(plan.now),
        KeepReason::Flagged
        | KeepReason::Returned
        | KeepReason::RuleOff
        | KeepReason::SizeChanged { .. }
        | KeepReason::TooLarge { .. } => None,
    });
    waits.chain(keeps).min()
}

fn after(received: Timestamp, time: Duration) -> Timestamp {
    received.checked_add(time).unwrap_or(Timestamp::MAX)
}

impl Choice {
    /// Puts the message into the plan's list; a fetch needs room in the batch.
    pub(super) fn file(self, listed: &Listed, budget: &mut Budget, plan: &mut Plan) {
        let key = listed.key.clone();
        match self {
            Self::Fetch(why) if budget.take(listed.size.unwrap_or(0)) => plan.fetch.push(Fetch {
                key,
                number: listed.number,
                alone: listed.alone,
                size: listed.size,
                internal_date: listed.internal_date,
                received: listed.received,
                flags: listed.flags.clone(),
                why,
            }),
            Self::Fetch(_) => {
                let (number, why) = (listed.number, LeftOverReason::BatchFull);
                plan.left_over.push(LeftOver { key, number, why });
            }
            Self::Hold(why) => plan.keep.push(Keep { key, why }),
            Self::Skip(why) => plan.skip.push(Skip { key, why }),
            Self::Wait(why) => plan.left_over.push(LeftOver { key, number: listed.number, why }),
        }
    }
}

/// Whether a message that came without an octet is taken for one that has none: the server
/// announced none, at each of five attempts within an hour and more. Some servers list messages
/// before their bodies are there.
pub fn is_truly_empty(fetch: &Fetch, first_seen: Timestamp, now: Timestamp) -> bool {
    let FetchReason::Retry { attempts } = fetch.why else { return false };
    let waited = now.duration_since(first_seen) >= SignedDuration::from_hours(1);
    fetch.size == Some(0) && attempts >= 5 && waited
}

/// Whether a message that came shorter than it is listed, and whose structure doesn't show its end,
/// is stored all the same: the server has said so three times. It is never deleted, and proves
/// nothing about a copy.
pub fn may_be_cut(fetch: &Fetch) -> bool {
    matches!(fetch.why, FetchReason::Retry { attempts: 2.. })
}

/// Whether the octets that came under a unique-id are so many more or fewer than LIST said that
/// they may be another message's: a maildrop doesn't change in a session (RFC 1939 §3), yet on some
/// servers it does. Sizes count line ends as they please, and some servers only guess.
pub fn may_be_another(key: &MessageKey, listed: Option<u64>, octets: u64) -> bool {
    let Some(listed) = listed.filter(|_| key.mailbox().is_none()) else { return false };
    octets.abs_diff(listed) > (listed / 8).saturating_add(64)
}

/// The longest pause between two attempts at one message.
const LONGEST_RETRY: Duration = Duration::from_hours(2);

/// When a held message is tried again: at the next poll, then after 1 min, 5 min, 30 min, and
/// every two hours.
pub fn retry_at(attempts: u32, now: Timestamp) -> Timestamp {
    let wait = match attempts {
        0 | 1 => Duration::ZERO,
        2 => Duration::from_mins(1),
        3 => Duration::from_mins(5),
        4 => Duration::from_mins(30),
        _ => LONGEST_RETRY,
    };
    after(now, wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pop07_sizes_of_a_maildrop_may_differ_by_line_ends_and_no_more() {
        let pop3 = MessageKey::Pop3 { unique_id: "a".to_owned(), occurrence: 0 };
        let imap =
            MessageKey::Imap { mailbox: "A".to_owned(), uid_validity: 1, uid: 1, generation: 0 };
        for (listed, octets, another) in [
            (3816, 62, true),
            (62, 3816, true),
            (100_000, 103_000, false),
            (100_000, 97_000, false),
            (600, 41, true),
            (600, 650, false),
            (5_000_000, 2_000_000, true),
        ] {
            assert_eq!(may_be_another(&pop3, Some(listed), octets), another, "{listed} {octets}");
            assert!(!may_be_another(&imap, Some(listed), octets), "framing is enough there");
            assert!(!may_be_another(&pop3, None, octets));
        }
    }
}

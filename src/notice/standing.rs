//! Conditions over time: which are new, which are worse, which are over, and what of that a person
//! has been told.
//!
//! A condition that comes and goes is told once; each time it comes back within a day it must last
//! longer before it is told again, and must stay away longer before it is called over.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Condition, Kind, Look, Policy};

/// A condition that returns within this time is the same one, flapping.
const CALM: SignedDuration = SignedDuration::from_hours(24);
/// What a condition that came back once must last; twice that after the next time, and so on.
const HOLD: SignedDuration = SignedDuration::from_mins(15);
const LONGEST_HOLD: SignedDuration = SignedDuration::from_hours(6);
/// Reminders come after a day, then after two, four and so on, at least once in this time.
const LONGEST_REMINDER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Where a condition stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It lasts.
    Open,
    /// It has ended, and that is to be told.
    Over,
    /// It has ended, and nothing is to be told; kept to know it again.
    Rest,
}

/// A condition and what was told of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// What it was when it was seen last.
    #[serde(flatten)]
    pub condition: Condition,
    /// Where it stands.
    pub state: State,
    /// When it was raised, or came back.
    pub raised_at: Timestamp,
    /// When it ended, or got worse; else when it was raised.
    pub changed_at: Timestamp,
    /// How often it came back within a day.
    pub returns: u32,
    /// What the mails said of it; `None`: not yet told.
    pub told: Option<Told>,
    /// The last mail that told something of it has not gone yet, and may be taken back.
    #[serde(skip)]
    pub mail_waits: bool,
}

/// What the mails said of a condition.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Told {
    /// The last one.
    pub at: Timestamp,
    /// How bad it was then.
    pub grade: u32,
    /// How many, since it was raised or got worse.
    pub times: u32,
}

/// What is to be told of a condition.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Word {
    /// It is there.
    Raised,
    /// It is worse than it was told.
    Worse,
    /// It is still there.
    Reminder,
    /// It is over.
    Over,
    /// It was there, could not be told, and is over.
    Passed,
}

/// Something to tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct News {
    /// What of it.
    pub word: Word,
    /// Since when it could have been told.
    pub since: Timestamp,
    /// The condition.
    pub standing: Standing,
}

/// What stands after a look that has seen these conditions and no others.
#[must_use]
pub fn observe(
    before: Vec<Standing>,
    look: Look,
    policy: &Policy,
    now: Timestamp,
) -> Vec<Standing> {
    let Look { conditions, unsure } = look;
    let mut seen: BTreeMap<(Kind, String), Condition> =
        conditions.into_iter().map(|c| ((c.kind, c.subject.clone()), c)).collect();
    let mut after = Vec::new();
    for standing in before.into_iter().map(|standing| clamped(standing, now)) {
        let key = (standing.condition.kind, standing.condition.subject.clone());
        match seen.remove(&key) {
            Some(condition) => after.push(goes_on(&standing, condition, now)),
            None if unsure.contains(&key) => after.push(standing),
            None => after.extend(has_ended(standing, policy, now)),
        }
    }
    after.extend(seen.into_values().map(|condition| Standing {
        condition,
        state: State::Open,
        raised_at: now,
        changed_at: now,
        returns: 0,
        told: None,
        mail_waits: false,
    }));
    after
}

/// One without moments that are still to come: a clock that ran ahead has written them, and nothing
/// would be told before it is so late.
fn clamped(standing: Standing, now: Timestamp) -> Standing {
    let Standing { condition, raised_at, changed_at, told, .. } = standing;
    Standing {
        condition: Condition { since: condition.since.min(now), ..condition },
        raised_at: raised_at.min(now),
        changed_at: changed_at.min(now),
        told: told.map(|told| Told { at: told.at.min(now), ..told }),
        ..standing
    }
}

/// One that is seen again.
fn goes_on(before: &Standing, condition: Condition, now: Timestamp) -> Standing {
    let worse = condition.grade > before.condition.grade;
    match before.state {
        State::Open => {
            let since = before.condition.since.min(condition.since);
            let changed_at = if worse { now } else { before.changed_at };
            Standing { condition: Condition { since, ..condition }, changed_at, ..*before }
        }
        // Its end was not told: for the reader it never ended.
        State::Over => Standing {
            condition,
            state: State::Open,
            changed_at: if worse { now } else { before.changed_at },
            returns: before.returns.saturating_add(1),
            ..*before
        },
        State::Rest => Standing {
            condition,
            state: State::Open,
            raised_at: now,
            changed_at: now,
            returns: before.returns.saturating_add(1),
            told: None,
            mail_waits: before.mail_waits,
        },
    }
}

/// One that is not seen any more; `None`: nothing of it is worth keeping.
fn has_ended(before: Standing, policy: &Policy, now: Timestamp) -> Option<Standing> {
    match before.state {
        State::Open => {
            let waited = now.duration_since(told_from(&before)) > policy.digest;
            let silent = before.told.is_none() && !waited;
            if silent && before.returns == 0 {
                return None;
            }
            let state = if silent { State::Rest } else { State::Over };
            Some(Standing { state, changed_at: now, ..before })
        }
        State::Over => Some(before),
        State::Rest => {
            // A clock that went back far is no reason to keep it for ever.
            let is_fresh = now.duration_since(before.changed_at).abs() < CALM;
            // Its end stands in a mail that may be taken back: then it is to be told anew.
            (is_fresh || before.mail_waits).then_some(before)
        }
    }
}

/// What a condition must last, or stay away, by how often it came back.
fn hold(returns: u32) -> SignedDuration {
    let Some(doubled) = returns.checked_sub(1) else { return SignedDuration::ZERO };
    let factor = 1_i32.checked_shl(doubled.min(8)).unwrap_or(i32::MAX);
    HOLD.checked_mul(factor).unwrap_or(LONGEST_HOLD).min(LONGEST_HOLD)
}

/// From when on an open condition that nobody was told of may be told.
fn told_from(standing: &Standing) -> Timestamp {
    after(standing.raised_at, hold(standing.returns))
}

fn after(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// What is to be told now, the oldest first.
#[must_use]
pub fn news(standings: &[Standing], policy: &Policy, now: Timestamp) -> Vec<News> {
    let mut news: Vec<News> = standings
        .iter()
        .filter_map(|standing| {
            let (word, since) = word(standing, policy)?;
            (since <= now).then(|| News { word, since, standing: standing.clone() })
        })
        .collect();
    news.sort_by_key(|news| (news.since, news.standing.condition.kind));
    news
}

/// What will have to be told of a condition next, and from when on.
fn word(standing: &Standing, policy: &Policy) -> Option<(Word, Timestamp)> {
    match (standing.state, standing.told) {
        (State::Open, None) => Some((Word::Raised, told_from(standing))),
        (State::Open, Some(told)) if standing.condition.grade > told.grade => {
            Some((Word::Worse, standing.changed_at))
        }
        (State::Open, Some(told)) => {
            let doublings = told.times.saturating_sub(1).min(8);
            let factor = 1_i32.checked_shl(doublings).unwrap_or(i32::MAX);
            let longest = LONGEST_REMINDER.max(policy.remind);
            let wait = policy.remind.checked_mul(factor).unwrap_or(longest).min(longest);
            Some((Word::Reminder, after(told.at, wait)))
        }
        (State::Over, told) => {
            let word = if told.is_some() { Word::Over } else { Word::Passed };
            Some((word, after(standing.changed_at, hold(standing.returns))))
        }
        (State::Rest, _) => None,
    }
}

/// A condition after its news was told.
#[must_use]
pub fn tell(news: News, now: Timestamp) -> Standing {
    let News { word, standing, .. } = news;
    let grade = standing.condition.grade;
    let first = Some(Told { at: now, grade, times: 1 });
    match word {
        Word::Raised | Word::Worse => Standing { told: first, ..standing },
        Word::Reminder => {
            let times = standing.told.map_or(1, |told| told.times.saturating_add(1));
            Standing { told: Some(Told { at: now, grade, times }), ..standing }
        }
        Word::Over | Word::Passed => Standing { state: State::Rest, ..standing },
    }
}

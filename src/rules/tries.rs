//! When a failed action is tried again, and when it is given up.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::Rule;

/// So often a receiver may say that it will never take an action.
pub const HOPELESS_TRIES: u32 = 5;

/// After the first failure; doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(10);
/// The longest wait, and the longest that a receiver can ask for.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Why a try came to nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    /// A stable word: `exit`, `timeout`, `unreachable`, `refused`, `file`, `secret`, `rests`, `died`.
    pub code: &'static str,
    /// In words, for people.
    pub detail: String,
    /// Trying again will hardly help.
    pub hopeless: bool,
    /// What the receiver asked for.
    pub not_before: Option<Duration>,
    /// Nothing was tried, as the account that would send it is left alone; to be seen again then.
    pub rests_until: Option<Timestamp>,
}

impl Trouble {
    /// One that may pass.
    pub fn passing(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), hopeless: false, not_before: None, rests_until: None }
    }
}

/// What follows a try that came to nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// It was none, and uses up nothing; seen again then.
    Rest(Timestamp),
    /// Another try then.
    Again(Timestamp),
    /// It is given up.
    GiveUp,
}

/// What lies behind an action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Past {
    /// Tries, with the one that has just ended.
    pub attempts: u32,
    /// How many of those before it the receiver called hopeless.
    pub refusals: u32,
    /// When the first one began.
    pub first_at: Timestamp,
}

/// What follows a try; `random` spreads the waits.
///
/// An action is given up when the next try would be later than `retries` after the first one; one
/// that its receiver has called hopeless [`HOPELESS_TRIES`] times, too. Not at once, since a receiver
/// that is being set up refuses for a while what it will take; connections that fail meanwhile are
/// no refusals.
pub fn after(rule: &Rule, trouble: &Trouble, past: Past, now: Timestamp, random: u64) -> Next {
    let Past { attempts, refusals, first_at } = past;
    if let Some(at) = trouble.rests_until {
        return Next::Rest(at);
    }
    if trouble.hopeless && refusals.saturating_add(1) >= HOPELESS_TRIES {
        return Next::GiveUp;
    }
    let doubled = 1_u32.checked_shl(attempts.saturating_sub(1).min(16)).unwrap_or(u32::MAX);
    let wait = FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT);
    // Up to a fifth less, so that what failed together doesn't come again together.
    let less = u32::try_from(random % 200).unwrap_or(0);
    let less = wait.saturating_mul(less).checked_div(1000).unwrap_or_default();
    let asked = trouble.not_before.unwrap_or_default().min(LONGEST_WAIT);
    let wait = wait.saturating_sub(less).max(asked);
    let Ok(at) = now.checked_add(wait) else { return Next::GiveUp };
    match first_at.checked_add(rule.retries) {
        Ok(end) if at > end => Next::GiveUp,
        _ => Next::Again(at),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::rules::tests::rule;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_secs(seconds)).unwrap()
    }

    fn past(attempts: u32) -> Past {
        Past { attempts, refusals: 0, first_at: at(0) }
    }

    fn waits(attempts: u32, random: u64) -> i64 {
        let trouble = Trouble::passing("exit", "");
        match after(&rule("a"), &trouble, past(attempts), at(0), random) {
            Next::Again(then) => then.as_second(),
            Next::GiveUp | Next::Rest(_) => -1,
        }
    }

    #[test]
    fn waits_double_from_ten_seconds_to_an_hour_and_are_spread() {
        let all: Vec<i64> = (1..=11).map(|n| waits(n, 0)).collect();
        assert_eq!(all, [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
        assert_eq!(waits(10, 199), 2883);
        assert_eq!(waits(u32::MAX, 100), 3240);
    }

    #[test]
    fn an_action_is_given_up_when_its_time_is_over_and_not_before() {
        let rule = Rule { retries: Duration::from_secs(30), ..rule("a") };
        let trouble = Trouble::passing("exit", "");
        let next = |now| after(&rule, &trouble, past(2), at(now), 0);
        assert_eq!(next(10), Next::Again(at(30)));
        assert_eq!(next(11), Next::GiveUp);
        let once = Rule { retries: Duration::ZERO, ..rule.clone() };
        assert_eq!(after(&once, &trouble, past(1), at(0), 0), Next::GiveUp);
    }

    #[test]
    fn rest_of_the_account_is_no_try_however_long_it_lasts() {
        let rule = Rule { retries: Duration::ZERO, ..rule("a") };
        let trouble = Trouble { rests_until: Some(at(90)), ..Trouble::passing("rests", "") };
        for (attempts, now) in [(1, 0), (1, 1_000_000), (u32::MAX, 60)] {
            assert_eq!(after(&rule, &trouble, past(attempts), at(now), 0), Next::Rest(at(90)));
        }
    }

    #[test]
    fn receiver_may_ask_for_more_time_but_not_for_more_than_an_hour() {
        let asked = |seconds| {
            let not_before = Some(Duration::from_secs(seconds));
            let trouble = Trouble { not_before, ..Trouble::passing("busy", "") };
            after(&rule("a"), &trouble, past(1), at(0), 0)
        };
        assert_eq!(asked(5), Next::Again(at(10)));
        assert_eq!(asked(600), Next::Again(at(600)));
        assert_eq!(asked(u64::MAX), Next::Again(at(3600)));
    }

    #[test]
    fn refusal_is_tried_five_times_whatever_else_failed_meanwhile() {
        let refused = Trouble { hopeless: true, ..Trouble::passing("refused", "") };
        let unreachable = Trouble::passing("unreachable", "");
        let next = |attempts, refusals, trouble: &Trouble| {
            let past = Past { attempts, refusals, first_at: at(0) };
            after(&rule("a"), trouble, past, at(100), 0)
        };
        assert!(matches!(next(4, 3, &refused), Next::Again(_)));
        assert_eq!(next(5, 4, &refused), Next::GiveUp);
        // Ten connections that failed are no refusals.
        assert!(matches!(next(11, 0, &refused), Next::Again(_)));
        assert!(matches!(next(14, 3, &refused), Next::Again(_)));
        assert_eq!(next(15, 4, &refused), Next::GiveUp);
        assert!(matches!(next(15, 4, &unreachable), Next::Again(_)));
    }
}

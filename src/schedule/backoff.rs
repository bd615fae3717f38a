//! How long an account rests after a failed poll.
//!
//! Two rules: a server that is down is asked less and less often, and a server that refuses the
//! credentials is asked five times in all, because accounts get locked. Knows nothing of clocks;
//! the caller keeps the counters across restarts.

use std::time::Duration;

/// Failures in a row of one account; [`Backoff::default`] is an account in order.
///
/// ```
/// # use std::time::Duration;
/// # use postrider::schedule::{Backoff, Decision, Failure};
/// let minute = Duration::from_secs(60);
/// let mut backoff = Backoff::default();
/// assert_eq!(backoff.after_failure(Failure::Transient, minute), Decision::Wait(minute));
/// assert_eq!(backoff.after_failure(Failure::Transient, minute), Decision::Wait(2 * minute));
/// backoff.after_success();
/// assert_eq!(backoff, Backoff::default());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Backoff {
    /// Failures in a row that may pass by themselves.
    pub transient: u32,
    /// Refusals of the credentials since the last success or change of config or secret.
    pub authentication: u32,
    /// What the server asked for at the last failure.
    pub not_before: Option<Duration>,
}

/// A failed poll, as far as the next one depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The server refused the credentials.
    Authentication,
    /// Asking again changes nothing before a person has acted: a token that was revoked.
    NeedsPerson,
    /// The server asked to be left alone for this long.
    NotBefore(Duration),
    /// Anything else.
    Transient,
}

/// When to try again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Not before the config or the secret has changed, or a person asks.
    Stop,
    /// So long after the failed attempt began.
    Wait(Duration),
}

impl Backoff {
    /// Counts a failure and says when to try again.
    ///
    /// `interval` is the account's poll interval; for a cron schedule, the time to its next moment.
    pub fn after_failure(&mut self, failure: Failure, interval: Duration) -> Decision {
        self.not_before = None;
        match failure {
            Failure::Authentication => self.authentication = self.authentication.saturating_add(1),
            Failure::NeedsPerson => {
                let all = u32::try_from(AUTHENTICATION_WAITS.len()).unwrap_or(u32::MAX);
                self.authentication = self.authentication.max(all);
            }
            Failure::NotBefore(wait) => {
                self.transient = self.transient.saturating_add(1);
                self.not_before = Some(wait.min(LONGEST_NOT_BEFORE));
            }
            Failure::Transient => self.transient = self.transient.saturating_add(1),
        }
        self.decision(interval)
    }

    /// Counts a login of which only the beginning is known, as a refusal, and says when to try again
    /// after it.
    ///
    /// The first one asks for no rest: most are a stop of this program that had nothing to do with
    /// the login. None stops the account: nobody has said that the credentials are wrong.
    pub fn after_unknown(&mut self) -> Decision {
        let (first, before) = (self.authentication == 0, *self);
        let mut decision = self.after_failure(Failure::Authentication, Duration::ZERO);
        if decision == Decision::Stop {
            *self = Self { not_before: None, ..before };
            decision = self.decision(Duration::ZERO);
        }
        if first { Decision::Wait(Duration::ZERO) } else { decision }
    }

    /// Back to normal; also to be called when the account's config or secret has changed.
    pub fn after_success(&mut self) {
        *self = Self::default();
    }

    /// What the counters ask for; after a restart, counted from the last attempt.
    ///
    /// A failure that may pass doesn't shorten the rest that a refusal asked for: the connection
    /// may have broken after the credentials were sent.
    pub fn decision(&self, interval: Duration) -> Decision {
        let refusals = match self.authentication {
            0 => Duration::ZERO,
            n => match AUTHENTICATION_WAITS.get(usize::try_from(n).unwrap_or(usize::MAX)) {
                Some(wait) => *wait,
                None => return Decision::Stop,
            },
        };
        let wait = self.transient_wait(interval).max(refusals);
        Decision::Wait(wait.max(self.not_before.unwrap_or_default()))
    }

    /// Whether the account is at rest until config or secret change.
    pub fn is_stopped(&self) -> bool {
        self.decision(Duration::ZERO) == Decision::Stop
    }

    /// The interval, then doubling up to [`LONGEST_WAIT`]; never below the interval.
    fn transient_wait(&self, interval: Duration) -> Duration {
        let doublings = self.transient.saturating_sub(1).min(31);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        interval.saturating_mul(factor).min(LONGEST_WAIT).max(interval)
    }
}

/// Rest after the n-th refusal of the credentials; beyond the last one the account stops.
const AUTHENTICATION_WAITS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_mins(5),
    Duration::from_mins(15),
    Duration::from_hours(1),
    Duration::from_hours(1),
];

/// A server that comes back is noticed after this time at the latest.
const LONGEST_WAIT: Duration = Duration::from_mins(30);

/// A server can't send an account away for longer than this.
const LONGEST_NOT_BEFORE: Duration = Duration::from_hours(24);

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "the numbers of tests are small")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn waits(failure: Failure, interval: Duration, count: usize) -> Vec<Decision> {
        let mut backoff = Backoff::default();
        (0..count).map(|_| backoff.after_failure(failure, interval)).collect()
    }

    #[test]
    fn promise_p14_a08_refused_credentials_are_tried_five_times_and_no_more() {
        assert_eq!(
            waits(Failure::Authentication, MINUTE, 6),
            [
                Decision::Wait(5 * MINUTE),
                Decision::Wait(15 * MINUTE),
                Decision::Wait(60 * MINUTE),
                Decision::Wait(60 * MINUTE),
                Decision::Stop,
                Decision::Stop,
            ]
        );
    }

    #[test]
    fn a08_logins_cut_by_a_crash_count_and_rest_like_refusals_but_for_the_first() {
        let mut backoff = Backoff::default();
        let waits: Vec<Decision> = (0..7).map(|_| backoff.after_unknown()).collect();
        assert_eq!(waits, [0, 15, 60, 60, 60, 60, 60].map(|n| Decision::Wait(n * MINUTE)));
        assert_eq!(backoff.after_failure(Failure::Authentication, MINUTE), Decision::Stop);
        assert_eq!(backoff.after_unknown(), Decision::Stop);
    }

    #[test]
    fn a03_what_only_a_person_can_mend_is_not_tried_again() {
        assert_eq!(waits(Failure::NeedsPerson, MINUTE, 2), [Decision::Stop, Decision::Stop]);
    }

    #[test]
    fn a_server_that_is_down_is_asked_at_least_each_half_hour() {
        let minutes = [1, 2, 4, 8, 16, 30, 30].map(|n| Decision::Wait(n * MINUTE));
        assert_eq!(waits(Failure::Transient, MINUTE, 7), minutes);
    }

    #[test]
    fn back_off_is_never_shorter_than_the_interval() {
        let hours = [Decision::Wait(120 * MINUTE); 4];
        assert_eq!(waits(Failure::Transient, 120 * MINUTE, 4), hours);
    }

    #[test]
    fn i30_server_that_asks_for_patience_gets_it_within_reason() {
        let mut backoff = Backoff::default();
        let wait = backoff.after_failure(Failure::NotBefore(90 * MINUTE), MINUTE);
        assert_eq!(wait, Decision::Wait(90 * MINUTE));
        assert_eq!(backoff.after_failure(Failure::Transient, MINUTE), Decision::Wait(2 * MINUTE));
        let wait = backoff.after_failure(Failure::NotBefore(Duration::MAX), MINUTE);
        assert_eq!(wait, Decision::Wait(24 * 60 * MINUTE));
    }

    #[test]
    fn lost_connections_between_refusals_bring_no_attempt_forward() {
        let mut backoff = Backoff { authentication: 3, ..Backoff::default() };
        assert_eq!(backoff.after_failure(Failure::Transient, MINUTE), Decision::Wait(60 * MINUTE));
    }

    #[test]
    fn a08_counters_of_the_last_run_still_hold() {
        let backoff = Backoff { authentication: 5, ..Backoff::default() };
        assert!(backoff.is_stopped());
        assert_eq!(backoff.decision(MINUTE), Decision::Stop);
    }

    proptest! {
        #[test]
        fn a08_at_most_six_refusals_in_any_24_hours(
            interval in 1_u64..200_000,
            restarts in prop::collection::vec(0_usize..8, 0..4),
        ) {
            let interval = Duration::from_secs(interval);
            let (mut now, mut attempts) = (Duration::ZERO, Vec::new());
            let mut backoff = Backoff::default();
            loop {
                attempts.push(now);
                let mut decision = backoff.after_failure(Failure::Authentication, interval);
                if restarts.contains(&attempts.len()) {
                    backoff = Backoff { authentication: backoff.authentication, ..Backoff::default() };
                    decision = backoff.decision(interval);
                }
                match decision {
                    Decision::Stop => break,
                    Decision::Wait(wait) => now += wait,
                }
                prop_assert!(attempts.len() < 100);
            }
            for (n, first) in attempts.iter().enumerate() {
                let day = attempts[n..].iter().filter(|at| **at < *first + 24 * 60 * MINUTE).count();
                prop_assert!(day <= 6);
            }
        }

        #[test]
        fn a08_refusals_are_bounded_whatever_fails_in_between(
            failures in prop::collection::vec((0_u8..3, any::<bool>()), 1..300),
            seconds in 1_u64..4000,
        ) {
            let interval = Duration::from_secs(seconds);
            let (mut backoff, mut refusals) = (Backoff::default(), 0);
            for (kind, restart) in failures {
                let failure = match kind {
                    0 => Failure::Authentication,
                    1 => Failure::NotBefore(interval),
                    _ => Failure::Transient,
                };
                refusals += u32::from(failure == Failure::Authentication);
                let mut decision = backoff.after_failure(failure, interval);
                if restart {
                    backoff.not_before = None;
                    decision = backoff.decision(interval);
                }
                prop_assert_eq!(decision == Decision::Stop, refusals >= 5);
                if decision == Decision::Stop {
                    break;
                }
                let waits = AUTHENTICATION_WAITS[refusals as usize];
                let Decision::Wait(wait) = decision else { panic!("stopped") };
                prop_assert!(wait >= waits, "{failure:?} brings an attempt forward");
            }
        }

        #[test]
        fn transient_waits_grow_and_stay_bounded(secs in 1_u64..200_000, count in 1_usize..60) {
            let interval = Duration::from_secs(secs);
            let mut last = Duration::ZERO;
            for decision in waits(Failure::Transient, interval, count) {
                let Decision::Wait(wait) = decision else { panic!("stopped") };
                prop_assert!(wait >= last && wait >= interval && wait <= interval.max(LONGEST_WAIT));
                last = wait;
            }
        }
    }
}

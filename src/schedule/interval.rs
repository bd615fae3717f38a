//! Polls by interval: where in its interval an account begins, and how far it strays.
//!
//! Only durations, to be counted on a monotonic clock: a wall clock that jumps moves no poll.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// No account waits longer than this for its first poll after a start, however long its interval.
///
/// Otherwise a daemon that is restarted each night would never poll an account of each day.
pub const FIRST_POLL_AT_LATEST: Duration = Duration::from_mins(5);

/// How long after the start an account is polled first: a fixed place in its interval.
///
/// Depends on the account's name alone, so that many accounts spread out, and the same way at each
/// start. Less than `interval`, and less than [`FIRST_POLL_AT_LATEST`].
///
/// ```
/// # use std::time::Duration;
/// # use postrider::schedule::first_poll_after;
/// let minute = Duration::from_mins(1);
/// assert_eq!(first_poll_after("invoices", minute), first_poll_after("invoices", minute));
/// assert!(first_poll_after("invoices", minute) < minute);
/// ```
pub fn first_poll_after(account: &str, interval: Duration) -> Duration {
    let mut hash = Sha256::new();
    hash.update(b"postrider phase v1\0");
    hash.update(account.as_bytes());
    let fraction = hash.finalize().iter().take(8).fold(0_u64, |sum, b| (sum << 8) | u64::from(*b));
    share(interval.min(FIRST_POLL_AT_LATEST), fraction)
}

/// How long after a poll's start the next one begins: the interval and up to 10 % more or less.
///
/// `random` is any number, evenly spread over all of `u64`.
pub fn next_poll_after(interval: Duration, random: u64) -> Duration {
    let tenth = interval.checked_div(10).unwrap_or_default();
    interval.saturating_sub(tenth).saturating_add(share(tenth.saturating_mul(2), random))
}

/// `whole` × `fraction` / 2^64, rounded down.
fn share(whole: Duration, fraction: u64) -> Duration {
    let nanos = whole.as_nanos();
    // Split, so that no product leaves 128 bits: nanoseconds of a Duration fit into 94.
    let high = (nanos >> 32).saturating_mul(u128::from(fraction)) >> 32;
    let low = (nanos & 0xffff_ffff).saturating_mul(u128::from(fraction)) >> 64;
    Duration::from_nanos_u128(high.saturating_add(low).min(nanos))
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "the numbers of tests are small")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn phase_of_a_name_never_changes() {
        let hour = Duration::from_hours(1);
        assert_eq!(first_poll_after("invoices", hour).as_secs(), PHASES.0);
        assert_eq!(first_poll_after("orders", hour).as_secs(), PHASES.1);
    }

    #[test]
    fn accounts_spread_over_the_interval() {
        let minute = Duration::from_mins(1);
        let mut tenths = [0_u32; 10];
        for n in 0..1000 {
            let phase = first_poll_after(&format!("account-{n}"), minute);
            tenths[usize::try_from(phase.as_secs() / 6).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|n| (60..=140).contains(n)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn phase_lies_within_the_interval(name in "[a-z0-9._-]{1,64}", secs in 1_u64..400_000_000) {
            let interval = Duration::from_secs(secs);
            let phase = first_poll_after(&name, interval);
            prop_assert!(phase < interval && phase < FIRST_POLL_AT_LATEST);
        }

        #[test]
        fn jitter_stays_within_a_tenth(millis in 1_u64..=u64::from(u32::MAX), random: u64) {
            let interval = Duration::from_millis(millis);
            let next = next_poll_after(interval, random);
            prop_assert!(next >= interval * 9 / 10 && next <= interval * 11 / 10);
        }

        #[test]
        fn even_absurd_intervals_do_not_overflow(secs: u64, random: u64) {
            next_poll_after(Duration::from_secs(secs), random);
        }
    }

    /// Computed once; a change here moves the polls of every installation.
    const PHASES: (u64, u64) = (175, 183);
}

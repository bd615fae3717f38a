//! When a token is renewed. Pure: the clocks are an argument.
//!
//! Ages count by the boot clock, which nobody sets: a host whose wall clock is wrong renews its
//! tokens in time all the same. Another boot is another clock, so a token from before it is
//! renewed. Only the keep-alive, which is a matter of days, goes by the wall.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// One reading of the clocks.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// The boot clock, which counts suspend.
    pub boot: SignedDuration,
    /// Which boot.
    pub boot_id: String,
}

/// Whether an access token may be used as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Freshness {
    /// Most of its time is over.
    Due,
    /// It may be used.
    Fresh,
    /// Its age can't be told: it is from before this boot.
    Unknown,
}

/// Refresh tokens that nobody uses end after 90 days at Microsoft and six months at Google.
const KEEP_ALIVE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Whether a token that was got at `got`, for `lifetime`, may be used at `now`: for 80 % of it.
pub fn freshness(got: &Moment, lifetime: Duration, now: &Moment) -> Freshness {
    let Some(age) = age(got, now) else { return Freshness::Unknown };
    let usable = lifetime.saturating_mul(4).checked_div(5).unwrap_or_default();
    if age < usable { Freshness::Fresh } else { Freshness::Due }
}

/// Whether the token's whole lifetime is over; false where its age can't be told.
pub(super) fn is_over(got: &Moment, lifetime: Duration, now: &Moment) -> bool {
    age(got, now).is_some_and(|age| age >= lifetime)
}

fn age(got: &Moment, now: &Moment) -> Option<Duration> {
    if got.boot_id != now.boot_id {
        return None;
    }
    // Got after `now`: somebody else got it while we waited for the lock.
    Some(Duration::try_from(now.boot.checked_sub(got.boot)?).unwrap_or(Duration::ZERO))
}

/// Whether a refresh token must be used, so that it doesn't end; a clock that went far back counts.
pub fn keep_alive_due(refreshed_at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(refreshed_at).abs() >= KEEP_ALIVE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(boot: i64, wall: i64, boot_id: &str) -> Moment {
        Moment {
            wall: Timestamp::from_second(wall).unwrap(),
            boot: SignedDuration::from_secs(boot),
            boot_id: boot_id.to_owned(),
        }
    }

    #[test]
    fn token_is_renewed_at_four_fifths_of_its_life() {
        let hour = Duration::from_hours(1);
        let got = moment(100, 0, "b");
        let at = |boot| freshness(&got, hour, &moment(boot, 0, "b"));
        assert_eq!(at(100), Freshness::Fresh);
        assert_eq!(at(100 + 2_879), Freshness::Fresh);
        assert_eq!(at(100 + 2_880), Freshness::Due);
    }

    #[test]
    fn a02_wall_clock_ten_minutes_off_changes_nothing() {
        let life = Duration::from_mins(5);
        let got = moment(100, 1_000_000, "b");
        for wall in [1_000_000 - 600, 1_000_000 + 600, 1_000_000 + 86_400 * 400] {
            assert_eq!(freshness(&got, life, &moment(160, wall, "b")), Freshness::Fresh);
            assert_eq!(freshness(&got, life, &moment(400, wall, "b")), Freshness::Due);
        }
    }

    #[test]
    fn token_from_before_a_reboot_is_renewed() {
        let (got, now) = (moment(100, 0, "b"), moment(101, 1, "c"));
        assert_eq!(freshness(&got, Duration::from_hours(1), &now), Freshness::Unknown);
    }

    #[test]
    fn a05_token_that_came_while_we_waited_is_fresh() {
        let (got, before) = (moment(100, 0, "b"), moment(98, 1, "b"));
        assert_eq!(freshness(&got, Duration::from_hours(1), &before), Freshness::Fresh);
    }

    #[test]
    fn refresh_token_is_used_at_least_each_week() {
        let day = 86_400;
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(!keep_alive_due(at(0), at(6 * day)));
        assert!(keep_alive_due(at(0), at(7 * day)));
        assert!(keep_alive_due(at(8 * day), at(0)));
    }
}

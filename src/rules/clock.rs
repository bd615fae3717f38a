//! Time that nobody could use: what the wall clock leaps over is no part of `retries`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What the two clocks may differ by; a clock that is drawn to the right time by and by stays below.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(10);

/// A look at the wall clock and at one that only goes on while the machine runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Clocks {
    wall: Timestamp,
    tick: Duration,
}

impl Clocks {
    /// The first look.
    pub fn new(wall: Timestamp, tick: Duration) -> Self {
        Self { wall, tick }
    }

    /// By how much the wall clock has leapt since the look before: it was set, or the machine
    /// slept. `None` while both go on alike.
    pub fn leap(&mut self, wall: Timestamp, tick: Duration) -> Option<SignedDuration> {
        let before = std::mem::replace(self, Self { wall, tick });
        let ran = SignedDuration::try_from(tick.saturating_sub(before.tick)).ok()?;
        let leap = wall.duration_since(before.wall).saturating_sub(ran);
        (leap.abs() > TOLERANCE).then_some(leap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_wall_clock_leaps_over_is_a_leap() {
        let wall = |seconds: i64| Timestamp::from_second(1_000_000_i64 + seconds).unwrap();
        let mut clocks = Clocks::new(wall(0), Duration::from_secs(50));
        let mut look = |at, tick| {
            let leap = clocks.leap(wall(at), Duration::from_secs(tick));
            leap.map(|leap| leap.as_secs())
        };
        assert_eq!(look(60, 110), None);
        assert_eq!(look(62, 170), Some(-58), "set back by a minute");
        assert_eq!(look(131, 230), None, "drawn to the right time");
        assert_eq!(look(86_531, 290), Some(86_340), "it slept for a day");
        assert_eq!(look(86_591, 350), None, "and goes on");
        assert_eq!(look(0, 350), Some(-86_591));
    }
}

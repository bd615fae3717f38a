//! For how long the daemon has been running, whatever is done to the wall clock.

use jiff::{SignedDuration, Timestamp};

use crate::ledger::ClockMark;

/// Since the start, or since the wall clock was last set back: moments in the ledger that are from
/// before then may be of a clock that ran ahead, so all accounts get time for a poll by the new one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uptime {
    since: SignedDuration,
    seen: Timestamp,
}

impl Uptime {
    /// From this look at the clocks on.
    pub(super) fn from(mark: &ClockMark) -> Self {
        Self { since: mark.boottime, seen: mark.wall }
    }

    /// How long that is now.
    pub(super) fn at(&mut self, mark: &ClockMark) -> SignedDuration {
        if mark.wall < self.seen {
            self.since = mark.boottime;
        }
        self.seen = mark.wall;
        mark.boottime.saturating_sub(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_goes_on_when_the_clock_is_set_forward_and_begins_anew_when_it_is_set_back() {
        let mark = |wall: i64, boot: i64| ClockMark {
            wall: Timestamp::from_second(wall).unwrap(),
            boottime: SignedDuration::from_secs(boot),
            boot_id: "b".to_owned(),
        };
        let mut uptime = Uptime::from(&mark(1_000, 10));
        assert_eq!(uptime.at(&mark(1_060, 70)).as_secs(), 60);
        assert_eq!(uptime.at(&mark(90_000, 80)).as_secs(), 70);
        assert_eq!(uptime.at(&mark(1_080, 90)).as_secs(), 0);
        assert_eq!(uptime.at(&mark(1_090, 100)).as_secs(), 10);
    }
}

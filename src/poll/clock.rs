//! The one place that reads the clocks.

use jiff::{SignedDuration, Timestamp};

use crate::ledger::ClockMark;
use crate::oauth::Moment;

/// The system's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// The wall clock, to the millisecond: what the ledger keeps is what was decided by.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// The same for the ages of tokens.
    pub fn moment(self) -> Moment {
        let ClockMark { wall, boottime, boot_id } = self.mark();
        Moment { wall, boot: boottime, boot_id }
    }

    /// Wall clock and boot clock together.
    pub fn mark(self) -> ClockMark {
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let nanos = i32::try_from(boot.tv_nsec).unwrap_or(0);
        ClockMark {
            wall: self.now(),
            boottime: SignedDuration::new(boot.tv_sec, nanos),
            boot_id: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .map(|id| id.trim().to_owned())
                .unwrap_or_default(),
        }
    }
}

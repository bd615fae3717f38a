//! When an account is polled: intervals, cron expressions, back-off.
//!
//! Pure: `now` is an argument, randomness too. Nothing here sleeps or reads a clock; that is the
//! daemon's part.

mod backoff;
mod cron;
mod crontab;
mod interval;

pub use backoff::{Backoff, Decision, Failure};
pub use cron::CronSchedule;
pub use crontab::CronError;
pub use interval::{FIRST_POLL_AT_LATEST, first_poll_after, next_poll_after};

//! When a mail goes: news are gathered for a moment, and mails are few.

use jiff::{SignedDuration, Timestamp};

use super::News;

/// A mail that waited so long is taken back, and what is still true of it told in the next one.
const STALE: SignedDuration = SignedDuration::from_hours(24);
/// Between two attempts to send: a moment at first,
const FIRST_RETRY: SignedDuration = SignedDuration::from_secs(10);
/// half an hour at last.
const LAST_RETRY: SignedDuration = SignedDuration::from_mins(30);

/// How much mail a person wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    /// News within this time are one mail.
    pub digest: SignedDuration,
    /// Mails in one hour at most.
    pub per_hour: u32,
    /// Mails in one day at most.
    pub per_day: u32,
    /// The first reminder comes after this time.
    pub remind: SignedDuration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            digest: SignedDuration::from_mins(1),
            per_hour: 4,
            per_day: 20,
            remind: SignedDuration::from_hours(24),
        }
    }
}

/// Whether a mail is to be written now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Due {
    /// There is nothing to tell.
    Nothing,
    /// Now.
    Now,
    /// More news may come in a moment.
    Gathering,
    /// As many mails were written as are allowed.
    Limited,
    /// The one before has not gone yet: what happens meanwhile is told in one mail after it.
    Waiting,
}

/// Whether these news are to be written into a mail; `made` is when mails were written before,
/// `waiting` whether one of them has not gone.
#[must_use]
pub fn due(
    news: &[News],
    made: &[Timestamp],
    waiting: bool,
    policy: &Policy,
    now: Timestamp,
) -> Due {
    let Some(first) = news.iter().map(|news| news.since).min() else { return Due::Nothing };
    if waiting {
        return Due::Waiting;
    }
    if now.duration_since(first) < policy.digest {
        return Due::Gathering;
    }
    // Of a clock that was set back some mails seem to be in the future; they count all the same.
    let within = |span: SignedDuration| {
        let count = made.iter().filter(|at| now.duration_since(**at).abs() < span).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let hour = within(SignedDuration::from_hours(1));
    if hour >= policy.per_hour || within(SignedDuration::from_hours(24)) >= policy.per_day {
        return Due::Limited;
    }
    Due::Now
}

/// How long after so many failed attempts a mail is tried again. One that the server has refused
/// for good waits longer: a person must change something first.
#[must_use]
pub fn retry_after(attempts: u32, permanent: bool) -> SignedDuration {
    if permanent {
        return LAST_RETRY;
    }
    let factor = 1_i32.checked_shl(attempts.saturating_sub(1).min(8)).unwrap_or(i32::MAX);
    FIRST_RETRY.checked_mul(factor).unwrap_or(LAST_RETRY).min(LAST_RETRY)
}

/// Whether a mail of this age is taken back instead of being tried again.
#[must_use]
pub fn fold_after(made: Timestamp, now: Timestamp) -> bool {
    now.duration_since(made).abs() >= STALE
}

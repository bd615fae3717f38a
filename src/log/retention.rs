//! How long records are kept, and how much room they may take: one small step after the other.
//!
//! A step is one short transaction, so that others who write wait for a few milliseconds only.

use jiff::{SignedDuration, Timestamp};

use crate::ledger::log_db::{FileSize, LogDb};
use crate::ledger::sqlite::SqliteError;

/// What is kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Limits {
    /// Seconds; `None`: for ever.
    pub(super) keep: Option<u64>,
    /// Octets of the file; `None`: any number.
    pub(super) max_size: Option<u64>,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// Some free room goes back to the file system.
    GiveBack,
    Nothing,
    /// Some records older than this go.
    Old(Timestamp),
    /// Some of the oldest records go.
    Oldest,
}

/// Takes a step; false when nothing is left to do.
pub(super) fn take(db: &mut LogDb, limits: Limits, now: Timestamp) -> Result<bool, SqliteError> {
    let before = db.size()?;
    match next(limits, db.oldest()?, before, now) {
        Step::Nothing => return Ok(false),
        Step::Old(before) => drop(db.prune(before, CHUNK)?),
        // With none left there is nothing to go on with, however large the file is.
        Step::Oldest => return Ok(db.prune(Timestamp::MAX, CHUNK)? > 0),
        Step::GiveBack => {
            db.give_back(PAGES)?;
            // An old file gives nothing back.
            return Ok(db.size()?.free < before.free);
        }
    }
    Ok(true)
}

fn next(limits: Limits, oldest: Option<Timestamp>, file: FileSize, now: Timestamp) -> Step {
    let keep = limits.keep.map(|keep| i64::try_from(keep).unwrap_or(i64::MAX));
    // Kept for longer than there is time: nothing is old.
    let before = keep.and_then(|keep| now.checked_sub(SignedDuration::from_secs(keep)).ok());
    if let (Some(before), Some(oldest)) = (before, oldest)
        && oldest < before
    {
        return Step::Old(before);
    }
    if oldest.is_some() && limits.max_size.is_some_and(|most| file.used > most) {
        return Step::Oldest;
    }
    // A part stays for the records to come: growing costs more than what is there.
    if file.free > SPARE.max(file.used / 8) { Step::GiveBack } else { Step::Nothing }
}

/// Records of one step.
const CHUNK: u32 = 500;

/// Pages of one step.
const PAGES: u32 = 256;

/// Octets that stay free.
const SPARE: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000_i64.saturating_add(second)).unwrap()
    }

    #[test]
    fn age_goes_before_size_and_size_before_room() {
        let limits = Limits { keep: Some(3600), max_size: Some(100 << 20) };
        let file = |used: u64, free: u64| FileSize { used: used << 20, free: free << 20 };
        let step = |oldest: Option<i64>, file| next(limits, oldest.map(at), file, at(10 * HOUR));
        assert_eq!(step(Some(0), file(200, 50)), Step::Old(at(9 * HOUR)));
        assert_eq!(step(Some(9 * HOUR), file(200, 50)), Step::Oldest);
        assert_eq!(step(Some(9 * HOUR), file(100, 50)), Step::GiveBack);
        assert_eq!(step(Some(9 * HOUR), file(100, 12)), Step::Nothing);
        assert_eq!(step(None, file(200, 0)), Step::Nothing, "an empty log can't get smaller");
        let all = Limits::default();
        assert_eq!(next(all, Some(at(0)), file(9000, 0), at(HOUR)), Step::Nothing);
        let ever = Limits { keep: Some(u64::MAX), max_size: None };
        assert_eq!(next(ever, Some(at(0)), file(1, 0), at(HOUR)), Step::Nothing);
    }
}

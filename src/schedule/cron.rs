//! When a cron expression fires, in a time zone, with its changes of the clock.
//!
//! The only file that knows the `cron` and `chrono` crates. Expressions are read by `crontab`; the
//! crate gets plain lists of numbers, since its weekdays count from Sunday = 1 and its messages
//! name no field. It also only ever sees civil times without a zone: what a skipped or a repeated
//! hour means is decided here.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::str::FromStr as _;
use std::sync::Arc;

use chrono::{DateTime as ChronoTime, Datelike as _, NaiveDate, Timelike as _, Utc};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan as _};

use super::crontab::{CronError, Fields};

/// A checked cron expression.
///
/// ```
/// # use jiff::{Timestamp, tz::TimeZone};
/// # use postrider::schedule::CronSchedule;
/// let office_hours = CronSchedule::parse("*/5 8-18 * * Mon-Fri").unwrap();
/// let friday: Timestamp = "2026-11-20T18:55:00Z".parse().unwrap();
/// let monday: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
/// assert_eq!(office_hours.next_after(friday, &TimeZone::UTC), Some(monday));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CronSchedule {
    /// As the config has it.
    text: String,
    /// Shared, since it is large and cloned with the config.
    schedule: Arc<cron::Schedule>,
    /// Each hour matches, so that it is an interval rather than a time of day.
    every_hour: bool,
}

impl CronSchedule {
    /// Reads crontab's five fields, or six or seven with seconds first and year last.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let fields = Fields::parse(text)?;
        let every_hour = fields.hours.len() == 24;
        let schedule = cron::Schedule::from_str(&for_the_crate(&fields)).map_err(|error| {
            let value = text.chars().take(80).collect();
            CronError::Field { field: "expression", value, why: error.to_string() }
        })?;
        Ok(Self { text: text.trim().to_owned(), schedule: Arc::new(schedule), every_hour })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first moment later than `now`; `None` when none is left before the year 2101.
    ///
    /// When the clock is put forward, times of the skipped hour fire once, at the moment of the
    /// change. When it is put back, times of the repeated hour fire once, at their first
    /// occurrence; but an expression that matches each hour goes on as if nothing had happened, as
    /// in crontab, since `*/5 * * * *` means an interval.
    pub fn next_after(&self, now: Timestamp, tz: &TimeZone) -> Option<Timestamp> {
        if self.every_hour { self.next_instant(now, tz) } else { self.next_time_of_day(now, tz) }
    }

    /// Every instant whose civil time matches, repeated ones too.
    fn next_instant(&self, now: Timestamp, tz: &TimeZone) -> Option<Timestamp> {
        let mut from = now;
        let mut transitions = tz.following(now);
        loop {
            // Up to the next transition the offset doesn't change.
            let until = transitions.next().map(|transition| transition.timestamp());
            let offset = tz.to_offset(from);
            let found = self
                .civil_after(offset.to_datetime(from))
                .and_then(|civil| offset.to_timestamp(civil).ok());
            match (found, until) {
                (Some(found), Some(until)) if found >= until => {}
                (Some(found), _) => return Some(found),
                (None, None) => return None,
                (None, Some(_)) => {}
            }
            let until = until?;
            if tz.to_datetime(until).year() > LAST_YEAR {
                return None;
            }
            if self.is_match(tz.to_datetime(until)) {
                return Some(until);
            }
            from = until;
        }
    }

    /// Every civil time that matches, once.
    fn next_time_of_day(&self, now: Timestamp, tz: &TimeZone) -> Option<Timestamp> {
        let mut civil = tz.to_datetime(now);
        loop {
            civil = self.civil_after(civil)?;
            let found = first_occurrence(civil, tz)?;
            if found > now {
                return Some(found);
            }
        }
    }

    fn is_match(&self, civil: DateTime) -> bool {
        civil.subsec_nanosecond() == 0
            && civil.checked_sub(1.second()).ok().and_then(|before| self.civil_after(before))
                == Some(civil)
    }

    /// The next matching civil time, zones apart.
    fn civil_after(&self, civil: DateTime) -> Option<DateTime> {
        if civil.year() > LAST_YEAR {
            return None;
        }
        self.schedule.after(&to_chrono(civil)?).next().and_then(from_chrono)
    }
}

impl fmt::Display for CronSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// When a clock on the wall first shows this time, or passes it over.
fn first_occurrence(civil: DateTime, tz: &TimeZone) -> Option<Timestamp> {
    match tz.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).ok(),
        AmbiguousOffset::Gap { before, after } => {
            // Read with the later offset a skipped time lies before the change.
            let earlier = after.to_timestamp(civil).ok()?;
            let change = tz.following(earlier).next().map(|transition| transition.timestamp());
            change.or_else(|| before.to_timestamp(civil).ok())
        }
    }
}

/// The `cron` crate's own form: seconds first, weekdays from Sunday = 1.
fn for_the_crate(fields: &Fields) -> String {
    let weekdays: BTreeSet<u32> = fields.weekdays.iter().map(|day| day.saturating_add(1)).collect();
    let mut text = String::new();
    for field in
        [&fields.seconds, &fields.minutes, &fields.hours, &fields.days, &fields.months, &weekdays]
    {
        push_list(&mut text, field);
    }
    match &fields.years {
        Some(years) => push_list(&mut text, years),
        None => text.push('*'),
    }
    text
}

fn push_list(text: &mut String, numbers: &BTreeSet<u32>) {
    for (n, number) in numbers.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        write!(text, "{comma}{number}").unwrap_or_default();
    }
    text.push(' ');
}

fn to_chrono(civil: DateTime) -> Option<ChronoTime<Utc>> {
    let small = |n: i8| u32::try_from(n).ok();
    // The crate casts years to unsigned numbers.
    let year = i32::from(civil.year().max(0));
    let date = NaiveDate::from_ymd_opt(year, small(civil.month())?, small(civil.day())?)?;
    let (hour, minute) = (small(civil.hour())?, small(civil.minute())?);
    Some(date.and_hms_opt(hour, minute, small(civil.second())?)?.and_utc())
}

fn from_chrono(time: ChronoTime<Utc>) -> Option<DateTime> {
    let small = |n: u32| i8::try_from(n).ok();
    DateTime::new(
        i16::try_from(time.year()).ok()?,
        small(time.month())?,
        small(time.day())?,
        small(time.hour())?,
        small(time.minute())?,
        small(time.second())?,
        0,
    )
    .ok()
}

/// The `cron` crate knows no later years.
const LAST_YEAR: i16 = 2100;

#[cfg(test)]
mod tests;

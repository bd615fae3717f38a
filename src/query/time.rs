//! Reading points in time: `2h` (so long ago), `yesterday`, RFC 3339. Pure; `now` is an argument.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// A time that can't be read; the message shows what can.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{text}` is not a time: use 90s, 30m, 2h, 1d or 2w (so long ago), now, today, yesterday, a \
     date (2026-11-21), a local time (2026-11-21T14:00) or RFC 3339 (2026-11-21T14:00:00Z)"
)]
pub struct TimeError {
    /// As it was given, without control characters and cut.
    pub text: String,
}

/// Reads a time; days begin in `tz`.
///
/// ```
/// # use jiff::{Timestamp, tz::TimeZone};
/// # use postrider::query::parse_time;
/// let now: Timestamp = "2026-11-21T14:00:00Z".parse().unwrap();
/// let two_hours_ago: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
/// assert_eq!(parse_time("2h", now, &TimeZone::UTC), Ok(two_hours_ago));
/// ```
pub fn parse_time(text: &str, now: Timestamp, tz: &TimeZone) -> Result<Timestamp, TimeError> {
    let word = text.trim();
    let today = tz.to_datetime(now).date();
    let found = match word.to_ascii_lowercase().as_str() {
        "now" => Some(now),
        "today" => start_of(today, tz),
        "yesterday" => today.checked_sub(1.day()).ok().and_then(|day| start_of(day, tz)),
        lower => ago(lower).map(|ago| now.checked_sub(ago).unwrap_or(Timestamp::MIN)),
    };
    found
        .or_else(|| word.parse::<Timestamp>().ok())
        .or_else(|| local_time(word, tz))
        .ok_or_else(|| TimeError { text: super::mistake::quoted(text) })
}

/// `90s`, `2h`, `1d`: a number and one unit.
fn ago(text: &str) -> Option<SignedDuration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match text.get(digits.len()..)?.trim_start() {
        "s" | "sec" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let digits = digits.trim_end();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i64 = digits.parse().ok()?;
    Some(SignedDuration::from_secs(number.checked_mul(seconds)?))
}

fn local_time(text: &str, tz: &TimeZone) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<DateTime>() {
        // An RFC 9557 zone or an offset that didn't parse must not be dropped silently.
        let has_zone = text.contains(['[', 'z', 'Z', '+']) || text.matches('-').count() > 2;
        return (!has_zone).then(|| tz.to_timestamp(time).ok()).flatten();
    }
    None
}

fn start_of(day: Date, tz: &TimeZone) -> Option<Timestamp> {
    tz.to_timestamp(day.at(0, 0, 0, 0)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: &str = "2026-11-21T14:00:00Z";

    fn read(text: &str) -> Option<String> {
        let tz = TimeZone::get("Europe/Berlin").expect("a zone");
        let now = NOW.parse().expect("a time");
        parse_time(text, now, &tz).ok().map(|at| at.to_string())
    }

    #[test]
    fn accepted_forms_mean_what_they_say() {
        for (text, wanted) in [
            ("90s", "2026-11-21T13:58:30Z"),
            ("30m", "2026-11-21T13:30:00Z"),
            ("2h", "2026-11-21T12:00:00Z"),
            (" 2H ", "2026-11-21T12:00:00Z"),
            ("1d", "2026-11-20T14:00:00Z"),
            ("2w", "2026-11-07T14:00:00Z"),
            ("now", NOW),
            ("today", "2026-11-20T23:00:00Z"),
            ("Yesterday", "2026-11-19T23:00:00Z"),
            ("2026-11-21", "2026-11-20T23:00:00Z"),
            ("2026-11-21T09:30", "2026-11-21T08:30:00Z"),
            ("2026-11-21 09:30:15", "2026-11-21T08:30:15Z"),
            ("2026-11-21T09:30:00+01:00", "2026-11-21T08:30:00Z"),
            ("2026-11-21T09:30:00Z", "2026-11-21T09:30:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_accepted_forms() {
        for text in
            ["", "h", "2", "2x", "-2h", "2h30", "tomorrow?", "2026-13-01", "99999999999999999999d"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        let error = parse_time("soon", Timestamp::UNIX_EPOCH, &TimeZone::UTC).expect_err("refused");
        let said = error.to_string();
        assert!(said.contains("`soon`") && said.contains("2h") && said.contains("RFC 3339"));
    }

    #[test]
    fn very_long_ago_is_the_beginning_of_time() {
        assert_eq!(read("9999999w"), Some(Timestamp::MIN.to_string()));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text: String) {
            read(&text);
        }

        #[test]
        fn every_timestamp_is_read_back(second in -30_000_000_000_i64..30_000_000_000) {
            let at = Timestamp::from_second(second).expect("in range");
            prop_assert_eq!(read(&at.to_string()), Some(at.to_string()));
        }
    }
}

//! INTERNALDATE (RFC 9051 §9, `date-time`): `" 7-Jul-1996 02:44:25 -0700"`. Pure.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The moment, or `None` for what is no date: some servers say `00-Jan-0000` or `+2500`.
pub(super) fn internal_date(text: &str) -> Option<Timestamp> {
    let mut words = text.split_ascii_whitespace();
    let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
    let mut date = date.split('-');
    let (day, month, year) = (date.next()?, date.next()?, date.next()?);
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?.checked_add(1)?;
    let mut time = time.split(':').map(str::parse::<i8>);
    let mut part = || time.next()?.ok();
    let moment = DateTime::new(
        year.parse().ok()?,
        i8::try_from(month).ok()?,
        day.parse().ok()?,
        part()?,
        part()?,
        // A leap second is the minute's last second here.
        part()?.min(59),
        0,
    );
    let nothing_left = words.next().is_none() && date.next().is_none();
    let offset = offset(zone)?;
    nothing_left.then(|| offset.to_timestamp(moment.ok()?).ok()).flatten()
}

/// A moment as APPEND has it, in UTC; `None` where the year has not four digits.
pub(super) fn written(at: Timestamp) -> Option<String> {
    let at = Offset::UTC.to_datetime(at);
    let month = MONTHS.get(usize::try_from(at.month()).ok()?.checked_sub(1)?)?;
    let (day, year) = (at.day(), at.year());
    let (hour, minute, second) = (at.hour(), at.minute(), at.second());
    let text = format!("{day:02}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} +0000");
    (0..=9999).contains(&year).then_some(text)
}

fn offset(zone: &str) -> Option<Offset> {
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let seconds = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?;
    Offset::from_seconds(seconds.checked_mul(sign)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_of_servers_are_read() {
        for (text, utc) in [
            ("17-Jul-1996 02:44:25 -0700", "1996-07-17T09:44:25Z"),
            (" 7-Jul-1996 02:44:25 +0000", "1996-07-07T02:44:25Z"),
            ("01-jan-2026 00:00:60 +0130", "2025-12-31T22:30:59Z"),
            ("01-Jan-1901 00:00:00 +0000", "1901-01-01T00:00:00Z"),
        ] {
            assert_eq!(internal_date(text), Some(utc.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "00-Jan-0000 00:00:00 +0000",
            "31-Feb-2020 00:00:00 +0000",
            "01-Jan-2020 00:00:00 +2500",
            "01-Jan-2020 00:00:00",
            "01-Jan-2020 00:00:00 UTC",
            "01-Jan-2020 24:00:00 +0000",
            "01-Jan-99999 00:00:00 +0000",
        ] {
            assert_eq!(internal_date(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(second in 0_i64..253_402_300_799) {
            let at = Timestamp::from_second(second).unwrap();
            prop_assert_eq!(internal_date(&written(at).unwrap()), Some(at));
        }

        #[test]
        fn nothing_panics(text in "\\PC*|[0-9JanFeb: +-]*") {
            internal_date(&text);
        }
    }
}

//! Dates, times and zones.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use toml::de::DeValue;

use super::{Fault, Value};

const FORM: &str = "a date and time with its offset, without quotes: `2026-01-01T00:00:00Z`";

pub(super) fn read(value: &DeValue<'_>) -> Result<Value, Fault> {
    let fault = || Fault::new("is not a date and time").hint(FORM);
    let DeValue::Datetime(when) = value else {
        return Err(fault());
    };
    let text = when.to_string();
    if when.offset.is_some() {
        return text.parse::<Timestamp>().map(Value::Timestamp).map_err(|_| fault());
    }
    let local = if when.time.is_some() {
        text.parse::<DateTime>().ok()
    } else {
        text.parse::<Date>().ok().map(|date| date.at(0, 0, 0, 0))
    };
    match (when.date, local) {
        (Some(_), Some(local)) => Ok(Value::LocalTime(local)),
        _ => Err(fault()),
    }
}

/// An IANA name that this host's zone data knows.
pub(super) fn zone(name: String) -> Result<Value, Fault> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+');
    if !name.bytes().all(good) || name.starts_with('/') {
        return Err(Fault::new("is not a time zone"));
    }
    match TimeZone::get(&name) {
        Ok(zone) => Ok(Value::Zone(zone, name)),
        Err(_) => Err(Fault::new("is not known on this host")
            .hint("an IANA name such as `Europe/Vienna`; the package `tzdata` holds them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_and_without_offset_are_told_apart() {
        let time = |text: &str| {
            let value = DeValue::parse(text).unwrap();
            read(value.get_ref())
        };
        assert!(matches!(time("2026-01-01T00:00:00Z"), Ok(Value::Timestamp(_))));
        assert!(matches!(time("2026-01-01 01:00:00+01:00"), Ok(Value::Timestamp(_))));
        assert!(matches!(time("2026-01-01T00:00:00"), Ok(Value::LocalTime(_))));
        assert!(matches!(time("2026-01-01"), Ok(Value::LocalTime(_))));
        assert!(time("12:00:00").is_err());
        assert!(time("\"2026-01-01\"").is_err());
    }

    #[test]
    fn zones_are_known_names_and_no_paths() {
        assert!(matches!(zone("UTC".into()), Ok(Value::Zone(..))));
        for bad in ["Middle/Earth", "../../etc/passwd", "/etc/localtime", ""] {
            assert!(zone(bad.into()).is_err(), "{bad}");
        }
    }
}

//! Durations, `"1h 30m"`, and rates, `"1KiB/5min"`.

use std::time::Duration;

use toml::de::DeValue;

use crate::config::types::MinRate;
use crate::model::ByteSize;
use crate::model::nearest;

use super::{Fault, Value};

/// Milliseconds of each unit; the first spelling is the one that is shown.
const UNITS: [(&[&str], u64); 6] = [
    (&["w", "week", "weeks"], 604_800_000),
    (&["d", "day", "days"], 86_400_000),
    (&["h", "hour", "hours"], 3_600_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000),
    (&["s", "sec", "secs", "second", "seconds"], 1000),
    (&["ms"], 1),
];

const FORM: &str =
    "a whole number and a unit (ms, s, m, h, d, w), such as `\"30s\"` or `\"1h 30m\"`";

pub(super) fn read(value: &DeValue<'_>, least: Duration, most: Duration) -> Result<Value, Fault> {
    let text = match value {
        DeValue::String(text) => text,
        DeValue::Integer(number) => {
            let hint = format!("write it with its unit, such as `\"{}s\"`", number.as_str());
            return Err(Fault::new("has no unit").hint(hint));
        }
        _ => return Err(Fault::new("is not a duration").hint(FORM)),
    };
    let duration =
        parse_duration(text).map_err(|hint| Fault::new("is not a duration").hint(hint))?;
    let range = || format!("from {} to {}", duration_text(least), duration_text(most));
    if duration < least {
        return Err(Fault::new("is too short").hint(range()));
    }
    if duration > most {
        return Err(Fault::new("is too long").hint(range()));
    }
    Ok(Value::Duration(duration))
}

/// Reads numbers with units, blanks between them or not; the error is a hint.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() || rest.len() > 64 {
        return Err(FORM.to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let tail = tail.trim_start();
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let number: u64 = number.parse().map_err(|_| FORM.to_owned())?;
        let factor = UNITS.iter().find(|(names, _)| names.contains(&unit));
        let Some((_, factor)) = factor else {
            let names = UNITS.iter().flat_map(|(names, _)| names.iter().copied());
            let meant = nearest(unit, names.filter(|name| name.len() > 2));
            let meant = meant.map(|m| format!("; did you mean `{number} {m}`?"));
            return Err(format!("{FORM}{}", meant.unwrap_or_default()));
        };
        let part = number.checked_mul(*factor);
        total = part.and_then(|part| total.checked_add(part)).ok_or("it is too long")?;
        rest = tail.trim_start();
    }
    Ok(Duration::from_millis(total))
}

/// The shortest text that reads back as this duration: `90d`, `1h 30m`.
pub(in crate::config) fn duration_text(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (names, factor) in UNITS {
        let count = rest.checked_div(factor).unwrap_or(0);
        // Weeks only when nothing else is left: "90d" reads better than "12w 6d".
        let skip = factor == 604_800_000 && (!rest.is_multiple_of(factor) || count < 2);
        if count > 0 && !skip {
            parts.push(format!("{count}{}", names.first().unwrap_or(&"")));
            rest = rest.saturating_sub(count.saturating_mul(factor));
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

pub(super) fn rate(value: &DeValue<'_>) -> Result<MinRate, Fault> {
    let fault = || Fault::new("is not a rate").hint("a size and a duration: `\"1KiB/5min\"`");
    let DeValue::String(text) = value else { return Err(fault()) };
    let (octets, window) = text.split_once('/').ok_or_else(fault)?;
    let octets: ByteSize = octets.parse().map_err(|_| fault())?;
    let window = window.trim();
    // "1KiB/s" means one second.
    let counted = window.starts_with(|c: char| c.is_ascii_digit());
    let window = if counted { window.to_owned() } else { format!("1{window}") };
    let window = parse_duration(&window).map_err(|_| fault())?;
    if octets.0 == 0 || window < Duration::from_secs(1) {
        return Err(fault().hint("at least one octet, in at least one second"));
    }
    Ok(MinRate { octets: octets.0, window })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_all_units() {
        let ms = |text: &str| parse_duration(text).map(|d| d.as_millis()).ok();
        assert_eq!(ms("250ms"), Some(250));
        assert_eq!(ms("30s"), Some(30_000));
        assert_eq!(ms("5 min"), Some(300_000));
        assert_eq!(ms("1h 30m"), Some(5_400_000));
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("2w"), Some(1_209_600_000));
        for bad in ["", "5", "m", "5 minuets", "-5m", "5m-", "1.5h", "99999999999999999999s"] {
            assert_eq!(ms(bad), None, "{bad}");
        }
        assert!(parse_duration("5 minuets").unwrap_err().contains("5 minutes"));
    }

    #[test]
    fn durations_are_shown_as_they_are_read() {
        for text in ["250ms", "30s", "2m", "1h 30m", "90d", "2w", "1d"] {
            assert_eq!(duration_text(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn rates_have_a_size_and_a_window() {
        let read = |text: &'static str| rate(&DeValue::String(text.into())).ok();
        let kib = |secs| Some(MinRate { octets: 1024, window: Duration::from_secs(secs) });
        assert_eq!(read("1KiB/5min"), kib(300));
        assert_eq!(read("1KiB/s"), kib(1));
        assert_eq!(read("1KiB"), None);
        assert_eq!(read("0B/5min"), None);
    }
}

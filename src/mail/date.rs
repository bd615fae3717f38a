//! Dates as mail has them: RFC 5322 §3.3 and §4.3, and what servers make of them.
//!
//! Tolerant by its own hand, because the topmost Received field decides how old a POP3 message is:
//! a zone of `-0000`, an unknown one or none is UTC, never this host's zone.

use jiff::civil::DateTime;
use jiff::{Timestamp, tz};

/// Longer dates are nonsense.
const MAX_DATE: usize = 512;

/// Reads a date; `None` unless day, month, year and time are there and valid.
pub(super) fn parse(text: &[u8]) -> Option<Timestamp> {
    let text = without_comments(text.get(..text.len().min(MAX_DATE))?);
    let mut date = Parts::default();
    for token in text.split(|c: char| c.is_whitespace() || c == ',').filter(|t| !t.is_empty()) {
        date.take(token)?;
    }
    date.timestamp()
}

/// The date of a Received field's body: what follows its last `;` (RFC 5321 §4.4).
///
/// `None` for years before 1970.
pub(super) fn parse_received(body: &[u8]) -> Option<Timestamp> {
    let text = without_comments(body);
    let (_, date) = text.rsplit_once(';')?;
    parse(date.trim().as_bytes()).filter(|date| *date >= Timestamp::UNIX_EPOCH)
}

/// The text without its comments, which nest (RFC 5322 §3.2.2); a blank stands for each.
fn without_comments(text: &[u8]) -> String {
    let mut depth = 0_usize;
    let mut escaped = false;
    let mut out = String::with_capacity(text.len().min(MAX_DATE));
    for octet in text {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if depth > 0 => escaped = true,
            b'(' => {
                depth = depth.saturating_add(1);
                out.push(' ');
            }
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            _ => out.push(if octet.is_ascii() { char::from(*octet) } else { '?' }),
        }
    }
    out
}

#[derive(Debug, Default)]
struct Parts {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    time: Option<(i8, i8, i8)>,
    /// Seconds east of Greenwich.
    zone: Option<i32>,
}

impl Parts {
    /// Takes one word of the date; `None` when it can't be part of one.
    fn take(&mut self, token: &str) -> Option<()> {
        let first = token.chars().next()?;
        if token.contains(':') && first.is_ascii_digit() {
            return self.take_time(token);
        }
        if matches!(first, '+' | '-') && self.time.is_some() {
            self.zone.get_or_insert(numeric_zone(token)?);
            return Some(());
        }
        if first.is_ascii_digit() && token.contains('-') {
            return self.take_hyphenated(token);
        }
        if first.is_ascii_digit() {
            return self.take_number(token);
        }
        self.take_word(token);
        Some(())
    }

    /// `20-Apr-2001`, or `2001-04-20` (ISO 8601).
    fn take_hyphenated(&mut self, token: &str) -> Option<()> {
        if token.find('-') != Some(4) {
            return token.split('-').try_for_each(|piece| self.take(piece));
        }
        let mut pieces = token.splitn(3, '-');
        self.year = Some(pieces.next()?.parse().ok()?);
        self.month = Some(pieces.next()?.parse().ok()?);
        self.day = Some(pieces.next()?.parse().ok()?);
        Some(())
    }

    fn take_time(&mut self, token: &str) -> Option<()> {
        let digits = token.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.');
        let (time, zone) = token.split_at_checked(digits.unwrap_or(token.len()))?;
        // A fraction of a second is passed over.
        let time = time.split('.').next()?;
        let mut numbers = time.split(':').map(|n| n.parse::<i8>().ok());
        let hour = numbers.next()??;
        let minute = numbers.next()??;
        let second = numbers.next().unwrap_or(Some(0))?;
        self.time = Some((hour, minute, second.min(59)));
        if zone.is_empty() { Some(()) } else { self.take(zone) }
    }

    fn take_number(&mut self, token: &str) -> Option<()> {
        let number: i16 = token.parse().ok()?;
        if self.day.is_none() && token.len() <= 2 {
            self.day = Some(i8::try_from(number).ok()?);
        } else if self.year.is_none() {
            self.year = Some(match (token.len(), number) {
                // RFC 5322 §4.3: two digits up to 49 are 2000 and later; three count from 1900.
                (..=2, ..=49) => number.checked_add(2000)?,
                (..=3, _) => number.checked_add(1900)?,
                _ => number,
            });
        } else if self.month.is_none() {
            self.month = Some(i8::try_from(number).ok()?);
        }
        Some(())
    }

    /// A month, a zone's name, or something that says nothing new (a weekday).
    fn take_word(&mut self, token: &str) {
        const MONTHS: [&str; 12] =
            ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
        let word = token.trim_end_matches('.').to_ascii_lowercase();
        let month = word.get(..3).and_then(|w| MONTHS.iter().position(|month| *month == w));
        if let (Some(month), None) = (month, self.month) {
            self.month = i8::try_from(month.saturating_add(1)).ok();
        } else if self.time.is_some() && self.zone.is_none() {
            self.zone = Some(named_zone(&word));
        }
    }

    fn timestamp(&self) -> Option<Timestamp> {
        let (hour, minute, second) = self.time?;
        let date =
            DateTime::new(self.year?, self.month?, self.day?, hour, minute, second, 0).ok()?;
        let offset = tz::Offset::from_seconds(self.zone.unwrap_or(0)).ok()?;
        offset.to_timestamp(date).ok().filter(|_| self.year >= Some(1900))
    }
}

/// `+hhmm` or `+hh:mm` in seconds; `None` outside a day.
fn numeric_zone(token: &str) -> Option<i32> {
    let (sign, digits) = token.split_at_checked(1)?;
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    if !(1..=4).contains(&digits.len()) {
        return None;
    }
    let number: i32 = digits.parse().ok()?;
    let (hours, minutes) =
        if digits.len() > 2 { (number / 100, number % 100) } else { (number, 0) };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = hours.saturating_mul(3600).saturating_add(minutes.saturating_mul(60));
    Some(if sign == "-" { seconds.saturating_neg() } else { seconds })
}

/// RFC 5322 §4.3: North America's names; every other name says nothing, so UTC.
fn named_zone(word: &str) -> i32 {
    let hours: i32 = match word {
        "edt" => -4,
        "est" | "cdt" => -5,
        "cst" | "mdt" => -6,
        "mst" | "pdt" => -7,
        "pst" => -8,
        _ => 0,
    };
    hours.saturating_mul(3600)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> Option<String> {
        parse(text.as_bytes()).map(|date| date.to_string())
    }

    #[test]
    fn dates_of_the_standard_and_of_old_mailers_are_read() {
        for (text, utc) in [
            ("Fri, 20 Apr 2001 20:18:00 -0400", "2001-04-21T00:18:00Z"),
            ("20 Apr 01 20:18 EST", "2001-04-21T01:18:00Z"),
            ("Fri Apr 20 20:18:00 2001", "2001-04-20T20:18:00Z"),
            ("Fri, 20-Apr-2001 20:18:00 GMT", "2001-04-20T20:18:00Z"),
            ("Fri,20 Apr 2001 20:18:00+0200 (CEST (really))", "2001-04-20T18:18:00Z"),
            ("2001-04-20 20:18:00 +02:00", "2001-04-20T18:18:00Z"),
            ("Tue, 1 Jul 2003 10:52:37 -0000", "2003-07-01T10:52:37Z"),
            ("Sat, 31 Dec 2016 23:59:60 +0000", "2016-12-31T23:59:59Z"),
            ("Sun, 1 Jan 1950 00:00:00 +0000", "1950-01-01T00:00:00Z"),
        ] {
            assert_eq!(date(text).as_deref(), Some(utc), "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_date() {
        for text in [
            "",
            "x",
            "00 Jan 2001 00:00:00 +0000",
            "31 Feb 2001 00:00:00 +0000",
            "1 Jan 2001 25:00:00 +0000",
            "1 Jan 2001 00:00:00 +2500",
            "1 Jan 2001 00:00:00 +9999",
            "1 Jan 0001 00:00:00 +0000",
            "1 Jan 99999 00:00:00 +0000",
            "1 Jan 2001",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn received_date_follows_the_last_semicolon_outside_comments() {
        let body = b" from a (b; c)\r\n by d; id e;\r\n Mon, 2 Mar 2026 10:00:00 -0000 (a; b)\r\n";
        assert_eq!(parse_received(body).unwrap().to_string(), "2026-03-02T10:00:00Z");
        assert_eq!(parse_received(b" from a by b"), None);
        assert_eq!(parse_received(b" from a; 1 Jan 1969 00:00:00 +0000"), None);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets: Vec<u8>) {
            let _ = (parse(&octets), parse_received(&octets));
        }

        #[test]
        fn no_words_make_it_panic(text in "[0-9A-Za-z:+.;() ,-]{0,60}") {
            let _ = (parse(text.as_bytes()), parse_received(text.as_bytes()));
        }

        #[test]
        fn what_jiff_writes_is_read_back(second in 0_i64..4_102_444_800) {
            let then = Timestamp::from_second(second).unwrap();
            let text = jiff::fmt::rfc2822::to_string(&then.to_zoned(tz::TimeZone::UTC)).unwrap();
            prop_assert_eq!(parse(text.as_bytes()), Some(then));
        }
    }
}

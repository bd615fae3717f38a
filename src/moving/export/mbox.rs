//! Messages behind each other in one file, after RFC 4155.
//!
//! Each begins with a From_ line in UTC, and ends with an empty line. Lines of the message that
//! begin with `From `, or with such a line behind any number of `>`, get one `>` more (the `mboxrd`
//! way), so that whoever takes one off has the octets that were. Line ends stay as they are.

use std::io::{Result, Write};

use jiff::tz::TimeZone;

use crate::rules::MessageFacts;

/// What stands where a sender can't be told.
const NOBODY: &str = "MAILER-DAEMON";
/// What a quoted line begins with, behind any `>`.
const FROM: &[u8] = b"From ";
/// Longest address in a From_ line.
const LONGEST: usize = 254;

/// The line that a message begins with, without its end.
pub(super) fn from_line(facts: &MessageFacts) -> String {
    let address = facts.from.first().and_then(|person| person.address.as_deref());
    let fits = |address: &&str| {
        address.len() <= LONGEST
            && !address.is_empty()
            && address.bytes().all(|octet| octet.is_ascii_graphic())
    };
    let address = address.filter(fits).unwrap_or(NOBODY);
    let at = facts.received.to_zoned(TimeZone::UTC).strftime("%a %b %e %H:%M:%S %Y").to_string();
    format!("From {address} {at}")
}

/// Quotes the lines of one message.
#[derive(Debug, Default)]
pub(super) struct Quoter {
    /// Within a line that is decided on.
    within: bool,
    /// `>` at the line's beginning.
    marks: u64,
    /// Octets of `From ` behind them.
    matched: usize,
    /// The message's last octet.
    last: Option<u8>,
}

impl Quoter {
    /// Writes more octets of the message.
    pub(super) fn write(&mut self, mut octets: &[u8], to: &mut impl Write) -> Result<()> {
        self.last = octets.last().copied().or(self.last);
        while let Some((first, rest)) = octets.split_first() {
            if self.within {
                let end = memchr::memchr(b'\n', octets);
                let line = end.map_or(octets.len(), |end| end.saturating_add(1));
                let (line, rest) = octets.split_at_checked(line).unwrap_or((octets, &[]));
                to.write_all(line)?;
                self.within = end.is_none();
                octets = rest;
                continue;
            }
            if self.matched == 0 && *first == b'>' {
                self.marks = self.marks.saturating_add(1);
                octets = rest;
            } else if FROM.get(self.matched) == Some(first) {
                self.matched = self.matched.saturating_add(1);
                octets = rest;
                if self.matched == FROM.len() {
                    self.marks = self.marks.saturating_add(1);
                    self.begin(to)?;
                }
            } else {
                self.begin(to)?;
            }
        }
        Ok(())
    }

    /// Ends the message; true when a line end had to be added, as it had none.
    pub(super) fn end(mut self, to: &mut impl Write) -> Result<bool> {
        if !self.within {
            self.begin(to)?;
        }
        let cut = self.last.is_some_and(|last| last != b'\n');
        if cut {
            to.write_all(b"\n")?;
        }
        to.write_all(b"\n")?;
        Ok(cut)
    }

    /// Writes what the line's beginning has, and takes the rest as it is.
    fn begin(&mut self, to: &mut impl Write) -> Result<()> {
        const MARKS: &[u8] = &[b'>'; 64];
        while self.marks > 0 {
            let n = self.marks.min(MARKS.len() as u64);
            to.write_all(MARKS.get(..usize::try_from(n).unwrap_or(0)).unwrap_or_default())?;
            self.marks = self.marks.saturating_sub(n);
        }
        to.write_all(FROM.get(..self.matched).unwrap_or_default())?;
        self.matched = 0;
        self.within = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Person;

    fn quoted(octets: &[u8], step: usize) -> Vec<u8> {
        let (mut quoter, mut to) = (Quoter::default(), Vec::new());
        octets.chunks(step).for_each(|part| quoter.write(part, &mut to).unwrap());
        quoter.end(&mut to).unwrap();
        to
    }

    #[test]
    fn lines_that_begin_a_message_get_one_mark_more_wherever_they_are_cut() {
        let mail = b"From x\r\n>From y\n>>From z\n Fromage\n>>> From\nFro\n>\nFrom \nFrom";
        let wanted =
            b">From x\r\n>>From y\n>>>From z\n Fromage\n>>> From\nFro\n>\n>From \nFrom\n\n";
        for step in 1..=mail.len() {
            assert_eq!(quoted(mail, step).as_slice(), wanted, "{step}");
        }
        assert_eq!(quoted(b"", 1), b"\n");
        let many = [vec![b'>'; 1000], b"From q\n".to_vec()].concat();
        assert_eq!(quoted(&many, 7).len(), many.len() + 2);
    }

    #[test]
    fn from_line_has_no_more_than_its_three_parts_whatever_the_sender_is() {
        let mut facts = MessageFacts {
            received: "2026-11-01T05:06:07Z".parse().unwrap(),
            ..MessageFacts::default()
        };
        let line = "From MAILER-DAEMON Sun Nov  1 05:06:07 2026";
        assert_eq!(from_line(&facts), line);
        for hostile in ["a b@x", "a\nFrom y@x", "", "\u{fc}@x", &"x".repeat(300)] {
            facts.from = vec![Person { name: None, address: Some(hostile.to_owned()) }];
            assert_eq!(from_line(&facts), line, "{hostile}");
        }
        facts.from = vec![Person { name: None, address: Some("a@b.example".to_owned()) }];
        assert_eq!(from_line(&facts), "From a@b.example Sun Nov  1 05:06:07 2026");
    }
}

//! Reads an mbox: where its messages are, and what they were before they were quoted.
//!
//! A message begins with a line `From ` at the file's beginning or behind an empty line; that empty
//! line belongs to the format. However long its lines are, only some octets are in memory.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Result, Write};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// What a message begins with, and a quoted line behind its `>`.
pub(super) const FROM: &[u8] = b"From ";
/// Octets of a line that are looked at.
const SHOWN: usize = 512;

/// Which lines were quoted when the file was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quoting {
    /// `From ` behind any number of `>`, with one more.
    Mboxrd,
    /// `From ` alone, with one `>`.
    Mboxo,
}

/// A message's place in the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Span {
    /// Octets before it.
    pub(super) from: u64,
    /// Its octets, quoted.
    pub(super) len: u64,
    /// The date of its From_ line.
    pub(super) at: Option<Timestamp>,
}

/// A file that is being looked through.
#[derive(Debug)]
pub(super) struct Spans {
    reader: BufReader<File>,
    at: u64,
    /// The message that has begun.
    open: Option<Span>,
    /// Octets of the empty line before, if there is one.
    empty: Option<u64>,
    line: Vec<u8>,
}

impl Spans {
    pub(super) fn new(file: File) -> Self {
        Self { reader: BufReader::new(file), at: 0, open: None, empty: Some(0), line: Vec::new() }
    }

    /// The next message; `None` behind the last one.
    pub(super) fn next(&mut self) -> Result<Option<Span>> {
        loop {
            let begin = self.at;
            let len = self.read_line()?;
            let end = begin.saturating_sub(self.empty.unwrap_or(0));
            if len == 0 {
                return Ok(self.open.take().map(|span| span.until(end)));
            }
            let begins = self.empty.is_some() && self.line.starts_with(FROM);
            let is_empty = matches!(self.line.as_slice(), b"\n" | b"\r\n");
            self.empty = is_empty.then_some(len);
            if begins {
                let next = Span { from: self.at, len: 0, at: date(&self.line) };
                if let Some(span) = self.open.replace(next) {
                    return Ok(Some(span.until(end)));
                }
            }
        }
    }

    /// Passes a line, and keeps its beginning; its octets.
    fn read_line(&mut self) -> Result<u64> {
        self.line.clear();
        let mut len = 0_u64;
        loop {
            let octets = self.reader.fill_buf()?;
            if octets.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', octets);
            let n = end.map_or(octets.len(), |end| end.saturating_add(1));
            let room = SHOWN.saturating_sub(self.line.len());
            self.line.extend(octets.iter().take(n.min(room)));
            self.reader.consume(n);
            len = len.saturating_add(n as u64);
            if end.is_some() {
                break;
            }
        }
        self.at = self.at.saturating_add(len);
        Ok(len)
    }
}

impl Span {
    fn until(mut self, end: u64) -> Self {
        self.len = end.saturating_sub(self.from);
        self
    }
}

/// The date that a From_ line ends with, taken for UTC.
fn date(line: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(line).ok()?.trim_end();
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let date = words.get(words.len().checked_sub(4)?..)?.join(" ");
    let date = DateTime::strptime("%b %d %H:%M:%S %Y", date).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Takes the quotes off the lines of one message.
#[derive(Debug)]
pub(super) struct Unquoter {
    quoting: Quoting,
    /// Within a line that is decided on.
    within: bool,
    marks: u64,
    matched: usize,
}

impl Unquoter {
    pub(super) fn new(quoting: Quoting) -> Self {
        Self { quoting, within: false, marks: 0, matched: 0 }
    }

    /// Writes what more octets were.
    pub(super) fn write(&mut self, mut octets: &[u8], to: &mut impl Write) -> Result<()> {
        while let Some((first, rest)) = octets.split_first() {
            if self.within {
                let end = memchr::memchr(b'\n', octets);
                let line = end.map_or(octets.len(), |end| end.saturating_add(1));
                let (line, rest) = octets.split_at_checked(line).unwrap_or((octets, &[]));
                to.write_all(line)?;
                self.within = end.is_none();
                octets = rest;
            } else if self.matched == 0 && *first == b'>' {
                self.marks = self.marks.saturating_add(1);
                octets = rest;
            } else if FROM.get(self.matched) == Some(first) {
                self.matched = self.matched.saturating_add(1);
                octets = rest;
                if self.matched == FROM.len() {
                    let is_quoted = self.quoting == Quoting::Mboxrd || self.marks == 1;
                    self.marks = self.marks.saturating_sub(u64::from(is_quoted));
                    self.end(to)?;
                }
            } else {
                self.end(to)?;
            }
        }
        Ok(())
    }

    /// Writes what the line's beginning has; the message may end here.
    pub(super) fn end(&mut self, to: &mut impl Write) -> Result<()> {
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
    use std::io::{Seek as _, Write as _};

    use super::*;

    fn spans(text: &str) -> Vec<(String, Option<i64>)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        let mut spans = Spans::new(file);
        let mut found = Vec::new();
        while let Some(Span { from, len, at }) = spans.next().unwrap() {
            let (from, len) = (usize::try_from(from).unwrap(), usize::try_from(len).unwrap());
            let text: String = text.chars().skip(from).take(len).collect();
            found.push((text, at.map(Timestamp::as_second)));
        }
        found
    }

    #[test]
    fn messages_begin_behind_an_empty_line_only() {
        let text = "From a Thu Nov 21 15:45:40 2024\nS: 1\n\nx\nFrom y\n\nFrom b\r\nS: 2\r\n\r\n\r\n\
                    From c\n\nFrom d\nlast";
        let one = ("S: 1\n\nx\nFrom y\n".to_owned(), Some(1_732_203_940));
        let rest = ["S: 2\r\n\r\n", "", "last"].map(|text| (text.to_owned(), None));
        assert_eq!(spans(text), [vec![one], rest.to_vec()].concat());
        assert!(spans("").is_empty() && spans("no mbox\n").is_empty());
    }

    #[test]
    fn a_line_of_any_length_is_passed() {
        let text = format!("From x\nA: {}\n\n\nFrom y\nB: 1\n", "z".repeat(300_000));
        let lengths: Vec<usize> = spans(&text).iter().map(|(text, _)| text.len()).collect();
        assert_eq!(lengths, [300_005, 5]);
    }

    #[test]
    fn quotes_come_off_as_they_were_put_on_wherever_octets_are_cut() {
        let quoted = b">From a\r\n>>From b\n>Fro\n> From\nFrom\n>>";
        for (quoting, wanted) in [
            (Quoting::Mboxrd, &b"From a\r\n>From b\n>Fro\n> From\nFrom\n>>"[..]),
            (Quoting::Mboxo, b"From a\r\n>>From b\n>Fro\n> From\nFrom\n>>"),
        ] {
            for step in 1..quoted.len() {
                let (mut unquoter, mut to) = (Unquoter::new(quoting), Vec::new());
                quoted.chunks(step).for_each(|part| unquoter.write(part, &mut to).unwrap());
                unquoter.end(&mut to).unwrap();
                assert_eq!(to, wanted, "{step}");
            }
        }
    }
}

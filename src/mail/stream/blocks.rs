//! A message in a file, read in blocks: lines and header sections as `fields` and `split` see them.
//!
//! Of a line only its beginning is kept. Where a line is longer, it is no boundary, and a field's
//! name that goes on is none: the one difference to a message in memory.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use super::{Failure, Sizes};
use crate::mail::fields::{field_name, is_folded};
use crate::mail::split::{Boundaries, Hit, Section, Source};

/// Reads octets at any place; the [`Source`] goes over them from the top.
pub(super) struct Blocks<R> {
    reader: R,
    sizes: Sizes,
    /// What was read last, and where it stands.
    block: Vec<u8>,
    base: u64,
    /// Where the source is.
    at: u64,
    /// The beginning of the line that was looked at last.
    head: Vec<u8>,
    section: Vec<u8>,
}

/// A line, its line end included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) start: u64,
    pub(super) end: u64,
    /// The end without blanks and line end.
    pub(super) trimmed: u64,
    pub(super) ending: &'static [u8],
}

/// Takes pieces of content.
pub(super) type Pieces<'a, E> = &'a mut dyn FnMut(&[u8]) -> Result<(), Failure<E>>;

impl<R: Read + Seek> Blocks<R> {
    pub(super) fn new(reader: R, sizes: Sizes) -> Self {
        let (block, head, section) = (Vec::new(), Vec::new(), Vec::new());
        Self { reader, sizes, block, base: 0, at: 0, head, section }
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Goes back to the top.
    pub(super) fn rewind(&mut self) {
        self.at = 0;
    }

    /// Hands over the octets of a range, piece by piece.
    pub(super) fn each<E>(
        &mut self,
        range: &Range<u64>,
        to: Pieces<'_, E>,
    ) -> Result<(), Failure<E>> {
        let mut at = range.start;
        while at < range.end {
            let piece = self.slice(at, range.end)?;
            if piece.is_empty() {
                // The file has become shorter, which nobody but us should do.
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            at = at.saturating_add(piece.len() as u64);
            to(piece)?;
        }
        Ok(())
    }

    /// The line that begins at `start`, but nothing from `end` on; `None` when nothing is there.
    /// [`Blocks::head`] has its beginning.
    pub(super) fn line(&mut self, start: u64, end: u64) -> io::Result<Option<Line>> {
        let mut head = std::mem::take(&mut self.head);
        head.clear();
        let kept = self.sizes.line;
        let mut line = Line { start, end: start, trimmed: start, ending: b"" };
        let mut last_is_cr = false;
        while line.ending.is_empty() {
            let rest = self.slice(line.end, end)?;
            if rest.is_empty() {
                break;
            }
            let lf = memchr::memchr(b'\n', rest);
            let piece = lf.and_then(|lf| rest.get(..=lf)).unwrap_or(rest);
            head.extend(piece.iter().take(kept.saturating_sub(head.len())));
            if let Some(last) = piece.iter().rposition(|octet| !octet.is_ascii_whitespace()) {
                line.trimmed = line.end.saturating_add(last as u64).saturating_add(1);
            }
            line.ending = match piece {
                [.., b'\r', b'\n'] => b"\r\n",
                [b'\n'] if last_is_cr => b"\r\n",
                [.., b'\n'] => b"\n",
                _ => b"",
            };
            last_is_cr = piece.last() == Some(&b'\r');
            line.end = line.end.saturating_add(piece.len() as u64);
        }
        self.head = head;
        Ok(Some(line).filter(|line| line.end > line.start))
    }

    /// The beginning of the line that was looked at last.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The whole line that was looked at last, without blanks and line end; `None` when it is too
    /// long for a boundary.
    fn trimmed(&self, line: &Line) -> Option<&[u8]> {
        let length = usize::try_from(line.trimmed.saturating_sub(line.start)).ok()?;
        self.head.get(..length)
    }

    /// Some octets from `at` on, none from `end` on; empty at the file's end.
    fn slice(&mut self, at: u64, end: u64) -> io::Result<&[u8]> {
        let loaded = self.base.saturating_add(self.block.len() as u64);
        if !(self.base..loaded).contains(&at) && at < end {
            self.block.clear();
            self.base = at;
            self.reader.seek(SeekFrom::Start(at))?;
            self.reader.by_ref().take(self.sizes.block).read_to_end(&mut self.block)?;
        }
        let from = usize::try_from(at.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let rest = self.block.get(from..).unwrap_or_default();
        let most = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
        Ok(rest.get(..most).unwrap_or(rest))
    }

    /// Whether the line that was looked at last begins a field.
    fn is_field(&self) -> bool {
        field_name(&self.head).is_some()
    }

    fn stops(&self, line: &Line, stop: &dyn Fn(&[u8]) -> bool) -> bool {
        self.trimmed(line).is_some_and(stop)
    }

    /// Adds a line to the header section, as far as the limit.
    fn keep(&mut self, line: &Line, limit: usize) -> io::Result<()> {
        let mut section = std::mem::take(&mut self.section);
        let room = limit.saturating_sub(section.len()) as u64;
        let range = line.start..line.end.min(line.start.saturating_add(room));
        let kept = self.each::<io::Error>(&range, &mut |piece| {
            section.extend_from_slice(piece);
            Ok(())
        });
        self.section = section;
        kept.map_err(|failure| match failure {
            Failure::Read(error) | Failure::Sink(error) => error,
        })
    }
}

impl<R: Read + Seek> Source for Blocks<R> {
    type Body = Range<u64>;
    type Error = io::Error;

    /// As `fields::section_end`, line by line.
    fn section(&mut self, limit: usize, stop: &dyn Fn(&[u8]) -> bool) -> io::Result<Section<'_>> {
        let start = self.at;
        self.section.clear();
        let mut end = start;
        while let Some(line) = self.line(self.at, u64::MAX)? {
            if matches!(self.head(), b"\n" | b"\r\n") {
                self.at = line.end;
                break;
            }
            if self.stops(&line, stop) {
                break;
            }
            let belongs = is_folded(self.head()) || self.is_field() || {
                let follower = self.line(line.end, u64::MAX)?;
                follower.is_some_and(|line| self.is_field() && !self.stops(&line, stop))
            };
            if !belongs {
                break;
            }
            self.keep(&line, limit)?;
            self.at = line.end;
            end = line.end;
        }
        Ok(Section { kept: &self.section, size: end.saturating_sub(start) })
    }

    fn seek(&mut self, boundary: Boundaries<'_>) -> io::Result<(Option<Hit>, Range<u64>)> {
        let start = self.at;
        let mut body_end = start;
        while let Some(line) = self.line(self.at, u64::MAX)? {
            self.at = line.end;
            if self.head.starts_with(b"--")
                && let Some(hit) = self.trimmed(&line).and_then(boundary)
            {
                return Ok((Some(hit), start..body_end));
            }
            body_end = line.end.saturating_sub(line.ending.len() as u64);
        }
        Ok((None, start..self.at))
    }
}

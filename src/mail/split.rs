//! Takes a message apart at its boundaries (RFC 2046 §5.1), without decoding anything.
//!
//! By hand and not by `mail_parser`, which opens attached messages, searches each missing boundary
//! to the end of the message again and takes `--boundary` in the middle of a line for one. Here
//! every line is looked at once, nothing recurses, and a nested part ends where any part around it
//! ends. A message/rfc822 part is one part.

use std::convert::Infallible;

use super::facts::{Limits, WarningCode, Warnings};
use super::fields::{fields, line_end, section_end};
use super::parameters::Parameters;

/// One part that holds no other parts.
#[derive(Debug)]
pub(super) struct Part<B> {
    pub(super) mime: Mime,
    /// Between the header section and the line end before the boundary.
    pub(super) body: B,
    pub(super) place: Place,
}

/// Octets that are gone through once, from the top: in memory, or in a file.
pub(super) trait Source {
    /// What names a part's body.
    type Body;
    /// Why octets can't be had.
    type Error;

    /// Goes past the header section that begins here: to the end that
    /// [`section_end`] says, with `stop` as there.
    fn section(
        &mut self,
        limit: usize,
        stop: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Section<'_>, Self::Error>;

    /// Goes past the next line that `boundary` knows; what lies before it is the body, without the
    /// line end that belongs to the boundary (RFC 2046 §5.1.1).
    fn seek(&mut self, boundary: Boundaries<'_>) -> Result<(Option<Hit>, Self::Body), Self::Error>;
}

/// Tells which boundary a line is; blanks and line end after the line don't matter.
pub(super) type Boundaries<'a> = &'a dyn Fn(&[u8]) -> Option<Hit>;

/// A header section.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// Its octets, as far as the limit.
    pub(super) kept: &'a [u8],
    /// How many it has.
    pub(super) size: u64,
}

/// Where a part stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// In a multipart/alternative.
    Alternative,
    /// In a multipart/digest, whose parts are messages unless they say otherwise.
    Digest,
    /// In another multipart.
    Mixed,
    /// It is the message's only part.
    Root,
}

/// What a part's header section says of its content (RFC 2045, 2183).
#[derive(Debug, Default)]
pub(super) struct Mime {
    pub(super) content_type: Parameters,
    pub(super) disposition: Parameters,
    /// In lower case, without comments; empty when there is none.
    pub(super) encoding: String,
    pub(super) content_id: Option<String>,
}

impl Mime {
    fn read(header: &[u8], warnings: &mut Warnings) -> Self {
        let mut mime = Self::default();
        for field in fields(header) {
            if field.is("Content-Type") && mime.content_type.value.is_empty() {
                mime.content_type = Parameters::read(field, warnings);
            } else if field.is("Content-Disposition") && mime.disposition.value.is_empty() {
                mime.disposition = Parameters::read(field, warnings);
            } else if field.is("Content-Transfer-Encoding") && mime.encoding.is_empty() {
                // It has the syntax of a Content-Type without parameters.
                mime.encoding = Parameters::read(field, warnings).value;
            } else if field.is("Content-ID") && mime.content_id.is_none() {
                mime.content_id = super::decode::ids(field, warnings).into_iter().next();
            }
        }
        mime
    }
}

/// A multipart whose end has not come yet.
#[derive(Debug)]
struct Open {
    boundary: Vec<u8>,
    place: Place,
}

/// A boundary line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    /// Which of the open multiparts it belongs to.
    level: usize,
    /// Whether it ends that multipart.
    closing: bool,
}

/// Gives the parts of a message, in its order.
pub(super) struct Splitter<'w, S> {
    pub(super) source: S,
    open: Vec<Open>,
    /// Where the next part stands; `None` at the message's end.
    next: Option<Place>,
    given: usize,
    limits: Limits,
    warnings: &'w mut Warnings,
}

/// The parts of a message, in its order.
pub(super) fn split<'a>(
    octets: &'a [u8],
    limits: &Limits,
    warnings: &mut Warnings,
) -> Vec<Part<&'a [u8]>> {
    let mut splitter = Splitter::new(Octets { octets, at: 0 }, limits, warnings);
    let mut parts = Vec::new();
    while let Ok(Some(part)) = splitter.next_part() {
        parts.push(part);
    }
    parts
}

impl<'w, S: Source> Splitter<'w, S> {
    /// Of a message that begins where the source is.
    pub(super) fn new(source: S, limits: &Limits, warnings: &'w mut Warnings) -> Self {
        let (open, next) = (Vec::new(), Some(Place::Root));
        Self { source, open, next, given: 0, limits: *limits, warnings }
    }

    /// The next part; `None` at the message's end.
    pub(super) fn next_part(&mut self) -> Result<Option<Part<S::Body>>, S::Error> {
        while let Some(place) = self.next {
            if self.given >= self.limits.parts {
                let detail = format!("only the first {} parts are looked at", self.limits.parts);
                self.warnings.add(WarningCode::PartsTruncated, detail);
                self.next = None;
                break;
            }
            let (part, hit) = self.part(place)?;
            self.next = self.resume(hit)?;
            if part.is_some() {
                self.given = self.given.saturating_add(1);
                return Ok(part);
            }
        }
        Ok(None)
    }

    /// Reads one part, if one is there, and the boundary line after it.
    fn part(&mut self, place: Place) -> Result<Found<S::Body>, S::Error> {
        let mime = self.header()?;
        let boundary = mime.content_type.get("boundary").map(|b| b.as_bytes().to_vec());
        let is_multipart = mime.content_type.value.starts_with("multipart/");
        let (Some(boundary), true) = (boundary, is_multipart) else {
            if is_multipart {
                self.warnings.add(WarningCode::BoundaryMissing, "no boundary parameter");
            }
            let (hit, body) = self.seek()?;
            return Ok((Some(Part { mime, body, place }), hit));
        };
        if self.open.len() >= self.limits.nesting {
            let detail = format!("multiparts deeper than {}", self.limits.nesting);
            self.warnings.add(WarningCode::NestingTooDeep, detail);
            return Ok((None, self.seek()?.0));
        }
        let inside = match mime.content_type.value.as_str() {
            "multipart/alternative" => Place::Alternative,
            "multipart/digest" => Place::Digest,
            _ => Place::Mixed,
        };
        let level = self.open.len();
        self.open.push(Open { boundary, place: inside });
        let (hit, body) = self.seek()?;
        if hit.is_some_and(|hit| hit.level == level && !hit.closing) {
            return Ok((None, hit));
        }
        self.warnings.add(WarningCode::BoundaryMissing, "the boundary occurs nowhere");
        if hit.is_none_or(|hit| hit.level != level) {
            self.open.pop();
        }
        Ok((Some(Part { mime, body, place }), hit))
    }

    fn header(&mut self) -> Result<Mime, S::Error> {
        let open = &self.open;
        let stop = |line: &[u8]| boundary(open, line).is_some();
        let section = self.source.section(self.limits.header, &stop)?;
        if section.size > section.kept.len() as u64 {
            let detail = format!("header section of {} octets", section.size);
            self.warnings.add(WarningCode::HeaderTruncated, detail);
        }
        Ok(Mime::read(section.kept, self.warnings))
    }

    fn seek(&mut self) -> Result<(Option<Hit>, S::Body), S::Error> {
        let open = &self.open;
        self.source.seek(&|line| boundary(open, line))
    }

    /// Closes what a boundary line closes, passes over epilogues, and says where the next part
    /// stands; `None` at the message's end.
    fn resume(&mut self, mut hit: Option<Hit>) -> Result<Option<Place>, S::Error> {
        loop {
            let Some(Hit { level, closing }) = hit else {
                if !self.open.is_empty() {
                    self.warnings.add(WarningCode::BoundaryUnclosed, "the end boundary is missing");
                }
                return Ok(None);
            };
            if self.open.len() > level.saturating_add(1) {
                self.warnings
                    .add(WarningCode::BoundaryUnclosed, "an inner end boundary is missing");
            }
            self.open.truncate(level.saturating_add(1));
            if !closing {
                return Ok(self.open.last().map(|open| open.place));
            }
            self.open.pop();
            if self.open.is_empty() {
                return Ok(None);
            }
            (hit, _) = self.seek()?;
        }
    }
}

/// A part, and the boundary line after it.
type Found<B> = (Option<Part<B>>, Option<Hit>);

/// Which open multipart's boundary a line is, the innermost first.
fn boundary(open: &[Open], line: &[u8]) -> Option<Hit> {
    let rest = line.strip_prefix(b"--")?.trim_ascii_end();
    open.iter().enumerate().rev().find_map(|(level, open)| {
        let after = rest.strip_prefix(open.boundary.as_slice())?;
        match after {
            b"" => Some(Hit { level, closing: false }),
            b"--" => Some(Hit { level, closing: true }),
            _ => None,
        }
    })
}

/// A message in memory.
struct Octets<'a> {
    octets: &'a [u8],
    /// The first octet that was not looked at yet; always the beginning of a line.
    at: usize,
}

impl<'a> Source for Octets<'a> {
    type Body = &'a [u8];
    type Error = Infallible;

    fn section(
        &mut self,
        limit: usize,
        stop: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Section<'_>, Infallible> {
        let start = self.at;
        let end = section_end(self.octets, start, stop);
        self.at = end.body;
        let header = self.octets.get(start..end.header).unwrap_or_default();
        let kept = header.get(..limit).unwrap_or(header);
        Ok(Section { kept, size: header.len() as u64 })
    }

    fn seek(&mut self, boundary: Boundaries<'_>) -> Result<(Option<Hit>, &'a [u8]), Infallible> {
        let start = self.at;
        while self.at < self.octets.len() {
            let begin = self.at;
            self.at = line_end(self.octets, begin);
            let line = self.octets.get(begin..self.at).unwrap_or_default();
            if let Some(hit) = boundary(line) {
                let body = self.octets.get(start..begin).unwrap_or_default();
                let body = body.strip_suffix(b"\n").unwrap_or(body);
                return Ok((Some(hit), body.strip_suffix(b"\r").unwrap_or(body)));
            }
        }
        Ok((None, self.octets.get(start..).unwrap_or_default()))
    }
}

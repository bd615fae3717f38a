//! Takes a message apart that is too large for memory: parts go straight from its file to a sink.
//!
//! The rules are those of [`parse`](super::parse), and so is their code where a whole message is
//! not needed; for every message that both can read the results are equal, except for what
//! `tests` lists. A decision that needs to know what comes later (whether a boundary occurs at
//! all, whether base64 is sound, whether a text is UTF-8) is taken by reading the part twice.
//! Memory: one header section, a few blocks, and a body of at most [`Sizes::gather`].

mod blocks;
mod text;
mod transfer;

use std::io::{self, Read, Seek};
use std::ops::Range;

use super::facts::{Attachment, Facts, Limits, WarningCode, Warnings};
use super::parts::{self, Encoding, Role};
use super::split::{Part, Source, Splitter};
use super::{decode, failed, guarded, header};

use self::blocks::Blocks;
use self::transfer::Coded;

/// Takes what is found in a message, in its order.
///
/// Text and HTML come as UTF-8 with LF line ends, bodies already joined; the first call makes the
/// body even when it brings nothing.
pub trait Sink {
    /// Why it can't take more.
    type Error;

    /// More of the plain-text body.
    fn text(&mut self, text: &str) -> Result<(), Self::Error>;

    /// More of the HTML body.
    fn html(&mut self, text: &str) -> Result<(), Self::Error>;

    /// Begins an attachment, whose content comes as [`Sink::data`]; `head` holds none of it.
    fn attachment(&mut self, head: Attachment<'static>) -> Result<(), Self::Error>;

    /// More of the attachment's content.
    fn data(&mut self, octets: &[u8]) -> Result<(), Self::Error>;

    /// Ends the attachment.
    fn end(&mut self) -> Result<(), Self::Error>;

    /// The parser failed: what came is not to be kept.
    fn abandon(&mut self) -> Result<(), Self::Error>;
}

/// Why a message could not be taken apart; never the message's fault.
#[derive(Debug)]
pub enum Failure<E> {
    /// It could not be read.
    Read(io::Error),
    /// The sink could not take more.
    Sink(E),
}

impl<E> From<io::Error> for Failure<E> {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// Reads a message of `size` octets, which begins where `reader` does, and hands its bodies and
/// attachments to the sink; the facts have none of them.
pub fn extract<R: Read + Seek, S: Sink>(
    reader: R,
    size: u64,
    limits: &Limits,
    sink: &mut S,
) -> Result<Facts<'static>, Failure<S::Error>> {
    extract_by(Blocks::new(reader, Sizes::default()), size, limits, sink)
}

/// How much is held in memory.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// Octets of a read.
    block: u64,
    /// Octets of a line that are kept.
    line: usize,
    /// Octets of a body that is decoded at once.
    gather: usize,
    /// Octets of an attached message that may hold its subject.
    nested_header: u64,
    /// Octets of all names and types of attachments, which are kept to the end.
    names: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            block: 256 << 10,
            line: 64 << 10,
            gather: 4 << 20,
            nested_header: 512 << 10,
            names: 4 << 20,
        }
    }
}

fn extract_by<R: Read + Seek, S: Sink>(
    mut blocks: Blocks<R>,
    size: u64,
    limits: &Limits,
    sink: &mut S,
) -> Result<Facts<'static>, Failure<S::Error>> {
    let mut facts = Facts::default();
    let done = guarded(|| {
        let mut warnings = Warnings::default();
        let section = blocks.section(limits.header, &|_| false)?;
        header::warn_of_size(section.size, limits.header, &mut warnings);
        facts = header::read(section.kept, &mut warnings);
        blocks.rewind();
        let sizes = blocks.sizes();
        let mut splitter = Splitter::new(blocks, limits, &mut warnings);
        let mut extractor = Extractor::new(size, limits, sizes, sink);
        while let Some(part) = splitter.next_part()? {
            extractor.part(&mut splitter.source, &part)?;
        }
        let found = extractor.warnings;
        drop(splitter);
        for warning in found.into_vec() {
            warnings.add(warning.code, warning.detail);
        }
        facts.warnings = warnings.into_vec();
        Ok(())
    });
    match done {
        Some(done) => done.map(|()| facts),
        None => sink.abandon().map(|()| failed(facts)).map_err(Failure::Sink),
    }
}

/// Tells bodies from attachments, decodes both, and counts.
struct Extractor<'s, S> {
    sink: &'s mut S,
    sizes: Sizes,
    /// Decoded octets that may still come.
    budget: usize,
    /// Attachments that may still come,
    files: usize,
    /// of this many at most.
    limit: usize,
    text: Joined,
    html: Joined,
    warnings: Warnings,
}

/// What there is of a body: nothing, or its last octet.
#[derive(Clone, Copy, Debug, Default)]
struct Joined(Option<u8>);

impl<'s, S: Sink> Extractor<'s, S> {
    fn new(size: u64, limits: &Limits, sizes: Sizes, sink: &'s mut S) -> Self {
        let budget = parts::budget(usize::try_from(size).unwrap_or(usize::MAX), limits);
        let (text, html) = (Joined::default(), Joined::default());
        let (files, limit) = (limits.files, limits.files);
        Self { sink, sizes, budget, files, limit, text, html, warnings: Warnings::default() }
    }

    fn part<R: Read + Seek>(
        &mut self,
        blocks: &mut Blocks<R>,
        part: &Part<Range<u64>>,
    ) -> Result<(), Failure<S::Error>> {
        match parts::role(part) {
            role @ (Role::Text | Role::Html) => self.body(blocks, part, role),
            _ if self.files == 0 => {
                let detail = format!("only the first {} attachments are kept", self.limit);
                self.warnings.add(WarningCode::PartsTruncated, detail);
                Ok(())
            }
            role => self.attachment(blocks, part, role),
        }
    }

    fn body<R: Read + Seek>(
        &mut self,
        blocks: &mut Blocks<R>,
        part: &Part<Range<u64>>,
        role: Role,
    ) -> Result<(), Failure<S::Error>> {
        let coded = self.coded(blocks, part)?;
        let charset = part.mime.content_type.get("charset");
        let sizes = self.sizes;
        let mut warnings = std::mem::take(&mut self.warnings);
        let mut exhausted = false;
        let mut begun = false;
        let mut to = |text: &str| {
            if text.is_empty() || exhausted {
                return Ok(());
            }
            exhausted = self.push(text, role, !begun).map_err(Failure::Sink)?;
            begun = true;
            Ok(())
        };
        let read = if coded.size() <= sizes.gather as u64 {
            let octets = coded.gather(blocks)?;
            to(&decode::with_lf(decode::text(octets.into(), charset, &mut warnings)))
        } else {
            text::read(blocks, &coded, charset, (&sizes, &mut warnings), &mut to)
        };
        if exhausted {
            warnings.add(WarningCode::DecodedTruncated, parts::EXHAUSTED);
        }
        self.warnings = warnings;
        read
    }

    /// Hands a piece of a body on, as far as the budget goes; says whether it was too much.
    fn push(&mut self, text: &str, role: Role, first: bool) -> Result<bool, S::Error> {
        let kept = text.get(..text.floor_char_boundary(self.budget)).unwrap_or(text);
        self.budget = self.budget.saturating_sub(kept.len());
        let joined = if role == Role::Html { &mut self.html } else { &mut self.text };
        let joint = match joined.0.filter(|_| first) {
            Some(last) => parts::joint(last == b'\n'),
            None => "",
        };
        let last = kept.bytes().last().or(joint.bytes().last());
        joined.0 = last.or(joined.0).or(Some(0));
        for piece in [joint, kept] {
            match role {
                Role::Html => self.sink.html(piece)?,
                _ => self.sink.text(piece)?,
            }
        }
        Ok(kept.len() < text.len())
    }

    fn attachment<R: Read + Seek>(
        &mut self,
        blocks: &mut Blocks<R>,
        part: &Part<Range<u64>>,
        role: Role,
    ) -> Result<(), Failure<S::Error>> {
        let coded = self.coded(blocks, part)?;
        if self.is_too_large(blocks, &coded)? {
            self.warnings.add(WarningCode::DecodedTruncated, parts::EXHAUSTED);
            return Ok(());
        }
        let of_name = if role == Role::Message && parts::sent_name(&part.mime).is_none() {
            coded.first(self.sizes.nested_header).gather(blocks)?
        } else {
            Vec::new()
        };
        let mut head = parts::attachment_of(&part.mime, role, of_name.into());
        head.octets = Vec::new().into();
        let Some(names) = self.sizes.names.checked_sub(length(&head)) else {
            self.warnings.add(WarningCode::PartsTruncated, "the names of attachments are too long");
            return Ok(());
        };
        self.sizes.names = names;
        self.files = self.files.saturating_sub(1);
        self.sink.attachment(head).map_err(Failure::Sink)?;
        coded.decode(blocks, &mut |piece| {
            self.budget = self.budget.saturating_sub(piece.len());
            self.sink.data(piece).map_err(Failure::Sink)
        })?;
        self.sink.end().map_err(Failure::Sink)
    }

    fn coded<R: Read + Seek>(
        &mut self,
        blocks: &mut Blocks<R>,
        part: &Part<Range<u64>>,
    ) -> Result<Coded, Failure<S::Error>> {
        let encoding = Encoding::of(&part.mime, &mut self.warnings);
        let coded = Coded::look(blocks, part.body.clone(), encoding)?;
        if !coded.sound {
            parts::broken(&part.mime, &mut self.warnings);
        }
        Ok(coded)
    }

    /// Counts only where it matters: decoded is never more than encoded.
    fn is_too_large<R: Read + Seek>(
        &self,
        blocks: &mut Blocks<R>,
        coded: &Coded,
    ) -> Result<bool, Failure<S::Error>> {
        if coded.size() <= self.budget as u64 {
            return Ok(false);
        }
        let mut size = 0_usize;
        coded.decode(blocks, &mut |piece| {
            size = size.saturating_add(piece.len());
            Ok(())
        })?;
        Ok(size > self.budget)
    }
}

/// Octets of an attachment's words.
fn length(head: &Attachment<'_>) -> usize {
    let optional = [&head.name, &head.disposition, &head.content_id];
    let words = optional.iter().filter_map(|word| word.as_ref());
    words.fold(head.content_type.len(), |sum, word| sum.saturating_add(word.len()))
}

#[cfg(test)]
mod tests;

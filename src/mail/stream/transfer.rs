//! Undoes transfer encodings of octets in a file, in bounded memory (RFC 2045 §6.7, §6.8).

use std::io::{Read, Seek};
use std::ops::Range;

use super::Failure;
use super::blocks::{Blocks, Line, Pieces};
use crate::mail::decode;
use crate::mail::parts::Encoding;

/// Content in its transfer encoding.
#[derive(Clone, Debug)]
pub(super) struct Coded {
    pub(super) range: Range<u64>,
    encoding: Encoding,
    /// Whether it holds only what it may.
    pub(super) sound: bool,
}

impl Coded {
    /// Looks through the octets of a range.
    pub(super) fn look<R: Read + Seek, E>(
        blocks: &mut Blocks<R>,
        range: Range<u64>,
        encoding: Encoding,
    ) -> Result<Self, Failure<E>> {
        let sound = match encoding {
            Encoding::Identity => true,
            Encoding::Base64 => is_base64(blocks, &range)?,
            Encoding::QuotedPrintable => quoted_printable(blocks, &range, &mut |_| Ok(()))?,
        };
        Ok(Self { range, encoding, sound })
    }

    /// Octets as they stand in the message.
    pub(super) fn size(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// The first octets only.
    pub(super) fn first(&self, size: u64) -> Self {
        let end = self.range.end.min(self.range.start.saturating_add(size));
        Self { range: self.range.start..end, ..*self }
    }

    /// Hands over the decoded octets, piece by piece.
    pub(super) fn decode<R: Read + Seek, E>(
        &self,
        blocks: &mut Blocks<R>,
        to: Pieces<'_, E>,
    ) -> Result<(), Failure<E>> {
        match self.encoding {
            Encoding::Identity => blocks.each(&self.range, to),
            Encoding::Base64 => base64(blocks, self, to),
            Encoding::QuotedPrintable => quoted_printable(blocks, &self.range, to).map(|_| ()),
        }
    }

    /// All decoded octets.
    pub(super) fn gather<R: Read + Seek, E>(
        &self,
        blocks: &mut Blocks<R>,
    ) -> Result<Vec<u8>, Failure<E>> {
        let mut octets = Vec::new();
        self.decode(blocks, &mut |piece| {
            octets.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(octets)
    }
}

/// What ends base64 for `mail_parser`, soundly: its mark for "nothing".
const STOP: u8 = u8::MAX;

fn is_in_alphabet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/')
}

fn is_base64<R: Read + Seek, E>(
    blocks: &mut Blocks<R>,
    range: &Range<u64>,
) -> Result<bool, Failure<E>> {
    let mut end = None;
    blocks.each(range, &mut |piece| {
        let may = |octet: u8| {
            is_in_alphabet(octet) || matches!(octet, b'=' | b' ' | b'\t' | b'\r' | b'\n')
        };
        end = end.or_else(|| piece.iter().copied().find(|octet| !may(*octet)));
        Ok(())
    })?;
    Ok(end.is_none_or(|octet| octet == STOP))
}

/// As `decode::base64`: when all is sound, padding stands anywhere, else it ends the content.
fn base64<R: Read + Seek, E>(
    blocks: &mut Blocks<R>,
    coded: &Coded,
    to: Pieces<'_, E>,
) -> Result<(), Failure<E>> {
    let mut group = Vec::new();
    let mut ended = false;
    blocks.each(&coded.range, &mut |piece| {
        let mut out = Vec::new();
        for octet in piece.iter().copied() {
            if ended {
                break;
            }
            match octet {
                _ if is_in_alphabet(octet) => group.push(octet),
                b'=' if coded.sound => {
                    out.append(&mut decode::base64(&group).0);
                    group.clear();
                }
                b'=' => ended = true,
                STOP if coded.sound => ended = true,
                _ => {}
            }
        }
        let left = group.split_off(group.len() & !3);
        out.append(&mut decode::base64(&group).0);
        group = left;
        to(&out)
    })?;
    to(&decode::base64(&group).0)
}

/// Says whether it was sound.
fn quoted_printable<R: Read + Seek, E>(
    blocks: &mut Blocks<R>,
    range: &Range<u64>,
    to: Pieces<'_, E>,
) -> Result<bool, Failure<E>> {
    let mut sound = true;
    let mut at = range.start;
    while let Some(line) = blocks.line(at, range.end)? {
        at = line.end;
        sound &= if line.end.saturating_sub(line.start) <= blocks.head().len() as u64 {
            let (out, sound) = decode::quoted_printable(blocks.head());
            to(&out)?;
            sound
        } else {
            long_line(blocks, &line, to)?
        };
    }
    Ok(sound)
}

/// A line of which only the beginning is in memory.
fn long_line<R: Read + Seek, E>(
    blocks: &mut Blocks<R>,
    line: &Line,
    to: Pieces<'_, E>,
) -> Result<bool, Failure<E>> {
    let before_last = line.trimmed.saturating_sub(1).max(line.start);
    let mut last = 0;
    blocks.each::<E>(&(before_last..line.trimmed), &mut |piece| {
        last = piece.last().copied().unwrap_or(0);
        Ok(())
    })?;
    let soft = last == b'=';
    let end = if soft { before_last } else { line.trimmed };
    let mut sound = true;
    let mut held: Vec<u8> = Vec::new();
    blocks.each(&(line.start..end), &mut |piece| {
        held.extend_from_slice(piece);
        let keep = match held.as_slice() {
            [.., b'='] => 1,
            [.., b'=', _] => 2,
            _ => 0,
        };
        let left = held.split_off(held.len().saturating_sub(keep));
        let mut out = Vec::new();
        sound &= decode::quoted_octets(&held, &mut out);
        held = left;
        to(&out)
    })?;
    let mut out = Vec::new();
    sound &= decode::quoted_octets(&held, &mut out);
    if !soft {
        out.extend_from_slice(line.ending);
    }
    to(&out)?;
    Ok(sound)
}

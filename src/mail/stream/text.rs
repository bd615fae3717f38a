//! A body's text as UTF-8 with LF line ends, piece by piece.
//!
//! Character sets of one octet a character, and UTF-8, need no more than the piece at hand. Of
//! others as much is read as is read at once; the rest is only in `message.eml`.

use std::io::{Read, Seek};

use super::blocks::Blocks;
use super::transfer::Coded;
use super::{Failure, Sizes};
use crate::mail::decode::{self, Charset};
use crate::mail::facts::{WarningCode, Warnings};

/// Takes pieces of text.
pub(super) type Texts<'a, E> = &'a mut dyn FnMut(&str) -> Result<(), Failure<E>>;

/// Reads a body that is too large to be decoded at once, as `decode::text` would.
pub(super) fn read<R: Read + Seek, E>(
    blocks: &mut Blocks<R>,
    coded: &Coded,
    declared: Option<&str>,
    (sizes, warnings): (&Sizes, &mut Warnings),
    to: Texts<'_, E>,
) -> Result<(), Failure<E>> {
    let charset = Charset::read(declared, warnings);
    let mut lines = Lines { to, cr: false };
    match charset.decoder {
        Some(decoder) if is_single_byte(decoder) => {
            let mut broken = false;
            coded.decode(blocks, &mut |piece| {
                let text = decoder(piece);
                broken |= text.contains('\u{fffd}');
                lines.push(&text)
            })?;
            if broken {
                warnings.add(WarningCode::CharsetBroken, charset.name);
            }
        }
        Some(_) => {
            let octets = beginning(blocks, coded, sizes.gather)?;
            let text = decode::text(octets.into(), declared, warnings);
            lines.push(&text)?;
            let detail = format!("only the beginning of a large text in {}", charset.name);
            warnings.add(WarningCode::DecodedTruncated, detail);
        }
        None if !is_utf8(blocks, coded)? && charset.not_utf8(warnings) => {
            coded.decode(blocks, &mut |piece| lines.push(&decode::windows_1252(piece)))?;
        }
        None => {
            let mut held = Vec::new();
            coded.decode(blocks, &mut |piece| {
                held.extend_from_slice(piece);
                let left = held.split_off(whole(&held));
                let text = String::from_utf8_lossy(&held);
                lines.push(&text)?;
                held = left;
                Ok(())
            })?;
            lines.push(&String::from_utf8_lossy(&held))?;
        }
    }
    lines.end()
}

fn is_utf8<R: Read + Seek, E>(blocks: &mut Blocks<R>, coded: &Coded) -> Result<bool, Failure<E>> {
    let mut valid = true;
    let mut held = Vec::new();
    coded.decode(blocks, &mut |piece| {
        if valid {
            held.extend_from_slice(piece);
            let left = held.split_off(whole(&held));
            valid = std::str::from_utf8(&held).is_ok();
            held = left;
        }
        Ok(())
    })?;
    Ok(valid && held.is_empty())
}

/// How many octets there are before a character of which more may follow.
fn whole(octets: &[u8]) -> usize {
    let begins = |length: &usize| {
        let tail = octets.get(octets.len().saturating_sub(*length)..).unwrap_or_default();
        let error = std::str::from_utf8(tail).err();
        error.is_some_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    octets.len().saturating_sub((1..=3).find(begins).unwrap_or(0))
}

/// The whole lines in the first `limit` decoded octets, or these octets when they are one line.
fn beginning<R: Read + Seek, E>(
    blocks: &mut Blocks<R>,
    coded: &Coded,
    limit: usize,
) -> Result<Vec<u8>, Failure<E>> {
    let mut octets = Vec::new();
    coded.decode(blocks, &mut |piece| {
        octets.extend(piece.iter().take(limit.saturating_sub(octets.len())));
        Ok(())
    })?;
    if let Some(last) = octets.iter().rposition(|octet| *octet == b'\n') {
        octets.truncate(last.saturating_add(1));
    }
    Ok(octets)
}

/// Whether a decoder gives the same for each octet alone as for all together.
fn is_single_byte(decoder: fn(&[u8]) -> String) -> bool {
    let same = |octets: &[u8]| {
        let alone: String = octets.iter().map(|octet| decoder(&[*octet])).collect();
        decoder(octets) == alone
    };
    // Shifts and marks of the sets that have such.
    let shifts: [&[u8]; 7] = [
        b"\x1b$B0!\x1b(B",
        b"\x1b$)C\x0e0!\x0f",
        b"~{VPND~}",
        b"+AOQ-",
        b"\xef\xbb\xbfA",
        b"\xff\xfeA\0",
        b"\xfe\xff\0A",
    ];
    let trails = [b'A', b'0', b'\n', 0x80, 0xa1, 0xbf];
    (0..=u8::MAX).all(|octet| {
        same(&[octet, octet]) && trails.iter().all(|trail| same(&[octet, *trail, octet]))
    }) && shifts.iter().all(|octets| same(octets))
}

/// Makes each CRLF an LF, across pieces.
struct Lines<'a, E> {
    to: Texts<'a, E>,
    /// A CR was held back.
    cr: bool,
}

impl<E> Lines<'_, E> {
    fn push(&mut self, piece: &str) -> Result<(), Failure<E>> {
        if piece.is_empty() {
            return Ok(());
        }
        let mut text = String::with_capacity(piece.len().saturating_add(1));
        if self.cr {
            text.push('\r');
        }
        text.push_str(piece);
        self.cr = text.ends_with('\r');
        if self.cr {
            text.pop();
        }
        (self.to)(&decode::with_lf(text))
    }

    fn end(self) -> Result<(), Failure<E>> {
        if self.cr { (self.to)("\r") } else { Ok(()) }
    }
}

//! A stored message on its way out: read from disk piece by piece, and never whole onto the wire
//! before its digest is that of what was stored.

use std::io::{Error, Result};

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

use crate::archive::root::Root;
use crate::moving::select::Found;

/// Octets that are in memory at a time.
const BLOCK: usize = 256 << 10;
/// Octets of a message that is held in memory until it is sent.
const SMALL: u64 = 1 << 20;

/// A copy that was read once and found to be what was stored.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) found: Found,
    /// `None`: it is read once more while it is sent.
    pub(super) octets: Option<Vec<u8>>,
    pub(super) has_nul: bool,
}

/// A copy that is being read. Its last piece comes only if all of it is what was stored.
pub(super) struct Reader {
    file: tokio::fs::File,
    hash: Sha256,
    left: u64,
    wanted: [u8; 32],
    block: Vec<u8>,
}

impl Reader {
    pub(super) fn open(found: &Found, root: &Root) -> Result<Self> {
        let file = tokio::fs::File::from_std(found.open(root)?);
        let (hash, left, wanted) = (Sha256::new(), found.copy.size, found.copy.sha256.0);
        Ok(Self { file, hash, left, wanted, block: vec![0; BLOCK] })
    }

    /// The next octets; none at the end.
    pub(super) async fn next(&mut self) -> Result<&[u8]> {
        let room = self.block.len();
        let most = usize::try_from(self.left).unwrap_or(room).min(room);
        let mut filled = 0;
        while filled < most {
            let room = self.block.get_mut(filled..most).unwrap_or_default();
            let n = self.file.read(room).await?;
            if n == 0 {
                return Err(Error::other("message.eml has become shorter while it was read"));
            }
            filled = filled.saturating_add(n);
        }
        let octets = self.block.get(..most).unwrap_or_default();
        self.hash.update(octets);
        self.left = self.left.saturating_sub(most as u64);
        if self.left == 0 && <[u8; 32]>::from(self.hash.clone().finalize()) != self.wanted {
            let what = "message.eml is not what was stored: its SHA-256 differs";
            return Err(Error::other(what));
        }
        Ok(octets)
    }
}

impl Ready {
    /// Reads a copy for the first time.
    pub(super) async fn read(found: Found, root: &Root) -> Result<Self> {
        let mut reader = Reader::open(&found, root)?;
        let mut kept = (found.copy.size <= SMALL).then(Vec::new);
        let mut has_nul = false;
        loop {
            let octets = reader.next().await?;
            if octets.is_empty() {
                return Ok(Self { found, octets: kept, has_nul });
            }
            has_nul |= memchr::memchr(0, octets).is_some();
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(octets);
            }
        }
    }
}

/// A digest that is the same whether line ends are LF or CRLF, and whether the last line has one:
/// servers store either.
#[derive(Debug, Default)]
pub(super) struct Canonical {
    hash: Sha256,
    octets: u64,
    after_cr: bool,
    /// Octets have come behind the last line end.
    in_line: bool,
}

impl Canonical {
    pub(super) fn add(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(at);
            let has_cr = line.last().map_or(self.after_cr, |last| *last == b'\r');
            self.put(line);
            self.put(if has_cr { b"\n" } else { b"\r\n" });
            (self.after_cr, self.in_line) = (false, false);
            rest = after.get(1..).unwrap_or_default();
        }
        self.put(rest);
        self.in_line |= !rest.is_empty();
        self.after_cr = rest.last().map_or(self.after_cr, |last| *last == b'\r');
    }

    fn put(&mut self, octets: &[u8]) {
        self.hash.update(octets);
        self.octets = self.octets.saturating_add(octets.len() as u64);
    }

    /// The digest, and how many octets it is of.
    pub(super) fn end(mut self) -> ([u8; 32], u64) {
        if self.in_line {
            self.put(b"\r\n");
        }
        (self.hash.finalize().into(), self.octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(pieces: &[&[u8]]) -> ([u8; 32], u64) {
        let mut canonical = Canonical::default();
        for piece in pieces {
            canonical.add(piece);
        }
        canonical.end()
    }

    /// How many octets of a copy are handed on when this was stored.
    async fn handed_on(copy: &[u8], stored: &[u8]) -> (usize, bool) {
        use std::io::{Seek as _, Write as _};
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(copy).unwrap();
        file.rewind().unwrap();
        let mut reader = Reader {
            file: tokio::fs::File::from_std(file),
            hash: Sha256::new(),
            left: stored.len() as u64,
            wanted: Sha256::digest(stored).into(),
            block: vec![0; 100],
        };
        let mut octets = 0;
        loop {
            match reader.next().await {
                Ok([]) => return (octets, true),
                Ok(piece) => octets = piece.len().saturating_add(octets),
                Err(_) => return (octets, false),
            }
        }
    }

    #[tokio::test]
    async fn last_piece_of_a_copy_comes_only_if_all_of_it_is_what_was_stored() {
        let stored: Vec<u8> = (0..250_u8).collect();
        assert_eq!(handed_on(&stored, &stored).await, (250, true));
        let mut changed = stored.clone();
        changed[0] ^= 1;
        assert_eq!(handed_on(&changed, &stored).await, (200, false));
        assert_eq!(handed_on(&stored[..220], &stored).await, (200, false));
        assert_eq!(handed_on(&stored[..100], &stored[..100]).await, (100, true));
        assert_eq!(handed_on(b"", b"").await, (0, true));
        assert_eq!(handed_on(b"a", b"b").await, (0, false));
    }

    #[test]
    fn line_ends_make_no_difference_however_the_octets_are_cut() {
        let with_crlf = b"a\r\n\r\nb\r\n\r\n";
        let wanted = canonical(&[with_crlf]);
        assert_eq!(wanted.1, with_crlf.len() as u64);
        for text in [&b"a\n\nb\n\n"[..], b"a\r\n\nb\n\r\n", with_crlf] {
            assert_eq!(canonical(&[text]), wanted);
            let pieces: Vec<&[u8]> = text.chunks(1).collect();
            assert_eq!(canonical(&pieces), wanted);
            for at in 0..text.len() {
                assert_eq!(canonical(&[&text[..at], &[], &text[at..]]), wanted);
            }
        }
        assert_ne!(canonical(&[b"a\r\r\n"]), canonical(&[b"a\r\n"]));
        assert_ne!(canonical(&[b"a\r"]), canonical(&[b"a\r\n"]));
        assert_eq!(canonical(&[b"a"]), canonical(&[b"a\n"]));
        assert_eq!(canonical(&[b"a\r\n", b"b"]), canonical(&[b"a\r\nb\r\n"]));
        assert_ne!(canonical(&[b""]), canonical(&[b"\r\n"]));
    }
}

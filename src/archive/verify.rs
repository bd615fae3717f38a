//! Whether a stored copy is still there, whole and unchanged.

use std::fs::File;
use std::io::{self, Read};

use rustix::io::Errno;
use serde::Deserialize;
use sha2::{Digest, Sha256 as Hasher};

use super::dir::Folder;
use crate::model::{Sha256, StoredCopy};

/// The largest `message.json` that is read.
pub(super) const MAX_JSON: u64 = 64 << 20;

/// Why a copy can't stand for its message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CopyFault {
    /// The folder or a file isn't there.
    Missing {
        /// Which file, and why.
        what: String,
    },
    /// A file can't be read just now: nothing is known of the copy.
    Unreadable {
        /// Which file, and why.
        what: String,
    },
    /// A file isn't what was written.
    Modified {
        /// Which file.
        what: String,
    },
}

impl CopyFault {
    /// The stable code of its log record.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "copy-missing",
            Self::Modified { .. } => "copy-modified",
            Self::Unreadable { .. } => "copy-unreadable",
        }
    }
}

impl std::fmt::Display for CopyFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { what } => write!(f, "missing: {what}"),
            Self::Modified { what } => write!(f, "changed: {what}"),
            Self::Unreadable { what } => write!(f, "can't be read: {what}"),
        }
    }
}

/// Reads a message folder and compares every octet that the ledger and `message.json` vouch for.
pub(super) fn verify(root: &Folder, copy: &StoredCopy) -> Result<(), CopyFault> {
    let missing = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| absent(&what, &error)
    };
    let folder = root.folder(&copy.path).map_err(missing(&copy.path))?;
    let open = |name: &str| folder.read(name).map_err(missing(name));
    compare("message.eml", open("message.eml")?, Some(copy.size), copy.sha256)?;
    let mut text = Vec::new();
    let read = open("message.json")?.take(MAX_JSON).read_to_end(&mut text);
    read.map_err(missing("message.json"))?;
    if Sha256(Hasher::digest(&text).into()) != copy.json_sha256 {
        return Err(CopyFault::Modified { what: "message.json".to_owned() });
    }
    let parts: Parts = serde_json::from_slice(&text)
        .map_err(|_| CopyFault::Modified { what: "message.json".to_owned() })?;
    let Body { text, html, text_sha256, html_sha256 } = parts.body;
    for (name, digest) in [(text, text_sha256), (html, html_sha256)] {
        let Some(name) = name else { continue };
        let file = open(&name)?;
        // Copies of older versions name their bodies without a digest.
        if let Some(digest) = digest {
            compare(&name, file, None, read_digest(&digest)?)?;
        }
    }
    for part in parts.attachments {
        let name = format!("attachments/{}", part.file);
        compare(&name, open(&name)?, Some(part.size), read_digest(&part.sha256)?)?;
    }
    Ok(())
}

fn read_digest(hex: &str) -> Result<Sha256, CopyFault> {
    let octets = data_encoding::HEXLOWER.decode(hex.as_bytes()).ok();
    octets
        .and_then(|octets| Sha256::from_slice(&octets))
        .ok_or_else(|| CopyFault::Modified { what: "message.json".to_owned() })
}

/// What `message.json` vouches for.
#[derive(Deserialize)]
pub(super) struct Parts {
    pub(super) body: Body,
    pub(super) attachments: Vec<Part>,
}

/// The bodies' files.
#[derive(Deserialize)]
pub(super) struct Body {
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
    text_sha256: Option<String>,
    html_sha256: Option<String>,
}

/// One attachment's file.
#[derive(Deserialize)]
pub(super) struct Part {
    pub(super) file: String,
    size: u64,
    sha256: String,
}

/// What a file that can't be opened or read says of the copy: a process that is short of files or
/// memory, or a disk that fails for a moment, says nothing.
pub(super) fn absent(name: &str, error: &io::Error) -> CopyFault {
    let what = format!("{name}: {error}");
    match Errno::from_io_error(error) {
        Some(
            Errno::AGAIN
            | Errno::INTR
            | Errno::IO
            | Errno::MFILE
            | Errno::NFILE
            | Errno::NOMEM
            | Errno::STALE
            | Errno::TIMEDOUT,
        ) => CopyFault::Unreadable { what },
        _ => CopyFault::Missing { what },
    }
}

fn compare(name: &str, file: File, size: Option<u64>, want: Sha256) -> Result<(), CopyFault> {
    let modified = || CopyFault::Modified { what: name.to_owned() };
    let missing = |error: io::Error| absent(name, &error);
    let length = file.metadata().map_err(missing)?.len();
    if size.is_some_and(|size| size != length) {
        return Err(modified());
    }
    let (digest, _) = digest(file).map_err(missing)?;
    if digest == want { Ok(()) } else { Err(modified()) }
}

/// Digest and size of what a reader gives, in constant memory.
pub fn digest(mut from: impl Read) -> io::Result<(Sha256, u64)> {
    let mut hash = Hasher::new();
    let mut block = vec![0_u8; 128 << 10];
    let mut size = 0_u64;
    loop {
        let n = match from.read(&mut block) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(block.get(..n).unwrap_or_default());
        size = size.saturating_add(n as u64);
    }
    Ok((Sha256(hash.finalize().into()), size))
}

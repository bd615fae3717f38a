//! Files copied block by block, within the time of a try.
//!
//! The time is looked at between blocks: a file system that answers no more holds up its own rule,
//! never another, and no second try is made beside one that may still write.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::rules::Trouble;

/// Octets of a file that are in memory at a time.
const BLOCK: usize = 64 << 10;

/// When a try is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    time: Duration,
    /// `None`: further away than a clock can say.
    end: Option<Instant>,
}

impl Limit {
    /// So long from now on.
    pub(super) fn of(time: Duration) -> Self {
        Self { time, end: Instant::now().checked_add(time) }
    }

    /// An error of its own kind once the time is over.
    pub(super) fn check(self) -> io::Result<()> {
        let over = self.end.is_some_and(|end| Instant::now() >= end);
        if over { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    /// What went wrong with a file, or that the time was over.
    pub(super) fn trouble(self, what: &str) -> impl Fn(io::Error) -> Trouble {
        move |error| match error.kind() {
            io::ErrorKind::TimedOut => {
                Trouble::passing("timeout", format!("{what}: not done within {:?}", self.time))
            }
            _ => Trouble::passing("file", format!("{what}: {error}")),
        }
    }
}

/// Copies all octets; their digest.
pub(super) fn copy(from: &mut File, to: &mut File, limit: Limit) -> io::Result<[u8; 32]> {
    each(from, limit, |octets| to.write_all(octets))
}

/// The digest of a file's octets.
pub(super) fn digest_of(mut file: File, limit: Limit) -> io::Result<[u8; 32]> {
    each(&mut file, limit, |_| Ok(()))
}

fn each(
    from: &mut File,
    limit: Limit,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<[u8; 32]> {
    let mut block = vec![0_u8; BLOCK];
    let mut digest = Sha256::new();
    loop {
        limit.check()?;
        let read = from.read(&mut block)?;
        if read == 0 {
            return Ok(digest.finalize().into());
        }
        let octets = block.get(..read).unwrap_or_default();
        digest.update(octets);
        take(octets)?;
    }
}

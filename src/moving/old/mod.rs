//! Old mail in files: found, read twice, and handed on as a server's would be.
//!
//! The first reading tells its digest, which is its identity; the second one goes into the archive,
//! and must bring the same.

mod find;
mod mbox;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Read as _, Result, Seek as _, SeekFrom, Write};
use std::path::PathBuf;

use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256 as Hasher};
use tokio::sync::mpsc;

use crate::mail;
use crate::mailbox::{MailboxError, Opened, Part, ReadMailbox};
use crate::model::{
    Fetch, FetchReason, Listed, Listing, MessageKey, Received, ReceivedBasis, Sha256,
};

pub use find::{Finder, Left};
pub use mbox::Quoting;
use mbox::Unquoter;

/// Octets that are in memory at a time.
const BLOCK: usize = 64 << 10;
/// Octets of a message that its dates are looked for in.
const HEADER: usize = 1 << 20;

/// A message that was found.
#[derive(Clone, Debug)]
pub struct OldMail {
    /// Where.
    pub place: Place,
    /// Flags, where its place tells them.
    pub flags: Vec<String>,
    /// Date of its file, or of its From_ line.
    pub at: Timestamp,
}

/// A message's octets in a file.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Octets before it.
    pub from: u64,
    /// Its octets there.
    pub len: u64,
    /// How lines were quoted.
    pub quoting: Option<Quoting>,
    /// The how-many-eth of the file it is, where there are several.
    pub number: Option<u64>,
}

/// What a first reading tells.
#[derive(Clone, Debug)]
pub struct Known {
    /// Of its octets.
    pub sha256: Sha256,
    /// Of its octets as a server sends them: a bare LF as CRLF.
    pub as_sent: Sha256,
    /// Its octets.
    pub size: u64,
    /// The date that will place it.
    pub received: Received,
}

impl Place {
    fn whole(path: PathBuf, len: u64) -> Self {
        Self { path, from: 0, len, quoting: None, number: None }
    }

    /// `FILE`, or `FILE, message 3`.
    pub fn shown(&self) -> String {
        match self.number {
            Some(n) => format!("{}, message {n}", self.path.display()),
            None => self.path.display().to_string(),
        }
    }

    /// Hands its octets on, piece by piece, without quotes.
    fn read(&self) -> Result<Reading> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.from))?;
        Ok(Reading { file, left: self.len, unquoter: self.quoting.map(Unquoter::new) })
    }
}

/// A file's part that is being read.
#[derive(Debug)]
struct Reading {
    file: File,
    left: u64,
    unquoter: Option<Unquoter>,
}

impl Reading {
    /// The next octets; `None` at the end. They may be none in between.
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.left == 0 {
            let Some(mut unquoter) = self.unquoter.take() else { return Ok(None) };
            let mut rest = Vec::new();
            unquoter.end(&mut rest)?;
            return Ok(Some(rest));
        }
        let most = usize::try_from(self.left).unwrap_or(BLOCK).min(BLOCK);
        let mut block = vec![0; most];
        let n = loop {
            match self.file.read(&mut block) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if n == 0 {
            return Err(Error::other("it has become shorter while it was read"));
        }
        block.truncate(n);
        self.left = self.left.saturating_sub(n as u64);
        Ok(Some(match &mut self.unquoter {
            None => block,
            Some(unquoter) => {
                let mut plain = Vec::with_capacity(block.len());
                unquoter.write(&block, &mut plain)?;
                plain
            }
        }))
    }
}

impl OldMail {
    /// Reads it for the first time.
    pub fn know(&self, now: Timestamp) -> Result<Known> {
        let (mut hash, mut sent, mut size) = (Hasher::new(), AsSent::default(), 0_u64);
        let mut header = Vec::new();
        let mut reading = self.place.read()?;
        while let Some(octets) = reading.next()? {
            hash.update(&octets);
            sent.write_all(&octets)?;
            size = size.saturating_add(octets.len() as u64);
            let room = HEADER.saturating_sub(header.len());
            header.extend(octets.iter().take(room));
        }
        Ok(Known {
            sha256: Sha256(hash.finalize().into()),
            as_sent: Sha256(sent.hash.finalize().into()),
            size,
            received: received(&header, self.at, now),
        })
    }

    /// What asks for it.
    pub fn fetch(&self, known: &Known) -> Fetch {
        Fetch {
            key: MessageKey::imported(known.sha256),
            number: 0,
            // It is no server's: nothing may ever be deleted for it.
            alone: false,
            size: Some(known.size),
            internal_date: None,
            received: Some(known.received),
            flags: self.flags.clone(),
            why: FetchReason::New,
        }
    }
}

/// The date that places it: the topmost Received field, else the Date field, else its file's. A
/// date that is still to come is none.
fn received(header: &[u8], file: Timestamp, now: Timestamp) -> Received {
    let facts = mail::header_facts(header);
    let past = |at: &Timestamp| *at <= now;
    if let Some(at) = facts.received_field.filter(past) {
        return Received { at, basis: ReceivedBasis::ReceivedField };
    }
    let at = facts.date.filter(past).unwrap_or(file).min(now);
    Received { at, basis: ReceivedBasis::FirstSeen }
}

/// Digest of octets whose line ends are made CRLF.
#[derive(Default)]
struct AsSent {
    hash: Hasher,
    last: u8,
}

impl Write for AsSent {
    fn write(&mut self, octets: &[u8]) -> Result<usize> {
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            let bare = match line {
                [b'\n'] => self.last != b'\r',
                [.., b'\r', b'\n'] => false,
                [.., b'\n'] => true,
                _ => false,
            };
            match line.split_last() {
                Some((_, before)) if bare => {
                    self.hash.update(before);
                    self.hash.update(b"\r\n");
                }
                _ => self.hash.update(line),
            }
            self.last = line.last().copied().unwrap_or(self.last);
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Messages of files, as a server's mailbox.
#[derive(Debug, Default)]
pub struct Files {
    /// By what they are called.
    pub mails: BTreeMap<MessageKey, OldMail>,
}

impl Files {
    /// Sends one message; what went wrong with it, by itself.
    async fn send(mail: &OldMail, key: &MessageKey, parts: &mpsc::Sender<Part>) -> Result<u64> {
        let (mut hash, mut size) = (Hasher::new(), 0_u64);
        let mut reading = mail.place.read()?;
        while let Some(octets) = reading.next()? {
            if octets.is_empty() {
                continue;
            }
            hash.update(&octets);
            size = size.saturating_add(octets.len() as u64);
            let sent = parts.send(Part::Data(Bytes::from(octets))).await;
            sent.map_err(|_| Error::from(ErrorKind::BrokenPipe))?;
        }
        if MessageKey::imported(Sha256(hash.finalize().into())) != *key {
            return Err(Error::other("it has changed while it was read"));
        }
        Ok(size)
    }
}

impl ReadMailbox for Files {
    async fn mailboxes(&mut self) -> std::result::Result<Vec<String>, MailboxError> {
        Ok(Vec::new())
    }

    async fn open(&mut self, _mailbox: &str) -> std::result::Result<Opened, MailboxError> {
        Ok(Opened::default())
    }

    async fn next_window(&mut self) -> std::result::Result<Option<Listing>, MailboxError> {
        Ok(None)
    }

    async fn headers(
        &mut self,
        wanted: &[Listed],
    ) -> std::result::Result<Vec<Option<Bytes>>, MailboxError> {
        Ok(vec![None; wanted.len()])
    }

    async fn fetch(
        &mut self,
        wanted: &[Fetch],
        parts: &mpsc::Sender<Part>,
    ) -> std::result::Result<(), MailboxError> {
        let gone = |_| MailboxError::Message { what: "nobody takes it".to_owned() };
        for fetch in wanted {
            let key = fetch.key.clone();
            let Some(mail) = self.mails.get(&key) else { continue };
            parts.send(Part::Begin { key: key.clone() }).await.map_err(gone)?;
            let part = match Self::send(mail, &key, parts).await {
                Ok(octets) => Part::End { octets, early: false },
                Err(error) => {
                    let what = format!("{}: {error}", mail.place.shown());
                    Part::Failed { key, error: MailboxError::Message { what } }
                }
            };
            parts.send(part).await.map_err(gone)?;
        }
        Ok(())
    }

    async fn quit(self) -> std::result::Result<(), MailboxError> {
        Ok(())
    }
}

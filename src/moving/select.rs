//! Which stored messages are meant, and the way through them: page by page of the ledger, each
//! with what its `message.json` says.

use std::fs::File;
use std::io::Read as _;

use jiff::Timestamp;

use crate::action;
use crate::archive::root::Root;
use crate::ledger::{CopyRow, Ledger, LedgerError, Tx};
use crate::query::{Moment, Query};
use crate::rules::MessageFacts;

/// Messages that are read of the ledger at a time.
const PAGE: u32 = 1000;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Received then or later,
    pub since: Timestamp,
    /// and before.
    pub until: Timestamp,
    /// What must hold.
    pub condition: Option<Query>,
    /// What times in it are judged by.
    pub moment: Moment,
}

/// A message that is meant.
#[derive(Clone, Debug)]
pub struct Found {
    /// The account, as it is called now.
    pub account: String,
    /// Its copy.
    pub copy: CopyRow,
    /// What its `message.json` says.
    pub facts: MessageFacts,
}

/// What one look brings.
#[derive(Debug)]
pub enum Look {
    /// A message that is meant.
    Found(Box<Found>),
    /// One that is not.
    Other,
    /// One whose `message.json` can't be read: where it is, and why.
    Unreadable(String, String),
}

/// A way through the copies of one account.
#[derive(Debug)]
pub struct Walk<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The archive root.
    pub root: &'a Root,
    /// What is meant.
    pub selection: &'a Selection,
    account: String,
    page: std::vec::IntoIter<CopyRow>,
    last: i64,
}

impl Selection {
    /// Whether a message is meant.
    pub fn has(&self, facts: &MessageFacts) -> bool {
        facts.received >= self.since
            && facts.received < self.until
            && self.condition.as_ref().is_none_or(|condition| condition.matches(facts))
    }
}

impl<'a> Walk<'a> {
    /// Begins at the first copy.
    pub fn new(
        ledger: &'a Ledger,
        root: &'a Root,
        selection: &'a Selection,
        account: &str,
    ) -> Self {
        let account = account.to_owned();
        Self { ledger, root, selection, account, page: Vec::new().into_iter(), last: 0 }
    }

    /// The next copy; `None` behind the last one.
    pub async fn next(&mut self) -> Result<Option<Look>, LedgerError> {
        if self.page.as_slice().is_empty() {
            let (account, last) = (self.account.clone(), self.last);
            let page = move |tx: &Tx<'_>| tx.copies_after(&account, last, PAGE);
            self.page = self.ledger.read("read stored messages", page).await?.into_iter();
        }
        let Some(copy) = self.page.next() else { return Ok(None) };
        self.last = copy.row;
        Ok(Some(match action::facts(self.root, &copy.path) {
            Err(why) => Look::Unreadable(copy.path, why),
            Ok(facts) if self.selection.has(&facts) => {
                let account = self.account.clone();
                Look::Found(Box::new(Found { account, copy, facts }))
            }
            Ok(_) => Look::Other,
        }))
    }
}

impl Found {
    /// Opens `message.eml`; one whose size is not that of the ledger is an error.
    pub fn open(&self, root: &Root) -> std::io::Result<File> {
        let file = root.folder().folder(&self.copy.path)?.read("message.eml")?;
        let (size, known) = (file.metadata()?.len(), self.copy.size);
        if size != known {
            let what = format!("message.eml has {size} octets, and had {known}");
            return Err(std::io::Error::other(what));
        }
        Ok(file)
    }

    /// Hands the octets of `message.eml` on, piece by piece; an error at the end, when they are
    /// not those that were stored.
    pub fn read(
        &self,
        root: &Root,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), ReadFault> {
        use sha2::{Digest as _, Sha256};
        let mut file = self.open(root).map_err(ReadFault::Copy)?;
        let (mut hash, mut block) = (Sha256::new(), vec![0; BLOCK]);
        loop {
            let n = match file.read(&mut block) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.map_err(ReadFault::Copy)?,
            };
            let Some(octets) = block.get(..n).filter(|octets| !octets.is_empty()) else { break };
            hash.update(octets);
            take(octets).map_err(ReadFault::Taker)?;
        }
        let digest: [u8; 32] = hash.finalize().into();
        if digest != self.copy.sha256.0 {
            let what = "message.eml is not what was stored: its SHA-256 differs";
            return Err(ReadFault::Copy(std::io::Error::other(what)));
        }
        Ok(())
    }
}

/// Octets that are in memory at a time.
const BLOCK: usize = 64 << 10;

/// Why a copy was not handed on whole.
#[derive(Debug)]
pub enum ReadFault {
    /// The copy itself can't be read, or has changed.
    Copy(std::io::Error),
    /// Who takes it failed.
    Taker(std::io::Error),
}

//! Stored messages put back into a mailbox of their account's server, each once.
//!
//! Before a message's octets go, the ledger says so; what it doesn't know the end of is looked for
//! on the server before it is sent again. A copy that is not what was stored is left out and named.
//! Not for choosing messages (`select`), nor for the commands of IMAP (`mailbox`).

mod decide;
mod letter;
mod look;
mod run;
mod send;

use serde::Serialize;

use super::select::Selection;
use crate::archive::root::Root;
use crate::config::{Inbound, Protocol, polled};
use crate::ledger::{Ledger, LedgerError};
use crate::mailbox::{MailboxError, Refusal, RefusalKind};
use crate::model::AccountName;
use crate::poll::{Clock, Keyring, PollError};

/// What is wanted.
#[derive(Debug)]
pub struct Restore<'a> {
    /// The account.
    pub config: &'a Inbound,
    /// Whose mailbox it is, as the ledger says that of accounts.
    pub origin: String,
    /// The ledger; for reading where nothing is sent.
    pub ledger: &'a Ledger,
    /// The archive root.
    pub root: &'a Root,
    /// What resolves secrets.
    pub keyring: Keyring,
    /// The clock.
    pub clock: Clock,
    /// The account's last login was refused.
    pub wary: bool,
    /// Which messages,
    pub selection: &'a Selection,
    /// and how their ids begin.
    pub id: &'a str,
    /// Where to.
    pub mailbox: &'a str,
    /// What is wanted beyond that.
    pub wish: Wish,
    /// Nothing is sent and nothing recorded.
    pub dry_run: bool,
    /// Accounts that poll the mailbox: what is put there counts as known to them.
    pub pollers: Vec<AccountName>,
}

/// What a person wants beyond what goes without a word.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Wish {
    /// A mailbox that isn't there is made.
    pub create: bool,
    /// Also what was put there before and has left.
    pub again: bool,
    /// Nothing is sent that the server shows, whatever the ledger knows of it.
    pub look: bool,
}

/// A message that was not put back.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Failed {
    /// Its folder, relative to the archive root.
    pub path: String,
    /// Why.
    pub why: String,
}

/// What came of it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Restored {
    /// The mailbox was made, or would be.
    pub created: bool,
    /// Messages that were put there, or would be.
    pub restored: u64,
    /// Their octets.
    pub octets: u64,
    /// Messages that the server shows there already.
    pub there: u64,
    /// Messages that were put there before.
    pub before: u64,
    /// Messages of which that must be found out; only where nothing is sent.
    pub unsure: u64,
    /// Messages that the next poll of the mailbox stores once more.
    pub unknown: u64,
    /// Those that were not put there.
    pub failed: Vec<Failed>,
}

/// What became of one message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// It was put there, or would be.
    Restored,
    /// The server shows it there already.
    There,
    /// It was put there before.
    Before,
    /// It is to be looked for; only where nothing is sent.
    Unsure,
    /// It was not put there.
    Failed,
}

/// What is told of one message.
#[derive(Clone, Debug, Serialize)]
pub struct Told<'t> {
    /// Its folder, relative to the archive root.
    pub path: &'t str,
    /// What became of it.
    pub became: Became,
    /// Its UID there, where that is known.
    pub uid: Option<u32>,
    /// Why not.
    pub why: Option<&'t str>,
}

/// Who is told of each message.
pub type Tell<'t> = dyn FnMut(Option<&Told<'_>>) + 't;

/// Why it ended before its end. What was done by then is recorded.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// No session could be opened.
    #[error(transparent)]
    Opening(PollError),
    /// The session, and those after it.
    #[error(transparent)]
    Session(MailboxError),
    /// The mailbox is not there.
    #[error("there is no mailbox `{mailbox}`: \"{said}\"")]
    NoMailbox {
        /// Its name.
        mailbox: String,
        /// The server's words.
        said: String,
    },
    /// The mailbox can't be made.
    #[error("the server doesn't make the mailbox `{mailbox}`: \"{said}\"")]
    NotMade {
        /// Its name.
        mailbox: String,
        /// The server's words.
        said: String,
    },
    /// The server takes nothing more.
    #[error("{}: \"{}\"", stopped(.0.kind), .0.said)]
    Refused(Refusal),
    /// It refuses one message after the other.
    #[error("the server refused {n} messages, one after the other: \"{said}\"")]
    AllRefused {
        /// How many.
        n: u32,
        /// Its words to the last one.
        said: String,
    },
    /// A step of the work failed.
    #[error("{0}")]
    Step(#[from] std::io::Error),
}

impl RestoreError {
    /// What a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Ledger(error) => error.hint().map(str::to_owned),
            Self::Opening(_) => None,
            Self::NoMailbox { .. } => Some("--create makes it".to_owned()),
            Self::NotMade { .. } => {
                Some("name another; some servers want INBOX. or INBOX/ in front".to_owned())
            }
            Self::Refused(Refusal { kind: RefusalKind::OverQuota, .. }) => {
                Some("make room there, or have the quota raised; the same command goes on".into())
            }
            Self::Refused(Refusal { kind: RefusalKind::Forbidden, .. }) => {
                Some("name another mailbox, or have this user allowed to add mail there".into())
            }
            Self::Session(_) | Self::Refused(_) | Self::AllRefused { .. } | Self::Step(_) => {
                Some("what was put back is recorded; the same command goes on".to_owned())
            }
        }
    }
}

fn stopped(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::OverQuota => "the mailbox's owner has no room left (quota)",
        RefusalKind::Forbidden => "this user may not add mail to the mailbox",
        RefusalKind::NotNow => "the server asks to try later",
        RefusalKind::NoMailbox => "the mailbox is not there any more",
        RefusalKind::Message => "the server refused a message",
    }
}

/// Accounts that poll a mailbox of this origin, as their `folders` say. `origins` has each inbound
/// account and whose mailbox it polls, its protocol left out; `None`: it can't be told.
pub fn pollers<'c>(
    mailbox: &str,
    origin: &str,
    origins: impl IntoIterator<Item = (&'c Inbound, Option<String>)>,
) -> Vec<&'c Inbound> {
    let same = |of: &Option<String>| {
        of.as_deref().is_none_or(|of| bare(of).eq_ignore_ascii_case(bare(origin)))
    };
    let mut found = Vec::new();
    for (account, of) in origins {
        let takes = match account.protocol {
            Protocol::Imap => polled(&account.folders, mailbox),
            Protocol::Pop3 => mailbox.eq_ignore_ascii_case("INBOX"),
        };
        if takes && same(&of) {
            found.push(account);
        }
    }
    found
}

/// User and host, without the protocol.
fn bare(origin: &str) -> &str {
    origin.split_once(' ').map_or(origin, |(_, bare)| bare)
}

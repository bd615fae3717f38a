//! Configurations of other programs that fetch mail, as accounts of ours.
//!
//! Pure: text in, accounts and what can't be carried out. The texts are hostile: nothing of them is
//! run, no file that they name is opened here.

mod fetchmail;
mod getmail;
pub(super) mod mbsync;
mod mpop;
mod words;

use std::collections::BTreeMap;

use serde::Serialize;
use zeroize::Zeroizing;

/// A program whose configuration can be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program {
    /// `.fetchmailrc`.
    Fetchmail,
    /// `getmailrc`.
    Getmail,
    /// `.mbsyncrc` of isync.
    Mbsync,
    /// `.mpoprc`.
    Mpop,
}

/// A secret that was found.
#[derive(Clone, Eq, PartialEq)]
pub enum ForeignSecret {
    /// The text itself.
    Text(Zeroizing<String>),
    /// A program and its arguments that prints it.
    Command(Vec<String>),
}

impl std::fmt::Debug for ForeignSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(***)"),
            Self::Command(argv) => write!(f, "Command({:?}, …)", argv.first()),
        }
    }
}

/// Where a program keeps which messages it has fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    /// fetchmail's idfile: `user@host` and a unique-id a line.
    FetchIds {
        /// The file, when the configuration names one.
        file: Option<String>,
        /// The user.
        user: String,
        /// What fetchmail may call the host.
        hosts: Vec<String>,
    },
    /// mpop's, of one or several accounts.
    MpopUidls {
        /// The file, `~` for the user's home.
        file: String,
        /// The host and the user as mpop heads them.
        of: (String, String),
    },
    /// getmail's: a message a line.
    Oldmail {
        /// The file's name below `~/.getmail`.
        name: String,
        /// The mailbox; empty for a maildrop.
        mailbox: String,
    },
    /// getmail's of all mailboxes of an account: a file each.
    Oldmails {
        /// What the files' names begin with.
        prefix: String,
    },
    /// mbsync's of all mailboxes that a wildcard names: a file each.
    SyncStates {
        /// Where they are.
        place: States,
        /// The boxes that have a state of their own here.
        but: Vec<String>,
        /// What the server's names begin with.
        prefix: String,
    },
    /// mbsync's: pairs of UIDs.
    SyncState {
        /// The file; `~` for the user's home.
        file: String,
        /// The mailbox on the server.
        mailbox: String,
    },
}

/// Where mbsync keeps the states of a channel's boxes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum States {
    /// In files of a folder; the names of each box's file before it, between its two names, if it
    /// stands there twice.
    Files {
        /// The folder.
        folder: String,
        /// What stands before a box's name.
        before: String,
        /// What stands between its two names.
        between: Option<String>,
    },
    /// Beside each box's mail, in folders that are called as the boxes are.
    Folders(String),
    /// The same in folders of a Maildir++.
    Dotted(String),
}

/// An account that was found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ForeignAccount {
    /// A name that can be an account's.
    pub name: String,
    /// The line that it begins at.
    pub line: u32,
    /// Our keys and their TOML.
    pub keys: BTreeMap<String, String>,
    /// Its password.
    pub secret: Option<ForeignSecret>,
    /// What it has fetched.
    pub seen: Vec<Seen>,
}

/// Something that is not carried over.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct NotCarried {
    /// Where it stands.
    pub line: u32,
    /// The word; never a value that may be a secret.
    pub what: String,
    /// Why not, or what is done instead.
    pub why: String,
}

/// Seconds that `read_timeout` may have.
const LONGEST_TIMEOUT: u64 = 3600;

/// Seconds that `poll_interval` may have.
const LONGEST_INTERVAL: u64 = 7 * 86_400;

/// What becomes of one line of theirs.
enum Carried {
    /// One of our keys and its TOML.
    Set(&'static str, String),
    /// Seconds of `read_timeout`.
    Timeout(u64),
    /// The password.
    Secret(ForeignSecret),
    /// It is said elsewhere, or needs no word.
    Nothing,
    /// It is not carried; why.
    Lost(&'static str),
}

impl ForeignAccount {
    fn set(&mut self, key: &str, value: String) {
        self.keys.insert(key.to_owned(), value);
    }

    /// Takes what can be carried; why it can't be, otherwise.
    fn take(&mut self, carried: Carried) -> Option<&'static str> {
        match carried {
            Carried::Set(key, value) => self.set(key, value),
            Carried::Timeout(theirs) => {
                let (value, clamped) = words::seconds(theirs, LONGEST_TIMEOUT);
                self.set("read_timeout", value);
                return clamped.then_some("it is more than is allowed: 3600 s is written");
            }
            Carried::Secret(secret) => self.secret = Some(secret),
            Carried::Nothing => {}
            Carried::Lost(why) => return Some(why),
        }
        None
    }
}

/// What a configuration holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// Its accounts, in their order.
    pub accounts: Vec<ForeignAccount>,
    /// What is lost, in the order of the lines.
    pub not_carried: Vec<NotCarried>,
}

impl Found {
    pub(super) fn lost(&mut self, line: u32, what: impl Into<String>, why: impl Into<String>) {
        let what = what.into().chars().take(80).collect();
        self.not_carried.push(NotCarried { line, what, why: why.into() });
    }

    /// Adds an account under a name that no other one has.
    pub(super) fn add(&mut self, mut account: ForeignAccount) {
        let base = account.name.clone();
        for n in 2_u32.. {
            if self.accounts.iter().all(|other| other.name != account.name) {
                break;
            }
            account.name = numbered(&base, n);
        }
        self.accounts.push(account);
    }
}

/// A name, and from the second on its number behind it: `office`, `office-2`.
pub fn numbered(base: &str, n: u32) -> String {
    if n < 2 {
        return base.to_owned();
    }
    let tail = format!("-{n}");
    let room = 64_usize.saturating_sub(tail.len());
    base.chars().take(room).chain(tail.chars()).collect()
}

impl Program {
    /// Guesses by a file's name.
    pub fn of_file(name: &str) -> Option<Self> {
        let known = [
            ("fetchmail", Self::Fetchmail),
            ("getmail", Self::Getmail),
            ("mbsync", Self::Mbsync),
            ("isync", Self::Mbsync),
            ("mpop", Self::Mpop),
        ];
        known.into_iter().find(|(part, _)| name.contains(part)).map(|(_, program)| program)
    }

    /// Reads a configuration of this program.
    pub fn read(self, text: &str) -> Found {
        let mut found = match self {
            Self::Fetchmail => fetchmail::read(text),
            Self::Getmail => getmail::read(text),
            Self::Mbsync => mbsync::read(text),
            Self::Mpop => mpop::read(text),
        };
        found.not_carried.sort_by_key(|lost| lost.line);
        found
    }
}

#[cfg(test)]
mod tests;

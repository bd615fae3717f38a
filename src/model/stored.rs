//! What the ledger knows of a message.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

use super::MessageKey;

/// The ledger's knowledge of the messages of one listing window, by the keys that the server
/// lists (generation 0); what is known is that of the newest generation.
pub type Known = BTreeMap<MessageKey, KnownState>;

/// What became of a message so far. A message without a state is new.
#[derive(Clone, Debug)]
pub enum KnownState {
    /// It was on the server when a person said that what was there counts as known: it has no copy.
    CaughtUp {
        /// Identity.
        key: MessageKey,
        /// When that was said.
        at: Timestamp,
    },
    /// Deleted on the server by postrider; its copy stays in the archive.
    Deleted {
        /// Identity, with its generation.
        key: MessageKey,
        /// The size that the server listed when the copy was made.
        listed_size: Option<u64>,
        /// The server's INTERNALDATE when the copy was made.
        internal_date: Option<Timestamp>,
    },
    /// Fetching it failed; it is held and retried.
    Held {
        /// Identity, with its generation.
        key: MessageKey,
        /// Attempts that failed.
        attempts: u32,
        /// Not before this moment.
        retry_at: Timestamp,
    },
    /// The key was a message's before the account's server, user or unique-ids changed: what it
    /// means now is not known.
    Other {
        /// Identity, with its generation.
        key: MessageKey,
    },
    /// Its copy is about to be placed; what became of it is settled at the next poll.
    Placing {
        /// Identity, with its generation.
        key: MessageKey,
    },
    /// A rule on received mail has left it out of the archive: it has no copy.
    Skipped {
        /// Identity, with its generation.
        key: MessageKey,
        /// The rule's name.
        rule: String,
        /// When it was decided.
        at: Timestamp,
        /// The size that the server listed then.
        listed_size: Option<u64>,
        /// The server's INTERNALDATE then.
        internal_date: Option<Timestamp>,
    },
    /// Its copy is in the archive, committed.
    Stored(StoredCopy),
}

/// A durable copy in the archive: the ledger row that proves it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct StoredCopy {
    /// Row of the ledger.
    pub row: i64,
    /// Identity, with its generation.
    pub key: MessageKey,
    /// Message folder, relative to the archive root, `/` between components.
    pub path: String,
    /// Of `message.eml`.
    pub sha256: Sha256,
    /// Of `message.json`.
    pub json_sha256: Sha256,
    /// Octets of `message.eml`.
    pub size: u64,
    /// The size that the server listed when the copy was made.
    pub listed_size: Option<u64>,
    /// The server's INTERNALDATE when the copy was made.
    pub internal_date: Option<Timestamp>,
    /// When it was received, as far as that was known; the server's date for IMAP.
    pub received: Option<Timestamp>,
    /// UTC, our clock.
    pub archived_at: Timestamp,
    /// By how much the wall clock has leapt since then, where no time can have passed.
    pub leaps: SignedDuration,
    /// A delete was begun and its outcome is not known: the row says `deleting`.
    pub deleting: bool,
    /// We have marked it `\Deleted` on the server, and the server has shown the mark.
    pub flagged: bool,
    /// False while the identity must be proven anew (after a re-key or a rebuild).
    pub delete_ok: bool,
    /// The server ended it below its listed size, and nothing in it shows that this is its end.
    pub cut: bool,
    /// A test mail that this ledger itself had sent, by its token.
    pub canary: bool,
    /// What rules ask for isn't done with it.
    pub actions_open: bool,
    /// Whether they are done isn't known: the copy was found in the tree by a new ledger.
    pub actions_unknown: bool,
    /// Moves on the server that rules ask for and that aren't done, in their order.
    pub moves: Vec<AskedMove>,
}

/// A move to another mailbox that a rule asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AskedMove {
    /// The action's number.
    pub action: i64,
    /// The rule's name: the config has where to.
    pub rule: String,
    /// Not before.
    pub due_at: Timestamp,
    /// It has failed for good: a person retries it or drops it.
    pub failed: bool,
    /// Marks are still to be set on the message, by the UID that it has now.
    pub marks_open: bool,
    /// Something else that rules ask for isn't done with it; other moves don't count.
    pub others_open: bool,
    /// Tries so far.
    pub attempts: u32,
    /// When it was first tried.
    pub first_at: Option<Timestamp>,
    /// Why it wasn't done so far, as the ledger has it.
    pub detail: String,
}

/// A SHA-256 digest; printed as lower-case hex.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Reads 32 octets, as a ledger column holds them.
    pub fn from_slice(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self)
    }

    /// Lower-case hex.
    pub fn to_hex(self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

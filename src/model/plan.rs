//! A plan: what a poll will do with each listed message, and why.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{DeleteMode, MessageKey, Received, StoredCopy};

/// What one listing window leads to. Each listed message stands in exactly one list.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The moment that all decisions were made for.
    pub now: Timestamp,
    /// To be fetched, oldest first.
    pub fetch: Vec<Fetch>,
    /// To be deleted on the server.
    pub delete: Vec<Delete>,
    /// Not wanted by the rules.
    pub skip: Vec<Skip>,
    /// Known and left alone.
    pub keep: Vec<Keep>,
    /// Wanted, but not in this batch.
    pub left_over: Vec<LeftOver>,
}

/// A message to be fetched.
#[derive(Clone, Debug, Serialize)]
pub struct Fetch {
    /// Identity.
    #[serde(flatten)]
    pub key: MessageKey,
    /// POP3 message number or IMAP UID.
    #[serde(skip)]
    pub number: u32,
    /// No other message of the mailbox is listed under the same identity.
    #[serde(skip)]
    pub alone: bool,
    /// Listed octets; a hint.
    pub size: Option<u64>,
    /// The server's INTERNALDATE.
    #[serde(skip)]
    pub internal_date: Option<Timestamp>,
    /// Age basis, where it is known before the fetch.
    pub received: Option<Received>,
    /// Flags as listed.
    pub flags: Vec<String>,
    /// Why.
    #[serde(rename = "reason")]
    pub why: FetchReason,
}

impl Fetch {
    /// Whether other messages had its identity before, whose copies may have its content.
    pub fn is_beside(&self) -> bool {
        self.alone && self.key.turn() > 0
    }
}

/// Why a message is fetched.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum FetchReason {
    /// The ledger doesn't know it.
    New,
    /// Its delete is due, and only its content can prove that it is the message that was stored.
    Proof,
    /// An earlier attempt failed and its time has come again.
    Retry {
        /// Attempts so far.
        attempts: u32,
    },
    /// The server gave the UID or unique-id of a stored message to another one, as far as can be
    /// told.
    Reused {
        /// Of the new message (the occurrence of a unique-id); counts from 1.
        generation: u32,
    },
}

/// A message to be deleted on the server: impossible without a stored copy.
#[derive(Clone, Debug, Serialize)]
pub struct Delete {
    /// Identity.
    #[serde(flatten)]
    pub key: MessageKey,
    /// POP3 message number or IMAP UID.
    #[serde(skip)]
    pub number: u32,
    /// The copy that makes the delete safe.
    #[serde(skip)]
    pub copy: StoredCopy,
    /// How it leaves its mailbox.
    #[serde(skip)]
    pub how: DeleteMode,
    /// The action that asks for it, where a rule does.
    #[serde(skip)]
    pub action: Option<i64>,
    /// Why.
    #[serde(rename = "reason")]
    pub why: DeleteReason,
}

/// Why a message is deleted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum DeleteReason {
    /// An earlier delete was begun and its outcome is unknown.
    Begun,
    /// It is a canary of ours, and stored.
    Canary {
        /// When the copy was made.
        archived_at: Timestamp,
    },
    /// Its copy is old enough.
    Due {
        /// When the copy was made.
        archived_at: Timestamp,
        /// What the days are counted from.
        since: Timestamp,
        /// The rule, in days of 24 hours.
        days: u32,
    },
    /// A rule on received mail wants it in another mailbox.
    Moved {
        /// The rule's name.
        rule: String,
        /// The mailbox.
        to: String,
    },
}

/// A message that the rules don't want.
#[derive(Clone, Debug, Serialize)]
pub struct Skip {
    /// Identity.
    #[serde(flatten)]
    pub key: MessageKey,
    /// Why.
    #[serde(rename = "reason")]
    pub why: SkipReason,
}

/// Why a message is skipped.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum SkipReason {
    /// It was there when a person said that all mail of that time counts as known.
    CaughtUp {
        /// When that was said.
        at: Timestamp,
    },
    /// A rule on received mail has left it out of the archive.
    LeftOut {
        /// The rule's name.
        rule: String,
        /// When that was decided.
        at: Timestamp,
    },
    /// Somebody has read it, and `only_unseen` is on.
    Seen,
    /// Received before `process_after`.
    BeforeStart {
        /// When it was received.
        received: Timestamp,
        /// The rule.
        process_after: Timestamp,
    },
    /// Older than `ignore_older_than`.
    TooOld {
        /// When it was received.
        received: Timestamp,
        /// The rule.
        #[serde(serialize_with = "seconds")]
        limit: SignedDuration,
    },
}

/// A message that is known and stays where it is.
#[derive(Clone, Debug, Serialize)]
pub struct Keep {
    /// Identity.
    #[serde(flatten)]
    pub key: MessageKey,
    /// Why.
    #[serde(rename = "reason")]
    pub why: KeepReason,
}

/// Why a known message is neither fetched nor deleted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum KeepReason {
    /// The poll has used up `delete_max_per_poll`.
    DeleteBrake {
        /// The limit.
        limit: u32,
    },
    /// Deletes are held: the clock jumped, the listing is incomplete or the identity is in doubt.
    DeletesHeld {
        /// Why, in a word.
        cause: DeletesHeld,
    },
    /// Marked `\Deleted` by us; by the config nothing more is done.
    Flagged,
    /// A rule's move has failed and is tried again.
    MoveLater {
        /// The rule's name.
        rule: String,
        /// When it is tried again.
        until: Timestamp,
    },
    /// Held after failures, not yet due for another attempt.
    Held {
        /// Attempts so far.
        attempts: u32,
        /// When it is tried again.
        retry_at: Timestamp,
    },
    /// It has been deleted by postrider, yet the server lists it again.
    Returned,
    /// Stored; the config deletes nothing.
    RuleOff,
    /// The server lists another size than when it was stored: this may be another message, and
    /// POP3 has no second identity for it.
    SizeChanged {
        /// Octets listed when it was stored.
        then: u64,
        /// Octets listed now.
        now: u64,
    },
    /// Larger than `max_message_size`; held until the limit is raised.
    TooLarge {
        /// Listed octets.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Stored, and too young to be deleted.
    TooYoung {
        /// When the delete will be due.
        until: Timestamp,
    },
}

/// Why no delete may happen at present.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeletesHeld {
    /// What rules ask for isn't done with the message.
    Actions,
    /// Nobody knows what rules asked for with the message: the ledger that did is lost.
    ActionsUnknown,
    /// The wall clock disagrees with the boot clock.
    ClockDoubt,
    /// The server may have held back its end.
    Cut,
    /// Its copy is empty: the server may never have shown the message.
    Empty,
    /// The identity must be proven first (after a re-key or a rebuild).
    Identity,
    /// Server, user or unique-ids of the account changed in this poll.
    IdentityChanged,
    /// The listing is not complete.
    IncompleteListing,
    /// The root is on a network file system and `allow_network_root` is off.
    NetworkRoot,
    /// The server gave no UIDVALIDITY.
    NoUidValidity,
    /// The server lacks what the delete needs: UIDPLUS, or MOVE.
    NotOffered,
    /// A person must resume deletes: mail that was not ours to remove is gone, or mail was copied
    /// and not removed.
    Stopped,
    /// UIDVALIDITY changed in this poll.
    UidValidityChanged,
}

impl DeletesHeld {
    /// Whether only a person, or another listing, ends it: time alone changes nothing.
    pub fn stands(self) -> bool {
        match self {
            Self::ActionsUnknown | Self::Cut | Self::Empty | Self::NetworkRoot | Self::Stopped => {
                true
            }
            Self::Actions
            | Self::ClockDoubt
            | Self::Identity
            | Self::IdentityChanged
            | Self::IncompleteListing
            | Self::NoUidValidity
            | Self::NotOffered
            | Self::UidValidityChanged => false,
        }
    }

    /// The words for a person.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Actions => "what rules ask for isn't done",
            Self::ActionsUnknown => {
                "what rules asked for isn't known since the ledger was made anew"
            }
            Self::ClockDoubt => "the clock jumped",
            Self::Cut => "its end may be missing: it came shorter than the server lists it",
            Self::Empty => "the copy is empty",
            Self::IdentityChanged => "the account's server, user or unique-ids changed",
            Self::Identity => "its identity must be proven first",
            Self::IncompleteListing => "the listing is not complete",
            Self::NetworkRoot => "the archive root is on a network file system",
            Self::NoUidValidity => "the server gave no UIDVALIDITY",
            Self::NotOffered => "the server lacks what a safe delete needs",
            Self::Stopped => "deletes are stopped until a person resumes them",
            Self::UidValidityChanged => "UIDVALIDITY changed",
        }
    }
}

/// A message that is wanted, but waits.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOver {
    /// Identity.
    #[serde(flatten)]
    pub key: MessageKey,
    /// POP3 message number or IMAP UID.
    #[serde(skip)]
    pub number: u32,
    /// Why.
    #[serde(rename = "reason")]
    pub why: LeftOverReason,
}

/// Why a wanted message waits.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum LeftOverReason {
    /// `batch_max` or `batch_max_bytes` is used up; it comes with the next batch.
    BatchFull,
    /// Younger than `min_age`; it comes when it is old enough.
    TooYoung {
        /// When it will be old enough.
        until: Timestamp,
    },
}

fn seconds<S: serde::Serializer>(limit: &SignedDuration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_i64(limit.as_secs())
}

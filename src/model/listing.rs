//! What a server says it holds.

use jiff::Timestamp;
use serde::Serialize;

use super::MessageKey;

/// One window of a mailbox's or maildrop's messages, as the server listed them.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Decoded mailbox name; `None` for a POP3 maildrop.
    pub mailbox: Option<String>,
    /// UIDVALIDITY of the mailbox (RFC 9051 §2.3.1.1); `None` for POP3 or when the server gave none.
    pub uid_validity: Option<u32>,
    /// First and last UID (IMAP) or message number (POP3) asked for, both inclusive.
    pub range: (u32, u32),
    /// Ascending by UID, or by message number.
    pub messages: Vec<Listed>,
    /// Whether every message within `range` is in `messages`. An incomplete listing may cause
    /// fetches, never deletes.
    pub complete: bool,
}

/// One message of a [`Listing`].
#[derive(Clone, Debug)]
pub struct Listed {
    /// Identity; the generation is 0 until the ledger says otherwise.
    pub key: MessageKey,
    /// POP3 message number in this session (RFC 1939 §4), never stored; the UID for IMAP.
    pub number: u32,
    /// No other message of the mailbox is listed under the same identity: false for a unique-id
    /// that several messages share.
    pub alone: bool,
    /// Octets as the server states them: RFC822.SIZE or LIST. A hint: Exchange is known to lie.
    pub size: Option<u64>,
    /// IMAP's INTERNALDATE, UTC; `None` for POP3 or when it can't be read.
    pub internal_date: Option<Timestamp>,
    /// The basis of all age decisions, once it is known.
    pub received: Option<Received>,
    /// IMAP flags as sent, `\Seen` among them; empty for POP3.
    pub flags: Vec<String>,
}

/// When a message was received, and how we know.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Received {
    /// UTC.
    pub at: Timestamp,
    /// Where `at` comes from.
    pub basis: ReceivedBasis,
}

/// Where a message's received date comes from. No sender's `Date` field is ever among them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReceivedBasis {
    /// When postrider first saw the message.
    FirstSeen,
    /// IMAP's INTERNALDATE (RFC 9051 §2.3.3).
    InternalDate,
    /// The topmost `Received` field (RFC 5322 §3.6.7).
    ReceivedField,
}

impl ReceivedBasis {
    /// The word that `message.json` and the ledger use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstSeen => "first-seen",
            Self::InternalDate => "internal-date",
            Self::ReceivedField => "received-field",
        }
    }

    /// The basis that a word of the ledger names.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "first-seen" => Some(Self::FirstSeen),
            "internal-date" => Some(Self::InternalDate),
            "received-field" => Some(Self::ReceivedField),
            _ => None,
        }
    }
}

//! Message identity `K`: what makes a message on a server the same message tomorrow.
//!
//! `K` names folders on disk for ever, so its octets are fixed: see [`MessageKey::id`].

use std::fmt;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256 as Hasher};

use super::Sha256;

/// Characters of a [`MessageId`]: sha256 in base32 without padding.
pub const ID_LEN: usize = 52;
/// Characters of the id that end a message folder's name.
pub const FOLDER_SUFFIX_LEN: usize = 16;

/// What the ledger calls the mailbox of mail that no server listed: no server's can be called so.
pub const IMPORTED: &str = "\u{1}imported";
/// What its unique-ids begin with: a server's has no blank (RFC 1939 §7).
const IMPORTED_ID: &str = "imported ";

/// What identifies one message of one account.
///
/// Ordered by mailbox, UIDVALIDITY and UID, or by unique-id and occurrence; oldest first is
/// *not* this order for POP3, whose messages are ordered by their message number.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(untagged)]
pub enum MessageKey {
    /// RFC 9051 §2.3.1.1: mailbox, UIDVALIDITY and UID together identify a message.
    Imap {
        /// Decoded name; `INBOX` in capitals.
        mailbox: String,
        /// UIDVALIDITY; 0 when the server gave none (such mail is never deleted).
        uid_validity: u32,
        /// UID, 1 or more.
        uid: u32,
        /// How often the server has given this UID to another message before; counts from 0.
        generation: u32,
    },
    /// RFC 1939 §7: the unique-id of a maildrop's message.
    Pop3 {
        /// UIDL's unique-id, verbatim.
        unique_id: String,
        /// The n-th message with this unique-id, in one listing or one after the other; counts
        /// from 0.
        occurrence: u32,
    },
}

/// `K` hashed: 52 lower-case base32 characters.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageKey {
    /// The key of a message that no server listed: its content's.
    pub fn imported(sha256: Sha256) -> Self {
        Self::Pop3 { unique_id: format!("{IMPORTED_ID}{sha256}"), occurrence: 0 }
    }

    /// Whether no server ever listed it.
    pub fn is_imported(&self) -> bool {
        matches!(self, Self::Pop3 { unique_id, .. } if unique_id.starts_with(IMPORTED_ID))
    }

    /// The mailbox of the ledger that it belongs to; empty for a maildrop.
    pub fn home(&self) -> &str {
        if self.is_imported() { IMPORTED } else { self.mailbox().unwrap_or_default() }
    }

    /// The message's id: sha256 of `K`'s fields in RFC 4648 base32, lower case, unpadded.
    ///
    /// Each field goes in as a 4-octet big-endian length and its UTF-8 octets, numbers in ASCII
    /// decimal: `v1, imap, account, mailbox, uid_validity, uid, generation` or
    /// `v1, pop3, account, unique_id, occurrence`.
    #[must_use]
    pub fn id(&self, account: &str) -> MessageId {
        let mut hash = Hasher::new();
        let mut field = |text: &str| {
            hash.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(text.as_bytes());
        };
        field("v1");
        match self {
            Self::Imap { mailbox, uid_validity, uid, generation } => {
                field("imap");
                field(account);
                field(mailbox);
                field(&uid_validity.to_string());
                field(&uid.to_string());
                field(&generation.to_string());
            }
            Self::Pop3 { unique_id, occurrence } => {
                field("pop3");
                field(account);
                field(unique_id);
                field(&occurrence.to_string());
            }
        }
        MessageId(BASE32_NOPAD.encode(&hash.finalize()).to_ascii_lowercase())
    }

    /// The mailbox, for IMAP.
    pub fn mailbox(&self) -> Option<&str> {
        match self {
            Self::Imap { mailbox, .. } => Some(mailbox),
            Self::Pop3 { .. } => None,
        }
    }

    /// How often the server has given the UID to another message before; 0 for POP3.
    pub fn generation(&self) -> u32 {
        match self {
            Self::Imap { generation, .. } => *generation,
            Self::Pop3 { .. } => 0,
        }
    }

    /// The key under which the server lists the message: it knows of no generations.
    #[must_use]
    pub fn as_listed(&self) -> Self {
        self.with_generation(0)
    }

    /// The key in another generation; POP3 has none.
    #[must_use]
    pub fn with_generation(&self, generation: u32) -> Self {
        let mut key = self.clone();
        if let Self::Imap { generation: old, .. } = &mut key {
            *old = generation;
        }
        key
    }

    /// How many messages had this identity from the server before, as far as the key tells.
    pub fn turn(&self) -> u32 {
        match self {
            Self::Imap { generation, .. } => *generation,
            Self::Pop3 { occurrence, .. } => *occurrence,
        }
    }

    /// The key with another [`turn`](Self::turn).
    #[must_use]
    pub fn with_turn(&self, to: u32) -> Self {
        let mut key = self.clone();
        let (Self::Imap { generation: turn, .. } | Self::Pop3 { occurrence: turn, .. }) = &mut key;
        *turn = to;
        key
    }

    /// The key of the next message that the server gives the same identity.
    #[must_use]
    pub fn next(&self) -> Self {
        self.with_turn(self.turn().saturating_add(1))
    }

    /// The UID, for IMAP.
    pub fn uid(&self) -> Option<u32> {
        match self {
            Self::Imap { uid, .. } => Some(*uid),
            Self::Pop3 { .. } => None,
        }
    }
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Imap { mailbox, uid, generation: 0, .. } => write!(f, "{mailbox} UID {uid}"),
            Self::Imap { mailbox, uid, generation, .. } => {
                write!(f, "{mailbox} UID {uid} #{generation}")
            }
            Self::Pop3 { unique_id, occurrence: 0 } => write!(f, "unique-id {unique_id}"),
            Self::Pop3 { unique_id, occurrence } => {
                write!(f, "unique-id {unique_id} #{occurrence}")
            }
        }
    }
}

impl MessageId {
    /// Reads an id back from its text; `None` unless it is 52 characters of lower-case base32.
    pub fn parse(text: &str) -> Option<Self> {
        let good =
            text.len() == ID_LEN && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
        good.then(|| Self(text.to_owned()))
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 16 characters that end the message folder's name.
    pub fn folder_suffix(&self) -> &str {
        self.0.get(..FOLDER_SUFFIX_LEN).unwrap_or(&self.0)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imap_id_has_the_published_octets() {
        let key = MessageKey::Imap {
            mailbox: "INBOX".into(),
            uid_validity: 1_731_000_000,
            uid: 48_211,
            generation: 0,
        };
        assert_eq!(
            key.id("invoices").as_str(),
            "d54sfsb5wa3c7sq5uxdzvxpizymrwfjf73h4eveei7onha53fyaa"
        );
    }

    #[test]
    fn pop3_id_has_the_published_octets() {
        let key = MessageKey::Pop3 { unique_id: "0000001a5f3b2c11".into(), occurrence: 0 };
        assert_eq!(
            key.id("orders").as_str(),
            "hvj5akkdndukseyfaa42rz6gxgrtn4unkrgw4rcmhi5hncldmh2q"
        );
    }

    #[test]
    fn only_ids_are_read_back_as_ids() {
        let id = MessageKey::Pop3 { unique_id: "x".into(), occurrence: 1 }.id("a");
        assert_eq!(MessageId::parse(id.as_str()), Some(id));
        assert_eq!(MessageId::parse("../../etc/passwd"), None);
        assert_eq!(MessageId::parse(&"A".repeat(52)), None);
    }
}

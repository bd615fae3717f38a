//! What tells messages apart when their keys mean nothing any more: facts without the content.

use jiff::Timestamp;

use super::{MessageKey, Sha256};

/// A stored copy whose key is out of date, as it was listed when it was archived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Former {
    /// Row of the ledger.
    pub row: i64,
    /// The size that the server listed.
    pub size: Option<u64>,
    /// The server's INTERNALDATE.
    pub internal_date: Option<Timestamp>,
    /// Of its header section.
    pub header: Sha256,
}

/// A listed message whose copy is looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sighting {
    /// The key that the server lists.
    pub key: MessageKey,
    /// No other message is listed under that key's identity.
    pub alone: bool,
    /// Listed octets.
    pub size: Option<u64>,
    /// The server's INTERNALDATE.
    pub internal_date: Option<Timestamp>,
    /// Of its header section.
    pub header: Sha256,
}

/// Whose mailbox messages are keyed by, in one word: protocol, user and host.
pub fn origin(protocol: &str, user: &str, host: &str) -> String {
    format!("{protocol} {user}@{}", host.to_ascii_lowercase())
}

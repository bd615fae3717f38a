//! Whether the message that is listed under a known key is the one that is known.
//!
//! A UID must never be given twice under one UIDVALIDITY (RFC 9051 §2.3.1.1), yet servers that
//! lost their index do it, and bridges renumber. Size and INTERNALDATE tell.

use jiff::Timestamp;

use crate::model::{KeepReason, Listed, MessageKey, StoredCopy};

/// What is known of the message that last had a key.
pub(super) struct Before<'a> {
    pub(super) key: &'a MessageKey,
    pub(super) listed_size: Option<u64>,
    pub(super) internal_date: Option<Timestamp>,
}

/// What a listed message is to the one that last had its key.
pub(super) enum Sight {
    /// The same, as far as the server tells.
    Same,
    /// Another message, under the next generation of the UID.
    Other(Listed),
    /// Another message, perhaps; POP3 has no second identity for it.
    Doubtful(KeepReason),
}

impl<'a> Before<'a> {
    pub(super) fn of(copy: &'a StoredCopy) -> Self {
        let StoredCopy { key, listed_size, internal_date, .. } = copy;
        Self { key, listed_size: *listed_size, internal_date: *internal_date }
    }

    /// Compares. What one side doesn't know says nothing. The size on disk is no witness: some
    /// servers list a size that the message does not have.
    pub(super) fn sight(&self, listed: &Listed) -> Sight {
        let size = differ(self.listed_size, listed.size);
        match (self.key, size) {
            (MessageKey::Imap { generation, .. }, size) => {
                if size.is_none() && differ(self.internal_date, listed.internal_date).is_none() {
                    return Sight::Same;
                }
                let key = self.key.with_generation(generation.saturating_add(1));
                Sight::Other(Listed { key, ..listed.clone() })
            }
            (MessageKey::Pop3 { .. }, Some((then, now))) => {
                Sight::Doubtful(KeepReason::SizeChanged { then, now })
            }
            (MessageKey::Pop3 { .. }, None) => Sight::Same,
        }
    }
}

fn differ<T: PartialEq>(then: Option<T>, now: Option<T>) -> Option<(T, T)> {
    then.zip(now).filter(|(then, now)| then != now)
}

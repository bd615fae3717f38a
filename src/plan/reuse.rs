//! Whether the message that is listed under a known key is the one that is known.
//!
//! A UID or unique-id must never be given twice under one UIDVALIDITY (RFC 9051 §2.3.1.1), yet servers that
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
    /// Another message, perhaps, where several share its unique-id.
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
        match size {
            Some((then, now)) if !listed.alone => {
                Sight::Doubtful(KeepReason::SizeChanged { then, now })
            }
            Some(_) => Self::other(self.key, listed),
            None if differ(self.internal_date, listed.internal_date).is_some() => {
                Self::other(self.key, listed)
            }
            None => Sight::Same,
        }
    }

    /// The listed message, under the identity that follows a known one.
    pub(super) fn other(key: &MessageKey, listed: &Listed) -> Sight {
        Sight::Other(Listed { key: key.next(), ..listed.clone() })
    }

    /// Compares with a message that had left. A unique-id that comes back may be another
    /// message's (RFC 1939 §7 allows it): its content decides.
    pub(super) fn sight_of_return(&self, listed: &Listed) -> Sight {
        let pop3 = matches!(self.key, MessageKey::Pop3 { .. });
        if pop3 && listed.alone { Self::other(self.key, listed) } else { self.sight(listed) }
    }
}

fn differ<T: PartialEq>(then: Option<T>, now: Option<T>) -> Option<(T, T)> {
    then.zip(now).filter(|(then, now)| then != now)
}

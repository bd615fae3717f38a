//! Whether a message is in a mailbox: by what may tell it from others, for who then compares.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::ImapSession;
use super::delete::{search, what_is_left};
use super::dialogue::Caps;
use super::listed::{Item, merge, read_item};
use super::uid_set::uid_sets;
use crate::mailbox::MailboxError;

/// Messages that are looked at; where there are more, none is told from the others.
const MOST: usize = 200;

/// What a message is looked for by.
#[derive(Clone, Debug)]
pub struct Sought<'a> {
    /// It has this UID or a higher one.
    pub from: u32,
    /// Its Message-ID.
    pub message_id: Option<&'a str>,
    /// Its fewest and its most octets.
    pub octets: (u64, u64),
    /// Its INTERNALDATE.
    pub at: Option<Timestamp>,
}

/// A message that may be the one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// Its UID.
    pub uid: u32,
    /// RFC822.SIZE.
    pub size: Option<u64>,
    /// INTERNALDATE.
    pub at: Option<Timestamp>,
    /// It has the Message-ID.
    pub is_named: bool,
}

impl ImapSession {
    /// Messages of the open mailbox that may be the one; `None` where the server doesn't say, or
    /// shows too many.
    pub async fn seek(&mut self, sought: &Sought<'_>) -> Result<Option<Vec<Seen>>, MailboxError> {
        let patience = self.patience;
        self.dialogue.stream().go_on_for(patience);
        let named = match by_name(sought) {
            Some(criteria) => search(self, &criteria).await?,
            None => None,
        };
        let sized = search(self, &by_size(sought)).await?;
        if named.is_none() && sized.is_none() {
            return Ok(None);
        }
        let named = named.unwrap_or_default();
        let mut uids: BTreeSet<u32> = sized.unwrap_or_default();
        uids.extend(&named);
        // `n:*` is also the last message, where that has a lower UID (RFC 9051 §9).
        uids.retain(|uid| *uid >= sought.from);
        if uids.len() > MOST {
            return Ok(None);
        }
        let mut items = std::collections::BTreeMap::new();
        for set in uid_sets(uids.iter().copied()) {
            let take = |response: &async_imap::imap_proto::Response<'_>| {
                if let Ok(Some((uid, item))) = read_item(response) {
                    merge(&mut items, uid, item);
                }
            };
            let command = format!("UID FETCH {set} (UID RFC822.SIZE INTERNALDATE)");
            let done = self.dialogue.run(&command, Caps::SMALL, take).await?;
            done.or_refused("FETCH")?;
        }
        let items = items.into_iter().filter(|(uid, _)| uids.contains(uid));
        let seen = |(uid, item): (u32, Item)| Seen {
            uid,
            size: item.size,
            at: item.internal_date,
            is_named: named.contains(&uid),
        };
        Ok(Some(items.map(seen).collect()))
    }

    /// Of some UIDs those that the open mailbox still has.
    pub async fn still_there(&mut self, uids: &[u32]) -> Result<BTreeSet<u32>, MailboxError> {
        let mut there = BTreeSet::new();
        for set in uid_sets(uids.iter().copied()) {
            there.extend(what_is_left(self, &set).await?.uids);
        }
        there.retain(|uid| uids.contains(uid));
        Ok(there)
    }
}

/// HEADER finds a part of the field: the brackets may be left out, and what can't be quoted is no
/// help.
fn by_name(sought: &Sought<'_>) -> Option<String> {
    let id = sought.message_id?.trim().trim_matches(['<', '>']);
    let is_plain = |octet: u8| (b' '..=b'~').contains(&octet) && octet != b'"' && octet != b'\\';
    let good = (6..=500).contains(&id.len()) && id.bytes().all(is_plain);
    good.then(|| format!("UID {}:* HEADER MESSAGE-ID \"{id}\"", sought.from.max(1)))
}

/// Days of a search are those of the server's zone.
fn by_size(sought: &Sought<'_>) -> String {
    let (least, most) = sought.octets;
    let (below, above) = (least.saturating_sub(1), most.saturating_add(1));
    let day = |by: i64| {
        let at = sought.at?.checked_add(SignedDuration::from_hours(by)).ok()?;
        let date = super::date::written(at)?;
        date.split(' ').next().map(str::to_owned)
    };
    let days = match (day(-24), day(48)) {
        (Some(since), Some(before)) => format!(" SINCE {since} BEFORE {before}"),
        _ => String::new(),
    };
    // A message without octets is larger than none.
    let larger = if least == 0 { String::new() } else { format!(" LARGER {below}") };
    format!("UID {}:*{larger} SMALLER {above}{days}", sought.from.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_name_what_tells_the_message_from_others() {
        let mut sought = Sought {
            from: 7,
            message_id: Some("<a.b@example.org>"),
            octets: (100, 103),
            at: Some("2026-03-01T23:00:00Z".parse().unwrap()),
        };
        let name = by_name(&sought);
        assert_eq!(name.as_deref(), Some("UID 7:* HEADER MESSAGE-ID \"a.b@example.org\""));
        let size = "UID 7:* LARGER 99 SMALLER 104 SINCE 28-Feb-2026 BEFORE 03-Mar-2026";
        assert_eq!(by_size(&sought), size);
        (sought.from, sought.octets, sought.at) = (0, (0, 0), None);
        assert_eq!(by_size(&sought), "UID 1:* SMALLER 1");
        for id in ["", "<x>", "a\"b@example.org", "a\r\nR9 DELETE x@y", "é@example.org"] {
            sought.message_id = Some(id);
            assert_eq!(by_name(&sought), None, "{id}");
        }
    }
}

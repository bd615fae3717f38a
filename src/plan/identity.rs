//! Which stored copies are those of listed messages, when their keys can't tell: after a change of
//! UIDVALIDITY, of server or user, of a mailbox's name, or of all unique-ids.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{Former, Sha256, Sighting};

type Facts = (Option<u64>, Option<Timestamp>, Sha256);

/// Pairs listed messages (by their index) with rows of copies, by size, INTERNALDATE and header
/// section. A pair is made only where exactly one message and one copy have the same facts: all
/// others are told apart by their content. INTERNALDATE counts where all of them have one.
pub fn pair(listed: &[Sighting], former: &[Former]) -> Vec<(usize, i64)> {
    let dated = listed.iter().all(|sighting| sighting.internal_date.is_some())
        && former.iter().all(|copy| copy.internal_date.is_some());
    let facts = |size: Option<u64>, date: Option<Timestamp>, header: Sha256| -> Facts {
        (size, date.filter(|_| dated), header)
    };
    let mut groups: BTreeMap<Facts, (Vec<usize>, Vec<i64>)> = BTreeMap::new();
    for (at, sighting) in listed.iter().enumerate() {
        let Sighting { size, internal_date, header, .. } = sighting;
        groups.entry(facts(*size, *internal_date, *header)).or_default().0.push(at);
    }
    for copy in former {
        let Former { row, size, internal_date, header } = copy;
        groups.entry(facts(*size, *internal_date, *header)).or_default().1.push(*row);
    }
    let mut pairs: Vec<(usize, i64)> = groups
        .into_values()
        .filter_map(|(listed, rows)| match (listed.as_slice(), rows.as_slice()) {
            ([at], [row]) => Some((*at, *row)),
            _ => None,
        })
        .collect();
    pairs.sort_unstable();
    pairs
}

/// From so many messages on that came, and as many that went, they may be the same ones.
const IN_NUMBER: usize = 10;

/// Whether the messages of a maildrop may have got other unique-ids, as after a move to another
/// server, which may keep only some: of `listed` ones `unknown` are new, and of `stored` ones
/// `absent` are not listed. Either in number, or most of both.
///
/// Mail that others take away and new mail look alike. So this only asks for a comparison with the
/// copies that are absent, and holds no delete before one of them is found.
pub fn may_be_renumbered(listed: usize, unknown: usize, stored: usize, absent: usize) -> bool {
    let most = unknown.saturating_mul(2) > listed && absent.saturating_mul(2) > stored;
    (most && absent > 0) || unknown.min(absent) >= IN_NUMBER
}

#[cfg(test)]
mod tests;

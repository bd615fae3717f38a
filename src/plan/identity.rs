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

/// Whether the unique-ids of a maildrop have all changed, as after a move to another server: more
/// than half of what is listed is unknown, though there are about as many messages as copies were
/// listed before.
pub fn is_renumbered(listed: usize, unknown: usize, stored: usize) -> bool {
    let similar = listed <= stored.saturating_mul(2) && stored <= listed.saturating_mul(2);
    unknown.saturating_mul(2) > listed && stored > 0 && similar
}

#[cfg(test)]
mod tests;

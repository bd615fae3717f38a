//! UID sets (RFC 9051 §4.1.1), exact: a range never spans a UID that was not asked for. Pure.

/// Commands stay well below the 8,192 octets that servers must take (RFC 7162 §4), and below the
/// 1,000 that old ones do.
const SET_MAX: usize = 900;

/// The sets that hold exactly these UIDs, ascending, each short enough for one command.
pub(super) fn uid_sets(uids: impl IntoIterator<Item = u32>) -> Vec<String> {
    let mut uids: Vec<u32> = uids.into_iter().collect();
    uids.sort_unstable();
    uids.dedup();
    let mut sets = Vec::new();
    let mut set = String::new();
    for run in uids.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
        let member = match run {
            [] => continue,
            [uid] => uid.to_string(),
            [first, .., last] => format!("{first}:{last}"),
        };
        if !set.is_empty() && set.len().saturating_add(member.len()) >= SET_MAX {
            sets.push(std::mem::take(&mut set));
        }
        if !set.is_empty() {
            set.push(',');
        }
        set.push_str(&member);
    }
    if !set.is_empty() {
        sets.push(set);
    }
    sets
}

/// The UIDs of a set of [`uid_sets`].
pub(super) fn uids_of(set: &str) -> impl Iterator<Item = u32> + '_ {
    set.split(',').flat_map(|member| {
        let (first, last) = member.split_once(':').unwrap_or((member, member));
        match (first.parse::<u32>(), last.parse::<u32>()) {
            (Ok(first), Ok(last)) => first..=last,
            #[expect(clippy::reversed_empty_ranges, reason = "an empty range of the same type")]
            _ => 1..=0,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_become_ranges_and_gaps_stay_gaps() {
        assert_eq!(uid_sets([5, 1, 2, 3, 9, 2]), ["1:3,5,9"]);
        assert_eq!(uid_sets([u32::MAX]), ["4294967295"]);
        assert!(uid_sets([]).is_empty());
    }

    proptest! {
        #[test]
        fn sets_hold_exactly_what_was_asked_for(
            uids in proptest::collection::btree_set(any::<u16>(), 0..3000)
        ) {
            let sets = uid_sets(uids.iter().map(|uid| u32::from(*uid)));
            prop_assert!(sets.iter().all(|set| set.len() < 1000));
            let back: Vec<u32> = sets.iter().flat_map(|set| uids_of(set)).collect();
            let unique: BTreeSet<u32> = back.iter().copied().collect();
            prop_assert_eq!(back.len(), unique.len());
            prop_assert!(unique.into_iter().eq(uids.into_iter().map(u32::from)));
        }
    }
}

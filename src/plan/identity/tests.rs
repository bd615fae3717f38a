//! Pairs are unique, whatever the order; changed unique-ids are seen.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::MessageKey;

/// Facts of few kinds, so that some coincide.
fn facts() -> impl Strategy<Value = (u64, i64, u8)> {
    (0..3_u64, 0..2_i64, 0..4_u8)
}

fn sightings(all: &[(u64, i64, u8)]) -> Vec<Sighting> {
    let of = |(n, (size, date, header)): (usize, &(u64, i64, u8))| Sighting {
        key: MessageKey::Pop3 { unique_id: n.to_string(), occurrence: 0 },
        alone: true,
        size: Some(*size),
        internal_date: Some(Timestamp::from_second(*date).unwrap()),
        header: Sha256([*header; 32]),
    };
    all.iter().enumerate().map(of).collect()
}

fn formers(all: &[(u64, i64, u8)]) -> Vec<Former> {
    let of = |(row, (size, date, header)): (i64, &(u64, i64, u8))| Former {
        row,
        size: Some(*size),
        internal_date: Some(Timestamp::from_second(*date).unwrap()),
        header: Sha256([*header; 32]),
    };
    (1..).zip(all).map(of).collect()
}

proptest! {
    #[test]
    fn pairs_take_each_message_and_each_copy_once_and_only_where_facts_are_unique(
        listed in vec(facts(), 0..12), copies in vec(facts(), 0..12)
    ) {
        let pairs = pair(&sightings(&listed), &formers(&copies));
        let mut rows: Vec<i64> = pairs.iter().map(|(_, row)| *row).collect();
        rows.sort_unstable();
        rows.dedup();
        prop_assert_eq!(rows.len(), pairs.len());
        for (at, of) in listed.iter().enumerate() {
            let here = listed.iter().filter(|other| *other == of).count();
            let there: Vec<i64> =
                (1..).zip(&copies).filter(|(_, other)| *other == of).map(|(row, _)| row).collect();
            let found = pairs.iter().find(|(index, _)| *index == at).map(|(_, row)| *row);
            let want = if here == 1 && there.len() == 1 { Some(there[0]) } else { None };
            prop_assert_eq!(found, want);
        }
    }

    #[test]
    fn pairs_do_not_depend_on_the_order(
        listed in vec(facts(), 0..12),
        copies in vec(facts(), 0..12),
        turn in 0..12_usize
    ) {
        let (sightings, formers) = (sightings(&listed), formers(&copies));
        let mut turned = formers.clone();
        turned.reverse();
        let by = turn.min(turned.len());
        turned.rotate_left(by);
        prop_assert_eq!(pair(&sightings, &formers), pair(&sightings, &turned));
    }

    #[test]
    fn mailbox_with_unique_facts_is_found_again_whole(
        headers in proptest::collection::btree_set(any::<u8>(), 0..40)
    ) {
        let all: Vec<(u64, i64, u8)> = headers.iter().map(|n| (9, 1, *n)).collect();
        let mut copies = formers(&all);
        copies.reverse();
        let pairs = pair(&sightings(&all), &copies);
        let want: Vec<(usize, i64)> = (0..all.len()).zip(1..).collect();
        prop_assert_eq!(pairs, want);
    }
}

#[test]
fn dates_count_only_where_all_have_one() {
    let listed = sightings(&[(1, 0, 1)]);
    let mut copies = formers(&[(1, 1, 1)]);
    assert_eq!(pair(&listed, &copies), []);
    copies[0].internal_date = None;
    assert_eq!(pair(&listed, &copies), [(0, 1)]);
}

#[test]
fn pop04_renumbered_maildrop_is_told_from_new_mail() {
    for (listed, unknown, stored, absent, want) in [
        (100, 100, 100, 100, true),
        (101, 51, 100, 51, true),
        (3, 3, 2, 2, true),
        // A server that kept some of them, and one that got many more.
        (400, 400, 1000, 1000, true),
        (40, 40, 1000, 1000, true),
        (1000, 900, 100, 100, true),
        (100, 10, 100, 10, true),
        // A trickle, though most of what is listed is new.
        (100, 9, 100, 50, false),
        (100, 60, 41, 1, false),
        (10, 6, 5, 1, false),
        (100, 100, 0, 0, false),
        (100, 0, 200, 100, false),
        (0, 0, 0, 0, false),
        (0, 0, 100, 100, false),
    ] {
        let found = may_be_renumbered(listed, unknown, stored, absent);
        assert_eq!(found, want, "{listed} {unknown} {stored} {absent}");
    }
}

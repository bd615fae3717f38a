//! Which UIDs to ask for next, so that neither two million messages nor UIDs as sparse as four
//! thousand million cost much memory or many commands. Pure.

use std::collections::BTreeMap;

use super::dialogue::Caps;
use super::listed::Item;

/// The windows of one mailbox, ascending.
#[derive(Debug)]
pub(super) struct Windows {
    next: Option<u32>,
    /// The last UID that is known to be worth asking for one by one.
    end: u32,
    width: u32,
    base: u32,
    exists: u32,
    listed: u64,
    complete: bool,
}

/// One window to ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Window {
    pub(super) first: u32,
    /// `None`: as far as the server has UIDs.
    pub(super) last: Option<u32>,
}

/// What a window turned out to be.
#[derive(Debug)]
pub(super) struct Closed {
    /// Both inclusive; less than was asked for when too many came.
    pub(super) range: (u32, u32),
    pub(super) complete: bool,
    pub(super) items: BTreeMap<u32, Item>,
}

impl Windows {
    /// `base`: messages that a window should hold.
    pub(super) fn new(exists: u32, uid_next: Option<u32>, base: u32) -> Self {
        let base = base.max(1);
        // One window for a small mailbox, whatever its UIDs are. A UIDNEXT that leaves no room
        // for the messages is a lie; without one, the first window is open-ended.
        let end = uid_next.and_then(|next| next.checked_sub(1)).filter(|end| *end >= exists);
        let end = if exists <= base { 0 } else { end.unwrap_or(0) };
        Self { next: Some(1), end, width: base, base, exists, listed: 0, complete: true }
    }

    /// Messages that the server promised.
    pub(super) fn exists(&self) -> u32 {
        self.exists
    }

    /// Takes an untagged EXPUNGE into account, while `gathered` messages of the next window are
    /// known: sequence numbers ascend with UIDs, so the number says whether it had been listed.
    /// Says whether it was one of the gathered.
    pub(super) fn expunged(&mut self, number: u32, gathered: u64) -> bool {
        let number = u64::from(number);
        self.exists = self.exists.saturating_sub(1);
        if number <= self.listed {
            self.listed = self.listed.saturating_sub(1);
            return false;
        }
        number <= self.listed.saturating_add(gathered)
    }

    /// Messages that were listed so far.
    pub(super) fn listed(&self) -> u64 {
        self.listed
    }

    /// Most messages that one window may keep.
    pub(super) fn most(&self) -> usize {
        usize::try_from(self.base.saturating_mul(2)).unwrap_or(usize::MAX)
    }

    /// An open end may bring the whole mailbox: a few hundred octets for each message.
    pub(super) fn caps(&self) -> Caps {
        let response = u64::from(self.exists).saturating_mul(1 << 10).min(1 << 30);
        Caps { literal: 64 << 10, response: response.saturating_add(16 << 20) }
    }

    /// The window to ask for now; `None` when all have been.
    pub(super) fn next(&self) -> Option<Window> {
        let first = self.next?;
        let last = first.saturating_add(self.width).saturating_sub(1);
        Some(Window { first, last: (last < self.end).then_some(last) })
    }

    /// Takes what came, and moves on.
    pub(super) fn close(
        &mut self,
        window: Window,
        items: BTreeMap<u32, Item>,
        answer: Answer,
    ) -> Closed {
        let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
        self.listed = self.listed.saturating_add(count).saturating_sub(answer.expunged);
        self.complete &= answer.readable;
        let mut complete = answer.readable;
        let last_kept = items.last_key_value().map(|(uid, _)| *uid);
        let last = match (answer.cut, last_kept) {
            (true, Some(uid)) => {
                self.end = self.end.max(answer.highest);
                Some(uid)
            }
            _ => window.last,
        };
        if last.is_none() {
            // The end: what EXISTS promised must have been listed.
            complete &= self.complete && self.listed >= u64::from(self.exists);
        }
        self.next = last.and_then(|last| last.checked_add(1));
        self.adapt(count, answer.cut);
        Closed { range: (window.first, last.unwrap_or(u32::MAX)), complete, items }
    }

    fn adapt(&mut self, count: u64, cut: bool) {
        let base = u64::from(self.base);
        if cut || count > base {
            self.width = self.width.checked_div(4).unwrap_or(1).max(self.base);
        } else if count.saturating_mul(4) < base {
            self.width = self.width.saturating_mul(4);
        }
    }
}

/// How a window's reply ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// Every response could be read.
    pub(super) readable: bool,
    /// More messages came than are kept.
    pub(super) cut: bool,
    /// The highest UID that came.
    pub(super) highest: u32,
    /// Messages that came and were expunged within the same reply.
    pub(super) expunged: u64,
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small figures of a test")]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Lists a mailbox by its windows; says the UIDs, the commands and the last verdict.
    fn list(uids: &BTreeSet<u32>, exists: u32, uid_next: Option<u32>) -> (Vec<u32>, usize, bool) {
        let mut windows = Windows::new(exists, uid_next, 100);
        let (mut found, mut commands, mut complete, mut asked_to) = (Vec::new(), 0, true, 0);
        while let Some(window) = windows.next() {
            commands += 1;
            assert!(commands < 5000, "too many commands");
            assert_eq!(window.first, asked_to + 1, "no gap between windows");
            let range = window.first..=window.last.unwrap_or(u32::MAX);
            let all: Vec<u32> = uids.range(range).copied().collect();
            let kept = all.iter().take(windows.most());
            let items: BTreeMap<u32, Item> = kept.map(|uid| (*uid, Item::default())).collect();
            assert!(items.len() <= windows.most());
            let answer = Answer {
                expunged: 0,
                readable: true,
                cut: all.len() > items.len(),
                highest: all.last().copied().unwrap_or(0),
            };
            let closed = windows.close(window, items, answer);
            found.extend(closed.items.keys());
            complete = closed.complete;
            asked_to = closed.range.1;
            if asked_to == u32::MAX {
                assert_eq!(windows.next(), None);
            }
        }
        (found, commands, complete)
    }

    #[test]
    fn small_mailbox_takes_one_command_whatever_its_uids() {
        let uids = BTreeSet::from([7, 4_000_000_000]);
        assert_eq!(list(&uids, 2, Some(4_000_000_001)), (vec![7, 4_000_000_000], 1, true));
        assert_eq!(list(&BTreeSet::new(), 0, Some(1)), (vec![], 1, true));
    }

    #[test]
    fn sparse_uids_take_few_commands() {
        let uids: BTreeSet<u32> = (0..1000).map(|n| n * 4_000_000 + 1).collect();
        let (found, commands, complete) = list(&uids, 1000, Some(4_000_000_000));
        assert!(found.iter().eq(&uids) && complete);
        assert!(commands < 60, "{commands}");
    }

    #[test]
    fn dense_mailbox_goes_window_by_window() {
        let uids: BTreeSet<u32> = (1..=10_000).collect();
        let (found, commands, complete) = list(&uids, 10_000, Some(10_001));
        assert!(found.iter().eq(&uids) && complete);
        assert_eq!(commands, 100);
    }

    #[test]
    fn fewer_than_exists_is_incomplete() {
        assert!(!list(&BTreeSet::from([1, 2]), 3, Some(4)).2);
    }

    #[test]
    fn unreadable_window_taints_itself_and_the_end() {
        let mut windows = Windows::new(1000, Some(5001), 100);
        let bad = Answer { readable: false, cut: false, highest: 0, expunged: 0 };
        let good = Answer { readable: true, ..bad };
        let first = windows.next().unwrap();
        assert!(!windows.close(first, BTreeMap::new(), bad).complete);
        let second = windows.next().unwrap();
        assert!(windows.close(second, BTreeMap::new(), good).complete);
        windows.exists = 0;
        let mut last = true;
        while let Some(window) = windows.next() {
            last = windows.close(window, BTreeMap::new(), good).complete;
        }
        assert!(!last);
    }

    #[test]
    fn i07_expunged_messages_are_missed_by_nobody() {
        let none = Answer { readable: true, cut: false, highest: 0, expunged: 0 };
        let items = |uids: std::ops::Range<u32>| -> BTreeMap<u32, Item> {
            uids.map(|uid| (uid, Item::default())).collect()
        };
        // 10 of 300 are listed; then one of those goes, one that is to come, and one that has
        // just come.
        let list = |hidden: u32| {
            let mut windows = Windows::new(300, Some(301), 100);
            let window = windows.next().unwrap();
            windows.close(window, items(1..101), none);
            assert!(!windows.expunged(7, 0));
            assert!(!windows.expunged(250, 0));
            let window = windows.next().unwrap();
            assert!(windows.expunged(105, 10));
            windows.close(window, items(101..201), Answer { expunged: 1, ..none });
            let window = windows.next().unwrap();
            let closed = windows.close(window, items(201..300 - hidden), none);
            assert_eq!(closed.range.1, u32::MAX);
            closed.complete
        };
        assert!(list(0));
        assert!(!list(1), "one that was neither listed nor expunged");
    }

    proptest! {
        #[test]
        fn i04_no_message_is_lost_whatever_uidnext_says(
            dense in proptest::collection::btree_set(1_u32..5000, 0..2000),
            sparse in proptest::collection::btree_set(1_u32.., 0..300),
            uid_next in proptest::option::of(any::<u32>()),
        ) {
            let uids: BTreeSet<u32> = dense.union(&sparse).copied().collect();
            let exists = u32::try_from(uids.len()).unwrap();
            let (found, _, complete) = list(&uids, exists, uid_next);
            prop_assert!(found.iter().eq(&uids) && complete);
        }
    }
}

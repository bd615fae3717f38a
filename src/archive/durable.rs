//! Which folders of the tree are known to be durable in their parents.
//!
//! A dated folder that is there may have been made a moment ago by another account's batch, or by
//! a process that was killed before its sync. It counts as durable only once this process has
//! synced its parent after having seen it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Above so many folders all are forgotten, which costs a few syncs.
const MOST: usize = 10_000;

/// Paths below the root; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Durable {
    known: Arc<Mutex<BTreeSet<String>>>,
}

impl Durable {
    /// Whether the folder's entry in its parent is durable.
    pub(super) fn has(&self, path: &str) -> bool {
        self.known().contains(path)
    }

    /// The parents of these folders were synced, after the folders had been seen there.
    pub(super) fn learn(&self, paths: Vec<String>) {
        let mut known = self.known();
        if known.len() > MOST {
            known.clear();
        }
        known.extend(paths);
    }

    /// The folder is about to be made anew: must come before that, so that nobody who sees the
    /// new one takes it for the old one.
    pub(super) fn forget(&self, path: &str) {
        self.known().remove(path);
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

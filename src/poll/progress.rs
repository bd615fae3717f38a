//! How far a poll is, for whoever shows it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counters of one poll, written by it and read by a progress bar.
#[derive(Debug, Default)]
pub struct Progress {
    has_its_turn: AtomicBool,
    wanted: AtomicU64,
    messages: AtomicU64,
    octets: AtomicU64,
}

impl Progress {
    /// Messages to be fetched, as far as is known.
    pub fn wanted(&self) -> u64 {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Messages staged.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Octets received.
    pub fn octets(&self) -> u64 {
        self.octets.load(Ordering::Relaxed)
    }

    /// Whether it is its account's turn, or was.
    pub fn has_its_turn(&self) -> bool {
        self.has_its_turn.load(Ordering::Relaxed)
    }

    /// It is its account's turn.
    pub fn take_turn(&self) {
        self.has_its_turn.store(true, Ordering::Relaxed);
    }

    pub(super) fn add_wanted(&self, n: u64) {
        self.wanted.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn add_message(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_octets(&self, n: u64) {
        self.octets.fetch_add(n, Ordering::Relaxed);
    }
}

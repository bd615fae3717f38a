//! A bounded queue between the many that log and the one thread that writes.
//!
//! Putting something in never waits. When it gets full the least important goes first, and what was
//! dropped is counted.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ledger::log_db::Level;

/// Bounded by the octets that its items hold.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    /// Something was put in, or the writer shall look up for another reason.
    filled: Condvar,
    /// The writer has finished with something.
    finished: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(T, usize)>,
    octets: usize,
    /// Items ever put in, and ever finished with.
    accepted: u64,
    done: u64,
    dropped: Dropped,
    nudged: bool,
}

/// How many of each level were dropped, by the order of [`Level::ALL`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Dropped([u64; 4]);

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State {
            items: VecDeque::new(),
            octets: 0,
            accepted: 0,
            done: 0,
            dropped: Dropped::default(),
            nudged: false,
        };
        Self {
            state: Mutex::new(state),
            filled: Condvar::new(),
            finished: Condvar::new(),
            capacity,
        }
    }

    /// Puts an item in, or drops it when there is no room for its level.
    pub(super) fn push(&self, level: Level, octets: usize, item: T) {
        let mut state = self.lock();
        let after = state.octets.saturating_add(octets);
        if after > self.room(level) {
            state.dropped.count(level);
            return;
        }
        state.octets = after;
        state.accepted = state.accepted.saturating_add(1);
        state.items.push_back((item, octets));
        drop(state);
        self.filled.notify_one();
    }

    /// Takes up to `most` items out, waiting for the first one for `timeout`.
    pub(super) fn take(&self, most: usize, timeout: Duration) -> (Vec<T>, Dropped) {
        let state = self.lock();
        let waited = self
            .filled
            .wait_timeout_while(state, timeout, |state| state.items.is_empty() && !state.nudged);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.nudged = false;
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((item, octets)) = state.items.pop_front()
        {
            state.octets = state.octets.saturating_sub(octets);
            taken.push(item);
        }
        (taken, std::mem::take(&mut state.dropped))
    }

    /// Says that `count` taken items are where they belong, or lost for good.
    pub(super) fn finish(&self, count: usize) {
        let mut state = self.lock();
        state.done = state.done.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        drop(state);
        self.finished.notify_all();
    }

    /// Waits until all that was put in before is finished; false when `timeout` came first.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let state = self.lock();
        let wanted = state.accepted;
        let result = self.finished.wait_timeout_while(state, timeout, |state| state.done < wanted);
        result.unwrap_or_else(PoisonError::into_inner).0.done >= wanted
    }

    /// Makes [`Queue::take`] return, also without an item.
    pub(super) fn nudge(&self) {
        self.lock().nudged = true;
        self.filled.notify_one();
    }

    /// How full the queue may be for an item of this level to be accepted.
    fn room(&self, level: Level) -> usize {
        let eighths = match level {
            Level::Debug => 4,
            Level::Info => 6,
            Level::Warning => 7,
            Level::Error => 8,
        };
        (self.capacity / 8).saturating_mul(eighths)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dropped {
    fn count(&mut self, level: Level) {
        for (number, of) in self.0.iter_mut().zip(Level::ALL) {
            if of == level {
                *number = number.saturating_add(1);
            }
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, number| sum.saturating_add(*number))
    }

    /// `12 debug, 1 info`.
    pub(super) fn describe(&self) -> String {
        let parts: Vec<String> = Level::ALL
            .into_iter()
            .zip(self.0)
            .rev()
            .filter(|(_, number)| *number > 0)
            .map(|(level, number)| format!("{number} {level}"))
            .collect();
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn the_least_important_is_dropped_first() {
        let queue = Queue::new(800);
        for _ in 0..100 {
            for level in [Level::Debug, Level::Info, Level::Warning, Level::Error] {
                queue.push(level, 100, level);
            }
        }
        let (taken, dropped) = queue.take(usize::MAX, SHORT);
        assert_eq!(taken.len(), 8);
        assert!(taken.iter().filter(|level| **level == Level::Debug).count() <= 1);
        assert!(taken.iter().filter(|level| **level == Level::Error).count() >= 3);
        assert_eq!(dropped.total(), 392);
        assert!(dropped.describe().starts_with("99 debug, "), "{}", dropped.describe());
        assert_eq!(queue.take(usize::MAX, SHORT).1, Dropped::default(), "reported once");
    }

    #[test]
    fn flush_waits_for_what_was_put_in_before() {
        let queue = Queue::new(8000);
        assert!(queue.flush(SHORT), "nothing to wait for");
        queue.push(Level::Info, 1, 1);
        assert!(!queue.flush(SHORT), "nobody writes");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (taken, _) = queue.take(1, Duration::from_secs(5));
                std::thread::sleep(SHORT);
                queue.finish(taken.len());
            });
            assert!(queue.flush(Duration::from_secs(5)));
        });
    }

    #[test]
    fn nudge_wakes_a_waiting_writer() {
        let queue: Queue<u8> = Queue::new(8);
        queue.nudge();
        assert!(queue.take(1, Duration::from_mins(1)).0.is_empty());
    }
}

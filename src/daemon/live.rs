//! What only the running daemon knows: polls under way, when the next ones come, who is debugged,
//! and how an account's task is woken.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Inbound;
use crate::model::AccountName;
use crate::poll::{Account, Progress};

/// Shared by all tasks of a process; clones are handles of the same one.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    running: BTreeMap<String, Running>,
    next: BTreeMap<AccountName, Option<Timestamp>>,
    debugged: BTreeMap<AccountName, Debugged>,
    wakers: BTreeMap<AccountName, Arc<Waker>>,
}

/// A poll under way, or waiting for its turn.
#[derive(Debug)]
struct Running {
    config: Arc<Inbound>,
    since: Timestamp,
    progress: Arc<Progress>,
    cancel: CancellationToken,
}

/// An account of which everything is logged, for a time.
#[derive(Clone, Copy, Debug)]
struct Debugged {
    ends: Instant,
    until: Timestamp,
}

/// What an account's task does when it is woken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wake {
    /// It polls now, if it may.
    Poll,
    /// It looks anew how long it has to wait.
    Look,
}

/// Wakes an account's task. No wake is lost, and of several a poll goes before a look.
#[derive(Debug, Default)]
pub(super) struct Waker {
    to_poll: AtomicBool,
    told: Notify,
}

impl Waker {
    fn wake(&self, wake: Wake) {
        self.to_poll.fetch_or(wake == Wake::Poll, Ordering::AcqRel);
        self.told.notify_one();
    }

    /// The next wake, or the one that came meanwhile. Safe to drop.
    pub(super) async fn woken(&self) -> Wake {
        self.told.notified().await;
        if self.to_poll.swap(false, Ordering::AcqRel) { Wake::Poll } else { Wake::Look }
    }
}

/// A poll under way, as it is told.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RunningPoll {
    /// The account.
    pub account: String,
    /// Names the poll in the log.
    pub run: String,
    /// Since when.
    pub since: Timestamp,
    /// Messages to be fetched, as far as is known.
    pub wanted: u64,
    /// Messages staged.
    pub messages: u64,
    /// Octets received.
    pub octets: u64,
}

/// Takes a poll off the list when it ends, however it ends.
#[derive(Debug)]
pub(super) struct Entry {
    live: Live,
    run: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.live.state().running.remove(&self.run);
    }
}

impl Live {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a poll on the list.
    pub(super) fn begin(&self, run: &str, account: &Account) -> Entry {
        let running = Running {
            config: Arc::clone(&account.config),
            since: account.tools.clock.now(),
            progress: Arc::clone(&account.progress),
            cancel: account.cancel.clone(),
        };
        self.state().running.insert(run.to_owned(), running);
        Entry { live: self.clone(), run: run.to_owned() }
    }

    /// The polls under way.
    pub fn running(&self) -> Vec<RunningPoll> {
        let tell = |(run, poll): (&String, &Running)| RunningPoll {
            account: poll.config.name.to_string(),
            run: run.clone(),
            since: poll.since,
            wanted: poll.progress.wanted(),
            messages: poll.progress.messages(),
            octets: poll.progress.octets(),
        };
        self.state().running.iter().map(tell).collect()
    }

    /// Ends the polls that this is true of, each at its next message border.
    pub(super) fn end_polls(&self, which: impl Fn(&Inbound) -> bool) {
        for poll in self.state().running.values().filter(|poll| which(&poll.config)) {
            poll.cancel.cancel();
        }
    }

    pub(super) fn set_next(&self, account: &AccountName, at: Option<Timestamp>) {
        self.state().next.insert(Arc::clone(account), at);
    }

    /// When each account is polled next; `None`: not before somebody has acted.
    pub(super) fn next(&self) -> BTreeMap<String, Option<Timestamp>> {
        self.state().next.iter().map(|(name, at)| (name.to_string(), *at)).collect()
    }

    /// The way to wake an account's task.
    pub(super) fn set_waker(&self, account: &AccountName, waker: Arc<Waker>) {
        self.state().wakers.insert(Arc::clone(account), waker);
    }

    /// Forgets an account that has no task any more.
    pub(super) fn forget(&self, account: &AccountName) {
        let mut state = self.state();
        state.wakers.remove(account);
        state.next.remove(account);
    }

    /// Wakes an account's task; false if it has none.
    pub(super) fn wake(&self, account: &str, wake: Wake) -> bool {
        let state = self.state();
        let waker = state.wakers.get(account);
        if let Some(waker) = waker {
            waker.wake(wake);
        }
        waker.is_some()
    }

    /// Logs everything of an account until then; `None` ends it.
    pub(super) fn debug(&self, account: &AccountName, until: Option<(Instant, Timestamp)>) {
        let mut state = self.state();
        match until {
            Some((ends, until)) => {
                state.debugged.insert(Arc::clone(account), Debugged { ends, until });
            }
            None => {
                state.debugged.remove(account);
            }
        }
    }

    /// Accounts of which everything is logged for now, and until when.
    pub(super) fn debugged(&self) -> BTreeMap<AccountName, Timestamp> {
        let state = self.state();
        state.debugged.iter().map(|(name, debug)| (Arc::clone(name), debug.until)).collect()
    }

    /// Whether everything of an account is logged for now.
    pub(super) fn is_debugged(&self, account: &AccountName) -> bool {
        self.state().debugged.contains_key(account)
    }

    /// When the next account's debugging ends.
    pub(super) fn debugging_ends(&self) -> Option<Instant> {
        self.state().debugged.values().map(|debug| debug.ends).min()
    }

    /// Ends what is over at a moment; whose it was.
    pub(super) fn end_debugging(&self, now: Instant) -> Vec<AccountName> {
        let mut state = self.state();
        let over = state.debugged.iter().filter(|(_, debug)| debug.ends <= now);
        let over: Vec<AccountName> = over.map(|(name, _)| Arc::clone(name)).collect();
        for name in &over {
            state.debugged.remove(name);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn poll_that_is_wanted_behind_a_look_is_not_forgotten() {
        for wakes in [[Wake::Look, Wake::Poll], [Wake::Poll, Wake::Look]] {
            let waker = Waker::default();
            for wake in wakes {
                waker.wake(wake);
            }
            assert_eq!(waker.woken().await, Wake::Poll);
        }
        let waker = Waker::default();
        waker.wake(Wake::Look);
        assert_eq!(waker.woken().await, Wake::Look);
    }
}

//! One task per enabled inbound account: it waits, polls, and waits again.
//!
//! Waiting is by the monotonic clock; only cron expressions look at the wall. A task that panics
//! ends alone and is started again. On a reload only the tasks of accounts that changed end, at
//! the next message border, and new ones begin.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::attempt::Attempts;
use super::gate::{Asked, Kept};
use super::live::{Wake, Waker};
use crate::config::{Config, Inbound, Schedule};
use crate::model::AccountName;
use crate::poll::{Account, Tools};
use crate::schedule::{first_poll_after, next_poll_after};

/// Rest after a task has died.
const AFTER_PANIC: Duration = Duration::from_mins(1);
/// An account that has stopped is looked at again, as its secret may have changed.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// The tasks of all accounts.
#[derive(Debug)]
pub(super) struct Scheduler {
    tools: Tools,
    attempts: Attempts,
    tasks: JoinSet<AccountName>,
    running: BTreeMap<AccountName, Running>,
    cancel: CancellationToken,
}

/// A task that polls an account.
#[derive(Debug)]
struct Running {
    config: Arc<Inbound>,
    cancel: CancellationToken,
    /// Resolves when the task has ended.
    ended: oneshot::Receiver<()>,
    id: tokio::task::Id,
}

/// What one account's task runs.
struct Task {
    account: Account,
    attempts: Attempts,
    /// The task of the same account before a reload, which must have ended first.
    before: Option<oneshot::Receiver<()>>,
    first_wait: Duration,
    /// Says to poll or to look before the wait is over.
    waker: Arc<Waker>,
    /// Dropped when the task ends, however it ends.
    _ended: oneshot::Sender<()>,
}

/// How long a task waits, and when it polls then.
#[derive(Clone, Copy, Debug)]
struct Rest {
    wait: Duration,
    /// `None`: not before somebody has acted.
    next: Option<Timestamp>,
}

impl Scheduler {
    /// A scheduler without tasks; `cancel` ends all that it will have.
    pub(super) fn new(tools: Tools, attempts: Attempts, cancel: CancellationToken) -> Self {
        Self { tools, attempts, tasks: JoinSet::new(), running: BTreeMap::new(), cancel }
    }

    /// Starts and ends tasks so that they are those of the config; others go on undisturbed.
    pub(super) fn apply(&mut self, config: &Config) {
        let names = config.inbound.keys().cloned().collect();
        *self.tools.configured.lock().unwrap_or_else(PoisonError::into_inner) = names;
        let enabled =
            |name: &AccountName| config.inbound.get(name).is_some_and(|inbound| inbound.enabled);
        let gone: Vec<AccountName> =
            self.running.keys().filter(|name| !enabled(name)).cloned().collect();
        for name in gone {
            if let Some(task) = self.running.remove(&name) {
                task.cancel.cancel();
                self.attempts.live.forget(&name);
            }
        }
        // Those that a person has asked for end with the config that they began with.
        self.attempts.live.end_polls(|polled| {
            let now = config.inbound.get(&polled.name);
            now.is_none_or(|now| Inbound { debug: now.debug, ..polled.clone() } != *now)
        });
        for (name, inbound) in config.inbound.iter().filter(|(_, inbound)| inbound.enabled) {
            let before = match self.running.remove(name) {
                Some(task) if *task.config == *inbound => {
                    self.running.insert(Arc::clone(name), task);
                    continue;
                }
                Some(task) => {
                    task.cancel.cancel();
                    Some(task.ended)
                }
                None => None,
            };
            let interval = self.attempts.interval(inbound, self.tools.clock.now());
            // A changed account is polled at once: somebody waits to see what the change does.
            let wait = match (&before, &inbound.schedule) {
                (Some(_), Schedule::Every(_)) => Duration::ZERO,
                (None, Schedule::Every(_)) => first_poll_after(name, interval),
                (_, Schedule::Cron(_)) => interval,
            };
            self.start(Arc::new(inbound.clone()), before, wait);
        }
    }

    /// Number of accounts that are polled.
    pub(super) fn accounts(&self) -> usize {
        self.running.len()
    }

    /// Waits for a task to end; one that died is started again after a rest.
    ///
    /// Never returns while no task ends; safe to drop.
    pub(super) async fn supervise(&mut self) {
        let Some(ended) = self.tasks.join_next().await else {
            return std::future::pending().await;
        };
        let Err(error) = ended else { return };
        let id = error.id();
        let died = self.running.iter().find(|(_, task)| task.id == id);
        let Some((name, config)) = died.map(|(n, task)| (Arc::clone(n), Arc::clone(&task.config)))
        else {
            return;
        };
        tracing::error!(
            target: "daemon",
            code = "account-task-died",
            account = &*name,
            "The account's task died ({error}); it starts again in a minute"
        );
        self.running.remove(&name);
        self.start(config, None, AFTER_PANIC);
    }

    /// Ends all tasks, each at its next message border, and waits for them.
    pub(super) async fn stop(&mut self) {
        self.cancel.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    fn start(
        &mut self,
        config: Arc<Inbound>,
        before: Option<oneshot::Receiver<()>>,
        first_wait: Duration,
    ) {
        let cancel = self.cancel.child_token();
        let (sender, ended) = oneshot::channel();
        let account = Account::new(Arc::clone(&config), self.tools.clone(), cancel.clone());
        let name = Arc::clone(&config.name);
        let attempts = self.attempts.clone();
        let waker = Arc::new(Waker::default());
        self.attempts.live.set_waker(&name, Arc::clone(&waker));
        let task = Task { account, attempts, before, first_wait, waker, _ended: sender };
        let id = self.tasks.spawn(task.run()).id();
        self.running.insert(name, Running { config, cancel, ended, id });
    }
}

impl Task {
    async fn run(mut self) -> AccountName {
        let name = Arc::clone(&self.account.config.name);
        if let Some(before) = self.before.take() {
            // Its sender is dropped at its end, so an error is the message.
            drop(before.await);
        }
        let mut rest = self.resting(self.first_wait);
        loop {
            self.announce(rest.next).await;
            let woken = tokio::select! {
                () = self.account.cancel.cancelled() => return name,
                woken = self.waker.woken() => woken,
                () = tokio::time::sleep(rest.wait) => Wake::Poll,
            };
            rest = match woken {
                Wake::Poll => self.once().await,
                Wake::Look => self.look().await,
            };
            if self.account.cancel.is_cancelled() {
                return name;
            }
        }
    }

    /// Polls unless a pause or refused logins forbid it; how long to wait then.
    async fn once(&self) -> Rest {
        self.end_pause(self.account.tools.clock.now()).await;
        // Its own counters, as each poll is told of by itself.
        let account = Account { progress: Arc::default(), ..self.account.clone() };
        match self.attempts.attempt(&account, Asked::ForAll).await {
            Ok(_) => self.resting(self.rest().await),
            Err(kept) => self.kept(&kept),
        }
    }

    /// How long to wait, as things are.
    async fn look(&self) -> Rest {
        match self.attempts.pause(&self.account).await {
            Ok(Some(pause)) => self.kept(&Kept::Paused(pause)),
            _ => self.resting(self.rest().await),
        }
    }

    /// How long an account is left alone that can't be polled now.
    fn kept(&self, kept: &Kept) -> Rest {
        let now = self.account.tools.clock.now();
        let until = match kept {
            Kept::Stopped => None,
            Kept::Paused(pause) => pause.until,
            Kept::Rests(until) => Some(*until),
            Kept::Untold(error) => {
                tracing::error!(
                    target: "daemon",
                    code = error.code(),
                    account = &*self.account.config.name,
                    "{error}"
                );
                None
            }
        };
        let left = until.map_or(LOOK_AGAIN, |until| {
            let left = Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO);
            left.clamp(Duration::from_secs(1), LOOK_AGAIN)
        });
        Rest { wait: left, next: until }
    }

    /// Takes a pause off whose time has passed, and says so once.
    async fn end_pause(&self, now: Timestamp) {
        let name = Arc::clone(&self.account.config.name);
        let ledger = &self.account.tools.ledger;
        let over = move |tx: &crate::ledger::Tx<'_>| {
            let row = tx.account(&name)?;
            Ok(row.and_then(|row| row.pause).is_some_and(|pause| pause.is_over(now)))
        };
        if !ledger.read("look for a pause", over).await.unwrap_or(false) {
            return;
        }
        let name = Arc::clone(&self.account.config.name);
        if ledger.write("end a pause", move |tx| tx.end_pause(&name, now)).await.unwrap_or(false) {
            tracing::info!(
                target: "daemon",
                code = "account-resumed",
                account = &*self.account.config.name,
                "The pause is over"
            );
        }
    }

    fn resting(&self, wait: Duration) -> Rest {
        Rest { wait, next: self.account.tools.clock.now().checked_add(wait).ok() }
    }

    /// The interval, or longer after failures.
    async fn rest(&self) -> Duration {
        let now = self.account.tools.clock.now();
        let config = &self.account.config;
        let regular = self.attempts.interval(config, now);
        let regular = match config.schedule {
            Schedule::Every(_) => next_poll_after(regular, random()),
            Schedule::Cron(_) => regular,
        };
        let state = self.attempts.state(&self.account).await.unwrap_or_default();
        let until = state.retry_at.map(|at| at.duration_since(now));
        let back_off = until.and_then(|left| Duration::try_from(left).ok()).unwrap_or_default();
        regular.max(back_off)
    }

    /// Tells `status` when the next poll is.
    async fn announce(&self, at: Option<Timestamp>) {
        let name = Arc::clone(&self.account.config.name);
        self.attempts.live.set_next(&name, at);
        let ledger = &self.account.tools.ledger;
        let told = ledger.mark("tell the next poll", move |tx| tx.set_next_poll(&name, at)).await;
        if let Err(error) = told {
            tracing::debug!(target: "daemon", %error, "next poll not told");
        }
    }
}

/// A number that differs from call to call, for jitter.
fn random() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    high ^ low
}

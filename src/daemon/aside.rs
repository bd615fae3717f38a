//! What the daemon does beside its polls: canaries, notices, the ledger's upkeep. A task of it that
//! dies or ends is started again, after a rest, for as long as the daemon runs.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Rest before a task is started again: one that dies at once is no busy loop.
const REST: Duration = Duration::from_mins(1);

/// How a task goes that doesn't die.
const ENDED: &str = "ended";

/// Makes a task, again and again.
type Make = Box<dyn Fn() -> Work + Send>;
/// A task; it ends when the daemon does.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The tasks, by their names.
pub(super) struct Aside {
    tasks: JoinSet<()>,
    running: BTreeMap<Id, &'static str>,
    make: BTreeMap<&'static str, Make>,
    cancel: CancellationToken,
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aside({:?})", self.running.values())
    }
}

impl Aside {
    /// None yet; `cancel` is the daemon's end.
    pub(super) fn new(cancel: CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), running: BTreeMap::new(), make: BTreeMap::new(), cancel }
    }

    /// Starts a task, and keeps it going.
    pub(super) fn keep<W>(&mut self, name: &'static str, make: impl Fn() -> W + Send + 'static)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        self.make.insert(name, Box::new(move || Box::pin(make())));
        self.start(name, Duration::ZERO);
    }

    /// Does something once; it ends with the daemon, too.
    pub(super) fn once(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    fn start(&mut self, name: &'static str, rest: Duration) {
        let Some(make) = self.make.get(name) else { return };
        let (work, cancel) = (make(), self.cancel.clone());
        let task = async move {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(rest) => {}
            }
            work.await;
        };
        let id = self.tasks.spawn(task).id();
        self.running.insert(id, name);
    }

    /// Waits for a task to end, and has it started again.
    ///
    /// Never returns while no task ends; safe to drop.
    pub(super) async fn supervise(&mut self) {
        let Some(ended) = self.tasks.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let (id, how) = match ended {
            Ok((id, ())) => (id, ENDED.to_owned()),
            Err(error) => (error.id(), died(&error)),
        };
        let Some(name) = self.running.remove(&id) else {
            if how != ENDED {
                tracing::error!(target: "daemon", code = "internal-error", "A task {how}");
            }
            return;
        };
        if self.cancel.is_cancelled() {
            return;
        }
        tracing::error!(
            target: "daemon",
            code = "internal-error",
            "What the daemon does for {name} {how}; it starts again in a minute"
        );
        self.start(name, REST);
    }
}

fn died(error: &JoinError) -> String {
    format!("died ({error})")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn d24_task_beside_the_polls_that_dies_or_ends_is_started_again_after_a_minute() {
        let (begun, cancel) = (Arc::new(AtomicU32::new(0)), CancellationToken::new());
        let mut aside = Aside::new(cancel.clone());
        let (count, token) = (Arc::clone(&begun), cancel.clone());
        aside.keep("tests", move || {
            let (count, cancel) = (Arc::clone(&count), token.clone());
            async move {
                match count.fetch_add(1, Ordering::SeqCst) {
                    0 => panic!("as the test wants it"),
                    1 => {}
                    _ => cancel.cancelled().await,
                }
            }
        });
        // Another one goes on meanwhile.
        aside.keep("others", std::future::pending);
        let start = Instant::now();
        aside.supervise().await;
        assert_eq!((begun.load(Ordering::SeqCst), start.elapsed()), (1, Duration::ZERO));
        aside.supervise().await;
        assert_eq!((begun.load(Ordering::SeqCst), start.elapsed()), (2, REST));
        tokio::select! {
            () = aside.supervise() => panic!("{aside:?}"),
            () = tokio::time::sleep(REST.saturating_mul(2)) => {}
        }
        assert_eq!((begun.load(Ordering::SeqCst), aside.running.len()), (3, 2));
        // At the daemon's end nothing is started any more.
        cancel.cancel();
        aside.supervise().await;
        assert_eq!(aside.running.len(), 1);
    }
}

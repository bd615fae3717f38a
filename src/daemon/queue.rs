//! Polls that people have asked for. Of each account at most one waits for each way to ask; who comes
//! later shares it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::attempt::Attempts;
use super::gate::{Asked, Kept};
use super::live::Wake;
use crate::config::Inbound;
use crate::control::{Replies, Reply};
use crate::model::AccountName;
use crate::poll::{Account, PollReport, Progress};

/// How often a client is told how far a poll is.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// The polls that people have asked for.
#[derive(Debug)]
pub(super) struct Queue {
    attempts: Attempts,
    tasks: JoinSet<()>,
    waiting: BTreeMap<(AccountName, Asked), Wanted>,
}

/// A poll that somebody waits for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    config: Arc<Inbound>,
    progress: Arc<Progress>,
    ended: watch::Receiver<Option<Reply>>,
}

impl Queue {
    pub(super) fn new(attempts: Attempts) -> Self {
        Self { attempts, tasks: JoinSet::new(), waiting: BTreeMap::new() }
    }

    /// A poll of this account: one that waits for its turn, else a new one. Who asks must see what
    /// came before the question, so a poll under way doesn't do.
    pub(super) fn poll(&mut self, account: Account, asked: Asked) -> Wanted {
        while self.tasks.try_join_next().is_some() {}
        self.waiting.retain(|_, wanted| wanted.waits());
        let key = (Arc::clone(&account.config.name), asked);
        if let Some(found) = self.waiting.get(&key).filter(|it| it.config == account.config) {
            return found.clone();
        }
        let (sender, ended) = watch::channel(None);
        let (config, progress) = (Arc::clone(&account.config), Arc::clone(&account.progress));
        let wanted = Wanted { config, progress, ended };
        let (name, attempts) = (Arc::clone(&key.0), self.attempts.clone());
        self.waiting.insert(key, wanted.clone());
        self.tasks.spawn(async move {
            let live = attempts.live.clone();
            let poll = async move { attempts.attempt(&account, asked).await };
            sender.send_replace(Some(outcome(&name, asked, poll).await));
            live.wake(&name, Wake::Look);
        });
        wanted
    }

    /// Whoever asks from now on gets a new poll: those that wait have been ended.
    pub(super) fn forget(&mut self, account: &AccountName) {
        self.waiting.retain(|(name, _), _| name != account);
    }

    /// Waits for all.
    pub(super) async fn finish(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Wanted {
    /// Whether it waits for its turn.
    fn waits(&self) -> bool {
        !self.progress.has_its_turn() && self.ended.has_changed().is_ok()
    }

    /// Tells a client how the poll goes and how it ended, unless that client goes away.
    pub(super) async fn tell(mut self, replies: Replies) {
        let ended = loop {
            tokio::select! {
                ended = ended(&mut self.ended) => break ended,
                () = replies.closed() => return,
                () = tokio::time::sleep(TELL_EVERY) => replies.hint(Reply::Progress {
                    account: self.config.name.to_string(),
                    wanted: self.progress.wanted(),
                    messages: self.progress.messages(),
                    octets: self.progress.octets(),
                }),
            }
        };
        if let Some(reply) = ended {
            replies.tell(reply).await;
        }
    }
}

/// How a poll ended; `None` where the daemon ended first.
async fn ended(told: &mut watch::Receiver<Option<Reply>>) -> Option<Reply> {
    told.wait_for(Option::is_some).await.ok()?.clone()
}

/// What is told of a poll's end, whatever that was.
async fn outcome(
    name: &AccountName,
    asked: Asked,
    poll: impl Future<Output = Result<PollReport, Kept>> + Send + 'static,
) -> Reply {
    // A task of its own: one that dies takes only itself along.
    let mut task = JoinSet::new();
    task.spawn(poll);
    let waits = |why, meant| Reply::Waits { account: name.to_string(), why, meant };
    match task.join_next().await {
        Some(Ok(Ok(report))) => {
            Reply::Polled { report: serde_json::to_value(report).unwrap_or_default() }
        }
        Some(Ok(Err(kept))) => waits(kept.why(), kept.is_meant(asked)),
        Some(Err(error)) => {
            tracing::error!(
                target: "daemon",
                code = "account-task-died",
                account = &**name,
                "A poll that was asked for died ({error})"
            );
            waits(format!("its poll died: {error}"), false)
        }
        None => waits("its poll didn't begin".to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn poll_that_dies_is_a_failure_of_its_account() {
        let name = "a".into();
        let reply = outcome(&name, Asked::ForAll, async { panic!("as the test wants it") }).await;
        let Reply::Waits { account, why, meant: false } = reply else { panic!() };
        assert_eq!(account, "a");
        assert!(why.starts_with("its poll died: ") && why.contains("panicked"), "{why}");
    }
}

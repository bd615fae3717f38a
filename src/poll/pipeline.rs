//! Fetching, staging and recording, side by side.

use std::sync::{Arc, PoisonError};
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::commit::{Committed, Committer};
use super::error::PollError;
use super::progress::Progress;
use super::stager::{Asked, Stager, Wanted};
use super::{Account, Tools};
use crate::ledger::{MailboxId, Tx};
use crate::mailbox::{Part, ReadMailbox};
use crate::model::{Fetch, FetchReason};

/// Parts of 256 KiB at most that may wait for the disk: 16 MiB.
const PARTS: usize = 64;

/// Which mailbox is fetched from, and what has gone before.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Its row.
    pub(super) mailbox: MailboxId,
    /// Other mailboxes whose copies may be of its messages; `None` if no key is out of date.
    pub(super) formers: Option<Vec<MailboxId>>,
    /// The process died while it parsed its messages.
    pub(super) crashed: bool,
}

/// The three stages of one mailbox's fetching, joined by bounded queues.
///
/// Staging has a thread of its own, not one of the runtime's pool: the committer needs the pool,
/// and would wait for ever for a thread while all of them wait for committers.
#[derive(Debug)]
pub(super) struct Pipeline {
    wanted: Asked,
    parts: mpsc::Sender<Part>,
    staging: oneshot::Receiver<Result<(), PollError>>,
    committing: JoinSet<(Committed, Result<(), PollError>)>,
    tools: Tools,
    target: Target,
    progress: Arc<Progress>,
}

impl Pipeline {
    /// Starts the stages for one mailbox.
    pub(super) fn start(account: &Account, target: Target) -> Result<Self, PollError> {
        let tools = account.tools.clone();
        let wanted = Asked::default();
        let (parts, parts_rx) = mpsc::channel(PARTS);
        let (ready, ready_rx) = mpsc::channel(1);
        let stager = Stager {
            archive: Arc::clone(&tools.archive),
            account: Arc::clone(&account.config),
            clock: tools.clock,
            progress: Arc::clone(&account.progress),
            cancel: account.cancel.clone(),
            ledger: tools.ledger.clone(),
            mailbox: target.mailbox,
            wanted: Arc::clone(&wanted),
            parts: parts_rx,
            ready,
        };
        let committer = Committer {
            account: Arc::clone(&account.config),
            outbox: Arc::clone(&tools.outbox),
            archive: Arc::clone(&tools.archive),
            ledger: tools.ledger.clone(),
            clock: tools.clock,
            redactor: tools.redactor.clone(),
            mailbox: target.mailbox,
            formers: target.formers.clone(),
        };
        let (ended, staging) = oneshot::channel();
        let span = tracing::Span::current();
        let work = move || drop(ended.send(span.in_scope(|| stager.run())));
        let spawned = thread::Builder::new().name("stage".to_owned()).spawn(work);
        spawned.map_err(|error| PollError::Task(format!("no thread to stage mail: {error}")))?;
        let mut committing = JoinSet::new();
        let span = tracing::Span::current();
        committing.spawn(tracing::Instrument::instrument(committer.run(ready_rx), span));
        let progress = Arc::clone(&account.progress);
        Ok(Self { wanted, parts, staging, committing, tools, target, progress })
    }

    /// Fetches messages into the pipeline. On return they are on their way, not yet durable.
    ///
    /// When the daemon stops, the fetch ends at once: what is complete is kept, the message in
    /// the middle is dropped, and the session can't be used any more.
    pub(super) async fn fetch<M: ReadMailbox>(
        &self,
        account: &Account,
        session: &mut M,
        fetches: Vec<Fetch>,
    ) -> Result<(), PollError> {
        let keys: Vec<_> = fetches.iter().map(|fetch| fetch.key.clone()).collect();
        let (mailbox, crashed) = (self.target.mailbox, self.target.crashed);
        let now = self.tools.clock.now();
        let sharing = fetches.iter().filter(|fetch| !fetch.alone);
        let sizes: Vec<_> =
            sharing.filter_map(|fetch| Some((fetch.key.clone(), fetch.size?))).collect();
        let count = move |tx: &Tx<'_>| {
            let begun = tx.begin_fetch(mailbox, &keys, crashed, now)?;
            tx.note_sizes(mailbox, &sizes)?;
            Ok(begun)
        };
        let begun = self.tools.ledger.write("count attempts", count).await?;
        self.progress.add_wanted(fetches.len() as u64);
        let wanted = fetches.iter().cloned().zip(begun);
        let mut wanted: Vec<_> = wanted.map(|(fetch, begun)| Wanted { fetch, begun }).collect();
        // As both protocols fetch them.
        wanted.sort_by_key(|wanted| matches!(wanted.fetch.why, FetchReason::Retry { .. }));
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).extend(wanted);
        account.unless_stopped(session.fetch(&fetches, &self.parts)).await
    }

    /// Ends the stream and waits until all that is complete is durable and recorded.
    ///
    /// The committer's error comes first: the stager's is its consequence.
    pub(super) async fn finish(self) -> (Committed, Result<(), PollError>) {
        let Self { wanted, parts, staging, mut committing, tools, target, .. } = self;
        drop((wanted, parts));
        let staged = staging.await;
        let committed = committing.join_next().await;
        let (done, outcome) = match committed {
            Some(Ok(committed)) => committed,
            Some(Err(error)) => (Committed::default(), Err(PollError::Task(error.to_string()))),
            None => (Committed::default(), Ok(())),
        };
        // A thread that panics drops its end of the channel.
        let Ok(staged) = staged else {
            let died = PollError::Task("the thread that stages mail died".to_owned());
            return (done, outcome.and(Err(died)));
        };
        // From here on a crash is no message's fault.
        let ended = move |tx: &Tx<'_>| tx.parsed(target.mailbox);
        let ended = tools.ledger.write("end a fetch", ended).await.map_err(PollError::from);
        (done, outcome.and(staged).and(ended))
    }
}

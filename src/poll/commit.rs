//! The durable sequence, in its order (`docs/safety.md`).
//!
//! 1 messages were staged; 2 the stage is synced; 3 the ledger commits the intent to place them;
//! 4 they are renamed into the tree and the folders synced; 5 the ledger commits the fact. From 3
//! to 5 nothing can be cancelled; a process that dies in between leaves `placing` rows, which
//! [`super::settle`] reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_blocking;

use super::clock::Clock;
use super::error::PollError;
use super::outbox::asked;
use super::report::HeldEntry;
use super::sift;
use super::stager::{Ready, StagedMessage};
use crate::archive::{Archive, ArchiveError, Batch, Placed, Staged};
use crate::config::Inbound;
use crate::ledger::{Asked, Ledger, LedgerError, LeftOut, MailboxId, Placing, Tx};
use crate::log::Redactor;
use crate::mailbox::MailboxError;
use crate::model::MessageKey;
use crate::plan::{may_be_another, retry_at};

/// Takes ready batches through the durable sequence.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) account: Arc<Inbound>,
    /// Rung when there are new actions.
    pub(super) outbox: Arc<Notify>,
    pub(super) archive: Arc<Archive>,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) redactor: Redactor,
    pub(super) mailbox: MailboxId,
    /// Copies with out-of-date keys are looked for by their content, in these other mailboxes too.
    pub(super) formers: Option<Vec<MailboxId>>,
}

/// What was committed.
#[derive(Debug, Default)]
pub(super) struct Committed {
    pub(super) archived: u32,
    pub(super) octets: u64,
    pub(super) rekeyed: u32,
    /// Messages that are not archived, by the rule that left them out.
    pub(super) not_archived: BTreeMap<String, u32>,
    /// Rows of copies that were found to be those of fetched messages.
    pub(super) found: Vec<i64>,
    pub(super) held: Vec<HeldEntry>,
    pub(super) folders: BTreeMap<String, u32>,
}

impl Committer {
    /// Runs until the stager is done or an error ends the sequence.
    pub(super) async fn run(
        self,
        mut ready: mpsc::Receiver<Ready>,
    ) -> (Committed, Result<(), PollError>) {
        let mut done = Committed::default();
        while let Some(batch) = ready.recv().await {
            if let Err(error) = self.commit(batch, &mut done).await {
                return (done, Err(error));
            }
        }
        (done, Ok(()))
    }

    async fn commit(&self, ready: Ready, done: &mut Committed) -> Result<(), PollError> {
        let Ready { batch, staged, failed } = ready;
        let batch = Arc::new(batch);
        for (key, error) in failed {
            self.hold(key, &error, done).await?;
        }
        let staged = self.restate(staged, done).await?;
        let staged = self.without_restored(staged).await?;
        let staged = self.rekey(staged, done).await?;
        let (left_out, staged): (Vec<_>, Vec<_>) =
            staged.into_iter().partition(|message| message.left_out.is_some());
        let decided: Vec<LeftOut> = left_out.iter().filter_map(sift::decision).collect();
        if staged.is_empty() {
            return self.leave_out(left_out, decided, done).await;
        }
        let folders: Vec<Staged> = staged.iter().map(|message| message.staged.clone()).collect();
        let folders = Arc::new(folders);
        let archive = Arc::clone(&self.archive);
        blocking(move || archive.root().check()).await?;
        self.sync(&batch, &folders).await?;
        let copies: Vec<Placing> = staged.iter().map(placing).collect();
        let mailbox = self.mailbox;
        let rows = self
            .ledger
            .write("commit the intent to place", move |tx| {
                tx.leave_out(mailbox, &decided)?;
                tx.placing(mailbox, &copies)
            })
            .await?;
        sift::count(&self.account, left_out, done);
        let placed = self.place(&batch, &folders).await?;
        self.record(staged, &rows, &placed, done).await
    }

    /// Records a batch of which nothing is archived.
    async fn leave_out(
        &self,
        messages: Vec<StagedMessage>,
        decided: Vec<LeftOut>,
        done: &mut Committed,
    ) -> Result<(), PollError> {
        if decided.is_empty() {
            return Ok(());
        }
        let mailbox = self.mailbox;
        let write = move |tx: &Tx<'_>| tx.leave_out(mailbox, &decided);
        self.ledger.write("record what is not archived", write).await?;
        sift::count(&self.account, messages, done);
        Ok(())
    }

    /// After a failed sync the pages that were lost count as clean: the batch is thrown away and
    /// fetched anew, never synced again.
    async fn sync(&self, batch: &Arc<Batch>, folders: &Arc<Vec<Staged>>) -> Result<(), PollError> {
        let (batch, folders) = (Arc::clone(batch), Arc::clone(folders));
        blocking(move || batch.sync_staged(&folders)).await
    }

    async fn place(
        &self,
        batch: &Arc<Batch>,
        folders: &Arc<Vec<Staged>>,
    ) -> Result<Vec<Placed>, PollError> {
        let (batch, folders) = (Arc::clone(batch), Arc::clone(folders));
        blocking(move || batch.place(&folders)).await
    }

    /// Commits the fact. Where a folder stood already, it is the same message's (a ledger that
    /// was lost) or the message is held.
    async fn record(
        &self,
        staged: Vec<StagedMessage>,
        rows: &[i64],
        placed: &[Placed],
        done: &mut Committed,
    ) -> Result<(), PollError> {
        let (mut archived, mut moved, mut occupied) = (Vec::new(), Vec::new(), Vec::new());
        let mut canaries = Vec::new();
        for ((message, row), placed) in staged.into_iter().zip(rows).zip(placed) {
            match placed {
                Placed::Moved => {
                    canaries.extend(message.marks.canary.as_ref().map(|_| *row));
                    archived.push((*row, message.staged.path.clone()));
                    message.in_stage.placed();
                    let beside = message.fetch.is_beside();
                    moved.push((message.staged, message.fetch.key, beside));
                }
                Placed::Occupied => occupied.push((message, *row)),
            }
        }
        self.archived(archived).await?;
        let delays = move |tx: &Tx<'_>| -> Result<Vec<SignedDuration>, LedgerError> {
            canaries.iter().filter_map(|row| tx.canary_delay(*row).transpose()).collect()
        };
        for delay in self.ledger.read("look for canaries", delays).await? {
            let milliseconds = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
            tracing::info!(
                target: "incoming",
                code = "canary-arrived",
                account = &*self.account.name,
                milliseconds,
                "A canary came back after {milliseconds} ms"
            );
        }
        for (staged, key, beside) in moved {
            done.count(&staged);
            if beside {
                self.warn_of_reuse(&key, &staged.path);
            }
            tracing::debug!(
                target: "archive",
                code = "message-archived",
                message_key = %key,
                path = staged.path,
                "Archived"
            );
        }
        for (message, row) in occupied {
            self.adopt(&message, row, done).await?;
        }
        Ok(())
    }

    /// Commits the fact, and with it what rules ask for: row and path of each message.
    async fn archived(&self, messages: Vec<(i64, String)>) -> Result<(), PollError> {
        let rows: Vec<i64> = messages.iter().map(|(row, _)| *row).collect();
        let (name, now) = (Arc::clone(&self.account.name), self.clock.now());
        let actions = asked(&self.archive, &self.account, now, messages).await?;
        let fact = move |tx: &Tx<'_>| {
            tx.archived(&rows)?;
            tx.add_actions(&name, &actions, Asked::ByArrival, now)
        };
        if self.ledger.write("commit what was archived", fact).await? > 0 {
            self.outbox.notify_one();
        }
        Ok(())
    }

    /// Takes a folder that stands in the place of a message's for its copy, if it is one.
    async fn adopt(
        &self,
        message: &StagedMessage,
        row: i64,
        done: &mut Committed,
    ) -> Result<(), PollError> {
        let (archive, staged) = (Arc::clone(&self.archive), message.staged.clone());
        let found = blocking(move || Ok(archive.find(&staged.path, &staged.id))).await?;
        let same = found.filter(|found| found.sha256 == message.staged.sha256);
        let Some(found) = same else {
            self.ledger.write("take the intent back", move |tx| tx.unplace(&[row])).await?;
            let path = message.staged.path.clone();
            let what = ArchiveError::Occupied { path }.to_string();
            let error = MailboxError::Message { what };
            return self.hold(message.fetch.key.clone(), &error, done).await;
        };
        let (archive, path) = (Arc::clone(&self.archive), found.path.clone());
        blocking(move || archive.make_durable(&path)).await?;
        let copy = Placing { json_sha256: found.json_sha256, ..placing(message) };
        let mailbox = self.mailbox;
        let adopt = move |tx: &Tx<'_>| tx.placing(mailbox, &[copy]);
        let rows = self.ledger.write("adopt a copy", adopt).await?;
        self.archived(rows.into_iter().map(|row| (row, found.path.clone())).collect()).await?;
        done.count(&found);
        if message.fetch.is_beside() {
            self.warn_of_reuse(&message.fetch.key, &found.path);
        }
        Ok(())
    }

    fn warn_of_reuse(&self, key: &MessageKey, path: &str) {
        tracing::warn!(
            target: "incoming",
            code = "uid-reused",
            account = &*self.account.name,
            message_key = %key,
            path,
            "The server gave a UID or unique-id to another message: archived beside the older one"
        );
    }

    /// Drops messages that were taken for others than the stored ones under their UIDs, and whose
    /// content shows that the server only tells another size or date of them.
    async fn restate(
        &self,
        staged: Vec<StagedMessage>,
        done: &mut Committed,
    ) -> Result<Vec<StagedMessage>, PollError> {
        let is_reused = |message: &StagedMessage| message.fetch.is_beside() || !message.fetch.alone;
        let (reused, mut rest): (Vec<_>, Vec<_>) = staged.into_iter().partition(is_reused);
        if reused.is_empty() {
            return Ok(rest);
        }
        let (copies, mailbox): (Vec<_>, _) = (reused.iter().map(placing).collect(), self.mailbox);
        let restate = move |tx: &Tx<'_>| -> Result<Vec<_>, LedgerError> {
            let restate = |copy: &Placing| {
                let found = tx.restate(mailbox, copy)?;
                let left_out =
                    found.is_none() && copy.alone && tx.restate_left_out(mailbox, copy)?;
                Ok((found, left_out))
            };
            copies.iter().map(restate).collect()
        };
        let found = self.ledger.write("restate messages", restate).await?;
        for (message, (found, left_out)) in reused.into_iter().zip(found) {
            if left_out {
                continue;
            }
            let Some(found) = found else {
                rest.push(message);
                continue;
            };
            tracing::debug!(
                target: "incoming",
                code = "message-restated",
                message_key = %message.fetch.key,
                path = found.path,
                "The message is the one that was stored, by its content"
            );
            done.found.push(found.row);
        }
        Ok(rest)
    }

    /// Drops messages that a restore has put there, and that was cut before it knew of it.
    async fn without_restored(
        &self,
        staged: Vec<StagedMessage>,
    ) -> Result<Vec<StagedMessage>, PollError> {
        let ledger = &self.ledger;
        let look = |tx: &Tx<'_>| tx.is_restore_open();
        if !ledger.read("read what was put back", look).await? {
            return Ok(staged);
        }
        let copies: Vec<_> = staged.iter().map(placing).collect();
        let (mailbox, now) = (self.mailbox, self.clock.now());
        let settle = move |tx: &Tx<'_>| -> Result<Vec<bool>, LedgerError> {
            copies.iter().map(|copy| tx.is_being_restored(mailbox, copy, now)).collect()
        };
        let known = ledger.write("settle what was put back", settle).await?;
        let new = staged.into_iter().zip(known).filter(|(_, known)| !known);
        Ok(new.map(|(message, _)| message).collect())
    }

    /// Gives copies whose keys are out of date their new ones; the rest is new.
    async fn rekey(
        &self,
        staged: Vec<StagedMessage>,
        done: &mut Committed,
    ) -> Result<Vec<StagedMessage>, PollError> {
        let Some(formers) = self.formers.clone() else { return Ok(staged) };
        let (copies, mailbox): (Vec<_>, _) = (staged.iter().map(placing).collect(), self.mailbox);
        let rekey = move |tx: &Tx<'_>| -> Result<Vec<_>, LedgerError> {
            copies.iter().map(|copy| tx.rekey(mailbox, &formers, copy)).collect()
        };
        let found = self.ledger.write("re-key messages", rekey).await?;
        let mut new = Vec::with_capacity(staged.len());
        for (message, found) in staged.into_iter().zip(found) {
            let Some(found) = found else {
                new.push(message);
                continue;
            };
            tracing::debug!(
                target: "incoming",
                code = "rekeyed",
                message_key = %message.fetch.key,
                path = found.path,
                "Found again under a new identity"
            );
            done.found.push(found.row);
            done.rekeyed = done.rekeyed.saturating_add(1);
        }
        Ok(new)
    }

    async fn hold(
        &self,
        key: MessageKey,
        error: &MailboxError,
        done: &mut Committed,
    ) -> Result<(), PollError> {
        let (code, reason) = (error.code(), self.redactor.redact(&error.to_string()));
        let (mailbox, now, held, text) =
            (self.mailbox, self.clock.now(), key.clone(), reason.clone());
        self.ledger
            .write("hold a message", move |tx| {
                let attempts = tx.hold(mailbox, &held, code, &text)?;
                tx.set_retry(mailbox, &held, retry_at(attempts, now))
            })
            .await?;
        tracing::warn!(
            target: "incoming",
            code = "message-held",
            account = &*self.account.name,
            message_key = %key,
            "Message is held: {reason}"
        );
        done.held.push(HeldEntry { key, code, reason });
        Ok(())
    }
}

impl Committed {
    fn count(&mut self, staged: &Staged) {
        self.archived = self.archived.saturating_add(1);
        self.octets = self.octets.saturating_add(staged.size);
        let folder = crate::archive::layout::split(&staged.path).0;
        let count = self.folders.entry(folder.to_owned()).or_default();
        *count = count.saturating_add(1);
    }
}

fn placing(message: &StagedMessage) -> Placing {
    Placing {
        key: message.fetch.key.clone(),
        path: message.staged.path.clone(),
        sha256: message.staged.sha256,
        json_sha256: message.staged.json_sha256,
        size: message.staged.size,
        header: message.header,
        proven: message.fetch.alone
            && !may_be_another(&message.fetch.key, message.fetch.size, message.staged.size),
        alone: message.fetch.alone,
        listed_size: message.fetch.size,
        internal_date: message.fetch.internal_date,
        received: message.received.at,
        archived_at: message.archived_at,
        own: message.marks.own,
        canary: message.marks.canary.clone(),
        message_id: message.message_id,
        mark: message.mark,
        cut: message.cut,
    }
}

/// Runs file work off the runtime's threads.
pub(super) async fn blocking<T, F>(work: F) -> Result<T, PollError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, ArchiveError> + Send + 'static,
{
    let done = spawn_blocking(work).await.map_err(|error| PollError::Task(error.to_string()))?;
    Ok(done?)
}

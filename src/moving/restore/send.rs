//! One batch to the server: read, recorded as begun, sent, and its answers recorded.

use std::collections::VecDeque;

use super::letter::{Reader, Ready};
use super::run::{Halt, Item, Run};
use super::{Became, Restore, RestoreError};
use crate::ledger::{RestoreEnd, Tx};
use crate::mailbox::imap::Appending;
use crate::mailbox::{Appended, Letter, MailboxError, RefusalKind, Target};
use crate::moving::select::Found;
use crate::steps;

/// Messages of one batch: as many may be in doubt after a crash.
pub(super) const BATCH: usize = 50;
/// Octets of one batch; what is larger is a batch of its own.
pub(super) const BATCH_OCTETS: u64 = 4 << 20;
/// Messages in a row that may be refused.
const REFUSALS: u32 = 25;

/// Messages that were read, and how many sessions have ended with each alone.
type Batch = Vec<(Ready, u32)>;

impl Run<'_, '_> {
    /// Sends the first messages, as many as make a batch, and takes off those that were answered.
    pub(super) async fn send(&mut self, items: &mut VecDeque<Item>) -> Result<(), Halt> {
        let batch = self.ready(items).await;
        if batch.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.open_for_writing().await {
            put_back(items, batch);
            return Err(Halt::Lost(error));
        }
        let ids =
            batch.iter().map(|(ready, _)| (ready.found.facts.id.clone(), ready.found.copy.sha256));
        let (ids, to, now) = (ids.collect::<Vec<_>>(), self.to.clone(), self.restore.clock.now());
        let begin = move |tx: &Tx<'_>| tx.restore_begins(&to, &ids, now);
        self.restore.ledger.write("commit the intent to put back", begin).await?;
        let (answers, sent) = self.transmit(&batch).await;
        let stopped = self.take(&batch, &answers).await?;
        let (answered, unanswered) = apart(batch, &answers);
        let n = unanswered.len();
        if let Some(RestoreError::NoMailbox { said, .. }) = &stopped
            && self.restore.wish.create
        {
            // Somebody has removed it meanwhile: it is made anew with the next session.
            let missed =
                answered.into_iter().zip(&answers).filter(|(_, answer)| is_missing(answer));
            let again = missed.map(|(packed, _)| packed).chain(unanswered);
            put_back(items, again.collect());
            let (mailbox, said) = (self.to.mailbox.clone(), said.clone());
            return Err(Halt::Lost(MailboxError::NoMailbox { mailbox, said }));
        }
        for (ready, losses) in unanswered.into_iter().rev() {
            // Of several messages nobody knows which one it was.
            let losses = losses.saturating_add(u32::from(n == 1));
            items.push_front(Item { found: ready.found, losses });
        }
        if let Some(error) = stopped {
            return Err(Halt::End(error));
        }
        self.after(items, sent, (answers.len(), n)).await
    }

    /// What the end of the sending means, behind so many messages with answers and `n` without.
    async fn after(
        &mut self,
        items: &mut VecDeque<Item>,
        sent: Result<(), Sending>,
        (answered, n): (usize, usize),
    ) -> Result<(), Halt> {
        match sent {
            Ok(()) => {
                self.alone = self.alone.saturating_sub(1);
                Ok(())
            }
            Err(Sending::Step(error)) => Err(Halt::End(error.into())),
            Err(Sending::Copy(error)) => {
                // Its last octets were never sent, so that the server has no message of it.
                if let Some(item) = items.pop_front() {
                    let end = (item.found.facts.id.clone(), RestoreEnd::NotThere);
                    self.commit(vec![end]).await?;
                    self.fail(&item.found.copy.path, error.to_string());
                }
                let why = "a message was left in its middle".to_owned();
                Err(Halt::Lost(MailboxError::Protocol { what: why }))
            }
            Err(Sending::Session(error)) => {
                self.wary |= matches!(error, MailboxError::Protocol { .. });
                self.alone = self.alone.max(n);
                if answered > 0 {
                    self.losses = 0;
                }
                self.give_up(items, &error);
                Err(Halt::Lost(error))
            }
        }
    }

    /// Opens the mailbox for writing again, where it was opened to look meanwhile: Courier adds
    /// nothing to one that the session only looks at.
    async fn open_for_writing(&mut self) -> Result<(), MailboxError> {
        if let Some(session) = self.session.as_mut().filter(|_| self.examined) {
            let target = session.target(&self.to.mailbox, true).await?;
            self.entered(target);
        }
        Ok(())
    }

    /// Leaves a message out with which the session has ended twice. Its row stays open: it may be
    /// there all the same.
    fn give_up(&mut self, items: &mut VecDeque<Item>, error: &MailboxError) {
        if items.front().is_some_and(|item| item.losses >= 2)
            && let Some(item) = items.pop_front()
        {
            let why = format!("the session ends with it: {error}");
            self.fail(&item.found.copy.path, why);
            self.losses = self.losses.saturating_sub(2);
        }
    }

    /// Reads the copies of the next batch; one that is not what was stored is left out.
    async fn ready(&mut self, items: &mut VecDeque<Item>) -> Batch {
        let most = if self.alone > 0 { 1 } else { steps::batch(BATCH) };
        let binary = self.target.as_ref().is_some_and(|target| target.binary);
        let (mut batch, mut octets) = (Vec::new(), 0_u64);
        while batch.len() < most
            && let Some(item) = items.pop_front()
        {
            let size = item.found.copy.size;
            octets = octets.saturating_add(size);
            if octets > BATCH_OCTETS && !batch.is_empty() {
                items.push_front(item);
                break;
            }
            let path = item.found.copy.path.clone();
            match Ready::read(item.found, self.restore.root).await {
                Ok(ready) if ready.has_nul && !binary => {
                    let why = "it holds NUL, which IMAP takes from no client (RFC 9051 §9), and \
                               the server has no BINARY";
                    self.fail(&path, why.to_owned());
                }
                Ok(ready) => batch.push((ready, item.losses)),
                Err(error) => self.fail(&path, error.to_string()),
            }
        }
        batch
    }

    /// Sends a batch: the answers, in its order, as far as they came.
    async fn transmit(&mut self, batch: &[(Ready, u32)]) -> (Vec<Appended>, Result<(), Sending>) {
        let (Some(session), Some(target)) = (&mut self.session, &self.target) else {
            return (Vec::new(), Ok(()));
        };
        let mut appending = match session.appending(&target.mailbox, self.wary) {
            Ok(appending) => appending,
            Err(error) => return (Vec::new(), Err(Sending::Session(error))),
        };
        let sent = async {
            for (ready, _) in batch {
                steps::pass("restore-send").map_err(Sending::Step)?;
                send_one(&mut appending, target, ready, self.restore).await?;
            }
            appending.finish().await?;
            steps::pass("restore-answered").map_err(Sending::Step)
        };
        let sent = sent.await;
        (appending.into_answers(), sent)
    }

    /// Records answers; an error when the run must end with one of them.
    async fn take(
        &mut self,
        batch: &[(Ready, u32)],
        answers: &[Appended],
    ) -> Result<Option<RestoreError>, Halt> {
        let mut ends = Vec::new();
        let mut uids = Vec::new();
        for ((ready, _), answer) in batch.iter().zip(answers) {
            let id = ready.found.facts.id.clone();
            let end = match answer {
                Appended::Done(Some((uid_validity, uid)))
                    if *uid_validity == self.to.uid_validity =>
                {
                    uids.push(*uid);
                    RestoreEnd::There(*uid)
                }
                Appended::Done(_) => RestoreEnd::There(0),
                Appended::Refused(_) => RestoreEnd::NotThere,
            };
            ends.push((id, end));
        }
        let unknown = self.commit_known(ends, uids).await?;
        self.done.unknown = self.done.unknown.saturating_add(unknown);
        let mut stopped = None;
        for ((ready, _), answer) in batch.iter().zip(answers) {
            match answer {
                Appended::Done(place) => {
                    self.refusals = 0;
                    self.count(&ready.found, Became::Restored, place.map(|(_, uid)| uid));
                }
                Appended::Refused(refusal) if refusal.kind == RefusalKind::Message => {
                    self.refusals = self.refusals.saturating_add(1);
                    let (n, said) = (self.refusals, refusal.said.clone());
                    self.fail(&ready.found.copy.path, format!("refused: \"{said}\""));
                    if n >= REFUSALS {
                        stopped.get_or_insert(RestoreError::AllRefused { n, said });
                    }
                }
                Appended::Refused(refusal) if refusal.kind == RefusalKind::NoMailbox => {
                    let (mailbox, said) = (self.to.mailbox.clone(), refusal.said.clone());
                    stopped.get_or_insert(RestoreError::NoMailbox { mailbox, said });
                }
                Appended::Refused(refusal) => {
                    stopped.get_or_insert(RestoreError::Refused(refusal.clone()));
                }
            }
        }
        Ok(stopped)
    }
}

/// Messages that were not sent go on waiting, before the others.
fn put_back(items: &mut VecDeque<Item>, batch: Batch) {
    for (ready, losses) in batch.into_iter().rev() {
        items.push_front(Item { found: ready.found, losses });
    }
}

/// Messages with answers, and those without.
fn apart(mut batch: Batch, answers: &[Appended]) -> (Batch, Batch) {
    let without = batch.split_off(answers.len().min(batch.len()));
    (batch, without)
}

fn is_missing(answer: &Appended) -> bool {
    matches!(answer, Appended::Refused(refusal) if refusal.kind == RefusalKind::NoMailbox)
}

/// Why a batch was not sent whole.
enum Sending {
    /// The session.
    Session(MailboxError),
    /// A copy has changed since it was read.
    Copy(std::io::Error),
    /// A step that a test cuts.
    Step(std::io::Error),
}

/// Sends one message, from memory or from disk.
async fn send_one(
    appending: &mut Appending<'_>,
    target: &Target,
    ready: &Ready,
    restore: &Restore<'_>,
) -> Result<(), Sending> {
    let Found { copy, facts, .. } = &ready.found;
    let letter = Letter {
        octets: copy.size,
        has_nul: ready.has_nul,
        flags: target.kept(&facts.flags),
        at: Some(copy.internal_date.unwrap_or(facts.received)),
    };
    if let Some(octets) = &ready.octets {
        return Ok(appending.whole(&letter, octets).await?);
    }
    let mut reader = match Reader::open(&ready.found, restore.root) {
        Ok(reader) => reader,
        Err(error) => {
            // Those before it have answers then: it is the first one without.
            appending.finish().await?;
            return Err(Sending::Copy(error));
        }
    };
    if !appending.begin(&letter).await? {
        return Ok(());
    }
    loop {
        let octets = reader.next().await.map_err(Sending::Copy)?;
        if octets.is_empty() {
            return Ok(appending.end().await?);
        }
        appending.more(octets).await?;
    }
}

impl From<MailboxError> for Sending {
    fn from(error: MailboxError) -> Self {
        Self::Session(error)
    }
}

//! One mailbox of one poll: is there anything to do, and then window by window.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Account;
use super::ages;
use super::delete::{Deleter, Ended, OnQuit};
use super::error::PollError;
use super::pipeline::Pipeline;
use super::report::PollReport;
use crate::config::DeleteRule;
use crate::ledger::{ClockMark, MailboxFacts, MailboxId, MailboxRow, Tx};
use crate::mailbox::{DeleteMail, Opened};
use crate::model::{
    ByteSize, Delete, DeletesHeld, Keep, KeepReason, Known, LeftOverReason, Listing, MessageKey,
    Plan,
};
use crate::plan::{Budget, Conditions, next_bound, plan};

/// A mailbox is listed whole at least this often, whatever it says of itself.
const LIST_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// What one poll carries from window to window and from mailbox to mailbox.
#[derive(Debug)]
pub(super) struct Walk {
    /// Batch limits and deletes.
    pub(super) budget: Budget,
    /// `drain` is off and the batch is used up.
    pub(super) full: bool,
    /// Deletes that wait for QUIT.
    pub(super) on_quit: OnQuit,
    /// The clocks at the poll's beginning: a jump since then holds deletes.
    pub(super) began: ClockMark,
    /// Deletes are held for the whole poll; why.
    pub(super) held: Option<DeletesHeld>,
}

/// One visit to one mailbox in an open session.
struct Visit<'a, M> {
    account: &'a Account,
    session: &'a mut M,
    mailbox: MailboxId,
    /// Copies under an older UIDVALIDITY are looked for by their content.
    rekey: bool,
    /// Runs from the first fetch on.
    pipeline: Option<Pipeline>,
    walk: &'a mut Walk,
    report: &'a mut PollReport,
    /// Messages whose fate was open before this visit and that no window has listed yet.
    /// All generations of a UID stand under the key that the server lists.
    unlisted: BTreeMap<MessageKey, Vec<i64>>,
    /// Every window was complete, and nothing wanted was left over.
    complete: bool,
    /// Nothing failed that the next poll must try again, though the mailbox may not change.
    quiet: bool,
    /// Messages that may be others than those stored under their identity.
    changed: usize,
    /// When time alone changes a decision.
    wake_at: Option<Timestamp>,
    /// Whether deletes are over for the account.
    deletes: Ended,
}

/// Polls one mailbox in an open session.
pub(super) async fn poll<M: DeleteMail>(
    account: &Account,
    session: &mut M,
    name: &str,
    walk: &mut Walk,
    report: &mut PollReport,
) -> Result<(), PollError> {
    let opened = account.unless_stopped(session.open(name)).await?;
    let (account_name, mailbox) = (Arc::clone(&account.config.name), name.to_owned());
    let ledger = &account.tools.ledger;
    let row = ledger.write("find a mailbox", move |tx| tx.mailbox(&account_name, &mailbox)).await?;
    if is_unchanged(account, &row, &opened) {
        report.unchanged = report.unchanged.saturating_add(1);
        return Ok(());
    }
    let epoch = Epoch::of(&row, &opened);
    epoch.enter(account, &row, &opened).await?;
    let held = walk.held;
    if epoch == Epoch::Changed {
        walk.held = walk.held.or(Some(DeletesHeld::UidValidityChanged));
    }
    let (id, uid_validity) = (row.id, opened.uid_validity);
    let is_imap = !name.is_empty();
    let (rekey, open) = ledger
        .read("read open messages", move |tx| {
            let rekey = is_imap && tx.has_other_epoch(id, uid_validity.unwrap_or(0))?;
            Ok((rekey, tx.open_messages(id)?))
        })
        .await?;
    let mut unlisted: BTreeMap<MessageKey, Vec<i64>> = BTreeMap::new();
    for (row, key) in open {
        unlisted.entry(key.as_listed()).or_default().push(row);
    }
    let mut visit = Visit {
        account,
        session,
        mailbox: id,
        rekey,
        pipeline: None,
        walk,
        report,
        unlisted,
        complete: true,
        quiet: true,
        changed: 0,
        wake_at: None,
        deletes: Ended::Done,
    };
    let walked = visit.windows().await;
    let Visit { walk, unlisted, complete, quiet, changed, wake_at, deletes, .. } = visit;
    walk.held = if deletes == Ended::Stopped { Some(DeletesHeld::Stopped) } else { held };
    warn_of_changed(name, changed);
    walked?;
    if complete {
        let wake_at = if quiet { wake_at } else { Some(account.tools.clock.now()) };
        close(account, id, &opened, unlisted, wake_at).await?;
    }
    Ok(())
}

/// How the mailbox's UIDVALIDITY relates to what the ledger keyed its messages by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Epoch {
    Changed,
    First,
    Same,
}

impl Epoch {
    fn of(row: &MailboxRow, opened: &Opened) -> Self {
        match (row.uid_validity, opened.uid_validity) {
            (before, now) if before == now => Self::Same,
            (Some(_), _) => Self::Changed,
            (None, _) => Self::First,
        }
    }

    async fn enter(
        self,
        account: &Account,
        row: &MailboxRow,
        opened: &Opened,
    ) -> Result<(), PollError> {
        if self == Self::Same {
            return Ok(());
        }
        if self == Self::Changed {
            tracing::warn!(
                target: "incoming",
                code = "uidvalidity-changed",
                mailbox = row.name,
                before = row.uid_validity,
                now = opened.uid_validity,
                "UIDVALIDITY changed: messages are matched by their content, nothing is deleted \
                 in this poll"
            );
        }
        let (id, now) = (row.id, opened.uid_validity);
        let set = move |tx: &Tx<'_>| tx.set_uid_validity(id, now);
        account.tools.ledger.write("set UIDVALIDITY", set).await?;
        Ok(())
    }
}

/// Whether the last complete listing still stands, so that none is needed (RFC 7162 tells of
/// flags too, where the server offers HIGHESTMODSEQ). A maildrop proves nothing about itself.
fn is_unchanged(account: &Account, row: &MailboxRow, opened: &Opened) -> bool {
    let Some(facts) = &row.facts else { return false };
    let now = account.tools.clock.now();
    let age = now.duration_since(facts.listed_at);
    opened.uid_validity.is_some()
        && row.uid_validity == opened.uid_validity
        && facts.uid_next.is_some()
        && facts.uid_next == opened.uid_next
        && facts.exists == opened.exists
        && facts.highest_modseq == opened.highest_modseq
        && facts.rules == account.rules.fingerprint()
        && facts.wake_at.is_none_or(|wake_at| now < wake_at)
        && age < LIST_EVERY
        && age >= SignedDuration::ZERO
}

impl<M: DeleteMail> Visit<'_, M> {
    /// Goes through all windows: fetches what is wanted, then deletes what is due.
    async fn windows(&mut self) -> Result<(), PollError> {
        let outcome = loop {
            match self.window().await {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // The pipeline's error is the cause where both failed: the session only saw its queue
        // close.
        self.end().await.and(outcome)
    }

    /// One window; false after the last one.
    async fn window(&mut self) -> Result<bool, PollError> {
        let window = self.account.unless_stopped(self.session.next_window()).await?;
        let Some(mut listing) = window else { return Ok(false) };
        self.complete &= listing.complete;
        for listed in &listing.messages {
            self.unlisted.remove(&listed.key);
        }
        self.fetch(&mut listing).await?;
        if self.account.rules.delete != DeleteRule::Never {
            // What this window brought must be durable before any of it may be deleted.
            self.end().await?;
            let due = self.due(&listing).await?;
            let before = self.report.deletes_missed();
            let deleter = Deleter {
                account: self.account,
                listing: &listing,
                on_quit: &mut self.walk.on_quit,
                report: self.report,
            };
            if deleter.delete(self.session, due).await? == Ended::Stopped {
                self.walk.held = Some(DeletesHeld::Stopped);
                self.deletes = Ended::Stopped;
            }
            self.quiet &= self.report.deletes_missed() == before;
        }
        Ok(true)
    }

    /// Fetches a window batch after batch, oldest first, until nothing is left or the poll's one
    /// batch is used up.
    async fn fetch(&mut self, listing: &mut Listing) -> Result<(), PollError> {
        let account = self.account;
        let known = self.known(listing).await?;
        ages::date(account, self.session, self.mailbox, listing, &known).await?;
        let mut rest = listing.clone();
        let mut noted = account.rules.delete != DeleteRule::Never;
        loop {
            let mut budget = self.walk.budget.clone();
            if self.walk.full {
                budget.close();
            }
            let mut plan = self.plan(&rest, &known, &mut budget);
            self.walk.budget.adopt_fetches(&budget);
            self.hold_too_large(&plan).await?;
            if !std::mem::replace(&mut noted, true) {
                self.note(&plan);
            }
            let fetches = std::mem::take(&mut plan.fetch);
            let stuck = fetches.is_empty();
            if !stuck {
                if self.pipeline.is_none() {
                    let started = Pipeline::start(account, self.mailbox, self.rekey)?;
                    self.pipeline = Some(started);
                }
                if let Some(pipeline) = &self.pipeline {
                    pipeline.fetch(account, self.session, fetches).await?;
                }
            }
            let full = plan.left_over.iter().any(|l| l.why == LeftOverReason::BatchFull);
            if full && stuck && account.config.drain && !self.walk.budget.is_new(&account.rules) {
                // The window before used up its batch to the last message.
                self.walk.budget.next_batch(&account.rules);
                continue;
            }
            if !full || stuck || !account.config.drain {
                self.walk.full |= full && !account.config.drain;
                self.complete &= !full;
                self.report.count_waiting(&plan);
                self.wake(&plan);
                return Ok(());
            }
            let waiting: BTreeSet<MessageKey> =
                plan.left_over.into_iter().map(|left| left.key.as_listed()).collect();
            rest.messages.retain(|listed| waiting.contains(&listed.key));
            self.walk.budget.next_batch(&account.rules);
        }
    }

    /// Messages that `max_message_size` keeps out are held, so that `status` lists them.
    async fn hold_too_large(&self, plan: &Plan) -> Result<(), PollError> {
        let too_large = plan.keep.iter().filter_map(|keep| match keep.why {
            KeepReason::TooLarge { size, limit } => {
                let (size, limit) = (ByteSize(size), ByteSize(limit));
                let why = format!("{size} are more than `max_message_size` ({limit})");
                Some((keep.key.clone(), why))
            }
            _ => None,
        });
        let too_large: Vec<(MessageKey, String)> = too_large.collect();
        if too_large.is_empty() {
            return Ok(());
        }
        let (id, now) = (self.mailbox, self.account.tools.clock.now());
        let hold = move |tx: &Tx<'_>| tx.hold_by_rule(id, &too_large, "message-too-large", now);
        self.account.tools.ledger.write("hold messages", hold).await?;
        Ok(())
    }

    /// Plans the window once more, now that what it brought is durable: what may be deleted.
    async fn due(&mut self, listing: &Listing) -> Result<Vec<Delete>, PollError> {
        if self.account.tools.clock.mark().doubts(&self.walk.began) {
            self.walk.held = self.walk.held.or(Some(DeletesHeld::ClockDoubt));
        }
        let known = self.known(listing).await?;
        let mut budget = self.walk.budget.clone();
        budget.close();
        let plan = self.plan(listing, &known, &mut budget);
        budget.adopt_fetches(&self.walk.budget);
        self.walk.budget = budget;
        self.note(&plan);
        for keep in &plan.keep {
            if let KeepReason::DeletesHeld { cause } = keep.why {
                self.report.not_deleted(cause.as_str(), 1);
            }
        }
        Ok(plan.delete)
    }

    fn plan(&self, listing: &Listing, known: &Known, budget: &mut Budget) -> Plan {
        let conditions = Conditions { held: self.walk.held };
        let now = self.account.tools.clock.now();
        plan(listing, known, &self.account.rules, &conditions, budget, now)
    }

    fn note(&mut self, plan: &Plan) {
        self.report.count_decided(plan);
        let changed = |keep: &&Keep| matches!(keep.why, KeepReason::SizeChanged { .. });
        let changed = plan.keep.iter().filter(changed).count();
        self.changed = self.changed.saturating_add(changed);
        self.wake(plan);
    }

    fn wake(&mut self, plan: &Plan) {
        self.wake_at = match (self.wake_at, next_bound(plan)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    async fn known(&self, listing: &Listing) -> Result<Known, PollError> {
        let keys: Vec<MessageKey> = listing.messages.iter().map(|l| l.key.clone()).collect();
        let (ledger, id) = (&self.account.tools.ledger, self.mailbox);
        Ok(ledger.read("read messages", move |tx| tx.known(id, &keys)).await?)
    }

    /// Waits until all that was fetched so far is durable and recorded.
    async fn end(&mut self) -> Result<(), PollError> {
        let Some(pipeline) = self.pipeline.take() else { return Ok(()) };
        let (done, outcome) = pipeline.finish().await;
        self.quiet &= done.held.is_empty();
        self.report.add(done);
        outcome
    }
}

/// A unique-id must never be given twice in a maildrop (RFC 1939 §7), so nothing is known about
/// what stands there now.
fn warn_of_changed(mailbox: &str, n: usize) {
    if n > 0 {
        tracing::warn!(
            target: "incoming",
            code = "message-changed",
            mailbox,
            n,
            "{n} messages are listed with another size than when they were stored: they stay on \
             the server and are not fetched again"
        );
    }
}

/// After a whole walk: closes what is no longer listed, and keeps what the mailbox looked like.
async fn close(
    account: &Account,
    mailbox: MailboxId,
    opened: &Opened,
    unlisted: BTreeMap<MessageKey, Vec<i64>>,
    wake_at: Option<Timestamp>,
) -> Result<(), PollError> {
    let now = account.tools.clock.now();
    let facts = MailboxFacts {
        uid_next: opened.uid_next,
        exists: opened.exists,
        highest_modseq: opened.highest_modseq,
        rules: account.rules.fingerprint(),
        listed_at: now,
        wake_at,
    };
    let absent: Vec<i64> = unlisted.into_values().flatten().collect();
    account
        .tools
        .ledger
        .write("record a listing", move |tx| {
            tx.close(&absent, now)?;
            tx.set_facts(mailbox, &facts)
        })
        .await?;
    Ok(())
}

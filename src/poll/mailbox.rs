//! One mailbox of one poll: is there anything to do, and then window by window.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Account;
use super::ages;
use super::delete::{Deleter, Ended, OnQuit};
use super::error::PollError;
use super::facts::{close, is_unchanged, known, open, open_messages, see_shared, seen};
use super::identity::{Epoch, Formers, Renumbered, Survey};
use super::marking;
use super::moves;
use super::pipeline::{Pipeline, Target};
use super::presence::Presence;
use super::report::{Decided, PollReport};
use crate::ledger::{ClockMark, MailboxId, MailboxRow, Proof, Tx};
use crate::mailbox::{DeleteMail, MarkMail, Opened};
use crate::model::{
    ByteSize, Delete, DeletesHeld, Keep, KeepReason, Known, KnownState, LeftOverReason, Listing,
    MessageKey, Plan,
};
use crate::plan::{Budget, Conditions, next_bound, plan, proof};

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
    /// Whose mailboxes they are.
    pub(super) origin: String,
    /// The mailboxes of this poll.
    pub(super) names: Vec<String>,
}

/// One visit to one mailbox in an open session.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Visit<'a, M> {
    account: &'a Account,
    session: &'a mut M,
    mailbox: MailboxId,
    /// Where copies with older keys are.
    formers: Formers,
    /// Its messages may have got other unique-ids; `None` once one was found again.
    renumbered: Option<Renumbered>,
    /// Which copies the mailbox still shows.
    presence: Presence,
    /// The process died while it parsed messages of this mailbox.
    crashed: bool,
    /// Runs from the first fetch on.
    pipeline: Option<Pipeline>,
    walk: &'a mut Walk,
    report: &'a mut PollReport,
    /// Messages whose fate was open before this visit and that no window has listed yet.
    /// All generations of a UID stand under the key that the server lists.
    unlisted: BTreeMap<MessageKey, Vec<i64>>,
    /// Every window was complete, and nothing wanted was left over.
    complete: bool,
    /// The server has left out messages.
    partly: bool,
    /// Nothing failed that the next poll must try again, though the mailbox may not change.
    quiet: bool,
    /// Messages that may be others than those stored under their identity.
    changed: usize,
    /// When time alone changes a decision.
    wake_at: Option<Timestamp>,
    /// Whether deletes are over for the account.
    deletes: Ended,
    /// What was decided, for people who ask later.
    decided: Decided,
}

/// Polls one mailbox in an open session.
pub(super) async fn poll<M: DeleteMail + MarkMail>(
    account: &Account,
    session: &mut M,
    name: &str,
    walk: &mut Walk,
    report: &mut PollReport,
) -> Result<(), PollError> {
    let (row, opened) = open(account, session, name).await?;
    let epoch = Epoch::of(&walk.origin, &row, &opened);
    if epoch != Epoch::Moved && is_unchanged(account, &row, &opened, walk.held) {
        report.unchanged = report.unchanged.saturating_add(1);
        return marking::mark(account, session, (row.id, name), &opened).await;
    }
    epoch.enter(account, &walk.origin, &row, &opened).await?;
    warn_of_missing_epoch(&row, &opened);
    let held = walk.held;
    walk.held = walk.held.or(epoch.holds());
    let id = row.id;
    let presence = Presence::begin(account, id).await?;
    let mut formers = Formers::find(account, &row, &opened, &walk.names).await?;
    formers.by_facts = epoch != Epoch::Same || row.facts.is_none();
    let mut visit = Visit {
        account,
        session,
        mailbox: id,
        formers,
        renumbered: None,
        presence,
        crashed: row.crashed,
        pipeline: None,
        walk,
        report,
        unlisted: open_messages(account, id).await?,
        complete: true,
        partly: false,
        quiet: true,
        changed: 0,
        wake_at: None,
        deletes: Ended::Done,
        decided: Decided::default(),
    };
    let walked = visit.walk(name, &opened).await;
    let Visit { walk, report, presence, unlisted, decided, .. } = visit;
    let Visit { complete, partly, quiet, changed, wake_at, deletes, .. } = visit;
    report.deletes_held = report.deletes_held.or(walk.held);
    walk.held = if deletes == Ended::Stopped { Some(DeletesHeld::Stopped) } else { held };
    warn_of_changed(name, changed);
    walked?;
    if partly != row.partly {
        note_partly(account, id, partly).await?;
    }
    if complete {
        let wake_at = if quiet { wake_at } else { Some(account.tools.clock.now()) };
        presence.end(account, id, name, account.tools.clock.now()).await?;
        let facts = seen(account, &opened, walk.held, (wake_at, &decided));
        close(account, id, facts, unlisted).await?;
    }
    Ok(())
}

impl<M: DeleteMail + MarkMail> Visit<'_, M> {
    async fn walk(&mut self, name: &str, opened: &Opened) -> Result<(), PollError> {
        self.survey(name, opened).await?;
        self.windows(name, opened).await
    }

    /// Finds out whether the keys of the mailbox still mean the same messages, where nothing that
    /// the server says of it as a whole does: in a maildrop, and without UIDVALIDITY.
    async fn survey(&mut self, name: &str, opened: &Opened) -> Result<(), PollError> {
        let is_maildrop = name.is_empty();
        if self.presence.len() == 0 || (!is_maildrop && opened.uid_validity.is_some()) {
            return Ok(());
        }
        let mut survey = Survey::default();
        while let Some(listing) = self.account.unless_stopped(self.session.next_window()).await? {
            let known = known(self.account, self.mailbox, &listing).await?;
            survey.add(&listing, &known);
        }
        self.account.unless_stopped(self.session.open(name)).await?;
        if let Some(doubt) = survey.doubt(self.account, &self.presence, is_maildrop).await? {
            (self.formers.any, self.formers.by_facts) = (true, true);
            self.renumbered = is_maildrop.then_some(doubt);
        }
        Ok(())
    }

    /// Messages were found again under other keys: if those are unique-ids that nobody had called
    /// in question, nothing is deleted in this poll.
    fn found_again(&mut self, n: u32) {
        if n > 0
            && let Some(renumbered) = self.renumbered.take()
        {
            renumbered.warn();
            self.walk.held = self.walk.held.or(Some(DeletesHeld::IdentityChanged));
        }
    }

    /// Goes through all windows: fetches what is wanted, then deletes what is due.
    async fn windows(&mut self, name: &str, opened: &Opened) -> Result<(), PollError> {
        self.report.listed = self.report.listed.saturating_add(1);
        let outcome = loop {
            match self.window(name, opened).await {
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
    async fn window(&mut self, name: &str, opened: &Opened) -> Result<bool, PollError> {
        let window = self.account.unless_stopped(self.session.next_window()).await?;
        let Some(mut listing) = window else { return Ok(false) };
        self.complete &= listing.complete;
        self.partly |= !listing.complete;
        self.decided.listed = self.decided.listed.saturating_add(listing.messages.len() as u64);
        for listed in &listing.messages {
            if listed.alone {
                self.unlisted.remove(&listed.key);
            }
            if let (MessageKey::Pop3 { .. }, true) = (&listed.key, listed.alone) {
                let all = listed.key.clone()..=listed.key.with_turn(u32::MAX);
                self.unlisted.extract_if(all, |_, _| true).for_each(drop);
            }
        }
        self.fetch(&mut listing).await?;
        if marking::may_mark(&self.account.config) {
            self.end().await?;
            marking::mark(self.account, self.session, (self.mailbox, name), opened).await?;
        }
        if self.account.rules.may_delete() {
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
        let mut known = self.known(listing).await?;
        let formers = self.formers.clone();
        let found = formers.rekey(account, self.session, listing, &known).await?;
        if found > 0 {
            self.report.rekeyed = self.report.rekeyed.saturating_add(found);
            self.found_again(found);
            known = self.known(listing).await?;
        }
        self.presence.see(listing, &known);
        see_shared(&mut self.unlisted, listing, &known);
        ages::date(account, self.session, self.mailbox, listing, &known).await?;
        let mut rest = listing.clone();
        let mut noted = account.rules.may_delete();
        loop {
            let mut budget = self.walk.budget.clone();
            if self.walk.full {
                budget.close();
            }
            let mut plan = self.plan(&rest, &known, &mut budget);
            self.walk.budget.adopt_fetches(&budget);
            self.hold_too_large(&plan).await?;
            self.note_returned(&plan).await?;
            if !std::mem::replace(&mut noted, true) {
                self.note(&plan);
            }
            let fetches = std::mem::take(&mut plan.fetch);
            let stuck = fetches.is_empty();
            if !stuck {
                if self.pipeline.is_none() {
                    let formers = self.formers.any.then(|| self.formers.others.clone());
                    let (mailbox, crashed) = (self.mailbox, self.crashed);
                    let started = Pipeline::start(account, Target { mailbox, formers, crashed })?;
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
                self.decided.wait(&plan);
                self.wake(&plan);
                return Ok(());
            }
            let waiting: BTreeSet<u32> =
                plan.left_over.into_iter().map(|left| left.number).collect();
            rest.messages.retain(|listed| waiting.contains(&listed.number));
            self.walk.budget.next_batch(&account.rules);
        }
    }

    /// Messages that `max_message_size` keeps out are held, so that `status` lists them.
    async fn hold_too_large(&self, plan: &Plan) -> Result<(), PollError> {
        let too_large = plan.keep.iter().filter_map(|keep| match keep.why {
            KeepReason::TooLarge { size, limit } => {
                let (size, limit) = (ByteSize(size), ByteSize(limit));
                let why = format!("{size} are more than `max_message_size` ({limit})");
                Some((keep.key.clone(), size.0, why))
            }
            _ => None,
        });
        let too_large: Vec<(MessageKey, u64, String)> = too_large.collect();
        if too_large.is_empty() {
            return Ok(());
        }
        let (id, now) = (self.mailbox, self.account.tools.clock.now());
        let hold = move |tx: &Tx<'_>| tx.hold_by_rule(id, &too_large, "message-too-large", now);
        self.account.tools.ledger.write("hold messages", hold).await?;
        Ok(())
    }

    /// Messages that had left the server by themselves and are listed again are archived ones.
    async fn note_returned(&self, plan: &Plan) -> Result<(), PollError> {
        let returned = plan.keep.iter().filter(|keep| keep.why == KeepReason::Returned);
        let keys: Vec<MessageKey> = returned.map(|keep| keep.key.clone()).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let id = self.mailbox;
        let set = move |tx: &Tx<'_>| tx.returned(id, &keys);
        Ok(self.account.tools.ledger.write("record returns", set).await?)
    }

    /// Plans the window once more, now that what it brought is durable: what may be deleted.
    async fn due(&mut self, listing: &Listing) -> Result<Vec<Delete>, PollError> {
        if self.account.tools.clock.mark().doubts(&self.walk.began) {
            self.walk.held = self.walk.held.or(Some(DeletesHeld::ClockDoubt));
        }
        let mut known = self.known(listing).await?;
        if self.prove(listing, &known).await? {
            known = self.known(listing).await?;
        }
        let mut budget = self.walk.budget.clone();
        budget.close();
        let plan = self.plan(listing, &known, &mut budget);
        budget.adopt_fetches(&self.walk.budget);
        self.walk.budget = budget;
        self.note(&plan);
        moves::note(self.account, &plan, &known).await?;
        for keep in &plan.keep {
            if let KeepReason::DeletesHeld { cause } = keep.why {
                self.report.not_deleted(cause.as_str(), 1);
            }
        }
        Ok(plan.delete)
    }

    /// Records which copies of doubtful identity a listing proves to be the server's messages;
    /// whether there are any.
    async fn prove(&self, listing: &Listing, known: &Known) -> Result<bool, PollError> {
        if !listing.complete || self.walk.held.is_some() {
            return Ok(false);
        }
        let proofs = listing.messages.iter().filter_map(|listed| {
            let Some(KnownState::Stored(copy)) = known.get(&listed.key) else { return None };
            let (size, date) = proof(listed, copy).filter(|_| !copy.delete_ok)?;
            Some(Proof { row: copy.row, listed_size: Some(size), internal_date: Some(date) })
        });
        let proofs: Vec<Proof> = proofs.collect();
        if proofs.is_empty() {
            return Ok(false);
        }
        let ledger = &self.account.tools.ledger;
        ledger.write("record proofs", move |tx| tx.prove(&proofs)).await?;
        Ok(true)
    }

    fn plan(&self, listing: &Listing, known: &Known, budget: &mut Budget) -> Plan {
        let conditions = Conditions { held: self.walk.held, ..Conditions::default() };
        let now = self.account.tools.clock.now();
        plan(listing, known, &self.account.rules, &conditions, budget, now)
    }

    fn note(&mut self, plan: &Plan) {
        self.report.count_decided(plan);
        self.decided.decide(plan);
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
        known(self.account, self.mailbox, listing).await
    }

    /// Waits until all that was fetched so far is durable and recorded.
    async fn end(&mut self) -> Result<(), PollError> {
        let Some(pipeline) = self.pipeline.take() else { return Ok(()) };
        let (done, outcome) = pipeline.finish().await;
        self.quiet &= done.held.is_empty();
        self.found_again(done.rekeyed);
        done.found.iter().for_each(|row| self.presence.see_row(*row));
        self.report.add(done);
        outcome
    }
}

/// Records that the server lists a part of a mailbox only, or all of it again.
async fn note_partly(account: &Account, id: MailboxId, partly: bool) -> Result<(), PollError> {
    let now = account.tools.clock.now();
    let note = move |tx: &Tx<'_>| tx.set_partly(id, partly, now);
    Ok(account.tools.ledger.write("record what is listed", note).await?)
}

/// Warns once of a mailbox of IMAP without UIDVALIDITY.
fn warn_of_missing_epoch(row: &MailboxRow, opened: &Opened) {
    if opened.uid_validity.is_none() && !row.name.is_empty() && row.facts.is_none() {
        tracing::warn!(
            target: "incoming",
            code = "uidvalidity-missing",
            mailbox = row.name,
            "The server gives no UIDVALIDITY: messages are told apart by facts and content, and \
             nothing is deleted"
        );
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

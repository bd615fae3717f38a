//! Stored messages are marked on the server, as read or as a rule wants it: after the commit that
//! says they are stored, never before.
//!
//! What is still to be marked is in the ledger, so a poll that dies in between is made up for by
//! the next one: a mark that is set twice is one. Somebody who takes a mark off afterwards is not
//! overruled.

use std::sync::Arc;

use jiff::Timestamp;

use super::Account;
use super::error::PollError;
use super::moves;
use crate::config::{Inbound, Rule};
use crate::ledger::{DueMark, MailboxId, Tx, Verdict};
use crate::mailbox::{MarkMail, Marked, Opened};
use crate::rules::{Next, Past, Trouble, after};

/// Messages of one round.
const ROUND: u32 = 500;

/// Whether anything of an account is ever marked.
pub(super) fn may_mark(config: &Inbound) -> bool {
    config.mark_seen || config.on_received.iter().any(|rule| rule.deed.is_on_server())
}

/// Marks what is archived of a mailbox and not marked yet. A refusal is a warning, and a later
/// poll tries again.
pub(super) async fn mark<M: MarkMail>(
    account: &Account,
    session: &mut M,
    (id, name): (MailboxId, &str),
    opened: &Opened,
) -> Result<(), PollError> {
    moves::drop_departed(account).await?;
    let Some(uid_validity) = opened.uid_validity else { return Ok(()) };
    let mut work = Work { account, session, mailbox: (id, name), uid_validity };
    if account.config.mark_seen {
        work.all_seen().await?;
    }
    for rule in &account.config.on_received {
        if let Some(flag) = rule.deed.mark() {
            work.by_rule(rule, flag).await?;
        }
    }
    Ok(())
}

/// One mailbox in an open session.
struct Work<'a, M> {
    account: &'a Account,
    session: &'a mut M,
    mailbox: (MailboxId, &'a str),
    uid_validity: u32,
}

impl<M: MarkMail> Work<'_, M> {
    async fn all_seen(&mut self) -> Result<(), PollError> {
        let (id, uid_validity) = (self.mailbox.0, self.uid_validity);
        let ledger = &self.account.tools.ledger;
        loop {
            let read = move |tx: &Tx<'_>| tx.to_mark(id, uid_validity, ROUND);
            let round = ledger.read("read what is to be marked", read).await?;
            if round.is_empty() {
                return Ok(());
            }
            let (rows, mut uids): (Vec<i64>, Vec<u32>) = round.into_iter().unzip();
            uids.sort_unstable();
            if let Marked::Refused(_) = self.set(&uids, "\\Seen").await? {
                return Ok(());
            }
            let now = self.account.tools.clock.now();
            ledger.write("record marks", move |tx| tx.marked(&rows, now)).await?;
        }
    }

    /// The marks that a rule asks for.
    async fn by_rule(&mut self, rule: &Rule, flag: &str) -> Result<(), PollError> {
        let (id, uid_validity) = (self.mailbox.0, self.uid_validity);
        let ledger = &self.account.tools.ledger;
        loop {
            let (account, name) = (Arc::clone(&self.account.config.name), rule.name.clone());
            let now = self.account.tools.clock.now();
            let read = move |tx: &Tx<'_>| tx.due_marks((&account, &name), id, uid_validity, now);
            let round = ledger.read("read what is to be marked", read).await?;
            if round.is_empty() {
                return Ok(());
            }
            let uids: Vec<u32> = round.iter().map(|due| due.uid).collect();
            let (marked, lost) = match self.set(&uids, flag).await {
                Ok(marked) => (marked, None),
                Err(error) => (Marked::Refused(error.to_string()), Some(error)),
            };
            let now = self.account.tools.clock.now();
            let verdict = |due: &DueMark| match &marked {
                Marked::Done => Verdict::Done,
                Marked::Refused(why) => refused(rule, due, why, now),
            };
            let ended: Vec<(i64, Verdict)> =
                round.iter().map(|due| (due.id, verdict(due))).collect();
            let end = move |tx: &Tx<'_>| {
                for (id, verdict) in &ended {
                    tx.begin_action(*id, now)?;
                    tx.end_action(*id, verdict)?;
                }
                Ok(())
            };
            ledger.write("record marks", end).await?;
            match (lost, marked) {
                (Some(error), _) => return Err(error),
                (None, Marked::Refused(_)) => return Ok(()),
                (None, Marked::Done) => {}
            }
        }
    }

    /// Has the server set them; a refusal is told here.
    async fn set(&mut self, uids: &[u32], flag: &str) -> Result<Marked, PollError> {
        let (name, uid_validity) = (self.mailbox.1, self.uid_validity);
        let work = self.session.mark(name, uid_validity, uids, flag);
        let done = self.account.unless_stopped(work).await;
        match &done {
            Ok(Marked::Done) => {}
            Ok(Marked::Refused(why)) => warn((name, flag), uids.len(), why),
            Err(error) => warn((name, flag), uids.len(), &error.to_string()),
        }
        done
    }
}

/// What follows a mark that the server didn't take.
fn refused(rule: &Rule, due: &DueMark, why: &str, now: Timestamp) -> Verdict {
    let trouble = Trouble::passing("refused", why);
    let first_at = due.first_at.unwrap_or(now);
    let past = Past { attempts: due.attempts.saturating_add(1), refusals: 0, first_at };
    let (code, detail) = (trouble.code, trouble.detail.clone());
    match after(rule, &trouble, past, now, u64::from(due.uid)) {
        Next::Again(at) | Next::Rest(at) => Verdict::Again { at, refused: false, code, detail },
        Next::GiveUp => Verdict::Failed { code, detail },
    }
}

fn warn((mailbox, flag): (&str, &str), n: usize, why: &str) {
    tracing::warn!(
        target: "incoming",
        code = "mark-failed",
        mailbox,
        flag,
        n,
        "{n} stored messages or more are not marked with {flag}: {why}; a later poll tries again"
    );
}

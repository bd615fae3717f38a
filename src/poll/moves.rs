//! Moves that rules ask for: what becomes of the action where the message hasn't left.
//!
//! The move itself is a delete like any other, with all its proofs (`poll::delete`); the action is
//! done by the very commit that records that the message is gone. Here is the rest: a try that came
//! to nothing is counted and made again, and what may not be tried now waits, with its reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Account;
use super::error::PollError;
use crate::config::{Inbound, Rule};
use crate::ledger::{LedgerError, Tx, Verdict};
use crate::mailbox::DeleteRefusal;
use crate::model::{
    AskedMove, Delete, DeleteReason, DeletesHeld, Keep, KeepReason, Known, KnownState, Plan,
};
use crate::rules::{Next, Past, Trouble, after};

/// Actions, and what becomes of them.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// A try was made.
    tried: Vec<(i64, Verdict)>,
    /// None was.
    waiting: Vec<(i64, String)>,
}

impl Ends {
    pub(super) fn is_empty(&self) -> bool {
        self.tried.is_empty() && self.waiting.is_empty()
    }

    /// Moves that weren't tried, and why.
    pub(super) fn wait<'a>(&mut self, of: impl IntoIterator<Item = &'a Delete>, why: &str) {
        let actions = of.into_iter().filter_map(|delete| delete.action);
        self.waiting.extend(actions.map(|action| (action, why.to_owned())));
    }

    /// A move that was tried, and is to be tried again until its rule's time is used up.
    pub(super) fn fail(
        &mut self,
        config: &Inbound,
        delete: &Delete,
        (code, why): (&'static str, &str),
        now: Timestamp,
    ) {
        let DeleteReason::Moved { rule: name, .. } = &delete.why else { return };
        let rule = config.on_received.iter().find(|rule| rule.name == *name);
        let asked = delete.copy.moves.iter().find(|asked| Some(asked.action) == delete.action);
        if let (Some(rule), Some(asked)) = (rule, asked) {
            let verdict = verdict(rule, asked, Trouble::passing(code, why), now);
            if let Verdict::Failed { code, detail } = &verdict {
                let attempts = asked.attempts.saturating_add(1);
                tracing::error!(
                    target: "rules",
                    code = "action-failed",
                    rule = name,
                    message_key = %delete.key,
                    path = delete.copy.path,
                    attempts,
                    why = code,
                    "{name} has failed for good after {attempts} tries: {detail}"
                );
            }
            self.tried.push((asked.action, verdict));
        }
    }

    /// Writes it down.
    pub(super) fn record(&self, tx: &Tx<'_>, now: Timestamp) -> Result<(), LedgerError> {
        for (action, verdict) in &self.tried {
            tx.begin_action(*action, now)?;
            tx.end_action(*action, verdict)?;
        }
        tx.moves_wait(&self.waiting)
    }

    /// Writes it down, in a commit of its own.
    pub(super) async fn commit(self, account: &Account) -> Result<(), PollError> {
        if self.is_empty() {
            return Ok(());
        }
        let now = account.tools.clock.now();
        let write = move |tx: &Tx<'_>| self.record(tx, now);
        Ok(account.tools.ledger.write("put off moves", write).await?)
    }
}

fn verdict(rule: &Rule, asked: &AskedMove, trouble: Trouble, now: Timestamp) -> Verdict {
    let first_at = asked.first_at.unwrap_or(now);
    let past = Past { attempts: asked.attempts.saturating_add(1), refusals: 0, first_at };
    let next = after(rule, &trouble, past, now, asked.action.unsigned_abs());
    let Trouble { code, detail, .. } = trouble;
    match next {
        Next::Again(at) | Next::Rest(at) => Verdict::Again { at, refused: false, code, detail },
        Next::GiveUp => Verdict::Failed { code, detail },
    }
}

/// The mailbox can't be removed from: a lack of the server or a destination that isn't there is
/// what the rule asked for in vain, a doubt is nobody's failure.
pub(super) fn refused(
    account: &Account,
    deletes: &[Delete],
    why: &DeleteRefusal,
    now: Timestamp,
) -> Ends {
    let mut ends = Ends::default();
    let (code, why) = match why {
        DeleteRefusal::UidValidityChanged => {
            ends.wait(deletes, DeletesHeld::UidValidityChanged.as_str());
            return ends;
        }
        DeleteRefusal::NoDestination(why) => ("destination", why.as_str()),
        DeleteRefusal::NoUidPlus => (
            "destination",
            "no way to move mail safely: the server has neither RFC 6851 nor RFC 4315",
        ),
        DeleteRefusal::ReadOnly => ("refused", "the mailbox can't be written to"),
    };
    for delete in deletes {
        ends.fail(&account.config, delete, (code, why), now);
    }
    ends
}

/// Moves that a plan has put off, as far as the ledger doesn't have the reason yet.
pub(super) async fn note(account: &Account, plan: &Plan, known: &Known) -> Result<(), PollError> {
    let stored = known.values().filter_map(|state| match state {
        KnownState::Stored(copy) if !copy.moves.is_empty() => Some((&copy.key, copy)),
        _ => None,
    });
    let stored: BTreeMap<_, _> = stored.collect();
    if stored.is_empty() {
        return Ok(());
    }
    let mut ends = Ends::default();
    for Keep { key, why } in &plan.keep {
        let Some(copy) = stored.get(key) else { continue };
        let cause = match why {
            KeepReason::DeletesHeld { cause } => cause.as_str().to_owned(),
            KeepReason::DeleteBrake { limit } => format!("`delete_max_per_poll = {limit}`"),
            _ if copy.flagged => "it is marked \\Deleted".to_owned(),
            _ => continue,
        };
        for asked in copy.moves.iter().filter(|asked| asked.detail != cause) {
            if account.rules.moves.contains_key(&asked.rule) {
                ends.waiting.push((asked.action, cause.clone()));
            }
        }
    }
    ends.commit(account).await
}

/// What rules have in mind for an account's messages, where any of it is done on the server: what
/// has left is nobody's to mark or to move.
pub(super) async fn drop_departed(account: &Account) -> Result<(), PollError> {
    if !account.config.on_received.iter().any(|rule| rule.deed.is_on_server()) {
        return Ok(());
    }
    let (name, ledger) = (Arc::clone(&account.config.name), &account.tools.ledger);
    let read = move |tx: &Tx<'_>| tx.have_marks_departed(&name);
    if ledger.read("read what has left", read).await? {
        let name = Arc::clone(&account.config.name);
        ledger.write("drop marks", move |tx| tx.drop_departed(&name)).await?;
    }
    Ok(())
}

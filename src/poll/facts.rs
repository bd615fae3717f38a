//! What a mailbox looked like when it was last listed whole, and whether it still does.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Account;
use super::error::PollError;
use super::report::Decided;
use crate::ledger::{MailboxFacts, MailboxId, MailboxRow, Tx};
use crate::mailbox::{MailboxError, Opened, ReadMailbox};
use crate::model::{DeletesHeld, Known, KnownState, Listing, MessageKey};

/// A mailbox is listed whole at least this often, whatever it says of itself.
const LIST_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// Opens a mailbox, and notes whether the server has it.
pub(super) async fn open<M: ReadMailbox>(
    account: &Account,
    session: &mut M,
    name: &str,
) -> Result<(MailboxRow, Opened), PollError> {
    let opened = account.unless_stopped(session.open(name)).await;
    let missing = matches!(&opened, Err(PollError::Mailbox(MailboxError::NoMailbox { .. })));
    let (account_name, mailbox) = (Arc::clone(&account.config.name), name.to_owned());
    let ledger = &account.tools.ledger;
    if missing {
        let set = move |tx: &Tx<'_>| tx.set_missing(&account_name, &mailbox, true);
        ledger.write("record a missing mailbox", set).await?;
        return Err(opened.err().unwrap_or(PollError::Cancelled));
    }
    let opened = opened?;
    let find = move |tx: &Tx<'_>| {
        tx.set_missing(&account_name, &mailbox, false)?;
        tx.mailbox(&account_name, &mailbox)
    };
    Ok((ledger.write("find a mailbox", find).await?, opened))
}

/// What a listing was judged by: the account's rules, and what holds its deletes until a person ends
/// it. Once that is another, the mailbox is listed anew.
fn judged_by(account: &Account, held: Option<DeletesHeld>) -> String {
    let rules = account.rules.fingerprint();
    match held.filter(|held| held.stands()) {
        Some(held) => format!("{rules} {held:?}"),
        None => rules,
    }
}

/// Whether the last complete listing still stands, so that none is needed (RFC 7162 tells of
/// flags too, where the server offers HIGHESTMODSEQ). A maildrop proves nothing about itself.
pub(super) fn is_unchanged(
    account: &Account,
    row: &MailboxRow,
    opened: &Opened,
    held: Option<DeletesHeld>,
) -> bool {
    let Some(facts) = &row.facts else { return false };
    let now = account.tools.clock.now();
    let age = now.duration_since(facts.listed_at);
    // Without HIGHESTMODSEQ nothing tells that somebody marked a message as unread.
    let tells_flags = !account.rules.only_unseen || opened.highest_modseq.is_some();
    tells_flags
        && opened.uid_validity.is_some()
        && row.uid_validity == opened.uid_validity
        && facts.uid_next.is_some()
        && facts.uid_next == opened.uid_next
        && facts.exists == opened.exists
        && facts.highest_modseq == opened.highest_modseq
        && facts.rules == judged_by(account, held)
        && facts.wake_at.is_none_or(|wake_at| now < wake_at)
        && age < LIST_EVERY
        && age >= SignedDuration::ZERO
}

/// What a mailbox looks like after a whole walk.
pub(super) fn seen(
    account: &Account,
    opened: &Opened,
    held: Option<DeletesHeld>,
    (wake_at, decided): (Option<Timestamp>, &Decided),
) -> MailboxFacts {
    MailboxFacts {
        uid_next: opened.uid_next,
        exists: opened.exists,
        highest_modseq: opened.highest_modseq,
        rules: judged_by(account, held),
        listed_at: account.tools.clock.now(),
        wake_at,
        decided: serde_json::to_string(decided).unwrap_or_default(),
    }
}

/// After a whole walk: closes what is no longer listed, and keeps what the mailbox looked like.
pub(super) async fn close(
    account: &Account,
    mailbox: MailboxId,
    facts: MailboxFacts,
    unlisted: BTreeMap<MessageKey, Vec<i64>>,
) -> Result<(), PollError> {
    let now = account.tools.clock.now();
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

/// Rows of messages whose fate is open, by the keys that the server lists.
pub(super) async fn open_messages(
    account: &Account,
    id: MailboxId,
) -> Result<BTreeMap<MessageKey, Vec<i64>>, PollError> {
    let read = move |tx: &Tx<'_>| tx.open_messages(id);
    let mut rows: BTreeMap<MessageKey, Vec<i64>> = BTreeMap::new();
    for (row, key) in account.tools.ledger.read("read open messages", read).await? {
        rows.entry(key.as_listed()).or_default().push(row);
    }
    Ok(rows)
}

/// What is open of messages that share a unique-id is listed under whatever place they have.
pub(super) fn see_shared(
    unlisted: &mut BTreeMap<MessageKey, Vec<i64>>,
    listing: &Listing,
    known: &Known,
) {
    for listed in listing.messages.iter().filter(|listed| !listed.alone) {
        if let Some(key) = known.get(&listed.key).and_then(key_of_open) {
            unlisted.remove(key);
        }
    }
}

/// The key of what may be open, of a message that is one of several with its unique-id.
fn key_of_open(state: &KnownState) -> Option<&MessageKey> {
    match state {
        KnownState::Held { key, .. } | KnownState::Placing { key } => Some(key),
        KnownState::Stored(copy) => Some(&copy.key),
        KnownState::CaughtUp { .. }
        | KnownState::Deleted { .. }
        | KnownState::Other { .. }
        | KnownState::Skipped { .. } => None,
    }
}

/// What the ledger knows of a window's messages.
pub(super) async fn known(
    account: &Account,
    id: MailboxId,
    listing: &Listing,
) -> Result<Known, PollError> {
    let listed = listing.messages.clone();
    let read = move |tx: &Tx<'_>| tx.known_listed(id, &listed);
    Ok(account.tools.ledger.read("read messages", read).await?)
}

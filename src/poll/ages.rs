//! Received dates of messages that the listing doesn't date, before an age rule judges them.

use bytes::Bytes;
use jiff::Timestamp;

use super::Account;
use super::error::PollError;
use crate::ledger::MailboxId;
use crate::mail;
use crate::mailbox::{MailboxError, ReadMailbox};
use crate::model::{Known, KnownState, Listed, Listing, MessageKey, Received, ReceivedBasis};
use crate::net::NetError;

/// Header sections that are asked for, and kept in memory, at once.
pub(super) const AT_ONCE: usize = 100;

/// Fills in [`Listed::received`] where a rule will ask for it: from what the ledger kept, else
/// from the topmost `Received` field, else the moment of this first sight.
///
/// Asked once for each message: what is learnt of a maildrop's messages is kept in the ledger.
pub(super) async fn date<M: ReadMailbox>(
    account: &Account,
    session: &mut M,
    mailbox: MailboxId,
    listing: &mut Listing,
    known: &Known,
) -> Result<(), PollError> {
    if !account.rules.ask_age() {
        return Ok(());
    }
    let ledger = &account.tools.ledger;
    let mut undated: Vec<&mut Listed> = listing
        .messages
        .iter_mut()
        .filter(|listed| listed.received.is_none() && asks(listed, known.get(&listed.key)))
        .collect();
    let keys: Vec<MessageKey> = undated.iter().map(|listed| listed.key.clone()).collect();
    let kept = ledger.read("read received dates", move |tx| tx.seen(mailbox, &keys)).await?;
    for (listed, kept) in undated.iter_mut().zip(kept) {
        // Where several share a unique-id, their places shift: a kept date may be another's.
        listed.received = kept.filter(|_| listed.alone);
    }
    undated.retain(|listed| listed.received.is_none());
    if undated.is_empty() {
        return Ok(());
    }
    let mut learnt = Vec::with_capacity(undated.len());
    let asked = ask(account, session, &mut undated, &mut learnt).await;
    // A server that ends the session at the first header section would end each poll there: that
    // message is dated by this first sight, and not asked for again.
    if let (Err(error), true, Some(first)) = (&asked, learnt.is_empty(), undated.first())
        && ends_the_session(error)
    {
        learnt.push((first.key.clone(), received(None, account.tools.clock.now())));
    }
    ledger.write("keep received dates", move |tx| tx.set_seen(mailbox, &learnt)).await?;
    asked
}

/// The poll's own deadline is no message's fault.
pub(super) fn ends_the_session(error: &PollError) -> bool {
    let PollError::Mailbox(error) = error else { return false };
    !matches!(error, MailboxError::Net(NetError::PollDeadline))
}

/// Dates messages in their order, as far as the session lasts.
async fn ask<M: ReadMailbox>(
    account: &Account,
    session: &mut M,
    undated: &mut [&mut Listed],
    learnt: &mut Vec<(MessageKey, Received)>,
) -> Result<(), PollError> {
    let mut rest = undated;
    while !rest.is_empty() {
        let wanted: Vec<Listed> =
            rest.iter().take(AT_ONCE).map(|listed| (**listed).clone()).collect();
        let headers = account.unless_stopped(session.headers(&wanted)).await?;
        let now = account.tools.clock.now();
        let dated = headers.len();
        for (listed, header) in rest.iter_mut().zip(headers) {
            let received = received(header, now);
            listed.received = Some(received);
            learnt.push((listed.key.clone(), received));
        }
        rest = rest.get_mut(dated..).unwrap_or_default();
    }
    Ok(())
}

/// The date that a message's header section gives it.
pub(super) fn received(header: Option<Bytes>, now: Timestamp) -> Received {
    match header.and_then(|header| mail::received_date(&header)) {
        Some(at) => Received { at, basis: ReceivedBasis::ReceivedField },
        None => Received { at: now, basis: ReceivedBasis::FirstSeen },
    }
}

/// Of a UID or unique-id that was used again the dates that are kept are the older message's: not
/// asked for, and what has no date is fetched.
fn asks(listed: &Listed, state: Option<&KnownState>) -> bool {
    match state {
        None => true,
        Some(KnownState::Held { key, .. }) => key.turn() == 0 || !listed.alone,
        Some(KnownState::Other { .. }) => !listed.alone,
        Some(_) => false,
    }
}

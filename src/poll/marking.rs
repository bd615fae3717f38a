//! Stored messages are marked as read: after the commit that says they are stored, never before.
//!
//! What is still to be marked is in the ledger, so a poll that dies in between is made up for by
//! the next one. Somebody who marks a message as unread afterwards is not overruled.

use super::Account;
use super::error::PollError;
use crate::ledger::{MailboxId, Tx};
use crate::mailbox::{MarkMail, Marked, Opened};

/// Messages of one round.
const ROUND: u32 = 500;

/// Marks what is archived of a mailbox and not marked yet. A refusal is a warning, and the next
/// poll tries again.
pub(super) async fn mark<M: MarkMail>(
    account: &Account,
    session: &mut M,
    (id, name): (MailboxId, &str),
    opened: &Opened,
) -> Result<(), PollError> {
    let Some(uid_validity) = opened.uid_validity.filter(|_| account.config.mark_seen) else {
        return Ok(());
    };
    let ledger = &account.tools.ledger;
    loop {
        let read = move |tx: &Tx<'_>| tx.to_mark(id, uid_validity, ROUND);
        let round = ledger.read("read what is to be marked", read).await?;
        if round.is_empty() {
            return Ok(());
        }
        let (rows, mut uids): (Vec<i64>, Vec<u32>) = round.into_iter().unzip();
        uids.sort_unstable();
        match account.unless_stopped(session.mark_seen(name, uid_validity, &uids)).await {
            Ok(Marked::Done) => {}
            Ok(Marked::Refused(why)) => {
                warn(name, uids.len(), &why);
                return Ok(());
            }
            Err(error) => {
                warn(name, uids.len(), &error.to_string());
                return Err(error);
            }
        }
        let now = account.tools.clock.now();
        ledger.write("record marks", move |tx| tx.marked(&rows, now)).await?;
    }
}

fn warn(mailbox: &str, n: usize, why: &str) {
    tracing::warn!(
        target: "incoming",
        code = "mark-failed",
        mailbox,
        n,
        "{n} stored messages or more are not marked as read: {why}; the next poll tries again"
    );
}

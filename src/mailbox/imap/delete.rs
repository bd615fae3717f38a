//! Deleting: proof first, then exactly these UIDs, then proof that they are gone.
//!
//! No EXPUNGE without UIDs, no CLOSE, no sequence number: where the server lacks what the mode
//! needs (UIDPLUS, or MOVE), nothing is marked, copied or deleted.

use std::collections::{BTreeMap, BTreeSet};

use async_imap::imap_proto::{MailboxDatum, Response};

use super::ImapSession;
use super::destination;
use super::dialogue::Caps;
use super::listed::{Item, merge, read_item};
use super::remove::{Removed, remove};
use super::select::{canonical, select};
use super::uid_set::{uid_sets, uids_of};
use crate::mailbox::{DeleteOutcome, DeleteRefusal, MailboxError, ReadMailbox, Recheck, Verdict};
use crate::model::{Delete, DeleteIntent, DeleteMode, Deleting, MessageKey};

/// Selects the mailbox anew and compares each message with what was stored.
pub(super) async fn recheck(
    session: &mut ImapSession,
    (mailbox, uid_validity): (Option<&str>, Option<u32>),
    deletes: &[Delete],
    how: &DeleteMode,
) -> Result<Recheck, MailboxError> {
    if !session.can_delete(how) {
        return Ok(Recheck::Refused(DeleteRefusal::NoUidPlus));
    }
    let Some(mailbox) = mailbox else {
        return Err(MailboxError::Unsupported { what: "IMAP deletes need a mailbox".to_owned() });
    };
    let by_rule = deletes.iter().any(|delete| delete.action.is_some());
    if let Err(refusal) = destination::find(session, how, by_rule).await? {
        return Ok(Recheck::Refused(refusal));
    }
    let selected = select(session, mailbox).await?;
    if selected.uid_validity.is_none() || selected.uid_validity != uid_validity {
        return Ok(Recheck::Refused(DeleteRefusal::UidValidityChanged));
    }
    if !selected.writable {
        return Ok(Recheck::Refused(DeleteRefusal::ReadOnly));
    }
    let mut items = BTreeMap::new();
    let mut readable = true;
    for set in uid_sets(deletes.iter().map(|delete| delete.number)) {
        let command = format!("UID FETCH {set} (UID RFC822.SIZE INTERNALDATE FLAGS)");
        let take = |response: &Response<'_>| match read_item(response) {
            Ok(Some((uid, item))) => merge(&mut items, uid, item),
            Ok(None) => {}
            Err(()) => readable = false,
        };
        session.dialogue.run(&command, Caps::SMALL, take).await?.or_refused("UID FETCH")?;
    }
    let missing = deletes.iter().map(|delete| delete.number).filter(|uid| !items.contains_key(uid));
    let mut hidden = BTreeSet::new();
    for set in uid_sets(missing) {
        hidden.append(&mut what_is_left(session, &set).await?.uids);
    }
    let verdict = |delete: &Delete| match items.get(&delete.number) {
        // A message without its UID may be any of them.
        _ if !readable || !names(&delete.key, delete.number, mailbox, uid_validity) => {
            Verdict::Changed
        }
        // It is there, but the server won't say what it is.
        None if hidden.contains(&delete.number) => Verdict::Changed,
        None => Verdict::Gone,
        Some(item) if is_same(item, delete) => Verdict::Same,
        Some(_) => Verdict::Changed,
    };
    Ok(Recheck::Verdicts(deletes.iter().map(verdict).collect()))
}

/// Something must speak for the message, and nothing against it.
fn is_same(item: &Item, delete: &Delete) -> bool {
    let copy = &delete.copy;
    let known = copy.listed_size.is_some() || copy.internal_date.is_some();
    let size = copy.listed_size.is_none() || copy.listed_size == item.size;
    let date = copy.internal_date.is_none() || copy.internal_date == item.internal_date;
    known && size && date && !item.doubled
}

fn names(key: &MessageKey, number: u32, in_mailbox: &str, validity: Option<u32>) -> bool {
    let MessageKey::Imap { mailbox, uid_validity, uid, .. } = key else { return false };
    mailbox == canonical(in_mailbox) && Some(*uid_validity) == validity && *uid == number
}

/// Deletes in the mailbox that `recheck` selected.
pub(super) async fn delete_from_server(
    session: &mut ImapSession,
    intent: &DeleteIntent,
) -> Result<DeleteOutcome, MailboxError> {
    let mut outcome = DeleteOutcome::default();
    let selected = session.selected.clone().filter(|selected| selected.writable);
    let is_ready = |delete: &&Deleting| {
        session.can_delete(intent.how())
            && selected.as_ref().is_some_and(|now| {
                names(&delete.key, delete.number, &now.mailbox, now.uid_validity)
            })
    };
    let (ready, unready): (Vec<_>, Vec<_>) = intent.deletes().iter().partition(is_ready);
    for delete in unready {
        outcome.refused.push((delete.row, "its mailbox is not selected for deletes".to_owned()));
    }
    for set in uid_sets(ready.iter().map(|delete| delete.number)) {
        if outcome.must_stop() {
            let rest = ready.iter().filter(|delete| uids_of(&set).any(|uid| uid == delete.number));
            let said = || "not tried after what came of those before it".to_owned();
            outcome.refused.extend(rest.map(|delete| (delete.row, said())));
            continue;
        }
        let uids: BTreeSet<u32> = uids_of(&set).collect();
        let Removed { left, flagged, others_gone, copied } =
            remove(session, &set, intent.how()).await?;
        for delete in ready.iter().filter(|delete| uids.contains(&delete.number)) {
            if !left.uids.contains(&delete.number) {
                outcome.gone.push(delete.row);
            } else if flagged.contains(&delete.number) {
                outcome.flagged.push(delete.row);
            } else {
                let still_there = if copied { &mut outcome.copied } else { &mut outcome.refused };
                still_there.push((delete.row, left.said.clone()));
            }
        }
        outcome.others_gone = outcome.others_gone.saturating_add(others_gone);
    }
    Ok(outcome)
}

/// UIDs that are still there, and why.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) uids: BTreeSet<u32>,
    pub(super) said: String,
}

/// The UIDs of the selected mailbox that meet a criterion; `None` when the server doesn't say.
pub(super) async fn search(
    session: &mut ImapSession,
    criterion: &str,
) -> Result<Option<BTreeSet<u32>>, MailboxError> {
    let mut found: Option<BTreeSet<u32>> = None;
    let take = |response: &Response<'_>| {
        if let Response::MailboxData(MailboxDatum::Search(uids)) = response {
            found.get_or_insert_default().extend(uids);
        }
    };
    let done = session.dialogue.run(&format!("UID SEARCH {criterion}"), Caps::SMALL, take).await?;
    Ok(found.filter(|_| done.ok))
}

/// Asks which of the set are still there; by FETCH where SEARCH doesn't say.
pub(super) async fn what_is_left(
    session: &mut ImapSession,
    set: &str,
) -> Result<Left, MailboxError> {
    let said = "still there afterwards".to_owned();
    if let Some(uids) = search(session, &format!("UID {set}")).await? {
        return Ok(Left { uids, said });
    }
    let mut uids = BTreeSet::new();
    let fetch = |response: &Response<'_>| {
        if let Ok(Some((uid, _))) = read_item(response) {
            uids.insert(uid);
        }
    };
    let done =
        session.dialogue.run(&format!("UID FETCH {set} (UID FLAGS)"), Caps::SMALL, fetch).await?;
    if done.ok {
        return Ok(Left { uids, said });
    }
    let said = format!("the server doesn't say whether it is gone: \"{}\"", done.said);
    Ok(Left { uids: uids_of(set).collect(), said })
}

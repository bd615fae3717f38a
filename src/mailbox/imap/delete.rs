//! Deleting: proof first, then exactly these UIDs, then proof that they are gone.
//!
//! No EXPUNGE without UIDs, no CLOSE, no sequence number: without UIDPLUS nothing is deleted.

use std::collections::{BTreeMap, BTreeSet};

use async_imap::imap_proto::{MailboxDatum, Response};

use super::ImapSession;
use super::dialogue::Caps;
use super::listed::{Item, merge, read_item};
use super::select::{canonical, select};
use super::uid_set::{uid_sets, uids_of};
use crate::mailbox::{DeleteOutcome, DeleteRefusal, MailboxError, Recheck, Verdict};
use crate::model::{Delete, DeleteIntent, Deleting, MessageKey};

/// Selects the mailbox anew and compares each message with what was stored.
pub(super) async fn recheck(
    session: &mut ImapSession,
    mailbox: Option<&str>,
    uid_validity: Option<u32>,
    deletes: &[Delete],
) -> Result<Recheck, MailboxError> {
    if !session.capabilities.has_uid_plus() {
        return Ok(Recheck::Refused(DeleteRefusal::NoUidPlus));
    }
    let Some(mailbox) = mailbox else {
        return Err(MailboxError::Unsupported { what: "IMAP deletes need a mailbox".to_owned() });
    };
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
        session.capabilities.has_uid_plus()
            && selected.as_ref().is_some_and(|now| {
                names(&delete.key, delete.number, &now.mailbox, now.uid_validity)
            })
    };
    let (ready, unready): (Vec<_>, Vec<_>) = intent.deletes().iter().partition(is_ready);
    for delete in unready {
        outcome.refused.push((delete.row, "its mailbox is not selected for deletes".to_owned()));
    }
    for set in uid_sets(ready.iter().map(|delete| delete.number)) {
        let uids: BTreeSet<u32> = uids_of(&set).collect();
        let left = match expunge(session, &set, uids.len()).await? {
            Ok(()) => what_is_left(session, &set).await?,
            Err(said) => Left { uids: uids.clone(), said },
        };
        for delete in ready.iter().filter(|delete| uids.contains(&delete.number)) {
            if left.uids.contains(&delete.number) {
                outcome.refused.push((delete.row, left.said.clone()));
            } else {
                outcome.gone.push(delete.row);
            }
        }
    }
    Ok(outcome)
}

/// UIDs that are still there, and why.
struct Left {
    uids: BTreeSet<u32>,
    said: String,
}

/// Marks and expunges; the inner error is the server's refusal, after which nothing more is
/// tried.
async fn expunge(
    session: &mut ImapSession,
    set: &str,
    asked: usize,
) -> Result<Result<(), String>, MailboxError> {
    let command = format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)");
    let done = session.dialogue.run(&command, Caps::SMALL, |_| {}).await?;
    if !done.ok {
        return Ok(Err(format!("STORE was refused: \"{}\"", done.said)));
    }
    let mut expunged = 0_usize;
    let count = |response: &Response<'_>| {
        if matches!(response, Response::Expunge(_)) {
            expunged = expunged.saturating_add(1);
        }
    };
    let done = session.dialogue.run(&format!("UID EXPUNGE {set}"), Caps::SMALL, count).await?;
    if !done.ok {
        return Ok(Err(format!("UID EXPUNGE was refused: \"{}\"", done.said)));
    }
    if expunged > asked {
        tracing::warn!(
            target: "delete",
            code = "imap-expunged-more",
            asked,
            expunged,
            "the server reports more expunged messages than were asked for; another client may \
             have deleted, or the server takes UID EXPUNGE for EXPUNGE"
        );
    }
    Ok(Ok(()))
}

/// Asks which of the set are still there; by FETCH where SEARCH doesn't say.
async fn what_is_left(session: &mut ImapSession, set: &str) -> Result<Left, MailboxError> {
    let said = "still there after UID EXPUNGE".to_owned();
    let mut found: Option<BTreeSet<u32>> = None;
    let search = |response: &Response<'_>| {
        if let Response::MailboxData(MailboxDatum::Search(uids)) = response {
            found.get_or_insert_default().extend(uids);
        }
    };
    let command = format!("UID SEARCH UID {set}");
    let done = session.dialogue.run(&command, Caps::SMALL, search).await?;
    if done.ok
        && let Some(uids) = found
    {
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

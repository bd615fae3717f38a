//! Whether a message whose end isn't known is in the mailbox.

use tokio::sync::mpsc;

use super::decide::Own;
use super::letter::{Canonical, Reader};
use super::{Restore, RestoreError};
use crate::ledger::{RestoreTarget, Tx};
use crate::mailbox::imap::{ImapSession, Seen, Sought};
use crate::mailbox::{MailboxError, Part, ReadMailbox};
use crate::model::{Fetch, FetchReason, MessageKey};
use crate::moving::select::Found;

/// What was found out.
#[derive(Debug)]
pub(super) enum Looked {
    /// It is there; under this UID, or under 0 where that can't be told.
    There(u32),
    /// It is not.
    NotThere,
    /// The server doesn't let it be told; why.
    Unsure(String),
}

/// Why it was not.
#[derive(Debug)]
pub(super) enum LookError {
    /// The session is over.
    Session(MailboxError),
    /// The whole run is.
    Run(RestoreError),
}

impl From<MailboxError> for LookError {
    fn from(error: MailboxError) -> Self {
        Self::Session(error)
    }
}

/// Pieces of a message between its reading and its digest.
const PIECES: usize = 4;

/// Looks for a message among those with this UID or a higher one.
pub(super) async fn look(
    restore: &Restore<'_>,
    session: &mut ImapSession,
    found: &Found,
    to: &RestoreTarget,
    from: u32,
) -> Result<Looked, LookError> {
    let own = match own(restore, found).await {
        Ok(own) => own,
        Err(error) => return Ok(Looked::Unsure(error.to_string())),
    };
    session.open(&to.mailbox).await?;
    let message_id = found.facts.message_id.as_deref();
    let sought = Sought { from, message_id, octets: own.octets, at: own.at };
    let Some(mut seen) = session.seek(&sought).await? else {
        let why = "whether it is there already can't be told: the server finds nothing, or too \
                   much";
        return Ok(Looked::Unsure(why.to_owned()));
    };
    let (named, unnamed) = taken(restore, found, to, &seen).await.map_err(LookError::Run)?;
    seen.retain(|one| !named.contains(&one.uid));
    // Of the same content as many are others' as were put there under UIDs that nobody knows.
    let mut others = unnamed;
    let mut rest = Vec::new();
    for one in seen {
        if !own.may_be(&one) {
            rest.push(one);
            continue;
        }
        match digest(session, to, &one).await? {
            Ok(digest) if digest != own.digest => rest.push(one),
            Ok(_) if others == 0 => return Ok(Looked::There(one.uid)),
            Ok(_) => others = others.saturating_sub(1),
            Err(why) => return Ok(Looked::Unsure(why)),
        }
    }
    let rewritten = rest.iter().find(|one| own.is_rewritten(one, from));
    Ok(rewritten.map_or(Looked::NotThere, |one| Looked::There(one.uid)))
}

/// What tells the message from others.
async fn own(restore: &Restore<'_>, found: &Found) -> std::io::Result<Own> {
    let mut reader = Reader::open(found, restore.root)?;
    let mut canonical = Canonical::default();
    loop {
        let octets = reader.next().await?;
        if octets.is_empty() {
            break;
        }
        canonical.add(octets);
    }
    let (digest, octets) = canonical.end();
    let at = Some(found.copy.internal_date.unwrap_or(found.facts.received));
    Ok(Own { octets: (found.copy.size, octets), digest, at })
}

/// UIDs of other messages that were put there, and how many more have the same content.
async fn taken(
    restore: &Restore<'_>,
    found: &Found,
    to: &RestoreTarget,
    seen: &[Seen],
) -> Result<(Vec<u32>, usize), RestoreError> {
    let uids: Vec<u32> = seen.iter().map(|one| one.uid).collect();
    let (to, message, sha256) = (to.clone(), found.facts.id.clone(), found.copy.sha256);
    let read = move |tx: &Tx<'_>| {
        let named = tx.restored_as(&to, &message, &uids)?;
        Ok((named, tx.restored_unnamed(&to, &message, sha256)?))
    };
    Ok(restore.ledger.read("read what was put back", read).await?)
}

/// The digest of a message on the server; the inner error is why there is none.
async fn digest(
    session: &mut ImapSession,
    to: &RestoreTarget,
    seen: &Seen,
) -> Result<Result<[u8; 32], String>, MailboxError> {
    let key = MessageKey::Imap {
        mailbox: to.mailbox.clone(),
        uid_validity: to.uid_validity,
        uid: seen.uid,
        generation: 0,
    };
    let wanted = [Fetch {
        key,
        number: seen.uid,
        alone: true,
        size: seen.size,
        internal_date: None,
        received: None,
        flags: Vec::new(),
        why: FetchReason::Proof,
    }];
    let (sender, mut parts) = mpsc::channel(PIECES);
    let fetch = async {
        let fetched = session.fetch(&wanted, &sender).await;
        drop(sender);
        fetched
    };
    let take = async {
        let mut canonical = Canonical::default();
        let mut ended = Err("the server sent nothing of a message that may be it".to_owned());
        while let Some(part) = parts.recv().await {
            match part {
                Part::Begin { .. } => canonical = Canonical::default(),
                Part::Data(octets) => canonical.add(&octets),
                Part::End { .. } => ended = Ok(std::mem::take(&mut canonical).end().0),
                Part::Failed { error, .. } => ended = Err(error.to_string()),
            }
        }
        ended
    };
    let (fetched, ended) = tokio::join!(fetch, take);
    fetched.map(|()| ended)
}

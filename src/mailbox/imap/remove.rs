//! The commands that make messages leave, each with exactly the UIDs of a set.
//!
//! What has left is what the server shows afterwards, never what a tagged OK claims.

use std::collections::BTreeSet;

use async_imap::imap_proto::Response;

use super::ImapSession;
use super::delete::{Left, what_is_left};
use super::destination::{self, Destination};
use super::dialogue::{Caps, Done};
use super::listed::read_item;
use super::select::on_the_wire;
use super::uid_set::{uid_sets, uids_of};
use crate::mailbox::MailboxError;
use crate::model::DeleteMode;

/// Marked messages of others that are looked for again after an expunge.
const WITNESSES: usize = 100;

/// What became of a set.
#[derive(Debug)]
pub(super) struct Removed {
    /// Those that are still there, and why.
    pub(super) left: Left,
    /// Those of them that are marked, where no more is wanted.
    pub(super) flagged: BTreeSet<u32>,
    /// Marked messages of others that vanished together with ours.
    pub(super) others_gone: usize,
    /// Those that are still there have a copy in another mailbox, or may have.
    pub(super) copied: bool,
}

/// Has the messages of a set leave, in the way of their intent.
pub(super) async fn remove(
    session: &mut ImapSession,
    set: &str,
    how: &DeleteMode,
) -> Result<Removed, MailboxError> {
    match (how, destination::found(session, how)) {
        (DeleteMode::Expunge, _) => expunge(session, set).await,
        (DeleteMode::Flag, _) => flag(session, set).await,
        (DeleteMode::Move(_) | DeleteMode::Trash, Some(to)) => {
            if session.capabilities.has_move() {
                move_to(session, set, &to).await
            } else {
                copy_to(session, set, &to).await
            }
        }
        (DeleteMode::Move(_) | DeleteMode::Trash, None) => {
            Ok(Removed::nothing(set, "no mailbox to move it to"))
        }
    }
}

impl Removed {
    /// Nothing was done, or nothing of it can be known.
    fn nothing(set: &str, said: impl Into<String>) -> Self {
        Self::all_but(Left { uids: uids_of(set).collect(), said: said.into() })
    }

    fn all_but(left: Left) -> Self {
        Self { left, flagged: BTreeSet::new(), others_gone: 0, copied: false }
    }
}

/// Marks, and expunges these UIDs (RFC 4315 §2.1). After a refusal nothing more is tried.
async fn expunge(session: &mut ImapSession, set: &str) -> Result<Removed, MailboxError> {
    let done = mark(session, set).await?;
    if !done.ok {
        return Ok(Removed::nothing(set, format!("STORE was refused: \"{}\"", done.said)));
    }
    let others = marked_by_others(session, set).await?;
    let (asked, mut expunged) = (uids_of(set).count(), 0_usize);
    let count = |response: &Response<'_>| {
        if matches!(response, Response::Expunge(_)) {
            expunged = expunged.saturating_add(1);
        }
    };
    let done = session.dialogue.run(&format!("UID EXPUNGE {set}"), Caps::SMALL, count).await?;
    if !done.ok {
        let said = format!("UID EXPUNGE was refused: \"{}\"", done.said);
        return Ok(Removed::nothing(set, said));
    }
    let left = what_is_left(session, set).await?;
    let others_gone = match others {
        Some(others) => vanished(session, &others).await?,
        // Who is missing can't be asked: the server's own count is all there is.
        None => expunged.saturating_sub(asked),
    };
    if others_gone == 0 && expunged > asked {
        tracing::debug!(target: "delete", asked, expunged, "others removed unmarked mail meanwhile");
    }
    Ok(Removed { others_gone, ..Removed::all_but(left) })
}

/// Moves (RFC 6851): the server does it whole or not, message by message. A refusal may come
/// when some have left already (§3.3).
async fn move_to(
    session: &mut ImapSession,
    set: &str,
    to: &Destination,
) -> Result<Removed, MailboxError> {
    let command = format!("UID MOVE {set} {}", on_the_wire(session, &to.mailbox)?);
    let done = session.dialogue.run(&command, Caps::SMALL, |_| {}).await?;
    let mut left = what_is_left(session, set).await?;
    if !done.ok {
        left.said = format!("MOVE to `{}` was refused: \"{}\"", to.mailbox, done.said);
    }
    Ok(Removed::all_but(left))
}

/// Copies, has the server say that each message has its copy in the mailbox that was looked at
/// (COPYUID, RFC 4315 §3), and only then expunges. Cut in between, the next poll copies again: the
/// destination may get a message twice, never not at all. What is not removed after a copy is told
/// apart from what was refused before it.
async fn copy_to(
    session: &mut ImapSession,
    set: &str,
    to: &Destination,
) -> Result<Removed, MailboxError> {
    let command = format!("UID COPY {set} {}", on_the_wire(session, &to.mailbox)?);
    session.dialogue.forget_copies();
    let done = session.dialogue.run(&command, Caps::SMALL, |_| {}).await?;
    if !done.ok {
        let said = format!("COPY to `{}` was refused: \"{}\"", to.mailbox, done.said);
        return Ok(Removed::nothing(set, said));
    }
    let proof = match session.dialogue.copies() {
        Some(copies) => copies.proves(set, to.uid_validity),
        None => Err("the server doesn't say what it copied"),
    };
    let removed = match proof {
        Ok(()) => {
            let mut removed = expunge(session, set).await?;
            let why = removed.left.said;
            removed.left.said = format!("copied to `{}`, but not removed: {why}", to.mailbox);
            removed
        }
        Err(why) => {
            let said = format!("nothing removed after COPY to `{}`: {why}", to.mailbox);
            Removed::nothing(set, said)
        }
    };
    Ok(Removed { copied: true, ..removed })
}

/// Marks, and looks whether the marks are there.
async fn flag(session: &mut ImapSession, set: &str) -> Result<Removed, MailboxError> {
    let done = mark(session, set).await?;
    if !done.ok {
        return Ok(Removed::nothing(set, format!("STORE was refused: \"{}\"", done.said)));
    }
    let mut flagged = BTreeSet::new();
    let take = |response: &Response<'_>| {
        if let Ok(Some((uid, item))) = read_item(response)
            && item.flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Deleted"))
        {
            flagged.insert(uid);
        }
    };
    let command = format!("UID FETCH {set} (UID FLAGS)");
    let done = session.dialogue.run(&command, Caps::SMALL, take).await?;
    let mut left = what_is_left(session, set).await?;
    left.said = if done.ok {
        "not marked after STORE".to_owned()
    } else {
        format!("the server doesn't show its marks: \"{}\"", done.said)
    };
    Ok(Removed { flagged, ..Removed::all_but(left) })
}

async fn mark(session: &mut ImapSession, set: &str) -> Result<Done, MailboxError> {
    let command = format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)");
    session.dialogue.run(&command, Caps::SMALL, |_| {}).await
}

/// UIDs outside the set that carry `\Deleted`; `None` when the server doesn't say.
async fn marked_by_others(
    session: &mut ImapSession,
    set: &str,
) -> Result<Option<BTreeSet<u32>>, MailboxError> {
    let mut found = super::delete::search(session, "DELETED").await?;
    if let Some(found) = &mut found {
        for ours in uids_of(set) {
            found.remove(&ours);
        }
    }
    Ok(found)
}

/// How many of the messages that others marked are gone now. A few tell as much as all: a server
/// that takes UID EXPUNGE for EXPUNGE removes every one.
async fn vanished(
    session: &mut ImapSession,
    others: &BTreeSet<u32>,
) -> Result<usize, MailboxError> {
    let witnesses = uid_sets(others.iter().copied().take(WITNESSES));
    let mut gone = 0_usize;
    for set in witnesses {
        let left = what_is_left(session, &set).await?.uids;
        gone = gone.saturating_add(uids_of(&set).filter(|uid| !left.contains(uid)).count());
    }
    Ok(gone)
}

//! Where deleted messages are moved to: a mailbox that exists and that nobody polls.
//!
//! Nothing is made and no name is guessed: a mailbox that a typing error made would swallow mail
//! unseen, and `Papierkorb` may be a folder for orders of paper.

use super::ImapSession;
use super::list::{self, Uses};
use super::select::examine;
use crate::config::polled;
use crate::mailbox::{DeleteRefusal, MailboxError};
use crate::model::DeleteMode;

/// Names of mailboxes in an error.
const NAMES_SHOWN: usize = 12;

/// A mailbox that messages are moved to.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// Decoded name.
    pub(super) mailbox: String,
    /// As it was when it was looked at.
    pub(super) uid_validity: Option<u32>,
}

/// Where what leaves so is moved to, if it was found in this session.
pub(super) fn found(session: &ImapSession, how: &DeleteMode) -> Option<Destination> {
    let found = session.destinations.iter().find(|(of, _)| of == how);
    found.map(|(_, destination)| destination.clone())
}

/// Finds the destination of a way to leave, once in a session; the inner error is why nothing can
/// be moved. Selects the destination read-only. `by_rule`: a rule on received mail names it.
pub(super) async fn find(
    session: &mut ImapSession,
    how: &DeleteMode,
    by_rule: bool,
) -> Result<Result<(), DeleteRefusal>, MailboxError> {
    if found(session, how).is_some() {
        return Ok(Ok(()));
    }
    let key = if by_rule { "`to` of the rule" } else { "`delete_mode`" };
    let mailbox = match how {
        DeleteMode::Expunge | DeleteMode::Flag => return Ok(Ok(())),
        DeleteMode::Move(folder) => folder.clone(),
        DeleteMode::Trash => match the_trash(list::uses(session).await?) {
            Ok(trash) => trash,
            Err(why) => return Ok(Err(DeleteRefusal::NoDestination(why))),
        },
    };
    if polled(&session.folders, &mailbox) {
        let why = format!(
            "`{mailbox}` is polled itself, so what is moved there would come again; add \
             `\"!{mailbox}\"` to `folders`"
        );
        return Ok(Err(DeleteRefusal::NoDestination(why)));
    }
    match examine(session, &mailbox).await {
        Ok((_, opened)) => {
            let uid_validity = opened.uid_validity;
            let destination = Destination { mailbox, uid_validity };
            session.destinations.push((how.clone(), destination));
            Ok(Ok(()))
        }
        Err(MailboxError::NoMailbox { said, .. }) => {
            let why = format!(
                "`{mailbox}` can't be opened (\"{said}\"); make it with a mail program (IMAP: \
                 `CREATE \"{mailbox}\"`), or name another in {key}"
            );
            Ok(Err(DeleteRefusal::NoDestination(why)))
        }
        Err(error) => Err(error),
    }
}

/// The one mailbox that the server marks `\Trash`.
fn the_trash(uses: Uses) -> Result<String, String> {
    let Uses { trash, names } = uses;
    match <[String; 1]>::try_from(trash) {
        Ok([trash]) => Ok(trash),
        Err(none) if none.is_empty() => Err(format!(
            "the server marks no mailbox as \\Trash (it has {}); write `delete_mode = \
             \"move:FOLDER\"` with the one that is meant",
            shown(&names)
        )),
        Err(several) => Err(format!(
            "the server marks several mailboxes as \\Trash ({}); write `delete_mode = \
             \"move:FOLDER\"` with the one that is meant",
            shown(&several)
        )),
    }
}

fn shown(names: &[String]) -> String {
    let mut shown: Vec<String> =
        names.iter().take(NAMES_SHOWN).map(|name| format!("`{}`", name.escape_debug())).collect();
    if names.len() > NAMES_SHOWN {
        shown.push(format!("{} in all", names.len()));
    }
    shown.join(", ")
}

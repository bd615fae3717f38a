//! Flags on messages that are stored, and on no others; never the one that removes.

use super::ImapSession;
use super::dialogue::Caps;
use super::select::select;
use super::uid_set::uid_sets;
use crate::mailbox::{MailboxError, Marked};

/// Selects the mailbox and marks these UIDs (RFC 9051 §6.4.6). One that is gone is no failure.
pub(super) async fn mark(
    session: &mut ImapSession,
    (mailbox, uid_validity): (&str, u32),
    uids: &[u32],
    flag: &str,
) -> Result<Marked, MailboxError> {
    let selected = select(session, mailbox).await?;
    if selected.uid_validity != Some(uid_validity) {
        return Ok(Marked::Refused("UIDVALIDITY changed while the poll was running".to_owned()));
    }
    if !selected.keeps(flag) || flag.eq_ignore_ascii_case("\\Deleted") {
        return Ok(Marked::Refused(format!("the mailbox is read-only, or keeps no `{flag}`")));
    }
    for set in uid_sets(uids.iter().copied()) {
        let command = format!("UID STORE {set} +FLAGS.SILENT ({flag})");
        let done = session.dialogue.run(&command, Caps::SMALL, |_| {}).await?;
        if !done.ok {
            return Ok(Marked::Refused(format!("STORE was refused: \"{}\"", done.said)));
        }
    }
    Ok(Marked::Done)
}

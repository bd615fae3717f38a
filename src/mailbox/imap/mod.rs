//! IMAP (RFC 3501, RFC 9051): one authenticated session that lists, fetches and deletes.
//!
//! Every command is a UID command. Mailboxes are read under EXAMINE; only a proven delete
//! selects one for writing. Octets pass three sieves on their way in: the network's guard (time),
//! [`sieve`] (size and shape) and async-imap (grammar).

mod append;
mod append_reply;
mod capabilities;
mod copy_uid;
mod date;
mod delete;
mod destination;
mod dialogue;
mod fetch;
mod headers;
mod list;
mod listed;
mod login;
mod mark;
mod remove;
mod said;
mod seek;
mod select;
mod sieve;
mod sieved;
mod start;
mod talk;
mod target;
mod uid_set;
mod utf7;
mod windows;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use self::capabilities::Capabilities;
use self::destination::Destination;
use self::dialogue::{Caps, Dialogue};
use self::select::Selected;
use self::windows::Windows;
use super::{
    DeleteMail, DeleteOutcome, MailboxError, MarkMail, Marked, Opened, Part, ReadMailbox, Recheck,
};
use crate::config::{Inbound, Properties};
use crate::model::{Delete, DeleteIntent, DeleteMode, Fetch, Listed, Listing};
use crate::net::NetStream;

pub use append::Appending;
pub use seek::{Seen, Sought};
pub use start::connect;

/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// An authenticated session.
#[derive(Debug)]
pub struct ImapSession {
    dialogue: Dialogue,
    capabilities: Capabilities,
    properties: Properties,
    max_message_size: Option<u64>,
    /// Names on the wire that modified UTF-7 does not lead back to, by the name that we say.
    odd_names: BTreeMap<String, String>,
    /// How long one step of a session without an end may take.
    patience: Duration,
    /// The account's `folders`: no message is moved into one of these.
    folders: Vec<String>,
    /// Where messages are moved to, by how they leave, once it is found.
    destinations: Vec<(DeleteMode, Destination)>,
    /// What [`open`](ReadMailbox::open) opened, and how far it has been listed.
    open: Option<(Selected, Windows)>,
    /// What the server has selected now.
    selected: Option<Selected>,
}

impl ImapSession {
    fn new(
        stream: NetStream,
        unread: &[u8],
        capabilities: Capabilities,
        account: &Inbound,
    ) -> Self {
        Self {
            dialogue: Dialogue::new(stream, unread, account.debug),
            capabilities,
            properties: account.properties.clone(),
            max_message_size: account.max_message_size.map(|size| size.0),
            odd_names: BTreeMap::new(),
            patience: account.poll_deadline,
            folders: account.folders.clone(),
            destinations: Vec::new(),
            open: None,
            selected: None,
        }
    }
}

impl ReadMailbox for ImapSession {
    async fn mailboxes(&mut self) -> Result<Vec<String>, MailboxError> {
        list::mailboxes(self).await
    }

    async fn open(&mut self, mailbox: &str) -> Result<Opened, MailboxError> {
        let (selected, opened) = select::examine(self, mailbox).await?;
        let windows =
            Windows::new(opened.exists, opened.uid_next, self.properties.imap_list_window);
        self.open = Some((selected, windows));
        Ok(opened)
    }

    async fn next_window(&mut self) -> Result<Option<Listing>, MailboxError> {
        list::next_window(self).await
    }

    async fn headers(&mut self, wanted: &[Listed]) -> Result<Vec<Option<Bytes>>, MailboxError> {
        headers::headers(self, wanted).await
    }

    async fn fetch(
        &mut self,
        wanted: &[Fetch],
        parts: &mpsc::Sender<Part>,
    ) -> Result<(), MailboxError> {
        fetch::fetch(self, wanted, parts).await
    }

    fn can_delete(&self, how: &DeleteMode) -> bool {
        let moves = self.capabilities.has_move();
        match how {
            DeleteMode::Expunge => self.capabilities.has_uid_plus(),
            DeleteMode::Flag => true,
            DeleteMode::Move(_) | DeleteMode::Trash => moves || self.capabilities.has_uid_plus(),
        }
    }

    async fn quit(mut self) -> Result<(), MailboxError> {
        self.dialogue.stream().hurry(FAREWELL);
        if let Err(error) = farewell(&mut self.dialogue).await {
            tracing::debug!(target: "incoming", %error, "LOGOUT");
        }
        Ok(())
    }
}

impl MarkMail for ImapSession {
    async fn mark(
        &mut self,
        mailbox: &str,
        uid_validity: u32,
        uids: &[u32],
        flag: &str,
    ) -> Result<Marked, MailboxError> {
        mark::mark(self, (mailbox, uid_validity), uids, flag).await
    }
}

impl DeleteMail for ImapSession {
    async fn recheck(
        &mut self,
        mailbox: Option<&str>,
        uid_validity: Option<u32>,
        deletes: &[Delete],
        how: &DeleteMode,
    ) -> Result<Recheck, MailboxError> {
        delete::recheck(self, (mailbox, uid_validity), deletes, how).await
    }

    async fn delete_from_server(
        &mut self,
        intent: &DeleteIntent,
    ) -> Result<DeleteOutcome, MailboxError> {
        delete::delete_from_server(self, intent).await
    }
}

/// BYE, which comes first, ends it as well as the tagged OK.
async fn farewell(dialogue: &mut Dialogue) -> Result<(), MailboxError> {
    match dialogue.run("LOGOUT", Caps::SMALL, |_| {}).await {
        Ok(_) | Err(MailboxError::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small figures of scripted servers")]
mod tests;

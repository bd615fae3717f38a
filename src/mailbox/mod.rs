//! Mailboxes and maildrops on servers: reading them, and deleting from them.
//!
//! Two traits at a true seam: what can only read ([`ReadMailbox`]) and what may delete
//! ([`DeleteMail`]), so that a preview *cannot* delete by type. `imap` follows RFC 3501 and 9051,
//! `pop3` RFC 1939 and 2449.

mod appending;
mod credentials;
mod doctor;
mod error;
#[cfg(test)]
pub(crate) mod fake;
pub mod imap;
pub mod pop3;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::model::{Delete, DeleteIntent, DeleteMode, Fetch, Listed, Listing, MessageKey};

pub use appending::{Appended, Letter, Refusal, RefusalKind, Target};
pub use doctor::advice;
pub use error::{ErrorScope, MailboxError, Retry};

/// Reads one account's mailboxes over one authenticated session.
///
/// After an error whose [`MailboxError::scope`] is not `Message`, the session is out of step and
/// must be dropped.
pub trait ReadMailbox: Send {
    /// The mailboxes that exist, as (decoded) names; a POP3 maildrop has none and says `[""]`.
    fn mailboxes(&mut self) -> impl Future<Output = Result<Vec<String>, MailboxError>> + Send;

    /// Opens a mailbox read-only (EXAMINE, RFC 9051 §6.3.3) or reads the maildrop's UIDL and LIST.
    fn open(&mut self, mailbox: &str) -> impl Future<Output = Result<Opened, MailboxError>> + Send;

    /// The next window of the open mailbox, ascending; `None` after the last one.
    fn next_window(&mut self)
    -> impl Future<Output = Result<Option<Listing>, MailboxError>> + Send;

    /// Header sections of listed messages, in their order; `None` for one the server won't give.
    /// Fewer than were asked for when the session ended behind them: the next call says why.
    /// For POP3 `TOP n 0`, pipelined; for IMAP `BODY.PEEK[HEADER]`.
    fn headers(
        &mut self,
        wanted: &[Listed],
    ) -> impl Future<Output = Result<Vec<Option<Bytes>>, MailboxError>> + Send;

    /// Fetches messages whole, those that failed before last, never setting `\Seen`; each one as
    /// [`Part::Begin`], `Data`…, and `End` or `Failed`.
    ///
    /// An error means that the session is lost; messages without an `End` are not fetched.
    fn fetch(
        &mut self,
        wanted: &[Fetch],
        parts: &mpsc::Sender<Part>,
    ) -> impl Future<Output = Result<(), MailboxError>> + Send;

    /// Whether the server offers what a delete in this mode needs, as far as it has said by now.
    fn can_delete(&self, _how: &DeleteMode) -> bool {
        true
    }

    /// The least time between two logins that the server asks for (RFC 2449 §6.5).
    fn login_delay(&self) -> Option<Duration> {
        None
    }

    /// Ends the session: LOGOUT, or QUIT whose `+OK` makes POP3 deletes happen (RFC 1939 §6).
    fn quit(self) -> impl Future<Output = Result<(), MailboxError>> + Send;
}

/// Marks messages on a server, as read or otherwise. One caller: `poll::marking`.
pub trait MarkMail: ReadMailbox {
    /// Sets a flag (never `\Deleted`) on messages of one mailbox by their UIDs, ascending, and on no
    /// others; nothing when the mailbox has another UIDVALIDITY by now. POP3 has no marks.
    fn mark(
        &mut self,
        mailbox: &str,
        uid_validity: u32,
        uids: &[u32],
        flag: &str,
    ) -> impl Future<Output = Result<Marked, MailboxError>> + Send;
}

/// The outcome of [`MarkMail::mark`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Marked {
    /// The server took all marks.
    Done,
    /// It did not, or not all; why.
    Refused(String),
}

/// Deletes messages from a server. One caller: `poll::delete`.
pub trait DeleteMail: ReadMailbox {
    /// Proves in this session that each message is still the one that was stored: the mailbox is
    /// selected anew, UIDVALIDITY, size and INTERNALDATE (IMAP) or unique-id and size (POP3) are
    /// compared. Says for each delete, in order, what holds; all of them leave in one way, `how`.
    fn recheck(
        &mut self,
        mailbox: Option<&str>,
        uid_validity: Option<u32>,
        deletes: &[Delete],
        how: &DeleteMode,
    ) -> impl Future<Output = Result<Recheck, MailboxError>> + Send;

    /// Deletes what the ledger has committed to delete, and nothing else, in the intent's way:
    /// `UID STORE \Deleted` and `UID EXPUNGE` (RFC 4315), UID MOVE (RFC 6851), or the mark alone,
    /// with these UIDs; or DELE.
    fn delete_from_server(
        &mut self,
        intent: &DeleteIntent,
    ) -> impl Future<Output = Result<DeleteOutcome, MailboxError>> + Send;
}

/// What a mailbox says when it is opened.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Opened {
    /// UIDVALIDITY; `None` for POP3 or when the server gave none or 0.
    pub uid_validity: Option<u32>,
    /// UIDNEXT, a hint only.
    pub uid_next: Option<u32>,
    /// Messages in it.
    pub exists: u32,
    /// HIGHESTMODSEQ (RFC 7162), where offered.
    pub highest_modseq: Option<u64>,
}

/// A piece of the stream of fetched messages.
#[derive(Debug)]
pub enum Part {
    /// A message begins.
    Begin {
        /// Which.
        key: MessageKey,
    },
    /// Octets of it, dot-unstuffed; at most 256 KiB.
    Data(Bytes),
    /// It is complete: framing says so, not the listed size.
    End {
        /// Octets in all.
        octets: u64,
        /// Framing says less than usual: the server gave nothing where the next part of a large
        /// message was asked for, below its listed size.
        early: bool,
    },
    /// This message could not be fetched; the session goes on with the next.
    Failed {
        /// Which; also when no `Begin` came before.
        key: MessageKey,
        /// Why.
        error: MailboxError,
    },
}

/// The outcome of [`DeleteMail::recheck`].
#[derive(Debug)]
pub enum Recheck {
    /// Each delete's verdict, in order.
    Verdicts(Vec<Verdict>),
    /// Nothing may be deleted in this mailbox now; why.
    Refused(DeleteRefusal),
}

/// What the server shows under a message's identity.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The message that was stored.
    Same,
    /// Nothing: it has left the server.
    Gone,
    /// Another message: size or date differ.
    Changed,
}

/// Why a server's mailbox can't be deleted from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DeleteRefusal {
    /// Messages can't be moved where the config wants them; why, and what to write.
    NoDestination(String),
    /// The server lacks UIDPLUS (RFC 4315), so that EXPUNGE could remove others' messages; and
    /// MOVE, where that would do.
    NoUidPlus,
    /// The mailbox is read-only, or `\Deleted` can't be set in it.
    ReadOnly,
    /// UIDVALIDITY isn't what it was when the messages were listed.
    UidValidityChanged,
}

/// What became of deletes.
#[derive(Debug, Default)]
pub struct DeleteOutcome {
    /// Ledger rows of messages that the server has shown to be gone.
    pub gone: Vec<i64>,
    /// Ledger rows of messages that the server shows marked `\Deleted`, where that is all.
    pub flagged: Vec<i64>,
    /// Messages that others had marked and that vanished together with ours: nobody may delete in
    /// this account any more before a person has looked.
    pub others_gone: usize,
    /// Ledger rows of messages that go with QUIT's `+OK` (POP3).
    pub on_quit: Vec<i64>,
    /// Ledger rows of messages that are still there, and the server's words.
    pub refused: Vec<(i64, String)>,
    /// The same of messages that were copied to another mailbox before: each further try would copy
    /// them once more, so nobody may delete in this account before a person has looked.
    pub copied: Vec<(i64, String)>,
}

impl DeleteOutcome {
    /// Whether nothing more may be deleted in the account before a person has looked.
    pub fn must_stop(&self) -> bool {
        self.others_gone > 0 || !self.copied.is_empty()
    }
}

//! POP3 (RFC 1939, 2449, 2595, 5034): one maildrop, read and deleted from.
//!
//! async-pop speaks in the authorization state only ([`login`]); the transaction state is our own
//! streaming, pipelined code, since async-pop keeps a whole response in memory, parses it anew at
//! each read and can't be pipelined. Stores nothing and decides nothing: that is `poll`'s.

mod capabilities;
mod channel;
mod dot_lines;
mod login;
mod maildrop;
mod pipeline;
mod reply;
mod sieve;
mod transaction;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::login::Login;
use self::transaction::Transaction;
use super::{
    DeleteMail, DeleteOutcome, MailboxError, MarkMail, Marked, Opened, Part, ReadMailbox, Recheck,
};
use crate::config::{Encryption, Inbound};
use crate::model::{Delete, DeleteIntent, DeleteMode, Fetch, Listed, Listing};
use crate::net::{self, Endpoint, Facts, NetStream, Stage, Witness};
use crate::sasl::Proof;

/// Connects to an account's maildrop and logs in, once and with one mechanism.
///
/// The stream keeps the account's timeouts, and `deadline` for all of the session.
pub async fn connect(
    account: &Inbound,
    proof: Proof<'_>,
    deadline: Instant,
    witness: &mut Witness,
) -> Result<Pop3Session<NetStream>, MailboxError> {
    let login = Login::permitted(account, proof)?;
    let endpoint = Endpoint::of(account);
    let mut wire = net::connect(&endpoint, deadline, witness).await?;
    let mut stream = match account.encryption {
        Encryption::None => wire.plain(),
        Encryption::StartTls => {
            wire.set_stage("greeting");
            login::ask_for_tls(&mut wire, witness).await?;
            wire.start_tls(&endpoint).await?
        }
        Encryption::Tls => {
            witness.begin(Stage::Tls);
            wire.start_tls(&endpoint).await?
        }
    };
    if let Some(facts) = stream.tls_facts() {
        witness.found(|| Some(Facts::Tls(facts)));
    }
    stream.set_stage("greeting or login");
    let greeted = account.encryption == Encryption::StartTls;
    let login = login.bound_to(stream.channel_binding());
    let capabilities = login::log_in(&mut stream, &login, greeted, witness).await?;
    stream.set_stage("reply");
    Ok(Pop3Session { transaction: Transaction::new(stream, &capabilities, account) })
}

/// A maildrop in the transaction state (RFC 1939 §5), where it is locked for us.
pub struct Pop3Session<S> {
    transaction: Transaction<S>,
}

impl<S> fmt::Debug for Pop3Session<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pop3Session")
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> ReadMailbox for Pop3Session<S> {
    async fn mailboxes(&mut self) -> Result<Vec<String>, MailboxError> {
        Ok(vec![String::new()])
    }

    /// Reads UIDL and LIST, once in a session: the maildrop doesn't change meanwhile (RFC 1939
    /// §4). Without UIDL and with `pop3_no_uidl = "download"`, each message is downloaded, and
    /// its SHA-256 stands for the unique-id: all the mail, at each poll.
    async fn open(&mut self, mailbox: &str) -> Result<Opened, MailboxError> {
        if !mailbox.is_empty() {
            return Err(MailboxError::NoMailbox {
                mailbox: mailbox.to_owned(),
                said: "POP3 has no mailboxes".to_owned(),
            });
        }
        let maildrop = self.transaction.maildrop().await?;
        maildrop.rewind();
        Ok(Opened { exists: maildrop.exists(), ..Opened::default() })
    }

    async fn next_window(&mut self) -> Result<Option<Listing>, MailboxError> {
        Ok(self.transaction.maildrop().await?.next_window())
    }

    async fn headers(&mut self, wanted: &[Listed]) -> Result<Vec<Option<Bytes>>, MailboxError> {
        self.transaction.headers(wanted).await
    }

    async fn fetch(
        &mut self,
        wanted: &[Fetch],
        parts: &mpsc::Sender<Part>,
    ) -> Result<(), MailboxError> {
        self.transaction.fetch(wanted, parts).await
    }

    fn login_delay(&self) -> Option<Duration> {
        self.transaction.login_delay()
    }

    /// When no DELE was sent, a failing QUIT is no failure: nothing hangs on it.
    async fn quit(self) -> Result<(), MailboxError> {
        self.transaction.quit().await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> MarkMail for Pop3Session<S> {
    async fn mark(
        &mut self,
        _mailbox: &str,
        _uid_validity: u32,
        _uids: &[u32],
        _flag: &str,
    ) -> Result<Marked, MailboxError> {
        Ok(Marked::Refused("POP3 has no mark for it".to_owned()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> DeleteMail for Pop3Session<S> {
    /// Compares with UIDL and LIST of this session. A unique-id that several messages share, or a
    /// copy without a listed size, is never [`Verdict::Same`](super::Verdict::Same).
    async fn recheck(
        &mut self,
        _mailbox: Option<&str>,
        _uid_validity: Option<u32>,
        deletes: &[Delete],
        _how: &DeleteMode,
    ) -> Result<Recheck, MailboxError> {
        let maildrop = self.transaction.maildrop().await?;
        Ok(Recheck::Verdicts(deletes.iter().map(|delete| maildrop.verdict(delete)).collect()))
    }

    /// Sends DELE; what it marks goes with the `+OK` of [`ReadMailbox::quit`].
    async fn delete_from_server(
        &mut self,
        intent: &DeleteIntent,
    ) -> Result<DeleteOutcome, MailboxError> {
        self.transaction.delete(intent).await
    }
}

#[cfg(test)]
mod tests;

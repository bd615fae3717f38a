//! The stream that async-pop sees: the server's, with everything taken out that it can't bear.
//!
//! async-pop 1.1.3 loops for ever on the end of file; after a reply that it can't parse (any CAPA
//! line with an argument that it doesn't know) its buffer is out of step and may panic; after one
//! that came in pieces it may wait for octets that never come. So it gets every reply whole and in
//! its plainest words, and each octet from the server is judged here, where it is also recorded.
//! Not for the transaction state: a reply is kept in memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use zeroize::Zeroizing;

use super::capabilities::Capabilities;
use super::channel::{LINE_MAX, lost};
use super::reply::{Reply, printable};
use crate::mailbox::MailboxError;
use crate::net::NetError;

/// Octets that a server may send before it has let us in, in all.
const OCTETS_MAX: usize = 64 * 1024;

/// A server in the authorization state (RFC 1939 §4), one command at a time.
pub(super) struct Sieve<'a, S> {
    stream: &'a mut S,
    command: Zeroizing<Vec<u8>>,
    sent: usize,
    awaiting: Awaiting,
    line: Vec<u8>,
    octets: usize,
    passed: Vec<u8>,
    capabilities: Capabilities,
    reply: Option<Reply>,
    /// Behind the `+ ` of the last reply.
    challenge: Vec<u8>,
    greeting: Option<String>,
    failure: Option<MailboxError>,
    secrets: Vec<Zeroizing<Vec<u8>>>,
    transcript: bool,
}

/// What the server's next line is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Awaiting {
    Capability,
    Greeting,
    Nothing,
    Status { of_capa: bool },
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin + Send> Sieve<'a, S> {
    /// The server's stream from its greeting on. A transcript goes to the log, without secrets.
    pub(super) fn new(stream: &'a mut S, transcript: bool) -> Self {
        Self {
            stream,
            command: Zeroizing::new(Vec::with_capacity(4096)),
            sent: 0,
            awaiting: Awaiting::Greeting,
            line: Vec::new(),
            octets: 0,
            passed: Vec::new(),
            capabilities: Capabilities::default(),
            reply: None,
            challenge: Vec::new(),
            greeting: None,
            failure: None,
            secrets: Vec::new(),
            transcript,
        }
    }

    /// What must stand in no log and no error, should the server repeat it; longer ones first.
    pub(super) fn keep_secret(&mut self, secrets: Vec<Zeroizing<Vec<u8>>>) {
        self.secrets = secrets;
    }

    /// One more of these.
    pub(super) fn hide(&mut self, secret: &[u8]) {
        self.secrets.insert(0, Zeroizing::new(secret.to_vec()));
    }

    /// A server's text for people, without the secrets.
    fn shown(&self, text: &[u8]) -> String {
        let mut text = Zeroizing::new(text.to_vec());
        for secret in self.secrets.iter().filter(|secret| !secret.is_empty()) {
            let mut kept = Zeroizing::new(Vec::with_capacity(text.len()));
            let mut from = 0;
            for at in memchr::memmem::find_iter(&text, &**secret) {
                kept.extend_from_slice(text.get(from..at).unwrap_or_default());
                kept.extend_from_slice(b"(hidden)");
                from = at.saturating_add(secret.len());
            }
            kept.extend_from_slice(text.get(from..).unwrap_or_default());
            text = kept;
        }
        printable(&text)
    }

    /// The greeting has been read (before STLS); async-pop gets one all the same.
    pub(super) fn greet(&mut self) {
        self.passed.extend_from_slice(b"+OK\r\n");
        self.awaiting = Awaiting::Nothing;
    }

    /// The last status line, or why there is none.
    pub(super) fn reply(&self) -> Result<Reply, MailboxError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.reply.clone().ok_or_else(|| broken("no reply"))
    }

    /// The greeting's text, unless it came before TLS.
    pub(super) fn greeting(&self) -> Option<&str> {
        self.greeting.as_deref()
    }

    /// What the server's last reply asks, where it is a challenge.
    pub(super) fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// Says a line, a command or the answer to a challenge, past async-pop.
    pub(super) async fn say(&mut self, line: &[u8]) -> Result<Reply, MailboxError> {
        let spoken = async {
            self.write_all(line).await?;
            self.write_all(b"\r\n").await?;
            self.flush().await?;
            // What passes is for async-pop; the reply itself has been recorded.
            self.read(&mut [0; 16]).await
        };
        match spoken.await {
            Ok(_) => self.reply(),
            Err(error) => Err(self.failure.clone().unwrap_or_else(|| lost(error))),
        }
    }

    /// What CAPA has said so far.
    pub(super) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// What CAPA said, once nothing is under way any more.
    pub(super) fn finish(self) -> Result<Capabilities, MailboxError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if self.awaiting != Awaiting::Nothing || !self.line.is_empty() {
            return Err(broken("a reply is not complete"));
        }
        Ok(self.capabilities)
    }

    fn take(&mut self, octets: &[u8]) -> Result<(), MailboxError> {
        self.octets = self.octets.saturating_add(octets.len());
        if self.octets > OCTETS_MAX {
            let what = format!("more than {OCTETS_MAX} octets before the login");
            return Err(NetError::TooMuch { what }.into());
        }
        for piece in octets.split_inclusive(|octet| *octet == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.len() > LINE_MAX {
                let what = format!("a line of more than {LINE_MAX} octets");
                return Err(NetError::TooMuch { what }.into());
            }
            if let Some(line) = self.line.strip_suffix(b"\n") {
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.line.clear();
                self.take_line(&line)?;
            }
        }
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), MailboxError> {
        if self.transcript {
            tracing::debug!(target: "pop3-auth", "S: {}", self.shown(line));
        }
        match self.awaiting {
            Awaiting::Nothing => Err(broken("it spoke out of turn")),
            Awaiting::Capability if line == b"." => {
                self.awaiting = Awaiting::Nothing;
                self.pass_capabilities();
                Ok(())
            }
            Awaiting::Capability => {
                self.capabilities.learn(line);
                Ok(())
            }
            Awaiting::Greeting => self.take_status(line, false, "greeting"),
            Awaiting::Status { of_capa } => self.take_status(line, of_capa, "status line"),
        }
    }

    fn take_status(&mut self, line: &[u8], capa: bool, what: &str) -> Result<(), MailboxError> {
        let Some(reply) = Reply::parse_with(line, |text| self.shown(text)) else {
            return Err(broken(&format!("no POP3 {what}, but \"{}\"", self.shown(line))));
        };
        if self.awaiting == Awaiting::Greeting {
            self.greeting = Some(String::from_utf8_lossy(line).into_owned());
        }
        self.challenge = line.get(1..).unwrap_or_default().trim_ascii().to_vec();
        self.awaiting = if capa && reply.is_ok() {
            Awaiting::Capability
        } else {
            // async-pop knows no challenges without its `sasl`; `say` goes on with one.
            let word: &[u8] = if reply.is_ok() { b"+OK\r\n" } else { b"-ERR\r\n" };
            self.passed.extend_from_slice(word);
            Awaiting::Nothing
        };
        self.reply = Some(reply);
        Ok(())
    }

    /// async-pop gets next to none of them: it can't read many, and chooses nothing.
    fn pass_capabilities(&mut self) {
        self.passed.extend_from_slice(b"+OK\r\n");
        self.passed.extend_from_slice(b".\r\n");
    }

    fn fail(&mut self, error: MailboxError) -> io::Error {
        let told = match &error {
            MailboxError::Net(net) => net.clone().into_io(),
            other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
        };
        self.failure.get_or_insert(error);
        told
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> AsyncRead for Sieve<'_, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.passed.is_empty() {
            if let Some(failure) = this.failure.clone() {
                return Poll::Ready(Err(this.fail(failure)));
            }
            let mut octets = [0; 2048];
            let mut came = ReadBuf::new(&mut octets);
            let error = match ready!(Pin::new(&mut *this.stream).poll_read(context, &mut came)) {
                Err(error) => Some(lost(error)),
                Ok(()) if came.filled().is_empty() => {
                    Some(lost(io::ErrorKind::UnexpectedEof.into()))
                }
                Ok(()) => this.take(came.filled()).err(),
            };
            this.failure = error.or(this.failure.take());
        }
        let some = this.passed.len().min(buffer.remaining());
        let rest = this.passed.split_off(some);
        buffer.put_slice(&std::mem::replace(&mut this.passed, rest));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> AsyncWrite for Sieve<'_, S> {
    /// Keeps the command until the flush: async-pop writes its CRLF apart.
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().command.extend_from_slice(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // async-pop goes on after a failed CAPA; no password may go to such a server.
        if let Some(failure) = this.failure.clone() {
            return Poll::Ready(Err(this.fail(failure)));
        }
        while let Some(rest @ [_, ..]) = this.command.get(this.sent..) {
            let written = ready!(Pin::new(&mut *this.stream).poll_write(context, rest));
            match written.map_err(lost) {
                Ok(0) => {
                    let error = lost(io::ErrorKind::WriteZero.into());
                    return Poll::Ready(Err(this.fail(error)));
                }
                Ok(octets) => this.sent = this.sent.saturating_add(octets),
                Err(error) => return Poll::Ready(Err(this.fail(error))),
            }
        }
        if let Err(error) = ready!(Pin::new(&mut *this.stream).poll_flush(context)) {
            return Poll::Ready(Err(this.fail(lost(error))));
        }
        if this.sent > 0 {
            let of_capa = this.command.starts_with(b"CAPA\r\n");
            if this.transcript {
                tracing::debug!(target: "pop3-auth", "C: {}", verb(&this.command));
            }
            this.awaiting = Awaiting::Status { of_capa };
            this.command.clear();
            this.sent = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_shutdown(context)
    }
}

/// What of a command may be shown.
fn verb(command: &[u8]) -> &'static str {
    let verbs =
        [("CAPA", "CAPA"), ("USER ", "USER ***"), ("PASS ", "PASS ***"), ("AUTH ", "AUTH ***")];
    let known = verbs.into_iter().find(|(verb, _)| command.starts_with(verb.as_bytes()));
    known.map_or("***", |(_, shown)| shown)
}

fn broken(what: &str) -> MailboxError {
    MailboxError::Protocol { what: what.to_owned() }
}

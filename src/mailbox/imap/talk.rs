//! The first lines of a session: greeting, CAPABILITY, STARTTLS, and the lines of logging in.
//!
//! Not async-imap's work, for two reasons. What a stranger has put behind the OK of STARTTLS must
//! be seen, so the buffer must be ours; and async-imap hands every command to the log at trace
//! level, credentials too.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use zeroize::Zeroizing;

use super::said::shown;
use crate::mailbox::MailboxError;
use crate::net::NetError;
use crate::sasl;

/// Octets of one line; CAPABILITY of 64 KiB was seen.
const LINE_MAX: usize = 1 << 20;
/// Octets of all lines up to the end of a command.
const REPLY_MAX: usize = 4 << 20;

/// Lines over a stream, before async-imap gets it.
pub(super) struct Talk<S> {
    stream: S,
    buffer: Vec<u8>,
    octets: usize,
    tag: u32,
    secrets: Vec<Zeroizing<String>>,
    debug: bool,
}

/// A tagged reply and the untagged lines before it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: Status,
    /// Code and text after the status.
    pub(super) text: String,
    /// Without their `* `.
    pub(super) untagged: Vec<String>,
}

/// RFC 9051 §7.1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Status {
    Bad,
    Bye,
    No,
    Ok,
    Preauth,
}

/// A line, by its first word.
#[derive(Debug)]
pub(super) enum Line {
    /// What follows the `+ `.
    Continue(String),
    Tagged(Status, String),
    Untagged(String),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    /// `debug`: lines go to the log, credentials hidden.
    pub(super) fn new(stream: S, debug: bool) -> Self {
        Self { stream, buffer: Vec::new(), octets: 0, tag: 0, secrets: Vec::new(), debug }
    }

    pub(super) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// What must stand in no log and no error, should the server repeat it.
    pub(super) fn keep_secret(&mut self, secrets: Vec<Zeroizing<String>>) {
        self.secrets = secrets;
    }

    /// One more of these.
    pub(super) fn hide(&mut self, secret: Zeroizing<String>) {
        self.secrets.insert(0, secret);
    }

    /// A server's text for people: escaped, cut, and without the secrets.
    pub(super) fn shown(&self, text: &str) -> String {
        let mut text = Zeroizing::new(text.to_owned());
        for secret in self.secrets.iter().filter(|secret| !secret.is_empty()) {
            text = Zeroizing::new(text.replace(secret.as_str(), "(hidden)"));
        }
        shown(&text)
    }

    /// The stream, and what came over it that nobody has read.
    pub(super) fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.buffer)
    }

    /// The first line of all.
    pub(super) async fn greeting(&mut self) -> Result<(Status, String), MailboxError> {
        let line = self.line("greeting").await?;
        let status = line.strip_prefix("* ").and_then(split_status);
        status.ok_or_else(|| MailboxError::Protocol {
            what: format!("its greeting is not IMAP's: \"{}\"", self.shown(&line)),
        })
    }

    /// Sends a command that holds no secret, and reads its reply.
    pub(super) async fn command(&mut self, command: &str) -> Result<Reply, MailboxError> {
        self.send_tagged(command, command).await?;
        self.reply().await
    }

    /// Sends a command under a new tag; `shown` is what the log may see of it.
    pub(super) async fn send_tagged(
        &mut self,
        command: &str,
        shown: &str,
    ) -> Result<(), MailboxError> {
        self.tag = self.tag.saturating_add(1);
        let line = sasl::joined(&[&self.tag(), " ", command]);
        self.send_line(&line, shown).await
    }

    /// Sends a line as it is, the answer to a continuation.
    pub(super) async fn send_line(&mut self, line: &str, shown: &str) -> Result<(), MailboxError> {
        if self.debug {
            tracing::debug!(target: "imap-auth", "C: {shown}");
        }
        self.octets = 0;
        let line = sasl::joined(&[line, "\r\n"]);
        let sent = async {
            self.stream.write_all(line.as_bytes()).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| NetError::from_io(error, "reply").into())
    }

    /// Reads up to the tagged reply; a continuation in between is an error.
    pub(super) async fn reply(&mut self) -> Result<Reply, MailboxError> {
        let mut untagged = Vec::new();
        loop {
            match self.next().await? {
                Line::Untagged(line) => untagged.push(line),
                Line::Tagged(status, text) => return Ok(Reply { status, text, untagged }),
                Line::Continue(_) => {
                    let what = "it asks for more where the command was complete".to_owned();
                    return Err(MailboxError::Protocol { what });
                }
            }
        }
    }

    /// The next line, told apart.
    pub(super) async fn next(&mut self) -> Result<Line, MailboxError> {
        let line = self.line("reply").await?;
        if let Some(rest) = line.strip_prefix("* ") {
            if let Some((Status::Bye, text)) = split_status(rest) {
                return Err(super::said::bye(&self.shown(&text)));
            }
            return Ok(Line::Untagged(rest.to_owned()));
        }
        if let Some(rest) = line.strip_prefix('+') {
            return Ok(Line::Continue(rest.trim_start().to_owned()));
        }
        let tagged = line.split_once(' ').filter(|(tag, _)| *tag == self.tag());
        let Some((status, text)) = tagged.and_then(|(_, rest)| split_status(rest)) else {
            let what = format!("an answer to no command: \"{}\"", self.shown(&line));
            return Err(MailboxError::Protocol { what });
        };
        Ok(Line::Tagged(status, text))
    }

    fn tag(&self) -> String {
        format!("P{}", self.tag)
    }

    async fn line(&mut self, stage: &'static str) -> Result<String, MailboxError> {
        let mut searched = 0;
        let end = loop {
            let fresh = self.buffer.get(searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|octet| *octet == b'\n') {
                break searched.saturating_add(at).saturating_add(1);
            }
            searched = self.buffer.len();
            self.octets = self.octets.saturating_add(self.fill(stage).await?);
            if self.buffer.len() > LINE_MAX || self.octets > REPLY_MAX {
                let what = "over 1 MiB in one line or 4 MiB in one reply".to_owned();
                return Err(NetError::TooMuch { what }.into());
            }
        };
        let line: Vec<u8> = self.buffer.drain(..end).collect();
        let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
        if self.debug {
            tracing::debug!(target: "imap-auth", "S: {}", self.shown(&line));
        }
        Ok(line)
    }

    async fn fill(&mut self, stage: &'static str) -> Result<usize, NetError> {
        self.buffer.reserve(4096);
        let came = self.stream.read_buf(&mut self.buffer).await;
        let came = came.map_err(|error| NetError::from_io(error, stage))?;
        if came == 0 {
            return Err(NetError::Lost { why: format!("end of file, {stage}") });
        }
        Ok(came)
    }
}

fn split_status(line: &str) -> Option<(Status, String)> {
    let (word, text) = line.split_once(' ').unwrap_or((line, ""));
    let status = match word.to_ascii_uppercase().as_str() {
        "BAD" => Status::Bad,
        "BYE" => Status::Bye,
        "NO" => Status::No,
        "OK" => Status::Ok,
        "PREAUTH" => Status::Preauth,
        _ => return None,
    };
    Some((status, text.to_owned()))
}

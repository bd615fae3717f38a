//! Commands out, replies in (RFC 5321 §4.1, §4.2): each wait within its limit, each reply within
//! its size, and every line in the transcript, secrets hidden.

use std::io;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use super::error::SubmitError;
use super::printable::printable;
use super::reply::{Reply, ReplyLine, enhanced};
use super::transcript::{Speaker, Transcript};
use crate::config::Outbound;
use crate::net::{NetError, within};

/// The longest line of a reply; RFC 5321 §4.5.3.1.5 has 512, and Microsoft more.
const LINE_MAX: usize = 4096;
/// Lines of one reply; EHLO has about twenty.
const LINES_MAX: usize = 128;
/// Octets that are read at once.
const BLOCK: usize = 4096;

/// A stream with a server at its other end.
pub(super) struct Channel<'a, S> {
    stream: S,
    came: BytesMut,
    /// For each whole reply.
    limit: Duration,
    secrets: Vec<Zeroizing<String>>,
    transcript: &'a mut Transcript,
    /// Where the log gets the dialogue, too.
    debug: bool,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Channel<'a, S> {
    /// `secrets` are what the server may not say aloud, not even before it is told them: it may
    /// know them from an earlier session.
    pub(super) fn new(
        stream: S,
        account: &Outbound,
        secrets: &[Zeroizing<String>],
        transcript: &'a mut Transcript,
    ) -> Self {
        let secrets = secrets.iter().filter(|secret| !secret.is_empty()).cloned().collect();
        let (limit, debug) = (account.send_timeout, account.debug);
        Self { stream, came: BytesMut::new(), limit, secrets, transcript, debug }
    }

    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// Whether something came behind the last reply.
    pub(super) fn has_leftover(&self) -> bool {
        !self.came.is_empty()
    }

    /// The stream again; what was buffered is dropped.
    pub(super) fn into_stream(self) -> S {
        self.stream
    }

    /// Sends a command and reads its reply.
    pub(super) async fn say(&mut self, command: &str) -> Result<Reply, SubmitError> {
        self.tell(Speaker::Client, command.to_owned());
        self.send(command.as_bytes()).await?;
        self.reply(self.limit).await
    }

    /// The same with a line that nobody may see; `shown` stands for it.
    pub(super) async fn say_secret(
        &mut self,
        line: &[u8],
        shown: &str,
    ) -> Result<Reply, SubmitError> {
        self.tell(Speaker::Client, shown.to_owned());
        self.send(line).await?;
        self.reply(self.limit).await
    }

    async fn send(&mut self, line: &[u8]) -> Result<(), SubmitError> {
        let mut octets = Zeroizing::new(Vec::with_capacity(line.len().saturating_add(2)));
        octets.extend_from_slice(line);
        octets.extend_from_slice(b"\r\n");
        self.write(&octets).await
    }

    /// Octets as they are; the stream's own limit of silence holds.
    pub(super) async fn write(&mut self, octets: &[u8]) -> Result<(), SubmitError> {
        self.stream.write_all(octets).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)
    }

    pub(super) fn note(&mut self, text: &str) {
        self.tell(Speaker::Note, text.to_owned());
    }

    fn tell(&mut self, speaker: Speaker, text: String) {
        if self.debug {
            let who = match speaker {
                Speaker::Client => "C",
                Speaker::Note => "-",
                Speaker::Server => "S",
            };
            tracing::debug!(target: "smtp-auth", "{who}: {text}");
        }
        self.transcript.add(speaker, text);
    }

    /// Reads a whole reply within `limit`, however the server spreads it.
    pub(super) async fn reply(&mut self, limit: Duration) -> Result<Reply, SubmitError> {
        within(limit, self.whole_reply()).await.unwrap_or(Err(NetError::Silent {
            stage: "reply",
            limit,
        }
        .into()))
    }

    async fn whole_reply(&mut self) -> Result<Reply, SubmitError> {
        let mut reply: Option<Reply> = None;
        loop {
            let line = self.line().await?;
            let text = self.hidden(&line);
            let Some(found) = ReplyLine::parse(&line) else {
                self.tell(Speaker::Server, text.clone());
                let what = format!("a line without a code: \"{text}\"");
                return Err(SubmitError::Protocol { what });
            };
            let (code, is_last) = (found.code, found.is_last);
            let said = self.hidden(found.text);
            self.tell(Speaker::Server, text);
            let whole = reply.get_or_insert_with(|| Reply {
                code,
                enhanced: enhanced(code, &said),
                lines: Vec::new(),
            });
            if whole.code != code {
                let what = format!("one reply with two codes, {} and {code}", whole.code);
                return Err(SubmitError::Protocol { what });
            }
            whole.lines.push(said);
            if whole.lines.len() > LINES_MAX {
                return Err(too_much(format!("over {LINES_MAX} lines in one reply")));
            }
            if is_last && let Some(whole) = reply.take() {
                return Ok(whole);
            }
        }
    }

    async fn line(&mut self) -> Result<Vec<u8>, SubmitError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.came) {
                let line = self.came.get(..end).unwrap_or_default();
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.came.advance(end.saturating_add(1));
                check_length(line.len())?;
                return Ok(line);
            }
            check_length(self.came.len())?;
            self.came.reserve(BLOCK);
            if self.stream.read_buf(&mut self.came).await.map_err(lost)? == 0 {
                return Err(lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// A server's text for people, without what it may not repeat.
    fn hidden(&self, octets: &[u8]) -> String {
        let mut text = Zeroizing::new(String::from_utf8_lossy(octets).into_owned());
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = Zeroizing::new(text.replace(secret.as_str(), "***"));
            }
        }
        printable(text.as_bytes())
    }
}

fn check_length(octets: usize) -> Result<(), SubmitError> {
    if octets > LINE_MAX {
        return Err(too_much(format!("a line of more than {LINE_MAX} octets")));
    }
    Ok(())
}

fn too_much(what: String) -> SubmitError {
    NetError::TooMuch { what }.into()
}

/// The stream's own error, where it carries one.
fn lost(error: io::Error) -> SubmitError {
    NetError::from_io(error, "reply").into()
}

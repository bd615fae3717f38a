//! A buffered stream of commands and replies: lines, status lines, multi-line responses.
//!
//! Knows the framing of RFC 1939 §3 and no command. Deadlines are the stream's business.

use std::io;

use bytes::{Buf, BytesMut};
use memchr::memchr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::dot_lines::Unstuff;
use super::reply::{Reply, Status, printable};
use crate::mailbox::MailboxError;
use crate::net::NetError;

/// Octets that are read at once, at most.
const BUFFER: usize = 256 * 1024;
/// The longest line that is taken, in octets; RFC 2449 §4 allows 512, unique-ids may be long.
pub(super) const LINE_MAX: usize = 1_100;
/// The longest line of a multi-line response whose end is waited for, in octets.
const LINE_SKIPPED_MAX: usize = 1 << 20;

/// A stream with the octets that came and are not yet read.
#[derive(Debug)]
pub(super) struct Channel<S> {
    stream: S,
    came: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Channel<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, came: BytesMut::new() }
    }

    /// Octets that the server has sent and nobody has asked for.
    pub(super) fn has_leftover(&self) -> bool {
        !self.came.is_empty()
    }

    /// Sends whole command lines.
    pub(super) async fn send(&mut self, commands: &[u8]) -> Result<(), MailboxError> {
        self.stream.write_all(commands).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)
    }

    /// The next status line.
    pub(super) async fn reply(&mut self) -> Result<Reply, MailboxError> {
        let line = self.line().await?;
        let reply = Reply::parse(&line).filter(|reply| reply.status != Status::Challenge);
        reply.ok_or_else(|| MailboxError::Protocol {
            what: format!("no status line, but \"{}\"", printable(&line)),
        })
    }

    /// The rest of a multi-line response, line by line; dots are unstuffed. Of a longer line than
    /// is taken there is the beginning: one odd unique-id must not cost the whole maildrop.
    pub(super) async fn lines(
        &mut self,
        mut each: impl FnMut(&[u8]) -> Result<(), MailboxError> + Send,
    ) -> Result<(), MailboxError> {
        let mut skipped = 0_usize;
        loop {
            let (mut used, mut ended) = (0_usize, false);
            for line in self.came.split_inclusive(|octet| *octet == b'\n') {
                let Some(text) = line.strip_suffix(b"\n") else { break };
                used = used.saturating_add(line.len());
                if std::mem::take(&mut skipped) > 0 {
                    continue;
                }
                let text = text.strip_suffix(b"\r").unwrap_or(text);
                if text == b"." {
                    ended = true;
                    break;
                }
                each(beginning(text))?;
            }
            self.came.advance(used);
            if ended {
                return Ok(());
            }
            if self.came.len() > LINE_MAX {
                if skipped == 0 {
                    each(beginning(&self.came))?;
                }
                skipped = skipped.saturating_add(self.came.len());
                self.came.clear();
                check_line(skipped, LINE_SKIPPED_MAX)?;
            }
            self.fill().await?;
        }
    }

    /// Appends a piece of a multi-line response to `out`, at most `limit` octets, waiting for one;
    /// true at its end.
    pub(super) async fn pump(
        &mut self,
        unstuff: &mut Unstuff,
        out: &mut BytesMut,
        limit: usize,
    ) -> Result<bool, MailboxError> {
        if self.came.is_empty() {
            self.fill().await?;
        }
        let fed = unstuff.feed(self.came.get(..limit).unwrap_or(&self.came), out);
        self.came.advance(fed.used);
        Ok(fed.ended)
    }

    async fn line(&mut self) -> Result<Vec<u8>, MailboxError> {
        loop {
            if let Some(end) = memchr(b'\n', &self.came) {
                let line = self.came.get(..end).unwrap_or_default();
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                check_line(line.len(), LINE_MAX)?;
                let line = line.to_vec();
                self.came.advance(end.saturating_add(1));
                return Ok(line);
            }
            check_line(self.came.len(), LINE_MAX)?;
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), MailboxError> {
        if self.came.is_empty() {
            // Takes the whole block back: nothing else refers to it.
            self.came.reserve(BUFFER);
        } else if self.came.capacity().saturating_sub(self.came.len()) < LINE_MAX {
            self.came.reserve(BUFFER / 2);
        }
        match self.stream.read_buf(&mut self.came).await {
            Ok(0) => Err(lost(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(()),
            Err(error) => Err(lost(error)),
        }
    }
}

/// What is taken of a line, without a stuffed dot.
fn beginning(line: &[u8]) -> &[u8] {
    let line = line.get(..LINE_MAX).unwrap_or(line);
    line.strip_prefix(b".").unwrap_or(line)
}

fn check_line(octets: usize, most: usize) -> Result<(), MailboxError> {
    if octets > most {
        let what = format!("a line of more than {most} octets");
        return Err(NetError::TooMuch { what }.into());
    }
    Ok(())
}

/// The stream's own error, where it carries one.
pub(super) fn lost(error: io::Error) -> MailboxError {
    NetError::from_io(error, "reply").into()
}

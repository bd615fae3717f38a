//! Commands and their replies over an authenticated session.
//!
//! async-imap parses the responses. Its own calls are not used: some don't report a tagged NO,
//! and none lets the next command go out before the last reply is read.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;

use async_imap::Client;
use async_imap::imap_proto::{Outcome, Response, ResponseCode, Status};
use futures_util::FutureExt as _;
use tokio::io::AsyncWriteExt;

use super::append_reply::AppendUid;
use super::copy_uid::CopyUid;
use super::said::{bye, shown, throttled};
use super::sieve::uid_of;
use super::sieved::Sieved;
use crate::mailbox::MailboxError;
use crate::net::{NetError, NetStream};

/// Untagged EXPUNGE responses that are remembered.
const EXPUNGED_MAX: usize = 1 << 20;

/// One session's commands.
#[derive(Debug)]
pub(super) struct Dialogue {
    client: Client<Sieved>,
    tag: u64,
    under_way: VecDeque<String>,
    unreadable_uid: Option<u32>,
    /// Fetches of one message that were answered by BAD, with none between that was not.
    pub(super) misunderstood: u32,
    /// Sequence numbers of untagged EXPUNGE responses, in their order.
    pub(super) expunged: Vec<u32>,
    /// The last command ends with a literal that the server has not asked for yet.
    has_literal: bool,
    debug: bool,
}

/// The most that a command's reply may hold, in octets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caps {
    /// One literal.
    pub(super) literal: u64,
    /// Everything until the caps are set anew.
    pub(super) response: u64,
}

impl Caps {
    /// For replies of a few lines.
    pub(super) const SMALL: Self = Self { literal: 64 << 10, response: 8 << 20 };
}

/// How a command ended.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) ok: bool,
    /// BAD rather than NO: the server did not understand.
    pub(super) bad: bool,
    /// For people.
    pub(super) said: String,
    /// The response code, where it is not left in the text: `TRYCREATE` and `READ-ONLY`, or empty.
    pub(super) code: &'static str,
    /// Where an APPEND has put its message.
    pub(super) appended: Option<AppendUid>,
}

impl Done {
    /// `Ok` if the command was done; the error names the command.
    pub(super) fn or_refused(self, command: &str) -> Result<(), MailboxError> {
        if self.ok {
            return Ok(());
        }
        Err(self.refusal(command))
    }

    /// The error for a refused command.
    pub(super) fn refusal(self, command: &str) -> MailboxError {
        throttled(&self.said)
            .unwrap_or(MailboxError::Refused { command: command.to_owned(), said: self.said })
    }
}

/// One step of a reply.
#[derive(Debug)]
pub(super) enum Step<T> {
    /// A command is over: the oldest one that was under way.
    Done(Done),
    /// The server asks for the literal of the last command.
    Literal,
    /// What was made of an untagged response.
    Untagged(T),
}

impl Dialogue {
    /// `unread`: octets of the stream that nobody has read.
    pub(super) fn new(stream: NetStream, unread: &[u8], debug: bool) -> Self {
        let client = Client::new(Sieved::new(stream, unread));
        Self {
            client,
            tag: 0,
            under_way: VecDeque::new(),
            unreadable_uid: None,
            misunderstood: 0,
            expunged: Vec::new(),
            has_literal: false,
            debug,
        }
    }

    pub(super) fn stream(&mut self) -> &mut NetStream {
        self.client.get_mut().stream()
    }

    /// The UID of the message that an error came with, where that is known.
    pub(super) fn blamed_uid(&mut self) -> Option<u32> {
        self.unreadable_uid.or_else(|| self.client.get_mut().sieve().current_uid())
    }

    /// What the server has said of copies since [`forget_copies`](Self::forget_copies).
    pub(super) fn copies(&mut self) -> Option<CopyUid> {
        self.client.get_mut().sieve().copies.clone()
    }

    /// From here on only what comes counts.
    pub(super) fn forget_copies(&mut self) {
        self.client.get_mut().sieve().copies = None;
    }

    /// The limit of a mailbox that the server has told since
    /// [`forget_append_limit`](Self::forget_append_limit).
    pub(super) fn append_limit(&mut self) -> Option<u64> {
        self.client.get_mut().sieve().append_limit
    }

    /// From here on only what comes counts.
    pub(super) fn forget_append_limit(&mut self) {
        self.client.get_mut().sieve().append_limit = None;
    }

    /// Sets the caps of what is to come.
    pub(super) fn set_caps(&mut self, caps: Caps) {
        self.client.get_mut().sieve().set_caps(caps.literal, caps.response);
    }

    /// Sends a command without waiting for its reply; nothing in it is secret.
    pub(super) async fn send(&mut self, command: &str) -> Result<(), MailboxError> {
        self.send_with(command, &[]).await
    }

    /// Sends a command up to its literal, for which the server asks or which it refuses.
    pub(super) async fn send_before_literal(&mut self, command: &str) -> Result<(), MailboxError> {
        self.has_literal = true;
        self.send(command).await
    }

    /// Sends a command and the octets behind its first line.
    pub(super) async fn send_with(
        &mut self,
        command: &str,
        behind: &[u8],
    ) -> Result<(), MailboxError> {
        self.tag = self.tag.saturating_add(1);
        let tag = format!("R{}", self.tag);
        if self.debug {
            tracing::debug!(target: "incoming", "C: {tag} {}", shown(command));
        }
        let mut octets = format!("{tag} {command}\r\n").into_bytes();
        octets.extend_from_slice(behind);
        self.under_way.push_back(tag);
        self.write(&octets).await?;
        self.flush().await
    }

    /// Sends octets of a literal.
    pub(super) async fn write(&mut self, octets: &[u8]) -> Result<(), MailboxError> {
        let sent = self.client.get_mut().write_all(octets).await;
        sent.map_err(|error| NetError::from_io(error, "reply").into())
    }

    /// Sends what was held back to be sent together.
    pub(super) async fn flush(&mut self) -> Result<(), MailboxError> {
        let sent = self.client.get_mut().flush().await;
        sent.map_err(|error| NetError::from_io(error, "reply").into())
    }

    /// The next step of what was sent; `take` sees each response, the tagged one too.
    pub(super) async fn step<T>(
        &mut self,
        take: impl FnOnce(&Response<'_>) -> T + Send,
    ) -> Result<Step<T>, MailboxError> {
        // imap-proto panics at some responses, not all of which the sieve can tell. The client is in
        // no known state then; this error ends the session.
        let read = AssertUnwindSafe(self.client.read_response()).catch_unwind().await;
        let data = match read {
            Ok(Ok(Some(data))) => data,
            Ok(Ok(None)) => return Err(NetError::Lost { why: "end of file".to_owned() }.into()),
            Ok(Err(error)) => return Err(self.unreadable(error)),
            Err(_panic) => {
                let what = "a response makes the parser of responses fail".to_owned();
                return Err(MailboxError::Protocol { what });
            }
        };
        let response = data.parsed();
        match response {
            Response::Done { tag, status, outcome } => {
                if self.under_way.pop_front().as_deref() != Some(tag.0.as_str()) {
                    let what = format!("it answers a command that was not sent: {}", shown(&tag.0));
                    return Err(MailboxError::Protocol { what });
                }
                let appended = AppendUid::take(&tag.0, &mut self.client.get_mut().sieve().appended);
                let done = Done {
                    ok: *status == Status::Ok,
                    bad: *status == Status::Bad,
                    said: said(outcome),
                    code: code(outcome),
                    appended,
                };
                self.has_literal &= !self.under_way.is_empty();
                take(response);
                self.show(&done);
                Ok(Step::Done(done))
            }
            Response::Data { status: Status::Bye, outcome } => Err(bye(&said(outcome))),
            Response::Continue(_) if self.has_literal => {
                self.has_literal = false;
                Ok(Step::Literal)
            }
            Response::Continue(_) => {
                let what = "it asks for more where the command was complete".to_owned();
                Err(MailboxError::Protocol { what })
            }
            _ => {
                if let Response::Expunge(number) = response
                    && self.expunged.len() < EXPUNGED_MAX
                {
                    self.expunged.push(*number);
                }
                Ok(Step::Untagged(take(response)))
            }
        }
    }

    /// Sends a command and hands each response of its reply, the tagged one too, to `each`.
    pub(super) async fn run(
        &mut self,
        command: &str,
        caps: Caps,
        mut each: impl FnMut(&Response<'_>) + Send,
    ) -> Result<Done, MailboxError> {
        self.set_caps(caps);
        self.send(command).await?;
        loop {
            if let Step::Done(done) = self.step(&mut each).await? {
                return Ok(done);
            }
        }
    }

    /// A broken cap, the network's end, or a line that async-imap can't read; its words may hold
    /// the whole message, so little of them is kept.
    fn unreadable(&mut self, error: std::io::Error) -> MailboxError {
        match error.downcast::<NetError>() {
            Ok(carried) => carried.into(),
            Err(other) => {
                let head = head_of(&other.to_string());
                self.unreadable_uid = uid_of(head.as_bytes());
                MailboxError::Protocol { what: format!("a response is not readable: \"{head}\"") }
            }
        }
    }

    fn show(&self, done: &Done) {
        if self.debug {
            let status = if done.ok { "OK" } else { "NO or BAD" };
            tracing::debug!(target: "incoming", "S: {status} {}", done.said);
        }
    }
}

fn code(outcome: &Outcome<'_>) -> &'static str {
    match outcome.code {
        Some(ResponseCode::TryCreate) => "TRYCREATE",
        Some(ResponseCode::ReadOnly) => "READ-ONLY",
        _ => "",
    }
}

fn said(outcome: &Outcome<'_>) -> String {
    shown(outcome.information.as_deref().unwrap_or_default())
}

/// The beginning of the response that async-imap's words are about, never its second line: that
/// may be mail.
fn head_of(words: &str) -> String {
    let (_, response) = words.rsplit_once(" during parsing of ").unwrap_or(("", words));
    let line = response.split("\\r").next().unwrap_or_default().trim_start_matches('"');
    shown(&line.chars().take(60).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_an_unreadable_response_hold_no_mail() {
        let words = r#"Error { input: [1] } during parsing of "* 1 FETCH (BODY[] {3}\r\nSecret""#;
        assert_eq!(head_of(words), "* 1 FETCH (BODY[] {3}");
    }
}

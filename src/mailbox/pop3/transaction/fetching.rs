//! RETR, pipelined: whole messages, or the message that ends a session.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::{CHUNK, Transaction};
use crate::mailbox::pop3::dot_lines::Unstuff;
use crate::mailbox::{MailboxError, Part};
use crate::model::{Fetch, FetchReason, MessageKey};
use crate::net::NetError;

/// A message whose final dot has come, and whether that was its end nobody knows yet: a server
/// that doesn't stuff dots ends a message at a line with one dot. What comes next tells.
struct Unproven {
    key: MessageKey,
    octets: u64,
    /// The server lists no octets either.
    listed_empty: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Transaction<S> {
    /// Fetches messages; each one's `End` waits for the next reply, which proves the framing. What
    /// failed before comes last, as it may cost the session again.
    pub(in crate::mailbox::pop3) async fn fetch(
        &mut self,
        wanted: &[Fetch],
        parts: &mpsc::Sender<Part>,
    ) -> Result<(), MailboxError> {
        let maildrop = self.maildrop().await?;
        let (mut wanted, unlisted): (Vec<_>, Vec<_>) =
            wanted.iter().partition(|fetch| maildrop.is_listed(fetch.number, &fetch.key));
        for fetch in unlisted {
            tell(parts, failed(&fetch.key, "this session doesn't list the message")).await?;
        }
        if wanted.is_empty() {
            return Ok(());
        }
        wanted.sort_by_key(|fetch| matches!(fetch.why, FetchReason::Retry { .. }));
        let mut pipeline = self.pipeline(retr(wanted.iter().map(|fetch| fetch.number)));
        let mut out = BytesMut::with_capacity(CHUNK);
        let mut before = None;
        for fetch in wanted {
            let reply = match self.reply(&mut pipeline).await {
                Ok(reply) => reply,
                Err(error) => return Err(lost_at(&fetch.key, before, error, parts).await),
            };
            prove(before.take(), parts).await?;
            if reply.is_ok() {
                tell(parts, Part::Begin { key: fetch.key.clone() }).await?;
                let octets = match self.message(&mut out, parts).await {
                    Ok(octets) => octets,
                    Err(error) => return Err(lost_in(&fetch.key, error, parts).await),
                };
                let (key, listed_empty) = (fetch.key.clone(), fetch.size == Some(0));
                before = Some(Unproven { key, octets, listed_empty });
            } else {
                let what = format!("the server refused RETR: \"{}\"", reply.said);
                tell(parts, failed(&fetch.key, &what)).await?;
            }
        }
        match (self.reply(&mut pipeline).await, before) {
            (Err(error), Some(last)) => Err(lost_in(&last.key, error, parts).await),
            (reply, before) => {
                reply?;
                prove(before, parts).await
            }
        }
    }

    /// Passes one message on; its octets.
    async fn message(
        &mut self,
        out: &mut BytesMut,
        parts: &mpsc::Sender<Part>,
    ) -> Result<u64, MailboxError> {
        let mut unstuff = Unstuff::new();
        let mut octets = 0_u64;
        loop {
            // One octet may come out that went in before.
            let room = CHUNK.saturating_sub(out.len()).saturating_sub(1);
            let ended = self.channel.pump(&mut unstuff, out, room).await?;
            if ended || out.len() >= CHUNK / 2 {
                octets = octets.saturating_add(u64::try_from(out.len()).unwrap_or(u64::MAX));
                check_size(octets, self.max_message_size)?;
                if !out.is_empty() {
                    tell(parts, Part::Data(out.split().freeze())).await?;
                }
            }
            if ended {
                return Ok(octets);
            }
        }
    }
}

/// RETR for each, and a NOOP whose reply proves where the last message ends.
pub(super) fn retr(numbers: impl Iterator<Item = u32>) -> Vec<String> {
    let mut commands: Vec<_> = numbers.map(|number| format!("RETR {number}")).collect();
    commands.push("NOOP".to_owned());
    commands
}

/// The listed size was within the limit, so the server lied. RETR can't be broken off.
fn check_size(octets: u64, limit: Option<u64>) -> Result<(), MailboxError> {
    let Some(limit) = limit.filter(|limit| octets > *limit) else { return Ok(()) };
    let what = format!("a message of more than {limit} octets (`max_message_size`)");
    Err(NetError::TooMuch { what }.into())
}

/// The message at whose RETR a session ends is named, so that one that always ends it doesn't
/// keep back those behind it. Not at the poll's end, which is nobody's fault; and not when the
/// reply can't be read behind a message: that is then the rest of the message before.
async fn lost_at(
    key: &MessageKey,
    before: Option<Unproven>,
    error: MailboxError,
    parts: &mpsc::Sender<Part>,
) -> MailboxError {
    let blamed = match &error {
        MailboxError::Net(NetError::PollDeadline) => None,
        MailboxError::Protocol { .. } | MailboxError::Net(NetError::TooMuch { .. }) => {
            Some(before.map_or_else(|| key.clone(), |before| before.key))
        }
        _ => Some(key.clone()),
    };
    match blamed {
        Some(key) => lost_in(&key, error, parts).await,
        None => error,
    }
}

/// Names the message in which a session ends.
async fn lost_in(
    key: &MessageKey,
    error: MailboxError,
    parts: &mpsc::Sender<Part>,
) -> MailboxError {
    let told = tell(parts, failed(key, &format!("fetching it ended in: {error}"))).await;
    told.err().unwrap_or(error)
}

/// The reply behind a message has come where it must: the message was whole.
async fn prove(message: Option<Unproven>, parts: &mpsc::Sender<Part>) -> Result<(), MailboxError> {
    let part = match message {
        None => return Ok(()),
        // Exchange lists messages whose body comes empty; stored so, they would be lost.
        Some(Unproven { key, octets: 0, listed_empty: false }) => {
            failed(&key, "the server sent an empty message")
        }
        Some(Unproven { octets, .. }) => Part::End { octets, early: false },
    };
    tell(parts, part).await
}

async fn tell(parts: &mpsc::Sender<Part>, part: Part) -> Result<(), MailboxError> {
    parts.send(part).await.map_err(|_| {
        let why = "nobody takes the messages any more".to_owned();
        NetError::Lost { why }.into()
    })
}

fn failed(key: &MessageKey, what: &str) -> Part {
    Part::Failed { key: key.clone(), error: MailboxError::Message { what: what.to_owned() } }
}

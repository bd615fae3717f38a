//! The transaction and update states (RFC 1939 §5 and §6) over any stream.

mod fetching;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};

use super::capabilities::Capabilities;
use super::channel::Channel;
use super::dot_lines::Unstuff;
use super::maildrop::{Lists, Maildrop};
use super::pipeline::Pipeline;
use super::reply::Reply;
use crate::config::Inbound;
use crate::mailbox::{DeleteOutcome, MailboxError};
use crate::model::{self, DeleteIntent, DeleteMode, Deleting, Listed};
use crate::net::within;
use fetching::retr;

/// Octets that are passed on at once, at most.
const CHUNK: usize = 256 * 1024;
/// Octets of one header section that are kept.
const HEADER_MAX: usize = 1024 * 1024;
/// Octets of all header sections of one call; those beyond are cut to [`HEADER_SHORT`].
const HEADERS_MAX: usize = 64 * 1024 * 1024;
/// Enough for the topmost fields.
const HEADER_SHORT: usize = 4 * 1024;
/// Refusals of TOP in a row after which a server is taken to have none.
const TOP_REFUSALS: u32 = 3;
/// Commands under way at once, whatever the config says: their lines must fit into the buffers
/// of a connection whose server sends before it reads.
const DEPTH_MAX: u32 = 512;
/// How long the farewell may take when nothing was deleted.
const FAREWELL: Duration = Duration::from_secs(5);

/// A session after its login.
pub(super) struct Transaction<S> {
    channel: Channel<S>,
    depth: usize,
    no_uidl_download: bool,
    max_message_size: Option<u64>,
    maildrop: Option<Maildrop>,
    dele_sent: bool,
    login_delay: Option<Duration>,
    /// Why the last header sections were the last.
    broken: Option<MailboxError>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Transaction<S> {
    pub(super) fn new(stream: S, capabilities: &Capabilities, account: &Inbound) -> Self {
        let depth = account.properties.pop3_pipeline.clamp(1, DEPTH_MAX);
        let depth = if capabilities.pipelining { usize::try_from(depth).unwrap_or(1) } else { 1 };
        Self {
            channel: Channel::new(stream),
            depth,
            no_uidl_download: account.pop3_no_uidl_download,
            max_message_size: account.max_message_size.map(|size| size.0),
            maildrop: None,
            dele_sent: false,
            login_delay: capabilities.login_delay,
            broken: None,
        }
    }

    /// CAPA's LOGIN-DELAY.
    pub(super) fn login_delay(&self) -> Option<Duration> {
        self.login_delay
    }

    /// The session's listing; read from the server when it is first asked for.
    pub(super) async fn maildrop(&mut self) -> Result<&mut Maildrop, MailboxError> {
        let maildrop = match self.maildrop.take() {
            Some(maildrop) => maildrop,
            None => self.list().await?,
        };
        Ok(self.maildrop.insert(maildrop))
    }

    async fn list(&mut self) -> Result<Maildrop, MailboxError> {
        let mut lists = Lists::default();
        let mut pipeline = self.pipeline(vec!["UIDL".to_owned(), "LIST".to_owned()]);
        let uidl = self.reply(&mut pipeline).await?;
        if uidl.is_ok() {
            self.channel.lines(|line| lists.unique_id_line(line)).await?;
        }
        let list = self.reply(&mut pipeline).await?;
        if !list.is_ok() {
            return Err(MailboxError::Refused { command: "LIST".to_owned(), said: list.said });
        }
        self.channel.lines(|line| lists.size_line(line)).await?;
        if !uidl.is_ok() || lists.is_nameless() {
            if !self.no_uidl_download {
                return Err(no_uidl(&uidl));
            }
            self.name_by_hash(&mut lists).await?;
        }
        Ok(lists.finish())
    }

    /// Downloads every message to name it by its SHA-256.
    async fn name_by_hash(&mut self, lists: &mut Lists) -> Result<(), MailboxError> {
        let numbers = lists.unnamed();
        let mut pipeline = self.pipeline(retr(numbers.iter().copied()));
        let mut out = BytesMut::with_capacity(CHUNK);
        for number in numbers {
            let reply = self.reply(&mut pipeline).await?;
            if !reply.is_ok() {
                lists.forget(number, "no UIDL, and can't be downloaded");
                continue;
            }
            let (mut unstuff, mut hash) = (Unstuff::new(), Sha256::new());
            let mut ended = false;
            while !ended {
                ended = self.channel.pump(&mut unstuff, &mut out, CHUNK).await?;
                hash.update(&out);
                out.clear();
            }
            let hash = model::Sha256(hash.finalize().into());
            lists.name(number, format!("sha256:{hash}").as_bytes())?;
        }
        self.reply(&mut pipeline).await.map(drop)
    }

    /// Header sections; `None` for messages that the session hasn't listed or TOP refuses. Ends
    /// before the message at whose TOP the session ends.
    pub(super) async fn headers(
        &mut self,
        wanted: &[Listed],
    ) -> Result<Vec<Option<Bytes>>, MailboxError> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let mut sections = Vec::with_capacity(wanted.len());
        self.broken = self.header_sections(wanted, &mut sections).await.err();
        Ok(sections)
    }

    async fn header_sections(
        &mut self,
        wanted: &[Listed],
        sections: &mut Vec<Option<Bytes>>,
    ) -> Result<(), MailboxError> {
        let listed: Vec<bool> = {
            let maildrop = self.maildrop().await?;
            wanted.iter().map(|message| maildrop.is_listed(message.number, &message.key)).collect()
        };
        let asked = || wanted.iter().zip(&listed).filter(|(_, listed)| **listed);
        let commands = asked().map(|(message, _)| format!("TOP {} 0", message.number)).collect();
        let mut pipeline = self.pipeline(commands);
        let (mut refusals, mut octets) = (Some(0_u32), 0_usize);
        for listed in listed {
            if !listed || pipeline.is_done() {
                sections.push(None);
                continue;
            }
            if !self.reply(&mut pipeline).await?.is_ok() {
                refusals = refusals.map(|refusals| refusals.saturating_add(1));
                if refusals >= Some(TOP_REFUSALS) {
                    pipeline.stop();
                }
                sections.push(None);
                continue;
            }
            refusals = None;
            let limit = if octets < HEADERS_MAX { HEADER_MAX } else { HEADER_SHORT };
            let section = self.header_section(limit).await?;
            octets = octets.saturating_add(section.len());
            sections.push(Some(section));
        }
        Ok(())
    }

    /// Reads a response to TOP to its end and keeps its header section: some servers send lines of
    /// the body, or all of it, although none was asked for.
    async fn header_section(&mut self, limit: usize) -> Result<Bytes, MailboxError> {
        let (mut unstuff, mut out) = (Unstuff::new(), BytesMut::new());
        let mut kept = Vec::new();
        let mut ended = false;
        while !ended {
            ended = self.channel.pump(&mut unstuff, &mut out, CHUNK).await?;
            let room = limit.saturating_sub(kept.len());
            kept.extend_from_slice(out.get(..room).unwrap_or(&out));
            out.clear();
        }
        let blank_line = [b"\r\n\r\n".as_slice(), b"\n\n"].map(|blank| {
            memchr::memmem::find(&kept, blank).map(|at| at.saturating_add(blank.len()))
        });
        kept.truncate(blank_line.into_iter().flatten().min().unwrap_or(kept.len()));
        kept.shrink_to_fit();
        Ok(kept.into())
    }

    /// Sends DELE for messages that this session lists under the same key, alone.
    pub(super) async fn delete(
        &mut self,
        intent: &DeleteIntent,
    ) -> Result<DeleteOutcome, MailboxError> {
        let maildrop = self.maildrop().await?;
        let (deletes, refused): (Vec<&Deleting>, Vec<_>) =
            intent.deletes().iter().partition(|delete| {
                // A maildrop has nowhere to move mail to, and removes what should be kept.
                *intent.how() == DeleteMode::Expunge
                    && maildrop.may_delete(delete.number, &delete.key)
            });
        let mut outcome = DeleteOutcome::default();
        for delete in refused {
            let why = "this session doesn't list the message under this unique-id alone".to_owned();
            outcome.refused.push((delete.row, why));
        }
        let commands = deletes.iter().map(|delete| format!("DELE {}", delete.number)).collect();
        let mut pipeline = self.pipeline(commands);
        self.dele_sent |= !deletes.is_empty();
        for delete in deletes {
            let reply = self.reply(&mut pipeline).await?;
            if reply.is_ok() {
                self.maildrop().await?.mark_deleted(delete.number);
                outcome.on_quit.push(delete.row);
            } else {
                outcome.refused.push((delete.row, reply.said));
            }
        }
        Ok(outcome)
    }

    pub(super) async fn quit(mut self) -> Result<(), MailboxError> {
        let mut pipeline = self.pipeline(vec!["QUIT".to_owned()]);
        if !self.dele_sent {
            within(FAREWELL, self.reply(&mut pipeline)).await;
            return Ok(());
        }
        let reply = self.reply(&mut pipeline).await?;
        if reply.is_ok() {
            return Ok(());
        }
        Err(MailboxError::Refused { command: "QUIT".to_owned(), said: reply.said })
    }

    fn pipeline(&self, commands: Vec<String>) -> Pipeline {
        Pipeline::new(commands, self.depth)
    }

    /// The reply to the pipeline's next command.
    async fn reply(&mut self, pipeline: &mut Pipeline) -> Result<Reply, MailboxError> {
        pipeline.top_up(&mut self.channel).await?;
        let reply = self.channel.reply().await?;
        pipeline.answered();
        Ok(reply)
    }
}

fn no_uidl(reply: &Reply) -> MailboxError {
    MailboxError::Unsupported {
        what: format!(
            "the server's UIDL names no message (\"{}\"), so that new mail can't be told from \
             stored mail; `pop3_no_uidl = \"download\"` downloads all of it at each poll instead",
            reply.said
        ),
    }
}

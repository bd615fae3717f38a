//! Fetching messages whole: small ones many to a command, large ones in chunks.
//!
//! A listed size is a hint (Exchange is known to lie): framing says when a message is complete,
//! and a literal that breaks its cap costs the connection, not the memory. That message is then
//! fetched alone and in chunks when it is retried.

mod chunks;

use std::collections::{BTreeMap, VecDeque};

use async_imap::imap_proto::Response;
use tokio::sync::mpsc;

use super::ImapSession;
use super::dialogue::{Caps, Dialogue, Done, Step};
use super::listed::{Body, Section, read_body};
use super::said::throttled;
use super::select::reopen;
use super::uid_set::{uid_sets, uids_of};
use crate::config::Properties;
use crate::mailbox::{MailboxError, Part};
use crate::model::{Fetch, FetchReason, MessageKey};
use crate::net::NetError;

/// Listed octets of one command.
const BATCH_OCTETS: u64 = 8 << 20;
/// Commands under way at once: the server works on the next while we read this one's reply.
const COMMANDS: usize = 2;

/// What a message's size means for its fetch.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// Octets of one partial fetch; what is larger is fetched by such.
    chunk: u64,
    /// `max_message_size`.
    most: Option<u64>,
}

impl Sizes {
    /// The error about a message that has grown beyond what is taken. The listed size was within
    /// the limit, so the server lied.
    fn check(self, octets: u64) -> Result<(), MailboxError> {
        let Some(most) = self.most.filter(|most| octets > *most) else { return Ok(()) };
        let what = "the server sends a message of more than";
        Err(message(&format!("{what} {most} octets (`max_message_size`)")))
    }
}

/// Fetches in the given order, as far as the server keeps to it; but what failed before comes
/// last, as it may cost the session again.
pub(super) async fn fetch(
    session: &mut ImapSession,
    wanted: &[Fetch],
    parts: &mpsc::Sender<Part>,
) -> Result<(), MailboxError> {
    if wanted.is_empty() {
        return Ok(());
    }
    reopen(session).await?;
    let chunk = session.properties.imap_fetch_chunk.0.max(1);
    let sizes = Sizes { chunk, most: session.max_message_size };
    let (new, retried): (Vec<&Fetch>, Vec<&Fetch>) =
        wanted.iter().partition(|message| !matches!(message.why, FetchReason::Retry { .. }));
    let wanted: Vec<Fetch> = new.into_iter().chain(retried).cloned().collect();
    let mut rest = wanted.as_slice();
    while let Some(first) = rest.first() {
        if is_small(first, chunk) {
            let end = rest.iter().position(|message| !is_small(message, chunk));
            let (small, after) = rest.split_at(end.unwrap_or(rest.len()));
            let batches = batches(small, &session.properties);
            let dialogue = &mut session.dialogue;
            let unanswered = Fetching::new(parts, sizes).run(dialogue, batches).await?;
            for message in unanswered {
                chunks::fetch(dialogue, &message, sizes, parts).await?;
            }
            rest = after;
        } else {
            chunks::fetch(&mut session.dialogue, first, sizes, parts).await?;
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    Ok(())
}

/// What failed before is fetched alone, as it may be what the server lies about.
fn is_small(message: &Fetch, chunk: u64) -> bool {
    !matches!(message.why, FetchReason::Retry { .. })
        && message.size.is_some_and(|size| size <= chunk)
}

/// The messages of one command.
struct Batch {
    set: String,
}

/// Cuts messages into commands: by number, by listed octets, and by the command's length.
fn batches(messages: &[Fetch], properties: &Properties) -> VecDeque<(Batch, Vec<Fetch>)> {
    let most = usize::try_from(properties.imap_fetch_batch).unwrap_or(usize::MAX).max(1);
    let mut batches = VecDeque::new();
    let mut rest = messages;
    while !rest.is_empty() {
        let mut octets = 0_u64;
        let fits = rest.iter().take(most).take_while(|message| {
            octets = octets.saturating_add(message.size.unwrap_or(0));
            octets <= BATCH_OCTETS
        });
        let (batch, after) = rest.split_at(fits.count().clamp(1, rest.len()));
        for set in uid_sets(batch.iter().map(|message| message.number)) {
            let inside: Vec<u32> = uids_of(&set).collect();
            let of_set = batch.iter().filter(|m| inside.binary_search(&m.number).is_ok());
            let messages = of_set.cloned().collect();
            batches.push_back((Batch { set }, messages));
        }
        rest = after;
    }
    batches
}

/// Small messages under way.
struct Fetching<'a> {
    parts: &'a mpsc::Sender<Part>,
    sizes: Sizes,
    /// By UID; what has an `End` or `Failed` is no longer here.
    awaited: BTreeMap<u32, Fetch>,
    /// What a finished command has not answered.
    unanswered: Vec<Fetch>,
    under_way: VecDeque<Batch>,
}

impl<'a> Fetching<'a> {
    fn new(parts: &'a mpsc::Sender<Part>, sizes: Sizes) -> Self {
        Self {
            parts,
            sizes,
            awaited: BTreeMap::new(),
            unanswered: Vec::new(),
            under_way: VecDeque::new(),
        }
    }

    /// Says what was not answered: one message that the server can't read may have cost others
    /// their answer, so each is asked for again, alone.
    async fn run(
        mut self,
        dialogue: &mut Dialogue,
        mut batches: VecDeque<(Batch, Vec<Fetch>)>,
    ) -> Result<Vec<Fetch>, MailboxError> {
        loop {
            while self.under_way.len() < COMMANDS
                && let Some((batch, messages)) = batches.pop_front()
            {
                if let Err(error) = self.send(dialogue, batch, messages).await {
                    return Err(self.lost(dialogue, error).await);
                }
            }
            if self.under_way.is_empty() {
                return Ok(self.unanswered);
            }
            match dialogue.step(|response| read_body(response, Section::Whole)).await {
                Ok(Step::Untagged(Some(body))) => self.take(body).await?,
                Ok(Step::Untagged(None) | Step::Literal) => {}
                Ok(Step::Done(done)) => self.end_batch(&done)?,
                Err(error) => return Err(self.lost(dialogue, error).await),
            }
        }
    }

    async fn send(
        &mut self,
        dialogue: &mut Dialogue,
        batch: Batch,
        messages: Vec<Fetch>,
    ) -> Result<(), MailboxError> {
        self.awaited.extend(messages.into_iter().map(|message| (message.number, message)));
        dialogue.set_caps(batch_caps(self.sizes.chunk, self.awaited.len()));
        dialogue.send(&format!("UID FETCH {} (UID BODY.PEEK[])", batch.set)).await?;
        self.under_way.push_back(batch);
        Ok(())
    }

    /// A UID that nobody asked for, or that has been answered, is not awaited: the first wins.
    async fn take(&mut self, body: Body) -> Result<(), MailboxError> {
        let Some(wanted) = self.awaited.remove(&body.uid) else { return Ok(()) };
        if body.origin.is_some() {
            let what = "the server sent a part of the message, where the whole was asked for";
            return fail(self.parts, wanted.key, message(what)).await;
        }
        deliver(self.parts, &wanted, body, self.sizes).await
    }

    /// Not done, NO or BAD: one message of many may be the reason.
    fn end_batch(&mut self, done: &Done) -> Result<(), MailboxError> {
        let Some(batch) = self.under_way.pop_front() else { return Ok(()) };
        if let Some(error) = pause(done) {
            return Err(error);
        }
        for uid in uids_of(&batch.set) {
            self.unanswered.extend(self.awaited.remove(&uid));
        }
        Ok(())
    }

    /// The message that an error came with is named, so that it doesn't stop the others for ever.
    async fn lost(&mut self, dialogue: &mut Dialogue, error: MailboxError) -> MailboxError {
        let under_way = dialogue.blamed_uid().filter(|uid| self.awaited.contains_key(uid));
        let uid = match Blame::of(&error) {
            Blame::Awaited => under_way.or_else(|| self.first_awaited()),
            Blame::Nobody => None,
            Blame::UnderWay => under_way,
        };
        let named = uid.and_then(|uid| self.awaited.remove(&uid));
        let Some(Fetch { key, .. }) = named else { return error };
        let failed = fail(self.parts, key, message(&format!("fetching it ended in: {error}")));
        failed.await.err().unwrap_or(error)
    }

    /// What the oldest command under way has yet to answer first, as servers mostly do.
    fn first_awaited(&self) -> Option<u32> {
        let mut uids = self.under_way.iter().flat_map(|batch| uids_of(&batch.set));
        uids.find(|uid| self.awaited.contains_key(uid))
    }
}

/// The message that an error may come with each time: it is held and the others get through. One
/// that is named without fault is only fetched again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Blame {
    /// The one under way, or else the one that was to come next.
    Awaited,
    /// None.
    Nobody,
    /// The one under way: it takes too long.
    UnderWay,
}

impl Blame {
    /// [`MailboxError::Refused`] is a BYE here, or a BAD to a fetch of one message.
    fn of(error: &MailboxError) -> Self {
        match error {
            MailboxError::Net(NetError::PollDeadline) => Self::UnderWay,
            MailboxError::Protocol { .. }
            | MailboxError::Refused { .. }
            | MailboxError::Net(
                NetError::Lost { .. }
                | NetError::Silent { .. }
                | NetError::TooMuch { .. }
                | NetError::TooSlow { .. },
            ) => Self::Awaited,
            _ => Self::Nobody,
        }
    }
}

/// Literals may be twice as large as what counts as small; sizes are hints.
fn batch_caps(chunk: u64, messages: usize) -> Caps {
    let literal = chunk.saturating_mul(2).saturating_add(64 << 10);
    let messages = u64::try_from(messages).unwrap_or(u64::MAX);
    Caps { literal, response: literal.saturating_mul(messages).saturating_add(1 << 20) }
}

/// The error where the server asks to stop altogether. `[UNAVAILABLE]` and `[INUSE]` may be about
/// one message only.
fn pause(done: &Done) -> Option<MailboxError> {
    let lower = done.said.to_ascii_lowercase();
    let about_one = lower.contains("[unavailable") || lower.contains("[inuse");
    if done.ok || about_one { None } else { throttled(&done.said) }
}

/// Hands a whole message on.
async fn deliver(
    parts: &mpsc::Sender<Part>,
    wanted: &Fetch,
    body: Body,
    sizes: Sizes,
) -> Result<(), MailboxError> {
    let (key, octets) = (wanted.key.clone(), body.octets());
    if let Err(error) = sizes.check(octets) {
        return fail(parts, key, error).await;
    }
    if octets == 0 && wanted.size != Some(0) {
        // Exchange may list a UID whose body is not there yet.
        return fail(parts, key, message("the server sent an empty body")).await;
    }
    send(parts, Part::Begin { key }).await?;
    for piece in body.pieces {
        send(parts, Part::Data(piece)).await?;
    }
    send(parts, Part::End { octets, early: false }).await
}

async fn fail(
    parts: &mpsc::Sender<Part>,
    key: MessageKey,
    error: MailboxError,
) -> Result<(), MailboxError> {
    send(parts, Part::Failed { key, error }).await
}

async fn send(parts: &mpsc::Sender<Part>, part: Part) -> Result<(), MailboxError> {
    let gone = |_| NetError::Lost { why: "nobody takes the messages any more".to_owned() };
    parts.send(part).await.map_err(|error| gone(error).into())
}

fn message(what: &str) -> MailboxError {
    MailboxError::Message { what: what.to_owned() }
}

fn unanswered(done: &Done) -> MailboxError {
    if done.ok {
        return message("the server listed the message, but sent nothing");
    }
    message(&format!("the server refused to send the message: \"{}\"", done.said))
}

/// Whether a response brings a body that is asked for.
fn body_of(response: &Response<'_>, uid: u32) -> Option<Body> {
    read_body(response, Section::Whole).filter(|body| body.uid == uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::imap::tests::{account, wanted};

    #[test]
    fn batches_keep_to_number_and_octets() {
        let mut properties = account().properties;
        properties.imap_fetch_batch = 10;
        let messages: Vec<Fetch> = (1..=25).map(|uid| wanted(uid, Some(100))).collect();
        let sets: Vec<String> =
            batches(&messages, &properties).into_iter().map(|(batch, _)| batch.set).collect();
        assert_eq!(sets, ["1:10", "11:20", "21:25"]);
        let messages: Vec<Fetch> = (1..=5).map(|uid| wanted(uid, Some(4 << 20))).collect();
        let sizes: Vec<usize> =
            batches(&messages, &properties).iter().map(|(_, messages)| messages.len()).collect();
        assert_eq!(sizes, [2, 2, 1]);
    }

    #[test]
    fn scattered_uids_make_short_commands() {
        let mut properties = account().properties;
        properties.imap_fetch_batch = 1000;
        let messages: Vec<Fetch> = (1..=400).map(|n| wanted(n * 1_000_003, Some(100))).collect();
        let batches = batches(&messages, &properties);
        assert!(batches.iter().all(|(batch, _)| batch.set.len() < 950));
        assert_eq!(batches.iter().map(|(_, messages)| messages.len()).sum::<usize>(), 400);
    }

    #[test]
    fn retried_and_unsized_messages_are_not_small() {
        let mut message = wanted(1, Some(10));
        assert!(is_small(&message, 10));
        assert!(!is_small(&message, 9));
        message.why = FetchReason::Retry { attempts: 1 };
        assert!(!is_small(&message, 10));
        assert!(!is_small(&wanted(1, None), 10));
    }
}

//! From the stream of fetched parts to complete message folders in the stage.
//!
//! Runs on a blocking thread: it writes files and parses mail. Finished folders go on in batches;
//! while one batch is synced and recorded, the next one is staged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::error::PollError;
use super::progress::Progress;
use super::sift::{Sight, left_out};
use crate::archive::document::{Origin, complete, conclude};
use crate::archive::parts::PartsWriter;
use crate::archive::{Archive, ArchiveError, Batch, InStage, Raw, Staged, Staging};
use crate::config::Inbound;
use crate::ledger::{Begun, Ledger, MailboxId, Tx, message_id_number};
use crate::mail::stream::{Failure, extract};
use crate::mail::{self, Facts, Limits, Marks};
use crate::mailbox::{MailboxError, Part};
use crate::model::{Fetch, MessageKey, Received, ReceivedBasis, Sha256};
use crate::plan::{is_truly_empty, may_be_cut};
use crate::steps;

/// Largest message that is parsed in memory; a larger one is taken apart from its file.
const PARSE_MAX: u64 = 8 << 20;
/// Messages above this size are parsed one at a time in the whole process.
const PARSE_ALONE: u64 = 1 << 20;
/// Free space is looked at again after so many octets.
const CHECK_EVERY: u64 = 16 << 20;
/// A group commit holds so many messages,
const BATCH_MESSAGES: usize = 200;
/// or so many octets,
const BATCH_OCTETS: u64 = 64 << 20;
/// or what came in this time.
const BATCH_TIME: SignedDuration = SignedDuration::from_secs(2);

/// Octets of a large message's header section that tell it from others.
const HEADER: u64 = 64 << 10;
/// A message is not parsed any more after the process died so often while it parsed this one.
const DEATHS: u32 = 2;

static PARSING_LARGE: Mutex<()> = Mutex::new(());
/// One suspect at a time in the whole process, else one would take the blame for another.
static PARSING_SUSPECT: Mutex<()> = Mutex::new(());

/// A message folder that is written, and what was learnt of the message on the way.
struct Complete {
    staged: Staged,
    in_stage: InStage,
    received: Received,
    header: Option<Sha256>,
    marks: Marks,
    message_id: Option<i64>,
    /// Its facts may lack something.
    incomplete: bool,
}

/// A message that the ledger has begun to fetch.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) fetch: Fetch,
    pub(super) begun: Begun,
}

/// A batch of complete folders, and of messages that failed on the way.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) batch: Batch,
    pub(super) staged: Vec<StagedMessage>,
    pub(super) failed: Vec<(MessageKey, MailboxError)>,
}

/// A complete folder in the stage.
#[derive(Debug)]
pub(super) struct StagedMessage {
    pub(super) fetch: Fetch,
    pub(super) staged: Staged,
    pub(super) in_stage: InStage,
    pub(super) header: Option<Sha256>,
    pub(super) marks: Marks,
    /// Its Message-ID, as the ledger keeps it.
    pub(super) message_id: Option<i64>,
    /// It is to be marked as read once it is stored.
    pub(super) mark: bool,
    /// Its end may be missing.
    pub(super) cut: bool,
    /// The rule that leaves it out of the archive.
    pub(super) left_out: Option<String>,
    pub(super) received: Received,
    pub(super) archived_at: Timestamp,
}

/// Turns parts into folders until the stream of parts ends.
#[derive(Debug)]
pub(super) struct Stager {
    pub(super) archive: Arc<Archive>,
    pub(super) account: Arc<Inbound>,
    pub(super) clock: Clock,
    pub(super) progress: Arc<Progress>,
    pub(super) cancel: CancellationToken,
    pub(super) ledger: Ledger,
    pub(super) mailbox: MailboxId,
    pub(super) wanted: Asked,
    pub(super) parts: mpsc::Receiver<Part>,
    pub(super) ready: mpsc::Sender<Ready>,
}

/// Messages that the fetch has begun to ask for: no queue, as a fetch that brings none of them
/// would wait for ever behind a full one.
pub(super) type Asked = Arc<Mutex<Vec<Wanted>>>;

/// Messages that were asked for and have not come yet.
#[derive(Default)]
struct Awaited {
    wanted: BTreeMap<MessageKey, Wanted>,
    /// As they were asked for.
    order: VecDeque<MessageKey>,
    /// The ledger knows that these are about to be parsed, or were just now.
    parsing: BTreeSet<MessageKey>,
}

impl Awaited {
    fn add(&mut self, more: Vec<Wanted>) {
        for wanted in more {
            self.order.push_back(wanted.fetch.key.clone());
            self.wanted.insert(wanted.fetch.key.clone(), wanted);
        }
    }

    /// This message and those behind it, to be noted together before the first is parsed; `None`
    /// for one that was.
    fn next_parsed(&mut self, key: &MessageKey) -> Option<Vec<MessageKey>> {
        if self.parsing.contains(key) {
            return None;
        }
        self.parsing = BTreeSet::from([key.clone()]);
        while self.parsing.len() < steps::batch(BATCH_MESSAGES) {
            let Some(next) = self.order.pop_front() else { break };
            if self.wanted.contains_key(&next) {
                self.parsing.insert(next);
            }
        }
        Some(self.parsing.iter().cloned().collect())
    }
}

/// What is being gathered.
struct Gathering {
    ready: Ready,
    octets: u64,
    since: Option<Timestamp>,
}

impl Stager {
    /// Runs to the end of the parts; what is complete by then goes on, what isn't is dropped.
    ///
    /// An error (a full disk, say) ends it early, after what is complete has gone on.
    pub(super) fn run(mut self) -> Result<(), PollError> {
        let mut gathering = Gathering::begin(self.archive.batch()?);
        let staged = self.stage(&mut gathering);
        let shipped = self.ship(gathering);
        staged.and(shipped)
    }

    fn stage(&mut self, gathering: &mut Gathering) -> Result<(), PollError> {
        let mut awaited = Awaited::default();
        let mut open: Option<(Wanted, Staging)> = None;
        let mut unchecked = 0_u64;
        while let Some(part) = self.parts.blocking_recv() {
            match part {
                Part::Begin { key } => {
                    drop(open.take());
                    open = self.begin(&key, &mut awaited)?;
                }
                Part::Data(octets) => {
                    if let Some((_, staging)) = &mut open {
                        staging.write(&octets)?;
                        unchecked = unchecked.saturating_add(octets.len() as u64);
                        if unchecked >= CHECK_EVERY {
                            // The listed size is only a hint: what comes may be far more.
                            self.archive.check()?;
                            unchecked = 0;
                        }
                    }
                    self.progress.add_octets(octets.len() as u64);
                }
                Part::End { octets, early } => {
                    if let Some((wanted, staging)) = open.take() {
                        self.end(wanted, staging, (octets, early), gathering)?;
                    }
                }
                Part::Failed { key, error } => {
                    drop(open.take());
                    gathering.ready.failed.push((key, error));
                }
            }
            if gathering.is_due(self.clock.now()) {
                let next = Gathering::begin(gathering.ready.batch.clone());
                self.ship(std::mem::replace(gathering, next))?;
            }
        }
        if let Some((wanted, _)) = open
            && !self.cancel.is_cancelled()
        {
            // A server that always loses the connection at one message must not keep back those
            // behind it: the message is held, and tried apart from the others.
            let what = "the connection was lost while it was being sent".to_owned();
            gathering.ready.failed.push((wanted.fetch.key, MailboxError::Message { what }));
        }
        Ok(())
    }

    fn begin(
        &self,
        key: &MessageKey,
        awaited: &mut Awaited,
    ) -> Result<Option<(Wanted, Staging)>, PollError> {
        let asked =
            std::mem::take(&mut *self.wanted.lock().unwrap_or_else(PoisonError::into_inner));
        awaited.add(asked);
        // A message that nobody asked for, or a second body of one: its octets are not kept.
        let Some(found) = awaited.wanted.remove(key) else { return Ok(None) };
        if let Some(keys) = awaited.next_parsed(key) {
            let mailbox = self.mailbox;
            let note = move |tx: &Tx<'_>| tx.parsing(mailbox, &keys);
            self.ledger.mark_blocking("note what is parsed", note)?;
        }
        let size = found.fetch.size.unwrap_or(0);
        self.archive.room(size.saturating_mul(3), 16)?;
        let staging = self.archive.stage(key.id(&self.account.name))?;
        Ok(Some((found, staging)))
    }

    fn end(
        &self,
        wanted: Wanted,
        mut staging: Staging,
        (octets, early): (u64, bool),
        gathering: &mut Gathering,
    ) -> Result<(), PollError> {
        let raw = staging.end()?;
        let archived_at = self.clock.now();
        let cut = early && {
            let (head, tail) = staging.ends(HEADER)?;
            !mail::is_closed(&head, &tail)
        };
        let fault = match raw.size {
            0 if !is_truly_empty(&wanted.fetch, wanted.begun.first_seen, archived_at) => {
                Some("the server sent an empty message".to_owned())
            }
            size if size != octets => {
                Some(format!("{size} octets were written of the {octets} that came"))
            }
            size if cut && !may_be_cut(&wanted.fetch) => {
                let listed = wanted.fetch.size.unwrap_or_default();
                Some(format!(
                    "the server sent {size} of the {listed} octets that it lists, and then nothing"
                ))
            }
            _ => None,
        };
        if let Some(what) = fault {
            gathering.ready.failed.push((wanted.fetch.key, MailboxError::Message { what }));
            return Ok(());
        }
        let complete = self.take_apart(&wanted, staging, &raw, archived_at)?;
        gathering.octets = gathering.octets.saturating_add(raw.size);
        gathering.since.get_or_insert(archived_at);
        self.progress.add_message();
        let Complete { staged, in_stage, received, header, marks, message_id, incomplete } =
            complete;
        let fetch = wanted.fetch;
        let sight = Sight { fetch: &fetch, incomplete, canary: marks.canary.is_some() };
        let when = (archived_at, self.archive.timezone_name());
        // What may lack its end is not judged by what it has.
        let left_out = if cut { None } else { left_out(&self.account, (&in_stage, sight), when) };
        let mark = self.account.mark_seen && is_to_be_marked(&fetch);
        gathering.ready.staged.push(StagedMessage {
            fetch,
            staged,
            in_stage,
            header,
            marks,
            message_id,
            mark,
            cut,
            left_out,
            received,
            archived_at,
        });
        Ok(())
    }

    /// Parses a message, or leaves it whole: one that the process died of before is parsed under a
    /// mark in the ledger, and not at all when it has died twice under that.
    fn take_apart(
        &self,
        wanted: &Wanted,
        mut staging: Staging,
        raw: &Raw,
        archived_at: Timestamp,
    ) -> Result<Complete, PollError> {
        let Wanted { fetch: Fetch { key, .. }, begun } = wanted;
        if begun.deaths >= DEATHS || raw.size == 0 {
            let skipped = raw.size > 0;
            if skipped {
                tracing::warn!(
                    target: "archive",
                    code = "parse-skipped",
                    message_key = %key,
                    "The program has died of this message: it is stored without being taken apart"
                );
            }
            let octets = staging.read_back(HEADER.max(PARSE_ALONE))?;
            let (header, marks) = (mail::fingerprint(&octets), mail::marks(&octets));
            let facts = if skipped { mail::unparsed() } else { mail::empty() };
            let (received, origin) = self.origin(wanted, archived_at, &facts);
            let (staged, in_stage) = complete(&self.archive, staging, raw, &origin, &facts)?;
            let (message_id, incomplete) = (None, true);
            return Ok(Complete {
                staged,
                in_stage,
                received,
                header,
                marks,
                message_id,
                incomplete,
            });
        }
        if !begun.suspect {
            return self.parse(wanted, staging, raw, archived_at);
        }
        let _one = PARSING_SUSPECT.lock().unwrap_or_else(PoisonError::into_inner);
        let (mailbox, marked) = (self.mailbox, key.clone());
        let mark = move |tx: &Tx<'_>| tx.mark_parse(mailbox, &marked);
        self.ledger.mark_blocking("mark a message", mark)?;
        let parsed = self.parse(wanted, staging, raw, archived_at);
        let marked = key.clone();
        let unmark = move |tx: &Tx<'_>| tx.unmark_parse(mailbox, &marked);
        self.ledger.mark_blocking("take a mark back", unmark)?;
        parsed
    }

    fn parse(
        &self,
        wanted: &Wanted,
        mut staging: Staging,
        raw: &Raw,
        archived_at: Timestamp,
    ) -> Result<Complete, PollError> {
        if raw.size > PARSE_MAX {
            let octets = staging.read_back(HEADER)?;
            steps::parse(&octets);
            let (header, marks) = (mail::fingerprint(&octets), mail::marks(&octets));
            let complete = self.extract(wanted, staging, raw, archived_at)?;
            return Ok(Complete { header, marks, ..complete });
        }
        let large = raw.size > PARSE_ALONE;
        let _one = large.then(|| PARSING_LARGE.lock().unwrap_or_else(PoisonError::into_inner));
        let octets = staging.read_back(PARSE_MAX)?;
        steps::parse(&octets);
        let facts = mail::parse(&octets, &Limits::default());
        let (received, origin) = self.origin(wanted, archived_at, &facts);
        let (staged, in_stage) = complete(&self.archive, staging, raw, &origin, &facts)?;
        let (header, marks) = (mail::fingerprint(&octets), mail::marks(&octets));
        let (message_id, incomplete) = (number_of(&facts), is_incomplete(&facts));
        Ok(Complete { staged, in_stage, received, header, marks, message_id, incomplete })
    }

    /// Takes a message apart that is too large for memory.
    fn extract(
        &self,
        wanted: &Wanted,
        staging: Staging,
        raw: &Raw,
        archived_at: Timestamp,
    ) -> Result<Complete, PollError> {
        // What was reserved is used up when the message is larger than announced.
        self.archive.room(raw.size.saturating_mul(2), 16)?;
        let mut writer = PartsWriter::new(&self.archive, &staging);
        let limits = Limits::default();
        let facts =
            extract(staging.reader()?, raw.size, &limits, &mut writer).map_err(|failure| {
                match failure {
                    Failure::Read(error) => ArchiveError::io("read", "message.eml")(error),
                    Failure::Sink(error) => error,
                }
            })?;
        let parts = writer.finish()?;
        let (received, origin) = self.origin(wanted, archived_at, &facts);
        let (message_id, incomplete) = (number_of(&facts), is_incomplete(&facts));
        let placed = conclude(&self.archive, staging, raw, &origin, (&facts, parts))?;
        let (staged, in_stage) = placed;
        let (header, marks) = (None, Marks::default());
        Ok(Complete { staged, in_stage, received, header, marks, message_id, incomplete })
    }

    fn origin<'a>(
        &'a self,
        wanted: &'a Wanted,
        archived_at: Timestamp,
        facts: &Facts<'_>,
    ) -> (Received, Origin<'a>) {
        let received = received(wanted, facts);
        let Fetch { key, flags, .. } = &wanted.fetch;
        let origin = Origin { account: &self.account, key, flags, received, archived_at };
        (received, origin)
    }

    fn ship(&self, gathering: Gathering) -> Result<(), PollError> {
        if gathering.ready.staged.is_empty() && gathering.ready.failed.is_empty() {
            return Ok(());
        }
        // The committer is gone only after an error of its own, which the poll reports.
        self.ready.blocking_send(gathering.ready).map_err(|_| PollError::Cancelled)
    }
}

impl Gathering {
    fn begin(batch: Batch) -> Self {
        let ready = Ready { batch, staged: Vec::new(), failed: Vec::new() };
        Self { ready, octets: 0, since: None }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.ready.staged.len() >= steps::batch(BATCH_MESSAGES)
            || self.octets >= BATCH_OCTETS
            || self.since.is_some_and(|since| now.duration_since(since) >= BATCH_TIME)
    }
}

/// The Message-ID of a header, as the ledger keeps it.
fn number_of(facts: &Facts<'_>) -> Option<i64> {
    facts.message_id.as_deref().and_then(message_id_number)
}

fn is_incomplete(facts: &Facts<'_>) -> bool {
    facts.warnings.iter().any(|warning| warning.code.is_incomplete())
}

/// Whether a message's key says for good which message of its mailbox it is, and nobody has read it.
fn is_to_be_marked(fetch: &Fetch) -> bool {
    let is_seen = fetch.flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Seen"));
    matches!(fetch.key, MessageKey::Imap { uid_validity: 1.., .. }) && !is_seen
}

/// The date that places a message: what the server said before the fetch, else the topmost
/// `Received` field, else when the message was first seen, which the ledger keeps.
fn received(wanted: &Wanted, facts: &Facts<'_>) -> Received {
    if let Some(received) = wanted.fetch.received {
        return received;
    }
    match facts.received_field {
        Some(at) => Received { at, basis: ReceivedBasis::ReceivedField },
        None => Received { at: wanted.begun.first_seen, basis: ReceivedBasis::FirstSeen },
    }
}

//! The daemon's end: connections taken, counted, timed, and turned into calls.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::REQUEST_MAX;
use super::message::{Command, Refusal, Reply, Request, VERSION};
use super::peer::{Peer, Person, Policy};
use crate::net::within;

/// Connections at the same time.
const CONNECTIONS: usize = 32;
/// Of these for members of the group: root always finds one.
const FOR_MEMBERS: usize = 24;
/// Clients that wait for polls, which may take hours, apart from those.
const POLLS: usize = 96;
/// Of these for members of the group.
const POLLS_FOR_MEMBERS: usize = 72;
/// A request must have come by then.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// A client must have taken each line by then.
const REPLY_LIMIT: Duration = Duration::from_secs(10);
/// Lines that wait for a client.
const QUEUE: usize = 64;
/// Refusals are told in the log once in this time.
const TELL_EVERY: Duration = Duration::from_mins(1);
/// After an error to accept: too many open files don't get fewer by asking again.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// What somebody asks of the daemon.
#[derive(Debug)]
pub struct Call {
    /// What.
    pub command: Command,
    /// Who.
    pub person: Person,
    /// Where the answer goes.
    pub replies: Replies,
}

/// The way back to a client; dropped without a last line, the client sees a closed connection.
#[derive(Clone, Debug)]
pub struct Replies(mpsc::Sender<Reply>);

impl Replies {
    /// Tells what may as well be left out, if the client is slow.
    pub fn hint(&self, reply: Reply) {
        drop(self.0.try_send(reply));
    }

    /// Tells; waits for a slow client as long as it is served. False: it is gone.
    pub async fn tell(&self, reply: Reply) -> bool {
        self.0.send(reply).await.is_ok()
    }

    /// The last line, of a call that had no other.
    pub fn end(self, outcome: Result<serde_json::Value, Refusal>) {
        self.hint(match outcome {
            Ok(result) => Reply::Done { result },
            Err(refusal) => Reply::Refused(refusal),
        });
    }

    /// Returns when the client is gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Takes connections until it is dropped, which ends them all; the listener stays.
pub async fn serve(
    listener: Arc<UnixListener>,
    policy: Policy,
    state_dir: PathBuf,
    calls: mpsc::Sender<Call>,
) {
    let places = Places::new(CONNECTIONS, FOR_MEMBERS);
    let polls = Arc::new(Places::new(POLLS, POLLS_FOR_MEMBERS));
    let inside = Inside { state_dir: state_dir.into(), calls, polls };
    let mut tasks = JoinSet::new();
    let (mut told, mut failed) = (Told::default(), Told::default());
    loop {
        let stream = tokio::select! {
            taken = listener.accept() => taken,
            Some(_) = tasks.join_next() => continue,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                failed.failed(&error);
                tokio::time::sleep(AFTER_ERROR).await;
                continue;
            }
        };
        let Ok(peer) = stream.peer_cred() else { continue };
        let peer = Peer { uid: peer.uid(), gid: peer.gid() };
        if !policy.allows(peer) {
            told.refused(peer);
            turn_away(&stream, &not_allowed());
            continue;
        }
        let caller = Caller { peer, goes_first: policy.goes_first(peer) };
        let Some(place) = places.take(caller) else {
            turn_away(&stream, &Refusal::busy());
            continue;
        };
        tasks.spawn(connection(stream, caller, place, inside.clone()));
    }
}

/// Who calls.
#[derive(Clone, Copy)]
struct Caller {
    peer: Peer,
    goes_first: bool,
}

/// What a connection leads to.
#[derive(Clone)]
struct Inside {
    state_dir: Arc<std::path::Path>,
    calls: mpsc::Sender<Call>,
    polls: Arc<Places>,
}

/// Places for clients, of which members of the group may take fewer.
struct Places {
    all: Arc<Semaphore>,
    members: Arc<Semaphore>,
}

/// A place that is taken.
struct Place {
    _all: OwnedSemaphorePermit,
    _member: Option<OwnedSemaphorePermit>,
}

impl Places {
    fn new(all: usize, members: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), members: Arc::new(Semaphore::new(members)) }
    }

    fn take(&self, caller: Caller) -> Option<Place> {
        let take = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let member = if caller.goes_first { None } else { Some(take(&self.members)?) };
        Some(Place { _all: take(&self.all)?, _member: member })
    }
}

/// When something was last told in the log.
#[derive(Default)]
struct Told(Option<Instant>);

impl Told {
    /// Whether it is told now.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.0.is_none_or(|last| now.duration_since(last) >= TELL_EVERY);
        if due {
            self.0 = Some(now);
        }
        due
    }

    fn failed(&mut self, error: &std::io::Error) {
        if self.is_due() {
            tracing::warn!(
                target: "daemon",
                code = "control-unavailable",
                "The control socket takes no connection: {error}"
            );
        }
    }

    fn refused(&mut self, peer: Peer) {
        if !self.is_due() {
            return;
        }
        let person = Person::of(peer.uid, None);
        tracing::warn!(
            target: "daemon",
            code = "control-refused",
            created_by = person.name,
            created_uid = peer.uid,
            "{person} may not direct the daemon"
        );
    }
}

fn not_allowed() -> Refusal {
    let hint = "root, the service's user and members of `daemon.control_group` may";
    Refusal::new("control-refused", "you may not direct the daemon", Some(hint))
}

/// One line, if it goes out at once.
fn turn_away(stream: &UnixStream, refusal: &Refusal) {
    drop(stream.try_write(&line(&Reply::Refused(refusal.clone()))));
}

fn line(reply: &Reply) -> Vec<u8> {
    let mut line = serde_json::to_vec(reply).unwrap_or_default();
    line.push(b'\n');
    line
}

async fn connection(mut stream: UnixStream, caller: Caller, mut place: Place, inside: Inside) {
    let request = match within(REQUEST_LIMIT, read_request(&mut stream)).await {
        // It said nothing whole, and is gone or keeps silent.
        None | Some(None) => return,
        Some(Some(line)) => understand(&line, &inside.state_dir),
    };
    let request = request.and_then(|request| {
        if matches!(request.command, Command::Poll { .. }) {
            place = inside.polls.take(caller).ok_or_else(Refusal::busy)?;
        }
        Ok(request)
    });
    let request = match request {
        Ok(request) => request,
        Err(refusal) => {
            let line = line(&Reply::Refused(refusal));
            within(REPLY_LIMIT, stream.write_all(&line)).await;
            return;
        }
    };
    let (replies, queue) = mpsc::channel(QUEUE);
    let person = Person::of(caller.peer.uid, request.claim.as_deref());
    let call = Call { command: request.command, person, replies: Replies(replies) };
    if inside.calls.try_send(call).is_err() {
        let line = line(&Reply::Refused(Refusal::busy()));
        within(REPLY_LIMIT, stream.write_all(&line)).await;
        return;
    }
    drop(inside);
    answer(stream, queue).await;
    drop(place);
}

/// Reads up to the first line's end; `None` when that doesn't come. A line that is too long comes
/// back as far as it was read.
async fn read_request(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut part = [0_u8; 4096];
    loop {
        let read = stream.read(&mut part).await.ok().filter(|read| *read > 0)?;
        let part = part.get(..read)?;
        if let Some(end) = memchr::memchr(b'\n', part) {
            line.extend_from_slice(part.get(..end)?);
            return Some(line);
        }
        line.extend_from_slice(part);
        if line.len() > REQUEST_MAX {
            return Some(line);
        }
    }
}

/// From a line to a request for this daemon, or why not.
pub(super) fn understand(line: &[u8], state_dir: &std::path::Path) -> Result<Request, Refusal> {
    let unreadable = |why: String| {
        let what = format!("the request can't be read: {why}");
        Refusal::new("control-unreadable", what, None)
    };
    if line.len() > REQUEST_MAX {
        return Err(unreadable(format!("it has more than {REQUEST_MAX} octets")));
    }
    let value: serde_json::Value =
        serde_json::from_slice(line).map_err(|error| unreadable(error.to_string()))?;
    // Before the rest is read: another version may have other commands.
    let version = value.get("postrider").and_then(serde_json::Value::as_u64);
    if version != Some(u64::from(VERSION)) {
        let what = format!("the daemon speaks version {VERSION} of the control protocol");
        let hint = "the command is of another release than the daemon: restart the daemon";
        return Err(Refusal::new("control-version", what, Some(hint)));
    }
    let request: Request =
        serde_json::from_value(value).map_err(|error| unreadable(error.to_string()))?;
    if request.state_dir != state_dir {
        let what = format!("this daemon keeps its state in {}", state_dir.display());
        return Err(Refusal::new("control-other", what, Some("see `daemon.state_dir`")));
    }
    Ok(request)
}

/// Sends what comes, until the last line, or until the client is gone or doesn't read.
async fn answer(stream: UnixStream, mut queue: mpsc::Receiver<Reply>) {
    let (mut from, mut to) = stream.into_split();
    let (mut more, mut may_speak) = ([0_u8; 1], true);
    loop {
        let reply = tokio::select! {
            reply = queue.recv() => reply,
            read = from.read(&mut more), if may_speak => match read {
                // It has said all, and may still listen; whether it does, the next line shows.
                Ok(0) => {
                    may_speak = false;
                    continue;
                }
                // A second request: there is none on one connection.
                _ => return,
            },
        };
        let Some(reply) = reply else { return };
        let line = line(&reply);
        let sent = within(REPLY_LIMIT, to.write_all(&line)).await;
        if !matches!(sent, Some(Ok(()))) || reply.is_last() {
            return;
        }
    }
}

//! Whole sessions against scripted servers over memory.

mod appending;
mod deleting;
mod fetching;
mod fuzz;
mod listing;
mod modes;
mod starting;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::task::JoinSet;

use super::*;
use crate::config::{DeleteRule, Encryption, MinRate, Protocol, SafeLogon, Schedule};
use crate::model::{ByteSize, FetchReason, MessageKey};
use crate::net::{Endpoint, Wire, Witness};
use crate::sasl::Proof;

/// An account that allows plaintext, with small windows.
pub(super) fn account() -> Inbound {
    Inbound {
        name: "test".into(),
        renamed_from: None,
        description: None,
        label: None,
        enabled: true,
        protocol: Protocol::Imap,
        host: "localhost".to_owned(),
        port: 143,
        encryption: Encryption::None,
        allow_plaintext: true,
        bind_address: None,
        tls: crate::config::TlsRules::default(),
        user: "u".to_owned(),
        user_source: None,
        password: None,
        oauth: None,
        safe_logon: SafeLogon::On,
        sasl: Vec::new(),
        folders: vec!["INBOX".to_owned()],
        schedule: Schedule::Every(Duration::from_mins(5)),
        batch_max: None,
        batch_max_bytes: None,
        drain: true,
        process_after: None,
        ignore_older_than: None,
        min_age: None,
        max_message_size: None,
        delete: DeleteRule::Never,
        delete_age_from: crate::config::DeleteAge::Stored,
        delete_mode: DeleteMode::Expunge,
        delete_max_per_poll: None,
        only_unseen: false,
        mark_seen: false,
        pop3_no_uidl_download: false,
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(5),
        min_rate: MinRate { octets: 1024, window: Duration::from_mins(5) },
        poll_deadline: Duration::from_mins(30),
        protect: false,
        watch: crate::config::Watch::default(),
        debug: true,
        on_received: Vec::new(),
        delete_after_actions: false,
        properties: Properties {
            imap_fetch_chunk: ByteSize(1000),
            imap_list_window: 100,
            imap_fetch_batch: 3,
            pop3_pipeline: 1,
            tcp_keepalive: Duration::from_mins(1),
        },
    }
}

/// Logs in, and nobody looks on.
pub(super) async fn log_in(
    wire: Wire,
    account: &Inbound,
    proof: Proof<'_>,
) -> Result<ImapSession, MailboxError> {
    start::log_in(wire, account, proof, &mut Witness::blind()).await
}

/// What `open` would have led to for INBOX under UIDVALIDITY 7.
pub(super) fn key(uid: u32) -> MessageKey {
    MessageKey::Imap { mailbox: "INBOX".to_owned(), uid_validity: 7, uid, generation: 0 }
}

pub(super) fn wanted(uid: u32, size: Option<u64>) -> Fetch {
    Fetch {
        key: key(uid),
        number: uid,
        alone: true,
        size,
        internal_date: None,
        received: None,
        flags: Vec::new(),
        why: FetchReason::New,
    }
}

/// A server that answers each command as the script says; it runs until it is dropped.
struct Server {
    commands: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Server {
    /// `answer` gets each line without its tag; `TAG` in its answer becomes the tag, an empty
    /// answer is silence, and `CLOSE` closes.
    fn start(greeting: &str, answer: impl FnMut(&str) -> String + Send + 'static) -> (Wire, Self) {
        Self::start_in_pieces(1 << 20, greeting, answer)
    }

    /// No read gives more than `piece` octets.
    fn start_in_pieces(
        piece: usize,
        greeting: &str,
        answer: impl FnMut(&str) -> String + Send + 'static,
    ) -> (Wire, Self) {
        let (ours, theirs) = duplex(piece);
        let commands = Arc::new(Mutex::new(Vec::new()));
        let mut task = JoinSet::new();
        task.spawn(serve(theirs, greeting.to_owned(), answer, Arc::clone(&commands)));
        let wire = Wire::over_memory(ours, &Endpoint::of(&account()), Endpoint::far_deadline());
        (wire, Self { commands, _task: task })
    }

    fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().clone()
    }
}

async fn serve(
    stream: DuplexStream,
    greeting: String,
    mut answer: impl FnMut(&str) -> String + Send + 'static,
    commands: Arc<Mutex<Vec<String>>>,
) {
    let mut stream = BufReader::new(stream);
    stream.write_all(greeting.as_bytes()).await.ok();
    let mut line = String::new();
    let mut last_tag = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|octets| octets > 0) {
        let text = line.trim_end().to_owned();
        line.clear();
        let (tag, command) = match text.split_once(' ') {
            Some((tag, command)) if tag.starts_with(['P', 'R']) => (tag.to_owned(), command),
            _ => (last_tag.clone(), text.as_str()),
        };
        commands.lock().unwrap().push(command.to_owned());
        let reply = answer(command).replace("TAG", &tag);
        last_tag = tag;
        if reply.ends_with("CLOSE") {
            stream.write_all(reply.trim_end_matches("CLOSE").as_bytes()).await.ok();
            break;
        }
        if stream.write_all(reply.as_bytes()).await.is_err() {
            break;
        }
    }
}

const CAPABILITIES: &str = "IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS";

/// A session with a server that logs in anybody and opens INBOX with so many messages; `answer`
/// says the rest.
async fn session(
    exists: u32,
    mut answer: impl FnMut(&str) -> String + Send + 'static,
) -> (ImapSession, Server) {
    let greeting = format!("* OK [CAPABILITY {CAPABILITIES}] hello\r\n");
    let (wire, server) = Server::start(&greeting, move |command| {
        let own = answer(command);
        if !own.is_empty() {
            return own;
        }
        match command.split(' ').next().unwrap_or_default() {
            "AUTHENTICATE" => format!("TAG OK [CAPABILITY {CAPABILITIES}] in\r\n"),
            "EXAMINE" | "SELECT" => format!(
                "* FLAGS (\\Seen \\Deleted)\r\n* {exists} EXISTS\r\n* 0 RECENT\r\n\
                 * OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT {}] x\r\nTAG OK [READ-WRITE] ok\r\n",
                exists + 1
            ),
            "LOGOUT" => "* BYE bye\r\nTAG OK bye\r\n".to_owned(),
            _ => "TAG OK done\r\n".to_owned(),
        }
    });
    let session = log_in(wire, &account(), Proof::Password("pass")).await.unwrap();
    (session, server)
}

/// What this thread logs from here on, until the guard is dropped.
fn log() -> (&'static Mutex<Vec<u8>>, tracing::subscriber::DefaultGuard) {
    use tracing_subscriber::fmt::MakeWriter;

    let log: &'static Mutex<Vec<u8>> = Box::leak(Box::default());
    let subscriber = tracing_subscriber::fmt().with_writer(move || log.make_writer()).finish();
    (log, tracing::subscriber::set_default(subscriber))
}

/// A literal with the octets of a body.
fn literal(body: &str) -> String {
    format!("{{{}}}\r\n{body}", body.len())
}

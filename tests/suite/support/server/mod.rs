//! A small, correct IMAP, POP3 or SMTP server in memory that does wrong where it is told to.
//!
//! Its mailboxes outlive its connections. Every command that was heard is written down, and every
//! message that a client removed, with whether the archive held it at that moment.

mod fault;
mod imap;
mod imap_fetch;
mod pop3;
mod serve;
mod smtp;
mod store;
mod wire;

pub use fault::{Fault, Then};
pub use store::{Generated, Mailbox, Message, Removal, Store, Taken};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use serde::Deserialize;

use super::{Certs, Dovecot, loopback_account};

/// What the server speaks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Imap,
    Pop3,
    Smtp,
}

impl Protocol {
    /// The word of the config.
    pub fn word(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Smtp => "smtp",
        }
    }
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    #[default]
    None,
    StartTls,
    Tls,
}

impl Protection {
    /// The word of the config.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::StartTls => "starttls",
            Self::Tls => "tls",
        }
    }
}

/// What a server is like before anything goes wrong.
#[derive(Clone, Debug, Default)]
pub struct Kind {
    pub protocol: Protocol,
    pub protection: Protection,
    pub certs: Option<Certs>,
    /// In place of the usual capabilities; without STARTTLS or STLS.
    pub capabilities: Option<String>,
    /// TLS 1.3 session tickets after the handshake.
    pub tickets: Option<usize>,
    /// Where a removed message must be stored already.
    pub archive: Option<PathBuf>,
}

/// One line that a client has sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heard {
    /// Counted from 1.
    pub connection: usize,
    /// The number that [`Server::begin_poll`] set.
    pub poll: u32,
    /// Without the line end; with an IMAP tag.
    pub line: String,
}

/// A good answer, and what comes behind it.
#[derive(Debug, Default)]
struct Answer {
    octets: Vec<u8>,
    end: bool,
    tls: bool,
}

impl Answer {
    fn of(octets: impl Into<Vec<u8>>) -> Self {
        Self { octets: octets.into(), ..Self::default() }
    }
}

/// One protocol's side of one connection.
trait Dialect {
    fn greeting(&mut self) -> Vec<u8>;
    /// Does what the line asks for.
    fn answer(&mut self, line: &str) -> Answer;
    /// The tag of a line, if the protocol has such; and the command.
    fn split<'a>(&self, line: &'a str) -> (&'a str, &'a str) {
        ("", line)
    }
    /// The connection is in TLS from now on.
    fn encrypted(&mut self);
}

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    /// The port to connect to.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    kind: Kind,
    tls: Option<Arc<rustls::ServerConfig>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    store: Store,
    faults: Vec<Fault>,
    /// How often each fault's pattern has matched in this poll.
    matches: Vec<u32>,
    poll: u32,
    heard: Vec<Heard>,
    connections: usize,
    /// Those that have not said goodbye, and the most that there were at a time.
    busy: BTreeSet<usize>,
    most_busy: usize,
    open: BTreeMap<usize, TcpStream>,
    ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Server {
    /// A well-behaved server in plaintext, with an empty INBOX.
    pub fn start(protocol: Protocol) -> Self {
        Self::start_as(Kind { protocol, ..Kind::default() })
    }

    /// A well-behaved server of this kind.
    pub fn start_as(kind: Kind) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let tls = kind.certs.as_ref().map(|certs| {
            let mut config = (*certs.server_config()).clone();
            config.send_tls13_tickets = kind.tickets.unwrap_or(config.send_tls13_tickets);
            Arc::new(config)
        });
        let shared = Arc::new(Shared { kind, tls, state: Mutex::default() });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || serve::accept(&listener, &for_thread));
        Self { port, shared }
    }

    /// Puts a message (LF becomes CRLF) into INBOX.
    pub fn deliver(&self, octets: &[u8]) {
        self.store(|store| store.inbox().deliver(super::crlf(octets)));
    }

    /// Reads or changes the mailboxes, as another client would.
    pub fn store<T>(&self, act: impl FnOnce(&mut Store) -> T) -> T {
        act(&mut self.shared.state().store)
    }

    /// Does something wrong from now on.
    pub fn set_fault(&self, fault: Fault) {
        let mut state = self.shared.state();
        state.faults.push(fault);
        state.matches.push(0);
    }

    /// Does everything right from now on.
    pub fn heal(&self) {
        let mut state = self.shared.state();
        state.faults.clear();
        state.matches.clear();
    }

    /// Faults of other polls than this one rest; all count from the start.
    pub fn begin_poll(&self, poll: u32) {
        let mut state = self.shared.state();
        state.poll = poll;
        state.matches = vec![0; state.faults.len()];
    }

    /// Lines of an `[inbound]` table for this server, with short deadlines.
    pub fn account(&self, user: &str) -> String {
        let kind = &self.shared.kind;
        let (protocol, protection) = (kind.protocol.word(), kind.protection.word());
        let mut lines = loopback_account(protocol, protection, self.port, user);
        if let Some(certs) = kind.certs.as_ref().filter(|_| kind.protection != Protection::None) {
            writeln!(lines, "tls_ca_file = \"{}\"", certs.ca.display()).unwrap();
        }
        lines
    }

    /// Every line that clients have sent.
    pub fn heard(&self) -> Vec<Heard> {
        self.shared.state().heard.clone()
    }

    /// The commands, without tags.
    pub fn commands(&self) -> Vec<String> {
        let imap = self.shared.kind.protocol == Protocol::Imap;
        let state = self.shared.state();
        let command = |line: &str| match line.split_once(' ') {
            Some((_, rest)) if imap => rest.to_owned(),
            _ => line.to_owned(),
        };
        state.heard.iter().map(|heard| command(&heard.line)).collect()
    }

    /// What clients have removed.
    pub fn removals(&self) -> Vec<Removal> {
        self.shared.state().store.removals.clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// The most that were open at a time, each from its begin to its goodbye.
    pub fn connections_at_once(&self) -> usize {
        self.shared.state().most_busy
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.ended = true;
        for stream in state.open.values() {
            // The client may have ended it already.
            drop(stream.shutdown(Shutdown::Both));
        }
        drop(state);
        drop(TcpStream::connect(("127.0.0.1", self.port))); // Wakes the listener.
    }
}

/// Whether these are the credentials of [`loopback_account`].
fn is_known(user: &str, password: &str) -> bool {
    password == Dovecot::password(user)
}

/// User and password of a SASL PLAIN response in base64 (RFC 4616).
fn plain(response: &str) -> Option<(String, String)> {
    let octets = data_encoding::BASE64.decode(response.trim().as_bytes()).ok()?;
    let text = String::from_utf8(octets).ok()?;
    let mut fields = text.split('\0').skip(1).map(str::to_owned);
    Some((fields.next()?, fields.next()?))
}

/// XOAUTH2's: any token of a user will do.
fn bearer(response: &str) -> Option<(String, String)> {
    let octets = data_encoding::BASE64.decode(response.trim().as_bytes()).ok()?;
    let text = String::from_utf8(octets).ok()?;
    let user = text.strip_prefix("user=")?.split('\x01').next()?;
    Some((user.to_owned(), format!("secret-{user}")))
}

#[cfg(test)]
mod tests;

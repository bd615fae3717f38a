//! One fault as a file: what the server holds and does wrong, and what must come of it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::support::server::{Fault, Generated, Protection, Protocol};
use crate::support::{Certificate, crlf, sample};

/// `tests/scenarios/KIND/NAME.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Rows of the table of faults in `docs/safety.md`.
    pub ids: Vec<String>,
    /// What happens, in a sentence.
    pub what: String,
    /// Each is tried; the folder's, if there are none.
    #[serde(default)]
    pub protocols: Vec<Protocol>,
    /// The account's `encryption`.
    #[serde(default)]
    pub encryption: Protection,
    #[serde(default)]
    pub server: ServerFacts,
    /// Keys of the account besides those of every scenario.
    #[serde(default)]
    pub account: toml::Table,
    /// Other tables of the config, by name.
    #[serde(default)]
    pub tables: toml::Table,
    /// Messages of INBOX, of several sizes, before those of `message`.
    #[serde(default = "three")]
    pub messages: u32,
    #[serde(default)]
    pub message: Vec<MessageFacts>,
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// At least one.
    pub poll: Vec<Expected>,
    #[serde(default)]
    pub end: End,
}

fn three() -> u32 {
    3
}

/// What the server is like.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerFacts {
    /// The account's `encryption`, if not set.
    pub protection: Option<Protection>,
    pub certificate: CertificateName,
    pub capabilities: Option<String>,
    pub tickets: Option<usize>,
    pub generated: Option<Generated>,
    /// Mailboxes besides INBOX, each with a message.
    pub mailboxes: Vec<String>,
}

/// A certificate with a flaw, or none.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateName {
    Expired,
    #[default]
    Good,
    NotYetValid,
    Untrusted,
    WrongName,
}

impl CertificateName {
    pub fn kind(self) -> Certificate {
        match self {
            Self::Expired => Certificate::Expired,
            Self::Good => Certificate::Good,
            Self::NotYetValid => Certificate::NotYetValid,
            Self::Untrusted => Certificate::Untrusted,
            Self::WrongName => Certificate::WrongName,
        }
    }
}

/// One message of INBOX.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessageFacts {
    /// The next one, if not set.
    pub uid: Option<u32>,
    /// All of it, written as the octets of a fault; else there is a sample with `subject` and `size`.
    pub text: Option<String>,
    pub subject: String,
    pub size: usize,
    pub told_size: Option<u64>,
    pub internal_date: Option<String>,
    pub unique_id: Option<String>,
}

impl MessageFacts {
    pub fn octets(&self) -> Vec<u8> {
        match &self.text {
            Some(text) => Fault::default().instead(text).octets("", Vec::new()),
            None => crlf(&sample(&self.subject, self.size)),
        }
    }
}

/// What must be true after a poll with faults; what isn't set isn't looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expected {
    /// 0 and no error; or 3, as the account beside it succeeds.
    pub exit: i32,
    /// `last_error` of the account, or several with `|` between; without it there must be none.
    pub error: Option<String>,
    /// Codes that the account's log records of this poll must have.
    pub codes: Vec<String>,
    /// Codes that they must not have.
    pub no_codes: Vec<String>,
    /// Words that the output must have.
    pub says: Vec<String>,
    /// Messages of the account in the archive.
    pub stored: Option<usize>,
    pub held: Option<usize>,
    /// Code of each held message.
    pub held_code: Option<String>,
    /// Messages on the server.
    pub remaining: Option<usize>,
    /// Text of commands that were heard in this poll.
    pub heard: Vec<String>,
    /// Text that no command of this poll has.
    pub never: Vec<String>,
    /// What each command of this poll begins with; empty: anything.
    pub only: Vec<String>,
    /// The most commands.
    pub commands: Option<usize>,
    pub connections: Option<usize>,
    /// The most wall time.
    pub seconds: f64,
    /// The most processor time, in seconds.
    pub cpu: f64,
    /// The most resident memory, in MiB.
    pub memory: u64,
    /// Others change this before the poll.
    pub before: Change,
    /// The wall clock's step forwards, in hours.
    pub hours: u32,
    pub command: Vec<String>,
    /// A program that runs the program.
    pub below: Vec<String>,
    /// The whole process is short of something: the account beside may be, too.
    pub short: bool,
}

impl Default for Expected {
    fn default() -> Self {
        Self {
            exit: 0,
            error: None,
            codes: Vec::new(),
            no_codes: Vec::new(),
            says: Vec::new(),
            stored: None,
            held: None,
            held_code: None,
            remaining: None,
            heard: Vec::new(),
            never: Vec::new(),
            only: Vec::new(),
            commands: None,
            connections: None,
            seconds: 12.0,
            cpu: 3.0,
            memory: 64,
            before: Change::default(),
            hours: 0,
            command: vec!["poll".to_owned()],
            below: Vec::new(),
            short: false,
        }
    }
}

/// What others do to INBOX, and what its owner to the account.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// Keys of the account from here on: what was not due may be due now.
    pub account: toml::Table,
    pub uid_validity: Option<u32>,
    pub vanish: Vec<u32>,
    pub arrive: u32,
    /// Under an old UID comes other content.
    pub reuse: Vec<u32>,
}

/// What must be true when the server has been well again for a while.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct End {
    /// `false` where the server is what is wrong, and stays so: nothing is looked at.
    pub heals: bool,
    /// Subjects of messages that can't be had, or needn't.
    pub without: Vec<String>,
    /// Messages on the server.
    pub remaining: Option<usize>,
    pub held: usize,
}

impl Default for End {
    fn default() -> Self {
        Self { heals: true, without: Vec::new(), remaining: None, held: 0 }
    }
}

/// `tests/scenarios`.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// What every scenario says of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct About {
    pub ids: Vec<String>,
    pub what: String,
}

/// What the scenario of a file says of itself.
pub fn about(kind: &str, name: &str) -> About {
    parse(kind, name)
}

/// A file of whatever kind.
pub fn parse<T: serde::de::DeserializeOwned>(kind: &str, name: &str) -> T {
    let path = folder().join(kind).join(name).with_extension("toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
    toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The scenario of a file.
pub fn read(kind: &str, name: &str) -> Scenario {
    let mut scenario: Scenario = parse(kind, name);
    if scenario.protocols.is_empty() {
        scenario.protocols.push(if kind == "pop3" { Protocol::Pop3 } else { Protocol::Imap });
    }
    // A fault without polls is of those polls that are described, not of the healthy ones.
    for fault in &mut scenario.fault {
        if fault.polls.is_empty() {
            fault.polls = (1..).take(scenario.poll.len()).collect();
        }
    }
    scenario
}

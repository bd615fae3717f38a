//! What is said on the socket: one request, and the lines of its answer.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Of the protocol; another one is refused.
pub const VERSION: u32 = 1;

/// What a client asks for.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Request {
    /// [`VERSION`].
    pub postrider: u32,
    /// The state folder of the daemon that is meant: another daemon refuses.
    pub state_dir: PathBuf,
    /// For whom the client says to act: `$SUDO_USER`. Only a claim, logged as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// The command.
    #[serde(flatten)]
    pub command: Command,
}

/// The command of a request.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Change what waits in the outbox.
    Actions {
        /// Give them up; else they are due at once.
        drop: bool,
        /// Of this account.
        account: Option<String>,
        /// Of this rule.
        rule: Option<String>,
        /// The one with this number.
        id: Option<i64>,
        /// Only those that failed.
        failed: bool,
        /// What a lost ledger knew of.
        #[serde(default)]
        unknown: bool,
    },
    /// Log everything of an account for a time.
    Debug {
        /// Its name.
        account: String,
        /// For how long; 0 ends it.
        seconds: u64,
    },
    /// Poll an account no more.
    Pause {
        /// Its name.
        account: String,
        /// For how long; until a resume.
        seconds: Option<u64>,
        /// For whoever wonders.
        reason: String,
    },
    /// Poll now.
    Poll {
        /// These accounts; empty: all that are enabled and don't rest.
        accounts: Vec<String>,
        /// Paused ones, too.
        force: bool,
    },
    /// Read the config again.
    Reload,
    /// Look at the rules again for stored messages: some of many; without any, whether it can be.
    Replay {
        /// The inbound account.
        account: String,
        /// This rule only.
        rule: Option<String>,
        /// Names the account's rules: a daemon with others refuses.
        rules: String,
        /// The messages, by their rows in the ledger.
        rows: Vec<i64>,
        /// When the replay began, as the first answer has it: milliseconds since 1970.
        asked_at: Option<i64>,
    },
    /// End a pause and stops.
    Resume {
        /// The account's name.
        account: String,
    },
    /// Tell what only the daemon knows.
    Status,
}

/// One line of an answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// How far a poll is; also says that the daemon lives.
    Progress {
        /// The account.
        account: String,
        /// Messages to be fetched, as far as is known.
        wanted: u64,
        /// Messages staged.
        messages: u64,
        /// Octets received.
        octets: u64,
    },
    /// A poll has ended.
    Polled {
        /// Its report.
        report: Value,
    },
    /// An account isn't polled.
    Waits {
        /// The account.
        account: String,
        /// Why.
        why: String,
        /// It is meant to be so: a pause.
        meant: bool,
    },
    /// All is done: the last line.
    Done {
        /// What came of it.
        result: Value,
    },
    /// Nothing was done: the last line.
    Refused(Refusal),
}

/// Why nothing was done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Refusal {
    /// Stable word.
    pub code: String,
    /// The words.
    pub message: String,
    /// What to do.
    #[serde(default)]
    pub hint: Option<String>,
    /// Each problem of a refused config.
    #[serde(default)]
    pub problems: Vec<String>,
}

impl Refusal {
    /// A refusal with a hint or without.
    pub fn new(code: &str, message: impl Into<String>, hint: Option<&str>) -> Self {
        let (code, hint) = (code.to_owned(), hint.map(str::to_owned));
        Self { code, message: message.into(), hint, problems: Vec::new() }
    }

    /// Too much is asked at the same time.
    pub fn busy() -> Self {
        let what = "the daemon serves too many commands already";
        Self::new("control-busy", what, Some("try again in a moment"))
    }
}

impl Reply {
    /// Whether nothing follows.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Refused(_))
    }
}

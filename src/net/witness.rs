//! Who looks on while a session is opened: stage by stage, what was found and how long it took.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::TlsFacts;

/// A stage on the way to a mailbox; TLS comes behind the greeting with `starttls`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Reading the config.
    Config,
    /// Finding the secret.
    Secret,
    /// From the name to addresses.
    Dns,
    /// TCP.
    Connect,
    /// The handshake, with the server's certificate.
    Tls,
    /// The server's first words.
    Greeting,
    /// What the server offers.
    Capabilities,
    /// The login.
    Login,
    /// Opening mailboxes for reading.
    Mailbox,
    /// Naming a message's sender, and its recipient, to a submission server.
    Sender,
    /// Handing over a message.
    Message,
}

impl Stage {
    /// Its name, as people and JSON have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Secret => "secret",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Greeting => "greeting",
            Self::Capabilities => "capabilities",
            Self::Login => "login",
            Self::Mailbox => "mailbox",
            Self::Sender => "sender",
            Self::Message => "message",
        }
    }
}

/// What a stage has found. Server text in it is escaped.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Facts {
    /// Of [`Stage::Secret`]: where it was found.
    Secret {
        /// `{ file = "/run/secret" }`.
        from: String,
    },
    /// Of [`Stage::Dns`].
    Addresses {
        /// In the resolver's order.
        addresses: Vec<SocketAddr>,
    },
    /// Of [`Stage::Connect`].
    Address {
        /// The one that answered first.
        address: SocketAddr,
    },
    /// Of [`Stage::Tls`].
    Tls(TlsFacts),
    /// Of [`Stage::Greeting`].
    Greeting {
        /// The server's words.
        said: String,
    },
    /// Of [`Stage::Capabilities`], before the login.
    Capabilities {
        /// By name.
        capabilities: Vec<String>,
    },
    /// Of [`Stage::Login`].
    Login {
        /// The mechanism.
        mechanism: &'static str,
    },
    /// Of [`Stage::Mailbox`], once for each that is polled.
    Mailbox {
        /// Its name; empty for a maildrop.
        mailbox: String,
        /// Messages in it.
        messages: u32,
        /// UIDVALIDITY, where there is one.
        uid_validity: Option<u32>,
    },
    /// Of [`Stage::Sender`].
    Sender {
        /// Its address.
        sender: String,
        /// The recipients that were taken.
        recipients: Vec<String>,
    },
    /// Of [`Stage::Message`].
    Message {
        /// Its name in the server's queue, where the server says one.
        queue_id: Option<String>,
        /// The server's last words.
        said: String,
    },
    /// Of [`Stage::Mailbox`], when all are asked for.
    Mailboxes {
        /// Those that exist.
        mailboxes: Vec<String>,
    },
}

/// A stage that has ended well.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Which.
    pub stage: Stage,
    /// How long it took.
    #[serde(skip)]
    pub took: Duration,
    /// What it found.
    #[serde(flatten)]
    pub facts: Facts,
}

/// Asked once before each login, when all is ready for it; a no, with its reason, ends the session.
pub type BeforeLogin = Box<dyn Fn() -> Permit + Send + Sync>;

/// The answer to a [`BeforeLogin`].
pub type Permit = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Told once behind each login that the server has taken, before anything else is said.
pub type AfterLogin = Box<dyn Fn() -> Told + Send + Sync>;

/// The end of an [`AfterLogin`].
pub type Told = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whether all octets of a message are out: who gives up behind the last one may send it twice.
#[derive(Clone, Debug, Default)]
pub struct AllSent(Arc<AtomicBool>);

impl AllSent {
    /// Whether they are.
    pub fn is_so(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Keeps the stage that is under way, and tells of those that have ended.
pub struct Witness {
    stage: Stage,
    since: Instant,
    told: Option<mpsc::Sender<Step>>,
    before_login: Option<BeforeLogin>,
    after_login: Option<AfterLogin>,
    all_sent: AllSent,
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Witness({:?})", self.stage)
    }
}

impl Witness {
    /// One that tells nobody, for polls.
    pub fn blind() -> Self {
        let (stage, since) = (Stage::Config, Instant::now());
        let (before_login, after_login, all_sent) = (None, None, AllSent::default());
        Self { stage, since, told: None, before_login, after_login, all_sent }
    }

    /// The same one, which asks before each login.
    #[must_use]
    pub fn asking(self, before_login: BeforeLogin) -> Self {
        Self { before_login: Some(before_login), ..self }
    }

    /// The same one, which tells of each login that the server has taken.
    #[must_use]
    pub fn telling_of(self, after_login: AfterLogin) -> Self {
        Self { after_login: Some(after_login), ..self }
    }

    /// To be awaited before the first octet that proves who we are.
    pub async fn permit_login(&self) -> Result<(), String> {
        match &self.before_login {
            Some(ask) => ask().await,
            None => Ok(()),
        }
    }

    /// To be awaited as soon as the server has taken a login.
    pub async fn logged_in(&self) {
        if let Some(tell) = &self.after_login {
            tell().await;
        }
    }

    /// The last octet of a message is out.
    pub fn sent_all(&self) {
        self.all_sent.0.store(true, Ordering::Release);
    }

    /// Where that can be seen.
    pub fn all_sent(&self) -> AllSent {
        self.all_sent.clone()
    }

    /// One that tells; what doesn't fit into the channel is left out.
    pub fn telling(told: mpsc::Sender<Step>) -> Self {
        Self { told: Some(told), ..Self::blind() }
    }

    /// A stage begins.
    pub fn begin(&mut self, stage: Stage) {
        self.stage = stage;
        self.since = Instant::now();
    }

    /// It has ended well. `facts` is asked only when somebody listens.
    pub fn found(&mut self, facts: impl FnOnce() -> Option<Facts>) {
        let Some(told) = &self.told else { return };
        if let Some(facts) = facts() {
            let step = Step { stage: self.stage, took: self.since.elapsed(), facts };
            told.try_send(step).ok();
        }
        self.since = Instant::now();
    }

    /// The stage that is under way, and for how long.
    pub fn under_way(&self) -> (Stage, Duration) {
        (self.stage, self.since.elapsed())
    }
}

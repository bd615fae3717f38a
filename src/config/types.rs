//! The checked configuration: plain data, valid and in units.

mod notices;
mod oauth;
mod received;

use super::deleting::{DeleteAge, DeleteMode, DeleteRule};
use super::facts::Facts;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use crate::model::{AccountName, ByteSize, Mechanism};

pub use notices::{Canary, NoticesConfig, Watch};
pub use received::{Deed, Exec, Forward, Rule, Save, Stdin, WebUrl, Webhook};

pub use oauth::{
    ClientProof, Grant, Oauth, OauthEndpoints, OauthProvider, OauthUses, SECRET_EXPIRY_WARNING,
};

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Files it was read from, the main one first.
    pub files: Vec<PathBuf>,
    /// `[daemon]`.
    pub daemon: DaemonConfig,
    /// `[archive]`.
    pub archive: ArchiveConfig,
    /// `[log]`.
    pub log: LogConfig,
    /// `[notices]`.
    pub notices: NoticesConfig,
    /// `[inbound.NAME]`, by name.
    pub inbound: BTreeMap<AccountName, Inbound>,
    /// `[outbound.NAME]`, by name.
    pub outbound: BTreeMap<AccountName, Outbound>,
    /// `[oauth.NAME]`, by name.
    pub oauth: BTreeMap<String, Arc<Oauth>>,
    /// All of it as it was given, to be compared and recorded.
    pub facts: Arc<Facts>,
}

impl Config {
    /// What each account logs in as, where the config says it.
    pub fn logins(&self) -> BTreeMap<AccountName, String> {
        let outbound = self.outbound.values();
        let outbound = outbound.filter_map(|a| Some((Arc::clone(&a.name), a.user.clone()?)));
        let inbound = self.inbound.values().map(|a| (Arc::clone(&a.name), a.user.clone()));
        outbound.chain(inbound).filter(|(_, user)| !user.is_empty()).collect()
    }
}

/// `[daemon]`.
#[derive(Clone, Debug, PartialEq)]
pub struct DaemonConfig {
    /// Ledger, log, keystore, lock; mode 0700.
    pub state_dir: PathBuf,
    /// The key that opens the keystore, where no credential does.
    pub keystore_key_file: PathBuf,
    /// Connections at the same time, all accounts together.
    pub max_connections: usize,
    /// Connections at the same time to one server.
    pub max_connections_per_server: usize,
    /// The group whose members may direct the running daemon.
    pub control_group: Option<String>,
    /// At most one outbound account may be enabled.
    pub single_outbound: bool,
}

/// `[archive]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchiveConfig {
    /// The archive root, made by `init-root`.
    pub root: PathBuf,
    /// Template of a message folder, with `{account}`, `{date}`, `{message}`.
    pub layout: String,
    /// Zone of `{date}` and of the folder's time.
    pub timezone: TimeZone,
    /// The zone's name, as `message.json` states it.
    pub timezone_name: String,
    /// What is written besides `message.eml` and `message.json`.
    pub write: Vec<WritePart>,
    /// Free space that fetching leaves alone.
    pub min_free: ByteSize,
    /// Mode of folders.
    pub dir_mode: u32,
    /// Mode of files.
    pub file_mode: u32,
    /// Deletes are allowed although the root is on a network file system.
    pub allow_network_root: bool,
}

/// Optional contents of a message folder.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum WritePart {
    /// `attachments/`.
    Attachments,
    /// `body.html`.
    Html,
    /// `body.txt`.
    Text,
}

/// `[log]`.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Least severe level that is kept: `error`, `warning`, `info`, `debug`.
    pub level: tracing::Level,
    /// How long records are kept.
    pub keep: Duration,
    /// Octets of `log.db`; `None`: any number.
    pub max_size: Option<u64>,
    /// Saved filters, by name; conditions on [`LOG`](crate::query::LOG)'s fields, checked.
    pub filters: BTreeMap<String, String>,
}

/// `[inbound.NAME]`: an IMAP account or a POP3 maildrop.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the config")]
pub struct Inbound {
    /// The table's name.
    pub name: AccountName,
    /// The name it had before a rename.
    pub renamed_from: Option<AccountName>,
    /// Free text for people.
    pub description: Option<String>,
    /// Goes into `message.json` and the log.
    pub label: Option<String>,
    /// Whether it is polled.
    pub enabled: bool,
    /// IMAP or POP3.
    pub protocol: Protocol,
    /// DNS name in ASCII (IDN as punycode) or IP address without brackets.
    pub host: String,
    /// TCP port, computed where the config has none.
    pub port: u16,
    /// When TLS begins.
    pub encryption: Encryption,
    /// Encryption `none` is meant.
    pub allow_plaintext: bool,
    /// Local address to connect from.
    pub bind_address: Option<IpAddr>,
    /// Whose certificates are taken, and which one we show.
    pub tls: TlsRules,
    /// User name; no CR, LF or NUL. Empty with `user_source`.
    pub user: String,
    /// Where the user name is, when it isn't in the config.
    pub user_source: Option<SecretSpec>,
    /// Where the password is; `None` with `oauth`, or where a client certificate is enough.
    pub password: Option<SecretSpec>,
    /// `[oauth.NAME]` instead of a password.
    pub oauth: Option<Arc<Oauth>>,
    /// Which mechanisms are allowed.
    pub safe_logon: SafeLogon,
    /// Only these mechanisms, in this order; empty: what the server offers, the strongest first.
    pub sasl: Vec<Mechanism>,
    /// Mailboxes, IMAP only; names or globs, `!` excludes.
    pub folders: Vec<String>,
    /// When it is polled.
    pub schedule: Schedule,
    /// Messages in one batch; `None`: no limit.
    pub batch_max: Option<u32>,
    /// Octets in one batch; `None`: no limit.
    pub batch_max_bytes: Option<ByteSize>,
    /// A poll goes on until nothing is left.
    pub drain: bool,
    /// Mail received earlier is skipped; mail of that very second is taken.
    pub process_after: Option<Timestamp>,
    /// Mail received longer ago is skipped.
    pub ignore_older_than: Option<Duration>,
    /// Mail younger than this waits.
    pub min_age: Option<Duration>,
    /// Larger messages are held; `None`: no limit.
    pub max_message_size: Option<ByteSize>,
    /// Messages with `\Seen` are skipped.
    pub only_unseen: bool,
    /// Messages get `\Seen` once they are stored.
    pub mark_seen: bool,
    /// Which stored messages leave the server.
    pub delete: DeleteRule,
    /// What its days are counted from.
    pub delete_age_from: DeleteAge,
    /// How they leave it.
    pub delete_mode: DeleteMode,
    /// Deletes wait for the actions of `on_received`.
    pub delete_after_actions: bool,
    /// Deletes in one poll; `None`: no limit.
    pub delete_max_per_poll: Option<u32>,
    /// POP3 without UIDL: download each time.
    pub pop3_no_uidl_download: bool,
    /// TCP connect.
    pub connect_timeout: Duration,
    /// Each wait for the server's next octets.
    pub read_timeout: Duration,
    /// Slower servers are taken for dead.
    pub min_rate: MinRate,
    /// A poll ends between messages when this is over.
    pub poll_deadline: Duration,
    /// An import never changes or removes the account.
    pub protect: bool,
    /// Writes the protocol to the log, secrets hidden.
    pub debug: bool,
    /// Protocol tuning.
    pub properties: Properties,
    /// When a person is to be told of it.
    pub watch: Watch,
    /// What is done with each stored message, in this order.
    pub on_received: Vec<Rule>,
}

/// IMAP or POP3.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// RFC 3501, RFC 9051.
    Imap,
    /// RFC 1939.
    Pop3,
}

impl Protocol {
    /// `imap` or `pop3`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
        }
    }
}

/// When TLS begins (RFC 8314).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Encryption {
    /// Never.
    None,
    /// After STARTTLS or STLS; without it the poll fails.
    StartTls,
    /// From the first octet.
    Tls,
}

impl Encryption {
    /// `none`, `starttls` or `tls`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::StartTls => "starttls",
            Self::Tls => "tls",
        }
    }
}

/// `tls_…`: which certificates are taken, and which one we show.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct TlsRules {
    /// False: any certificate is taken, with a warning at each start.
    pub verify: bool,
    /// PEM file of further CAs that are trusted.
    pub ca_file: Option<PathBuf>,
    /// Name to expect in the certificate instead of the host.
    pub name: Option<String>,
    /// SHA-256 of public keys (RFC 7469 §2.4): only a certificate with one of them is taken, and
    /// nothing else is asked of it. Empty: the authorities decide.
    pub pins: Vec<[u8; 32]>,
    /// TLS 1.2 is refused.
    pub only_tls13: bool,
    /// What we show when the server asks for a certificate.
    pub client: Option<ClientCertificate>,
}

/// A certificate of ours, with its key.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ClientCertificate {
    /// PEM file of the certificate and those that signed it.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
}

impl TlsRules {
    /// Whether anybody's certificate would do.
    pub fn take_anyone(&self) -> bool {
        !self.verify && self.pins.is_empty()
    }
}

impl Default for TlsRules {
    fn default() -> Self {
        Self {
            verify: true,
            ca_file: None,
            name: None,
            pins: Vec::new(),
            only_tls13: false,
            client: None,
        }
    }
}

/// Which authentication mechanisms are allowed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum SafeLogon {
    /// Any, wherever the config allows plaintext.
    Off,
    /// PLAIN, LOGIN and USER only under TLS (or with `allow_plaintext`).
    On,
    /// Never PLAIN, LOGIN or USER.
    Strict,
}

/// When an account is polled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Schedule {
    /// By a cron expression, checked, in the archive's zone.
    Cron(crate::schedule::CronSchedule),
    /// Again and again after this time.
    Every(Duration),
}

/// `"1KiB/5min"`: the least that a server must send while something is awaited from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MinRate {
    /// Octets.
    pub octets: u64,
    /// Within this time.
    pub window: Duration,
}

/// `[inbound.NAME.properties]`: a closed, typed set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Properties {
    /// `imap.fetch_chunk`: octets of one partial fetch of a large message.
    pub imap_fetch_chunk: ByteSize,
    /// `imap.list_window`: UIDs of one listing window.
    pub imap_list_window: u32,
    /// `imap.fetch_batch`: messages of one FETCH command.
    pub imap_fetch_batch: u32,
    /// `pop3.pipeline`: commands under way at once, where the server allows PIPELINING.
    pub pop3_pipeline: u32,
    /// `tcp.keepalive`: idle time before the first probe.
    pub tcp_keepalive: Duration,
}

/// Where a secret is. Debug shows no secret.
#[derive(Clone, Eq, PartialEq)]
pub enum SecretSpec {
    /// `{ command = [argv…] }`: the first line that it prints.
    Command(Vec<String>),
    /// `{ credential = "NAME" }`: a file of `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// `{ env = "NAME" }`.
    Env(String),
    /// `{ file = "PATH" }`: one trailing newline is dropped.
    File(PathBuf),
    /// `{ key = "NAME" }` of the keystore.
    Key(String),
    /// `"text"`.
    Text(Zeroizing<String>),
}

impl std::fmt::Debug for SecretSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(argv) => write!(f, "Command({:?}, …)", argv.first()),
            Self::Credential(name) => write!(f, "Credential({name:?})"),
            Self::Env(name) => write!(f, "Env({name:?})"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Key(name) => write!(f, "Key({name:?})"),
            Self::Text(_) => f.write_str("Text(***)"),
        }
    }
}

/// `[outbound.NAME]`: a submission server.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the config")]
pub struct Outbound {
    /// The table's name.
    pub name: AccountName,
    /// Free text for people.
    pub description: Option<String>,
    /// Whether it may be used.
    pub enabled: bool,
    /// How mail leaves.
    pub transport: Transport,
    /// DNS name or IP address; empty for `sendmail`.
    pub host: String,
    /// TCP port, computed where the config has none.
    pub port: u16,
    /// When TLS begins.
    pub encryption: Encryption,
    /// Encryption `none` is meant.
    pub allow_plaintext: bool,
    /// Local address to connect from.
    pub bind_address: Option<IpAddr>,
    /// Whose certificates are taken, and which one we show.
    pub tls: TlsRules,
    /// TCP connect.
    pub connect_timeout: Duration,
    /// Each answer of the server, up to the message's end.
    pub send_timeout: Duration,
    /// The answer to the message, and each wait for the server to take octets.
    pub read_timeout: Duration,
    /// Whether it logs in.
    pub log_in: bool,
    /// User name.
    pub user: Option<String>,
    /// Where the user name is, when it isn't in the config.
    pub user_source: Option<SecretSpec>,
    /// Where the password is.
    pub password: Option<SecretSpec>,
    /// `[oauth.NAME]` instead of a password.
    pub oauth: Option<Arc<Oauth>>,
    /// Which mechanisms are allowed.
    pub safe_logon: SafeLogon,
    /// Only these mechanisms, in this order; empty: what the server offers, the strongest first.
    pub sasl: Vec<Mechanism>,
    /// The inbound account that must log in first.
    pub pop_before_smtp: Option<AccountName>,
    /// How long that login is good for.
    pub pop_before_smtp_ttl: Duration,
    /// From address.
    pub from: Option<String>,
    /// Further addresses that the server lets it send as.
    pub allowed_from: Vec<String>,
    /// Display name of the From address.
    pub from_name: Option<String>,
    /// Organization field.
    pub organization: Option<String>,
    /// Reply-To addresses.
    pub reply_to: Vec<String>,
    /// Where test messages go.
    pub test_to: Option<String>,
    /// An import never changes or removes the account.
    pub protect: bool,
    /// Writes the protocol to the log, secrets hidden.
    pub debug: bool,
}

impl Outbound {
    /// Whether there is anything to log in with: a relay in the own network may ask for nothing.
    pub fn has_login(&self) -> bool {
        let proof = self.password.is_some() || self.oauth.is_some() || self.tls.client.is_some();
        self.log_in && self.transport == Transport::Smtp && proof
    }
}

/// How mail leaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Transport {
    /// By this program of the host, with these arguments.
    Sendmail(Vec<String>),
    /// To a server.
    Smtp,
}

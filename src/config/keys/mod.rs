//! The one table of keys: parser, hints, `config.example.toml` and the reference all read it.
//!
//! Holds no rules between keys; those are in `build`.

mod connection;
mod global;
mod inbound;
mod oauth;
mod outbound;
mod properties;
mod received;
mod selection;

use std::fmt;
use std::time::Duration;

/// One key.
#[derive(Debug)]
pub struct Key {
    /// As it stands in the file.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// The value without the key, as TOML; `None`: there is none, or it is computed.
    pub default: Option<&'static str>,
    /// A value for the example, as TOML.
    pub example: &'static str,
    /// What it does, one line.
    pub meaning: &'static str,
    /// When it is needed, or why the default is what it is; may be empty.
    pub reason: &'static str,
}

/// Keys that belong together.
#[derive(Debug)]
pub struct Group {
    /// Heading.
    pub title: &'static str,
    /// The keys, in the order of the example.
    pub keys: &'static [Key],
}

/// One kind of table.
#[derive(Debug)]
pub struct Table {
    /// `inbound.NAME`; empty for the top level.
    pub path: &'static str,
    /// What it is for, one line.
    pub meaning: &'static str,
    /// Its keys.
    pub groups: &'static [Group],
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// The name of an account or of an `[oauth.NAME]` table.
    AccountName,
    /// One mail address.
    Address,
    /// One mail address, or a list.
    Addresses,
    /// `true` or `false`.
    Bool,
    /// `true`, `false` or this word.
    BoolOr(&'static str),
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// A list of these words.
    Choices(&'static [&'static str]),
    /// A cron expression.
    Cron,
    /// A date and time, best with its offset.
    DateTime,
    /// `"expunge"`, `"trash"`, `"flag"` or `"move:FOLDER"`.
    DeleteMode,
    /// `"30s"`; at least, at most.
    Duration(Duration, Duration),
    /// A list of mailbox names or globs.
    Folders,
    /// A DNS name or IP address.
    Host,
    /// A whole number; at least, at most.
    Integer(i64, i64),
    /// An IP address.
    Ip,
    /// The template of a message folder.
    Layout,
    /// A whole number, or `"unlimited"`.
    Limit(i64, i64),
    /// A file mode, `"0640"`.
    Mode,
    /// A file or folder.
    Path,
    /// A folder, or a mailbox on the server.
    Place,
    /// A provider of the table.
    Provider,
    /// SHA-256 of one or several public keys.
    Pins,
    /// `"1KiB/5min"`.
    Rate,
    /// A password or the place where it is.
    Secret,
    /// `"64MiB"`.
    Size,
    /// `"64MiB"`, or `"unlimited"`.
    SizeLimit,
    /// One line of text with at most so many characters.
    Text(usize),
    /// A list of lines of text.
    Texts,
    /// One line of text with at most so many characters, or the place where it is.
    TextOrSecret(usize),
    /// An IANA time zone.
    TimeZone,
}

impl Kind {
    /// The unit of a value, where it has one.
    pub fn unit(self) -> Option<&'static str> {
        match self {
            Self::Duration(..) => Some("ms, s, m, h, d, w"),
            Self::Size | Self::SizeLimit => Some("octets, KB, MB, GB, KiB, MiB, GiB"),
            Self::Rate => Some("size/duration"),
            Self::Mode => Some("octal"),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    /// What is allowed, as hints, the example and the reference say it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccountName => f.write_str("a name of lower-case letters, digits, `.`, `_`, `-`"),
            Self::Address => f.write_str("a mail address"),
            Self::Addresses => f.write_str("a mail address or a list of them"),
            Self::Bool => f.write_str("`true` or `false`"),
            Self::BoolOr(word) => write!(f, "`true`, `false` or `\"{word}\"`"),
            Self::Choice(words) => write!(f, "one of {}", quoted(words)),
            Self::Choices(words) => write!(f, "a list of {}", quoted(words)),
            Self::Cron => f.write_str("a cron expression"),
            Self::DateTime => f.write_str("a date and time such as `2026-01-01T00:00:00Z`"),
            Self::DeleteMode => {
                f.write_str("one of `\"expunge\"`, `\"trash\"`, `\"flag\"`, or `\"move:FOLDER\"`")
            }
            Self::Duration(least, most) => write!(
                f,
                "a duration from {} to {}",
                super::value::duration_text(*least),
                super::value::duration_text(*most)
            ),
            Self::Folders => f.write_str("a list of mailbox names or globs, `!` excludes"),
            Self::Host => f.write_str("a DNS name or IP address"),
            Self::Integer(least, most) => write!(f, "a whole number from {least} to {most}"),
            Self::Ip => f.write_str("an IP address"),
            Self::Layout => f.write_str("a relative path with `{message}` as its last part"),
            Self::Limit(least, most) => {
                write!(f, "a whole number from {least} to {most}, or `\"unlimited\"`")
            }
            Self::Mode => f.write_str("an octal file mode in quotes"),
            Self::Path => f.write_str("a path; a relative one starts at the file's folder"),
            Self::Place => f.write_str(
                "a path; a relative one starts at the file's folder; or a mailbox's name",
            ),
            Self::Provider => f.write_str("a provider's name: `postrider provider list` has them"),
            Self::Pins => {
                f.write_str("the SHA-256 of a public key in base64 or hex, or a list of them")
            }
            Self::Rate => f.write_str("a size and a duration such as `\"1KiB/5min\"`"),
            Self::Secret => f.write_str(
                "a text, or one of `{ file = \"PATH\" }`, `{ key = \"NAME\" }`, \
                 `{ credential = \"NAME\" }`, `{ command = [\"PROGRAM\"] }`, `{ env = \"NAME\" }`",
            ),
            Self::Size => f.write_str("a size such as `\"64MiB\"`"),
            Self::SizeLimit => f.write_str("a size such as `\"64MiB\"`, or `\"unlimited\"`"),
            Self::Text(most) => write!(f, "one line of text, at most {most} characters"),
            Self::Texts => f.write_str("a list of texts"),
            Self::TextOrSecret(_) => f.write_str(
                "one line of text, or its place as `password` has it: `{ key = \"NAME\" }`",
            ),
            Self::TimeZone => f.write_str("an IANA time zone such as `Europe/Vienna`"),
        }
    }
}

impl Table {
    /// Its header in a file: `[inbound.NAME]`, `[[inbound.NAME.on_received]]`.
    pub fn header(&self) -> String {
        let path = self.path;
        if self.is_list() { format!("[[{path}]]") } else { format!("[{path}]") }
    }

    /// Whether there may be several of them, in an order.
    pub fn is_list(&self) -> bool {
        self.path.ends_with(".on_received")
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.groups.iter().flat_map(|group| group.keys.iter())
    }

    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }
}

/// All tables, in the order of the example.
pub const TABLES: &[&Table] = &[
    &TOP,
    &DAEMON,
    &ARCHIVE,
    &LOG,
    &FILTERS,
    &NOTICES,
    &INBOUND,
    &PROPERTIES,
    &CANARY,
    &ON_RECEIVED,
    &OUTBOUND,
    &OAUTH,
    &ACCOUNT,
];

pub(super) use global::{ARCHIVE, DAEMON, FILTERS, LOG, NOTICES, TOP};
pub(super) use inbound::INBOUND;
pub(super) use oauth::OAUTH;
pub(super) use outbound::{ACCOUNT, OUTBOUND};
pub(super) use properties::{CANARY, PROPERTIES};
pub(super) use received::ON_RECEIVED;

/// A key with a default.
const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
    reason: &'static str,
) -> Key {
    Key { name, kind, default: Some(default), example: default, meaning, reason }
}

/// A key without a default; the example shows `example`.
const fn bare(
    name: &'static str,
    kind: Kind,
    example: &'static str,
    meaning: &'static str,
    reason: &'static str,
) -> Key {
    Key { name, kind, default: None, example, meaning, reason }
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const fn days(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(86_400))
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
    words.join(", ")
}

/// Default of `tls_verify` and others, spelled once.
const YES: &str = "true";
const NO: &str = "false";

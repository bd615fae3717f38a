//! One record of the main log, and its level.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::model::Source;
use crate::query::{Atom, Facts};

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Number in `log.db`, growing, never used again; 0 before it is stored.
    pub id: i64,
    /// When it was made; UTC, milliseconds.
    #[serde(serialize_with = "milliseconds")]
    pub created_at: Timestamp,
    /// How bad it is.
    pub level: Level,
    /// Where in the program it comes from.
    pub source: Source,
    /// What happened, as a stable word; empty when the event has none.
    pub code: String,
    /// For people; one line, without control characters or secrets.
    pub message: String,
    /// The account that it is about.
    pub account: Option<String>,
    /// The poll that it belongs to.
    pub run: Option<String>,
    /// The mailbox that it is about.
    pub mailbox: Option<String>,
    /// UID of the message that it is about.
    pub uid: Option<u32>,
    /// The name that the account logs in with.
    pub username: Option<String>,
    /// Who made it: `system` for the daemon, else the person who ran the command.
    pub created_by: String,
    /// User id of who made it.
    pub created_uid: u32,
    /// The event's further fields.
    pub fields: Map<String, Value>,
}

impl Facts for Record {
    fn atoms(&self, field: &str, below: &str) -> Vec<Atom<'_>> {
        let text = |text: &str| Some(Atom::Text(Cow::Owned(text.to_owned())));
        let maybe = |of: &Option<String>| of.as_deref().and_then(text);
        let number = |number: i64| Some(Atom::Number(number));
        let atom = match field {
            "source" => text(self.source.as_str()),
            "level" => number(self.level.number()),
            "code" => text(&self.code),
            "message" => text(&self.message),
            "account" => maybe(&self.account),
            "username" => maybe(&self.username),
            "created_by" => text(&self.created_by),
            "created_uid" => number(self.created_uid.into()),
            "created_at" => number(self.created_at.as_millisecond()),
            "run" => maybe(&self.run),
            "mailbox" => maybe(&self.mailbox),
            "uid" => self.uid.map(|uid| Atom::Number(uid.into())),
            "id" => number(self.id),
            "fields" => self.fields.get(below).and_then(field_text).map(Cow::Owned).map(Atom::Text),
            _ => None,
        };
        atom.into_iter().collect()
    }
}

/// A field's value as conditions see it; null is none.
pub(super) fn field_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// How bad a record is; ordered from the worst.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something was not done.
    Error,
    /// Something needs a look.
    Warning,
    /// What was done.
    Info,
    /// How it was done.
    Debug,
}

impl Level {
    /// All levels, the worst first.
    pub const ALL: [Self; 4] = [Self::Error, Self::Warning, Self::Info, Self::Debug];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The level that a word names; `warn` will do.
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        let word = if word == "warn" { "warning" } else { word.as_str() };
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }

    /// As stored: 0 is an error, 3 is debug.
    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Error => 0,
            Self::Warning => 1,
            Self::Info => 2,
            Self::Debug => 3,
        }
    }
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::INFO => Self::Info,
            _ => Self::Debug,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn milliseconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

//! Where each effective value comes from: the file and line, a default, or the built-in one.

use std::collections::BTreeMap;

use serde::Serialize;

use super::types::SecretSpec;

/// Origins by table (`inbound.invoices`) and key.
pub type Origins = BTreeMap<String, BTreeMap<&'static str, Origin>>;

/// An effective value and where it comes from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Origin {
    /// As the config writes it; a secret by its kind only, such as `{ file }`.
    pub value: String,
    /// The secret itself, to compare it; shown nowhere.
    #[serde(skip)]
    pub(super) secret: Option<SecretSpec>,
    /// Where it comes from.
    #[serde(flatten)]
    pub from: OriginKind,
}

/// Where a value comes from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "from", content = "detail", rename_all = "kebab-case")]
pub enum OriginKind {
    /// The program's default.
    BuiltIn,
    /// Follows from other keys; which: `imap + tls`.
    Computed(String),
    /// `[defaults.inbound]` or `[defaults.outbound]`, `file:line`.
    Defaults(String),
    /// The account's own tables, `file:line`.
    File(String),
}

impl Origin {
    /// A value that is no secret.
    pub(super) fn plain(value: String, from: OriginKind) -> Self {
        Self { value, secret: None, from }
    }
}

impl std::fmt::Display for Origin {
    /// `993 (computed: imap + tls)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.from {
            OriginKind::BuiltIn => write!(f, "{} (built-in)", self.value),
            OriginKind::Computed(why) => write!(f, "{} (computed: {why})", self.value),
            OriginKind::Defaults(place) => write!(f, "{} (defaults: {place})", self.value),
            OriginKind::File(place) => write!(f, "{} ({place})", self.value),
        }
    }
}

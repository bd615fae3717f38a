//! What a person must learn by mail, and when: conditions, their ends, reminders, one digest.
//!
//! Pure: facts, what was told before and `now` are arguments. [`watch()`] turns facts into
//! conditions, [`Standing`]s remember them, [`news`] says what is to be told of them, [`due`] when a
//! mail may go, [`write()`] what stands in it. The tables are `ledger::notices`', the clock and the
//! network are `daemon::herald`'s.

mod actions;
mod digest;
mod expiry;
mod facts;
mod standing;
#[cfg(test)]
mod tests;
mod text;
mod watch;

use jiff::Timestamp;
use serde::Serialize;

pub use digest::{Due, Policy, due, fold_after, retry_after};
pub use facts::{
    AccountFacts, ActionsFacts, CanaryFacts, ErrorFacts, Expiry, Facts, HeldFacts, OauthFacts,
    RefusedConfig,
};
pub use standing::{News, Standing, State, Told, Word, news, observe, tell};
pub use text::{Digest, LogLine, host_subject, write};
pub use watch::{Look, watch};

/// What kind of thing is wrong; with a subject it names a condition.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An account is not polled as it should be.
    Account,
    /// What rules ask for has failed for good.
    Actions,
    /// The archive takes nothing, or its disk is nearly full.
    Archive,
    /// A canary did not arrive in time.
    Canary,
    /// A server's certificate is about to expire.
    Certificate,
    /// The certificate that we show is about to expire.
    ClientCertificate,
    /// A reload was refused.
    Config,
    /// Nothing is deleted until a person resumes it.
    DeleteStop,
    /// Messages can't be fetched or stored.
    Held,
    /// An account gets no mail.
    NoMail,
    /// A person must log in at a provider.
    OauthConsent,
    /// A client's secret is about to expire.
    OauthSecret,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Account,
        Self::Actions,
        Self::Archive,
        Self::Canary,
        Self::Certificate,
        Self::ClientCertificate,
        Self::Config,
        Self::DeleteStop,
        Self::Held,
        Self::NoMail,
        Self::OauthConsent,
        Self::OauthSecret,
    ];

    /// The word for it: `delete-stop`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Actions => "actions",
            Self::Archive => "archive",
            Self::Canary => "canary",
            Self::Certificate => "certificate",
            Self::ClientCertificate => "client-certificate",
            Self::Config => "config",
            Self::DeleteStop => "delete-stop",
            Self::Held => "held",
            Self::NoMail => "no-mail",
            Self::OauthConsent => "oauth-consent",
            Self::OauthSecret => "oauth-secret",
        }
    }

    /// The kind that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Something that a person should know of for as long as it lasts.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Condition {
    /// What kind of thing.
    pub kind: Kind,
    /// The account or record; empty where there is only one.
    pub subject: String,
    /// How bad; one that rises is told again.
    pub grade: u32,
    /// Since when it has been so.
    pub since: Timestamp,
    /// The log's code that explains it.
    pub code: String,
    /// In a few words, for the mail's subject: `no successful poll for 6 h`.
    pub title: String,
    /// What has happened.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Condition {
    /// What tells it from all others.
    pub fn key(&self) -> (Kind, &str) {
        (self.kind, &self.subject)
    }
}

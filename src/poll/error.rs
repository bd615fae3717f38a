//! What ends a poll, or a part of it.

use crate::archive::ArchiveError;
use crate::config::Inbound;
use crate::ledger::LedgerError;
use crate::log::codes;
use crate::mailbox::{self, ErrorScope, MailboxError, Retry};
use crate::model::{AccountName, Source};
use crate::oauth::OauthError;
use crate::schedule::Failure;
use crate::secret::SecretError;

/// An error that ends a poll.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The daemon is stopping.
    #[error("stopped")]
    Cancelled,
    /// What is in a mailbox can't be counted as known.
    #[error("nothing was recorded of {0}")]
    CatchUp(String),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The server or the way to it.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// There is no token to log in with.
    #[error(transparent)]
    Oauth(#[from] OauthError),
    /// The account seems to be one that had another name.
    #[error(
        "the mail of this server and user is stored under `{before}`, which the config doesn't \
         have any more"
    )]
    Renamed {
        /// The account.
        name: AccountName,
        /// Its other name.
        before: String,
    },
    /// The account's secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A task of the poll died.
    #[error("a task of the poll ended unexpectedly: {0}")]
    Task(String),
    /// The server refused a token that had just been got.
    #[error("{error}")]
    TokenRefused {
        /// The server's refusal.
        error: MailboxError,
        /// What mends it at this provider.
        hint: String,
    },
}

impl PollError {
    /// The stable code of its log record.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Archive(error) => error.code(),
            Self::Cancelled => "poll-stopped",
            Self::CatchUp(_) => "catch-up-refused",
            Self::Ledger(error) => error.code(),
            Self::Mailbox(error) | Self::TokenRefused { error, .. } => error.code(),
            Self::Oauth(error) => error.code(),
            Self::Renamed { .. } => "account-renamed",
            Self::Secret(_) => "secret-failed",
            Self::Task(_) => "internal-error",
        }
    }

    /// What a person can do about it: in this case, or in general with such a code.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Archive(error) => error.hint(),
            Self::Mailbox(error) => error.hint(),
            Self::Oauth(error) => error.hint(),
            Self::Secret(error) => Some(error.hint()),
            Self::Renamed { name, before } => {
                Some(format!("set `renamed_from = \"{before}\"` in `[inbound.{name}]`"))
            }
            Self::Ledger(error) => error.hint().map(str::to_owned),
            Self::TokenRefused { hint, .. } => Some(hint.clone()),
            Self::Cancelled | Self::CatchUp(_) | Self::Task(_) => None,
        };
        hint.or_else(|| codes::find(self.code()).map(|code| code.remedy.to_owned()))
    }

    /// What a person can do about it in this account: what is known of its provider and of such
    /// mistakes, else the general [`hint`](Self::hint).
    pub fn advice(&self, account: &Inbound) -> Option<String> {
        let known = match self {
            Self::Mailbox(error) => mailbox::advice(account, error),
            _ => None,
        };
        known.or_else(|| self.hint())
    }

    /// What kind of failure it is, for back-off.
    pub fn failure(&self) -> Failure {
        let error = match self {
            Self::Mailbox(error) | Self::TokenRefused { error, .. } => error,
            Self::Oauth(OauthError::NeedsPerson { .. }) => return Failure::NeedsPerson,
            Self::Oauth(OauthError::Unavailable { after: Some(after), .. }) => {
                return Failure::NotBefore(*after);
            }
            _ => return Failure::Transient,
        };
        match error.retry() {
            Retry::Credentials => Failure::Authentication,
            Retry::NotBefore(wait) => Failure::NotBefore(wait),
            Retry::AfterChange | Retry::Later => Failure::Transient,
        }
    }

    /// Whether other mailboxes of the account may go on in the same session.
    pub fn is_of_mailbox(&self) -> bool {
        matches!(self, Self::Mailbox(error) if error.scope() < ErrorScope::Account)
    }

    /// The source of its log record; `auth` is the protocol's.
    pub fn source(&self, auth: Source) -> Source {
        match self {
            Self::Archive(_) => Source::Archive,
            Self::Renamed { .. } => Source::Config,
            Self::Cancelled | Self::CatchUp(_) | Self::Ledger(_) | Self::Task(_) => Source::Daemon,
            Self::Mailbox(
                MailboxError::Credentials { .. }
                | MailboxError::NoMechanism { .. }
                | MailboxError::Net(_),
            )
            | Self::Secret(_)
            | Self::TokenRefused { .. } => auth,
            Self::Oauth(_) => Source::Oauth,
            Self::Mailbox(_) => Source::Incoming,
        }
    }
}

//! What keeps mail from going out.

use crate::config::Outbound;
use crate::log::codes;
use crate::oauth::OauthError;
use crate::outbound::{Retry, SubmitError};
use crate::poll::PollError;
use crate::schedule::Failure;
use crate::secret::SecretError;

/// An error that ends an attempt to send.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The inbound account that must log in first could not; nothing was asked of the SMTP server.
    #[error("`{account}` must log in before sending, and can't: {error}")]
    Before {
        /// Its name.
        account: String,
        /// Why.
        error: Box<PollError>,
    },
    /// The inbound account that must log in first is to be left alone; nobody was asked.
    #[error("`{account}` must log in before sending, and is left alone: {why}")]
    BeforeKept {
        /// Its name.
        account: String,
        /// Why.
        why: String,
    },
    /// There is no token to log in with.
    #[error(transparent)]
    Oauth(#[from] OauthError),
    /// The account's secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The server or the way to it.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The server refused a token that had just been got.
    #[error("{error}")]
    TokenRefused {
        /// The server's refusal.
        error: Box<SubmitError>,
        /// What mends it at this provider.
        hint: String,
    },
}

/// How a login went, as an error of sending tells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoginEnd {
    /// The server took it, and something behind it went wrong.
    Accepted,
    /// It was refused.
    Refused(Failure),
}

impl SendError {
    /// The stable code of its log record.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Before { error, .. } => error.code(),
            Self::BeforeKept { .. } => "account-rests",
            Self::Oauth(error) => error.code(),
            Self::Secret(_) => "secret-failed",
            Self::Submit(error) => error.code(),
            Self::TokenRefused { error, .. } => error.code(),
        }
    }

    /// The error of the submission itself, if it got so far.
    pub fn submit(&self) -> Option<&SubmitError> {
        match self {
            Self::Submit(error) => Some(error),
            Self::TokenRefused { error, .. } => Some(error),
            Self::Before { .. } | Self::BeforeKept { .. } | Self::Oauth(_) | Self::Secret(_) => {
                None
            }
        }
    }

    /// What a person can do about it in this account.
    pub fn advice(&self, account: &Outbound) -> Option<String> {
        let hint = match self {
            Self::Before { error, .. } => error.hint(),
            Self::BeforeKept { .. } => None,
            Self::Oauth(error) => error.hint(),
            Self::Secret(error) => Some(error.hint()),
            Self::Submit(error) => super::advice(account, error).or_else(|| error.hint()),
            Self::TokenRefused { error, hint } => {
                super::advice(account, error).or_else(|| Some(hint.clone()))
            }
        };
        hint.or_else(|| codes::find(self.code()).map(|code| code.remedy.to_owned()))
    }

    /// What it means for the account's own login, where it means anything.
    pub fn of_login(&self) -> Option<LoginEnd> {
        let error = match self {
            Self::Submit(error) => error,
            Self::TokenRefused { .. } => return Some(LoginEnd::Refused(Failure::Authentication)),
            Self::Oauth(OauthError::NeedsPerson { .. }) => {
                return Some(LoginEnd::Refused(Failure::NeedsPerson));
            }
            _ => return None,
        };
        if error.retry() == Retry::Credentials {
            return Some(LoginEnd::Refused(Failure::Authentication));
        }
        error.is_behind_login().then_some(LoginEnd::Accepted)
    }

    /// When to try again.
    pub fn retry(&self) -> Retry {
        let failure = match self {
            Self::Submit(error) => return error.retry(),
            Self::TokenRefused { error, .. } => return error.retry(),
            Self::Before { error, .. } => error.failure(),
            Self::Oauth(OauthError::NeedsPerson { .. }) => return Retry::AfterChange,
            Self::BeforeKept { .. } | Self::Oauth(_) | Self::Secret(_) => return Retry::Later,
        };
        match failure {
            Failure::Authentication => Retry::Credentials,
            Failure::NeedsPerson => Retry::AfterChange,
            Failure::NotBefore(_) | Failure::Transient => Retry::Later,
        }
    }
}

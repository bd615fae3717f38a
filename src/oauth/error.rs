//! What can go wrong with a token, cut by what the caller does next.

use std::time::Duration;

use super::Diagnosis;
use crate::secret::SecretError;

/// Why there is no token. Shows no part of a secret.
#[derive(Debug, thiserror::Error)]
pub enum OauthError {
    /// Asking again changes nothing before a person has acted.
    #[error("{message}")]
    NeedsPerson {
        /// Stable code of the log: `oauth-needs-login`, `oauth-refused`.
        code: &'static str,
        /// What the provider said, in words.
        message: String,
        /// The command or step that mends it.
        hint: String,
    },
    /// The provider refuses now, but may not later.
    #[error("{message}")]
    NotNow {
        /// What the provider said, in words.
        message: String,
        /// What may help meanwhile.
        hint: String,
    },
    /// A secret or key of the config can't be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The token's file can't be read or written.
    #[error("token file {path}: {why}")]
    Store {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The endpoint is out of reach, busy or broken: the same may work later.
    #[error("{what}")]
    Unavailable {
        /// Which endpoint, and what came of it.
        what: String,
        /// How long it asks to be left alone.
        after: Option<Duration>,
    },
}

impl OauthError {
    /// What a diagnosis comes to.
    pub(super) fn of(found: Diagnosis) -> Self {
        let Diagnosis { code, message, hint } = found;
        match code {
            Some(code) => Self::NeedsPerson { code, message, hint },
            None => Self::NotNow { message, hint },
        }
    }

    pub(super) fn unavailable(what: impl Into<String>) -> Self {
        Self::Unavailable { what: what.into(), after: None }
    }

    /// The stable code of its log record.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NeedsPerson { code, .. } => code,
            Self::Secret(_) => "secret-failed",
            Self::Store { .. } => "oauth-store",
            Self::NotNow { .. } | Self::Unavailable { .. } => "oauth-unavailable",
        }
    }

    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NeedsPerson { hint, .. } | Self::NotNow { hint, .. } => Some(hint.clone()),
            Self::Secret(error) => Some(error.hint()),
            Self::Store { .. } | Self::Unavailable { .. } => None,
        }
    }
}

//! What an outbound account proves itself by, in memory for the time of a login.

use std::sync::Arc;

use super::error::SendError;
use super::without_user;
use crate::config::{Oauth, Outbound};
use crate::oauth::{Claims, Token, refused_sending};
use crate::outbound::SubmitError;
use crate::poll::{Clock, Keyring};
use crate::sasl::Proof;
use crate::secret::{self, Secret};

/// A login's proof; none for a relay that asks for no login.
pub(super) enum Credentials {
    Certificate,
    None,
    Password(Secret),
    Token(Arc<Oauth>, Token),
}

/// The account with its user name, wherever that is kept.
pub(super) async fn named(account: &Outbound, keyring: &Keyring) -> Result<Outbound, SendError> {
    let mut account = account.clone();
    let Some(spec) = account.user_source.clone().filter(|_| account.has_login()) else {
        return Ok(account);
    };
    let owner = format!("outbound account `{}`, `user`", account.name);
    let user = secret::resolve(&spec, &owner, &keyring.secrets).await?;
    keyring.redactor.register(user.expose());
    account.user = Some(user.expose().to_owned());
    Ok(account)
}

/// Where the proof is found, for people.
pub(super) fn place(account: &Outbound) -> Option<String> {
    if !account.has_login() {
        return None;
    }
    let tokens = account.oauth.as_ref().map(|oauth| format!("[oauth.{}]", oauth.name));
    tokens.or_else(|| account.password.as_ref().map(secret::place))
}

impl Credentials {
    /// Reads them; the log is told to hide them before they go anywhere.
    pub(super) async fn of(
        account: &Outbound,
        keyring: &Keyring,
        clock: Clock,
        wary: bool,
    ) -> Result<Self, SendError> {
        if !account.has_login() {
            return Ok(Self::None);
        }
        if let Some(oauth) = &account.oauth {
            let mut token = keyring.tokens.token(oauth, &clock.moment()).await?;
            if wary && !token.is_new {
                let old = &token.access.token;
                token = keyring.tokens.instead_of(oauth, old, &clock.moment()).await?;
            }
            return Ok(Self::Token(Arc::clone(oauth), token));
        }
        let Some(spec) = &account.password else { return Ok(Self::Certificate) };
        let owner = format!("outbound account `{}`, `password`", account.name);
        let secret = secret::resolve(spec, &owner, &keyring.secrets).await?;
        keyring.redactor.register(secret.expose());
        Ok(Self::Password(secret))
    }

    pub(super) fn proof(&self) -> Option<Proof<'_>> {
        match self {
            Self::Certificate => Some(Proof::Certificate),
            Self::None => None,
            Self::Password(secret) => Some(Proof::Password(secret.expose())),
            Self::Token(_, token) => Some(Proof::Token(token.access.token.expose())),
        }
    }

    /// A new token instead of an old one that the server has refused; never the same twice.
    pub(super) async fn instead(
        self,
        account: &Outbound,
        keyring: &Keyring,
        error: SubmitError,
    ) -> Result<Self, SendError> {
        let refused = matches!(error, SubmitError::Credentials { .. });
        match &self {
            Self::Token(oauth, token) if refused && !token.is_new => {
                let now = Clock.moment();
                let token = keyring.tokens.instead_of(oauth, &token.access.token, &now).await?;
                Ok(Self::Token(Arc::clone(oauth), token))
            }
            _ => Err(self.refused(account, error)),
        }
    }

    /// What a failed login means: a refused token has other causes than a wrong password.
    pub(super) fn refused(&self, account: &Outbound, error: SubmitError) -> SendError {
        let error = without_user(account, error);
        match (self, &error) {
            (Self::Token(oauth, token), SubmitError::Credentials { .. }) => {
                let claims = Claims::of(token.access.token.expose());
                let hidden = account.user_source.is_some();
                let user = account.user.as_deref().filter(|_| !hidden).unwrap_or("(hidden)");
                let hint = refused_sending(oauth, user, claims.as_ref());
                SendError::TokenRefused { error: Box::new(error), hint }
            }
            _ => error.into(),
        }
    }
}

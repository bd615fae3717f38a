//! An account's secrets, read anew for each login, hidden in the log before they go anywhere.

use std::borrow::Cow;
use std::sync::Arc;

use super::error::PollError;
use crate::config::Inbound;
use crate::log::Redactor;
use crate::mailbox::MailboxError;
use crate::sasl::Proof;
use crate::secret::{self, Secret, Surroundings};

/// What resolves secrets, and what must hide them.
#[derive(Clone, Debug)]
pub struct Keyring {
    /// Where secrets are looked for.
    pub secrets: Arc<Surroundings>,
    /// Told of each secret before it is used.
    pub redactor: Redactor,
}

/// What an account proves itself by, in memory for the time of a login.
pub(crate) enum Credentials {
    /// A certificate, which TLS shows.
    Certificate,
    /// A password.
    Password(Secret),
}

impl Keyring {
    /// Reads an account's credentials; the account comes with its user name, wherever that is.
    pub(crate) async fn credentials<'a>(
        &self,
        account: &'a Inbound,
    ) -> Result<(Cow<'a, Inbound>, Credentials), PollError> {
        if account.oauth.is_some() {
            let what = "logging in by `oauth` is not available yet; use `password`".to_owned();
            return Err(MailboxError::Unsupported { what }.into());
        }
        let account = self.named(account).await?;
        let Some(spec) = &account.password else { return Ok((account, Credentials::Certificate)) };
        let owner = format!("account `{}`, `password`", account.name);
        let secret = secret::resolve(spec, &owner, &self.secrets).await?;
        self.redactor.register(secret.expose());
        Ok((account, Credentials::Password(secret)))
    }

    /// The account with its user name. One that is kept elsewhere is in no table, log or archive:
    /// only this copy of the account has it, for the time of a login.
    async fn named<'a>(&self, account: &'a Inbound) -> Result<Cow<'a, Inbound>, PollError> {
        let Some(spec) = &account.user_source else { return Ok(Cow::Borrowed(account)) };
        let owner = format!("account `{}`, `user`", account.name);
        let user = secret::resolve(spec, &owner, &self.secrets).await?;
        self.redactor.register(user.expose());
        let user = user.expose().to_owned();
        Ok(Cow::Owned(Inbound { user, ..account.clone() }))
    }
}

/// A user name that is kept elsewhere stands in no error either.
pub(super) fn without_user(account: &Inbound, error: MailboxError) -> MailboxError {
    match error {
        MailboxError::Credentials { mechanism, said, .. } if account.user_source.is_some() => {
            MailboxError::Credentials { user: "(hidden)".to_owned(), mechanism, said }
        }
        other => other,
    }
}

impl Credentials {
    pub(crate) fn proof(&self) -> Proof<'_> {
        match self {
            Self::Certificate => Proof::Certificate,
            Self::Password(secret) => Proof::Password(secret.expose()),
        }
    }
}

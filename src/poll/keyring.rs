//! An account's secrets, read anew for each login, hidden in the log before they go anywhere.

use std::borrow::Cow;
use std::sync::Arc;

use super::error::PollError;
use crate::config::Inbound;
use crate::log::Redactor;
use crate::mailbox::MailboxError;
use crate::oauth::Vault;
use crate::secret::{self, Secret, Surroundings};

/// What resolves secrets, and what must hide them.
#[derive(Clone, Debug)]
pub struct Keyring {
    /// Where secrets are looked for.
    pub secrets: Arc<Surroundings>,
    /// Told of each secret before it is used.
    pub redactor: Redactor,
    /// The OAuth2 tokens.
    pub tokens: Vault,
}

impl Keyring {
    /// The account with its user name. One that is kept elsewhere is in no table, log or archive:
    /// only this copy of the account has it, for the time of a login.
    pub(super) async fn named<'a>(
        &self,
        account: &'a Inbound,
    ) -> Result<Cow<'a, Inbound>, PollError> {
        let Some(user) = self.hidden_user(account).await? else {
            return Ok(Cow::Borrowed(account));
        };
        let user = user.expose().to_owned();
        Ok(Cow::Owned(Inbound { user, ..account.clone() }))
    }

    /// The user name, where it is kept elsewhere.
    pub(super) async fn hidden_user(&self, account: &Inbound) -> Result<Option<Secret>, PollError> {
        let Some(spec) = &account.user_source else { return Ok(None) };
        let owner = format!("account `{}`, `user`", account.name);
        let user = secret::resolve(spec, &owner, &self.secrets).await?;
        self.redactor.register(user.expose());
        Ok(Some(user))
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

//! What IMAP and POP3 share of a login: the account's rules, and what a broken exchange means.

use uuid::Uuid;

use super::MailboxError;
use crate::config::Inbound;
use crate::sasl::{self, Binding, Choice, Has, Login, Mechanism, Policy, Proof, SaslError};

/// A user name or secret with a line end in it would be another command.
pub(super) fn are_sendable(user: &str, proof: Proof<'_>) -> Result<(), MailboxError> {
    let secret = match proof {
        Proof::Password(text) | Proof::Token(text) => text,
        Proof::Certificate => "",
    };
    if sasl::is_sendable(user) && sasl::is_sendable(secret) && !secret.contains('\x01') {
        return Ok(());
    }
    let what = "the user name or the password holds a line end or NUL".to_owned();
    Err(MailboxError::NoMechanism { what })
}

/// What the account's config says of authentication.
pub(super) fn policy<'a>(
    account: &'a Inbound,
    proof: Proof<'_>,
    encrypted: bool,
    bindable: bool,
) -> Policy<'a> {
    Policy {
        only: &account.sasl,
        safe_logon: account.safe_logon,
        allow_plaintext: account.allow_plaintext,
        encrypted,
        bindable,
        has: Has::of(proof),
    }
}

/// Who logs in by what was chosen.
pub(super) fn login<'a>(
    account: &'a Inbound,
    proof: Proof<'a>,
    choice: Choice,
    channel: Option<&'a [u8; 32]>,
) -> Login<'a> {
    let binding = Binding::of(choice, channel);
    Login { user: &account.user, proof, host: &account.host, port: account.port, binding }
}

/// Fresh chance for an exchange: 122 bits in hex.
pub(super) fn nonce() -> String {
    Uuid::new_v4().simple().to_string()
}

/// What an exchange that ended early means for the account.
pub(super) fn broken(error: &SaslError, user: &str, mechanism: Mechanism) -> MailboxError {
    match error {
        SaslError::Refused(said) => MailboxError::Credentials {
            user: user.to_owned(),
            mechanism: mechanism.name().to_owned(),
            said: said.chars().flat_map(char::escape_debug).collect(),
        },
        SaslError::FalseServer => {
            MailboxError::FalseServer { what: format!("{mechanism}: {error}") }
        }
        SaslError::Proof(_) => MailboxError::NoMechanism { what: error.to_string() },
        SaslError::Challenge(_) => {
            MailboxError::Protocol { what: format!("in {mechanism}, {error}") }
        }
    }
}

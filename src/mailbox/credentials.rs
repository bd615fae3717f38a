//! What IMAP and POP3 share of a login: the account's rules, the forms of its secrets, and one
//! step of a SASL exchange.

use std::time::Duration;

use data_encoding::BASE64;
use tokio::task::JoinHandle;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::MailboxError;
use crate::config::Inbound;
use crate::sasl::{
    self, Binding, Choice, Exchange, Has, Login, Mechanism, Policy, Proof, SaslError,
};

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
        has: match proof {
            Proof::Certificate => Has::Certificate,
            Proof::Password(_) => Has::Password,
            Proof::Token(_) => Has::Token,
        },
    }
}

/// Who logs in by what was chosen.
///
/// Where the config names no binding mechanism, the exchange says that we know none: true of a client
/// that takes none (RFC 5802 §6). Where it does and the server offers none, the server is told that
/// we could, so that a stripped offer is found out.
pub(super) fn login<'a>(
    account: &'a Inbound,
    proof: Proof<'a>,
    choice: Choice,
    channel: Option<&'a [u8; 32]>,
) -> Login<'a> {
    let binding = match channel {
        Some(octets) if choice.mechanism.binds() => Binding::TlsExporter(octets),
        Some(_) if choice.binding_missing => Binding::NotOffered,
        _ => Binding::None,
    };
    Login { user: &account.user, proof, host: &account.host, port: account.port, binding }
}

/// The forms in which a server could repeat the secret, the longest first.
pub(super) fn secrets(login: &Login<'_>) -> Vec<Zeroizing<String>> {
    let (Proof::Password(secret) | Proof::Token(secret)) = login.proof else { return Vec::new() };
    let bare = |text: String| {
        let text = Zeroizing::new(text);
        Zeroizing::new(text.trim_end_matches('=').to_owned())
    };
    let plain = sasl::joined(&["\0", login.user, "\0", secret]);
    let escaped = Zeroizing::new(secret.replace('\\', "\\\\"));
    let escaped = Zeroizing::new(escaped.replace('"', "\\\""));
    vec![
        bare(BASE64.encode(plain.as_bytes())),
        bare(BASE64.encode(secret.as_bytes())),
        sasl::joined(&["\"", &escaped, "\""]),
        Zeroizing::new(secret.to_owned()),
    ]
}

/// Fresh chance for an exchange: 122 bits in hex.
pub(super) fn nonce() -> String {
    Uuid::new_v4().simple().to_string()
}

/// The answer to a challenge, both in base64. What takes long is computed off the async threads.
pub(super) async fn respond(
    exchange: &mut Exchange,
    challenge: &str,
) -> Result<Zeroizing<String>, SaslError> {
    let octets = BASE64
        .decode(challenge.trim().as_bytes())
        .map_err(|_| SaslError::Challenge("is no base64".to_owned()))?;
    let response = if exchange.is_slow() {
        let over = Exchange::over(exchange.mechanism());
        let mut away = std::mem::replace(exchange, over);
        let work = tokio::task::spawn_blocking(move || {
            let answer = away.answer(&octets);
            (away, answer)
        });
        let (back, answer) = within(ANSWER_LIMIT, work).await.ok_or_else(|| {
            SaslError::Challenge(format!("takes more than {ANSWER_LIMIT:?} to answer"))
        })?;
        *exchange = back;
        answer?
    } else {
        exchange.answer(&octets)?
    };
    Ok(Zeroizing::new(BASE64.encode(&response)))
}

/// Long for the most rounds that are taken, even on a machine that is busy otherwise.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "a computation, not the network")]
async fn within<T>(limit: Duration, work: JoinHandle<T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()?.ok()
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

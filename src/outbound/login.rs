//! AUTH (RFC 4954): one attempt with the strongest mechanism that both sides allow.

use tokio::io::{AsyncRead, AsyncWrite};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::channel::Channel;
use super::error::{Refused, SubmitError};
use super::printable::printable;
use super::reply::Reply;
use crate::config::Outbound;
use crate::sasl::{
    self, Binding, Choice, Exchange, Has, Login, Mechanism, Policy, Proof, SaslError,
};

/// The longest command line that every server takes, its CRLF included (RFC 5321 §4.5.3.1.4).
const COMMAND_MAX: usize = 512;
/// Challenges of one exchange; SCRAM has two.
const CHALLENGES_MAX: usize = 5;

/// A user name or secret with a line end in it would be another command.
pub(super) fn is_sendable(account: &Outbound, proof: Option<Proof<'_>>) -> Result<(), SubmitError> {
    let secret = match proof {
        Some(Proof::Password(text) | Proof::Token(text)) => text,
        Some(Proof::Certificate) | None => "",
    };
    let user = account.user.as_deref().unwrap_or_default();
    if sasl::is_sendable(user) && sasl::is_sendable(secret) && !secret.contains('\x01') {
        return Ok(());
    }
    let what = "the user name or the password holds a line end or NUL".to_owned();
    Err(SubmitError::NoMechanism { what })
}

/// The account's login, without a channel binding.
pub(super) fn of<'a>(account: &'a Outbound, proof: Proof<'a>) -> Login<'a> {
    let user = account.user.as_deref().unwrap_or_default();
    Login { user, proof, host: &account.host, port: account.port, binding: Binding::None }
}

/// Which mechanism is taken of those that the server offers.
pub(super) fn choose(
    account: &Outbound,
    proof: Proof<'_>,
    offered: Option<&[Mechanism]>,
    channel: Option<&[u8; 32]>,
    encrypted: bool,
) -> Result<Choice, SubmitError> {
    let Some(offered) = offered else {
        let what = "the server offers no AUTH here".to_owned();
        return Err(SubmitError::NoMechanism { what });
    };
    let policy = Policy {
        only: &account.sasl,
        safe_logon: account.safe_logon,
        allow_plaintext: account.allow_plaintext,
        encrypted,
        bindable: channel.is_some(),
        has: Has::of(proof),
    };
    sasl::choose(offered, &policy).map_err(|none| SubmitError::NoMechanism { what: none.what })
}

/// Logs in by what was chosen.
pub(super) async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    channel: &mut Channel<'_, S>,
    account: &Outbound,
    proof: Proof<'_>,
    choice: Choice,
    binding: Option<&[u8; 32]>,
) -> Result<(), SubmitError> {
    let mechanism = choice.mechanism;
    let login = Login { binding: Binding::of(choice, binding), ..of(account, proof) };
    let broken = |error: SaslError| broken(&error, mechanism);
    let nonce = Uuid::new_v4().simple().to_string();
    let mut exchange = Exchange::new(mechanism, &login, &nonce).map_err(broken)?;
    let (line, shown) = first_line(&mut exchange);
    let mut reply = channel.say_secret(line.as_bytes(), &shown).await?;
    let mut asked = 0_usize;
    while reply.is_intermediate() {
        asked = asked.saturating_add(1);
        if asked > CHALLENGES_MAX || reply.code != 334 {
            return Err(SubmitError::Protocol { what: format!("{mechanism} has no end") });
        }
        let challenge = reply.lines.first().map(String::as_str).unwrap_or_default();
        match exchange.respond(challenge).await {
            Ok(response) => {
                let shown = if response.is_empty() { "" } else { "***" };
                reply = channel.say_secret(response.as_bytes(), shown).await?;
            }
            Err(error) => {
                // RFC 4954 §4: "*" cancels; what the server says to it changes nothing.
                drop(channel.say("*").await);
                return Err(broken(error));
            }
        }
    }
    if reply.is_done() {
        return exchange.finish().map_err(broken);
    }
    if let Some(said) = exchange.said() {
        reply.lines.push(printable(said.as_bytes()));
    }
    Err(refused(reply, login.user, mechanism))
}

/// AUTH with the client's first message where it fits into a command line; and what may be shown.
fn first_line(exchange: &mut Exchange) -> (Zeroizing<String>, String) {
    let mechanism = exchange.mechanism();
    let command = format!("AUTH {mechanism}");
    let room = COMMAND_MAX.saturating_sub(command.len()).saturating_sub(3);
    let Some(coded) = exchange.initial_within(room) else {
        return (Zeroizing::new(command.clone()), command);
    };
    (sasl::joined(&[&command, " ", &coded]), format!("{command} ***"))
}

/// What a refused AUTH means: what isn't known to be about something else is about the credentials,
/// as a wrong guess there locks accounts.
fn refused(reply: Reply, user: &str, mechanism: Mechanism) -> SubmitError {
    // Not implemented, bad sequence, TLS or another mechanism wanted, closing down, later.
    let other = reply.is_transient() || matches!(reply.code, 500..=504 | 530 | 534 | 538);
    if other && reply.enhanced != Some([5, 7, 8]) {
        return SubmitError::Refused { step: Refused::Login, reply };
    }
    let mechanism = mechanism.name().to_owned();
    SubmitError::Credentials { user: user.to_owned(), mechanism, reply }
}

fn broken(error: &SaslError, mechanism: Mechanism) -> SubmitError {
    match error {
        SaslError::FalseServer => {
            SubmitError::FalseServer { what: format!("{mechanism}: {error}") }
        }
        SaslError::Proof(_) => SubmitError::NoMechanism { what: error.to_string() },
        SaslError::Refused(said) => {
            let reply =
                Reply { code: 535, enhanced: None, lines: vec![printable(said.as_bytes())] };
            SubmitError::Credentials {
                user: String::new(),
                mechanism: mechanism.name().to_owned(),
                reply,
            }
        }
        SaslError::Challenge(_) => {
            SubmitError::Protocol { what: format!("in {mechanism}, {error}") }
        }
    }
}

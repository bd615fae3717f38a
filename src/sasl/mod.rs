//! SASL (RFC 4422): which mechanism to take, and what a client answers in it.
//!
//! Pure: knows no protocol and no stream, and chance is an argument. What holds a secret is wiped
//! when it is dropped.

mod choice;
mod digest;
mod exchange;
mod forms;
mod scram;

use zeroize::Zeroizing;

pub use crate::model::Mechanism;
pub use choice::{Choice, Has, NoMechanism, Policy, choose};
pub use digest::apop;
pub use exchange::{Exchange, SaslError};
pub use forms::forms;

/// Who logs in, and by what.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// User name.
    pub user: &'a str,
    /// What proves it.
    pub proof: Proof<'a>,
    /// The server's name as the config has it; OAUTHBEARER sends it.
    pub host: &'a str,
    /// The server's port.
    pub port: u16,
    /// What binds the exchange to its TLS channel.
    pub binding: Binding<'a>,
}

/// What proves that a user is who the name says.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// A certificate that TLS has shown already.
    Certificate,
    /// A password.
    Password(&'a str),
    /// An OAuth2 access token.
    Token(&'a str),
}

/// Whether an exchange can be bound to its TLS channel (RFC 5929, RFC 9266).
#[derive(Clone, Copy)]
pub enum Binding<'a> {
    /// There is nothing to bind to, or the server's offer of it isn't taken.
    None,
    /// The server offers no binding, though there is one.
    NotOffered,
    /// `tls-exporter` of this connection.
    TlsExporter(&'a [u8; 32]),
}

impl<'a> Binding<'a> {
    /// The binding of a choice on a connection that gives this to bind to.
    ///
    /// Where the config names no binding mechanism, the exchange says that we know none: true of a
    /// client that takes none (RFC 5802 §6). Where it does and the server offers none, the server is
    /// told that we could, so that a stripped offer is found out.
    pub fn of(choice: Choice, channel: Option<&'a [u8; 32]>) -> Self {
        match channel {
            Some(octets) if choice.mechanism.binds() => Self::TlsExporter(octets),
            Some(_) if choice.binding_missing => Self::NotOffered,
            _ => Self::None,
        }
    }
}

impl std::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, proof, host, port, binding: _ } = self;
        write!(f, "Login({user:?}, {proof:?}, {host}:{port})")
    }
}

impl std::fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Certificate => "Certificate",
            Self::Password(_) => "Password(***)",
            Self::Token(_) => "Token(***)",
        })
    }
}

impl std::fmt::Debug for Binding<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::NotOffered => "NotOffered",
            Self::TlsExporter(_) => "TlsExporter(***)",
        })
    }
}

/// Whether a user name or password can be sent at all: a CR, LF or NUL in it would end or split
/// the command.
pub fn is_sendable(text: &str) -> bool {
    !text.contains(['\r', '\n', '\0'])
}

/// A message of an exchange, wiped when it is dropped.
pub type Message = Zeroizing<Vec<u8>>;

/// Texts one after another, some of them secret: reserved at once, as a text that grows leaves
/// copies behind that nobody wipes.
pub fn joined(parts: &[&str]) -> Zeroizing<String> {
    let length = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    let mut joined = Zeroizing::new(String::with_capacity(length));
    for part in parts {
        joined.push_str(part);
    }
    joined
}

/// The same as a message.
fn message(parts: &[&str]) -> Message {
    Message::new(std::mem::take(&mut *joined(parts)).into_bytes())
}

#[cfg(test)]
mod tests;

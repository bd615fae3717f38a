//! One letter of postrider's own, handed to an outbound account; tried once.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::{Config, Outbound};
use crate::ledger::SendError as Kept;
use crate::net;
use crate::outbound::{Letter, LetterError, Receipt, Retry, Watch};
use crate::poll::Keyring;
use crate::send::{Opened, SendError, Sender};

/// However slow a server is, a letter doesn't keep others waiting for longer.
const LONGEST: Duration = Duration::from_mins(10);

/// Why a letter has not gone, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// It can't be written.
    #[error(transparent)]
    Letter(#[from] LetterError),
    /// The account's credentials, its server, or the way to it.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The server was too slow in all.
    #[error("not sent within 10 min")]
    Slow,
}

impl PostError {
    /// The stable code of its log record.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Letter(_) => "message-refused",
            Self::Send(error) => error.code(),
            Self::Slow => "server-slow",
        }
    }

    /// What a person can do about it in this account.
    pub fn advice(&self, account: &Outbound) -> Option<String> {
        match self {
            Self::Letter(_) => Some("see the addresses of `[notices]`".to_owned()),
            Self::Send(error) => error.advice(account),
            Self::Slow => None,
        }
    }

    /// Whether time alone will hardly mend it.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Letter(_) => true,
            Self::Send(error) => error.retry() != Retry::Later,
            Self::Slow => false,
        }
    }

    /// What the ledger keeps of it.
    pub fn kept(&self, account: &Outbound, keyring: &Keyring) -> Kept {
        Kept {
            code: self.code().to_owned(),
            message: keyring.redactor.redact(&self.to_string()),
            hint: self.advice(account).map(|hint| keyring.redactor.redact(&hint)),
        }
    }
}

/// What stands in a letter beside its text, as account and config have it.
pub fn letter(config: &Config, outbound: &Outbound, to: &str) -> Letter {
    Letter {
        from: config.sender_of(outbound).unwrap_or_default(),
        from_name: outbound.from_name.clone(),
        to: vec![to.to_owned()],
        reply_to: outbound.reply_to.clone(),
        organization: outbound.organization.clone(),
        ..Letter::default()
    }
}

/// Sends a letter, dated `date`: the same letter and date give the same octets.
pub async fn send(
    config: &Config,
    outbound: &Outbound,
    (keyring, opened): (&Keyring, &Opened),
    letter: &Letter,
    date: Timestamp,
) -> Result<Receipt, PostError> {
    let (octets, envelope) = letter.build(date)?;
    let before = outbound.pop_before_smtp.as_ref();
    let before = before.and_then(|name| config.inbound.get(name)).cloned();
    let sender = Sender {
        account: outbound.clone().into(),
        before: before.map(Into::into),
        keyring: keyring.clone(),
        opened: Arc::clone(opened),
    };
    let mut watch = Watch::blind();
    let sent = net::within(LONGEST, sender.send(&envelope, &octets, &mut watch)).await;
    Ok(sent.ok_or(PostError::Slow)??)
}

/// This host's name, for subjects.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

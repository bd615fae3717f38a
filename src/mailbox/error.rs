//! What can go wrong with a server, cut by what the caller does next.

use std::time::Duration;

use crate::net::NetError;

/// An error of a mailbox session. Server text in it is escaped and cut to 512 octets.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MailboxError {
    /// The server refused the credentials. Not tried again at once: accounts get locked.
    #[error("the server refused the login of `{user}` by {mechanism}: \"{said}\"")]
    Credentials {
        /// The user name that was sent.
        user: String,
        /// SASL mechanism, `LOGIN` or `USER`.
        mechanism: String,
        /// The server's words.
        said: String,
    },
    /// The attempt can't be counted, so it isn't made: attempts that nobody counts lock accounts.
    #[error("the login was not tried, as it can't be counted: {why}")]
    Uncounted {
        /// Why.
        why: String,
    },
    /// No mechanism is left that the config and the server both allow; nothing was sent.
    #[error("{what}")]
    NoMechanism {
        /// What the server offers and what the config refuses.
        what: String,
    },
    /// The server could not prove that it knows the password (RFC 5802 §3): it is another one.
    #[error("{what}")]
    FalseServer {
        /// How that was found out.
        what: String,
    },
    /// The server asks for patience: `[UNAVAILABLE]`, `[LIMIT]`, `[IN-USE]`, `[THROTTLED]`…
    #[error("the server asks to try later: \"{said}\"")]
    Throttled {
        /// The server's words.
        said: String,
        /// How long, where it says so.
        after: Option<Duration>,
    },
    /// The server refused a command; the session is in step.
    #[error("the server refused {command}: \"{said}\"")]
    Refused {
        /// The command, without its arguments.
        command: String,
        /// The server's words.
        said: String,
    },
    /// The mailbox is not there or can't be selected.
    #[error("mailbox `{mailbox}` can't be opened: \"{said}\"")]
    NoMailbox {
        /// Its name.
        mailbox: String,
        /// The server's words.
        said: String,
    },
    /// The server gave a message no body, or another one than asked for. Retried later.
    #[error("{what}")]
    Message {
        /// What is wrong.
        what: String,
    },
    /// The server lacks something without which the account can't be polled.
    #[error("{what}")]
    Unsupported {
        /// What, and the key that may help.
        what: String,
    },
    /// The server broke the protocol; the session can't go on.
    #[error("the server broke the protocol: {what}")]
    Protocol {
        /// How.
        what: String,
    },
    /// The network, a deadline or TLS.
    #[error(transparent)]
    Net(#[from] NetError),
}

/// How far an error reaches.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ErrorScope {
    /// One message; the session goes on.
    Message,
    /// One mailbox; other mailboxes of the account may go on.
    Mailbox,
    /// The account's session.
    Account,
}

/// When to try again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// With the usual back-off.
    Later,
    /// Not before this time.
    NotBefore(Duration),
    /// With the slow back-off of authentication failures.
    Credentials,
    /// When the config has changed; meanwhile with the usual back-off.
    AfterChange,
}

impl MailboxError {
    /// How far it reaches.
    pub fn scope(&self) -> ErrorScope {
        match self {
            Self::Message { .. } => ErrorScope::Message,
            Self::NoMailbox { .. } => ErrorScope::Mailbox,
            Self::Credentials { .. }
            | Self::NoMechanism { .. }
            | Self::FalseServer { .. }
            | Self::Uncounted { .. }
            | Self::Throttled { .. }
            | Self::Refused { .. }
            | Self::Unsupported { .. }
            | Self::Protocol { .. }
            | Self::Net(_) => ErrorScope::Account,
        }
    }

    /// When to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Credentials { .. } | Self::FalseServer { .. } => Retry::Credentials,
            Self::Throttled { after: Some(after), .. } => Retry::NotBefore(*after),
            Self::NoMechanism { .. } | Self::Unsupported { .. } => Retry::AfterChange,
            Self::Throttled { after: None, .. }
            | Self::Uncounted { .. }
            | Self::Refused { .. }
            | Self::NoMailbox { .. }
            | Self::Message { .. }
            | Self::Protocol { .. }
            | Self::Net(_) => Retry::Later,
        }
    }

    /// The stable code of its log record, without the protocol: `auth-rejected`, `tls-expired`…
    pub fn code(&self) -> &'static str {
        match self {
            Self::Credentials { .. } => "auth-rejected",
            Self::NoMechanism { .. } => "auth-no-mechanism",
            Self::FalseServer { .. } => "auth-false-server",
            Self::Throttled { .. } => "server-busy",
            Self::Uncounted { .. } => "login-uncounted",
            Self::Refused { .. } => "server-refused",
            Self::NoMailbox { .. } => "mailbox-missing",
            Self::Message { .. } => "message-unreadable",
            Self::Unsupported { .. } => "server-unsupported",
            Self::Protocol { .. } => "protocol-error",
            Self::Net(error) => error.code(),
        }
    }

    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Credentials { .. } => {
                Some("check `user` and `password`; some providers want an app password".to_owned())
            }
            Self::NoMechanism { .. } => {
                Some("use `encryption = \"tls\"` or `\"starttls\"`, or see `safe_logon`".to_owned())
            }
            Self::FalseServer { .. } => Some(
                "check `host`, DNS and the certificate: the password was not shown to the server"
                    .to_owned(),
            ),
            Self::NoMailbox { .. } => Some("see `folders` in the account's table".to_owned()),
            Self::Net(error) => error.hint(),
            Self::Throttled { .. }
            | Self::Uncounted { .. }
            | Self::Refused { .. }
            | Self::Message { .. }
            | Self::Unsupported { .. }
            | Self::Protocol { .. } => None,
        }
    }
}

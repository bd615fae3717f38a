//! What can go wrong when mail is handed over, cut by what the caller does next.

use serde::Serialize;

use super::reply::Reply;
use crate::net::NetError;

/// An error of a submission. Server text in it is printable, and knows no secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitError {
    /// The server refused the credentials. Not tried again at once: accounts get locked.
    #[error("the server refused the login of `{user}` by {mechanism}: \"{}\"", .reply.said())]
    Credentials {
        /// The user name that was sent.
        user: String,
        /// SASL mechanism.
        mechanism: String,
        /// The server's reply.
        reply: Reply,
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
    /// The server refused a step, 4yz or 5yz; the message isn't there.
    #[error("the server refused {step}: \"{}\"", .reply.said())]
    Refused {
        /// Which.
        step: Refused,
        /// The server's reply.
        reply: Reply,
    },
    /// The server refused every recipient; the message isn't there.
    #[error("the server refused {}", listed(.refused))]
    Recipients {
        /// Each with its reply.
        refused: Vec<Refusal>,
    },
    /// The connection ended behind the final dot: whether the server has the message isn't known.
    /// A further try with the same Message-ID may bring it twice.
    #[error("the server's answer to the message didn't come, so it may have it: {why}")]
    Uncertain {
        /// How it ended.
        why: String,
    },
    /// The server lacks something without which this message can't be handed over.
    #[error("{what}")]
    Unsupported {
        /// What.
        what: String,
    },
    /// The server broke the protocol; the session can't go on.
    #[error("the server broke the protocol: {what}")]
    Protocol {
        /// How.
        what: String,
    },
    /// The host's own `sendmail` didn't take the message.
    #[error("`{program}` {what}")]
    Sendmail {
        /// Its path.
        program: String,
        /// How it ended, and its last words.
        what: String,
        /// Whether it said that a later try may do (`EX_TEMPFAIL`).
        later: bool,
    },
    /// The network, a deadline or TLS.
    #[error(transparent)]
    Net(#[from] NetError),
}

/// The step that a server refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refused {
    /// The connection.
    Connection,
    /// EHLO.
    Hello,
    /// AUTH, by something else than its credentials.
    Login,
    /// MAIL FROM, with this address.
    Sender(String),
    /// DATA.
    Data,
    /// The message, after its final dot.
    Message,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connection => f.write_str("the connection"),
            Self::Hello => f.write_str("EHLO"),
            Self::Login => f.write_str("AUTH"),
            Self::Sender(address) => write!(f, "MAIL FROM:<{address}>"),
            Self::Data => f.write_str("DATA"),
            Self::Message => f.write_str("the message"),
        }
    }
}

/// A recipient that was refused.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Refusal {
    /// The address.
    pub address: String,
    /// The server's reply.
    pub reply: Reply,
}

fn listed(refused: &[Refusal]) -> String {
    let one =
        |refusal: &Refusal| format!("RCPT TO:<{}>: \"{}\"", refusal.address, refusal.reply.said());
    refused.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// How far an error reaches.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum ErrorScope {
    /// These recipients; others may be taken.
    Recipients,
    /// This message; others may be taken.
    Message,
    /// The account: any message would fail.
    Account,
}

/// When to try again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// With the usual back-off.
    Later,
    /// With the slow back-off of authentication failures.
    Credentials,
    /// When the config has changed; meanwhile with the usual back-off.
    AfterChange,
    /// Never this message: a further try ends alike.
    Never,
}

impl SubmitError {
    /// How far it reaches.
    pub fn scope(&self) -> ErrorScope {
        match self {
            Self::Recipients { .. } => ErrorScope::Recipients,
            Self::Refused { step: Refused::Data | Refused::Message, .. }
            | Self::Uncertain { .. }
            | Self::Unsupported { .. } => ErrorScope::Message,
            Self::Credentials { .. }
            | Self::NoMechanism { .. }
            | Self::FalseServer { .. }
            | Self::Refused { .. }
            | Self::Protocol { .. }
            | Self::Sendmail { .. }
            | Self::Uncounted { .. }
            | Self::Net(_) => ErrorScope::Account,
        }
    }

    /// Whether it came of a session that was logged in already.
    pub fn is_behind_login(&self) -> bool {
        match self {
            Self::Refused { step, .. } => {
                matches!(step, Refused::Sender(_) | Refused::Data | Refused::Message)
            }
            Self::Recipients { .. } | Self::Uncertain { .. } | Self::Unsupported { .. } => true,
            _ => false,
        }
    }

    /// When to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Credentials { .. } | Self::FalseServer { .. } => Retry::Credentials,
            Self::Recipients { refused } => {
                let later = refused.iter().any(|refusal| refusal.reply.is_transient());
                if later { Retry::Later } else { Retry::Never }
            }
            Self::Refused { reply, .. } if reply.is_transient() => Retry::Later,
            Self::Unsupported { .. }
            | Self::Refused { step: Refused::Data | Refused::Message, .. } => Retry::Never,
            Self::NoMechanism { .. } | Self::Refused { .. } => Retry::AfterChange,
            Self::Sendmail { later, .. } => {
                if *later {
                    Retry::Later
                } else {
                    Retry::AfterChange
                }
            }
            Self::Uncertain { .. }
            | Self::Uncounted { .. }
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
            Self::Refused { reply, .. } if reply.is_transient() => "server-busy",
            Self::Refused { step: Refused::Sender(_), .. } => "sender-refused",
            Self::Refused { step: Refused::Data | Refused::Message, .. } => "message-refused",
            Self::Refused { .. } => "server-refused",
            Self::Recipients { .. } => "recipient-refused",
            Self::Uncertain { .. } => "send-uncertain",
            Self::Uncounted { .. } => "login-uncounted",
            Self::Unsupported { .. } => "server-unsupported",
            Self::Protocol { .. } => "protocol-error",
            Self::Sendmail { .. } => "sendmail-failed",
            Self::Net(error) => error.code(),
        }
    }

    /// The server's last reply, where it is one that failed.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Credentials { reply, .. } | Self::Refused { reply, .. } => Some(reply),
            Self::Recipients { refused } => refused.first().map(|refusal| &refusal.reply),
            _ => None,
        }
    }

    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Credentials { .. } => {
                "check `user` and `password`; some providers want an app password"
            }
            Self::NoMechanism { .. } => {
                "use `encryption = \"tls\"` or `\"starttls\"`, or see `safe_logon`; a relay that \
                 asks for no login takes `auth = \"none\"`"
            }
            Self::FalseServer { .. } => {
                "check `host`, DNS and the certificate: the password was not shown to the server"
            }
            Self::Refused { step: Refused::Sender(_), reply } if !reply.is_transient() => {
                "most servers take only the account's own address: see `from`, and `system` of \
                 `[notices]`"
            }
            Self::Sendmail { .. } => "run it by hand as postrider's user",
            Self::Net(error) => return error.hint(),
            _ => return None,
        };
        Some(text.to_owned())
    }
}

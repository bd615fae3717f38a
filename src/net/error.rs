//! What can go wrong below a mail protocol.

use std::io;
use std::time::Duration;

/// An error of name resolution, TCP, TLS or a deadline.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NetError {
    /// The name has no address.
    #[error("the host name `{host}` has no address: {why}")]
    Dns {
        /// The name.
        host: String,
        /// The resolver's words.
        why: String,
    },
    /// TCP could not connect to any address.
    #[error("cannot connect to {host}:{port}: {why}")]
    Connect {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The last address's error.
        why: String,
    },
    /// The server kept silent for too long.
    #[error("no answer from the server within {limit:?} ({stage})")]
    Silent {
        /// What was waited for: `TLS handshake`, `greeting`, `reply`.
        stage: &'static str,
        /// `connect_timeout` or `read_timeout`.
        limit: Duration,
    },
    /// The server drips: fewer octets than `min_rate` asks for.
    #[error("the server sends too slowly: {octets} octets within {window:?}")]
    TooSlow {
        /// Octets that came.
        octets: u64,
        /// Within this time.
        window: Duration,
    },
    /// The poll's deadline is over.
    #[error("the poll's deadline is over")]
    PollDeadline,
    /// The connection ended in the middle.
    #[error("the connection was closed or reset unexpectedly by the server ({why})")]
    Lost {
        /// End of file, reset…
        why: String,
    },
    /// The server sent more than a guard allows: a line, a literal or a whole response.
    #[error("the server sent {what}, more than is allowed")]
    TooMuch {
        /// What, with the limit.
        what: String,
    },
    /// The certificate is not accepted.
    #[error("{what}")]
    Certificate {
        /// Stable code: `tls-expired`, `tls-not-yet-valid`, `tls-wrong-name`, `tls-untrusted`,
        /// `tls-bad-certificate`.
        code: &'static str,
        /// What is wrong, with names and dates.
        what: String,
        /// What can be done.
        hint: String,
    },
    /// The TLS handshake failed for another reason.
    #[error("TLS handshake failed: {why}")]
    Handshake {
        /// Why.
        why: String,
    },
    /// STARTTLS or STLS is not offered, is refused, or was tampered with.
    #[error("{what}")]
    StartTls {
        /// Stable code: `starttls-missing`, `starttls-refused`, `tls-inject`, `starttls-preauth`.
        code: &'static str,
        /// What happened.
        what: String,
    },
    /// A TLS file of the config can't be used.
    #[error("{what}")]
    TlsConfig {
        /// File and reason.
        what: String,
    },
}

impl NetError {
    /// The error that a stream of this module carries, or what another error amounts to at this
    /// stage: `TLS handshake`, `greeting`, `reply`.
    pub fn from_io(error: io::Error, stage: &str) -> Self {
        match error.downcast::<Self>() {
            Ok(carried) => carried,
            Err(other) => Self::Lost { why: format!("{other}, {stage}") },
        }
    }

    /// The error inside an [`io::Error`], which is what streams speak.
    pub fn into_io(self) -> io::Error {
        let kind = match &self {
            Self::Lost { .. } => io::ErrorKind::UnexpectedEof,
            Self::Silent { .. } | Self::TooSlow { .. } | Self::PollDeadline => {
                io::ErrorKind::TimedOut
            }
            Self::TooMuch { .. } => io::ErrorKind::InvalidData,
            Self::Dns { .. }
            | Self::Connect { .. }
            | Self::Certificate { .. }
            | Self::Handshake { .. }
            | Self::StartTls { .. }
            | Self::TlsConfig { .. } => io::ErrorKind::Other,
        };
        io::Error::new(kind, self)
    }

    pub(super) fn end_of_file() -> Self {
        Self::Lost { why: "end of file".to_owned() }
    }

    /// The stable code of its log record.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Dns { .. } => "dns-failed",
            Self::Connect { .. } => "connect-failed",
            Self::Silent { .. } => "server-silent",
            Self::TooSlow { .. } => "server-slow",
            Self::PollDeadline => "poll-deadline",
            Self::Lost { .. } => "connection-lost",
            Self::TooMuch { .. } => "server-too-much",
            Self::Certificate { code, .. } | Self::StartTls { code, .. } => code,
            Self::Handshake { .. } => "tls-failed",
            Self::TlsConfig { .. } => "tls-config",
        }
    }

    /// What a person can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Dns { .. } => Some("check `host`, and this machine's resolver".to_owned()),
            Self::Connect { .. } => {
                Some("check `host` and `port`, and firewalls on the way".to_owned())
            }
            Self::Certificate { hint, .. } => Some(hint.clone()),
            Self::StartTls { .. } => Some(
                "nothing was sent in the clear; if the server speaks implicit TLS, use \
                 `encryption = \"tls\"`"
                    .to_owned(),
            ),
            Self::Handshake { .. } => {
                Some("check that `port` and `encryption` belong together".to_owned())
            }
            Self::Silent { .. }
            | Self::TooSlow { .. }
            | Self::PollDeadline
            | Self::Lost { .. }
            | Self::TooMuch { .. }
            | Self::TlsConfig { .. } => None,
        }
    }
}

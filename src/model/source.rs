//! The main log's sources: where in the program a record comes from.

use std::fmt;

use serde::Serialize;

/// A source of log records. Its word is also the target of the tracing event.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Source {
    /// Message folders on disk, the archive root, its file system.
    Archive,
    /// Reading and checking the configuration.
    Config,
    /// The daemon's own life: start, stop, schedule, ledger.
    Daemon,
    /// Deletes on the server.
    Delete,
    /// IMAP connection, TLS and authentication.
    ImapAuth,
    /// Listing and fetching mail.
    Incoming,
    /// Records of the libraries underneath.
    Library,
    /// OAuth2 tokens.
    Oauth,
    /// Sending mail.
    Outgoing,
    /// POP3 connection, TLS and authentication.
    Pop3Auth,
    /// Rules on received mail.
    Rules,
    /// SMTP connection, TLS and authentication.
    SmtpAuth,
}

impl Source {
    /// All sources, in the order of their words.
    pub const ALL: [Self; 12] = [
        Self::Archive,
        Self::Config,
        Self::Daemon,
        Self::Delete,
        Self::ImapAuth,
        Self::Incoming,
        Self::Library,
        Self::Oauth,
        Self::Outgoing,
        Self::Pop3Auth,
        Self::Rules,
        Self::SmtpAuth,
    ];

    /// The word for it: `imap-auth`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Config => "config",
            Self::Daemon => "daemon",
            Self::Delete => "delete",
            Self::ImapAuth => "imap-auth",
            Self::Incoming => "incoming",
            Self::Library => "library",
            Self::Oauth => "oauth",
            Self::Outgoing => "outgoing",
            Self::Pop3Auth => "pop3-auth",
            Self::Rules => "rules",
            Self::SmtpAuth => "smtp-auth",
        }
    }

    /// The source that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == word)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

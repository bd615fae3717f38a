//! The mechanisms by name, and what each gives away.

/// A way to authenticate, the strongest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Mechanism {
    /// RFC 7628: an access token, with the host that it is meant for.
    OAuthBearer,
    /// An access token, as Google and Microsoft defined it.
    XOAuth2,
    /// RFC 4422 Appendix A: the certificate that TLS has shown.
    External,
    /// RFC 7677 with channel binding.
    ScramSha256Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802 with channel binding.
    ScramSha1Plus,
    /// RFC 5802.
    ScramSha1,
    /// RFC 2195.
    CramMd5,
    /// RFC 1939 §7, POP3 only; MD5 of a timestamp and the password.
    Apop,
    /// RFC 4616.
    Plain,
    /// SASL LOGIN, and IMAP's LOGIN command (RFC 9051 §6.2.3) where that isn't offered.
    Login,
    /// USER and PASS (RFC 1939 §7), POP3 only.
    User,
}

impl Mechanism {
    /// All, the strongest first.
    pub const ALL: [Self; 12] = [
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::External,
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::ScramSha1Plus,
        Self::ScramSha1,
        Self::CramMd5,
        Self::Apop,
        Self::Plain,
        Self::Login,
        Self::User,
    ];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::External => "EXTERNAL",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::CramMd5 => "CRAM-MD5",
            Self::Apop => "APOP",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::User => "USER",
        }
    }

    /// The mechanism of a name, in any case.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Whether it hands the server the password itself.
    pub fn shows_password(self) -> bool {
        matches!(self, Self::Plain | Self::Login | Self::User)
    }

    /// Whether it hands the server something that works again: a password or a token.
    pub fn is_replayable(self) -> bool {
        self.shows_password() || matches!(self, Self::OAuthBearer | Self::XOAuth2)
    }

    /// Whether it needs an access token.
    pub fn takes_token(self) -> bool {
        matches!(self, Self::OAuthBearer | Self::XOAuth2)
    }

    /// Whether it needs a password.
    pub fn takes_password(self) -> bool {
        !self.takes_token() && self != Self::External
    }

    /// Whether it binds the exchange to the TLS channel.
    pub fn binds(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha1Plus)
    }

    /// Whether it is taken only where the config names it: APOP's MD5 can be broken by a false
    /// server (CVE-2007-1558), and no server says which binding it takes.
    pub fn is_opt_in(self) -> bool {
        self == Self::Apop || self.binds()
    }

    /// Whether it is a SASL mechanism, with challenges and responses.
    pub fn is_sasl(self) -> bool {
        !matches!(self, Self::Apop | Self::User)
    }
}

impl std::fmt::Display for Mechanism {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

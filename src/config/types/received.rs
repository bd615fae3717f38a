//! `[[inbound.NAME.on_received]]`: rules, checked.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{SecretSpec, TlsRules};
use crate::model::AccountName;

/// One rule: which messages, what is done with them, and how patiently.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Its name, once in an account; part of the idempotency key.
    pub name: String,
    /// A condition on [`MESSAGE`](crate::query::MESSAGE)'s fields, checked; `None`: each message.
    pub when: Option<String>,
    /// What is done.
    pub deed: Deed,
    /// No further rule is looked at for a message of this one.
    pub stop: bool,
    /// A message of this rule is archived; false only where nothing is done.
    pub archive: bool,
    /// The limit of one try.
    pub timeout: Duration,
    /// How long it is tried again, from the first try on.
    pub retries: Duration,
    /// Tries at the same time.
    pub concurrency: usize,
    /// Strictly as messages were stored.
    pub in_order: bool,
}

/// What is done with a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Deed {
    /// Nothing.
    None,
    /// A program is run.
    Exec(Exec),
    /// It is sent to a web service.
    Webhook(Webhook),
    /// Attachments are copied.
    Save(Save),
    /// The message is delivered to a Maildir.
    Maildir(PathBuf),
    /// It is sent on.
    Forward(Forward),
    /// It is marked as read on the server.
    Seen,
    /// It gets another mark on the server.
    Flag(String),
    /// It is moved to the mailbox of this name.
    Move(String),
}

/// A program and how it is run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exec {
    /// The program, an absolute path, and its arguments with their placeholders.
    pub command: Vec<String>,
    /// What it reads.
    pub stdin: Stdin,
}

/// What a program reads from its standard input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stdin {
    /// `message.json`.
    Json,
    /// `message.eml`.
    Eml,
    /// Nothing.
    Nothing,
}

/// A web service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Webhook {
    /// Where it is.
    pub url: WebUrl,
    /// Signs what is sent.
    pub secret: Option<SecretSpec>,
    /// A form with the message and its attachments, not just `message.json`.
    pub multipart: bool,
    /// Whose certificates are taken.
    pub tls: TlsRules,
    /// An HTTP proxy on the way.
    pub proxy: Option<WebUrl>,
}

/// An http or https URL, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebUrl {
    /// Whether it is https.
    pub encrypted: bool,
    /// DNS name, or address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path and query; begins with `/`.
    pub path: String,
}

impl WebUrl {
    /// Takes a URL apart; `None` for any other text, one with user or password, and one with
    /// octets that a request's first line doesn't take.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let encrypted = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let rest = rest.split('#').next()?;
        if !rest.bytes().all(|octet| octet.is_ascii_graphic()) {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (host, port) = match authority.strip_prefix('[') {
            Some(address) => {
                let (host, after) = address.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, after.strip_prefix(':').or(after.is_empty().then_some("")))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, Some("")),
            },
        };
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
        if host.is_empty() || !host.chars().all(good) {
            return None;
        }
        let port = match port? {
            "" if encrypted => 443,
            "" => 80,
            port => port.parse().ok()?,
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { encrypted, host: host.to_owned(), port, path })
    }

    /// For the Host field: the port only where it isn't the usual one.
    pub fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.encrypted { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

/// Where attachments are copied to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Save {
    /// The folder.
    pub to: PathBuf,
    /// Template of a name.
    pub name: String,
    /// Globs of names or content types.
    pub only: Vec<String>,
    /// Mode of the copies.
    pub mode: u32,
}

/// To whom a message is sent on, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Forward {
    /// Recipients, at least one.
    pub to: Vec<String>,
    /// The outbound account; `None`: the one that sends by default.
    pub via: Option<AccountName>,
    /// As it came behind a block of Resent fields, not as an attachment.
    pub resent: bool,
}

impl Deed {
    /// `exec`, `webhook`, …
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Exec(_) => "exec",
            Self::Webhook(_) => "webhook",
            Self::Save(_) => "save",
            Self::Maildir(_) => "maildir",
            Self::Forward(_) => "forward",
            Self::Seen => "seen",
            Self::Flag(_) => "flag",
            Self::Move(_) => "move",
        }
    }

    /// The mark that a session of the account sets on the server, if that is what is done.
    pub fn mark(&self) -> Option<&str> {
        match self {
            Self::Seen => Some("\\Seen"),
            Self::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// The mailbox that a message is moved to, if that is what is done.
    pub fn moves_to(&self) -> Option<&str> {
        if let Self::Move(to) = self { Some(to) } else { None }
    }

    /// Whether a session of the account does it, on the server.
    pub fn is_on_server(&self) -> bool {
        self.mark().is_some() || self.moves_to().is_some()
    }

    /// Whether the outbox does it, without the server.
    pub fn is_of_outbox(&self) -> bool {
        *self != Self::None && !self.is_on_server()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_doubtful_ones_refused() {
        let url = WebUrl::parse("https://h.example:8443/a?x=1#y").unwrap();
        assert_eq!((&*url.host, url.port, &*url.path), ("h.example", 8443, "/a?x=1"));
        assert_eq!(url.authority(), "h.example:8443");
        let url = WebUrl::parse("http://[::1]:80").unwrap();
        assert_eq!((&*url.authority(), &*url.path), ("[::1]", "/"));
        assert!(url.is_loopback() && !url.encrypted);
        assert_eq!(WebUrl::parse("https://[::1]/").unwrap().port, 443);
        for bad in [
            "ftp://h/",
            "https://",
            "https://u:p@h/",
            "http://h:x/",
            "http://h/a b",
            "h/x",
            "http://h\\x/",
            "http://[::1",
            "http://[::1]x/",
            "http://[h]/",
        ] {
            assert_eq!(WebUrl::parse(bad), None, "{bad}");
        }
    }
}

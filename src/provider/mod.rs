//! What is known of mail providers: servers, what login they want, and habits worth a word.
//!
//! Pure: a table, and what can be read out of an address, of DNS answers and of an autoconfig
//! document without asking anybody. Hosts, ports and user names agree with the provider's own
//! pages or Mozilla's autoconfig database; nothing here is asked for while postrider runs.

pub mod autoconfig;
pub mod detect;
mod domain;
mod table;

use serde::Serialize;

pub use domain::{domain_of, is_below, suggested_name};
pub use table::all;

/// What a server does.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Mail is read by IMAP.
    Imap,
    /// Mail is read by POP3.
    Pop3,
    /// Mail is sent.
    Smtp,
}

/// When TLS begins; without TLS nothing is ever proposed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// From the first octet.
    Tls,
    /// By STARTTLS or STLS.
    StartTls,
}

/// A server of a provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Preset {
    /// Its name.
    pub host: &'static str,
    /// Its port.
    pub port: u16,
    /// When TLS begins.
    pub encryption: Security,
}

/// What a provider takes as a user name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserName {
    /// The whole address.
    Address,
    /// What stands before the `@`.
    LocalPart,
}

/// What a provider takes as a password.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Password {
    /// The one of the mailbox.
    Own,
    /// One made for programs.
    App,
    /// None: OAuth2 alone.
    None,
}

/// How to log in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Login {
    /// As what.
    pub user: UserName,
    /// With what.
    pub password: Password,
    /// Where the password is made, or what must be switched on.
    pub url: Option<&'static str>,
    /// `provider` of an `[oauth.NAME]` table, and the grants that work.
    pub oauth: Option<(&'static str, &'static [&'static str])>,
}

/// A provider.
#[derive(Debug, Serialize)]
pub struct Provider {
    /// As the config and the command line call it.
    pub name: &'static str,
    /// As people call it.
    pub title: &'static str,
    /// Domains of addresses.
    pub domains: &'static [&'static str],
    /// Ends of the names in MX records.
    pub mx: &'static [&'static str],
    /// Where mail is read by IMAP.
    pub imap: Option<Preset>,
    /// Where mail is read by POP3.
    pub pop3: Option<Preset>,
    /// Where mail is sent.
    pub smtp: Option<Preset>,
    /// How to log in.
    pub login: Login,
    /// Limits and habits that a person should know of.
    pub notes: &'static [&'static str],
}

impl Provider {
    /// Its server of a kind.
    pub fn server(&self, service: Service) -> Option<Preset> {
        match service {
            Service::Imap => self.imap,
            Service::Pop3 => self.pop3,
            Service::Smtp => self.smtp,
        }
    }

    /// The user name for an address.
    pub fn user<'a>(&self, address: &'a str) -> &'a str {
        match self.login.user {
            UserName::Address => address,
            UserName::LocalPart => address.rsplit_once('@').map_or(address, |(local, _)| local),
        }
    }
}

impl Service {
    /// As the config calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Smtp => "smtp",
        }
    }
}

impl Security {
    /// As the config calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::StartTls => "starttls",
        }
    }
}

/// The provider of this name, in any case.
pub fn by_name(name: &str) -> Option<&'static Provider> {
    all().find(|provider| provider.name.eq_ignore_ascii_case(name))
}

/// The provider whose addresses end in this domain.
pub fn by_domain(domain: &str) -> Option<&'static Provider> {
    all().find(|provider| provider.domains.iter().any(|own| own.eq_ignore_ascii_case(domain)))
}

/// The provider whose server this is.
pub fn by_host(host: &str) -> Option<&'static Provider> {
    let is = |preset: Option<Preset>| preset.is_some_and(|p| p.host.eq_ignore_ascii_case(host));
    // Its Bridge stands on the machine itself, as other servers do.
    let own = |p: &&Provider| is(p.imap) || is(p.pop3) || is(p.smtp);
    all().filter(own).find(|provider| provider.imap.is_none_or(|imap| imap.host != "127.0.0.1"))
}

/// The provider that takes the mail of a domain, by the name of its mail exchanger.
pub fn by_mx(host: &str) -> Option<&'static Provider> {
    let ends = all().flat_map(|p| p.mx.iter().map(move |end| (*end, p)));
    let fitting = ends.filter(|(end, _)| is_below(host, end));
    // The longest end is the nearest: `mxbiz1.qq.com` is not `qq.com`.
    fitting.max_by_key(|(end, _)| end.len()).map(|(_, provider)| provider)
}

#[cfg(test)]
mod tests;

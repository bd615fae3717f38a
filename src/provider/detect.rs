//! From what the sources say to the servers of an address, and whom to believe. Pure.
//!
//! A source is believed as far as the owner of the domain stands behind it. Whatever is found, the
//! password goes only to a server whose certificate is good for the name that stands here.

use serde::Serialize;

use super::autoconfig::Document;
use super::domain::{is_below, is_name};
use super::{Provider, Security, Service};

/// Where settings are looked for, in this order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The table, by the address's domain, or by its name.
    Provider,
    /// SRV records (RFC 6186, RFC 8314 §5.1).
    Srv,
    /// An autoconfig document of the domain's, over HTTPS.
    Autoconfig,
    /// The same without TLS: anyone on the way may have written it.
    PlainAutoconfig,
    /// A database of autoconfig documents.
    Central,
    /// The table, by the MX records.
    Mx,
    /// Servers that are named as usual.
    Guess,
}

impl Source {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Provider,
        Self::Srv,
        Self::Autoconfig,
        Self::PlainAutoconfig,
        Self::Central,
        Self::Mx,
        Self::Guess,
    ];

    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Srv => "SRV records",
            Self::Autoconfig => "autoconfig",
            Self::PlainAutoconfig => "autoconfig by http",
            Self::Central => "central database",
            Self::Mx => "MX records",
            Self::Guess => "usual names",
        }
    }
}

/// A server that was found.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Server {
    /// What it is for.
    pub protocol: Service,
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// When TLS begins.
    pub encryption: Security,
    /// The user name that it takes; `None`: the address.
    pub user: Option<String>,
}

/// What a source has found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Which one.
    pub source: Source,
    /// Servers, the best first.
    pub servers: Vec<Server>,
    /// The provider, where it is one of the table.
    #[serde(skip)]
    pub provider: Option<&'static Provider>,
    /// Its servers take OAuth2 alone.
    pub oauth_only: bool,
}

/// A record of SRV (RFC 2782).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Srv {
    /// Lower ones first.
    pub priority: u16,
    /// Among equals, more often.
    pub weight: u16,
    /// Its port.
    pub port: u16,
    /// Its name; `.`: the service is not offered.
    pub target: String,
}

/// The services that are asked for, as records name them.
pub const SRV_NAMES: [(&str, Service, Security); 5] = [
    ("_imaps._tcp", Service::Imap, Security::Tls),
    ("_imap._tcp", Service::Imap, Security::StartTls),
    ("_pop3s._tcp", Service::Pop3, Security::Tls),
    ("_submissions._tcp", Service::Smtp, Security::Tls),
    ("_submission._tcp", Service::Smtp, Security::StartTls),
];

/// The best server of one name's records: lowest priority, then highest weight, so that the same
/// records always give the same server.
pub fn of_srv(service: Service, security: Security, mut records: Vec<Srv>) -> Option<Server> {
    let rank = |record: &Srv| {
        (record.priority, u16::MAX.saturating_sub(record.weight), record.target.clone())
    };
    records.sort_by_cached_key(rank);
    let usable = records.into_iter().find_map(|record| {
        let host = record.target.trim_end_matches('.').to_ascii_lowercase();
        (record.port != 0 && is_name(&host)).then_some((host, record.port))
    });
    let (host, port) = usable?;
    Some(Server { protocol: service, host, port, encryption: security, user: None })
}

/// The servers of a provider for an address.
pub fn of_provider(source: Source, provider: &'static Provider, address: &str) -> Finding {
    let user = provider.user(address);
    let user = (user != address).then(|| user.to_owned());
    let services = [Service::Imap, Service::Pop3, Service::Smtp].into_iter();
    let servers = services.filter_map(|service| {
        let preset = provider.server(service)?;
        Some(Server {
            protocol: service,
            host: preset.host.to_owned(),
            port: preset.port,
            encryption: preset.encryption,
            user: user.clone(),
        })
    });
    let oauth_only = provider.login.password == super::Password::None;
    Finding { source, servers: servers.collect(), provider: Some(provider), oauth_only }
}

/// The servers of an autoconfig document.
pub fn of_document(source: Source, document: Document, address: &str) -> Finding {
    let inbound = document.servers.iter().filter(|entry| entry.service != Service::Smtp);
    let oauth_only = inbound.clone().count() > 0 && inbound.clone().all(|entry| entry.oauth_only);
    let servers = document.servers.into_iter().map(|entry| Server {
        protocol: entry.service,
        host: entry.host,
        port: entry.port,
        encryption: entry.security,
        user: entry.user.filter(|user| user != address),
    });
    Finding { source, servers: servers.collect(), provider: None, oauth_only }
}

impl Finding {
    /// The server to read from: of the protocol that is wanted, else IMAP before POP3.
    pub fn inbound(&self, wanted: Option<Service>) -> Option<&Server> {
        let first = |service: Service| self.servers.iter().find(|s| s.protocol == service);
        match wanted {
            Some(service) => first(service),
            None => first(Service::Imap).or_else(|| first(Service::Pop3)),
        }
    }

    /// The server to send by.
    pub fn outbound(&self) -> Option<&Server> {
        self.servers.iter().find(|server| server.protocol == Service::Smtp)
    }
}

/// Why a person must say yes before a password goes to a host; `None`: the domain's owner, or our
/// own table, stands behind it.
///
/// DNS answers and plain HTTP can be written by anyone on the way. An answer that stays within the
/// domain sends us to a server that must show a certificate of the domain anyway.
pub fn doubt(source: Source, domain: &str, host: &str) -> Option<&'static str> {
    match source {
        Source::Provider | Source::Autoconfig | Source::Mx => None,
        Source::Srv | Source::Guess if is_below(host, domain) => None,
        Source::Srv | Source::Guess => Some("the SRV record leads out of the domain"),
        Source::PlainAutoconfig => Some("the document came without TLS"),
        Source::Central => Some("the domain's owner doesn't stand behind the database"),
    }
}

/// Hosts that are tried where nothing is known, with the port of the protocol under TLS.
pub fn guesses(domain: &str, wanted: Option<Service>, port: Option<u16>) -> Vec<Server> {
    let imap = ["imap.", "mail.", ""].map(|head| (Service::Imap, head, 993));
    let pop3 = ["pop.", "pop3.", "mail.", ""].map(|head| (Service::Pop3, head, 995));
    let all = imap.into_iter().chain(pop3);
    let all = all.filter(|(service, ..)| wanted.is_none_or(|wanted| wanted == *service));
    let servers = all.map(|(service, head, usual)| Server {
        protocol: service,
        host: format!("{head}{domain}"),
        port: port.unwrap_or(usual),
        encryption: Security::Tls,
        user: None,
    });
    servers.collect()
}

#[cfg(test)]
mod tests;

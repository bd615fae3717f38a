//! Looks for the settings of a mail address: each source is asked in turn, and told.
//!
//! What an answer is worth is decided in [`provider::detect`]; here it is asked for. No password is
//! known here. All answers are bounded in octets and time, since none of those who give them is
//! known.

mod dns;
mod probe;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::config::TlsRules;
use crate::provider::detect::{self, Finding, Source};
use crate::provider::{self, Provider, Service};

pub use web::CENTRAL;

/// Each question, with all that belongs to it.
const LIMIT: Duration = Duration::from_secs(8);

/// What is looked for, and where.
#[derive(Clone, Debug)]
pub struct Question {
    /// The mail address.
    pub address: String,
    /// Its domain, in ASCII.
    pub domain: String,
    /// IMAP, POP3, or whichever there is.
    pub wanted: Option<Service>,
    /// The port at which usual names are tried, instead of the usual one.
    pub port: Option<u16>,
    /// Asked instead of the servers of `/etc/resolv.conf`.
    pub dns_server: Option<SocketAddr>,
    /// Asked instead of the domain's own places: an autoconfig document.
    pub autoconfig_url: Option<String>,
    /// Asked last: a database of autoconfig documents.
    pub central_url: Option<String>,
    /// Further CAs that are trusted.
    pub ca_file: Option<PathBuf>,
}

/// A source that was asked.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// Which one.
    pub source: Source,
    /// What it has found, or why nothing.
    pub result: String,
    /// Milliseconds until then.
    pub ms: u64,
    /// Whether it has what is looked for.
    pub found: bool,
}

/// Asks the sources in order until one has a server for mail to be read from; tells each.
///
/// A provider that offers no such server ends the search, too: nobody else can know better.
pub async fn search(question: &Question, mut tell: impl FnMut(&Asked)) -> Option<Finding> {
    let mut resolver = None;
    for source in Source::ALL {
        if skips(question, source) {
            continue;
        }
        let begin = Instant::now();
        let answer = match source {
            Source::Provider => by_domain(question),
            Source::Srv | Source::Mx | Source::Guess => {
                let resolver = resolver.get_or_insert_with(|| dns::resolver(question.dns_server));
                match resolver {
                    Err(why) => Err(why.clone()),
                    Ok(resolver) if source == Source::Srv => dns::srv(resolver, question).await,
                    Ok(resolver) if source == Source::Mx => dns::mx(resolver, question).await,
                    Ok(resolver) => probe::usual_names(resolver, question).await,
                }
            }
            Source::Autoconfig | Source::PlainAutoconfig | Source::Central => {
                web::ask(question, source).await
            }
        };
        let ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let found = answer.as_ref().is_ok_and(|finding| is_enough(finding, question));
        let result = match &answer {
            Ok(finding) => shown(finding),
            Err(why) => why.clone(),
        };
        tell(&Asked { source, result, ms, found });
        if let Ok(finding) = answer
            && (found || finding.provider.is_some())
        {
            return Some(finding);
        }
    }
    None
}

/// What is not asked: another one was named for it, or nobody wanted it.
fn skips(question: &Question, source: Source) -> bool {
    match source {
        Source::Central => question.central_url.is_none(),
        Source::PlainAutoconfig => question.autoconfig_url.is_some(),
        _ => false,
    }
}

fn by_domain(question: &Question) -> Result<Finding, String> {
    let provider = provider::by_domain(&question.domain);
    let found = |provider: &'static Provider| {
        detect::of_provider(Source::Provider, provider, &question.address)
    };
    provider.map(found).ok_or_else(|| "no".to_owned())
}

fn is_enough(finding: &Finding, question: &Question) -> bool {
    finding.inbound(question.wanted).is_some()
}

fn shown(finding: &Finding) -> String {
    let servers = finding.servers.iter();
    let servers: Vec<String> = servers
        .map(|s| {
            format!("{} {}:{} ({})", s.protocol.as_str(), s.host, s.port, s.encryption.as_str())
        })
        .collect();
    let servers = if servers.is_empty() { "no servers".to_owned() } else { servers.join(", ") };
    match finding.provider {
        Some(provider) => format!("{}: {servers}", provider.title),
        None => servers,
    }
}

impl Question {
    fn tls(&self) -> TlsRules {
        TlsRules { ca_file: self.ca_file.clone(), ..TlsRules::default() }
    }
}

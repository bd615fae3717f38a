//! SRV and MX records, by the servers of `/etc/resolv.conf` or one that is named.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver, system_conf};

use super::{LIMIT, Question};
use crate::net::within;
use crate::provider::detect::{self, Finding, SRV_NAMES, Source, Srv};
use crate::provider::{self, Service};

/// Records of one answer that are looked at; more are a mistake or a trap.
const MOST: usize = 64;
/// Addresses of one host that are tried.
const ADDRESSES: usize = 4;

/// One that asks each question twice at most, and keeps nothing.
pub(super) fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, String> {
    let failed = |error: &dyn std::fmt::Display| format!("no resolver: {error}");
    let (config, mut options) = match server {
        None => system_conf::read_system_conf().map_err(|error| failed(&error))?,
        Some(server) => {
            let mut config = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut config.connections {
                connection.port = server.port();
            }
            (ResolverConfig::from_name_servers(vec![config]), ResolverOpts::default())
        }
    };
    options.timeout = Duration::from_secs(2);
    options.attempts = 2;
    options.cache_size = 0;
    let builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    builder.with_options(options).build().map_err(|error| failed(&error))
}

/// The servers that the domain's SRV records name.
pub(super) async fn srv(resolver: &TokioResolver, question: &Question) -> Result<Finding, String> {
    let asked = SRV_NAMES.map(|(name, ..)| {
        records(resolver, format!("{name}.{}.", question.domain), RecordType::SRV)
    });
    let answers = join_all(asked).await;
    let mut servers = Vec::new();
    let mut failed = None;
    for ((_, service, security), answer) in SRV_NAMES.into_iter().zip(answers) {
        match answer {
            Err(why) => failed = Some(why),
            Ok(records) => {
                let records = records.into_iter().filter_map(|data| match data {
                    RData::SRV(srv) => Some(Srv {
                        priority: srv.priority,
                        weight: srv.weight,
                        port: srv.port,
                        target: srv.target.to_ascii(),
                    }),
                    _ => None,
                });
                servers.extend(detect::of_srv(service, security, records.collect()));
            }
        }
    }
    let inbound = servers.iter().any(|server| server.protocol != Service::Smtp);
    match failed {
        Some(why) if !inbound => Err(why),
        _ if servers.is_empty() => Err("none".to_owned()),
        _ => Ok(Finding { source: Source::Srv, servers, provider: None, oauth_only: false }),
    }
}

/// The provider that takes the domain's mail.
pub(super) async fn mx(resolver: &TokioResolver, question: &Question) -> Result<Finding, String> {
    let records = records(resolver, format!("{}.", question.domain), RecordType::MX).await?;
    let mut exchangers: Vec<(u16, String)> = records
        .into_iter()
        .filter_map(|data| match data {
            RData::MX(mx) => Some((mx.preference, mx.exchange.to_ascii())),
            _ => None,
        })
        .collect();
    exchangers.sort();
    let Some((_, first)) = exchangers.first() else { return Err("none".to_owned()) };
    let known = exchangers.iter().find_map(|(_, name)| provider::by_mx(name));
    match known {
        Some(provider) => Ok(detect::of_provider(Source::Mx, provider, &question.address)),
        None => Err(format!("{}, of no known provider", first.trim_end_matches('.'))),
    }
}

/// The addresses of a host; none: there is no such host.
pub(super) async fn addresses(resolver: &TokioResolver, host: &str) -> Vec<IpAddr> {
    match within(LIMIT, resolver.lookup_ip(format!("{host}."))).await {
        Some(Ok(found)) => found.iter().take(ADDRESSES).collect(),
        _ => Vec::new(),
    }
}

/// The records of a name; none is no error.
async fn records(
    resolver: &TokioResolver,
    name: String,
    kind: RecordType,
) -> Result<Vec<RData>, String> {
    let name = Name::from_ascii(&name).map_err(|_| "the name is too long".to_owned())?;
    match within(LIMIT, resolver.lookup(name, kind)).await {
        None => Err(format!("no answer within {} s", LIMIT.as_secs())),
        Some(Err(error)) if error.is_no_records_found() => Ok(Vec::new()),
        Some(Err(error)) => Err(format!("no answer: {error}")),
        Some(Ok(lookup)) => {
            Ok(lookup.answers().iter().take(MOST).map(|record| record.data.clone()).collect())
        }
    }
}

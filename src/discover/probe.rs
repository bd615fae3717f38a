//! Servers that are named as usual: whether one answers, under TLS and by its own name.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::{LIMIT, Question, dns};
use crate::config::{Encryption, MinRate, TlsRules};
use crate::net::{self, Endpoint, Witness, within};
use crate::provider::Service;
use crate::provider::detect::{self, Finding, Server, Source};

/// The first server, in the order of the guesses, that greets as it should.
///
/// Names are looked up by the resolver of the search: most don't exist, which it knows at once.
pub(super) async fn usual_names(
    resolver: &TokioResolver,
    question: &Question,
) -> Result<Finding, String> {
    let guesses = detect::guesses(&question.domain, question.wanted, question.port);
    let tried = guesses.iter().map(|server| within(LIMIT, greets(resolver, question, server)));
    let answers = join_all(tried).await;
    let mut servers = Vec::new();
    let mut last = "no answer".to_owned();
    for (server, answer) in guesses.into_iter().zip(answers) {
        match answer {
            Some(Ok(())) => servers.push(server),
            // A server that is there and can't be trusted says more than one that is not.
            Some(Err((true, why))) => last = why,
            Some(Err((false, _))) | None => {}
        }
    }
    if servers.is_empty() {
        return Err(last);
    }
    Ok(Finding { source: Source::Guess, servers, provider: None, oauth_only: false })
}

/// Whether a server of this protocol greets; the error says whether there is one at all.
async fn greets(
    resolver: &TokioResolver,
    question: &Question,
    server: &Server,
) -> Result<(), (bool, String)> {
    let mut last = (false, format!("{}: no such host", server.host));
    for address in dns::addresses(resolver, &server.host).await {
        match greets_at(question, server, address).await {
            Err(why) if !last.0 => last = why,
            Err(_) => {}
            Ok(()) => return Ok(()),
        }
    }
    Err(last)
}

async fn greets_at(
    question: &Question,
    server: &Server,
    address: IpAddr,
) -> Result<(), (bool, String)> {
    let endpoint = Endpoint {
        host: address.to_string(),
        port: server.port,
        encryption: Encryption::Tls,
        bind_address: None,
        connect_timeout: Duration::from_secs(4),
        read_timeout: Duration::from_secs(4),
        min_rate: MinRate { octets: 1, window: LIMIT },
        tcp_keepalive: Duration::from_mins(1),
        tls: TlsRules { name: Some(server.host.clone()), ..question.tls() },
    };
    let begin = Instant::now();
    let deadline = begin.checked_add(LIMIT).unwrap_or(begin);
    let wire = net::connect(&endpoint, deadline, &mut Witness::blind()).await;
    let wire = wire.map_err(|error| (false, error.to_string()))?;
    let there = |why: String| (true, format!("{}: {why}", server.host));
    let stream = wire.start_tls(&endpoint).await;
    let mut stream = stream.map_err(|error| there(error.to_string()))?;
    let mut said = [0_u8; 4];
    stream.read_exact(&mut said).await.map_err(|error| there(error.to_string()))?;
    let greeting: &[u8] = if server.protocol == Service::Imap { b"* " } else { b"+OK" };
    if said.starts_with(greeting) { Ok(()) } else { Err(there("speaks otherwise".to_owned())) }
}

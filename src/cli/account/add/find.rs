//! Which server it is: as was said, or as is found; and whether it may get the password.

use super::draft::{security, usual_port};
use super::{Desk, Trouble, Wish, ask};
use crate::cli::exit::Exit;
use crate::cli::{block_on, render};
use crate::discover::{self, Asked, Question};
use crate::provider::detect::{self, Finding, Server, Source};
use crate::provider::{Provider, Security, Service};

/// Columns of what a source said.
const WIDTH: usize = 48;

/// The server, and what is known of it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) server: Server,
    pub(super) outbound: Option<Server>,
    pub(super) provider: Option<&'static Provider>,
    pub(super) oauth_only: bool,
    /// For the file: "its server is known by SRV records".
    pub(super) source: &'static str,
}

pub(super) fn server(desk: &Desk<'_>, wish: &Wish, domain: &str) -> Result<Found, Trouble> {
    if let Some(host) = &wish.host {
        return Ok(as_said(wish, host));
    }
    let finding = match wish.provider {
        Some(provider) => detect::of_provider(Source::Provider, provider, &wish.address),
        None => search(desk, wish, domain)?,
    };
    let Some(server) = finding.inbound(wish.protocol).cloned() else {
        return Err(without_server(wish, &finding));
    };
    let server = corrected(server, wish);
    if let Some(why) = detect::doubt(finding.source, domain, &server.host) {
        agree(desk, &server.host, domain, why)?;
    }
    let outbound = finding.outbound().cloned();
    let outbound = match outbound {
        Some(server) if desk.manner.send => {
            if let Some(why) = detect::doubt(finding.source, domain, &server.host) {
                agree(desk, &server.host, domain, why)?;
            }
            Some(server)
        }
        other => other,
    };
    let (host, port) = (&server.host, server.port);
    let protocol = server.protocol.as_str().to_uppercase();
    desk.say(&format!("found: {protocol} {host}:{port} ({})", server.encryption.as_str()));
    Ok(Found {
        server,
        outbound,
        provider: finding.provider,
        oauth_only: finding.oauth_only,
        source: words(finding.source),
    })
}

fn search(desk: &Desk<'_>, wish: &Wish, domain: &str) -> Result<Finding, Trouble> {
    let manner = desk.manner;
    let question = Question {
        address: wish.address.clone(),
        domain: domain.to_owned(),
        wanted: wish.protocol,
        port: wish.port,
        dns_server: manner.dns_server,
        autoconfig_url: manner.autoconfig_url.clone(),
        central_url: manner.central.clone(),
        ca_file: manner.ca_file.clone(),
    };
    desk.say(&format!("looking for the settings of {domain}"));
    let tell = |asked: &Asked| {
        if !desk.context.out.json {
            show(desk, asked);
        }
        desk.asked.borrow_mut().push(asked.clone());
    };
    let found = block_on(discover::search(&question, tell));
    let found = found.map_err(|exit| Trouble::new(exit, "the search could not begin", ""))?;
    found.ok_or_else(|| {
        let hint = "say them: --host HOST, and --protocol, --port, --encryption where they aren't \
                    the usual ones";
        Trouble::failed(format!("no settings were found for {domain}"), hint)
    })
}

/// One source in 80 columns; what is longer goes on below.
fn show(desk: &Desk<'_>, asked: &Asked) {
    let mut lines = render::wrapped(&asked.result, WIDTH).into_iter();
    let first = lines.next().unwrap_or_default();
    let (source, ms) = (asked.source.as_str(), render::count(asked.ms));
    desk.say(&format!("  {source:<18}  {first:<WIDTH$} {ms:>6} ms"));
    for line in lines {
        desk.say(&format!("  {:<18}  {line}", ""));
    }
}

/// A server that a person has named needs no search and no yes.
fn as_said(wish: &Wish, host: &str) -> Found {
    let protocol = wish.protocol.unwrap_or(Service::Imap);
    let said = wish.encryption.as_deref().and_then(security);
    let encryption = said.unwrap_or(match wish.port {
        Some(143 | 110) => Security::StartTls,
        _ => Security::Tls,
    });
    let port = wish.port.unwrap_or_else(|| usual_port(protocol, encryption));
    let server = Server { protocol, host: host.to_owned(), port, encryption, user: None };
    Found {
        server,
        outbound: None,
        provider: None,
        oauth_only: false,
        source: "its server was named on the command line",
    }
}

/// What was said goes before what was found.
fn corrected(server: Server, wish: &Wish) -> Server {
    let said = wish.encryption.as_deref().and_then(security);
    let encryption = said.unwrap_or(server.encryption);
    let moved = encryption != server.encryption;
    let usual = if moved { usual_port(server.protocol, encryption) } else { server.port };
    Server { encryption, port: wish.port.unwrap_or(usual), ..server }
}

fn without_server(wish: &Wish, finding: &Finding) -> Trouble {
    let protocol = wish.protocol.map_or("IMAP or POP3", |service| match service {
        Service::Imap => "IMAP",
        _ => "POP3",
    });
    let title = finding.provider.map_or("the domain", |provider| provider.title);
    let note = finding.provider.and_then(|provider| provider.notes.first().copied());
    Trouble::failed(format!("{title} has no server for {protocol}"), note.unwrap_or_default())
}

/// A yes from the command line or the terminal.
fn agree(desk: &Desk<'_>, host: &str, domain: &str, why: &str) -> Result<(), Trouble> {
    if desk.manner.accept.iter().any(|accepted| accepted.eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    let no = || {
        let what = format!("{host} is not known to be {domain}'s server: {why}");
        let hint = format!("if it is: --accept {host}");
        Trouble::new(Exit::Person, what, &hint)
    };
    if !desk.person {
        return Err(no());
    }
    desk.say(&format!("{host} is not known to be {domain}'s server: {why}"));
    if ask::yes(&format!("may the password go to {host}? [y/N] "))? { Ok(()) } else { Err(no()) }
}

fn words(source: Source) -> &'static str {
    match source {
        Source::Provider => "its provider is known by name",
        Source::Srv => "its server is known by SRV records",
        Source::Autoconfig => "its server is known by the domain's autoconfig",
        Source::PlainAutoconfig => "its server is known by autoconfig without TLS",
        Source::Central => "its server is known by a database",
        Source::Mx => "its provider is known by MX records",
        Source::Guess => "its server has the usual name",
    }
}

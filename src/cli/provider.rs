//! `postrider provider`: what is known of mail providers.

use clap::{Args, Subcommand};

use super::Context;
use super::exit::Exit;
use super::render::{self, Tone};
use crate::provider::{self, Password, Provider, Service, UserName};

/// Show providers.
#[derive(Args, Debug)]
pub(super) struct ProviderVerb {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Show the name of each, what it takes as a password, and domains of its addresses
    #[command(after_help = "Example: postrider provider list --json")]
    List,
    /// Show one: servers, how to log in, limits
    #[command(after_help = "Example: postrider provider show gmail")]
    Show {
        /// Its name, or an address or domain of its own
        name: String,
    },
}

impl ProviderVerb {
    pub(super) fn run(self, context: &Context) -> Exit {
        match self.act {
            Act::List => list(context),
            Act::Show { name } => return show(context, &name),
        }
        Exit::Done
    }
}

fn list(context: &Context) {
    if context.out.json {
        let all: Vec<&Provider> = provider::all().collect();
        return context.out.value(&all);
    }
    let plain = |text: &str| (text.to_owned(), Tone::Plain);
    let mut rows = vec![["name", "logs in by", "addresses"].map(plain).to_vec()];
    for provider in provider::all() {
        let some: Vec<&str> = provider.domains.iter().take(2).copied().collect();
        let more = if provider.domains.len() > some.len() { ", …" } else { "" };
        let domains = if some.is_empty() { "-".to_owned() } else { some.join(", ") + more };
        rows.push(vec![plain(provider.name), plain(by(provider)), (domains, Tone::Plain)]);
    }
    context.out.table(&rows);
}

/// How one logs in, in two words.
fn by(provider: &Provider) -> &'static str {
    let login = provider.login;
    match (login.password, login.oauth) {
        _ if provider.imap.is_none() && provider.pop3.is_none() => "-",
        (Password::None, _) => "OAuth2",
        (Password::App, Some(_)) => "app password, OAuth2",
        (Password::App, None) => "app password",
        (Password::Own, _) => "password",
    }
}

fn show(context: &Context, name: &str) -> Exit {
    let domain = name.rsplit_once('@').map_or(name, |(_, domain)| domain);
    let Some(provider) = provider::by_name(name).or_else(|| provider::by_domain(domain)) else {
        let names = provider::all().map(|provider| provider.name);
        let near = names.min_by_key(|known| strsim::damerau_levenshtein(known, name));
        let hint = near.map(|near| format!("did you mean `{near}`? postrider provider list"));
        render::error(&format!("`{name}` is no known provider"), hint.as_deref());
        return Exit::Usage;
    };
    let out = context.out;
    if out.json {
        out.value(provider);
        return Exit::Done;
    }
    out.line(&format!("{}: {}", provider.name, provider.title));
    for service in [Service::Imap, Service::Pop3, Service::Smtp] {
        let server = provider.server(service).map_or_else(
            || "-".to_owned(),
            |preset| format!("{}:{} ({})", preset.host, preset.port, preset.encryption.as_str()),
        );
        out.line(&format!("  {:<10} {server}", service.as_str()));
    }
    let user = match provider.login.user {
        UserName::Address => "the whole address",
        UserName::LocalPart => "what stands before the @",
    };
    out.line(&format!("  {:<10} {user}", "user"));
    out.line(&format!("  {:<10} {}", "login", by(provider)));
    if let Some(url) = provider.login.url {
        out.line(&format!("  {:<10} {url}", "see"));
    }
    if let Some((oauth, grants)) = provider.login.oauth {
        let grants = grants.join(", ");
        out.line(&format!("  {:<10} provider = \"{oauth}\", grant {grants}", "oauth"));
    }
    for note in provider.notes {
        for (index, line) in render::wrapped(note, 66).iter().enumerate() {
            let head = if index == 0 { "note" } else { "" };
            out.line(&format!("  {head:<10} {line}"));
        }
    }
    Exit::Done
}

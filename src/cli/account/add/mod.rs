//! `postrider account add`: from an address to an account that works.
//!
//! Finds the servers, asks for what is missing (on a terminal only), tries the account as
//! `postrider test` does, checks the whole configuration with it, and only then writes: the password
//! into the keystore, then the file. Until then nothing is changed anywhere.

mod ask;
mod draft;
mod find;
mod keep;
mod many;
mod trial;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::exit::Exit;
use crate::cli::{Context, eprint, render};
use crate::config::{Config, Problem, Severity};
use crate::log::Sink;
use crate::provider::{self, Provider, Service};
use crate::secret::Secret;

pub(super) const AFTER_HELP: &str = "\
Looks for the servers in this order: the table of providers, SRV records,
autoconfig by https and by http, --central, MX records, usual names. The password
goes only to a server whose certificate is good for its name; one that the domain's
owner doesn't stand behind needs a yes (--accept). Nothing is asked off a terminal.
Exit codes: 0 added, 1 failed and nothing written, 2 wrong command line or config,
            78 a yes is needed

Example:    postrider account add invoices@example.org
In scripts: postrider account add invoices@example.org --password-stdin < password
            postrider account add --from-file accounts.csv";

/// Add an account.
#[derive(Args, Debug)]
pub(super) struct Add {
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    manner: Manner,
    /// Many accounts: a CSV file whose first line names its columns (docs/adding-accounts.md)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "password_stdin"])]
    from_file: Option<PathBuf>,
    /// Read the password from standard input
    #[arg(long, conflicts_with_all = ["oauth", "password_key"])]
    password_stdin: bool,
}

/// One account, as far as a person has said what it is.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Wish {
    /// The mail address
    #[arg(required_unless_present = "from_file", default_value = "", hide_default_value = true)]
    address: String,
    /// The account's name here [default: from the address]
    #[arg(long)]
    name: Option<String>,
    /// The user name at the server [default: what was found, else the address]
    #[arg(long)]
    user: Option<String>,
    /// How mail is read [default: imap, where there is a choice]
    #[arg(long, value_parser = protocol, value_name = "imap|pop3")]
    protocol: Option<Service>,
    /// Take the servers of this provider: postrider provider list
    #[arg(long, value_parser = named_provider, value_name = "NAME", conflicts_with = "host")]
    provider: Option<&'static Provider>,
    /// The server; nothing is looked for then
    #[arg(long)]
    host: Option<String>,
    /// Its port
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// When TLS begins
    #[arg(long, value_parser = ["tls", "starttls"], value_name = "tls|starttls")]
    encryption: Option<String>,
    /// A mailbox to poll; may be given several times [default: INBOX]
    #[arg(long = "folder", value_name = "MAILBOX")]
    folders: Vec<String>,
    /// Log in by the tokens of `[oauth.NAME]`
    #[arg(long, value_name = "NAME", conflicts_with = "password_key")]
    oauth: Option<String>,
    /// The password is in the keystore already, under this name
    #[arg(long, value_name = "NAME")]
    password_key: Option<String>,
    #[arg(skip)]
    password: Option<Secret>,
}

/// How the work is done.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct Manner {
    /// Yes to sending the password to this host; may be given several times
    #[arg(long, value_name = "HOST")]
    accept: Vec<String>,
    /// Also write `[outbound.NAME]`, for sending by the same account
    #[arg(long)]
    send: bool,
    /// Save without trying it
    #[arg(long)]
    no_test: bool,
    /// Show the file that would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Put `include = ["conf.d/*.toml"]` into the main config file, if it has no `include`
    #[arg(long)]
    add_include: bool,
    /// PEM file of further CAs, for the search and the account
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Ask this DNS server instead of those in /etc/resolv.conf
    #[arg(long, value_name = "ADDRESS:PORT")]
    dns_server: Option<SocketAddr>,
    /// Ask for an autoconfig document here instead of at the domain's own places
    #[arg(long, value_name = "URL")]
    autoconfig_url: Option<String>,
    /// Ask a database of autoconfig documents, too: it learns the domain [URL: Mozilla's]
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true,
          default_missing_value = crate::discover::CENTRAL)]
    central: Option<String>,
}

/// What the steps work with.
pub(super) struct Desk<'a> {
    context: &'a Context,
    sink: &'a Sink,
    manner: &'a Manner,
    /// Somebody is at the terminal.
    person: bool,
    /// The sources that were asked are told, for JSON.
    asked: std::cell::RefCell<Vec<crate::discover::Asked>>,
}

/// Why an account is not added.
#[derive(Debug)]
pub(super) struct Trouble {
    what: String,
    hint: Option<String>,
    exit: Exit,
    /// It has been shown already.
    shown: bool,
}

impl Trouble {
    fn new(exit: Exit, what: impl Into<String>, hint: &str) -> Self {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Self { what: what.into(), hint, exit, shown: false }
    }

    fn usage(what: impl Into<String>, hint: &str) -> Self {
        Self::new(Exit::Usage, what, hint)
    }

    fn failed(what: impl Into<String>, hint: &str) -> Self {
        Self::new(Exit::Failed, what, hint)
    }

    /// The config would not be right.
    fn of_problems(problems: &[Problem]) -> Self {
        let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
        let texts: Vec<String> = errors.map(ToString::to_string).collect();
        Self::usage(texts.join("\n"), "")
    }
}

/// An account that was added, or would be.
#[derive(Debug)]
pub(super) struct Added {
    name: String,
    json: Value,
}

impl Add {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let sink = match context.log(&config, None) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        if let Some(file) = &self.from_file {
            return many::run(context, &sink, &self.manner, (file, &self.wish));
        }
        let person = std::io::stdin().is_terminal() && !context.out.json && !self.password_stdin;
        let asked = std::cell::RefCell::default();
        let desk = Desk { context, sink: &sink, manner: &self.manner, person, asked };
        let mut wish = self.wish;
        let mut work = || {
            if self.password_stdin {
                wish.password = Some(ask::piped()?);
            }
            desk.add(&wish)
        };
        match work() {
            Ok(added) => {
                if context.out.json {
                    context.out.value(&added.json);
                }
                Exit::Done
            }
            Err(trouble) => desk.tell(&trouble),
        }
    }
}

impl Desk<'_> {
    /// Adds one account, from its address to its file.
    fn add(&self, wish: &Wish) -> Result<Added, Trouble> {
        let Some(domain) = provider::domain_of(&wish.address) else {
            let what = format!("`{}` is no mail address", wish.address.escape_debug());
            return Err(Trouble::usage(what, "such as invoices@example.org"));
        };
        let config = self.config()?;
        // What can't be written need not be looked for.
        if let Some(name) = &wish.name {
            keep::is_free(self, &config, name)?;
        }
        let found = find::server(self, wish, &domain)?;
        let mut draft = draft::Draft::new(self, wish, &found);
        if wish.name.is_none() {
            draft.name = ask::name(self, &config, &draft.name)?;
        }
        ask::login(self, &config, (wish, &found), &mut draft)?;
        let tested =
            if self.manner.no_test { None } else { trial::until_it_works(self, &mut draft)? };
        let kept = keep::put(self, &draft)?;
        let asked = self.asked.borrow();
        let json = json!({
            "ok": true, "account": draft.name, "file": kept, "written": !self.manner.dry_run,
            "found_by": found.source, "server": draft.server_json(), "asked": &*asked,
            "test": tested,
        });
        Ok(Added { name: draft.name.clone(), json })
    }

    /// The config as it is now: an account before may have changed it.
    fn config(&self) -> Result<Config, Trouble> {
        let loaded = crate::config::load(&self.context.config_file, crate::poll::Clock.now());
        loaded.config.ok_or_else(|| Trouble::of_problems(&loaded.problems))
    }

    /// A line for people.
    fn say(&self, text: &str) {
        if !self.context.out.json {
            self.context.out.line(text);
        }
    }

    fn tell(&self, trouble: &Trouble) -> Exit {
        if self.context.out.json {
            self.context.out.value(&json!({
                "ok": false, "error": { "message": trouble.what, "hint": trouble.hint },
                "asked": &*self.asked.borrow(),
            }));
        } else if trouble.what.contains('\n') || trouble.what.starts_with("error: ") {
            eprint(&trouble.what);
        } else if !trouble.shown {
            render::error(&trouble.what, trouble.hint.as_deref());
        } else if let Some(hint) = &trouble.hint {
            eprint(&format!("  hint: {hint}"));
        }
        trouble.exit
    }
}

fn protocol(word: &str) -> Result<Service, String> {
    match word.to_ascii_lowercase().as_str() {
        "imap" => Ok(Service::Imap),
        "pop3" => Ok(Service::Pop3),
        _ => Err("`imap` or `pop3`".to_owned()),
    }
}

fn named_provider(word: &str) -> Result<&'static Provider, String> {
    provider::by_name(word).ok_or_else(|| "`postrider provider list` has them".to_owned())
}

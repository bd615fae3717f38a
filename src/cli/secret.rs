//! `postrider secret`: what is in the keystore; values go in, and never out.

use std::io::ErrorKind;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::exit::Exit;
use super::render::{self, Tone, ago, plural};
use super::{Context, records, terminal};
use crate::config::{Config, SecretSpec};
use crate::daemon::instance::check_state_dir;
use crate::poll::Clock;
use crate::secret::{self, Keystore, KeystoreFault, Surroundings};

pub(super) const AFTER_HELP: &str = "\
A secret is typed in unseen, or comes from a pipe; it is never an argument, which every
user of the machine could read.

Example: postrider secret set invoices
From a pipe: pass show mail/invoices | postrider secret set invoices";

/// Keep passwords in the keystore.
#[derive(Args, Debug)]
pub(super) struct Secret {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Store a secret, asked for twice or read from standard input
    Set {
        /// Its name, as `{ key = "NAME" }` has it
        name: String,
        /// Taken only to say why it is refused
        #[arg(hide = true)]
        surplus: Vec<String>,
    },
    /// Show names, when they were set, and what uses them
    List,
    /// Take a secret out
    Remove {
        /// Its name
        name: String,
    },
    /// Make a new key, and encrypt all secrets with it
    Rotate,
}

/// One line of the list.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// `None`: the config asks for it, and it isn't there.
    set_at: Option<Timestamp>,
    used_by: Vec<String>,
}

impl Secret {
    pub(super) fn run(self, context: &Context) -> Exit {
        if let Act::Set { name, surplus } = &self.act
            && let Some(why) = unfit(name, surplus)
        {
            render::error(why, Some("postrider secret set NAME asks for the secret, unseen"));
            return Exit::Usage;
        }
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        if !matches!(self.act, Act::List)
            && let Err(error) = check_state_dir(&config.daemon.state_dir)
        {
            render::error(&error.to_string(), error.hint().as_deref());
            return Exit::Person;
        }
        let keystore = Surroundings::of(&config.daemon).keystore;
        let done = match &self.act {
            Act::Set { name, .. } => return set(context, &config, &keystore, name),
            Act::List => list(context, &config, &keystore),
            Act::Remove { name } => remove(context, &config, &keystore, name),
            Act::Rotate => keystore.rotate().map(|n| {
                let secrets = plural(n as u64, "secret");
                records::record(context, &config, || {
                    let code = "keystore-rotated";
                    tracing::info!(target: "config", code, n, "{secrets} encrypted with a new key");
                });
                context.out.line(&format!("{secrets} encrypted with a new key"));
                context.out.line("  back-ups of the old key open old back-ups of the keystore");
                Exit::Done
            }),
        };
        done.unwrap_or_else(|fault| failed(&fault))
    }
}

/// Why what was typed is no name; it may be the secret, so it is not shown.
fn unfit(name: &str, surplus: &[String]) -> Option<&'static str> {
    if !surplus.is_empty() {
        return Some(
            "a secret on the command line can be read by every user of this machine and stays in \
             the shell's history: take it for known and change it",
        );
    }
    (!Keystore::is_name(name)).then_some(
        "that is no name (letters, digits, `.`, `_`, `-`, `@`); if it was the secret itself, every \
         user of this machine could read it: change it",
    )
}

fn set(context: &Context, config: &Config, keystore: &Keystore, name: &str) -> Exit {
    let octets = match terminal::read_secret(&format!("secret for `{name}`")) {
        Ok(octets) => octets,
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            render::error("stopped; nothing was changed", None);
            return Exit::Failed;
        }
        Err(error) => {
            render::error(&format!("{error}; nothing was changed"), None);
            return Exit::Failed;
        }
    };
    let secret = match secret::one_line(&octets) {
        Ok(secret) => secret,
        Err(fault) => {
            render::error(&format!("the secret: {fault}; nothing was changed"), None);
            return Exit::Failed;
        }
    };
    let done = match keystore.set(name, &secret, Clock.now()) {
        Ok(done) => done,
        Err(fault) => return failed(&fault),
    };
    records::record(context, config, || {
        let verb = if done.replaced { "replaced" } else { "stored" };
        tracing::info!(target: "config", code = "secret-set", name, "Secret `{name}` {verb}");
    });
    let used_by = users(config, name);
    if context.out.json {
        context.out.value(&json!({
            "name": name,
            "replaced": done.replaced,
            "made_key": done.made_key,
            "used_by": used_by,
        }));
        return Exit::Done;
    }
    let verb = if done.replaced { "replaced" } else { "stored" };
    context.out.line(&format!("`{name}` is {verb} in {}", keystore.file.display()));
    if let Some(path) = &done.made_key {
        context.out.lines(&format!(
            "  the key that opens it was made: {}\n  who can read both files, in a back-up too, \
             has the secrets; to keep the key\n  elsewhere (systemd, TPM) see \"Keystore\" in \
             docs/operations.md",
            path.display()
        ));
    }
    match used_by.as_slice() {
        [] => {
            context.out.line(&format!("  nothing uses it yet: password = {{ key = \"{name}\" }}"));
        }
        some => {
            context.out.line(&format!("  used by {}, from the next login on", some.join(", ")));
        }
    }
    Exit::Done
}

fn list(context: &Context, config: &Config, keystore: &Keystore) -> Result<Exit, KeystoreFault> {
    let names = keystore.names()?;
    let mut rows: Vec<Row> = Vec::new();
    for (name, at) in names {
        rows.push(Row { used_by: users(config, &name), name, set_at: Some(at) });
    }
    for used in secret::uses(config) {
        let SecretSpec::Key(name) = used.spec else { continue };
        if !rows.iter().any(|row| row.name == *name) {
            rows.push(Row { used_by: users(config, name), name: name.clone(), set_at: None });
        }
    }
    if context.out.json {
        context.out.value(&json!({ "keystore": keystore.file, "secrets": rows }));
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        context.out.line("the keystore is empty");
        return Ok(Exit::Done);
    }
    let now = Clock.now();
    let plain = |text: &str| (text.to_owned(), Tone::Plain);
    let mut table = vec![["name", "set", "used by"].map(plain).to_vec()];
    for row in rows {
        let set = match row.set_at {
            Some(at) => (ago(Some(at), now), Tone::Plain),
            None => ("MISSING".to_owned(), Tone::Bad),
        };
        let used_by = if row.used_by.is_empty() { "-".to_owned() } else { row.used_by.join(", ") };
        table.push(vec![plain(&row.name), set, (used_by, Tone::Plain)]);
    }
    context.out.table(&table);
    Ok(Exit::Done)
}

fn remove(
    context: &Context,
    config: &Config,
    keystore: &Keystore,
    name: &str,
) -> Result<Exit, KeystoreFault> {
    if !keystore.remove(name)? {
        let known = keystore.names()?.into_iter().map(|(name, _)| name).collect();
        return Err(KeystoreFault::NoName { name: name.to_owned(), known });
    }
    records::record(context, config, || {
        tracing::info!(target: "config", code = "secret-removed", name, "Secret `{name}` removed");
    });
    context.out.line(&format!("`{name}` is removed"));
    let used_by = users(config, name);
    if !used_by.is_empty() {
        context.out.line(&format!("  still asked for by {}", used_by.join(", ")));
    }
    Ok(Exit::Done)
}

/// Places of the config that ask for a name: `inbound.invoices password`.
fn users(config: &Config, name: &str) -> Vec<String> {
    let uses = secret::uses(config).into_iter();
    uses.filter(|used| matches!(used.spec, SecretSpec::Key(key) if key == name))
        .map(|used| format!("{} {}", used.table, used.key))
        .collect()
}

fn failed(fault: &KeystoreFault) -> Exit {
    let hint = match fault {
        KeystoreFault::NoName { .. } => None,
        fault => Some(fault.hint()),
    };
    render::error(&fault.to_string(), hint.as_deref());
    Exit::Failed
}

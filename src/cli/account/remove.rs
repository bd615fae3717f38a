//! `postrider account remove`: takes away an account's own file, and touches no mail.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use clap::Args;
use serde_json::json;

use crate::audit::Act;
use crate::cli::configuration::import::refused;
use crate::cli::exit::Exit;
use crate::cli::{Context, eprint, plan, records, render};
use crate::config::{self, Config, SecretSpec, Severity};
use crate::daemon::instance::lock_holder;
use crate::moving::place::Changing;
use crate::poll::Clock;

/// Remove an account.
#[derive(Args, Debug)]
pub(super) struct Remove {
    /// The account, which has a file `conf.d/NAME.toml` of its own
    account: String,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

impl Remove {
    pub(super) fn run(&self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let Some(account) = config.inbound.get(self.account.as_str()) else {
            return plan::unknown(&config, &self.account);
        };
        let key = match &account.password {
            Some(SecretSpec::Key(key)) => Some(key.clone()),
            _ => None,
        };
        let main = &context.config_file;
        let folder = main.parent().unwrap_or(Path::new("")).join("conf.d");
        let file = folder.join(format!("{}.toml", self.account));
        if let Err(exit) = self.is_alone(main, &file, &config) {
            return exit;
        }
        if !self.dry_run {
            let changing = match Changing::begin(main) {
                Ok(changing) => changing,
                Err(error) => return refused(&error, context),
            };
            let gone = rustix::fs::unlink(&file).map_err(std::io::Error::from);
            if let Err(error) = gone.and_then(|()| File::open(&folder)?.sync_all()) {
                render::error(&format!("cannot remove {}: {error}", file.display()), None);
                return Exit::Failed;
            }
            drop(changing);
            self.tell(context, &config, &file);
        }
        self.report(context, &config, &file, key.as_deref());
        Exit::Done
    }

    /// Whether the file holds this account and nothing else, and the rest is right without it.
    fn is_alone(&self, main: &Path, file: &Path, config: &Config) -> Result<(), Exit> {
        let shown = file.display();
        let without = config::load_without(main, file, Clock.now());
        let Some(rest) = without.config else {
            let errors = without.problems.iter().filter(|p| p.severity == Severity::Error);
            errors.for_each(|problem| eprint(&problem.to_string()));
            render::error(&format!("without {shown} the config would not be right"), None);
            return Err(Exit::Usage);
        };
        let name = self.account.as_str();
        let gone = |before: BTreeSet<&str>, after: BTreeSet<&str>| -> Vec<String> {
            let gone = before.difference(&after).filter(|other| **other != name);
            gone.map(|other| (*other).to_owned()).collect()
        };
        let lost = [
            gone(
                config.inbound.keys().map(|key| &**key).collect(),
                rest.inbound.keys().map(|key| &**key).collect(),
            ),
            gone(
                config.outbound.keys().map(|key| &**key).collect(),
                rest.outbound.keys().map(|key| &**key).collect(),
            ),
        ]
        .concat();
        if rest.inbound.contains_key(name) {
            let what = format!("`{name}` doesn't stand in {shown}");
            render::error(&what, Some("take its table out by hand, then: postrider check"));
            return Err(Exit::Usage);
        }
        if !lost.is_empty() || rest.oauth.len() != config.oauth.len() {
            let what = format!("{shown} holds more than `{name}`: {}", lost.join(", "));
            render::error(&what, Some("take its table out by hand, then: postrider check"));
            return Err(Exit::Usage);
        }
        Ok(())
    }

    /// Tells history and log.
    fn tell(&self, context: &Context, before: &Config, file: &Path) {
        if let Some(config) = &config::load(&context.config_file, Clock.now()).config {
            records::note(config, Act::AccountRemove);
        }
        records::record(context, before, || {
            tracing::info!(
                target: "config",
                code = "account-removed",
                account = self.account,
                file = %file.display(),
                "Account removed; its mail stays"
            );
        });
    }

    fn report(&self, context: &Context, config: &Config, file: &Path, key: Option<&str>) {
        let (name, out) = (&self.account, context.out);
        let runs = lock_holder(&config.daemon.state_dir).is_some();
        if out.json {
            return out.value(&json!({
                "account": name, "file": file, "removed": !self.dry_run, "secret": key,
                "daemon_runs": runs,
            }));
        }
        let word = if self.dry_run { "would remove" } else { "removed" };
        out.line(&format!("{word} {}", file.display()));
        out.line(
            "what stays: the mail on the server, the archive, and what the ledger knows of it",
        );
        if let Some(key) = key {
            out.line(&format!("  and its password: postrider secret remove {key}"));
        }
        if runs && !self.dry_run {
            out.line("next: postrider reload: the daemon polls it until then");
        }
    }
}

//! `postrider check`: the config, every error and warning at once.

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::exit::Exit;
use super::{Context, block_on, render};
use crate::config::{self, Alias, Config, Loaded, Pending, Problem, Severity};
use crate::ledger::Ledger;
use crate::poll::{Clock, Forecast};
use crate::secret::Surroundings;

/// Check the config.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// Warnings are errors
    #[arg(long)]
    strict: bool,
}

impl Check {
    pub(super) fn run(&self, context: &Context) -> Exit {
        let mut loaded = config::load(&context.config_file, Clock.now());
        look_up_aliases(&mut loaded);
        let mut due = Vec::new();
        if let Some(config) = &loaded.config {
            due = block_on(due_deletes(config, Clock.now())).unwrap_or_default();
        }
        if let Some(warning) = Pending::warning(&context.config_file) {
            loaded.report(warning);
        }
        let errors = loaded.count(Severity::Error);
        let warnings = loaded.count(Severity::Warning);
        if context.out.json {
            context.out.value(&json!({
                "errors": errors,
                "warnings": warnings,
                "files": loaded.files,
                "problems": loaded.problems,
                "deletes_due": due.iter().map(|d| json!({
                    "account": d.account, "due": d.due, "of": d.archived, "armed": d.armed,
                    "today": d.today, "week": d.week, "brake": d.brake,
                })).collect::<Vec<_>>(),
            }));
        } else {
            print(context, &loaded, &due);
        }
        if errors > 0 || (self.strict && warnings > 0) { Exit::Usage } else { Exit::Done }
    }
}

/// Looks for each `{ key = "NAME" }` in the keystore; no secret leaves it.
fn look_up_aliases(loaded: &mut Loaded) {
    let Some(daemon) = loaded.daemon.as_ref().filter(|_| !loaded.aliases.is_empty()) else {
        return;
    };
    let names = match Surroundings::of(daemon).keystore.names() {
        Ok(names) => names,
        Err(fault) => {
            // Only the service may hold the key: that the config is wrong isn't said by it.
            let problem = Problem::warning(format!("the keystore can't be looked into: {fault}"));
            loaded.report(problem.hint(fault.hint()));
            return;
        }
    };
    let known: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    let known = if known.is_empty() {
        "it is empty".to_owned()
    } else {
        format!("it has: {}", known.join(", "))
    };
    for alias in loaded.aliases.clone() {
        if names.iter().any(|(name, _)| *name == alias.name) {
            continue;
        }
        let Alias { name, key, table, place } = alias;
        let what = format!("`{key} = {{ key = \"{name}\" }}`: the keystore has no `{name}`");
        let hint = format!("postrider secret set {name}; {known}");
        loaded.report(Problem::error(what).at(&place).within(&table).hint(hint));
    }
}

fn print(context: &Context, loaded: &Loaded, due: &[Forecast]) {
    for problem in &loaded.problems {
        context.out.lines(&problem.to_string());
        context.out.line("");
    }
    if !loaded.problems.is_empty() {
        context.out.line(&loaded.summary());
    }
    let Some(config) = &loaded.config else { return };
    for forecast in due.iter().filter(|forecast| forecast.due > 0 || forecast.armed) {
        context.out.lines(&foretell(forecast));
    }
    let enabled = config.inbound.values().filter(|account| account.enabled).count();
    context.out.line(&format!(
        "ok: {} of {} would be polled into {}",
        enabled,
        render::plural(config.inbound.len() as u64, "inbound account"),
        config.archive.root.display()
    ));
}

/// How many stored messages leave the server and when, for people.
pub(super) fn foretell(forecast: &Forecast) -> String {
    let Forecast { account, armed, archived, due, today, week, .. } = forecast;
    let stored = render::plural(*archived, "archived message");
    let what = if *armed { "deletes are armed over" } else { "deletes are on over" };
    format!(
        "{account}: {what} {stored}\n  due to be deleted on the server: {} now, {} by the end of \
         today, {} within 7 days\n  {}",
        render::count(*due),
        render::count(*today),
        render::count(*week),
        forecast.brake_text()
    )
}

async fn due_deletes(config: &Config, now: Timestamp) -> Vec<Forecast> {
    let Ok(ledger) = Ledger::open_read_only(&config.daemon.state_dir) else { return Vec::new() };
    let mut found = Vec::new();
    for account in config.inbound.values().filter(|account| account.enabled) {
        let when = (now, &config.archive.timezone);
        found.extend(Forecast::of(&ledger, account, when).await.ok().flatten());
    }
    found
}

//! Reload, and the other calls that concern the whole daemon: its state, and debugging for a time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::control::{self, Wanted, after, unknown};
use super::herald::situation;
use super::replay::{self, Order};
use super::state::{InForce, LiveFacts, Rejected, Scope};
use super::{Daemon, accounts, apply_log, note, notify, outbox, warn_of, warn_of_config};
use crate::audit::{self, Act};
use crate::config::{self, Config, Problem, diff};
use crate::control::{Call, Command, Person, Refusal};
use crate::ledger::ActionFilter;
use crate::model::AccountName;
use crate::notice::RefusedConfig;
use crate::poll::announce;

/// Longest time for which an account may be debugged.
const DEBUG_MAX: Duration = Duration::from_hours(24);
/// Changes that are named in the log.
const CHANGES_SHOWN: usize = 20;

impl Daemon {
    /// Does what somebody asks for, or begins it.
    pub(super) async fn answer(&mut self, call: Call) {
        let Call { command, person, replies } = call;
        let name = |account: &str| self.account(account);
        match command {
            Command::Actions { drop, account, rule, id, failed, unknown } => {
                let all = false;
                let filter = ActionFilter { account, rule, id, failed, all, unknown };
                self.desk.change_actions(filter, drop, person, replies);
            }
            Command::Status => replies.end(Ok(self.facts())),
            Command::Reload => replies.end(self.reload(Some(&person)).await),
            Command::Poll { accounts, force } => {
                let wanted = Wanted { accounts, force, person };
                self.desk.poll(&self.in_force.config, &wanted, replies);
            }
            Command::Debug { account, seconds } => match name(&account) {
                Ok(account) => replies.end(self.debug(&account, seconds, &person)),
                Err(refusal) => replies.end(Err(refusal)),
            },
            Command::Pause { account, seconds, reason } => match name(&account) {
                Ok(account) => {
                    self.desk.order(
                        account,
                        control::Order::Pause { seconds, reason },
                        person,
                        replies,
                    );
                }
                Err(refusal) => replies.end(Err(refusal)),
            },
            Command::Replay { account, rule, rules, rows, asked_at } => {
                match self.replay(&account, rule, &rules) {
                    Ok(order) => {
                        let asked_at = asked_at.and_then(|at| Timestamp::from_millisecond(at).ok());
                        let order = Order { rows, asked_at, ..order };
                        self.desk.replay(order, person, replies);
                    }
                    Err(refusal) => replies.end(Err(refusal)),
                }
            }
            Command::Resume { account } => match self.any_account(&account) {
                Ok(account) => {
                    let inbound = self.in_force.config.inbound.get(&account);
                    let former = inbound.and_then(|inbound| inbound.renamed_from.clone());
                    self.desk.order(account, control::Order::Resume { former }, person, replies);
                }
                Err(refusal) => replies.end(Err(refusal)),
            },
        }
    }

    /// A replay by the rules in force, if they are those that the command knows.
    fn replay(&self, account: &str, rule: Option<String>, rules: &str) -> Result<Order, Refusal> {
        let config = &self.in_force.config;
        let account = self.account(account)?;
        let Some(inbound) = config.inbound.get(&account) else { return Err(unknown(&account)) };
        if replay::digest(&inbound.on_received) != rules {
            let what = format!("the daemon has other rules for `{account}` than the config has");
            let hint =
                "postrider reload, if they are to count; `--dry-run` shows what they would do";
            return Err(Refusal::new("rules-differ", what, Some(hint)));
        }
        let now = self.instance.tools.clock.now();
        Ok(Order { rule, ..Order::new(config, inbound, now) })
    }

    fn account(&self, name: &str) -> Result<AccountName, Refusal> {
        let found = self.in_force.config.inbound.get_key_value(name);
        found.map(|(name, _)| Arc::clone(name)).ok_or_else(|| unknown(name))
    }

    /// An inbound or an outbound one.
    fn any_account(&self, name: &str) -> Result<AccountName, Refusal> {
        let outbound = self.in_force.config.outbound.get_key_value(name);
        self.account(name)
            .or_else(|unknown| outbound.map(|(name, _)| Arc::clone(name)).ok_or(unknown))
    }

    /// Polls, and the rules of what they store, are those of this config from now on.
    fn work_by(&mut self, config: &Config) {
        self.book.send_replace(Arc::new(outbox::book(config)));
        self.scheduler.apply(config);
    }

    /// Reads the config anew and swaps it whole, or keeps the old one and says why.
    pub(super) async fn reload(&mut self, by: Option<&Person>) -> Result<Value, Refusal> {
        notify::reloading();
        let now = self.instance.tools.clock.now();
        let loaded = config::load(&self.in_force.file, now);
        let summary = loaded.summary();
        let verdict = InForce::of(self.in_force.file.clone(), loaded)
            .map_err(|problems| problems.iter().map(line).collect::<Vec<_>>())
            .and_then(|new| fixed(&self.in_force.config, &new.config).map(|()| new));
        let (uid, user) = match by {
            Some(person) => (person.uid, person.name.as_str()),
            None => (rustix::process::geteuid().as_raw(), "system"),
        };
        let who = by.map(|person| format!(" (asked by {person})")).unwrap_or_default();
        match verdict {
            Ok(new) => {
                let changes = diff(&self.in_force.origins, &new.origins);
                apply_log(&new.config, &self.sink, &self.attempts);
                announce(&new.config, &self.instance.tools.ledger, now).await;
                self.work_by(&new.config);
                warn_of_config(&new.warnings);
                warn_of(&new.config);
                let warnings: Vec<String> = new.warnings.iter().map(line).collect();
                self.told.send_replace(situation(&new.config));
                let actor = by.map_or_else(|| user.to_owned(), ToString::to_string);
                let entry = audit::by(&new.config, Act::Reload, actor, now);
                note(&self.history, entry);
                self.in_force = new;
                self.loaded_at = now;
                self.rejected = None;
                let polling = accounts(&self.scheduler);
                let shown: Vec<String> =
                    changes.iter().take(CHANGES_SHOWN).map(ToString::to_string).collect();
                tracing::info!(
                    target: "config",
                    code = "config-loaded",
                    created_by = user,
                    created_uid = uid,
                    changes = changes.len(),
                    changed = shown.join("; "),
                    "Config reloaded{who}: polling {polling}"
                );
                notify::ready(&format!("polling {polling}"));
                Ok(
                    json!({ "changes": changes, "warnings": warnings, "polling": self.scheduler.accounts() }),
                )
            }
            Err(problems) => Err(self.refuse(problems, (uid, user, &who), (now, &summary))),
        }
    }

    /// Keeps the old config, and says why.
    fn refuse(
        &mut self,
        problems: Vec<String>,
        (uid, user, who): (u32, &str, &str),
        (now, summary): (Timestamp, &str),
    ) -> Refusal {
        tracing::error!(
            target: "config",
            code = "config-rejected",
            created_by = user,
            created_uid = uid,
            "Config rejected{who}, the old one stays in force: {}",
            problems.join("; ")
        );
        notify::ready("config rejected, the old one stays in force");
        let why = problems.join("; ");
        self.told.send_modify(|told| told.refused = Some(RefusedConfig { at: now, why }));
        self.rejected = Some(Rejected { at: now, problems: problems.clone() });
        let what = format!("the config was rejected, the old one stays in force ({summary})");
        let refusal = Refusal::new("config-rejected", what, None);
        Refusal { problems, ..refusal }
    }

    /// Logs everything of an account for a time, its dialogue with the server too.
    fn debug(&self, account: &AccountName, seconds: u64, by: &Person) -> Result<Value, Refusal> {
        let wanted = Duration::from_secs(seconds);
        let too_long = || {
            let what =
                format!("an account can be debugged for {} hours", DEBUG_MAX.as_secs() / 3600);
            Refusal::new("debug-too-long", what, Some("`debug = true` in its table is for longer"))
        };
        let ends = after(seconds).filter(|_| wanted <= DEBUG_MAX).ok_or_else(too_long)?;
        let now = self.instance.tools.clock.now();
        let until = now.checked_add(wanted).map_err(|_| too_long())?;
        let live = &self.attempts.live;
        live.debug(account, (seconds > 0).then_some((ends, until)));
        apply_log(&self.in_force.config, &self.sink, &self.attempts);
        let until = (seconds > 0).then_some(until);
        tracing::info!(
            target: "daemon",
            code = "account-debugged",
            account = &**account,
            created_by = by.name,
            created_uid = by.uid,
            claim = by.claim.as_deref().unwrap_or_default(),
            until = until.map(|until| until.to_string()).unwrap_or_default(),
            "{} by {by}",
            if until.is_some() { "Everything is logged for a time, wanted" } else { "No more in debug" }
        );
        Ok(json!({ "account": &**account, "until": until }))
    }

    /// Back to the config's level, for those whose time is over.
    pub(super) fn end_debugging(&self) {
        let over = self.attempts.live.end_debugging(tokio::time::Instant::now());
        for account in over {
            tracing::info!(
                target: "daemon",
                code = "account-debugged",
                account = &*account,
                "No more in debug: the time is over"
            );
        }
        apply_log(&self.in_force.config, &self.sink, &self.attempts);
    }

    fn facts(&self) -> Value {
        let live = &self.attempts.live;
        let debugged = live.debugged();
        let facts = LiveFacts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.started_at,
            config_file: self.in_force.file.clone(),
            config_loaded_at: self.loaded_at,
            config_rejected: self.rejected.clone(),
            running: live.running(),
            next: live.next(),
            debugged: debugged.iter().map(|(name, at)| (name.to_string(), *at)).collect(),
            scope: Scope::of(&self.in_force.config),
        };
        serde_json::to_value(facts).unwrap_or_default()
    }
}

/// What only a restart can change.
fn fixed(old: &Config, new: &Config) -> Result<(), Vec<String>> {
    if old.daemon != new.daemon {
        return Err(vec!["a change of [daemon] needs a restart".to_owned()]);
    }
    if old.archive != new.archive {
        return Err(vec!["a change of [archive] needs a restart".to_owned()]);
    }
    Ok(())
}

/// A problem on one line.
fn line(problem: &Problem) -> String {
    format!("{}{}", problem.message, place(problem))
}

/// ` (postrider.toml:9)`, or nothing.
pub(super) fn place(problem: &Problem) -> String {
    match (&problem.file, problem.line) {
        (Some(file), Some(line)) => format!(" ({}:{line})", file.display()),
        _ => String::new(),
    }
}

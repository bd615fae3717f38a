//! `postrider actions`: the outbox, for people.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::control::{self, ask};
use super::exit::Exit;
use super::render::{self, Out, Tone, ago, ahead, count, plural};
use super::{Context, block_on, plan, who};
use crate::config::Config;
use crate::control::Command;
use crate::daemon::instance::{Instance, InstanceError};
use crate::daemon::orders;
use crate::ledger::{ActionFilter, ActionRow, ActionState, Ledger, LedgerError, Tx};
use crate::log::Sink;
use crate::model::nearest;
use crate::poll::Clock;

/// What rules have still to do, and what failed.
#[derive(Args, Debug)]
pub(super) struct Actions {
    #[command(subcommand)]
    verb: ActionsVerb,
}

#[derive(Debug, Subcommand)]
enum ActionsVerb {
    /// Show actions that aren't done, each with its last failure
    #[command(after_help = "Example: postrider actions list invoices --failed")]
    List(List),
    /// Try failed and waiting actions again at once
    #[command(after_help = "Example: postrider actions retry invoices --rule ticket")]
    Retry(Which),
    /// Give up actions
    #[command(after_help = "Example: postrider actions drop invoices --rule ticket --failed")]
    Drop(DropWhich),
}

/// Which actions are meant.
#[derive(Args, Debug)]
struct Which {
    /// The inbound account [default: all]
    account: Option<String>,
    /// Of this rule only
    #[arg(long)]
    rule: Option<String>,
    /// The action with this number
    #[arg(long)]
    id: Option<i64>,
}

#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    which: Which,
    /// Only those that have failed for good
    #[arg(long)]
    failed: bool,
    /// Those that are done, too
    #[arg(long, conflicts_with = "failed")]
    all: bool,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

#[derive(Args, Debug)]
struct DropWhich {
    #[command(flatten)]
    which: Which,
    /// Only those that have failed for good
    #[arg(long)]
    failed: bool,
    /// What rules asked for before the ledger was made anew: nobody knows what of it is done
    #[arg(long, requires = "account", conflicts_with_all = ["rule", "id", "failed"])]
    unknown: bool,
}

/// A change of the outbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Change {
    Drop,
    Retry,
}

impl Actions {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let which = match &self.verb {
            ActionsVerb::List(list) => &list.which,
            ActionsVerb::Retry(which) => which,
            ActionsVerb::Drop(drop) => &drop.which,
        };
        // A rule's account may have left the config: then its number says which is meant.
        if let Some(name) = &which.account
            && !config.inbound.contains_key(name.as_str())
        {
            return plan::unknown(&config, name);
        }
        if let Err(exit) = which.check(&config) {
            return exit;
        }
        match &self.verb {
            ActionsVerb::List(list) => list.run(context, &config),
            ActionsVerb::Retry(which) => {
                change(context, &config, Change::Retry, which.filter(false))
            }
            ActionsVerb::Drop(drop) => {
                if drop.which.account.is_none() && drop.which.id.is_none() {
                    render::error("which actions?", Some("name an account, or `--id`"));
                    return Exit::Usage;
                }
                let filter = drop.which.filter(drop.failed);
                let unknown = drop.unknown;
                change(context, &config, Change::Drop, ActionFilter { unknown, ..filter })
            }
        }
    }
}

impl Which {
    /// Says that there is no such rule or action, as far as the ledger can be read.
    fn check(&self, config: &Config) -> Result<(), Exit> {
        let filter = ActionFilter { all: true, ..self.filter(false) };
        let found = block_on(async {
            let ledger = Ledger::open_read_only(&config.daemon.state_dir)?;
            let look = move |tx: &Tx<'_>| Ok((tx.actions(&filter, 1)?, tx.open_rules()?));
            ledger.read("read actions", look).await
        })?;
        // Who may direct the daemon may still not read the ledger.
        let Ok((found, open)): Result<_, LedgerError> = found else { return Ok(()) };
        if !found.is_empty() {
            return Ok(());
        }
        if let Some(rule) = &self.rule {
            let of = |account: &str| self.account.as_deref().is_none_or(|name| name == account);
            let accounts = config.inbound.values().filter(|account| of(&account.name));
            let rules = accounts.flat_map(|account| &account.on_received);
            let left = open.iter().filter(|(account, ..)| of(account)).map(|(_, rule, _)| rule);
            let known: Vec<&str> =
                rules.map(|rule| rule.name.as_str()).chain(left.map(String::as_str)).collect();
            if !known.contains(&rule.as_str()) {
                let whose = self.account.as_ref().map(|name| format!("`{name}` has "));
                let what = format!("{}no rule `{rule}`", whose.unwrap_or_default());
                render::error(&what, Some(&named(rule, &known)));
                return Err(Exit::Usage);
            }
        }
        match self.id {
            Some(id) => {
                let whose = self.account.as_ref().map(|name| format!(" of `{name}`"));
                let rule = self.rule.as_ref().map(|rule| format!(" of rule `{rule}`"));
                let (whose, rule) = (whose.unwrap_or_default(), rule.unwrap_or_default());
                let hint = "postrider actions list --all";
                render::error(&format!("no action {id}{whose}{rule}"), Some(hint));
                Err(Exit::Usage)
            }
            None => Ok(()),
        }
    }

    fn filter(&self, failed: bool) -> ActionFilter {
        let (account, rule) = (self.account.clone(), self.rule.clone());
        ActionFilter { account, rule, id: self.id, failed, ..ActionFilter::default() }
    }
}

impl List {
    fn run(&self, context: &Context, config: &Config) -> Exit {
        let filter = ActionFilter { all: self.all, ..self.which.filter(self.failed) };
        let limit = self.limit;
        let found = block_on(async {
            let ledger = Ledger::open_read_only(&config.daemon.state_dir)?;
            ledger.read("read actions", move |tx| tx.actions(&filter, limit)).await
        });
        let rows = match found {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => return refuse(&error),
            Err(exit) => return exit,
        };
        if context.out.json {
            context.out.value(&json!({ "actions": rows }));
        } else {
            print(context.out, &rows);
        }
        Exit::Done
    }
}

fn refuse(error: &LedgerError) -> Exit {
    render::error(&error.to_string(), error.hint());
    if error.needs_person() { Exit::Person } else { Exit::Failed }
}

fn print(out: Out, rows: &[ActionRow]) {
    if rows.is_empty() {
        out.line("no action waits, and none has failed");
        return;
    }
    let now = Clock.now();
    let plain = |text: &str| (text.to_owned(), Tone::Plain);
    let head = ["id", "account", "rule", "state", "tries", "next"];
    let mut table = vec![head.iter().map(|text| plain(text)).collect::<Vec<_>>()];
    for row in rows {
        let (state, tone) = match row.state {
            ActionState::Pending => ("pending", Tone::Plain),
            ActionState::Running => ("running", Tone::Plain),
            ActionState::Done => ("done", Tone::Good),
            ActionState::Failed => ("FAILED", Tone::Bad),
            ActionState::Dropped => ("dropped", Tone::Plain),
        };
        let next = match row.state {
            ActionState::Pending => ahead(Some(row.due_at), now),
            _ => ago(row.last_at, now),
        };
        table.push(vec![
            plain(&row.id.to_string()),
            plain(&row.account),
            plain(&row.rule),
            (state.to_owned(), tone),
            plain(&count(u64::from(row.attempts))),
            plain(&next),
        ]);
    }
    let below = |row: &ActionRow| {
        let why = (!row.detail.is_empty()).then(|| format!("{}: {}", row.code, row.detail));
        [Some(row.path.clone()), why].into_iter().flatten().collect()
    };
    let below: Vec<Vec<String>> = rows.iter().map(below).collect();
    out.table_with(&table, &below);
}

/// Has the daemon do it, or does it where none runs.
fn change(context: &Context, config: &Config, change: Change, filter: ActionFilter) -> Exit {
    let drop = change == Change::Drop;
    let ActionFilter { account, rule, id, failed, unknown, .. } = filter.clone();
    let command = Command::Actions { drop, account, rule, id, failed, unknown };
    let done = match ask(&config.daemon.state_dir, command, |_| {}) {
        Ok(Some(result)) => result,
        Ok(None) => match here(context, config, drop, filter) {
            Ok(result) => result,
            Err(exit) => return exit,
        },
        Err(error) => return control::failed(&error),
    };
    if context.out.json {
        context.out.value(&done);
    } else {
        let n = done.get("actions").and_then(Value::as_u64).unwrap_or_default();
        let (of, what) = match (drop, unknown) {
            (true, true) => ("message", "with nothing left to do"),
            (true, false) => ("action", "given up"),
            (false, _) => ("action", "due now"),
        };
        context.out.line(&format!("{} {what}", plural(n, of)));
        let marks = |name| done.get(name).and_then(Value::as_u64).unwrap_or_default();
        tell_marks(context.out, (marks("marks_at_once"), marks("marks_later")));
    }
    Exit::Done
}

/// Which rules there are instead.
fn named(rule: &str, known: &[&str]) -> String {
    match nearest(rule, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "there are no rules".to_owned(),
        None => format!("the rules: {}", known.join(", ")),
    }
}

/// When what is to be marked on the server is: by a poll that begins now, and by a later one.
pub(super) fn tell_marks(out: Out, (at_once, later): (u64, u64)) {
    if at_once > 0 {
        out.line(&format!("{} on the server, by a poll that begins now", plural(at_once, "mark")));
    }
    if later > 0 {
        out.line(&format!("{} on the server, by the account's next poll", plural(later, "mark")));
    }
}

fn here(
    context: &Context,
    config: &Config,
    drop: bool,
    filter: ActionFilter,
) -> Result<Value, Exit> {
    let sink = context.log(config, None)?;
    let done = block_on(write(config, &sink, drop, filter));
    sink.flush(Duration::from_secs(5));
    done?.map_err(|error| {
        render::error(&error.to_string(), error.hint().as_deref());
        match error {
            error if error.is_busy() => Exit::Busy,
            error if error.needs_person() => Exit::Person,
            _ => Exit::Failed,
        }
    })
}

async fn write(
    config: &Config,
    sink: &Sink,
    gives_up: bool,
    filter: ActionFilter,
) -> Result<Value, InstanceError> {
    let instance = Instance::open(config, sink.redactor().clone()).await?;
    // A log that can't be stored is counted; the change is made all the same.
    drop(sink.store_in(&config.daemon.state_dir));
    let account = filter.account.clone();
    let mut done = orders::change_actions(&instance.tools, &who(), filter, gives_up).await?;
    if !gives_up && let Some(done) = done.as_object_mut() {
        let (ledger, now) = (&instance.tools.ledger, Clock.now());
        let marks = move |tx: &Tx<'_>| tx.marks_by_account(account.as_deref(), now);
        let n: u64 = ledger.read("read marks", marks).await?.iter().map(|(_, n, _)| n).sum();
        done.insert("marks_later".to_owned(), n.into());
    }
    instance.close().await;
    Ok(done)
}

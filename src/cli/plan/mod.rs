//! `postrider plan`: what the next poll would do.

mod diff;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::check::foretell;
use super::exit::Exit;
use super::render::{self, Tone, count, moment, span};
use super::renewing::block_on_renewing;
use super::{Context, default_config, reasons};
use crate::archive::FileSystem;
use crate::archive::root::Root;
use crate::config::{Config, Inbound};
use crate::ledger::Ledger;
use crate::model::{ByteSize, Delete, KeepReason, Skip, SkipReason};
use crate::poll::{Clock, Forecast, Keyring, MailboxPlan, PollError, Preview, Previewer};

/// Below the help.
pub(super) const AFTER_HELP: &str = "\
Example: postrider plan invoices --messages
         postrider plan invoices --config new.toml --diff";

/// Show what the next poll of an account would do; nothing is changed on either side.
#[derive(Args, Debug)]
pub(super) struct Plan {
    /// The inbound account
    account: String,
    /// List each message with its reason
    #[arg(long)]
    messages: bool,
    /// Show what the config of `--config` would change against this one, from one listing
    /// [default: the config that is read without `--config`]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "")]
    diff: Option<String>,
}

/// What is planned, and what goes with it.
struct Planned {
    preview: Preview,
    other: Option<Preview>,
    forecast: Option<Forecast>,
}

impl Plan {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        // Of two, the one in force logs in; its ledger knows the mail.
        let (config, new) = match &self.diff {
            None => (config, None),
            Some(file) => {
                let given = Some(PathBuf::from(file)).filter(|_| !file.is_empty());
                match Context::read(given.unwrap_or_else(default_config)) {
                    Ok(old) => (old.config, Some(config)),
                    Err(exit) => return exit,
                }
            }
        };
        let find = |config: &Config| {
            let found = config.inbound.get(self.account.as_str()).cloned().map(Arc::new);
            found.ok_or_else(|| unknown(config, &self.account))
        };
        let (account, other) = match (find(&config), new.as_ref().map(find).transpose()) {
            (Ok(account), Ok(other)) => (account, other),
            (Err(exit), _) | (_, Err(exit)) => return exit,
        };
        if let Some(other) = &other
            && let Err(text) = diff::comparable(&account, other)
        {
            render::error(&text, Some("only the rules of one and the same mailbox are compared"));
            return Exit::Usage;
        }
        let sink = match context.log(&config, None) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        let keyring = context.keyring(&config, &sink);
        let tokens = keyring.tokens.clone();
        let work = plan(&config, (&account, other), keyring);
        match block_on_renewing(&tokens, work) {
            Ok(Ok(planned)) => {
                self.show(context, &planned);
                Exit::Done
            }
            Ok(Err(error)) => {
                let text = format!("{}: {error}", self.account);
                let hint = error.advice(&account).map(|hint| sink.redactor().redact(&hint));
                render::error(&sink.redactor().redact(&text), hint.as_deref());
                Exit::Failed
            }
            Err(exit) => exit,
        }
    }

    fn show(&self, context: &Context, planned: &Planned) {
        let Planned { preview, other, forecast } = planned;
        let out = context.out;
        if let Some(other) = other {
            diff::show(out, (preview, other), self.messages);
        } else if out.json {
            let mut value = flat(preview);
            if let Some(object) = value.as_object_mut() {
                object.insert("forecast".to_owned(), json!(forecast));
            }
            out.value(&value);
        } else {
            self.print(context, preview);
        }
        if let Some(forecast) = forecast.as_ref().filter(|f| f.armed && !out.json) {
            out.lines(&foretell(forecast));
        }
        if !out.json {
            out.line("nothing was changed");
        }
    }

    fn print(&self, context: &Context, preview: &Preview) {
        for mailbox in &preview.mailboxes {
            let name = if mailbox.mailbox.is_empty() { "maildrop" } else { &mailbox.mailbox };
            let listed = count(mailbox.listed);
            context.out.line(&format!("{name}  {listed} listed at {}", moment(preview.now)));
            context.out.table(&summary(mailbox, &preview.delete_mode));
            if self.messages {
                context.out.table(&messages(mailbox));
            }
        }
        if preview.may_leave_out && preview.mailboxes.iter().any(|one| !one.fetch.is_empty()) {
            context.out.line("rules with `archive = false` judge each message once it is fetched");
        }
    }
}

async fn plan(
    config: &Config,
    (account, other): (&Arc<Inbound>, Option<Arc<Inbound>>),
    keyring: Keyring,
) -> Result<Planned, PollError> {
    let ledger = Ledger::open_read_only(&config.daemon.state_dir)?;
    let when = (Clock.now(), &config.archive.timezone);
    let forecast = Forecast::of(&ledger, other.as_ref().unwrap_or(account), when).await?;
    let previewer = Previewer {
        config: Arc::clone(account),
        other,
        ledger,
        clock: Clock,
        keyring,
        configured: Arc::new(Mutex::new(config.inbound.keys().cloned().collect())),
        network_root: is_network(config),
    };
    let (preview, other) = previewer.both().await?;
    Ok(Planned { preview, other, forecast })
}

/// Whether the archive root is where nothing may be deleted from, as far as it can be opened.
pub(super) fn is_network(config: &Config) -> bool {
    let root = Root::open(&config.archive.root);
    let system = root.map(|root| FileSystem::of(root.folder()));
    !config.archive.allow_network_root && matches!(system, Ok(FileSystem::Network))
}

/// An account that the config doesn't have, with the nearest name.
pub(super) fn unknown(config: &Config, name: &str) -> Exit {
    let nearest =
        config.inbound.keys().min_by_key(|known| strsim::damerau_levenshtein(known, name));
    let hint = nearest.map(|known| format!("did you mean `{known}`?"));
    render::error(&format!("no inbound account `{name}`"), hint.as_deref());
    Exit::Usage
}

/// One object with the lists of all mailboxes together; each entry names its mailbox.
fn flat(preview: &Preview) -> Value {
    fn all<T: Serialize>(preview: &Preview, list: impl Fn(&MailboxPlan) -> &Vec<T>) -> Vec<Value> {
        let entries = preview.mailboxes.iter().flat_map(|mailbox| list(mailbox).iter());
        entries.filter_map(|entry| serde_json::to_value(entry).ok()).collect()
    }
    let mailboxes: Vec<Value> = preview
        .mailboxes
        .iter()
        .map(|mailbox| {
            json!({
                "mailbox": mailbox.mailbox,
                "listed": mailbox.listed,
                "delete_when_stored": mailbox.delete_when_stored,
            })
        })
        .collect();
    json!({
        "account": preview.account,
        "now": preview.now,
        "delete_mode": preview.delete_mode,
        "may_leave_out": preview.may_leave_out,
        "mailboxes": mailboxes,
        "fetch": all(preview, |m| &m.fetch),
        "delete": all(preview, |m| &m.delete),
        "skip": all(preview, |m| &m.skip),
        "keep": all(preview, |m| &m.keep),
        "left_over": all(preview, |m| &m.left_over),
    })
}

fn summary(plan: &MailboxPlan, mode: &str) -> Vec<Vec<(String, Tone)>> {
    let row = |name: &str, n: usize, text: String| {
        let name = format!("  {name}");
        vec![(name, Tone::Plain), (count(n as u64), Tone::Plain), (text, Tone::Plain)]
    };
    let mut rows = vec![row("fetch", plan.fetch.len(), fetch_text(plan))];
    for (n, text) in skips(plan) {
        rows.push(row("skip", n, text));
    }
    rows.push(row("keep", plan.keep.len(), keep_text(plan)));
    let (moves, deletes): (Vec<&Delete>, Vec<&Delete>) =
        plan.delete.iter().partition(|delete| delete.action.is_some());
    rows.push(row("delete", deletes.len(), delete_text(deletes.is_empty(), mode)));
    for (text, n) in by_rules(&moves) {
        rows.push(row("move", n, text));
    }
    if plan.delete_when_stored > 0 {
        let n = usize::try_from(plan.delete_when_stored).unwrap_or(usize::MAX);
        let what = "of those to fetch are due to be deleted once they are stored";
        rows.push(row("then", n, what.to_owned()));
    }
    let held = plan.keep.iter().filter_map(|keep| match keep.why {
        KeepReason::DeletesHeld { cause } => Some(cause.as_str()),
        _ => None,
    });
    let held: Vec<&str> = held.collect();
    if let Some(cause) = held.first() {
        rows.push(row("hold", held.len(), format!("due to be deleted, but {cause}")));
    }
    if !plan.left_over.is_empty() {
        rows.push(row(
            "wait",
            plan.left_over.len(),
            "younger than `min_age`, or the next batch".to_owned(),
        ));
    }
    rows
}

/// What is skipped, by reason, each with its figures.
fn skips(plan: &MailboxPlan) -> Vec<(usize, String)> {
    let mut groups: BTreeMap<String, (usize, Option<Timestamp>)> = BTreeMap::new();
    for Skip { why, .. } in &plan.skip {
        let (text, received) = match why {
            SkipReason::BeforeStart { received, process_after } => {
                (format!("received before {}", moment(*process_after)), Some(*received))
            }
            SkipReason::CaughtUp { at } => {
                (format!("known since the catch-up of {}", moment(*at)), None)
            }
            SkipReason::LeftOut { rule, .. } => (format!("not archived by rule {rule}"), None),
            SkipReason::Seen => ("read by somebody (`only_unseen`)".to_owned(), None),
            SkipReason::TooOld { received, limit } => {
                (format!("older than {}", span(*limit)), Some(*received))
            }
        };
        let (n, oldest) = groups.entry(text).or_default();
        *n = n.saturating_add(1);
        *oldest = received.map(|at| oldest.map_or(at, |oldest| oldest.min(at)));
    }
    let text = |(text, (n, oldest)): (String, (usize, Option<Timestamp>))| match oldest {
        Some(oldest) => (n, format!("{text} (oldest {})", moment(oldest))),
        None => (n, text),
    };
    groups.into_iter().map(text).collect()
}

fn fetch_text(plan: &MailboxPlan) -> String {
    let octets = plan.fetch.iter().filter_map(|fetch| fetch.size).fold(0_u64, u64::saturating_add);
    let dates = || plan.fetch.iter().filter_map(|fetch| fetch.received.map(|r| r.at));
    let range: Option<(Timestamp, Timestamp)> = dates().min().zip(dates().max());
    match range {
        Some((oldest, newest)) => {
            format!("oldest {}, newest {}, {}", moment(oldest), moment(newest), ByteSize(octets))
        }
        None if plan.fetch.is_empty() => String::new(),
        None => ByteSize(octets).to_string(),
    }
}

/// What rules move, each with its number.
fn by_rules(moves: &[&Delete]) -> BTreeMap<String, usize> {
    let mut rules: BTreeMap<String, usize> = BTreeMap::new();
    for delete in moves {
        let n = rules.entry(reasons::delete(&delete.why)).or_default();
        *n = n.saturating_add(1);
    }
    rules
}

/// What a delete does, in the mode that the config has.
fn delete_text(none: bool, mode: &str) -> String {
    match (none, mode.split_once(':')) {
        (true, _) => String::new(),
        (false, Some((_, folder))) => format!("moved to `{folder}`"),
        (false, None) => match mode {
            "flag" => "only marked \\Deleted".to_owned(),
            "trash" => "moved to the server's trash".to_owned(),
            _ => "removed from the server".to_owned(),
        },
    }
}

fn keep_text(plan: &MailboxPlan) -> String {
    let due = plan.keep.iter().filter_map(|keep| match keep.why {
        KeepReason::TooYoung { until } => Some(until),
        _ => None,
    });
    match due.min() {
        Some(at) => format!("archived, not due: next is due at {}", moment(at)),
        None if plan.keep.is_empty() => String::new(),
        None => "archived or held".to_owned(),
    }
}

fn messages(plan: &MailboxPlan) -> Vec<Vec<(String, Tone)>> {
    let row = |act: &str, key: String, why: &str| {
        let act = format!("  {act}");
        vec![(act, Tone::Plain), (key, Tone::Plain), (why.to_owned(), Tone::Plain)]
    };
    let mut rows = Vec::new();
    for fetch in &plan.fetch {
        let size = fetch.size.map_or("-".to_owned(), |size| ByteSize(size).to_string());
        let why = reasons::fetch(&fetch.why);
        rows.push(row("fetch", fetch.key.to_string(), &format!("{why}, {size}")));
    }
    for delete in &plan.delete {
        let act = if delete.action.is_some() { "move" } else { "delete" };
        rows.push(row(act, delete.key.to_string(), &reasons::delete(&delete.why)));
    }
    for skip in &plan.skip {
        rows.push(row("skip", skip.key.to_string(), &reasons::skip(&skip.why)));
    }
    for keep in &plan.keep {
        rows.push(row("keep", keep.key.to_string(), &reasons::keep(&keep.why)));
    }
    for left in &plan.left_over {
        rows.push(row("wait", left.key.to_string(), &reasons::left(&left.why)));
    }
    rows
}

//! `postrider plan`: what the next poll would do.

use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::exit::Exit;
use super::render::{self, Tone, count, moment};
use super::{Context, block_on};
use crate::config::Config;
use crate::ledger::Ledger;
use crate::model::{ByteSize, KeepReason, SkipReason};
use crate::poll::{
    Clock, MailboxPlan, PollError, Preview, Previewer, keep_word, left_word, skip_word,
};

/// Show what the next poll of an account would do; nothing is changed on either side.
#[derive(Args, Debug)]
pub(super) struct Plan {
    /// The inbound account
    account: String,
    /// List each message with its reason
    #[arg(long)]
    messages: bool,
}

impl Plan {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let Some(account) = config.inbound.get(self.account.as_str()) else {
            return unknown(&config, &self.account);
        };
        let sink = match context.log(&config, None) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        let inbound = Arc::new(account.clone());
        let keyring = context.keyring(&config, &sink);
        let work = async {
            let ledger = Ledger::open_read_only(&config.daemon.state_dir)?;
            Previewer { config: inbound, ledger, clock: Clock, keyring }.preview().await
        };
        match block_on::<Result<Preview, PollError>>(work) {
            Ok(Ok(preview)) => {
                if context.out.json {
                    context.out.value(&flat(&preview));
                } else {
                    self.print(context, &preview);
                }
                Exit::Done
            }
            Ok(Err(error)) => {
                let text = format!("{}: {error}", self.account);
                let hint = error.advice(account).map(|hint| sink.redactor().redact(&hint));
                render::error(&sink.redactor().redact(&text), hint.as_deref());
                Exit::Failed
            }
            Err(exit) => exit,
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
        context.out.line("nothing was changed");
    }
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
        .map(|mailbox| json!({ "mailbox": mailbox.mailbox, "listed": mailbox.listed }))
        .collect();
    json!({
        "account": preview.account,
        "now": preview.now,
        "delete_mode": preview.delete_mode,
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
    if !plan.skip.is_empty() {
        let oldest = plan.skip.iter().map(|skip| match skip.why {
            SkipReason::BeforeStart { received, .. } | SkipReason::TooOld { received, .. } => {
                received
            }
        });
        let oldest = oldest.min().map_or("-".to_owned(), moment);
        rows.push(row("skip", plan.skip.len(), format!("by age (oldest {oldest})")));
    }
    rows.push(row("keep", plan.keep.len(), keep_text(plan)));
    rows.push(row("delete", plan.delete.len(), delete_text(plan, mode)));
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

/// What a delete does, in the mode that the config has.
fn delete_text(plan: &MailboxPlan, mode: &str) -> String {
    match (plan.delete.is_empty(), mode.split_once(':')) {
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
        rows.push(row("fetch", fetch.key.to_string(), &format!("new, {size}")));
    }
    for delete in &plan.delete {
        let since = moment(delete.copy.archived_at);
        rows.push(row("delete", delete.key.to_string(), &format!("archived {since}")));
    }
    for skip in &plan.skip {
        rows.push(row("skip", skip.key.to_string(), skip_word(&skip.why)));
    }
    for keep in &plan.keep {
        rows.push(row("keep", keep.key.to_string(), keep_word(&keep.why)));
    }
    for left in &plan.left_over {
        rows.push(row("wait", left.key.to_string(), left_word(&left.why)));
    }
    rows
}

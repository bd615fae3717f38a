//! `postrider ledger rebuild` and `postrider ledger reconcile`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::Exit;
use super::render::{self, Out, count, plural};
use super::verify::{bar, failed, instance_error};
use super::{Context, block_on, records};
use crate::archive::Reader;
use crate::config::{Config, Deed};
use crate::daemon::instance::{InstanceError, fit, hold};
use crate::ledger::{Ledger as Book, LedgerError};
use crate::plan::Rules;
use crate::poll::Clock;
use crate::recovery::{Absent, Outcome, Place, finish, rebuild, reconcile, rehearse};

/// What to do when archive and ledger don't belong together any more.
#[derive(Args, Debug)]
pub(super) struct Ledger {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the ledger anew from the archive: for one that is lost or damaged
    #[command(after_help = "Example: postrider ledger rebuild --dry-run")]
    Rebuild(Rebuild),
    /// Take what was archived since into an old ledger: for one that was restored
    #[command(after_help = "Example: postrider ledger reconcile")]
    Reconcile(Reconcile),
}

/// Make the ledger anew. What is there is kept under another name; deletes are held until the
/// server has shown each message again.
#[derive(Args, Debug)]
struct Rebuild {
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Also replace a ledger that can be read
    #[arg(long)]
    yes: bool,
}

/// Take the message folders that the ledger doesn't know into it.
#[derive(Args, Debug)]
struct Reconcile {
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What the state folder holds.
enum State {
    /// No ledger at all.
    Nothing,
    /// One that can't be used; why.
    Unusable(LedgerError),
    /// One that can be read, though it may not belong to this root; what is wrong with it.
    Readable(Option<InstanceError>),
}

impl Ledger {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let done = match self.verb {
            Verb::Rebuild(verb) => block_on(verb.run(context, &config)),
            Verb::Reconcile(verb) => block_on(verb.run(context, &config)),
        };
        match done {
            Ok(Ok(exit)) | Err(exit) => exit,
            Ok(Err(error)) => failed(&error),
        }
    }
}

impl Rebuild {
    async fn run(self, context: &Context, config: &Config) -> Result<Exit, InstanceError> {
        let (root, lock) = hold(config)?;
        let state_dir = &config.daemon.state_dir;
        let mut reader = Reader::new(root, &config.archive);
        if !self.dry_run {
            let finished = finish(&reader, state_dir, Clock.now()).await.map_err(instance_error)?;
            if finished {
                context.out.line("a rebuild that was cut short is finished: postrider verify");
                return Ok(Exit::Done);
            }
        }
        let found = State::of(config, reader.root())?;
        let (carry, orders_known) = found.orders();
        let word = match found {
            State::Nothing => "replaced",
            State::Unusable(_) => "corrupt",
            State::Readable(_) if self.yes || self.dry_run => "replaced",
            State::Readable(None) => {
                let hint = "postrider verify compares them; --yes makes it anew all the same";
                render::error("the ledger belongs to this archive and can be read", Some(hint));
                return Ok(Exit::Failed);
            }
            State::Readable(Some(error)) => return Err(error),
        };
        let (renamed, deleting) = (renamed(config), deleting(config));
        let bar = bar();
        let mut progress = |done: u64| bar.set_position(done);
        let place = Place {
            state_dir,
            renamed: &renamed,
            carry,
            orders_known,
            deleting: &deleting,
            archive_is_older: false,
            now: Clock.now(),
        };
        let outcome = if self.dry_run {
            let empty = Book::in_memory()?;
            rehearse(&reader, &empty, &place, &mut progress).await
        } else {
            rebuild(&mut reader, &place, word, &mut progress).await
        };
        let outcome = outcome.map_err(instance_error)?;
        bar.finish_and_clear();
        drop(lock);
        report(context, config, &outcome, (REBUILT, self.dry_run));
        Ok(Exit::Done)
    }
}

impl Reconcile {
    async fn run(self, context: &Context, config: &Config) -> Result<Exit, InstanceError> {
        let (root, lock) = hold(config)?;
        let found = State::of(config, &root)?;
        let (carry, orders_known) = found.orders();
        let archive_is_older = match found {
            State::Nothing => {
                let path = config.daemon.state_dir.join(crate::ledger::LEDGER_FILE);
                return Err(LedgerError::Missing { path }.into());
            }
            State::Unusable(error) => return Err(error.into()),
            State::Readable(Some(InstanceError::Ledger(LedgerError::ArchiveOlder { .. }))) => true,
            State::Readable(None | Some(InstanceError::Ledger(LedgerError::Older { .. }))) => false,
            State::Readable(Some(error)) => return Err(error),
        };
        let mut reader = Reader::new(root, &config.archive);
        let (renamed, deleting) = (renamed(config), deleting(config));
        let bar = bar();
        let mut progress = |done: u64| bar.set_position(done);
        let state_dir = &config.daemon.state_dir;
        let place = Place {
            state_dir,
            renamed: &renamed,
            carry,
            orders_known,
            deleting: &deleting,
            archive_is_older,
            now: Clock.now(),
        };
        let outcome = if self.dry_run {
            let ledger = Book::open_read_only(state_dir)?;
            rehearse(&reader, &ledger, &place, &mut progress).await
        } else {
            reconcile(&mut reader, &place, &mut progress).await
        };
        let outcome = outcome.map_err(instance_error)?;
        bar.finish_and_clear();
        drop(lock);
        report(context, config, &outcome, (RECONCILED, self.dry_run));
        Ok(Exit::Done)
    }
}

impl State {
    /// Whether what persons ordered is in it, and whether all of that.
    fn orders(&self) -> (bool, bool) {
        let Self::Readable(wrong) = self else { return (false, false) };
        match wrong {
            None => (true, true),
            Some(InstanceError::Ledger(LedgerError::ArchiveOlder { is_copy, .. })) => {
                (true, !is_copy)
            }
            Some(InstanceError::Ledger(LedgerError::Older { .. })) => (true, false),
            Some(_) => (false, false),
        }
    }

    /// A ledger of a newer version is not touched.
    fn of(config: &Config, root: &crate::archive::root::Root) -> Result<Self, InstanceError> {
        let state_dir = &config.daemon.state_dir;
        match Book::look(state_dir) {
            Ok(false) => Ok(Self::Nothing),
            Ok(true) => match fit(state_dir, root) {
                Ok(()) => Ok(Self::Readable(None)),
                Err(InstanceError::Ledger(error @ LedgerError::Corrupt { .. })) => {
                    Ok(Self::Unusable(error))
                }
                Err(error @ InstanceError::Ledger(_)) => Ok(Self::Readable(Some(error))),
                Err(error) => Err(error),
            },
            Err(error @ (LedgerError::Corrupt { .. } | LedgerError::Damaged { .. })) => {
                Ok(Self::Unusable(error))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The names that accounts had before, and have now.
fn renamed(config: &Config) -> BTreeMap<String, String> {
    let of = |account: &crate::config::Inbound| {
        Some((account.renamed_from.as_ref()?.to_string(), account.name.to_string()))
    };
    config.inbound.values().filter_map(of).collect()
}

/// Accounts whose mail may leave the server by us: by `delete_read`, or by a rule that moves it.
fn deleting(config: &Config) -> Vec<String> {
    let deletes = |account: &&crate::config::Inbound| Rules::of(account).may_delete();
    config.inbound.values().filter(deletes).map(|account| account.name.to_string()).collect()
}

/// Whether an account has rules that do something with its mail.
fn has_rules(config: &Config, name: &str) -> bool {
    let account = config.inbound.get(name);
    account.is_some_and(|account| account.on_received.iter().any(|rule| rule.deed != Deed::None))
}

/// Codes of what was done.
const REBUILT: &str = "ledger-rebuilt";
const RECONCILED: &str = "ledger-reconciled";

fn report(context: &Context, config: &Config, outcome: &Outcome, (code, dry): (&str, bool)) {
    let (messages, known) = (outcome.messages(), outcome.known);
    if !dry {
        records::record(context, config, || {
            tracing::warn!(
                target: "ledger",
                code,
                messages,
                known,
                skipped = outcome.skipped_count,
                forgotten = outcome.absent.forgotten,
                lost = outcome.absent.lost_count,
                "{}: {} taken into the ledger, {} known",
                if code == REBUILT { "Ledger rebuilt" } else { "Ledger reconciled" },
                plural(messages, "message"),
                count(known)
            );
        });
    }
    if context.out.json {
        context.out.value(&value(outcome, dry));
        return;
    }
    let out = context.out;
    for (account, n) in &outcome.adopted {
        let note = if config.inbound.contains_key(account.as_str()) {
            ""
        } else {
            "  (not in the config; if it has another name now, set its `renamed_from`)"
        };
        out.line(&format!("{account}  {}{note}", plural(*n, "message")));
    }
    for skipped in &outcome.skipped {
        out.line(&format!("skipped {}: {}", skipped.path, skipped.why));
    }
    if outcome.skipped_count > outcome.skipped.len() as u64 {
        out.line(&format!("skipped {} in all", plural(outcome.skipped_count, "folder")));
    }
    tell_of_absent(out, &outcome.absent, dry);
    let done = if dry { "would be taken into the ledger" } else { "taken into the ledger" };
    let skipped = plural(outcome.skipped_count, "folder");
    out.line(&format!(
        "{} {done}, {} known, {skipped} skipped",
        plural(messages, "message"),
        count(known)
    ));
    if dry {
        out.line("nothing was changed");
    } else {
        out.line("deletes are held until the server has shown each message again: postrider poll");
        tell_of_orders(out, outcome, &deleting(config));
        tell_of_rules(out, config, outcome);
    }
}

/// The same as JSON.
fn value(outcome: &Outcome, dry: bool) -> serde_json::Value {
    let (messages, known) = (outcome.messages(), outcome.known);
    let skipped =
        |skipped: &crate::recovery::Skipped| json!({ "path": skipped.path, "why": skipped.why });
    json!({
        "dry_run": dry,
        "messages": messages,
        "known": known,
        "accounts": outcome.adopted,
        "skipped": outcome.skipped.iter().map(skipped).collect::<Vec<_>>(),
        "skipped_count": outcome.skipped_count,
        "forgotten": outcome.absent.forgotten,
        "lost": outcome.absent.lost,
        "lost_count": outcome.absent.lost_count,
        "orders_known": outcome.orders_known,
    })
}

/// What an older archive lacks, and where it can still be.
fn tell_of_absent(out: Out, absent: &Absent, dry: bool) {
    for path in &absent.lost {
        out.line(&format!("lost {path}: not in this archive, and deleted on the server"));
    }
    if absent.lost_count > absent.lost.len() as u64 {
        out.line(&format!("lost {} in all", plural(absent.lost_count, "message")));
    }
    if absent.forgotten > 0 {
        let are = if dry { "would be" } else { "are" };
        let messages = plural(absent.forgotten, "message");
        out.line(&format!("{messages} not in this archive {are} fetched again"));
        out.line("where the server still has them");
    }
}

/// What persons ordered that is lost.
fn tell_of_orders(out: Out, outcome: &Outcome, deleting: &[String]) {
    if outcome.orders_known {
        return;
    }
    out.line("pauses and catch-ups of before may be missing: order them again before a poll");
    for account in deleting {
        out.line(&format!(
            "{account}: deletes are stopped until: postrider account resume {account}"
        ));
    }
}

/// Accounts whose rules asked for what nobody knows any more.
fn tell_of_rules(out: Out, config: &Config, outcome: &Outcome) {
    for account in outcome.rules_unknown.iter().filter(|name| has_rules(config, name)) {
        out.line(&format!(
            "{account}: what its rules asked for, and whether it was done, isn't known any more: \
             postrider replay {account}"
        ));
    }
}

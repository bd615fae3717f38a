//! `postrider catch-up`: start from now.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::render::{self, count, moment, plural};
use super::{Context, block_on, plan};
use crate::config::{Config, Inbound};
use crate::daemon::instance::{Instance, InstanceError};
use crate::ledger::Ledger;
use crate::log::{Sink, parse_time};
use crate::poll::{
    Account, Catcher, CaughtUp, Clock, PollError, prepare, undo_catch_up, undo_left_out,
};

/// Below the help.
pub(super) const AFTER_HELP: &str = "\
Without --dry-run the daemon must not run. What counts as known is not stored,
and no rule deletes it on the server. What is stored or held stays what it is.
Example: postrider catch-up invoices --dry-run
         postrider catch-up invoices --before 2026-01-01
         postrider catch-up invoices --undo";

/// Start from now: what is on the server counts as known, and is not stored.
#[derive(Args, Debug)]
pub(super) struct CatchUp {
    /// The inbound account
    account: String,
    /// Only mail that was received before: 2026-01-01, 30d, yesterday
    #[arg(long, value_name = "DATE", conflicts_with = "undo")]
    before: Option<String>,
    /// Record nothing, only count
    #[arg(long)]
    dry_run: bool,
    /// Take all catch-ups of the account back: their mail is fetched
    #[arg(long)]
    undo: bool,
    /// Take back what rules with `archive = false` left out: it is fetched and judged again
    #[arg(long, conflicts_with_all = ["before", "undo"])]
    undo_left_out: bool,
}

/// What was done.
enum Done {
    CaughtUp(Vec<CaughtUp>),
    Undone(Vec<(String, u64)>),
}

/// Why it was not.
enum Fault {
    Instance(InstanceError),
    Poll(PollError),
}

impl CatchUp {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let Some(account) = config.inbound.get(self.account.as_str()) else {
            return plan::unknown(&config, &self.account);
        };
        let now = Clock.now();
        let parse = |text: &String| parse_time(text, now, &TimeZone::system());
        let before = match self.before.as_ref().map(parse).transpose() {
            Ok(before) => before,
            Err(error) => {
                render::error(&error.to_string(), Some("for example: --before 2026-01-01"));
                return Exit::Usage;
            }
        };
        let sink = match context.log(&config, None) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        let work = self.work(context, (&config, account), &sink, (before, now));
        let done = block_on(work);
        sink.flush(Duration::from_secs(5));
        match done {
            Ok(Ok(done)) => {
                self.report(context, &done, before);
                Exit::Done
            }
            Ok(Err(Fault::Poll(error))) => {
                let text = format!("{}: {error}", self.account);
                let hint = error.advice(account).map(|hint| sink.redactor().redact(&hint));
                render::error(&sink.redactor().redact(&text), hint.as_deref());
                Exit::Failed
            }
            Ok(Err(Fault::Instance(error))) => {
                let busy = error.is_busy().then_some("stop the daemon first, or add --dry-run");
                render::error(&error.to_string(), busy.or(error.hint().as_deref()));
                if error.is_busy() {
                    Exit::Busy
                } else if error.needs_person() {
                    Exit::Person
                } else {
                    Exit::Failed
                }
            }
            Err(exit) => exit,
        }
    }

    async fn work(
        &self,
        context: &Context,
        (config, account): (&Config, &Inbound),
        sink: &Sink,
        (before, at): (Option<Timestamp>, Timestamp),
    ) -> Result<Done, Fault> {
        let account = Arc::new(account.clone());
        let keyring = context.keyring(config, sink);
        let catcher = |ledger: Ledger| Catcher {
            config: Arc::clone(&account),
            ledger,
            clock: Clock,
            keyring,
            before,
            only: None,
            dry_run: self.dry_run,
            at,
        };
        if self.dry_run {
            let ledger = Ledger::open_read_only(&config.daemon.state_dir)?;
            if self.undoes() {
                return Ok(Done::Undone(self.take_back(&ledger).await?));
            }
            return Ok(Done::CaughtUp(catcher(ledger).run().await?));
        }
        let instance = Instance::open(config, sink.redactor().clone()).await?;
        // A log that can't be stored is counted; what is done is printed, too.
        drop(sink.store_in(&config.daemon.state_dir));
        let tools = instance.tools.clone();
        prepare(&Account::new(Arc::clone(&account), tools, CancellationToken::new())).await?;
        let ledger = instance.tools.ledger.clone();
        let done = if self.undoes() {
            Done::Undone(self.take_back(&ledger).await?)
        } else {
            Done::CaughtUp(catcher(ledger).run().await?)
        };
        self.log(&done);
        instance.close().await;
        Ok(done)
    }

    fn undoes(&self) -> bool {
        self.undo || self.undo_left_out
    }

    async fn take_back(&self, ledger: &Ledger) -> Result<Vec<(String, u64)>, PollError> {
        if self.undo_left_out {
            undo_left_out(ledger, &self.account, self.dry_run).await
        } else {
            undo_catch_up(ledger, &self.account, self.dry_run).await
        }
    }

    fn log(&self, done: &Done) {
        let (n, undo) = match done {
            Done::CaughtUp(found) => (found.iter().map(|one| one.caught_up).sum(), false),
            Done::Undone(found) => (found.iter().map(|(_, n)| *n).sum::<u64>(), true),
        };
        let what = if undo { "count as new again" } else { "count as known" };
        tracing::info!(
            target: "incoming",
            code = "catch-up",
            account = self.account,
            n,
            undo,
            "{n} messages on the server {what}"
        );
    }

    fn report(&self, context: &Context, done: &Done, before: Option<Timestamp>) {
        let out = context.out;
        if out.json {
            let (mailboxes, undone) = match done {
                Done::CaughtUp(found) => (json!(found), json!(null)),
                Done::Undone(found) => {
                    let one = |(mailbox, n): &(String, u64)| json!({ "mailbox": mailbox, "n": n });
                    (json!(null), found.iter().map(one).collect())
                }
            };
            out.value(&json!({
                "account": self.account, "before": before, "dry_run": self.dry_run,
                "mailboxes": mailboxes, "undone": undone,
            }));
            return;
        }
        match done {
            Done::CaughtUp(found) => found.iter().for_each(|one| {
                print(context, one, before);
            }),
            Done::Undone(found) if found.is_empty() => {
                let what = if self.undo_left_out { "mail that was left out" } else { "catch-up" };
                out.line(&format!("no {what} to take back"));
            }
            Done::Undone(found) => {
                for (mailbox, n) in found {
                    let name = if mailbox.is_empty() { "maildrop" } else { mailbox };
                    let n = plural(*n, "message");
                    out.line(&format!("{name}  {n} are fetched by the next poll, by the rules"));
                }
            }
        }
        if self.dry_run {
            out.line("nothing was recorded");
        }
    }
}

fn print(context: &Context, found: &CaughtUp, before: Option<Timestamp>) {
    let name = if found.mailbox.is_empty() { "maildrop" } else { &found.mailbox };
    let out = context.out;
    out.line(&format!("{name}  {} listed", count(found.listed)));
    let known = before.map_or("known from now on, not stored".to_owned(), |before| {
        format!("received before {}: known from now on, not stored", moment(before))
    });
    let rows = [
        ("caught up", found.caught_up, known.as_str()),
        ("already", found.already, "known since an earlier catch-up"),
        ("stored", found.stored, "archived, as before"),
        ("held", found.held, "tried again, as before"),
        ("left", found.left, "fetched by the next poll"),
    ];
    let rows = rows.iter().filter(|(name, n, _)| *n > 0 || *name == "caught up");
    let plain = |text: String| (text, render::Tone::Plain);
    let table: Vec<_> = rows
        .map(|(name, n, text)| {
            vec![plain(format!("  {name}")), plain(count(*n)), plain((*text).to_owned())]
        })
        .collect();
    out.table(&table);
}

impl From<InstanceError> for Fault {
    fn from(error: InstanceError) -> Self {
        Self::Instance(error)
    }
}

impl From<PollError> for Fault {
    fn from(error: PollError) -> Self {
        Self::Poll(error)
    }
}

impl From<crate::ledger::LedgerError> for Fault {
    fn from(error: crate::ledger::LedgerError) -> Self {
        Self::Instance(error.into())
    }
}

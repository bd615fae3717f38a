//! `postrider status`: one screen.

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::exit::Exit;
use super::render::{self, Out, Tone, ago, ahead, count};
use super::{Context, block_on};
use crate::archive::Space;
use crate::archive::root::Root;
use crate::config::{Config, DeleteAge, DeleteMode, DeleteRule, Inbound};
use crate::daemon::instance::lock_holder;
use crate::ledger::{
    AccountRow, Counts, DeleteStop, DueBefore, HeldMessage, LastError, Ledger, LedgerError,
    last_backup,
};
use crate::model::ByteSize;
use crate::poll::Clock;
use crate::schedule::Backoff;

/// Held messages that are listed for an account.
const HELD_SHOWN: u32 = 20;

/// Show each account's last success, next poll, held messages and errors.
#[derive(Args, Debug)]
pub(super) struct Status {}

/// One account's line.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    state: &'static str,
    last_success_at: Option<Timestamp>,
    last_poll_at: Option<Timestamp>,
    next_poll_at: Option<Timestamp>,
    archived: u64,
    archived_today: u64,
    held: u64,
    held_messages: Vec<HeldMessage>,
    delete_due: u64,
    delete_pending: u32,
    delete_pending_why: Option<String>,
    delete_stop: Option<DeleteStop>,
    flagged: u64,
    last_error: Option<LastError>,
    tls_verify: bool,
}

/// What the archive's file system says.
#[derive(Debug, Serialize)]
struct ArchiveState {
    root: String,
    free: Option<u64>,
    error: Option<String>,
    hint: Option<String>,
}

impl Status {
    pub(super) fn run(context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let now = Clock.now();
        let rows = match block_on(rows(&config, now)) {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => {
                render::error(&error.to_string(), error.hint());
                return if error.needs_person() { Exit::Person } else { Exit::Failed };
            }
            Err(exit) => return exit,
        };
        let archive = ArchiveState::of(&config);
        let daemon = lock_holder(&config.daemon.state_dir);
        let backup = last_backup(&config.daemon.state_dir);
        if context.out.json {
            context.out.value(&json!({
                "version": env!("CARGO_PKG_VERSION"),
                "now": now,
                "daemon": daemon,
                "accounts": rows,
                "archive": archive,
                "ledger": { "last_backup": backup.as_ref().map(|(name, _)| name) },
            }));
        } else {
            print(context.out, &rows, &archive, daemon, now);
            let backup = backup.map_or("-".to_owned(), |(name, _)| name);
            context.out.line(&format!("ledger: last backup {backup}"));
        }
        if archive.error.is_some() {
            return Exit::Person;
        }
        if rows.iter().any(Row::is_ill) {
            return Exit::Degraded;
        }
        Exit::Done
    }
}

async fn rows(config: &Config, now: Timestamp) -> Result<Vec<Row>, LedgerError> {
    let ledger = Ledger::open_read_only(&config.daemon.state_dir)?;
    let zone = TimeZone::system();
    let midnight = now.to_zoned(zone).start_of_day().map_or(now, |day| day.timestamp());
    let mut rows = Vec::new();
    for account in config.inbound.values() {
        let (name, due) = (account.name.to_string(), due_before(account, now));
        let (found, counts, held) = ledger
            .read("read an account", move |tx| {
                let counts = tx.counts(&name, midnight, due)?;
                Ok((tx.account(&name)?, counts, tx.held(&name, HELD_SHOWN)?))
            })
            .await?;
        rows.push(Row::of(account, found.unwrap_or_default(), counts, held));
    }
    Ok(rows)
}

/// Which copies are due to be deleted; `None` without such a rule.
pub(super) fn due_before(account: &Inbound, now: Timestamp) -> Option<DueBefore> {
    let DeleteRule::AfterDays(days) = account.delete else { return None };
    let age = SignedDuration::from_hours(i64::from(days).saturating_mul(24));
    Some(DueBefore {
        moment: now.checked_sub(age).unwrap_or(Timestamp::MIN),
        from_received: account.delete_age_from == DeleteAge::Received,
        flagged_is_done: account.delete_mode == DeleteMode::Flag,
    })
}

impl Row {
    fn of(account: &Inbound, row: AccountRow, counts: Counts, held: Vec<HeldMessage>) -> Self {
        let stopped = Backoff { authentication: row.state.auth_failures, ..Backoff::default() };
        let state = if !account.enabled {
            "paused"
        } else if row.last_error.is_some() {
            if stopped.is_stopped() { "STOPPED" } else { "FAILING" }
        } else if row.last_success_at.is_some() {
            "ok"
        } else {
            "new"
        };
        let why = Some(row.delete_pending_why).filter(|why| !why.is_empty());
        Self {
            name: account.name.to_string(),
            state,
            last_success_at: row.last_success_at,
            last_poll_at: row.last_poll_at,
            next_poll_at: row.next_poll_at,
            archived: counts.archived,
            archived_today: counts.today,
            held: counts.held,
            held_messages: held,
            delete_due: counts.due,
            delete_pending: row.delete_pending,
            delete_pending_why: why,
            delete_stop: row.delete_stop,
            flagged: counts.flagged,
            last_error: row.last_error,
            tls_verify: !account.tls.take_anyone(),
        }
    }
}

impl Row {
    /// Whether a person should look.
    fn is_ill(&self) -> bool {
        self.last_error.is_some() || self.held > 0 || self.delete_stop.is_some()
    }
}

impl ArchiveState {
    fn of(config: &Config) -> Self {
        let root = config.archive.root.display().to_string();
        match Root::open(&config.archive.root).and_then(|root| Space::of(root.folder())) {
            Ok(space) => Self { root, free: Some(space.free), error: None, hint: None },
            Err(error) => {
                let (hint, error) = (error.hint(), Some(error.to_string()));
                Self { root, free: None, error, hint }
            }
        }
    }
}

fn print(out: Out, rows: &[Row], archive: &ArchiveState, daemon: Option<u32>, now: Timestamp) {
    let ill = rows.iter().filter(|row| row.is_ill()).count();
    let attention = match ill {
        0 => "all in order".to_owned(),
        1 => "1 needs attention".to_owned(),
        n => format!("{n} need attention"),
    };
    let daemon = daemon.map_or("not running".to_owned(), |pid| format!("running as process {pid}"));
    let accounts = render::plural(rows.len() as u64, "account");
    out.line(&format!(
        "postrider {}, {daemon}, {accounts}, {attention}",
        env!("CARGO_PKG_VERSION")
    ));
    out.line("");
    let plain = |text: &str| (text.to_owned(), Tone::Plain);
    let head = ["account", "state", "last success", "next", "today", "held", "due"];
    let mut table = vec![head.iter().map(|text| plain(text)).collect::<Vec<_>>()];
    for row in rows {
        let tone = match row.state {
            "ok" => Tone::Good,
            "FAILING" | "STOPPED" => Tone::Bad,
            _ => Tone::Plain,
        };
        table.push(vec![
            plain(&row.name),
            (row.state.to_owned(), tone),
            plain(&ago(row.last_success_at, now)),
            plain(&ahead(row.next_poll_at, now)),
            plain(&count(row.archived_today)),
            plain(&count(row.held)),
            plain(&count(row.delete_due)),
        ]);
    }
    out.table(&table);
    for row in rows {
        details(out, row, now);
    }
    out.line("");
    match (&archive.error, archive.free) {
        (Some(error), _) => {
            out.line(&format!("archive: {error}"));
            if let Some(hint) = &archive.hint {
                out.line(&format!("  hint: {hint}"));
            }
        }
        (None, free) => {
            let messages = rows.iter().map(|row| row.archived).fold(0, u64::saturating_add);
            let messages = render::plural(messages, "message");
            let free = free.map_or("-".to_owned(), |free| ByteSize(free).to_string());
            out.line(&format!("archive {}: {messages}; {free} free", archive.root));
        }
    }
}

fn details(out: Out, row: &Row, now: Timestamp) {
    if let Some(error) = &row.last_error {
        out.line("");
        out.line(&format!("{}: {}", row.name, error.message));
        let since = ago(Some(error.since), now);
        let attempts = render::plural(u64::from(error.attempts), "attempt");
        out.line(&format!("  since {since}, {attempts}; code: {}", error.code));
        if let Some(hint) = &error.hint {
            out.line(&format!("  hint: {hint}"));
        }
        if row.state == "STOPPED" {
            let again = "tried again after a change of config or secret";
            out.line(&format!("  {again}, or `postrider account resume {}`", row.name));
        }
    }
    if let Some(stop) = &row.delete_stop {
        out.line("");
        let since = ago(Some(stop.since), now);
        out.line(&format!("{}: deletes stopped {since}: {}", row.name, stop.why));
        let resume = format!("postrider account resume {}", row.name);
        out.line(&format!("  hint: find the cause (`postrider log`), then: {resume}"));
    }
    if row.flagged > 0 {
        out.line("");
        let messages = render::plural(row.flagged, "message");
        out.line(&format!("{}: {messages} marked \\Deleted on the server", row.name));
    }
    if row.held > 0 {
        out.line("");
        out.line(&format!("{}: {} held", row.name, render::plural(row.held, "message")));
        for held in &row.held_messages {
            let next = ahead(held.retry_at, now);
            let attempts = render::plural(u64::from(held.attempts), "attempt");
            let next = match held.retry_at {
                Some(_) => format!("{attempts}, tried again {next}"),
                None => "held until the rule changes".to_owned(),
            };
            out.line(&format!("  {}: {}; {next}", held.key, held.reason));
        }
    }
    if row.delete_pending > 0 {
        let why = row.delete_pending_why.as_deref().unwrap_or("-");
        out.line("");
        let messages = render::plural(u64::from(row.delete_pending), "message");
        out.line(&format!("{}: {messages} wait to be deleted on the server: {why}", row.name));
    }
    if !row.tls_verify {
        out.line(&format!("{}: certificate verification is off", row.name));
    }
}

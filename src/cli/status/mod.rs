//! `postrider status`: one screen.

mod expiry;
mod outgoing;
mod print;
mod rows;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::control::{Seen, live};
use super::exit::Exit;
use super::render;
use super::voice::Voice;
use super::{Context, block_on};
use crate::archive::Space;
use crate::archive::root::Root;
use crate::config::DaemonConfig;
use crate::daemon::instance::lock_holder;
use crate::daemon::state::{LiveFacts, Scope};
use crate::ledger::{LEDGER_FILE, LedgerError, last_backup};
use crate::poll::Clock;
use expiry::Expiry;
use outgoing::Outgoing;
use rows::Row;

/// Between two looks of `--watch`.
const EVERY: Duration = Duration::from_secs(2);

pub(super) const AFTER_HELP: &str = "\
Exit codes:  0 all in order, 1 it can't be told, 2 wrong command line or config,
             3 an account fails, is stale or has held mail, an outbound account
             was not let in, a reload was refused, or a notice stands open,
             78 a person is needed

Example: postrider status --json";

/// Show each account's last success, next poll, held messages and errors.
#[derive(Args, Debug)]
pub(super) struct Status {
    /// Look again every two seconds, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// All that one look has seen.
#[derive(Debug)]
struct Look {
    now: Timestamp,
    scope: Scope,
    live: Option<LiveFacts>,
    /// The process that holds the lock, with a socket or without.
    daemon: Option<u32>,
    rows: Vec<Row>,
    outgoing: Vec<Outgoing>,
    voice: Voice,
    archive: ArchiveState,
    ledger: LedgerState,
    expires: Vec<Expiry>,
}

/// What the archive's file system says.
#[derive(Debug, Serialize)]
struct ArchiveState {
    root: String,
    free: Option<u64>,
    min_free: u64,
    low: bool,
    error: Option<String>,
    hint: Option<String>,
}

/// The ledger's file.
#[derive(Debug, Serialize)]
struct LedgerState {
    octets: Option<u64>,
    last_backup: Option<String>,
}

impl Status {
    pub(super) fn run(&self, context: &Context) -> Exit {
        let mut seen = match context.seen(true) {
            Ok(seen) => seen,
            Err(exit) => return exit,
        };
        loop {
            let exit = match look(&seen) {
                Ok(look) => {
                    if self.watch && std::io::stdout().is_terminal() && !context.out.json {
                        // Home, and erase what is below (ECMA-48 §8.3.57, §8.3.39).
                        print_raw("\u{1b}[H\u{1b}[2J");
                    }
                    tell(context, &look);
                    look.exit()
                }
                Err(error) => {
                    render::error(&error.to_string(), error.hint());
                    if error.needs_person() { Exit::Person } else { Exit::Failed }
                }
            };
            // A reader that is gone wants no more.
            if !self.watch || render::nobody_reads() {
                return exit;
            }
            if !context.out.json {
                print_raw("\n");
            }
            std::thread::sleep(EVERY);
            seen.live = live(&seen.daemon.state_dir);
        }
    }
}

/// Writes text as it is; that nobody reads it shows at the next look.
fn print_raw(text: &str) {
    let mut stdout = std::io::stdout().lock();
    drop(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
}

fn look(seen: &Seen) -> Result<Look, LedgerError> {
    let now = Clock.now();
    let state_dir = &seen.daemon.state_dir;
    // What is in force counts, not what the file has become since.
    let scope = match (&seen.live, &seen.config) {
        (Some(live), _) => live.scope.clone(),
        (None, Some(config)) => Scope::of(config),
        (None, None) => return Err(LedgerError::Gone),
    };
    let rows = block_on(rows::read(state_dir, &scope, seen.live.as_ref(), now));
    let rows = rows.unwrap_or(Err(LedgerError::Gone))?;
    let outgoing = block_on(outgoing::read(state_dir, &scope)).unwrap_or(Err(LedgerError::Gone))?;
    let voice = block_on(Voice::read(state_dir, seen.config.as_ref()));
    let voice = voice.unwrap_or(Err(LedgerError::Gone))?;
    let archive = ArchiveState::of(&scope);
    let expires = expiry::soon(&seen.daemon, &scope, &rows, now);
    let live = seen.live.clone();
    let daemon = live.as_ref().map(|live| live.pid).or_else(|| lock_holder(state_dir));
    Ok(Look {
        now,
        scope,
        live,
        daemon,
        rows,
        outgoing,
        voice,
        archive,
        ledger: LedgerState::of(&seen.daemon),
        expires,
    })
}

impl Look {
    fn exit(&self) -> Exit {
        if self.archive.error.is_some() {
            return Exit::Person;
        }
        let rejected = self.live.as_ref().is_some_and(|live| live.config_rejected.is_some());
        let ill = self.rows.iter().any(Row::is_ill) || self.voice.is_ill();
        let ill = ill || !self.outgoing.is_empty();
        if rejected || ill { Exit::Degraded } else { Exit::Done }
    }
}

impl ArchiveState {
    fn of(scope: &Scope) -> Self {
        let (root, min_free) = (scope.root.display().to_string(), scope.min_free);
        match Root::open(&scope.root).and_then(|root| Space::of(root.folder())) {
            Ok(space) => {
                let low = space.free < min_free;
                Self { root, free: Some(space.free), min_free, low, error: None, hint: None }
            }
            Err(error) => {
                let (hint, error) = (error.hint(), Some(error.to_string()));
                Self { root, free: None, min_free, low: false, error, hint }
            }
        }
    }
}

impl LedgerState {
    fn of(daemon: &DaemonConfig) -> Self {
        let file = daemon.state_dir.join(LEDGER_FILE);
        Self {
            octets: file.metadata().ok().map(|found| found.len()),
            last_backup: last_backup(&daemon.state_dir).map(|(name, _)| name),
        }
    }
}

fn tell(context: &Context, look: &Look) {
    if !context.out.json {
        print::screen(context.out, look);
        return;
    }
    let live = look.live.as_ref().map(|live| {
        json!({
            "pid": live.pid,
            "version": live.version,
            "started_at": live.started_at,
            "config_file": live.config_file,
            "config_loaded_at": live.config_loaded_at,
            "config_rejected": live.config_rejected,
            "running": live.running,
            "debugged": live.debugged,
        })
    });
    context.out.value(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": look.now,
        "daemon": look.daemon,
        "live": live,
        "accounts": look.rows,
        "outbound": look.outgoing,
        "archive": look.archive,
        "notices": look.voice,
        "ledger": look.ledger,
        "expires": look.expires,
    }));
}

//! What the other program has fetched counts as known: neither stored nor deleted, by no rule.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::cli::exit::Exit;
use crate::cli::render::{self, plural};
use crate::cli::{Context, block_on, environment};
use crate::config::Config;
use crate::daemon::instance::{Instance, InstanceError};
use crate::log::Sink;
use crate::moving::foreign::{ForeignAccount, Seen};
use crate::moving::seen::Fetched;
use crate::poll::{Account, Catcher, CaughtUp, Clock, PollError, prepare};

/// Octets of one state file.
const MOST: u64 = 256 << 20;

/// What is known of one account's mail.
#[derive(Debug)]
pub(super) struct State {
    pub(super) account: String,
    pub(super) fetched: Fetched,
}

/// What was adopted of one account.
#[derive(Debug, Serialize)]
pub(super) struct Adopted {
    pub(super) account: String,
    pub(super) mailboxes: Vec<CaughtUp>,
}

impl Adopted {
    pub(super) fn print(&self, context: &Context) {
        for found in &self.mailboxes {
            let name = if found.mailbox.is_empty() { "maildrop" } else { &found.mailbox };
            let known = plural(found.caught_up.saturating_add(found.already), "message");
            let left = plural(found.left, "message");
            context.out.line(&format!(
                "{} {name}: {known} known, as the other program has them; {left} to fetch",
                self.account
            ));
        }
    }
}

/// Reads the state files of these accounts; those that can't be read, and why.
pub(super) fn states(
    accounts: &[ForeignAccount],
    home: Option<&Path>,
) -> (Vec<State>, Vec<String>) {
    let home = home.map(Path::to_path_buf).or_else(|| environment("HOME").map(PathBuf::from));
    let mut states = Vec::new();
    let mut missing = Vec::new();
    for account in accounts {
        let mut fetched = Fetched::new();
        for seen in &account.seen {
            let name = seen.file();
            let path = match (name.strip_prefix("~/"), &home) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => PathBuf::from(&name),
            };
            match read(&path, seen) {
                Ok(octets) => seen.read(&octets, &mut fetched),
                Err(why) => missing.push(format!("{}: {}: {why}", account.name, path.display())),
            }
        }
        if fetched.values().any(|ids| !ids.is_empty()) {
            states.push(State { account: account.name.clone(), fetched });
        }
    }
    (states, missing)
}

fn read(path: &Path, seen: &Seen) -> Result<Vec<u8>, String> {
    let journal = path.with_file_name(format!(
        "{}.journal",
        path.file_name().unwrap_or_default().to_string_lossy()
    ));
    if matches!(seen, Seen::SyncState { .. }) && journal.metadata().is_ok_and(|m| m.len() > 0) {
        return Err("mbsync was cut and must run once more: it has a journal".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let meta = file.metadata().map_err(|error| error.to_string())?;
    if !meta.is_file() || meta.len() > MOST {
        return Err("it is no regular file, or too large".to_owned());
    }
    let mut octets = Vec::new();
    file.take(MOST).read_to_end(&mut octets).map_err(|error| error.to_string())?;
    Ok(octets)
}

/// Asks each server what it holds, and records what of it was fetched; what fails is printed.
pub(super) fn adopt(
    context: &Context,
    config: &Config,
    sink: &Sink,
    states: Vec<State>,
) -> Result<Vec<Adopted>, Exit> {
    if states.is_empty() {
        return Ok(Vec::new());
    }
    let done = block_on(each(context, config, sink, states));
    sink.flush(Duration::from_secs(5));
    let why = match done? {
        Ok(adopted) => return Ok(adopted),
        Err(why) => why,
    };
    let hint = "nothing was changed; --no-adopt takes the account over and fetches all its mail";
    match why {
        Why::Instance(error) => {
            let busy = error.is_busy().then_some("stop the daemon first, or add --no-adopt");
            render::error(&error.to_string(), busy.or(error.hint().as_deref()));
            Err(if error.is_busy() { Exit::Busy } else { Exit::Failed })
        }
        Why::Poll(account, error) => {
            let text = sink.redactor().redact(&format!("{account}: {error}"));
            render::error(&text, Some(hint));
            Err(Exit::Failed)
        }
    }
}

enum Why {
    Instance(InstanceError),
    Poll(String, PollError),
}

async fn each(
    context: &Context,
    config: &Config,
    sink: &Sink,
    states: Vec<State>,
) -> Result<Vec<Adopted>, Why> {
    let instance = Instance::open(config, sink.redactor().clone()).await.map_err(Why::Instance)?;
    // A log that can't be stored is counted; what is done is printed, too.
    drop(sink.store_in(&config.daemon.state_dir));
    let mut adopted = Vec::new();
    for State { account: name, fetched } in states {
        let Some(inbound) = config.inbound.get(name.as_str()) else { continue };
        let inbound = Arc::new(inbound.clone());
        let failed = |error| Why::Poll(name.clone(), error);
        let tools = instance.tools.clone();
        let account = Account::new(Arc::clone(&inbound), tools, CancellationToken::new());
        prepare(&account).await.map_err(failed)?;
        let catcher = Catcher {
            config: inbound,
            ledger: instance.tools.ledger.clone(),
            clock: Clock,
            keyring: context.keyring(config, sink),
            before: None,
            only: Some(fetched),
            dry_run: false,
            at: Clock.now(),
        };
        let mailboxes = catcher.run().await.map_err(failed)?;
        let n: u64 = mailboxes.iter().map(|one| one.caught_up).sum();
        tracing::info!(
            target: "incoming",
            code = "catch-up",
            account = name,
            n,
            "{n} messages on the server count as known: another program has fetched them"
        );
        adopted.push(Adopted { account: name, mailboxes });
    }
    instance.close().await;
    Ok(adopted)
}

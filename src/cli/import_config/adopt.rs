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
use crate::moving::foreign::Seen;
use crate::moving::seen::Fetched;
use crate::poll::{Account, Catcher, CaughtUp, Clock, PollError, prepare};

use super::placing::Placed;

/// Octets of one state file.
const MOST: u64 = 256 << 20;

/// What is known of one account's mail.
#[derive(Debug)]
pub(super) struct State {
    pub(super) account: String,
    new: bool,
    fetched: Fetched,
}

/// An account whose server didn't answer, or refused.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    pub(super) account: String,
    pub(super) new: bool,
    pub(super) why: String,
}

/// What became of each account that has state files.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) adopted: Vec<Adopted>,
    pub(super) failed: Vec<Failed>,
}

impl Failed {
    pub(super) fn print(&self, context: &Context) {
        let Self { account, new, why } = self;
        context.out.hanging(&format!("{account}: nothing was adopted: {why}"));
        if *new {
            context.out.line("  it has `enabled = false`, or all its mail would be fetched again;");
            context.out.line("  run this once more when its server answers, then remove the line");
        }
    }
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
            context.out.hanging(&format!(
                "{} {name}: {known} known, as the other program has them; {left} to fetch",
                self.account
            ));
        }
    }
}

/// Reads the state files of these accounts; those that can't be read, and why.
pub(super) fn states(placed: &[Placed], home: Option<&Path>) -> (Vec<State>, Vec<String>) {
    // Another person's home has its own folder of configurations.
    let folder =
        if home.is_none() { environment("XDG_CONFIG_HOME").map(PathBuf::from) } else { None };
    let home = home.map(Path::to_path_buf).or_else(|| environment("HOME").map(PathBuf::from));
    let mut states = Vec::new();
    let mut missing = Vec::new();
    for Placed { account, new, .. } in placed {
        let mut fetched = Fetched::new();
        let mut all = Vec::new();
        for seen in &account.seen {
            match seen.folders() {
                None => all.push(seen.clone()),
                Some((folders, nested)) => {
                    let paths =
                        folders.iter().map(|name| path_of(name, (&home, folder.as_deref())));
                    let each = paths.map(|path| (path.display().to_string(), below(&path, nested)));
                    let each = each.map(|(folder, paths)| seen.each(&folder, &paths));
                    let found = each.into_iter().find(|each| !each.is_empty()).unwrap_or_default();
                    if found.is_empty() {
                        let (name, at) = (&account.name, folders.join(" and "));
                        missing.push(format!("{name}: {at}: there are no state files of it"));
                    }
                    all.extend(found);
                }
            }
        }
        for seen in &all {
            let files = seen.files();
            let mut paths = files.iter().map(|name| path_of(name, (&home, folder.as_deref())));
            let Some(last) = paths.next_back() else { continue };
            let path = paths.find(|path| path.exists()).unwrap_or(last);
            let wrong = match read(&path, seen) {
                Ok(octets) => add(seen, &octets, &mut fetched),
                Err(why) => Some(why),
            };
            missing.extend(wrong.map(|why| format!("{}: {}: {why}", account.name, path.display())));
        }
        if fetched.values().any(|ids| !ids.is_empty()) {
            states.push(State { account: account.name.clone(), new: *new, fetched });
        }
    }
    (states, missing)
}

/// The files of a folder, and of those in it; no more than anybody has.
fn below(folder: &Path, nested: bool) -> Vec<String> {
    const MOST: usize = 100_000;
    const DEEPEST: usize = 16;
    let mut found = Vec::new();
    let mut open = vec![(folder.to_path_buf(), String::new(), 0_usize)];
    while let Some((path, shown, depth)) = open.pop() {
        for entry in std::fs::read_dir(&path).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            // Where a Maildir has its mail, which may be many files, is nothing else.
            if found.len() >= MOST || (is_folder && ["cur", "new", "tmp"].contains(&name.as_str()))
            {
                continue;
            }
            if is_folder && nested && depth < DEEPEST {
                open.push((entry.path(), format!("{shown}{name}/"), depth.saturating_add(1)));
            } else if !is_folder {
                found.push(format!("{shown}{name}"));
            }
        }
    }
    found.sort();
    found
}

fn path_of(name: &str, (home, folder): (&Option<PathBuf>, Option<&Path>)) -> PathBuf {
    match (name.strip_prefix("~/"), name.strip_prefix("$/"), home) {
        (Some(rest), _, Some(home)) => home.join(rest),
        (_, Some(rest), Some(home)) => {
            folder.map_or_else(|| home.join(".config"), Path::to_path_buf).join(rest)
        }
        _ => PathBuf::from(name),
    }
}

/// Takes in a file; says where it has lines and none is this account's.
fn add(seen: &Seen, octets: &[u8], fetched: &mut Fetched) -> Option<String> {
    let mut own = Fetched::new();
    seen.read(octets, &mut own);
    let lines = octets.split(|b| *b == b'\n').filter(|line| !line.is_empty()).count();
    let none = own.values().all(std::collections::BTreeSet::is_empty) && lines > 0;
    for (mailbox, ids) in own {
        fetched.entry(mailbox).or_default().extend(ids);
    }
    none.then(|| format!("0 of {} are this account's", plural(lines as u64, "line")))
}

fn read(path: &Path, seen: &Seen) -> Result<Vec<u8>, String> {
    let journal = path.with_file_name(format!(
        "{}.journal",
        path.file_name().unwrap_or_default().to_string_lossy()
    ));
    if matches!(seen, Seen::SyncState { .. }) && journal.metadata().is_ok_and(|m| m.len() > 0) {
        return Err("mbsync was cut and must run once more: it has a journal".to_owned());
    }
    let file = super::open(path).map_err(|error| error.to_string())?;
    let meta = file.metadata().map_err(|error| error.to_string())?;
    if !meta.is_file() || meta.len() > MOST {
        return Err("it is no regular file, or too large".to_owned());
    }
    let mut octets = Vec::new();
    file.take(MOST).read_to_end(&mut octets).map_err(|error| error.to_string())?;
    Ok(octets)
}

/// Asks each server what it holds, and records what of it was fetched. A server that fails keeps
/// none of the others back.
pub(super) fn adopt(
    context: &Context,
    config: &Config,
    sink: &Sink,
    states: Vec<State>,
) -> Result<Outcome, Exit> {
    if states.is_empty() {
        return Ok(Outcome::default());
    }
    let done = block_on(each(context, config, sink, states));
    sink.flush(Duration::from_secs(5));
    done?.map_err(|error| {
        let busy = error.is_busy().then_some("stop the daemon first");
        render::error(&error.to_string(), busy.or(error.hint().as_deref()));
        if error.is_busy() { Exit::Busy } else { Exit::Failed }
    })
}

async fn each(
    context: &Context,
    config: &Config,
    sink: &Sink,
    states: Vec<State>,
) -> Result<Outcome, InstanceError> {
    let instance = Instance::open(config, sink.redactor().clone()).await?;
    // A log that can't be stored is counted; what is done is printed, too.
    drop(sink.store_in(&config.daemon.state_dir));
    let mut outcome = Outcome::default();
    for State { account: name, new, fetched } in states {
        let Some(inbound) = config.inbound.get(name.as_str()) else {
            let why = "no file of `include` has it".to_owned();
            outcome.failed.push(Failed { account: name, new, why });
            continue;
        };
        let catcher = Catcher {
            config: Arc::new(inbound.clone()),
            ledger: instance.tools.ledger.clone(),
            clock: Clock,
            keyring: context.keyring(config, sink),
            before: None,
            only: Some(fetched),
            dry_run: false,
            at: Clock.now(),
        };
        match one(&instance, catcher).await {
            Ok(mailboxes) => {
                tell(&name, &mailboxes);
                outcome.adopted.push(Adopted { account: name, mailboxes });
            }
            Err(error) => {
                let why = sink.redactor().redact(&error.to_string());
                outcome.failed.push(Failed { account: name, new, why });
            }
        }
    }
    instance.close().await;
    Ok(outcome)
}

async fn one(instance: &Instance, catcher: Catcher) -> Result<Vec<CaughtUp>, PollError> {
    let tools = instance.tools.clone();
    let account = Account::new(Arc::clone(&catcher.config), tools, CancellationToken::new());
    prepare(&account).await?;
    catcher.run().await
}

fn tell(name: &str, mailboxes: &[CaughtUp]) {
    let n: u64 = mailboxes.iter().map(|one| one.caught_up).sum();
    tracing::info!(
        target: "incoming",
        code = "catch-up",
        account = name,
        n,
        "{n} messages on the server count as known: another program has fetched them"
    );
}

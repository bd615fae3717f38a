//! `postrider poll`: one poll of the named accounts, or of all enabled ones.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::render::{self, Out, count, plural};
use super::{Context, block_on, plan};
use crate::config::{Config, Inbound};
use crate::daemon::attempt::{Attempts, Gate};
use crate::daemon::instance::{Instance, InstanceError};
use crate::daemon::{attempts, warn_of};
use crate::log::Sink;
use crate::model::ByteSize;
use crate::poll::{Account, PollReport, Progress};

/// Poll accounts once, then exit.
#[derive(Args, Debug)]
pub(super) struct Poll {
    /// The accounts [default: all that are enabled]
    #[arg(value_name = "ACCOUNT")]
    accounts: Vec<String>,
}

/// How one account's turn ended.
enum Turn {
    Polled(Box<PollReport>),
    Waits { account: String, why: String },
}

impl Poll {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let chosen = match self.choose(&config) {
            Ok(chosen) => chosen,
            Err(exit) => return exit,
        };
        let sink = match context.log(&config, None) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        let by_name = !self.accounts.is_empty();
        let done = block_on(work(&config, &sink, chosen, by_name));
        sink.flush(Duration::from_secs(5));
        match done {
            Ok(Ok(turns)) => report(context.out, &config, &turns),
            Ok(Err(error)) => {
                render::error(&error.to_string(), error.hint().as_deref());
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

    fn choose(&self, config: &Config) -> Result<Vec<Arc<Inbound>>, Exit> {
        if self.accounts.is_empty() {
            let enabled = config.inbound.values().filter(|account| account.enabled);
            return Ok(enabled.cloned().map(Arc::new).collect());
        }
        let mut chosen = Vec::new();
        for name in self.accounts.iter().collect::<BTreeSet<_>>() {
            match config.inbound.get(name.as_str()) {
                Some(account) => chosen.push(Arc::new(account.clone())),
                None => return Err(plan::unknown(config, name)),
            }
        }
        Ok(chosen)
    }
}

async fn work(
    config: &Config,
    sink: &Sink,
    chosen: Vec<Arc<Inbound>>,
    by_name: bool,
) -> Result<Vec<Turn>, InstanceError> {
    let instance = Instance::open(config, sink.redactor().clone()).await?;
    // A log that can't be stored is counted; the report on standard output is complete anyway.
    drop(sink.store_in(&config.daemon.state_dir));
    warn_of(config);
    let cancel = CancellationToken::new();
    let attempts = attempts(config);
    let bars = MultiProgress::new();
    let mut tasks = JoinSet::new();
    for config in chosen {
        let account = Account::new(config, instance.tools.clone(), cancel.clone());
        let bar = bar(&bars, &account);
        tasks.spawn(turn(account, attempts.clone(), by_name, bar));
    }
    let mut stop = JoinSet::new();
    stop.spawn(cancel_on_signal(cancel));
    let mut turns = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(turn) => turns.push(turn),
            Err(error) => turns.push(Turn::Waits {
                account: "-".to_owned(),
                why: format!("its task died: {error}"),
            }),
        }
    }
    turns.sort_by(|one, other| one.account().cmp(other.account()));
    instance.close().await;
    Ok(turns)
}

/// Ctrl-C ends the polls at the next message border; what is stored stays.
async fn cancel_on_signal(cancel: CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    cancel.cancel();
}

/// By name an account is tried once, whatever its back-off; without names back-off is obeyed.
async fn turn(
    account: Account,
    attempts: Attempts,
    by_name: bool,
    bar: Option<ProgressBar>,
) -> Turn {
    let name = account.config.name.to_string();
    if !by_name {
        let why = match attempts.gate(&account).await {
            Ok(Gate::Open) => None,
            Ok(Gate::Stopped) => {
                Some("stopped till a person acts: see `postrider status`".to_owned())
            }
            Ok(Gate::Rests(until)) => {
                Some(format!("rests until {} after a refused login", render::moment(until)))
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = why {
            return Turn::Waits { account: name, why };
        }
    }
    let mut watch = JoinSet::new();
    if let Some(bar) = &bar {
        watch.spawn(show(bar.clone(), Arc::clone(&account.progress)));
    }
    let report = attempts.attempt(&account).await;
    watch.shutdown().await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Turn::Polled(Box::new(report))
}

fn bar(bars: &MultiProgress, account: &Account) -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() || !std::io::stdout().is_terminal() {
        return None;
    }
    let style = "{prefix}  [{bar:28}]  {pos}/{len}  {msg}  {eta} left";
    let style = ProgressStyle::with_template(style).ok()?.progress_chars("##-");
    let bar = bars.add(ProgressBar::new(0).with_style(style));
    bar.set_prefix(account.config.name.to_string());
    Some(bar)
}

async fn show(bar: ProgressBar, progress: Arc<Progress>) {
    loop {
        bar.set_length(progress.wanted());
        bar.set_position(progress.messages());
        bar.set_message(ByteSize(progress.octets()).to_string());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Turn {
    fn account(&self) -> &str {
        match self {
            Self::Polled(report) => &report.account,
            Self::Waits { account, .. } => account,
        }
    }

    fn failed(&self) -> bool {
        match self {
            Self::Polled(report) => report.error.is_some(),
            Self::Waits { .. } => true,
        }
    }
}

fn report(out: Out, config: &Config, turns: &[Turn]) -> Exit {
    let failed = turns.iter().filter(|turn| turn.failed()).count();
    if out.json {
        let polled: Vec<_> = turns
            .iter()
            .map(|turn| match turn {
                Turn::Polled(report) => serde_json::to_value(report).unwrap_or_default(),
                Turn::Waits { account, why } => json!({ "account": account, "waits": why }),
            })
            .collect();
        out.value(&json!({ "polls": polled }));
        return Exit::of_accounts(turns.len(), failed);
    }
    if turns.is_empty() {
        out.line("no account is enabled");
    }
    let root = config.archive.root.display();
    for turn in turns {
        match turn {
            Turn::Polled(report) => print(out, report, &root),
            Turn::Waits { account, why } => {
                out.line(&format!("{account}  not polled: {why}"));
                out.line(&format!("  hint: postrider poll {account} tries once all the same"));
            }
        }
    }
    Exit::of_accounts(turns.len(), failed)
}

fn print(out: Out, report: &PollReport, root: &std::path::Display<'_>) {
    let took = report.ended_at.duration_since(report.started_at);
    let seconds = took.as_millis().max(0);
    let mut text = format!("{}  {} archived", report.account, count(u64::from(report.archived)));
    let mut add = |n: u64, what: &str| {
        if n > 0 {
            for word in [", ", &count(n), " ", what] {
                text.push_str(word);
            }
        }
    };
    let sum = |counts: Vec<u32>| counts.into_iter().map(u64::from).fold(0, u64::saturating_add);
    add(u64::from(report.rekeyed), "found again under a new identity");
    add(report.held.len() as u64, "held");
    add(u64::from(report.deleted), "deleted on the server");
    add(sum(report.skipped.values().copied().collect()), "skipped by age");
    add(sum(report.left_over.values().copied().collect()), "left for later");
    out.line(&format!("{text}  {}.{} s", seconds / 1000, (seconds % 1000) / 100));
    for (why, n) in &report.not_deleted {
        out.line(&format!("  {} not deleted: {why}", plural(u64::from(*n), "message")));
    }
    for held in report.held.iter().take(5) {
        out.line(&format!("  held: {}: {}", held.key, held.reason));
    }
    if let Some(error) = &report.error {
        out.line(&format!("error: {}: {}", report.account, error.message));
        if let Some(hint) = &error.hint {
            out.line(&format!("  hint: {hint}"));
        }
    }
    if let Some((folder, _)) = report.folders.last_key_value() {
        out.line(&format!("  archive: {root}/{folder}/"));
    }
}

//! The poll by this command itself, where no daemon runs.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Poll;
use super::show::{Turn, bar, set};
use crate::audit::{self, Act};
use crate::cli::who;
use crate::config::{Config, Inbound};
use crate::daemon::attempt::Attempts;
use crate::daemon::gate::Asked;
use crate::daemon::instance::{Instance, InstanceError};
use crate::daemon::{attempts, outbox, warn_of};
use crate::log::Sink;
use crate::poll::{Account, Clock, Progress, announce};

/// Polls each account once, all at the same time.
pub(super) async fn poll(
    config: &Config,
    sink: &Sink,
    chosen: Vec<Arc<Inbound>>,
    wanted: &Poll,
) -> Result<Vec<Turn>, InstanceError> {
    let instance = Instance::open(config, sink.redactor().clone()).await?;
    // A log that can't be stored is counted; the report on standard output is complete anyway.
    drop(sink.store_in(&config.daemon.state_dir));
    warn_of(config);
    announce(config, &instance.tools.ledger, Clock.now()).await;
    let entry = audit::by(config, Act::Command, who().to_string(), Clock.now());
    audit::keep(instance.tools.ledger.clone(), entry).await;
    let cancel = CancellationToken::new();
    let attempts = attempts(config);
    let bars = MultiProgress::new();
    let mut tasks = JoinSet::new();
    let asked = Asked::of(!wanted.accounts.is_empty(), wanted.force);
    let mut book = outbox::book(config);
    book.rules.retain(|name, _| chosen.iter().any(|account| account.name == *name));
    for config in chosen {
        let account = Account::new(config, instance.tools.clone(), cancel.clone());
        let bar = bar(&bars, &account.config.name);
        tasks.spawn(turn(account, attempts.clone(), asked, bar));
    }
    let mut stop = JoinSet::new();
    stop.spawn(cancel_on_signal(cancel.clone()));
    let mut turns = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(turn) => turns.push(turn),
            // Whose it was shows by the turn that is missing.
            Err(error) => tracing::error!(
                target: "daemon",
                code = "account-task-died",
                "A poll died ({error})"
            ),
        }
    }
    turns.sort_by(|one, other| one.account().cmp(other.account()));
    outbox::drain(instance.tools.clone(), book, cancel).await;
    instance.tools.tokens.finish().await;
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

async fn turn(
    account: Account,
    attempts: Attempts,
    asked: Asked,
    bar: Option<ProgressBar>,
) -> Turn {
    let mut watch = JoinSet::new();
    if let Some(bar) = &bar {
        watch.spawn(watch_it(bar.clone(), Arc::clone(&account.progress)));
    }
    let done = attempts.attempt(&account, asked).await;
    watch.shutdown().await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    match done {
        Ok(report) => Turn::polled(serde_json::to_value(report).unwrap_or_default()),
        Err(kept) => Turn::Waits {
            account: account.config.name.to_string(),
            why: kept.why(),
            meant: kept.is_meant(asked),
        },
    }
}

async fn watch_it(bar: ProgressBar, progress: Arc<Progress>) {
    loop {
        set(&bar, progress.wanted(), progress.messages(), progress.octets());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

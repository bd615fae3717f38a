//! The daemon: it holds the instance, schedules the polls, reloads and stops.

pub mod attempt;
pub mod instance;
mod keeper;
mod looks;
pub mod notify;
mod scheduler;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, Severity};
use crate::ledger::LedgerError;
use crate::log::{Level, Sink};
use crate::poll::Clock;

use attempt::Attempts;
use instance::{Instance, InstanceError};
use keeper::Keeper;
use scheduler::Scheduler;

/// How long tasks may take to end; what is not done by then is safe to cut.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// What ends the daemon with an error.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// It may not write here.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// No signals, no daemon.
    #[error("signals can't be caught: {0}")]
    Signals(std::io::Error),
    /// The ledger's thread has died: nothing can be recorded any more.
    #[error("the ledger can't be used any more: {0}")]
    Ledger(LedgerError),
}

/// The running daemon.
struct Daemon {
    config_file: PathBuf,
    config: Config,
    sink: Sink,
    scheduler: Scheduler,
    instance: Instance,
    signals: Signals,
    keeper: Keeper,
    /// The instance's next proof of life.
    alive_at: Instant,
    /// Ends with the daemon.
    _aside: JoinSet<()>,
}

/// The signals that the daemon listens to.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

/// Runs until SIGTERM or SIGINT.
///
/// `locked` is called once this process may write to the state folder.
pub async fn run(
    config_file: &Path,
    config: Config,
    sink: Sink,
    locked: impl FnOnce(),
) -> Result<(), DaemonError> {
    let signals = Signals::new().map_err(DaemonError::Signals)?;
    let instance = Instance::open(&config, sink.redactor().clone()).await?;
    locked();
    let attempts = attempts(&config);
    let cancel = CancellationToken::new();
    let mut aside = JoinSet::new();
    let state_dir = Arc::from(config.daemon.state_dir.as_path());
    aside.spawn(upkeep::keep(instance.tools.clone(), state_dir, cancel.clone()));
    let mut scheduler = Scheduler::new(instance.tools.clone(), attempts, cancel);
    apply_log(&config, &sink);
    warn_of(&config);
    scheduler.apply(&config);
    tracing::info!(
        target: "daemon",
        code = "daemon-started",
        version = env!("CARGO_PKG_VERSION"),
        "Started: polling {}",
        accounts(&scheduler)
    );
    notify::ready(&format!("polling {}", accounts(&scheduler)));
    let config_file = config_file.to_owned();
    let alive_at = Instant::now();
    let keeper = Keeper::new();
    Daemon {
        config_file,
        config,
        sink,
        scheduler,
        instance,
        signals,
        keeper,
        alive_at,
        _aside: aside,
    }
    .live()
    .await
}

/// What polls by the daemon and by hand are limited by.
pub fn attempts(config: &Config) -> Attempts {
    Attempts::new(config.daemon.max_connections, config.archive.timezone.clone())
}

/// Warnings that come with each start: what is off that should be on.
pub fn warn_of(config: &Config) {
    warn_of_secrets(config);
    for (name, account) in config.inbound.iter().filter(|(_, account)| account.enabled) {
        if account.tls.take_anyone() {
            tracing::warn!(
                target: "daemon",
                code = "tls-not-verified",
                account = &**name,
                "Certificate verification is off for {}",
                account.host
            );
        }
        if account.encryption == config::Encryption::None {
            tracing::warn!(
                target: "daemon",
                code = "login-plaintext",
                account = &**name,
                "Password and mail travel in the clear to {}",
                account.host
            );
        }
    }
}

/// Clients' secrets that expire soon: Microsoft's end without a word.
fn warn_of_secrets(config: &Config) {
    let now = Clock.now();
    for (name, oauth) in &config.oauth {
        let Some(at) = oauth.secret_expires else { continue };
        if at.duration_since(now) <= config::SECRET_EXPIRY_WARNING {
            tracing::warn!(
                target: "oauth",
                code = "oauth-secret-expires",
                hint = "make a new one at the provider, and correct `secret_expires`",
                "The client's secret of oauth `{name}` expires at {at}"
            );
        }
    }
}

impl Daemon {
    async fn live(mut self) -> Result<(), DaemonError> {
        let ledger = self.instance.tools.ledger.clone();
        loop {
            tokio::select! {
                _ = self.signals.terminate.recv() => break,
                _ = self.signals.interrupt.recv() => break,
                _ = self.signals.hangup.recv() => self.reload(),
                () = self.scheduler.supervise() => {}
                () = sleep_until(self.alive_at) => self.prove_alive().await?,
                () = ledger.ended() => return Err(DaemonError::Ledger(LedgerError::Gone)),
                () = self.keeper.due() => self.keeper.look(&self.config, &self.instance.tools),
            }
        }
        self.stop().await;
        self.instance.close().await;
        Ok(())
    }

    /// Feeds the watchdog only when the ledger answers: a daemon that can't record is not alive.
    async fn prove_alive(&mut self) -> Result<(), DaemonError> {
        let answered = self.instance.tools.ledger.read("prove to be alive", |_| Ok(())).await;
        if let Err(error) = answered {
            tracing::error!(target: "daemon", code = error.code(), "{error}");
            return Err(DaemonError::Ledger(error));
        }
        notify::watchdog();
        let pause = notify::watchdog_interval().unwrap_or(Duration::from_mins(1));
        self.alive_at = Instant::now().checked_add(pause).unwrap_or(self.alive_at);
        Ok(())
    }

    /// Reads the config anew and swaps it whole, or keeps the old one and says why.
    fn reload(&mut self) {
        notify::reloading();
        let loaded = config::load(&self.config_file, Clock.now());
        let verdict = match loaded.config {
            Some(config) => fixed(&self.config, &config).map(|()| config),
            None => Err(errors(&loaded.problems)),
        };
        match verdict {
            Ok(config) => {
                apply_log(&config, &self.sink);
                self.scheduler.apply(&config);
                warn_of(&config);
                self.config = config;
                tracing::info!(
                    target: "config",
                    code = "config-loaded",
                    "Config reloaded: polling {}",
                    accounts(&self.scheduler)
                );
                notify::ready(&format!("polling {}", accounts(&self.scheduler)));
            }
            Err(why) => {
                tracing::error!(
                    target: "config",
                    code = "config-rejected",
                    "Config rejected, the old one stays in force: {why}"
                );
                notify::ready("config rejected, the old one stays in force");
            }
        }
    }

    /// What is in flight is finished or leaves nothing behind; a second signal cuts it short.
    async fn stop(&mut self) {
        tracing::info!(target: "daemon", code = "daemon-stopping", "Stopping");
        notify::stopping("stopping");
        let limit = Instant::now().checked_add(STOP_LIMIT).unwrap_or_else(Instant::now);
        let ended = tokio::select! {
            () = self.scheduler.stop() => true,
            _ = self.signals.terminate.recv() => false,
            _ = self.signals.interrupt.recv() => false,
            () = sleep_until(limit) => false,
        };
        let how = if ended { "Stopped" } else { "Stopped before all polls had ended" };
        tracing::info!(target: "daemon", code = "daemon-stopped", "{how}");
    }
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }
}

/// How many accounts are polled, in words.
fn accounts(scheduler: &Scheduler) -> String {
    match scheduler.accounts() {
        1 => "1 account".to_owned(),
        n => format!("{n} accounts"),
    }
}

/// What only a restart can change.
fn fixed(old: &Config, new: &Config) -> Result<(), String> {
    if old.daemon != new.daemon {
        return Err("a change of [daemon] needs a restart".to_owned());
    }
    if old.archive != new.archive {
        return Err("a change of [archive] needs a restart".to_owned());
    }
    Ok(())
}

fn errors(problems: &[config::Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let texts: Vec<String> = errors
        .map(|problem| match (&problem.file, problem.line) {
            (Some(file), Some(line)) => {
                format!("{} ({}:{line})", problem.message, file.display())
            }
            _ => problem.message.clone(),
        })
        .collect();
    texts.join("; ")
}

fn apply_log(config: &Config, sink: &Sink) {
    let debug = config.inbound.values().filter(|account| account.debug);
    let debug = debug.map(|account| Arc::clone(&account.name)).collect();
    sink.set_level(Level::from(config.log.level), debug);
    sink.set_keep(Some(config.log.keep));
}

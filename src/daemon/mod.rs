//! The daemon: it holds the instance, schedules the polls, reloads and stops.

mod aside;
pub mod attempt;
mod canary;
mod control;
mod forward;
pub mod gate;
mod herald;
pub mod instance;
mod keeper;
pub mod live;
mod looks;
pub mod notify;
pub mod opening;
pub mod orders;
pub mod outbox;
mod permits;
pub mod post;
mod queue;
pub mod refusals;
mod reload;
pub mod replay;
mod scheduler;
mod situation;
pub mod state;
mod upkeep;
mod uptime;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::audit::{self, Act};
use crate::config::{self, Config};
use crate::ledger::LedgerError;
use crate::log::{Level, Sink};
use crate::poll::{Clock, Tools, announce};

use aside::Aside;
use attempt::Attempts;
use control::Desk;
use herald::{Herald, situation};
use instance::{Instance, InstanceError};
use keeper::Keeper;
use post::Post;
use scheduler::Scheduler;
use situation::Situation;
use state::{InForce, Rejected};

/// How long tasks may take to end; what is not done by then is safe to cut.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Rest before the outbox's worker is started again: one that dies at once is no busy loop.
const WORK_AGAIN: Duration = Duration::from_secs(1);
/// Entries of the config's history that may wait for the ledger.
const HISTORY: usize = 16;

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
    in_force: InForce,
    /// When it was read.
    loaded_at: Timestamp,
    /// A newer one that was refused.
    rejected: Option<Rejected>,
    started_at: Timestamp,
    sink: Sink,
    scheduler: Scheduler,
    attempts: Attempts,
    desk: Desk,
    instance: Instance,
    signals: Signals,
    keeper: Keeper,
    /// Tells the herald what is in force.
    told: watch::Sender<Situation>,
    /// The instance's next proof of life.
    alive_at: Instant,
    /// The rules, as the outbox's worker has them.
    book: watch::Sender<Arc<outbox::Book>>,
    /// The outbox's worker.
    outbox: JoinSet<()>,
    /// How mail leaves.
    post: Post,
    /// What the history of the config has still to be told.
    history: mpsc::Sender<audit::Entry>,
    cancel: CancellationToken,
    /// What is done beside the polls; ends with the daemon.
    aside: Aside,
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
///
/// `runtime_dir` is systemd's `$RUNTIME_DIRECTORY`: the control socket goes there.
pub async fn run(
    in_force: InForce,
    sink: Sink,
    runtime_dir: Option<PathBuf>,
    locked: impl FnOnce(),
) -> Result<(), DaemonError> {
    let config = &in_force.config;
    let signals = Signals::new().map_err(DaemonError::Signals)?;
    let instance = Instance::open(config, sink.redactor().clone()).await?;
    locked();
    let (attempts, cancel) = (attempts(config), CancellationToken::new());
    let tools = || instance.tools.clone();
    let (told, heard) = watch::channel(situation(config));
    let post = Post::new(tools(), attempts.clone());
    let mut aside = aside(&tools(), &post, &heard, &cancel);
    let (book, rules) = watch::channel(Arc::new(outbox::book(config)));
    let mut worker = JoinSet::new();
    worker.spawn(outbox::work(tools(), post.clone(), rules, cancel.clone()));
    let mut scheduler = Scheduler::new(tools(), attempts.clone(), cancel.clone());
    apply_log(config, &sink, &attempts);
    warn_of_config(&in_force.warnings);
    warn_of(config);
    announce(config, &instance.tools.ledger, Clock.now()).await;
    let desk =
        Desk::open(config, runtime_dir.as_deref(), tools(), attempts.clone(), cancel.clone());
    scheduler.apply(config);
    let ledger = instance.tools.ledger.clone();
    let (history, entries) = mpsc::channel(HISTORY);
    aside.once(audit::keep_each(ledger, entries));
    note(&history, audit::of(config, Act::Start, Clock.now()));
    tracing::info!(
        target: "daemon",
        code = "daemon-started",
        version = env!("CARGO_PKG_VERSION"),
        "Started: polling {}",
        accounts(&scheduler)
    );
    notify::ready(&format!("polling {}", accounts(&scheduler)));
    let now = Clock.now();
    Daemon {
        in_force,
        loaded_at: now,
        rejected: None,
        started_at: now,
        sink,
        scheduler,
        attempts,
        desk,
        instance,
        signals,
        keeper: Keeper::new(),
        told,
        alive_at: Instant::now(),
        book,
        outbox: worker,
        post,
        history,
        cancel,
        aside,
    }
    .live()
    .await
}

/// Has an entry recorded, behind those that wait.
fn note(history: &mpsc::Sender<audit::Entry>, entry: audit::Entry) {
    if history.try_send(entry).is_err() {
        tracing::error!(
            target: "config",
            code = "ledger-failed",
            "The configuration was not recorded in the history: the ledger takes nothing"
        );
    }
}

/// Starts what is done beside the polls.
fn aside(
    tools: &Tools,
    post: &Post,
    heard: &watch::Receiver<Situation>,
    cancel: &CancellationToken,
) -> Aside {
    let mut aside = Aside::new(cancel.clone());
    let parts = (tools.clone(), heard.clone(), post.clone(), cancel.clone());
    let canaries = parts.clone();
    aside.keep("canaries", move || {
        let (tools, heard, post, cancel) = canaries.clone();
        canary::keep(tools, heard, post, cancel)
    });
    aside.keep("notices", move || {
        let (tools, heard, post, cancel) = parts.clone();
        Herald::new(tools, heard, post).run(cancel)
    });
    let (tools, heard, cancel) = (tools.clone(), heard.clone(), cancel.clone());
    aside.keep("the ledger", move || {
        let state_dir = Arc::from(heard.borrow().config.daemon.state_dir.as_path());
        upkeep::keep(tools.clone(), state_dir, cancel.clone())
    });
    aside
}

/// What polls by the daemon and by hand are limited by.
pub fn attempts(config: &Config) -> Attempts {
    Attempts::new(&config.daemon, config.archive.timezone.clone())
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
        let ended = self.serve().await;
        if ended.is_err() {
            self.finish_tokens().await;
            return ended;
        }
        self.stop().await;
        self.instance.close().await;
        Ok(())
    }

    /// Until a signal to stop.
    async fn serve(&mut self) -> Result<(), DaemonError> {
        let ledger = self.instance.tools.ledger.clone();
        loop {
            tokio::select! {
                _ = self.signals.terminate.recv() => return Ok(()),
                _ = self.signals.interrupt.recv() => return Ok(()),
                _ = self.signals.hangup.recv() => drop(self.reload(None).await),
                call = self.desk.next() => self.answer(call).await,
                () = until(self.attempts.live.debugging_ends()) => self.end_debugging(),
                () = self.scheduler.supervise() => {}
                () = self.aside.supervise() => {}
                () = sleep_until(self.alive_at) => self.prove_alive().await?,
                Some(Err(error)) = self.outbox.join_next() => self.work_again(&error),
                () = ledger.ended() => return Err(DaemonError::Ledger(LedgerError::Gone)),
                () = self.keeper.due() => {
                    self.keeper.look(&self.in_force.config, &self.instance.tools);
                },
            }
        }
    }

    /// The outbox's worker has died: another one takes its place, and what it had begun.
    fn work_again(&mut self, error: &tokio::task::JoinError) {
        tracing::error!(
            target: "daemon",
            code = "internal-error",
            "The worker of the rules died ({error}); it starts again"
        );
        let (tools, cancel) = (self.instance.tools.clone(), self.cancel.clone());
        let (post, rules) = (self.post.clone(), self.book.subscribe());
        self.outbox.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(WORK_AGAIN) => {}
            }
            outbox::work(tools, post, rules, cancel).await;
        });
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

    /// What is in flight is finished or leaves nothing behind; a second signal cuts it short.
    async fn stop(&mut self) {
        tracing::info!(target: "daemon", code = "daemon-stopping", "Stopping");
        notify::stopping("stopping");
        self.desk.close();
        let limit = Instant::now().checked_add(STOP_LIMIT).unwrap_or_else(Instant::now);
        let ended = tokio::select! {
            () = async {
                self.scheduler.stop().await;
                self.desk.finish().await;
                while self.outbox.join_next().await.is_some() {}
            } => true,
            _ = self.signals.terminate.recv() => false,
            _ = self.signals.interrupt.recv() => false,
            () = sleep_until(limit) => false,
        };
        self.finish_tokens().await;
        let how = if ended { "Stopped" } else { "Stopped before all polls had ended" };
        tracing::info!(target: "daemon", code = "daemon-stopped", "{how}");
    }
}

impl Daemon {
    /// A renewal that is cut off may cost a login; one more signal cuts it all the same.
    async fn finish_tokens(&mut self) {
        tokio::select! {
            () = self.instance.tools.tokens.finish() => {}
            _ = self.signals.terminate.recv() => {}
            _ = self.signals.interrupt.recv() => {}
        }
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

/// Waits for a moment; for ever without one.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Each warning of a config: `check` shows them, and so does the log of whoever doesn't run it.
fn warn_of_config(warnings: &[config::Problem]) {
    for problem in warnings {
        let hint = problem.hint.as_deref().unwrap_or_default();
        let place = reload::place(problem);
        tracing::warn!(target: "config", code = "config-warning", hint, "{}{place}", problem.message);
    }
}

fn apply_log(config: &Config, sink: &Sink, attempts: &Attempts) {
    let debug = config.inbound.values().filter(|account| account.debug);
    let debug = debug.map(|account| Arc::clone(&account.name));
    let debug = debug.chain(attempts.live.debugged().into_keys()).collect();
    sink.set_level(Level::from(config.log.level), debug);
    sink.set_logins(config.logins());
    sink.set_keep(Some(config.log.keep));
    sink.set_max_size(config.log.max_size);
}

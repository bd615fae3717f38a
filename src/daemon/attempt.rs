//! One poll of one account as the daemon and `poll` both make it: within the limit of
//! connections, with its records in the log and its outcome in the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tracing::Instrument;

use super::gate::{Asked, Kept, backoff, login};
use super::live::Live;
use super::looks::Looks;
use super::orders;
use super::permits::Permits;
use crate::config::{DaemonConfig, Inbound, Schedule};
use crate::ledger::{AccountState, LastError, LedgerError};
use crate::model::{AccountName, Source};
use crate::poll::{Account, PollReport, ReportedError, poll};
use crate::schedule::{Decision, Failure};

/// After a poll that filled the disk, unless the interval is longer.
const DISK_FULL_REST: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);

/// A server can't ask for more time between two logins than this.
const LONGEST_LOGIN_DELAY: Duration = Duration::from_hours(24);

/// What one attempt needs besides the account.
#[derive(Clone, Debug)]
pub struct Attempts {
    pub(super) permits: Permits,
    timezone: TimeZone,
    /// One poll at a time for each account, whoever asks for it: two would share a stage folder
    /// for each message.
    turns: Arc<Mutex<BTreeMap<AccountName, Turn>>>,
    pub(super) looks: Looks,
    /// What is under way.
    pub live: Live,
}

/// Held by the poll of an account.
type Turn = Arc<tokio::sync::Mutex<()>>;

impl Attempts {
    /// Attempts within the limits of connections; `timezone` is that of cron expressions.
    pub fn new(limits: &DaemonConfig, timezone: TimeZone) -> Self {
        let permits = Permits::new(limits.max_connections, limits.max_connections_per_server);
        let (live, looks) = (Live::default(), Looks::default());
        Self { permits, timezone, turns: Arc::default(), looks, live }
    }

    /// The turns of an account and of the name it had before, always taken in the same order.
    pub(super) fn turns(&self, config: &Inbound) -> Vec<Turn> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let names: BTreeSet<&AccountName> =
            config.renamed_from.iter().chain([&config.name]).collect();
        names
            .into_iter()
            .map(|name| Arc::clone(turns.entry(Arc::clone(name)).or_default()))
            .collect()
    }

    /// Polls once unless something keeps it, and records the outcome; how long to rest is in the
    /// ledger afterwards.
    pub async fn attempt(&self, account: &Account, asked: Asked) -> Result<PollReport, Kept> {
        let account = &self.own(account);
        let run = uuid::Uuid::new_v4().simple().to_string();
        let run = run.get(..8).unwrap_or(&run).to_owned();
        let name = Arc::clone(&account.config.name);
        let span = tracing::info_span!(target: "daemon", "poll", account = &*name, run);
        // On the list before the gate looks for a pause: a pause that comes later ends it there.
        let entry = self.live.begin(&run, account);
        async {
            let (mut mine, mut waited) = (Vec::new(), false);
            for turn in self.turns(&account.config) {
                waited |= turn.try_lock().is_err();
                mine.push(turn.lock_owned().await);
            }
            account.progress.take_turn();
            self.gate(account, asked, waited).await?;
            let permit = tokio::select! {
                biased;
                () = account.cancel.cancelled() => None,
                permit = self.permits.acquire(&account.config) => permit,
            };
            let mut report = poll(account, &run).await;
            drop((permit, entry));
            let stopped = report.error.as_mut().filter(|error| error.code == "poll-stopped");
            if let Some(error) = stopped
                && let Ok(Some(pause)) = self.pause(account).await
            {
                error.message = format!("stopped: the account is {}", orders::paused(&pause));
            }
            let stands = self.stands(account, &report).await;
            if let Err(error) = self.record(account, &report).await {
                report.error.get_or_insert(ReportedError::of(&error.into(), Source::Daemon));
            }
            // The next one must find what came of this one.
            drop(mine);
            note(&report, stands);
            Ok(report)
        }
        .instrument(span)
        .await
    }

    /// The account with an end of its own, and in debug while a person has asked for that.
    fn own(&self, account: &Account) -> Account {
        let mut own = Account { cancel: account.cancel.child_token(), ..account.clone() };
        if self.live.is_debugged(&own.config.name) {
            own.config = Arc::new(Inbound { debug: true, ..(*own.config).clone() });
        }
        own
    }

    /// Whether the report's error is one of the whole disk that was told before: it is said once,
    /// not with each poll of each account.
    async fn stands(&self, account: &Account, report: &PollReport) -> bool {
        let code = report.error.as_ref().map(|error| error.code);
        let Some(code) = code.filter(|code| waits_for_disk(code)) else { return false };
        if code == "archive-paused" {
            return true; // The archive itself has said so.
        }
        let name = Arc::clone(&account.config.name);
        let row = account.tools.ledger.read("read an account", move |tx| tx.account(&name)).await;
        let before = row.ok().flatten().and_then(|row| row.last_error);
        before.is_some_and(|before| before.code == code)
    }

    async fn record(&self, account: &Account, report: &PollReport) -> Result<(), LedgerError> {
        let (pending, why) =
            report.not_deleted.iter().fold((0_u32, String::new()), |(n, _), (why, more)| {
                (n.saturating_add(*more), why.clone())
            });
        // Who listed nothing has counted nothing: what waited goes on waiting.
        let counted = report.listed > 0;
        let name = Arc::clone(&account.config.name);
        let now = account.tools.clock.now();
        let ledger = &account.tools.ledger;
        let certificate = report.certificate;
        let Some(error) = &report.error else {
            // LOGIN-DELAY counts from login to login (RFC 2449 §6.5).
            let not_before = report.login_delay.map(|delay| {
                report.started_at.checked_add(delay.min(LONGEST_LOGIN_DELAY)).unwrap_or(now)
            });
            // What the poll stored and deleted is synced; that it went well may be lost with the power.
            let recovered = ledger
                .mark("record a success", move |tx| {
                    let recovered = tx.poll_succeeded(&name, now)?;
                    if counted {
                        tx.set_delete_pending(&name, pending, &why)?;
                    }
                    if let Some(at) = not_before {
                        tx.set_retry_at(&name, at)?;
                    }
                    if let Some(certificate) = certificate {
                        tx.set_certificate(&name, certificate)?;
                    }
                    Ok(recovered)
                })
                .await?;
            if recovered {
                tracing::info!(target: "daemon", code = "account-recovered", "Works again");
            }
            return Ok(());
        };
        if error.code == "poll-stopped" {
            return Ok(());
        }
        let mut state = self.after_failure(account, report.failure, now).await?;
        if waits_for_disk(error.code) {
            // No server was asked: looking at the disk again costs nobody anything.
            state.retry_at = None;
        } else if error.code == "disk-full" {
            // Room comes back at once or never; the wait must not have grown to an hour.
            state.retry_at = state.retry_at.min(now.checked_add(DISK_FULL_REST).ok());
        }
        let failed = LastError {
            code: error.code.to_owned(),
            message: error.message.clone(),
            hint: error.hint.clone(),
            since: now,
            at: now,
            attempts: state.failures,
        };
        ledger.write("record a failure", move |tx| tx.poll_failed(&name, &state, &failed)).await
    }

    pub(super) async fn after_failure(
        &self,
        account: &Account,
        failure: Option<Failure>,
        now: Timestamp,
    ) -> Result<AccountState, LedgerError> {
        let before = self.state(account).await?;
        let mut backoff = backoff(&before);
        let interval = self.interval(&account.config, now);
        let failure = failure.unwrap_or(Failure::Transient);
        let decision = backoff.after_failure(failure, interval);
        let retry_at = match decision {
            Decision::Stop => None,
            Decision::Wait(wait) => Some(now.checked_add(wait).unwrap_or(Timestamp::MAX)),
        };
        match decision {
            Decision::Stop => tracing::warn!(
                target: "daemon",
                code = "account-stopped",
                "Not polled any more until a person has acted: see the error before"
            ),
            Decision::Wait(wait) if failure == Failure::Authentication => tracing::info!(
                target: "daemon",
                code = "account-backoff",
                seconds = wait.as_secs(),
                "Refused login: the account rests"
            ),
            Decision::Wait(_) => {}
        }
        let keyring = account.tools.keyring();
        let marks = self.looks.take(&login(account, &keyring)).await;
        Ok(AccountState {
            failures: before.failures.saturating_add(1),
            auth_failures: backoff.authentication,
            auth_mark: marks.over(&before.auth_mark),
            retry_at,
        })
    }

    /// The account's interval; for cron the time to its next moment.
    pub fn interval(&self, config: &Inbound, now: Timestamp) -> Duration {
        match &config.schedule {
            Schedule::Every(interval) => *interval,
            Schedule::Cron(cron) => cron
                .next_after(now, &self.timezone)
                .and_then(|at| Duration::try_from(at.duration_since(now)).ok())
                .unwrap_or(Duration::from_hours(1)),
        }
    }
}

/// Whether a poll ended before it began, as the archive's disk takes nothing now.
fn waits_for_disk(code: &str) -> bool {
    matches!(code, "archive-paused" | "disk-low")
}

/// The poll's record in the log: exactly one error for one that failed, unless that stands.
fn note(report: &PollReport, stands: bool) {
    let Some(error) = &report.error else {
        let left = report.deleted.saturating_add(report.moved);
        if report.archived > 0 || left > 0 || report.rekeyed > 0 {
            tracing::info!(
                target: "incoming",
                code = "poll-done",
                archived = report.archived,
                octets = report.octets,
                deleted = report.deleted,
                moved = report.moved,
                held = report.held.len(),
                "{} archived, {} deleted or moved on the server",
                report.archived,
                left
            );
        } else {
            tracing::debug!(target: "incoming", code = "poll-done", "Nothing new");
        }
        return;
    };
    let (code, hint, message) = (error.code, error.hint.as_deref().unwrap_or(""), &error.message);
    match error.source {
        _ if stands => tracing::debug!(target: "archive", code, "{message}"),
        _ if code == "poll-stopped" => {
            tracing::info!(target: "daemon", code, "The poll was stopped; the rest comes later");
        }
        Source::Archive => tracing::error!(target: "archive", code, hint, "{message}"),
        Source::ImapAuth => tracing::error!(target: "imap-auth", code, hint, "{message}"),
        Source::Pop3Auth => tracing::error!(target: "pop3-auth", code, hint, "{message}"),
        Source::Incoming => tracing::error!(target: "incoming", code, hint, "{message}"),
        Source::Oauth => tracing::error!(target: "oauth", code, hint, "{message}"),
        _ => tracing::error!(target: "daemon", code, hint, "{message}"),
    }
}

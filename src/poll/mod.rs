//! One poll of one account: connect, list, plan, fetch, archive, record, delete, report.
//!
//! Decisions are `plan`'s; this is the thin layer that carries them out in the durable order.

mod ages;
mod arming;
mod catch_up;
mod clock;
mod commit;
mod credentials;
mod delete;
mod error;
mod facts;
mod folders;
mod identity;
mod import;
mod keyring;
mod mailbox;
mod marking;
mod moves;
mod outbox;
mod pipeline;
mod presence;
mod preview;
mod probe;
mod progress;
mod report;
mod session;
mod settle;
mod sift;
mod stager;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::archive::{Archive, FileSystem};
use crate::config::{Inbound, Protocol};
use crate::ledger::Ledger;
use crate::log::Redactor;
use crate::mailbox::{DeleteMail, MailboxError, MarkMail};
use crate::model::{AccountName, DeletesHeld, Source};
use crate::net::{NetError, within};
use crate::oauth::Vault;
use crate::plan::{Budget, Rules};
use crate::secret::Surroundings;

use credentials::{Keys, connect_imap, connect_pop3};

pub use arming::{Forecast, announce, due_before};
pub use catch_up::{Catcher, CaughtUp, Elsewhere, undo_catch_up, undo_left_out};
pub use clock::Clock;
pub use error::PollError;
pub use identity::origin_of;
pub use import::{Stored, import};
pub use keyring::Keyring;
pub use preview::{MailboxPlan, Preview, Previewer};
pub use probe::Prober;
pub use progress::Progress;
pub use report::{Decided, HeldEntry, PollReport, ReportedError, keep_word, left_word, skip_word};
pub use session::open_imap;

/// The names of all inbound accounts in the config, which a reload changes.
pub type Configured = Arc<Mutex<BTreeSet<AccountName>>>;

/// What all polls share.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The archive.
    pub archive: Arc<Archive>,
    /// The ledger.
    pub ledger: Ledger,
    /// The clocks.
    pub clock: Clock,
    /// Told of each secret before it is used.
    pub redactor: Redactor,
    /// The names of all inbound accounts in the config, enabled or not.
    pub configured: Configured,
    /// Where secrets are looked for.
    pub secrets: Arc<Surroundings>,
    /// The OAuth2 tokens.
    pub tokens: Vault,
    /// Deletes are allowed although the root is on a network file system.
    pub allow_network_root: bool,
    /// Rung when there are new actions to be done.
    pub outbox: Arc<Notify>,
}

impl Tools {
    /// What resolves an account's secrets.
    pub fn keyring(&self) -> Keyring {
        Keyring {
            secrets: Arc::clone(&self.secrets),
            redactor: self.redactor.clone(),
            tokens: self.tokens.clone(),
        }
    }
}

/// One account, ready to be polled.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its configuration.
    pub config: Arc<Inbound>,
    /// Its rules.
    pub rules: Rules,
    /// What all polls share.
    pub tools: Tools,
    /// Cancelled when the process is asked to stop.
    pub cancel: CancellationToken,
    /// For a progress bar.
    pub progress: Arc<Progress>,
}

impl Account {
    /// An account with the tools of this process.
    pub fn new(config: Arc<Inbound>, tools: Tools, cancel: CancellationToken) -> Self {
        let rules = Rules::of(&config);
        Self { config, rules, tools, cancel, progress: Arc::default() }
    }

    /// Waits for a server, unless the process is asked to stop: then the session is dropped, at
    /// whatever it was.
    async fn unless_stopped<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, PollError>
    where
        PollError: From<E>,
    {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(PollError::Cancelled),
            done = work => Ok(done?),
        }
    }

    /// Opens a session, unless the process is asked to stop: then too a login that is under way is
    /// awaited for a moment, as one without an answer counts as refused.
    async fn opened<T>(
        &self,
        keys: &Keys<'_>,
        opening: impl Future<Output = Result<T, PollError>>,
    ) -> Result<T, PollError> {
        let mut opening = std::pin::pin!(opening);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {}
            done = &mut opening => return done,
        }
        if !keys.login_is_out() {
            return Err(PollError::Cancelled);
        }
        within(LOGIN_GRACE, opening).await.unwrap_or(Err(PollError::Cancelled))
    }

    /// The source of its authentication's log records.
    pub fn auth_source(&self) -> Source {
        match self.config.protocol {
            Protocol::Imap => Source::ImapAuth,
            Protocol::Pop3 => Source::Pop3Auth,
        }
    }
}

/// For so long a stop waits for the answer to a login.
const LOGIN_GRACE: Duration = Duration::from_secs(10);

/// Sessions of one poll that may end with their token.
const EXPIRIES_MAX: u32 = 3;

/// Polls an account once. Never fails: what went wrong is in the report.
pub async fn poll(account: &Account, run: &str) -> PollReport {
    let clock = account.tools.clock;
    let mut report = PollReport::new(&account.config.name, run, clock.now());
    let keyring = account.tools.keyring();
    let wary = account.config.oauth.is_some() && was_refused(account).await;
    let keys =
        Keys::new(&account.config, &keyring, clock).counted_in(&account.tools.ledger).wary(wary);
    let mut sessions: u32 = 0;
    while let Err(error) = whole(account, &keys, &mut report).await {
        sessions = sessions.saturating_add(1);
        if sessions > EXPIRIES_MAX || !keys.renew_expired(&account.config, &error).await {
            report.fail(&error, account);
            break;
        }
        tracing::info!(
            target: "oauth",
            code = "oauth-session-ended",
            "The session ended with its token; the poll goes on with a new one"
        );
    }
    report.certificate = keys.certificate();
    report.redact(&account.tools.redactor);
    report.ended_at = clock.now();
    report
}

/// Whether the last login was refused.
async fn was_refused(account: &Account) -> bool {
    let name = Arc::clone(&account.config.name);
    let read = account.tools.ledger.read("read an account", move |tx| tx.account(&name)).await;
    // A ledger that can't be read ends the poll soon enough.
    read.ok().flatten().is_some_and(|row| row.state.auth_failures > 0)
}

async fn whole(
    account: &Account,
    keys: &Keys<'_>,
    report: &mut PollReport,
) -> Result<(), PollError> {
    let archive = Arc::clone(&account.tools.archive);
    commit::blocking(move || archive.check()).await?;
    prepare(account).await?;
    match account.config.protocol {
        Protocol::Imap => {
            let connected = account.opened(keys, connect_imap(&account.config, keys)).await?;
            session(account, connected, report).await
        }
        Protocol::Pop3 => {
            let connected = account.opened(keys, connect_pop3(&account.config, keys)).await?;
            session(account, connected, report).await
        }
    }
}

/// Takes over the rows of an account that had another name before.
async fn rename(account: &Account) -> Result<(), PollError> {
    let Some(before) = &account.config.renamed_from else { return Ok(()) };
    let (before, name) = (Arc::clone(before), Arc::clone(&account.config.name));
    let rename = move |tx: &crate::ledger::Tx<'_>| tx.rename_account(&before, &name);
    account.tools.ledger.write("rename an account", rename).await?;
    Ok(())
}

/// Refuses an account that has no mail yet, when another one, which the config has no more, polled
/// the same server and user: all mail would be stored again under the new name.
async fn refuse_namesake(
    (config, origin): (&Inbound, &str),
    configured: &Configured,
    ledger: &Ledger,
) -> Result<(), PollError> {
    let (name, origin) = (Arc::clone(&config.name), origin.to_owned());
    let renamed = config.renamed_from.clone();
    let find = move |tx: &crate::ledger::Tx<'_>| {
        tx.namesakes(&tx.known_as(&name, renamed.as_deref())?, &origin)
    };
    let found = ledger.read("look for the account's mail", find).await?;
    let configured = configured.lock().unwrap_or_else(PoisonError::into_inner);
    match found.into_iter().find(|name| !configured.contains(name.as_str())) {
        None => Ok(()),
        Some(before) => {
            let name = Arc::clone(&config.name);
            Err(PollError::Renamed { name, before })
        }
    }
}

/// What a poll does before it asks the server: the account takes over its mail, and placements
/// that a dead run left open are settled.
pub async fn prepare(account: &Account) -> Result<(), PollError> {
    rename(account).await?;
    let origin = identity::origin(account).await?;
    let Tools { configured, ledger, .. } = &account.tools;
    refuse_namesake((&account.config, &origin), configured, ledger).await?;
    settle::settle(account).await?;
    Ok(())
}

/// Why no delete may happen in this poll, whatever its mailboxes say.
async fn deletes_held(account: &Account) -> Result<Option<DeletesHeld>, PollError> {
    let (name, mark) = (Arc::clone(&account.config.name), account.tools.clock.mark());
    let (doubt, hold, stopped) = account
        .tools
        .ledger
        // Synced with the poll's first commit; what a power cut takes is found again.
        .mark("look at the clocks", move |tx| {
            let doubt = tx.observe_clock(&mark)?;
            let hold = tx.take_clock_hold(&name)?;
            let stopped = tx.account(&name)?.is_some_and(|row| row.delete_stop.is_some());
            Ok((doubt, hold, stopped))
        })
        .await?;
    if doubt {
        tracing::warn!(
            target: "daemon",
            code = "clock-doubt",
            "The clock jumped: deletes are held for the next polls of each account"
        );
    }
    if stopped {
        return Ok(Some(DeletesHeld::Stopped));
    }
    if hold {
        return Ok(Some(DeletesHeld::ClockDoubt));
    }
    let network = account.tools.archive.file_system() == FileSystem::Network;
    Ok((network && !account.tools.allow_network_root).then_some(DeletesHeld::NetworkRoot))
}

/// Everything that happens in one authenticated session.
async fn session<M: DeleteMail + MarkMail>(
    account: &Account,
    mut session: M,
    report: &mut PollReport,
) -> Result<(), PollError> {
    // What held deletes in a session holds them in the next one of the same poll.
    let held = match report.deletes_held {
        None => deletes_held(account).await?,
        held => held,
    };
    report.deletes_held = held;
    let mut walk = mailbox::Walk {
        budget: Budget::of(&account.rules),
        full: false,
        on_quit: Vec::new(),
        began: account.tools.clock.mark(),
        held,
        origin: identity::origin(account).await?,
        names: Vec::new(),
    };
    report.login_delay = session.login_delay();
    let names = account.unless_stopped(folders::choose(&account.config, &mut session)).await?;
    walk.names.clone_from(&names);
    for name in names {
        match mailbox::poll(account, &mut session, &name, &mut walk, report).await {
            Ok(()) => {}
            Err(error) if error.is_of_mailbox() => {
                report.fail(&error, account);
            }
            // A poll that got nothing in all its time has failed; one that got something goes on.
            Err(PollError::Mailbox(MailboxError::Net(NetError::PollDeadline)))
                if report.archived > 0 || report.deleted > 0 || report.moved > 0 =>
            {
                tracing::info!(
                    target: "incoming",
                    code = "poll-deadline",
                    "The poll's time is over; the rest comes with the next poll"
                );
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    account.unless_stopped(session.quit()).await?;
    if !walk.on_quit.is_empty() {
        delete::after_quit(account, walk.on_quit, report).await?;
    }
    Ok(())
}

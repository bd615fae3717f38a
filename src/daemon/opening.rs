//! Inbound logins that a submission server asks for before it takes mail: like a poll's, one at a
//! time for each account, within the limit of connections, kept by the same rests, counted alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::attempt::Attempts;
use super::gate::{Asked, Kept, may_log_in};
use super::looks::Login;
use crate::config::Inbound;
use crate::ledger::{LastError, Ledger, LedgerError};
use crate::net::{Witness, within};
use crate::poll::{Account, Clock, Keyring, PollError, Prober, Tools};
use crate::schedule::Failure;
use crate::send::{LogIn, LoggedIn, NotIn, Opener};

/// A poll under way is waited for no longer: it may go on for hours.
const TURN: Duration = Duration::from_mins(2);

/// The daemon's.
#[derive(Debug)]
struct InTurn {
    tools: Tools,
    attempts: Attempts,
}

/// That of a command, which looks at the ledger and writes nothing.
#[derive(Debug)]
struct ByHand {
    state_dir: PathBuf,
    keyring: Keyring,
}

/// Logins by the daemon.
pub(super) fn in_turn(tools: Tools, attempts: Attempts) -> Opener {
    Opener::new(Arc::new(InTurn { tools, attempts }))
}

/// Logins by a command beside the daemon, or without one.
pub fn by_hand(state_dir: &Path, keyring: &Keyring) -> Opener {
    let (state_dir, keyring) = (state_dir.to_owned(), keyring.clone());
    Opener::new(Arc::new(ByHand { state_dir, keyring }))
}

impl LogIn for InTurn {
    fn log_in<'a>(&'a self, account: &'a Arc<Inbound>, _: &'a mut Witness) -> LoggedIn<'a> {
        let cancel = CancellationToken::new();
        let account = Account::new(Arc::clone(account), self.tools.clone(), cancel);
        Box::pin(async move { self.attempts.log_in(&account).await })
    }
}

impl LogIn for ByHand {
    fn log_in<'a>(&'a self, account: &'a Arc<Inbound>, witness: &'a mut Witness) -> LoggedIn<'a> {
        Box::pin(async move {
            self.look(account).await.map_err(|kept| NotIn::Kept(kept.why()))?;
            let (config, keyring) = (Arc::clone(account), self.keyring.clone());
            let prober = Prober { config, keyring, list_all: false };
            prober.log_in(witness).await.map_err(|error| NotIn::Failed(Box::new(error)))
        })
    }
}

impl ByHand {
    /// What keeps the account, as far as the ledger can be read.
    async fn look(&self, account: &Inbound) -> Result<(), Kept> {
        let Ok(ledger) = Ledger::open_read_only(&self.state_dir) else { return Ok(()) };
        let (name, now) = (account.name.to_string(), Clock.now());
        let row = ledger.read("read an account", move |tx| tx.account(&name)).await;
        let Ok(Some(row)) = row else { return Ok(()) };
        if let Some(pause) = row.pause.filter(|pause| !pause.is_over(now)) {
            return Err(Kept::Paused(pause));
        }
        let kept = may_log_in(&row.state, now);
        let login = Login::of(account, &self.keyring, ledger.identity().salt);
        if kept.is_err() && login.marks(true).await.differs_from(&row.state.auth_mark) {
            return Ok(());
        }
        kept
    }
}

impl Attempts {
    /// Logs in and out again, when it is the account's turn and nothing keeps it.
    async fn log_in(&self, account: &Account) -> Result<(), NotIn> {
        let kept = |kept: Kept| NotIn::Kept(kept.why());
        let turns = async {
            let mut mine = Vec::new();
            for turn in self.turns(&account.config) {
                mine.push(turn.lock_owned().await);
            }
            mine
        };
        let mine = within(TURN, turns)
            .await
            .ok_or_else(|| NotIn::Kept("it is being polled for longer than 2 min".to_owned()))?;
        self.gate(account, Asked::ForAll, false).await.map_err(kept)?;
        let permit = self.permits.acquire(&account.config).await;
        let was_refused = self.state(account).await.is_ok_and(|state| state.auth_failures > 0);
        let wary = account.config.oauth.is_some() && was_refused;
        let (config, ledger) = (Arc::clone(&account.config), &account.tools.ledger);
        let prober = Prober { config, keyring: account.tools.keyring(), list_all: false };
        let done = prober.log_in_counted(ledger, wary).await;
        drop(permit);
        let noted = match &done {
            Ok(()) => Ok(()),
            Err(error) => self.note_login(account, error).await,
        };
        if let Err(error) = noted {
            tracing::error!(target: "daemon", code = error.code(), "{error}");
        }
        drop(mine);
        done.map_err(|error| NotIn::Failed(Box::new(error)))
    }

    /// A refused login counts like that of a poll; anything else says nothing of the account.
    pub async fn note_login(
        &self,
        account: &Account,
        error: &PollError,
    ) -> Result<(), LedgerError> {
        let ledger = &account.tools.ledger;
        let (name, now) = (Arc::clone(&account.config.name), account.tools.clock.now());
        let failure = error.failure();
        if !matches!(failure, Failure::Authentication | Failure::NeedsPerson) {
            return ledger.mark("end a login", move |tx| tx.login_ended(&name)).await;
        }
        let state = self.after_failure(account, Some(failure), now).await?;
        let redact = |text: String| account.tools.redactor.redact(&text);
        let failed = LastError {
            code: error.code().to_owned(),
            message: redact(error.to_string()),
            hint: error.advice(&account.config).map(redact),
            since: now,
            at: now,
            attempts: state.failures,
        };
        ledger.write("record a failure", move |tx| tx.poll_failed(&name, &state, &failed)).await
    }
}

//! Refused logins of outbound accounts: the rule of inbound ones, five and then a person acts.
//!
//! Kept in the ledger, so neither a restart nor a new mail begins anew; what a refusal hung on is
//! kept with it, so another config or secret does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::gate::{Kept, after_unknown, backoff, may_log_in, unknown};
use super::looks::{Login, Looks};
use crate::config::Outbound;
use crate::ledger::{
    AccountState, LastError, Ledger, LedgerError, OutboundRow, SendError as Words, Tx,
};
use crate::model::AccountName;
use crate::net::{AfterLogin, BeforeLogin, Witness};
use crate::poll::{Clock, Keyring, Tools};
use crate::schedule::{Decision, Failure};

/// What is remembered of outbound accounts; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Refusals {
    tools: Tools,
    looks: Looks,
}

impl Refusals {
    pub(super) fn new(tools: Tools) -> Self {
        Self { tools, looks: Looks::default() }
    }

    /// What keeps an account from logging in, as far as is known. Who doesn't have the account's
    /// turn can't tell a login under way from one that was cut off, so none is counted here.
    pub(super) async fn gate(&self, account: &Outbound) -> Result<(), Kept> {
        if !account.has_login() {
            return Ok(());
        }
        let state = self.state(account).await.map_err(Kept::Untold)?;
        may_log_in(&state, self.tools.clock.now())
    }

    /// The same for who has the account's turn: a login of which only the beginning is known is
    /// counted first. Says whether the last one was refused.
    pub(super) async fn permit(&self, account: &Outbound) -> Result<bool, Kept> {
        if !account.has_login() {
            return Ok(false);
        }
        let state = self.settled(account).await.map_err(Kept::Untold)?;
        may_log_in(&state, self.tools.clock.now())?;
        Ok(state.auth_failures > 0)
    }

    /// Looks on, and counts each login before it is tried; one that the server has taken is
    /// recorded at once, since what comes behind it may be cut off.
    pub(super) fn witness(&self, account: &Outbound) -> Witness {
        let (ledger, clock) = (self.tools.ledger.clone(), self.tools.clock);
        let name = Arc::clone(&account.name);
        let counting: BeforeLogin = Box::new(move || {
            let (ledger, name, now) = (ledger.clone(), Arc::clone(&name), clock.now());
            Box::pin(async move {
                let counted =
                    ledger.mark("count a login", move |tx| tx.outbound_begins(&name, now)).await;
                counted.map_err(|error| error.to_string())
            })
        });
        let (ledger, name) = (self.tools.ledger.clone(), Arc::clone(&account.name));
        let accepting: AfterLogin = Box::new(move || {
            let (ledger, name) = (ledger.clone(), Arc::clone(&name));
            Box::pin(async move {
                let accept = move |tx: &Tx<'_>| tx.outbound_accepted(&name);
                // Recorded again when all is over.
                if let Err(error) = ledger.write("record a login", accept).await {
                    tracing::error!(target: "daemon", code = error.code(), "{error}");
                }
            })
        });
        Witness::blind().asking(counting).telling_of(accepting)
    }

    /// Records how an attempt to send ended, as far as the login is concerned.
    pub(super) async fn note(&self, account: &Outbound, end: End) -> Result<(), LedgerError> {
        if !account.has_login() {
            return Ok(());
        }
        let (name, ledger) = (Arc::clone(&account.name), &self.tools.ledger);
        let found = self.row(&name).await?;
        match end {
            End::Refused(failure, words) => self.refused(account, failure, words).await,
            _ if found.is_none() => Ok(()),
            End::Accepted => {
                ledger.write("record a login", move |tx| tx.outbound_accepted(&name)).await
            }
            End::Unsaid => ledger.write("end a login", move |tx| tx.outbound_ended(&name)).await,
        }
    }

    async fn refused(
        &self,
        account: &Outbound,
        failure: Failure,
        words: Words,
    ) -> Result<(), LedgerError> {
        let before = self.state(account).await?;
        let now = self.tools.clock.now();
        let mut backoff = backoff(&before);
        let decision = backoff.after_failure(failure, Duration::ZERO);
        let retry_at = match decision {
            Decision::Stop => None,
            Decision::Wait(wait) => now.checked_add(wait).ok(),
        };
        let marks = self.look(account).await;
        let state = AccountState {
            failures: backoff.authentication,
            auth_failures: backoff.authentication,
            auth_mark: marks.over(&before.auth_mark),
            retry_at,
        };
        tell(account, decision);
        let error = LastError {
            code: words.code,
            message: words.message,
            hint: words.hint,
            since: now,
            at: now,
            attempts: state.auth_failures,
        };
        self.keep(&account.name, state, error).await
    }

    /// The state, a login that was cut off counted as a refused one.
    async fn settled(&self, account: &Outbound) -> Result<AccountState, LedgerError> {
        let before = self.state(account).await?;
        let row = self.row(&account.name).await?;
        let Some(begun) = row.and_then(|row| row.login_open_at) else { return Ok(before) };
        let state = after_unknown(&before, begun, &self.look(account).await);
        let state = AccountState { failures: state.auth_failures, ..state };
        tracing::warn!(
            target: "smtp-auth",
            code = "login-unknown",
            account = &*account.name,
            counted = state.auth_failures,
            "A login was begun and its answer never came; it counts as a refused one"
        );
        self.keep(&account.name, state.clone(), unknown(begun, state.auth_failures)).await?;
        Ok(state)
    }

    /// What back-off is computed from; empty when the credentials are others than those that
    /// failed.
    async fn state(&self, account: &Outbound) -> Result<AccountState, LedgerError> {
        let state = self.row(&account.name).await?.map(|row| row.state).unwrap_or_default();
        let keyring = self.tools.keyring();
        let changed = state.auth_failures > 0
            && self.looks.changed(&self.login(account, &keyring), &state).await;
        Ok(if changed { AccountState::default() } else { state })
    }

    async fn look(&self, account: &Outbound) -> crate::secret::Marks {
        let keyring = self.tools.keyring();
        self.looks.take(&self.login(account, &keyring)).await
    }

    fn login<'a>(&self, account: &'a Outbound, keyring: &'a Keyring) -> Login<'a> {
        Login::of_outbound(account, keyring, self.tools.ledger.identity().salt)
    }

    async fn row(&self, name: &AccountName) -> Result<Option<OutboundRow>, LedgerError> {
        let name = Arc::clone(name);
        self.tools.ledger.read("read an outbound account", move |tx| tx.outbound(&name)).await
    }

    async fn keep(
        &self,
        name: &AccountName,
        state: AccountState,
        error: LastError,
    ) -> Result<(), LedgerError> {
        let (name, ledger) = (Arc::clone(name), &self.tools.ledger);
        let keep = move |tx: &Tx<'_>| tx.outbound_refused(&name, &state, &error);
        ledger.write("record a refused login", keep).await
    }
}

/// How an attempt to send ended, as far as the login is concerned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// The server took it.
    Accepted,
    /// It was refused, in these words.
    Refused(Failure, Words),
    /// Nothing was said of it.
    Unsaid,
}

/// What keeps an outbound account, for a command that writes nothing: it obeys what the daemon has
/// found, as far as the ledger can be read.
pub async fn look(state_dir: &Path, account: &Outbound, keyring: &Keyring) -> Result<(), Kept> {
    let Ok(ledger) = Ledger::open_read_only(state_dir) else { return Ok(()) };
    let name = account.name.to_string();
    let row = ledger.read("read an outbound account", move |tx| tx.outbound(&name)).await;
    let Some(row) = row.ok().flatten().filter(|_| account.has_login()) else { return Ok(()) };
    let kept = may_log_in(&row.state, Clock.now());
    let login = Login::of_outbound(account, keyring, ledger.identity().salt);
    if kept.is_err() && login.marks(true).await.differs_from(&row.state.auth_mark) {
        return Ok(());
    }
    kept
}

/// The log's record of a rest or a stop.
fn tell(account: &Outbound, decision: Decision) {
    let name = &*account.name;
    match decision {
        Decision::Stop => tracing::warn!(
            target: "smtp-auth",
            code = "account-stopped",
            account = name,
            "Nothing is sent by it any more until a person has acted: see the error before"
        ),
        Decision::Wait(wait) => tracing::info!(
            target: "smtp-auth",
            code = "account-backoff",
            account = name,
            seconds = wait.as_secs(),
            "Refused login: the account rests"
        ),
    }
}

/// From which moment on it is worth to look again.
pub(super) fn until(kept: &Kept, now: Timestamp) -> Timestamp {
    /// A changed secret is noticed within this time.
    const LOOK_AGAIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);
    let next = now.checked_add(LOOK_AGAIN).unwrap_or(now);
    match kept {
        Kept::Rests(until) => next.min(*until),
        _ => next,
    }
}

#[cfg(test)]
mod tests;

//! Whether an account may be polled now: pauses, and the back-off after refused logins.

use std::sync::Arc;

use jiff::Timestamp;

use super::attempt::Attempts;
use super::looks::Login;
use super::orders;
use crate::ledger::{AccountRow, AccountState, LastError, LedgerError, Pause, Tx};
use crate::model::AccountName;
use crate::poll::{Account, Keyring};
use crate::schedule::{Backoff, Decision};
use crate::secret::Marks;

const LONGEST_REST: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// What keeps an account from being polled now.
#[derive(Debug)]
pub enum Kept {
    /// A person has paused it.
    Paused(Pause),
    /// It rests until then after a refused login.
    Rests(Timestamp),
    /// It has stopped after too many refused logins.
    Stopped,
    /// The ledger doesn't tell.
    Untold(LedgerError),
}

impl Kept {
    /// The words.
    pub fn why(&self) -> String {
        match self {
            Self::Paused(pause) => orders::paused(pause),
            Self::Rests(until) => orders::rests(*until),
            Self::Stopped => orders::STOPPED.to_owned(),
            Self::Untold(error) => error.to_string(),
        }
    }

    /// Whether it is meant to be so, where nobody named the account.
    pub fn is_meant(&self, asked: Asked) -> bool {
        asked == Asked::ForAll && matches!(self, Self::Paused(_))
    }
}

/// How a poll was asked for, which says what may keep it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Asked {
    /// With all others, or by the schedule: everything keeps it.
    ForAll,
    /// By the account's name: it is tried once, whatever its back-off.
    ByName,
    /// By name and by force: although it is paused.
    ByForce,
}

impl Asked {
    /// As the command line has it.
    pub fn of(by_name: bool, force: bool) -> Self {
        match (by_name, force) {
            (true, true) => Self::ByForce,
            (true, false) => Self::ByName,
            (false, _) => Self::ForAll,
        }
    }
}

impl Attempts {
    /// What keeps a poll, once it has its turn. `waited`: another poll ended while it stood behind
    /// it, so who asked for this one by name didn't know of that one's end.
    pub(super) async fn gate(
        &self,
        account: &Account,
        asked: Asked,
        waited: bool,
    ) -> Result<(), Kept> {
        if asked != Asked::ByForce
            && let Some(pause) = self.pause(account).await.map_err(Kept::Untold)?
        {
            return Err(Kept::Paused(pause));
        }
        if account.cancel.is_cancelled() {
            return Ok(());
        }
        self.settle(account).await.map_err(Kept::Untold)?;
        if asked != Asked::ForAll && !waited {
            return Ok(());
        }
        let state = self.state(account).await.map_err(Kept::Untold)?;
        may_log_in(&state, account.tools.clock.now())
    }

    /// Whether refused logins let a command log in that fetches nothing: no pause keeps it. Says
    /// whether the last login was refused.
    pub async fn may_open(&self, account: &Account) -> Result<bool, Kept> {
        self.settle(account).await.map_err(Kept::Untold)?;
        let state = self.state(account).await.map_err(Kept::Untold)?;
        may_log_in(&state, account.tools.clock.now())?;
        Ok(state.auth_failures > 0)
    }

    /// The account's pause, under the name that it had before a rename, too.
    pub async fn pause(&self, account: &Account) -> Result<Option<Pause>, LedgerError> {
        let config = &account.config;
        let names: Vec<AccountName> = [Some(&config.name), config.renamed_from.as_ref()]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        let now = account.tools.clock.now();
        let find = move |tx: &Tx<'_>| {
            for name in names {
                let pause = tx.account(&name)?.and_then(|row| row.pause);
                if let Some(pause) = pause.filter(|pause| !pause.is_over(now)) {
                    return Ok(Some(pause));
                }
            }
            Ok(None)
        };
        account.tools.ledger.read("look for a pause", find).await
    }

    /// What back-off is computed from; empty when the credentials are others than those that
    /// failed.
    pub async fn state(&self, account: &Account) -> Result<AccountState, LedgerError> {
        let name = Arc::clone(&account.config.name);
        let row: Option<AccountRow> =
            account.tools.ledger.read("read an account", move |tx| tx.account(&name)).await?;
        let state = row.map(|row| row.state).unwrap_or_default();
        let keyring = account.tools.keyring();
        let login = login(account, &keyring);
        let changed = state.auth_failures > 0 && self.looks.changed(&login, &state).await;
        Ok(if changed { AccountState::default() } else { state })
    }

    /// Counts a login of which only the beginning is known; to be asked by who has the turn.
    async fn settle(&self, account: &Account) -> Result<(), LedgerError> {
        let (name, ledger) = (Arc::clone(&account.config.name), &account.tools.ledger);
        let row = ledger.read("read an account", move |tx| tx.account(&name)).await?;
        let Some(begun) = row.and_then(|row| row.login_open_at) else { return Ok(()) };
        let before = self.state(account).await?;
        let keyring = account.tools.keyring();
        let marks = self.looks.take(&login(account, &keyring)).await;
        let state = after_unknown(&before, begun, &marks);
        tracing::warn!(
            target: "daemon",
            code = "login-unknown",
            account = &*account.config.name,
            counted = state.auth_failures,
            "A login was begun and its answer never came; it counts as a refused one"
        );
        let cut = unknown(begun, state.failures);
        let name = Arc::clone(&account.config.name);
        ledger.write("count a login", move |tx| tx.poll_failed(&name, &state, &cut)).await
    }
}

/// What a login of this account hangs on.
pub(super) fn login<'a>(account: &'a Account, keyring: &'a Keyring) -> Login<'a> {
    Login::of(&account.config, keyring, account.tools.ledger.identity().salt)
}

/// Whether refused logins allow another one, of an inbound or an outbound account.
pub(super) fn may_log_in(state: &AccountState, now: Timestamp) -> Result<(), Kept> {
    if state.auth_failures == 0 {
        return Ok(());
    }
    if backoff(state).is_stopped() {
        return Err(Kept::Stopped);
    }
    // Further away than any rest: the clock ran ahead when it was set.
    let day = now.checked_add(LONGEST_REST).unwrap_or(now);
    let rests = state.retry_at.filter(|at| now < *at && *at <= day);
    rests.map_or(Ok(()), |until| Err(Kept::Rests(until)))
}

/// The state behind a login that was begun then and of which no more is known.
pub(super) fn after_unknown(
    before: &AccountState,
    begun: Timestamp,
    marks: &Marks,
) -> AccountState {
    let mut backoff = backoff(before);
    let retry_at = match backoff.after_unknown() {
        Decision::Stop => None,
        Decision::Wait(wait) => begun.checked_add(wait).ok().max(before.retry_at),
    };
    AccountState {
        failures: before.failures.saturating_add(1),
        auth_failures: backoff.authentication,
        auth_mark: marks.clone().over(&before.auth_mark),
        retry_at,
    }
}

/// What is kept of such a login as an error.
pub(super) fn unknown(begun: Timestamp, attempts: u32) -> LastError {
    LastError {
        code: "login-unknown".to_owned(),
        message: "a login was begun and its answer never came; it counts as a refused one"
            .to_owned(),
        hint: None,
        since: begun,
        at: begun,
        attempts,
    }
}

pub(super) fn backoff(state: &AccountState) -> Backoff {
    Backoff {
        transient: state.failures.saturating_sub(state.auth_failures),
        authentication: state.auth_failures,
        not_before: None,
    }
}

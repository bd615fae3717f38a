//! Whether an account may be polled now: pauses, and the back-off after refused logins.

use std::sync::Arc;

use jiff::Timestamp;

use super::attempt::Attempts;
use crate::ledger::{AccountRow, AccountState, LastError, LedgerError, Pause, Tx};
use crate::model::AccountName;
use crate::poll::Account;
use crate::schedule::{Backoff, Decision};

const LONGEST_REST: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// Whether an account may be polled now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Gate {
    /// It may.
    Open,
    /// It has stopped after too many refused logins.
    Stopped,
    /// A person has paused it.
    Paused(Pause),
    /// It rests until then after a refused login.
    Rests(Timestamp),
}

impl Attempts {
    /// Whether a pause or the back-off after refused logins keep an account from being polled.
    pub async fn gate(&self, account: &Account) -> Result<Gate, LedgerError> {
        if let Some(pause) = self.pause(account).await? {
            return Ok(Gate::Paused(pause));
        }
        let turns = self.turns(&account.config);
        // Where a turn is taken, a login may be under way.
        let mine: Result<Vec<_>, _> =
            turns.into_iter().map(tokio::sync::Mutex::try_lock_owned).collect();
        if mine.is_ok() {
            self.settle(account).await?;
        }
        drop(mine);
        let state = self.state(account).await?;
        if state.auth_failures == 0 {
            return Ok(Gate::Open);
        }
        if backoff(&state).is_stopped() {
            return Ok(Gate::Stopped);
        }
        let now = account.tools.clock.now();
        // Further away than any rest: the clock ran ahead when it was set.
        let day = now.checked_add(LONGEST_REST).unwrap_or(now);
        let rests = state.retry_at.filter(|at| now < *at && *at <= day);
        Ok(rests.map_or(Gate::Open, Gate::Rests))
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
        let changed = state.auth_failures > 0 && self.looks.changed(account, &state).await;
        Ok(if changed { AccountState::default() } else { state })
    }

    /// Counts a login that the program was ended in: only its beginning is known.
    pub(super) async fn settle(&self, account: &Account) -> Result<(), LedgerError> {
        let (name, ledger) = (Arc::clone(&account.config.name), &account.tools.ledger);
        let row = ledger.read("read an account", move |tx| tx.account(&name)).await?;
        let Some(begun) = row.and_then(|row| row.login_open_at) else { return Ok(()) };
        let before = self.state(account).await?;
        let mut backoff = backoff(&before);
        let retry_at = match backoff.after_unknown() {
            Decision::Stop => None,
            Decision::Wait(wait) => begun.checked_add(wait).ok().max(before.retry_at),
        };
        let state = AccountState {
            failures: before.failures.saturating_add(1),
            auth_failures: backoff.authentication,
            auth_mark: self.looks.take(account).await.over(&before.auth_mark),
            retry_at,
        };
        tracing::warn!(
            target: "daemon",
            code = "login-unknown",
            account = &*account.config.name,
            counted = state.auth_failures,
            "A login was cut by the end of the program; it counts as a refused one"
        );
        let cut = LastError {
            code: "login-unknown".to_owned(),
            message: "a login was cut by the end of the program; it counts as a refused one"
                .to_owned(),
            hint: None,
            since: begun,
            at: begun,
            attempts: state.failures,
        };
        let name = Arc::clone(&account.config.name);
        ledger.write("count a login", move |tx| tx.poll_failed(&name, &state, &cut)).await
    }
}

pub(super) fn backoff(state: &AccountState) -> Backoff {
    Backoff {
        transient: state.failures.saturating_sub(state.auth_failures),
        authentication: state.auth_failures,
        not_before: None,
    }
}

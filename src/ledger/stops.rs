//! What a person must end: an account that rests after refused logins, and stopped deletes.

use jiff::Timestamp;
use rusqlite::params;
use serde::Serialize;

use super::error::{LedgerError, sqlite};
use super::pauses::Pause;
use super::tx::{Tx, millis};

/// Why and since when an account's deletes are stopped.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DeleteStop {
    /// The words.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

/// What [`Tx::resume`] ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Resumed {
    /// Refused logins that kept it at rest.
    pub refused_logins: u32,
    /// Why its deletes were stopped.
    pub delete_stop: Option<String>,
    /// A person had paused it.
    pub pause: Option<Pause>,
}

impl Resumed {
    /// What was ended under two names of an account.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            refused_logins: self.refused_logins.saturating_add(other.refused_logins),
            delete_stop: self.delete_stop.or(other.delete_stop),
            pause: self.pause.or(other.pause),
        }
    }
}

impl Tx<'_> {
    /// Stops an account's deletes until [`resume`](Self::resume).
    pub fn stop_deletes(
        &self,
        account: &str,
        why: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.account_id(account)?;
        let sql = "UPDATE account SET delete_stop = ?2, delete_stop_at = ?3 WHERE name = ?1";
        let row = params![account, why, millis(now)];
        self.db.execute(sql, row).map_err(sqlite("stop deletes"))?;
        Ok(())
    }

    /// Ends what keeps an account from being polled or deleted in until a person has looked:
    /// refused logins, stopped deletes, and a pause. Says what there was.
    pub fn resume(&self, account: &str) -> Result<Resumed, LedgerError> {
        let Some(before) = self.account(account)? else { return Ok(Resumed::default()) };
        let sql = "UPDATE account SET failures = max(failures - auth_failures, 0),
            auth_failures = 0, auth_mark = '', retry_at = NULL,
            login_open_at = NULL, delete_stop = '', delete_stop_at = NULL, paused_at = NULL,
            paused_until = NULL,
            paused_by = '', paused_reason = '' WHERE name = ?1";
        self.db.execute(sql, [account]).map_err(sqlite("resume an account"))?;
        Ok(Resumed {
            refused_logins: before.state.auth_failures,
            delete_stop: before.delete_stop.map(|stop| stop.why),
            pause: before.pause,
        })
    }
}

//! Accounts: their last polls and errors, their back-off, and the doubts about the clock.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::error::{LedgerError, sqlite};
use super::pauses::Pause;
use super::stops::DeleteStop;
use super::tx::{Tx, millis, timestamp};

/// 2026-01-01: no machine that runs this program is earlier.
const BUILT: i64 = 1_767_225_600_000;
/// Polls for which deletes are held after the clock jumped.
const HOLD_POLLS: u32 = 3;
/// A move of the wall clock that is no time that has passed.
const LEAP: SignedDuration = SignedDuration::from_hours(365 * 24);

/// What the ledger knows of an account.
#[derive(Clone, Debug, Default)]
pub struct AccountRow {
    /// Its name in the config.
    pub name: String,
    /// End of the last poll, whatever its outcome.
    pub last_poll_at: Option<Timestamp>,
    /// End of the last poll that did all it should.
    pub last_success_at: Option<Timestamp>,
    /// When the daemon polls next.
    pub next_poll_at: Option<Timestamp>,
    /// Its failures.
    pub state: AccountState,
    /// When a login was begun whose outcome isn't known: it is under way, or the program was ended
    /// in it.
    pub login_open_at: Option<Timestamp>,
    /// The error that stands; `None` after a success.
    pub last_error: Option<LastError>,
    /// Polls for which deletes are still held after a clock jump.
    pub clock_hold: u32,
    /// Deletes that are due and can't be done.
    pub delete_pending: u32,
    /// Why they can't.
    pub delete_pending_why: String,
    /// Nothing is deleted before a person resumes the account.
    pub delete_stop: Option<DeleteStop>,
    /// A person has paused it; its time may have passed.
    pub pause: Option<Pause>,
    /// Until when the server's certificate is valid, as of the last login under TLS.
    pub certificate_until: Option<Timestamp>,
}

/// What back-off is computed from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccountState {
    /// Failed polls since the last success.
    pub failures: u32,
    /// Authentication failures since the last success or change of credentials.
    pub auth_failures: u32,
    /// A digest of the credentials that failed; another one tries again.
    pub auth_mark: String,
    /// Not polled before this moment.
    pub retry_at: Option<Timestamp>,
}

/// An account's standing error.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct LastError {
    /// Stable code.
    pub code: String,
    /// The words.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Since when polls have been failing.
    pub since: Timestamp,
    /// The latest failure.
    pub at: Timestamp,
    /// How many polls failed since.
    pub attempts: u32,
}

/// One look at the clocks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClockMark {
    /// Wall clock.
    pub wall: Timestamp,
    /// Time since boot, suspend included (`CLOCK_BOOTTIME`).
    pub boottime: SignedDuration,
    /// Names the boot.
    pub boot_id: String,
}

impl ClockMark {
    /// Whether the wall clock can't be trusted, given an earlier look: it is before this program
    /// was written (a machine without a clock of its own begins in 1970), it jumped by more than an
    /// hour against the boot clock, or went back by more than five minutes.
    pub fn doubts(&self, before: &Self) -> bool {
        if self.wall < timestamp(BUILT) {
            return true;
        }
        let wall = self.wall.duration_since(before.wall);
        if wall < SignedDuration::from_mins(-5) {
            return true;
        }
        if self.boot_id != before.boot_id {
            return false;
        }
        let drift = wall.saturating_sub(self.boottime.saturating_sub(before.boottime));
        drift.abs() > SignedDuration::from_hours(1)
    }

    /// By how much the wall clock moved against the time that has passed since an earlier look,
    /// where that is more than a year: no machine was asleep for so long, so nothing has aged by it.
    /// The time that another boot was over before this one began counts as such a move, too.
    pub fn leap(&self, before: &Self) -> Option<SignedDuration> {
        let same = self.boot_id == before.boot_id;
        let passed = if same { before.boottime } else { SignedDuration::ZERO };
        let passed = self.boottime.saturating_sub(passed);
        let leap = self.wall.duration_since(before.wall).saturating_sub(passed);
        (leap.abs() > LEAP).then_some(leap)
    }

    fn write(&self) -> String {
        format!("{} {} {}", millis(self.wall), self.boottime.as_millis(), self.boot_id)
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let wall = timestamp(words.next()?.parse().ok()?);
        let boottime = SignedDuration::from_millis(words.next()?.parse().ok()?);
        Some(Self { wall, boottime, boot_id: words.next()?.to_owned() })
    }
}

impl Tx<'_> {
    /// Records a look at the clocks; after a jump deletes are held for three polls of each
    /// account. Says whether this look is in doubt.
    pub fn observe_clock(&self, mark: &ClockMark) -> Result<bool, LedgerError> {
        let before = self.meta("clock")?.and_then(|text| ClockMark::read(&text));
        let doubt = before.as_ref().is_some_and(|before| mark.doubts(before));
        if let Some(leap) = before.and_then(|before| mark.leap(&before)) {
            let leaps = self.clock_leaps()?.saturating_add(leap);
            self.set_meta("clock-leaps", &leaps.as_millis().to_string())?;
        }
        if doubt {
            let hold = "UPDATE account SET clock_hold = ?1";
            self.db.execute(hold, [HOLD_POLLS]).map_err(sqlite("hold deletes"))?;
        }
        self.set_meta("clock", &mark.write())?;
        Ok(doubt)
    }

    /// Whether a look at the clocks is in doubt; nothing is recorded.
    pub fn doubts_clock(&self, mark: &ClockMark) -> Result<bool, LedgerError> {
        let before = self.meta("clock")?.and_then(|text| ClockMark::read(&text));
        Ok(before.is_some_and(|before| mark.doubts(&before)))
    }

    /// The sum of all [leaps](ClockMark::leap) of the wall clock so far.
    fn clock_leaps(&self) -> Result<SignedDuration, LedgerError> {
        let sum = self.meta("clock-leaps")?.and_then(|text| text.parse().ok());
        Ok(SignedDuration::from_millis(sum.unwrap_or(0)))
    }

    /// Counts one poll off an account's clock hold; whether this poll must hold its deletes.
    pub fn take_clock_hold(&self, account: &str) -> Result<bool, LedgerError> {
        self.account_id(account)?;
        let sql = "UPDATE account SET clock_hold = clock_hold - 1
            WHERE name = ?1 AND clock_hold > 0";
        let taken = self.db.execute(sql, [account]).map_err(sqlite("count a clock hold"))?;
        Ok(taken > 0)
    }

    /// What is known of an account.
    pub fn account(&self, name: &str) -> Result<Option<AccountRow>, LedgerError> {
        let sql = "SELECT name, last_poll_at, last_success_at, next_poll_at, failures,
            auth_failures, auth_mark, retry_at, error_since, error_at, error_code, error_message,
            error_hint, clock_hold, delete_pending, delete_pending_why, delete_stop,
            delete_stop_at, login_open_at, paused_at, paused_until, paused_by, paused_reason,
            certificate_until
            FROM account WHERE name = ?1";
        self.db.query_row(sql, [name], read).optional().map_err(sqlite("read an account"))
    }

    /// The delete rule that was last announced, as its text; empty when none was.
    pub fn delete_rule(&self, account: &str) -> Result<String, LedgerError> {
        let sql = "SELECT delete_rule FROM account WHERE name = ?1";
        let rule = self.db.query_row(sql, [account], |row| row.get(0)).optional();
        Ok(rule.map_err(sqlite("read a rule"))?.unwrap_or_default())
    }

    /// Remembers the delete rule that was announced.
    pub fn set_delete_rule(&self, account: &str, rule: &str) -> Result<(), LedgerError> {
        self.account_id(account)?;
        let sql = "UPDATE account SET delete_rule = ?2 WHERE name = ?1";
        self.db.execute(sql, [account, rule]).map_err(sqlite("remember a rule"))?;
        Ok(())
    }

    /// Records a poll that did all it should: errors and back-off are over. Says whether there
    /// was an error before.
    pub fn poll_succeeded(&self, account: &str, now: Timestamp) -> Result<bool, LedgerError> {
        let id = self.account_id(account)?;
        let failed = "SELECT error_since IS NOT NULL FROM account WHERE id = ?1";
        let failed = self.db.query_row(failed, [id], |row| row.get(0));
        let failed = failed.map_err(sqlite("read an account"))?;
        let sql = "UPDATE account SET last_poll_at = ?2, last_success_at = ?2,
            failures = 0, auth_failures = 0, auth_mark = '', retry_at = NULL, login_open_at = NULL,
            error_since = NULL, error_at = NULL, error_code = '', error_message = '', error_hint = ''
            WHERE name = ?1";
        self.db.execute(sql, params![account, millis(now)]).map_err(sqlite("record a success"))?;
        Ok(failed)
    }

    /// Records a failed poll, its error and the back-off that follows.
    pub fn poll_failed(
        &self,
        account: &str,
        state: &AccountState,
        error: &LastError,
    ) -> Result<(), LedgerError> {
        self.account_id(account)?;
        let sql = "UPDATE account SET last_poll_at = ?2, failures = ?3, auth_failures = ?4,
            auth_mark = ?5, retry_at = ?6, error_since = coalesce(error_since, ?2), error_at = ?2,
            error_code = ?7, error_message = ?8, error_hint = ?9, login_open_at = NULL
            WHERE name = ?1";
        let row = params![
            account,
            millis(error.at),
            state.failures,
            state.auth_failures,
            state.auth_mark,
            state.retry_at.map(millis),
            error.code,
            error.message,
            error.hint.as_deref().unwrap_or_default()
        ];
        self.db.execute(sql, row).map_err(sqlite("record a failure"))?;
        Ok(())
    }

    /// Counts a login before it is tried: whatever ends the program now, it has been one.
    pub fn login_begins(&self, account: &str, now: Timestamp) -> Result<(), LedgerError> {
        self.account_id(account)?;
        let sql = "UPDATE account SET login_open_at = ?2 WHERE name = ?1";
        self.db.execute(sql, params![account, millis(now)]).map_err(sqlite("count a login"))?;
        Ok(())
    }

    /// The server has taken the login: refusals before it count no more.
    pub fn login_accepted(&self, account: &str) -> Result<(), LedgerError> {
        let sql = "UPDATE account SET login_open_at = NULL,
            failures = max(failures - auth_failures, 0), auth_failures = 0, auth_mark = ''
            WHERE name = ?1";
        self.db.execute(sql, [account]).map_err(sqlite("record a login"))?;
        Ok(())
    }

    /// A login has ended by something that says nothing of the credentials.
    pub fn login_ended(&self, account: &str) -> Result<(), LedgerError> {
        let sql = "UPDATE account SET login_open_at = NULL WHERE name = ?1";
        self.db.execute(sql, [account]).map_err(sqlite("end a login"))?;
        Ok(())
    }

    /// Records deletes that are due and can't be done; 0 when there are none.
    pub fn set_delete_pending(&self, account: &str, n: u32, why: &str) -> Result<(), LedgerError> {
        self.account_id(account)?;
        let sql = "UPDATE account SET delete_pending = ?2, delete_pending_why = ?3
            WHERE name = ?1";
        self.db.execute(sql, params![account, n, why]).map_err(sqlite("record due deletes"))?;
        Ok(())
    }

    /// Records when the daemon polls next.
    pub fn set_next_poll(&self, account: &str, at: Option<Timestamp>) -> Result<(), LedgerError> {
        self.account_id(account)?;
        let sql = "UPDATE account SET next_poll_at = ?2 WHERE name = ?1";
        let row = params![account, at.map(millis)];
        self.db.execute(sql, row).map_err(sqlite("record the next poll"))?;
        Ok(())
    }

    /// Has the daemon wait until then after a poll that went well: the server asks for it.
    pub fn set_retry_at(&self, account: &str, at: Timestamp) -> Result<(), LedgerError> {
        let sql = "UPDATE account SET retry_at = ?2 WHERE name = ?1";
        self.db.execute(sql, params![account, millis(at)]).map_err(sqlite("record a rest"))?;
        Ok(())
    }

    /// The row of an account, made when it isn't known.
    pub(super) fn account_id(&self, name: &str) -> Result<i64, LedgerError> {
        let sql = "INSERT INTO account (name) VALUES (?1) ON CONFLICT (name) DO NOTHING";
        self.db.execute(sql, [name]).map_err(sqlite("add an account"))?;
        let sql = "SELECT id FROM account WHERE name = ?1";
        self.db.query_row(sql, [name], |row| row.get(0)).map_err(sqlite("find an account"))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<AccountRow> {
    let at = |column: &str| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(timestamp))
    };
    let code: String = row.get("error_code")?;
    let hint: String = row.get("error_hint")?;
    let failures = row.get("failures")?;
    let last_error = match (at("error_since")?, at("error_at")?) {
        (Some(since), Some(latest)) => Some(LastError {
            code,
            message: row.get("error_message")?,
            hint: (!hint.is_empty()).then_some(hint),
            since,
            at: latest,
            attempts: failures,
        }),
        _ => None,
    };
    Ok(AccountRow {
        name: row.get("name")?,
        last_poll_at: at("last_poll_at")?,
        last_success_at: at("last_success_at")?,
        next_poll_at: at("next_poll_at")?,
        state: AccountState {
            failures,
            auth_failures: row.get("auth_failures")?,
            auth_mark: row.get("auth_mark")?,
            retry_at: at("retry_at")?,
        },
        login_open_at: at("login_open_at")?,
        last_error,
        clock_hold: row.get("clock_hold")?,
        delete_pending: row.get("delete_pending")?,
        delete_pending_why: row.get("delete_pending_why")?,
        delete_stop: match at("delete_stop_at")? {
            Some(since) => Some(DeleteStop { why: row.get("delete_stop")?, since }),
            None => None,
        },
        pause: match at("paused_at")? {
            Some(since) => Some(Pause {
                since,
                until: at("paused_until")?,
                by: row.get("paused_by")?,
                reason: row.get("paused_reason")?,
            }),
            None => None,
        },
        certificate_until: at("certificate_until")?,
    })
}

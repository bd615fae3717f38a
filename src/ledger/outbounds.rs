//! Outbound accounts whose login was refused: how often, what it hung on, and until when they rest.
//!
//! An account that was let in has no row.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::accounts::{AccountState, LastError};
use super::error::{LedgerError, sqlite};
use super::tx::{Tx, millis, timestamp};

/// What the ledger knows of an outbound account that was not let in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OutboundRow {
    /// Its name in the config.
    pub name: String,
    /// Its refused logins; failures of another kind aren't counted.
    pub state: AccountState,
    /// When a login was begun whose outcome isn't known.
    pub login_open_at: Option<Timestamp>,
    /// What the last refusal said.
    pub last_error: Option<LastError>,
}

impl Tx<'_> {
    /// What is known of an outbound account; `None` where nothing is wrong.
    pub fn outbound(&self, name: &str) -> Result<Option<OutboundRow>, LedgerError> {
        let sql = "SELECT name, auth_failures, auth_mark, retry_at, login_open_at, error_since,
            error_at, error_code, error_message, error_hint FROM outbound WHERE name = ?1";
        let row = self.db.query_row(sql, [name], read).optional();
        row.map_err(sqlite("read an outbound account"))
    }

    /// Counts a login before it is tried: whatever ends the program now, it has been one.
    pub fn outbound_begins(&self, name: &str, now: Timestamp) -> Result<(), LedgerError> {
        let sql = "INSERT INTO outbound (name, login_open_at) VALUES (?1, ?2)
            ON CONFLICT (name) DO UPDATE SET login_open_at = ?2";
        self.db.execute(sql, params![name, millis(now)]).map_err(sqlite("count a login"))?;
        Ok(())
    }

    /// An attempt has ended by something that says nothing of the credentials.
    pub fn outbound_ended(&self, name: &str) -> Result<(), LedgerError> {
        let sql = "DELETE FROM outbound WHERE name = ?1 AND auth_failures = 0";
        self.db.execute(sql, [name]).map_err(sqlite("record a login"))?;
        let sql = "UPDATE outbound SET login_open_at = NULL WHERE name = ?1";
        self.db.execute(sql, [name]).map_err(sqlite("record a login"))?;
        Ok(())
    }

    /// The server has taken the login: refusals before it count no more.
    pub fn outbound_accepted(&self, name: &str) -> Result<(), LedgerError> {
        let sql = "DELETE FROM outbound WHERE name = ?1";
        self.db.execute(sql, [name]).map_err(sqlite("record a login"))?;
        Ok(())
    }

    /// Records a refused login and the rest that follows.
    pub fn outbound_refused(
        &self,
        name: &str,
        state: &AccountState,
        error: &LastError,
    ) -> Result<(), LedgerError> {
        let sql = "INSERT INTO outbound (name, auth_failures, auth_mark, retry_at, login_open_at,
            error_since, error_at, error_code, error_message, error_hint)
            VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?5, ?6, ?7, ?8)
            ON CONFLICT (name) DO UPDATE SET auth_failures = ?2, auth_mark = ?3, retry_at = ?4,
            login_open_at = NULL, error_since = coalesce(error_since, ?5), error_at = ?5,
            error_code = ?6, error_message = ?7, error_hint = ?8";
        let row = params![
            name,
            state.auth_failures,
            state.auth_mark,
            state.retry_at.map(millis),
            millis(error.at),
            error.code,
            error.message,
            error.hint.as_deref().unwrap_or_default()
        ];
        self.db.execute(sql, row).map_err(sqlite("record a refused login"))?;
        Ok(())
    }

    /// Ends the rest of an outbound account; how many refused logins there were.
    pub fn resume_outbound(&self, name: &str) -> Result<u32, LedgerError> {
        let before = self.outbound(name)?.map_or(0, |row| row.state.auth_failures);
        self.outbound_accepted(name)?;
        Ok(before)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<OutboundRow> {
    let at = |column: &str| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(timestamp))
    };
    let hint: String = row.get("error_hint")?;
    let refusals: u32 = row.get("auth_failures")?;
    let last_error = match (at("error_since")?, at("error_at")?) {
        (Some(since), Some(latest)) => Some(LastError {
            code: row.get("error_code")?,
            message: row.get("error_message")?,
            hint: (!hint.is_empty()).then_some(hint),
            since,
            at: latest,
            attempts: refusals,
        }),
        _ => None,
    };
    Ok(OutboundRow {
        name: row.get("name")?,
        state: AccountState {
            failures: refusals,
            auth_failures: refusals,
            auth_mark: row.get("auth_mark")?,
            retry_at: at("retry_at")?,
        },
        login_open_at: at("login_open_at")?,
        last_error,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Ledger;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn refusals_of_an_outbound_account_are_kept_until_a_login_or_a_resume() {
        let ledger = Ledger::in_memory().unwrap();
        let state = AccountState {
            failures: 2,
            auth_failures: 2,
            auth_mark: "m".into(),
            retry_at: Some(at(300)),
        };
        let error = LastError {
            code: "auth-rejected".into(),
            message: "no".into(),
            hint: None,
            since: at(9),
            at: at(9),
            attempts: 2,
        };
        let found = |tx: &Tx<'_>| tx.outbound("o");
        assert_eq!(ledger.read("test", found).await.unwrap(), None);
        ledger.write("test", |tx| tx.outbound_begins("o", at(8))).await.unwrap();
        let open = ledger.read("test", found).await.unwrap().unwrap();
        assert_eq!((open.login_open_at, open.last_error), (Some(at(8)), None));
        let (kept, told) = (state.clone(), error.clone());
        ledger.write("test", move |tx| tx.outbound_refused("o", &kept, &told)).await.unwrap();
        ledger.write("test", |tx| tx.outbound_begins("o", at(10))).await.unwrap();
        ledger.write("test", |tx| tx.outbound_ended("o")).await.unwrap();
        let row = ledger.read("test", found).await.unwrap().unwrap();
        assert_eq!((row.state, row.login_open_at), (state.clone(), None));
        assert_eq!(row.last_error, Some(error.clone()));
        assert_eq!(ledger.write("test", |tx| tx.resume_outbound("o")).await.unwrap(), 2);
        assert_eq!(ledger.read("test", found).await.unwrap(), None);
        ledger.write("test", move |tx| tx.outbound_refused("o", &state, &error)).await.unwrap();
        ledger.write("test", |tx| tx.outbound_accepted("o")).await.unwrap();
        assert_eq!(ledger.write("test", |tx| tx.resume_outbound("o")).await.unwrap(), 0);
    }
}

//! Accounts that a person has paused: since when, until when, by whom and why.

use jiff::Timestamp;
use rusqlite::params;
use serde::Serialize;

use super::error::{LedgerError, sqlite};
use super::tx::{Tx, millis};

/// A pause: the account isn't polled while it lasts, whatever else happens.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// It ends by itself then; `None`: a person ends it.
    pub until: Option<Timestamp>,
    /// Who has asked for it: `alice (uid 1000)`.
    pub by: String,
    /// Why, in that person's words; may be empty.
    pub reason: String,
}

impl Pause {
    /// Whether its time has passed.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Tx<'_> {
    /// Pauses an account, in place of a pause that it has.
    pub fn pause(&self, account: &str, pause: &Pause) -> Result<(), LedgerError> {
        self.account_id(account)?;
        let sql = "UPDATE account SET paused_at = ?2, paused_until = ?3, paused_by = ?4,
            paused_reason = ?5 WHERE name = ?1";
        let until = pause.until.map(millis);
        let row = params![account, millis(pause.since), until, pause.by, pause.reason];
        self.db.execute(sql, row).map_err(sqlite("pause an account"))?;
        Ok(())
    }

    /// Ends a pause whose time has passed; whether there was one.
    pub fn end_pause(&self, account: &str, now: Timestamp) -> Result<bool, LedgerError> {
        let sql = "UPDATE account SET paused_at = NULL, paused_until = NULL, paused_by = '',
            paused_reason = '' WHERE name = ?1 AND paused_until <= ?2";
        let ended = self.db.execute(sql, params![account, millis(now)]);
        Ok(ended.map_err(sqlite("end a pause"))? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ledger;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn pause_lasts_until_its_time_or_a_resume() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let pause = |until| Pause {
            since: at(10),
            until,
            by: "alice (uid 1000)".into(),
            reason: "move".into(),
        };
        let timed = pause(Some(at(20)));
        assert!(!timed.is_over(at(19)) && timed.is_over(at(20)));
        assert!(!pause(None).is_over(at(1_000_000)));
        let told = timed.clone();
        ledger.write("test", move |tx| tx.pause("a", &told)).await.unwrap();
        let found = |tx: &Tx<'_>| Ok(tx.account("a")?.unwrap().pause);
        assert_eq!(ledger.read("test", found).await.unwrap(), Some(timed));
        assert!(!ledger.write("test", |tx| tx.end_pause("a", at(19))).await.unwrap());
        assert!(ledger.write("test", |tx| tx.end_pause("a", at(20))).await.unwrap());
        assert_eq!(ledger.read("test", found).await.unwrap(), None);
        let endless = pause(None);
        let told = endless.clone();
        ledger.write("test", move |tx| tx.pause("a", &told)).await.unwrap();
        assert!(!ledger.write("test", |tx| tx.end_pause("a", at(99))).await.unwrap());
        let resumed = ledger.write("test", |tx| tx.resume("a")).await.unwrap();
        assert_eq!(resumed.pause, Some(endless));
        assert_eq!(ledger.read("test", found).await.unwrap(), None);
    }
}

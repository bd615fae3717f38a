//! Notices: conditions that stand, and the mails that tell of them.
//!
//! What is to be told follows from a condition's row alone, so it is as durable as the condition:
//! a mail is written and its conditions are marked as told in one transaction, and is sent until
//! the server has taken it.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::error::{LedgerError, sqlite};
use super::tx::{Tx, millis, timestamp};
use crate::model::IMPORTED;
use crate::notice::{Condition, Digest, Kind, News, Standing, State, Told, tell};

/// A mail that has not gone yet.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct WaitingMail {
    /// Row of the ledger.
    #[serde(skip)]
    pub id: i64,
    /// Without angle brackets.
    pub message_id: String,
    /// When it was written.
    pub made_at: Timestamp,
    /// Its subject.
    pub subject: String,
    /// Its text.
    #[serde(skip)]
    pub body: String,
    /// Attempts so far.
    pub attempts: u32,
    /// Not before this moment.
    pub retry_at: Option<Timestamp>,
    /// What the last attempt ended with.
    pub error: Option<SendError>,
}

/// Why a mail could not be sent.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SendError {
    /// Stable code.
    pub code: String,
    /// The words.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What an account's notices need beside its row: held messages.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Watched {
    /// How many are held.
    pub held: u64,
    /// The oldest of them was first seen then.
    pub held_since: Option<Timestamp>,
    /// Why it is held.
    pub held_reason: String,
    /// When the last mail was stored that is not our own.
    pub last_mail_at: Option<Timestamp>,
    /// From when until when the server's certificate is good.
    pub certificate: Option<(Timestamp, Timestamp)>,
}

impl Tx<'_> {
    /// All conditions, those that rest included.
    pub fn standings(&self) -> Result<Vec<Standing>, LedgerError> {
        let sql = "SELECT kind, subject, grade, since, code, title, words, hint, state, raised_at,
            changed_at, returns, told_at, told_grade, told_times, EXISTS (SELECT 1
            FROM notice_mail WHERE notice_mail.id = notice.mail AND sent_at IS NULL) AS waits
            FROM notice ORDER BY raised_at, kind, subject";
        let act = || sqlite("read notices");
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows = get.query_map([], standing).map_err(act())?;
        // A kind that a newer version knew is none of ours.
        let rows: Vec<Option<Standing>> = rows.collect::<rusqlite::Result<_>>().map_err(act())?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// Replaces the conditions that stand by these.
    pub fn set_standings(
        &self,
        before: &[Standing],
        after: &[Standing],
    ) -> Result<(), LedgerError> {
        let gone = before
            .iter()
            .filter(|old| !after.iter().any(|new| new.condition.key() == old.condition.key()));
        for standing in gone {
            let (kind, subject) = standing.condition.key();
            let sql = "DELETE FROM notice WHERE kind = ?1 AND subject = ?2";
            self.db.execute(sql, [kind.as_str(), subject]).map_err(sqlite("forget a notice"))?;
        }
        for standing in after.iter().filter(|standing| !before.contains(standing)) {
            self.put(standing, None)?;
        }
        Ok(())
    }

    /// Writes a mail, and marks what it tells as told.
    pub fn queue(
        &self,
        news: Vec<News>,
        mail: &Digest,
        message_id: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let sql = "INSERT INTO notice_mail (message_id, made_at, subject, body)
            VALUES (?1, ?2, ?3, ?4)";
        let row = params![message_id, millis(now), mail.subject, mail.body];
        self.db.execute(sql, row).map_err(sqlite("queue a mail"))?;
        let id = self.db.last_insert_rowid();
        for news in news {
            self.put(&tell(news, now), Some(id))?;
        }
        Ok(())
    }

    fn put(&self, standing: &Standing, mail: Option<i64>) -> Result<(), LedgerError> {
        let Standing { condition, state, raised_at, changed_at, returns, told, .. } = standing;
        let sql =
            "INSERT INTO notice (kind, subject, grade, since, code, title, words, hint, state,
            raised_at, changed_at, returns, told_at, told_grade, told_times, mail)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
            ON CONFLICT (kind, subject) DO UPDATE SET grade = ?3, since = ?4, code = ?5, title = ?6,
            words = ?7, hint = ?8, state = ?9, raised_at = ?10, changed_at = ?11, returns = ?12,
            told_at = ?13, told_grade = ?14, told_times = ?15, mail = coalesce(?16, mail)";
        let row = params![
            condition.kind.as_str(),
            condition.subject,
            condition.grade,
            millis(condition.since),
            condition.code,
            condition.title,
            condition.text,
            condition.hint.as_deref().unwrap_or_default(),
            word(*state),
            millis(*raised_at),
            millis(*changed_at),
            returns,
            told.map(|told| millis(told.at)),
            told.map_or(0, |told| told.grade),
            told.map_or(0, |told| told.times),
            mail,
        ];
        self.db.execute(sql, row).map_err(sqlite("keep a notice"))?;
        Ok(())
    }

    /// When mails were written since then.
    pub fn mails_made(&self, since: Timestamp) -> Result<Vec<Timestamp>, LedgerError> {
        let act = || sqlite("read mails");
        let sql = "SELECT made_at FROM notice_mail WHERE made_at > ?1";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows = get.query_map([millis(since)], |row| row.get(0)).map_err(act())?;
        let found: Vec<i64> = rows.collect::<rusqlite::Result<_>>().map_err(act())?;
        Ok(found.into_iter().map(timestamp).collect())
    }

    /// Mails that have not gone yet, the oldest first.
    pub fn waiting_mails(&self) -> Result<Vec<WaitingMail>, LedgerError> {
        let act = || sqlite("read mails");
        let sql = "SELECT id, message_id, made_at, subject, body, attempts, retry_at, error_code,
            error, error_hint FROM notice_mail WHERE sent_at IS NULL ORDER BY id";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows = get.query_map([], waiting).map_err(act())?;
        rows.collect::<rusqlite::Result<_>>().map_err(act())
    }

    /// When the last mail went, if one did.
    pub fn last_mail_sent(&self) -> Result<Option<Timestamp>, LedgerError> {
        let sql = "SELECT max(sent_at) FROM notice_mail";
        let at: Option<i64> =
            self.db.query_row(sql, [], |row| row.get(0)).map_err(sqlite("read mails"))?;
        Ok(at.map(timestamp))
    }

    /// Records that a mail has gone; those that went before `keep_since` are forgotten.
    pub fn mail_sent(
        &self,
        id: i64,
        now: Timestamp,
        keep_since: Timestamp,
    ) -> Result<(), LedgerError> {
        let sql = "UPDATE notice_mail SET sent_at = ?2, attempts = attempts + 1, retry_at = NULL,
            error_code = '', error = '', error_hint = '' WHERE id = ?1";
        self.db.execute(sql, params![id, millis(now)]).map_err(sqlite("record a mail"))?;
        let sql = "DELETE FROM notice_mail WHERE sent_at < ?1";
        self.db.execute(sql, [millis(keep_since)]).map_err(sqlite("forget mails"))?;
        Ok(())
    }

    /// Counts an attempt to send a mail before it is made, and when the next one may be: a mail
    /// whose outcome can't be written must not go again at each look.
    pub fn mail_begins(&self, id: i64, retry_at: Timestamp) -> Result<(), LedgerError> {
        let sql = "UPDATE notice_mail SET attempts = attempts + 1, retry_at = ?2 WHERE id = ?1";
        self.db.execute(sql, params![id, millis(retry_at)]).map_err(sqlite("begin a mail"))?;
        Ok(())
    }

    /// Records why the attempt to send a mail failed.
    pub fn mail_failed(
        &self,
        id: i64,
        error: &SendError,
        retry_at: Timestamp,
    ) -> Result<(), LedgerError> {
        let sql =
            "UPDATE notice_mail SET retry_at = ?2, error_code = ?3, error = ?4, error_hint = ?5
            WHERE id = ?1";
        let hint = error.hint.as_deref().unwrap_or_default();
        let row = params![id, millis(retry_at), error.code, error.message, hint];
        self.db.execute(sql, row).map_err(sqlite("record a failed mail"))?;
        Ok(())
    }

    /// Lets all waiting mails be tried at once: the config has changed.
    pub fn retry_mails(&self) -> Result<(), LedgerError> {
        let sql = "UPDATE notice_mail SET retry_at = NULL WHERE retry_at IS NOT NULL";
        self.db.execute(sql, []).map_err(sqlite("retry mails"))?;
        Ok(())
    }

    /// Takes back a mail that nobody wants to send any more: what it told is told anew.
    pub fn fold_mail(&self, id: i64) -> Result<(), LedgerError> {
        let act = || sqlite("take a mail back");
        let sql =
            "UPDATE notice SET told_at = NULL, mail = NULL WHERE mail = ?1 AND state = 'open'";
        self.db.execute(sql, [id]).map_err(act())?;
        let sql =
            "UPDATE notice SET state = 'over', mail = NULL WHERE mail = ?1 AND state = 'rest'";
        self.db.execute(sql, [id]).map_err(act())?;
        self.db.execute("DELETE FROM notice_mail WHERE id = ?1", [id]).map_err(act())?;
        Ok(())
    }

    /// What an account's notices need beside its row.
    pub fn watched(&self, account: &str) -> Result<Watched, LedgerError> {
        let act = || sqlite("read an account's notices");
        let sql = "SELECT last_mail_at, certificate_from, certificate_until FROM account
            WHERE name = ?1";
        let times = |row: &Row<'_>| -> rusqlite::Result<[Option<i64>; 3]> {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?])
        };
        let times = self.db.query_row(sql, [account], times).optional().map_err(act())?;
        let [last_mail, from, until] = times.unwrap_or_default();
        let sql = "SELECT count(*), min(first_seen), coalesce(max(reason), '') FROM message
            JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id
            WHERE account.name = ?1 AND state = 'held'";
        let held = |row: &Row<'_>| -> rusqlite::Result<(i64, Option<i64>, String)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        };
        let (n, since, reason) = self.db.query_row(sql, [account], held).map_err(act())?;
        Ok(Watched {
            held: u64::try_from(n).unwrap_or(0),
            held_since: since.map(timestamp),
            held_reason: reason,
            last_mail_at: last_mail.map(timestamp),
            certificate: from.map(timestamp).zip(until.map(timestamp)),
        })
    }

    /// Keeps what the server's certificate said.
    pub fn set_certificate(
        &self,
        account: &str,
        (from, until): (Timestamp, Timestamp),
    ) -> Result<(), LedgerError> {
        let sql = "UPDATE account SET certificate_from = ?2, certificate_until = ?3
            WHERE name = ?1 AND (certificate_from IS NOT ?2 OR certificate_until IS NOT ?3)";
        let row = params![account, millis(from), millis(until)];
        self.db.execute(sql, row).map_err(sqlite("keep a certificate's time"))?;
        Ok(())
    }

    /// Records that a mailbox got mail that is not our own.
    pub(super) fn got_mail(&self, mailbox: i64, at: i64) -> Result<(), LedgerError> {
        // Whatever was there: a clock that ran ahead may have written it.
        let sql = "UPDATE account SET last_mail_at = ?2
            WHERE id = (SELECT account_id FROM mailbox WHERE id = ?1 AND name <> ?3)";
        let got = self.db.execute(sql, params![mailbox, at, IMPORTED]);
        got.map_err(sqlite("record the last mail"))?;
        Ok(())
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Over => "over",
        State::Rest => "rest",
    }
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Option<Standing>> {
    let kind: String = row.get("kind")?;
    let Some(kind) = Kind::parse(&kind) else { return Ok(None) };
    let at = |column: &str| row.get(column).map(timestamp);
    let hint: String = row.get("hint")?;
    let state: String = row.get("state")?;
    let told_at: Option<i64> = row.get("told_at")?;
    let (grade, times) = (row.get("told_grade")?, row.get("told_times")?);
    Ok(Some(Standing {
        condition: Condition {
            kind,
            subject: row.get("subject")?,
            grade: row.get("grade")?,
            since: at("since")?,
            code: row.get("code")?,
            title: row.get("title")?,
            text: row.get("words")?,
            hint: (!hint.is_empty()).then_some(hint),
        },
        state: match state.as_str() {
            "open" => State::Open,
            "over" => State::Over,
            _ => State::Rest,
        },
        raised_at: at("raised_at")?,
        changed_at: at("changed_at")?,
        returns: row.get("returns")?,
        told: told_at.map(|at| Told { at: timestamp(at), grade, times }),
        mail_waits: row.get("waits")?,
    }))
}

fn waiting(row: &Row<'_>) -> rusqlite::Result<WaitingMail> {
    let (code, hint): (String, String) = (row.get("error_code")?, row.get("error_hint")?);
    let message = row.get("error")?;
    let hint = (!hint.is_empty()).then_some(hint);
    Ok(WaitingMail {
        id: row.get("id")?,
        message_id: row.get("message_id")?,
        made_at: timestamp(row.get("made_at")?),
        subject: row.get("subject")?,
        body: row.get("body")?,
        attempts: row.get("attempts")?,
        retry_at: row.get::<_, Option<i64>>("retry_at")?.map(timestamp),
        error: (!code.is_empty()).then_some(SendError { code, message, hint }),
    })
}

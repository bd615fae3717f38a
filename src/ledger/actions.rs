//! The outbox: what is to be done with archived messages, and what became of it.
//!
//! A row is inserted by the transaction that makes its message `archived`, so there is no moment in
//! which a message is stored and its actions are forgotten. States: `pending`, `running` (a try was
//! begun; after a crash it is due again), `done`, `failed` (its time is used up), `dropped` (by a
//! person).

mod marks;
mod moves;
mod replay;
mod time;
mod unknown;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::error::{LedgerError, sqlite};
use super::tx::{Tx, millis, timestamp};

pub use marks::DueMark;
pub use replay::Left;

/// An action to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewAction {
    /// The message's row.
    pub row: i64,
    /// Its id, as `message.json` has it.
    pub message: String,
    /// Its folder, below the root.
    pub path: String,
    /// The rule's name.
    pub rule: String,
    /// What is done: `exec`…
    pub kind: &'static str,
    /// The idempotency key.
    pub key: String,
}

/// How an action stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionState {
    /// To be tried.
    Pending,
    /// A try was begun, and its end isn't known.
    Running,
    /// Done.
    Done,
    /// Given up.
    Failed,
    /// Given up by a person.
    Dropped,
}

/// An action.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ActionRow {
    /// Its number.
    pub id: i64,
    /// The account.
    pub account: String,
    /// The message's id.
    pub message: String,
    /// Its folder, below the root.
    pub path: String,
    /// The rule's name.
    pub rule: String,
    /// What is done.
    pub kind: String,
    /// The idempotency key.
    pub key: String,
    /// How it stands.
    pub state: ActionState,
    /// Asked for once more by a person.
    pub replay: bool,
    /// Tries that were begun.
    pub attempts: u32,
    /// Those of them that the receiver has refused for good.
    pub refusals: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it is tried next.
    pub due_at: Timestamp,
    /// When it was first tried.
    pub first_at: Option<Timestamp>,
    /// When it was last tried.
    pub last_at: Option<Timestamp>,
    /// What the last try ended with: a log code.
    pub code: String,
    /// The same in words.
    pub detail: String,
}

/// No action waits longer for its next try: the longest wait of `rules`.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// Actions that wait as long as the account that would send them is left alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resting {
    /// So many have been seen to wait.
    pub n: u64,
    /// When the oldest of them was asked for.
    pub since: Timestamp,
    /// Its rule.
    pub rule: String,
    /// Why it waits.
    pub detail: String,
}

/// The code of moves that wait as long as nothing may leave the server.
const WAITS: &str = "waits";

/// The code of actions that wait as long as the account that would send them is left alone.
pub const RESTS: &str = "rests";

/// What became of a try.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is done.
    Done,
    /// It was no try: the account that would send it is left alone. Its time begins with the next.
    Rests {
        /// When to look again.
        until: Timestamp,
        /// Why it is left alone.
        detail: String,
    },
    /// To be tried again then.
    Again {
        /// When.
        at: Timestamp,
        /// The receiver has refused it for good.
        refused: bool,
        /// A log code.
        code: &'static str,
        /// Why it failed.
        detail: String,
    },
    /// Given up.
    Failed {
        /// A log code.
        code: &'static str,
        /// Why it failed.
        detail: String,
    },
}

/// Which actions are meant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ActionFilter {
    /// Of this account.
    pub account: Option<String>,
    /// Of this rule.
    pub rule: Option<String>,
    /// With this number.
    pub id: Option<i64>,
    /// Only those that failed; else those that aren't done or dropped.
    pub failed: bool,
    /// Those that are done or dropped, too.
    pub all: bool,
    /// Of an account: what a lost ledger knew of, whatever it was; no rows are left of it.
    pub unknown: bool,
}

/// How many actions an account has in which state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct ActionCounts {
    /// To be tried, or under way.
    pub pending: u64,
    /// Given up.
    pub failed: u64,
    /// The number of tries that the most often tried one of the pending has behind it.
    pub most_attempts: u32,
    /// Stored messages of which nobody knows what rules asked for.
    pub unknown: u64,
}

/// What was asked for when an action of the same key exists already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// By an arriving message: what exists stays as it is.
    ByArrival,
    /// By a person: it is done once more.
    ByPerson,
}

/// A statement that reads whole rows.
macro_rules! rows {
    ($which:literal) => {
        concat!(
            "SELECT action.id, account.name AS account, message, path, rule, kind, key, state, ",
            "replay, attempts, refusals, created_at, due_at, first_at, last_at, code, detail ",
            "FROM action JOIN account ON account.id = action.account_id ",
            $which
        )
    };
}

const OF_MESSAGE: &str = rows!("WHERE message_id = ?1 ORDER BY action.id");
const STATE_BY_KEY: &str = "SELECT state FROM action WHERE key = ?1";

impl Tx<'_> {
    /// Adds actions; how many are new or asked for anew.
    ///
    /// One with the same key exists once for ever. Asked for by a person it becomes due again,
    /// unless it is due or under way anyway. A canary of ours is nobody's mail: nothing is done.
    pub fn add_actions(
        &self,
        account: &str,
        actions: &[NewAction],
        asked: Asked,
        now: Timestamp,
    ) -> Result<u64, LedgerError> {
        if actions.is_empty() {
            return Ok(0);
        }
        let account = self.account_id(account)?;
        let sql = "INSERT INTO action (account_id, message_id, message, path, rule, kind, key,
            state, replay, created_at, due_at)
            SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', ?8, ?9, ?9
            WHERE NOT EXISTS (SELECT 1 FROM message WHERE id = ?2 AND own = 2)
            ON CONFLICT (key) DO UPDATE SET state = 'pending', replay = 1, attempts = 0,
            refusals = 0,
            created_at = ?9, due_at = ?9, first_at = NULL, code = '', detail = '', message_id = ?2,
            path = ?4, kind = ?6
            WHERE ?8 AND state IN ('done', 'failed', 'dropped')";
        let mut put = self.db.prepare_cached(sql).map_err(sqlite("add actions"))?;
        let mut added = 0_u64;
        for NewAction { row, message, path, rule, kind, key } in actions {
            let by_person = asked == Asked::ByPerson;
            let of = params![account, row, message, path, rule, kind, key, by_person, millis(now)];
            let changed = put.execute(of).map_err(sqlite("add actions"))?;
            added = added.saturating_add(changed as u64);
            if changed > 0 && *kind == "move" {
                self.wake_mailbox_of(*row)?;
            }
        }
        Ok(added)
    }

    /// Those that were begun and of which no try is under way: due again, at once. Says how many.
    pub fn resume_actions(&self, under_way: &[i64]) -> Result<u64, LedgerError> {
        // The first condition is that of the index of open actions.
        let sql = "SELECT id FROM action WHERE state IN ('pending', 'running')
            AND state = 'running'";
        let act = || sqlite("resume actions");
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let found = get.query_map([], |row| row.get(0)).map_err(act())?;
        let found: Vec<i64> = found.collect::<rusqlite::Result<_>>().map_err(act())?;
        let mut resumed = 0_u64;
        for id in found.into_iter().filter(|id| !under_way.contains(id)) {
            let sql = "UPDATE action SET state = 'pending' WHERE id = ?1";
            resumed = resumed.saturating_add(self.db.execute(sql, [id]).map_err(act())? as u64);
        }
        Ok(resumed)
    }

    /// The pending actions of a rule that are due, those that wait longest first; those in an order
    /// of messages by that, of which the first one may not be due yet. One that is due later than
    /// any wait is long was put off by a clock that ran ahead: it is due.
    pub fn due_actions(
        &self,
        (account, rule): (&str, &str),
        in_order: bool,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<ActionRow>, LedgerError> {
        const ANY: &str = rows!(
            "WHERE account.name = ?1 AND rule = ?2 AND state = 'pending'
            AND (due_at <= ?3 OR due_at > ?5) ORDER BY due_at, action.id LIMIT ?4"
        );
        const ORDERED: &str = rows!(
            "WHERE account.name = ?1 AND rule = ?2 AND state IN ('pending', 'running')
            AND ?3 = ?3 AND ?5 = ?5 ORDER BY action.id LIMIT ?4"
        );
        let sql = if in_order { ORDERED } else { ANY };
        let most = i64::try_from(if in_order { 1 } else { most }).unwrap_or(i64::MAX);
        let ahead = now.checked_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX);
        let row = params![account, rule, millis(now), most, millis(ahead)];
        let found = self.actions_by(sql, row)?;
        let is_due = |at: Timestamp| at <= now || at > ahead;
        let due = |row: &ActionRow| row.state == ActionState::Pending && is_due(row.due_at);
        Ok(found.into_iter().filter(due).collect())
    }

    /// When the next pending action of a rule comes due; in an order of messages, that of the first
    /// one, unless it is under way.
    pub fn next_action(
        &self,
        (account, rule): (&str, &str),
        in_order: bool,
    ) -> Result<Option<Timestamp>, LedgerError> {
        const ANY: &str = "SELECT min(due_at) FROM action
            WHERE account_id = (SELECT id FROM account WHERE name = ?1) AND rule = ?2
            AND state = 'pending'";
        const ORDERED: &str = "SELECT CASE state WHEN 'pending' THEN due_at END FROM action
            WHERE account_id = (SELECT id FROM account WHERE name = ?1) AND rule = ?2
            AND state IN ('pending', 'running') ORDER BY id LIMIT 1";
        let sql = if in_order { ORDERED } else { ANY };
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("read actions"))?;
        let at: Option<Option<i64>> = get
            .query_row([account, rule], |row| row.get(0))
            .optional()
            .map_err(sqlite("read actions"))?;
        Ok(at.flatten().map(timestamp))
    }

    /// Counts a try before it is made; false if the action isn't pending any more.
    pub fn begin_action(&self, id: i64, now: Timestamp) -> Result<bool, LedgerError> {
        let sql = "UPDATE action SET state = 'running', attempts = attempts + 1,
            first_at = min(coalesce(first_at, ?2), ?2), last_at = ?2 WHERE id = ?1 AND state = 'pending'";
        let changed = self.db.execute(sql, params![id, millis(now)]);
        Ok(changed.map_err(sqlite("begin an action"))? > 0)
    }

    /// Records what became of a try.
    pub fn end_action(&self, id: i64, verdict: &Verdict) -> Result<(), LedgerError> {
        let (state, at, code, detail) = match verdict {
            Verdict::Done => ("done", None, "", ""),
            Verdict::Rests { until, detail } => {
                ("pending", Some(millis(*until)), RESTS, detail.as_str())
            }
            Verdict::Again { at, code, detail, .. } => {
                ("pending", Some(millis(*at)), *code, detail.as_str())
            }
            Verdict::Failed { code, detail } => ("failed", None, *code, detail.as_str()),
        };
        let refused = matches!(verdict, Verdict::Again { refused: true, .. });
        let rests = matches!(verdict, Verdict::Rests { .. });
        let sql = "UPDATE action SET state = ?2, due_at = coalesce(?3, due_at), code = ?4,
            detail = ?5, refusals = refusals + ?6, attempts = max(attempts - ?7, 0),
            first_at = CASE WHEN ?7 THEN NULL ELSE first_at END
            WHERE id = ?1 AND state = 'running'";
        let row = params![id, state, at, code, detail, refused, rests];
        self.db.execute(sql, row).map_err(sqlite("end an action"))?;
        Ok(())
    }

    /// What waits for the end of a rest is due: a person has ended one.
    pub fn end_rests(&self, now: Timestamp) -> Result<(), LedgerError> {
        // The first condition is that of the index of open actions.
        let sql = "UPDATE action SET due_at = ?1 WHERE state IN ('pending', 'running')
            AND state = 'pending' AND code = ?2 AND due_at > ?1";
        self.db.execute(sql, params![millis(now), RESTS]).map_err(sqlite("end rests"))?;
        Ok(())
    }

    /// What waits for the end of a rest, of an account.
    pub fn resting(&self, account: &str) -> Result<Option<Resting>, LedgerError> {
        // Beside the one minimum stand the columns of its row.
        let sql = "SELECT count(*) AS n, min(created_at) AS since, rule, detail FROM action
            WHERE account_id = (SELECT id FROM account WHERE name = ?1)
            AND state IN ('pending', 'running', 'failed') AND state <> 'failed' AND code = ?2";
        let read = |row: &Row<'_>| {
            let Some(since) = row.get::<_, Option<i64>>("since")? else { return Ok(None) };
            Ok(Some(Resting {
                n: row.get::<_, i64>("n")?.unsigned_abs(),
                since: timestamp(since),
                rule: row.get("rule")?,
                detail: row.get("detail")?,
            }))
        };
        self.db.query_row(sql, params![account, RESTS], read).map_err(sqlite("read actions"))
    }

    /// Actions, the newest last.
    pub fn actions(&self, filter: &ActionFilter, most: u32) -> Result<Vec<ActionRow>, LedgerError> {
        let sql = rows!(
            "WHERE (?1 IS NULL OR account.name = ?1) AND (?2 IS NULL OR rule = ?2)
            AND (?3 IS NULL OR action.id = ?3)
            AND (?5 OR state IN ('pending', 'running', 'failed'))
            AND (NOT ?4 OR state = 'failed')
            ORDER BY action.id LIMIT ?6"
        );
        let ActionFilter { account, rule, id, failed, all, .. } = filter;
        self.actions_by(sql, params![account, rule, id, failed, all, most])
    }

    /// The actions of a message, by its row.
    pub fn actions_of(&self, message: i64) -> Result<Vec<ActionRow>, LedgerError> {
        self.actions_by(OF_MESSAGE, [message])
    }

    /// How the actions with these keys stand, in their order; `None` for one that there isn't.
    pub fn action_states(&self, keys: &[String]) -> Result<Vec<Option<ActionState>>, LedgerError> {
        let mut get = self.db.prepare_cached(STATE_BY_KEY).map_err(sqlite("read actions"))?;
        let mut states = Vec::with_capacity(keys.len());
        for key in keys {
            let found: Option<String> = get
                .query_row([key], |row| row.get(0))
                .optional()
                .map_err(sqlite("read actions"))?;
            states.push(found.as_deref().map(state));
        }
        Ok(states)
    }

    /// Makes failed actions due again, with all their time; how many.
    pub fn retry_actions(&self, filter: &ActionFilter, now: Timestamp) -> Result<u64, LedgerError> {
        let sql =
            "UPDATE action SET state = 'pending', attempts = 0, refusals = 0, first_at = NULL,
            due_at = ?4
            WHERE (?1 IS NULL OR account_id = (SELECT id FROM account WHERE name = ?1))
            AND (?2 IS NULL OR rule = ?2) AND (?3 IS NULL OR id = ?3)
            AND state IN ('pending', 'failed')";
        let ActionFilter { account, rule, id, .. } = filter;
        let row = params![account, rule, id, millis(now)];
        let retried = self.db.execute(sql, row).map_err(sqlite("retry actions"))? as u64;
        self.wake_for_moves(now)?;
        Ok(retried)
    }

    /// Gives up actions that aren't done; how many.
    pub fn drop_actions(&self, filter: &ActionFilter) -> Result<u64, LedgerError> {
        let sql = "UPDATE action SET state = 'dropped'
            WHERE (?1 IS NULL OR account_id = (SELECT id FROM account WHERE name = ?1))
            AND (?2 IS NULL OR rule = ?2) AND (?3 IS NULL OR id = ?3)
            AND state IN ('pending', 'running', 'failed') AND (NOT ?4 OR state = 'failed')";
        let ActionFilter { account, rule, id, failed, unknown, .. } = filter;
        if *unknown {
            return self.forget_unknown(account.as_deref().unwrap_or_default());
        }
        let row = params![account, rule, id, failed];
        Ok(self.db.execute(sql, row).map_err(sqlite("drop actions"))? as u64)
    }

    /// How many actions of an account are open.
    pub fn action_counts(&self, account: &str) -> Result<ActionCounts, LedgerError> {
        let sql = "SELECT count(*) FILTER (WHERE state <> 'failed'),
            count(*) FILTER (WHERE state = 'failed'),
            coalesce(max(attempts) FILTER (WHERE state <> 'failed'), 0),
            (SELECT count(*) FROM message JOIN mailbox ON mailbox.id = message.mailbox_id
             JOIN account ON account.id = mailbox.account_id WHERE account.name = ?1
             AND actions_unknown = 1 AND message.state IN ('archived', 'deleting'))
            FROM action WHERE account_id = (SELECT id FROM account WHERE name = ?1)
            AND state IN ('pending', 'running', 'failed')";
        let read = |row: &Row<'_>| {
            Ok(ActionCounts {
                pending: row.get::<_, i64>(0)?.unsigned_abs(),
                failed: row.get::<_, i64>(1)?.unsigned_abs(),
                most_attempts: row.get(2)?,
                unknown: row.get::<_, i64>(3)?.unsigned_abs(),
            })
        };
        self.db.query_row(sql, [account], read).map_err(sqlite("count actions"))
    }

    /// Account and rule of all open actions, with their number.
    pub fn open_rules(&self) -> Result<Vec<(String, String, u64)>, LedgerError> {
        let sql = "SELECT account.name, rule, count(*) FROM action
            JOIN account ON account.id = action.account_id
            WHERE state IN ('pending', 'running') GROUP BY account.name, rule
            ORDER BY account.name, rule";
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("read actions"))?;
        let rows = get.query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.unsigned_abs()))
        });
        let rows = rows.map_err(sqlite("read actions"))?;
        rows.collect::<Result<_, _>>().map_err(sqlite("read actions"))
    }

    /// Whether anything is left to do, or failed, for any message at all.
    pub(super) fn are_actions_open(&self) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM action WHERE state IN ('pending', 'running'))
            OR EXISTS (SELECT 1 FROM action WHERE state = 'failed')";
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("read actions"))?;
        get.query_row([], |row| row.get(0)).map_err(sqlite("read actions"))
    }

    fn actions_by(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<ActionRow>, LedgerError> {
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("read actions"))?;
        let rows = get.query_map(values, read).map_err(sqlite("read actions"))?;
        rows.collect::<Result<_, _>>().map_err(sqlite("read actions"))
    }
}

fn state(word: &str) -> ActionState {
    match word {
        "running" => ActionState::Running,
        "done" => ActionState::Done,
        "failed" => ActionState::Failed,
        "dropped" => ActionState::Dropped,
        _ => ActionState::Pending,
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<ActionRow> {
    let at = |column: &str| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(timestamp))
    };
    let word: String = row.get("state")?;
    Ok(ActionRow {
        id: row.get("id")?,
        account: row.get("account")?,
        message: row.get("message")?,
        path: row.get("path")?,
        rule: row.get("rule")?,
        kind: row.get("kind")?,
        key: row.get("key")?,
        state: state(&word),
        replay: row.get("replay")?,
        attempts: row.get("attempts")?,
        refusals: row.get("refusals")?,
        created_at: timestamp(row.get("created_at")?),
        due_at: timestamp(row.get("due_at")?),
        first_at: at("first_at")?,
        last_at: at("last_at")?,
        code: row.get("code")?,
        detail: row.get("detail")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A replay asks for each stored message: a walk through all actions each time is quadratic.
    #[test]
    fn actions_of_one_message_are_found_without_a_walk_through_all() {
        let mut db = rusqlite::Connection::open_in_memory().unwrap();
        crate::ledger::schema::migrate(&mut db).unwrap();
        for sql in [OF_MESSAGE, STATE_BY_KEY] {
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = plan.query_map(["1"], |row| row.get(3)).unwrap();
            let steps: Vec<String> = steps.map(Result::unwrap).collect();
            assert!(steps.iter().all(|step| !step.starts_with("SCAN")), "{sql}: {steps:?}");
        }
    }
}

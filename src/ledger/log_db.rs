//! The main log's file, `log.db`: its table, writing, pruning and reading.
//!
//! Apart from the ledger, since the ledger is synced for each batch and the log need not be. Which
//! events become records is `log`'s part.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, TransactionBehavior, params_from_iter};
use serde::{Serialize, Serializer};

use super::sqlite::{self, Durability, SqliteError};
use crate::model::Source;

/// The open file.
#[derive(Debug)]
pub struct LogDb {
    connection: Connection,
}

impl LogDb {
    /// Opens the file for writing and makes it when it isn't there.
    pub fn open(path: &Path) -> Result<Self, SqliteError> {
        let mut connection = sqlite::open(path, Durability::Normal)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = transaction.pragma_query_value(None, "user_version", |r| r.get(0))?;
        match version {
            0 => {
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            }
            SCHEMA_VERSION => {}
            found => return Err(SqliteError::NewerSchema { found, known: SCHEMA_VERSION }),
        }
        transaction.commit()?;
        Ok(Self { connection })
    }

    /// Opens the file for reading, also while a daemon writes; `None` when there is no log yet.
    pub fn open_read_only(path: &Path) -> Result<Option<Self>, SqliteError> {
        let Some(connection) = sqlite::open_read_only(path)? else { return Ok(None) };
        let version: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
        match version {
            // Made by another process a moment ago, still without its table.
            0 => Ok(None),
            SCHEMA_VERSION => Ok(Some(Self { connection })),
            found => Err(SqliteError::NewerSchema { found, known: SCHEMA_VERSION }),
        }
    }

    /// Adds records, all or none; their ids are given here.
    pub fn insert(&mut self, records: &[Record]) -> Result<(), SqliteError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut statement = transaction.prepare_cached(INSERT)?;
            for record in records {
                let fields = serde_json::to_string(&record.fields).unwrap_or_default();
                statement.execute(rusqlite::params![
                    record.created_at.as_millisecond(),
                    record.level.number(),
                    record.source.as_str(),
                    record.code,
                    record.message,
                    record.account,
                    record.run,
                    record.mailbox,
                    record.uid,
                    record.username,
                    record.created_by,
                    fields,
                ])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Removes at most `most` records that are older than `before`; says how many it removed.
    pub fn prune(&mut self, before: Timestamp, most: u32) -> Result<usize, SqliteError> {
        let mut statement = self.connection.prepare_cached(PRUNE)?;
        Ok(statement.execute((before.as_millisecond(), most))?)
    }

    /// Hands matching records over, one by one, until `visit` breaks or none is left.
    ///
    /// Reads in pages, so that a slow reader (a pager on the other end of a pipe) keeps no
    /// snapshot open, which would let the write-ahead file grow.
    pub fn visit(
        &self,
        query: &LogQuery,
        mut visit: impl FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), SqliteError> {
        let mut left = query.limit.unwrap_or(u64::MAX);
        let mut after = None;
        while left > 0 {
            let (sql, mut params) = query.sql(after);
            let page = left.min(PAGE);
            params.push(Value::Integer(i64::try_from(page).unwrap_or(i64::MAX)));
            let mut statement = self.connection.prepare_cached(&sql)?;
            let records: Vec<Record> = statement
                .query_map(params_from_iter(params), read_row)?
                .collect::<Result<_, _>>()?;
            let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
            after = records.last().map(|last| (last.created_at.as_millisecond(), last.id));
            for record in records {
                if visit(record).is_break() {
                    return Ok(());
                }
            }
            if count < page {
                break;
            }
            left = left.saturating_sub(count);
        }
        Ok(())
    }

    /// Matching records, all at once.
    pub fn query(&self, query: &LogQuery) -> Result<Vec<Record>, SqliteError> {
        let mut records = Vec::new();
        self.visit(query, |record| {
            records.push(record);
            ControlFlow::Continue(())
        })?;
        Ok(records)
    }
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Number in `log.db`, growing, never used again; 0 before it is stored.
    pub id: i64,
    /// When it was made; UTC, milliseconds.
    #[serde(serialize_with = "milliseconds")]
    pub created_at: Timestamp,
    /// How bad it is.
    pub level: Level,
    /// Where in the program it comes from.
    pub source: Source,
    /// What happened, as a stable word; empty when the event has none.
    pub code: String,
    /// For people; one line, without control characters or secrets.
    pub message: String,
    /// The account that it is about.
    pub account: Option<String>,
    /// The poll that it belongs to.
    pub run: Option<String>,
    /// The mailbox that it is about.
    pub mailbox: Option<String>,
    /// UID of the message that it is about.
    pub uid: Option<u32>,
    /// Who made it: `system` or a user's name.
    pub username: String,
    /// User id of who made it.
    pub created_by: u32,
    /// The event's further fields.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// How bad a record is; ordered from the worst.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something was not done.
    Error,
    /// Something needs a look.
    Warning,
    /// What was done.
    Info,
    /// How it was done.
    Debug,
}

impl Level {
    /// All levels, the worst first.
    pub const ALL: [Self; 4] = [Self::Error, Self::Warning, Self::Info, Self::Debug];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The level that a word names; `warn` will do.
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        let word = if word == "warn" { "warning" } else { word.as_str() };
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }

    /// As stored: 0 is an error, 3 is debug.
    const fn number(self) -> i64 {
        match self {
            Self::Error => 0,
            Self::Warning => 1,
            Self::Info => 2,
            Self::Debug => 3,
        }
    }
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::INFO => Self::Info,
            _ => Self::Debug,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which records are wanted; the default wants all, newest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LogQuery {
    /// This level and worse ones.
    pub level: Option<Level>,
    /// Any of these sources; empty: all.
    pub sources: Vec<Source>,
    /// Of this account.
    pub account: Option<String>,
    /// With this code.
    pub code: Option<String>,
    /// Made then or later.
    pub since: Option<Timestamp>,
    /// Made before.
    pub until: Option<Timestamp>,
    /// This record only.
    pub id: Option<i64>,
    /// Stored later than this record, in the order of storing: what `--follow` asks for.
    pub after_id: Option<i64>,
    /// At most so many.
    pub limit: Option<u64>,
    /// Oldest first.
    pub ascending: bool,
}

impl LogQuery {
    /// The statement, without the page's size as its last parameter. Only constant text goes in.
    fn sql(&self, after: Option<(i64, i64)>) -> (String, Vec<Value>) {
        let mut sql = SELECT.to_owned();
        let mut params = Vec::new();
        // As literals: a partial index is only used for the very term that it was made with.
        sql.push_str(match self.level {
            Some(Level::Error) => " AND level <= 1 AND level = 0",
            Some(Level::Warning) => " AND level <= 1",
            Some(Level::Info) => " AND level <= 2",
            Some(Level::Debug) | None => "",
        });
        for (n, source) in self.sources.iter().enumerate() {
            sql.push_str(if n == 0 { " AND source IN (?" } else { ", ?" });
            params.push(Value::Text(source.as_str().to_owned()));
        }
        if !self.sources.is_empty() {
            sql.push(')');
        }
        let texts = [(" AND account = ?", &self.account), (" AND code = ?", &self.code)];
        for (term, text) in texts {
            if let Some(text) = text {
                sql.push_str(term);
                params.push(Value::Text(text.clone()));
            }
        }
        let numbers = [
            (" AND created_at >= ?", self.since.map(Timestamp::as_millisecond)),
            (" AND created_at < ?", self.until.map(Timestamp::as_millisecond)),
            (" AND id = ?", self.id),
            (" AND id > ?", self.after_id),
        ];
        for (term, number) in numbers {
            if let Some(number) = number {
                sql.push_str(term);
                params.push(Value::Integer(number));
            }
        }
        self.page(after, &mut sql, &mut params);
        (sql, params)
    }

    /// The order, and where in it the next page begins.
    fn page(&self, after: Option<(i64, i64)>, sql: &mut String, params: &mut Vec<Value>) {
        let (term, order) = match (self.after_id, self.ascending) {
            // The clock may have been put back meanwhile.
            (Some(_), _) => (" AND id > ?", " ORDER BY id LIMIT ?"),
            (None, true) => (" AND (created_at, id) > (?, ?)", " ORDER BY created_at, id LIMIT ?"),
            (None, false) => {
                (" AND (created_at, id) < (?, ?)", " ORDER BY created_at DESC, id DESC LIMIT ?")
            }
        };
        if let Some((created_at, id)) = after {
            sql.push_str(term);
            if self.after_id.is_none() {
                params.push(Value::Integer(created_at));
            }
            params.push(Value::Integer(id));
        }
        sql.push_str(order);
    }
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<Record> {
    let level: i64 = row.get(2)?;
    let source: String = row.get(3)?;
    let fields: String = row.get(12)?;
    Ok(Record {
        id: row.get(0)?,
        created_at: Timestamp::from_millisecond(row.get(1)?).unwrap_or_default(),
        level: Level::ALL.into_iter().find(|l| l.number() == level).unwrap_or(Level::Debug),
        source: Source::parse(&source).unwrap_or(Source::Library),
        code: row.get(4)?,
        message: row.get(5)?,
        account: row.get(6)?,
        run: row.get(7)?,
        mailbox: row.get(8)?,
        uid: row.get(9)?,
        username: row.get(10)?,
        created_by: row.get(11)?,
        fields: serde_json::from_str(&fields).unwrap_or_default(),
    })
}

fn milliseconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

const SCHEMA_VERSION: i64 = 1;

/// Records of one page of a query.
const PAGE: u64 = 1000;

const SCHEMA: &str = r"
CREATE TABLE record (
    -- AUTOINCREMENT: an id that was shown once must never name another record.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL, -- milliseconds since 1970, UTC
    level INTEGER NOT NULL, -- 0 error, 1 warning, 2 info, 3 debug
    source TEXT NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    account TEXT,
    run TEXT,
    mailbox TEXT,
    uid INTEGER,
    username TEXT NOT NULL,
    created_by INTEGER NOT NULL,
    fields TEXT NOT NULL
) STRICT;
CREATE INDEX record_by_time ON record (created_at);
CREATE INDEX record_by_account ON record (account, created_at) WHERE account IS NOT NULL;
CREATE INDEX record_by_source ON record (source, created_at);
CREATE INDEX record_by_trouble ON record (created_at) WHERE level <= 1;
";

const INSERT: &str = r"
INSERT INTO record (created_at, level, source, code, message, account, run, mailbox, uid, username,
                    created_by, fields)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
";

const PRUNE: &str = r"
DELETE FROM record
WHERE id IN (SELECT id FROM record WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)
";

const SELECT: &str = r"
SELECT id, created_at, level, source, code, message, account, run, mailbox, uid, username,
       created_by, fields
FROM record
WHERE TRUE";

#[cfg(test)]
mod tests;

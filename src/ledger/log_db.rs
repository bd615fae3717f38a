//! The main log's file, `log.db`: its table, writing, pruning and reading.
//!
//! Apart from the ledger, since the ledger is synced for each batch and the log need not be. Which
//! events become records is `log`'s part.

mod record;
mod retention;
mod schema;
mod select;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, TransactionBehavior, params_from_iter};

use super::sqlite::{self, Durability, SqliteError};

pub use record::{Level, Record};
pub use retention::FileSize;
pub use select::LogQuery;

/// The open file.
#[derive(Debug)]
pub struct LogDb {
    connection: Connection,
    /// Where records are read from; an older file has other names.
    relation: &'static str,
}

impl LogDb {
    /// Opens the file for writing; makes it when it isn't there, brings an older one up to date.
    pub fn open(path: &Path) -> Result<Self, SqliteError> {
        let mut connection = sqlite::open(path, Durability::Normal)?;
        schema::migrate(&mut connection)?;
        schema::add_functions(&connection)?;
        Ok(Self { connection, relation: "record" })
    }

    /// Opens the file for reading, also while a daemon writes; `None` when there is no log yet.
    pub fn open_read_only(path: &Path) -> Result<Option<Self>, SqliteError> {
        let Some(connection) = sqlite::open_read_only(path)? else { return Ok(None) };
        let version: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
        if version == 0 {
            // Made by another process a moment ago, still without its table.
            return Ok(None);
        }
        let Some(relation) = schema::relation(version) else {
            return Err(SqliteError::NewerSchema { found: version, known: schema::VERSION });
        };
        schema::add_functions(&connection)?;
        Ok(Some(Self { connection, relation }))
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
                    record.created_uid,
                    fields,
                ])?;
            }
        }
        transaction.commit()?;
        Ok(())
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
            let (sql, mut params) = query.sql(self.relation, after);
            let page = left.min(PAGE);
            params.push(Value::Integer(i64::try_from(page).unwrap_or(i64::MAX)));
            let mut statement = self.connection.prepare_cached(&sql)?;
            let records: Vec<Record> = statement
                .query_map(params_from_iter(params), select::read_row)?
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

    /// A number that changes with each commit of another connection.
    pub fn change(&self) -> Result<i64, SqliteError> {
        Ok(self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// The number of the last record that was stored; 0 when there is none.
    pub fn last_id(&self) -> Result<i64, SqliteError> {
        let mut statement = self.connection.prepare_cached("SELECT MAX(id) FROM record")?;
        Ok(statement.query_row([], |row| row.get::<_, Option<i64>>(0))?.unwrap_or(0))
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

/// Records of one page of a query.
const PAGE: u64 = 1000;

const INSERT: &str = r"
INSERT INTO record (created_at, level, source, code, message, account, run, mailbox, uid, username,
                    created_by, created_uid, fields)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
";

//! Which records are wanted, and the statement that finds them.

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Value;

use super::record::{Level, Record};
use crate::model::Source;
use crate::query::{Param, Query};

/// Which records are wanted; the default wants all, newest first.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    /// This level and worse ones.
    pub level: Option<Level>,
    /// Any of these sources; empty: all.
    pub sources: Vec<Source>,
    /// Of this account.
    pub account: Option<String>,
    /// With this code.
    pub code: Option<String>,
    /// About this message, as its key is written in records.
    pub message_key: Option<String>,
    /// Made then or later.
    pub since: Option<Timestamp>,
    /// Made before.
    pub until: Option<Timestamp>,
    /// Numbers from the first to the second one, both included.
    pub ids: Option<(i64, i64)>,
    /// A condition on [`LOG`](crate::query::LOG)'s fields.
    pub condition: Option<Query>,
    /// Stored later than this record, in the order of storing: what `--follow` asks for.
    pub after_id: Option<i64>,
    /// At most so many.
    pub limit: Option<u64>,
    /// Oldest first.
    pub ascending: bool,
}

impl LogQuery {
    /// The statement, without the page's size as its last parameter. Only constant text goes in.
    pub(super) fn sql(&self, from: &str, after: Option<(i64, i64)>) -> (String, Vec<Value>) {
        let mut sql = COLUMNS.to_owned();
        sql.push_str(from);
        let trouble = self.is_trouble();
        // The planner knows no numbers of rows, and would read all rows of a source.
        if trouble && from == "record" && !self.by_id() && self.account.is_none() {
            sql.push_str(" INDEXED BY record_by_trouble");
        }
        sql.push_str(" WHERE TRUE");
        let mut params = Vec::new();
        // As literals: a partial index is only used for the very term that it was made with.
        sql.push_str(match self.level {
            _ if trouble && self.level == Some(Level::Error) => " AND level <= 1 AND level = 0",
            _ if trouble => " AND level <= 1",
            Some(Level::Info) => " AND level <= 2",
            _ => "",
        });
        self.terms(&mut sql, &mut params);
        self.page(after, &mut sql, &mut params);
        (sql, params)
    }

    /// Whether only warnings and errors are wanted.
    fn is_trouble(&self) -> bool {
        let ceiling = self.condition.as_ref().and_then(|query| query.ceiling("level"));
        self.level.is_some_and(|level| level <= Level::Warning)
            || ceiling.is_some_and(|number| number <= Level::Warning.number())
    }

    /// Whether numbers are asked for, and so the order is theirs.
    fn by_id(&self) -> bool {
        self.ids.is_some() || self.after_id.is_some()
    }

    fn terms(&self, sql: &mut String, params: &mut Vec<Value>) {
        for (n, source) in self.sources.iter().enumerate() {
            // `+`: an index by source gives several of them out of the order of time.
            let first =
                if self.sources.len() > 1 { " AND +source IN (?" } else { " AND source IN (?" };
            sql.push_str(if n == 0 { first } else { ", ?" });
            params.push(Value::Text(source.as_str().to_owned()));
        }
        sql.push_str(if self.sources.is_empty() { "" } else { ")" });
        let texts = [(" AND account = ?", &self.account), (" AND code = ?", &self.code)];
        for (term, text) in texts {
            if let Some(text) = text {
                sql.push_str(term);
                params.push(Value::Text(text.clone()));
            }
        }
        if let Some(key) = &self.message_key {
            sql.push_str(" AND instr(fields, ?)");
            let key = serde_json::Value::from(key.as_str());
            params.push(Value::Text(format!("\"message_key\":{key}")));
        }
        let numbers = [
            (" AND created_at >= ?", self.since.map(Timestamp::as_millisecond)),
            (" AND created_at < ?", self.until.map(Timestamp::as_millisecond)),
            (" AND id >= ?", self.ids.map(|(first, _)| first)),
            (" AND id <= ?", self.ids.map(|(_, last)| last)),
            (" AND id > ?", self.after_id),
        ];
        for (term, number) in numbers {
            if let Some(number) = number {
                sql.push_str(term);
                params.push(Value::Integer(number));
            }
        }
        if let Some(condition) = &self.condition {
            sql.push_str(" AND ");
            let mut bound = Vec::new();
            condition.sql(sql, &mut bound);
            params.extend(bound.into_iter().map(|param| match param {
                Param::Integer(number) => Value::Integer(number),
                Param::Text(text) => Value::Text(text),
            }));
        }
    }

    /// The order, and where in it the next page begins.
    fn page(&self, after: Option<(i64, i64)>, sql: &mut String, params: &mut Vec<Value>) {
        let (term, order) = match (self.by_id(), self.ascending) {
            // The clock may have been put back meanwhile.
            (true, _) => (" AND id > ?", " ORDER BY id LIMIT ?"),
            (false, true) => (" AND (created_at, id) > (?, ?)", " ORDER BY created_at, id LIMIT ?"),
            (false, false) => {
                (" AND (created_at, id) < (?, ?)", " ORDER BY created_at DESC, id DESC LIMIT ?")
            }
        };
        if let Some((created_at, id)) = after {
            sql.push_str(term);
            if !self.by_id() {
                params.push(Value::Integer(created_at));
            }
            params.push(Value::Integer(id));
        }
        sql.push_str(order);
    }
}

pub(super) fn read_row(row: &Row<'_>) -> rusqlite::Result<Record> {
    let level: i64 = row.get(2)?;
    let source: String = row.get(3)?;
    let fields: String = row.get(13)?;
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
        created_uid: row.get(12)?,
        fields: serde_json::from_str(&fields).unwrap_or_default(),
    })
}

const COLUMNS: &str = r"
SELECT id, created_at, level, source, code, message, account, run, mailbox, uid, username,
       created_by, created_uid, fields
FROM ";

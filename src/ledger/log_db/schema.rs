//! The table of records: its versions, its indexes and the functions of its conditions.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, TransactionBehavior};

use super::record::field_text;
use crate::ledger::sqlite::SqliteError;
use crate::query::{MATCH_FUNCTION, NUMBER_FUNCTION, Pattern, loose_number};

/// The version that this program writes; it reads older ones, too.
pub(super) const VERSION: i64 = 2;

/// Makes the table, or brings an older one up to [`VERSION`].
pub(super) fn migrate(connection: &mut Connection) -> Result<(), SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |r| r.get(0))?;
    let known = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..));
    let Some(steps) = known else {
        return Err(SqliteError::NewerSchema { found, known: VERSION });
    };
    if !steps.is_empty() {
        for step in steps {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Records in a file of this version, by the names of version 2; `None` for an unknown one.
pub(super) fn relation(version: i64) -> Option<&'static str> {
    match version {
        1 => Some(
            "(SELECT id, created_at, level, source, code, message, account, run, mailbox, uid, \
             NULL AS username, username AS created_by, created_by AS created_uid, fields \
             FROM record)",
        ),
        2 => Some("record"),
        _ => None,
    }
}

/// From version to version, the first one from nothing.
const MIGRATIONS: [&str; 2] = [
    r"
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
",
    // What stands behind `id` spares a look at the row where it doesn't fit.
    r"
ALTER TABLE record RENAME COLUMN created_by TO created_uid;
ALTER TABLE record RENAME COLUMN username TO created_by;
ALTER TABLE record ADD COLUMN username TEXT;
DROP INDEX record_by_account;
DROP INDEX record_by_source;
DROP INDEX record_by_trouble;
CREATE INDEX record_by_account ON record (account, created_at, id, level)
    WHERE account IS NOT NULL;
CREATE INDEX record_by_code ON record (code, created_at, id);
CREATE INDEX record_by_source ON record (source, created_at, id, level);
CREATE INDEX record_by_trouble ON record (created_at, id, level, source, account, code)
    WHERE level <= 1;
",
];

/// Adds the functions that conditions use.
pub(super) fn add_functions(connection: &Connection) -> Result<(), SqliteError> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function(MATCH_FUNCTION, 2, flags, is_match)?;
    connection.create_scalar_function(NUMBER_FUNCTION, 1, flags, |context| {
        Ok(context.get_raw(0).as_str().ok().and_then(loose_number))
    })?;
    connection.create_scalar_function("log_field", 2, flags, |context| {
        let fields = context.get_raw(0).as_str().unwrap_or_default();
        let name = context.get_raw(1).as_str().unwrap_or_default();
        let fields: serde_json::Value = serde_json::from_str(fields).unwrap_or_default();
        Ok(fields.get(name).and_then(field_text))
    })?;
    Ok(())
}

/// The pattern is read once a statement.
fn is_match(context: &Context<'_>) -> rusqlite::Result<Option<bool>> {
    let pattern = context.get_or_create_aux(0, |value| {
        let text = value.as_str().map_err(|error| error.to_string())?;
        Pattern::new(text)
    })?;
    Ok(context.get_raw(1).as_str().ok().map(|text| pattern.is_in(text)))
}

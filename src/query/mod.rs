//! Conditions on records: a small language, its parser, its evaluation and its SQL.
//!
//! `source = imap-auth and level >= warning and message ~ "time.?out"`. Which fields there are, and
//! what values they take, is a [`Schema`] of the caller's: the main log's is [`LOG`], that of stored
//! messages [`MESSAGE`]. Pure: `now`
//! is an argument, no database is seen. A parsed [`Query`] is evaluated on one record in memory
//! ([`Query::matches`]) or becomes a term of SQL whose values are bound ([`Query::sql`]); both give
//! the same answer. A comparison with what a record doesn't have is false, and `not`, `!=` and `!~`
//! are always the opposite of what they deny, so that no record is in neither half.
//!
//! ```
//! # use jiff::{Timestamp, tz::TimeZone};
//! # use postrider::query::{LOG, Moment, Query};
//! let moment = Moment { now: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
//! let mistake = Query::parse("source = imapauth", &LOG, &moment).unwrap_err();
//! assert_eq!(mistake.what, "unknown source `imapauth`");
//! assert!(mistake.hint.unwrap().contains("did you mean `imap-auth`?"));
//! ```

mod cursor;
mod lex;
mod log;
mod message;
mod mistake;
mod node;
mod parse;
mod pattern;
mod schema;
mod sql;
#[cfg(test)]
mod tests;
mod time;
mod value;

pub use log::{EMAIL_LOGGER, LOG, source_words};
pub use message::MESSAGE;
pub use mistake::Mistake;
pub use node::{Atom, Facts, Query};
pub use pattern::Pattern;
pub use schema::{Choice, Column, Field, Kind, Schema, Step};
pub use sql::{MATCH_FUNCTION, NUMBER_FUNCTION, Param, loose_number};
pub use time::{TimeError, parse_time};
pub use value::Moment;

/// Characters of a condition.
pub const LONGEST: usize = 4096;

/// Parentheses and `not` within each other: the parser and SQLite recurse.
const DEEPEST: usize = 40;

/// Comparisons of a condition: SQLite's expressions are a thousand deep at most.
const MOST_TESTS: usize = 200;

/// Values of a condition, those of lists included.
const MOST_VALUES: usize = 1000;

/// Regular expressions of a condition: each has memory of its own.
const MOST_PATTERNS: usize = 16;

//! The main log: events become records in `log.db` and lines on standard error.
//!
//! Code logs with `tracing`: the target is a [`Source`](crate::model::Source)'s word, `code` is one
//! of [`codes`], and `account`, `run`, `mailbox` and `uid` come from the event or from the spans
//! around it. Logging never waits and never fails; what can't be kept is counted. The table of
//! records is `ledger::log_db`'s.
//!
//! ```
//! # use postrider::model::Source;
//! # let (account, why) = ("scans", "certificate expired");
//! tracing::error!(
//!     target: Source::ImapAuth.as_str(),
//!     code = "tls-expired",
//!     account,
//!     hint = "the server's owner must renew it",
//!     "{why}"
//! );
//! ```

pub mod codes;
mod escape;
mod filter;
mod layer;
mod queue;
mod redact;
mod retention;
mod sink;
mod stderr;
#[cfg(test)]
mod tests;
mod writer;

use std::io;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use crate::ledger::log_db::{Level, LogDb, LogQuery, Record};
pub use crate::query::{TimeError, parse_time};
pub use escape::{SERVER_TEXT_MAX, cap, escape};
pub use layer::LogLayer;
pub use redact::{REDACTED, Redactor};
pub use sink::{Actor, LOG_FILE, LogOptions, Sink, StderrOptions};
pub use stderr::Style;
pub use writer::LogHealth;

/// Begins the log of this process; once, by `cli`.
///
/// An error means that no thread could be made, or that there is a log already.
pub fn init(options: LogOptions) -> io::Result<Sink> {
    let sink = Sink::new(options)?;
    tracing_subscriber::registry().with(sink.layer()).try_init().map_err(io::Error::other)?;
    Ok(sink)
}

//! Every stable code of the log: what it means and what to do about it.
//!
//! One file for each source; `docs/log.md` has all of them in one table, and a test holds both
//! together. A code never changes its meaning.

mod archive;
mod config;
mod connection;
mod daemon;
mod delete;
mod incoming;
mod ledger;
mod oauth;
mod outgoing;
mod rules;

use std::sync::LazyLock;

use crate::ledger::log_db::Level;
use crate::model::nearest;

/// A stable code of log records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Code {
    /// The word.
    pub code: &'static str,
    /// The level that its records usually have.
    pub level: Level,
    /// What has happened.
    pub cause: &'static str,
    /// What a person can do.
    pub remedy: &'static str,
}

/// All codes, by their words.
pub static CODES: LazyLock<Vec<Code>> = LazyLock::new(|| {
    let mut all = PARTS.concat();
    all.sort_by_key(|code| code.code);
    all
});

/// The code with this word.
pub fn find(code: &str) -> Option<&'static Code> {
    let position = CODES.binary_search_by(|known| known.code.cmp(code)).ok()?;
    CODES.get(position)
}

/// The code whose word is most like this one, if any is like it at all.
pub fn near(word: &str) -> Option<&'static Code> {
    nearest(word, CODES.iter().map(|code| code.code)).and_then(find)
}

const PARTS: &[&[Code]] = &[
    archive::CODES,
    config::CODES,
    connection::CODES,
    daemon::CODES,
    delete::CODES,
    incoming::CODES,
    ledger::CODES,
    oauth::CODES,
    outgoing::CODES,
    rules::CODES,
];

#[cfg(test)]
mod tests;

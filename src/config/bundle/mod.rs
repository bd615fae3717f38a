//! Moving accounts between instances: a bundle out, a bundle in.
//!
//! Pure: texts in, texts out. What is written where, and in which order, is the caller's.

mod edit;
mod export;
mod import;

use super::facts::{Facts, TableName};
use super::problem::Problem;
use super::raw::Raw;
use super::source::Source;

pub use export::{Export, export};
pub use import::{Change, Import, ImportOptions, Verdict, import, import_text};

/// Tables that a bundle holds.
pub(super) const KINDS: [&str; 3] = ["inbound", "outbound", "oauth"];

/// A bundle that was read.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) facts: Facts,
    /// Secrets that its maker left out: table and key.
    pub(super) left_out: Vec<(TableName, String)>,
}

/// Reads a bundle; relative paths in it start at its folder.
pub(super) fn read(source: &Source) -> Result<Bundle, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut raw = Raw::default();
    raw.add(source, false, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let left_out = raw.left_out.iter().filter_map(|path| named(path)).collect();
    let facts = super::facts::of(&raw);
    Ok(Bundle { facts, left_out })
}

/// `inbound.invoices.password` as a table's name and a key; names may hold dots, keys don't.
fn named(path: &str) -> Option<(TableName, String)> {
    let (table, key) = path.rsplit_once('.')?;
    let (kind, name) = table.split_once('.')?;
    KINDS.contains(&kind).then(|| (TableName::new(kind, name), key.to_owned()))
}

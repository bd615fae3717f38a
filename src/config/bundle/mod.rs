//! Moving accounts between instances: a bundle out, a bundle in.
//!
//! Pure: texts in, texts out. What is written where, and in which order, is the caller's.

mod edit;
mod export;
mod import;

use super::facts::{Facts, RULES, TableName};
use super::problem::Problem;
use super::raw::Raw;
use super::source::Source;

pub use export::{Export, export};
pub use import::{Change, Import, ImportOptions, Verdict, import, import_text};

#[cfg(test)]
mod tests;

/// Tables that a bundle holds.
pub(super) const KINDS: [&str; 3] = ["inbound", "outbound", "oauth"];

/// A bundle that was read.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) facts: Facts,
    /// Secrets that its maker left out: table and key.
    pub(super) left_out: Vec<(TableName, String)>,
    /// `config export` wrote it, be there tables in it or none.
    pub(super) exported: bool,
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
    Ok(Bundle { facts, left_out, exported: source.text.starts_with(export::MARK) })
}

/// `inbound.invoices.password` as a table's name and a key; names may hold dots, keys don't.
fn named(path: &str) -> Option<(TableName, String)> {
    let rule = path.rsplit_once(".on_received.").filter(|(_, rest)| {
        rest.split_once('.').is_some_and(|(n, key)| n.parse::<u32>().is_ok() && key == "secret")
    });
    if let Some((table, rest)) = rule {
        let (kind, name) = table.split_once('.')?;
        return Some((TableName::new(kind, name), format!("{RULES}{rest}")));
    }
    let (table, key) = path.rsplit_once('.')?;
    let (kind, name) = table.split_once('.')?;
    KINDS.contains(&kind).then(|| (TableName::new(kind, name), key.to_owned()))
}

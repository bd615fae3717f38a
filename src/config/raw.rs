//! TOML into typed tables, file by file: unknown keys, wrong types and syntax errors are found
//! here, all at once.
//!
//! Rules between keys are not checked here; that is `build`.

mod accounts;
mod reader;
mod unknown;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::problem::{Place, Problem};
use super::source::Source;
use super::value::Value;
use reader::Reader;

/// What all files together hold, checked key by key.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// A file has syntax errors or could not be read: a table that seems missing may stand there.
    pub(super) broken: bool,
    /// The main file has syntax errors: a default that seems missing may stand there.
    pub(super) main_broken: bool,
    pub(super) includes: Vec<(String, Place)>,
    /// Secrets that a bundle left out: `inbound.NAME.password`.
    pub(super) left_out: Vec<String>,
    pub(super) daemon: RawTable,
    pub(super) archive: RawTable,
    pub(super) log: RawTable,
    pub(super) filters: BTreeMap<String, String>,
    pub(super) notices: RawTable,
    pub(super) defaults_inbound: RawTable,
    pub(super) defaults_properties: RawTable,
    pub(super) defaults_on_received: Vec<RawTable>,
    pub(super) defaults_outbound: RawTable,
    pub(super) inbound: BTreeMap<String, RawHalf>,
    pub(super) outbound: BTreeMap<String, RawHalf>,
    pub(super) oauth: BTreeMap<String, RawTable>,
}

/// An inbound or outbound account.
#[derive(Debug, Default)]
pub(super) struct RawHalf {
    pub(super) table: RawTable,
    /// `[account.NAME]` around it.
    pub(super) shared: Option<Arc<RawTable>>,
    pub(super) properties: RawTable,
    pub(super) canary: RawTable,
    /// In their order.
    pub(super) on_received: Vec<RawTable>,
}

/// One table's entries that are known keys.
#[derive(Debug, Default)]
pub(super) struct RawTable {
    /// `inbound.invoices`.
    pub(super) path: String,
    /// The header's; `None` when the table is absent.
    pub(super) place: Option<Place>,
    /// Its file has syntax errors: a key that seems missing may stand there.
    pub(super) broken: bool,
    pub(super) entries: BTreeMap<&'static str, Entry>,
}

/// One key's value.
#[derive(Debug)]
pub(super) struct Entry {
    /// `None` when it was refused; a problem says why.
    pub(super) value: Option<Value>,
    pub(super) place: Place,
    /// As messages show it; secrets by their kind only.
    pub(super) shown: String,
}

impl Raw {
    /// Reads one more file; the first one is the main file.
    pub(super) fn add(&mut self, source: &Source, main: bool, problems: &mut Vec<Problem>) {
        Reader::new(source, main, problems).read_into(self);
    }
}

impl RawTable {
    /// The place of a key, else of the header.
    pub(super) fn place_of(&self, name: &str) -> Option<&Place> {
        self.entries.get(name).map(|entry| &entry.place).or(self.place.as_ref())
    }
}

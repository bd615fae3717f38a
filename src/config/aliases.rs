//! Which names of the keystore the configuration asks for, and where.
//!
//! Whether they exist is not known here: the keystore is `secret`'s.

use super::permissions::tables;
use super::problem::Place;
use super::raw::Raw;
use super::types::SecretSpec;
use super::value::Value;

/// One `{ key = "NAME" }`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alias {
    /// The name in the keystore.
    pub name: String,
    /// The key that has it: `password`.
    pub key: &'static str,
    /// The table: `inbound.invoices`.
    pub table: String,
    /// Where it stands.
    pub place: Place,
}

/// All of them, table by table.
pub(super) fn of(raw: &Raw) -> Vec<Alias> {
    let mut aliases = Vec::new();
    for table in tables(raw) {
        for (key, entry) in &table.entries {
            let Some(Value::Secret(SecretSpec::Key(name))) = &entry.value else { continue };
            let (name, place) = (name.clone(), entry.place.clone());
            aliases.push(Alias { name, key, table: table.path.clone(), place });
        }
    }
    aliases
}

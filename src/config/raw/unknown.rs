//! What is said of unknown keys and tables: another product's name, another table, a slip.

use toml::de::DeValue;

use crate::config::foreign;
use crate::config::keys::{TABLES, Table};
use crate::config::problem::{Problem, plain};
use crate::model::{nearest, one_of};

/// An unknown key of a table; `hint` is what is known of it already.
pub(super) fn key(spec: &Table, word: &str, hint: Option<String>) -> Problem {
    let near = || nearest(word, spec.keys().map(|key| key.name));
    let hint = hint
        .or_else(|| elsewhere(spec, word))
        .or_else(|| near().map(|near| format!("did you mean `{near}`?")))
        .unwrap_or_else(|| {
            let names: Vec<&str> = spec.keys().map(|key| key.name).collect();
            format!("allowed here: {}", names.join(", "))
        });
    Problem::error(format!("unknown key `{}`", plain(word))).hint(hint)
}

/// An unknown entry where only the tables `known` may stand; `top`: at the top level.
pub(super) fn table(word: &str, value: &DeValue<'_>, top: bool, known: &[&str]) -> Problem {
    let is_table = matches!(value, DeValue::Table(_) | DeValue::Array(_));
    let what = if is_table { "unknown table" } else { "unknown key" };
    let owner = || {
        let owner = TABLES.iter().find(|table| table.key(word).is_some());
        let owner = owner.filter(|_| !is_table)?;
        Some(format!("`{word}` belongs under `[{}]`", owner.path))
    };
    let near = || nearest(word, known.iter().copied());
    let hint = foreign::table_hint(word)
        .filter(|_| is_table && top)
        .or_else(owner)
        .or_else(|| near().map(|near| format!("did you mean `{near}`?")))
        .unwrap_or_else(|| format!("allowed here: {}", one_of(known)));
    Problem::error(format!("{what} `{}`", plain(word))).hint(hint)
}

/// A key that another table has: `from` in `[inbound.NAME]`.
fn elsewhere(spec: &Table, word: &str) -> Option<String> {
    let others = TABLES.iter().filter(|table| table.path != spec.path && !table.path.is_empty());
    let owner = others.filter(|table| table.path != "log.filters").find(|t| t.key(word).is_some());
    owner.map(|table| format!("`{word}` belongs under `[{}]`", table.path))
}

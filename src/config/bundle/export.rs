//! Accounts, submission servers and tokens as one file that another instance can take.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::config::facts::{
    CANARY, Fact, Facts, PROPERTIES, RULES, TableFacts, TableName, rule_key,
};
use crate::config::value::quoted;

use super::KINDS;

/// A bundle.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Export {
    /// The file's text; no secret is in it.
    pub text: String,
    /// Tables in it.
    pub tables: Vec<TableName>,
    /// Secrets that stand in this instance's files and are not in the bundle: table and key.
    pub left_out: Vec<(TableName, String)>,
}

/// How each bundle begins.
pub(super) const MARK: &str = "# Accounts of a postrider instance";

const HEAD: &str = "\
# Accounts of a postrider instance, made by `postrider config export`.
# `postrider config import FILE` takes them into another one. Secrets are named, not held.
";

/// Writes the bundle of these facts.
pub fn export(facts: &Facts) -> Export {
    let mut text = HEAD.to_owned();
    let mut tables = Vec::new();
    let mut left_out = Vec::new();
    for (name, table) in facts.iter().filter(|(name, _)| KINDS.contains(&name.kind.as_str())) {
        tables.push(name.clone());
        add(&mut text, format_args!("\n{}", written(name, table)));
        let inline = table.iter().filter(|(_, fact)| matches!(fact, Fact::Inline(_)));
        left_out.extend(inline.map(|(key, _)| (name.clone(), key.clone())));
    }
    if !left_out.is_empty() {
        let names = left_out.iter().map(|(table, key)| quoted(&format!("{table}.{key}")));
        let names: Vec<String> = names.map(|name| format!("    {name},\n")).collect();
        let why = "Secrets that stood in the files themselves and were left out.";
        add(&mut text, format_args!("\n[bundle]\n# {why}\nleft_out = [\n{}]\n", names.concat()));
    }
    Export { text, tables, left_out }
}

/// Whether a key stands in a canary or a rule.
pub(super) fn is_nested(key: &str) -> bool {
    key.starts_with(CANARY) || key.starts_with(RULES)
}

/// `inbound.invoices`, quoted where the name needs it.
pub(super) fn header(name: &TableName) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.name.chars().all(bare) {
        name.to_string()
    } else {
        format!("{}.{}", name.kind, quoted(&name.name))
    }
}

/// A table with its canary and its rules, inline secrets left out.
pub(super) fn written(name: &TableName, table: &TableFacts) -> String {
    let header = header(name);
    let mut text = format!("[{header}]\n{}", lines(table));
    let mut rules: BTreeMap<u32, String> = BTreeMap::new();
    let mut canary = String::new();
    for (key, fact) in table {
        let line = match fact {
            Fact::Value(value) => value.as_str(),
            Fact::Inline(_) => "",
        };
        let (into, key) = if let Some((number, key)) = rule_key(key) {
            (rules.entry(number).or_default(), key)
        } else if let Some(key) = key.strip_prefix(CANARY) {
            (&mut canary, key)
        } else {
            continue;
        };
        if !line.is_empty() {
            add(into, format_args!("{key} = {line}\n"));
        }
    }
    if !canary.is_empty() {
        add(&mut text, format_args!("[{header}.canary]\n{canary}"));
    }
    for (place, (number, rule)) in (1_u32..).zip(&rules) {
        add(&mut text, format_args!("[[{header}.on_received]]\n"));
        // Its usual name has its number, and is part of the keys that receivers know: a rule of the
        // defaults that other rules of theirs no longer stand before keeps its own.
        let given = |key: &str| table.get(&format!("{RULES}{number}.{key}"));
        if let (None, Some(Fact::Value(deed))) = (given("name"), given("do"))
            && place != *number
        {
            let name = format!("{}-{number}", deed.trim_matches('"'));
            add(&mut text, format_args!("name = {}\n", quoted(&name)));
        }
        add(&mut text, format_args!("{rule}"));
    }
    text
}

/// The keys of a table in the order of the key table, inline secrets left out.
fn lines(table: &TableFacts) -> String {
    let mut text = String::new();
    for (key, fact) in table.iter().filter(|(key, _)| !is_nested(key)) {
        let Fact::Value(value) = fact else { continue };
        match key.strip_prefix(PROPERTIES) {
            Some(rest) => add(&mut text, format_args!("properties.{} = {value}\n", quoted(rest))),
            None => add(&mut text, format_args!("{key} = {value}\n")),
        }
    }
    text
}

fn add(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    text.write_fmt(arguments).ok();
}

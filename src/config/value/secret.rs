//! Where a secret is: one text, or a table with exactly one source. Shows none of it.

use std::path::Path;

use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use crate::config::types::SecretSpec;
use crate::model::{nearest, one_of};

use super::Fault;

const SOURCES: [&str; 5] = ["file", "key", "credential", "command", "env"];

pub(super) fn read(value: &DeValue<'_>, base: &Path) -> Result<SecretSpec, Fault> {
    match value {
        DeValue::String(text) => {
            check_text(text)?;
            Ok(SecretSpec::Text(Zeroizing::new(text.to_string())))
        }
        DeValue::Table(table) => from_table(table, base),
        _ => Err(Fault::new("is neither a text nor a table")),
    }
}

fn from_table(table: &DeTable<'_>, base: &Path) -> Result<SecretSpec, Fault> {
    let allowed = || format!("exactly one of {}", one_of(&SOURCES));
    let mut entries = table.iter();
    let (Some((name, value)), None) = (entries.next(), entries.next()) else {
        let names: Vec<&str> = table.keys().map(|k| k.get_ref().as_ref()).collect();
        let what = if names.is_empty() {
            "names no source".to_owned()
        } else {
            format!("has {} sources: {}", names.len(), shown_names(&names))
        };
        return Err(Fault::new(what).hint(allowed()));
    };
    let name = name.get_ref().as_ref();
    let value = value.get_ref();
    match name {
        "command" => command(value),
        "file" => Ok(SecretSpec::File(base.join(text(value, name)?))),
        "key" => word(value, name).map(SecretSpec::Key),
        "credential" => word(value, name).map(SecretSpec::Credential),
        "env" => env(value),
        _ => {
            let meant = nearest(name, SOURCES).map(|m| format!("; did you mean `{m}`?"));
            let name = super::plain(name);
            Err(Fault::new(format!("has an unknown source `{name}`")).hint(format!(
                "{}{}",
                allowed(),
                meant.unwrap_or_default()
            )))
        }
    }
}

fn shown_names(names: &[&str]) -> String {
    let names: Vec<String> =
        names.iter().take(8).map(|n| format!("`{}`", super::plain(n))).collect();
    names.join(", ")
}

fn text<'a>(value: &'a DeValue<'_>, name: &str) -> Result<&'a str, Fault> {
    match value {
        DeValue::String(text) if !text.is_empty() && !text.contains(char::is_control) => Ok(text),
        _ => Err(Fault::new(format!("needs a text in quotes for `{name}`"))),
    }
}

/// A name that can't leave the folder or store it is looked up in.
fn word(value: &DeValue<'_>, name: &str) -> Result<String, Fault> {
    let text = text(value, name)?;
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@');
    if text.len() <= 255 && !text.starts_with('.') && text.bytes().all(good) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("has a bad name for `{name}`"))
        .hint("letters, digits, `.`, `_`, `-`, `@`; not a path"))
}

fn env(value: &DeValue<'_>) -> Result<SecretSpec, Fault> {
    let name = text(value, "env")?;
    let good = !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if good {
        return Ok(SecretSpec::Env(name.to_owned()));
    }
    Err(Fault::new("has a bad name for `env`").hint("the variable's name alone, without `$`"))
}

fn command(value: &DeValue<'_>) -> Result<SecretSpec, Fault> {
    let hint = "the program and its arguments, each a text: \
                `{ command = [\"/usr/bin/pass\", \"show\", \"mail\"] }`; no shell runs it";
    let fault = |what: &str| Err(Fault::new(what).hint(hint));
    let DeValue::Array(items) = value else {
        return fault("needs a list for `command`");
    };
    let mut argv = Vec::new();
    for item in items {
        match item.get_ref() {
            DeValue::String(text) if !text.contains('\0') => argv.push(text.to_string()),
            _ => return fault("needs a list of texts for `command`"),
        }
    }
    match argv.first() {
        // A name alone is looked up in PATH; a relative path would depend on the current folder.
        Some(program) if program.starts_with('/') || is_bare(program) => {
            Ok(SecretSpec::Command(argv))
        }
        Some(_) => fault("has a relative path for the program of `command`"),
        None => fault("has an empty `command`"),
    }
}

fn is_bare(program: &str) -> bool {
    !program.is_empty() && !program.contains('/')
}

fn check_text(text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::new("is empty"));
    }
    if text.contains(['\r', '\n', '\0']) {
        return Err(Fault::new("contains a CR, LF or NUL, which no server takes"));
    }
    Ok(())
}

//! A value back to TOML, so that it reads back as the same value anywhere: no relative path, no
//! other spelling.

use std::fmt::Write as _;

use data_encoding::BASE64;

use crate::config::types::SecretSpec;
use crate::model::ByteSize;

use super::{Value, duration_text};

/// The TOML of a value; `None` for a secret that is a text.
pub(in crate::config) fn written(value: &Value) -> Option<String> {
    Some(match value {
        Value::Bool(yes) => yes.to_string(),
        Value::Cron(schedule) => quoted(schedule.as_str()),
        Value::Duration(duration) => quoted(&duration_text(*duration)),
        Value::Integer(number) => number.to_string(),
        Value::Ip(ip) => quoted(&ip.to_string()),
        Value::List(items) => list(items.iter().map(|item| quoted(item))),
        Value::LocalTime(time) => time.to_string(),
        Value::Mode(bits) => quoted(&format!("{bits:04o}")),
        Value::Path(path) => quoted(&path.to_string_lossy()),
        Value::Pins(pins) => list(pins.iter().map(|pin| quoted(&BASE64.encode(pin)))),
        Value::Rate(rate) => {
            quoted(&format!("{}/{}", size(ByteSize(rate.octets)), duration_text(rate.window)))
        }
        Value::Secret(spec) => reference(spec)?,
        Value::Size(octets) => quoted(&size(*octets)),
        Value::Text(text) => quoted(text),
        Value::Timestamp(time) => time.to_string(),
        Value::Unlimited => quoted("unlimited"),
        Value::Zone(_, name) => quoted(name),
    })
}

/// Where a secret is, as the config writes it.
fn reference(spec: &SecretSpec) -> Option<String> {
    let (word, value) = match spec {
        SecretSpec::Command(argv) => ("command", list(argv.iter().map(|word| quoted(word)))),
        SecretSpec::Credential(name) => ("credential", quoted(name)),
        SecretSpec::Env(name) => ("env", quoted(name)),
        SecretSpec::File(path) => ("file", quoted(&path.to_string_lossy())),
        SecretSpec::Key(name) => ("key", quoted(name)),
        SecretSpec::Text(_) => return None,
    };
    Some(format!("{{ {word} = {value} }}"))
}

/// The unit only where nothing is rounded away.
fn size(octets: ByteSize) -> String {
    let text = octets.to_string().replace(' ', "");
    if text.parse() == Ok(octets) { text } else { format!("{}B", octets.0) }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<String>>().join(", "))
}

/// A TOML basic string.
pub(in crate::config) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a String can't fail.
                write!(out, "\\u{:04X}", u32::from(c)).ok();
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use toml::de::DeValue;

    use super::*;
    use crate::config::keys::TABLES;
    use crate::config::value::read;

    #[test]
    fn every_example_and_default_reads_back_as_itself() {
        for table in TABLES {
            for key in table.keys() {
                for text in [Some(key.example), key.default].into_iter().flatten() {
                    let parsed = DeValue::parse(text).unwrap();
                    let value = read(key.kind, parsed.get_ref(), Path::new("/etc")).unwrap();
                    let Some(again) = written(&value) else { continue };
                    let parsed = DeValue::parse(&again).expect(&again);
                    let back = read(key.kind, parsed.get_ref(), Path::new("/elsewhere"));
                    let back =
                        back.unwrap_or_else(|fault| panic!("{} = {again}: {fault:?}", key.name));
                    assert_eq!(format!("{value:?}"), format!("{back:?}"), "{} = {again}", key.name);
                }
            }
        }
    }

    #[test]
    fn odd_texts_and_sizes_lose_nothing() {
        let text = "a\"b\\c\u{7f}\u{85}é";
        let written = quoted(text);
        let parsed = DeValue::parse(&written).unwrap().into_inner();
        assert!(matches!(parsed, DeValue::String(back) if back == text));
        for octets in [1, 1023, 1025, 1 << 30, 1_000_000, u64::MAX] {
            assert_eq!(size(ByteSize(octets)).parse(), Ok(ByteSize(octets)));
        }
    }
}

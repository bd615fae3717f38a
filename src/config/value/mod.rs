//! One TOML value and one [`Kind`] in, a [`Value`] in units or a [`Fault`] out.
//!
//! Knows nothing of other keys; never puts a secret into a fault.

mod duration;
mod host;
mod pin;
mod secret;
mod text;
mod time;
mod written;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use toml::de::DeValue;

use crate::model::ByteSize;
use crate::provider;
use crate::schedule::CronSchedule;

use super::keys::Kind;
use super::problem::plain;
use super::types::{MinRate, SecretSpec};
use crate::model::{nearest, one_of};

pub(super) use duration::duration_text;
pub use text::is_account_name;
pub(super) use text::{layout_fault, longest};
pub(super) use written::{quoted, written};

/// A value of the right type, in units.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Bool(bool),
    Cron(CronSchedule),
    Duration(Duration),
    Integer(i64),
    Ip(IpAddr),
    List(Vec<String>),
    /// A date and time without an offset.
    LocalTime(DateTime),
    Mode(u32),
    Path(PathBuf),
    Pins(Vec<[u8; 32]>),
    Rate(MinRate),
    Secret(SecretSpec),
    Size(ByteSize),
    Text(String),
    Timestamp(Timestamp),
    /// `"unlimited"`.
    Unlimited,
    Zone(TimeZone, String),
}

/// Why a value is refused.
#[derive(Debug)]
pub(super) struct Fault {
    /// Follows "`key = value`": "is not a duration".
    pub(super) what: String,
    /// What is allowed; empty: the kind's own words.
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Reads a value; `base` is the folder that relative paths start from.
pub(super) fn read(kind: Kind, value: &DeValue<'_>, base: &Path) -> Result<Value, Fault> {
    match kind {
        Kind::Bool => read_bool(value, None),
        Kind::BoolOr(word) => read_bool(value, Some(word)),
        Kind::Choice(words) => choice(value, words).map(Value::Text),
        Kind::Choices(words) => {
            let read = |item: &DeValue<'_>| choice(item, words);
            list(value, read).map(Value::List)
        }
        Kind::Cron => cron(value),
        Kind::DateTime => time::read(value),
        Kind::DeleteMode => text::delete_mode(value).map(Value::Text),
        Kind::Duration(least, most) => duration::read(value, least, most),
        Kind::Folders => text::folders(value),
        Kind::Integer(least, most) => integer(value, least, most),
        Kind::Limit(..) | Kind::SizeLimit if is_unlimited(value) => Ok(Value::Unlimited),
        Kind::Limit(least, most) => integer(value, least, most).map_err(|fault| {
            let hint = fault.hint.unwrap_or_default();
            Fault { what: fault.what, hint: Some(format!("{hint}; no limit: `\"unlimited\"`")) }
        }),
        Kind::Mode => mode(value),
        Kind::Pins => pin::read(value).map(Value::Pins),
        Kind::Rate => duration::rate(value).map(Value::Rate),
        Kind::Secret => secret::read(value, base).map(Value::Secret),
        Kind::Size | Kind::SizeLimit => size(value),
        Kind::TextOrSecret(most) => text_or_secret(value, most, base),
        Kind::Texts => list(value, |item| text::line(item, 4096)).map(Value::List),
        Kind::Address => text::address(value).map(Value::Text),
        Kind::Addresses => text::addresses(value),
        Kind::AccountName
        | Kind::Host
        | Kind::Ip
        | Kind::Layout
        | Kind::Path
        | Kind::Place
        | Kind::Provider
        | Kind::Text(_)
        | Kind::TimeZone => from_text(kind, value, base),
    }
}

/// The name of a provider as the table has it.
fn provider(word: &str) -> Result<String, Fault> {
    if let Some(provider) = provider::by_name(word) {
        return Ok(provider.name.to_owned());
    }
    let names: Vec<&str> = provider::all().map(|provider| provider.name).collect();
    let near = nearest(word, names.iter().copied());
    let near = near.map(|name| format!("did you mean `\"{name}\"`? ")).unwrap_or_default();
    Err(Fault::new("is no known provider").hint(format!("{near}known: {}", names.join(", "))))
}

/// A text, or a table that says where it is.
fn text_or_secret(value: &DeValue<'_>, most: usize, base: &Path) -> Result<Value, Fault> {
    match value {
        DeValue::Table(_) => secret::read(value, base).map(Value::Secret),
        _ => text::line(value, most).map(Value::Text),
    }
}

fn from_text(kind: Kind, value: &DeValue<'_>, base: &Path) -> Result<Value, Fault> {
    let most = if let Kind::Text(most) = kind { most } else { 4096 };
    let line = text::line(value, most)?;
    match kind {
        Kind::AccountName if !is_account_name(&line) => Err(Fault::new("is no account name")),
        Kind::Host => host::check(&line).map(Value::Text),
        Kind::Ip => match line.parse() {
            Ok(ip) => Ok(Value::Ip(ip)),
            Err(_) => Err(Fault::new("is not an IP address")),
        },
        Kind::Layout => match layout_fault(&line) {
            Some(why) => Err(Fault::new(why)),
            None => Ok(Value::Text(line)),
        },
        Kind::Path | Kind::Place => Ok(Value::Path(base.join(line))),
        Kind::Provider => provider(&line).map(Value::Text),
        Kind::TimeZone => time::zone(line),
        _ => Ok(Value::Text(line)),
    }
}

/// A value as messages show it: short, and safe for a terminal.
pub(super) fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", plain(&hide_userinfo(text))),
        DeValue::Integer(number) => plain(&number.to_string()),
        DeValue::Float(number) => plain(number.as_str()),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(when) => when.to_string(),
        DeValue::Array(items) => {
            let items: Vec<String> = items.iter().take(8).map(|i| shown(i.get_ref())).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Table(_) => "{ … }".to_owned(),
    }
}

/// `imaps://user:password@host` shows no password.
fn hide_userinfo(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => text.to_owned(),
    }
}

fn read_bool(value: &DeValue<'_>, word: Option<&str>) -> Result<Value, Fault> {
    match value {
        DeValue::Boolean(yes) => Ok(Value::Bool(*yes)),
        DeValue::String(text) if word == Some(text.as_ref()) => Ok(Value::Text(text.to_string())),
        DeValue::String(text) => {
            let fault = Fault::new("is not true or false");
            Err(match text.to_ascii_lowercase().as_str() {
                "yes" | "true" | "on" => fault.hint("write `true`, without quotes"),
                "no" | "false" | "off" => fault.hint("write `false`, without quotes"),
                _ => fault,
            })
        }
        _ => Err(Fault::new("is not true or false")),
    }
}

fn choice(value: &DeValue<'_>, words: &[&'static str]) -> Result<String, Fault> {
    let allowed = format!("one of {}", one_of(words));
    let DeValue::String(text) = value else {
        return Err(Fault::new("is not a text in quotes").hint(allowed));
    };
    if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
        return Ok((*word).to_owned());
    }
    let meant = match text.to_ascii_lowercase().as_str() {
        "ssl" | "ssl/tls" | "implicit" => words.iter().find(|word| **word == "tls").copied(),
        "imap3" | "imap4" | "imap4rev1" | "imaps" => words.iter().find(|w| **w == "imap").copied(),
        "pop" | "pop3s" => words.iter().find(|word| **word == "pop3").copied(),
        "gmail" => words.iter().find(|word| **word == "google").copied(),
        "warn" => words.iter().find(|word| **word == "warning").copied(),
        "smtp" if words.contains(&"imap") => {
            return Err(Fault::new("is not allowed here")
                .hint("SMTP servers go under `[outbound.NAME]`; here it is `imap` or `pop3`"));
        }
        _ => nearest(text, words.iter().copied()),
    };
    let meant = meant.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
    Err(Fault::new("is not allowed").hint(format!("{allowed}{meant}")))
}

fn list<T>(
    value: &DeValue<'_>,
    read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let DeValue::Array(items) = value else {
        return Err(Fault::new("is not a list").hint("write it in brackets: `[\"…\"]`"));
    };
    items.iter().map(|item| read(item.get_ref())).collect()
}

fn cron(value: &DeValue<'_>) -> Result<Value, Fault> {
    let line = text::line(value, 256)?;
    CronSchedule::parse(&line).map(Value::Cron).map_err(|error| {
        Fault::new(format!("is no cron expression: {error}"))
            .hint("minute, hour, day, month, weekday, such as `\"*/5 8-18 * * Mon-Fri\"`")
    })
}

fn integer(value: &DeValue<'_>, least: i64, most: i64) -> Result<Value, Fault> {
    let range = format!("a whole number from {least} to {most}");
    match value {
        DeValue::Integer(number) => {
            let digits = number.as_str();
            match i64::from_str_radix(digits, number.radix()) {
                Ok(0) if least == 1 => Err(Fault::new("would let nothing through").hint(range)),
                Ok(n) if (least..=most).contains(&n) => Ok(Value::Integer(n)),
                _ => Err(Fault::new("is out of range").hint(range)),
            }
        }
        DeValue::String(text) if text.trim().parse::<i64>().is_ok() => {
            Err(Fault::new("is a text").hint("write the number without quotes"))
        }
        _ => Err(Fault::new("is not a whole number").hint(range)),
    }
}

fn size(value: &DeValue<'_>) -> Result<Value, Fault> {
    let number = match value {
        DeValue::Integer(number) => {
            let digits = number.as_str();
            u64::from_str_radix(digits, number.radix())
                .map(ByteSize)
                .map_err(|_| Fault::new("is not a size"))?
        }
        DeValue::String(text) => text
            .parse::<ByteSize>()
            .map_err(|error| Fault::new("is not a size").hint(error.to_string()))?,
        _ => return Err(Fault::new("is not a size")),
    };
    if number.0 == 0 {
        Err(Fault::new("would let nothing through"))
    } else {
        Ok(Value::Size(number))
    }
}

fn is_unlimited(value: &DeValue<'_>) -> bool {
    matches!(value, DeValue::String(text) if text == "unlimited")
}

fn mode(value: &DeValue<'_>) -> Result<Value, Fault> {
    let bits = match value {
        DeValue::String(text) if text.len() <= 4 => u32::from_str_radix(text, 8).ok(),
        DeValue::Integer(number) if number.radix() == 8 => {
            u32::from_str_radix(number.as_str(), 8).ok()
        }
        _ => None,
    };
    match bits {
        Some(bits) if bits & !0o7777 == 0 && bits & 0o600 == 0o600 => Ok(Value::Mode(bits)),
        Some(_) => Err(Fault::new("shuts the owner out").hint("the owner must read and write")),
        None => Err(Fault::new("is not a file mode").hint("octal in quotes, such as `\"0640\"`")),
    }
}

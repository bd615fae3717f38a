//! One table's effective values: its own, else its account's, else the defaults', else built in.
//!
//! A value that was refused counts as given, so that one mistake causes one problem.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use crate::model::{AccountName, ByteSize, Mechanism};

use super::keys::Table;
use super::origin::{Origin, OriginKind};
use super::problem::Place;
use super::raw::{Entry, RawTable};
use super::types::{Encryption, SafeLogon, SecretSpec};
use super::value::{self, Value};
use crate::provider::Preset;

/// How near a layer is to the account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Layer {
    /// The account's own table.
    Own,
    /// `[account.NAME]` around it.
    Shared,
    /// `[defaults.…]`.
    Defaults,
}

/// A table's layers, nearest first.
#[derive(Debug)]
pub(super) struct View<'a> {
    spec: &'static Table,
    layers: Vec<(Layer, &'a RawTable)>,
    /// What `provider` stands for.
    preset: Option<Preset>,
}

impl<'a> View<'a> {
    pub(super) fn new(spec: &'static Table, layers: Vec<(Layer, &'a RawTable)>) -> Self {
        Self { spec, layers, preset: None }
    }

    /// With what `provider` stands for: it goes before what is farther away than itself.
    pub(super) fn with_preset(self, preset: Option<Preset>) -> Self {
        Self { preset, ..self }
    }

    /// What the provider says of a key, unless it is given as near as the provider or nearer.
    ///
    /// Without its encryption its port would be the wrong one.
    pub(super) fn preset_of(&self, name: &str) -> Option<Value> {
        let preset = self.preset?;
        let nearer = |key: &str| self.depth(key) <= self.depth("provider");
        match name {
            "host" if !nearer("host") => Some(Value::Text(preset.host.to_owned())),
            "port" if !nearer("port") && !nearer("encryption") => {
                Some(Value::Integer(i64::from(preset.port)))
            }
            "encryption" if !nearer("encryption") => {
                Some(Value::Text(preset.encryption.as_str().to_owned()))
            }
            _ => None,
        }
    }

    /// The nearest entry of a key, and its layer.
    pub(super) fn entry(&self, name: &str) -> Option<(Layer, &'a Entry)> {
        let mut layers = self.layers.iter();
        layers.find_map(|(layer, table)| table.entries.get(name).map(|entry| (*layer, entry)))
    }

    /// Whether any layer has the key, refused or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// How near the key is; `usize::MAX` when no layer has it.
    pub(super) fn depth(&self, name: &str) -> usize {
        let found = self.layers.iter().position(|(_, table)| table.entries.contains_key(name));
        found.unwrap_or(usize::MAX)
    }

    /// Whether a key that seems missing may have got lost by a syntax error.
    pub(super) fn is_broken(&self) -> bool {
        self.layers.iter().any(|(_, table)| table.broken)
    }

    /// The path of the table itself: `inbound.invoices`.
    pub(super) fn path(&self) -> &'a str {
        self.layers.first().map_or("", |(_, table)| table.path.as_str())
    }

    /// The place of a key, else of the table.
    pub(super) fn place(&self, name: &str) -> Option<&'a Place> {
        let table = || self.layers.first().and_then(|(_, table)| table.place.as_ref());
        self.entry(name).map(|(_, entry)| &entry.place).or_else(table)
    }

    /// The effective value: the built-in one where none is given or it was refused.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        if let Some(value) = self.preset_of(name) {
            return Some(value);
        }
        let given = self.entry(name).and_then(|(_, entry)| entry.value.clone());
        given.or_else(|| built_in(self.spec, name))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Bool(true)))
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        if let Some(Value::Text(text)) = self.value(name) { Some(text) } else { None }
    }

    pub(super) fn account(&self, name: &str) -> Option<AccountName> {
        self.text(name).map(AccountName::from)
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        if let Some(Value::List(list)) = self.value(name) { list } else { Vec::new() }
    }

    pub(super) fn path_of(&self, name: &str) -> Option<PathBuf> {
        if let Some(Value::Path(path)) = self.value(name) { Some(path) } else { None }
    }

    pub(super) fn ip(&self, name: &str) -> Option<IpAddr> {
        if let Some(Value::Ip(ip)) = self.value(name) { Some(ip) } else { None }
    }

    pub(super) fn duration(&self, name: &str) -> Option<Duration> {
        if let Some(Value::Duration(duration)) = self.value(name) { Some(duration) } else { None }
    }

    pub(super) fn size(&self, name: &str) -> Option<ByteSize> {
        if let Some(Value::Size(size)) = self.value(name) { Some(size) } else { None }
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        if let Some(Value::Integer(number)) = self.value(name) {
            u32::try_from(number).ok()
        } else {
            None
        }
    }

    pub(super) fn secret(&self, name: &str) -> Option<SecretSpec> {
        if let Some(Value::Secret(spec)) = self.value(name) { Some(spec) } else { None }
    }

    pub(super) fn encryption(&self) -> Encryption {
        match self.text("encryption").as_deref() {
            Some("none") => Encryption::None,
            Some("starttls") => Encryption::StartTls,
            _ => Encryption::Tls,
        }
    }

    pub(super) fn safe_logon(&self) -> SafeLogon {
        match self.value("safe_logon") {
            Some(Value::Bool(false)) => SafeLogon::Off,
            Some(Value::Text(_)) => SafeLogon::Strict,
            _ => SafeLogon::On,
        }
    }

    /// `sasl`, in its order.
    pub(super) fn mechanisms(&self) -> Vec<Mechanism> {
        self.list("sasl").iter().filter_map(|name| Mechanism::of_name(name)).collect()
    }

    pub(super) fn pins(&self, name: &str) -> Vec<[u8; 32]> {
        if let Some(Value::Pins(pins)) = self.value(name) { pins } else { Vec::new() }
    }

    /// Each key's effective value and where it comes from.
    pub(super) fn origins(&self) -> BTreeMap<&'static str, Origin> {
        let mut origins = BTreeMap::new();
        for key in self.spec.keys() {
            let origin = match (self.entry(key.name), key.default) {
                (Some((layer, entry)), _) => {
                    let place = entry.place.to_string();
                    Origin {
                        value: entry.shown.clone(),
                        secret: self.secret(key.name),
                        from: match layer {
                            Layer::Defaults => OriginKind::Defaults(place),
                            Layer::Own | Layer::Shared => OriginKind::File(place),
                        },
                    }
                }
                (None, Some(default)) => Origin::plain(default.to_owned(), OriginKind::BuiltIn),
                (None, None) => continue,
            };
            origins.insert(key.name, origin);
        }
        origins
    }
}

/// A key's default, read from its text in the table of keys.
pub(super) fn built_in(spec: &Table, name: &str) -> Option<Value> {
    let key = spec.key(name)?;
    let parsed = DeValue::parse(key.default?).ok()?;
    value::read(key.kind, parsed.get_ref(), Path::new("/")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::TABLES;

    #[test]
    fn all_defaults_and_examples_are_values_of_their_kind() {
        for table in TABLES {
            for key in table.keys() {
                for text in [Some(key.example), key.default].into_iter().flatten() {
                    let parsed = DeValue::parse(text).expect(key.name);
                    let read = value::read(key.kind, parsed.get_ref(), Path::new("/"));
                    assert!(read.is_ok(), "{} = {text}: {read:?}", key.name);
                }
            }
        }
    }
}

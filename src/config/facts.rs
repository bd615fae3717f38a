//! What a configuration says in effect, table by table, as TOML that depends on no file.
//!
//! Only what is given somewhere: a key without an entry has its built-in value. Made to be
//! compared, exported and recorded; the secrets in it are shown by nothing.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use super::keys::{self, Table};
use super::raw::{Raw, RawHalf, RawTable};
use super::types::SecretSpec;
use super::value::{Value, quoted, written};
use super::view::{Layer, View};

/// A table's name: kind and name, `inbound` and `invoices`; global tables have no name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct TableName {
    /// `inbound`, `outbound`, `oauth`, `archive`…
    pub kind: String,
    /// The account's; empty for a global table.
    pub name: String,
}

impl TableName {
    /// An account's or token's table.
    pub fn new(kind: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), name: name.to_owned() }
    }

    /// The keys that such a table may have.
    pub(super) fn spec(&self) -> &'static Table {
        match self.kind.as_str() {
            "inbound" => &keys::INBOUND,
            "outbound" => &keys::OUTBOUND,
            "oauth" => &keys::OAUTH,
            "archive" => &keys::ARCHIVE,
            "daemon" => &keys::DAEMON,
            "notices" => &keys::NOTICES,
            _ => &keys::LOG,
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, ".{}", self.name) }
    }
}

/// One key's effective value.
#[derive(Clone, Eq, PartialEq)]
pub enum Fact {
    /// TOML that reads the same everywhere.
    Value(String),
    /// A secret that stands in the file itself.
    Inline(Zeroizing<String>),
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl Fact {
    /// For people; a secret by its kind only.
    pub fn shown(&self) -> &str {
        match self {
            Self::Value(text) => text,
            Self::Inline(_) => "(text)",
        }
    }
}

/// The given values of one table, by key; tuning keys as `properties.imap.fetch_chunk`.
pub type TableFacts = BTreeMap<String, Fact>;

/// The given values of all tables.
pub type Facts = BTreeMap<TableName, TableFacts>;

/// What tuning keys are called in [`TableFacts`].
pub(super) const PROPERTIES: &str = "properties.";

/// What a canary's keys are called in [`TableFacts`].
pub(super) const CANARY: &str = "canary.";

/// What rules' keys are called in [`TableFacts`]: `on_received.1.do`, numbered from 1 on.
pub(super) const RULES: &str = "on_received.";

/// Number and key of a rule's key.
pub(super) fn rule_key(key: &str) -> Option<(u32, &str)> {
    let (number, key) = key.strip_prefix(RULES)?.split_once('.')?;
    Some((number.parse().ok()?, key))
}

/// Two ways to say one thing: the nearer one counts.
pub(super) const EXCLUSIVE: [(&str, &str); 2] = [("password", "oauth"), ("cron", "poll_interval")];

/// All tables of a configuration.
pub(super) fn of(raw: &Raw) -> Facts {
    let mut facts = Facts::new();
    let globals = [
        (&keys::DAEMON, "daemon", &raw.daemon),
        (&keys::ARCHIVE, "archive", &raw.archive),
        (&keys::LOG, "log", &raw.log),
        (&keys::NOTICES, "notices", &raw.notices),
    ];
    for (spec, kind, table) in globals {
        let view = View::new(spec, vec![(Layer::Own, table)]);
        facts.insert(TableName::new(kind, ""), given(spec, &view));
    }
    let filters = raw.filters.iter().map(|(name, text)| (name.clone(), Fact::Value(quoted(text))));
    facts.insert(TableName::new("log.filters", ""), filters.collect());
    for (name, half) in &raw.inbound {
        let mut own = account(&keys::INBOUND, half, &raw.defaults_inbound, &["user"]);
        let layers =
            vec![(Layer::Own, &half.properties), (Layer::Defaults, &raw.defaults_properties)];
        let tuning = given(&keys::PROPERTIES, &View::new(&keys::PROPERTIES, layers));
        own.extend(tuning.into_iter().map(|(key, fact)| (format!("{PROPERTIES}{key}"), fact)));
        nested(&mut own, half, &raw.defaults_on_received);
        facts.insert(TableName::new("inbound", name), own);
    }
    for (name, half) in &raw.outbound {
        let own = account(&keys::OUTBOUND, half, &raw.defaults_outbound, &["user", "from"]);
        facts.insert(TableName::new("outbound", name), own);
    }
    for (name, table) in &raw.oauth {
        let view = View::new(&keys::OAUTH, vec![(Layer::Own, table)]);
        facts.insert(TableName::new("oauth", name), given(&keys::OAUTH, &view));
    }
    facts.retain(|name, table| !(name.name.is_empty() && table.is_empty()));
    facts
}

/// An account's canary, and its rules: its own, else those of the defaults.
fn nested(own: &mut TableFacts, half: &RawHalf, defaults: &[RawTable]) {
    let pop3 = matches!(own.get("protocol"), Some(Fact::Value(text)) if text == "\"pop3\"");
    let mut add = |spec: &'static Table, table: &RawTable, prefix: &str| {
        let given = given(spec, &View::new(spec, vec![(Layer::Own, table)]));
        own.extend(given.into_iter().map(|(key, fact)| (format!("{prefix}{key}"), fact)));
    };
    add(&keys::CANARY, &half.canary, CANARY);
    let rules = if half.on_received.is_empty() { defaults } else { &half.on_received };
    for (n, rule) in (1_u32..).zip(rules) {
        // What the defaults do on the server is not for maildrops.
        if pop3 && half.on_received.is_empty() && is_on_server(rule) {
            continue;
        }
        add(&keys::ON_RECEIVED, rule, &format!("{RULES}{n}."));
    }
}

fn is_on_server(rule: &RawTable) -> bool {
    let deed = rule.entries.get("do").and_then(|entry| entry.value.as_ref());
    matches!(deed, Some(Value::Text(deed)) if ["seen", "flag", "move"].contains(&deed.as_str()))
}

/// One half of an account, its layers merged as they count.
fn account(
    spec: &'static Table,
    half: &RawHalf,
    defaults: &RawTable,
    from_address: &[&str],
) -> TableFacts {
    let mut layers = vec![(Layer::Own, &half.table)];
    layers.extend(half.shared.as_deref().map(|shared| (Layer::Shared, shared)));
    layers.push((Layer::Defaults, defaults));
    let view = View::new(spec, layers);
    let mut own = given(spec, &view);
    for (a, b) in EXCLUSIVE {
        let (near, far) = if view.depth(a) < view.depth(b) { (a, b) } else { (b, a) };
        if view.depth(near) != view.depth(far) {
            own.remove(far);
        }
    }
    let address = half.shared.as_deref().and_then(|shared| shared.entries.get("address"));
    if let Some(Value::Text(address)) = address.and_then(|entry| entry.value.as_ref()) {
        for key in from_address {
            own.entry((*key).to_owned()).or_insert_with(|| Fact::Value(quoted(address)));
        }
    }
    own
}

/// What any layer gives.
fn given(spec: &'static Table, view: &View<'_>) -> TableFacts {
    let mut facts = TableFacts::new();
    for key in spec.keys() {
        let Some(value) = view.entry(key.name).and_then(|(_, entry)| entry.value.as_ref()) else {
            continue;
        };
        facts.insert(key.name.to_owned(), fact(value));
    }
    facts
}

/// A value as a fact.
pub(super) fn fact(value: &Value) -> Fact {
    match value {
        Value::Secret(SecretSpec::Text(text)) => Fact::Inline(text.clone()),
        value => Fact::Value(written(value).unwrap_or_default()),
    }
}

/// The built-in value of a key, as [`Fact`]s are written; tuning keys, too.
pub(super) fn default_of(table: &TableName, key: &str) -> Option<String> {
    let (spec, key) = if let Some(rest) = key.strip_prefix(PROPERTIES) {
        (&keys::PROPERTIES, rest)
    } else if let Some(rest) = key.strip_prefix(CANARY) {
        (&keys::CANARY, rest)
    } else if let Some((_, rest)) = rule_key(key) {
        (&keys::ON_RECEIVED, rest)
    } else {
        (table.spec(), key)
    };
    super::view::built_in(spec, key).and_then(|value| written(&value))
}

//! Config files with tables put in, changed and taken out; everything else in them stays as it
//! is, comments and order too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike, value};
use zeroize::Zeroizing;

use crate::config::facts::{
    self, CANARY, EXCLUSIVE, Fact, Facts, PROPERTIES, RULES, TableFacts, TableName, default_of,
    fact, rule_key,
};
use crate::config::problem::Problem;
use crate::config::raw::{Raw, RawTable};
use crate::config::source::Source;
use crate::config::value::quoted;

use super::ImportOptions;
use super::export::{is_nested, written};

/// Keys that mean nothing without `delete_read`.
const OF_DELETE: [&str; 4] =
    ["delete_after_days", "delete_age_from", "delete_mode", "delete_max_per_poll"];

/// What stands within an account's table in tables of its own.
const NESTED: [&str; 3] = ["canary", "on_received", "properties"];

/// The files of a configuration, while they are changed.
pub(super) struct Files<'a> {
    raw: &'a Raw,
    main: PathBuf,
    texts: BTreeMap<PathBuf, &'a str>,
    changed: BTreeMap<PathBuf, DocumentMut>,
    options: &'a ImportOptions,
    /// As all tables are now.
    facts: Facts,
}

impl<'a> Files<'a> {
    pub(super) fn new(raw: &'a Raw, sources: &'a [Source], options: &'a ImportOptions) -> Self {
        let main = sources.first().map(|source| source.file.to_path_buf()).unwrap_or_default();
        let texts = sources.iter().map(|s| (s.file.to_path_buf(), s.text.as_str())).collect();
        Self { raw, main, texts, changed: BTreeMap::new(), options, facts: facts::of(raw) }
    }

    /// Makes a table say what is wanted; `kept` keys stay as they are here.
    pub(super) fn put(
        &mut self,
        name: &TableName,
        wanted: &TableFacts,
        kept: &BTreeSet<String>,
    ) -> Vec<Problem> {
        let own = self.own(name);
        let inherited = self.inherited(name);
        let (mut entries, mut problems) = settle(name, wanted, &inherited, kept);
        if self.options.defaults_count {
            problems.clear();
        }
        let here = own.is_some().then(|| self.facts.get(name)).flatten();
        problems.extend(self.foreign_rules(name, wanted, here.is_none()));
        entries.retain(|key, _| {
            !is_nested(key) || here.is_none_or(|here| differs(name, here, wanted, key))
        });
        if let Some((file, path)) = own {
            self.change(&file, &path, &entries, kept);
        } else {
            let given = entries.into_iter().filter_map(|(key, text)| Some((key, text?)));
            let table = given.map(|(key, text)| (key, Fact::Value(text))).collect();
            problems.extend(self.append(name, &table));
        }
        problems
    }

    /// Rules of this instance's defaults would act on the mail of an account that has none.
    fn foreign_rules(&self, name: &TableName, wanted: &TableFacts, new: bool) -> Option<Problem> {
        let act = new && name.kind == "inbound" && !self.raw.defaults_on_received.is_empty();
        if !act || self.options.defaults_count || wanted.keys().any(|key| key.starts_with(RULES)) {
            return None;
        }
        let what = format!(
            "the rules of this instance's `[[defaults.inbound.on_received]]` would count for \
             `{name}`, which has none in the bundle"
        );
        let hint = format!(
            "write `[[{name}.on_received]]` with `do = \"none\"` into the bundle, or move the rules \
             to the accounts that need them"
        );
        Some(Problem::error(what).hint(hint))
    }

    /// Takes a table out; a file that holds nothing any more goes, unless it is the main one.
    pub(super) fn remove(&mut self, name: &TableName) {
        let Some((file, path)) = self.own(name) else { return };
        let Some(document) = self.document(&file) else { return };
        let Some((last, before)) = path.split_last() else { return };
        let mut table: &mut dyn TableLike = document.as_table_mut();
        for part in before {
            let Some(inner) = table.get_mut(part).and_then(Item::as_table_like_mut) else { return };
            table = inner;
        }
        table.remove(last);
        // `[account.NAME]` without a half is an error.
        if let [kind, account, _] = path.as_slice()
            && kind == "account"
        {
            let halves = ["inbound", "outbound"].iter().any(|half| table.contains_key(half));
            if !halves && let Some(all) = document.get_mut("account") {
                all.as_table_like_mut().map(|all| all.remove(account));
            }
        }
        let empty: Vec<String> = document
            .iter()
            .filter(|(_, item)| item.as_table_like().is_some_and(TableLike::is_empty))
            .map(|(key, _)| key.to_owned())
            .collect();
        for key in empty {
            document.remove(&key);
        }
    }

    /// The files that are not as they were.
    pub(super) fn finish(self) -> BTreeMap<PathBuf, Option<Zeroizing<String>>> {
        let mut files = BTreeMap::new();
        for (file, document) in self.changed {
            let goes = document.is_empty() && file != self.main;
            let text = Zeroizing::new(document.to_string());
            let same = self.texts.get(&file).is_some_and(|old| *old == text.as_str());
            if !same {
                files.insert(file, (!goes).then_some(text));
            }
        }
        files
    }

    fn document(&mut self, file: &Path) -> Option<&mut DocumentMut> {
        if !self.changed.contains_key(file) {
            let text = self.texts.get(file).copied().unwrap_or_default();
            // It was read without errors before.
            self.changed.insert(file.to_owned(), text.parse().ok()?);
        }
        self.changed.get_mut(file)
    }

    /// The file that a table stands in, and its path there.
    fn own(&self, name: &TableName) -> Option<(PathBuf, Vec<String>)> {
        let table = self.table(name)?;
        let file = table.place.as_ref()?.file.to_path_buf();
        let path = if table.path.starts_with("account.") {
            vec!["account".to_owned(), name.name.clone(), name.kind.clone()]
        } else {
            vec![name.kind.clone(), name.name.clone()]
        };
        Some((file, path))
    }

    fn table(&self, name: &TableName) -> Option<&'a RawTable> {
        match name.kind.as_str() {
            "inbound" => self.raw.inbound.get(&name.name).map(|half| &half.table),
            "outbound" => self.raw.outbound.get(&name.name).map(|half| &half.table),
            _ => self.raw.oauth.get(&name.name),
        }
    }

    /// What the table gets from `[account.NAME]` and the defaults, the nearer first.
    fn inherited(&self, name: &TableName) -> TableFacts {
        let (half, defaults) = match name.kind.as_str() {
            "inbound" => (self.raw.inbound.get(&name.name), &self.raw.defaults_inbound),
            "outbound" => (self.raw.outbound.get(&name.name), &self.raw.defaults_outbound),
            _ => return TableFacts::new(),
        };
        let mut facts = TableFacts::new();
        if name.kind == "inbound" {
            let tuning = self.raw.defaults_properties.entries.iter();
            facts.extend(tuning.filter_map(|(key, entry)| {
                Some((format!("{PROPERTIES}{key}"), fact(entry.value.as_ref()?)))
            }));
        }
        let shared = half.and_then(|half| half.shared.as_deref());
        for layer in std::iter::once(defaults).chain(shared) {
            let known = layer.entries.iter().filter(|(key, _)| name.spec().key(key).is_some());
            facts.extend(
                known.filter_map(|(key, entry)| {
                    Some(((*key).to_owned(), fact(entry.value.as_ref()?)))
                }),
            );
        }
        facts
    }

    /// Sets and removes keys of a table that is there.
    fn change(
        &mut self,
        file: &Path,
        path: &[String],
        entries: &BTreeMap<String, Option<String>>,
        kept: &BTreeSet<String>,
    ) {
        let Some(document) = self.document(file) else { return };
        let mut table: &mut dyn TableLike = document.as_table_mut();
        for part in path {
            let Some(inner) = table.get_mut(part).and_then(Item::as_table_like_mut) else { return };
            table = inner;
        }
        let stale: Vec<String> = table
            .iter()
            .map(|(key, _)| key.to_owned())
            .filter(|key| !NESTED.contains(&key.as_str()))
            .filter(|key| !entries.contains_key(key) && !kept.contains(key))
            .collect();
        for key in stale {
            table.remove(&key);
        }
        nest(table, entries);
        let tuned = |key: &String| key.starts_with(PROPERTIES) || is_nested(key);
        for (key, text) in entries.iter().filter(|(key, _)| !tuned(key)) {
            set(table, key, text.as_deref());
        }
        let tuning: BTreeMap<&str, &str> = entries
            .iter()
            .filter_map(|(key, text)| Some((key.strip_prefix(PROPERTIES)?, text.as_deref()?)))
            .collect();
        if tuning.is_empty() {
            table.remove("properties");
        } else if !is_same_tuning(table.get("properties"), &tuning) {
            let mut own = Table::new();
            for (key, text) in tuning {
                set(&mut own, key, Some(text));
            }
            table.insert("properties", Item::Table(own));
        }
    }

    /// Writes a new table: to a file of its own where a glob of `include` finds it, else to the
    /// end of the main file.
    fn append(&mut self, name: &TableName, table: &TableFacts) -> Option<Problem> {
        let file = self.home(name);
        let known = self.texts.contains_key(&file) || self.changed.contains_key(&file);
        if !known && file.symlink_metadata().is_ok() {
            let what = format!("`{}` is there, and no file of this configuration", file.display());
            let hint = format!("`[{name}]` would take its place; move it away first");
            return Some(Problem::error(what).hint(hint));
        }
        let text = written(name, table);
        let document = self.document(&file)?;
        let mut whole = document.to_string();
        if known && !whole.is_empty() && !whole.ends_with("\n\n") {
            whole.push('\n');
        }
        whole.push_str(&text);
        if let Ok(parsed) = whole.parse() {
            *document = parsed;
        }
        None
    }

    /// The file for a table that is new.
    fn home(&self, name: &TableName) -> PathBuf {
        let base = self.main.parent().unwrap_or(Path::new(""));
        let glob = self.raw.includes.iter().find_map(|(pattern, _)| {
            let (folder, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
            (last == "*.toml").then(|| base.join(folder))
        });
        let named = self.options.home.clone();
        let Some(folder) = named.or(glob) else { return self.main.clone() };
        let stem = match name.kind.as_str() {
            "oauth" => format!("oauth-{}", name.name),
            _ => name.name.clone(),
        };
        folder.join(format!("{stem}.toml"))
    }
}

/// What a table's own lines must say so that with what it inherits it says what is wanted: a text,
/// or `None` for a key that must not stand there.
fn settle(
    name: &TableName,
    wanted: &TableFacts,
    inherited: &TableFacts,
    kept: &BTreeSet<String>,
) -> (BTreeMap<String, Option<String>>, Vec<Problem>) {
    let mut entries = BTreeMap::new();
    let mut problems = Vec::new();
    for (key, fact) in wanted {
        let text = match fact {
            Fact::Value(text) => text.clone(),
            Fact::Inline(text) => quoted(text),
        };
        let text = (inherited.get(key) != Some(fact)).then_some(text);
        entries.insert(key.clone(), text);
    }
    let deletes = wanted.get("delete_read") == Some(&Fact::Value("true".to_owned()));
    for (key, fact) in inherited {
        let given = |key: &str| wanted.contains_key(key) || kept.contains(key);
        let replaced =
            EXCLUSIVE.iter().any(|(a, b)| (key == a && given(b)) || (key == b && given(a)));
        if given(key) || replaced || (!deletes && OF_DELETE.contains(&key.as_str())) {
            continue;
        }
        match default_of(name, key) {
            Some(default) if *fact == Fact::Value(default.clone()) => {}
            Some(default) => {
                entries.insert(key.clone(), Some(default));
            }
            None if key == "address" || key == "description" => {}
            None => {
                let what = format!(
                    "`{key} = {}` of this instance's defaults would count for `{name}`, which \
                     doesn't have it in the bundle",
                    fact.shown()
                );
                let hint = format!(
                    "write `{key}` into the bundle's `[{name}]`, or move it from the defaults to \
                     the accounts that need it"
                );
                problems.push(Problem::error(what).hint(hint));
            }
        }
    }
    (entries, problems)
}

/// Whether the canary, or the rules, that a key belongs to are other ones than here.
fn differs(name: &TableName, here: &TableFacts, wanted: &TableFacts, key: &str) -> bool {
    let prefix = if key.starts_with(CANARY) { CANARY } else { RULES };
    let part = |table: &TableFacts| -> TableFacts {
        let own = table.iter().filter(|(key, _)| key.starts_with(prefix));
        own.map(|(key, fact)| (key.clone(), fact.clone())).collect()
    };
    !super::import::changes(name, &part(here), &part(wanted), &[]).is_empty()
}

/// Writes a canary and rules anew, where there are any in the entries.
fn nest(table: &mut dyn TableLike, entries: &BTreeMap<String, Option<String>>) {
    let mut canary = Table::new();
    let mut rules: BTreeMap<u32, Table> = BTreeMap::new();
    for (key, text) in entries {
        if let Some(key) = key.strip_prefix(CANARY) {
            set(&mut canary, key, text.as_deref());
        } else if let Some((number, key)) = rule_key(key) {
            set(rules.entry(number).or_default(), key, text.as_deref());
        }
    }
    if !canary.is_empty() {
        table.insert("canary", Item::Table(canary));
    }
    if !rules.is_empty() {
        let mut list = ArrayOfTables::new();
        for rule in rules.into_values() {
            list.push(rule);
        }
        table.insert("on_received", Item::ArrayOfTables(list));
    }
}

fn is_same_tuning(item: Option<&Item>, tuning: &BTreeMap<&str, &str>) -> bool {
    let Some(table) = item.and_then(Item::as_table_like) else { return false };
    table.len() == tuning.len()
        && tuning
            .iter()
            .all(|(key, text)| table.get(key).is_some_and(|item| item.to_string().trim() == *text))
}

/// Sets a key where it says something else, or takes it out; its comment stays with it.
fn set(table: &mut dyn TableLike, key: &str, text: Option<&str>) {
    let Some(text) = text else {
        table.remove(key);
        return;
    };
    let Ok(new) = text.parse::<toml_edit::Value>() else { return };
    if let Some(old) = table.get_mut(key).and_then(Item::as_value_mut) {
        let decor = old.decor().clone();
        *old = new;
        *old.decor_mut() = decor;
    } else {
        table.insert(key, value(new));
    }
}

//! What an import would change, and the files as they would be: decided before anything is
//! written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::config::facts::{
    CANARY, EXCLUSIVE, Fact, Facts, RULES, TableFacts, TableName, default_of, rule_key,
};
use crate::config::pending::Pending;
use crate::config::problem::Problem;
use crate::config::source::Source;
use crate::config::{Loaded, Otherwise, Severity, load_after, main_source, read_all};

use super::edit::Files;
use super::{Bundle, KINDS};

/// How an import is meant.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Accounts that the bundle doesn't have are removed.
    pub prune: bool,
    /// Protected accounts that are changed all the same.
    pub override_protected: Vec<String>,
    /// The folder for new tables, instead of the one that `include` names.
    pub home: Option<PathBuf>,
    /// What the tables don't say, this instance's defaults say, where nothing is built in.
    pub defaults_count: bool,
}

/// One key that would be another one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Change {
    /// The key.
    pub key: String,
    /// Its value here; `None`: not given.
    pub from: Option<String>,
    /// Its value in the bundle; `None`: not given.
    pub to: Option<String>,
}

/// What becomes of one table.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// It is new here.
    Add,
    /// It is changed.
    Update {
        /// How.
        changes: Vec<Change>,
    },
    /// It is protected: what it would have become.
    Kept {
        /// The fields that would have changed.
        changes: Vec<Change>,
        /// It would have been removed.
        removal: bool,
    },
    /// It is the same already.
    Same,
    /// It is removed.
    Remove,
}

/// An import, worked out.
#[derive(Debug)]
pub struct Import {
    /// Each table of the bundle, and those that `prune` concerns.
    pub verdicts: BTreeMap<String, Verdict>,
    /// Secrets that must be set before their accounts can log in: the table's key, the keystore's
    /// name.
    pub secrets: Vec<(String, String)>,
    /// Files to write, or to remove where there is no text.
    pub files: BTreeMap<PathBuf, Option<Zeroizing<String>>>,
    /// The configuration as it would be.
    pub loaded: Loaded,
    /// Why it can't be done: errors of the bundle, of this instance, of both together.
    pub problems: Vec<Problem>,
}

/// Works an import out; reads files, writes none.
pub fn import(main: &Path, bundle: &Path, options: &ImportOptions, now: Timestamp) -> Import {
    import_source(main, Source::read(bundle), options, now)
}

/// The same of a text; `name` stands for it in problems, and its folder is where relative paths
/// start.
pub fn import_text(
    main: &Path,
    (name, text): (&Path, &str),
    options: &ImportOptions,
    now: Timestamp,
) -> Import {
    import_source(main, Ok(Source::from_text(name, text.to_owned())), options, now)
}

fn import_source(
    main: &Path,
    source: Result<Source, Problem>,
    options: &ImportOptions,
    now: Timestamp,
) -> Import {
    let none = |problems: Vec<Problem>, loaded: Loaded| Import {
        verdicts: BTreeMap::new(),
        secrets: Vec::new(),
        files: BTreeMap::new(),
        loaded,
        problems,
    };
    let here = load_after(main, &Pending::default(), now);
    if here.config.is_none() {
        let problems = here.problems.clone();
        return none(problems, here);
    }
    let source = source.map_err(|problem| vec![problem]);
    let bundle = match source.and_then(|source| super::read(&source)) {
        Ok(bundle) => bundle,
        Err(problems) => return none(problems, here),
    };
    if options.prune && bundle.facts.is_empty() && !bundle.exported {
        let problem = Problem::error("the bundle is empty: all accounts would be removed");
        let hint = "a bundle that `config export` wrote says so by its first line";
        return none(vec![problem.hint(hint)], here);
    }
    let nothing = Pending::default();
    let (raw, sources, _) = match main_source(main, &nothing) {
        Ok(source) => read_all(source, &nothing, Otherwise::None),
        Err(problem) => return none(vec![problem], here),
    };
    let verdicts = judge(&here.facts, &bundle, options);
    let mut files = Files::new(&raw, &sources, options);
    let mut secrets = Vec::new();
    let mut problems = Vec::new();
    for (name, verdict) in &verdicts {
        match verdict {
            Verdict::Remove => files.remove(name),
            Verdict::Add | Verdict::Update { .. } => {
                let empty = TableFacts::new();
                let wanted = bundle.facts.get(name).unwrap_or(&empty);
                let (own, unset) = with_secrets(name, wanted, &bundle, here.facts.get(name));
                secrets.extend(unset);
                let kept = bundle.left_out_of(name).filter(|key| rule_key(key).is_none());
                let kept: BTreeSet<String> = kept.map(str::to_owned).collect();
                problems.extend(files.put(name, &own, &kept));
            }
            Verdict::Kept { .. } | Verdict::Same => {}
        }
    }
    let files = files.finish();
    let pending = Pending::of(files.clone());
    let loaded = load_after(main, &pending, now);
    problems.extend(loaded.problems.iter().filter(|p| p.severity == Severity::Error).cloned());
    let verdicts = verdicts.into_iter().map(|(name, v)| (name.to_string(), v)).collect();
    Import { verdicts, secrets, files, loaded, problems }
}

/// A table with the secrets that its bundle left out, as far as nobody has them here: by names of
/// the keystore, which are to be set.
fn with_secrets(
    name: &TableName,
    wanted: &TableFacts,
    bundle: &Bundle,
    here: Option<&TableFacts>,
) -> (TableFacts, Vec<(String, String)>) {
    let mut own = wanted.clone();
    let mut unset = Vec::new();
    for key in bundle.left_out_of(name) {
        if let Some((number, _)) = rule_key(key) {
            if let Some(secret) = here.and_then(|own| same_url(own, wanted, number)) {
                own.insert(key.to_owned(), secret.clone());
                continue;
            }
        } else if here.is_some_and(|table| table.contains_key(key)) {
            continue;
        }
        let alias = alias(name, key);
        own.insert(key.to_owned(), Fact::Value(format!("{{ key = \"{alias}\" }}")));
        unset.push((format!("{name}.{key}"), alias));
    }
    (own, unset)
}

/// The secret of a rule that is here, where it goes to the same service as the bundle's.
fn same_url<'a>(own: &'a TableFacts, wanted: &TableFacts, number: u32) -> Option<&'a Fact> {
    let url = format!("{RULES}{number}.url");
    let same = own.get(&url).is_some_and(|url_here| Some(url_here) == wanted.get(&url));
    own.get(&format!("{RULES}{number}.secret")).filter(|_| same)
}

/// What becomes of each table: pure.
fn judge(here: &Facts, bundle: &Bundle, options: &ImportOptions) -> BTreeMap<TableName, Verdict> {
    let mut verdicts = BTreeMap::new();
    for (name, wanted) in &bundle.facts {
        let Some(own) = here.get(name) else {
            verdicts.insert(name.clone(), Verdict::Add);
            continue;
        };
        let left: Vec<&str> = bundle.left_out_of(name).collect();
        let changes = changes(name, own, wanted, &left);
        let verdict = if changes.is_empty() {
            Verdict::Same
        } else if is_protected(here, name, options) {
            Verdict::Kept { changes, removal: false }
        } else {
            Verdict::Update { changes }
        };
        verdicts.insert(name.clone(), verdict);
    }
    let ours = here.keys().filter(|name| KINDS.contains(&name.kind.as_str()));
    for name in ours.filter(|name| options.prune && !bundle.facts.contains_key(name)) {
        let verdict = if is_protected(here, name, options) {
            Verdict::Kept { changes: Vec::new(), removal: true }
        } else {
            Verdict::Remove
        };
        verdicts.insert(name.clone(), verdict);
    }
    verdicts
}

/// Keys whose values differ; built-in values count as given.
pub(super) fn changes(
    name: &TableName,
    own: &TableFacts,
    wanted: &TableFacts,
    left_out: &[&str],
) -> Vec<Change> {
    let silent = |prefix: &str| !wanted.keys().any(|key| key.starts_with(prefix));
    let (no_rules, no_canary) = (silent(RULES), silent(CANARY));
    let keys: BTreeSet<&String> = own.keys().chain(wanted.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        // A bundle that says nothing of rules takes none away.
        if (no_rules && key.starts_with(RULES)) || (no_canary && key.starts_with(CANARY)) {
            continue;
        }
        let is_left_out = left_out.contains(&key.as_str());
        // What replaces a secret that was left out is another kind of login.
        let other_login = |a: &str, b: &str| key == a && left_out.contains(&b);
        if is_left_out || EXCLUSIVE.iter().any(|(a, b)| other_login(a, b) || other_login(b, a)) {
            continue;
        }
        let text = |table: &TableFacts| table.get(key).map(|fact| fact.shown().to_owned());
        let effective = |table: &TableFacts| match table.get(key) {
            Some(fact) => Some(fact.clone()),
            None => default_of(name, key).map(Fact::Value),
        };
        if effective(own) != effective(wanted) {
            changes.push(Change { key: key.clone(), from: text(own), to: text(wanted) });
        }
    }
    changes
}

/// An account by its own word; a token by any protected account that logs in with it.
fn is_protected(here: &Facts, name: &TableName, options: &ImportOptions) -> bool {
    if options.override_protected.contains(&name.name) {
        return false;
    }
    let says = |table: &TableFacts| table.get("protect") == Some(&Fact::Value("true".to_owned()));
    if name.kind != "oauth" {
        return here.get(name).is_some_and(says);
    }
    let quoted = Fact::Value(format!("\"{}\"", name.name));
    here.iter().any(|(other, table)| {
        !options.override_protected.contains(&other.name)
            && says(table)
            && table.get("oauth") == Some(&quoted)
    })
}

/// The keystore's name for a secret that a bundle left out.
fn alias(name: &TableName, key: &str) -> String {
    match (name.kind.as_str(), key) {
        ("inbound", "password") => name.name.clone(),
        (kind, "password") => format!("{}.{kind}", name.name),
        (kind, key) => format!("{}.{kind}.{key}", name.name),
    }
}

impl Bundle {
    fn left_out_of<'a>(&'a self, name: &TableName) -> impl Iterator<Item = &'a str> {
        let name = name.clone();
        let of = self.left_out.iter().filter(move |(table, _)| *table == name);
        of.map(|(_, key)| key.as_str())
    }
}

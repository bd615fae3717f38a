//! The history of the configuration: each start, reload and change, by whom, and what it changed.
//!
//! Secrets that stand in the files are recorded by a mark that tells a change and not the secret.
//! A command can't write the ledger while the daemon holds it: it leaves a note, and whoever writes
//! the ledger next takes it in.

pub mod notes;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::config::{Config, Fact, Facts};
use crate::ledger::{ConfigChange, Ledger, LedgerError};
use crate::secret::{self, Secret};

/// What brought a configuration into effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    /// `postrider account add`.
    AccountAdd,
    /// `postrider account edit`.
    AccountEdit,
    /// `postrider account remove`.
    AccountRemove,
    /// `postrider config import`.
    Import,
    /// A command that wrote the ledger.
    Command,
    /// The daemon read it anew.
    Reload,
    /// The daemon began.
    Start,
}

impl Act {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountAdd => "account add",
            Self::AccountEdit => "account edit",
            Self::AccountRemove => "account remove",
            Self::Import => "import",
            Self::Command => "command",
            Self::Reload => "reload",
            Self::Start => "start",
        }
    }
}

/// A configuration as it is recorded: by table and key, as TOML; secrets as marks.
pub type Recorded = BTreeMap<String, BTreeMap<String, String>>;

/// One value that differs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Difference {
    /// `inbound.invoices`.
    pub table: String,
    /// The key.
    pub key: String,
    /// `None`: not given before.
    pub from: Option<String>,
    /// `None`: not given any more.
    pub to: Option<String>,
}

/// A configuration that is about to be recorded.
#[derive(Clone, Debug)]
pub struct Entry {
    facts: Arc<Facts>,
    files: Vec<PathBuf>,
    state_dir: PathBuf,
    act: Act,
    actor: String,
    at: Timestamp,
}

/// An entry for what the daemon does.
pub fn of(config: &Config, act: Act, at: Timestamp) -> Entry {
    let uid = rustix::process::geteuid().as_raw();
    by(config, act, format!("daemon (uid {uid})"), at)
}

/// An entry for what a person does.
pub fn by(config: &Config, act: Act, actor: String, at: Timestamp) -> Entry {
    let facts = Arc::clone(&config.facts);
    let (files, state_dir) = (config.files.clone(), config.daemon.state_dir.clone());
    Entry { facts, files, state_dir, act, actor, at }
}

/// What is recorded of a configuration. Takes some 30 ms for each secret in the files.
pub fn recorded(facts: &Facts) -> Recorded {
    let mut tables = Recorded::new();
    for (name, table) in facts {
        let table = table.iter().map(|(key, fact)| {
            let text = match fact {
                Fact::Value(text) => text.clone(),
                Fact::Inline(text) => mark(&format!("{name}.{key}"), text),
            };
            (key.clone(), text)
        });
        tables.insert(name.to_string(), table.collect());
    }
    tables
}

/// `(text, mark 3f0a)`.
fn mark(place: &str, text: &str) -> String {
    let Ok(secret) = Secret::new(text.to_owned()) else { return "(text)".to_owned() };
    let mark = secret::mark(&secret, format!("config history {place}").as_bytes());
    format!("(text, mark {})", data_encoding::HEXLOWER.encode(&mark))
}

/// What differs between two configurations: pure.
pub fn compare(from: &Recorded, to: &Recorded) -> Vec<Difference> {
    let none = BTreeMap::new();
    let mut differences = Vec::new();
    for name in from.keys().chain(to.keys()).collect::<BTreeSet<_>>() {
        let (a, b) = (from.get(name).unwrap_or(&none), to.get(name).unwrap_or(&none));
        for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
            let (a, b) = (a.get(key).cloned(), b.get(key).cloned());
            if a != b {
                let (table, key) = (name.clone(), key.clone());
                differences.push(Difference { table, key, from: a, to: b });
            }
        }
    }
    differences
}

/// Takes in what commands noted, and records an entry. A command's is recorded only when it
/// differs from the last one.
pub async fn record(ledger: &Ledger, entry: Entry) -> Result<(), LedgerError> {
    let Entry { facts, files, state_dir, act, actor, at } = entry;
    if act == Act::Command && notes::read(&state_dir).is_empty() {
        // Cheaper than the marks of all secrets, for who polls each minute.
        let latest = |tx: &crate::ledger::Tx<'_>| tx.config_history(1);
        let recorded = ledger.read("read the history", latest).await?;
        if recorded.first().is_some_and(|row| is_older(&files, row.at)) {
            return Ok(());
        }
    }
    let work = move || (recorded(&facts), notes::read(&state_dir), state_dir);
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| LedgerError::Gone)?;
    let (facts, noted, state_dir) = done;
    let taken = noted.len();
    if act == Act::Command && taken == 0 {
        let before = ledger.read("read the history", last).await?;
        if before.as_ref() == Some(&facts) {
            return Ok(());
        }
    }
    let write = move |tx: &crate::ledger::Tx<'_>| {
        for note in noted {
            let before = last(tx)?;
            tx.record_config(&change(note, before.as_ref()))?;
        }
        let before = last(tx)?;
        if act == Act::Command && before.as_ref() == Some(&facts) {
            return Ok(());
        }
        let note = notes::Note {
            note: Uuid::new_v4().to_string(),
            at,
            actor,
            act: act.as_str().to_owned(),
            facts,
        };
        tx.record_config(&change(note, before.as_ref()))
    };
    ledger.write("record the config", write).await?;
    if taken > 0 {
        // Notes that stay are known by their names, and taken in once.
        notes::forget(&state_dir, taken);
    }
    Ok(())
}

/// Whether neither files nor their folders have changed since then, by a time that nobody sets.
fn is_older(files: &[PathBuf], than: Timestamp) -> bool {
    let changed = |path: &Path| {
        let meta = path.metadata().ok()?;
        Timestamp::new(meta.ctime(), i32::try_from(meta.ctime_nsec()).ok()?).ok()
    };
    let places = files.iter().flat_map(|file| [Some(file.as_path()), file.parent()]).flatten();
    !files.is_empty() && places.map(changed).all(|at| at.is_some_and(|at| at < than))
}

/// The same for the daemon: what fails is said in the log, and stops nothing.
pub async fn keep(ledger: Ledger, entry: Entry) {
    if let Err(error) = record(&ledger, entry).await {
        tracing::warn!(
            target: "config",
            code = error.code(),
            "The configuration was not recorded in the history: {error}"
        );
    }
}

/// Records entries in the order in which they come: each tells what differs from the one before.
pub async fn keep_each(ledger: Ledger, mut entries: mpsc::Receiver<Entry>) {
    while let Some(entry) = entries.recv().await {
        keep(ledger.clone(), entry).await;
    }
}

fn last(tx: &crate::ledger::Tx<'_>) -> Result<Option<Recorded>, LedgerError> {
    Ok(tx.config_facts(None)?.and_then(|json| serde_json::from_str(&json).ok()))
}

/// A note as the ledger keeps it.
fn change(note: notes::Note, before: Option<&Recorded>) -> ConfigChange {
    let empty = Recorded::new();
    let differences = compare(before.unwrap_or(&empty), &note.facts);
    let changes = serde_json::to_string(&differences).unwrap_or_default();
    ConfigChange {
        changes: if differences.is_empty() { String::new() } else { changes },
        facts: serde_json::to_string(&note.facts).unwrap_or_default(),
        note: note.note,
        at: note.at,
        actor: note.actor,
        act: note.act,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn differences_name_table_key_and_both_values() {
        let before = Recorded::from([
            ("inbound.a".to_owned(), table(&[("host", "\"x\""), ("port", "1")])),
            ("inbound.b".to_owned(), table(&[("host", "\"x\"")])),
        ]);
        let after = Recorded::from([
            ("inbound.a".to_owned(), table(&[("host", "\"y\""), ("port", "1")])),
            ("inbound.c".to_owned(), table(&[("host", "\"z\"")])),
        ]);
        let found: Vec<String> = compare(&before, &after)
            .into_iter()
            .map(|d| format!("{}.{} {:?} {:?}", d.table, d.key, d.from, d.to))
            .collect();
        assert_eq!(
            found,
            [
                "inbound.a.host Some(\"\\\"x\\\"\") Some(\"\\\"y\\\"\")",
                "inbound.b.host Some(\"\\\"x\\\"\") None",
                "inbound.c.host None Some(\"\\\"z\\\"\")",
            ]
        );
        assert!(compare(&before, &before).is_empty());
    }

    #[test]
    fn marks_tell_a_changed_secret_and_not_the_secret() {
        let of = |text: &str| mark("inbound.a.password", text);
        assert_eq!(of("hunter2"), of("hunter2"));
        assert_ne!(of("hunter2"), of("hunter3"));
        assert!(!of("hunter2").contains("hunter"));
        assert_ne!(of("hunter2"), mark("inbound.b.password", "hunter2"));
    }

    #[tokio::test]
    async fn command_that_finds_nothing_changed_commits_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let entry = |act| Entry {
            files: Vec::new(),
            facts: Arc::default(),
            state_dir: folder.path().to_path_buf(),
            act,
            actor: "x".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        };
        let ledger = Ledger::open(folder.path()).unwrap();
        record(&ledger, entry(Act::Command)).await.unwrap();
        ledger.close().await.unwrap();
        // Where nothing can be written, only what writes nothing succeeds.
        let ledger = Ledger::open_read_only(folder.path()).unwrap();
        record(&ledger, entry(Act::Command)).await.unwrap();
        assert!(record(&ledger, entry(Act::Start)).await.is_err());
    }

    #[test]
    fn files_that_changed_since_or_are_gone_are_looked_into() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("a.toml")];
        std::fs::File::create(&files[0]).unwrap();
        let (before, after) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        assert!(is_older(&files, after) && !is_older(&files, before));
        assert!(!is_older(&[folder.path().join("gone.toml")], after) && !is_older(&[], after));
    }

    #[tokio::test]
    async fn history_is_bounded_and_starts_push_no_change_out() {
        let ledger = Ledger::in_memory().unwrap();
        let rows = ledger
            .write("fill", |tx| {
                let mut before = None;
                for n in 0..900_u32 {
                    let value = (n / 450).to_string();
                    let facts =
                        Recorded::from([("archive".to_owned(), table(&[("root", &value)]))]);
                    let note = notes::Note {
                        note: n.to_string(),
                        at: Timestamp::UNIX_EPOCH,
                        actor: "x".to_owned(),
                        act: "start".to_owned(),
                        facts: facts.clone(),
                    };
                    tx.record_config(&change(note.clone(), before.as_ref()))?;
                    tx.record_config(&change(note, before.as_ref()))?;
                    before = Some(facts);
                }
                tx.config_history(10_000)
            })
            .await
            .unwrap();
        assert_eq!(rows.iter().filter(|row| !row.changes.is_empty()).count(), 2);
        assert_eq!(rows.len(), 2 + usize::try_from(crate::ledger::KEPT_STARTS).unwrap());
    }
}

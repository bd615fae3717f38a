//! The configuration: TOML text in, a checked [`Config`] or every problem at once out.
//!
//! Raw values are never seen outside: what is in [`Config`] is valid, complete and in units. Not
//! for searching the file; that is `cli`. TOML 1.1 is read with the parser that recovers from
//! errors, so that one mistake doesn't hide the others.

mod adding;
mod aliases;
mod build;
pub mod bundle;
mod candidate;
mod deleting;
mod diff;
mod document;
mod facts;
mod folders;
mod foreign;
mod include;
mod keys;
mod origin;
mod pending;
mod permissions;
mod problem;
mod raw;
mod sending;
mod source;
mod types;
mod value;
mod view;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use build::Builder;
use raw::Raw;
use source::Source;

pub use adding::{Addition, add_include, covers, has_account, load_with, load_without};
pub use aliases::Alias;
pub use candidate::{Candidate, load_candidate, quoted};
pub use deleting::{DeleteAge, DeleteMode, DeleteRule};
pub use diff::{Change, diff};
pub use document::{example, reference};
pub use facts::{Fact, Facts, TableFacts, TableName};
pub use folders::polled;
pub use keys::{Group, Key, Kind, TABLES, Table};
pub use origin::{Origin, OriginKind, Origins};
pub use pending::Pending;
pub use permissions::secret_file_fault;
pub use problem::{Place, Problem, Severity};
pub use sending::NoOutbound;
pub use types::{
    ArchiveConfig, Canary, ClientCertificate, ClientProof, Config, DaemonConfig, Deed, Encryption,
    Exec, Forward, Grant, Inbound, LogConfig, MinRate, NoticesConfig, Oauth, OauthEndpoints,
    OauthProvider, OauthUses, Outbound, Properties, Protocol, Rule, SECRET_EXPIRY_WARNING,
    SafeLogon, Save, Schedule, SecretSpec, Stdin, TlsRules, Transport, Watch, WebUrl, Webhook,
    WritePart,
};

pub use value::is_account_name;

/// What came of reading a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The config; `None` when there are errors.
    pub config: Option<Config>,
    /// All problems, by file in the order of reading, then by line.
    pub problems: Vec<Problem>,
    /// The files that were read or should have been, the main one first.
    pub files: Vec<PathBuf>,
    /// Inbound accounts read, good or bad.
    pub inbound: usize,
    /// Outbound accounts read, good or bad.
    pub outbound: usize,
    /// Each effective value's origin: by table (`inbound.NAME`, `inbound.NAME.properties`,
    /// `outbound.NAME`, `archive`…) and key. Secrets are shown by their kind only.
    pub origins: Origins,
    /// Each `{ key = "NAME" }`, defaults and disabled accounts too.
    pub aliases: Vec<Alias>,
    /// What is given, table by table, wherever it stands.
    pub facts: Facts,
    /// `[daemon]`, also when something else is wrong; `None` when there is no file.
    pub daemon: Option<DaemonConfig>,
}

impl Loaded {
    /// Problems of one severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }

    /// Adds a problem that was found elsewhere, in its place; an error takes the config away.
    pub fn report(&mut self, problem: Problem) {
        if problem.severity == Severity::Error {
            self.config = None;
        }
        self.problems.push(problem);
        problem::sort(&mut self.problems, &self.files);
    }

    /// Takes the config, if there is no error among the problems.
    fn accept(&mut self, config: Config) {
        self.config = Some(config).filter(|_| self.count(Severity::Error) == 0);
    }

    /// "2 errors, 1 warning in 3 files; 4 inbound and 1 outbound account read".
    pub fn summary(&self) -> String {
        let plural = |n: usize, word: &str| match n {
            1 => format!("1 {word}"),
            n => format!("{n} {word}s"),
        };
        let accounts = if self.outbound == 1 { "account" } else { "accounts" };
        format!(
            "{}, {} in {}; {} inbound and {} outbound {accounts} read",
            plural(self.count(Severity::Error), "error"),
            plural(self.count(Severity::Warning), "warning"),
            plural(self.files.len(), "file"),
            self.inbound,
            self.outbound,
        )
    }
}

/// Reads the main file and what it includes, and checks everything.
///
/// `now` judges `process_after`. Reads no environment; of secrets only the files' existence and
/// mode are looked at.
pub fn load(path: &Path, now: Timestamp) -> Loaded {
    match Pending::read(path) {
        Ok(pending) => load_after(path, &pending, now),
        Err(problem) => unread(path, problem),
    }
}

/// The same, with files as a change will leave them.
pub fn load_after(path: &Path, pending: &Pending, now: Timestamp) -> Loaded {
    match main_source(path, pending) {
        Ok(source) => load_source(source, pending, Otherwise::None, now),
        Err(problem) => unread(
            path,
            match problem.hint {
                Some(_) => problem,
                None => problem.hint(
                    "`--config FILE` or $POSTRIDER_CONFIG names another file; config.example.toml \
                     has every key",
                ),
            },
        ),
    }
}

fn main_source(path: &Path, pending: &Pending) -> Result<Source, Problem> {
    match pending.source(path) {
        Some(source) => Ok(source),
        None => Source::read(path),
    }
}

fn unread(path: &Path, problem: Problem) -> Loaded {
    Loaded {
        config: None,
        problems: vec![problem],
        files: vec![path.to_path_buf()],
        inbound: 0,
        outbound: 0,
        origins: Origins::new(),
        aliases: Vec::new(),
        facts: Facts::new(),
        daemon: None,
    }
}

/// Checks text that is not in a file; `name` stands for it in problems, and its folder is where
/// relative paths start.
pub fn load_text(text: &str, name: &Path, now: Timestamp) -> Loaded {
    let name = Source::from_text(name, text.to_owned());
    load_source(name, &Pending::default(), Otherwise::None, now)
}

/// What is not so on the disk.
enum Otherwise<'a> {
    None,
    /// Read last, as one more file.
    Add(Source),
    /// Read as if it were not there.
    Without(&'a Path),
}

fn load_source(main: Source, pending: &Pending, change: Otherwise<'_>, now: Timestamp) -> Loaded {
    let (raw, sources, problems) = read_all(main, pending, change);
    let (mut loaded, config) = judge(&raw, &sources, problems, now);
    loaded.accept(config);
    loaded
}

/// The main file and what it includes, key by key.
fn read_all(
    main: Source,
    pending: &Pending,
    change: Otherwise<'_>,
) -> (Raw, Vec<Source>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut raw = Raw::default();
    raw.add(&main, true, &mut problems);
    let includes = std::mem::take(&mut raw.includes);
    let more = include::read(&main, &includes, pending, &mut problems);
    // As it was named: an include is asked for again when it is changed.
    raw.includes = includes;
    let mut sources = vec![main];
    let (added, without) = match change {
        Otherwise::None => (None, None),
        Otherwise::Add(source) => (Some(Ok(source)), None),
        Otherwise::Without(file) => (None, Some(file)),
    };
    for read in more.into_iter().chain(added) {
        match read {
            Ok(source) if Some(&*source.file) == without => {}
            Ok(source) => {
                raw.add(&source, false, &mut problems);
                sources.push(source);
            }
            Err(problem) => {
                raw.broken = true;
                problems.push(problem);
            }
        }
    }
    (raw, sources, problems)
}

/// From what all files hold to a config, good or bad: the rules between keys.
fn judge(
    raw: &Raw,
    sources: &[Source],
    mut problems: Vec<Problem>,
    now: Timestamp,
) -> (Loaded, Config) {
    let files: Vec<PathBuf> = sources.iter().map(|source| source.file.to_path_buf()).collect();
    let state_dir = Builder::state_dir(&raw.daemon);
    permissions::check(raw, sources, &state_dir, &mut problems);
    let (config, origins) = build::build(raw, files.clone(), now, &mut problems);
    let facts = Facts::clone(&config.facts);
    problem::sort(&mut problems, &files);
    let loaded = Loaded {
        config: None,
        problems,
        files,
        inbound: raw.inbound.len(),
        outbound: raw.outbound.len(),
        origins,
        aliases: aliases::of(raw),
        facts,
        daemon: Some(config.daemon.clone()),
    };
    (loaded, config)
}

//! A place to run the real program in: config, state folder and archive root of one installation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::stored::{self, Stored};
use super::{Output, Running};

/// Longer than any command of a test may take.
const LIMIT: Duration = Duration::from_mins(2);

/// One installation in a temporary folder.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    state: PathBuf,
    root: PathBuf,
    tables: BTreeMap<String, String>,
    environment: Vec<(String, String)>,
    /// The tree is not compared with the ledger at the end: the test damages it on purpose.
    unverified: AtomicBool,
}

impl Site {
    /// A site without accounts; the archive root is not made yet.
    pub fn empty() -> Self {
        Self::empty_in(&std::env::temp_dir())
    }

    /// The same, below a folder of the caller's choice.
    pub fn empty_in(parent: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("postrider site ").tempdir_in(parent).unwrap();
        let (state, root) = (folder.path().join("state"), folder.path().join("mail"));
        let (tables, environment) = (BTreeMap::new(), Vec::new());
        let unverified = AtomicBool::new(false);
        let mut site = Self { folder, state: state.clone(), root, tables, environment, unverified };
        site.keep_state_in(state);
        site.keep_mail_in(site.root());
        site.set("log", "level = \"debug\"\n");
        site
    }

    /// Puts the state folder elsewhere; it is made.
    pub fn keep_state_in(&mut self, state: PathBuf) {
        DirBuilder::new().mode(0o700).create(&state).unwrap();
        self.set("daemon", &format!("state_dir = \"{}\"\n", state.display()));
        self.state = state;
    }

    /// Puts the archive root elsewhere; `init-root` makes it.
    pub fn keep_mail_in(&mut self, root: PathBuf) {
        self.keep_mail_in_all_of(root, "16MiB");
    }

    /// The same on a small disk, of which so much is to stay free.
    pub fn keep_mail_in_all_of(&mut self, root: PathBuf, min_free: &str) {
        let lines = format!("root = \"{}\"\nmin_free = \"{min_free}\"\n", root.display());
        self.set("archive", &lines);
        self.root = root;
    }

    /// A site with these inbound accounts (name, lines of the table), its archive root made.
    pub fn new(accounts: &[(&str, String)]) -> Self {
        let mut site = Self::empty();
        for (name, lines) in accounts {
            site.account(name, lines);
        }
        site.init_root();
        site
    }

    /// Makes the archive root.
    pub fn init_root(&self) {
        let made = self.cli(&["init-root"]);
        assert_eq!(made.code, 0, "{made:?}");
    }

    /// Sets the lines of `[inbound.NAME]` and writes the config.
    pub fn account(&mut self, name: &str, lines: &str) {
        self.set(&format!("inbound.{name}"), lines);
    }

    /// Sets the lines of any table and writes the config.
    pub fn set(&mut self, table: &str, lines: &str) {
        self.tables.insert(table.to_owned(), lines.to_owned());
        self.write();
    }

    /// Adds lines to a table and writes the config.
    pub fn add(&mut self, table: &str, lines: &str) {
        let all = self.tables.entry(table.to_owned()).or_default();
        writeln!(all, "{lines}").unwrap();
        self.write();
    }

    /// Takes a table out and writes the config.
    pub fn remove(&mut self, table: &str) {
        self.tables.remove(table);
        self.write();
    }

    /// Sets a variable for every command from now on.
    pub fn environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Leaves the tree as it is at the end, without a `verify`: the test damages it on purpose.
    pub fn leave_unverified(&self) {
        self.unverified.store(true, Ordering::Relaxed);
    }

    /// `verify`, which must find nothing.
    pub fn verify(&self) {
        let output = self.cli(&["verify"]);
        assert_eq!(output.code, 0, "{output:?}");
    }

    /// The site's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `daemon.state_dir`.
    pub fn state(&self) -> PathBuf {
        self.state.clone()
    }

    /// `archive.root`.
    pub fn root(&self) -> PathBuf {
        self.root.clone()
    }

    /// The config file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("postrider.toml")
    }

    /// Runs `postrider --config FILE` with these arguments to its end.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        Running::start(&mut self.command(arguments)).wait(LIMIT)
    }

    /// The same with further variables in its environment.
    pub fn cli_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        Running::start(self.command(arguments).envs(variables.iter().copied())).wait(LIMIT)
    }

    /// The same below another program, which is told to run it: `faketime`, `unshare`.
    pub fn cli_below(&self, wrapper: &[&str], arguments: &[&str]) -> Output {
        self.spawn_below(wrapper, arguments).wait(LIMIT)
    }

    /// The same, without waiting.
    pub fn spawn_below(&self, wrapper: &[&str], arguments: &[&str]) -> Running {
        let inner = self.command(arguments);
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(inner.get_program()).args(inner.get_args());
        command.current_dir(self.path()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Running::start(&mut command)
    }

    /// The same, without waiting: for `run`, or for a `poll` that is to be killed.
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        Running::start(&mut self.command(arguments))
    }

    /// The same with further variables in its environment.
    pub fn spawn_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Running {
        Running::start(self.command(arguments).envs(variables.iter().copied()))
    }

    /// `poll`, which must succeed.
    pub fn poll(&self) -> Output {
        let output = self.cli(&["poll"]);
        assert_eq!(output.code, 0, "{output:?}");
        output
    }

    /// `status --json`.
    pub fn status(&self) -> Value {
        let output = self.cli(&["status", "--json"]);
        serde_json::from_str(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
    }

    /// `log --json`: every kept record, oldest first or as the program orders them.
    pub fn log(&self) -> Vec<Value> {
        self.log_by(&self.config())
    }

    /// The same by another config file, while this site's is one that can't be read.
    pub fn log_by(&self, config: &Path) -> Vec<Value> {
        let mut command = self.command_by(config, &["log", "--json"]);
        let output = Running::start(&mut command).wait(LIMIT);
        let records = output.stdout.lines().filter(|line| !line.trim().is_empty());
        records
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// Every stored message, by path; panics when a copy isn't what its `message.json` says.
    pub fn stored(&self) -> Vec<Stored> {
        stored::read_all(&self.root())
    }

    /// Every stored message that is whole; others are left out.
    pub fn whole(&self) -> Vec<Stored> {
        stored::read_whole(&self.root())
    }

    /// What is wrong below the archive root; empty when nothing is.
    pub fn tree_faults(&self) -> Vec<String> {
        stored::tree_faults(&self.root())
    }

    /// The command of [`Site::cli`], for a test that talks with it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_by(&self.config(), arguments)
    }

    fn command_by(&self, config: &Path, arguments: &[&str]) -> Command {
        // An example is the program itself: cargo builds none for it.
        let program = option_env!("CARGO_BIN_EXE_postrider").map(PathBuf::from);
        let program = program.unwrap_or_else(|| std::env::current_exe().unwrap());
        let mut command = Command::new(program);
        command.arg("--config").arg(config).args(arguments).current_dir(self.path());
        command.env_clear().env("HOME", self.path()).env("LANG", "C.UTF-8").env("TZ", "UTC");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn write(&self) {
        let mut text = String::new();
        for (table, lines) in &self.tables {
            write!(text, "[{table}]\n{lines}\n").unwrap();
        }
        let new = self.folder.path().join(".postrider.toml.new");
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&new).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        fs::rename(new, self.config()).unwrap();
    }
}

/// Whatever a test did, at its end tree and ledger say the same.
impl Drop for Site {
    fn drop(&mut self) {
        let has_ledger = self.state.join("ledger.db").exists();
        let has_root = self.root.join(".postrider-root").exists();
        if has_ledger
            && has_root
            && !self.unverified.load(Ordering::Relaxed)
            && !std::thread::panicking()
        {
            // The test may have left a config that can't be read, or a log that orders steps.
            self.environment.retain(|(name, _)| name != "POSTRIDER_STEP");
            // The server's certificates may be gone already.
            for lines in self.tables.values_mut() {
                let kept = lines.lines().filter(|line| !line.starts_with("tls_ca_file"));
                *lines = kept.flat_map(|line| [line, "\n"]).collect();
            }
            self.write();
            self.verify();
        }
    }
}

#[test]
fn program_runs_in_a_site() {
    let site = Site::empty();
    let output = site.cli(&["--version"]);
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn config_of_a_site_holds_its_tables_and_nobody_else_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let mut site = Site::empty();
    site.account("a", "host = \"x\"\n");
    site.add("inbound.a", "port = 1");
    site.account("b", "host = \"y\"\n");
    site.remove("inbound.b");
    let text = fs::read_to_string(site.config()).unwrap();
    assert!(text.contains("[inbound.a]\nhost = \"x\"\nport = 1\n"), "{text}");
    assert!(!text.contains("inbound.b"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&site.config()), mode(&site.state())), (0o600, 0o700));
}

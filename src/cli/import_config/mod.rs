//! `postrider import-config`: accounts of other programs become accounts of ours.

mod adopt;

use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::configuration::import::{refused, told};
use crate::cli::exit::Exit;
use crate::cli::render::{self, plural};
use crate::cli::{Context, eprint};
use crate::config::bundle::{self, Import, ImportOptions, Verdict};
use crate::config::{Config, Pending, Severity};
use crate::daemon::instance::check_state_dir;
use crate::log::Sink;
use crate::moving::foreign::{ForeignAccount, ForeignSecret, Found, Program};
use crate::moving::place::Changing;
use crate::poll::Clock;
use crate::secret::{self, Surroundings};

use adopt::{Adopted, State};

/// Octets of one file; more is no configuration.
const MOST: u64 = 1 << 20;

/// Take over the configuration of another program.
///
/// Each account in it becomes one here, in files of `include`. What can't be carried is listed with
/// its line and why. Accounts that are here already stay as they are. Mail that the other program
/// has fetched, by its own state files, counts as known: it is neither stored nor deleted.
#[derive(Args, Debug)]
pub(super) struct ImportConfig {
    /// Files such as `.fetchmailrc`, `getmailrc`, `.mbsyncrc`, `.mpoprc`
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Whose they are [default: told by each file's name]
    #[arg(long)]
    from: Option<From>,
    /// The folder for the accounts' files [default: that of the first `include` of `*.toml`]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Fetch what the other program has fetched once more
    #[arg(long)]
    no_adopt: bool,
    /// Whose state files are read [default: `$HOME`]
    #[arg(long, value_name = "FOLDER")]
    home: Option<PathBuf>,
    /// Where passwords that stand in them go
    #[arg(long, default_value = "keystore")]
    secrets: Secrets,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum From {
    Fetchmail,
    Getmail,
    Mbsync,
    Mpop,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Secrets {
    /// Into the keystore, each by its account's name
    Keystore,
    /// Into `secrets/NAME` in the state folder, mode 0600
    File,
    /// Nowhere: `postrider secret set NAME` asks for them
    None,
}

/// One file, read.
struct Taken {
    file: PathBuf,
    found: Found,
}

impl ImportConfig {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let mut taken = Vec::new();
        for file in &self.files {
            match self.take(file) {
                Ok(found) => taken.push(Taken { file: file.clone(), found }),
                Err(exit) => return exit,
            }
        }
        let (accounts, here) = split(&taken, &config);
        let changing = if self.dry_run {
            None
        } else {
            match Changing::begin(&context.config_file) {
                Ok(changing) => Some(changing),
                Err(error) => return refused(&error, context),
            }
        };
        let import = match self.work_out(context, &accounts, &config, Secrets::None) {
            Ok(import) => import,
            Err(exit) => return exit,
        };
        let all: Vec<ForeignAccount> =
            taken.iter().flat_map(|taken| taken.found.accounts.iter().cloned()).collect();
        let (states, missing) = if self.no_adopt {
            (Vec::new(), Vec::new())
        } else {
            adopt::states(&all, self.home.as_deref())
        };
        let (import, adopted) = match changing {
            None => (import, Vec::new()),
            Some(changing) => {
                let done = context.log(&config, None).and_then(|sink| {
                    self.put(&changing, &accounts, states, (&config, context, &sink))
                });
                match done {
                    Ok(done) => done,
                    Err(exit) => return exit,
                }
            }
        };
        self.report(context, &taken, &import, (&here, &adopted, &missing));
        Exit::Done
    }

    fn take(&self, file: &Path) -> Result<Found, Exit> {
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let program = match self.from {
            Some(From::Fetchmail) => Some(Program::Fetchmail),
            Some(From::Getmail) => Some(Program::Getmail),
            Some(From::Mbsync) => Some(Program::Mbsync),
            Some(From::Mpop) => Some(Program::Mpop),
            None => Program::of_file(&name),
        };
        let Some(program) = program else {
            let hint = "say it: --from fetchmail, getmail, mbsync or mpop";
            let what = format!("whose file `{}` is can't be told by its name", file.display());
            render::error(&what, Some(hint));
            return Err(Exit::Usage);
        };
        let text = read(file).map_err(|error| {
            render::error(&format!("cannot read `{}`: {error}", file.display()), None);
            Exit::Failed
        })?;
        Ok(program.read(&text))
    }

    /// What would be written; its errors are printed.
    fn work_out(
        &self,
        context: &Context,
        accounts: &[&ForeignAccount],
        config: &Config,
        secrets: Secrets,
    ) -> Result<Import, Exit> {
        let text = tables(accounts, config, secrets);
        let name = (Path::new("<imported>"), text.as_str());
        let options = ImportOptions { home: self.out.clone(), ..ImportOptions::default() };
        let import = bundle::import_text(&context.config_file, name, &options, Clock.now());
        if import.problems.iter().any(|problem| problem.severity == Severity::Error) {
            for problem in &import.problems {
                eprint(&problem.to_string());
            }
            render::error("nothing was changed: the result would not be a valid config", None);
            return Err(Exit::Usage);
        }
        Ok(import)
    }

    /// Secrets first: an account without its password would be refused by its server.
    fn put(
        &self,
        changing: &Changing,
        accounts: &[&ForeignAccount],
        states: Vec<State>,
        (config, context, sink): (&Config, &Context, &Sink),
    ) -> Result<(Import, Vec<Adopted>), Exit> {
        if self.secrets != Secrets::None {
            for account in accounts {
                let Some(ForeignSecret::Text(text)) = &account.secret else { continue };
                self.keep(config, &account.name, text)?;
            }
        }
        let import = self.work_out(context, accounts, config, self.secrets)?;
        // Before the accounts are in force: no poll comes first and fetches what is known.
        let adopted = match &import.loaded.config {
            Some(config) => adopt::adopt(context, config, sink, states)?,
            None => Vec::new(),
        };
        if !import.files.is_empty() {
            let change = Pending::of(import.files.clone());
            changing.put(&change).map_err(|error| refused(&error, context))?;
            told(context, &import, Some(sink));
        }
        Ok((import, adopted))
    }

    fn keep(&self, config: &Config, name: &str, text: &str) -> Result<(), Exit> {
        check_state_dir(&config.daemon.state_dir).map_err(|error| {
            render::error(&error.to_string(), error.hint().as_deref());
            Exit::Person
        })?;
        let failed = |what: String| {
            let hint = "nothing was changed; --secrets none leaves passwords out";
            render::error(&format!("the password of `{name}`: {what}"), Some(hint));
            Exit::Failed
        };
        let secret =
            secret::one_line(text.as_bytes()).map_err(|fault| failed(fault.to_string()))?;
        if self.secrets == Secrets::File {
            let path = secret_file(config, name);
            let kept = crate::moving::place::keep_secret(&path, secret.expose());
            return kept.map_err(|error| failed(error.to_string()));
        }
        let keystore = Surroundings::of(&config.daemon).keystore;
        let known = keystore.names().map_err(|fault| failed(fault.to_string()))?;
        if known.iter().any(|(other, _)| other == name) {
            // Somebody set it by hand: theirs is newer than an old program's.
            return Ok(());
        }
        keystore.set(name, &secret, Clock.now()).map_err(|fault| failed(fault.to_string()))?;
        Ok(())
    }

    fn report(
        &self,
        context: &Context,
        taken: &[Taken],
        import: &Import,
        (here, adopted, missing): (&[String], &[Adopted], &[String]),
    ) {
        if context.out.json {
            let files = taken
                .iter()
                .map(|taken| json!({ "file": taken.file, "not_carried": taken.found.not_carried }));
            context.out.value(&json!({
                "done": !self.dry_run,
                "tables": import.verdicts,
                "here_already": here,
                "adopted": adopted,
                "not_adopted": missing,
                "files": files.collect::<Vec<_>>(),
                "written": import.files.keys().collect::<Vec<_>>(),
            }));
            return;
        }
        let out = context.out;
        let added = import.verdicts.iter().filter(|(_, verdict)| **verdict == Verdict::Add);
        for (name, _) in added {
            out.line(&format!("{name}: {}", if self.dry_run { "would be added" } else { "added" }));
        }
        for name in here {
            out.line(&format!("inbound.{name}: is here already, and stays as it is"));
        }
        for one in adopted {
            one.print(context);
        }
        for why in missing {
            out.line(&format!("not adopted: {why}; all mail there counts as new"));
        }
        for Taken { file, found } in taken {
            for lost in &found.not_carried {
                let at = format!("{}:{}", file.display(), lost.line);
                out.line(&format!("not carried: {at}: {}: {}", lost.what, lost.why));
            }
        }
        let accounts: usize = taken.iter().map(|taken| taken.found.accounts.len()).sum();
        let lost: usize = taken.iter().map(|taken| taken.found.not_carried.len()).sum();
        let (accounts, lost) = (plural(accounts as u64, "account"), plural(lost as u64, "line"));
        out.line(&format!("{accounts} found; {lost} not carried"));
        if self.dry_run {
            out.line("nothing was changed");
            return;
        }
        let included = import.loaded.facts.keys();
        let included: Vec<String> = included.map(ToString::to_string).collect();
        if import.verdicts.keys().any(|name| !included.contains(name)) {
            let hint = "add it to `include` in the main file";
            render::warning("no `include` names the folder that they were written to", Some(hint));
        }
        let first = import.verdicts.keys().next().and_then(|name| name.split_once('.'));
        if let Some((_, name)) = first {
            out.line("next: stop the other program, or both will fetch the same mail; then");
            out.line(&format!("  postrider check; postrider test {name}; postrider plan {name}"));
        }
    }
}

/// The accounts as tables of ours.
fn tables(accounts: &[&ForeignAccount], config: &Config, secrets: Secrets) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for account in accounts {
        let mut add = |line: std::fmt::Arguments<'_>| {
            // Writing to a String can't fail.
            text.write_fmt(line).ok();
        };
        add(format_args!("[inbound.\"{}\"]\n", account.name));
        for (key, value) in &account.keys {
            add(format_args!("{key} = {value}\n"));
        }
        add(format_args!("password = {}\n", place(account, config, secrets)));
    }
    text
}

/// Where an account's password will be, as TOML.
fn place(account: &ForeignAccount, config: &Config, secrets: Secrets) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    match &account.secret {
        Some(ForeignSecret::Command(argv)) => {
            let argv: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
            format!("{{ command = [{}] }}", argv.join(", "))
        }
        Some(ForeignSecret::Text(_)) if secrets == Secrets::File => {
            let path = secret_file(config, &account.name);
            format!("{{ file = {} }}", quoted(&path.to_string_lossy()))
        }
        _ => format!("{{ key = {} }}", quoted(&account.name)),
    }
}

/// Accounts that are new here, and names of those that aren't.
fn split<'a>(taken: &'a [Taken], config: &Config) -> (Vec<&'a ForeignAccount>, Vec<String>) {
    let mut new: Vec<&ForeignAccount> = Vec::new();
    let mut here = Vec::new();
    for account in taken.iter().flat_map(|taken| &taken.found.accounts) {
        let known = config.inbound.contains_key(account.name.as_str());
        if known || new.iter().any(|other| other.name == account.name) {
            here.push(account.name.clone());
        } else {
            new.push(account);
        }
    }
    (new, here)
}

fn secret_file(config: &Config, name: &str) -> PathBuf {
    config.daemon.state_dir.join("secrets").join(name)
}

/// A bounded regular file, as text; what isn't UTF-8 in it becomes a replacement character.
fn read(file: &Path) -> std::io::Result<Zeroizing<String>> {
    let handle = std::fs::File::open(file)?;
    let meta = handle.metadata()?;
    if !meta.is_file() || meta.len() > MOST {
        let what = "it is no regular file, or larger than a configuration";
        return Err(std::io::Error::new(ErrorKind::InvalidInput, what));
    }
    let mut octets = Zeroizing::new(Vec::new());
    handle.take(MOST).read_to_end(&mut octets)?;
    Ok(Zeroizing::new(String::from_utf8_lossy(&octets).into_owned()))
}

//! `postrider import-config`: accounts of other programs become accounts of ours.

mod adopt;
mod placing;
mod report;
mod secrets;

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::cli::configuration::import::{refused, told};
use crate::cli::exit::Exit;
use crate::cli::{Context, eprint, render};
use crate::config::bundle::{self, Import, ImportOptions};
use crate::config::{Config, Pending, Severity};
use crate::log::Sink;
use crate::moving::foreign::{ForeignSecret, Found, Program};
use crate::moving::place::{self, Changing};
use crate::poll::Clock;

use adopt::{Outcome, State};
use placing::Placed;
use report::Report;
use secrets::Spots;

/// Octets of one file; more is no configuration.
const MOST: u64 = 1 << 20;

/// Take over the configuration of another program.
///
/// Each account in it becomes one here, in files of `include`. What can't be carried is listed with
/// its line and why. Accounts that are here already stay as they are. Mail that the other program
/// has fetched, by its own state files, counts as known: it is neither stored nor deleted. Commands
/// that print a password are run for that, as this user: look at the dry run first.
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
    /// Take over password commands of files that other users own or may write
    #[arg(long)]
    trust_commands: bool,
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
    /// Another user may have written it.
    foreign: bool,
    found: Found,
}

impl ImportConfig {
    pub(super) fn run(self, context: &Context) -> Exit {
        match self.done(context) {
            Ok(exit) | Err(exit) => exit,
        }
    }

    fn done(&self, context: &Context) -> Result<Exit, Exit> {
        let config = context.config()?;
        let mut taken = Vec::new();
        for file in &self.files {
            taken.push(self.take(file)?);
        }
        self.judge_commands(&taken)?;
        let found = taken.iter().flat_map(|taken| taken.found.accounts.iter().cloned());
        let placed = placing::place(found, &placing::mailboxes(&config));
        let changing = if self.dry_run {
            None
        } else {
            let changing = Changing::begin(&context.config_file);
            Some(changing.map_err(|error| refused(&error, context))?)
        };
        let spots = secrets::spots(&placed, &config, (self.secrets, self.dry_run))?;
        let (states, missing) = if self.no_adopt {
            (Vec::new(), Vec::new())
        } else {
            adopt::states(&placed, self.home.as_deref())
        };
        let import = self.work_out(context, &placed, &secrets::before(&spots))?;
        let (import, outcome) = match changing {
            None => (import, Outcome::default()),
            Some(changing) => {
                let sink = context.log(&config, None)?;
                let given = (placed.as_slice(), &spots, states);
                self.put(&changing, given, (&config, context, &sink))?
            }
        };
        let report = Report {
            dry_run: self.dry_run,
            taken: &taken,
            placed: &placed,
            spots: &spots,
            import: &import,
            outcome: &outcome,
            missing: &missing,
        };
        report.print(context);
        Ok(report.exit())
    }

    fn take(&self, file: &Path) -> Result<Taken, Exit> {
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
        let (text, foreign) = read(file).map_err(|error| {
            render::error(&format!("cannot read `{}`: {error}", file.display()), None);
            Exit::Failed
        })?;
        Ok(Taken { file: file.to_owned(), foreign, found: program.read(&text) })
    }

    /// A command of somebody else's file would run as this user, and later as the daemon's.
    fn judge_commands(&self, taken: &[Taken]) -> Result<(), Exit> {
        if self.trust_commands || self.dry_run {
            return Ok(());
        }
        for Taken { file, found, .. } in taken.iter().filter(|taken| taken.foreign) {
            let commands = found.accounts.iter().filter_map(|account| match &account.secret {
                Some(ForeignSecret::Command(argv)) => Some((account, argv)),
                _ => None,
            });
            let commands: Vec<_> = commands.collect();
            for (account, argv) in &commands {
                eprint(&format!("{}: {}", account.name, report::shown(argv)));
            }
            if !commands.is_empty() {
                let what = format!(
                    "another user owns or may write `{}`, and it has commands that would be run",
                    file.display()
                );
                let hint = "look at each, then add --trust-commands; nothing was changed";
                render::error(&what, Some(hint));
                return Err(Exit::Usage);
            }
        }
        Ok(())
    }

    /// What would be written; its errors are printed.
    fn work_out(
        &self,
        context: &Context,
        placed: &[Placed],
        spots: &Spots,
    ) -> Result<Import, Exit> {
        let text = secrets::tables(placed, spots);
        let name = (Path::new("<imported>"), text.as_str());
        let home = self.out.as_deref().map(std::path::absolute).and_then(Result::ok);
        let options = ImportOptions { home, defaults_count: true, ..ImportOptions::default() };
        let import = bundle::import_text(&context.config_file, name, &options, Clock.now());
        if import.problems.iter().any(|problem| problem.severity == Severity::Error) {
            for problem in &import.problems {
                eprint(&problem.to_string());
            }
            render::error("nothing was changed: the result would not be a valid config", None);
            return Err(Exit::Usage);
        }
        // What isn't in force can't be adopted now, and would be fetched whole once it is.
        if !self.no_adopt && report::is_outside(&import) {
            let what = "no `include` names the folder that the accounts would be written to";
            let hint = "add it to `include` in the main file first, or add --no-adopt: then all \
                        their mail is fetched";
            render::error(what, Some(hint));
            return Err(Exit::Usage);
        }
        Ok(import)
    }

    /// Secrets first: an account without its password would be refused by its server.
    fn put(
        &self,
        changing: &Changing,
        (placed, spots, states): (&[Placed], &Spots, Vec<State>),
        (config, context, sink): (&Config, &Context, &Sink),
    ) -> Result<(Import, Outcome), Exit> {
        let kept = secrets::keep(placed, spots, config)?;
        let back = || secrets::take_back(&kept, config);
        let import = self.work_out(context, placed, spots).inspect_err(|_| back())?;
        // Before the accounts are in force: no poll comes first and fetches what is known.
        let outcome = match &import.loaded.config {
            Some(config) => adopt::adopt(context, config, sink, states),
            None => Ok(Outcome::default()),
        };
        let outcome = outcome.inspect_err(|_| back())?;
        let import = if outcome.failed.iter().any(|failed| failed.new) {
            let names: Vec<&str> = outcome.failed.iter().map(|one| one.account.as_str()).collect();
            let placed: Vec<Placed> = placed.iter().map(|one| one.disabled(&names)).collect();
            self.work_out(context, &placed, spots).inspect_err(|_| back())?
        } else {
            import
        };
        if !import.files.is_empty() {
            let change = Pending::of(import.files.clone());
            changing.put(&change).map_err(|error| {
                if !place::counts(&error) {
                    back();
                }
                refused(&error, context)
            })?;
            told(context, &import, Some(sink));
        }
        Ok((import, outcome))
    }
}

/// A bounded regular file, as text; whether another user may have written it.
fn read(file: &Path) -> std::io::Result<(Zeroizing<String>, bool)> {
    let handle = open(file)?;
    let meta = handle.metadata()?;
    if !meta.is_file() || meta.len() > MOST {
        let what = "it is no regular file, or larger than a configuration";
        return Err(Error::new(ErrorKind::InvalidInput, what));
    }
    let mut octets = Zeroizing::new(Vec::new());
    handle.take(MOST).read_to_end(&mut octets)?;
    let own = [0, rustix::process::geteuid().as_raw()].contains(&meta.uid());
    Ok((text(&octets)?, !own || meta.mode() & 0o002 != 0))
}

/// A password with a replacement character in it would be refused by its server.
fn text(octets: &[u8]) -> std::io::Result<Zeroizing<String>> {
    let text = std::str::from_utf8(octets).map_err(|error| {
        let line = octets.iter().take(error.valid_up_to()).filter(|b| **b == b'\n').count();
        let line = line.saturating_add(1);
        Error::new(ErrorKind::InvalidData, format!("line {line} is not UTF-8; convert it first"))
    })?;
    Ok(Zeroizing::new(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned()))
}

/// Opens without waiting: a pipe has no end.
fn open(file: &Path) -> std::io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_text_are_refused_with_their_line_and_a_byte_order_mark_is_skipped() {
        assert_eq!(text(b"\xef\xbb\xbfpoll h").unwrap().as_str(), "poll h");
        let refused = text(b"poll h\npass caf\xe9\n").unwrap_err().to_string();
        assert!(refused.contains("line 2 is not UTF-8"), "{refused}");
    }

    #[test]
    fn pipes_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("fetchmailrc");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(read(&pipe).unwrap_err().to_string().contains("no regular file"));
    }
}

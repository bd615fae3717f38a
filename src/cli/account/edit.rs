//! `postrider account edit`: an account's file in an editor, checked before it counts.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{Error, IsTerminal as _, Result, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

use crate::audit::Act;
use crate::cli::configuration::import::refused;
use crate::cli::exit::Exit;
use crate::cli::{Context, block_on, eprint, records, render, terminal};
use crate::config::{self, Change, Loaded, Pending, Severity};
use crate::moving::place::Changing;
use crate::poll::Clock;

pub(super) const AFTER_HELP: &str = "\
The editor is that of $VISUAL or $EDITOR, else `editor`. It gets a copy; the file is replaced when
all of the configuration is right with it, and keeps its owner and mode.
Exit codes: 0 changed, or nothing to change; 1 the editor failed, or the file was changed meanwhile;
            2 no such account, or what was written is not right

Example: postrider account edit invoices";

/// Edit an account's file.
#[derive(Args, Debug)]
pub(super) struct Edit {
    /// The account, inbound or outbound
    account: String,
}

impl Edit {
    pub(super) fn run(&self, context: &Context) -> Exit {
        let main = &context.config_file;
        let before = config::load(main, Clock.now());
        let Some(file) = self.file(&before) else { return self.unknown(&before) };
        match Session::begin(main, file) {
            // The editor's Ctrl-C is its own: this process stays, and removes the copy.
            Ok(session) => match block_on(async { caught() }) {
                Ok(_caught) => session.edit(context, &before),
                Err(exit) => exit,
            },
            Err(error) => refused(&error, context),
        }
    }

    /// The file that has a table of the account, be the rest of it right or not.
    fn file(&self, loaded: &Loaded) -> Option<PathBuf> {
        let has_table = |file: &&PathBuf| {
            let text = fs::read_to_string(file).map(Zeroizing::new).unwrap_or_default();
            config::has_account(&text, &self.account)
        };
        loaded.files.iter().find(has_table).cloned()
    }

    fn unknown(&self, loaded: &Loaded) -> Exit {
        let accounts = loaded.config.iter().flat_map(|config| {
            config.inbound.keys().chain(config.outbound.keys()).map(ToString::to_string)
        });
        let near = |name: &String| strsim::damerau_levenshtein(name, &self.account);
        let nearest = accounts.min_by_key(near);
        let hint = nearest.map(|name| format!("did you mean `{name}`?"));
        render::error(&format!("no file has an account `{}`", self.account), hint.as_deref());
        Exit::Usage
    }
}

/// With handlers, the two signals of a terminal don't end this process; no child inherits them.
fn caught() -> [Result<Signal>; 2] {
    [signal(SignalKind::interrupt()), signal(SignalKind::quit())]
}

/// A copy of a file, for its editor alone: it may hold secrets.
struct Session<'a> {
    main: &'a Path,
    file: PathBuf,
    text: Zeroizing<String>,
    folder: PathBuf,
    copy: PathBuf,
    /// The copy is all that is left of what somebody wrote.
    stays: Cell<bool>,
}

impl Drop for Session<'_> {
    #[expect(clippy::disallowed_methods, reason = "a temporary folder of its own, not the archive")]
    fn drop(&mut self) {
        if self.stays.get() {
            return;
        }
        // Editors leave copies of their own beside it.
        drop(fs::remove_dir_all(&self.folder));
    }
}

impl<'a> Session<'a> {
    fn begin(main: &'a Path, file: PathBuf) -> Result<Self> {
        let text = Zeroizing::new(fs::read_to_string(&file)?);
        let folder = std::env::temp_dir().join(format!("postrider-{}", uuid::Uuid::new_v4()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let copy = folder.join(file.file_name().unwrap_or_default());
        let session = Self { main, file, text, folder, copy, stays: Cell::new(false) };
        let mut options = OpenOptions::new();
        let mut copy = options.write(true).create_new(true).mode(0o600).open(&session.copy)?;
        copy.write_all(session.text.as_bytes())?;
        Ok(session)
    }

    fn edit(&self, context: &Context, before: &Loaded) -> Exit {
        loop {
            let edited = match self.edited() {
                Ok(edited) => edited,
                Err(error) => {
                    render::error(&format!("{error}; {} stays as it was", self.shown()), None);
                    return Exit::Failed;
                }
            };
            let after = self.with(&edited);
            if *edited == *self.text || after.config.is_some() {
                return self.keep(context, before, (edited, &after));
            }
            let errors = after.problems.iter().filter(|p| p.severity == Severity::Error);
            errors.for_each(|problem| eprint(&problem.to_string()));
            if !again() {
                render::error(&format!("{} stays as it was", self.shown()), None);
                return Exit::Usage;
            }
        }
    }

    /// What the editor has made of the copy.
    fn edited(&self) -> Result<Zeroizing<String>> {
        let editor = editor();
        // A shell reads it: `emacs -nw` and `"/opt/my editor"` are usual.
        let line = format!("{editor} \"$1\"");
        let ended = Command::new("sh").args(["-c", &line, "sh"]).arg(&self.copy).status()?;
        if !ended.success() {
            return Err(Error::other(format!("`{editor}` ended with {ended}")));
        }
        Ok(Zeroizing::new(fs::read_to_string(&self.copy)?))
    }

    /// The configuration with this text in the file's place.
    fn with(&self, edited: &Zeroizing<String>) -> Loaded {
        config::load_after(self.main, &self.change(edited), Clock.now())
    }

    fn change(&self, edited: &Zeroizing<String>) -> Pending {
        Pending::of(BTreeMap::from([(self.file.clone(), Some(edited.clone()))]))
            .as_open_as(&self.file)
    }

    /// Puts the text in the file's place, if that is still as the editor got it.
    fn keep(
        &self,
        context: &Context,
        before: &Loaded,
        (edited, after): (Zeroizing<String>, &Loaded),
    ) -> Exit {
        if *edited != *self.text {
            let put = || {
                let changing = Changing::begin(self.main)?;
                if fs::read_to_string(&self.file).map(Zeroizing::new)? != self.text {
                    return Err(Error::other("somebody changed it meanwhile; it stays so"));
                }
                changing.put(&self.change(&edited))
            };
            if let Err(error) = put() {
                let exit = refused(&error, context);
                self.stays.set(true);
                eprint(&format!("what you wrote is in {}", self.copy.display()));
                return exit;
            }
            let changes = config::diff(&before.origins, &after.origins);
            self.tell(context, after, &changes);
            return Exit::Done;
        }
        if context.out.json {
            context.out.value(&json!({ "file": self.file, "written": false, "changes": [] }));
        } else {
            context.out.line("nothing to change");
        }
        Exit::Done
    }

    fn tell(&self, context: &Context, after: &Loaded, changes: &[Change]) {
        if let Some(config) = &after.config {
            records::note(config, Act::AccountEdit);
            let shown: Vec<String> = changes.iter().map(ToString::to_string).collect();
            records::record(context, config, || {
                tracing::info!(
                    target: "config",
                    code = "config-edited",
                    file = %self.file.display(),
                    changed = shown.join(", "),
                    "Config file edited: {}",
                    self.file.display()
                );
            });
        }
        if context.out.json {
            let done = json!({ "file": self.file, "written": true, "changes": changes });
            return context.out.value(&done);
        }
        for problem in &after.problems {
            eprint(&problem.to_string());
        }
        for change in changes {
            context.out.line(&format!("  {change}"));
        }
        context.out.line(&format!("wrote {}", self.shown()));
        context.out.line("next: postrider reload");
    }

    fn shown(&self) -> String {
        self.file.display().to_string()
    }
}

/// The person's, as every such program takes it.
#[expect(clippy::disallowed_methods, reason = "what a person has chosen for all programs")]
fn editor() -> String {
    let mut named = ["VISUAL", "EDITOR"].into_iter().filter_map(|name| std::env::var(name).ok());
    named.find(|editor| !editor.trim().is_empty()).unwrap_or_else(|| "editor".to_owned())
}

/// Whether a person wants to mend it; nobody is asked off a terminal.
fn again() -> bool {
    std::io::stdin().is_terminal()
        && terminal::read_answer("edit it again? [Y/n] ")
            .is_ok_and(|answer| !answer.to_ascii_lowercase().starts_with('n'))
}

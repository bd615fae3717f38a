//! `postrider config import`.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::audit::Act;
use crate::cli::exit::Exit;
use crate::cli::render::{self, plural};
use crate::cli::{Context, eprint, records};
use crate::config::bundle::{self, ImportOptions, Verdict};
use crate::config::{Pending, Severity};
use crate::log::Sink;
use crate::moving::place::{self, Changing};
use crate::poll::Clock;

/// Take a bundle into this instance.
///
/// Each account of the bundle is added, or made to say what the bundle says; accounts with
/// `protect = true` stay as they are, with the tokens that they use. The result is checked as a
/// whole first, and put in place whole or not at all.
#[derive(Args, Debug)]
pub(super) struct Import {
    /// The bundle: what `config export` wrote, or any file of accounts
    file: PathBuf,
    /// Say what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove accounts, submission servers and tokens that the bundle doesn't have
    #[arg(long)]
    prune: bool,
    /// Change or remove this account although it is protected
    #[arg(long, value_name = "NAME")]
    override_protected: Vec<String>,
}

impl Import {
    pub(super) fn run(self, context: &Context) -> Exit {
        let changing = if self.dry_run {
            None
        } else {
            match Changing::begin(&context.config_file) {
                Ok(changing) => Some(changing),
                Err(error) => return refused(&error, context),
            }
        };
        let options = ImportOptions {
            prune: self.prune,
            override_protected: self.override_protected.clone(),
            ..ImportOptions::default()
        };
        let import = bundle::import(&context.config_file, &self.file, &options, Clock.now());
        if import.problems.iter().any(|problem| problem.severity == Severity::Error) {
            if context.out.json {
                context.out.value(&json!({ "done": false, "problems": import.problems }));
            } else {
                for problem in &import.problems {
                    eprint(&problem.to_string());
                }
                render::error("nothing was changed: the result would not be a valid config", None);
            }
            return Exit::Usage;
        }
        if let Some(changing) = &changing
            && !import.files.is_empty()
            && let Err(error) = changing.put(&Pending::of(import.files.clone()))
        {
            return refused(&error, context);
        }
        if changing.is_some() && !import.files.is_empty() {
            told(context, &import, None);
        }
        self.report(context, &import);
        Exit::Done
    }

    fn report(&self, context: &Context, import: &bundle::Import) {
        if context.out.json {
            let secrets = import.secrets.iter();
            context.out.value(&json!({
                "done": !self.dry_run,
                "tables": import.verdicts,
                "files": import.files.iter().map(|(file, text)| json!({
                    "file": file, "removed": text.is_none(),
                })).collect::<Vec<_>>(),
                "secrets_to_set": secrets.map(|(key, name)| json!({
                    "key": key, "name": name,
                })).collect::<Vec<_>>(),
            }));
            return;
        }
        let out = context.out;
        for (name, verdict) in &import.verdicts {
            for line in lines(name, verdict) {
                out.line(&line);
            }
        }
        let same = import.verdicts.values().filter(|v| **v == Verdict::Same).count() as u64;
        if same > 0 {
            out.line(&format!("{} already as in the bundle", plural(same, "table")));
        }
        for (file, text) in &import.files {
            let verb = match (self.dry_run, text.is_some()) {
                (false, true) => "wrote",
                (false, false) => "removed",
                (true, true) => "would write",
                (true, false) => "would remove",
            };
            out.line(&format!("{verb} {}", file.display()));
        }
        if import.files.is_empty() {
            out.line("nothing to change");
            return;
        }
        for (key, name) in &import.secrets {
            out.line(&format!("the bundle has no secret for {key}: postrider secret set {name}"));
        }
        if self.dry_run {
            out.line("nothing was changed");
        } else {
            out.line("next: postrider check, then postrider reload");
        }
    }
}

/// Tells history and log of an import.
pub(in crate::cli) fn told(context: &Context, import: &bundle::Import, sink: Option<&Sink>) {
    let Some(config) = &import.loaded.config else { return };
    records::note(config, Act::Import);
    let changed = import.verdicts.iter();
    let changed = changed.filter(|(_, verdict)| {
        matches!(verdict, Verdict::Add | Verdict::Remove | Verdict::Update { .. })
    });
    let names: Vec<&str> = changed.map(|(name, _)| name.as_str()).collect();
    let tell = || {
        tracing::info!(
            target: "config",
            code = "config-imported",
            n = names.len(),
            changed = names.join(", "),
            "Config changed by an import: {}",
            plural(names.len() as u64, "table")
        );
    };
    match sink {
        None => records::record(context, config, tell),
        Some(sink) => {
            records::keep(sink, &config.daemon.state_dir);
            tell();
            sink.flush(Duration::from_secs(5));
        }
    }
}

/// `inbound.a: kept, as it is protected (host, user differ)`, and the values.
fn lines(name: &str, verdict: &Verdict) -> Vec<String> {
    let (head, changes) = match verdict {
        Verdict::Add => ("added".to_owned(), [].as_slice()),
        Verdict::Remove => ("removed".to_owned(), [].as_slice()),
        Verdict::Same => return Vec::new(),
        Verdict::Update { changes } => ("changed".to_owned(), changes.as_slice()),
        Verdict::Kept { removal: true, .. } => {
            ("kept, as it is protected; it would have been removed".to_owned(), [].as_slice())
        }
        Verdict::Kept { changes, .. } => {
            let keys: Vec<&str> = changes.iter().map(|change| change.key.as_str()).collect();
            (format!("kept, as it is protected ({} differ)", keys.join(", ")), changes.as_slice())
        }
    };
    let mut lines = vec![format!("{name}: {head}")];
    if let Verdict::Kept { .. } = verdict {
        let account = name.split_once('.').map_or(name, |(_, account)| account);
        lines.push(format!("  to change it all the same: --override-protected {account}"));
    }
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    lines.extend(changes.iter().map(|change| {
        format!("  {}: {} -> {}", change.key, shown(&change.from), shown(&change.to))
    }));
    lines
}

pub(in crate::cli) fn refused(error: &std::io::Error, context: &Context) -> Exit {
    let file = context.config_file.display();
    if error.kind() == ErrorKind::WouldBlock {
        render::error(&format!("another process changes {file} now"), None);
        return Exit::Busy;
    }
    if place::counts(error) {
        let what =
            format!("the change of {file} counts, though not all files could be written: {error}");
        let hint = "mend that; the next `postrider config import`, of any bundle, ends it";
        render::error(&what, Some(hint));
        return Exit::Failed;
    }
    let hint = "who changes the config must be able to write its folder and files";
    render::error(&format!("{file} can't be changed: {error}"), Some(hint));
    Exit::Failed
}

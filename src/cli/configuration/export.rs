//! `postrider config export`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::Context;
use crate::cli::exit::Exit;
use crate::cli::render::{self, plural};
use crate::config::bundle;

/// Write all accounts, submission servers and tokens as one file.
#[derive(Args, Debug)]
pub(super) struct Export {
    /// Write it there, mode 0600, instead of to standard output; never over another file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Export {
    pub(super) fn run(&self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let bundle = bundle::export(&config.facts);
        let left_out: Vec<String> =
            bundle.left_out.iter().map(|(table, key)| format!("{table}.{key}")).collect();
        if let Some(path) = &self.out
            && let Err(error) = write(path, &bundle.text)
        {
            let hint = (error.kind() == std::io::ErrorKind::AlreadyExists)
                .then_some("name another file, or move that one away");
            render::error(&format!("cannot write `{}`: {error}", path.display()), hint);
            return Exit::Failed;
        }
        if context.out.json {
            context.out.value(&json!({
                "file": self.out,
                "bundle": self.out.is_none().then_some(&bundle.text),
                "tables": bundle.tables.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "left_out": left_out,
            }));
            return Exit::Done;
        }
        match &self.out {
            Some(path) => {
                let tables = plural(bundle.tables.len() as u64, "table");
                context.out.line(&format!("{tables} written to {}", path.display()));
                context.out.line(&format!(
                    "next, on the other machine: postrider config import {} --dry-run",
                    path.display()
                ));
            }
            None => context.out.lines(&bundle.text),
        }
        if !left_out.is_empty() {
            let what =
                format!("left out, as they stand in the files as text: {}", left_out.join(", "));
            let hint = "postrider secret set NAME keeps them in the keystore; the other instance \
                        needs them anew in any case";
            render::warning(&what, Some(hint));
        }
        Exit::Done
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

//! `postrider config`: settings between instances, and their history.

mod export;
mod history;
pub(super) mod import;

use clap::{Args, Subcommand};

use super::Context;
use super::exit::Exit;

/// Move settings between instances.
#[derive(Args, Debug)]
pub(super) struct Configuration {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write all accounts, submission servers and tokens as one file; secrets by name only
    #[command(after_help = "Example: postrider config export --out bundle.toml")]
    Export(export::Export),
    /// Show who brought which configuration into effect, and what it changed
    #[command(after_help = "Example: postrider config history --last 5")]
    History(history::History),
    /// Show what differs between the last recorded configuration and the files, or any two
    #[command(after_help = "Example: postrider config diff 3 file")]
    Diff(history::Diff),
    /// Take such a file into this instance; protected accounts stay as they are
    #[command(after_help = "Example: postrider config import bundle.toml --dry-run")]
    Import(import::Import),
}

impl Configuration {
    pub(super) fn run(self, context: &Context) -> Exit {
        match self.verb {
            Verb::Export(verb) => verb.run(context),
            Verb::History(verb) => verb.run(context),
            Verb::Diff(verb) => verb.run(context),
            Verb::Import(verb) => verb.run(context),
        }
    }
}

//! `postrider verify`: tree and ledger compared, both ways.

use std::collections::BTreeSet;
use std::io::IsTerminal;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::exit::Exit;
use super::render::{self, count, plural};
use super::{Context, block_on, plan};
use crate::archive::root::Root;
use crate::archive::{Depth, Fault, Reader};
use crate::config::Config;
use crate::daemon::instance::{InstanceError, fit, lock_holder};
use crate::ledger::{Ledger, LedgerError};
use crate::recovery::{Checked, RecoveryError, Verifier};

/// Compare archive and ledger: each stored message has its folder, whole and unchanged, and each
/// folder is known. Works beside a running daemon and changes nothing.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// Only these accounts [default: all, and the whole tree]
    #[arg(value_name = "ACCOUNT")]
    accounts: Vec<String>,
    /// Presence and sizes only, without reading contents
    #[arg(long)]
    quick: bool,
}

impl Verify {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        match block_on(self.verify(context, &config)) {
            Ok(Ok(exit)) | Err(exit) => exit,
            Ok(Err(error)) => failed(&error),
        }
    }

    async fn verify(self, context: &Context, config: &Config) -> Result<Exit, InstanceError> {
        let root = Root::open(&config.archive.root)?;
        let state_dir = &config.daemon.state_dir;
        match fit(state_dir, &root) {
            // What it lacks is what a person wants to see now.
            Err(InstanceError::Ledger(LedgerError::ArchiveOlder { .. })) => {}
            fits => fits?,
        }
        let ledger = Ledger::open_read_only(state_dir)?;
        let known: BTreeSet<String> =
            ledger.read("read accounts", |tx| Ok(tx.accounts()?.into_iter().collect())).await?;
        let accounts: BTreeSet<String> = self.accounts.into_iter().collect();
        let accounts: Vec<String> = accounts.into_iter().collect();
        let strange =
            |name: &&String| !config.inbound.contains_key(name.as_str()) && !known.contains(*name);
        if let Some(name) = accounts.iter().find(strange) {
            return Ok(plan::unknown(config, name));
        }
        let reader = Reader::new(root, &config.archive);
        let bar = bar();
        let out = context.out;
        let mut tell = |fault: &Fault| {
            let text = format!("{}: {} ({})", fault.path, fault.what, fault.kind.as_str());
            let print = || {
                if out.json {
                    out.value(&json!({ "fault": fault, "remedy": fault.remedy() }));
                } else {
                    out.line(&text);
                    out.line(&format!("  hint: {}", fault.remedy()));
                }
            };
            bar.suspend(print);
        };
        let mut progress = |done: u64, all: u64| {
            bar.set_length(all);
            bar.set_position(done);
        };
        let verifier = Verifier {
            reader: &reader,
            ledger: &ledger,
            depth: if self.quick { Depth::Quick } else { Depth::Whole },
            accounts: &accounts,
            is_busy: &|| lock_holder(state_dir).is_some(),
            tell: &mut tell,
            progress: &mut progress,
        };
        let checked = verifier.run().await.map_err(instance_error)?;
        bar.finish_and_clear();
        Ok(self_report(context, checked, self.quick))
    }
}

fn self_report(context: &Context, checked: Checked, quick: bool) -> Exit {
    let Checked { messages, folders, faults } = checked;
    if context.out.json {
        context.out.value(&json!({
            "messages": messages, "folders": folders, "faults": faults, "quick": quick,
        }));
    } else {
        let how = if quick { "looked at" } else { "read and compared" };
        let text = match faults {
            0 => "archive and ledger agree".to_owned(),
            n => plural(n, "fault"),
        };
        let copies = if messages == 1 { "copy" } else { "copies" };
        let folders = plural(folders, "folder");
        context.out.line(&format!("{} {copies} {how}, {folders}: {text}", count(messages)));
    }
    if faults == 0 { Exit::Done } else { Exit::Failed }
}

/// An error with its hint, and the exit that it leads to.
pub(super) fn failed(error: &InstanceError) -> Exit {
    render::error(&error.to_string(), error.hint().as_deref());
    if error.is_busy() {
        Exit::Busy
    } else if error.needs_person() {
        Exit::Person
    } else {
        Exit::Failed
    }
}

pub(super) fn instance_error(error: RecoveryError) -> InstanceError {
    match error {
        RecoveryError::Archive(error) => error.into(),
        RecoveryError::Ledger(error) => error.into(),
    }
}

/// A bar on a terminal, else one that shows nothing.
pub(super) fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("[{bar:28}]  {pos}/{len}  {eta} left").ok();
    match style {
        Some(style) => bar.with_style(style.progress_chars("##-")),
        None => bar,
    }
}

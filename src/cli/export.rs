//! `postrider export`: stored messages, written for other programs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::exit::Exit;
use super::render::{self, count, plural};
use super::selecting::Selecting;
use super::verify::{bar, failed};
use super::{Context, block_on, plan, records};
use crate::archive::root::Root;
use crate::config::Config;
use crate::daemon::instance::InstanceError;
use crate::ledger::Ledger;
use crate::model::ByteSize;
use crate::moving::export::{self, ExportError, Exported};

/// Below the options.
pub(super) const AFTER_HELP: &str = "\
Example: postrider export invoices --format mbox --to invoices.mbox --since 2026-01-01
What is there is never written over. A copy that is not what was stored any more is
left out and named, and the command ends with 3.";

/// Write stored messages as files, mbox, Maildir or ZIP. Works beside a running daemon, and changes
/// nothing in archive and ledger.
#[derive(Args, Debug)]
pub(super) struct Export {
    /// The inbound account [default: all that the ledger knows]
    account: Option<String>,
    /// As what
    #[arg(long)]
    format: Format,
    /// The file or folder to make; nothing must be there
    #[arg(long, value_name = "PATH")]
    to: PathBuf,
    #[command(flatten)]
    which: Selecting,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A folder: ACCOUNT/in/DATE/MESSAGE.eml
    Eml,
    /// One file (RFC 4155); `From ` in lines is quoted with `>` the mboxrd way
    Mbox,
    /// A folder with cur, new, tmp; flags and dates as they were
    Maildir,
    /// One file of ACCOUNT/in/DATE/MESSAGE.eml, not compressed
    Zip,
}

impl Export {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        match block_on(self.export(&config)) {
            Ok(Ok(exported)) => {
                self.tell(context, &config, &exported);
                self.report(context, &exported)
            }
            Ok(Err(exit)) | Err(exit) => exit,
        }
    }

    async fn export(&self, config: &Config) -> Result<Exported, Exit> {
        let selection = self.which.selection(config)?;
        let instance = |error: InstanceError| failed(&error);
        let root = Root::open(&config.archive.root).map_err(|error| instance(error.into()))?;
        let ledger = Ledger::open_read_only(&config.daemon.state_dir);
        let ledger = ledger.map_err(|error| instance(error.into()))?;
        let only = self.account.clone();
        let known = ledger.read("read accounts", move |tx| {
            let accounts = tx.accounts()?.into_iter();
            let accounts = accounts.filter(|name| only.as_ref().is_none_or(|only| only == name));
            let mut known = (Vec::new(), 0_u64);
            for name in accounts {
                known.1 = known.1.saturating_add(tx.count_copies(&name)?);
                known.0.push(name);
            }
            Ok(known)
        });
        let (accounts, copies) = known.await.map_err(|error| instance(error.into()))?;
        if let Some(account) = &self.account
            && accounts.is_empty()
            && !config.inbound.contains_key(account.as_str())
        {
            return Err(plan::unknown(config, account));
        }
        let bar = bar();
        bar.set_length(copies);
        let export = export::Export {
            accounts: &accounts,
            selection: &selection,
            format: self.format.into(),
            to: &self.to,
        };
        let done = export.run(&ledger, &root, &mut || bar.inc(1)).await;
        bar.finish_and_clear();
        done.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: ExportError) -> Exit {
        let error = match error {
            ExportError::Ledger(error) => return failed(&error.into()),
            ExportError::Write(error) => error,
        };
        let hint = match error.kind() {
            std::io::ErrorKind::AlreadyExists => Some("name another place, or move that away"),
            std::io::ErrorKind::WouldBlock => Some("another export writes into that folder now"),
            _ => None,
        };
        render::error(&format!("cannot write `{}`: {error}", self.to.display()), hint);
        Exit::Failed
    }

    /// Tells the log: mail has left the archive.
    fn tell(&self, context: &Context, config: &Config, done: &Exported) {
        if done.messages == 0 {
            return;
        }
        records::record(context, config, || {
            tracing::info!(
                target: "archive",
                code = "messages-exported",
                account = self.account.as_deref().unwrap_or_default(),
                messages = done.messages,
                left_out = done.damaged.len(),
                to = %self.to.display(),
                "{} exported",
                plural(done.messages, "message")
            );
        });
    }

    fn report(&self, context: &Context, done: &Exported) -> Exit {
        let out = context.out;
        let exit = if done.damaged.is_empty() { Exit::Done } else { Exit::Degraded };
        if out.json {
            out.value(&json!({
                "account": self.account,
                "format": export::Format::from(self.format),
                "to": (done.messages > 0).then_some(&self.to),
                "messages": done.messages,
                "octets": done.octets,
                "line_ends_added": done.line_ends_added,
                "damaged": done.damaged,
            }));
            return exit;
        }
        for left in &done.damaged {
            render::warning(&format!("left out: {}: {}", left.path, left.why), None);
        }
        if done.line_ends_added > 0 {
            let messages = plural(done.line_ends_added, "message");
            out.line(&format!("{messages} got the line end that an mbox asks for"));
        }
        if done.messages == 0 {
            out.line("no stored message is meant; nothing was written");
        } else {
            let (messages, size) = (plural(done.messages, "message"), ByteSize(done.octets));
            out.line(&format!("{messages}, {size}, written to {}", self.to.display()));
        }
        if !done.damaged.is_empty() {
            let n = count(done.damaged.len() as u64);
            render::error(&format!("{n} left out"), Some("postrider verify says more"));
        }
        exit
    }
}

impl From<Format> for export::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Eml => Self::Eml,
            Format::Mbox => Self::Mbox,
            Format::Maildir => Self::Maildir,
            Format::Zip => Self::Zip,
        }
    }
}

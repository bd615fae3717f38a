//! `postrider import`: old mail into an account's archive.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::render::{self, count, plural};
use super::verify::{bar, failed};
use super::{Context, block_on, plan};
use crate::config::{Config, Inbound};
use crate::daemon::instance::{Instance, InstanceError};
use crate::ledger::{Ledger, LedgerError};
use crate::log::Sink;
use crate::model::{ByteSize, MessageKey};
use crate::moving::old::{Files, Finder, Known, OldMail, Quoting};
use crate::poll::{Account, Clock, PollError, import, prepare};

/// Below the options.
pub(super) const AFTER_HELP: &str = "\
Example: postrider import invoices ~/Maildir old.mbox --dry-run
What the account has stored already, by its content, is passed: a second run adds nothing.
A file that can't be read never keeps back the others; the command ends with 3 then.";

/// Messages that are made durable together.
const TOGETHER: usize = 200;

/// Take old mail into an account's archive, as if it had been fetched. No server is asked, and
/// nothing is ever deleted anywhere for it. Needs a stopped daemon.
#[derive(Args, Debug)]
pub(super) struct Import {
    /// The inbound account
    account: String,
    /// Files (.eml, mbox) and folders of them, or Maildirs
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// In an mbox `>From ` stands for `From `, and `>>From ` for itself; without it each
    /// has one `>` more than it had (mboxrd)
    #[arg(long)]
    mboxo: bool,
    /// Say what would be stored, and store nothing
    #[arg(long)]
    dry_run: bool,
}

/// What came of it.
#[derive(Debug, Default)]
struct Done {
    found: u64,
    stored: u64,
    octets: u64,
    known: u64,
}

/// A message that was found, and what its first reading told.
type Read = (OldMail, Known);

enum Fault {
    Instance(InstanceError),
    Poll(PollError),
}

impl Import {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let Some(account) = config.inbound.get(self.account.as_str()) else {
            return plan::unknown(&config, &self.account);
        };
        let quoting = if self.mboxo { Quoting::Mboxo } else { Quoting::Mboxrd };
        let mut finder = Finder::new(&self.paths, quoting);
        let done = if self.dry_run {
            block_on(self.dry(&config, &mut finder))
        } else {
            match context.log(&config, None) {
                Ok(sink) => {
                    let done = block_on(self.work(&config, account, &sink, &mut finder));
                    sink.flush(Duration::from_secs(5));
                    done
                }
                Err(exit) => Err(exit),
            }
        };
        match done {
            Ok(Ok(done)) => self.report(context, &done, &finder),
            Ok(Err(Fault::Instance(error))) => {
                if error.is_busy() {
                    let hint = "stop the daemon first, or add --dry-run";
                    render::error(&error.to_string(), Some(hint));
                    return Exit::Busy;
                }
                failed(&error)
            }
            Ok(Err(Fault::Poll(error))) => {
                let hint = "what was stored by then is durable; the same command goes on";
                render::error(&format!("{}: {error}", self.account), Some(hint));
                Exit::Failed
            }
            Err(exit) => exit,
        }
    }

    async fn dry(&self, config: &Config, finder: &mut Finder) -> Result<Done, Fault> {
        let ledger = Ledger::open_read_only(&config.daemon.state_dir)?;
        let (mut done, bar) = (Done::default(), bar());
        loop {
            let read = gather(finder, &mut done);
            if read.is_empty() {
                break;
            }
            bar.inc(read.len() as u64);
            let new = self.unknown(&ledger, read, &mut done).await?;
            for (_, (_, known)) in new {
                done.stored = done.stored.saturating_add(1);
                done.octets = done.octets.saturating_add(known.size);
            }
        }
        bar.finish_and_clear();
        Ok(done)
    }

    async fn work(
        &self,
        config: &Config,
        account: &Inbound,
        sink: &Sink,
        finder: &mut Finder,
    ) -> Result<Done, Fault> {
        let instance = Instance::open(config, sink.redactor().clone()).await?;
        // A log that can't be stored is counted; what is done is printed, too.
        drop(sink.store_in(&config.daemon.state_dir));
        let tools = instance.tools.clone();
        let account = Account::new(Arc::new(account.clone()), tools, CancellationToken::new());
        prepare(&account).await?;
        let (mut done, bar) = (Done::default(), bar());
        loop {
            let read = gather(finder, &mut done);
            if read.is_empty() {
                break;
            }
            bar.inc(read.len() as u64);
            let new = self.unknown(&instance.tools.ledger, read, &mut done).await?;
            store(&account, new, finder, &mut done).await?;
        }
        bar.finish_and_clear();
        tracing::info!(
            target: "archive",
            code = "messages-imported",
            account = self.account,
            messages = done.stored,
            known = done.known,
            failed = finder.failed.len(),
            "{} imported",
            plural(done.stored, "message")
        );
        instance.close().await;
        Ok(done)
    }

    /// Those that the account has no copy of, each once.
    async fn unknown(
        &self,
        ledger: &Ledger,
        read: Vec<Read>,
        done: &mut Done,
    ) -> Result<BTreeMap<MessageKey, Read>, LedgerError> {
        let contents: Vec<_> =
            read.iter().map(|(_, known)| (known.sha256, known.as_sent)).collect();
        let account = self.account.clone();
        let look = move |tx: &crate::ledger::Tx<'_>| tx.have_content(&account, &contents);
        let have = ledger.read("look for contents", look).await?;
        let all = read.len();
        let new = read.into_iter().zip(have).filter(|(_, have)| !have);
        let new: BTreeMap<_, _> =
            new.map(|((mail, known), _)| (mail.fetch(&known).key, (mail, known))).collect();
        done.known = done.known.saturating_add(all.saturating_sub(new.len()) as u64);
        Ok(new)
    }

    fn report(&self, context: &Context, done: &Done, finder: &Finder) -> Exit {
        let exit = match (finder.failed.is_empty(), done.found) {
            (true, _) => Exit::Done,
            (false, 0) => Exit::Failed,
            (false, _) => Exit::Degraded,
        };
        if context.out.json {
            context.out.value(&json!({
                "account": self.account,
                "dry_run": self.dry_run,
                "found": done.found,
                "stored": done.stored,
                "octets": done.octets,
                "known": done.known,
                "no_mail": finder.passed,
                "failed": finder.failed,
            }));
            return exit;
        }
        for left in &finder.failed {
            render::warning(&format!("{}: {}", left.path, left.why), None);
        }
        let word = if self.dry_run { "would be stored" } else { "stored" };
        let (stored, size) = (plural(done.stored, "message"), ByteSize(done.octets));
        let rest = match finder.passed {
            0 => String::new(),
            n => format!("; {} passed that are no mail", plural(n, "file")),
        };
        context
            .out
            .line(&format!("{stored} {word}, {size}; {} known already{rest}", count(done.known)));
        exit
    }
}

/// The next messages, read for the first time.
fn gather(finder: &mut Finder, done: &mut Done) -> Vec<Read> {
    let mut read = Vec::new();
    while read.len() < TOGETHER {
        let Some(mail) = finder.next_mail() else { break };
        match mail.know(Clock.now()) {
            Ok(known) if known.size == 0 => {
                finder.fail(mail.place.shown().as_ref(), &"it is empty");
            }
            Ok(known) => {
                done.found = done.found.saturating_add(1);
                read.push((mail, known));
            }
            Err(error) => finder.fail(mail.place.shown().as_ref(), &error),
        }
    }
    read
}

/// Stores a batch, and notes what failed.
async fn store(
    account: &Account,
    new: BTreeMap<MessageKey, Read>,
    finder: &mut Finder,
    done: &mut Done,
) -> Result<(), PollError> {
    if new.is_empty() {
        return Ok(());
    }
    let fetches = new.values().map(|(mail, known)| mail.fetch(known)).collect();
    let mails = new.into_iter().map(|(key, (mail, _))| (key, mail)).collect();
    let mut files = Files { mails };
    let stored = import(account, &mut files, fetches).await?;
    done.stored = done.stored.saturating_add(stored.messages);
    done.octets = done.octets.saturating_add(stored.octets);
    for (key, why) in stored.failed {
        let place = files.mails.get(&key).map(|mail| mail.place.shown()).unwrap_or_default();
        finder.fail(place.as_ref(), &why);
    }
    Ok(())
}

impl From<InstanceError> for Fault {
    fn from(error: InstanceError) -> Self {
        Self::Instance(error)
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        Self::Instance(error.into())
    }
}

impl From<PollError> for Fault {
    fn from(error: PollError) -> Self {
        Self::Poll(error)
    }
}

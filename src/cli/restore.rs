//! `postrider restore`: stored messages back into a mailbox of their account's server.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::render::{self, Out, count, plural, wrapped};
use super::selecting::Selecting;
use super::verify::{bar, failed};
use super::{Context, block_on, plan};
use crate::archive::root::Root;
use crate::config::{Config, Inbound, Protocol};
use crate::daemon::attempts;
use crate::daemon::instance::{Instance, InstanceError};
use crate::ledger::Ledger;
use crate::log::Sink;
use crate::model::{AccountName, ByteSize};
use crate::moving::restore::{self, Restore as Run, RestoreError, Restored, Told, Wish, pollers};
use crate::moving::select::Selection;
use crate::poll::{Account, Clock, Keyring, PollError, origin_of, prepare};

/// Below the options.
pub(super) const AFTER_HELP: &str = "\
Example: postrider restore invoices --to-mailbox Restored --dry-run
         postrider restore invoices --to-mailbox Restored --create
Each message comes with its date and flags, octet for octet, and once: the
same command goes on where it was cut. Without --dry-run the daemon must not
run.";

/// The width that people read.
const WIDTH: usize = 80;

/// Put stored messages back into a mailbox on their account's server. Nothing is ever removed, there
/// or here.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct Restore {
    /// The inbound account; its mail goes to its own server, by its own login (IMAP)
    account: String,
    /// The mailbox on the server; one that no account polls
    #[arg(long, value_name = "NAME")]
    to_mailbox: String,
    #[command(flatten)]
    which: Selecting,
    /// Only the message with this id, or the beginning of it
    #[arg(long)]
    id: Option<String>,
    /// Make the mailbox, if it isn't there
    #[arg(long)]
    create: bool,
    /// Also into a mailbox that is polled: what is put there counts as known and isn't
    /// archived again
    #[arg(long)]
    force: bool,
    /// Put back once more what was put back before and has been removed there since
    #[arg(long)]
    again: bool,
    /// Look for each message on the server first, not only for those that the ledger is not
    /// sure of: after a `postrider ledger rebuild` that couldn't read the ledger before
    #[arg(long)]
    look: bool,
    /// Look what would be put back; change nothing here or there
    #[arg(long)]
    dry_run: bool,
    /// Name each message
    #[arg(long, short)]
    verbose: bool,
}

/// What was done, and what ended it early.
type Done = (Restored, Option<RestoreError>);

/// Why nothing was.
enum Fault {
    Instance(InstanceError),
    Poll(PollError),
    /// It was told.
    Told(Exit),
}

impl Restore {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let Some(account) = config.inbound.get(self.account.as_str()) else {
            return plan::unknown(&config, &self.account);
        };
        if let Some(why) = self.unfit(account) {
            render::error(&why.0, Some(why.1));
            return Exit::Usage;
        }
        let sink = match context.log(&config, None) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        let keyring = context.keyring(&config, &sink);
        let done = block_on(self.work(context.out, (&config, account), &sink, &keyring));
        sink.flush(Duration::from_secs(5));
        let redact = |text: &str| sink.redactor().redact(text);
        match done {
            Ok(Ok((done, ended))) => {
                self.report(context.out, &done, ended.as_ref());
                self.end(account, &done, ended, &redact)
            }
            Ok(Err(Fault::Told(exit))) | Err(exit) => exit,
            Ok(Err(Fault::Poll(error))) => {
                let hint = error.advice(account).map(|hint| redact(&hint));
                render::error(&redact(&format!("{}: {error}", self.account)), hint.as_deref());
                Exit::Failed
            }
            Ok(Err(Fault::Instance(error))) if error.is_busy() => {
                let hint = "stop the daemon first, or add --dry-run";
                render::error(&error.to_string(), Some(hint));
                Exit::Busy
            }
            Ok(Err(Fault::Instance(error))) => failed(&error),
        }
    }

    /// Why nothing can be put there by this account, and what helps.
    fn unfit(&self, account: &Inbound) -> Option<(String, &'static str)> {
        if account.protocol != Protocol::Imap {
            let what = format!("`{}` is a POP3 account: POP3 has no way to add mail", self.account);
            let hint = "postrider export writes it for a mail program, which can";
            return Some((what, hint));
        }
        let name = &self.to_mailbox;
        (name.is_empty() || name.contains(char::is_control)).then(|| {
            ("the mailbox's name is empty, or holds control characters".to_owned(), "name another")
        })
    }

    async fn work(
        &self,
        out: Out,
        (config, account): (&Config, &Inbound),
        sink: &Sink,
        keyring: &Keyring,
    ) -> Result<Done, Fault> {
        let selection = self.which.selection(config).map_err(Fault::Told)?;
        let state_dir = &config.daemon.state_dir;
        let ledger = Ledger::open_read_only(state_dir).map_err(InstanceError::from)?;
        let pollers = self.pollers(config, account, keyring, &ledger).await?;
        let work = Work { restore: self, out, account, selection: &selection, pollers };
        if self.dry_run {
            let root = Root::open(&config.archive.root).map_err(InstanceError::from)?;
            let origin = origin_of(account, keyring, &ledger).await?;
            return work.run(&ledger, &root, (origin, keyring.clone(), false)).await;
        }
        drop(ledger);
        let instance = Instance::open(config, sink.redactor().clone()).await?;
        // A log that can't be stored is counted; what is done is printed, too.
        drop(sink.store_in(state_dir));
        let tools = instance.tools.clone();
        let whole = Arc::new(account.clone());
        let own = Account::new(whole, tools.clone(), CancellationToken::new());
        prepare(&own).await?;
        let attempts = attempts(config);
        let wary = match attempts.may_open(&own).await {
            Ok(was_refused) => was_refused && account.oauth.is_some(),
            Err(kept) => {
                let hint = "postrider account resume, once the login works again";
                render::error(&format!("{}: {}", self.account, kept.why()), Some(hint));
                return Err(Fault::Told(Exit::Failed));
            }
        };
        let origin = origin_of(account, keyring, &tools.ledger).await?;
        let means = (origin, tools.keyring(), wary);
        let done = work.run(&tools.ledger, tools.archive.root(), means).await?;
        if let Some(RestoreError::Opening(error)) = &done.1 {
            attempts.note_login(&own, error).await.map_err(InstanceError::from)?;
        }
        self.log(&done);
        tools.tokens.finish().await;
        instance.close().await;
        Ok(done)
    }

    /// The accounts that poll the mailbox; they forbid it without `--force`.
    async fn pollers(
        &self,
        config: &Config,
        account: &Inbound,
        keyring: &Keyring,
        ledger: &Ledger,
    ) -> Result<Vec<AccountName>, Fault> {
        let own = origin_of(account, keyring, ledger).await?;
        let mut origins = Vec::new();
        for other in config.inbound.values() {
            if other.host.eq_ignore_ascii_case(&account.host) {
                // A user name that can't be read may be the same one.
                origins.push((other, origin_of(other, keyring, ledger).await.ok()));
            }
        }
        let found = pollers(&self.to_mailbox, &own, origins);
        if found.is_empty() || self.force {
            let imap = found.into_iter().filter(|account| account.protocol == Protocol::Imap);
            return Ok(imap.map(|account| Arc::clone(&account.name)).collect());
        }
        let names: Vec<String> =
            found.iter().map(|account| format!("`{}`", account.name)).collect();
        let (to, names) = (&self.to_mailbox, names.join(", "));
        render::error(
            &format!("`{to}` is polled by {names}: what is put there would be archived again"),
            Some("name a mailbox that no account polls, or see --force"),
        );
        Err(Fault::Told(Exit::Usage))
    }

    /// Tells the log: mail has left the archive.
    fn log(&self, (done, ended): &Done) {
        if done.restored == 0 && ended.is_none() {
            return;
        }
        tracing::info!(
            target: "archive",
            code = "messages-restored",
            account = self.account,
            mailbox = self.to_mailbox,
            messages = done.restored,
            octets = done.octets,
            there = done.there,
            before = done.before,
            failed = done.failed.len(),
            ended = ended.as_ref().map(ToString::to_string),
            "{} put back into `{}`",
            plural(done.restored, "message"),
            self.to_mailbox
        );
    }

    fn report(&self, out: Out, done: &Restored, ended: Option<&RestoreError>) {
        if out.json {
            out.value(&json!({
                "account": self.account,
                "mailbox": self.to_mailbox,
                "dry_run": self.dry_run,
                "created": done.created,
                "restored": done.restored,
                "octets": done.octets,
                "there": done.there,
                "before": done.before,
                "unsure": done.unsure,
                "unknown": done.unknown,
                "failed": done.failed,
                "error": ended.map(ToString::to_string),
            }));
            return;
        }
        if ended.is_some() && *done == Restored::default() {
            return;
        }
        for line in self.lines(done) {
            for line in wrapped(&line, WIDTH) {
                out.line(&line);
            }
        }
    }

    fn lines(&self, done: &Restored) -> Vec<String> {
        let would = |did: &str, would: &str| if self.dry_run { would } else { did }.to_owned();
        let (n, size) = (plural(done.restored, "message"), ByteSize(done.octets));
        let to = &self.to_mailbox;
        let made = if done.created {
            would(", which was made", ", which would be made")
        } else {
            String::new()
        };
        let did = would("put back", "would be put back");
        let mut lines = vec![format!("{n} {did} into `{to}`{made}, {size}")];
        if done.there > 0 {
            lines.push(format!("{} there already", plural(done.there, "message")));
        }
        if done.before > 0 {
            let n = plural(done.before, "message");
            lines.push(format!("{n} put back before (--again does it once more)"));
        }
        if done.unsure > 0 {
            let n = plural(done.unsure, "message");
            lines.push(format!("{n} to be looked for there first"));
        }
        if done.unknown > 0 {
            let n = plural(done.unknown, "message");
            lines.push(format!("{n} archived again by the next poll: their UIDs aren't known"));
        }
        lines
    }

    fn end(
        &self,
        account: &Inbound,
        done: &Restored,
        ended: Option<RestoreError>,
        redact: &dyn Fn(&str) -> String,
    ) -> Exit {
        for failed in &done.failed {
            render::warning(
                &redact(&format!("not put back: {}: {}", failed.path, failed.why)),
                None,
            );
        }
        match ended {
            None if done.failed.is_empty() => Exit::Done,
            None => {
                let n = count(done.failed.len() as u64);
                render::error(&format!("{n} not put back"), None);
                Exit::Degraded
            }
            Some(RestoreError::Ledger(error)) => failed(&error.into()),
            Some(error) => {
                let hint = match &error {
                    RestoreError::Opening(error) => error.advice(account),
                    error => error.hint(),
                };
                let hint = hint.map(|hint| redact(&hint));
                render::error(&redact(&format!("{}: {error}", self.account)), hint.as_deref());
                Exit::Failed
            }
        }
    }
}

/// What a run needs, whether anything is sent or not.
struct Work<'w> {
    restore: &'w Restore,
    out: Out,
    account: &'w Inbound,
    selection: &'w Selection,
    pollers: Vec<AccountName>,
}

impl Work<'_> {
    async fn run(
        self,
        ledger: &Ledger,
        root: &Root,
        (origin, keyring, wary): (String, Keyring, bool),
    ) -> Result<Done, Fault> {
        let Restore { to_mailbox, id, create, again, look, dry_run, verbose, .. } = self.restore;
        let name = Arc::clone(&self.account.name);
        let copies = ledger.read("count stored messages", move |tx| tx.count_copies(&name)).await;
        let bar = bar();
        bar.set_length(copies.map_err(InstanceError::from)?);
        let out = self.out;
        let mut tell = |told: Option<&Told<'_>>| match told {
            None => bar.inc(1),
            Some(told) if *verbose => bar.suspend(|| show(out, told)),
            Some(_) => {}
        };
        let run = Run {
            config: self.account,
            origin,
            ledger,
            root,
            keyring,
            clock: Clock,
            wary,
            selection: self.selection,
            id: id.as_deref().unwrap_or_default(),
            mailbox: to_mailbox,
            wish: Wish { create: *create, again: *again, look: *look },
            dry_run: *dry_run,
            pollers: self.pollers,
        };
        let done = run.run(&mut tell).await;
        bar.finish_and_clear();
        Ok(done)
    }
}

/// One message, for who wants to see each.
fn show(out: Out, told: &Told<'_>) {
    use restore::Became;
    if out.json {
        out.value(told);
        return;
    }
    let word = match told.became {
        Became::Restored => "put back",
        Became::There => "there already",
        Became::Before => "put back before",
        Became::Unsure => "to be looked for",
        Became::Failed => "not put back",
    };
    let uid = told.uid.filter(|uid| *uid > 0).map(|uid| format!(", UID {uid}"));
    out.line(&format!("{}: {word}{}", told.path, uid.unwrap_or_default()));
}

impl From<InstanceError> for Fault {
    fn from(error: InstanceError) -> Self {
        Self::Instance(error)
    }
}

impl From<PollError> for Fault {
    fn from(error: PollError) -> Self {
        Self::Poll(error)
    }
}

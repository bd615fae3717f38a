//! `postrider why`: all that is known of one message.

mod find;
mod never;
mod show;
mod trail;

use clap::Args;
use jiff::Timestamp;

use super::exit::Exit;
use super::render;
use super::{Context, block_on};
use crate::archive::Reader;
use crate::archive::root::Root;
use crate::config::Config;
use crate::ledger::{Ledger, LedgerError};
use crate::log::{LOG_FILE, LogDb};
use crate::poll::Clock;

use find::{Found, Question};

/// Below the help.
pub(super) const AFTER_HELP: &str = "\
Exit code 1 when nothing is known of such a message. A daemon may be running.
Example: postrider why '<20261119.4711@supplier.example>'
         postrider why invoices INBOX:48211
         postrider why invoices/in/20261119/091231-d54sfsb5wa3c7sq5";

/// Tell all that is known of one message: why it is stored, held, skipped or deleted.
#[derive(Args, Debug)]
pub(super) struct Why {
    /// A Message-ID, ACCOUNT MAILBOX:UID, a unique-id of POP3, an id of 52 or 16 characters, a path
    /// in the archive, or the number of a log record
    #[arg(value_name = "MESSAGE", num_args = 1..=2, required = true)]
    message: Vec<String>,
}

/// Where it is looked for.
struct Sources<'a> {
    config: &'a Config,
    ledger: Ledger,
    log: Option<LogDb>,
    archive: Option<Reader>,
    now: Timestamp,
}

impl Why {
    pub(super) fn run(self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        match block_on(self.answer(context, &config)) {
            Ok(Ok(exit)) | Err(exit) => exit,
            Ok(Err(error)) => {
                render::error(&error.to_string(), error.hint());
                if error.needs_person() { Exit::Person } else { Exit::Failed }
            }
        }
    }

    async fn answer(&self, context: &Context, config: &Config) -> Result<Exit, LedgerError> {
        let sources = Sources::open(config)?;
        let questions = Question::read(&self.message, &config.archive.root);
        let mut found = Vec::new();
        for question in &questions {
            sources.find(question, &mut found).await?;
        }
        let asked = self.message.join(" ");
        if found.is_empty() {
            let never = never::Never::of(&sources, &questions).await?;
            never.show(context.out, &asked);
            return Ok(if never.is_answer() { Exit::Done } else { Exit::Failed });
        }
        let mut trails = Vec::new();
        for Found { trail, subject } in found {
            trails.push(sources.tell(trail, subject).await?);
        }
        show::show(context.out, &asked, &trails);
        Ok(Exit::Done)
    }
}

impl<'a> Sources<'a> {
    fn open(config: &'a Config) -> Result<Self, LedgerError> {
        let state_dir = &config.daemon.state_dir;
        let root = Root::open(&config.archive.root).ok();
        Ok(Self {
            config,
            ledger: Ledger::open_read_only(state_dir)?,
            log: LogDb::open_read_only(&state_dir.join(LOG_FILE)).ok().flatten(),
            archive: root.map(|root| Reader::new(root, &config.archive)),
            now: Clock.now(),
        })
    }
}

//! `postrider replay`: the rules once more, for messages that are stored.
//!
//! Facts and octets are those of the archive. What is done has the key that it had, or would have
//! had, when the message came. A running daemon does it; without one this command does.

mod there;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::render::{self, Out, plural};
use super::selecting::Selecting;
use super::{Context, actions, block_on, plan, who};
use crate::archive::root::Root;
use crate::config::{Config, Inbound};
use crate::daemon::instance::{Instance, InstanceError};
use crate::daemon::outbox;
use crate::daemon::replay::{Line, Page, Put, judge, look_up, put, report};
use crate::ledger::{ActionState, Ledger, LedgerError, Tx};
use crate::log::Sink;
use crate::moving::select::Selection;
use crate::rules::MessageFacts;

/// Below the options.
pub(super) const AFTER_HELP: &str = "\
Example: postrider replay invoices --since 2d --dry-run
A rule that was done with a message is done once more, with the same key and a word that says so.
With another --config, new rules can be tried on old mail before they are in force.";

/// Messages that are read of the ledger at a time.
const PAGE: u32 = 1000;

/// Look at the rules again for messages that are stored.
#[derive(Args, Debug)]
pub(super) struct Replay {
    /// The inbound account
    account: String,
    #[command(flatten)]
    which: Selecting,
    /// Only the message with this id, or the beginning of it
    #[arg(long)]
    id: Option<String>,
    /// Only this rule
    #[arg(long)]
    rule: Option<String>,
    /// Show which rule would do what with which message, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is looked for.
#[derive(Clone, Debug)]
struct Sought {
    account: Arc<Inbound>,
    which: Selection,
    id: String,
    rule: Option<String>,
}

impl Replay {
    pub(super) fn run(&self, context: &Context) -> Exit {
        let config = match context.config() {
            Ok(config) => config,
            Err(exit) => return exit,
        };
        let sought = match self.sought(&config) {
            Ok(sought) => sought,
            Err(exit) => return exit,
        };
        if self.dry_run {
            return dry(context.out, &config, &sought);
        }
        match there::replay(&config, &sought) {
            Ok(Some(done)) => return done.report(context.out),
            Ok(None) => {}
            Err(exit) => return exit,
        }
        let sink = match context.log(&config, None) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        let done = block_on(replay(&config, &sink, sought));
        sink.flush(Duration::from_secs(5));
        match done {
            Ok(Ok(done)) => done.report(context.out),
            Ok(Err(error)) => refuse(&error),
            Err(exit) => exit,
        }
    }

    fn sought(&self, config: &Config) -> Result<Sought, Exit> {
        let Some(account) = config.inbound.get(self.account.as_str()) else {
            return Err(plan::unknown(config, &self.account));
        };
        if let Some(rule) = &self.rule
            && !account.on_received.iter().any(|known| known.name == *rule)
        {
            let names: Vec<&str> =
                account.on_received.iter().map(|rule| rule.name.as_str()).collect();
            let hint = match names.as_slice() {
                [] => "it has no rules".to_owned(),
                names => format!("its rules: {}", names.join(", ")),
            };
            render::error(&format!("`{}` has no rule `{rule}`", self.account), Some(&hint));
            return Err(Exit::Usage);
        }
        Ok(Sought {
            account: Arc::new(account.clone()),
            which: self.which.selection(config)?,
            id: self.id.clone().unwrap_or_default(),
            rule: self.rule.clone(),
        })
    }
}

impl Sought {
    fn has(&self, facts: &MessageFacts) -> bool {
        self.which.has(facts) && facts.id.starts_with(&self.id)
    }
}

/// A walk through the stored messages of an account: one page is in memory at a time.
struct Walk<'s> {
    ledger: &'s Ledger,
    root: &'s Root,
    sought: &'s Sought,
    after: i64,
}

impl<'s> Walk<'s> {
    fn new(ledger: &'s Ledger, root: &'s Root, sought: &'s Sought) -> Self {
        Self { ledger, root, sought, after: 0 }
    }

    /// The next page; `None` after the last one.
    async fn next(&mut self) -> Result<Option<Page>, LedgerError> {
        let Sought { account, which, rule, .. } = self.sought;
        let (name, after) = (Arc::clone(&account.name), self.after);
        let read = move |tx: &Tx<'_>| tx.stored_after(&name, after, PAGE);
        let stored = self.ledger.read("read stored messages", read).await?;
        let Some((last, _)) = stored.last() else { return Ok(None) };
        self.after = *last;
        let asks = which.condition.as_ref().is_some_and(|condition| condition.asks("header"));
        let (of, when) = ((&**account, rule.as_deref()), (&which.moment, asks));
        let mut page = judge(self.root, of, when, stored, |facts| self.sought.has(facts));
        for why in &page.unreadable {
            render::warning(why, Some("postrider verify says more"));
        }
        look_up(self.ledger, &mut page).await?;
        Ok(Some(page))
    }
}

/// Says why it can't be done, and how the command ends.
fn refuse(error: &InstanceError) -> Exit {
    render::error(&error.to_string(), error.hint().as_deref());
    match error {
        error if error.is_busy() => Exit::Busy,
        error if error.needs_person() => Exit::Person,
        _ => Exit::Failed,
    }
}

fn dry(out: Out, config: &Config, sought: &Sought) -> Exit {
    let looked = block_on(async {
        let root = Root::open(&config.archive.root).map_err(InstanceError::Archive)?;
        let ledger = Ledger::open_read_only(&config.daemon.state_dir)?;
        let (mut would, mut unreadable, mut path) = (0_u64, 0_u64, String::new());
        let mut walk = Walk::new(&ledger, &root, sought);
        while let Some(page) = walk.next().await? {
            unreadable = unreadable.saturating_add(page.unreadable.len() as u64);
            for line in page.lines {
                would = would.saturating_add(u64::from(line.applies));
                if out.json {
                    out.value(&line);
                } else {
                    if line.path != path {
                        out.line(&line.path);
                    }
                    out.indented(2, &text(&line));
                    path = line.path;
                }
            }
        }
        Ok::<_, InstanceError>((would, unreadable))
    });
    match looked {
        Ok(Ok((would, unreadable))) => {
            if !out.json {
                out.line(&format!("{} would be done; nothing was", plural(would, "action")));
            }
            if unreadable > 0 { Exit::Degraded } else { Exit::Done }
        }
        Ok(Err(error)) => refuse(&error),
        Err(exit) => exit,
    }
}

fn text(line: &Line) -> String {
    let Line { rule, reason, before, .. } = line;
    let deed = if line.applies { line.deed } else { "nothing" };
    let again = match before {
        Some(ActionState::Done) => ", done before",
        Some(ActionState::Failed) => ", failed before",
        Some(ActionState::Pending | ActionState::Running) => ", due anyway",
        Some(ActionState::Dropped) => ", given up before",
        None => "",
    };
    let subject = line.subject.as_deref().unwrap_or("(no subject)");
    format!("{rule}: {deed} ({reason}{again})  {subject}")
}

/// What a replay came to.
#[derive(Debug, Default)]
struct Done {
    asked: u64,
    /// Those that were to be done anyway.
    due_anyway: u64,
    unreadable: u64,
    /// Of those that were asked for.
    left: u64,
    /// Marks on the server: by a poll that begins now,
    marks_at_once: u64,
    /// and by a later one.
    marks_later: u64,
}

async fn replay(config: &Config, sink: &Sink, sought: Sought) -> Result<Done, InstanceError> {
    let instance = Instance::open(config, sink.redactor().clone()).await?;
    // A log that can't be stored is counted; the replay goes on.
    drop(sink.store_in(&config.daemon.state_dir));
    let tools = &instance.tools;
    let now = tools.clock.now();
    let mut done = Done::default();
    let mut walk = Walk::new(&tools.ledger, tools.archive.root(), &sought);
    while let Some(page) = walk.next().await? {
        done.unreadable = done.unreadable.saturating_add(page.unreadable.len() as u64);
        let Put { asked, due_anyway } = put(&tools.ledger, &sought.account.name, page, now).await?;
        done.asked = done.asked.saturating_add(asked);
        done.due_anyway = done.due_anyway.saturating_add(due_anyway);
    }
    report(&sought.account.name, &who(), done.asked);
    let mut book = outbox::book(config);
    book.rules.retain(|name, _| *name == sought.account.name);
    for rules in book.rules.values_mut() {
        rules.retain(|rule| sought.rule.as_ref().is_none_or(|only| *only == rule.name));
    }
    outbox::drain(tools.clone(), book, CancellationToken::new()).await;
    let name = Arc::clone(&sought.account.name);
    let look =
        move |tx: &Tx<'_>| Ok((tx.left_of(&name, now)?, tx.marks_by_account(Some(&name), now)?));
    let (left, marks) = tools.ledger.read("count actions", look).await?;
    done.left = left.left;
    done.marks_later = marks.iter().map(|(_, n, _)| n).sum();
    instance.close().await;
    Ok(done)
}

impl Done {
    fn report(&self, out: Out) -> Exit {
        let Self { asked, due_anyway, unreadable, left, marks_at_once, marks_later } = self;
        if out.json {
            out.value(&json!({
                "asked": asked, "due_anyway": due_anyway, "unreadable": unreadable, "left": left,
                "marks_at_once": marks_at_once, "marks_later": marks_later,
            }));
        } else {
            out.line(&format!("{} asked for", plural(*asked, "action")));
            if *due_anyway > 0 {
                out.line(&format!("{} due anyway", plural(*due_anyway, "action")));
            }
            actions::tell_marks(out, (*marks_at_once, *marks_later));
            if *left > 0 {
                out.line(&format!(
                    "{} not done yet: postrider actions list",
                    plural(*left, "action")
                ));
            }
        }
        if *left > 0 || *unreadable > 0 { Exit::Degraded } else { Exit::Done }
    }
}

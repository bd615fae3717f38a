//! `postrider replay`: the rules once more, for messages that are stored.
//!
//! Offline: facts and octets are those of the archive. What is done has the key that it had, or
//! would have had, when the message came.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::render::{self, Out, plural};
use super::selecting::Selecting;
use super::{Context, block_on, plan};
use crate::action;
use crate::archive::root::Root;
use crate::config::{Config, Deed, Inbound};
use crate::daemon::instance::{Instance, InstanceError};
use crate::daemon::outbox;
use crate::ledger::{ActionState, Asked, Ledger, LedgerError, NewAction, Tx};
use crate::log::Sink;
use crate::moving::select::Selection;
use crate::rules::{self, Finding, MessageFacts, Rules};

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

/// What a rule says of a message.
#[derive(Debug, Serialize)]
struct Line {
    message: String,
    path: String,
    subject: Option<String>,
    rule: String,
    #[serde(rename = "do")]
    deed: &'static str,
    applies: bool,
    reason: &'static str,
    /// How the same action stands, where there was one.
    before: Option<ActionState>,
    key: String,
    #[serde(skip)]
    row: i64,
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
        let sink = match context.log(&config, None) {
            Ok(sink) => sink,
            Err(exit) => return exit,
        };
        let done = block_on(replay(&config, &sink, sought));
        sink.flush(Duration::from_secs(5));
        match done {
            Ok(Ok(done)) => done.report(context.out),
            Ok(Err(error)) => {
                let stop = "it can't be done beside the daemon: systemctl stop postrider; \
                            `--dry-run` works beside it";
                let hint = if error.is_busy() { Some(stop.to_owned()) } else { error.hint() };
                render::error(&error.to_string(), hint.as_deref());
                if error.is_busy() {
                    Exit::Busy
                } else if error.needs_person() {
                    Exit::Person
                } else {
                    Exit::Failed
                }
            }
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

    /// Whether what all rules say of a message is looked at.
    fn has_all_rules(&self) -> bool {
        self.rule.is_none() || self.account.on_received.len() == 1
    }

    /// What each rule that is looked at says of a message.
    fn lines(
        &self,
        rules: &Rules<'_>,
        (row, path): (i64, &str),
        facts: &MessageFacts,
    ) -> Vec<Line> {
        let judged = rules.judge(facts).into_iter();
        let mine = judged.filter(|(rule, _)| self.rule.as_ref().is_none_or(|r| *r == rule.name));
        let lines = mine.map(|(rule, finding)| Line {
            message: facts.id.clone(),
            path: path.to_owned(),
            subject: facts.subject.clone(),
            rule: rule.name.clone(),
            deed: rule.deed.as_str(),
            applies: finding == Finding::Applies && rule.deed != Deed::None,
            reason: finding.as_str(),
            before: None,
            key: rules::key(&facts.id, &rule.name),
            row,
        });
        lines.collect()
    }
}

/// What the rules say of one page of stored messages.
#[derive(Debug, Default)]
struct Page {
    lines: Vec<Line>,
    /// Messages of which all rules have spoken.
    judged: Vec<i64>,
    unreadable: u64,
}

/// A walk through the stored messages of an account: one page is in memory at a time.
struct Walk<'s> {
    ledger: &'s Ledger,
    root: &'s Root,
    sought: &'s Sought,
    rules: Rules<'s>,
    /// Whether the messages' own header fields are asked for.
    header: bool,
    after: i64,
}

impl<'s> Walk<'s> {
    fn new(ledger: &'s Ledger, root: &'s Root, sought: &'s Sought) -> Self {
        // The conditions were checked with the config.
        let rules = Rules::read(&sought.account.on_received, &sought.which.moment);
        let rules = rules.unwrap_or_else(|_| Rules::none());
        let asked =
            sought.which.condition.as_ref().is_some_and(|condition| condition.asks("header"));
        let header = asked || rules.ask_header();
        Self { ledger, root, sought, rules, header, after: 0 }
    }

    /// The next page; `None` after the last one.
    async fn next(&mut self) -> Result<Option<Page>, LedgerError> {
        let (name, after) = (Arc::clone(&self.sought.account.name), self.after);
        let read = move |tx: &Tx<'_>| tx.stored_after(&name, after, PAGE);
        let stored = self.ledger.read("read stored messages", read).await?;
        let Some((last, _)) = stored.last() else { return Ok(None) };
        self.after = *last;
        let mut page = Page::default();
        for (row, path) in stored {
            match action::facts_with(self.root, &path, self.header) {
                Ok(facts) if self.sought.has(&facts) => {
                    page.lines.extend(self.sought.lines(&self.rules, (row, &path), &facts));
                    page.judged.extend(self.sought.has_all_rules().then_some(row));
                }
                Ok(_) => {}
                Err(why) => {
                    page.unreadable = page.unreadable.saturating_add(1);
                    render::warning(&why, Some("postrider verify says more"));
                }
            }
        }
        let keys: Vec<String> = page.lines.iter().map(|line| line.key.clone()).collect();
        let states = self.ledger.read("read actions", move |tx| tx.action_states(&keys)).await?;
        for (line, state) in page.lines.iter_mut().zip(states) {
            line.before = state;
        }
        Ok(Some(page))
    }
}

fn dry(out: Out, config: &Config, sought: &Sought) -> Exit {
    let looked = block_on(async {
        let root = Root::open(&config.archive.root).map_err(InstanceError::Archive)?;
        let ledger = Ledger::open_read_only(&config.daemon.state_dir)?;
        let (mut would, mut unreadable) = (0_u64, 0_u64);
        let mut walk = Walk::new(&ledger, &root, sought);
        while let Some(page) = walk.next().await? {
            unreadable = unreadable.saturating_add(page.unreadable);
            for line in page.lines {
                would = would.saturating_add(u64::from(line.applies));
                if out.json {
                    out.value(&line);
                } else {
                    out.line(&line.text());
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
        Ok(Err(error)) => {
            render::error(&error.to_string(), error.hint().as_deref());
            if error.needs_person() { Exit::Person } else { Exit::Failed }
        }
        Err(exit) => exit,
    }
}

impl Line {
    fn into_action(self) -> NewAction {
        let Self { row, message, path, rule, deed: kind, key, .. } = self;
        NewAction { row, message, path, rule, kind, key }
    }

    fn text(&self) -> String {
        let deed = if self.applies { self.deed } else { "nothing" };
        let again = match self.before {
            Some(ActionState::Done) => ", done before",
            Some(ActionState::Failed) => ", failed before",
            Some(ActionState::Pending | ActionState::Running) => ", due anyway",
            Some(ActionState::Dropped) => ", given up before",
            None => "",
        };
        let subject = self.subject.as_deref().unwrap_or("(no subject)");
        format!("{}  {}: {deed} ({}{again})  {subject}", self.path, self.rule, self.reason)
    }
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
        done.unreadable = done.unreadable.saturating_add(page.unreadable);
        let open = |state| matches!(state, ActionState::Pending | ActionState::Running);
        let applying = page.lines.into_iter().filter(|line| line.applies);
        let (anyway, wanted): (Vec<Line>, Vec<Line>) =
            applying.partition(|line| line.before.is_some_and(open));
        done.due_anyway = done.due_anyway.saturating_add(anyway.len() as u64);
        let wanted: Vec<NewAction> = wanted.into_iter().map(Line::into_action).collect();
        let name = Arc::clone(&sought.account.name);
        let judged = page.judged;
        let add = move |tx: &Tx<'_>| {
            tx.actions_known(&judged)?;
            tx.add_actions(&name, &wanted, Asked::ByPerson, now)
        };
        let asked = tools.ledger.write("ask for actions", add).await?;
        done.asked = done.asked.saturating_add(asked);
    }
    tracing::info!(
        target: "rules",
        code = "replay-asked",
        account = &*sought.account.name,
        n = done.asked,
        "{} asked for once more",
        plural(done.asked, "action")
    );
    let mut book = outbox::book(config);
    book.rules.retain(|name, _| *name == sought.account.name);
    for rules in book.rules.values_mut() {
        rules.retain(|rule| sought.rule.as_ref().is_none_or(|only| *only == rule.name));
    }
    outbox::drain(tools.clone(), book, CancellationToken::new()).await;
    let name = Arc::clone(&sought.account.name);
    done.left = tools.ledger.read("count actions", move |tx| tx.left_of(&name, now)).await?;
    instance.close().await;
    Ok(done)
}

impl Done {
    fn report(&self, out: Out) -> Exit {
        let Self { asked, due_anyway, unreadable, left } = self;
        if out.json {
            out.value(&json!({
                "asked": asked, "due_anyway": due_anyway, "unreadable": unreadable, "left": left
            }));
        } else {
            out.line(&format!("{} asked for", plural(*asked, "action")));
            if *due_anyway > 0 {
                out.line(&format!("{} due anyway", plural(*due_anyway, "action")));
            }
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

//! The rules once more, for messages that are stored: what they say, and what is asked for by it.
//! The same with the daemon and without it.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

use crate::action;
use crate::archive::root::Root;
use crate::config::{Config, Deed, Inbound, Rule};
use crate::control::Person;
use crate::ledger::{ActionState, Asked, Ledger, LedgerError, NewAction, Tx};
use crate::model::AccountName;
use crate::poll::Tools;
use crate::query::Moment;
use crate::rules::{self, Finding, MessageFacts, Rules};

/// Messages of one order: its answer comes before the one who asks thinks that we are dead.
pub const MOST: usize = 200;
/// A replay of many orders has one moment, which can't be older.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// What a rule says of a message.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The message's id.
    pub message: String,
    /// Its folder, below the root.
    pub path: String,
    /// Its subject.
    pub subject: Option<String>,
    /// The rule's name.
    pub rule: String,
    /// What it does.
    #[serde(rename = "do")]
    pub deed: &'static str,
    /// Whether it is for this message, and does anything.
    pub applies: bool,
    /// Why, or why not.
    pub reason: &'static str,
    /// How the same action stands, where there was one.
    pub before: Option<ActionState>,
    /// The idempotency key.
    pub key: String,
    /// The message's row.
    #[serde(skip)]
    pub row: i64,
}

/// What the rules say of some stored messages.
#[derive(Debug, Default)]
pub struct Page {
    /// Message by message, in the rules' order.
    pub lines: Vec<Line>,
    /// The messages that were judged.
    pub rows: Vec<i64>,
    /// Of all rules, not only one.
    pub by_all: bool,
    /// Why some can't be judged.
    pub unreadable: Vec<String>,
}

/// What an order came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Put {
    /// Actions that are to be done once more, or for the first time.
    pub asked: u64,
    /// Those that were to be done anyway.
    pub due_anyway: u64,
}

/// Names the rules of an account: whoever has others judges otherwise.
pub fn digest(rules: &[Rule]) -> String {
    HEXLOWER.encode(&Sha256::digest(format!("{rules:?}")))
}

/// What the rules of an account say of stored messages, of those that `has` wants.
pub fn judge(
    root: &Root,
    (account, only): (&Inbound, Option<&str>),
    (moment, header): (&Moment, bool),
    stored: Vec<(i64, String)>,
    has: impl Fn(&MessageFacts) -> bool,
) -> Page {
    // The conditions were checked with the config.
    let rules = Rules::read(&account.on_received, moment).unwrap_or_else(|_| Rules::none());
    let header = header || rules.ask_header();
    let by_all = only.is_none() || account.on_received.len() == 1;
    let mut page = Page { by_all, ..Page::default() };
    for (row, path) in stored {
        let facts = match action::facts_with(root, &path, header) {
            Ok(facts) if has(&facts) => facts,
            Ok(_) => continue,
            Err(why) => {
                page.unreadable.push(why);
                continue;
            }
        };
        let mine = rules.judge(&facts).into_iter();
        let mine = mine.filter(|(rule, _)| only.is_none_or(|only| *only == rule.name));
        page.lines.extend(mine.map(|(rule, finding)| Line {
            message: facts.id.clone(),
            path: path.clone(),
            subject: facts.subject.clone(),
            rule: rule.name.clone(),
            deed: rule.deed.as_str(),
            applies: finding == Finding::Applies && rule.deed != Deed::None,
            reason: finding.as_str(),
            before: None,
            key: rules::key(&facts.id, &rule.name),
            row,
        }));
        page.rows.push(row);
    }
    page
}

/// Looks up how the same actions stand.
pub async fn look_up(ledger: &Ledger, page: &mut Page) -> Result<(), LedgerError> {
    let keys: Vec<String> = page.lines.iter().map(|line| line.key.clone()).collect();
    let states = ledger.read("read actions", move |tx| tx.action_states(&keys)).await?;
    for (line, state) in page.lines.iter_mut().zip(states) {
        line.before = state;
    }
    Ok(())
}

/// Asks for what the rules say; durable on return.
pub async fn put(
    ledger: &Ledger,
    account: &AccountName,
    page: Page,
    at: Timestamp,
) -> Result<Put, LedgerError> {
    let open = |state| matches!(state, ActionState::Pending | ActionState::Running);
    let applying = page.lines.into_iter().filter(|line| line.applies);
    let (anyway, wanted): (Vec<Line>, Vec<Line>) =
        applying.partition(|line| line.before.is_some_and(open));
    let wanted: Vec<NewAction> = wanted.into_iter().map(Line::into_action).collect();
    let (name, judged) = (Arc::clone(account), if page.by_all { page.rows } else { Vec::new() });
    let add = move |tx: &Tx<'_>| {
        tx.actions_known(&judged)?;
        tx.add_actions(&name, &wanted, Asked::ByPerson, at)
    };
    let asked = ledger.write("ask for actions", add).await?;
    Ok(Put { asked, due_anyway: anyway.len() as u64 })
}

/// Says in the log what was asked for, and by whom.
pub fn report(account: &str, by: &Person, n: u64) {
    tracing::info!(
        target: "rules",
        code = "replay-asked",
        account,
        created_by = by.name,
        created_uid = by.uid,
        claim = by.claim.as_deref().unwrap_or_default(),
        n,
        "Actions asked for once more by {by}: {n}"
    );
}

/// A replay of some messages, as it is asked of the daemon.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) account: Arc<Inbound>,
    pub(super) rule: Option<String>,
    pub(super) rows: Vec<i64>,
    /// The moment of a replay of which this is not the first order.
    pub(super) asked_at: Option<Timestamp>,
    pub(super) moment: Moment,
}

impl Order {
    /// For some rows of an account of a config, as of now.
    pub(super) fn new(config: &Config, account: &Inbound, now: Timestamp) -> Self {
        let moment = Moment { now, zone: config.archive.timezone.clone() };
        let account = Arc::new(account.clone());
        Self { account, rule: None, rows: Vec::new(), asked_at: None, moment }
    }

    /// Does it; what is told of it.
    pub(super) async fn carry_out(self, tools: &Tools, by: &Person) -> Result<Value, LedgerError> {
        let Self { account, rule, mut rows, asked_at, moment } = self;
        let now = moment.now;
        let fits = |at: &Timestamp| *at <= now && now.duration_since(*at) < LONGEST;
        let at = asked_at.filter(fits).unwrap_or(now);
        rows.truncate(MOST);
        let name = Arc::clone(&account.name);
        let read = move |tx: &Tx<'_>| tx.stored_rows(&name, &rows);
        let stored = tools.ledger.read("read stored messages", read).await?;
        let wanted = stored.len();
        let (archive, judged) = (Arc::clone(&tools.archive), Arc::clone(&account));
        let judge = spawn_blocking(move || {
            let of = (&*judged, rule.as_deref());
            judge(archive.root(), of, (&moment, false), stored, |_| true)
        });
        let mut page = judge.await.unwrap_or_else(|error| {
            tracing::error!(target: "rules", code = "internal-error", "A replay died ({error})");
            Page { unreadable: vec![String::new(); wanted], ..Page::default() }
        });
        let unreadable = page.unreadable.len();
        look_up(&tools.ledger, &mut page).await?;
        let Put { asked, due_anyway } = put(&tools.ledger, &account.name, page, at).await?;
        if asked > 0 {
            report(&account.name, by, asked);
        }
        let asked_at = at.as_millisecond();
        Ok(json!({
            "asked": asked, "due_anyway": due_anyway, "unreadable": unreadable,
            "asked_at": asked_at
        }))
    }
}

impl Line {
    fn into_action(self) -> NewAction {
        let Self { row, message, path, rule, deed: kind, key, .. } = self;
        NewAction { row, message, path, rule, kind, key }
    }
}

//! The worker of the outbox: it starts the tries that are due, and records what became of them.
//!
//! The queue is in the ledger; in memory are the tries under way, bounded. Fetching never waits
//! for a receiver: what a poll does is to commit rows and to ring. Which try begins and when it is
//! made again is decided by `rules`.

mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::forward::{Way, forward};
use super::post::Post;
use crate::action::{Means, Task, perform};
use crate::config::{Config, Deed, Rule};
use crate::ledger::{ActionRow, LedgerError, Tx, Verdict};
use crate::model::AccountName;
use crate::poll::Tools;
use crate::rules::{Candidate, Clocks, Next, Past, Trouble, after, chosen, room};
use crate::secret;
use report::report;

/// Tries under way, all rules together.
const MOST: usize = 64;
/// Without anything to do it looks again after this: a wall clock may have been set.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// After an error of the ledger.
const REST: Duration = Duration::from_secs(10);
/// How long tries may go on when the daemon stops.
const FAREWELL: Duration = Duration::from_secs(8);
/// How long `poll` goes on starting tries.
const BY_HAND: SignedDuration = SignedDuration::from_mins(10);

/// The rules of all accounts, enabled or not: what is stored is acted on.
#[derive(Clone, Debug)]
pub struct Book {
    /// By account.
    pub rules: BTreeMap<AccountName, Vec<Rule>>,
    /// Where the outbound accounts are.
    config: Arc<Config>,
}

/// The rules of a config.
pub fn book(config: &Config) -> Book {
    let accounts = config.inbound.iter();
    let rules = accounts.map(|(name, account)| (Arc::clone(name), account.on_received.clone()));
    Book { rules: rules.collect(), config: Arc::new(config.clone()) }
}

impl Book {
    /// The outbound account by which a rule sends mail.
    fn sender_of(&self, rule: &Rule) -> Option<&AccountName> {
        let Deed::Forward(forward) = &rule.deed else { return None };
        let account = self.config.outbound_account(forward.via.as_deref()).ok()?;
        Some(&account.name)
    }
}

/// A rule, as far as the ledger is asked for its actions.
struct Wanted {
    account: AccountName,
    rule: Rule,
    room: usize,
    /// None of its tries is under way.
    is_idle: bool,
}

/// A try under way.
struct UnderWay {
    id: Id,
    row: ActionRow,
    rule: Rule,
}

struct Worker {
    tools: Tools,
    means: Means,
    book: Arc<Book>,
    /// How it sends mail.
    post: Post,
    tries: JoinSet<Result<(), Trouble>>,
    under_way: Vec<UnderWay>,
    /// Ends of tries that couldn't be written yet.
    unwritten: Vec<(i64, Verdict)>,
    /// The ledger may call actions `running` of which no try is under way here.
    in_doubt: bool,
    /// Nothing was tried yet: what came due before could not be.
    is_new: bool,
    began: Instant,
    clocks: Clocks,
    /// By how much the wall clock has leapt of which the ledger doesn't know yet.
    leapt: SignedDuration,
    /// Outbound accounts that are left alone, until when they aren't looked at.
    rests: BTreeMap<AccountName, Timestamp>,
    /// Which rule is looked at first, so that none is always the last.
    turn: usize,
}

/// Works until it is cancelled; then what is under way may end.
pub(super) async fn work(
    tools: Tools,
    post: Post,
    mut book: watch::Receiver<Arc<Book>>,
    cancel: CancellationToken,
) {
    let first = Arc::clone(&book.borrow_and_update());
    let mut worker = Worker::new(tools, post, first);
    loop {
        let wait = match worker.fill().await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(target: "rules", code = error.code(), "{error}");
                REST
            }
        };
        tokio::select! {
            () = cancel.cancelled() => break,
            changed = book.changed() => {
                if changed.is_err() {
                    break;
                }
                worker.book = Arc::clone(&book.borrow_and_update());
                worker.rests.clear();
            }
            Some(ended) = worker.tries.join_next_with_id() => worker.end(ended).await,
            // Also when a person has ended a rest.
            () = worker.tools.outbox.notified() => worker.rests.clear(),
            () = tokio::time::sleep(wait) => {}
        }
    }
    worker.leave().await;
}

/// Tries each action that is due once, for a poll by hand.
pub async fn drain(tools: Tools, book: Book, cancel: CancellationToken) {
    let until = tools.clock.now().checked_add(BY_HAND).unwrap_or(Timestamp::MAX);
    let post = Post::by_hand(tools.clone(), &book.config.daemon.state_dir);
    let mut worker = Worker::new(tools, post, Arc::new(book));
    loop {
        if worker.tools.clock.now() < until
            && let Err(error) = worker.fill().await
        {
            tracing::error!(target: "rules", code = error.code(), "{error}");
            break;
        }
        tokio::select! {
            () = cancel.cancelled() => break,
            ended = worker.tries.join_next_with_id() => match ended {
                Some(ended) => worker.end(ended).await,
                None => return,
            },
        }
    }
    worker.leave().await;
}

impl Worker {
    fn new(tools: Tools, post: Post, book: Arc<Book>) -> Self {
        let (archive, secrets) = (Arc::clone(&tools.archive), Arc::clone(&tools.secrets));
        let means = Means { archive, secrets };
        let (tries, under_way, unwritten) = (JoinSet::new(), Vec::new(), Vec::new());
        // What a dead process had begun.
        let in_doubt = true;
        let (rests, turn) = (BTreeMap::new(), 0);
        let (is_new, leapt) = (true, SignedDuration::ZERO);
        let clocks = Clocks::new(tools.clock.now(), Duration::ZERO);
        Self {
            tools,
            means,
            book,
            post,
            tries,
            under_way,
            unwritten,
            in_doubt,
            is_new,
            began: Instant::now(),
            clocks,
            leapt,
            rests,
            turn,
        }
    }

    /// The time; what it has leapt over is no time of what is tried.
    fn now(&mut self) -> Timestamp {
        let now = self.tools.clock.now();
        if let Some(leap) = self.clocks.leap(now, self.began.elapsed()) {
            for try_ in &mut self.under_way {
                let first_at = try_.row.first_at.map(|at| at.checked_add(leap).unwrap_or(now));
                try_.row.first_at = first_at.map(|at| at.min(now));
            }
            self.leapt = self.leapt.saturating_add(leap);
            self.in_doubt = true;
        }
        now
    }

    /// Writes what the clock leapt over and the ends that couldn't be written; whatever else was begun and isn't under way is due
    /// again, at once.
    async fn settle(&mut self) -> Result<(), LedgerError> {
        if !self.in_doubt {
            return Ok(());
        }
        let ends = self.unwritten.clone();
        let under_way: Vec<i64> = self.under_way.iter().map(|try_| try_.row.id).collect();
        let (now, is_new, leapt) = (self.tools.clock.now(), self.is_new, self.leapt);
        let settle = move |tx: &Tx<'_>| {
            if is_new {
                tx.excuse_absence(now)?;
            }
            if leapt != SignedDuration::ZERO {
                tx.shift_actions(leapt, now)?;
            }
            for (id, verdict) in &ends {
                tx.end_action(*id, verdict)?;
            }
            tx.resume_actions(&under_way)
        };
        let resumed = self.tools.ledger.write("resume actions", settle).await?;
        self.unwritten.clear();
        (self.in_doubt, self.is_new, self.leapt) = (false, false, SignedDuration::ZERO);
        if resumed > 0 {
            tracing::info!(
                target: "rules",
                code = "action-resumed",
                "Actions whose end isn't known are done again, with the same keys: {resumed}"
            );
        }
        Ok(())
    }

    /// Starts what is due and has room; how long there is nothing more to do.
    async fn fill(&mut self) -> Result<Duration, LedgerError> {
        let now = self.now();
        self.settle().await?;
        self.rests.retain(|_, until| *until > now);
        let rested = self.rests.values().min().copied();
        let wanted = self.wanted();
        let ledger = &self.tools.ledger;
        let look = move |tx: &Tx<'_>| {
            let (mut due, mut wake) = (Vec::new(), rested);
            let open = tx.open_rules()?;
            for Wanted { account, rule, room, is_idle } in wanted {
                let is_open =
                    |(a, r, _): &(String, String, u64)| **a == *account && *r == rule.name;
                if !open.iter().any(is_open) {
                    continue;
                }
                let of = (&*account, rule.name.as_str());
                for (n, row) in
                    tx.due_actions(of, rule.in_order, room, now)?.into_iter().enumerate()
                {
                    due.push((row, rule.clone(), is_idle && n == 0));
                }
                let next = tx.next_action(of, rule.in_order)?.filter(|at| *at > now);
                wake = [wake, next].into_iter().flatten().min();
            }
            Ok((due, wake))
        };
        let (due, wake) = ledger.read("look for due actions", look).await?;
        let due = self.chosen(due);
        if !due.is_empty() {
            let ids: Vec<i64> = due.iter().map(|(row, _)| row.id).collect();
            let note = move |tx: &Tx<'_>| {
                ids.iter().map(|id| tx.begin_action(*id, now)).collect::<Result<Vec<bool>, _>>()
            };
            self.in_doubt = true;
            let begun = self.tools.ledger.write("begin actions", note).await?;
            self.in_doubt = false;
            for ((row, rule), begun) in due.into_iter().zip(begun) {
                if begun {
                    self.start(row, rule, now);
                }
            }
        }
        let wait = wake.and_then(|at| Duration::try_from(at.duration_since(now)).ok());
        Ok(wait.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN))
    }

    /// Those that begin.
    fn chosen(&self, due: Vec<(ActionRow, Rule, bool)>) -> Vec<(ActionRow, Rule)> {
        let candidate = |(row, rule, is_first): &(ActionRow, Rule, bool)| Candidate {
            lane: self.book.sender_of(rule).map(|by| &**by),
            is_first: *is_first,
            since: (row.due_at, row.id),
        };
        let candidates: Vec<_> = due.iter().map(candidate).collect();
        let places = chosen(&candidates, self.under_way.len(), MOST);
        let all = due.into_iter().enumerate().filter(|(n, _)| places.contains(n));
        all.map(|(_, (row, rule, _))| (row, rule)).collect()
    }

    /// Rules that have room for another try, a different one first each time.
    fn wanted(&mut self) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for (account, rules) in &self.book.rules {
            for rule in rules.iter().filter(|rule| rule.deed.is_of_outbox()) {
                if self.book.sender_of(rule).is_some_and(|by| self.is_taken(by)) {
                    continue;
                }
                let own = self
                    .under_way
                    .iter()
                    .filter(|try_| *try_.row.account == **account && try_.row.rule == rule.name);
                let own = own.count();
                let room = room(rule, own, self.under_way.len(), MOST);
                if room > 0 {
                    let (account, is_idle) = (Arc::clone(account), own == 0);
                    wanted.push(Wanted { account, rule: rule.clone(), room, is_idle });
                }
            }
        }
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn.checked_rem(wanted.len()).unwrap_or(0);
        wanted.rotate_left(first);
        wanted
    }

    /// Whether an outbound account sends just now, or is left alone.
    fn is_taken(&self, by: &AccountName) -> bool {
        let sends = |try_: &UnderWay| self.book.sender_of(&try_.rule) == Some(by);
        self.rests.contains_key(by) || self.under_way.iter().any(sends)
    }

    fn start(&mut self, row: ActionRow, rule: Rule, now: Timestamp) {
        let attempts = row.attempts.saturating_add(1);
        let first_at = Some(row.first_at.unwrap_or(now));
        let row = ActionRow { attempts, first_at, ..row };
        let task = Task {
            rule: rule.clone(),
            key: row.key.clone(),
            message: row.message.clone(),
            path: row.path.clone(),
            account: row.account.clone(),
            attempt: attempts,
            replay: row.replay,
            secret: None,
        };
        let (means, redactor) = (self.means.clone(), self.tools.redactor.clone());
        let way = Way { config: Arc::clone(&self.book.config), post: self.post.clone() };
        let one = async move {
            let mut task = task;
            if let Deed::Webhook(webhook) = &task.rule.deed
                && let Some(spec) = &webhook.secret
            {
                let owner = format!("account `{}`, rule `{}`", task.account, task.rule.name);
                let found = secret::resolve(spec, &owner, &means.secrets).await;
                let found = found.map_err(|e| Trouble::passing("secret", e.to_string()))?;
                redactor.register(found.expose());
                task.secret = Some(found);
            }
            match &task.rule.deed {
                Deed::Forward(deed) => forward(&task, deed, (&means, &way), now).await,
                _ => perform(&task, &means, now).await,
            }
        };
        let id = self.tries.spawn(one).id();
        self.under_way.push(UnderWay { id, row, rule });
    }

    /// Records what became of a try.
    async fn end(&mut self, ended: Result<(Id, Result<(), Trouble>), JoinError>) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), Err(Trouble::passing("died", error.to_string()))),
        };
        let Some(at) = self.under_way.iter().position(|try_| try_.id == id) else { return };
        let now = self.now();
        let UnderWay { row, rule, .. } = self.under_way.swap_remove(at);
        let verdict = match outcome {
            Ok(()) => Verdict::Done,
            Err(trouble) => self.judge(&row, &rule, &trouble, now),
        };
        if let Verdict::Rests { until, .. } = verdict
            && let Some(by) = self.book.sender_of(&rule)
        {
            self.rests.insert(Arc::clone(by), until);
        }
        report(&row, &verdict);
        let told = verdict.clone();
        let end = move |tx: &Tx<'_>| tx.end_action(row.id, &told);
        // Stays `running` until the next look.
        if let Err(error) = self.tools.ledger.write("end an action", end).await {
            tracing::error!(target: "rules", code = error.code(), "{error}");
            self.unwritten.push((row.id, verdict));
            self.in_doubt = true;
        }
    }

    fn judge(&self, row: &ActionRow, rule: &Rule, trouble: &Trouble, now: Timestamp) -> Verdict {
        let detail = crate::log::cap(&self.tools.redactor.redact(&trouble.detail), DETAIL);
        let first_at = row.first_at.unwrap_or(now);
        let random = uuid::Uuid::new_v4().as_u64_pair().0;
        let code = trouble.code;
        let past = Past { attempts: row.attempts, refusals: row.refusals, first_at };
        match after(rule, trouble, past, now, random) {
            Next::Rest(until) => Verdict::Rests { until, detail },
            Next::Again(at) => Verdict::Again { at, refused: trouble.hopeless, code, detail },
            Next::GiveUp => Verdict::Failed { code, detail },
        }
    }

    /// What is under way may end; what doesn't is done again after the next start.
    async fn leave(mut self) {
        let farewell = tokio::time::sleep(FAREWELL);
        tokio::pin!(farewell);
        loop {
            tokio::select! {
                () = &mut farewell => break,
                ended = self.tries.join_next_with_id() => match ended {
                    Some(ended) => self.end(ended).await,
                    None => break,
                },
            }
        }
        self.tries.shutdown().await;
        self.under_way.clear();
        self.in_doubt = true;
        if let Err(error) = self.settle().await {
            tracing::error!(target: "rules", code = error.code(), "{error}");
        }
    }
}

/// Octets of the reason that are kept.
const DETAIL: usize = 4096;

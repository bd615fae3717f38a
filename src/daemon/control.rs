//! What people ask of the running daemon over its control socket.
//!
//! The daemon's loop only takes a call and starts its work; nothing here holds it up.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::aside::Aside;
use super::attempt::Attempts;
use super::gate::Asked;
use super::live::{Live, Wake};
use super::orders::{self, Told};
use super::queue::{self, Queue};
use super::replay;
use crate::config::{Config, Inbound};
use crate::control::{Call, Person, Policy, Refusal, Replies, Reply, Socket, serve, users};
use crate::ledger::{ActionFilter, LedgerError, Tx};
use crate::model::AccountName;
use crate::poll::{Account, Tools};

/// Calls that wait for the daemon's loop.
const QUEUE: usize = 32;
/// Calls that are being answered.
const WORK_MAX: usize = 256;

/// Takes calls, and has what they started.
#[derive(Debug)]
pub(super) struct Desk {
    calls: mpsc::Receiver<Call>,
    /// Takes connections; one that dies is started again.
    server: Aside,
    work: JoinSet<()>,
    queue: Queue,
    tools: Tools,
    live: Live,
    cancel: CancellationToken,
    socket: Option<Socket>,
}

impl Desk {
    /// A desk that listens in the runtime folder or the state folder, which is locked. Without a
    /// socket the daemon polls all the same.
    pub(super) fn open(
        config: &Config,
        runtime_dir: Option<&Path>,
        tools: Tools,
        attempts: Attempts,
        cancel: CancellationToken,
    ) -> Self {
        let (sender, calls) = mpsc::channel(QUEUE);
        let mut server = Aside::new(cancel.clone());
        let group = config.daemon.control_group.as_deref();
        let found = group.and_then(users::group);
        if let (Some(name), None) = (group, &found) {
            warn(&format!("there is no group `{name}` for `control_group`"), "see /etc/group");
        }
        if found.is_some() && runtime_dir.is_none() {
            let what = "the group of `control_group` can't be let in: only the state folder has room \
                        for the control socket";
            warn(what, "let systemd start the daemon: `RuntimeDirectory=postrider`");
        }
        let state_dir = &config.daemon.state_dir;
        let gid = found.as_ref().map(|group| group.gid);
        let socket = match Socket::bind(state_dir, runtime_dir, gid) {
            Ok((socket, listener)) => {
                if let Some(why) = &socket.closed_to_group {
                    let what = format!("the group of `control_group` can't be let in: {why}");
                    warn(&what, "see *Who may direct the daemon* in docs/operations.md");
                }
                let policy = Policy { own: rustix::process::geteuid().as_raw(), group: found };
                let (listener, state_dir) = (Arc::new(listener), state_dir.clone());
                server.keep("the control socket", move || {
                    let listener = Arc::clone(&listener);
                    serve(listener, policy.clone(), state_dir.clone(), sender.clone())
                });
                Some(socket)
            }
            Err(error) => {
                warn(&format!("no control socket: {error}"), "commands can't reach the daemon");
                None
            }
        };
        let (live, queue) = (attempts.live.clone(), Queue::new(attempts));
        Self { calls, server, work: JoinSet::new(), queue, tools, live, cancel, socket }
    }

    /// The next call; never returns while there is none. Safe to drop.
    pub(super) async fn next(&mut self) -> Call {
        loop {
            tokio::select! {
                call = self.calls.recv() => match call {
                    Some(call) => return call,
                    // No socket: nobody will ever call.
                    None => std::future::pending::<()>().await,
                },
                Some(_) = self.work.join_next() => {}
                () = self.server.supervise() => {}
            }
        }
    }

    /// No calls any more; what was begun ends with the daemon's polls.
    pub(super) fn close(&mut self) {
        self.socket.take();
        self.calls.close();
    }

    /// Waits for what was begun, then lets the clients go.
    pub(super) async fn finish(&mut self) {
        self.queue.finish().await;
        while self.work.join_next().await.is_some() {}
        self.server = Aside::new(self.cancel.clone());
    }

    /// Whether one more call can be answered.
    fn has_room(&mut self) -> bool {
        while self.work.try_join_next().is_some() {}
        self.work.len() < WORK_MAX
    }

    /// Begins the polls that somebody wants now.
    pub(super) fn poll(&mut self, config: &Config, wanted: &Wanted, replies: Replies) {
        if !self.has_room() {
            return replies.end(Err(Refusal::busy()));
        }
        let chosen = match wanted.choose(config) {
            Ok(chosen) => chosen,
            Err(refusal) => return replies.end(Err(refusal)),
        };
        let names: Vec<&str> = chosen.iter().map(|account| &*account.name).collect();
        tracing::info!(
            target: "daemon",
            code = "poll-asked",
            created_by = wanted.person.name,
            created_uid = wanted.person.uid,
            "{} wants to poll {}",
            wanted.person,
            if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
        );
        let asked = Asked::of(!wanted.accounts.is_empty(), wanted.force);
        let polls: Vec<queue::Wanted> = chosen
            .into_iter()
            .map(|inbound| {
                let account = Account::new(inbound, self.tools.clone(), self.cancel.child_token());
                self.queue.poll(account, asked)
            })
            .collect();
        self.work.spawn(async move {
            let mut telling = JoinSet::new();
            for poll in polls {
                telling.spawn(poll.tell(replies.clone()));
            }
            while telling.join_next().await.is_some() {}
            replies.tell(Reply::Done { result: json!({}) }).await;
        });
    }

    /// Makes actions due at once, or gives them up.
    pub(super) fn change_actions(
        &mut self,
        filter: ActionFilter,
        gives_up: bool,
        by: Person,
        to: Replies,
    ) {
        let (tools, live) = (self.tools.clone(), self.live.clone());
        self.work.spawn(async move {
            let account = filter.account.clone();
            let mut done = orders::change_actions(&tools, &by, filter, gives_up).await;
            tools.outbox.notify_one();
            if !gives_up && let Ok(done) = &mut done {
                add_marks(done, marks(&tools, &live, account.as_deref()).await);
            }
            to.end(outcome(done));
        });
    }

    /// Asks for actions on stored messages once more.
    pub(super) fn replay(&mut self, order: replay::Order, by: Person, to: Replies) {
        if !self.has_room() {
            return to.end(Err(Refusal::busy()));
        }
        let (tools, live) = (self.tools.clone(), self.live.clone());
        self.work.spawn(async move {
            let account = Arc::clone(&order.account.name);
            let done = order.carry_out(&tools, &by).await;
            tools.outbox.notify_one();
            let done = match done {
                Ok(mut done) => {
                    add_marks(&mut done, marks(&tools, &live, Some(&account)).await);
                    Ok(done)
                }
                Err(error) => Err(error),
            };
            to.end(outcome(done));
        });
    }

    /// Pauses an account or ends what keeps it from being polled.
    pub(super) fn order(&mut self, account: AccountName, order: Order, by: Person, to: Replies) {
        if !self.has_room() {
            return to.end(Err(Refusal::busy()));
        }
        self.queue.forget(&account);
        let (tools, live) = (self.tools.clone(), self.live.clone());
        self.work.spawn(async move {
            let told = Told { by: &by, account: &account };
            let done = match order {
                Order::Pause { seconds, reason } => {
                    let done = orders::pause(&tools, &told, seconds, reason).await;
                    if done.is_ok() {
                        live.end_polls(|polled| polled.name == account);
                    }
                    live.wake(&account, Wake::Look);
                    done
                }
                Order::Resume { former } => {
                    let done = orders::resume(&tools, &told, former).await;
                    live.wake(&account, Wake::Poll);
                    done
                }
            };
            to.end(outcome(done));
        });
    }
}

/// What is told of an order's end.
fn outcome(done: Result<Value, LedgerError>) -> Result<Value, Refusal> {
    done.map_err(|error| Refusal::new(error.code(), error.to_string(), error.hint()))
}

/// Marks on the server that are due are set by a session of their account: it is polled now, if it
/// may be. How many of them, and how many wait for a later poll.
async fn marks(tools: &Tools, live: &Live, account: Option<&str>) -> (u64, u64) {
    let (account, now) = (account.map(str::to_owned), tools.clock.now());
    let read = move |tx: &Tx<'_>| tx.marks_by_account(account.as_deref(), now);
    let (mut at_once, mut later) = (0_u64, 0_u64);
    for (account, n, rests) in tools.ledger.read("read marks", read).await.unwrap_or_default() {
        let polls = live.wake(&account, Wake::Poll) && !rests;
        let sum = if polls { &mut at_once } else { &mut later };
        *sum = sum.saturating_add(n);
    }
    (at_once, later)
}

fn add_marks(told: &mut Value, (at_once, later): (u64, u64)) {
    if let Some(told) = told.as_object_mut() {
        told.insert("marks_at_once".to_owned(), at_once.into());
        told.insert("marks_later".to_owned(), later.into());
    }
}

/// What changes an account in the ledger.
#[derive(Debug)]
pub(super) enum Order {
    Pause {
        seconds: Option<u64>,
        reason: String,
    },
    /// The account may have stopped under the name that it had before.
    Resume {
        former: Option<AccountName>,
    },
}

/// Polls that somebody wants now.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) accounts: Vec<String>,
    pub(super) force: bool,
    pub(super) person: Person,
}

impl Wanted {
    fn choose(&self, config: &Config) -> Result<Vec<Arc<Inbound>>, Refusal> {
        if self.accounts.is_empty() {
            let enabled = config.inbound.values().filter(|account| account.enabled);
            return Ok(enabled.cloned().map(Arc::new).collect());
        }
        let names: BTreeSet<&String> = self.accounts.iter().collect();
        let find = |name: &String| match config.inbound.get(name.as_str()) {
            Some(account) => Ok(Arc::new(account.clone())),
            None => Err(unknown(name)),
        };
        names.into_iter().map(find).collect()
    }
}

/// An account that the config in force doesn't have.
pub(super) fn unknown(name: &str) -> Refusal {
    let name: String = name.chars().take(64).collect();
    let hint = "the file may be newer than what the daemon has read: postrider reload";
    Refusal::new(
        "account-unknown",
        format!("the daemon has no inbound account `{name}`"),
        Some(hint),
    )
}

/// When `seconds` from now are over.
pub(super) fn after(seconds: u64) -> Option<Instant> {
    Instant::now().checked_add(Duration::from_secs(seconds))
}

fn warn(what: &str, hint: &str) {
    tracing::warn!(target: "daemon", code = "control-unavailable", hint, "{what}");
}

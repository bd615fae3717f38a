//! The replay by the running daemon: it is told which messages, judges them by the rules in force,
//! and does what they ask for; its ledger tells how far that is.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::{Done, Sought, Walk, refuse};
use crate::archive::root::Root;
use crate::cli::block_on;
use crate::cli::control::{ask, failed};
use crate::cli::exit::Exit;
use crate::config::Config;
use crate::control::{ClientError, Command};
use crate::daemon::instance::InstanceError;
use crate::daemon::replay::{MOST, digest};
use crate::ledger::{Ledger, LedgerError, Left, Tx};

/// Without a try that begins or ends for so long, nothing is tried at all: what is left waits for
/// something else.
const STANDSTILL: Duration = Duration::from_secs(10);
/// So long the tries are followed; the daemon goes on.
const FOLLOWED: Duration = Duration::from_mins(10);
/// Between two looks at the ledger: at first,
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// and at last.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// What keeps the daemon from it, or us from following.
enum Trouble {
    Client(ClientError),
    Instance(InstanceError),
}

impl From<InstanceError> for Trouble {
    fn from(error: InstanceError) -> Self {
        Self::Instance(error)
    }
}

impl From<LedgerError> for Trouble {
    fn from(error: LedgerError) -> Self {
        Self::Instance(error.into())
    }
}

/// What came of it; `None` where no daemon runs. Ctrl-C ends the command alone, the daemon goes on.
pub(super) fn replay(config: &Config, sought: &Sought) -> Result<Option<Done>, Exit> {
    let told = |trouble| match trouble {
        Trouble::Client(error) => failed(&error),
        Trouble::Instance(error) => refuse(&error),
    };
    // Before any message is looked at: whether the daemon is there, and has the same rules.
    let Some(first) = order(config, sought, &[], None).map_err(told)? else { return Ok(None) };
    block_on(follow(config, sought, &first))?.map(Some).map_err(told)
}

async fn follow(config: &Config, sought: &Sought, first: &Value) -> Result<Done, Trouble> {
    let root = Root::open(&config.archive.root).map_err(InstanceError::Archive)?;
    let ledger = Ledger::open_read_only(&config.daemon.state_dir)?;
    let asked_at = first.get("asked_at").and_then(Value::as_i64);
    let mut done = Done::default();
    let mut walk = Walk::new(&ledger, &root, sought);
    while let Some(page) = walk.next().await? {
        add(&mut done.unreadable, page.unreadable.len() as u64);
        for rows in page.rows.chunks(MOST) {
            let answer = order(config, sought, rows, asked_at)?;
            let Some(answer) = answer else { return Err(Trouble::Client(gone())) };
            let n = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
            add(&mut done.asked, n("asked"));
            add(&mut done.due_anyway, n("due_anyway"));
            add(&mut done.unreadable, n("unreadable"));
            (done.marks_at_once, done.marks_later) = (n("marks_at_once"), n("marks_later"));
        }
    }
    let at = asked_at.and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or_default();
    done.left = until_tried(&ledger, sought, at).await?;
    Ok(done)
}

/// Waits until each action was tried once; how many are not done then.
async fn until_tried(
    ledger: &Ledger,
    sought: &Sought,
    asked_at: Timestamp,
) -> Result<u64, LedgerError> {
    let (begin, mut wait) = (Instant::now(), FIRST_LOOK);
    let (mut before, mut moved) = (Left::default(), begin);
    loop {
        let name = std::sync::Arc::clone(&sought.account.name);
        let look = move |tx: &Tx<'_>| tx.left_of(&name, asked_at);
        let now = ledger.read("count actions", look).await?;
        if now != before || now.running > 0 {
            (before, moved) = (now, Instant::now());
        }
        let ended = now.running == 0 && (now.untried == 0 || moved.elapsed() > STANDSTILL);
        if ended || begin.elapsed() > FOLLOWED {
            return Ok(now.left);
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(LAST_LOOK);
    }
}

fn order(
    config: &Config,
    sought: &Sought,
    rows: &[i64],
    asked_at: Option<i64>,
) -> Result<Option<Value>, Trouble> {
    let command = Command::Replay {
        account: sought.account.name.to_string(),
        rule: sought.rule.clone(),
        rules: digest(&sought.account.on_received),
        rows: rows.to_vec(),
        asked_at,
    };
    ask(&config.daemon.state_dir, command, |_| {}).map_err(Trouble::Client)
}

fn gone() -> ClientError {
    let what = "it has ended; what was asked for till then is done when it runs again";
    ClientError::Silent(std::io::Error::other(what))
}

fn add(sum: &mut u64, n: u64) {
    *sum = sum.saturating_add(n);
}

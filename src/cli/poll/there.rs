//! The poll by the running daemon: it is asked, and what it tells is shown.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar};

use super::Poll;
use super::show::{Turn, bar, set};
use crate::cli::control::ask;
use crate::config::Config;
use crate::control::{ClientError, Command, Reply};

/// How each account's turn ended; `None` where no daemon runs. Ctrl-C ends the command alone, the
/// daemon goes on.
pub(super) fn poll(config: &Config, wanted: &Poll) -> Result<Option<Vec<Turn>>, ClientError> {
    let command = Command::Poll { accounts: wanted.accounts.clone(), force: wanted.force };
    let bars = MultiProgress::new();
    let mut shown: BTreeMap<String, Option<ProgressBar>> = BTreeMap::new();
    let mut turns = Vec::new();
    let done = ask(&config.daemon.state_dir, command, |reply| match reply {
        Reply::Progress { account, wanted, messages, octets } => {
            let bar = shown.entry(account.clone()).or_insert_with(|| bar(&bars, &account));
            if let Some(bar) = bar {
                set(bar, wanted, messages, octets);
            }
        }
        Reply::Polled { report } => {
            let turn = Turn::polled(report);
            if let Some(Some(bar)) = shown.get(turn.account()) {
                bar.finish_and_clear();
            }
            turns.push(turn);
        }
        Reply::Waits { account, why, meant } => turns.push(Turn::Waits { account, why, meant }),
        Reply::Done { .. } | Reply::Refused(_) => {}
    });
    bars.clear().ok();
    turns.sort_by(|one, other| one.account().cmp(other.account()));
    Ok(done?.map(|_| turns))
}

//! What commands changed, in the main log and in the history of the config: who, when, what.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use super::{Context, render, who};
use crate::audit::{self, Act, notes};
use crate::config::Config;
use crate::log::{LOG_FILE, Sink};
use crate::poll::Clock;

/// Has the log keep its records, also beside the daemon that has it open.
///
/// Not where the file would come to be another user's than the state folder: its daemon could not
/// write it.
pub(super) fn keep(sink: &Sink, state_dir: &Path) {
    let owner = state_dir.metadata().map(|found| found.uid());
    let own = owner.is_ok_and(|uid| uid == rustix::process::geteuid().as_raw());
    if own || state_dir.join(LOG_FILE).exists() {
        // A log that can't be stored is counted; what was done is printed, too.
        drop(sink.store_in(state_dir));
    }
}

/// Records what a command that has no log yet has done: `tell` makes the records.
pub(super) fn record(context: &Context, config: &Config, tell: impl FnOnce()) {
    // What can't be logged is done all the same, and that the log can't begin was said.
    let Ok(sink) = context.log(config, None) else { return };
    keep(&sink, &config.daemon.state_dir);
    tell();
    sink.flush(Duration::from_secs(5));
}

/// Leaves a note for the history of the config, which the ledger's next writer takes in: the ledger
/// may be the daemon's.
pub(super) fn note(config: &Config, act: Act) {
    let state_dir = &config.daemon.state_dir;
    if !state_dir.is_dir() {
        // Nothing ran yet: the first start is recorded, with all of it.
        return;
    }
    let note = notes::Note {
        note: uuid::Uuid::new_v4().to_string(),
        at: Clock.now(),
        actor: who().to_string(),
        act: act.as_str().to_owned(),
        facts: audit::recorded(&config.facts),
    };
    if let Err(error) = notes::add(state_dir, &note) {
        let hint = "it is done; the daemon records it as a reload";
        render::warning(&format!("the history could not be told: {error}"), Some(hint));
    }
}

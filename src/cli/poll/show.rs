//! How polls ended: for people, for programs, as an exit code. The same for both ways to poll.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::exit::Exit;
use crate::cli::render::{Out, count, plural};
use crate::config::Config;
use crate::model::{ByteSize, MessageKey};

/// How one account's turn ended.
pub(super) enum Turn {
    /// The report as it is, and as it is shown.
    Polled(Value, Box<Shown>),
    Waits {
        account: String,
        why: String,
        /// A pause is meant: no failure of a poll of all accounts.
        meant: bool,
    },
}

/// What people see of a report.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    account: String,
    started_at: Timestamp,
    ended_at: Timestamp,
    archived: u64,
    rekeyed: u64,
    not_archived: BTreeMap<String, u64>,
    held: Vec<Held>,
    deleted: u64,
    moved: u64,
    not_deleted: BTreeMap<String, u64>,
    skipped: BTreeMap<String, u64>,
    left_over: BTreeMap<String, u64>,
    folders: BTreeMap<String, u64>,
    error: Option<Failure>,
}

#[derive(Debug, Deserialize)]
struct Held {
    #[serde(flatten)]
    key: MessageKey,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Failure {
    message: String,
    hint: Option<String>,
}

impl Turn {
    /// A turn with a report.
    pub(super) fn polled(report: Value) -> Self {
        let shown = Shown::deserialize(&report).unwrap_or_default();
        Self::Polled(report, Box::new(shown))
    }

    pub(super) fn account(&self) -> &str {
        match self {
            Self::Polled(_, shown) => &shown.account,
            Self::Waits { account, .. } => account,
        }
    }

    fn failed(&self) -> bool {
        match self {
            Self::Polled(_, shown) => shown.error.is_some(),
            Self::Waits { meant, .. } => !meant,
        }
    }
}

/// The turns, with a failed one for each account of which nothing was told.
pub(super) fn complete(chosen: &[String], mut turns: Vec<Turn>) -> Vec<Turn> {
    for name in chosen {
        if !turns.iter().any(|turn| turn.account() == name) {
            let (account, why) = (name.clone(), UNTOLD.to_owned());
            turns.push(Turn::Waits { account, why, meant: false });
        }
    }
    turns.sort_by(|one, other| one.account().cmp(other.account()));
    turns
}

/// Of an account that was to be polled, and nobody knows of.
const UNTOLD: &str = "nothing was told of its poll";

pub(super) fn report(out: Out, config: &Config, turns: &[Turn]) -> Exit {
    let failed = turns.iter().filter(|turn| turn.failed()).count();
    if out.json {
        let polled: Vec<Value> = turns
            .iter()
            .map(|turn| match turn {
                Turn::Polled(report, _) => report.clone(),
                Turn::Waits { account, why, .. } => json!({ "account": account, "waits": why }),
            })
            .collect();
        out.value(&json!({ "polls": polled }));
        return Exit::of_accounts(turns.len(), failed);
    }
    if turns.is_empty() {
        out.line("no account is enabled");
    }
    let root = config.archive.root.display();
    for turn in turns {
        match turn {
            Turn::Polled(_, shown) => print(out, shown, &root),
            Turn::Waits { account, why, .. } => {
                out.line(&format!("{account}  not polled: {why}"));
                let how = if why.starts_with("paused") {
                    format!(
                        "postrider account resume {account}; or once: postrider poll {account} --force"
                    )
                } else if why == UNTOLD {
                    format!("postrider log {account}; where it is new: postrider reload")
                } else {
                    format!("postrider poll {account} tries once all the same")
                };
                out.line(&format!("  hint: {how}"));
            }
        }
    }
    Exit::of_accounts(turns.len(), failed)
}

fn print(out: Out, report: &Shown, root: &std::path::Display<'_>) {
    let took = report.ended_at.duration_since(report.started_at);
    let seconds = took.as_millis().max(0);
    let mut text = format!("{}  {} archived", report.account, count(report.archived));
    let mut add = |n: u64, what: &str| {
        if n > 0 {
            for word in [", ", &count(n), " ", what] {
                text.push_str(word);
            }
        }
    };
    let sum =
        |counts: &BTreeMap<String, u64>| counts.values().copied().fold(0, u64::saturating_add);
    add(report.rekeyed, "found again under a new identity");
    for (rule, n) in &report.not_archived {
        add(*n, &format!("not archived by rule {rule}"));
    }
    add(report.held.len() as u64, "held");
    add(report.deleted, "deleted on the server");
    add(report.moved, "moved by rules");
    let skipped = |words: &[&str]| {
        words
            .iter()
            .filter_map(|word| report.skipped.get(*word))
            .copied()
            .fold(0, u64::saturating_add)
    };
    add(skipped(&["before-start", "too-old"]), "skipped by age");
    add(skipped(&["seen"]), "skipped as read");
    add(skipped(&["caught-up"]), "skipped by a catch-up");
    add(skipped(&["not-archived"]), "skipped as not archived before");
    add(sum(&report.left_over), "left for later");
    out.line(&format!("{text}  {}.{} s", seconds / 1000, (seconds % 1000) / 100));
    for (why, n) in &report.not_deleted {
        out.line(&format!("  {} not deleted: {why}", plural(*n, "message")));
    }
    for held in report.held.iter().take(5) {
        out.line(&format!("  held: {}: {}", held.key, held.reason));
    }
    if let Some(error) = &report.error {
        out.line(&format!("error: {}: {}", report.account, error.message));
        if let Some(hint) = &error.hint {
            out.line(&format!("  hint: {hint}"));
        }
    }
    if let Some((folder, _)) = report.folders.last_key_value() {
        out.line(&format!("  archive: {root}/{folder}/"));
    }
}

/// A progress bar, on a terminal only.
pub(super) fn bar(bars: &MultiProgress, account: &str) -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() || !std::io::stdout().is_terminal() {
        return None;
    }
    let style = "{prefix}  [{bar:28}]  {pos}/{len}  {msg}  {eta} left";
    let style = ProgressStyle::with_template(style).ok()?.progress_chars("##-");
    let bar = bars.add(ProgressBar::new(0).with_style(style));
    bar.set_prefix(account.to_owned());
    Some(bar)
}

/// How far it is.
pub(super) fn set(bar: &ProgressBar, wanted: u64, messages: u64, octets: u64) {
    bar.set_length(wanted);
    bar.set_position(messages);
    bar.set_message(ByteSize(octets).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_of_which_nothing_is_told_has_failed() {
        let meant = Turn::Waits { account: "b".to_owned(), why: "paused".to_owned(), meant: true };
        let turns = complete(&["a".to_owned(), "b".to_owned()], vec![meant]);
        let seen: Vec<(&str, bool)> = turns.iter().map(|t| (t.account(), t.failed())).collect();
        assert_eq!(seen, [("a", true), ("b", false)]);
    }
}

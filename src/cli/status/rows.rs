//! One account's line: what the ledger knows, and what the daemon adds.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::daemon::live::RunningPoll;
use crate::daemon::state::{Brief, LiveFacts, Scope};
use crate::ledger::{
    AccountRow, ActionCounts, Counts, DeleteStop, HeldMessage, LastError, Ledger, LedgerError,
    PartlyListed, Pause,
};
use crate::schedule::Backoff;

/// Held messages that are listed for an account.
const HELD_SHOWN: u32 = 20;

/// One account's line.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// `ok`, `new`, `STALE`, `FAILING`, `STOPPED`, `paused` or `disabled`.
    pub(super) state: &'static str,
    pub(super) last_success_at: Option<Timestamp>,
    pub(super) last_poll_at: Option<Timestamp>,
    pub(super) next_poll_at: Option<Timestamp>,
    /// From then on the last success is too long ago.
    pub(super) stale_at: Option<Timestamp>,
    pub(super) stale: bool,
    pub(super) running: Option<RunningPoll>,
    pub(super) pause: Option<Pause>,
    pub(super) archived: u64,
    pub(super) archived_today: u64,
    pub(super) held: u64,
    pub(super) held_messages: Vec<HeldMessage>,
    /// Mailboxes of which the server lists a part only.
    pub(super) partly_listed: Vec<PartlyListed>,
    pub(super) delete_due: u64,
    pub(super) delete_pending: u32,
    pub(super) delete_pending_why: Option<String>,
    pub(super) delete_stop: Option<DeleteStop>,
    pub(super) flagged: u64,
    /// Messages on the server that rules left out of the archive, by rule.
    pub(super) not_archived: BTreeMap<String, u64>,
    pub(super) actions: ActionCounts,
    /// Rules that the config doesn't have, with their open actions.
    pub(super) orphaned: BTreeMap<String, u64>,
    pub(super) last_error: Option<LastError>,
    pub(super) tls_verify: bool,
    pub(super) certificate_until: Option<Timestamp>,
}

/// Reads all accounts' lines.
pub(super) async fn read(
    state_dir: &Path,
    scope: &Scope,
    live: Option<&LiveFacts>,
    now: Timestamp,
) -> Result<Vec<Row>, LedgerError> {
    let ledger = Ledger::open_read_only(state_dir)?;
    let midnight = now.to_zoned(TimeZone::system()).start_of_day();
    let midnight = midnight.map_or(now, |day| day.timestamp());
    let mut rows = Vec::new();
    for account in &scope.accounts {
        let (name, due) = (account.name.clone(), account.due_before(now));
        let former = account.renamed_from.clone();
        let (found, counts, (held, partly), (actions, open, left_out)) = ledger
            .read("read an account", move |tx| {
                let counts = tx.counts(&name, midnight, due)?;
                let (held, actions) = (tx.held(&name, HELD_SHOWN)?, tx.action_counts(&name)?);
                let before = former.map(|former| tx.account(&former)).transpose()?.flatten();
                let found = under_both_names(tx.account(&name)?, before);
                let held = (held, tx.partly_listed(&name)?);
                let left_out = tx.left_out(&name)?.into_iter().collect();
                Ok((found, counts, held, (actions, tx.open_rules()?, left_out)))
            })
            .await?;
        let about = About { account, live, now, timezone: &scope.timezone };
        let row = Row::of(&about, found.unwrap_or_default(), counts, held);
        let orphaned = account.orphaned(open);
        // Where nothing waits for them it is of no moment.
        let unknown = if account.delete_after_actions { actions.unknown } else { 0 };
        let actions = ActionCounts { unknown, ..actions };
        let (partly_listed, not_archived) = (partly, left_out);
        rows.push(Row { partly_listed, not_archived, actions, orphaned, ..row });
    }
    Ok(rows)
}

/// An account that hasn't been polled since it was renamed has its pause under the name before.
fn under_both_names(found: Option<AccountRow>, before: Option<AccountRow>) -> Option<AccountRow> {
    let Some(mut found) = found else { return before };
    found.pause = found.pause.or(before.and_then(|before| before.pause));
    Some(found)
}

/// What a line is made by, beside the ledger.
struct About<'a> {
    account: &'a Brief,
    live: Option<&'a LiveFacts>,
    now: Timestamp,
    timezone: &'a str,
}

impl Row {
    fn of(about: &About<'_>, row: AccountRow, counts: Counts, held: Vec<HeldMessage>) -> Self {
        let About { account, live, now, timezone } = about;
        let pause = row.pause.clone().filter(|pause| !pause.is_over(*now));
        // A new account is overdue, too, once the daemon has had time enough for it.
        let since = row.last_success_at.or(live.map(|live| live.started_at));
        let stale_at = since.and_then(|at| account.stale_at(at, row.state.retry_at, timezone));
        let stale = stale_at.is_some_and(|at| at <= *now);
        let why = Some(row.delete_pending_why.clone()).filter(|why| !why.is_empty());
        let running = live.and_then(|live| {
            live.running.iter().find(|poll| poll.account == account.name).cloned()
        });
        let next = live.and_then(|live| live.next.get(&account.name).copied());
        let next = match &pause {
            Some(pause) => pause.until,
            None => next.unwrap_or(row.next_poll_at),
        };
        Self {
            name: account.name.clone(),
            state: state(account, &row, pause.is_some(), stale),
            last_success_at: row.last_success_at,
            last_poll_at: row.last_poll_at,
            next_poll_at: next,
            stale_at,
            stale: stale && account.enabled && pause.is_none(),
            running,
            pause,
            archived: counts.archived,
            archived_today: counts.today,
            held: counts.held,
            held_messages: held,
            partly_listed: Vec::new(),
            delete_due: counts.due,
            delete_pending: row.delete_pending,
            delete_pending_why: why,
            delete_stop: row.delete_stop,
            flagged: counts.flagged,
            not_archived: BTreeMap::new(),
            actions: ActionCounts::default(),
            orphaned: BTreeMap::new(),
            last_error: row.last_error,
            tls_verify: account.tls_verify,
            certificate_until: row.certificate_until,
        }
    }

    /// Whether a person should look. Who is paused or disabled is meant not to work.
    pub(super) fn is_ill(&self) -> bool {
        let ActionCounts { failed, unknown, .. } = self.actions;
        if failed > 0 || unknown > 0 || !self.orphaned.is_empty() {
            return true;
        }
        if matches!(self.state, "paused" | "disabled") {
            return self.delete_stop.is_some();
        }
        self.last_error.is_some()
            || self.stale
            || self.held > 0
            || !self.partly_listed.is_empty()
            || self.delete_stop.is_some()
    }
}

/// The word for how an account fares.
fn state(account: &Brief, row: &AccountRow, is_paused: bool, is_stale: bool) -> &'static str {
    let stopped = Backoff { authentication: row.state.auth_failures, ..Backoff::default() };
    match (&row.last_error, row.last_success_at) {
        _ if !account.enabled => "disabled",
        _ if is_paused => "paused",
        (Some(_), _) if stopped.is_stopped() => "STOPPED",
        (Some(_), _) => "FAILING",
        (None, _) if is_stale => "STALE",
        (None, Some(_)) => "ok",
        (None, None) => "new",
    }
}

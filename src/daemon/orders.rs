//! What a person orders of one account, in the ledger and in the log: the same with the daemon
//! and without it.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::control::Person;
use crate::ledger::{ActionFilter, LedgerError, Pause, Tx};
use crate::log::{cap, escape};
use crate::model::AccountName;
use crate::poll::Tools;

/// Longest reason, in octets.
const REASON_MAX: usize = 500;
/// What is said of an account that refused logins have stopped.
pub const STOPPED: &str = "stopped till a person acts: see `postrider status`";

/// Who orders, and of which account.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Who.
    pub by: &'a Person,
    /// The account.
    pub account: &'a str,
}

/// Why a paused account isn't polled.
pub fn paused(pause: &Pause) -> String {
    let until = pause.until.map_or(String::new(), |until| format!(" until {}", moment(until)));
    let reason =
        if pause.reason.is_empty() { String::new() } else { format!(": {}", pause.reason) };
    format!("paused{until} by {}{reason}", pause.by)
}

/// Why an account isn't polled after a refused login.
pub fn rests(until: Timestamp) -> String {
    format!("rests until {} after a refused login", moment(until))
}

fn moment(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Makes actions due at once, or gives them up; durable on return.
pub async fn change_actions(
    tools: &Tools,
    by: &Person,
    filter: ActionFilter,
    gives_up: bool,
) -> Result<Value, LedgerError> {
    let (account, now) = (filter.account.clone().unwrap_or_default(), tools.clock.now());
    let change = move |tx: &Tx<'_>| {
        if gives_up { tx.drop_actions(&filter) } else { tx.retry_actions(&filter, now) }
    };
    let n = tools.ledger.write("change actions", change).await?;
    let (created_by, created_uid) = (by.name.as_str(), by.uid);
    if gives_up {
        tracing::info!(
            target: "rules", code = "actions-dropped", account, created_by, created_uid, n,
            "Actions given up by {by}: {n}"
        );
    } else {
        tracing::info!(
            target: "rules", code = "actions-retried", account, created_by, created_uid, n,
            "Actions made due by {by}: {n}"
        );
    }
    Ok(json!({ "actions": n }))
}

/// Pauses an account; durable on return.
pub async fn pause(
    tools: &Tools,
    told: &Told<'_>,
    seconds: Option<u64>,
    reason: String,
) -> Result<Value, LedgerError> {
    let now = tools.clock.now();
    let end = |seconds: u64| {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        now.checked_add(SignedDuration::from_secs(seconds)).ok()
    };
    let pause = Pause {
        since: now,
        until: seconds.and_then(end),
        by: told.by.to_string(),
        reason: cap(&escape(&reason), REASON_MAX),
    };
    let (name, row) = (told.account.to_owned(), pause.clone());
    tools.ledger.write("pause an account", move |tx| tx.pause(&name, &row)).await?;
    tracing::info!(
        target: "daemon",
        code = "account-paused",
        account = told.account,
        created_by = told.by.name,
        created_uid = told.by.uid,
        claim = told.by.claim.as_deref().unwrap_or_default(),
        until = pause.until.map(|until| until.to_string()).unwrap_or_default(),
        reason = pause.reason,
        "Paused by {}",
        told.by
    );
    Ok(json!({ "account": told.account, "pause": pause }))
}

/// Ends a pause, refused logins (those of the outbound account of this name, too) and stopped deletes, also under the name that the account had
/// before; durable on return.
pub async fn resume(
    tools: &Tools,
    told: &Told<'_>,
    former: Option<AccountName>,
) -> Result<Value, LedgerError> {
    let (name, at) = (told.account.to_owned(), tools.clock.now());
    let resume = move |tx: &Tx<'_>| {
        let now = tx.resume(&name)?;
        let before = former.map(|former| tx.resume(&former)).transpose()?;
        let outbound = tx.resume_outbound(&name)?;
        if outbound > 0 {
            tx.retry_mails()?;
        }
        tx.end_rests(at)?;
        Ok((now.with(before.unwrap_or_default()), outbound))
    };
    let (resumed, outbound) = tools.ledger.write("resume an account", resume).await?;
    tools.outbox.notify_one();
    tracing::info!(
        target: "daemon",
        code = "account-resumed",
        account = told.account,
        created_by = told.by.name,
        created_uid = told.by.uid,
        claim = told.by.claim.as_deref().unwrap_or_default(),
        refused_logins = resumed.refused_logins,
        outbound_refused_logins = outbound,
        delete_stop = resumed.delete_stop.as_deref().unwrap_or_default(),
        paused = resumed.pause.is_some(),
        "Resumed by {}",
        told.by
    );
    Ok(json!({
        "account": told.account,
        "refused_logins": resumed.refused_logins,
        "outbound_refused_logins": outbound,
        "delete_stop": resumed.delete_stop,
        "pause": resumed.pause,
    }))
}

//! Deletes that a change of the config has armed: how much stored mail goes, and when, before any
//! of it does.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::Serialize;

use crate::config::{Config, DeleteAge, DeleteMode, DeleteRule, Inbound};
use crate::ledger::{DueBefore, Ledger, LedgerError, Tx};
use crate::plan::{Arming, Rules};

/// Stored mail that the rules let go.
#[derive(Clone, Debug, Serialize)]
pub struct Forecast {
    /// The account.
    pub account: String,
    /// The rule lets mail go that stayed before.
    pub armed: bool,
    /// Copies in the archive, whatever became of the mail on the server.
    pub archived: u64,
    /// Due now.
    pub due: u64,
    /// Due by the end of the day, those that are due now among them.
    pub today: u64,
    /// Due within seven days, those of today among them.
    pub week: u64,
    /// `delete_max_per_poll`.
    pub brake: Option<u32>,
}

/// Which copies are due to be deleted at a moment; `None` without such a rule.
pub fn due_before(account: &Inbound, at: Timestamp) -> Option<DueBefore> {
    let DeleteRule::AfterDays(days) = account.delete else { return None };
    let age = SignedDuration::from_hours(i64::from(days).saturating_mul(24));
    Some(DueBefore {
        moment: at.checked_sub(age).unwrap_or(Timestamp::MIN),
        from_received: account.delete_age_from == DeleteAge::Received,
        flagged_is_done: account.delete_mode == DeleteMode::Flag,
    })
}

impl Forecast {
    /// What the ledger says of an account's deletes; `None` where nothing is deleted. The day is
    /// that of the zone.
    pub async fn of(
        ledger: &Ledger,
        account: &Inbound,
        (now, zone): (Timestamp, &TimeZone),
    ) -> Result<Option<Self>, LedgerError> {
        let midnight = now.to_zoned(zone.clone()).start_of_day();
        let tonight = midnight.and_then(|day| day.checked_add(1.day()));
        let tonight = tonight.map_or(now, |day| day.timestamp());
        let in_a_week = now.checked_add(SignedDuration::from_hours(168)).unwrap_or(now);
        let moments = [now, tonight, in_a_week].map(|at| due_before(account, at));
        let [Some(due), Some(today), Some(week)] = moments else { return Ok(None) };
        let rule = Arming::of(&Rules::of(account));
        let (name, renamed) = (Arc::clone(&account.name), account.renamed_from.clone());
        let read = move |tx: &Tx<'_>| {
            let name = tx.known_as(&name, renamed.as_deref())?;
            let counts = tx.counts(&name, now, Some(due))?;
            let before = Arming::parse(&tx.delete_rule(&name)?);
            // A ledger of an older version doesn't know the rule, but that one has worked.
            let worked = before.is_none() && tx.has_deleted(&name)?;
            let armed = counts.archived > 0 && !worked && rule.arms(before);
            let (today, week) = (tx.due(&name, today)?, tx.due(&name, week)?);
            Ok((counts.archived, armed, [counts.due, today, week]))
        };
        let (archived, armed, counts) = ledger.read("count due deletes", read).await?;
        let [due, today, week] = counts;
        let (account, brake) = (account.name.to_string(), account.delete_max_per_poll);
        Ok(Some(Self { account, armed, archived, due, today, week, brake }))
    }

    /// The brake, in words.
    pub fn brake_text(&self) -> String {
        match self.brake {
            Some(max) => format!("`delete_max_per_poll = {max}`"),
            None => "no brake: `delete_max_per_poll` is not set".to_owned(),
        }
    }
}

/// Warns, once, of each account whose deletes are new or go further than before, and remembers
/// the rules. A ledger that can't be asked now is asked again at the next start.
pub async fn announce(config: &Config, ledger: &Ledger, now: Timestamp) {
    for account in config.inbound.values().filter(|account| account.enabled) {
        if let Err(error) = announce_one(account, ledger, (now, &config.archive.timezone)).await {
            tracing::debug!(target: "daemon", %error, "due deletes can't be counted");
        }
    }
}

async fn announce_one(
    account: &Inbound,
    ledger: &Ledger,
    when: (Timestamp, &TimeZone),
) -> Result<(), LedgerError> {
    let rule = Arming::of(&Rules::of(account)).text();
    let (name, renamed) = (Arc::clone(&account.name), account.renamed_from.clone());
    let read = move |tx: &Tx<'_>| tx.delete_rule(&tx.known_as(&name, renamed.as_deref())?);
    let before = ledger.read("read a rule", read).await?;
    if before == rule {
        return Ok(());
    }
    let forecast = Forecast::of(ledger, account, when).await?;
    if let Some(forecast) = forecast.filter(|forecast| forecast.armed) {
        let Forecast { archived, due, today, week, .. } = forecast;
        tracing::warn!(
            target: "delete",
            code = "delete-armed",
            account = &*account.name,
            archived,
            due,
            today,
            week,
            hint = format!("postrider plan {}", account.name),
            "Deletes are armed over {archived} stored messages: {due} are due now, {today} by the \
             end of the day, {week} within 7 days; {}",
            forecast.brake_text()
        );
    }
    let (name, renamed) = (Arc::clone(&account.name), account.renamed_from.clone());
    let write =
        move |tx: &Tx<'_>| tx.set_delete_rule(&tx.known_as(&name, renamed.as_deref())?, &rule);
    ledger.write("remember a rule", write).await
}

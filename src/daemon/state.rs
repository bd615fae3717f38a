//! The config in force: where it came from, what was refused since, and what it means for the
//! people who look at it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::live::RunningPoll;
use crate::config::{
    self, Config, Deed, DeleteAge, DeleteMode, DeleteRule, Inbound, Loaded, Origins, Schedule,
    Severity,
};
use crate::ledger::DueBefore;
use crate::schedule::CronSchedule;

/// A poll may be late by so much.
const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// A config that was read from files, and found good.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The main file.
    pub file: PathBuf,
    /// What is in it.
    pub config: Config,
    /// Where each value is from.
    pub origins: Origins,
    /// Its warnings.
    pub warnings: Vec<config::Problem>,
}

impl InForce {
    /// What was loaded, if it can be used.
    pub fn of(file: PathBuf, loaded: Loaded) -> Result<Self, Vec<config::Problem>> {
        let Loaded { config, problems, origins, .. } = loaded;
        match config {
            Some(config) => Ok(Self { file, config, origins, warnings: problems }),
            None => Err(problems.into_iter().filter(|p| p.severity == Severity::Error).collect()),
        }
    }
}

/// A config that a reload has refused.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Rejected {
    /// When.
    pub at: Timestamp,
    /// Each error, on a line of its own.
    pub problems: Vec<String>,
}

/// What the daemon tells of itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LiveFacts {
    /// The program's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// The config's main file.
    pub config_file: PathBuf,
    /// When the config in force was read.
    pub config_loaded_at: Timestamp,
    /// A newer config that was refused.
    pub config_rejected: Option<Rejected>,
    /// Polls under way.
    pub running: Vec<RunningPoll>,
    /// When each account is polled next.
    pub next: BTreeMap<String, Option<Timestamp>>,
    /// Accounts that are logged whole for a time, and until when.
    pub debugged: BTreeMap<String, Timestamp>,
    /// What is configured.
    pub scope: Scope,
}

/// What a look at an installation needs of its config.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Scope {
    /// `archive.root`.
    pub root: PathBuf,
    /// `archive.min_free`.
    pub min_free: u64,
    /// Zone of cron expressions.
    pub timezone: String,
    /// The inbound accounts, by name.
    pub accounts: Vec<Brief>,
    /// The oauth tables: name, and when the client's secret expires.
    pub oauth: Vec<BriefOauth>,
    /// The names of the outbound accounts.
    #[serde(default)]
    pub outbound: Vec<String>,
}

/// An inbound account in short.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the config")]
pub struct Brief {
    /// Its name.
    pub name: String,
    /// The name that it had before.
    #[serde(default)]
    pub renamed_from: Option<String>,
    /// Whether the config has it polled.
    pub enabled: bool,
    /// Whether the server's certificate is verified.
    pub tls_verify: bool,
    /// The interval in seconds, or the cron expression.
    pub schedule: BriefSchedule,
    /// Copies that are older are deleted on the server.
    pub delete_after_days: Option<u32>,
    /// Their age counts from the server's date.
    pub delete_from_received: bool,
    /// A mark is all that is wanted.
    pub delete_by_flag: bool,
    /// Deletes wait until what rules ask for is done.
    #[serde(default)]
    pub delete_after_actions: bool,
    /// Rules on received mail that do something.
    #[serde(default)]
    pub rules: Vec<String>,
}

/// When an account is polled.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BriefSchedule {
    /// So many seconds apart.
    Every(u64),
    /// A cron expression.
    Cron(String),
}

/// An oauth table in short.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct BriefOauth {
    /// Its name.
    pub name: String,
    /// When the client's secret expires, as its owner noted it.
    pub secret_expires: Option<Timestamp>,
    /// Whether tokens come from a login of a person.
    pub needs_person: bool,
}

impl Scope {
    /// Of a config.
    pub fn of(config: &Config) -> Self {
        let oauth = config.oauth.values().map(|oauth| BriefOauth {
            name: oauth.name.clone(),
            secret_expires: oauth.secret_expires,
            needs_person: oauth.grant.needs_person(),
        });
        Self {
            root: config.archive.root.clone(),
            min_free: config.archive.min_free.0,
            timezone: config.archive.timezone_name.clone(),
            accounts: config.inbound.values().map(Brief::of).collect(),
            oauth: oauth.collect(),
            outbound: config.outbound.keys().map(ToString::to_string).collect(),
        }
    }
}

impl Brief {
    /// Of an account.
    pub fn of(account: &Inbound) -> Self {
        let schedule = match &account.schedule {
            Schedule::Every(every) => BriefSchedule::Every(every.as_secs()),
            Schedule::Cron(cron) => BriefSchedule::Cron(cron.as_str().to_owned()),
        };
        let days = if let DeleteRule::AfterDays(days) = account.delete { Some(days) } else { None };
        let active = account.on_received.iter().filter(|rule| rule.deed != Deed::None);
        let moves = account.on_received.iter().any(|rule| rule.deed.moves_to().is_some());
        Self {
            name: account.name.to_string(),
            renamed_from: account.renamed_from.as_ref().map(ToString::to_string),
            enabled: account.enabled,
            tls_verify: !account.tls.take_anyone(),
            schedule,
            delete_after_days: days,
            delete_from_received: account.delete_age_from == DeleteAge::Received,
            delete_by_flag: account.delete_mode == DeleteMode::Flag,
            delete_after_actions: (account.delete_after_actions || moves) && days.is_some(),
            rules: active.map(|rule| rule.name.clone()).collect(),
        }
    }

    /// Rules with open actions (account, rule, number) that the config doesn't have any more: nobody
    /// does them.
    pub fn orphaned(&self, open: Vec<(String, String, u64)>) -> BTreeMap<String, u64> {
        let own = open.into_iter().filter(|(account, _, _)| *account == self.name);
        let gone = own.filter(|(_, rule, _)| !self.rules.contains(rule));
        gone.map(|(_, rule, n)| (rule, n)).collect()
    }

    /// Which copies are due to be deleted; `None` without such a rule.
    pub fn due_before(&self, now: Timestamp) -> Option<DueBefore> {
        let age = SignedDuration::from_hours(i64::from(self.delete_after_days?).saturating_mul(24));
        Some(DueBefore {
            moment: now.checked_sub(age).unwrap_or(Timestamp::MIN),
            from_received: self.delete_from_received,
            flagged_is_done: self.delete_by_flag,
        })
    }

    /// When the account counts as stale that did its last whole poll then: two polls have been
    /// missed, and some minutes are over, also after what the server has asked for (`rests`).
    pub fn stale_at(
        &self,
        last: Timestamp,
        rests: Option<Timestamp>,
        timezone: &str,
    ) -> Option<Timestamp> {
        let due = match &self.schedule {
            BriefSchedule::Every(seconds) => {
                let seconds = i64::try_from(seconds.saturating_mul(2)).unwrap_or(i64::MAX);
                last.checked_add(SignedDuration::from_secs(seconds)).ok()?
            }
            BriefSchedule::Cron(text) => {
                let zone = TimeZone::get(timezone).unwrap_or(TimeZone::UTC);
                let cron = CronSchedule::parse(text).ok()?;
                cron.next_after(cron.next_after(last, &zone)?, &zone)?
            }
        };
        due.max(rests.unwrap_or(due)).checked_add(GRACE).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brief(schedule: BriefSchedule) -> Brief {
        Brief {
            name: "a".into(),
            renamed_from: None,
            enabled: true,
            tls_verify: true,
            schedule,
            delete_after_days: None,
            delete_from_received: false,
            delete_by_flag: false,
            delete_after_actions: false,
            rules: Vec::new(),
        }
    }

    #[test]
    fn account_is_stale_when_two_polls_were_missed_and_some_minutes_are_over() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let friday = at("2026-11-20T17:00:00Z");
        let every = brief(BriefSchedule::Every(3600));
        assert_eq!(every.stale_at(friday, None, "UTC"), Some(at("2026-11-20T19:05:00Z")));
        let rests = Some(at("2026-11-20T20:00:00Z"));
        assert_eq!(every.stale_at(friday, rests, "UTC"), Some(at("2026-11-20T20:05:00Z")));
        // Nobody expects a poll over the weekend.
        let office = brief(BriefSchedule::Cron("0 8-17 * * Mon-Fri".into()));
        assert_eq!(office.stale_at(friday, None, "UTC"), Some(at("2026-11-23T09:05:00Z")));
        assert_eq!(office.stale_at(friday, None, "Europe/Vienna").unwrap().to_string().len(), 20);
        let far = brief(BriefSchedule::Every(u64::MAX));
        assert_eq!(far.stale_at(friday, None, "UTC"), None);
    }
}

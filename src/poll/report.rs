//! What a poll did: one type that prints, logs and serialises.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Account;
use super::commit::Committed;
use super::error::PollError;
use crate::log::Redactor;
use crate::model::{DeletesHeld, KeepReason, LeftOverReason, MessageKey, Plan, SkipReason, Source};
use crate::schedule::Failure;

/// The outcome of one poll of one account.
#[derive(Clone, Debug, Serialize)]
pub struct PollReport {
    /// The account.
    pub account: String,
    /// Names this poll in the log.
    pub run: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Copies that became durable.
    pub archived: u32,
    /// Their octets.
    pub octets: u64,
    /// Copies found again under a new identity.
    pub rekeyed: u32,
    /// Messages that were fetched and not archived, by the rule that left them out.
    pub not_archived: BTreeMap<String, u32>,
    /// Messages whose fetch failed and that are held.
    pub held: Vec<HeldEntry>,
    /// Messages deleted on the server, proven.
    pub deleted: u32,
    /// Messages moved on the server because a rule on received mail asks for it, proven.
    pub moved: u32,
    /// Messages marked `\Deleted` on the server, where they stay.
    pub flagged: u32,
    /// Deletes that are due and didn't happen, by reason.
    pub not_deleted: BTreeMap<String, u32>,
    /// Messages that rules skip, by reason.
    pub skipped: BTreeMap<&'static str, u32>,
    /// Known messages that stay, by reason.
    pub kept: BTreeMap<&'static str, u32>,
    /// Wanted messages that wait, by reason.
    pub left_over: BTreeMap<&'static str, u32>,
    /// Mailboxes in which nothing had changed.
    pub unchanged: u32,
    /// Mailboxes that were listed.
    #[serde(skip)]
    pub listed: u32,
    /// Dated folders that got a message.
    pub folders: BTreeMap<String, u32>,
    /// What ended the poll, or kept it from doing all; `None` when all was done.
    pub error: Option<ReportedError>,
    /// What held deletes somewhere in this poll.
    #[serde(skip)]
    pub deletes_held: Option<DeletesHeld>,
    /// The server asks for so much time between two logins.
    #[serde(skip)]
    pub login_delay: Option<Duration>,
    /// From when until when the server's certificate is good.
    #[serde(skip)]
    pub certificate: Option<(Timestamp, Timestamp)>,
    /// What kind of failure the error is, for back-off.
    #[serde(skip)]
    pub failure: Option<Failure>,
}

/// What became of the messages of one listing, by reason.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Decided {
    /// Messages that were listed.
    pub listed: u64,
    /// Skipped by rules.
    pub skipped: BTreeMap<String, u64>,
    /// Known ones that stay.
    pub kept: BTreeMap<String, u64>,
    /// Wanted ones that wait.
    pub waiting: BTreeMap<String, u64>,
}

impl Decided {
    /// Counts what a plan leaves alone for good.
    pub(super) fn decide(&mut self, plan: &Plan) {
        for skip in &plan.skip {
            one_more(&mut self.skipped, skip_word(&skip.why));
        }
        for keep in &plan.keep {
            one_more(&mut self.kept, keep_word(&keep.why));
        }
    }

    /// Counts what a plan leaves for later.
    pub(super) fn wait(&mut self, plan: &Plan) {
        for left in &plan.left_over {
            one_more(&mut self.waiting, left_word(&left.why));
        }
    }
}

fn one_more(counts: &mut BTreeMap<String, u64>, word: &str) {
    let count = counts.entry(word.to_owned()).or_default();
    *count = count.saturating_add(1);
}

/// A message that is held.
#[derive(Clone, Debug, Serialize)]
pub struct HeldEntry {
    /// Identity.
    #[serde(flatten)]
    pub key: MessageKey,
    /// Stable code.
    pub code: &'static str,
    /// Why.
    pub reason: String,
}

/// An error, as reports, status and log show it.
#[derive(Clone, Debug, Serialize)]
pub struct ReportedError {
    /// Stable code.
    pub code: &'static str,
    /// The words.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Source of its log record.
    #[serde(skip)]
    pub source: Source,
}

impl ReportedError {
    /// The reportable form of an error.
    pub fn of(error: &PollError, auth: Source) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
            hint: error.hint(),
            source: error.source(auth),
        }
    }
}

impl PollReport {
    /// An empty report.
    pub fn new(account: &str, run: &str, started_at: Timestamp) -> Self {
        Self {
            account: account.to_owned(),
            run: run.to_owned(),
            started_at,
            ended_at: started_at,
            archived: 0,
            octets: 0,
            rekeyed: 0,
            not_archived: BTreeMap::new(),
            held: Vec::new(),
            deleted: 0,
            moved: 0,
            flagged: 0,
            not_deleted: BTreeMap::new(),
            skipped: BTreeMap::new(),
            kept: BTreeMap::new(),
            left_over: BTreeMap::new(),
            unchanged: 0,
            listed: 0,
            folders: BTreeMap::new(),
            error: None,
            deletes_held: None,
            login_delay: None,
            certificate: None,
            failure: None,
        }
    }

    /// Counts what a plan leaves alone for good.
    pub(super) fn count_decided(&mut self, plan: &Plan) {
        for skip in &plan.skip {
            add(&mut self.skipped, skip_word(&skip.why));
        }
        for keep in &plan.keep {
            add(&mut self.kept, keep_word(&keep.why));
        }
    }

    /// Counts what a plan leaves for later.
    pub(super) fn count_waiting(&mut self, plan: &Plan) {
        for left in &plan.left_over {
            add(&mut self.left_over, left_word(&left.why));
        }
    }

    /// Adds what became durable.
    pub(super) fn add(&mut self, done: Committed) {
        self.archived = self.archived.saturating_add(done.archived);
        self.octets = self.octets.saturating_add(done.octets);
        self.rekeyed = self.rekeyed.saturating_add(done.rekeyed);
        self.held.extend(done.held);
        for (rule, n) in done.not_archived {
            let count = self.not_archived.entry(rule).or_default();
            *count = count.saturating_add(n);
        }
        for (folder, n) in done.folders {
            let count = self.folders.entry(folder).or_default();
            *count = count.saturating_add(n);
        }
    }

    /// Counts deletes that did not happen.
    pub(super) fn not_deleted(&mut self, why: &str, n: usize) {
        if n > 0 {
            let count = self.not_deleted.entry(why.to_owned()).or_default();
            *count = count.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
        }
    }

    /// Hides secrets that a server may have echoed.
    pub(super) fn redact(&mut self, redactor: &Redactor) {
        if let Some(error) = &mut self.error {
            error.message = redactor.redact(&error.message);
            error.hint = error.hint.take().map(|hint| redactor.redact(&hint));
        }
    }

    /// Deletes that did not happen so far.
    pub(super) fn deletes_missed(&self) -> u64 {
        self.not_deleted.values().map(|n| u64::from(*n)).fold(0, u64::saturating_add)
    }

    /// Notes the first error; later ones are its consequences.
    pub(super) fn fail(&mut self, error: &PollError, account: &Account) {
        if self.error.is_none() {
            let reported = ReportedError::of(error, account.auth_source());
            let hint = error.advice(&account.config);
            self.error = Some(ReportedError { hint, ..reported });
            self.failure = Some(error.failure());
        }
    }
}

fn add(counts: &mut BTreeMap<&'static str, u32>, word: &'static str) {
    let count = counts.entry(word).or_default();
    *count = count.saturating_add(1);
}

/// The word for a skip.
pub fn skip_word(why: &SkipReason) -> &'static str {
    match why {
        SkipReason::BeforeStart { .. } => "before-start",
        SkipReason::CaughtUp { .. } => "caught-up",
        SkipReason::LeftOut { .. } => "not-archived",
        SkipReason::Seen => "seen",
        SkipReason::TooOld { .. } => "too-old",
    }
}

/// The word for a keep.
pub fn keep_word(why: &KeepReason) -> &'static str {
    match why {
        KeepReason::DeleteBrake { .. } => "delete-brake",
        KeepReason::DeletesHeld { .. } => "deletes-held",
        KeepReason::Flagged => "flagged",
        KeepReason::Held { .. } => "held",
        KeepReason::MoveLater { .. } => "move-later",
        KeepReason::Returned => "returned",
        KeepReason::RuleOff => "rule-off",
        KeepReason::SizeChanged { .. } => "size-changed",
        KeepReason::TooLarge { .. } => "too-large",
        KeepReason::TooYoung { .. } => "too-young",
    }
}

/// The word for a message that waits.
pub fn left_word(why: &LeftOverReason) -> &'static str {
    match why {
        LeftOverReason::BatchFull => "batch-full",
        LeftOverReason::TooYoung { .. } => "too-young",
    }
}

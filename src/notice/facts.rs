//! What conditions are judged by: plain data of one moment.

use jiff::{SignedDuration, Timestamp};

/// All that is known at one moment.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When this daemon began, by the clock as it goes now; or when that clock was last set back.
    pub started_at: Timestamp,
    /// The enabled inbound accounts.
    pub accounts: Vec<AccountFacts>,
    /// The records of tokens.
    pub oauths: Vec<OauthFacts>,
    /// The reload that was refused last, if none was taken since.
    pub config: Option<RefusedConfig>,
    /// Certificates that we show: the account, and its end.
    pub client_certificates: Vec<(String, Timestamp)>,
}

/// One enabled inbound account.
#[derive(Clone, Debug, Default)]
pub struct AccountFacts {
    /// Its name.
    pub name: String,
    /// The record of its tokens.
    pub oauth: Option<String>,
    /// It is to be polled well once in this time.
    pub no_success: SignedDuration,
    /// It is to get mail once in this time.
    pub no_mail: Option<SignedDuration>,
    /// When a poll was due after the last success, where that is later: a cron expression rests.
    pub due_at: Option<Timestamp>,
    /// End of the last poll.
    pub last_poll_at: Option<Timestamp>,
    /// End of the last good poll.
    pub last_success_at: Option<Timestamp>,
    /// When the last mail was stored that is not our own.
    pub last_mail_at: Option<Timestamp>,
    /// The error that stands.
    pub error: Option<ErrorFacts>,
    /// It is not polled any more after refused logins.
    pub stopped: bool,
    /// Why and since when nothing is deleted.
    pub delete_stop: Option<(String, Timestamp)>,
    /// Its held messages.
    pub held: Option<HeldFacts>,
    /// What rules ask for and has failed for good.
    pub actions: Option<ActionsFacts>,
    /// What rules ask for and waits for an outbound account that is left alone.
    pub waiting: Option<ActionsFacts>,
    /// The certificate of its server.
    pub certificate: Option<Expiry>,
    /// Its canary.
    pub canary: Option<CanaryFacts>,
}

/// An account's standing error.
#[derive(Clone, Debug)]
pub struct ErrorFacts {
    /// The log's code.
    pub code: String,
    /// The words.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Since when polls have been failing.
    pub since: Timestamp,
    /// Polls that failed since.
    pub attempts: u32,
}

/// Held messages.
#[derive(Clone, Debug)]
pub struct HeldFacts {
    /// How many.
    pub n: u64,
    /// The oldest was first seen then.
    pub since: Timestamp,
    /// Why it is held.
    pub reason: String,
}

/// Actions that failed for good, or wait.
#[derive(Clone, Debug)]
pub struct ActionsFacts {
    /// How many.
    pub n: u64,
    /// When the oldest of them was last tried; when it was asked for, where it waits.
    pub since: Timestamp,
    /// Its rule.
    pub rule: String,
    /// Why it failed or waits.
    pub reason: String,
}

/// From when until when something is good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expiry {
    /// From.
    pub from: Timestamp,
    /// Until.
    pub until: Timestamp,
}

/// The newest canary of which it is known whether it came in time.
#[derive(Clone, Debug)]
pub struct CanaryFacts {
    /// The outbound account that sends it.
    pub via: String,
    /// It should come within this time.
    pub max: SignedDuration,
    /// When it was made.
    pub made_at: Timestamp,
    /// When its copy was stored.
    pub found_at: Option<Timestamp>,
    /// Why it could not be sent.
    pub failed: Option<String>,
}

/// One `[oauth.NAME]`.
#[derive(Clone, Debug, Default)]
pub struct OauthFacts {
    /// Its name.
    pub name: String,
    /// When its client's secret ends.
    pub secret_expires: Option<Timestamp>,
    /// Why no endpoint is asked any more, since when.
    pub refused: Option<(ErrorFacts, Timestamp)>,
}

/// A config that was refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefusedConfig {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

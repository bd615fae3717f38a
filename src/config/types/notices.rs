//! What a person is told by mail, and when.

use std::time::Duration;

use crate::model::AccountName;

/// `[notices]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NoticesConfig {
    /// From of all mail that postrider sends.
    pub system: Option<String>,
    /// Where errors are reported.
    pub error_reporting: Option<String>,
    /// Where feedback goes.
    pub feedback: Option<String>,
    /// The outbound account that sends.
    pub outbound: Option<AccountName>,
    /// News within this time are one mail.
    pub digest: Duration,
    /// Mails in one hour at most.
    pub max_per_hour: u32,
    /// Mails in one day at most.
    pub max_per_day: u32,
    /// The first reminder of what lasts comes after this time.
    pub remind_every: Duration,
}

/// When a person is to be told of an inbound account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Watch {
    /// It was not polled well for this time.
    pub no_success: Duration,
    /// It got no mail for this time; `None`: never.
    pub no_mail: Option<Duration>,
    /// Test mails that must come back through it.
    pub canary: Option<Canary>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { no_success: Duration::from_hours(6), no_mail: None, canary: None }
    }
}

/// `[inbound.NAME.canary]`: a test mail goes out, and must come back in time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Canary {
    /// The outbound account that sends it.
    pub via: AccountName,
    /// The mailbox's own address.
    pub to: String,
    /// From one to the next.
    pub every: Duration,
    /// It must be stored within this time.
    pub max: Duration,
}

//! What `status` shows of notices: what stands open, which mails wait, how long canaries take.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::render::{Out, Tone, ago, ahead, moment, plural, span};
use crate::config::Config;
use crate::ledger::{CanaryRow, Ledger, LedgerError, WaitingMail};
use crate::notice::{Standing, State};

/// Notices and canaries of one installation.
#[derive(Debug, Default, Serialize)]
pub(super) struct Voice {
    open: Vec<Standing>,
    waiting: Vec<WaitingMail>,
    last_sent_at: Option<Timestamp>,
    canaries: Vec<Canary>,
}

/// An account's newest canary that came back, and the newest one.
#[derive(Debug, Serialize)]
struct Canary {
    account: String,
    last: CanaryRow,
    last_found_at: Option<Timestamp>,
    last_delay_ms: Option<i64>,
}

impl Voice {
    /// Reads them.
    pub(super) async fn read(
        state_dir: &Path,
        config: Option<&Config>,
    ) -> Result<Self, LedgerError> {
        let ledger = Ledger::open_read_only(state_dir)?;
        let accounts = config.into_iter().flat_map(|config| config.inbound.values());
        let with = accounts.filter(|account| account.watch.canary.is_some());
        let names: Vec<String> = with.map(|account| account.name.to_string()).collect();
        let read = move |tx: &crate::ledger::Tx<'_>| {
            let mut open = tx.standings()?;
            open.retain(|standing| standing.state == State::Open);
            let mut canaries = Vec::new();
            for name in &names {
                canaries.extend(Canary::of(tx.canaries(name, 100)?));
            }
            let (waiting, last_sent_at) = (tx.waiting_mails()?, tx.last_mail_sent()?);
            Ok(Self { open, waiting, last_sent_at, canaries })
        };
        ledger.read("read notices", read).await
    }

    /// Whether a person should look.
    pub(super) fn is_ill(&self) -> bool {
        !self.open.is_empty() || self.waiting.iter().any(|mail| mail.error.is_some())
    }

    /// Prints what there is; nothing where all is well.
    pub(super) fn print(&self, out: Out, now: Timestamp) {
        for Canary { account, last_found_at, last_delay_ms, last } in &self.canaries {
            let delay = last_delay_ms.map_or("-".to_owned(), told_delay);
            let found = ago(*last_found_at, now);
            let failed = last.failed.as_ref().map(|why| format!("; not sent: {why}"));
            let failed = failed.unwrap_or_default();
            out.line(&format!("{account}: last canary {found}, took {delay}{failed}"));
        }
        if !self.open.is_empty() {
            out.line("");
        }
        for standing in &self.open {
            let condition = &standing.condition;
            let subject = &condition.subject;
            let name = if subject.is_empty() { String::new() } else { format!("{subject}: ") };
            let told = standing.told.map_or("not mailed yet".to_owned(), |told| {
                format!("mailed {}", ago(Some(told.at), now))
            });
            out.marked("notice:", Tone::Warn, &format!("{name}{}", condition.title));
            let since = ago(Some(condition.since), now);
            out.line(&format!("  since {since}, {told}; code: {}", condition.code));
        }
        for mail in &self.waiting {
            let WaitingMail { made_at, subject, attempts, retry_at, error, .. } = mail;
            out.line("");
            out.marked("mail waits:", Tone::Warn, subject);
            let next = ahead(*retry_at, now);
            let attempts = plural(u64::from(*attempts), "attempt");
            out.line(&format!("  of {}, {attempts}, tried again {next}", moment(*made_at)));
            let Some(error) = error else { continue };
            out.line(&format!("  {}; code: {}", error.message, error.code));
            if let Some(hint) = &error.hint {
                out.line(&format!("  hint: {hint}"));
            }
        }
    }
}

impl Canary {
    /// `rows`: the newest first.
    fn of(rows: Vec<CanaryRow>) -> Option<Self> {
        let delay = |row: &CanaryRow| {
            let found = row.found_at?;
            Some((found, i64::try_from(found.duration_since(row.made_at).as_millis()).ok()?))
        };
        let found = rows.iter().find_map(delay);
        let last = rows.into_iter().next()?;
        Some(Self {
            account: last.account.clone(),
            last,
            last_found_at: found.map(|(at, _)| at),
            last_delay_ms: found.map(|(_, delay)| delay),
        })
    }
}

fn told_delay(milliseconds: i64) -> String {
    let delay = SignedDuration::from_millis(milliseconds);
    if milliseconds < 10_000 { format!("{milliseconds} ms") } else { span(delay) }
}

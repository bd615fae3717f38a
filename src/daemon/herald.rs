//! Tells people by mail what is wrong: looks, writes a mail when there is news, and sends what
//! waits. What it decides is `notice`'s; no poll ever waits for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::gate::Kept;
use super::post::{self, Post, PostError};
use super::refusals;
use super::situation::{Situation, gather, policy};
use super::uptime::Uptime;
use crate::config::{Config, Outbound};
use crate::ledger::{LedgerError, SendError, Tx, WaitingMail};
use crate::log::{LOG_FILE, Level, LogDb, LogQuery};
use crate::notice::{
    self, Due, LogLine, News, Standing, State, due, fold_after, news, observe, retry_after,
};
use crate::outbound::message_id;
use crate::poll::{Keyring, Tools};

/// Between two looks at most; a shorter digest has shorter ones.
const LOOK_EVERY: Duration = Duration::from_secs(15);
const LOOK_AT_LEAST: Duration = Duration::from_millis(250);
/// Mails that went are kept so long, for the limits of an hour and a day.
const KEEP_SENT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Records of the log that a mail chooses from.
const RECORDS: u64 = 500;
/// Records of the log that are older explain nothing.
const RECENT: SignedDuration = SignedDuration::from_hours(24);

/// The daemon's voice.
#[derive(Debug)]
pub(super) struct Herald {
    tools: Tools,
    situation: watch::Receiver<Situation>,
    state_dir: PathBuf,
    uptime: Uptime,
    post: Post,
}

impl Herald {
    /// One that speaks of what `situation` has, from now on.
    pub(super) fn new(tools: Tools, situation: watch::Receiver<Situation>, post: Post) -> Self {
        let uptime = Uptime::from(&tools.clock.mark());
        let state_dir = situation.borrow().config.daemon.state_dir.clone();
        Self { tools, situation, state_dir, uptime, post }
    }

    /// Runs until it is cancelled.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let mut changed = true;
        loop {
            let situation = self.situation.borrow_and_update().clone();
            let up = self.uptime.at(&self.tools.clock.mark());
            let pause = situation.config.notices.digest.checked_div(4).unwrap_or(LOOK_EVERY);
            tokio::select! {
                () = cancel.cancelled() => return,
                done = self.round(&situation, changed, up) => if let Err(error) = done {
                    tracing::error!(target: "daemon", code = error.code(), "Notices: {error}");
                }
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(pause.clamp(LOOK_AT_LEAST, LOOK_EVERY)) => changed = false,
                told = self.situation.changed() => match told {
                    Ok(()) => changed = true,
                    Err(_) => return,
                },
            }
        }
    }

    async fn round(
        &self,
        situation: &Situation,
        changed: bool,
        up: SignedDuration,
    ) -> Result<(), LedgerError> {
        if changed {
            let waiting = self.tools.ledger.read("read mails", waiting).await?;
            if waiting.iter().any(|mail| mail.retry_at.is_some()) {
                self.tools.ledger.write("retry mails", retry).await?;
            }
        }
        let standings = self.look(situation, up).await?;
        let config = &situation.config;
        let outbound = config.outbound_account(None);
        let (Some(to), Ok(outbound)) = (&config.notices.error_reporting, outbound) else {
            return Ok(());
        };
        self.write(config, outbound, standings).await?;
        Box::pin(self.send(config, outbound, to)).await
    }

    /// Compares what is wrong with what stood, and keeps it.
    async fn look(
        &self,
        situation: &Situation,
        up: SignedDuration,
    ) -> Result<Vec<Standing>, LedgerError> {
        let ledger = &self.tools.ledger;
        let facts = gather(&self.tools, situation, up).await?;
        let now = self.tools.clock.now();
        let before = ledger.read("read notices", standings).await?;
        let seen = notice::watch(&facts, now);
        let after = observe(before.clone(), seen, &policy(&situation.config), now);
        if after != before {
            let (old, new) = (before.clone(), after.clone());
            ledger.write("keep notices", move |tx| tx.set_standings(&old, &new)).await?;
            log_changes(&before, &after);
        }
        Ok(after)
    }

    /// Writes a mail of what is to be told, if one may go.
    async fn write(
        &self,
        config: &Config,
        outbound: &Outbound,
        standings: Vec<Standing>,
    ) -> Result<(), LedgerError> {
        let (policy, now) = (policy(config), self.tools.clock.now());
        let news = news(&standings, &policy, now);
        if news.is_empty() {
            return Ok(());
        }
        let day_ago = now.checked_sub(KEEP_SENT).unwrap_or(Timestamp::MIN);
        let read = move |tx: &Tx<'_>| Ok((tx.mails_made(day_ago)?, tx.waiting_mails()?));
        let (made, waiting) = self.tools.ledger.read("read mails", read).await?;
        let due = due(&news, &made, !waiting.is_empty(), &policy, now);
        if due != Due::Now {
            tracing::trace!(target: "outgoing", ?due, "no mail yet");
            return Ok(());
        }
        let records = self.records(&news, now).await;
        let digest = notice::write(&post::host(), &news, &records, now);
        let id = message_id(&config.sender_of(outbound).unwrap_or_default());
        let queue = move |tx: &Tx<'_>| tx.queue(news, &digest, &id, now);
        self.tools.ledger.write("queue a mail", queue).await
    }

    /// Recent warnings and errors of the log; none where the log can't be read.
    async fn records(&self, news: &[News], now: Timestamp) -> Vec<LogLine> {
        let path = self.state_dir.join(LOG_FILE);
        let subjects: Vec<String> =
            news.iter().map(|news| news.standing.condition.subject.clone()).collect();
        let query = LogQuery {
            level: Some(Level::Warning),
            since: now.checked_sub(RECENT).ok(),
            limit: Some(RECORDS),
            ascending: false,
            ..LogQuery::default()
        };
        let read = spawn_blocking(move || LogDb::open_read_only(&path).ok()??.query(&query).ok());
        let mut records = read.await.ok().flatten().unwrap_or_default();
        records.reverse();
        let lines = records.into_iter().map(|record| LogLine {
            id: record.id,
            at: record.created_at,
            account: record.account.unwrap_or_default(),
            level: record.level.to_string(),
            code: record.code,
            message: record.message,
        });
        lines.filter(|line| subjects.contains(&line.account)).collect()
    }

    /// Sends what waits and may be tried, the oldest first.
    async fn send(
        &self,
        config: &Config,
        outbound: &Outbound,
        to: &str,
    ) -> Result<(), LedgerError> {
        let waiting = self.tools.ledger.read("read mails", waiting).await?;
        for mail in waiting {
            let now = self.tools.clock.now();
            // Further away than any rest: the clock ran ahead when it was set.
            let rests = mail
                .retry_at
                .filter(|at| now < *at && at.duration_since(now) <= retry_after(u32::MAX, true));
            if rests.is_none() {
                Box::pin(self.send_one(config, outbound, to, mail)).await?;
            }
        }
        Ok(())
    }

    async fn send_one(
        &self,
        config: &Config,
        outbound: &Outbound,
        to: &str,
        mail: WaitingMail,
    ) -> Result<(), LedgerError> {
        let mut letter = post::letter(config, outbound, to);
        letter.subject = mail.subject.clone();
        letter.text = mail.body.clone();
        letter.message_id = mail.message_id.clone();
        "notice".clone_into(&mut letter.report);
        let tried = mail.attempts.saturating_add(1);
        let sent = match self.post.gate(outbound).await {
            Ok(()) => {
                let now = self.tools.clock.now();
                let next = now.checked_add(retry_after(tried, false)).unwrap_or(now);
                let begin = move |tx: &Tx<'_>| tx.mail_begins(mail.id, next);
                self.tools.ledger.write("begin a mail", begin).await?;
                self.post.send(config, outbound, &letter, mail.made_at).await
            }
            Err(kept) => Err(kept),
        };
        let now = self.tools.clock.now();
        let ledger = &self.tools.ledger;
        let Err(error) = sent else {
            let keep_since = now.checked_sub(KEEP_SENT).unwrap_or(Timestamp::MIN);
            tracing::info!(
                target: "outgoing",
                code = "notice-sent",
                message_id = mail.message_id,
                "Sent to {to}: {}",
                mail.subject
            );
            return ledger
                .write("record a mail", move |tx| tx.mail_sent(mail.id, now, keep_since))
                .await;
        };
        let kept = kept_words(&error, outbound, &mail, &self.tools.keyring());
        note_failure(&mail, &kept);
        if fold_after(mail.made_at, now) {
            tracing::warn!(
                target: "outgoing",
                code = "notice-withdrawn",
                "A mail of {} could not be sent for a day: what is still true is told anew",
                mail.made_at
            );
            return ledger.write("take a mail back", move |tx| tx.fold_mail(mail.id)).await;
        }
        let rest = || now.checked_add(retry_after(tried, error.is_permanent())).unwrap_or(now);
        let retry_at = match &error {
            PostError::Kept { kept, .. } => refusals::until(kept, now),
            error if error.is_refused_login() => refusals::until(&Kept::Stopped, now),
            _ => rest(),
        };
        ledger
            .write("record a failed mail", move |tx| tx.mail_failed(mail.id, &kept, retry_at))
            .await
    }
}

/// What is kept as a mail's error. That its account is left alone is no news of the mail's own: the
/// refusal that led to it says more.
fn kept_words(
    error: &PostError,
    outbound: &Outbound,
    mail: &WaitingMail,
    keyring: &Keyring,
) -> SendError {
    let words = error.words(outbound, keyring);
    match (error, &mail.error) {
        (PostError::Kept { .. }, Some(before)) => {
            tracing::debug!(target: "outgoing", code = words.code, "{}", words.message);
            before.clone()
        }
        _ => words,
    }
}

/// The first failure of a mail, and one of another kind, is an error; the rest is known.
fn note_failure(mail: &WaitingMail, error: &SendError) {
    let SendError { code, message, hint } = error;
    let hint = hint.as_deref().unwrap_or_default();
    if mail.error.as_ref().is_some_and(|before| before.code == *code) {
        tracing::debug!(target: "outgoing", reason = code, "Still not sent: {message}");
        return;
    }
    tracing::error!(
        target: "outgoing",
        code = "notice-not-sent",
        reason = code,
        hint,
        "A mail could not be sent, and is tried again: {message}"
    );
}

/// What came and what went, for the log.
fn log_changes(before: &[Standing], after: &[Standing]) {
    let stood = |standings: &[Standing], standing: &Standing| {
        let key = standing.condition.key();
        standings.iter().any(|s| s.condition.key() == key && s.state == State::Open)
    };
    for standing in after.iter().filter(|s| s.state == State::Open && !stood(before, s)) {
        let condition = &standing.condition;
        tracing::warn!(
            target: "daemon",
            code = "notice-raised",
            kind = condition.kind.as_str(),
            subject = condition.subject,
            reason = condition.code,
            hint = condition.hint.as_deref().unwrap_or_default(),
            "Needs attention: {}",
            condition.title
        );
    }
    for standing in before.iter().filter(|s| s.state == State::Open && !stood(after, s)) {
        let condition = &standing.condition;
        tracing::info!(
            target: "daemon",
            code = "notice-over",
            kind = condition.kind.as_str(),
            subject = condition.subject,
            "Over: {}",
            condition.title
        );
    }
}

/// The herald's view of a config that was just taken or refused.
pub(super) fn situation(config: &Config) -> Situation {
    Situation { config: Arc::new(config.clone()), refused: None }
}

fn waiting(tx: &Tx<'_>) -> Result<Vec<WaitingMail>, LedgerError> {
    tx.waiting_mails()
}

fn retry(tx: &Tx<'_>) -> Result<(), LedgerError> {
    tx.retry_mails()
}

fn standings(tx: &Tx<'_>) -> Result<Vec<Standing>, LedgerError> {
    tx.standings()
}

//! From facts to conditions: what is wrong at this moment.

use jiff::{SignedDuration, Timestamp};

use super::actions::{actions, waiting};
use super::expiry::{certificate, client_certificate, secret};
use super::text::{moment, span};
use super::{
    AccountFacts, CanaryFacts, Condition, ErrorFacts, Facts, Kind, OauthFacts, RefusedConfig,
};

/// After a start an account has this long to be polled before its last success is judged.
const GRACE: SignedDuration = SignedDuration::from_mins(10);
/// An error that only a person can mend is told after this time,
const PERSON_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// and so many attempts.
const PERSON_ATTEMPTS: u32 = 3;
/// Held messages are told after this time: most are had at the next attempt.
const HELD_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// A full disk is told after this time; a nightly job may fill it for a moment.
const ARCHIVE_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// What a look has found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Look {
    /// What is wrong.
    pub conditions: Vec<Condition>,
    /// What can't be judged now: what stood goes on standing.
    pub unsure: Vec<(Kind, String)>,
}

/// What is to be said of a kind of condition of one account.
enum Verdict {
    Fine,
    Unsure,
    Wrong(Box<Condition>),
}

impl Look {
    fn add(&mut self, kind: Kind, account: &AccountFacts, verdict: Verdict) {
        match verdict {
            Verdict::Fine => {}
            Verdict::Unsure => self.unsure.push((kind, account.name.clone())),
            Verdict::Wrong(condition) => self.conditions.push(*condition),
        }
    }
}

/// What is wrong now.
#[must_use]
pub fn watch(facts: &Facts, now: Timestamp) -> Look {
    let mut look = Look::default();
    let started_at = facts.started_at.min(now);
    let accounts: Vec<AccountFacts> =
        facts.accounts.iter().map(|account| settled(account, started_at, now)).collect();
    for account in &accounts {
        let refused = |oauth: &&OauthFacts| {
            oauth.refused.is_some() && account.oauth.as_ref() == Some(&oauth.name)
        };
        let consent = facts.oauths.iter().any(|oauth| refused(&oauth));
        look.add(Kind::Account, account, liveness(account, started_at, consent, now));
        look.add(Kind::NoMail, account, silence(account, started_at, now));
    }
    let found = &mut look.conditions;
    for account in &accounts {
        found.extend(held(account, now));
        let failed = account.actions.as_ref().map(|failed| actions(&account.name, failed));
        found.extend(failed.or_else(|| waiting(&account.name, account.waiting.as_ref()?, now)));
        found.extend(account.delete_stop.as_ref().map(|stop| delete_stop(&account.name, stop)));
        found.extend(account.certificate.and_then(|expiry| certificate(account, expiry, now)));
        found.extend(account.canary.as_ref().and_then(|canary| late(&account.name, canary, now)));
    }
    for oauth in &facts.oauths {
        found.extend(oauth.refused.as_ref().map(|(error, at)| consent(&oauth.name, error, *at)));
        found.extend(oauth.secret_expires.and_then(|at| secret(&oauth.name, at, now)));
    }
    for (name, until) in &facts.client_certificates {
        found.extend(client_certificate(name, *until, now));
    }
    found.extend(archive(&accounts, now));
    found.extend(facts.config.as_ref().map(refused));
    look
}

/// An account's facts without times that can't be: a clock that ran ahead has written them, and
/// what they say would silence alarms until it is so late. What began then began with this daemon
/// at the latest; what happened then is not known to have happened.
fn settled(account: &AccountFacts, started_at: Timestamp, now: Timestamp) -> AccountFacts {
    let past = |at: Option<Timestamp>| at.filter(|at| *at <= now);
    let begun = |at: Timestamp| if at > now { started_at } else { at };
    let mut account = account.clone();
    account.last_poll_at = past(account.last_poll_at);
    account.last_success_at = past(account.last_success_at);
    account.last_mail_at = past(account.last_mail_at);
    if let Some(error) = &mut account.error {
        error.since = begun(error.since);
    }
    if let Some(held) = &mut account.held {
        held.since = begun(held.since);
    }
    account
}

/// Whether an account is polled as it should be.
fn liveness(
    account: &AccountFacts,
    started_at: Timestamp,
    consent: bool,
    now: Timestamp,
) -> Verdict {
    let error = account.error.as_ref();
    if error.is_some_and(|error| is_of_archive(&error.code)) {
        return Verdict::Unsure; // Told once, for all accounts.
    }
    let person = error.and_then(|error| needs_person(account, error, consent, now));
    if let Some(condition) = person {
        return Verdict::Wrong(Box::new(condition));
    }
    let since = account.last_success_at.or(error.map(|error| error.since)).unwrap_or(started_at);
    let asked = account.last_poll_at.is_some_and(|at| at >= started_at);
    if !asked && now.duration_since(started_at) < GRACE {
        return Verdict::Unsure;
    }
    let counted = account.due_at.map_or(since, |due_at| since.max(due_at));
    if now.duration_since(counted) < account.no_success {
        return Verdict::Fine;
    }
    let title = format!("no successful poll for {}", span(now.duration_since(since)));
    let last = match account.last_success_at {
        Some(at) => format!("The last successful poll was at {}.", moment(at)),
        None => "There was no successful poll yet.".to_owned(),
    };
    let text = match error {
        Some(error) => {
            let polls = if error.attempts == 1 { "poll" } else { "polls" };
            format!("{last} {} {polls} failed since: {}.", error.attempts, error.message)
        }
        None => format!("{last} No poll has ended since."),
    };
    Verdict::Wrong(Box::new(of_account(account, 1, since, (title, text))))
}

/// Whether only a person can have an account polled again.
fn needs_person(
    account: &AccountFacts,
    error: &ErrorFacts,
    consent: bool,
    now: Timestamp,
) -> Option<Condition> {
    let ErrorFacts { code, message, since, attempts, .. } = error;
    if account.stopped {
        let title = "not polled any more: refused credentials".to_owned();
        let text = format!(
            "The account has stopped after {attempts} refused logins: {message}. It is tried again \
             after a change of config or secret, or by `postrider account resume {}`.",
            account.name
        );
        return Some(of_account(account, 3, *since, (title, text)));
    }
    let told_already = consent && code.starts_with("oauth-");
    let lasts = *attempts >= PERSON_ATTEMPTS && now.duration_since(*since) >= PERSON_AFTER;
    if told_already || !lasts || !wants_person(code) {
        return None;
    }
    let words = (format!("polls fail: {message}"), format!("{attempts} polls failed: {message}."));
    Some(of_account(account, 2, *since, words))
}

fn of_account(
    account: &AccountFacts,
    grade: u32,
    since: Timestamp,
    (title, text): (String, String),
) -> Condition {
    let (name, error) = (&account.name, account.error.as_ref());
    let hint = error.and_then(|error| error.hint.clone()).unwrap_or_else(|| {
        format!("`postrider status` and `postrider log --account {name}` say more")
    });
    Condition {
        kind: Kind::Account,
        subject: name.clone(),
        grade,
        since,
        code: error.map_or_else(|| "account-quiet".to_owned(), |error| error.code.clone()),
        title,
        text,
        hint: Some(hint),
    }
}

/// Errors that time alone never mends.
fn wants_person(code: &str) -> bool {
    matches!(
        code,
        "account-renamed"
            | "auth-no-mechanism"
            | "auth-rejected"
            | "mailbox-missing"
            | "oauth-needs-login"
            | "oauth-other-user"
            | "oauth-refused"
            | "secret-failed"
            | "starttls-missing"
            | "tls-bad-certificate"
            | "tls-config"
            | "tls-expired"
            | "tls-pin-mismatch"
            | "tls-untrusted"
            | "tls-wrong-name"
    )
}

/// Whether an account that is polled well gets mail.
fn silence(account: &AccountFacts, started_at: Timestamp, now: Timestamp) -> Verdict {
    let Some(limit) = account.no_mail else { return Verdict::Fine };
    let since = account.last_mail_at.unwrap_or(started_at);
    // Who isn't polled gets no mail; that is told already.
    let polled = account.last_success_at.is_some_and(|at| at >= started_at);
    if now.duration_since(since) < limit {
        return Verdict::Fine;
    }
    if !polled || account.error.is_some() {
        return Verdict::Unsure;
    }
    let last = match account.last_mail_at {
        Some(at) => format!("The last mail was stored at {}", moment(at)),
        None => "No mail was stored yet".to_owned(),
    };
    Verdict::Wrong(Box::new(Condition {
        kind: Kind::NoMail,
        subject: account.name.clone(),
        grade: 1,
        since,
        code: "account-no-mail".to_owned(),
        title: format!("no mail for {}", span(now.duration_since(since))),
        text: format!("{last}; the polls themselves succeed."),
        hint: Some(
            "see whether mail still comes in there: a forwarding that broke, a rule of the server \
             that moves it to another folder, a quota"
                .to_owned(),
        ),
    }))
}

fn held(account: &AccountFacts, now: Timestamp) -> Option<Condition> {
    let held = account.held.as_ref()?;
    if now.duration_since(held.since) < HELD_AFTER {
        return None;
    }
    let messages = if held.n == 1 { "message is" } else { "messages are" };
    Some(Condition {
        kind: Kind::Held,
        subject: account.name.clone(),
        grade: 1,
        since: held.since,
        code: "message-held".to_owned(),
        title: format!("{} {messages} held", held.n),
        text: format!(
            "{} {messages} held: not stored, and left on the server. The oldest: {}.",
            held.n, held.reason
        ),
        hint: Some("`postrider status` lists each with its reason".to_owned()),
    })
}

fn delete_stop(name: &str, (why, since): &(String, Timestamp)) -> Condition {
    Condition {
        kind: Kind::DeleteStop,
        subject: name.to_owned(),
        grade: 1,
        since: *since,
        code: "imap-expunged-more".to_owned(),
        title: "deletes are stopped".to_owned(),
        text: format!("Nothing is deleted on the server any more: {why}. Mail is still fetched."),
        hint: Some(format!(
            "find the cause (`postrider log --account {name}`), then: postrider account resume {name}"
        )),
    }
}

fn consent(name: &str, error: &ErrorFacts, at: Timestamp) -> Condition {
    Condition {
        kind: Kind::OauthConsent,
        subject: name.to_owned(),
        grade: 1,
        since: at,
        code: error.code.clone(),
        title: format!("[oauth.{name}] needs a person"),
        text: format!("No token can be had any more: {}.", error.message),
        hint: error.hint.clone(),
    }
}

/// Whether the archive takes nothing: what one account is told, all are.
fn archive(accounts: &[AccountFacts], now: Timestamp) -> Option<Condition> {
    let errors = accounts.iter().filter_map(|account| account.error.as_ref());
    let error =
        errors.filter(|error| is_of_archive(&error.code)).min_by_key(|error| error.since)?;
    if now.duration_since(error.since) < ARCHIVE_AFTER {
        return None;
    }
    Some(Condition {
        kind: Kind::Archive,
        subject: String::new(),
        grade: 1,
        since: error.since,
        code: error.code.clone(),
        title: format!("nothing is archived: {}", error.message),
        text: format!(
            "No mail is fetched: {}. Nothing is lost, it waits on the servers.",
            error.message
        ),
        hint: error.hint.clone(),
    })
}

fn is_of_archive(code: &str) -> bool {
    matches!(
        code,
        "archive-paused"
            | "archive-read-only"
            | "archive-write-failed"
            | "disk-full"
            | "disk-low"
            | "root-changed"
            | "root-missing"
    )
}

fn refused(refused: &RefusedConfig) -> Condition {
    Condition {
        kind: Kind::Config,
        subject: String::new(),
        grade: 1,
        since: refused.at,
        code: "config-rejected".to_owned(),
        title: "a changed config was refused".to_owned(),
        text: format!("The old config stays in force: {}.", refused.why),
        hint: Some("`postrider check` shows every problem; reload when it is content".to_owned()),
    }
}

/// Whether the newest canary is late.
fn late(name: &str, canary: &CanaryFacts, now: Timestamp) -> Option<Condition> {
    let CanaryFacts { via, max, made_at, found_at, failed } = canary;
    let took = found_at.unwrap_or(now).duration_since(*made_at);
    if took <= *max {
        return None;
    }
    let (title, text) = match (found_at, failed) {
        (Some(_), _) => (
            format!("canary took {}", span(took)),
            format!("A test mail by `{via}` was stored only after {}.", span(took)),
        ),
        (None, Some(why)) => (
            "canary could not be sent".to_owned(),
            format!("The test mail of {} could not be sent by `{via}`: {why}.", moment(*made_at)),
        ),
        (None, None) => (
            "canary did not arrive".to_owned(),
            format!("The test mail that `{via}` took at {} is not stored.", moment(*made_at)),
        ),
    };
    Some(Condition {
        kind: Kind::Canary,
        subject: name.to_owned(),
        grade: 1,
        since: *made_at,
        code: "canary-late".to_owned(),
        title,
        text: format!("{text} It is to be there within {}.", span(*max)),
        hint: Some(
            "see where mail to the account waits: the outbound account's queue, a filter, a folder \
             that isn't polled"
                .to_owned(),
        ),
    })
}

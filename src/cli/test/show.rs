//! The lines of `postrider test`, in 80 columns: stage, what was found, how long it took.

use std::time::Duration;

use super::{Failed, Outcome, millis};
use crate::cli::render::{self, Out, Tone, count, plural};
use crate::config::{Inbound, Outbound, TlsRules};
use crate::log::Redactor;
use crate::net::{Facts, Stage, Step, TlsFacts};
use crate::poll::Clock;

/// Columns of a stage's text.
const WIDTH: usize = 52;
/// Names of a certificate in one line; all are in the JSON.
const NAMES: usize = 3;

/// What is shown of an account besides its stages.
pub(super) struct Subject<'a> {
    name: &'a str,
    host: &'a str,
    user: &'a str,
    tls: &'a TlsRules,
    /// What works when all is well.
    works: &'static str,
}

impl<'a> From<&'a Inbound> for Subject<'a> {
    fn from(account: &'a Inbound) -> Self {
        let Inbound { name, host, user, tls, .. } = account;
        let works = "can be polled; nothing was changed";
        Self { name, host, user, tls, works }
    }
}

impl<'a> From<&'a Outbound> for Subject<'a> {
    fn from(account: &'a Outbound) -> Self {
        let Outbound { name, host, user, tls, .. } = account;
        let user = user.as_deref().unwrap_or_default();
        Self { name, host, user, tls, works: "can send; no message was sent" }
    }
}

/// A stage that ended well.
pub(super) fn step(out: Out, account: &Subject<'_>, step: &Step, redactor: &Redactor) {
    let mut texts = texts(account, &step.facts).into_iter();
    let first = texts.next().unwrap_or_default();
    lines(out, step.stage, &redactor.redact(&first), Some(step.took), Tone::Plain);
    for text in texts {
        continued(out, &redactor.redact(&text));
    }
}

/// The stage that failed.
pub(super) fn failed(out: Out, failed: &Failed) {
    lines(out, failed.stage, "FAILED", Some(failed.took), Tone::Bad);
}

/// The last lines: warnings, and the error or that all is well.
pub(super) fn end(
    out: Out,
    account: &Subject<'_>,
    outcome: &Outcome,
    warnings: &[String],
    redactor: &Redactor,
) {
    if let Some(failed) = &outcome.failed {
        self::failed(out, failed);
    }
    for warning in warnings {
        out.marked("warning:", Tone::Warn, warning);
    }
    let name = account.name;
    let Some(failed) = &outcome.failed else {
        let text = format!("{name} {}", account.works);
        out.marked("ok:", Tone::Good, &text);
        return;
    };
    let text = redactor.redact(&format!("{name}: {}", failed.message));
    let hint = failed.hint.as_ref().map(|hint| redactor.redact(hint));
    render::error(&text, hint.as_deref());
}

fn texts(account: &Subject<'_>, facts: &Facts) -> Vec<String> {
    match facts {
        Facts::Secret { from } => vec![from.clone()],
        Facts::Addresses { addresses } => {
            let found: Vec<String> = addresses.iter().map(|a| a.ip().to_string()).collect();
            vec![format!("{} -> {}", account.host, found.join(", "))]
        }
        Facts::Address { address } => vec![address.to_string()],
        Facts::Tls(tls) => tls_texts(account, tls),
        Facts::Greeting { said } if said.is_empty() => vec!["-".to_owned()],
        Facts::Greeting { said } => vec![said.clone()],
        Facts::Capabilities { capabilities } if capabilities.is_empty() => vec!["-".to_owned()],
        Facts::Capabilities { capabilities } => vec![capabilities.join(" ")],
        Facts::Login { mechanism } => {
            let user = if account.user.is_empty() { "(hidden)" } else { account.user };
            vec![format!("{user} by {mechanism}")]
        }
        Facts::Mailbox { mailbox, messages, uid_validity } => {
            let name = if mailbox.is_empty() { "maildrop" } else { mailbox };
            let messages = plural(u64::from(*messages), "message");
            let validity = uid_validity.map(|v| format!(", UIDVALIDITY {v}")).unwrap_or_default();
            vec![format!("{name}: {messages}{validity}")]
        }
        Facts::Sender { sender, recipients } => {
            let to = if recipients.is_empty() { "-".to_owned() } else { recipients.join(", ") };
            vec![format!("{sender} to {to}")]
        }
        Facts::Message { queue_id, said } => {
            let id = queue_id.as_ref().map(|id| format!("in the server's queue as {id}"));
            id.into_iter().chain([said.clone()]).collect()
        }
        Facts::Mailboxes { mailboxes } => {
            let there = format!("{} on the server:", count(mailboxes.len() as u64));
            std::iter::once(there).chain(mailboxes.iter().cloned()).collect()
        }
    }
}

fn tls_texts(account: &Subject<'_>, tls: &TlsFacts) -> Vec<String> {
    let trusted = if !account.tls.pins.is_empty() {
        "its key is pinned"
    } else if account.tls.verify {
        "verified"
    } else {
        "not verified"
    };
    let cipher = tls.cipher.trim_start_matches("TLS13_").trim_start_matches("TLS_");
    let mut texts = vec![format!("{}, {cipher}, {trusted}", tls.version)];
    let Some(own) = tls.chain.first() else { return texts };
    let mut names: Vec<String> = own.names.iter().take(NAMES).cloned().collect();
    let more = own.names.len().saturating_sub(NAMES);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    if !names.is_empty() {
        texts.push(format!("for {}", names.join(", ")));
    }
    if let Some(end) = own.not_after {
        let left = render::ahead(Some(end), Clock.now());
        let left = if left == "now" { "EXPIRED".to_owned() } else { format!("expires {left}") };
        texts.push(format!("{left} ({end})"));
    }
    let issued = |certificate: &crate::net::CertificateFacts| {
        format!("{}, issued by {}", certificate.subject, certificate.issuer)
    };
    texts.extend(tls.chain.iter().map(issued));
    texts
}

/// A stage's line, and further ones where its text is longer.
fn lines(out: Out, stage: Stage, text: &str, took: Option<Duration>, tone: Tone) {
    let mut parts = wrapped(text).into_iter();
    let first = parts.next().unwrap_or_default();
    let took = took.map(|took| format!("{:>7} ms", count(millis(took)))).unwrap_or_default();
    out.table(&[vec![
        (format!("  {:<12}", stage.as_str()), Tone::Plain),
        (format!("{first:<WIDTH$}"), tone),
        (took, Tone::Plain),
    ]]);
    for part in parts {
        indented(out, &part);
    }
}

fn continued(out: Out, text: &str) {
    for part in wrapped(text) {
        indented(out, &part);
    }
}

fn indented(out: Out, text: &str) {
    out.line(&format!("{:16}{text}", ""));
}

/// Cut at blanks into lines that fit; a word that is longer stays whole.
fn wrapped(text: &str) -> Vec<String> {
    render::wrapped(text, WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_blanks() {
        let text = "word ".repeat(40);
        assert!(wrapped(text.trim()).iter().all(|line| line.chars().count() <= WIDTH));
        assert_eq!(wrapped(text.trim()).join(" "), text.trim());
        let long = "x".repeat(90);
        assert_eq!(wrapped(&format!("a {long}")), ["a".to_owned(), long]);
        assert_eq!(wrapped(""), [""]);
    }
}

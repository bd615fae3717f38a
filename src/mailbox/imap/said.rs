//! What a server's words mean, where its status alone does not tell. Pure.

use std::time::Duration;

use crate::mailbox::MailboxError;

/// Octets of a server's text that are kept.
const SAID_MAX: usize = 512;

/// A server's text for people and logs: escaped, and cut to 512 octets.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for character in text.trim().chars() {
        let before = shown.len();
        if matches!(character, '"' | '\'') {
            shown.push(character);
        } else {
            shown.extend(character.escape_debug());
        }
        if shown.len() > SAID_MAX {
            shown.truncate(before);
            break;
        }
    }
    shown
}

/// The error for words that ask for patience (RFC 5530 §3, and what large providers say); it is
/// never the credentials' fault.
pub(super) fn throttled(text: &str) -> Option<MailboxError> {
    const CODES: [&str; 6] =
        ["[unavailable", "[inuse", "[in-use", "[limit", "[throttled", "[overquota"];
    const WORDS: [&str; 5] = [
        "too many",
        "throttled",
        "suggested backoff",
        "maximum number of connections",
        "try again later",
    ];
    let lower = text.to_ascii_lowercase();
    let asks = CODES.iter().chain(&WORDS).any(|words| lower.contains(words));
    asks.then(|| MailboxError::Throttled { said: shown(text), after: backoff(&lower) })
}

/// Exchange: `Request is throttled. Suggested Backoff Time: 299962 milliseconds`.
fn backoff(lower: &str) -> Option<Duration> {
    const DAY_MILLISECONDS: u64 = 86_400_000;
    let (_, after) = lower.split_once("suggested backoff")?;
    let digits = after.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let milliseconds: u64 = digits.get(..end)?.parse().ok()?;
    Some(Duration::from_millis(milliseconds.min(DAY_MILLISECONDS)))
}

/// The error for BYE, at any moment but after LOGOUT.
pub(super) fn bye(text: &str) -> MailboxError {
    throttled(text).unwrap_or_else(|| MailboxError::Refused {
        command: "the connection".to_owned(),
        said: shown(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_cut() {
        assert_eq!(shown("a\u{1b}[31m \"b\"\r\n"), "a\\u{1b}[31m \"b\"");
        assert!(shown(&"é".repeat(2000)).len() <= 512);
    }

    #[test]
    fn i30_words_that_ask_for_patience_are_known() {
        for text in [
            "[UNAVAILABLE] Temporary authentication failure",
            "[LIMIT] too many connections",
            "[THROTTLED] slow down",
            "[ALERT] Too many simultaneous connections. (Failure)",
            "[OVERQUOTA] Account exceeded bandwidth limits",
        ] {
            assert!(throttled(text).is_some(), "{text}");
        }
        assert!(throttled("[AUTHENTICATIONFAILED] Authentication failed.").is_none());
    }

    #[test]
    fn i30_time_of_a_suggested_backoff_is_read() {
        let text = "Request is throttled. Suggested Backoff Time: 299962 milliseconds";
        let Some(MailboxError::Throttled { after, .. }) = throttled(text) else { panic!() };
        assert_eq!(after, Some(Duration::from_millis(299_962)));
    }
}

//! Status lines of a server (RFC 1939 §3) and their response codes (RFC 2449 §8, RFC 3206).
//!
//! Pure: what a refusal means for the caller is decided here, nothing is sent.

use std::time::Duration;

use crate::mailbox::MailboxError;

/// The most of a server's text that goes into an error, in octets.
const SAID_MAX: usize = 512;
/// Words of servers without response codes that ask to try later.
const PATIENCE: [&str; 5] =
    ["busy", "in use", "temporar", "too many connections", "try again later"];

/// A status line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Reply {
    pub(super) status: Status,
    /// The text behind it, printable and short.
    pub(super) said: String,
}

/// How a status line begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Status {
    /// `+`: the server waits for the next step of SASL (RFC 5034 §4).
    Challenge,
    /// `-ERR`.
    Err,
    /// `+OK`.
    Ok,
}

impl Reply {
    /// Reads a line without its CRLF; `None` when it is no status line.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        Self::parse_with(line, printable)
    }

    /// As `parse`, with other rules for what of the text may be shown.
    pub(super) fn parse_with(line: &[u8], shown: impl Fn(&[u8]) -> String) -> Option<Self> {
        let starts = |word: &[u8]| {
            line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        let (status, length) = if starts(b"+OK") {
            (Status::Ok, 3)
        } else if starts(b"-ERR") {
            (Status::Err, 4)
        } else if line == b"+" || starts(b"+ ") {
            (Status::Challenge, 1)
        } else {
            return None;
        };
        Some(Self { status, said: shown(line.get(length..).unwrap_or_default().trim_ascii()) })
    }

    pub(super) fn is_ok(&self) -> bool {
        self.status == Status::Ok
    }

    /// The response code in capitals, without brackets: `IN-USE`, `SYS/TEMP`.
    fn code(&self) -> Option<String> {
        let (code, _) = self.said.strip_prefix('[')?.split_once(']')?;
        Some(code.trim().to_ascii_uppercase())
    }

    /// Whether the refusal will pass by itself.
    fn asks_for_patience(&self) -> bool {
        match self.code().as_deref() {
            Some("IN-USE" | "LIMIT" | "LOGIN-DELAY" | "SYS/TEMP" | "THROTTLED" | "UNAVAILABLE") => {
                true
            }
            Some("AUTH" | "SYS/PERM") => false,
            _ => {
                let said = self.said.to_ascii_lowercase();
                // A maildrop is locked by another session; an account, by wrong passwords.
                let drop = said.contains("maildrop") || said.contains("mailbox");
                (drop && said.contains("lock")) || PATIENCE.iter().any(|words| said.contains(words))
            }
        }
    }
}

/// What a `-ERR` instead of a greeting means.
pub(super) fn refused_greeting(reply: &Reply) -> MailboxError {
    if reply.asks_for_patience() {
        return MailboxError::Throttled { said: reply.said.clone(), after: None };
    }
    MailboxError::Refused { command: "the session".to_owned(), said: reply.said.clone() }
}

/// What a `-ERR` to AUTH, USER or PASS means. `delay` is CAPA's LOGIN-DELAY.
pub(super) fn refused_login(
    reply: &Reply,
    user: &str,
    mechanism: &str,
    delay: Option<Duration>,
) -> MailboxError {
    let said = reply.said.clone();
    if reply.asks_for_patience() {
        let after = delay.filter(|_| reply.code().as_deref() == Some("LOGIN-DELAY"));
        return MailboxError::Throttled { said, after };
    }
    if reply.code().as_deref() == Some("SYS/PERM") {
        return MailboxError::Refused { command: mechanism.to_owned(), said };
    }
    MailboxError::Credentials { user: user.to_owned(), mechanism: mechanism.to_owned(), said }
}

/// A server's text for people: control characters escaped, 512 octets at most.
pub(super) fn printable(text: &[u8]) -> String {
    let short = text.get(..SAID_MAX).unwrap_or(text);
    let mut shown = String::with_capacity(short.len());
    for c in String::from_utf8_lossy(short).chars() {
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let wide = if hidden { c.escape_unicode().to_string() } else { c.to_string() };
        if shown.len().saturating_add(wide.len()) > SAID_MAX {
            break;
        }
        shown.push_str(&wide);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> MailboxError {
        let reply = Reply::parse(line.as_bytes()).unwrap();
        refused_login(&reply, "u", "PASS", Some(Duration::from_mins(5)))
    }

    #[test]
    fn pop17_refusals_of_a_login_are_told_apart() {
        for line in [
            "-ERR [AUTH] invalid",
            "-ERR no",
            "-ERR",
            "-ERR [AUTH] locked",
            "-ERR [X] no",
            "-ERR account locked",
            "-ERR login blocked, wrong password",
        ] {
            assert!(matches!(refused(line), MailboxError::Credentials { .. }), "{line}");
        }
        for line in [
            "-ERR [IN-USE] busy",
            "-ERR [SYS/TEMP] later",
            "-ERR [sys/temp] later",
            "-ERR [THROTTLED] later",
            "-ERR maildrop already locked",
        ] {
            assert!(matches!(refused(line), MailboxError::Throttled { after: None, .. }), "{line}");
        }
        assert!(matches!(
            refused("-ERR [LOGIN-DELAY] wait"),
            MailboxError::Throttled { after: Some(after), .. } if after.as_secs() == 300
        ));
        assert!(matches!(refused("-ERR [SYS/PERM] disabled"), MailboxError::Refused { .. }));
    }

    #[test]
    fn only_status_lines_are_read_as_such() {
        assert_eq!(Reply::parse(b"+OK").map(|r| r.status), Some(Status::Ok));
        assert_eq!(Reply::parse(b"+").map(|r| r.status), Some(Status::Challenge));
        assert_eq!(Reply::parse(b"+ cGw=").map(|r| r.status), Some(Status::Challenge));
        assert_eq!(Reply::parse(b"-err x").map(|r| r.said), Some("x".to_owned()));
        assert_eq!(Reply::parse(b"HTTP/1.1 400 Bad Request"), None);
        assert_eq!(Reply::parse(b""), None);
        assert_eq!(Reply::parse(b"* OK IMAP4rev1"), None);
    }

    #[test]
    fn text_of_a_server_is_escaped_and_cut() {
        assert_eq!(printable(b"a\x1b[2J\xff\0"), "a\\u{1b}[2J\u{fffd}\\u{0}");
        assert!(printable(&[0xff; 9000]).len() <= SAID_MAX);
    }
}

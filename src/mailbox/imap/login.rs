//! Choosing an authentication mechanism, and using it once (RFC 9051 §6.2.2, §6.2.3, RFC 4959).

use zeroize::Zeroizing;

use super::capabilities::Capabilities;
use super::said::throttled;
use super::talk::{Line, Reply, Status, Talk};
use crate::config::{Inbound, SafeLogon};
use crate::mailbox::MailboxError;
use crate::net::NetStream;
use crate::sasl;

/// How the credentials go over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mechanism {
    /// The LOGIN command.
    Login,
    /// AUTHENTICATE PLAIN; with an initial response where the server takes one.
    Plain { initial: bool },
}

impl Mechanism {
    fn as_str(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::Plain { .. } => "PLAIN",
        }
    }
}

/// Authenticates; says the capabilities after it, where the server told them with its OK.
pub(super) async fn authenticate(
    talk: &mut Talk<NetStream>,
    offered: &Capabilities,
    account: &Inbound,
    password: &str,
) -> Result<Option<Capabilities>, MailboxError> {
    let encrypted = talk.stream().is_encrypted();
    let mechanism = choose(offered, account, encrypted, password)?;
    talk.keep_secret(vec![
        sasl::plain(&account.user, password),
        quoted(password),
        Zeroizing::new(password.to_owned()),
    ]);
    let reply = match mechanism {
        Mechanism::Login => {
            let command = Zeroizing::new(format!(
                "LOGIN {} {}",
                quoted(&account.user).as_str(),
                quoted(password).as_str()
            ));
            talk.send_tagged(&command, "LOGIN (hidden)").await?;
            talk.reply().await?
        }
        Mechanism::Plain { initial } => plain(talk, initial, &account.user, password).await?,
    };
    let Reply { status, text, untagged } = reply;
    if status == Status::Ok {
        let untold = || untagged.iter().rev().find_map(|line| Capabilities::of_line(line));
        return Ok(Capabilities::of_code(&text).or_else(untold));
    }
    Err(refusal(status, talk.shown(&text), account, mechanism))
}

/// PLAIN, in one step or in two.
async fn plain(
    talk: &mut Talk<NetStream>,
    initial: bool,
    user: &str,
    password: &str,
) -> Result<Reply, MailboxError> {
    let response = sasl::plain(user, password);
    if initial {
        let command = Zeroizing::new(format!("AUTHENTICATE PLAIN {}", response.as_str()));
        talk.send_tagged(&command, "AUTHENTICATE PLAIN (hidden)").await?;
    } else {
        talk.send_tagged("AUTHENTICATE PLAIN", "AUTHENTICATE PLAIN").await?;
    }
    let mut sent = initial;
    let mut untagged = Vec::new();
    loop {
        match talk.next().await? {
            Line::Untagged(line) => untagged.push(line),
            Line::Tagged(Status::No | Status::Bad, text) if !sent => {
                return Err(throttled(&text).unwrap_or_else(|| MailboxError::NoMechanism {
                    what: format!(
                        "the server refused the mechanism PLAIN: \"{}\"",
                        talk.shown(&text)
                    ),
                }));
            }
            Line::Tagged(status, text) => return Ok(Reply { status, text, untagged }),
            Line::Continue if sent => talk.send_line("*", "*").await?,
            Line::Continue => {
                talk.send_line(&response, "(hidden)").await?;
                sent = true;
            }
        }
    }
}

/// The mechanism that the config and the server both allow.
fn choose(
    offered: &Capabilities,
    account: &Inbound,
    encrypted: bool,
    password: &str,
) -> Result<Mechanism, MailboxError> {
    let none = |what: &str| Err(MailboxError::NoMechanism { what: what.to_owned() });
    if !sasl::is_sendable(&account.user) || !sasl::is_sendable(password) {
        return none("the user name or the password holds a line end or NUL");
    }
    if account.safe_logon == SafeLogon::Strict {
        return none(
            "`safe_logon = \"strict\"` refuses PLAIN and LOGIN, and no other mechanism is known",
        );
    }
    if !encrypted && !account.allow_plaintext {
        return none("the connection is not encrypted, and `allow_plaintext` is off");
    }
    let disabled = offered.has("LOGINDISABLED");
    if !encrypted && disabled {
        return none("the server takes no password without TLS (LOGINDISABLED)");
    }
    let ascii = account.user.is_ascii() && password.is_ascii();
    if offered.has("AUTH=PLAIN") || (!ascii && !disabled) {
        return Ok(Mechanism::Plain { initial: offered.has("SASL-IR") });
    }
    if disabled {
        return none("the server offers neither LOGIN (LOGINDISABLED) nor AUTH=PLAIN");
    }
    Ok(Mechanism::Login)
}

fn refusal(status: Status, said: String, account: &Inbound, mechanism: Mechanism) -> MailboxError {
    if let Some(error) = throttled(&said) {
        return error;
    }
    if status == Status::Bad {
        let command = match mechanism {
            Mechanism::Login => "LOGIN",
            Mechanism::Plain { .. } => "AUTHENTICATE PLAIN",
        };
        return MailboxError::Refused { command: command.to_owned(), said };
    }
    MailboxError::Credentials {
        user: account.user.clone(),
        mechanism: mechanism.as_str().to_owned(),
        said,
    }
}

/// A quoted string (RFC 9051 §9); the text holds no line end.
fn quoted(text: &str) -> Zeroizing<String> {
    let mut quoted = Zeroizing::new(String::with_capacity(text.len().saturating_mul(2)));
    quoted.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::imap::tests::account;

    fn chosen(capabilities: &str, account: &Inbound, encrypted: bool) -> Result<Mechanism, String> {
        let offered = Capabilities::read(capabilities);
        choose(&offered, account, encrypted, "pass").map_err(|error| {
            assert!(matches!(error, MailboxError::NoMechanism { .. }));
            error.to_string()
        })
    }

    #[test]
    fn plain_is_taken_before_login() {
        let account = account();
        assert_eq!(
            chosen("AUTH=PLAIN SASL-IR", &account, true),
            Ok(Mechanism::Plain { initial: true })
        );
        assert_eq!(chosen("AUTH=PLAIN", &account, true), Ok(Mechanism::Plain { initial: false }));
        assert_eq!(chosen("", &account, true), Ok(Mechanism::Login));
    }

    #[test]
    fn password_beyond_ascii_goes_by_plain() {
        let offered = Capabilities::read("IMAP4REV1");
        let mechanism = choose(&offered, &account(), true, "pässword");
        assert!(matches!(mechanism, Ok(Mechanism::Plain { initial: false })));
    }

    #[test]
    fn nothing_goes_in_the_clear_unless_the_config_allows_it() {
        let mut account = account();
        for safe_logon in [SafeLogon::Off, SafeLogon::On] {
            account.safe_logon = safe_logon;
            account.allow_plaintext = false;
            assert!(chosen("AUTH=PLAIN", &account, false).is_err());
            account.allow_plaintext = true;
            assert!(chosen("AUTH=PLAIN", &account, false).is_ok());
        }
    }

    #[test]
    fn logindisabled_is_obeyed() {
        let account = account();
        assert!(chosen("LOGINDISABLED AUTH=PLAIN", &account, false).is_err());
        assert!(chosen("LOGINDISABLED", &account, true).is_err());
        assert!(chosen("LOGINDISABLED AUTH=PLAIN", &account, true).is_ok());
    }

    #[test]
    fn strict_refuses_every_plain_mechanism() {
        let mut account = account();
        account.safe_logon = SafeLogon::Strict;
        assert!(chosen("AUTH=PLAIN SASL-IR", &account, true).is_err());
    }

    #[test]
    fn line_end_in_a_password_is_never_sent() {
        let offered = Capabilities::read("AUTH=PLAIN");
        assert!(choose(&offered, &account(), true, "a\r\nA1 LOGOUT").is_err());
    }
}

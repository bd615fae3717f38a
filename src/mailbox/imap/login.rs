//! Authenticating, once and in one way (RFC 9051 §6.2.2, §6.2.3, RFC 4959).

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::capabilities::Capabilities;
use super::said::throttled;
use super::talk::{Line, Reply, Status, Talk};
use crate::config::Inbound;
use crate::mailbox::{MailboxError, credentials};
use crate::net::{Facts, NetStream, Stage, Witness};
use crate::sasl::{self, Exchange, Login, Mechanism, Proof};

/// Authenticates; says the capabilities after it, where the server told them with its OK.
pub(super) async fn authenticate(
    talk: &mut Talk<NetStream>,
    offered: &Capabilities,
    account: &Inbound,
    proof: Proof<'_>,
    witness: &mut Witness,
) -> Result<Option<Capabilities>, MailboxError> {
    witness.begin(Stage::Login);
    let channel = talk.stream().channel_binding();
    let encrypted = talk.stream().is_encrypted();
    credentials::are_sendable(&account.user, proof)?;
    let policy = credentials::policy(account, proof, encrypted, channel.is_some());
    let choice = sasl::choose(&mechanisms(offered, account, proof, encrypted), &policy)
        .map_err(|none| refused_choice(none, offered, encrypted))?;
    let login = credentials::login(account, proof, choice, channel.as_ref());
    let mechanism = choice.mechanism;
    talk.keep_secret(sasl::forms(&login));
    witness.permit_login().await.map_err(|why| MailboxError::Uncounted { why })?;
    let by_command =
        mechanism == Mechanism::Login && !offered.has("LOGINDISABLED") && is_ascii(account, proof);
    let (reply, said) = if by_command {
        (log_in(talk, &login).await?, None)
    } else {
        exchange(talk, mechanism, &login, offered.has("SASL-IR")).await?
    };
    let Reply { status, text, untagged } = reply;
    if status == Status::Ok {
        witness.found(|| Some(Facts::Login { mechanism: mechanism.name() }));
        let untold = || untagged.iter().rev().find_map(|line| Capabilities::of_line(line));
        return Ok(Capabilities::of_code(&text).or_else(untold));
    }
    let mut shown = talk.shown(&text);
    if let Some(said) = said {
        shown = format!("{shown} {}", talk.shown(&said));
    }
    Err(refusal(shown, account, mechanism))
}

/// The LOGIN command.
async fn log_in(talk: &mut Talk<NetStream>, login: &Login<'_>) -> Result<Reply, MailboxError> {
    let Proof::Password(password) = login.proof else {
        return Err(MailboxError::NoMechanism { what: "LOGIN takes a password".to_owned() });
    };
    let command =
        sasl::joined(&["LOGIN ", quoted(login.user).as_str(), " ", quoted(password).as_str()]);
    talk.send_tagged(&command, "LOGIN (hidden)").await?;
    talk.reply().await
}

/// AUTHENTICATE with its challenges; also what the server said of a refused token.
async fn exchange(
    talk: &mut Talk<NetStream>,
    mechanism: Mechanism,
    login: &Login<'_>,
    initial: bool,
) -> Result<(Reply, Option<String>), MailboxError> {
    let mut exchange = Exchange::new(mechanism, login, &credentials::nonce())
        .map_err(|error| credentials::broken(&error, login.user, mechanism))?;
    let mut answered = begin(talk, &mut exchange, initial).await?;
    let mut untagged = Vec::new();
    let mut failure = None;
    loop {
        let challenge = match talk.next().await? {
            Line::Untagged(line) => {
                untagged.push(line);
                continue;
            }
            Line::Tagged(Status::No | Status::Bad, text) if !answered => {
                return Err(throttled(&text).unwrap_or_else(|| {
                    let said = talk.shown(&text);
                    let what = format!("the server refused the mechanism {mechanism}: \"{said}\"");
                    MailboxError::NoMechanism { what }
                }));
            }
            Line::Tagged(status, text) => {
                if let Some(error) = failure {
                    return Err(credentials::broken(&error, login.user, mechanism));
                }
                let said = exchange.said().map(str::to_owned);
                if status == Status::Ok {
                    let proven = exchange.finish();
                    proven.map_err(|error| credentials::broken(&error, login.user, mechanism))?;
                }
                return Ok((Reply { status, text, untagged }, said));
            }
            Line::Continue(challenge) => challenge,
        };
        if failure.is_some() {
            let what = "it goes on with an authentication that was cancelled".to_owned();
            return Err(MailboxError::Protocol { what });
        }
        match exchange.respond(&challenge).await {
            Ok(response) => {
                talk.hide(response.clone());
                talk.send_line(&response, "(hidden)").await?;
                answered = true;
            }
            // RFC 9051 §6.2.2: "*" cancels; the server answers BAD.
            Err(error) => {
                failure = Some(error);
                talk.send_line("*", "*").await?;
            }
        }
    }
}

/// Sends AUTHENTICATE; whether the client's first message went along.
async fn begin(
    talk: &mut Talk<NetStream>,
    exchange: &mut Exchange,
    initial: bool,
) -> Result<bool, MailboxError> {
    let shown = format!("AUTHENTICATE {}", exchange.mechanism());
    let first = if initial { exchange.take_initial() } else { None };
    match &first {
        // RFC 4959 §3: "=" is an empty response.
        Some(message) if message.is_empty() => {
            talk.send_tagged(&format!("{shown} ="), &shown).await?;
        }
        Some(message) => {
            let coded = Zeroizing::new(BASE64.encode(message));
            let command = sasl::joined(&[&shown, " ", coded.as_str()]);
            talk.hide(coded);
            talk.send_tagged(&command, &format!("{shown} (hidden)")).await?;
        }
        None => talk.send_tagged(&shown, &shown).await?,
    }
    Ok(first.is_some())
}

/// What the server offers for what the account has.
fn mechanisms(
    offered: &Capabilities,
    account: &Inbound,
    proof: Proof<'_>,
    encrypted: bool,
) -> Vec<Mechanism> {
    let disabled = offered.has("LOGINDISABLED");
    if disabled && !encrypted {
        // The server says that it takes no password before TLS, whatever else it lists.
        return offered.mechanisms().filter(|mechanism| !mechanism.shows_password()).collect();
    }
    let mut found: Vec<Mechanism> = offered.mechanisms().collect();
    let ascii = is_ascii(account, proof);
    if !disabled && ascii && !found.contains(&Mechanism::Login) {
        found.push(Mechanism::Login);
    }
    if !disabled && !ascii && !found.contains(&Mechanism::Plain) {
        // The LOGIN command has no coding beyond ASCII; a server that lists nothing may know PLAIN
        // all the same.
        found.push(Mechanism::Plain);
    }
    found
}

/// Whether the LOGIN command can carry user and password.
fn is_ascii(account: &Inbound, proof: Proof<'_>) -> bool {
    match proof {
        Proof::Password(password) => account.user.is_ascii() && password.is_ascii(),
        Proof::Certificate | Proof::Token(_) => true,
    }
}

fn refused_choice(
    none: sasl::NoMechanism,
    offered: &Capabilities,
    encrypted: bool,
) -> MailboxError {
    if offered.has("LOGINDISABLED") && !encrypted {
        let what = "the server takes no password without TLS (LOGINDISABLED)".to_owned();
        return MailboxError::NoMechanism { what };
    }
    MailboxError::NoMechanism { what: none.what }
}

/// What a refusal of credentials that the server has seen means. A code that names them (RFC 5530)
/// is believed before words that ask for patience; BAD counts, too: it would be tried for ever.
fn refusal(said: String, account: &Inbound, mechanism: Mechanism) -> MailboxError {
    const OF_CREDENTIALS: [&str; 3] = ["[AUTHENTICATIONFAILED", "[AUTHORIZATIONFAILED", "[EXPIRED"];
    let upper = said.to_ascii_uppercase();
    let is_named = OF_CREDENTIALS.iter().any(|code| upper.contains(code));
    if let Some(error) = throttled(&said).filter(|_| !is_named) {
        return error;
    }
    MailboxError::Credentials {
        user: account.user.clone(),
        mechanism: mechanism.name().to_owned(),
        said,
    }
}

/// A quoted string (RFC 9051 §9); the text holds no line end.
fn quoted(text: &str) -> Zeroizing<String> {
    let mut quoted =
        Zeroizing::new(String::with_capacity(text.len().saturating_mul(2).saturating_add(2)));
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

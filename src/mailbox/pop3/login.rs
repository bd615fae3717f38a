//! The authorization state (RFC 1939 §4): greeting, CAPA, STLS (RFC 2595), and one login.
//!
//! async-pop speaks here, through the [`Sieve`]; only STLS, which it doesn't know, and the second
//! step of SASL PLAIN (RFC 5034 §4) are our own few lines. One attempt with one mechanism: two
//! failures for one wrong password would lock accounts twice as fast.

use async_pop::request::Request;
use async_pop::response::capability::Capability;
use data_encoding::BASE64;
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use super::capabilities::Capabilities;
use super::channel::Channel;
use super::reply::{Reply, Status, refused_greeting, refused_login};
use super::sieve::Sieve;
use crate::config::{Encryption, Inbound, SafeLogon};
use crate::mailbox::MailboxError;
use crate::net::NetError;

/// The longest command line, its CRLF included (RFC 2449 §4).
const COMMAND_MAX: usize = 255;
/// Lines that a server may list before TLS.
const CAPABILITIES_MAX: usize = 200;

/// Who logs in.
pub(super) struct Login<'a> {
    user: &'a str,
    password: &'a str,
    transcript: bool,
}

/// Command of a login; what [`MailboxError::Credentials`] names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mechanism {
    Plain,
    User,
}

impl<'a> Login<'a> {
    /// Checks what needs no server: that the config lets a password be sent at all, and that it
    /// can't end a command line.
    pub(super) fn permitted(account: &'a Inbound, password: &'a str) -> Result<Self, MailboxError> {
        let refused = |what: &str| Err(MailboxError::NoMechanism { what: what.to_owned() });
        if account.safe_logon == SafeLogon::Strict {
            return refused(
                "`safe_logon = \"strict\"` refuses SASL PLAIN and USER, no other is known",
            );
        }
        if account.encryption == Encryption::None && !account.allow_plaintext {
            return refused("without TLS no password is sent, unless `allow_plaintext = true`");
        }
        let ends_line = |text: &str| text.contains(['\r', '\n', '\0']);
        if ends_line(&account.user) || ends_line(password) {
            return refused("user or password contains CR, LF or NUL, which POP3 can't carry");
        }
        Ok(Self { user: &account.user, password, transcript: account.debug })
    }
}

/// Greeting, CAPA and STLS in the clear; then the stream is ready for the TLS handshake.
pub(super) async fn ask_for_tls<S>(stream: &mut S) -> Result<(), MailboxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut channel = Channel::new(stream);
    let greeting = channel.reply().await?;
    if !greeting.is_ok() {
        return Err(refused_greeting(&greeting));
    }
    channel.send(b"CAPA\r\n").await?;
    let (mut offered, mut count) = (Capabilities::default(), 0_usize);
    if channel.reply().await?.is_ok() {
        let learn = |line: &[u8]| {
            offered.learn(line);
            count = count.saturating_add(1);
            if count > CAPABILITIES_MAX {
                return Err(NetError::TooMuch { what: "an endless CAPA".to_owned() }.into());
            }
            Ok(())
        };
        channel.lines(learn).await?;
    }
    if !offered.stls {
        return Err(no_tls("starttls-missing", "the server doesn't offer STLS".to_owned()));
    }
    channel.send(b"STLS\r\n").await?;
    let reply = channel.reply().await?;
    if !reply.is_ok() {
        return Err(no_tls("starttls-refused", format!("STLS is refused: \"{}\"", reply.said)));
    }
    if channel.has_leftover() {
        let what = "octets in the clear came behind the reply to STLS: somebody injects commands";
        return Err(no_tls("tls-inject", what.to_owned()));
    }
    Ok(())
}

/// Logs in; what the server is capable of. With `greeted` the greeting has been read.
pub(super) async fn log_in<S>(
    stream: &mut S,
    login: &Login<'_>,
    greeted: bool,
) -> Result<Capabilities, MailboxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut sieve = Sieve::new(stream, login.transcript);
    sieve.keep_secret(secrets(login));
    if greeted {
        sieve.greet();
    }
    let spoken = speak(&mut sieve, login).await?;
    let mut reply = sieve.reply()?;
    if spoken == "PLAIN" && reply.status == Status::Challenge {
        reply = sieve.answer(&initial_response(login)).await?;
    }
    let capabilities = sieve.finish()?;
    match reply {
        Reply { status: Status::Ok, .. } if spoken == "greeting" => {
            Err(MailboxError::Protocol { what: "the greeting can't be read".to_owned() })
        }
        Reply { status: Status::Ok, .. } => Ok(capabilities),
        refusal if spoken == "greeting" => Err(refused_greeting(&refusal)),
        refusal => Err(refused_login(&refusal, login.user, spoken, capabilities.login_delay)),
    }
}

/// Lets async-pop speak. Says what the sieve's last reply is the reply to: async-pop's own error
/// texts don't tell a refusal from a broken line.
async fn speak<S>(sieve: &mut Sieve<'_, S>, login: &Login<'_>) -> Result<&'static str, MailboxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Ok(mut client) = async_pop::new(sieve).await else { return Ok("greeting") };
    match choose(client.capabilities())? {
        Mechanism::Plain => {
            let response = initial_response(login);
            let mut arguments = vec!["PLAIN"];
            let whole = "AUTH PLAIN \r\n".len().saturating_add(response.len()) <= COMMAND_MAX;
            arguments.extend(std::str::from_utf8(&response).ok().filter(|_| whole));
            // Whether it went well stands in the sieve.
            drop(client.send_request(request("AUTH", &arguments)?).await);
            Ok("PLAIN")
        }
        Mechanism::User => {
            if client.send_request(request("USER", &[login.user])?).await.is_err() {
                return Ok("USER");
            }
            drop(client.send_request(request("PASS", &[login.password])?).await);
            Ok("PASS")
        }
    }
}

/// SASL PLAIN where it is offered: its coding is UTF-8 by definition, while USER and PASS send the
/// same octets to a server that may take them for something else.
fn choose(offered: &[Capability]) -> Result<Mechanism, MailboxError> {
    let mut sasl = offered.iter().filter_map(|capability| match capability {
        Capability::Sasl(mechanisms) => Some(mechanisms),
        _ => None,
    });
    match sasl.next() {
        Some(mechanisms) if mechanisms.iter().any(|m| m.eq_ignore_ascii_case(b"PLAIN")) => {
            Ok(Mechanism::Plain)
        }
        Some(_) if !offered.contains(&Capability::User) => Err(MailboxError::NoMechanism {
            what: "the server offers neither SASL PLAIN nor USER".to_owned(),
        }),
        // A server without CAPA, or with one that leaves USER out, mostly knows USER.
        _ => Ok(Mechanism::User),
    }
}

/// RFC 4616: authorization identity (empty), NUL, user, NUL, password.
fn initial_response(login: &Login<'_>) -> Zeroizing<Vec<u8>> {
    let plain = Zeroizing::new(format!("\0{}\0{}", login.user, login.password));
    Zeroizing::new(BASE64.encode(plain.as_bytes()).into_bytes())
}

/// The forms in which a server could repeat the password, the longest first.
fn secrets(login: &Login<'_>) -> Vec<Zeroizing<Vec<u8>>> {
    let password = login.password.as_bytes();
    let mut plain = initial_response(login);
    let mut base64 = Zeroizing::new(BASE64.encode(password).into_bytes());
    for coded in [&mut plain, &mut base64] {
        let end = coded.iter().rposition(|octet| *octet != b'=');
        coded.truncate(end.map_or(0, |end| end.saturating_add(1)));
    }
    vec![plain, base64, Zeroizing::new(password.to_vec())]
}

fn request(command: &str, arguments: &[&str]) -> Result<Request, MailboxError> {
    let mut request: Request = command.parse().map_err(|error: async_pop::error::Error| {
        MailboxError::Unsupported { what: error.to_string() }
    })?;
    for argument in arguments {
        request.add_arg(argument);
    }
    Ok(request)
}

fn no_tls(code: &'static str, what: String) -> MailboxError {
    NetError::StartTls { code, what }.into()
}

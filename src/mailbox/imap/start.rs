//! From a connected wire to an authenticated session: greeting, TLS, capabilities, login.

use tokio::time::Instant;

use super::ImapSession;
use super::capabilities::Capabilities;
use super::login;
use super::said::{bye, shown};
use super::talk::{Reply, Status, Talk};
use crate::config::{Encryption, Inbound};
use crate::mailbox::MailboxError;
use crate::net::{Endpoint, Facts, NetError, NetStream, Stage, Wire, Witness};
use crate::sasl::Proof;

/// Connects and logs in. One attempt with one mechanism: accounts get locked by more.
///
/// With `starttls` nothing secret is sent, and nothing that the server said is believed, before
/// the handshake.
pub async fn connect(
    account: &Inbound,
    proof: Proof<'_>,
    deadline: Instant,
    witness: &mut Witness,
) -> Result<ImapSession, MailboxError> {
    let endpoint = Endpoint::of(account);
    let wire = crate::net::connect(&endpoint, deadline, witness).await?;
    log_in(wire, account, proof, witness).await
}

/// The same over a wire that is connected already.
pub(super) async fn log_in(
    mut wire: Wire,
    account: &Inbound,
    proof: Proof<'_>,
    witness: &mut Witness,
) -> Result<ImapSession, MailboxError> {
    let endpoint = Endpoint::of(account);
    let (mut talk, offered) = match account.encryption {
        Encryption::None => greeted(wire.plain(), account, witness).await?,
        Encryption::Tls => {
            greeted(secured(wire, &endpoint, witness).await?, account, witness).await?
        }
        Encryption::StartTls => {
            wire.set_stage("greeting");
            wire = negotiate_tls(wire, account, witness).await?;
            (Talk::new(secured(wire, &endpoint, witness).await?, account.debug), None)
        }
    };
    talk.stream().set_stage("reply");
    witness.begin(Stage::Capabilities);
    let offered = match offered {
        Some(offered) => offered,
        None => ask_capabilities(&mut talk).await?,
    };
    witness
        .found(|| Some(Facts::Capabilities { capabilities: offered.names().map(shown).collect() }));
    let after = login::authenticate(&mut talk, &offered, account, proof, witness).await?;
    let capabilities = match after {
        Some(capabilities) => capabilities,
        None => ask_capabilities(&mut talk).await?,
    };
    let (stream, unread) = talk.into_parts();
    Ok(ImapSession::new(stream, &unread, capabilities, account))
}

/// The handshake.
async fn secured(
    wire: Wire,
    endpoint: &Endpoint,
    witness: &mut Witness,
) -> Result<NetStream, MailboxError> {
    witness.begin(Stage::Tls);
    let stream = wire.start_tls(endpoint).await?;
    witness.found(|| stream.tls_facts().map(Facts::Tls));
    Ok(stream)
}

/// The server's first words for people, without the list of capabilities in front of them.
fn first_words(text: &str) -> Facts {
    let words = match text.split_once(']') {
        Some((code, words)) if code.trim_start().starts_with('[') => words,
        _ => text,
    };
    Facts::Greeting { said: shown(words) }
}

/// Reads the greeting of a stream that stays as it is; its capabilities may be believed.
async fn greeted(
    mut stream: NetStream,
    account: &Inbound,
    witness: &mut Witness,
) -> Result<(Talk<NetStream>, Option<Capabilities>), MailboxError> {
    stream.set_stage("greeting");
    witness.begin(Stage::Greeting);
    let mut talk = Talk::new(stream, account.debug);
    let (status, text) = talk.greeting().await?;
    match status {
        Status::Ok => {
            witness.found(|| Some(first_words(&text)));
            Ok((talk, Capabilities::of_code(&text)))
        }
        Status::Preauth => Err(MailboxError::Unsupported {
            what: format!(
                "the server greets with PREAUTH (\"{}\"): it has logged somebody in without \
                 credentials, and that may be anybody",
                shown(&text)
            ),
        }),
        Status::Bye => Err(bye(&text)),
        Status::Bad | Status::No => Err(MailboxError::Protocol {
            what: format!("its greeting says neither OK nor BYE: \"{}\"", shown(&text)),
        }),
    }
}

/// STARTTLS (RFC 9051 §6.2.1) up to its OK. Everything else ends the session.
async fn negotiate_tls(
    wire: Wire,
    account: &Inbound,
    witness: &mut Witness,
) -> Result<Wire, MailboxError> {
    let mut talk = Talk::new(wire, account.debug);
    witness.begin(Stage::Greeting);
    let (status, text) = talk.greeting().await?;
    match status {
        Status::Ok => witness.found(|| Some(first_words(&text))),
        Status::Bye => return Err(bye(&text)),
        Status::Preauth => {
            let what = "the server greets with PREAUTH, where no STARTTLS is possible any more \
                        (RFC 9051 §7.1.4); somebody on the way may have done that";
            return Err(refused("starttls-preauth", what.to_owned()));
        }
        Status::Bad | Status::No => {
            let what = format!("its greeting says neither OK nor BYE: \"{}\"", shown(&text));
            return Err(MailboxError::Protocol { what });
        }
    }
    witness.begin(Stage::Tls);
    talk.stream().set_stage("reply");
    let offered = match Capabilities::of_code(&text) {
        Some(offered) => offered,
        None => ask_capabilities(&mut talk).await?,
    };
    if !offered.has("STARTTLS") {
        let what = "the server offers no STARTTLS; somebody on the way may have removed it";
        return Err(refused("starttls-missing", what.to_owned()));
    }
    let reply = talk.command("STARTTLS").await?;
    if reply.status != Status::Ok {
        let what = format!("the server refused STARTTLS: \"{}\"", shown(&reply.text));
        return Err(refused("starttls-refused", what));
    }
    let (wire, unread) = talk.into_parts();
    if !unread.is_empty() {
        let what = format!(
            "{} octets in the clear stood behind the server's OK to STARTTLS: somebody on the \
             way may have put them there",
            unread.len()
        );
        return Err(refused("tls-inject", what));
    }
    Ok(wire)
}

fn refused(code: &'static str, what: String) -> MailboxError {
    NetError::StartTls { code, what }.into()
}

/// A server without CAPABILITY offers nothing, and may work all the same.
async fn ask_capabilities<S>(talk: &mut Talk<S>) -> Result<Capabilities, MailboxError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let Reply { text, untagged, .. } = talk.command("CAPABILITY").await?;
    let found = untagged.iter().rev().find_map(|line| Capabilities::of_line(line));
    Ok(found.or_else(|| Capabilities::of_code(&text)).unwrap_or_default())
}

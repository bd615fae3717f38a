//! A session with a submission server, from the greeting to the login.
//!
//! Nothing but EHLO and STARTTLS goes over an unencrypted line where TLS is wanted, and nothing that
//! the server has said before the handshake counts behind it (RFC 3207 §4.2).

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::channel::Channel;
use super::error::{Refused, SubmitError};
use super::login;
use super::reply::Reply;
use super::transcript::Transcript;
use crate::config::{Encryption, Outbound};
use crate::net::{self, Endpoint, Facts, NetError, NetStream, Stage, Wire, Witness, within};
use crate::sasl::{self, Mechanism, Proof};

/// The longest that one submission may take, whatever the server does.
const WHOLE: Duration = Duration::from_mins(15);

/// What EHLO has told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the server")]
pub(super) struct Offers {
    /// `None`: no AUTH at all.
    pub(super) mechanisms: Option<Vec<Mechanism>>,
    pub(super) starttls: bool,
    pub(super) eight_bit: bool,
    pub(super) smtputf8: bool,
    pub(super) size: bool,
    /// The most octets of a message; none is said, or there is none.
    pub(super) size_max: Option<u64>,
    /// All, as the server has them.
    pub(super) words: Vec<String>,
}

impl Offers {
    pub(super) fn of(reply: &Reply) -> Self {
        let mut offers = Self::default();
        // The first line is the server's name.
        for line in reply.lines.iter().skip(1) {
            offers.learn(line);
            offers.words.push(line.clone());
        }
        offers
    }

    fn learn(&mut self, line: &str) {
        let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
        match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
            // Also "AUTH=LOGIN PLAIN", from before there was an RFC.
            "AUTH" => {
                let known = self.mechanisms.get_or_insert_default();
                known.extend(words.filter_map(Mechanism::of_name));
            }
            "STARTTLS" => self.starttls = true,
            "8BITMIME" => self.eight_bit = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "SIZE" => {
                self.size = true;
                let most = words.next().and_then(|word| word.parse().ok());
                self.size_max = most.filter(|most| *most > 0);
            }
            _ => {}
        }
    }
}

/// An open session, logged in where the account has a login.
pub(super) struct Session<'a> {
    pub(super) channel: Channel<'a, NetStream>,
    pub(super) offers: Offers,
}

impl<'a> Session<'a> {
    /// Connects and logs in, once and with one mechanism.
    pub(super) async fn open(
        account: &Outbound,
        proof: Option<Proof<'_>>,
        witness: &mut Witness,
        transcript: &'a mut Transcript,
    ) -> Result<Self, SubmitError> {
        login::is_sendable(account, proof)?;
        let now = Instant::now();
        let deadline = now.checked_add(WHOLE).unwrap_or(now);
        let endpoint = Endpoint::of_outbound(account);
        let wire = net::connect(&endpoint, deadline, witness).await?;
        Self::over(wire, account, proof, witness, transcript).await
    }

    /// The same over a wire that is connected already.
    pub(super) async fn over(
        wire: Wire,
        account: &Outbound,
        proof: Option<Proof<'_>>,
        witness: &mut Witness,
        transcript: &'a mut Transcript,
    ) -> Result<Self, SubmitError> {
        let limit = account.send_timeout;
        let secrets =
            proof.map(|proof| sasl::forms(&login::of(account, proof))).unwrap_or_default();
        let mut channel = match account.encryption {
            Encryption::None => Channel::new(wire.plain(), account, &secrets, transcript),
            Encryption::Tls => {
                let stream = secured(wire, account, witness, transcript).await?;
                Channel::new(stream, account, &secrets, transcript)
            }
            Encryption::StartTls => {
                let mut channel = Channel::new(wire, account, &secrets, &mut *transcript);
                greet(&mut channel, limit, witness).await?;
                ask_for_tls(&mut channel, witness).await?;
                let wire = channel.into_stream();
                let stream = secured(wire, account, witness, transcript).await?;
                Channel::new(stream, account, &secrets, transcript)
            }
        };
        if account.encryption != Encryption::StartTls {
            greet(&mut channel, limit, witness).await?;
        }
        witness.begin(Stage::Capabilities);
        let offers = hello(&mut channel).await?;
        witness.found(|| Some(Facts::Capabilities { capabilities: offers.words.clone() }));
        if let Some(proof) = proof {
            witness.begin(Stage::Login);
            let encrypted = channel.stream().is_encrypted();
            let binding = channel.stream().channel_binding();
            let offered = offers.mechanisms.as_deref();
            let choice = login::choose(account, proof, offered, binding.as_ref(), encrypted)?;
            witness.permit_login().await.map_err(|why| SubmitError::Uncounted { why })?;
            login::authenticate(&mut channel, account, proof, choice, binding.as_ref()).await?;
            witness.logged_in().await;
            witness.found(|| Some(Facts::Login { mechanism: choice.mechanism.name() }));
        }
        Ok(Self { channel, offers })
    }

    /// Says goodbye; whatever comes of it, what was done is done.
    pub(super) async fn quit(mut self) {
        const FAREWELL: Duration = Duration::from_secs(5);
        within(FAREWELL, self.channel.say("QUIT")).await;
    }
}

/// The server's first words.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    channel: &mut Channel<'_, S>,
    limit: Duration,
    witness: &mut Witness,
) -> Result<(), SubmitError> {
    witness.begin(Stage::Greeting);
    let greeting = channel.reply(limit).await?;
    if greeting.code != 220 {
        return Err(SubmitError::Refused { step: Refused::Connection, reply: greeting });
    }
    witness.found(|| Some(Facts::Greeting { said: greeting.lines.join(" ") }));
    Ok(())
}

async fn hello<S: AsyncRead + AsyncWrite + Unpin>(
    channel: &mut Channel<'_, S>,
) -> Result<Offers, SubmitError> {
    let reply = channel.say(&format!("EHLO {}", own_name())).await?;
    if !reply.is_done() {
        return Err(SubmitError::Refused { step: Refused::Hello, reply });
    }
    Ok(Offers::of(&reply))
}

/// EHLO and STARTTLS; then the wire is ready for the handshake.
async fn ask_for_tls(
    channel: &mut Channel<'_, Wire>,
    witness: &mut Witness,
) -> Result<(), SubmitError> {
    witness.begin(Stage::Tls);
    if !hello(channel).await?.starttls {
        return Err(no_tls("starttls-missing", "the server doesn't offer STARTTLS".to_owned()));
    }
    let reply = channel.say("STARTTLS").await?;
    if reply.code != 220 {
        let what = format!("STARTTLS is refused: \"{}\"", reply.said());
        return Err(no_tls("starttls-refused", what));
    }
    if channel.has_leftover() {
        let what =
            "octets in the clear came behind the reply to STARTTLS: somebody injects replies";
        return Err(no_tls("tls-inject", what.to_owned()));
    }
    Ok(())
}

fn no_tls(code: &'static str, what: String) -> SubmitError {
    NetError::StartTls { code, what }.into()
}

/// The handshake, all of it within `send_timeout`.
async fn secured(
    wire: Wire,
    account: &Outbound,
    witness: &mut Witness,
    transcript: &mut Transcript,
) -> Result<NetStream, SubmitError> {
    witness.begin(Stage::Tls);
    let endpoint = Endpoint::of_outbound(account);
    let limit = account.send_timeout;
    let stream = within(limit, wire.start_tls(&endpoint))
        .await
        .unwrap_or(Err(NetError::Silent { stage: "TLS handshake", limit }))?;
    if let Some(facts) = stream.tls_facts() {
        let text = format!("TLS begins: {}, {}", facts.version, facts.cipher);
        transcript.add(super::Speaker::Note, text);
        witness.found(|| Some(Facts::Tls(facts)));
    }
    Ok(stream)
}

/// What EHLO calls us (RFC 5321 §4.1.4): this machine's name, or an address literal where it has
/// none that a server would take.
fn own_name() -> String {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy().into_owned();
    let label = |label: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty() && label.len() < 64 && label.bytes().all(good)
    };
    if name.len() < 254 && name.split('.').all(label) { name } else { "[127.0.0.1]".to_owned() }
}

//! The authorization state (RFC 1939 §4): greeting, CAPA, STLS (RFC 2595), and one login.
//!
//! async-pop begins the session, through the [`Sieve`]: greeting and CAPA. STLS, which it doesn't
//! know, and the login, in which it tries two mechanisms, are our own few lines. One attempt with
//! one mechanism: two failures for one wrong password would lock accounts twice as fast.

use data_encoding::BASE64;
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use super::capabilities::Capabilities;
use super::channel::Channel;
use super::reply::{Reply, Status, printable, refused_greeting, refused_login};
use super::sieve::Sieve;
use crate::config::{Encryption, Inbound};
use crate::mailbox::{MailboxError, credentials};
use crate::net::{Facts, NetError, Stage, Witness};
use crate::sasl::{self, Choice, Exchange, Mechanism, Proof, SaslError};

/// The longest command line, its CRLF included (RFC 2449 §4).
const COMMAND_MAX: usize = 255;
/// Lines that a server may list before TLS.
const CAPABILITIES_MAX: usize = 200;
/// Challenges of one exchange; SCRAM has two.
const CHALLENGES_MAX: usize = 5;

/// Who logs in, and under which rules.
pub(super) struct Login<'a> {
    account: &'a Inbound,
    proof: Proof<'a>,
    channel: Option<[u8; 32]>,
}

impl<'a> Login<'a> {
    /// Checks what needs no server: that nothing that is sent can end a command line.
    pub(super) fn permitted(account: &'a Inbound, proof: Proof<'a>) -> Result<Self, MailboxError> {
        credentials::are_sendable(&account.user, proof)?;
        Ok(Self { account, proof, channel: None })
    }

    /// With what the connection gives an exchange to bind to.
    pub(super) fn bound_to(self, channel: Option<[u8; 32]>) -> Self {
        Self { channel, ..self }
    }

    fn encrypted(&self) -> bool {
        self.account.encryption != Encryption::None
    }
}

/// Greeting, CAPA and STLS in the clear; then the stream is ready for the TLS handshake.
pub(super) async fn ask_for_tls<S>(
    stream: &mut S,
    witness: &mut Witness,
) -> Result<(), MailboxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut channel = Channel::new(stream);
    witness.begin(Stage::Greeting);
    let greeting = channel.reply().await?;
    if !greeting.is_ok() {
        return Err(refused_greeting(&greeting));
    }
    witness.found(|| Some(Facts::Greeting { said: greeting.said.clone() }));
    witness.begin(Stage::Tls);
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
    witness: &mut Witness,
) -> Result<Capabilities, MailboxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut sieve = Sieve::new(stream, login.account.debug);
    if greeted {
        sieve.greet();
    }
    let spoken = speak(&mut sieve, login, witness).await?;
    let reply = sieve.reply()?;
    let capabilities = sieve.finish()?;
    let Spoken { what, said } = spoken;
    match reply {
        Reply { status: Status::Ok, .. } if what == GREETING => {
            Err(MailboxError::Protocol { what: "the greeting can't be read".to_owned() })
        }
        Reply { status: Status::Ok, .. } => {
            witness.found(|| Some(Facts::Login { mechanism: what }));
            Ok(capabilities)
        }
        refusal if what == GREETING => Err(refused_greeting(&refusal)),
        mut refusal => {
            if let Some(said) = said {
                refusal.said = format!("{} {}", refusal.said, printable(said.as_bytes()));
            }
            let user = &login.account.user;
            Err(refused_login(&refusal, user, what, capabilities.login_delay))
        }
    }
}

const GREETING: &str = "greeting";

/// What the last reply is the reply to: async-pop's own error texts don't tell a refusal from a
/// broken line.
struct Spoken {
    what: &'static str,
    /// What the server said of a refused token.
    said: Option<String>,
}

impl Spoken {
    fn of(what: &'static str) -> Self {
        Self { what, said: None }
    }
}

/// Greeting, CAPA and one login, by async-pop where it knows how.
async fn speak<S>(
    sieve: &mut Sieve<'_, S>,
    login: &Login<'_>,
    witness: &mut Witness,
) -> Result<Spoken, MailboxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let user = login.account.user.as_str();
    // After STLS nothing is told here: `greet` made up that greeting.
    witness.begin(Stage::Greeting);
    if async_pop::new(&mut *sieve).await.is_err() {
        return Ok(Spoken::of(GREETING));
    }
    // async-pop asks for the capabilities along with the greeting.
    witness.found(|| Some(Facts::Greeting { said: first_words(sieve.greeting()?) }));
    witness.begin(Stage::Capabilities);
    witness.found(|| Some(Facts::Capabilities { capabilities: sieve.capabilities().names() }));
    witness.begin(Stage::Login);
    let choice = choose(mechanisms(sieve.capabilities()), sieve.greeting(), login)?;
    let with = credentials::login(login.account, login.proof, choice, login.channel.as_ref());
    sieve.keep_secret(secrets(&with));
    witness.permit_login().await.map_err(|why| MailboxError::Uncounted { why })?;
    match (choice.mechanism, login.proof) {
        (Mechanism::User, Proof::Password(password)) => {
            sieve.say(&command("USER", &[user])).await?;
            if sieve.reply()?.is_ok() {
                sieve.say(&command("PASS", &[password])).await?;
                return Ok(Spoken::of("USER"));
            }
            Ok(Spoken::of("USER"))
        }
        (Mechanism::Apop, Proof::Password(password)) => {
            let digest = sieve.greeting().and_then(|greeting| sasl::apop(greeting, password));
            let digest = Zeroizing::new(digest.unwrap_or_default());
            sieve.say(&command("APOP", &[user, &digest])).await?;
            Ok(Spoken::of("APOP"))
        }
        (mechanism, _) => exchange(sieve, mechanism, &with).await,
    }
}

/// AUTH with its challenges (RFC 5034 §4).
async fn exchange<S>(
    sieve: &mut Sieve<'_, S>,
    mechanism: Mechanism,
    login: &sasl::Login<'_>,
) -> Result<Spoken, MailboxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let broken = |error: SaslError| credentials::broken(&error, login.user, mechanism);
    let mut exchange = Exchange::new(mechanism, login, &credentials::nonce()).map_err(broken)?;
    let mut line = Zeroizing::new(Vec::with_capacity(COMMAND_MAX));
    line.extend_from_slice(format!("AUTH {mechanism}").as_bytes());
    // In one line where that is known to go well: Microsoft's server takes XOAUTH2 in two only.
    if mechanism == Mechanism::Plain
        && let Some(first) = Exchange::new(mechanism, login, "").map_err(broken)?.take_initial()
    {
        let coded = Zeroizing::new(BASE64.encode(&first));
        if line.len().saturating_add(coded.len()).saturating_add(3) <= COMMAND_MAX {
            line.push(b' ');
            line.extend_from_slice(coded.as_bytes());
        }
    }
    let mut reply = sieve.say(&line).await?;
    let mut asked = 0_usize;
    while reply.status == Status::Challenge {
        asked = asked.saturating_add(1);
        if asked > CHALLENGES_MAX {
            return Err(MailboxError::Protocol { what: format!("{mechanism} has no end") });
        }
        let challenge = String::from_utf8_lossy(sieve.challenge()).into_owned();
        match exchange.respond(&challenge).await {
            Ok(response) => {
                sieve.hide(response.as_bytes());
                reply = sieve.say(response.as_bytes()).await?;
            }
            Err(error) => {
                // RFC 5034 §4: "*" cancels; what the server says to it changes nothing.
                drop(sieve.say(b"*").await);
                return Err(broken(error));
            }
        }
    }
    let said = exchange.said().map(str::to_owned);
    if reply.is_ok() {
        exchange.finish().map_err(broken)?;
    }
    Ok(Spoken { what: mechanism.name(), said })
}

/// What CAPA offers, of what is known. A server without CAPA, or with one that lists neither SASL
/// nor USER, mostly knows USER.
fn mechanisms(offered: &Capabilities) -> Vec<Mechanism> {
    let names = offered.mechanisms.iter().flatten();
    let mut found: Vec<_> = names.filter_map(|name| Mechanism::of_name(name)).collect();
    if offered.user || offered.mechanisms.is_none() {
        found.push(Mechanism::User);
    }
    found
}

fn choose(
    mut offered: Vec<Mechanism>,
    greeting: Option<&str>,
    login: &Login<'_>,
) -> Result<Choice, MailboxError> {
    if greeting.is_some_and(|greeting| sasl::apop(greeting, "").is_some()) {
        offered.push(Mechanism::Apop);
    }
    let policy =
        credentials::policy(login.account, login.proof, login.encrypted(), login.channel.is_some());
    sasl::choose(&offered, &policy).map_err(|none| MailboxError::NoMechanism { what: none.what })
}

/// The greeting's words, without its status.
fn first_words(greeting: &str) -> String {
    let words = greeting.get("+OK".len()..).unwrap_or_default();
    printable(words.trim().as_bytes())
}

fn secrets(login: &sasl::Login<'_>) -> Vec<Zeroizing<Vec<u8>>> {
    let forms = sasl::forms(login);
    forms.into_iter().map(|form| Zeroizing::new(form.as_bytes().to_vec())).collect()
}

fn command(verb: &str, arguments: &[&str]) -> Zeroizing<Vec<u8>> {
    let words = arguments.iter().map(|argument| argument.len().saturating_add(1));
    let length = words.fold(verb.len(), usize::saturating_add);
    let mut line = Zeroizing::new(Vec::with_capacity(length));
    line.extend_from_slice(verb.as_bytes());
    for argument in arguments {
        line.push(b' ');
        line.extend_from_slice(argument.as_bytes());
    }
    line
}

fn no_tls(code: &'static str, what: String) -> MailboxError {
    NetError::StartTls { code, what }.into()
}

//! One exchange of challenges and responses, whatever its mechanism.

use std::time::Duration;

use data_encoding::BASE64;
use tokio::task::JoinHandle;

use super::digest::cram_md5;
use super::scram::{Hash, Scram};
use super::{Login, Mechanism, Message, Proof, message};
use zeroize::Zeroizing;

/// The longest error that a server's challenge may carry into a log.
const SAID_MAX: usize = 512;

/// Why an exchange ends before the server has decided.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SaslError {
    /// The server's challenge makes no sense in this mechanism.
    #[error("the server's challenge {0}")]
    Challenge(String),
    /// The server says that it knows the password, and doesn't.
    #[error(
        "the server could not prove that it knows the password: it is not the one it claims to be"
    )]
    FalseServer,
    /// The mechanism needs something else than the login has.
    #[error("{0} can't be used with what the account has")]
    Proof(Mechanism),
    /// The server refuses within the exchange (RFC 5802 §7).
    #[error("the server refuses: {0}")]
    Refused(String),
}

/// A running exchange.
pub struct Exchange {
    mechanism: Mechanism,
    state: State,
    /// What the server said of a refused token (RFC 7628 §3.2.2).
    said: Option<String>,
}

enum State {
    /// The client speaks first, by this.
    First {
        message: Message,
        then: Then,
    },
    Challenged(Then),
}

/// What the next challenge is answered by.
enum Then {
    /// Nothing: the server has all it gets.
    Nothing,
    CramMd5 {
        user: String,
        password: Zeroizing<String>,
    },
    LoginUser {
        user: String,
        password: Zeroizing<String>,
    },
    LoginPassword {
        password: Zeroizing<String>,
    },
    Scram(Box<Scram>),
    /// A challenge is the server's refusal of the token; this makes it say so by its own reply.
    Token(&'static [u8]),
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Exchange({})", self.mechanism)
    }
}

impl Exchange {
    /// Begins an exchange; `nonce` is fresh chance in printable ASCII without a comma.
    pub fn new(mechanism: Mechanism, login: &Login<'_>, nonce: &str) -> Result<Self, SaslError> {
        let state = match (mechanism, login.proof) {
            (Mechanism::OAuthBearer, Proof::Token(token)) => {
                let head = format!(
                    "n,a={},\x01host={}\x01port={}\x01auth=Bearer ",
                    login.user.replace('=', "=3D").replace(',', "=2C"),
                    login.host,
                    login.port
                );
                token_first(message(&[&head, token, "\x01\x01"]), b"\x01")
            }
            (Mechanism::XOAuth2, Proof::Token(token)) => {
                let parts = ["user=", login.user, "\x01auth=Bearer ", token, "\x01\x01"];
                token_first(message(&parts), b"")
            }
            (Mechanism::External, Proof::Certificate) => State::First {
                message: Message::new(login.user.as_bytes().to_vec()),
                then: Then::Nothing,
            },
            (Mechanism::Plain, Proof::Password(password)) => State::First {
                message: message(&["\0", login.user, "\0", password]),
                then: Then::Nothing,
            },
            (Mechanism::Login, Proof::Password(password)) => State::Challenged(Then::LoginUser {
                user: login.user.to_owned(),
                password: Zeroizing::new(password.to_owned()),
            }),
            (Mechanism::CramMd5, Proof::Password(password)) => State::Challenged(Then::CramMd5 {
                user: login.user.to_owned(),
                password: Zeroizing::new(password.to_owned()),
            }),
            (mechanism, Proof::Password(password)) => {
                let hash = match mechanism {
                    Mechanism::ScramSha256Plus | Mechanism::ScramSha256 => Hash::Sha256,
                    Mechanism::ScramSha1Plus | Mechanism::ScramSha1 => Hash::Sha1,
                    _ => return Err(SaslError::Proof(mechanism)),
                };
                let scram = Scram::new(hash, login.user, password, login.binding, nonce);
                State::First { message: scram.client_first(), then: Then::Scram(Box::new(scram)) }
            }
            _ => return Err(SaslError::Proof(mechanism)),
        };
        Ok(Self { mechanism, state, said: None })
    }

    /// One that is over, to stand where another one is away for a while.
    fn over(mechanism: Mechanism) -> Self {
        Self { mechanism, state: State::Challenged(Then::Nothing), said: None }
    }

    /// Whether an answer may take tenths of a second to compute.
    fn is_slow(&self) -> bool {
        matches!(
            self.state,
            State::First { then: Then::Scram(_), .. } | State::Challenged(Then::Scram(_))
        )
    }

    /// Its mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// What may go along with the command (RFC 4959); `None`: the server speaks first.
    ///
    /// Once taken, it is not the answer to the first challenge any more.
    pub fn take_initial(&mut self) -> Option<Message> {
        match std::mem::replace(&mut self.state, State::Challenged(Then::Nothing)) {
            State::First { message, then } => {
                self.state = State::Challenged(then);
                Some(message)
            }
            challenged @ State::Challenged(_) => {
                self.state = challenged;
                None
            }
        }
    }

    /// The same in base64 where that has at most `room` octets, `=` for an empty message (RFC 4954
    /// §4); a longer one waits for the first challenge.
    pub fn initial_within(&mut self, room: usize) -> Option<Zeroizing<String>> {
        let State::First { message, .. } = &self.state else { return None };
        if message.is_empty() {
            self.take_initial();
            return Some(Zeroizing::new("=".to_owned()));
        }
        if BASE64.encode_len(message.len()) > room {
            return None;
        }
        self.take_initial().map(|message| Zeroizing::new(BASE64.encode(&message)))
    }

    /// The answer to a challenge, decoded from base64.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Message, SaslError> {
        if let Some(first) = self.take_initial() {
            // RFC 4422 §3: where the client speaks first, the first challenge is empty.
            return Ok(first);
        }
        let State::Challenged(then) = &mut self.state else { return Ok(Message::default()) };
        match then {
            Then::Nothing => Err(SaslError::Challenge("comes after the last one".to_owned())),
            Then::CramMd5 { user, password } => {
                let answer = cram_md5(user, password, challenge);
                *then = Then::Nothing;
                Ok(answer)
            }
            Then::LoginUser { user, password } => {
                let answer = Message::new(user.as_bytes().to_vec());
                *then = Then::LoginPassword { password: std::mem::take(password) };
                Ok(answer)
            }
            Then::LoginPassword { password } => {
                let answer = Message::new(password.as_bytes().to_vec());
                *then = Then::Nothing;
                Ok(answer)
            }
            Then::Scram(scram) => scram.answer(challenge),
            Then::Token(answer) => {
                let answer = Message::new(answer.to_vec());
                let said: String =
                    String::from_utf8_lossy(challenge).chars().take(SAID_MAX).collect();
                self.said = Some(said);
                *then = Then::Nothing;
                Ok(answer)
            }
        }
    }

    /// The answer to a challenge, both in base64. What takes long is computed off the async threads.
    pub async fn respond(&mut self, challenge: &str) -> Result<Zeroizing<String>, SaslError> {
        let octets = BASE64
            .decode(challenge.trim().as_bytes())
            .map_err(|_| SaslError::Challenge("is no base64".to_owned()))?;
        let response = if self.is_slow() {
            let mut away = std::mem::replace(self, Self::over(self.mechanism));
            let work = tokio::task::spawn_blocking(move || {
                let answer = away.answer(&octets);
                (away, answer)
            });
            let (back, answer) = within(ANSWER_LIMIT, work).await.ok_or_else(|| {
                SaslError::Challenge(format!("takes more than {ANSWER_LIMIT:?} to answer"))
            })?;
            *self = back;
            answer?
        } else {
            self.answer(&octets)?
        };
        Ok(Zeroizing::new(BASE64.encode(&response)))
    }

    /// What the server said of a refused token, as JSON or whatever it sent.
    pub fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// Judges the server's final yes: where the mechanism has the server prove something, it must
    /// have done so.
    pub fn finish(self) -> Result<(), SaslError> {
        match self.state {
            State::Challenged(Then::Scram(scram)) if !scram.is_proven() => {
                Err(SaslError::FalseServer)
            }
            _ => Ok(()),
        }
    }
}

fn token_first(message: Message, after_error: &'static [u8]) -> State {
    State::First { message, then: Then::Token(after_error) }
}

/// Long for the most rounds that are taken, even on a machine that is busy otherwise.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "a computation, not the network")]
async fn within<T>(limit: Duration, work: JoinHandle<T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()?.ok()
}

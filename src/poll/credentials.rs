//! What an account proves itself by, and how a session is opened with it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::keyring::{Keyring, without_user};
use super::{Clock, PollError};
use crate::config::{Inbound, Oauth};
use crate::ledger::Ledger;
use crate::mailbox::{MailboxError, imap, pop3};
use crate::net::{Facts, NetError, NetStream, Step, Witness};
use crate::oauth::{Access, Claims, Token, refused_by_server};
use crate::sasl::Proof;
use crate::secret::{self, Secret};

/// More than a login has stages, both attempts together.
const STEPS: usize = 32;

/// What opens the sessions of one poll.
pub(crate) struct Keys<'a> {
    keyring: &'a Keyring,
    clock: Clock,
    /// When the poll ends, whatever it is at.
    deadline: Instant,
    /// The token of the session that is open.
    used: Mutex<Option<Access>>,
    /// Where logins are counted; `None` for those that a person makes to look.
    ledger: Option<Ledger>,
    /// The last poll's login was refused with a token just got: one login must do in this one.
    wary: AtomicBool,
    /// From when until when the server's certificate is good.
    certificate: Mutex<Option<(Timestamp, Timestamp)>>,
    /// The session that is being opened has begun to log in.
    login_is_out: Arc<AtomicBool>,
}

impl<'a> Keys<'a> {
    /// The keys of a poll that begins now.
    pub(crate) fn new(account: &Inbound, keyring: &'a Keyring, clock: Clock) -> Self {
        let now = Instant::now();
        let deadline = now.checked_add(account.poll_deadline).unwrap_or(now);
        Self {
            keyring,
            clock,
            deadline,
            used: Mutex::default(),
            ledger: None,
            wary: AtomicBool::new(false),
            certificate: Mutex::default(),
            login_is_out: Arc::default(),
        }
    }

    /// The same ones; each login is counted before it is tried.
    pub(super) fn counted_in(self, ledger: &Ledger) -> Self {
        Self { ledger: Some(ledger.clone()), ..self }
    }

    /// Who looks on while a poll opens a session: tells what was found, and counts the login.
    fn witness(&self, account: &Inbound, told: mpsc::Sender<Step>) -> Witness {
        let witness = Witness::telling(told);
        let Some(ledger) = self.ledger.clone() else { return witness };
        let (name, clock) = (Arc::clone(&account.name), self.clock);
        let is_out = Arc::clone(&self.login_is_out);
        is_out.store(false, Ordering::Relaxed);
        witness.asking(Box::new(move || {
            is_out.store(true, Ordering::Relaxed);
            let (ledger, name, now) = (ledger.clone(), Arc::clone(&name), clock.now());
            Box::pin(async move {
                let counted =
                    ledger.mark("count a login", move |tx| tx.login_begins(&name, now)).await;
                counted.map_err(|error| error.to_string())
            })
        }))
    }

    /// Whether the session that is being opened has begun to log in.
    pub(super) fn login_is_out(&self) -> bool {
        self.login_is_out.load(Ordering::Relaxed)
    }

    /// The login has been taken.
    async fn accepted(&self, account: &Inbound) -> Result<(), PollError> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        let name = Arc::clone(&account.name);
        Ok(ledger.mark("record a login", move |tx| tx.login_accepted(&name)).await?)
    }

    /// For an account whose last login was refused: it logs in once, with a token just got.
    pub(super) fn wary(self, wary: bool) -> Self {
        Self { wary: AtomicBool::new(wary), ..self }
    }

    /// Whether an error is only the end of the session's token; then it is renewed for the next.
    ///
    /// Exchange ends a session with its token: by BYE, or by cutting the connection.
    pub(super) async fn renew_expired(&self, account: &Inbound, error: &PollError) -> bool {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (Some(oauth), Some(used)) = (&account.oauth, used) else { return false };
        let now = self.clock.moment();
        let ended = match error {
            PollError::Mailbox(MailboxError::Refused { said, .. }) => {
                said.contains("AccessTokenExpired")
            }
            PollError::Mailbox(MailboxError::Net(NetError::Lost { .. })) => used.is_over(&now),
            _ => false,
        };
        if !ended || Instant::now() >= self.deadline {
            return false;
        }
        self.keyring.tokens.instead_of(oauth, &used.token, &now).await.is_ok()
    }

    /// Reads an account's credentials; the account comes with its user name, wherever that is.
    pub(super) async fn credentials<'b>(
        &self,
        account: &'b Inbound,
    ) -> Result<(Cow<'b, Inbound>, Credentials), PollError> {
        let account = self.keyring.named(account).await?;
        let credentials = Credentials::of(&account, self).await?;
        Ok((account, credentials))
    }

    /// From when until when the certificate of the session's server is good.
    pub(super) fn certificate(&self) -> Option<(Timestamp, Timestamp)> {
        *self.certificate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a session's stages told of its server's certificate.
    fn note_certificate(&self, mut steps: mpsc::Receiver<Step>) {
        while let Ok(step) = steps.try_recv() {
            let Facts::Tls(facts) = step.facts else { continue };
            let first = facts.chain.into_iter().next();
            let found = first.and_then(|first| first.not_before.zip(first.not_after));
            *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }

    fn note(&self, token: &Token) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = Some(token.access.clone());
    }
}

/// Opens an authenticated IMAP session.
pub(crate) async fn connect_imap(
    account: &Inbound,
    keys: &Keys<'_>,
) -> Result<imap::ImapSession, PollError> {
    let (account, credentials) = keys.credentials(account).await?;
    let (told, steps) = mpsc::channel(STEPS);
    let mut witness = keys.witness(&account, told);
    let opened = log_in_imap(&account, credentials, keys, &mut witness).await;
    keys.note_certificate(steps);
    let session = opened?;
    keys.accepted(&account).await?;
    Ok(session)
}

/// Opens one with these credentials, and once more with a new token where an old one is refused.
pub(super) async fn log_in_imap(
    account: &Inbound,
    credentials: Credentials,
    keys: &Keys<'_>,
    witness: &mut Witness,
) -> Result<imap::ImapSession, PollError> {
    let error = match imap::connect(account, credentials.proof(), keys.deadline, witness).await {
        Ok(session) => return Ok(session),
        Err(error) => error,
    };
    let credentials = credentials.instead(account, keys, error).await?;
    imap::connect(account, credentials.proof(), keys.deadline, witness)
        .await
        .map_err(|error| credentials.refused(account, error))
}

/// Opens an authenticated POP3 session.
pub(crate) async fn connect_pop3(
    account: &Inbound,
    keys: &Keys<'_>,
) -> Result<pop3::Pop3Session<NetStream>, PollError> {
    let (account, credentials) = keys.credentials(account).await?;
    let (told, steps) = mpsc::channel(STEPS);
    let mut witness = keys.witness(&account, told);
    let opened = log_in_pop3(&account, credentials, keys, &mut witness).await;
    keys.note_certificate(steps);
    let session = opened?;
    keys.accepted(&account).await?;
    Ok(session)
}

/// Opens one with these credentials, and once more with a new token where an old one is refused.
pub(super) async fn log_in_pop3(
    account: &Inbound,
    credentials: Credentials,
    keys: &Keys<'_>,
    witness: &mut Witness,
) -> Result<pop3::Pop3Session<NetStream>, PollError> {
    let error = match pop3::connect(account, credentials.proof(), keys.deadline, witness).await {
        Ok(session) => return Ok(session),
        Err(error) => error,
    };
    let credentials = credentials.instead(account, keys, error).await?;
    pop3::connect(account, credentials.proof(), keys.deadline, witness)
        .await
        .map_err(|error| credentials.refused(account, error))
}

/// What an account proves itself by, in memory for the time of a login.
pub(super) enum Credentials {
    /// A certificate, which TLS shows.
    Certificate,
    /// A password.
    Password(Secret),
    /// An OAuth2 token.
    Token(Arc<Oauth>, Token),
}

impl Credentials {
    /// Reads them; the log is told to hide them before they go anywhere.
    async fn of(account: &Inbound, keys: &Keys<'_>) -> Result<Self, PollError> {
        if let Some(oauth) = &account.oauth {
            let (tokens, now) = (&keys.keyring.tokens, keys.clock.moment());
            let mut token = tokens.token(oauth, &now).await?;
            if keys.wary.swap(false, Ordering::Relaxed) && !token.is_new {
                token = tokens.instead_of(oauth, &token.access.token, &now).await?;
            }
            keys.note(&token);
            return Ok(Self::Token(Arc::clone(oauth), token));
        }
        let Some(spec) = &account.password else { return Ok(Self::Certificate) };
        let owner = format!("account `{}`, `password`", account.name);
        let secret = secret::resolve(spec, &owner, &keys.keyring.secrets).await?;
        keys.keyring.redactor.register(secret.expose());
        Ok(Self::Password(secret))
    }

    fn proof(&self) -> Proof<'_> {
        match self {
            Self::Certificate => Proof::Certificate,
            Self::Password(secret) => Proof::Password(secret.expose()),
            Self::Token(_, token) => Proof::Token(token.access.token.expose()),
        }
    }

    /// A new token instead of an old one that the server has refused; never the same twice.
    async fn instead(
        self,
        account: &Inbound,
        keys: &Keys<'_>,
        error: MailboxError,
    ) -> Result<Self, PollError> {
        let refused = matches!(error, MailboxError::Credentials { .. });
        match &self {
            Self::Token(oauth, token) if refused && !token.is_new => {
                let now = keys.clock.moment();
                let token =
                    keys.keyring.tokens.instead_of(oauth, &token.access.token, &now).await?;
                keys.note(&token);
                Ok(Self::Token(Arc::clone(oauth), token))
            }
            _ => Err(self.refused(account, error)),
        }
    }

    /// What a failed login means: a refused token has other causes than a wrong password.
    fn refused(&self, account: &Inbound, error: MailboxError) -> PollError {
        let error = without_user(account, error);
        match (self, &error) {
            (Self::Token(oauth, token), MailboxError::Credentials { .. }) => {
                let claims = Claims::of(token.access.token.expose());
                let hidden = account.user_source.is_some();
                let user = if hidden { "(hidden)" } else { account.user.as_str() };
                let hint = refused_by_server(oauth, user, account.protocol, claims.as_ref());
                PollError::TokenRefused { error, hint }
            }
            _ => error.into(),
        }
    }
}

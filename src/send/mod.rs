//! Mail on its way out: what an outbound account proves itself by, the inbound login that its
//! server may ask for first, and one submission.
//!
//! One attempt each time; only a token that the server refuses is renewed once. Letters, their
//! queue and their back-off are the caller's.

mod before;
mod credentials;
mod doctor;
mod error;

use std::sync::Arc;

use tracing::Instrument as _;

use crate::config::{Config, Inbound, NoOutbound, Outbound};
use crate::log::Redactor;
use crate::net::Stage;
use crate::outbound::{self, Envelope, ErrorScope, Receipt, SubmitError, Watch};
use crate::poll::{Clock, Keyring};

pub use before::{LogIn, LoggedIn, NotIn, Opener};
use credentials::Credentials;
pub use doctor::{advice, warnings};
pub use error::{LoginEnd, SendError};

/// One outbound account, ready to send.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Its configuration.
    pub account: Arc<Outbound>,
    /// The inbound account that must log in first.
    pub before: Option<Arc<Inbound>>,
    /// What resolves secrets.
    pub keyring: Keyring,
    /// Who makes that login.
    pub opener: Opener,
    /// Its last login was refused: one with a token just got must do.
    pub wary: bool,
}

impl Sender {
    /// The account of this name, or the one that sends by default.
    pub fn of(
        config: &Config,
        name: Option<&str>,
        keyring: Keyring,
        opener: Opener,
    ) -> Result<Self, NoOutbound> {
        Ok(Self::by(config, config.outbound_account(name)?, keyring, opener))
    }

    /// One of the config's accounts.
    pub fn by(config: &Config, account: &Outbound, keyring: Keyring, opener: Opener) -> Self {
        let before = account.pop_before_smtp.as_ref();
        let before = before.and_then(|name| config.inbound.get(name)).cloned().map(Arc::new);
        Self { account: Arc::new(account.clone()), before, keyring, opener, wary: false }
    }

    /// Hands over one message. What was said is in the watch, and what came of it in the log,
    /// however it ends.
    pub async fn send(
        &self,
        envelope: &Envelope,
        octets: &[u8],
        watch: &mut Watch,
    ) -> Result<Receipt, SendError> {
        let span = tracing::info_span!(target: "outgoing", "send", account = &*self.account.name);
        let work = async {
            let done = self.hand_over(envelope, octets, watch).await;
            match &done {
                Ok(receipt) => tell_receipt(receipt),
                Err(error) => self.tell_error(error),
            }
            done
        };
        work.instrument(span).await
    }

    async fn hand_over(
        &self,
        envelope: &Envelope,
        octets: &[u8],
        watch: &mut Watch,
    ) -> Result<Receipt, SendError> {
        self.log_in_before(watch).await?;
        let (account, credentials) = self.credentials(watch).await?;
        let proof = credentials.proof();
        let error = match outbound::submit(&account, proof, envelope, octets, watch).await {
            Ok(receipt) => return Ok(receipt),
            Err(error) => error,
        };
        let credentials = credentials.instead(&account, &self.keyring, error).await?;
        let done = outbound::submit(&account, credentials.proof(), envelope, octets, watch).await;
        done.map_err(|error| credentials.refused(&account, error))
    }

    /// Goes as far as a message would, and sends none.
    pub async fn probe(&self, envelope: &Envelope, watch: &mut Watch) -> Result<(), SendError> {
        self.log_in_before(watch).await?;
        let (account, credentials) = self.credentials(watch).await?;
        let proof = credentials.proof();
        let error = match outbound::try_account(&account, proof, envelope, watch).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let credentials = credentials.instead(&account, &self.keyring, error).await?;
        let done = outbound::try_account(&account, credentials.proof(), envelope, watch).await;
        done.map_err(|error| credentials.refused(&account, error))
    }

    fn tell_error(&self, error: &SendError) {
        let (code, hint) = (error.code(), error.advice(&self.account).unwrap_or_default());
        let is_of_mail = error.submit().is_some_and(|error| {
            error.scope() < ErrorScope::Account || error.code() == "sender-refused"
        });
        if is_of_mail {
            tracing::error!(target: "outgoing", code, hint, "{error}");
        } else {
            tracing::error!(target: "smtp-auth", code, hint, "{error}");
        }
    }

    async fn credentials(&self, watch: &mut Watch) -> Result<(Outbound, Credentials), SendError> {
        watch.witness.begin(Stage::Secret);
        let account = credentials::named(&self.account, &self.keyring).await?;
        let credentials = Credentials::of(&account, &self.keyring, Clock, self.wary).await?;
        let place = credentials::place(&account);
        watch.witness.found(|| Some(crate::net::Facts::Secret { from: place? }));
        Ok((account, credentials))
    }

    /// The login that must come first; a server that lets nobody in isn't asked to send.
    async fn log_in_before(&self, watch: &mut Watch) -> Result<(), SendError> {
        let Some(inbound) = &self.before else { return Ok(()) };
        self.opener.open(inbound, self.account.pop_before_smtp_ttl, &mut watch.witness).await
    }
}

fn tell_receipt(receipt: &Receipt) {
    let id = receipt.queue_id.as_deref().unwrap_or("-");
    let to = receipt.taken.join(", ");
    tracing::info!(target: "outgoing", code = "message-sent", "Sent to {to}, queued as {id}");
    for refusal in &receipt.refused {
        let (address, said) = (&refusal.address, refusal.reply.said());
        tracing::error!(
            target: "outgoing",
            code = "recipient-refused",
            "The server refused {address}: \"{said}\""
        );
    }
}

/// A user name that is kept elsewhere stands in no error either.
fn without_user(account: &Outbound, error: SubmitError) -> SubmitError {
    match error {
        SubmitError::Credentials { mechanism, reply, .. } if account.user_source.is_some() => {
            SubmitError::Credentials { user: "(hidden)".to_owned(), mechanism, reply }
        }
        other => other,
    }
}

/// What hides secrets in all that is shown of a submission.
pub fn redacted(redactor: &Redactor, watch: &Watch) -> Vec<outbound::Line> {
    let hide = |line: &outbound::Line| outbound::Line {
        text: redactor.redact(&line.text),
        ..line.clone()
    };
    watch.transcript.lines().iter().map(hide).collect()
}

//! One letter of postrider's own, handed to an outbound account; tried once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::OwnedMutexGuard;

use super::attempt::Attempts;
use super::gate::Kept;
use super::opening::{by_hand, in_turn};
use super::refusals::{self, End, Refusals};
use crate::config::{Config, Outbound};
use crate::ledger::SendError as Words;
use crate::model::AccountName;
use crate::net::{AllSent, Witness};
use crate::outbound::{Envelope, Letter, LetterError, Receipt, Retry, Transcript, Watch};
use crate::poll::{Keyring, Tools};
use crate::send::{LoginEnd, Opener, SendError, Sender};

/// However slow a server is, a letter doesn't keep others waiting for longer.
const LONGEST: Duration = Duration::from_mins(10);

/// Why a letter has not gone, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The account must be left alone; nobody was asked.
    #[error("`{account}` is left alone: {}", .kept.why())]
    Kept {
        /// The outbound account.
        account: AccountName,
        /// Why.
        kept: Kept,
    },
    /// It can't be written.
    #[error(transparent)]
    Letter(#[from] LetterError),
    /// The account's credentials, its server, or the way to it.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The server was too slow in all.
    #[error("not sent within {0:?}")]
    Slow(Duration),
}

impl PostError {
    /// The stable code of its log record.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Kept { kept: Kept::Untold(error), .. } => error.code(),
            Self::Kept { .. } => "account-rests",
            Self::Letter(_) => "message-refused",
            Self::Send(error) => error.code(),
            Self::Slow(_) => "server-slow",
        }
    }

    /// What a person can do about it in this account.
    pub fn advice(&self, account: &Outbound) -> Option<String> {
        match self {
            Self::Kept { kept: Kept::Untold(error), .. } => error.hint().map(str::to_owned),
            Self::Kept { account, .. } => Some(format!(
                "correct the config or the secret, or: postrider account resume {account}"
            )),
            Self::Letter(_) => Some("see the addresses of `[notices]`".to_owned()),
            Self::Send(error) => error.advice(account),
            Self::Slow(_) => None,
        }
    }

    /// Whether time alone will hardly mend it.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Letter(_) => true,
            Self::Send(error) => error.retry() != Retry::Later,
            Self::Kept { .. } | Self::Slow(_) => false,
        }
    }

    /// Whether the account's own login was refused: its rest says when to try again.
    pub fn is_refused_login(&self) -> bool {
        let of_login = if let Self::Send(error) = self { error.of_login() } else { None };
        matches!(of_login, Some(LoginEnd::Refused(_)))
    }

    /// What it means for the account's login.
    fn end(&self, account: &Outbound, keyring: &Keyring) -> End {
        let Self::Send(error) = self else { return End::Unsaid };
        match error.of_login() {
            Some(LoginEnd::Accepted) => End::Accepted,
            Some(LoginEnd::Refused(failure)) => End::Refused(failure, self.words(account, keyring)),
            None => End::Unsaid,
        }
    }

    /// What the ledger keeps of it.
    pub fn words(&self, account: &Outbound, keyring: &Keyring) -> Words {
        Words {
            code: self.code().to_owned(),
            message: keyring.redactor.redact(&self.to_string()),
            hint: self.advice(account).map(|hint| keyring.redactor.redact(&hint)),
        }
    }
}

/// What stands in a letter beside its text, as account and config have it.
pub fn letter(config: &Config, outbound: &Outbound, to: &str) -> Letter {
    Letter {
        from: config.sender_of(outbound).unwrap_or_default(),
        from_name: outbound.from_name.clone(),
        to: vec![to.to_owned()],
        reply_to: outbound.reply_to.clone(),
        organization: outbound.organization.clone(),
        ..Letter::default()
    }
}

/// How the daemon sends letters: one at a time by each account, as far as its refused logins allow;
/// clones share what they know.
#[derive(Clone, Debug)]
pub(super) struct Post {
    tools: Tools,
    opener: Opener,
    refusals: Refusals,
    turns: Arc<Mutex<BTreeMap<AccountName, Arc<tokio::sync::Mutex<()>>>>>,
}

/// The turn to send by an account.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    outbound: &'a Outbound,
    /// Its last login was refused.
    wary: bool,
    mine: OwnedMutexGuard<()>,
}

impl Post {
    pub(super) fn new(tools: Tools, attempts: Attempts) -> Self {
        let opener = in_turn(tools.clone(), attempts);
        Self { refusals: Refusals::new(tools.clone()), tools, opener, turns: Arc::default() }
    }

    /// For a command that holds the ledger, and whose polls are over.
    pub(super) fn by_hand(tools: Tools, state_dir: &Path) -> Self {
        let opener = by_hand(state_dir, &tools.keyring());
        Self { refusals: Refusals::new(tools.clone()), tools, opener, turns: Arc::default() }
    }

    /// What keeps an account from sending now.
    pub(super) async fn gate(&self, outbound: &Outbound) -> Result<(), PostError> {
        self.refusals.gate(outbound).await.map_err(|kept| kept_by(outbound, kept))
    }

    /// Sends a letter, dated `date`: the same letter and date give the same octets.
    pub(super) async fn send(
        &self,
        config: &Config,
        outbound: &Outbound,
        letter: &Letter,
        date: Timestamp,
    ) -> Result<Receipt, PostError> {
        let (octets, envelope) = letter.build(date)?;
        let turn = self.turn(outbound).await?;
        self.hand_over(config, turn, (&envelope, &octets), LONGEST).await
    }

    /// Hands over octets as they are. `limit` is for all before the answer to the message.
    pub(super) async fn hand_over(
        &self,
        config: &Config,
        turn: Turn<'_>,
        (envelope, octets): (&Envelope, &[u8]),
        limit: Duration,
    ) -> Result<Receipt, PostError> {
        let Turn { outbound, wary, mine } = turn;
        let keyring = self.tools.keyring();
        let sender = Sender::by(config, outbound, keyring.clone(), self.opener.clone());
        let sender = Sender { wary, ..sender };
        let witness = self.refusals.witness(outbound);
        let sent = send(&sender, (envelope, octets), limit, witness).await;
        let end = match &sent {
            Ok(_) => End::Accepted,
            Err(error) => error.end(outbound, &keyring),
        };
        if let Err(error) = self.refusals.note(outbound, end).await {
            tracing::error!(target: "daemon", code = error.code(), "{error}");
        }
        drop(mine);
        sent
    }

    /// Waits until nobody else sends by this account; then it must be allowed to log in.
    pub(super) async fn turn<'a>(&self, outbound: &'a Outbound) -> Result<Turn<'a>, PostError> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(Arc::clone(&outbound.name)).or_default())
        };
        // Two at a time would be refused twice before the first refusal is known.
        let mine = turn.lock_owned().await;
        let wary = self.refusals.permit(outbound).await;
        let wary = wary.map_err(|kept| kept_by(outbound, kept))?;
        Ok(Turn { outbound, wary, mine })
    }
}

fn kept_by(outbound: &Outbound, kept: Kept) -> PostError {
    PostError::Kept { account: Arc::clone(&outbound.name), kept }
}

/// Sends a letter by a command, which obeys what the daemon knows of refused logins and writes
/// nothing.
pub async fn send_by_hand(
    config: &Config,
    outbound: &Outbound,
    keyring: &Keyring,
    letter: &Letter,
    date: Timestamp,
) -> Result<Receipt, PostError> {
    let state_dir: &Path = &config.daemon.state_dir;
    let kept = refusals::look(state_dir, outbound, keyring).await;
    kept.map_err(|kept| kept_by(outbound, kept))?;
    let opener = by_hand(state_dir, keyring);
    let sender = Sender::by(config, outbound, keyring.clone(), opener);
    let (octets, envelope) = letter.build(date)?;
    send(&sender, (&envelope, &octets), LONGEST, Witness::blind()).await
}

async fn send(
    sender: &Sender,
    (envelope, octets): (&Envelope, &[u8]),
    limit: Duration,
    witness: Witness,
) -> Result<Receipt, PostError> {
    let mut watch = Watch { witness, transcript: Transcript::default() };
    let all_sent = watch.witness.all_sent();
    let sent = unless_slow(limit, all_sent, sender.send(envelope, octets, &mut watch)).await;
    Ok(sent.ok_or(PostError::Slow(limit))??)
}

/// What comes of `work`, given up at `limit` unless the message is out by then: its answer has the
/// account's own limit, since a further try brings it twice.
async fn unless_slow<T>(
    limit: Duration,
    all_sent: AllSent,
    work: impl Future<Output = T>,
) -> Option<T> {
    let is_late = async {
        tokio::time::sleep(limit).await;
        if all_sent.is_so() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = is_late => None,
    }
}

/// This host's name, for subjects.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn letter_is_given_up_when_it_is_slow_but_not_while_its_answer_is_waited_for() {
        let seconds = Duration::from_secs;
        let sent = async |before, behind| {
            let witness = Witness::blind();
            let all_sent = witness.all_sent();
            let work = async move {
                tokio::time::sleep(seconds(before)).await;
                witness.sent_all();
                tokio::time::sleep(seconds(behind)).await;
            };
            unless_slow(seconds(60), all_sent, work).await.is_some()
        };
        assert!(sent(59, 120).await, "its answer has the time that the account gives it");
        assert!(sent(60, 120).await, "it was out at the last moment");
        assert!(!sent(61, 0).await);
    }
}

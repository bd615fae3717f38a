//! Whether what a refused login hung on has changed since: what lifts a stop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::{Inbound, Oauth, Outbound, SecretSpec};
use crate::ledger::AccountState;
use crate::model::AccountName;
use crate::poll::Keyring;
use crate::secret::{self, Marks};

/// A stopped account's commands that print secrets are run this often; the rest is looked at each
/// time. Such a command may ask a person, or count and lock.
const COMMANDS_EVERY: Duration = Duration::from_hours(1);

/// When each account's commands were run last, to see whether they print something else; clones
/// share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks(Arc<Mutex<BTreeMap<AccountName, Instant>>>);

impl Looks {
    /// What a login hangs on now.
    pub(super) async fn take(&self, login: &Login<'_>) -> Marks {
        self.times().insert(Arc::clone(login.name), Instant::now());
        login.marks(true).await
    }

    /// Whether that is something else than at the last refused login.
    pub(super) async fn changed(&self, login: &Login<'_>, state: &AccountState) -> bool {
        if login.marks(false).await.differs_from(&state.auth_mark) {
            return true;
        }
        let last = self.times().get(login.name).copied();
        let due = last.is_none_or(|last| last.elapsed() >= COMMANDS_EVERY);
        due && self.take(login).await.differs_from(&state.auth_mark)
    }

    fn times(&self) -> MutexGuard<'_, BTreeMap<AccountName, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a login hangs on, and what it is looked at with.
#[derive(Debug)]
pub(super) struct Login<'a> {
    name: &'a AccountName,
    /// Server, encryption, mechanisms, who we are there, and where the secrets are.
    settings: String,
    specs: [Option<&'a SecretSpec>; 2],
    oauth: Option<&'a Oauth>,
    keyring: &'a Keyring,
    salt: Uuid,
}

impl<'a> Login<'a> {
    /// That of an inbound account; `salt` is the ledger's name.
    pub(super) fn of(config: &'a Inbound, keyring: &'a Keyring, salt: Option<Uuid>) -> Self {
        let server = (config.protocol, &config.host, config.port, config.encryption, &config.tls);
        let login = (&config.user, config.safe_logon, &config.sasl);
        Self {
            name: &config.name,
            settings: format!(
                "{server:?} {login:?} {:?} {:?}",
                config.user_source, config.password
            ),
            specs: [config.user_source.as_ref(), config.password.as_ref()],
            oauth: config.oauth.as_deref(),
            keyring,
            salt: salt.unwrap_or_default(),
        }
    }

    /// That of an outbound account.
    pub(super) fn of_outbound(
        config: &'a Outbound,
        keyring: &'a Keyring,
        salt: Option<Uuid>,
    ) -> Self {
        let server = (&config.host, config.port, config.encryption, &config.tls);
        let login = (config.log_in, &config.user, config.safe_logon, &config.sasl);
        Self {
            name: &config.name,
            settings: format!(
                "{server:?} {login:?} {:?} {:?}",
                config.user_source, config.password
            ),
            specs: [config.user_source.as_ref(), config.password.as_ref()],
            oauth: config.oauth.as_deref(),
            keyring,
            salt: salt.unwrap_or_default(),
        }
    }

    /// A digest of the settings and, by two octets of a slow digest each, the secrets.
    pub(super) async fn marks(&self, with_commands: bool) -> Marks {
        let salt = self.salt;
        let hash = Sha256::digest(&self.settings);
        let mut marks = Marks::default();
        marks.push(data_encoding::HEXLOWER.encode(&hash));
        for spec in self.specs.into_iter().flatten() {
            let secret = match spec {
                SecretSpec::Command(_) if !with_commands => None,
                spec => secret::resolve(spec, "", &self.keyring.secrets).await.ok(),
            };
            let digest =
                tokio::task::spawn_blocking(move || Some(secret::mark(&secret?, salt.as_bytes())))
                    .await;
            let digest = digest.ok().flatten();
            marks.push_if(digest.map(|digest| data_encoding::HEXLOWER.encode(&digest)));
        }
        if let Some(oauth) = self.oauth {
            marks.extend(self.keyring.tokens.marks(oauth, with_commands).await);
        }
        marks
    }
}

//! Whether what a refused login hung on has changed since: what lifts a stop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::config::SecretSpec;
use crate::ledger::AccountState;
use crate::model::AccountName;
use crate::poll::Account;
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
    pub(super) async fn take(&self, account: &Account) -> Marks {
        self.times().insert(Arc::clone(&account.config.name), Instant::now());
        marks(account, true).await
    }

    /// Whether that is something else than at the last refused login.
    pub(super) async fn changed(&self, account: &Account, state: &AccountState) -> bool {
        if marks(account, false).await.differs_from(&state.auth_mark) {
            return true;
        }
        let last = self.times().get(&account.config.name).copied();
        let due = last.is_none_or(|last| last.elapsed() >= COMMANDS_EVERY);
        due && self.take(account).await.differs_from(&state.auth_mark)
    }

    fn times(&self) -> MutexGuard<'_, BTreeMap<AccountName, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Server, encryption, mechanisms, who we are there, where the secrets are and, by two octets of a
/// slow digest each, the secrets.
async fn marks(account: &Account, with_commands: bool) -> Marks {
    let (config, secrets) = (&account.config, &account.tools.secrets);
    let salt = account.tools.ledger.identity().ledger.unwrap_or_default();
    let server = (config.protocol, &config.host, config.port, config.encryption, &config.tls);
    let login = (&config.user, config.safe_logon, &config.sasl);
    let hash = Sha256::digest(format!(
        "{server:?} {login:?} {:?} {:?}",
        config.user_source, config.password
    ));
    let mut marks = Marks::default();
    marks.push(data_encoding::HEXLOWER.encode(&hash));
    for spec in [&config.user_source, &config.password].into_iter().flatten() {
        let secret = match spec {
            SecretSpec::Command(_) if !with_commands => None,
            spec => secret::resolve(spec, "", secrets).await.ok(),
        };
        let digest =
            tokio::task::spawn_blocking(move || Some(secret::mark(&secret?, salt.as_bytes())))
                .await;
        let digest = digest.ok().flatten();
        marks.push_if(digest.map(|digest| data_encoding::HEXLOWER.encode(&digest)));
    }
    if let Some(oauth) = &config.oauth {
        marks.extend(account.tools.tokens.marks(oauth, with_commands).await);
    }
    marks
}

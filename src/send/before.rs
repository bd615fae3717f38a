//! The inbound login that a submission server may ask for before it takes mail.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::SendError;
use crate::config::Inbound;
use crate::model::AccountName;
use crate::net::Witness;
use crate::poll::PollError;

/// Why there was no login.
#[derive(Debug)]
pub enum NotIn {
    /// It was tried.
    Failed(Box<PollError>),
    /// The account must be left alone; its server was not asked.
    Kept(String),
}

/// How a login went.
pub type LoggedIn<'a> = Pin<Box<dyn Future<Output = Result<(), NotIn>> + Send + 'a>>;

/// Logs in to an inbound account and out again, as far as the account's rest allows it.
pub trait LogIn: fmt::Debug + Send + Sync {
    /// One attempt at most.
    fn log_in<'a>(&'a self, account: &'a Arc<Inbound>, witness: &'a mut Witness) -> LoggedIn<'a>;
}

/// Who makes the logins that come first, and those that still hold; clones share them.
#[derive(Clone, Debug)]
pub struct Opener {
    by: Arc<dyn LogIn>,
    until: Arc<Mutex<BTreeMap<AccountName, Instant>>>,
}

impl Opener {
    /// One that knows of no login yet.
    pub fn new(by: Arc<dyn LogIn>) -> Self {
        Self { by, until: Arc::default() }
    }

    /// Logs in, unless a login that was begun less than `ttl` ago still holds.
    pub(super) async fn open(
        &self,
        inbound: &Arc<Inbound>,
        ttl: Duration,
        witness: &mut Witness,
    ) -> Result<(), SendError> {
        let now = Instant::now();
        let until = self.times().get(&inbound.name).copied();
        if until.is_some_and(|until| now < until) {
            return Ok(());
        }
        let account = inbound.name.to_string();
        self.by.log_in(inbound, witness).await.map_err(|not_in| match not_in {
            NotIn::Failed(error) => SendError::Before { account: account.clone(), error },
            NotIn::Kept(why) => SendError::BeforeKept { account: account.clone(), why },
        })?;
        let until = now.checked_add(ttl).unwrap_or(now);
        self.times().insert(Arc::clone(&inbound.name), until);
        Ok(())
    }

    fn times(&self) -> MutexGuard<'_, BTreeMap<AccountName, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Counted(AtomicU32);

    impl LogIn for Counted {
        fn log_in<'a>(&'a self, _: &'a Arc<Inbound>, _: &'a mut Witness) -> LoggedIn<'a> {
            let n = self.0.fetch_add(1, Ordering::Relaxed);
            // The third time the account must be left alone.
            Box::pin(
                async move { if n == 2 { Err(NotIn::Kept("it rests".into())) } else { Ok(()) } },
            )
        }
    }

    fn account() -> Arc<Inbound> {
        let text = "[archive]\nroot = \"/\"\n[inbound.in]\nprotocol = \"pop3\"\nhost = \"h\"\nuser = \"u\"\n\
                    password = { key = \"k\" }\n";
        let path = std::path::Path::new("/x");
        let loaded = crate::config::load_text(text, path, jiff::Timestamp::UNIX_EPOCH);
        Arc::new(loaded.config.unwrap().inbound["in"].clone())
    }

    #[tokio::test(start_paused = true)]
    async fn login_before_sending_holds_for_its_time_and_not_longer() {
        let (by, account) = (Arc::new(Counted::default()), account());
        let opener = Opener::new(Arc::clone(&by) as Arc<dyn LogIn>);
        let ttl = Duration::from_mins(30);
        let logins = || by.0.load(Ordering::Relaxed);
        let mut witness = Witness::blind();
        // Clones share what they know: a daemon's notices and canaries do.
        for sender in [&opener, &opener.clone()] {
            sender.open(&account, ttl, &mut witness).await.unwrap();
        }
        assert_eq!(logins(), 1);
        tokio::time::advance(ttl.saturating_sub(Duration::from_secs(1))).await;
        opener.open(&account, ttl, &mut witness).await.unwrap();
        assert_eq!(logins(), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        opener.open(&account, ttl, &mut witness).await.unwrap();
        assert_eq!(logins(), 2);
        tokio::time::advance(ttl).await;
        let kept = opener.open(&account, ttl, &mut witness).await.unwrap_err();
        assert_eq!((kept.code(), logins()), ("account-rests", 3));
        // A login that was not made holds for no time.
        opener.open(&account, ttl, &mut witness).await.unwrap();
        assert_eq!(logins(), 4);
    }
}

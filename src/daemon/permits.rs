//! How many connections there are at the same time: to all servers together, and to each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Inbound;

/// The limit of each server, by host and port.
type Servers = BTreeMap<(String, u16), Arc<Semaphore>>;

/// The limits, shared by all that open connections of inbound accounts.
#[derive(Clone, Debug)]
pub(super) struct Permits {
    all: Arc<Semaphore>,
    of_server: usize,
    servers: Arc<Mutex<Servers>>,
}

/// Held as long as a connection may be open.
#[derive(Debug)]
pub(super) struct Permit {
    _server: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Permits {
    /// So many together, and so many to one server.
    pub(super) fn new(all: usize, of_server: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_server, servers: Arc::default() }
    }

    /// Waits for room at the account's server first: who waits for that keeps no other server's
    /// account from its connection. `None` never comes, as nothing closes a limit.
    pub(super) async fn acquire(&self, account: &Inbound) -> Option<Permit> {
        let server = self.server(account).acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Permit { _server: server, _all: all })
    }

    fn server(&self, account: &Inbound) -> Arc<Semaphore> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (account.host.to_ascii_lowercase(), account.port);
        let new = || Arc::new(Semaphore::new(self.of_server));
        Arc::clone(servers.entry(name).or_insert_with(new))
    }
}

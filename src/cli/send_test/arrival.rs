//! Whether a message that was sent has come into the archive: by the ledger's new rows, and the
//! Message-ID in the header of their copies.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Inbound};
use crate::daemon::attempts;
use crate::daemon::gate::Asked;
use crate::daemon::instance::{Instance, InstanceError};
use crate::ledger::{Ledger, LedgerError, Shelf, Tx};
use crate::log::Redactor;
use crate::mail;
use crate::poll::Account;

/// Between two looks, and two polls of our own.
const PAUSE: Duration = Duration::from_secs(1);
/// Rows that are looked at together.
const ROWS: u32 = 500;
/// Octets of a copy that can hold a Message-ID.
const HEADER_MAX: u64 = 64 << 10;

/// A message that is there.
pub(super) struct Arrival {
    /// Its folder, below the root.
    pub(super) path: String,
    /// From the end of the sending to the archive.
    pub(super) took: Duration,
}

/// What is waited for.
pub(super) struct Wait<'a> {
    pub(super) config: &'a Config,
    pub(super) inbound: Arc<Inbound>,
    pub(super) message_id: &'a str,
    /// The ledger's newest row before it was sent.
    pub(super) before: i64,
    pub(super) timeout: Duration,
}

/// The ledger's newest row; 0 where there is no ledger yet.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone has one lifetime")]
pub(super) async fn mark(config: &Config) -> i64 {
    let Ok(ledger) = Ledger::open_read_only(&config.daemon.state_dir) else { return 0 };
    ledger.read("look for the newest row", |tx| tx.last_row()).await.unwrap_or(0)
}

impl Wait<'_> {
    pub(super) async fn until_it_is_there(self, redactor: &Redactor) -> Result<Arrival, String> {
        let begun = Instant::now();
        let end = begun.checked_add(self.timeout).unwrap_or(begun);
        // With a daemon the lock is its own: it polls, and we look on.
        let instance = match Instance::open(self.config, redactor.clone()).await {
            Ok(instance) => Some(instance),
            Err(error) if error.is_busy() => None,
            Err(error) => return Err(told(&error)),
        };
        let mut found = Err(format!(
            "it was sent, and isn't in the archive of `{}` after {:?}",
            self.inbound.name, self.timeout
        ));
        let mut after = self.before;
        while Instant::now() < end {
            let poll_error = match &instance {
                Some(instance) => self.poll(instance, end).await,
                None => None,
            };
            match self.look(instance.as_ref(), &mut after).await {
                Ok(Some(path)) => {
                    found = Ok(Arrival { path, took: begun.elapsed() });
                    break;
                }
                Ok(None) => {}
                Err(error) => {
                    found = Err(error.to_string());
                    break;
                }
            }
            if let Some(error) = poll_error {
                found = Err(error);
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        if let Some(instance) = instance {
            instance.close().await;
        }
        found
    }

    /// One poll; what ends the wait, which is an error that doesn't pass by itself.
    async fn poll(&self, instance: &Instance, end: Instant) -> Option<String> {
        let cancel = CancellationToken::new();
        let account =
            Account::new(Arc::clone(&self.inbound), instance.tools.clone(), cancel.clone());
        let attempts = attempts(self.config);
        let poll = attempts.attempt(&account, Asked::ByName);
        tokio::pin!(poll);
        let report = tokio::select! {
            report = &mut poll => report,
            () = tokio::time::sleep_until(end) => {
                cancel.cancel();
                poll.await
            }
        };
        let why = match report {
            Ok(report) => report.error?.message,
            Err(kept) => kept.why(),
        };
        Some(format!("it was sent; polling `{}` failed: {why}", self.inbound.name))
    }

    async fn look(
        &self,
        instance: Option<&Instance>,
        after: &mut i64,
    ) -> Result<Option<String>, LedgerError> {
        let name = self.inbound.name.to_string();
        let from = *after;
        let read = move |tx: &Tx<'_>| tx.shelf(&name, from, ROWS);
        let shelves = if let Some(instance) = instance {
            instance.tools.ledger.read("look for new copies", read).await?
        } else {
            let ledger = Ledger::open_read_only(&self.config.daemon.state_dir)?;
            ledger.read("look for new copies", read).await?
        };
        let root = self.config.archive.root.clone();
        let wanted = self.message_id.to_owned();
        let looked = tokio::task::spawn_blocking(move || first_with(&root, shelves, &wanted));
        let (path, whole) = looked.await.unwrap_or_default();
        // A row that is being placed is looked at again.
        *after = whole.unwrap_or(*after).max(*after);
        Ok(path)
    }
}

/// The folder of the copy with this Message-ID, and the last row of those that are complete.
fn first_with(root: &Path, shelves: Vec<Shelf>, wanted: &str) -> (Option<String>, Option<i64>) {
    let mut whole = None;
    for shelf in shelves {
        if shelf.placing {
            break;
        }
        whole = Some(shelf.copy.row);
        let folder: PathBuf = root.join(&shelf.copy.path);
        if message_id_of(&folder.join("message.eml")).as_deref() == Some(wanted) {
            return (Some(shelf.copy.path), whole);
        }
    }
    (None, whole)
}

fn message_id_of(file: &Path) -> Option<String> {
    let mut header = Vec::new();
    std::fs::File::open(file).ok()?.take(HEADER_MAX).read_to_end(&mut header).ok()?;
    mail::header_facts(&header).message_id
}

fn told(error: &InstanceError) -> String {
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("it was sent, and can't be waited for: {error}{hint}")
}

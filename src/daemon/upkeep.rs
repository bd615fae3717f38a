//! What keeps the ledger well while polls go on: daily copies, an emptied write-ahead log, a
//! weekly check, and a generation that tells old copies from the ledger.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::ledger::{LedgerError, Tx, Upkeep};
use crate::poll::Tools;

/// Between two rounds; the first is at the start.
const EVERY: Duration = Duration::from_hours(1);
/// Between two checks of the whole file.
const CHECK_EVERY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Looks after the ledger until it is cancelled.
pub(super) async fn keep(tools: Tools, state_dir: Arc<Path>, cancel: CancellationToken) {
    let upkeep = Upkeep::new(&state_dir);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = round(&tools, &upkeep) => {}
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn round(tools: &Tools, upkeep: &Upkeep) {
    if let Err(error) = raise(tools).await {
        tracing::debug!(target: "daemon", %error, "generation not raised");
    }
    let now = tools.clock.now();
    match blocking(upkeep, move |upkeep| upkeep.back_up(now)).await {
        Ok(None) => {}
        Ok(Some(path)) => tracing::info!(
            target: "daemon",
            code = "ledger-backed-up",
            path = %path.display(),
            "Ledger copied"
        ),
        Err(error) => tracing::error!(
            target: "daemon",
            code = "ledger-backup-failed",
            "The ledger's daily copy failed: {error}"
        ),
    }
    match blocking(upkeep, Upkeep::checkpoint).await {
        Ok(None) => {}
        Ok(Some(octets)) => tracing::warn!(
            target: "daemon",
            code = "ledger-wal-large",
            octets,
            "A reader keeps the ledger's write-ahead log from being emptied"
        ),
        Err(error) => tracing::debug!(target: "daemon", %error, "no checkpoint"),
    }
    if let Err(error) = check(tools, upkeep, now).await {
        tracing::error!(target: "daemon", code = error.code(), "{error}");
    }
}

/// Ledger first, then root: the root is never ahead of its ledger.
async fn raise(tools: &Tools) -> Result<(), LedgerError> {
    let generation = tools.ledger.raise().await?;
    let (archive, name) = (Arc::clone(&tools.archive), tools.ledger.identity().ledger);
    let raised = spawn_blocking(move || {
        let root = archive.root();
        // Not into what was mounted over it.
        root.check()?;
        name.map_or(Ok(()), |name| root.raise(name, generation))
    });
    match raised.await {
        Ok(Ok(())) => tools.ledger.record_marker(generation).await,
        Ok(Err(error)) => {
            tracing::debug!(target: "daemon", %error, "marker not raised");
            Ok(())
        }
        Err(_) => Ok(()),
    }
}

/// Checks the whole file once a week. Damage ends all writing: no poll can delete any more.
async fn check(tools: &Tools, upkeep: &Upkeep, now: Timestamp) -> Result<(), LedgerError> {
    let last = |tx: &Tx<'_>| Ok(tx.checked_at()?.unwrap_or(Timestamp::MIN));
    let last = tools.ledger.read("read the last check", last).await?;
    if now.duration_since(last).abs() < CHECK_EVERY {
        return Ok(());
    }
    match blocking(upkeep, Upkeep::check).await {
        Err(LedgerError::Corrupt { why }) => {
            tools.ledger.condemn(why.clone()).await;
            Err(LedgerError::Corrupt { why })
        }
        Err(error) => Err(error),
        Ok(()) => tools.ledger.write("record a check", move |tx| tx.set_checked(now)).await,
    }
}

async fn blocking<T: Send + 'static>(
    upkeep: &Upkeep,
    work: impl FnOnce(&Upkeep) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    let upkeep = upkeep.clone();
    spawn_blocking(move || work(&upkeep)).await.unwrap_or(Err(LedgerError::Gone))
}

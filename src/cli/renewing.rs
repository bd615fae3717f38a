//! Commands that may renew tokens: neither their end nor a signal cuts a renewal off.

use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use super::{block_on, render};
use crate::oauth::Vault;

/// Runs async work to its end or to a signal, and then what it has begun with the tokens.
pub(super) fn block_on_renewing<T>(
    tokens: &Vault,
    work: impl Future<Output = T>,
) -> Result<T, Exit> {
    block_on(async {
        let done = tokio::select! {
            done = work => Ok(done),
            () = signalled() => {
                render::error("stopped", None);
                Err(Exit::Failed)
            }
        };
        tokio::select! {
            () = tokens.finish() => {}
            () = signalled() => {}
        }
        done
    })?
}

/// SIGINT or SIGTERM.
async fn signalled() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

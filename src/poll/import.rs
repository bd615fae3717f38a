//! Mail that no server listed, taken into an account's archive by the same pipeline as a poll's.

use std::sync::Arc;

use super::pipeline::{Pipeline, Target};
use super::{Account, PollError};
use crate::ledger::{MailboxId, Tx};
use crate::mailbox::ReadMailbox;
use crate::model::{Fetch, IMPORTED, MessageKey};

/// What was stored of a batch.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Messages that are durable and recorded.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Those that failed, and why.
    pub failed: Vec<(MessageKey, String)>,
}

/// Stores these messages. On return they are durable and recorded, also when an error ended it.
///
/// No rule's action is asked for: what was received long ago is no arrival.
pub async fn import<M: ReadMailbox>(
    account: &Account,
    session: &mut M,
    fetches: Vec<Fetch>,
) -> Result<Stored, PollError> {
    let (ledger, name) = (&account.tools.ledger, Arc::clone(&account.config.name));
    let row = ledger.write("add a mailbox", move |tx| tx.mailbox(&name, IMPORTED)).await?;
    let target = Target { mailbox: row.id, formers: None, crashed: row.crashed };
    let mut config = (*account.config).clone();
    config.on_received.clear();
    let quiet = Account::new(Arc::new(config), account.tools.clone(), account.cancel.clone());
    let pipeline = Pipeline::start(&quiet, target)?;
    let read = pipeline.fetch(&quiet, session, fetches).await;
    let (done, outcome) = pipeline.finish().await;
    forget(account, row.id).await?;
    outcome?;
    read?;
    let failed = done.held.into_iter().map(|held| (held.key, held.reason));
    Ok(Stored { messages: u64::from(done.archived), octets: done.octets, failed: failed.collect() })
}

/// What was not stored is nobody's to try again.
async fn forget(account: &Account, id: MailboxId) -> Result<(), PollError> {
    let forget = move |tx: &Tx<'_>| tx.forget_unstored(id);
    Ok(account.tools.ledger.write("forget what was not imported", forget).await?)
}

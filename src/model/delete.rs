//! The proof that a delete may leave this host.

use super::{Delete, MessageKey};

/// One delete whose intent is committed to the ledger.
#[derive(Clone, Debug)]
pub struct Deleting {
    /// Identity.
    pub key: MessageKey,
    /// POP3 message number or IMAP UID.
    pub number: u32,
    /// Row of the ledger.
    pub row: i64,
}

/// Deletes whose intents are durable in the ledger: what a mailbox needs before it deletes.
///
/// Only `ledger` makes one, on return of the commit that turned the rows from `archived` to
/// `deleting`.
#[derive(Debug)]
pub struct DeleteIntent {
    deletes: Vec<Deleting>,
}

impl DeleteIntent {
    /// Made by `ledger` alone, after its commit (checked by `tests/layers.rs`).
    pub(crate) fn committed(deletes: &[Delete]) -> Self {
        let deletes = deletes
            .iter()
            .map(|d| Deleting { key: d.key.clone(), number: d.number, row: d.copy.row })
            .collect();
        Self { deletes }
    }

    /// The deletes, in the order of the plan.
    pub fn deletes(&self) -> &[Deleting] {
        &self.deletes
    }
}

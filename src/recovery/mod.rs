//! What proves that tree and ledger say the same, and what puts them together again: verify,
//! rebuild, reconcile.
//!
//! Nothing here talks to a server, and nothing here removes a message or a ledger: an old ledger
//! is set aside under another name.

mod absent;
mod adopt;
mod rebuild;
mod verify;

use crate::archive::ArchiveError;
use crate::ledger::LedgerError;

pub use absent::Absent;
pub use adopt::{Outcome, Skipped};
pub use rebuild::{Place, finish, rebuild, reconcile, rehearse};
pub use verify::{Checked, Verifier};

/// What ends a verify, a rebuild or a reconcile.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

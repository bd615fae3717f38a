//! How messages leave a server, and the proof that a delete may leave this host.

use std::fmt;

use super::{Delete, MessageKey};

/// How a stored message leaves the server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum DeleteMode {
    /// It is removed: UID EXPUNGE, or DELE.
    #[default]
    Expunge,
    /// It is only marked `\Deleted`.
    Flag,
    /// It is moved to the mailbox of this name.
    Move(String),
    /// It is moved to the mailbox that the server calls `\Trash` (RFC 6154).
    Trash,
}

impl fmt::Display for DeleteMode {
    /// As the config has it: `expunge`, `flag`, `trash`, `move:FOLDER`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expunge => f.write_str("expunge"),
            Self::Flag => f.write_str("flag"),
            Self::Move(folder) => write!(f, "move:{folder}"),
            Self::Trash => f.write_str("trash"),
        }
    }
}

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

/// Deletes whose intents are durable in the ledger, all in one way: what a mailbox needs before it
/// deletes.
///
/// Only `ledger` makes one, on return of the commit that turned the rows from `archived` to
/// `deleting`.
#[derive(Debug)]
pub struct DeleteIntent {
    deletes: Vec<Deleting>,
    how: DeleteMode,
}

impl DeleteIntent {
    /// Made by `ledger` alone, after its commit (checked by `tests/layers.rs`).
    pub(crate) fn committed(deletes: &[Delete], how: DeleteMode) -> Self {
        let deletes = deletes
            .iter()
            .map(|d| Deleting { key: d.key.clone(), number: d.number, row: d.copy.row })
            .collect();
        Self { deletes, how }
    }

    /// The deletes, in the order of the plan.
    pub fn deletes(&self) -> &[Deleting] {
        &self.deletes
    }

    /// How the messages leave.
    pub fn how(&self) -> &DeleteMode {
        &self.how
    }
}

//! What the config says of mail that leaves the server: which, from when, how.

use std::fmt;

/// Which stored messages leave the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeleteRule {
    /// So many days of 24 hours after they were archived; 0: as soon as stored.
    AfterDays(u32),
    /// None.
    Never,
}

/// What the age of a stored message is counted from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DeleteAge {
    /// The moment it was received, by the server's date; never later than the storing.
    Received,
    /// The moment it was archived.
    #[default]
    Stored,
}

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

//! What the config says of mail that leaves the server: which, from when, how.

pub use crate::model::DeleteMode;

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

//! The domain's words: plain data that every layer shares.
//!
//! No I/O and no clock live here; a [`Timestamp`](jiff::Timestamp) is always handed in.

mod delete;
mod harmless;
mod identity;
mod key;
mod listing;
mod mechanism;
mod nearest;
mod plan;
mod size;
mod source;
mod stored;

pub use delete::{DeleteIntent, DeleteMode, Deleting};
pub use harmless::{harmless_json, is_harmful};
pub use identity::{Former, Sighting, origin};
pub use key::{FOLDER_SUFFIX_LEN, ID_LEN, IMPORTED, MessageId, MessageKey};
pub use listing::{Listed, Listing, Received, ReceivedBasis};
pub use mechanism::Mechanism;
pub use nearest::{nearest, one_of};
pub use plan::{
    Delete, DeleteReason, DeletesHeld, Fetch, FetchReason, Keep, KeepReason, LeftOver,
    LeftOverReason, Plan, Skip, SkipReason,
};
pub use size::{ByteSize, ParseByteSizeError};
pub use source::Source;
pub use stored::{AskedMove, Known, KnownState, Sha256, StoredCopy};

/// An account's name: the table's name in the config, `^[a-z0-9][a-z0-9._-]{0,63}$`.
pub type AccountName = std::sync::Arc<str>;

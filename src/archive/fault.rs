//! What can be wrong with a tree, where, and what a person does about it.

use serde::Serialize;

/// One thing that is not as it should be.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Fault {
    /// Below the archive root.
    pub path: String,
    /// What kind.
    #[serde(rename = "code")]
    pub kind: FaultKind,
    /// In words.
    pub what: String,
    /// The message was deleted on the server: the copy was all there is of it.
    #[serde(skip)]
    pub is_only_copy: bool,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// A file or the whole folder of a stored message is not there.
    CopyMissing,
    /// A file of a stored message isn't what was written.
    CopyModified,
    /// Something that postrider didn't write.
    Stranger,
    /// A name that postrider doesn't give.
    Name,
    /// Permissions wider than the config gives.
    Mode,
    /// A symbolic link.
    Link,
    /// Left in the stage by a run that died.
    Leftover,
    /// A placement that a dead run left open.
    Placing,
    /// A message folder that the ledger doesn't know.
    Orphan,
    /// A damaged folder that was moved out of the way.
    Quarantined,
    /// A folder that can't be read.
    Unreadable,
}

impl Fault {
    /// A fault at a path.
    pub fn new(kind: FaultKind, path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { path: path.into(), kind, what: what.into(), is_only_copy: false }
    }

    /// What a person does about it.
    pub fn remedy(&self) -> &'static str {
        match self.kind {
            FaultKind::CopyMissing | FaultKind::CopyModified if self.is_only_copy => {
                "restore the folder from a backup of the archive: its mail was deleted on the server"
            }
            FaultKind::CopyMissing | FaultKind::CopyModified => {
                "restore the folder from a backup of the archive; until then postrider deletes its \
                 mail nowhere"
            }
            FaultKind::Stranger | FaultKind::Link => "move it out of the archive root",
            FaultKind::Name => "rename it back, or move it out of the archive root",
            FaultKind::Mode => "chmod it to `archive.dir_mode` or `archive.file_mode`",
            FaultKind::Leftover => "nothing: the next start clears it",
            FaultKind::Placing => "nothing: the next poll of its account settles it",
            FaultKind::Orphan => "stop the daemon, then: postrider ledger reconcile",
            FaultKind::Quarantined => "check the disk, then remove the folder",
            FaultKind::Unreadable => "look at its owner and mode, and at the kernel's log",
        }
    }
}

impl FaultKind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CopyMissing => "copy-missing",
            Self::CopyModified => "copy-modified",
            Self::Stranger => "stranger",
            Self::Name => "name",
            Self::Mode => "mode",
            Self::Link => "link",
            Self::Leftover => "leftover",
            Self::Placing => "placing",
            Self::Orphan => "orphan",
            Self::Quarantined => "quarantined",
            Self::Unreadable => "unreadable",
        }
    }
}

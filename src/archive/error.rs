//! What can go wrong with the archive, cut by how far it reaches.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

/// An error of the archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The root or its marker is not there: not mounted, or never made.
    #[error("the archive root {} has no marker `.postrider-root`: {why}", root.display())]
    RootMissing {
        /// The root's path.
        root: PathBuf,
        /// What was found instead.
        why: String,
    },
    /// The root belongs to another ledger, or is another file system than at the start.
    #[error("the archive root {} is not the one this ledger belongs to: {why}", root.display())]
    RootChanged {
        /// The root's path.
        root: PathBuf,
        /// What differs.
        why: String,
    },
    /// Syncs failed one after the other, and a trial write failed, too.
    #[error("the archive is paused after {failed} failed syncs in a row; a trial write: {why}")]
    Paused {
        /// How many.
        failed: u32,
        /// What the trial said.
        why: String,
    },
    /// Another postrider uses the root.
    #[error("another postrider uses the archive root {}", root.display())]
    RootBusy {
        /// The root's path.
        root: PathBuf,
    },
    /// The root's file system can't do what the durable order needs.
    #[error("the archive root {} can't be used: {why}", root.display())]
    Unfit {
        /// The root's path.
        root: PathBuf,
        /// What it can't.
        why: String,
    },
    /// Free space or inodes are below what fetching leaves alone.
    #[error("{what}")]
    SpaceLow {
        /// Free space and limit.
        what: String,
    },
    /// A message folder stands where another one belongs.
    #[error("{path} exists already and holds something else")]
    Occupied {
        /// Relative to the root.
        path: String,
    },
    /// The file system refused.
    #[error("{act} {path}: {source}")]
    Io {
        /// What was done: `create`, `write`, `sync`, `rename`…
        act: &'static str,
        /// Relative to the root, or absolute outside it.
        path: String,
        /// Its error.
        #[source]
        source: io::Error,
    },
}

impl ArchiveError {
    /// An error of the file system.
    pub(crate) fn io(act: &'static str, path: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { act, path, source }
    }

    /// The stable code of its log record.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RootMissing { .. } => "root-missing",
            Self::RootChanged { .. } => "root-changed",
            Self::RootBusy { .. } => "lock-held",
            Self::Paused { .. } => "archive-paused",
            Self::Unfit { .. } => "root-unfit",
            Self::SpaceLow { .. } => "disk-low",
            Self::Occupied { .. } => "folder-occupied",
            Self::Io { source, .. } => match Errno::from_io_error(source) {
                Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => "disk-full",
                Some(Errno::ROFS) => "archive-read-only",
                _ => "archive-write-failed",
            },
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::RootMissing { root, .. } => {
                format!("mount the archive; for a new one: postrider init-root {}", root.display())
            }
            Self::RootChanged { .. } => {
                "mount the right file system, or restore the ledger that belongs to it".to_owned()
            }
            Self::RootBusy { .. } => "one root belongs to one postrider".to_owned(),
            Self::SpaceLow { .. } => "free some space; polling goes on by itself".to_owned(),
            Self::Paused { .. } => {
                "check the disk and the kernel's log; polls go on by themselves once it takes a \
                 write again"
                    .to_owned()
            }
            Self::Unfit { .. } => "put the whole root on one local file system".to_owned(),
            Self::Occupied { .. } => "move that folder away".to_owned(),
            Self::Io { source, .. } => match self.code() {
                "disk-full" => "free some space; polling goes on by itself".to_owned(),
                "archive-read-only" => "mount the archive writable; under systemd, the unit's \
                                        ReadWritePaths must name it"
                    .to_owned(),
                _ if Errno::from_io_error(source) == Some(Errno::XDEV) => {
                    "what is below the root must be one file system".to_owned()
                }
                _ => return None,
            },
        };
        Some(hint)
    }
}

//! A batch of staged messages: made durable, then moved into the dated tree.
//!
//! The order is the promise (`docs/safety.md`): 1 sync what was staged, 2 the ledger commits the
//! intent, 3 rename, 4 sync the folders, 5 the ledger commits the fact. Steps 2 and 5 are the
//! caller's, `poll::commit`.

use std::collections::BTreeMap;
use std::io;

use super::dir::Folder;
use super::error::ArchiveError;
use super::layout::split;
use super::root::STAGE;
use super::stage::Modes;
use crate::model::{MessageId, Sha256};

/// With more changed folders than this, one `syncfs` costs less than an `fsync` each.
const FOLDERS_BY_FSYNC: usize = 4;

/// How written data is made durable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SyncMode {
    /// Each file and folder by itself: network and unusual file systems.
    Each,
    /// The whole file system at once; reports write errors since Linux 5.8.
    FileSystem,
}

/// A message folder that is complete in the stage.
#[derive(Clone, Debug)]
pub struct Staged {
    /// The message's id, which is the folder's name in the stage.
    pub id: MessageId,
    /// Where it goes, relative to the root.
    pub path: String,
    /// Octets of `message.eml`.
    pub size: u64,
    /// Of `message.eml`.
    pub sha256: Sha256,
    /// Of `message.json`.
    pub json_sha256: Sha256,
}

/// What became of a rename.
#[derive(Debug)]
pub enum Placed {
    /// The folder is in the tree.
    Moved,
    /// Something stands there already; the stage folder is still in the stage.
    Occupied,
}

/// The means to sync and place batches.
///
/// Clones share one handle on the file system. `syncfs` reports a write error once for each
/// handle, so an error that one batch meets may be another's: it ends all that share the handle.
#[derive(Clone, Debug)]
pub struct Batch {
    root: Folder,
    stage: Folder,
    modes: Modes,
    mode: SyncMode,
}

impl Batch {
    /// Must begin before the first write: its handle reports write errors from now on.
    pub(super) fn begin(root: &Folder, modes: Modes, mode: SyncMode) -> Result<Self, ArchiveError> {
        let root = root.again().map_err(ArchiveError::io("open", "archive root"))?;
        let stage = root.folder(STAGE).map_err(ArchiveError::io("open", STAGE))?;
        Ok(Self { root, stage, modes, mode })
    }

    /// Makes all staged folders durable, with their contents.
    ///
    /// After an error nothing of the batch may be used: the kernel has marked the lost pages
    /// clean, a second sync would return success.
    pub fn sync_staged(&self, staged: &[Staged]) -> Result<(), ArchiveError> {
        match self.mode {
            SyncMode::FileSystem => {
                self.root.sync_file_system().map_err(ArchiveError::io("sync", "archive root"))
            }
            SyncMode::Each => {
                for message in staged {
                    sync_tree(&self.stage, message.id.as_str())
                        .map_err(ArchiveError::io("sync", format!("{STAGE}/{}", message.id)))?;
                }
                self.stage.sync().map_err(ArchiveError::io("sync", STAGE))
            }
        }
    }

    /// Moves the staged folders into the tree, in order, and makes that durable.
    ///
    /// On an error some may be moved and some not: the ledger's intent rows tell at the next
    /// start, or to [`super::Archive::settle`].
    pub fn place(&self, staged: &[Staged]) -> Result<Vec<Placed>, ArchiveError> {
        let mut dated: BTreeMap<&str, Folder> = BTreeMap::new();
        let mut changed: BTreeMap<String, Folder> = BTreeMap::new();
        let mut placed = Vec::with_capacity(staged.len());
        for message in staged {
            let (parent, name) = split(&message.path);
            if !dated.contains_key(parent) {
                let made = self.make_chain(parent, &mut changed);
                dated.insert(parent, made.map_err(ArchiveError::io("make", parent))?);
            }
            let Some(to) = dated.get(parent) else { continue };
            placed.push(match self.stage.rename(message.id.as_str(), to, name) {
                Ok(()) => Placed::Moved,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Placed::Occupied,
                Err(error) => return Err(ArchiveError::io("rename", &message.path)(error)),
            });
            if !changed.contains_key(parent) {
                changed.insert(parent.to_owned(), to.clone());
            }
        }
        self.sync_changed(&changed)?;
        Ok(placed)
    }

    /// Opens the folder of a path, making what is missing; remembers each folder that changed.
    fn make_chain(&self, path: &str, changed: &mut BTreeMap<String, Folder>) -> io::Result<Folder> {
        let mut at = self.root.clone();
        let mut walked = String::from(".");
        for name in path.split('/') {
            let (next, made) = at.open_or_make(name, self.modes.dir)?;
            if made {
                changed.insert(walked.clone(), at);
            }
            walked = if walked == "." { name.to_owned() } else { format!("{walked}/{name}") };
            at = next;
        }
        Ok(at)
    }

    /// A folder that moves between parents changes both: the stage is synced too.
    fn sync_changed(&self, changed: &BTreeMap<String, Folder>) -> Result<(), ArchiveError> {
        if self.mode == SyncMode::FileSystem && changed.len() > FOLDERS_BY_FSYNC {
            return self.root.sync_file_system().map_err(ArchiveError::io("sync", "archive root"));
        }
        for (path, folder) in changed {
            folder.sync().map_err(ArchiveError::io("sync", path))?;
        }
        self.stage.sync().map_err(ArchiveError::io("sync", STAGE))
    }
}

/// Syncs a folder's files and folders, from the leaves up.
pub(super) fn sync_tree(parent: &Folder, name: &str) -> io::Result<()> {
    let folder = parent.folder(name)?;
    for entry in folder.names()? {
        match folder.read(&entry) {
            Ok(file) => {
                super::steps::pass("fsync")?;
                file.sync_all()?;
            }
            Err(_) => sync_tree(&folder, &entry)?,
        }
    }
    folder.sync()
}

//! A batch of staged messages: made durable, then moved into the dated tree.
//!
//! The order is the promise (`docs/safety.md`): 1 sync what was staged, 2 the ledger commits the
//! intent, 3 rename, 4 sync the folders, 5 the ledger commits the fact. Steps 2 and 5 are the
//! caller's, `poll::commit`.

use std::collections::BTreeMap;
use std::io;

use super::dir::Folder;
use super::durable::Durable;
use super::error::ArchiveError;
use super::health::Health;
use super::layout::split;
use super::root::STAGE;
use super::stage::Modes;
use crate::model::{MessageId, Sha256};
use crate::steps::{self, Sync};

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
    disk: Disk,
}

/// What all batches of a root share.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) durable: Durable,
    pub(super) health: Health,
}

/// Folders that a placement has to sync.
#[derive(Default)]
struct Changed {
    folders: BTreeMap<String, Folder>,
    /// Folders whose entries become durable by that.
    seen: Vec<String>,
}

impl Batch {
    /// Must begin before the first write: its handle reports write errors from now on.
    pub(super) fn begin(
        root: &Folder,
        modes: Modes,
        mode: SyncMode,
        disk: &Disk,
    ) -> Result<Self, ArchiveError> {
        let root = root.again().map_err(ArchiveError::io("open", "archive root"))?;
        let stage = root.folder(STAGE).map_err(ArchiveError::io("open", STAGE))?;
        Ok(Self { root, stage, modes, mode, disk: disk.clone() })
    }

    /// Makes all staged folders durable, with their contents.
    ///
    /// After an error nothing of the batch may be used: the kernel has marked the lost pages
    /// clean, a second sync would return success.
    pub fn sync_staged(&self, staged: &[Staged]) -> Result<(), ArchiveError> {
        if steps::skips(Sync::Files) {
            return Ok(());
        }
        self.disk.health.note(self.sync_contents(staged))
    }

    fn sync_contents(&self, staged: &[Staged]) -> Result<(), ArchiveError> {
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
        let mut changed = Changed::default();
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
            if !changed.folders.contains_key(parent) {
                changed.folders.insert(parent.to_owned(), to.clone());
            }
        }
        if !steps::skips(Sync::Folders) {
            self.disk.health.note(self.sync_changed(&changed.folders))?;
            self.disk.durable.learn(changed.seen);
        }
        Ok(placed)
    }

    /// Opens the folder of a path, making what is missing; remembers each folder that has an entry
    /// which is new, or which this process never synced.
    fn make_chain(&self, path: &str, changed: &mut Changed) -> io::Result<Folder> {
        let mut at = self.root.clone();
        let mut walked = String::from(".");
        for name in path.split('/') {
            let below = if walked == "." { name.to_owned() } else { format!("{walked}/{name}") };
            let next = match at.folder(name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.disk.durable.forget(&below);
                    at.open_or_make(name, self.modes.dir)?.0
                }
                found => found?,
            };
            if !self.disk.durable.has(&below) {
                changed.folders.insert(walked, at);
                changed.seen.push(below.clone());
            }
            walked = below;
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
                steps::pass("fsync")?;
                file.sync_all()?;
            }
            Err(_) => sync_tree(&folder, &entry)?,
        }
    }
    folder.sync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_that_another_batch_has_made_and_not_yet_synced_is_synced_by_ours_too() {
        let temp = tempfile::tempdir().unwrap();
        let root = Folder::open(temp.path()).unwrap();
        root.make(STAGE, 0o700).unwrap();
        let modes = Modes { dir: 0o750, file: 0o640 };
        let disk = Disk::default();
        let batch = || Batch::begin(&root, modes, SyncMode::Each, &disk).unwrap();
        let walk = |batch: &Batch| {
            let mut changed = Changed::default();
            batch.make_chain("2026/a", &mut changed).unwrap();
            let folders: Vec<String> = changed.folders.keys().cloned().collect();
            (folders, changed.seen)
        };
        let (one, two) = (batch(), batch());
        let (first, seen) = walk(&one);
        assert_eq!(
            (first, &*seen),
            (vec![".".into(), "2026".into()], &["2026", "2026/a"].map(String::from)[..])
        );
        let (second, _) = walk(&two);
        assert_eq!(second, [".", "2026"], "the other batch may die before it syncs");
        disk.durable.learn(seen);
        assert_eq!(walk(&two), (vec![], vec![]), "known to be durable");
        root.remove_all("2026").unwrap();
        let (anew, _) = walk(&two);
        assert_eq!(anew, [".", "2026"], "made anew");
    }
}

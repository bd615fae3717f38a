//! The archive: message folders in a dated tree, each whole or not there at all.
//!
//! Synchronous: callers run it off the runtime's threads. Knows nothing of servers and keeps no
//! state of its own beyond the tree; what is stored is the ledger's knowledge.

mod batch;
pub mod component;
pub mod dir;
pub mod document;
mod durable;
mod error;
mod fault;
mod health;
mod inspect;
pub mod layout;
pub mod parts;
pub mod root;
mod space;
mod stage;
mod survey;
mod verify;

use std::io::Read;

use jiff::Timestamp;

use crate::config::{ArchiveConfig, WritePart};
use crate::model::{ByteSize, MessageId, MessageKey, Sha256, StoredCopy};
use crate::steps::{self, Sync};

pub use batch::{Batch, Placed, Staged, SyncMode};
pub use error::ArchiveError;
pub use fault::{Fault, FaultKind};
pub use inspect::{Depth, FoundCopy, Reader};
use layout::Layout;
use root::{QUARANTINE, Root, STAGE};
pub use space::{FileSystem, Space};
pub use stage::{InStage, Modes, PartWriter, Raw, Staging};
pub use survey::{Seen, Survey};
pub use verify::{CopyFault, digest};

/// One archive root, opened for writing.
#[derive(Debug)]
pub struct Archive {
    root: Root,
    stage: dir::Folder,
    layout: Layout,
    modes: Modes,
    write: Vec<WritePart>,
    timezone_name: String,
    min_free: ByteSize,
    file_system: FileSystem,
    sync: SyncMode,
    disk: batch::Disk,
}

impl Archive {
    /// Opens the stage of a root that is locked and bound, and clears what a dead process left.
    pub fn open(root: Root, config: &ArchiveConfig) -> Result<Self, ArchiveError> {
        let io = ArchiveError::io("open", STAGE);
        let (stage, _) = root.folder().open_or_make(STAGE, 0o700).map_err(io)?;
        for name in stage.names().map_err(ArchiveError::io("list", STAGE))? {
            if MessageId::parse(&name).is_some() {
                stage.remove_all(&name).map_err(ArchiveError::io("clear", STAGE))?;
            }
        }
        health::is_fit(root.folder(), &stage)
            .map_err(|why| ArchiveError::Unfit { root: root.path().to_owned(), why })?;
        let file_system = FileSystem::of(root.folder());
        Ok(Self {
            stage,
            layout: Layout::new(&config.layout, config.timezone.clone()),
            modes: Modes { dir: config.dir_mode, file: config.file_mode },
            write: config.write.clone(),
            timezone_name: config.timezone_name.clone(),
            min_free: config.min_free,
            file_system,
            sync: file_system.sync_mode(),
            disk: batch::Disk::default(),
            root,
        })
    }

    /// Whether the root is still the right one, has room at all, and takes writes.
    pub fn check(&self) -> Result<(), ArchiveError> {
        self.root.check()?;
        self.room(0, 16)?;
        self.disk.health.check(self.root.folder(), &self.stage, self.sync)
    }

    /// Whether there is room for so many more octets and files.
    pub fn room(&self, wanted: u64, files: u64) -> Result<(), ArchiveError> {
        Space::of(self.root.folder())?.allows(self.min_free, wanted, files)
    }

    /// The root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// What the root is on.
    pub fn file_system(&self) -> FileSystem {
        self.file_system
    }

    /// Whether a part of a message is written beside `message.eml` and `message.json`.
    pub fn writes(&self, part: WritePart) -> bool {
        self.write.contains(&part)
    }

    /// The zone's name, for `message.json`.
    pub fn timezone_name(&self) -> &str {
        &self.timezone_name
    }

    /// Where a message's folder goes, relative to the root.
    pub fn path(&self, account: &str, key: &MessageKey, received: Timestamp) -> String {
        self.layout.path(account, &key.id(account), received)
    }

    /// Begins a batch; before its first message.
    pub fn batch(&self) -> Result<Batch, ArchiveError> {
        Batch::begin(self.root.folder(), self.modes, self.sync, &self.disk)
    }

    /// Begins a message in the stage.
    pub fn stage(&self, id: MessageId) -> Result<Staging, ArchiveError> {
        Staging::begin(&self.stage, id, self.modes)
    }

    /// Whether a stored copy is there, whole and unchanged.
    pub fn verify(&self, copy: &StoredCopy) -> Result<(), CopyFault> {
        verify::verify(self.root.folder(), copy)
    }

    /// Finds out what became of a placement that was cut short, after a `placing` row.
    ///
    /// A whole folder is made durable where it stands; a damaged one is moved to the quarantine;
    /// a missing one was never moved, and its stage folder is removed.
    pub fn settle(&self, id: &MessageId, copy: &StoredCopy) -> Result<Settled, ArchiveError> {
        let io = |act| ArchiveError::io(act, &copy.path);
        if !self.root.folder().has(&copy.path).map_err(io("look for"))? {
            self.stage.remove_all(id.as_str()).map_err(ArchiveError::io("clear", STAGE))?;
            return Ok(Settled::Absent);
        }
        let fault = match self.verify(copy) {
            Ok(()) => {
                self.sync_chain(&copy.path)?;
                return Ok(Settled::Whole);
            }
            Err(CopyFault::Unreadable { what }) => {
                return Err(ArchiveError::io("verify", &copy.path)(std::io::Error::other(what)));
            }
            Err(fault) => fault,
        };
        // A copy of the same octets that stood there before: the ledger had lost it.
        if let Some(found) = self.find(&copy.path, id).filter(|f| f.sha256 == copy.sha256) {
            let older = StoredCopy { json_sha256: found.json_sha256, ..copy.clone() };
            if self.verify(&older).is_ok() {
                self.stage.remove_all(id.as_str()).map_err(ArchiveError::io("clear", STAGE))?;
                self.make_durable(&copy.path)?;
                return Ok(Settled::Adopted(found.json_sha256));
            }
        }
        self.quarantine(&copy.path)?;
        Ok(Settled::Damaged(fault))
    }

    /// What stands at a path, if it is a copy of the message with this id: octets, digests.
    pub fn find(&self, path: &str, id: &MessageId) -> Option<Staged> {
        let folder = self.root.folder().folder(path).ok()?;
        let (sha256, size) = digest(folder.read("message.eml").ok()?).ok()?;
        let mut text = Vec::new();
        folder.read("message.json").ok()?.take(64 << 20).read_to_end(&mut text).ok()?;
        let found: document::Identity = serde_json::from_slice(&text).ok()?;
        let (json_sha256, _) = digest(text.as_slice()).ok()?;
        let same = found.id == id.as_str() && found.sha256 == sha256.to_hex();
        same.then(|| Staged { id: id.clone(), path: path.to_owned(), size, sha256, json_sha256 })
    }

    /// Makes a folder that was found in the tree durable, with its contents: who put it there may
    /// have died before its own sync.
    pub fn make_durable(&self, path: &str) -> Result<(), ArchiveError> {
        if self.sync == SyncMode::Each {
            batch::sync_tree(self.root.folder(), path).map_err(ArchiveError::io("sync", path))?;
        }
        self.sync_chain(path)
    }

    /// Makes copies durable once more before the server's are deleted: a root that was copied or
    /// restored to another disk holds files that were synced elsewhere, and never there.
    pub fn make_all_durable<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), ArchiveError> {
        if steps::skips(Sync::Files) || steps::skips(Sync::Folders) {
            return Ok(());
        }
        match self.sync {
            SyncMode::FileSystem => self.sync_chain("."),
            SyncMode::Each => paths.into_iter().try_for_each(|path| self.make_durable(path)),
        }
    }

    fn sync_chain(&self, path: &str) -> Result<(), ArchiveError> {
        let io = |path: &str| ArchiveError::io("sync", path.to_owned());
        let root = self.root.folder();
        if self.sync == SyncMode::FileSystem {
            return root.sync_file_system().map_err(io(path));
        }
        let mut at = path;
        while at != "." {
            at = layout::split(at).0;
            root.folder(at).and_then(|folder| folder.sync()).map_err(io(at))?;
        }
        Ok(())
    }

    fn quarantine(&self, path: &str) -> Result<(), ArchiveError> {
        let io = |act| ArchiveError::io(act, path);
        let root = self.root.folder();
        let (to, _) = root.open_or_make(QUARANTINE, 0o700).map_err(io("quarantine"))?;
        let (parent, name) = layout::split(path);
        let parent = root.folder(parent).map_err(io("quarantine"))?;
        let mut target = name.to_owned();
        for n in 2..1000_u32 {
            match parent.rename(name, &to, &target) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    target = format!("{name}.{n}");
                }
                moved => return moved.map_err(io("quarantine")),
            }
        }
        Err(io("quarantine")(std::io::Error::other("too many of this name")))
    }
}

/// The end of a placement that was cut short.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Settled {
    /// It never got into the tree.
    Absent,
    /// Another copy of the same message stands there, whole, with this `message.json`.
    Adopted(Sha256),
    /// It was there, but not whole, and is in the quarantine now.
    Damaged(CopyFault),
    /// It is in the tree, durable.
    Whole,
}

#[cfg(test)]
mod tests;

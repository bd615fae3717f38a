//! The archive root: its marker, its lock, and whether it is still the right one.
//!
//! A root exists only where `init-root` made it. An unmounted file system therefore shows as a
//! missing marker, and nothing is written to the bare mount point.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::dir::Folder;
use super::error::ArchiveError;
use crate::steps;

/// The marker's file name.
pub const MARKER: &str = ".postrider-root";
/// The marker that is about to replace it.
pub(super) const NEW: &str = ".postrider-root.new";
/// Messages on their way into the tree; same file system, mode 0700.
pub const STAGE: &str = ".stage";
/// Folders that were found damaged, moved out of the way.
pub const QUARANTINE: &str = ".quarantine";

/// What the marker says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Marker {
    /// Names this root.
    pub root: Uuid,
    /// The ledger that it is bound to; null until the first run.
    pub ledger: Option<Uuid>,
    /// Counts the starts of a writing postrider; the ledger holds the same number or a newer one.
    pub generation: u64,
}

/// An archive root that is held open.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    folder: Folder,
    identity: (u64, u64),
    marker: Marker,
}

/// Makes a root, with an unbound marker. The folder itself is made, its parent must exist.
///
/// A root that has a marker is left as it is.
pub fn init(path: &Path, dir_mode: u32) -> Result<InitRoot, ArchiveError> {
    let io = |act| ArchiveError::io(act, path.display().to_string());
    let folder = match Folder::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
            let parent =
                Folder::open(parent.unwrap_or(Path::new("."))).map_err(io("open parent of"))?;
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            parent.make(name, dir_mode).map_err(io("make"))?;
            parent.sync().map_err(io("sync parent of"))?;
            Folder::open(path).map_err(io("open"))?
        }
        found => found.map_err(io("open"))?,
    };
    if folder.has(MARKER).map_err(io("look into"))? {
        return Ok(InitRoot::Existed);
    }
    if folder.names().map_err(io("list"))?.iter().any(|name| name != "lost+found") {
        return Err(ArchiveError::RootMissing {
            root: path.to_owned(),
            why: "the folder is not empty; an archive root begins empty".to_owned(),
        });
    }
    let marker = Marker { root: Uuid::new_v4(), ledger: None, generation: 0 };
    write_marker(&folder, &marker).map_err(io("write marker of"))?;
    Ok(InitRoot::Made)
}

/// What [`init`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InitRoot {
    /// There was a root already.
    Existed,
    /// The root is new.
    Made,
}

impl Root {
    /// Opens a root and reads its marker, for reading only.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let folder = Folder::open(path).map_err(|error| missing(path, error))?;
        let marker = read_marker(&folder).map_err(|error| missing(path, error))?;
        let identity = folder.identity().map_err(|error| missing(path, error))?;
        Ok(Self { path: path.to_owned(), folder, identity, marker })
    }

    /// Takes the root for this process alone, until it ends.
    ///
    /// The lock is on the folder, not on the marker: the marker is replaced at each start.
    pub fn lock(&self) -> Result<(), ArchiveError> {
        let busy = ArchiveError::RootBusy { root: self.path.clone() };
        let lock = FlockOperation::NonBlockingLockExclusive;
        rustix::fs::flock(self.folder.fd(), lock).map_err(|_| busy)
    }

    /// Binds the root to a ledger and sets the generation; durable on return.
    pub fn bind(&mut self, ledger: Uuid, generation: u64) -> Result<(), ArchiveError> {
        let marker = Marker { ledger: Some(ledger), generation, ..self.marker.clone() };
        write_marker(&self.folder, &marker)
            .map_err(ArchiveError::io("write", format!("{}/{MARKER}", self.path.display())))?;
        self.marker = marker;
        Ok(())
    }

    /// Raises the generation in the marker while polls go on; durable on return.
    pub fn raise(&self, ledger: Uuid, generation: u64) -> Result<(), ArchiveError> {
        let marker = Marker { ledger: Some(ledger), generation, ..self.marker.clone() };
        write_marker(&self.folder, &marker)
            .map_err(ArchiveError::io("write", format!("{}/{MARKER}", self.path.display())))
    }

    /// Whether the path still leads to the root that was opened: a fresh look-up, so that an
    /// unmount (also a lazy one) or another file system mounted over it is seen.
    pub fn check(&self) -> Result<(), ArchiveError> {
        let now = Folder::open(&self.path).map_err(|error| missing(&self.path, error))?;
        let marker = read_marker(&now).map_err(|error| missing(&self.path, error))?;
        let identity = now.identity().map_err(|error| missing(&self.path, error))?;
        if identity == self.identity && marker.root == self.marker.root {
            return Ok(());
        }
        let why = "another file system is mounted there now".to_owned();
        Err(ArchiveError::RootChanged { root: self.path.clone(), why })
    }

    /// Whether the tree holds anything beside postrider's own dot files.
    pub fn is_empty(&self) -> Result<bool, ArchiveError> {
        let names = self.folder.names().map_err(ArchiveError::io("list", "archive root"))?;
        Ok(names.iter().all(|name| name.starts_with('.') || name == "lost+found"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The held folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// What the marker says.
    pub fn marker(&self) -> &Marker {
        &self.marker
    }
}

/// What a failed look means: that the process is short of something says nothing about the root,
/// and passes by itself.
fn missing(root: &Path, error: std::io::Error) -> ArchiveError {
    use rustix::io::Errno;
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOMEM].map(|errno| Some(errno.raw_os_error()));
    if short.contains(&error.raw_os_error()) {
        return ArchiveError::io("look at", root.display().to_string())(error);
    }
    ArchiveError::RootMissing { root: root.to_owned(), why: error.to_string() }
}

fn read_marker(folder: &Folder) -> std::io::Result<Marker> {
    let mut text = String::new();
    folder.read(MARKER)?.take(4096).read_to_string(&mut text)?;
    serde_json::from_str(&text).map_err(std::io::Error::other)
}

/// Writes the marker beside, syncs it, renames it over the old one, and syncs the folder.
fn write_marker(folder: &Folder, marker: &Marker) -> std::io::Result<()> {
    folder.remove_all(NEW)?;
    let mut file = folder.create(NEW, 0o440)?;
    file.write_all(serde_json::to_string(marker)?.as_bytes())?;
    file.write_all(b"\n")?;
    steps::pass("fsync")?;
    file.sync_all()?;
    steps::pass("rename")?;
    rustix::fs::renameat(folder.fd(), NEW, folder.fd(), MARKER)?;
    folder.sync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_made_once_and_bound_later() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("mail");
        assert_eq!(init(&path, 0o750).unwrap(), InitRoot::Made);
        assert_eq!(init(&path, 0o750).unwrap(), InitRoot::Existed);
        let mut root = Root::open(&path).unwrap();
        assert_eq!(root.marker().ledger, None);
        let ledger = Uuid::new_v4();
        root.bind(ledger, 3).unwrap();
        let again = Root::open(&path).unwrap();
        assert_eq!((again.marker().ledger, again.marker().generation), (Some(ledger), 3));
        assert_eq!(again.marker().root, root.marker().root);
    }

    #[test]
    fn a_bare_mount_point_is_no_root() {
        let temp = tempfile::tempdir().unwrap();
        let error = Root::open(temp.path()).unwrap_err();
        assert_eq!(error.code(), "root-missing");
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_root_that_was_replaced_is_noticed() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("mail");
        init(&path, 0o750).unwrap();
        let root = Root::open(&path).unwrap();
        root.check().unwrap();
        let old = temp.path().join("old");
        rustix::fs::rename(&path, &old).unwrap();
        assert_eq!(root.check().unwrap_err().code(), "root-missing");
        init(&path, 0o750).unwrap();
        assert_eq!(root.check().unwrap_err().code(), "root-changed");
    }

    #[test]
    fn a_folder_with_other_things_is_not_made_a_root() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::File::create(temp.path().join("x")).unwrap();
        assert!(init(temp.path(), 0o750).is_err());
    }

    #[test]
    fn a_second_lock_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("mail");
        init(&path, 0o750).unwrap();
        let (one, two) = (Root::open(&path).unwrap(), Root::open(&path).unwrap());
        one.lock().unwrap();
        assert_eq!(two.lock().unwrap_err().code(), "lock-held");
    }
}

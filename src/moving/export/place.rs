//! Where an export comes to be: under a hidden name beside its place, and there whole or not at
//! all.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::archive::dir::Folder;
use crate::archive::root::Root;

/// A place that nothing is at, and what is being written for it.
#[derive(Debug)]
pub(super) struct Place {
    parent: Folder,
    name: String,
    /// Held as long as it is written.
    lock: File,
    done: bool,
}

/// What is written there.
#[derive(Debug)]
pub(super) enum Begun {
    /// A file,
    File(File),
    /// or a folder.
    Folder(Folder),
}

impl Place {
    /// Takes a place. What a process that died has left for it is removed.
    ///
    /// [`ErrorKind::AlreadyExists`] when something is there, [`ErrorKind::WouldBlock`] when another
    /// process writes it now.
    pub(super) fn take(path: &Path, root: &Root) -> Result<Self> {
        let path = std::path::absolute(path)?;
        let (folder, name) = split(&path)?;
        let inside = folder.canonicalize()?.starts_with(root.path().canonicalize()?);
        if inside {
            return Err(Error::other("it is in the archive, which holds nothing but its own"));
        }
        let parent = Folder::open(&folder)?;
        if parent.has(&name)? {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let lock = File::open(&folder)?;
        // One export at a time in a folder: nobody removes what another one writes.
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let place = Self { parent, name, lock, done: false };
        place.parent.remove_all(&place.part())?;
        Ok(place)
    }

    /// Begins a file.
    pub(super) fn file(&self) -> Result<Begun> {
        Ok(Begun::File(self.parent.create(&self.part(), 0o600)?))
    }

    /// Begins a folder.
    pub(super) fn folder(&self) -> Result<Begun> {
        self.parent.make(&self.part(), 0o700)?;
        Ok(Begun::Folder(self.parent.folder(&self.part())?))
    }

    /// What was written, durable, comes to its place, if still nothing is there.
    pub(super) fn put(mut self, written: &Begun) -> Result<()> {
        match written {
            Begun::File(file) => file.sync_all()?,
            // One call for all of it, instead of one for each file.
            Begun::Folder(folder) => folder.sync_file_system()?,
        }
        self.parent.rename(&self.part(), &self.parent, &self.name)?;
        self.done = true;
        self.parent.sync()
    }

    fn part(&self) -> String {
        format!(".{}.part", self.name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.done {
            // The next export there removes what is left.
            self.parent.remove_all(&self.part()).ok();
        }
        rustix::fs::flock(&self.lock, FlockOperation::Unlock).ok();
    }
}

/// The folder and the name in it.
fn split(path: &Path) -> Result<(PathBuf, String)> {
    let unfit = || Error::new(ErrorKind::InvalidInput, "it has no name that can be written");
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(unfit)?;
    let folder = path.parent().ok_or_else(unfit)?;
    Ok((folder.to_owned(), name.to_owned()))
}

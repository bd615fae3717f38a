//! Puts a change of several config files in place, so that all of it counts or nothing.
//!
//! 1. The redo log with every new text is written beside the main file, synced and renamed to its
//!    name. From then on the change counts ([`crate::config::load`] reads it from there).
//! 2. Each file is written beside the old one, synced and renamed over it; or removed.
//! 3. The redo log is removed.
//!
//! A process that dies in 1 has changed nothing; one that dies in 2 or 3 is gone on with by the
//! next change.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Result, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::fs::{PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};

use crate::config::Pending;
use crate::steps;

/// Who may read a file: its owner, group and permission bits.
#[derive(Clone, Copy, Debug)]
struct Access {
    uid: u32,
    gid: u32,
    mode: u32,
}

/// Keeps other changes of these files away until it is dropped.
#[derive(Debug)]
pub struct Changing {
    main: PathBuf,
    folder: File,
}

impl Changing {
    /// Takes the folder of the main file, and ends a change that was cut.
    ///
    /// Fails with [`ErrorKind::WouldBlock`] when another process changes the files now.
    pub fn begin(main: &Path) -> Result<Self> {
        let main = std::path::absolute(main)?;
        let folder = File::open(parent(&main))?;
        rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
        let changing = Self { main, folder };
        changing.finish()?;
        Ok(changing)
    }

    /// Puts the change in place; all of it, or nothing when it fails before its log is written.
    pub fn put(&self, change: &Pending) -> Result<()> {
        let log = Pending::path(&self.main);
        let json = change.to_json();
        write(&log, json.as_bytes(), self.log_access(change)?)?;
        self.apply(change)
    }

    /// Goes on with a change whose log is there.
    fn finish(&self) -> Result<()> {
        let change = Pending::cut(&self.main).map_err(|problem| Error::other(problem.message))?;
        match change {
            Some(change) => self.apply(&change),
            None => Ok(()),
        }
    }

    fn apply(&self, change: &Pending) -> Result<()> {
        let main = Access::of(&self.main.metadata()?);
        for (file, text) in change.files() {
            match text {
                Some(text) => {
                    make_folder(parent(file), parent(&self.main))?;
                    let access = file.metadata().map_or(main, |meta| Access::of(&meta));
                    write(file, text.as_bytes(), access)?;
                }
                None => remove(file)?,
            }
        }
        remove(&Pending::path(&self.main))?;
        self.folder.sync_all()
    }

    /// Of the redo log: whoever may not read one of the files may not read it there.
    fn log_access(&self, change: &Pending) -> Result<Access> {
        let mut access = Access::of(&self.main.metadata()?);
        for file in change.files().keys() {
            let Ok(meta) = file.metadata() else { continue };
            let other = Access::of(&meta);
            access.mode &= other.mode;
            if other.gid != access.gid {
                access.mode &= 0o600;
            }
        }
        access.mode |= 0o600;
        Ok(access)
    }
}

impl Access {
    fn of(meta: &Metadata) -> Self {
        Self { uid: meta.uid(), gid: meta.gid(), mode: meta.mode() & 0o666 }
    }
}

/// Writes a file beside its place, syncs it, and renames it there.
fn write(path: &Path, octets: &[u8], access: Access) -> Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    let new = path.with_file_name(name);
    let no_links = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(no_links);
    steps::pass("write a config file")?;
    let mut file = options.open(&new)?;
    // A file that a crash left may be another user's, or open to more than it should.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(octets)?;
    own(&file, access)?;
    file.set_permissions(Permissions::from_mode(access.mode))?;
    file.sync_all()?;
    steps::pass("rename a config file")?;
    rustix::fs::rename(&new, path)?;
    steps::pass("sync a config folder")?;
    File::open(parent(path))?.sync_all()
}

/// Gives a file the owner of the one it replaces, as far as this user may.
fn own(file: &File, access: Access) -> Result<()> {
    let meta = file.metadata()?;
    if (meta.uid(), meta.gid()) == (access.uid, access.gid) {
        return Ok(());
    }
    match fchown(file, Some(access.uid), Some(access.gid)) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let what = format!(
                "a file of uid {} and gid {} can't be replaced by this user; run it as root",
                access.uid, access.gid
            );
            Err(Error::new(ErrorKind::PermissionDenied, what))
        }
        done => done,
    }
}

fn remove(path: &Path) -> Result<()> {
    steps::pass("remove a config file")?;
    match rustix::fs::unlink(path) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    File::open(parent(path))?.sync_all()
}

/// Makes a folder that includes name, open to whom the main file's folder is.
fn make_folder(folder: &Path, like: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let meta = like.metadata()?;
    DirBuilder::new().mode(meta.mode() & 0o777).create(folder)?;
    let made = File::open(folder)?;
    own(&made, Access { uid: meta.uid(), gid: meta.gid(), mode: 0 })?;
    made.set_permissions(Permissions::from_mode(meta.mode() & 0o777))?;
    File::open(parent(folder))?.sync_all()
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a secret to a file of its own, mode 0600, in a folder that only its owner enters.
pub fn keep_secret(path: &Path, secret: &str) -> Result<()> {
    let folder = parent(path);
    if !folder.is_dir() {
        DirBuilder::new().mode(0o700).create(folder)?;
        File::open(parent(folder))?.sync_all()?;
    }
    let meta = folder.metadata()?;
    write(path, secret.as_bytes(), Access { uid: meta.uid(), gid: meta.gid(), mode: 0o600 })
}

/// Removes such a file.
pub fn remove_secret(path: &Path) -> Result<()> {
    remove(path)
}

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
use zeroize::Zeroizing;

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

    /// Puts the change in place; all of it, or nothing. An error that [`counts`] tells is of a
    /// change that is in force, though not every file says so yet.
    pub fn put(&self, change: &Pending) -> Result<()> {
        let log = Pending::path(&self.main);
        let json = change.to_json();
        let access = self.log_access(change)?;
        let done = write(&log, json.as_bytes(), access).and_then(|()| self.apply(change));
        let Err(error) = done else { return Ok(()) };
        // Its log gone, a change that has replaced nothing has never been.
        let is_gone = || log.symlink_metadata().is_err();
        if is_gone() || (!has_begun(change) && remove(&log).is_ok() && is_gone()) {
            return Err(error);
        }
        Err(Error::new(error.kind(), Counts(error)))
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
                    // A link stays one: what it points to is written.
                    let is_link = file.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
                    let target = if is_link { file.canonicalize()? } else { file.clone() };
                    write(&target, text.as_bytes(), access)?;
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
        // Whoever may write it could change what counts.
        access.mode = (access.mode & 0o644) | 0o600;
        Ok(access)
    }
}

/// A change that is in force, and why it could not be ended.
#[derive(Debug)]
struct Counts(Error);

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for Counts {}

/// Whether the change that failed so is in force all the same.
pub fn counts(error: &Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Counts>()).is_some()
}

/// Whether any file is as the change wants it.
fn has_begun(change: &Pending) -> bool {
    change.files().iter().any(|(file, text)| match (std::fs::read(file), text) {
        (Ok(found), Some(text)) => Zeroizing::new(found).as_slice() == text.as_bytes(),
        (Err(error), None) => error.kind() == ErrorKind::NotFound,
        _ => false,
    })
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test's own files")]
    fn put(main: &Path, file: &Path, text: &str) {
        std::fs::write(file, text).unwrap();
        std::fs::set_permissions(main, Permissions::from_mode(0o600)).unwrap();
    }

    fn change(files: &[&Path]) -> Pending {
        let new = || Some(Zeroizing::new("# new\n".to_owned()));
        Pending::of(
            files.iter().map(|file| ((*file).to_owned(), new())).collect::<BTreeMap<_, _>>(),
        )
    }

    #[test]
    fn change_that_has_replaced_nothing_is_none_and_one_that_has_counts_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("p.toml");
        put(&main, &main, "# old\n");
        let (first, bad) = (folder.path().join("a.toml"), folder.path().join("x/y/z.toml"));
        put(&main, &first, "# old\n");
        let log = Pending::path(&main);
        let changing = Changing::begin(&main).unwrap();
        let error = changing.put(&change(&[&bad])).unwrap_err();
        assert!(!counts(&error) && !log.exists(), "{error}");
        let error = changing.put(&change(&[&first, &bad])).unwrap_err();
        assert!(counts(&error) && log.exists(), "{error}");
        assert_eq!(std::fs::read_to_string(&first).unwrap(), "# new\n");
    }

    #[test]
    fn link_stays_one_and_its_target_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (main, link) = (folder.path().join("p.toml"), folder.path().join("a.toml"));
        let target = folder.path().join("real.toml");
        put(&main, &main, "# old\n");
        put(&main, &target, "# old\n");
        std::os::unix::fs::symlink("real.toml", &link).unwrap();
        Changing::begin(&main).unwrap().put(&change(&[&link])).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "# new\n");
    }
}

//! Folders below the archive root, opened without following any link.
//!
//! Every path is resolved beneath a held folder with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`,
//! so nothing that a mail or a server names can lead outside. Where `openat2` can't be had (a
//! seccomp filter that can't look into its arguments, such as systemd's `RestrictSUIDSGID`), the
//! same is kept by walking: one component at a time, none of them `..`, no link followed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use crate::steps;

/// A folder that is held open.
#[derive(Clone, Debug)]
pub struct Folder {
    fd: Arc<OwnedFd>,
}

/// An entry of a folder, as it is without following it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name; octets that are no UTF-8 are replaced.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its permissions, with set-uid, set-gid and sticky.
    pub mode: u32,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, a socket, a pipe.
    Other,
}

impl Folder {
    /// Opens a folder by its path from outside the archive; links are followed.
    pub fn open(path: &std::path::Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self { fd: Arc::new(rustix::fs::open(path, flags, Mode::empty())?) })
    }

    /// Opens a folder below this one; `/` separates components.
    pub fn folder(&self, path: &str) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self { fd: Arc::new(self.beneath(path, flags, Mode::empty())?) })
    }

    /// A second, independent handle on the same folder: `syncfs` on it reports each write error
    /// that came after this moment.
    pub fn again(&self) -> io::Result<Self> {
        self.folder(".")
    }

    /// Makes a folder below this one with this mode, whatever the umask.
    pub fn make(&self, name: &str, mode: u32) -> io::Result<()> {
        steps::pass("mkdir")?;
        let bits = Mode::from_raw_mode(mode);
        rustix::fs::mkdirat(&*self.fd, name, bits)?;
        if umask_takes(mode) {
            rustix::fs::fchmod(&*self.folder(name)?.fd, bits)?;
        }
        Ok(())
    }

    /// Opens a folder below this one, making it when it isn't there; says whether it was made.
    pub fn open_or_make(&self, name: &str, mode: u32) -> io::Result<(Self, bool)> {
        match self.folder(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match self.make(name, mode) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    Ok((self.folder(name)?, false))
                }
                Err(error) => Err(error),
                Ok(()) => Ok((self.folder(name)?, true)),
            },
            found => Ok((found?, false)),
        }
    }

    /// Makes a new file; one that exists is an error.
    pub fn create(&self, name: &str, mode: u32) -> io::Result<File> {
        steps::pass("create")?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode);
        let fd = self.beneath(name, flags, mode)?;
        if umask_takes(mode.bits()) {
            rustix::fs::fchmod(&fd, mode)?;
        }
        Ok(File::from(fd))
    }

    /// Opens a regular file for reading.
    pub fn read(&self, path: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = self.beneath(path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(File::from(fd))
    }

    /// Moves an entry of this folder into another one; never onto something that exists.
    pub fn rename(&self, from: &str, to: &Self, name: &str) -> io::Result<()> {
        steps::pass("rename")?;
        Ok(rustix::fs::renameat_with(&*self.fd, from, &*to.fd, name, RenameFlags::NOREPLACE)?)
    }

    /// Makes the folder's entries durable.
    pub fn sync(&self) -> io::Result<()> {
        steps::pass("fsync")?;
        Ok(rustix::fs::fsync(&*self.fd)?)
    }

    /// Makes everything written to the file system durable, and reports a write error that came
    /// after this handle was opened.
    pub fn sync_file_system(&self) -> io::Result<()> {
        steps::pass("syncfs")?;
        Ok(rustix::fs::syncfs(&*self.fd)?)
    }

    /// Names in the folder, without `.` and `..`; names that are no UTF-8 are left out.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&*self.fd)? {
            let entry = entry?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// All entries without `.` and `..`, sorted by name; none is followed.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for found in Dir::read_from(&*self.fd)? {
            let found = found?;
            let name = found.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = match rustix::fs::statat(&*self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                // It was moved away meanwhile.
                Err(Errno::NOENT) => continue,
                stat => stat?,
            };
            let kind = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Kind::Folder,
                FileType::RegularFile => Kind::File,
                FileType::Symlink => Kind::Link,
                _ => Kind::Other,
            };
            let mode = stat.st_mode & 0o7777;
            let name = String::from_utf8_lossy(name.to_bytes()).into_owned();
            entries.push(Entry { name, kind, mode });
        }
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Removes an entry with all that is below it; links are removed, never followed.
    pub fn remove_all(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&*self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        let below = self.folder(name)?;
        for entry in below.names()? {
            below.remove_all(&entry)?;
        }
        Ok(rustix::fs::unlinkat(&*self.fd, name, AtFlags::REMOVEDIR)?)
    }

    /// Whether an entry is there.
    pub fn has(&self, path: &str) -> io::Result<bool> {
        match self.beneath(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Device and inode: two handles with the same are the same folder.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        let stat = rustix::fs::fstat(&*self.fd)?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// The folder's own permissions.
    pub fn mode(&self) -> io::Result<u32> {
        Ok(rustix::fs::fstat(&*self.fd)?.st_mode & 0o7777)
    }

    /// The handle, for calls of the operating system.
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    fn beneath(&self, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(self.fd.as_fd(), path, flags | OFlags::NOFOLLOW, mode, resolve) {
            Err(Errno::NOSYS) => self.walk(path, flags, mode),
            opened => opened,
        }
    }

    /// What `beneath` does, without `openat2`.
    fn walk(&self, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        const STEP: OFlags =
            OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
        if path.starts_with('/') || path.split('/').any(|name| name == "..") {
            return Err(Errno::XDEV);
        }
        let (folders, last) = path.rsplit_once('/').unwrap_or((".", path));
        let mut at = rustix::fs::openat(self.fd.as_fd(), ".", STEP, Mode::empty())?;
        for name in folders.split('/').filter(|name| !matches!(*name, "" | ".")) {
            at = rustix::fs::openat(&at, name, STEP, Mode::empty())?;
        }
        rustix::fs::openat(&at, last, flags | OFlags::NOFOLLOW, mode)
    }
}

/// Whether the process's umask takes a bit of this mode away, so that it must be set again.
///
/// Read once: nothing here changes it. Where it can't be read, every mode is set again.
fn umask_takes(mode: u32) -> bool {
    static UMASK: OnceLock<u32> = OnceLock::new();
    let umask = UMASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        line.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok()).unwrap_or(0o777)
    });
    mode & umask != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::open(temp.path()).unwrap();
        (temp, folder)
    }

    #[test]
    fn c19_no_path_leads_outside() {
        let (temp, folder) = folder();
        std::os::unix::fs::symlink("/etc", temp.path().join("link")).unwrap();
        assert!(folder.folder("link").is_err());
        assert!(folder.read("link/passwd").is_err());
        assert!(folder.read("../etc/passwd").is_err());
        assert!(folder.create("../x", 0o600).is_err());
        assert!(folder.folder("/etc").is_err());
    }

    #[test]
    fn c19_walking_leads_to_the_same_places_and_nowhere_else() {
        let (temp, folder) = folder();
        folder.make("a", 0o700).unwrap();
        folder.make("a/b", 0o700).unwrap();
        folder.create("a/b/f", 0o600).unwrap();
        std::os::unix::fs::symlink("/etc", temp.path().join("link")).unwrap();
        std::os::unix::fs::symlink("f", temp.path().join("a/b/link")).unwrap();
        let read = OFlags::RDONLY | OFlags::CLOEXEC;
        let walk = |path: &str| folder.walk(path, read, Mode::empty());
        for path in [".", "a", "a/b", "./a/./b", "a/b/f"] {
            let (one, two) = (walk(path).unwrap(), folder.beneath(path, read, Mode::empty()));
            let inode = |fd: &OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
            assert_eq!(inode(&one), inode(&two.unwrap()), "{path}");
        }
        for path in ["/etc", "..", "a/../..", "link/passwd", "link", "a/b/link", "a/b/f/x", ""] {
            assert!(walk(path).is_err(), "{path}");
            assert!(folder.beneath(path, read, Mode::empty()).is_err(), "{path}");
        }
    }

    #[test]
    fn rename_never_replaces_even_an_empty_folder() {
        let (_temp, folder) = folder();
        folder.make("a", 0o700).unwrap();
        folder.make("b", 0o700).unwrap();
        let error = folder.rename("a", &folder, "b").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn modes_are_set_whatever_the_umask() {
        use std::os::unix::fs::PermissionsExt;
        let (temp, folder) = folder();
        folder.make("a", 0o777).unwrap();
        folder.create("f", 0o666).unwrap();
        let mode = |name| temp.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("a"), mode("f")), (0o777, 0o666));
    }

    #[test]
    fn c19_removing_a_tree_leaves_what_its_links_point_to() {
        let (temp, folder) = folder();
        let outside = tempfile::tempdir().unwrap();
        File::create(outside.path().join("keep")).unwrap();
        folder.make("a", 0o700).unwrap();
        folder.make("a/b", 0o700).unwrap();
        folder.create("a/b/f", 0o600).unwrap();
        std::os::unix::fs::symlink(outside.path(), temp.path().join("a/link")).unwrap();
        folder.remove_all("a").unwrap();
        assert!(!temp.path().join("a").exists());
        assert!(outside.path().join("keep").exists());
    }
}

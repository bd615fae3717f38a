//! The socket's file: where it is, how it is made, who may open it.
//!
//! Only the holder of the state folder's lock makes one, so what it finds there is left over.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, chmod, chownat, rename, unlink};
use tokio::net::UnixListener;

/// The socket's name in its folder.
pub const NAME: &str = "control";

/// What a path in a socket's address may have, in octets (`sun_path` with its NUL).
const ADDRESS_MAX: usize = 107;

/// The daemon's socket; its files go with it.
#[derive(Debug)]
pub struct Socket {
    /// Where it is.
    pub path: PathBuf,
    /// The group may not open it, for this reason.
    pub closed_to_group: Option<String>,
    /// Points to it from the state folder.
    link: Option<PathBuf>,
    /// Which file it is.
    inode: u64,
}

impl Socket {
    /// Makes the socket in systemd's runtime folder, with a link in the state folder, or else in
    /// the state folder itself. With a group its members may open it: mode 0660, else 0600.
    pub fn bind(
        state_dir: &Path,
        runtime_dir: Option<&Path>,
        group: Option<u32>,
    ) -> io::Result<(Self, UnixListener)> {
        let folder = runtime_dir.unwrap_or(state_dir);
        let path = folder.join(NAME);
        // Nobody can connect before the mode is right: it gets its name last.
        let new = folder.join(".control.new");
        remove(&new)?;
        let listener = with_address(&new, |address| UnixListener::bind(address))?;
        chmod(&new, Mode::from_raw_mode(0o600))?;
        let closed_to_group = group.and_then(|gid| open_to(&new, gid).err());
        let closed_to_group = closed_to_group.map(|error| error.to_string());
        let inode = new.symlink_metadata()?.ino();
        rename(&new, &path)?;
        let link = runtime_dir.map(|_| state_dir.join(NAME));
        if let Some(link) = &link {
            remove(link)?;
            symlink(&path, link)?;
        }
        Ok((Self { path, closed_to_group, link, inode }, listener))
    }
}

/// Another daemon may have put its own there meanwhile, which stays.
impl Drop for Socket {
    fn drop(&mut self) {
        let is_ours = self.path.symlink_metadata().is_ok_and(|found| found.ino() == self.inode);
        if is_ours {
            // What can't be removed is replaced by the next start.
            unlink(&self.path).ok();
            self.link.as_ref().map(unlink);
        }
    }
}

/// Lets a group in. The unit forbids any change of owner, so one that isn't needed isn't made.
fn open_to(path: &Path, gid: u32) -> io::Result<()> {
    if path.symlink_metadata()?.gid() != gid {
        chownat(CWD, path, None, Some(Gid::from_raw(gid)), AtFlags::empty())?;
    }
    Ok(chmod(path, Mode::from_raw_mode(0o660))?)
}

fn remove(path: &Path) -> io::Result<()> {
    match unlink(path) {
        Err(error) if error != rustix::io::Errno::NOENT => Err(error.into()),
        _ => Ok(()),
    }
}

/// Hands a path on that fits into a socket's address: a long one by way of its open folder.
pub(super) fn with_address<T>(
    path: &Path,
    use_it: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    if path.as_os_str().len() <= ADDRESS_MAX {
        return use_it(path);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = File::open(folder)?;
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    use_it(&short)
}

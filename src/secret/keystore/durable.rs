//! Replacing a file so that after a crash the old or the new one is there, whole; one writer at a
//! time.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags};

use super::KeystoreFault;

/// How often a writer asks for the lock.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Held while the keystore is changed; it ends with the process, however that ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits up to five seconds for other writers. The lock has a file of its own, as the
    /// keystore's is replaced.
    pub(super) fn take(keystore: &Path) -> Result<Self, KeystoreFault> {
        let path = keystore.with_extension("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(|error| refused(&path, &error))?;
        for _ in 0..TRIES {
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                return Ok(Self { _file: file });
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
        Err(KeystoreFault::Busy)
    }
}

/// Writes a file with mode 0600 beside the old one, syncs it, renames it over the old one, syncs
/// the folder.
pub(super) fn replace(path: &Path, octets: &[u8]) -> Result<(), KeystoreFault> {
    write(path, octets).map_err(|error| refused(path, &error))
}

fn write(path: &Path, octets: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let no_links = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(no_links);
    let mut file = options.open(&new)?;
    // A file that a crash left may have another mode.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(octets)?;
    file.sync_all()?;
    rustix::fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

fn refused(path: &Path, error: &std::io::Error) -> KeystoreFault {
    KeystoreFault::Broken {
        what: format!("cannot write `{}`: {error}", path.display()),
        hint: "check the folder, its owner and the free space; nothing was changed".to_owned(),
    }
}

//! Free space, and what kind of file system the root is on.

use rustix::fs::{fstatfs, fstatvfs};

use super::batch::SyncMode;
use super::dir::Folder;
use super::error::ArchiveError;
use crate::model::ByteSize;

/// What is free on the archive's file system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Space {
    /// Octets that this process may still write.
    pub free: u64,
    /// Inodes that are left; `None` where the file system doesn't count them.
    pub inodes: Option<u64>,
    /// Inodes in all.
    inodes_total: u64,
}

/// What kind of file system the root is on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FileSystem {
    /// On this machine.
    Local,
    /// Reached over a network or through a user's process: NFS, CIFS, FUSE and the like.
    Network,
    /// An overlay, as containers have it: what is written may vanish with the container.
    Overlay,
}

impl Space {
    /// Looks how much is free.
    pub fn of(root: &Folder) -> Result<Self, ArchiveError> {
        let stat = fstatvfs(root.fd())
            .map_err(|errno| ArchiveError::io("look at", "archive root")(errno.into()))?;
        Ok(Self {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            inodes: (stat.f_files > 0).then_some(stat.f_favail),
            inodes_total: stat.f_files,
        })
    }

    /// Whether there is room: `min_free` stays free beside `wanted` octets, and 1 % of the inodes
    /// beside `files`.
    pub fn allows(&self, min_free: ByteSize, wanted: u64, files: u64) -> Result<(), ArchiveError> {
        if self.free < min_free.0.saturating_add(wanted) {
            let what = format!(
                "the archive's file system has {} free, {} are to stay free (archive.min_free)",
                ByteSize(self.free),
                min_free
            );
            return Err(ArchiveError::SpaceLow { what });
        }
        let least = self.inodes_total / 100;
        match self.inodes {
            Some(inodes) if inodes.saturating_sub(files) < least => {
                let what = format!("the archive's file system has only {inodes} inodes left");
                Err(ArchiveError::SpaceLow { what })
            }
            _ => Ok(()),
        }
    }
}

impl FileSystem {
    /// Looks what the root is on.
    pub fn of(root: &Folder) -> Self {
        const NETWORK: [i64; 9] = [
            0x6969,      // NFS
            0x517B,      // SMB
            0xFF53_4D42, // CIFS
            0xFE53_4D42, // SMB2
            0x6573_5546, // FUSE
            0x0102_1997, // 9P
            0x00C3_6400, // Ceph
            0x5346_414F, // AFS
            0x6B41_4653, // kAFS
        ];
        const OVERLAY: i64 = 0x794C_7630;
        let Ok(stat) = fstatfs(root.fd()) else { return Self::Network };
        #[expect(clippy::useless_conversion, reason = "the type differs between architectures")]
        let kind = i64::from(stat.f_type);
        if NETWORK.contains(&kind) {
            Self::Network
        } else if kind == OVERLAY {
            Self::Overlay
        } else {
            Self::Local
        }
    }

    /// How data is made durable there: `syncfs` needs a kernel that reports its errors.
    pub fn sync_mode(self) -> SyncMode {
        if self == Self::Network || !kernel_reports_syncfs_errors() {
            SyncMode::Each
        } else {
            SyncMode::FileSystem
        }
    }
}

/// `syncfs` returns write errors since Linux 5.8.
fn kernel_reports_syncfs_errors() -> bool {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (5, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetching_leaves_min_free_alone() {
        let space = Space { free: 100, inodes: Some(1000), inodes_total: 2000 };
        assert!(space.allows(ByteSize(50), 50, 4).is_ok());
        assert_eq!(space.allows(ByteSize(50), 51, 4).unwrap_err().code(), "disk-low");
        assert_eq!(space.allows(ByteSize(101), 0, 4).unwrap_err().code(), "disk-low");
    }

    #[test]
    fn one_percent_of_the_inodes_stays_free() {
        let space = Space { free: 1 << 40, inodes: Some(21), inodes_total: 2000 };
        assert!(space.allows(ByteSize(1), 0, 1).is_ok());
        assert_eq!(space.allows(ByteSize(1), 0, 2).unwrap_err().code(), "disk-low");
    }
}

//! A small disk of its own: an ext4 in a file, whose power can be cut.
//!
//! Needs root and loop devices; where they can't be had, [`Disk::ext4`] says so and is `None`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::wait_for;

/// Writes nothing back by itself for five minutes, and doesn't guess that a rename wants a sync:
/// what isn't synced is lost when the power is cut.
pub const FORGETFUL: &str = "commit=300,noauto_da_alloc";

/// A mounted file system; unmounted when it is dropped, or when the test process dies.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
    options: String,
    guard: Child,
}

impl Disk {
    /// Makes and mounts one of so many MiB. `make` is for `mkfs.ext4`, `options` for `mount`.
    pub fn ext4(mib: u32, make: &[&str], options: &str) -> Option<Self> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory } else { Path::new("/tmp") };
        let folder = tempfile::Builder::new().prefix("postrider-disk-").tempdir_in(parent).ok()?;
        let image = folder.path().join("image");
        File::create(&image).ok()?.set_len(u64::from(mib) << 20).ok()?;
        std::fs::create_dir(folder.path().join("disk")).ok()?;
        let mut mkfs = Command::new("mkfs.ext4");
        mkfs.args(["-q", "-F"]).args(make).arg(&image);
        mkfs.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
        if !done(&mut mkfs) {
            eprintln!("skipped: there is no mkfs.ext4 (package e2fsprogs)");
            return None;
        }
        let guard = guard(&folder.path().join("disk"));
        let disk = Self { folder, options: options.to_owned(), guard };
        if disk.mount() {
            return Some(disk);
        }
        eprintln!("skipped: no file system can be mounted by loop here (root is needed)");
        None
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Mounts it; false when that can't be done.
    pub fn mount(&self) -> bool {
        let options = format!("loop,{}", self.options);
        let image = self.folder.path().join("image");
        done(Command::new("mount").args(["-o", &options]).arg(image).arg(self.path()))
    }

    /// Mounts it anew with other options; `ro` is refused while something is written.
    pub fn remount(&self, options: &str) -> bool {
        let options = format!("remount,{options}");
        done(Command::new("mount").args(["-o", &options]).arg(self.path()))
    }

    /// Unmounts it; nobody may use it any more.
    pub fn unmount(&self) {
        wait_for("an unmount", Duration::from_secs(20), || {
            done(Command::new("umount").arg(self.path())).then_some(())
        });
    }

    /// Takes it out of the tree at once, though files on it are in use.
    pub fn unmount_lazily(&self) {
        assert!(done(Command::new("umount").arg("-l").arg(self.path())), "umount -l");
    }

    /// Makes all that is on it durable.
    pub fn sync(&self) {
        rustix::fs::syncfs(File::open(self.path()).unwrap()).unwrap();
    }

    /// Cuts the power of some disks, one right after the other: what isn't durable is gone.
    ///
    /// `FS_IOC_SHUTDOWN` without a flush of the journal (2). Perl, which each Debian has, calls
    /// it, as an ioctl of our own would need `unsafe`.
    pub fn cut(disks: &[&Self]) {
        const SHUTDOWN: &str = "my @open = map { open(my $f, '<', $_) or die \"$_: $!\"; $f } @ARGV; \
                                for my $f (@open) { \
                                my $how = pack('L', 2); ioctl($f, 0x8004587d, $how) or die $!; }";
        let paths: Vec<PathBuf> = disks.iter().map(|disk| disk.path()).collect();
        let output = Command::new("perl").args(["-e", SHUTDOWN]).args(&paths).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// After a cut: mounts it again, which replays its journal.
    pub fn power_on(&self) {
        self.unmount();
        assert!(self.mount(), "a disk can't be mounted after a power cut");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The guard unmounts once its standard input ends.
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
    }
}

/// A shell that unmounts when this process is gone, however that ended.
fn guard(at: &Path) -> Child {
    use std::os::unix::process::CommandExt;
    Command::new("sh")
        .args(["-c", "read _; umount -l \"$0\" 2>/dev/null"])
        .arg(at)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("sh starts")
}

fn done(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

#[test]
fn cut_disk_keeps_what_was_synced_and_nothing_else() {
    let Some(disk) = Disk::ext4(24, &[], FORGETFUL) else { return };
    let at = disk.path();
    std::fs::write(at.join("kept"), "kept").unwrap();
    disk.sync();
    std::fs::write(at.join("lost"), "lost").unwrap();
    Disk::cut(&[&disk]);
    disk.power_on();
    assert_eq!(std::fs::read_to_string(at.join("kept")).unwrap(), "kept");
    assert!(!at.join("lost").exists());
    drop(disk);
    assert!(!at.exists());
}

//! Delivery into a Maildir, as an MTA does it: written to `tmp`, then renamed.

use std::fs::{self, DirBuilder, File, FileTimes};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// How a message is delivered.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `INBOX`, or a name with `/` between levels, in modified UTF-7.
    pub mailbox: String,
    /// Seconds since 1970, UTC; becomes IMAP's INTERNALDATE.
    pub internal_date: u64,
    /// Maildir's letters, in alphabetical order: `S` seen, `T` deleted, `F` flagged.
    pub flags: &'static str,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { mailbox: "INBOX".to_owned(), internal_date: 1_793_956_351, flags: "" }
    }
}

impl Delivery {
    /// Into this mailbox.
    pub fn to(mailbox: &str) -> Self {
        Self { mailbox: mailbox.to_owned(), ..Self::default() }
    }

    /// With an INTERNALDATE so long ago.
    #[must_use]
    pub fn aged(mut self, age: Duration) -> Self {
        let then = SystemTime::now() - age;
        self.internal_date = then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        self
    }

    /// With this INTERNALDATE, seconds since 1970.
    #[must_use]
    pub fn at(mut self, internal_date: u64) -> Self {
        self.internal_date = internal_date;
        self
    }

    /// With these flags.
    #[must_use]
    pub fn flagged(mut self, flags: &'static str) -> Self {
        self.flags = flags;
        self
    }
}

/// The folder of a mailbox in the Maildir++ layout.
pub fn folder(maildir: &Path, mailbox: &str) -> PathBuf {
    if mailbox.eq_ignore_ascii_case("INBOX") {
        maildir.to_path_buf()
    } else {
        maildir.join(format!(".{}", mailbox.replace('/', ".")))
    }
}

/// Puts the octets into the mailbox, whose files belong to `owner` (uid, gid).
pub fn deliver(maildir: &Path, owner: (u32, u32), octets: &[u8], delivery: &Delivery) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let folder = folder(maildir, &delivery.mailbox);
    make(maildir, owner);
    if folder != maildir {
        make(&folder, owner);
        let mark = folder.join("maildirfolder");
        File::create(&mark).unwrap();
        chown(&mark, Some(owner.0), Some(owner.1)).unwrap();
    }
    // Dovecot numbers new messages in the order of their names: the count decides.
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("1700000000.M{count:09}P{}.test:2,{}", std::process::id(), delivery.flags);
    let written = folder.join("tmp").join(&name);
    let mut file = File::create_new(&written).unwrap();
    file.write_all(octets).unwrap();
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(delivery.internal_date);
    file.set_times(FileTimes::new().set_modified(date).set_accessed(date)).unwrap();
    drop(file);
    chown(&written, Some(owner.0), Some(owner.1)).unwrap();
    fs::rename(&written, folder.join("cur").join(&name)).unwrap();
}

/// Makes the server forget its UIDs: the mailbox gets another UIDVALIDITY.
pub fn recreate(maildir: &Path, mailbox: &str) {
    for entry in fs::read_dir(folder(maildir, mailbox)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "dovecot-uidlist" || name.starts_with("dovecot.index") {
            fs::remove_file(path).unwrap();
        }
    }
}

fn make(folder: &Path, owner: (u32, u32)) {
    for part in ["", "tmp", "new", "cur"] {
        let path = if part.is_empty() { folder.to_path_buf() } else { folder.join(part) };
        if !path.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(&path).unwrap();
            chown(&path, Some(owner.0), Some(owner.1)).unwrap();
        }
    }
}

//! Whole message folders: staged, placed, verified, settled after a cut.

mod documents;
mod fuzz;
mod names;
mod parts;
mod placing;
mod settling;
mod staging;
mod verifying;

use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use tempfile::TempDir;

use super::*;
use crate::config::Inbound;
use crate::mail::{self, Limits};
use crate::model::{Received, ReceivedBasis};
use document::{Origin, complete};

/// Text, HTML and two attachments.
const RICH: &str = "From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\r\n\
    To: a@example.org, B <b@example.org>\r\n\
    Subject: hello\r\n\
    Date: Thu, 19 Nov 2026 10:12:00 +0100\r\n\
    Message-ID: <1@example.org>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\
    \r\n\
    --b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain\r\n\
    --b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>html</p>\r\n\
    --b\r\nContent-Type: application/pdf\r\nContent-ID: <c@example.org>\r\n\
    Content-Disposition: attachment; filename=\"../a b.pdf\"\r\n\r\npdf\r\n\
    --b\r\nContent-Type: image/png\r\nContent-Disposition: inline\r\n\r\npng\r\n\
    --b--\r\n";

/// An archive in a folder of its own.
struct Site {
    archive: Archive,
    temp: TempDir,
}

impl Site {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ArchiveConfig)) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let mut config = config(temp.path());
        change(&mut config);
        root::init(&config.root, config.dir_mode).unwrap();
        let archive = Archive::open(Root::open(&config.root).unwrap(), &config).unwrap();
        Self { archive, temp }
    }

    /// As [`Site::new`], but made durable in this way, whatever the file system is.
    fn synced(mode: SyncMode) -> Self {
        let mut site = Self::new();
        site.archive.sync = mode;
        site
    }

    fn path(&self, below: &str) -> PathBuf {
        self.temp.path().join("mail").join(below)
    }

    /// Stages a message whole; its folder stays though nobody holds it.
    fn stage(&self, key: &MessageKey, eml: impl AsRef<[u8]>) -> Staged {
        let mut staging = self.archive.stage(key.id("box")).unwrap();
        let eml = eml.as_ref();
        staging.write(eml).unwrap();
        let raw = staging.end().unwrap();
        let facts = mail::parse(eml, &Limits::default());
        let account = account("imap");
        let origin = Origin {
            account: &account,
            key,
            flags: &[],
            received: Received { at: received(), basis: ReceivedBasis::InternalDate },
            archived_at: received(),
        };
        let (staged, in_stage) = complete(&self.archive, staging, &raw, &origin, &facts).unwrap();
        in_stage.placed();
        staged
    }

    /// Syncs and places what was staged since `batch`.
    fn place(batch: &Batch, staged: &[Staged]) -> Vec<Placed> {
        batch.sync_staged(staged).unwrap();
        batch.place(staged).unwrap()
    }

    /// A message that is in the tree.
    fn archived(&self, key: &MessageKey, eml: &str) -> (Staged, StoredCopy) {
        let batch = self.archive.batch().unwrap();
        let staged = self.stage(key, eml);
        let placed = Self::place(&batch, std::slice::from_ref(&staged));
        assert!(matches!(placed[..], [Placed::Moved]));
        let copy = copy_of(&staged);
        (staged, copy)
    }

    /// Names in the stage.
    fn staged(&self) -> Vec<String> {
        self.archive.stage.names().unwrap()
    }
}

fn config(temp: &Path) -> ArchiveConfig {
    ArchiveConfig {
        root: temp.join("mail"),
        layout: "{account}/in/{date}/{message}".to_owned(),
        timezone: TimeZone::UTC,
        timezone_name: "UTC".to_owned(),
        write: vec![WritePart::Text, WritePart::Html, WritePart::Attachments],
        min_free: ByteSize(0),
        dir_mode: 0o750,
        file_mode: 0o640,
        allow_network_root: false,
    }
}

/// An account of the config, `box`.
fn account(protocol: &str) -> Inbound {
    let text = format!(
        "[archive]\nroot = \"/\"\n[inbound.box]\nprotocol = \"{protocol}\"\n\
         host = \"mail.example.org\"\nuser = \"u\"\npassword = \"p\"\n"
    );
    let loaded = crate::config::load_text(&text, Path::new("/etc/postrider.toml"), received());
    loaded.config.unwrap().inbound.remove("box").unwrap()
}

fn received() -> Timestamp {
    "2026-11-19T09:12:31Z".parse().unwrap()
}

fn key(uid: u32) -> MessageKey {
    MessageKey::Imap { mailbox: "INBOX".to_owned(), uid_validity: 7, uid, generation: 0 }
}

fn copy_of(staged: &Staged) -> StoredCopy {
    StoredCopy {
        cut: false,
        leaps: SignedDuration::ZERO,
        canary: false,
        row: 1,
        key: key(1),
        path: staged.path.clone(),
        sha256: staged.sha256,
        json_sha256: staged.json_sha256,
        size: staged.size,
        listed_size: None,
        internal_date: None,
        received: None,
        archived_at: received(),
        deleting: false,
        flagged: false,
        delete_ok: true,
        actions_open: false,
        actions_unknown: false,
        moves: Vec::new(),
    }
}

fn write(path: &Path, octets: &[u8]) {
    use std::io::Write as _;
    std::fs::File::create(path).unwrap().write_all(octets).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "what is removed is the test's own")]
fn remove(path: &Path) {
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
}

/// Paths of all files and folders below, relative, sorted.
fn walk(at: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![at.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(at).unwrap().display().to_string());
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn room_is_looked_for_on_the_real_file_system() {
    let site = Site::new();
    site.archive.check().unwrap();
    assert_eq!(site.archive.room(u64::MAX, 0).unwrap_err().code(), "disk-low");
    assert!(Space::of(site.archive.root().folder()).unwrap().free > 0);
    let site = Site::with(|config| config.min_free = ByteSize(u64::MAX));
    assert_eq!(site.archive.check().unwrap_err().code(), "disk-low");
}

#[test]
fn files_are_synced_one_by_one_where_the_file_system_is_not_trusted() {
    assert_eq!(FileSystem::Network.sync_mode(), SyncMode::Each);
    assert_eq!(FileSystem::Local.sync_mode(), FileSystem::Overlay.sync_mode());
}

//! What commands did while the ledger was another process's: a file of lines in the state folder,
//! taken in by whoever writes the ledger next.

use std::fs::{File, OpenOptions};
use std::io::{Read, Result, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, OFlags};
use serde::{Deserialize, Serialize};

use super::Recorded;

/// The file's name in the state folder.
pub const NOTES_FILE: &str = "config-notes.jsonl";

/// Octets of the file; no more is noted then, nor read.
const MOST: u64 = 32 << 20;

/// One change by a command.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Note {
    /// Names it, so that it is taken in once.
    pub note: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What: `import`.
    pub act: String,
    /// The configuration as it is from then on.
    pub facts: Recorded,
}

/// Adds a note; durable on return.
pub fn add(state_dir: &Path, note: &Note) -> Result<()> {
    let mut file = open(state_dir, true)?;
    if file.metadata()?.len() > MOST {
        return Err(std::io::Error::other("there are too many notes that nobody took in"));
    }
    let owner = state_dir.metadata()?;
    if file.metadata()?.uid() != owner.uid() {
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    // A line that a crash has cut is ended first: it is no note, and must not spoil this one.
    let line = serde_json::to_string(note).map_err(std::io::Error::other)?;
    file.seek(SeekFrom::End(0))?;
    file.write_all(format!("\n{line}\n").as_bytes())?;
    file.sync_all()?;
    File::open(state_dir)?.sync_all()
}

/// The notes that wait, the oldest first; lines that are none are left out.
pub fn read(state_dir: &Path) -> Vec<Note> {
    let Ok(mut file) = open(state_dir, false) else { return Vec::new() };
    let mut text = String::new();
    if Read::by_ref(&mut file).take(MOST.saturating_mul(2)).read_to_string(&mut text).is_err() {
        return Vec::new();
    }
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Empties the file, unless more than these came since.
pub(super) fn forget(state_dir: &Path, taken: usize) {
    let Ok(file) = open(state_dir, true) else { return };
    if read_locked(state_dir) == taken {
        drop(file.set_len(0));
    }
}

fn read_locked(state_dir: &Path) -> usize {
    let text = std::fs::read_to_string(state_dir.join(NOTES_FILE)).unwrap_or_default();
    text.lines().filter(|line| serde_json::from_str::<Note>(line).is_ok()).count()
}

/// Opens the file and waits for others that have it; a reader makes nothing.
fn open(state_dir: &Path, write: bool) -> Result<File> {
    let no_links = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.read(true).write(write).create(write).mode(0o600).custom_flags(no_links);
    let file = options.open(state_dir.join(NOTES_FILE))?;
    let wanted = if write { FlockOperation::LockExclusive } else { FlockOperation::LockShared };
    rustix::fs::flock(&file, wanted)?;
    Ok(file)
}

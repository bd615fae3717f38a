//! Whether the archive's disk still takes what it is given.
//!
//! After three failed syncs in a row nothing more is fetched: each would cost the server's work
//! for nothing, and the disk may be dying. Before each poll a small write is tried; once one
//! succeeds, all goes on. Also tells at the start whether the root can be used at all.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;

use super::batch::SyncMode;
use super::dir::Folder;
use super::error::ArchiveError;
use crate::steps;

/// Failed syncs in a row that pause the root.
const FAILURES: u32 = 3;
/// Folder of a trial, first below the stage, then below the root.
const TRIAL: &str = ".trial";

/// Failed syncs in a row; clones share the count.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    failed: Arc<AtomicU32>,
}

impl Health {
    /// Counts the outcome of a sync, and passes it on.
    pub(super) fn note<T>(&self, synced: Result<T, ArchiveError>) -> Result<T, ArchiveError> {
        match &synced {
            Ok(_) => self.failed.store(0, Ordering::SeqCst),
            // A full disk has its own code, and its own way back.
            Err(error) if error.code() != "archive-write-failed" => {}
            Err(error) => {
                let failed = self.failed.fetch_add(1, Ordering::SeqCst).saturating_add(1);
                if failed == FAILURES {
                    tracing::error!(
                        target: "archive",
                        code = "archive-paused",
                        failed,
                        "The archive is paused until a trial write succeeds: {error}"
                    );
                }
            }
        }
        synced
    }

    /// Whether the disk takes what it is given; a paused root is tried, and goes on by itself.
    pub(super) fn check(
        &self,
        root: &Folder,
        stage: &Folder,
        mode: SyncMode,
    ) -> Result<(), ArchiveError> {
        let failed = self.failed.load(Ordering::SeqCst);
        if failed < FAILURES {
            return Ok(());
        }
        trial(root, stage, Some(mode))
            .map_err(|error| ArchiveError::Paused { failed, why: error.to_string() })?;
        self.failed.store(0, Ordering::SeqCst);
        tracing::info!(
            target: "archive",
            code = "archive-resumed",
            "A trial write to the archive succeeded: polls go on"
        );
        Ok(())
    }
}

/// Makes a folder with a file in the stage, and moves it below the root and away again: what
/// every message needs.
fn trial(root: &Folder, stage: &Folder, sync: Option<SyncMode>) -> io::Result<()> {
    for folder in [stage, root] {
        folder.remove_all(TRIAL)?;
    }
    stage.make(TRIAL, 0o700)?;
    let mut file = stage.create(&format!("{TRIAL}/file"), 0o600)?;
    steps::pass("write")?;
    file.write_all(&[0; 4096])?;
    if sync.is_some() {
        steps::pass("fsync")?;
        file.sync_all()?;
    }
    stage.rename(TRIAL, root, TRIAL)?;
    if sync.is_some() {
        root.sync()?;
    }
    if sync == Some(SyncMode::FileSystem) {
        root.sync_file_system()?;
    }
    root.remove_all(TRIAL)
}

/// Whether stage and root are one file system that can rename without ever replacing. A disk that
/// is full or failing now is no reason to refuse: it may be well again later.
pub(super) fn is_fit(root: &Folder, stage: &Folder) -> Result<(), String> {
    let done = trial(root, stage, None);
    if done.is_err() {
        // What is left of it is removed by the next start at the latest.
        drop(stage.remove_all(TRIAL));
        drop(root.remove_all(TRIAL));
    }
    let Err(error) = done else { return Ok(()) };
    match Errno::from_io_error(&error) {
        Some(Errno::XDEV) => {
            Err("`.stage` is another file system, or another mount of it, than the root".to_owned())
        }
        Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(format!(
            "its file system can't rename without replacing what stands there (RENAME_NOREPLACE): \
             {error}"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(errno: Errno) -> Result<(), ArchiveError> {
        Err(ArchiveError::io("sync", "archive root")(errno.into()))
    }

    fn folders() -> (tempfile::TempDir, Folder, Folder) {
        let temp = tempfile::tempdir().unwrap();
        let root = Folder::open(temp.path()).unwrap();
        let (stage, _) = root.open_or_make(".stage", 0o700).unwrap();
        (temp, root, stage)
    }

    #[test]
    fn d06_three_failed_syncs_in_a_row_pause_the_root_until_a_trial_succeeds() {
        let (temp, root, stage) = folders();
        let health = Health::default();
        let check = |stage| health.check(&root, stage, SyncMode::FileSystem);
        for _ in 0..2 {
            health.note(failure(Errno::IO)).unwrap_err();
            health.note(failure(Errno::IO)).unwrap_err();
            check(&stage).unwrap();
            health.note(Ok(())).unwrap();
        }
        for _ in 0..9 {
            health.note(failure(Errno::NOSPC)).unwrap_err();
        }
        check(&stage).unwrap();
        for _ in 0..3 {
            health.note(failure(Errno::IO)).unwrap_err();
        }
        // A stage that is gone is a disk that takes nothing.
        rustix::fs::rmdir(temp.path().join(".stage")).unwrap();
        for _ in 0..2 {
            assert_eq!(check(&stage).unwrap_err().code(), "archive-paused");
        }
        let (stage, _) = root.open_or_make(".stage", 0o700).unwrap();
        check(&stage).unwrap();
        assert_eq!(health.failed.load(Ordering::SeqCst), 0);
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1, "the trial is removed");
    }

    #[test]
    fn root_that_can_be_used_is_fit_whatever_a_trial_left() {
        let (temp, root, stage) = folders();
        root.make(TRIAL, 0o700).unwrap();
        stage.make(TRIAL, 0o700).unwrap();
        is_fit(&root, &stage).unwrap();
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn d09_stage_on_another_file_system_is_not_fit() {
        let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
        let (_temp, root, stage) = folders();
        let elsewhere = Folder::open(other.path()).unwrap();
        if elsewhere.identity().unwrap().0 == root.identity().unwrap().0 {
            return;
        }
        let why = is_fit(&root, &elsewhere).unwrap_err();
        assert!(why.contains("another file system"), "{why}");
        is_fit(&root, &stage).unwrap();
    }
}

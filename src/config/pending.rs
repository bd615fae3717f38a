//! Files that a change has decided on and may not have put in place yet.
//!
//! A change of several files is written to one file first, the redo log beside the main file. From
//! the moment it is there the change counts: whoever loads the configuration reads the new texts
//! from it. So a process that dies between two files leaves no half of a change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::problem::Problem;
use super::source::Source;

/// New texts by file; no text: the file goes.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    files: BTreeMap<PathBuf, Option<Zeroizing<String>>>,
    /// Permission bits and group of the redo log, for the check of files with secrets.
    mode: Option<(u32, u32)>,
}

/// As it is on disk.
#[derive(Deserialize, Serialize)]
struct OnDisk {
    postrider_redo: u32,
    files: BTreeMap<PathBuf, Option<String>>,
}

/// Why a redo log may be another user's.
fn foreign(path: &Path, main: &Path) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = path.symlink_metadata().ok()?;
    let owner = main.metadata().map_or(0, |meta| meta.uid());
    if !meta.is_file() {
        return Some("is no regular file");
    }
    if ![0, owner].contains(&meta.uid()) {
        return Some("belongs to another user");
    }
    (meta.mode() & 0o022 != 0).then_some("may be written by other users")
}

/// Whether a file lies below the main file's folder, or is one that it includes.
fn is_own(file: &Path, main: &Path) -> bool {
    use std::path::Component;
    let plain = !file.components().any(|part| part == Component::ParentDir);
    let (Ok(main), Ok(file)) = (std::path::absolute(main), std::path::absolute(file)) else {
        return false;
    };
    let below = main.parent().is_some_and(|folder| file.starts_with(folder));
    plain && (below || super::adding::covers(&main, &file))
}

impl Pending {
    /// These files.
    pub fn of(files: BTreeMap<PathBuf, Option<Zeroizing<String>>>) -> Self {
        Self { files, mode: None }
    }

    /// To be judged as files that are as open to others as this one.
    #[must_use]
    pub fn as_open_as(mut self, file: &Path) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        self.mode = file.metadata().ok().map(|meta| (meta.mode() & 0o7777, meta.gid()));
        self
    }

    /// Where the redo log of a main file is.
    pub fn path(main: &Path) -> PathBuf {
        let mut name = std::ffi::OsString::from(".");
        name.push(main.file_name().unwrap_or_default());
        name.push(".redo");
        main.with_file_name(name)
    }

    /// Reads the redo log that a cut change has left; none is the usual case.
    pub(super) fn read(main: &Path) -> Result<Self, Problem> {
        Ok(Self::cut(main)?.unwrap_or_default())
    }

    /// The change that was cut; `None`: there was none.
    pub fn cut(main: &Path) -> Result<Option<Self>, Problem> {
        let path = Self::path(main);
        if std::fs::symlink_metadata(&path).is_err() {
            return Ok(None);
        }
        if let Some(why) = foreign(&path, main) {
            let what = format!("`{}` {why}: it is not read", path.display());
            let hint = "look who made it; a change writes it as the main file's owner or as root";
            return Err(Problem::error(what).hint(hint));
        }
        let source = Source::read_up_to(&path, u64::from(u32::MAX))?;
        let read: Result<OnDisk, _> = serde_json::from_str(&source.text);
        let Ok(OnDisk { postrider_redo: 1, files }) = read else {
            let what = format!("`{}` is no redo log of a change", path.display());
            let hint = "it should have been written by `postrider config import`; move it away \
                        and see whether the files are as they should be";
            return Err(Problem::error(what).hint(hint));
        };
        if let Some(file) = files.keys().find(|file| !is_own(file, main)) {
            let what = format!(
                "`{}` would write `{}`, which is no file of this configuration",
                path.display(),
                file.display()
            );
            return Err(Problem::error(what).hint("move it away; no change has written it"));
        }
        let files = files.into_iter().map(|(file, text)| (file, text.map(Zeroizing::new)));
        Ok(Some(Self { files: files.collect(), mode: source.mode }))
    }

    /// A change that was cut counts, and its files don't say so.
    pub fn warning(main: &Path) -> Option<Problem> {
        let path = Self::path(main);
        path.symlink_metadata().ok()?;
        let what =
            format!("a change of files was cut: `{}` counts instead of them", path.display());
        let hint = "the next `postrider config import` or `account edit` ends it";
        Some(Problem::warning(what).hint(hint))
    }

    /// The octets of the redo log.
    pub fn to_json(&self) -> Zeroizing<String> {
        let files = self.files.iter();
        let files = files.map(|(file, text)| (file.clone(), text.as_ref().map(|t| t.to_string())));
        let on_disk = OnDisk { postrider_redo: 1, files: files.collect() };
        Zeroizing::new(serde_json::to_string(&on_disk).unwrap_or_default())
    }

    /// The files and their new texts.
    pub fn files(&self) -> &BTreeMap<PathBuf, Option<Zeroizing<String>>> {
        &self.files
    }

    /// Whether the file will be removed.
    pub(super) fn removes(&self, file: &Path) -> bool {
        matches!(self.files.get(file), Some(None))
    }

    /// A file as it will be, where it is written anew.
    pub(super) fn source(&self, file: &Path) -> Option<Source> {
        let text = self.files.get(file)?.as_ref()?;
        let mut source = Source::from_text(file, text.to_string());
        source.mode = self.mode;
        Some(source)
    }

    /// The files that are not removed.
    pub(super) fn present(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter().filter(|(_, text)| text.is_some()).map(|(file, _)| file)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test's own files")]
    fn cut(file: &str, mode: u32) -> Result<Option<Pending>, Problem> {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("p.toml");
        std::fs::write(&main, "include = [\"/srv/more/*.toml\"]\n").unwrap();
        assert!(Pending::warning(&main).is_none());
        let file = file.replace("HERE", &folder.path().to_string_lossy());
        let change = BTreeMap::from([(PathBuf::from(file), None)]);
        let log = Pending::path(&main);
        std::fs::write(&log, Pending::of(change).to_json().as_bytes()).unwrap();
        std::fs::set_permissions(&log, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(Pending::warning(&main).is_some());
        Pending::cut(&main)
    }

    #[test]
    fn redo_log_that_others_may_write_or_that_names_others_files_doesnt_count() {
        for file in ["HERE/p.toml", "HERE/conf.d/a.toml", "/srv/more/a.toml"] {
            assert!(cut(file, 0o640).is_ok_and(|found| found.is_some()), "{file}");
        }
        assert!(cut("HERE/p.toml", 0o660).unwrap_err().message.contains("other users"));
        for file in ["/etc/passwd", "HERE/../x.toml", "/srv/more/deeper/a.toml", "a.toml"] {
            let refused = cut(file, 0o600).unwrap_err().message;
            assert!(refused.contains("no file of this configuration"), "{refused}");
        }
    }
}

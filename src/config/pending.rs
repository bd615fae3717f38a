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
        let source = Source::read_up_to(&path, u64::from(u32::MAX))?;
        let read: Result<OnDisk, _> = serde_json::from_str(&source.text);
        let Ok(OnDisk { postrider_redo: 1, files }) = read else {
            let what = format!("`{}` is no redo log of a change", path.display());
            let hint = "it should have been written by `postrider config import`; move it away \
                        and see whether the files are as they should be";
            return Err(Problem::error(what).hint(hint));
        };
        let files = files.into_iter().map(|(file, text)| (file, text.map(Zeroizing::new)));
        Ok(Some(Self { files: files.collect(), mode: source.mode }))
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

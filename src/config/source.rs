//! Reads one file of the configuration: bounded, regular, UTF-8; and knows its lines.
//!
//! Not for TOML: that is `raw`.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::problem::{Place, Problem};

/// Octets of one file; a larger one is no configuration.
pub(super) const MAX_FILE: u64 = 1 << 20;

/// A file's text and what its metadata says. The text may hold passwords: wiped when dropped.
pub(super) struct Source {
    pub(super) file: Arc<Path>,
    pub(super) text: Zeroizing<String>,
    /// Device and inode; `None` for text that was handed in.
    pub(super) identity: Option<(u64, u64)>,
    /// Permission bits and owning group; `None` for text that was handed in.
    pub(super) mode: Option<(u32, u32)>,
    /// Offsets of the lines' first octets, the first line's left out.
    line_starts: Vec<usize>,
}

impl Source {
    /// Reads a file; on failure the problem says why.
    pub(super) fn read(file: &Path) -> Result<Self, Problem> {
        Self::read_up_to(file, MAX_FILE)
    }

    /// The same with another limit.
    pub(super) fn read_up_to(file: &Path, most: u64) -> Result<Self, Problem> {
        let file: Arc<Path> = file.into();
        let fail = |why: String| {
            let name = file.display();
            Err(Problem::error(format!("cannot read `{name}`: {why}")).at(&Place::file(&file)))
        };
        // O_NONBLOCK: opening a FIFO must not wait for a writer.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let open = File::options().read(true).custom_flags(flags).open(&file);
        let mut handle = match open {
            Ok(handle) => handle,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let name = file.display();
                let hint = format!("chgrp postrider {name}; chmod 640 {name}");
                return fail(error.to_string()).map_err(|problem: Problem| problem.hint(hint));
            }
            Err(error) => return fail(error.to_string()),
        };
        let meta = match handle.metadata() {
            Ok(meta) => meta,
            Err(error) => return fail(error.to_string()),
        };
        if !meta.is_file() {
            return fail("it is not a regular file".to_owned());
        }
        let mut octets = Vec::new();
        let limit = most.saturating_add(1);
        if let Err(error) = handle.by_ref().take(limit).read_to_end(&mut octets) {
            return fail(error.to_string());
        }
        if meta.len() > most || octets.len() as u64 > most {
            return fail(format!("it is larger than {most} octets, the limit of a config file"));
        }
        let mut source = Self::from_octets(&file, octets)?;
        source.identity = Some((meta.dev(), meta.ino()));
        source.mode = Some((meta.mode() & 0o7777, meta.gid()));
        Ok(source)
    }

    /// Takes text that is not (yet) in a file.
    pub(super) fn from_text(name: &Path, text: String) -> Self {
        let mut text = Zeroizing::new(text);
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let line_starts = text.match_indices('\n').map(|(at, _)| at.saturating_add(1)).collect();
        Self { file: name.into(), text, identity: None, mode: None, line_starts }
    }

    fn from_octets(file: &Arc<Path>, octets: Vec<u8>) -> Result<Self, Problem> {
        match String::from_utf8(octets) {
            Ok(text) => Ok(Self::from_text(file, text)),
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let mut octets = error.into_bytes();
                octets.truncate(good);
                let head = Self::from_text(file, String::from_utf8(octets).unwrap_or_default());
                let name = file.display();
                Err(Problem::error(format!("`{name}` is not UTF-8"))
                    .at(&head.place(head.text.len()))
                    .hint("save it as UTF-8"))
            }
        }
    }

    /// Where an offset is.
    pub(super) fn place(&self, offset: usize) -> Place {
        let before = self.line_starts.partition_point(|start| *start <= offset);
        let start = before.checked_sub(1).and_then(|n| self.line_starts.get(n)).copied();
        let head = self.text.get(start.unwrap_or(0)..offset).unwrap_or_default();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
        Place {
            file: Arc::clone(&self.file),
            line: count(before),
            column: count(head.chars().count()),
        }
    }

    /// The text of a span; empty when the span is none.
    pub(super) fn slice(&self, span: Range<usize>) -> &str {
        self.text.get(span).unwrap_or_default()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("file", &self.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let source = Source::from_text(Path::new("x"), "\u{feff}a\r\nbé = 1\n".to_owned());
        let at = |offset| {
            let place = source.place(offset);
            (place.line, place.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(3), (2, 1));
        assert_eq!(at(7), (2, 4));
    }

    #[test]
    fn g07_what_is_not_utf8_names_its_line() {
        let problem =
            Source::from_octets(&Path::new("x").into(), b"a = 1\nb = \"\xe9\"\n".to_vec());
        let problem = problem.unwrap_err();
        assert_eq!((problem.line, problem.column), (Some(2), Some(6)));
    }

    #[test]
    fn a_folder_and_a_fifo_are_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Source::read(dir.path()).unwrap_err().message.contains("regular file"));
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert!(Source::read(&fifo).unwrap_err().message.contains("regular file"));
    }

    #[test]
    fn a_file_of_100_megabytes_is_refused_unread() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(100_000_000).unwrap();
        assert!(Source::read(file.path()).unwrap_err().message.contains("larger than"));
    }
}

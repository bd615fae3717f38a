//! A walk through the tree by names alone: which message folders are there, and what doesn't
//! belong there.
//!
//! Whatever layout a message was stored under, its folder ends in `HHMMSS-` and 16 characters of
//! its id; only such folders are messages, and they are not entered. In memory are the names of
//! one folder at each depth.

use std::io;

use super::dir::{Entry, Folder, Kind};
use super::fault::{Fault, FaultKind};
use super::root::{MARKER, NEW, QUARANTINE, STAGE};
use super::stage::Modes;

/// Deeper than any layout.
const DEPTH: usize = 32;

/// What the walk came by.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A message folder, by its path.
    Message(String),
    /// Something else that is wrong.
    Fault(Fault),
}

/// The walk; in the order of names.
#[derive(Debug)]
pub struct Survey {
    root: Folder,
    modes: Option<Modes>,
    open: Vec<(String, std::vec::IntoIter<Entry>)>,
}

impl Survey {
    /// Begins at the root. Without modes none are compared.
    pub(super) fn begin(root: &Folder, modes: Option<Modes>) -> io::Result<Self> {
        let root = root.again()?;
        let mut entries = root.entries()?;
        let own = [MARKER, NEW, STAGE, QUARANTINE, "lost+found"];
        entries.retain(|entry| !own.contains(&entry.name.as_str()));
        Ok(Self { root, modes, open: vec![(String::new(), entries.into_iter())] })
    }

    fn look(&mut self, parent: &str, entry: &Entry) -> Option<Seen> {
        let path =
            if parent.is_empty() { entry.name.clone() } else { format!("{parent}/{}", entry.name) };
        let fault = |kind, what: &str| Some(Seen::Fault(Fault::new(kind, &path, what)));
        match entry.kind {
            Kind::Link => return fault(FaultKind::Link, "a symbolic link"),
            Kind::File => return fault(FaultKind::Stranger, "a file between message folders"),
            Kind::Other => return fault(FaultKind::Stranger, "neither a file nor a folder"),
            Kind::Folder => {}
        }
        if is_message(&entry.name) {
            return Some(Seen::Message(path));
        }
        if !is_plain(&entry.name) || self.open.len() >= DEPTH {
            return fault(FaultKind::Name, "no name that postrider gives to a folder");
        }
        match self.root.folder(&path).and_then(|folder| folder.entries()) {
            Ok(entries) => self.open.push((path.clone(), entries.into_iter())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return fault(FaultKind::Unreadable, &error.to_string()),
        }
        let modes = self.modes?;
        wider(entry.mode, modes.dir)
            .map(|what| Seen::Fault(Fault::new(FaultKind::Mode, path, what)))
    }
}

impl Iterator for Survey {
    type Item = Seen;

    fn next(&mut self) -> Option<Seen> {
        while let Some((parent, entries)) = self.open.last_mut() {
            let Some(entry) = entries.next() else {
                self.open.pop();
                continue;
            };
            let parent = parent.clone();
            if let Some(seen) = self.look(&parent, &entry) {
                return Some(seen);
            }
        }
        None
    }
}

/// `HHMMSS-` and 16 characters of base32.
pub(super) fn is_message(name: &str) -> bool {
    let Some((time, id)) = name.split_once('-') else { return false };
    time.len() == 6
        && time.bytes().all(|octet| octet.is_ascii_digit())
        && id.len() == crate::model::FOLDER_SUFFIX_LEN
        && id.bytes().all(|octet| matches!(octet, b'a'..=b'z' | b'2'..=b'7'))
}

/// Only characters that postrider puts into names, and not one of its dot files.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= super::component::MAX_NAME
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'-'))
}

/// Whether a mode gives more than it may; in words.
pub(super) fn wider(mode: u32, may: u32) -> Option<String> {
    // A set-gid folder hands its group down; administrators use it.
    let is_wider = mode & !(may | 0o2000) != 0;
    is_wider.then(|| format!("its mode is {mode:04o}, wider than {may:04o}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_time_and_id_are_messages() {
        assert!(is_message("091231-hvj5akkdndukseyf"));
        for name in ["091231-hvj5akkdndukseyfaa", "09123-hvj5akkdndukseyf", "20261119", "091231"] {
            assert!(!is_message(name), "{name}");
        }
    }

    #[test]
    fn a_walk_names_messages_and_strangers_and_enters_no_link() {
        let temp = tempfile::tempdir().unwrap();
        let at = temp.path();
        let root = Folder::open(at).unwrap();
        for path in ["a", "a/in", "a/in/20261119", "a/in/20261119/091231-hvj5akkdndukseyf", ".x"] {
            root.make(path, 0o750).unwrap();
        }
        root.make("a/wide", 0o755).unwrap();
        root.create("a/in/note", 0o640).unwrap();
        std::os::unix::fs::symlink("/etc", at.join("a/in/link")).unwrap();
        root.make("a/in/sp ace", 0o750).unwrap();
        let modes = Modes { dir: 0o750, file: 0o640 };
        let seen: Vec<(String, &str)> = Survey::begin(&root, Some(modes))
            .unwrap()
            .map(|seen| match seen {
                Seen::Message(path) => (path, "message"),
                Seen::Fault(fault) => (fault.path, fault.kind.as_str()),
            })
            .collect();
        let expected = [
            (".x", "name"),
            ("a/in/20261119/091231-hvj5akkdndukseyf", "message"),
            ("a/in/link", "link"),
            ("a/in/note", "stranger"),
            ("a/in/sp ace", "name"),
            ("a/wide", "mode"),
        ];
        assert_eq!(seen, expected.map(|(path, what)| (path.to_owned(), what)));
    }
}

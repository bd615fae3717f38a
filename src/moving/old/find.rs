//! Finds old mail in files and folders, message by message; links in folders are not followed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, FileType, Metadata};
use std::io::{Error, Read as _, Result};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::mbox::{FROM, Quoting, Spans};
use super::{OldMail, Place};

/// Folders within each other.
const DEPTH: usize = 64;
/// Files that are named when they are left out; the others are counted.
const NAMED: usize = 1000;

/// What was left out.
#[derive(Clone, Debug, Serialize)]
pub struct Left {
    /// The file or folder.
    pub path: String,
    /// Why.
    pub why: String,
}

/// What is still to be looked at.
#[derive(Debug)]
enum Task {
    /// Named by a person: taken for mail whatever it is called.
    Named(PathBuf),
    /// Found in a folder, so many folders deep.
    Found(PathBuf, usize),
    /// Of a Maildir.
    Delivered(PathBuf),
}

/// A way through files and folders.
#[derive(Debug)]
pub struct Finder {
    /// The last one comes next.
    tasks: Vec<Task>,
    mbox: Option<(PathBuf, Spans, u64, Timestamp)>,
    quoting: Quoting,
    /// What can't be read.
    pub failed: Vec<Left>,
    /// Files in folders that are no mail.
    pub passed: u64,
}

impl Finder {
    /// Begins with these, in their order.
    pub fn new(paths: &[PathBuf], quoting: Quoting) -> Self {
        let tasks = paths.iter().rev().cloned().map(Task::Named).collect();
        Self { tasks, mbox: None, quoting, failed: Vec::new(), passed: 0 }
    }

    /// The next message; `None` behind the last one. What can't be read is noted, and passed.
    pub fn next_mail(&mut self) -> Option<OldMail> {
        loop {
            if let Some(mail) = self.next_of_mbox() {
                return Some(mail);
            }
            let task = self.tasks.pop()?;
            let (Task::Named(path) | Task::Found(path, _) | Task::Delivered(path)) = &task;
            let path = path.clone();
            match self.look(task) {
                Ok(Some(mail)) => return Some(mail),
                Ok(None) => {}
                Err(error) => self.fail(&path, &error),
            }
        }
    }

    /// Notes what can't be taken.
    pub fn fail(&mut self, path: &Path, why: &dyn std::fmt::Display) {
        if self.failed.len() < NAMED {
            let path = path.to_string_lossy().into_owned();
            self.failed.push(Left { path, why: why.to_string() });
        }
    }

    fn look(&mut self, task: Task) -> Result<Option<OldMail>> {
        match task {
            Task::Named(path) => {
                let meta = fs::metadata(&path)?;
                if meta.is_dir() {
                    self.folder(&path, 0)?;
                    return Ok(None);
                }
                if !meta.is_file() {
                    return Err(Error::other("it is neither a file nor a folder"));
                }
                self.file(path, &meta, true)
            }
            Task::Found(path, depth) => {
                let meta = fs::symlink_metadata(&path)?;
                if meta.is_dir() {
                    self.folder(&path, depth)?;
                    return Ok(None);
                }
                if meta.is_file() {
                    return self.file(path, &meta, false);
                }
                self.passed = self.passed.saturating_add(1);
                Ok(None)
            }
            Task::Delivered(path) => {
                let meta = fs::symlink_metadata(&path)?;
                if !meta.is_file() {
                    self.passed = self.passed.saturating_add(1);
                    return Ok(None);
                }
                let flags = flags(path.file_name().unwrap_or_default());
                let (at, len) = (modified(&meta), meta.len());
                Ok(Some(OldMail { place: Place::whole(path, len), flags, at }))
            }
        }
    }

    /// Of a folder its entries by name; of a Maildir what was delivered, and its folders.
    fn folder(&mut self, path: &Path, depth: usize) -> Result<()> {
        if depth >= DEPTH {
            return Err(Error::other("there are too many folders within each other"));
        }
        let is_folder = |name: &str| {
            let kind = fs::symlink_metadata(path.join(name)).map(|meta| meta.file_type());
            kind.as_ref().is_ok_and(FileType::is_dir)
        };
        let is_maildir = is_folder("cur") && is_folder("new");
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(path)? {
            names.insert(entry?.file_name());
        }
        let mut tasks = Vec::new();
        for name in names {
            let entry = path.join(&name);
            if is_maildir && (name == "cur" || name == "new") {
                let mut mails = BTreeSet::new();
                for mail in fs::read_dir(&entry)? {
                    mails.insert(mail?.path());
                }
                tasks.extend(mails.into_iter().map(Task::Delivered));
            } else if is_maildir {
                let is_own = name == "tmp" || !fs::symlink_metadata(&entry)?.is_dir();
                if !is_own {
                    tasks.push(Task::Found(entry, depth.saturating_add(1)));
                }
            } else {
                tasks.push(Task::Found(entry, depth.saturating_add(1)));
            }
        }
        self.tasks.extend(tasks.into_iter().rev());
        Ok(())
    }

    fn file(&mut self, path: PathBuf, meta: &Metadata, named: bool) -> Result<Option<OldMail>> {
        let file = File::open(&path)?;
        let mut begins = Vec::new();
        (&file).take(FROM.len() as u64).read_to_end(&mut begins)?;
        let at = modified(meta);
        if begins == FROM {
            let spans = Spans::new(File::open(&path)?);
            self.mbox = Some((path, spans, 0, at));
            return Ok(None);
        }
        let is_eml = path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("eml"));
        if !named && !is_eml {
            self.passed = self.passed.saturating_add(1);
            return Ok(None);
        }
        Ok(Some(OldMail { place: Place::whole(path, meta.len()), flags: Vec::new(), at }))
    }

    fn next_of_mbox(&mut self) -> Option<OldMail> {
        let (path, spans, n, at) = self.mbox.as_mut()?;
        match spans.next() {
            Ok(Some(span)) => {
                *n = n.saturating_add(1);
                let (path, number) = (path.clone(), Some(*n));
                let quoting = Some(self.quoting);
                let place = Place { path, from: span.from, len: span.len, quoting, number };
                Some(OldMail { place, flags: Vec::new(), at: span.at.unwrap_or(*at) })
            }
            Ok(None) => {
                self.mbox = None;
                None
            }
            Err(error) => {
                let path = path.clone();
                self.mbox = None;
                self.fail(&path, &error);
                None
            }
        }
    }
}

fn modified(meta: &Metadata) -> Timestamp {
    let at = meta.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
    at.unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Flags of a Maildir's file name, as IMAP has them.
fn flags(name: &OsStr) -> Vec<String> {
    let name = name.to_string_lossy();
    let letters = name.rsplit_once(":2,").map_or("", |(_, letters)| letters);
    let flag = |letter| match letter {
        'D' => Some("\\Draft"),
        'F' => Some("\\Flagged"),
        'R' => Some("\\Answered"),
        'S' => Some("\\Seen"),
        _ => None,
    };
    letters.chars().filter_map(flag).map(str::to_owned).collect()
}

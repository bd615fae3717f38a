//! The message is delivered to a Maildir, as Dan Bernstein's description of the format has it.
//!
//! Its name is made of the key, so that a second try finds the first one's delivery, in `new`, or
//! in `cur` after a reader has seen it.

use std::io;
use std::path::Path;

use super::copy::{Limit, copy};
use super::{Means, Task, facts, file, open};
use crate::archive::dir::Folder;
use crate::rules::Trouble;

/// Delivers it, unless it was delivered before.
pub(super) fn deliver(task: &Task, to: &Path, means: &Means) -> Result<(), Trouble> {
    let shown = to.display().to_string();
    let received = facts(means.archive.root(), &task.path)
        .map_err(|why| Trouble::passing("file", why))?
        .received;
    let octets = open(task, means)?.read("message.eml").map_err(file("message.eml"))?;
    let maildir = Folder::open(to).map_err(file(&shown))?;
    let name = format!("{}.{}.postrider", received.as_second(), task.key);
    let limit = Limit::of(task.rule.timeout);
    place(&maildir, &name, octets, limit).map_err(limit.trouble(&shown))
}

fn place(maildir: &Folder, name: &str, mut octets: std::fs::File, limit: Limit) -> io::Result<()> {
    let (new, _) = maildir.open_or_make("new", 0o700)?;
    let (cur, _) = maildir.open_or_make("cur", 0o700)?;
    let (tmp, _) = maildir.open_or_make("tmp", 0o700)?;
    let seen = cur.names()?.iter().any(|found| found.split(':').next() == Some(name));
    if seen || new.has(name)? {
        // Who put it there may have died before its own sync.
        return new.sync();
    }
    // Of a try that was cut.
    tmp.remove_all(name)?;
    let mut file = tmp.create(name, 0o600)?;
    copy(&mut octets, &mut file, limit)?;
    file.sync_all()?;
    match tmp.rename(name, &new, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => tmp.remove_all(name)?,
        renamed => renamed?,
    }
    new.sync()
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;

    #[test]
    fn second_delivery_finds_the_first_one_even_after_a_reader_has_seen_it() {
        let dir = tempfile::tempdir().unwrap();
        let maildir = Folder::open(dir.path()).unwrap();
        let deliver = || {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"Subject: x\r\n\r\n").unwrap();
            file.rewind().unwrap();
            place(&maildir, "7.k.postrider", file, Limit::of(std::time::Duration::MAX)).unwrap();
        };
        let names = |folder| maildir.folder(folder).unwrap().names().unwrap();
        deliver();
        deliver();
        assert_eq!(names("new"), ["7.k.postrider"]);
        let path = |name| dir.path().join(name);
        std::fs::copy(path("new/7.k.postrider"), path("cur/7.k.postrider:2,S")).unwrap();
        maildir.folder("new").unwrap().remove_all("7.k.postrider").unwrap();
        // A try that was cut left this.
        maildir.folder("tmp").unwrap().create("7.k.postrider", 0o600).unwrap();
        deliver();
        assert_eq!((names("new").len(), names("cur").len()), (0, 1));
    }
}

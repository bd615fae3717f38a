//! Attachments are copied into a folder of another program.
//!
//! A copy appears whole, under a name that nothing had before: temporary file, sync, rename that
//! replaces nothing, sync of the folder. A file of the same name and octets is taken for the copy,
//! so a second try adds nothing. However many files of one name there are, few are looked at.

use std::fs::File;
use std::io;

use jiff::tz::TimeZone;

use super::copy::{Limit, copy, digest_of};
use super::{Means, Task, facts, file, open};
use crate::archive::component::safe_name;
use crate::archive::dir::Folder;
use crate::config::Save;
use crate::rules::{Attached, MessageFacts, Trouble};

/// Numbers that a name may get; behind them it gets the action's key.
const NUMBERS: u32 = 10;

/// Copies the attachments that the rule wants, once.
pub(super) fn save(task: &Task, deed: &Save, means: &Means) -> Result<(), Trouble> {
    let passing = |why| Trouble::passing("file", why);
    let facts = facts(means.archive.root(), &task.path).map_err(passing)?;
    let folder = open(task, means)?;
    let shown = deed.to.display().to_string();
    let to = Folder::open(&deed.to).map_err(file(&shown))?;
    let limit = Limit::of(task.rule.timeout);
    for (n, attached) in (1_usize..).zip(&facts.attachments) {
        if !wanted(&deed.only, attached) {
            continue;
        }
        let from = format!("attachments/{}", attached.file);
        let name = name(&deed.name, &facts, attached, n, means.archive.timezone_name());
        let octets = folder.read(&from).map_err(file(&from))?;
        let own = Own { key: &task.key, n, mode: deed.mode, limit };
        place(&to, &name, octets, own).map_err(limit.trouble(&shown))?;
    }
    Ok(())
}

/// Whether a glob of the rule holds for an attachment's file name or its media type.
fn wanted(only: &[String], attached: &Attached) -> bool {
    only.iter().any(|glob| {
        let text = if glob.contains('/') { &attached.content_type } else { &attached.file };
        matches(&glob.to_ascii_lowercase(), &text.to_ascii_lowercase())
    })
}

/// Whether a glob with `*` and `?` holds for the whole text; time grows by the product of lengths.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0_usize, 0_usize);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, t));
                g = g.saturating_add(1);
            }
            Some(c) if *c == '?' || text.get(t) == Some(c) => {
                g = g.saturating_add(1);
                t = t.saturating_add(1);
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from.saturating_add(1)));
                (g, t) = (at.saturating_add(1), from.saturating_add(1));
            }
        }
    }
    glob.iter().skip(g).all(|c| *c == '*')
}

/// The name of a copy: safe whatever the mail and the template say.
fn name(template: &str, facts: &MessageFacts, attached: &Attached, n: usize, zone: &str) -> String {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let date = facts.received.to_zoned(zone).strftime("%Y%m%d").to_string();
    let id = facts.id.get(..16).unwrap_or(&facts.id);
    let mut name = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        name.push_str(before);
        let (word, next) = after.split_once('}').unwrap_or((after, ""));
        match word {
            "date" => name.push_str(&date),
            "account" => name.push_str(&facts.account),
            "id" => name.push_str(id),
            "n" => name.push_str(&n.to_string()),
            _ => name.push_str(&attached.file),
        }
        rest = next;
    }
    name.push_str(rest);
    safe_name(Some(&name), &attached.content_type, n)
}

/// Whose copy it is, and how it is made.
#[derive(Clone, Copy, Debug)]
struct Own<'k> {
    key: &'k str,
    n: usize,
    mode: u32,
    limit: Limit,
}

/// Puts a copy into the folder, unless the same octets stand there under its name.
fn place(to: &Folder, name: &str, octets: File, own: Own<'_>) -> io::Result<()> {
    let part = format!(".postrider-{}-{}.part", own.key, own.n);
    // Of a try that was cut.
    to.remove_all(&part)?;
    let placed = place_part(to, &part, (name, octets), own);
    if placed.is_err() {
        to.remove_all(&part)?;
    }
    placed
}

fn place_part(
    to: &Folder,
    part: &str,
    (name, mut octets): (&str, File),
    Own { key, n, mode, limit }: Own<'_>,
) -> io::Result<()> {
    let mut file = to.create(part, mode)?;
    let digest = copy(&mut octets, &mut file, limit)?;
    file.sync_all()?;
    let size = file.metadata()?.len();
    drop(file);
    for number in 1..=NUMBERS {
        let name = match number {
            1 => name.to_owned(),
            NUMBERS => numbered(name, &format!("{key}-{n}")),
            number => numbered(name, &number.to_string()),
        };
        match to.rename(part, to, &name) {
            Ok(()) => return to.sync(),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let there = to.read(&name);
        let Some(there) = there.ok().filter(|f| f.metadata().is_ok_and(|m| m.len() == size)) else {
            continue;
        };
        if digest_of(there, limit)? == digest {
            to.remove_all(part)?;
            // Who put it there may have died before its own sync.
            return to.sync();
        }
    }
    Err(io::Error::other("another file has the name that only this copy can have"))
}

fn numbered(name: &str, number: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}-{number}.{extension}"),
        _ => format!("{name}-{number}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    fn source(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        file
    }

    fn put(to: &Folder, key: &str, text: &str, time: Duration) -> io::Result<()> {
        let own = Own { key, n: 1, mode: 0o640, limit: Limit::of(time) };
        place(to, "a.pdf", source(text), own)
    }

    fn attached(file: &str, content_type: &str) -> Attached {
        let (file, content_type) = (file.to_owned(), content_type.to_owned());
        Attached { file, content_type, ..Attached::default() }
    }

    #[test]
    fn attachments_are_chosen_by_names_and_types() {
        let only = |globs: &[&str], file: &str, content_type: &str| {
            let globs: Vec<String> = globs.iter().map(|&glob| glob.to_owned()).collect();
            wanted(&globs, &attached(file, content_type))
        };
        assert!(only(&["*"], "x", ""));
        assert!(only(&["*.pdf"], "A.PDF", "") && !only(&["*.pdf"], "a.pdf.exe", ""));
        assert!(only(&["x", "image/*"], "a", "image/png") && !only(&["image/*"], "a", "text/x"));
        assert!(only(&["in?oice*.p*f"], "invoice-1.pdf", "") && !only(&[], "a", ""));
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
    }

    #[test]
    fn name_of_a_copy_is_safe_whatever_stands_in_it() {
        let facts = MessageFacts {
            id: "abcdefghijklmnopqrstuvwxyz".to_owned(),
            account: "inv".to_owned(),
            received: "2026-11-21T23:30:00Z".parse().unwrap(),
            ..MessageFacts::default()
        };
        let of = |template: &str, file: &str| {
            name(template, &facts, &attached(file, "application/pdf"), 2, "Europe/Vienna")
        };
        assert_eq!(of("{date}-{id}-{name}", "a.pdf"), "20261122-abcdefghijklmnop-a.pdf");
        assert_eq!(of("{account}_{n}_{name}", "a.pdf"), "inv_2_a.pdf");
        for hostile in ["../../etc/passwd", "/etc/passwd", "a\nb", "..", "con", "{date}"] {
            let name = of("{name}", hostile);
            let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            assert!(name.chars().all(good) && !name.starts_with('.'), "{hostile}: {name}");
        }
        assert!(of("{date}-{name}", &"a".repeat(300)).len() <= 200);
    }

    #[test]
    fn copy_replaces_nothing_and_a_second_try_adds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let to = Folder::open(dir.path()).unwrap();
        let put = |key: &str, text: &str| put(&to, key, text, LONG);
        put("k1", "one").unwrap();
        put("k1", "one").unwrap();
        put("k2", "two").unwrap();
        put("k2", "two").unwrap();
        // A try that was cut left this.
        to.create(".postrider-k3-1.part", 0o600).unwrap();
        put("k3", "three").unwrap();
        assert_eq!(to.names().unwrap(), ["a-2.pdf", "a-3.pdf", "a.pdf"]);
        let text = |name| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!([text("a.pdf"), text("a-2.pdf"), text("a-3.pdf")], ["one", "two", "three"]);
    }

    /// Each try looked at all files of the name that there were.
    #[test]
    fn many_files_of_one_name_are_told_apart_by_few_looks() {
        let dir = tempfile::tempdir().unwrap();
        let to = Folder::open(dir.path()).unwrap();
        for _ in 0..2 {
            for n in 0..30 {
                put(&to, &format!("key{n:02}"), &format!("{n:02}"), LONG).unwrap();
            }
        }
        let names = to.names().unwrap();
        assert_eq!(names.len(), 30, "a second try adds nothing: {names:?}");
        let has = |name: &str| names.iter().any(|found| found == name);
        assert!(has("a.pdf") && has("a-9.pdf") && !has("a-10.pdf"), "{names:?}");
        assert!(has("a-key09-1.pdf") && has("a-key29-1.pdf"), "{names:?}");
        assert_eq!(std::fs::read_to_string(dir.path().join("a-key29-1.pdf")).unwrap(), "29");
    }

    #[test]
    fn copy_ends_with_its_time_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let to = Folder::open(dir.path()).unwrap();
        let error = put(&to, "k", "text", Duration::ZERO).unwrap_err();
        let trouble = Limit::of(Duration::from_secs(7)).trouble("/srv/x")(error);
        assert_eq!((trouble.code, &*trouble.detail), ("timeout", "/srv/x: not done within 7s"));
        assert_eq!(to.names().unwrap(), [""; 0]);
    }
}

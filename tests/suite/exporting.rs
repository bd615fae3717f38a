//! Stored messages come out again, octet for octet, in each format; beside a running daemon; whole
//! or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::control;
use crate::support::{Delivery, Dovecot, Output, Site, as_sent, messages, sample};

/// An account with these messages in its archive, and what was stored.
fn filled(dovecot: &Dovecot, messages: &[Vec<u8>]) -> Site {
    for message in messages {
        dovecot.deliver("u1", message);
    }
    let account = dovecot.account("imap", "tls", "u1") + "poll_interval = \"1d\"\n";
    let site = Site::new(&[("a", account)]);
    site.poll();
    site
}

fn export(site: &Site, format: &str, to: &Path, more: &[&str]) -> Output {
    let to = to.to_str().unwrap();
    site.cli(&[&["export", "a", "--format", format, "--to", to], more].concat())
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// All files below a folder, by path.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push(entry) }
    }
    found.sort();
    found
}

fn octets(files: &[PathBuf]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    all.sort();
    all
}

/// The messages of an mbox, read as the format's own words say: From_ lines, one `>` off.
fn read_mbox(path: &Path) -> Vec<Vec<u8>> {
    let text = fs::read(path).unwrap();
    let mut all: Vec<Vec<u8>> = Vec::new();
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        let unmarked = &line[line.iter().take_while(|octet| **octet == b'>').count()..];
        match (line.starts_with(b"From "), unmarked.starts_with(b"From ")) {
            (true, _) => all.push(Vec::new()),
            (false, true) => all.last_mut().unwrap().extend_from_slice(&line[1..]),
            _ => all.last_mut().unwrap().extend_from_slice(line),
        }
    }
    for message in &mut all {
        assert_eq!(message.pop(), Some(b'\n'), "an empty line ends each message");
    }
    all.sort();
    all
}

/// Names and octets of a ZIP file's stored entries, by its directory.
fn read_zip(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let zip = fs::read(path).unwrap();
    let number = |at: usize, n: usize| {
        zip[at..at + n].iter().rev().fold(0_usize, |sum, octet| sum << 8 | usize::from(*octet))
    };
    let end = zip.windows(4).rposition(|part| part == b"PK\x05\x06").unwrap();
    let (count, mut at) = (number(end + 10, 2), number(end + 16, 4));
    let mut all = BTreeMap::new();
    for _ in 0..count {
        assert_eq!(&zip[at..at + 4], b"PK\x01\x02");
        let (size, name, extra, offset) =
            (number(at + 24, 4), number(at + 28, 2), number(at + 30, 2), number(at + 42, 4));
        let path = String::from_utf8(zip[at + 46..at + 46 + name].to_vec()).unwrap();
        let from = offset + 30 + number(offset + 26, 2) + number(offset + 28, 2);
        all.insert(path, zip[from..from + size].to_vec());
        at += 46 + name + extra;
    }
    assert_eq!(at, end);
    all
}

fn awkward() -> Vec<Vec<u8>> {
    let mut all = messages(5);
    let quoted = b"Subject: quoted\n\nFrom here on\n>From there\n>>> From\nFrom\n.\n";
    all.push(quoted.to_vec());
    all.push(b"From: \"../../etc/passwd\" <a b@x>\nSubject: ../../x\x1b[2J\n\nx\n".to_vec());
    all
}

#[test]
fn each_format_holds_the_octets_that_were_stored_and_a_daemon_goes_on() {
    let dovecot = Dovecot::start();
    let site = filled(&dovecot, &awkward());
    let daemon = control::daemon(&site);
    let (sent, out) = (as_sent(&awkward()), site.path().join("out"));
    fs::create_dir(&out).unwrap();
    for format in ["eml", "mbox", "maildir", "zip"] {
        let to = out.join(format);
        let done = export(&site, format, &to, &["--json"]);
        assert_eq!((done.code, json(&done)["messages"].as_u64()), (0, Some(7)), "{done:?}");
        assert_eq!(json(&done)["damaged"], Value::from(Vec::<Value>::new()));
        let again = export(&site, format, &to, &[]);
        assert!(again.code == 1 && again.stderr.contains("move that away"), "{again:?}");
    }
    assert_eq!(octets(&files(&out.join("eml"))), sent);
    assert_eq!(read_mbox(&out.join("mbox")), sent);
    assert_eq!(octets(&files(&out.join("maildir/cur"))), sent);
    let zip = read_zip(&out.join("zip"));
    let mut held: Vec<Vec<u8>> = zip.values().cloned().collect();
    held.sort();
    assert_eq!(held, sent);
    // In files and ZIP each stands where it stands in the archive.
    let stored = site.stored();
    let place = format!("{}.eml", stored[0].path.display());
    assert!(zip[&place] == stored[0].eml && out.join("eml").join(&place).is_file());
    let first = fs::metadata(out.join("eml").join(&place)).unwrap();
    let received: jiff::Timestamp = stored[0].text("received").parse().unwrap();
    assert_eq!((first.mtime(), first.mode() & 0o777), (received.as_second(), 0o600));
    assert_eq!(site.tree_faults(), [""; 0]);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 4, "nothing else is left");
    assert_eq!(daemon.stop(Duration::from_secs(20)).code, 0);
}

#[test]
fn flags_and_dates_go_into_a_maildir_and_come_back_out_of_a_server() {
    let dovecot = Dovecot::start();
    let delivery = || Delivery::to("INBOX").at(1_700_000_000);
    dovecot.deliver_as("u1", &sample("read", 100), &delivery().flagged("FRS"));
    let site = filled(&dovecot, &[]);
    assert_eq!(site.stored().len(), 1);
    let to = site.path().join("maildir");
    assert_eq!(export(&site, "maildir", &to, &[]).code, 0);
    let file = &files(&to.join("cur"))[0];
    assert!(file.to_str().unwrap().ends_with(":2,FRS"), "{file:?}");
    assert_eq!(fs::metadata(file).unwrap().mtime(), 1_700_000_000);
    let folders: Vec<bool> = ["cur", "new", "tmp"].map(|name| to.join(name).is_dir()).to_vec();
    assert_eq!(folders, [true; 3]);
}

#[test]
fn only_what_is_meant_is_written_and_mistakes_write_nothing() {
    let dovecot = Dovecot::start();
    let site = filled(&dovecot, &messages(4));
    let to = site.path().join("some");
    let only = ["--where", "subject = 'message 0002'", "--json"];
    let done = export(&site, "eml", &to, &only);
    assert_eq!((done.code, json(&done)["messages"].as_u64()), (0, Some(1)), "{done:?}");
    let none = site.path().join("none");
    let done = export(&site, "mbox", &none, &["--until", "1999-01-01"]);
    assert!(done.code == 0 && done.stdout.contains("nothing was written"), "{done:?}");
    assert!(!none.exists());
    for (arguments, code) in [
        (&["export", "nobody", "--format", "eml", "--to", "x"][..], 2),
        (&["export", "a", "--format", "tar", "--to", "x"], 2),
        (&["export", "a", "--format", "eml", "--to", "x", "--where", "subjet = x"], 2),
        (&["export", "a", "--format", "eml", "--to", "no/such/folder"], 1),
        (&["export", "a", "--format", "eml", "--to", "/"], 1),
    ] {
        let done = site.cli(arguments);
        assert_eq!(done.code, code, "{done:?}");
    }
    let inside = export(&site, "eml", &site.root().join("a/x"), &[]);
    assert!(inside.code == 1 && inside.stderr.contains("in the archive"), "{inside:?}");
    // A link is something that is there, wherever it leads.
    let link = site.path().join("link");
    symlink("/nowhere", &link).unwrap();
    assert_eq!(export(&site, "eml", &link, &[]).code, 1);
    assert_eq!(site.tree_faults(), [""; 0]);
}

#[test]
fn copies_that_have_changed_are_left_out_and_named_in_each_format() {
    let dovecot = Dovecot::start();
    let site = filled(&dovecot, &messages(4));
    site.leave_unverified();
    let stored = site.stored();
    let path = |n: usize| site.root().join(&stored[n].path);
    let mut changed = stored[1].eml.clone();
    changed[0] ^= 1;
    fs::write(path(1).join("message.eml"), changed).unwrap();
    fs::remove_file(path(2).join("message.eml")).unwrap();
    symlink("/etc/hostname", path(2).join("message.eml")).unwrap();
    let mut left = vec![stored[0].eml.clone(), stored[3].eml.clone()];
    left.sort();
    for format in ["eml", "mbox", "maildir", "zip"] {
        let to = site.path().join(format);
        let done = export(&site, format, &to, &["--json"]);
        let told = json(&done);
        assert_eq!((done.code, told["messages"].as_u64()), (3, Some(2)), "{done:?}");
        assert_eq!(told["damaged"].as_array().unwrap().len(), 2, "{told}");
        let held = match format {
            "mbox" => read_mbox(&to),
            "zip" => {
                let mut held: Vec<Vec<u8>> = read_zip(&to).into_values().collect();
                held.sort();
                held
            }
            _ => octets(&files(&to)),
        };
        assert_eq!(held, left, "{format}");
    }
    let done = export(&site, "zip", &site.path().join("again"), &[]);
    assert!(done.stderr.contains("left out") && done.stderr.contains("SHA-256"), "{done:?}");
}

#[test]
fn export_that_is_killed_anywhere_leaves_all_or_nothing_and_the_next_one_is_whole() {
    let dovecot = Dovecot::start();
    let site = filled(&dovecot, &messages(2));
    let sent = as_sent(&messages(2));
    for format in ["eml", "mbox"] {
        let out = site.path().join(format!("out-{format}"));
        fs::create_dir(&out).unwrap();
        let to = out.join("x");
        for step in 1.. {
            assert!(step < 100);
            let arguments = ["export", "a", "--format", format, "--to", to.to_str().unwrap()];
            let done = site.cli_with(&[("POSTRIDER_STEP", &format!("kill@{step}"))], &arguments);
            let held = |to: &Path| match format {
                "mbox" => read_mbox(to),
                _ => octets(&files(to)),
            };
            if to.exists() {
                assert_eq!(held(&to), sent, "step {step}");
                break;
            }
            assert_ne!(done.code, 0, "step {step}: {done:?}");
        }
        let left: Vec<_> = fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["x"]);
    }
}

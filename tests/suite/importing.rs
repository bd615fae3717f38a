//! Old mail is taken into an account's archive: octet for octet, once, and never deleted for.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::control;
use crate::support::{
    Dovecot, Output, Site, crlf, loopback_account, messages, sample, stored_octets,
};

/// An account whose mail is deleted on the server at once, and a folder for old mail.
fn site(dovecot: &Dovecot) -> (Site, PathBuf) {
    let account = dovecot.account("imap", "tls", "u1");
    let account = account + "delete_read = true\npoll_interval = \"1d\"\n";
    let site = Site::new(&[("a", account)]);
    let old = site.path().join("old");
    fs::create_dir(&old).unwrap();
    (site, old)
}

fn import(site: &Site, paths: &[&Path], more: &[&str]) -> Output {
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    site.cli(&[&["import", "a", "--json"], more, &paths].concat())
}

fn told(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Found, stored, known.
fn counts(output: &Output) -> [u64; 3] {
    let told = told(output);
    ["found", "stored", "known"].map(|field| told[field].as_u64().unwrap())
}

/// A Maildir, an mbox, a folder of files and a file: each message once, and all of them.
fn fill(old: &Path) -> Vec<Vec<u8>> {
    let mut all = messages(6);
    all[1] = crlf(&all[1]);
    for folder in ["box/cur", "box/new", "box/tmp", "box/.Sent/cur", "box/.Sent/new", "deep/er"] {
        fs::create_dir_all(old.join(folder)).unwrap();
    }
    fs::write(old.join("box/cur/1.a:2,FS"), &all[0]).unwrap();
    fs::write(old.join("box/new/2.b"), &all[1]).unwrap();
    fs::write(old.join("box/tmp/3.c"), b"half").unwrap();
    fs::write(old.join("box/dovecot.index"), b"index").unwrap();
    fs::write(old.join("box/.Sent/cur/4.d:2,"), &all[2]).unwrap();
    fs::write(old.join("deep/er/x.EML"), &all[3]).unwrap();
    fs::write(old.join("deep/notes.txt"), b"no mail").unwrap();
    let from = b"From x@y Thu Nov 21 15:45:40 2019\n";
    let quoted = b"Subject: old\n\n>From here\n>>From there\n";
    fs::write(old.join("mbox"), [from, &all[4][..], b"\n", from, quoted, b"\n"].concat()).unwrap();
    fs::write(old.join("plain"), &all[5]).unwrap();
    all.push(b"Subject: old\n\nFrom here\n>From there\n".to_vec());
    all.sort();
    all
}

#[test]
fn old_mail_is_stored_once_octet_for_octet_and_no_server_hears_of_it() {
    let dovecot = Dovecot::start();
    let (site, old) = site(&dovecot);
    let all = fill(&old);
    let paths = [&*old.join("box"), &old.join("deep"), &old.join("mbox"), &old.join("plain")];
    site.poll();
    let dry = import(&site, &paths, &["--dry-run"]);
    assert_eq!((dry.code, counts(&dry), site.stored().len()), (0, [7, 7, 0], 0), "{dry:?}");
    let done = import(&site, &paths, &[]);
    assert_eq!((done.code, counts(&done)), (0, [7, 7, 0]), "{done:?}");
    assert_eq!(told(&done)["no_mail"], 1, "{done:?}");
    assert_eq!(stored_octets(&site), all);
    let again = import(&site, &paths, &[]);
    assert_eq!((again.code, counts(&again)), (0, [7, 0, 7]), "{again:?}");
    let stored = site.stored();
    let of = |subject: &str| stored.iter().find(|s| s.text("subject") == subject).unwrap();
    assert_eq!(of("message 0000").json["flags"], serde_json::json!(["\\Flagged", "\\Seen"]));
    assert_eq!(of("message 0000").text("received"), "2026-11-19T09:12:31Z");
    assert_eq!(of("old").text("received"), "2019-11-21T15:45:40Z");
    assert!(stored.iter().all(|stored| stored.text("unique_id").starts_with("imported ")));
    // The server has had none of it, and what comes from there is stored beside it.
    dovecot.deliver("u1", &sample("new", 100));
    site.poll();
    site.poll();
    assert_eq!(site.stored().len(), 8);
    let status = site.status();
    assert_eq!(status["accounts"][0]["held"], 0, "{status}");
    assert_eq!(status["accounts"][0]["delete_due"], 0, "{status}");
    let why = site.cli(&["why", stored[0].path.to_str().unwrap()]);
    assert!(why.code == 0 && !why.stdout.contains("delete due"), "{why:?}");
    // The tree alone tells as much as the ledger did.
    assert_eq!(site.cli(&["ledger", "rebuild", "--yes"]).code, 0);
    let again = import(&site, &paths, &[]);
    assert_eq!((again.code, counts(&again)), (0, [7, 0, 7]), "{again:?}");
    site.poll();
    assert_eq!((site.stored().len(), site.tree_faults().len()), (8, 0));
}

#[test]
fn what_a_server_brought_is_known_and_what_was_exported_comes_back_as_it_was() {
    let dovecot = Dovecot::start();
    let (mut site, old) = site(&dovecot);
    let mut all = messages(4);
    all.push(b"From: a@b.example\nSubject: q\n\nFrom me\n>From you\n".to_vec());
    for message in &all {
        dovecot.deliver("u1", message);
    }
    site.poll();
    let before = stored_octets(&site);
    site.account("b", &dovecot.account("imap", "tls", "u2"));
    // With the line ends of a file, it is still what the server sent with its own.
    fs::write(old.join("0.eml"), &all[0]).unwrap();
    assert_eq!(counts(&import(&site, &[&old], &[])), [1, 0, 1]);
    let formats = ["eml", "mbox", "maildir"];
    for format in formats {
        let to = old.join(format);
        let to = to.to_str().unwrap();
        assert_eq!(site.cli(&["export", "a", "--format", format, "--to", to]).code, 0);
        let done = site.cli(&["import", "b", to, "--json"]);
        let stored = if format == formats[0] { 5 } else { 0 };
        assert_eq!((done.code, counts(&done)), (0, [5, stored, 5 - stored]), "{format}: {done:?}");
    }
    let mut of_b: Vec<Vec<u8>> =
        site.stored().into_iter().filter(|s| s.account() == "b").map(|s| s.eml).collect();
    of_b.sort();
    assert_eq!(of_b, before);
}

#[test]
fn what_cannot_be_read_keeps_nothing_back_and_names_lead_nowhere() {
    let dovecot = Dovecot::start();
    let (site, old) = site(&dovecot);
    for (n, name) in ["../x.eml", "-rf .eml", "a\nb\u{1b}[2J.eml", "..eml"].iter().enumerate() {
        let name = name.replace('/', "\u{2215}");
        fs::write(old.join(name), sample(&format!("name {n}"), 50)).unwrap();
    }
    fs::write(old.join("empty.eml"), b"").unwrap();
    fs::write(old.join("nul.eml"), b"\0\0\0").unwrap();
    symlink("/etc/passwd", old.join("link.eml")).unwrap();
    symlink(&old, old.join("loop")).unwrap();
    assert!(Command::new("mkfifo").arg(old.join("pipe.eml")).status().unwrap().success());
    let done = import(&site, &[&old.join("not there"), &old, &old.join("pipe.eml")], &[]);
    assert_eq!((done.code, counts(&done)), (3, [5, 5, 0]), "{done:?}");
    let told = told(&done);
    let failed: BTreeSet<&str> =
        told["failed"].as_array().unwrap().iter().map(|f| f["why"].as_str().unwrap()).collect();
    assert_eq!(failed.len(), 3, "{told}");
    assert!(failed.contains("it is empty"), "{told}");
    assert_eq!((site.stored().len(), site.tree_faults().len()), (5, 0));
    let none = import(&site, &[&old.join("not there")], &[]);
    assert_eq!(none.code, 1, "{none:?}");
    assert_eq!(site.cli(&["import", "nobody", "x"]).code, 2);
    assert_eq!(site.cli(&["import", "a"]).code, 2);
    let text = site.cli(&["import", "a", old.to_str().unwrap()]);
    assert!(!text.stdout.contains('\u{1b}') && !text.stderr.contains('\u{1b}'), "{text:?}");
    // Beside a daemon only a look is possible.
    let daemon = control::daemon(&site);
    assert_eq!(import(&site, &[&old], &[]).code, 75);
    assert_eq!(counts(&import(&site, &[&old], &["--dry-run"])), [5, 0, 5]);
    assert_eq!(daemon.stop(Duration::from_secs(20)).code, 0);
}

#[test]
fn import_that_is_killed_at_each_step_is_whole_after_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = messages(3);
    for (n, message) in all.iter().enumerate() {
        fs::write(folder.path().join(format!("{n}.eml")), message).unwrap();
    }
    all.sort();
    let mut ends = [0, 0];
    for step in (1..).step_by(5) {
        assert!(step < 600);
        let site = Site::new(&[("a", loopback_account("imap", "tls", 9, "u1"))]);
        let (at, path) = (format!("kill@{step}"), folder.path().to_str().unwrap());
        let run = site.cli_with(&[("POSTRIDER_STEP", &at)], &["import", "a", path]);
        let whole = site.whole().len();
        let done = import(&site, &[folder.path()], &[]);
        assert_eq!(done.code, 0, "step {step}: {done:?}");
        assert_eq!(stored_octets(&site), all, "step {step}");
        if run.code == 0 {
            break;
        }
        ends[usize::from(whole > 0)] += 1;
    }
    assert!(ends[0] > 5 && ends[1] > 1, "{ends:?}");
}

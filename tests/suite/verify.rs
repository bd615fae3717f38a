//! `verify`: each thing that was touched in a tree is named, and nothing else is.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Dovecot, Site, messages, sample, wait_for};

/// Codes that `verify` finds, sorted.
fn codes(site: &Site, arguments: &[&str]) -> Vec<String> {
    let arguments = [&["--json", "verify"], arguments].concat();
    let output = site.cli(&arguments);
    let lines = output.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut codes: Vec<String> =
        lines.filter_map(|line| line["fault"]["code"].as_str().map(str::to_owned)).collect();
    codes.sort();
    assert_eq!(output.code, i32::from(!codes.is_empty()), "{output:?}");
    codes
}

fn copy_tree(from: &Path, to: &Path) {
    let arguments = [Path::new("-a"), from, to];
    assert!(Command::new("cp").args(arguments).status().unwrap().success());
}

fn flip_an_octet(path: &Path) {
    let mut octets = fs::read(path).unwrap();
    octets[7] ^= 1;
    fs::write(path, octets).unwrap();
}

/// What is found, whether `--quick` finds it too, and what is done to a message folder.
type Damage = (&'static str, bool, fn(&Path));

const DAMAGES: &[Damage] = &[
    ("copy-modified", false, |at| flip_an_octet(&at.join("message.eml"))),
    ("copy-modified", false, |at| flip_an_octet(&at.join("message.json"))),
    ("copy-modified", false, |at| flip_an_octet(&at.join("body.txt"))),
    ("copy-modified", true, |at| fs::write(at.join("message.eml"), "short").unwrap()),
    ("copy-missing", true, |at| fs::remove_file(at.join("message.json")).unwrap()),
    ("copy-missing", true, |at| fs::remove_dir_all(at).unwrap()),
    ("stranger", true, |at| {
        let path = at.join("notes");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }),
    ("stranger", true, |at| fs::write(at.with_file_name("notes"), "x").unwrap()),
    ("link", true, |at| symlink("/etc/passwd", at.join("link")).unwrap()),
    ("mode", true, |at| {
        fs::set_permissions(at.join("message.eml"), Permissions::from_mode(0o666)).unwrap();
    }),
    ("name", true, |at| fs::create_dir(at.with_file_name("a b")).unwrap()),
    ("orphan", true, |at| copy_tree(at, &at.with_file_name("000000-aaaaaaaaaaaaaaaa"))),
];

#[test]
fn d11_verify_names_each_thing_that_was_touched() {
    let dovecot = Dovecot::start();
    for message in messages(3) {
        dovecot.deliver("u1", &message);
    }
    let site = Site::new(&[("a", dovecot.account("imap", "none", "u1"))]);
    site.poll();
    assert_eq!(codes(&site, &[]), [""; 0]);
    let one = site.root().join(&site.stored()[1].path);
    let spare = site.path().join("spare");
    for (what, quick, damage) in DAMAGES {
        copy_tree(&site.root(), &spare);
        damage(&one);
        assert_eq!(codes(&site, &[]), [*what]);
        let seen = codes(&site, &["--quick"]);
        assert_eq!(!seen.is_empty(), *quick, "{what}: {seen:?}");
        assert_eq!(codes(&site, &["a", "--quick"]), seen, "{what}");
        fs::remove_dir_all(site.root()).unwrap();
        fs::rename(&spare, site.root()).unwrap();
    }
    assert_eq!(site.cli(&["verify", "nobody"]).code, 2);
}

#[test]
fn d11_verify_names_what_a_dead_run_left() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 500));
    let site = Site::new(&[("a", dovecot.account("imap", "none", "u1"))]);
    site.poll();
    fs::create_dir(site.root().join(".stage/left")).unwrap();
    assert_eq!(codes(&site, &[]), ["leftover"]);
    fs::remove_dir(site.root().join(".stage/left")).unwrap();
    fs::create_dir_all(site.root().join(".quarantine/091231-x")).unwrap();
    assert_eq!(codes(&site, &["--quick"]), ["quarantined"]);
    fs::remove_dir_all(site.root().join(".quarantine")).unwrap();
}

#[test]
fn d27_verify_beside_a_working_daemon_raises_no_false_alarm() {
    let dovecot = Dovecot::start();
    let rules = "poll_interval = \"1s\"\ndelete_read = true\ndelete_after_days = 0\n";
    let site = Site::new(&[("a", dovecot.account("imap", "none", "u1") + rules)]);
    let daemon = site.spawn(&["run"]);
    let ledger = site.state().join("ledger.db");
    wait_for("the ledger", Duration::from_secs(10), || ledger.exists().then_some(()));
    for round in 0..12 {
        for n in 0..20 {
            dovecot.deliver("u1", &sample(&format!("message {round} {n}"), 3_000));
        }
        let arguments: &[&str] = if round % 2 == 0 { &["verify"] } else { &["verify", "--quick"] };
        // The ledger is bound a moment after its file is made.
        let output = wait_for("a bound ledger", Duration::from_secs(10), || {
            Some(site.cli(arguments)).filter(|output| output.code != 78)
        });
        assert_eq!(output.code, 0, "{round}: {output:?}");
    }
    wait_for("all", Duration::from_mins(1), || {
        dovecot.imap_client("u1").uids("INBOX").is_empty().then_some(())
    });
    assert_eq!(site.stored().len(), 240);
    let stopped = daemon.stop(Duration::from_secs(30));
    assert_eq!(stopped.code, 0, "{stopped:?}");
}

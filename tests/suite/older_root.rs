//! An archive root that was put back from an older copy.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Dovecot, Site, as_sent, loopback_account, messages, sample, stored_octets};

const DELETE: &str = "delete_read = true\ndelete_after_days = 0\n";

fn copy_tree(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

#[test]
fn d08_older_copy_of_the_archive_is_refused_and_what_it_lacks_is_fetched_again_or_told() {
    let dovecot = Dovecot::start();
    let mut all = messages(2);
    for message in &all {
        dovecot.deliver("u1", message);
    }
    let lines = loopback_account("imap", "none", dovecot.imap, "u1");
    let mut site = Site::new(&[("a", lines.clone())]);
    site.leave_unverified();
    site.poll();
    let old = site.path().join("old");
    copy_tree(&site.root(), &old);
    // One more is stored and deleted on the server, with those before; then one that stays there.
    all.push(sample("only here", 700));
    dovecot.deliver("u1", all.last().unwrap());
    site.account("a", &(lines.clone() + DELETE));
    site.poll();
    assert!(dovecot.imap_client("u1").uids("INBOX").is_empty());
    site.account("a", &lines);
    all.push(sample("still there", 700));
    dovecot.deliver("u1", all.last().unwrap());
    site.poll();
    assert_eq!(site.stored().len(), 4);
    // A start that is cut before the marker has its number is no older root.
    for _ in 0..3 {
        let cut = site.cli_with(&[("POSTRIDER_STEP", "kill@rename")], &["poll"]);
        assert_eq!(cut.code, -1, "{cut:?}");
    }
    site.poll();

    fs::remove_dir_all(site.root()).unwrap();
    copy_tree(&old, &site.root());
    site.account("a", &(lines.clone() + DELETE));
    let marker = fs::read(site.root().join(".postrider-root")).unwrap();
    for verb in ["poll", "run"] {
        let refused = site.cli(&[verb]);
        assert_eq!(refused.code, 78, "{verb}: {refused:?}");
        assert!(refused.stderr.contains("postrider ledger reconcile"), "{verb}: {refused:?}");
    }
    assert_eq!(fs::read(site.root().join(".postrider-root")).unwrap(), marker);
    assert_eq!(dovecot.imap_client("u1").uids("INBOX").len(), 1);
    let verified = site.cli(&["verify"]);
    assert_eq!((verified.code, verified.stdout.matches("(copy-missing)").count()), (1, 2));
    assert_eq!(verified.stdout.matches("its mail was deleted on the server").count(), 1);
    let dry = site.cli(&["ledger", "reconcile", "--dry-run"]);
    assert!(dry.code == 0 && dry.stdout.contains("1 message not in this archive"), "{dry:?}");
    assert_eq!(site.cli(&["poll"]).code, 78);
    let reconciled = site.cli(&["ledger", "reconcile"]);
    assert_eq!(reconciled.code, 0, "{reconciled:?}");
    assert_eq!(reconciled.stdout.matches("deleted on the server").count(), 1, "{reconciled:?}");

    site.account("a", &lines);
    site.poll();
    let lost = all.remove(2);
    assert!(stored_octets(&site) == as_sent(&all));
    assert!(!stored_octets(&site).contains(&as_sent(&[lost])[0]));
    assert_eq!(dovecot.imap_client("u1").uids("INBOX").len(), 1);
    site.account("a", &(lines + DELETE));
    site.poll();
    assert!(dovecot.imap_client("u1").uids("INBOX").is_empty());
    assert!(stored_octets(&site) == as_sent(&all));
}

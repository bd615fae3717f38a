//! The state folder's disk takes no more writes, at a start and at work.

use std::time::Duration;

use crate::support::{Disk, Dovecot, FORGETFUL, Site, as_sent, messages, stored_octets, wait_for};

const SOON: Duration = Duration::from_secs(30);

/// A site whose state is on the disk, its mail deleted at once.
fn site_on(disk: &Disk, account: &str) -> Site {
    let mut site = Site::empty();
    site.keep_state_in(disk.path().join("state"));
    let deletes = "delete_read = true\ndelete_after_days = 0\npoll_interval = \"1s\"\n";
    site.account("a", &format!("{account}{deletes}"));
    site.init_root();
    site
}

#[test]
fn d12_state_folder_that_is_read_only_fails_the_poll_and_deletes_nothing() {
    let dovecot = Dovecot::start();
    let Some(disk) = Disk::ext4(24, &[], FORGETFUL) else { return };
    let site = site_on(&disk, &dovecot.account("imap", "none", "u1"));
    let mails = messages(4);
    dovecot.deliver("u1", &mails[0]);
    site.poll();
    let left = || dovecot.imap_client("u1").uids("INBOX").len();
    assert_eq!(left(), 0);
    dovecot.deliver("u1", &mails[1]);
    assert!(disk.remount("ro"));
    for _ in 0..2 {
        let polled = site.cli(&["poll"]);
        assert_ne!(polled.code, 0, "{polled:?}");
        assert!(polled.stderr.to_lowercase().contains("read-only"), "{polled:?}");
        assert_eq!((left(), stored_octets(&site).len()), (1, 1), "{polled:?}");
    }
    assert!(disk.remount("rw"));
    site.poll();
    assert_eq!((left(), stored_octets(&site)), (0, as_sent(&mails[..2])));
}

#[test]
fn d12_state_folder_that_turns_read_only_at_work_ends_every_delete_and_doubles_nothing() {
    let dovecot = Dovecot::start();
    let options = format!("{FORGETFUL},errors=remount-ro");
    let Some(disk) = Disk::ext4(24, &[], &options) else { return };
    let site = site_on(&disk, &dovecot.account("imap", "none", "u1"));
    let mails = messages(3);
    let left = || dovecot.imap_client("u1").uids("INBOX").len();
    let daemon = site.spawn(&["run"]);
    dovecot.deliver("u1", &mails[0]);
    wait_for("a delete", SOON, || (left() == 0 && stored_octets(&site).len() == 1).then_some(()));
    // As ext4 does by itself when it finds damage.
    assert!(disk.remount("abort"), "remount,abort");
    dovecot.deliver("u1", &mails[1]);
    // The daemon says so, or has ended and the command finds the same.
    for _ in 0..2 {
        let polled = site.cli(&["poll"]);
        assert_ne!(polled.code, 0, "{polled:?}");
        assert_eq!((left(), stored_octets(&site).len()), (1, 1), "{polled:?}");
    }
    daemon.stop(SOON);
    assert_eq!(left(), 1);
    disk.unmount();
    assert!(disk.mount());
    site.poll();
    assert_eq!((left(), stored_octets(&site)), (0, as_sent(&mails[..2])));
}

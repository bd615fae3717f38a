//! What a person ordered, and what a doubt stopped, while the ledger is made anew.

use crate::recovery::remove_ledger;
use crate::support::{Dovecot, Site, loopback_account, messages, sample};

const DELETE: &str = "delete_read = true\ndelete_after_days = 0\n";

#[test]
fn d12_promise_p15_rebuild_keeps_what_a_person_ordered_or_stops_deletes() {
    let dovecot = Dovecot::start();
    for message in messages(3) {
        dovecot.deliver("u1", &message);
    }
    let left = || dovecot.imap_client("u1").uids("INBOX").len();
    let lines = loopback_account("imap", "none", dovecot.imap, "u1") + DELETE;
    let site = Site::new(&[("a", lines)]);
    assert_eq!(site.cli(&["catch-up", "a"]).code, 0);
    dovecot.deliver("u1", &sample("new", 700));
    site.poll();
    assert_eq!((site.stored().len(), left()), (1, 3));
    assert_eq!(site.cli(&["account", "pause", "a", "--reason", "a move"]).code, 0);
    let db = rusqlite::Connection::open(site.state().join("ledger.db")).unwrap();
    let stop = "UPDATE account SET delete_stop = 'others vanished', delete_stop_at = 1";
    db.execute(stop, []).unwrap();
    drop(db);

    let rebuilt = site.cli(&["ledger", "rebuild", "--yes"]);
    assert!(rebuilt.code == 0 && !rebuilt.stdout.contains("resume"), "{rebuilt:?}");
    let account = &site.status()["accounts"][0];
    assert_eq!(account["state"], "paused");
    assert_eq!(account["delete_stop"]["why"], "others vanished");
    let forced = site.cli(&["poll", "a", "--force"]);
    assert_eq!(forced.code, 0, "{forced:?}");
    assert_eq!((site.stored().len(), left()), (1, 3), "caught up with, hence not stored");

    // What nobody knows any more stops deletes until a person has looked.
    remove_ledger(&site);
    let rebuilt = site.cli(&["ledger", "rebuild"]);
    assert!(rebuilt.stdout.contains("postrider account resume a"), "{rebuilt:?}");
    site.poll();
    site.poll();
    assert_eq!((site.stored().len(), left()), (4, 3));
    assert_eq!(site.cli(&["account", "resume", "a"]).code, 0);
    site.poll();
    assert_eq!((site.stored().len(), left()), (4, 0));
}

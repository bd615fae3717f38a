//! A real poll that deletes, watched call by call: nothing leaves this machine too early.

use std::path::Path;

use crate::support::{
    Copy, Delivery, Dovecot, Output, Places, Site, Trace, faults, messages, sample, traced,
};

/// Small batches, so that few messages make several commits.
const BATCH: (&str, &str) = ("POSTRIDER_BATCH", "7");

/// A site whose messages are deleted at once, and its messages.
fn site(dovecot: &Dovecot, protocol: &str, days: u64) -> Site {
    for (n, message) in messages(20).iter().enumerate() {
        let delivery = Delivery::default().at(1_793_956_351 + n as u64 % days * 86_400);
        dovecot.deliver_as("u1", message, &delivery);
    }
    let account = dovecot.account(protocol, "none", "u1");
    let rule = "delete_read = true\ndelete_after_days = 0\n";
    let mut site = Site::new(&[("a", account + rule)]);
    site.environment(BATCH.0, BATCH.1);
    site
}

/// What was stored, with the numbers that the delete commands name it by.
fn copies(site: &Site, unique_ids: &[(u32, String)]) -> Vec<Copy> {
    let stored = site.stored().into_iter();
    stored
        .map(|stored| {
            let by_unique_id = unique_ids.iter().find(|(_, id)| *id == stored.text("unique_id"));
            let number = by_unique_id.map(|(number, _)| *number);
            let uid = stored.uid().and_then(|uid| u32::try_from(uid).ok());
            Copy {
                number: number.or(uid).unwrap(),
                id: stored.text("id").to_owned(),
                path: stored.path.to_str().unwrap().to_owned(),
            }
        })
        .collect()
}

fn places(site: &Site) -> Places {
    let wal = site.state().join("ledger.db-wal");
    Places { root: text(&site.root()), wal: text(&wal) }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// One poll below strace: what it printed, and the trace.
fn poll(site: &Site) -> Option<(Output, Trace)> {
    traced(site, &[], &["poll", "a"])
}

#[test]
fn promise_p3_every_delete_command_leaves_after_all_that_it_stands_on_is_durable() {
    for (protocol, days) in [("imap", 1), ("imap", 9), ("pop3", 2)] {
        let dovecot = Dovecot::start();
        let site = site(&dovecot, protocol, days);
        let unique_ids = dovecot.pop3_client("u1").uidl();
        let Some((output, trace)) = poll(&site) else { return };
        assert_eq!(output.code, 0, "{output:?}");
        assert!(dovecot.imap_client("u1").uids("INBOX").is_empty(), "all is deleted");
        let ids = if protocol == "pop3" { &unique_ids[..] } else { &[] };
        let copies = copies(&site, ids);
        assert_eq!(copies.len(), 20);
        assert_eq!(faults(&trace, &places(&site), &copies), [""; 0], "{protocol}, {days} days");
    }
}

/// The checker sees it when a sync is left out.
#[test]
fn order_checker_finds_a_sync_that_was_left_out() {
    for skip in ["files", "folders"] {
        let dovecot = Dovecot::start();
        let mut site = site(&dovecot, "imap", 1);
        site.environment("POSTRIDER_SKIP", skip);
        let Some((_, trace)) = poll(&site) else { return };
        let faults = faults(&trace, &places(&site), &copies(&site, &[]));
        assert!(!faults.is_empty(), "blind to {skip}");
    }
}

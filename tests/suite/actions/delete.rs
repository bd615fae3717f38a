//! `delete_after_actions`: what a server still has is deleted only when all was done with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{count, each_came, retry};
use crate::support::{Delivery, Dovecot, Receiver, Reply, Site, messages};

const DELETE: &str = "delete_read = true\ndelete_after_days = 0\n";

#[test]
fn promise_p3_mail_stays_on_the_server_until_its_actions_are_done() {
    const COUNT: usize = 6;
    let dovecot = Dovecot::start();
    for protocol in ["imap", "pop3"] {
        let user = if protocol == "imap" { "u1" } else { "u2" };
        for message in messages(COUNT) {
            dovecot.deliver_as(user, &message, &Delivery::default());
        }
        let ill = Arc::new(AtomicBool::new(true));
        let is_ill = Arc::clone(&ill);
        // One of them is taken at once.
        let receiver = Receiver::start(move |_, key| {
            let ill = is_ill.load(Ordering::SeqCst) && !key.starts_with(['0', '1', '2', '3']);
            Reply::Status(if ill { 500 } else { 200 })
        });
        let rule = format!("do = \"webhook\"\nurl = \"{}\"", receiver.url());
        let lines = dovecot.account(protocol, "none", user) + DELETE;
        let waiting = lines.clone() + "delete_after_actions = true\ndelete_max_per_poll = 2\n";
        let site = Site::new(&[("a", super::with_rules(&waiting, &[&rule]))]);
        let left = || dovecot.imap_client(user).uids("INBOX").len();
        for _ in 0..6 {
            site.poll();
            assert!(left() >= count(&site, "pending"), "{protocol}");
        }
        let open = count(&site, "pending");
        assert_eq!(left(), open, "{protocol}: those that are done are gone, the brake aside");
        assert!(open > 0);
        let poll = site.cli(&["poll"]);
        assert!(poll.stdout.contains("not deleted: what rules ask for isn't done"), "{poll:?}");
        ill.store(false, Ordering::SeqCst);
        retry(&site);
        for _ in 0..6 {
            site.poll();
        }
        assert_eq!((left(), count(&site, "done")), (0, COUNT), "{protocol}");
        each_came(&site, &receiver.requests(), protocol);
    }
}

#[test]
fn without_the_key_deletes_wait_for_nobody_and_given_up_actions_hold_none() {
    let dovecot = Dovecot::start();
    let receiver = Receiver::start(|_, _| Reply::Status(500));
    let rule = format!("do = \"webhook\"\nurl = \"{}\"\nretries = \"0s\"", receiver.url());
    for (user, key, left) in [("u1", "", 0), ("u2", "delete_after_actions = true\n", 2)] {
        for message in messages(2) {
            dovecot.deliver(user, &message);
        }
        let lines = dovecot.account("imap", "none", user) + DELETE + key;
        let site = Site::new(&[("a", super::with_rules(&lines, &[&rule]))]);
        site.poll();
        site.poll();
        assert_eq!(count(&site, "failed"), 2);
        assert_eq!(dovecot.imap_client(user).uids("INBOX").len(), left, "failed is not done");
        assert_eq!(site.cli(&["actions", "drop", "a", "--failed"]).code, 0);
        site.poll();
        assert_eq!(dovecot.imap_client(user).uids("INBOX").len(), 0);
    }
}

//! Accounts under other names, while the ledger comes from a copy or is made anew.

use crate::recovery::copy_ledger;
use crate::support::{Dovecot, Site, as_sent, messages, sample, stored_octets};

const DELETE: &str = "delete_read = true\ndelete_after_days = 0\n";

#[test]
fn d13_g03_renamed_account_is_stored_once_after_a_reconcile_and_after_a_rebuild() {
    for protocol in ["imap", "pop3"] {
        let dovecot = Dovecot::start();
        let mut all = messages(3);
        for message in &all {
            dovecot.deliver("u1", message);
        }
        let lines = dovecot.account(protocol, "tls", "u1");
        let mut site = Site::new(&[("a", lines.clone())]);
        site.poll();
        let old = site.path().join("old");
        std::fs::create_dir(&old).unwrap();
        copy_ledger(&site.state(), &old);
        site.remove("inbound.a");
        let renamed = lines.clone() + "renamed_from = \"a\"\n";
        site.account("b", &renamed);
        for subject in ["four", "five"] {
            let message = sample(subject, 700);
            dovecot.deliver("u1", &message);
            all.push(message);
        }
        site.poll();
        let whole = |site: &Site, when: &str| {
            assert!(stored_octets(site) == as_sent(&all), "{protocol}: {when}");
        };
        whole(&site, "renamed");

        copy_ledger(&old, &site.state());
        let reconciled = site.cli(&["ledger", "reconcile"]);
        assert!(reconciled.stdout.contains("2 messages taken"), "{reconciled:?}");
        site.poll();
        whole(&site, "reconciled");
        assert_eq!(site.status()["accounts"][0]["archived"], 5, "{protocol}");

        // The line is gone long since, and the name that it gave is needed again.
        site.account("b", &lines);
        assert_eq!(site.cli(&["ledger", "rebuild", "--yes"]).code, 0);
        let refused = site.cli(&["poll"]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stdout.contains("renamed_from = \"a\""), "{refused:?}");
        whole(&site, "rebuilt");
        site.account("b", &renamed);
        site.poll();
        whole(&site, "renamed again");
        // And copies of both names prove themselves.
        site.account("b", &(lines + DELETE));
        site.poll();
        site.poll();
        assert!(dovecot.imap_client("u1").uids("INBOX").is_empty(), "{protocol}");
        whole(&site, "deleted");
    }
}

//! Mailboxes and names: what is polled, and under which name it is stored.

use std::collections::BTreeMap;

use crate::support::{Delivery, Dovecot, Site, as_sent, crlf, messages, sample, stored_octets};

#[test]
fn g03_renamed_account_keeps_its_copies_and_fetches_only_what_is_new() {
    let dovecot = Dovecot::start();
    let first = messages(4);
    for message in &first {
        dovecot.deliver("u1", message);
    }
    for protocol in ["imap", "pop3"] {
        let account = dovecot.account(protocol, "tls", "u1");
        let mut site = Site::new(&[("before", account.clone())]);
        site.poll();
        let paths = |site: &Site| -> Vec<_> { site.stored().into_iter().map(|s| s.path).collect() };
        let before = paths(&site);
        site.remove("inbound.before");
        site.account("after", &(account.clone() + "renamed_from = \"before\"\n"));
        for _ in 0..2 {
            site.poll();
            assert_eq!(paths(&site), before, "{protocol}: nothing is fetched again");
        }
        assert_eq!(site.status()["accounts"][0]["archived"], before.len());
        if protocol == "imap" {
            dovecot.deliver("u1", &sample("new", 100));
            site.poll();
            assert_eq!(site.stored().len(), before.len() + 1);
            let new: Vec<_> =
                site.stored().into_iter().filter(|stored| stored.account() == "after").collect();
            assert_eq!((new.len(), new[0].text("subject")), (1, "new"));
            // Copies under the old name prove themselves as well.
            site.add("inbound.after", "delete_read = true");
            for _ in 0..3 {
                site.poll();
            }
            assert!(dovecot.imap_client("u1").uids("INBOX").is_empty());
            assert_eq!(site.stored().len(), before.len() + 1);
            for message in &first {
                dovecot.deliver("u1", message);
            }
        }
    }
}

#[test]
fn mailboxes_are_chosen_by_names_and_globs_and_stored_by_their_decoded_names() {
    let dovecot = Dovecot::start();
    // Wire name, name, whether it is polled.
    let mailboxes = [
        ("INBOX", "INBOX", true),
        ("Archive", "Archive", true),
        ("Archive/2026", "Archive/2026", true),
        ("Archive &- Co", "Archive & Co", true),
        ("Archiv&APw-r", "Archivür", false),
        ("Entw&APw-rfe", "Entwürfe", true),
        ("&ZeVnLIqe-", "日本語", true),
        ("Archive/Trash", "Archive/Trash", false),
        ("Spam", "Spam", false),
    ];
    let mut expected: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for (wire, name, polled) in mailboxes {
        for n in 0..2 {
            let message = sample(&format!("{n} in {wire}"), 200);
            dovecot.deliver_as("u1", &message, &Delivery::to(wire));
            if polled {
                expected.entry(name.to_owned()).or_default().push(crlf(&message));
            }
        }
    }
    let folders = "folders = [\"inbox\", \"Archive*\", \"Entwürfe\", \"日本語\", \"!*/Trash\"]\n";
    let site = Site::new(&[("a", dovecot.account("imap", "tls", "u1") + folders)]);
    for _ in 0..2 {
        site.poll();
        let mut found: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for stored in site.stored() {
            found.entry(stored.text("mailbox").to_owned()).or_default().push(stored.eml);
        }
        for messages in found.values_mut() {
            messages.sort();
        }
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        assert!(found == expected, "the octets");
        assert_eq!(site.tree_faults(), [""; 0]);
    }
}

#[test]
fn i34_mailbox_that_is_missing_is_told_and_stops_no_other() {
    let dovecot = Dovecot::start();
    for message in messages(3) {
        dovecot.deliver("u1", &message);
    }
    let folders = "folders = [\"Missing\", \"INBOX\"]\n";
    let site = Site::new(&[("a", dovecot.account("imap", "tls", "u1") + folders)]);
    let output = site.cli(&["poll"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stdout.contains("Missing") && output.stdout.contains("hint: "), "{output:?}");
    assert_eq!(stored_octets(&site), as_sent(&messages(3)));
    let errors: Vec<_> = site.log().into_iter().filter(|r| r["level"] == "error").collect();
    assert_eq!((errors.len(), &errors[0]["code"]), (1, &"mailbox-missing".into()));
}

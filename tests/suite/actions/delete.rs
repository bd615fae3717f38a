//! `delete_after_actions`: what a server still has is deleted only when all was done with it.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{count, each_came, retry};
use crate::support::{Delivery, Dovecot, Receiver, Relay, Reply, Site, loopback_account, messages};

const DELETE: &str = "delete_read = true\ndelete_after_days = 0\n";

/// A mailbox, what its server hears, and a receiver that is ill for half of the keys.
struct Case {
    protocol: &'static str,
    user: &'static str,
    dovecot: Dovecot,
    relay: Relay,
    receiver: Receiver,
    ill: Arc<AtomicBool>,
    site: Site,
}

impl Case {
    fn new(protocol: &'static str, count: usize, lines: &str) -> Self {
        let (dovecot, user) = (Dovecot::start(), "u1");
        for message in messages(count) {
            dovecot.deliver_as(user, &message, &Delivery::default());
        }
        let ill = Arc::new(AtomicBool::new(true));
        let is_ill = Arc::clone(&ill);
        // Half of them are taken at once.
        let seen = Mutex::new(BTreeSet::new());
        let receiver = Receiver::start(move |_, key| {
            let mut seen = seen.lock().unwrap();
            let good =
                seen.contains(key) || (seen.len() < count / 2 && seen.insert(key.to_owned()));
            Reply::Status(if is_ill.load(Ordering::SeqCst) && !good { 500 } else { 200 })
        });
        let relay = Relay::to(if protocol == "imap" { dovecot.imap } else { dovecot.pop3 });
        let rule = format!("do = \"webhook\"\nurl = \"{}\"", receiver.url());
        let account = loopback_account(protocol, "none", relay.port, user) + DELETE + lines;
        let site = Site::new(&[("a", super::with_rules(&account, &[&rule]))]);
        Self { protocol, user, dovecot, relay, receiver, ill, site }
    }

    fn on_server(&self) -> Vec<u32> {
        self.dovecot.imap_client(self.user).uids("INBOX")
    }

    /// Messages that the server was told to remove since it had heard so much.
    fn removed(&self, heard: usize, listed: &[u32]) -> Vec<u32> {
        let mut removed = Vec::new();
        for line in self.relay.commands().into_iter().skip(heard) {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words.as_slice() {
                [_, "UID", "STORE" | "EXPUNGE", set, ..] => removed.extend(uids(set)),
                ["DELE", number] => {
                    removed.push(listed[number.parse::<usize>().unwrap() - 1]);
                }
                words => {
                    assert!(!words.contains(&"EXPUNGE") && !words.contains(&"CLOSE"), "{line}");
                }
            }
        }
        removed.sort_unstable();
        removed.dedup();
        removed
    }

    /// UIDs of messages with which all was done that was asked for.
    fn done(&self) -> Vec<u32> {
        let stored = self.site.stored();
        let done = super::actions(&self.site).into_iter().filter(|a| a["state"] == "done");
        let uid = |action: serde_json::Value| {
            let id = action["message"].as_str().unwrap().to_owned();
            let message = stored.iter().find(|message| message.text("id") == id).unwrap();
            match message.json["unique_id"].as_str() {
                // Dovecot's unique-ids begin with the UID.
                Some(unique_id) => u32::from_str_radix(&unique_id[..8], 16).unwrap(),
                None => u32::try_from(message.json["uid"].as_u64().unwrap()).unwrap(),
            }
        };
        let mut done: Vec<u32> = done.map(uid).collect();
        done.sort_unstable();
        done
    }

    /// Polls; the server hears of no message that wasn't done with before.
    fn poll(&self) -> Vec<u32> {
        let (heard, listed, done) = (self.relay.commands().len(), self.on_server(), self.done());
        self.site.poll();
        let removed = self.removed(heard, &listed);
        let ok = removed.iter().all(|uid| done.contains(uid));
        assert!(ok, "{}: {removed:?} were removed, done were {done:?}", self.protocol);
        removed
    }
}

/// The UIDs of a set like `3,5:7`.
fn uids(set: &str) -> Vec<u32> {
    let ranges = set.split(',').map(|range| range.split_once(':').unwrap_or((range, range)));
    ranges.flat_map(|(from, to)| from.parse().unwrap()..=to.parse().unwrap()).collect()
}

#[test]
fn promise_p3_mail_stays_on_the_server_until_its_actions_are_done() {
    const COUNT: usize = 6;
    for protocol in ["imap", "pop3"] {
        let lines = "delete_after_actions = true\ndelete_max_per_poll = 2\n";
        let case = Case::new(protocol, COUNT, lines);
        let mut removed = Vec::new();
        for _ in 0..COUNT / 2 {
            removed.extend(case.poll());
        }
        removed.sort_unstable();
        let open = count(&case.site, "pending");
        assert_eq!(removed, case.done(), "{protocol}: those that are done are gone");
        assert_eq!(case.on_server().len(), open, "{protocol}");
        assert_eq!(open, COUNT / 2, "{protocol}");
        let poll = case.site.cli(&["poll"]);
        assert!(poll.stdout.contains("not deleted: what rules ask for isn't done"), "{poll:?}");
        let waiting = super::actions(&case.site).into_iter().find(|a| a["state"] == "pending");
        let why = case.site.cli(&["why", waiting.unwrap()["message"].as_str().unwrap()]);
        assert!(why.stdout.contains("what rules ask for isn't done"), "{protocol}: {why:?}");
        case.ill.store(false, Ordering::SeqCst);
        retry(&case.site);
        for _ in 0..COUNT / 2 {
            case.poll();
        }
        assert_eq!((case.on_server().len(), count(&case.site, "done")), (0, COUNT), "{protocol}");
        each_came(&case.site, &case.receiver.requests(), protocol);
    }
}

/// The ledger is lost with what it knew of actions: nothing says that they are done.
#[test]
fn promise_p3_ledger_made_anew_deletes_nothing_whose_actions_it_does_not_know() {
    const COUNT: usize = 5;
    for (protocol, way) in [("imap", "replay"), ("pop3", "drop")] {
        let case = Case::new(protocol, COUNT, "delete_after_actions = true\n");
        let Case { site, receiver, .. } = &case;
        // Only stored: no action is done, and none is asked for a second time by itself.
        site.cli_with(&[("POSTRIDER_STEP", "kill@act")], &["poll"]);
        case.ill.store(false, Ordering::SeqCst);
        fs::remove_file(site.path().join("state/ledger.db")).unwrap();
        let rebuilt = site.cli(&["ledger", "rebuild"]);
        assert!(rebuilt.stdout.contains("postrider replay a"), "{rebuilt:?}");
        assert_eq!(site.cli(&["account", "resume", "a"]).code, 0);
        for _ in 0..2 {
            assert_eq!(case.poll(), [0_u32; 0], "{protocol}");
        }
        assert_eq!(case.on_server().len(), COUNT, "{protocol}");
        let said = "isn't known since the ledger was made anew";
        let id = site.stored()[0].text("id").to_owned();
        for command in [&["why", &*id][..], &["plan", "a"], &["status"]] {
            let output = site.cli(command);
            assert!(output.stdout.contains(said), "{protocol}: {output:?}");
        }
        assert_eq!(site.cli(&["status"]).code, 3);
        let begun = receiver.requests().len();
        assert!(begun <= 1, "{protocol}: {begun}");
        if way == "drop" {
            let drop = site.cli(&["actions", "drop", "a", "--unknown"]);
            assert!(drop.stdout.contains("5 messages with nothing left to do"), "{drop:?}");
            site.poll();
        } else {
            assert_eq!(site.cli(&["replay", "a"]).code, 0);
            each_came(site, &receiver.requests(), protocol);
            case.poll();
        }
        assert_eq!(case.on_server().len(), 0, "{protocol}, {way}");
        assert_eq!(site.cli(&["status"]).code, 0);
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

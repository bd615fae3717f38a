//! `only_unseen` and `mark_seen` against a real server: marks come after the copy, once, and are
//! made up for after a death in between.

use std::time::Duration;

use crate::support::{
    Act, Delivery, Dovecot, Options, Relay, Site, When, loopback_account, messages, sample,
    wait_for,
};

/// UIDs in the INBOX that carry `\Seen`.
fn seen(dovecot: &Dovecot, user: &str) -> Vec<u32> {
    let listed = dovecot.imap_client(user).list("INBOX");
    let is_seen = |flags: &[String]| flags.contains(&"\\Seen".to_owned());
    listed.iter().filter(|message| is_seen(&message.flags)).map(|message| message.uid).collect()
}

fn site_behind(relay: &Relay, rules: &str) -> Site {
    Site::new(&[("a", loopback_account("imap", "none", relay.port, "u1") + rules)])
}

/// Commands of one kind, without their tags.
fn commands(relay: &Relay, word: &str) -> Vec<String> {
    let all = relay.commands().into_iter();
    let bare = all.filter_map(|line| Some(line.split_once(' ')?.1.to_owned()));
    bare.filter(|line| line.contains(word)).collect()
}

fn set(dovecot: &Dovecot, uid: u32, change: &str) {
    let mut client = dovecot.imap_client("u1");
    client.command("SELECT \"INBOX\"");
    client.command(&format!("UID STORE {uid} {change}FLAGS.SILENT (\\Seen)"));
}

#[test]
fn what_somebody_has_read_is_not_stored_and_stays_on_the_server() {
    let dovecot = Dovecot::start();
    dovecot.deliver_as("u1", &sample("read", 300), &Delivery::default().flagged("S"));
    dovecot.deliver("u1", &sample("unread", 300));
    let relay = Relay::to(dovecot.imap);
    let site = site_behind(&relay, "only_unseen = true\ndelete_read = true\n");
    site.poll();
    assert_eq!(site.stored().len(), 1);
    assert_eq!(dovecot.imap_client("u1").uids("INBOX"), [1], "the read one is nobody's to delete");
    assert_eq!(seen(&dovecot, "u1"), [1]);
    // Without a change nothing is listed; a flag is a change where the server counts changes.
    site.poll();
    let listings = || commands(&relay, "INTERNALDATE RFC822.SIZE)").len();
    let before = listings();
    site.poll();
    assert_eq!(listings(), before, "an idle poll lists nothing: {:?}", relay.commands());
    set(&dovecot, 1, "-");
    site.poll();
    assert_eq!(site.stored().len(), 2, "marked as unread by somebody");
    assert!(dovecot.imap_client("u1").uids("INBOX").is_empty());
}

#[test]
fn server_without_modification_sequences_is_listed_at_each_poll() {
    let options = Options { imap_capability: Some("IMAP4rev1 UIDPLUS"), ..Options::default() };
    let dovecot = Dovecot::start_with(&options);
    dovecot.deliver_as("u1", &sample("read", 300), &Delivery::default().flagged("S"));
    let relay = Relay::to(dovecot.imap);
    let mut site = site_behind(&relay, "only_unseen = true\n");
    site.poll();
    site.poll();
    assert_eq!(site.stored().len(), 0);
    set(&dovecot, 1, "-");
    site.poll();
    assert_eq!(site.stored().len(), 1);
    site.account("a", &loopback_account("imap", "none", relay.port, "u1"));
    site.poll();
}

#[test]
fn stored_messages_are_marked_once_in_batches_and_never_before_their_copy() {
    let dovecot = Dovecot::start();
    for message in messages(12) {
        dovecot.deliver("u1", &message);
    }
    set(&dovecot, 5, "+");
    let relay = Relay::to(dovecot.imap);
    let site = site_behind(&relay, "mark_seen = true\n");
    site.poll();
    assert_eq!(seen(&dovecot, "u1"), (1..=12).collect::<Vec<u32>>());
    assert_eq!(commands(&relay, "UID STORE"), ["UID STORE 1:4,6:12 +FLAGS.SILENT (\\Seen)"]);
    let all = relay.commands();
    let store = all.iter().position(|line| line.contains("UID STORE")).unwrap();
    assert!(all[store..].iter().all(|line| !line.contains("BODY")), "{all:?}");
    // Somebody takes a mark off: that is theirs to say. Then nothing changes, and nothing is sent.
    set(&dovecot, 3, "-");
    site.poll();
    let before = relay.commands().len();
    site.poll();
    let idle = relay.commands()[before..].join("\n");
    for word in ["UID STORE", "SELECT", "FETCH"] {
        assert!(!idle.contains(word), "{word} in an idle poll: {idle}");
    }
    assert!(!seen(&dovecot, "u1").contains(&3));
    assert_eq!(commands(&relay, "UID STORE").len(), 1);
}

#[test]
fn poll_that_dies_between_the_record_and_the_mark_is_made_up_for() {
    let dovecot = Dovecot::start();
    for message in messages(5) {
        dovecot.deliver("u1", &message);
    }
    let relay = Relay::to(dovecot.imap);
    relay.set_fault(When::ClientSays("UID STORE"), Act::Stall);
    let site = site_behind(&relay, "mark_seen = true\n");
    let poll = site.spawn(&["poll"]);
    wait_for("the mark", Duration::from_secs(20), || {
        relay.commands().iter().any(|line| line.contains("UID STORE")).then_some(())
    });
    poll.kill();
    assert_eq!(site.stored().len(), 5, "stored before it is marked");
    assert_eq!(seen(&dovecot, "u1"), [0; 0]);
    relay.heal();
    relay.cut_now();
    let fetched = commands(&relay, "BODY.PEEK").len();
    site.poll();
    assert_eq!(seen(&dovecot, "u1"), [1, 2, 3, 4, 5]);
    assert_eq!((site.stored().len(), commands(&relay, "BODY.PEEK").len()), (5, fetched));
}

#[test]
fn mailbox_that_keeps_no_marks_is_a_warning_and_tried_again() {
    let options = Options {
        more: "namespace inbox {\n mailbox Shared {\n auto = create\n }\n}\n",
        ..Options::default()
    };
    let dovecot = Dovecot::start_with(&options);
    dovecot.deliver("u1", &sample("one", 300));
    let relay = Relay::to(dovecot.imap);
    relay.set_fault(When::ClientSays("UID STORE"), Act::Cut);
    let site = site_behind(&relay, "mark_seen = true\n");
    let output = site.cli(&["poll"]);
    assert_eq!(output.code, 1, "the session is lost: {output:?}");
    let warned = |record: &serde_json::Value| record["code"] == "mark-failed";
    assert!(site.log().iter().any(warned), "{:?}", site.log());
    assert_eq!((site.stored().len(), seen(&dovecot, "u1")), (1, vec![]));
    relay.heal();
    site.poll();
    assert_eq!(seen(&dovecot, "u1"), [1]);
}

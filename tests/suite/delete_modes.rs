//! Mail that leaves the server by being moved or marked, and what `plan` and `status` say of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::crash::asked_stride;
use crate::support::server::{Fault, Kind, Mailbox, Protocol, Server};
use crate::support::{
    Act, Delivery, Dovecot, Options, Relay, Site, When, as_sent, in_parallel, loopback_account,
    messages, sample, stored_octets,
};

/// A mailbox that the server calls the trash, and one that it says nothing of.
const FOLDERS: &str = "namespace inbox {
 mailbox Bin {
  special_use = \\Trash
  auto = create
 }
 mailbox Done {
  auto = create
 }
}
";

fn server(imap_capability: Option<&'static str>) -> Dovecot {
    let dovecot =
        Dovecot::start_with(&Options { imap_capability, more: FOLDERS, ..Options::default() });
    for message in messages(5) {
        dovecot.deliver("u1", &message);
    }
    dovecot
}

fn site(relay: &Relay, rules: &str) -> Site {
    let account = loopback_account("imap", "none", relay.port, "u1");
    Site::new(&[("a", account + "delete_read = true\n" + rules)])
}

fn bodies(dovecot: &Dovecot, mailbox: &str) -> BTreeSet<Vec<u8>> {
    let listed = dovecot.imap_client("u1").list(mailbox);
    let found: BTreeSet<Vec<u8>> = listed.iter().map(|message| message.body.clone()).collect();
    assert_eq!(found.len(), listed.len(), "{mailbox}: one twice");
    found
}

fn all() -> BTreeSet<Vec<u8>> {
    as_sent(&messages(5)).into_iter().collect()
}

/// Commands that change something on the server.
fn acts(relay: &Relay) -> Vec<String> {
    let words = [" STORE ", " MOVE ", " COPY ", " EXPUNGE ", "CLOSE", "CREATE"];
    let said = relay.commands().into_iter().filter(|line| words.iter().any(|w| line.contains(w)));
    said.map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn i24_moved_mail_is_in_its_folder_and_nowhere_else() {
    for (capability, way) in [
        (None, "MOVE"),
        (Some("IMAP4rev1 MOVE SPECIAL-USE LIST-EXTENDED"), "MOVE"),
        (Some("IMAP4rev1 UIDPLUS"), "COPY"),
    ] {
        for (mode, folder) in [("move:Done", "Done"), ("trash", "Bin")] {
            let dovecot = server(capability);
            let relay = Relay::to(dovecot.imap);
            let site = site(&relay, &format!("delete_mode = \"{mode}\"\n"));
            for _ in 0..3 {
                site.poll();
            }
            assert_eq!(bodies(&dovecot, folder), all(), "{way} {mode}");
            assert!(bodies(&dovecot, "INBOX").is_empty(), "{way} {mode}");
            assert_eq!(stored_octets(&site), as_sent(&messages(5)));
            let acts = acts(&relay);
            assert_eq!(acts[0], format!("UID {way} 1:5 \"{folder}\""), "{acts:?}");
            assert_eq!(acts.len(), if way == "MOVE" { 1 } else { 3 }, "{acts:?}");
            assert!(!acts.iter().any(|act| act.starts_with("EXPUNGE")), "{acts:?}");
            let status = site.status();
            assert_eq!(status["accounts"][0]["delete_pending"], 0, "{status}");
            assert_eq!(status["accounts"][0]["delete_due"], 0, "{status}");
        }
    }
}

#[test]
fn i24_without_move_and_uidplus_nothing_is_moved_and_plan_says_so() {
    let dovecot = server(Some("IMAP4rev1"));
    let relay = Relay::to(dovecot.imap);
    let site = site(&relay, "delete_mode = \"trash\"\n");
    site.poll();
    site.poll();
    assert_eq!(acts(&relay), [""; 0]);
    assert_eq!(bodies(&dovecot, "INBOX"), all());
    assert_eq!(site.status()["accounts"][0]["delete_pending"], 5);
    let plan = site.cli(&["plan", "a"]);
    assert!(plan.stdout.contains("due to be deleted, but the server lacks"), "{plan:?}");
}

#[test]
fn mail_is_not_moved_where_it_would_be_polled_again_or_where_nothing_is() {
    let dovecot = server(None);
    for (rules, words) in [
        ("delete_mode = \"trash\"\nfolders = [\"*\"]\n", "!Bin"),
        ("delete_mode = \"move:Elsewhere\"\n", "CREATE"),
    ] {
        let relay = Relay::to(dovecot.imap);
        let site = site(&relay, rules);
        site.poll();
        assert_eq!(acts(&relay), [""; 0], "{rules}");
        let log = site.log();
        let said = log.iter().find(|r| r["code"] == "delete-no-destination").expect(rules);
        assert!(said["message"].to_string().contains(words), "{said}");
        assert_eq!(site.status()["accounts"][0]["delete_pending"], 5, "{rules}");
    }
    let nowhere = Dovecot::start();
    nowhere.deliver("u1", &messages(1)[0]);
    nowhere.deliver_as("u1", &messages(2)[1], &Delivery::to("Trash"));
    let relay = Relay::to(nowhere.imap);
    let site = site(&relay, "delete_mode = \"trash\"\n");
    site.poll();
    assert_eq!(acts(&relay), [""; 0], "a name is no use");
    let log = site.log();
    let said = log.iter().find(|r| r["code"] == "delete-no-destination").unwrap();
    let said = said["message"].to_string();
    assert!(said.contains("`Trash`") && said.contains("move:FOLDER"), "{said}");
}

#[test]
fn marked_mail_is_marked_once_and_stays() {
    let dovecot = server(Some("IMAP4rev1"));
    let relay = Relay::to(dovecot.imap);
    let site = site(&relay, "delete_mode = \"flag\"\n");
    for _ in 0..3 {
        site.poll();
    }
    assert_eq!(acts(&relay), ["UID STORE 1:5 +FLAGS.SILENT (\\Deleted)"]);
    let listed = dovecot.imap_client("u1").list("INBOX");
    assert_eq!(listed.len(), 5);
    assert!(listed.iter().all(|message| message.flags.contains(&"\\Deleted".to_owned())));
    let status = site.status();
    let account = &status["accounts"][0];
    assert_eq!((&account["flagged"], &account["delete_due"]), (&5.into(), &0.into()), "{status}");
    assert!(site.cli(&["status"]).stdout.contains("5 messages marked \\Deleted"));
    // Somebody takes a mark off: that is their wish.
    let mut client = dovecot.imap_client("u1");
    client.command("SELECT INBOX");
    client.command("UID STORE 2 -FLAGS (\\Deleted)");
    site.poll();
    assert_eq!(acts(&relay).len(), 1);
}

#[test]
fn another_mode_finishes_what_was_only_marked() {
    let dovecot = server(None);
    let relay = Relay::to(dovecot.imap);
    let mut site = site(&relay, "delete_mode = \"flag\"\n");
    site.poll();
    let account = loopback_account("imap", "none", relay.port, "u1");
    site.account("a", &(account + "delete_read = true\n"));
    site.poll();
    assert!(bodies(&dovecot, "INBOX").is_empty());
    assert_eq!(acts(&relay).last().unwrap(), "UID EXPUNGE 1:5");
}

/// The connection ends at a command, or right after it was carried out: the next polls finish
/// what was begun, and nothing is anywhere twice.
#[test]
fn cut_at_any_command_mail_is_moved_or_marked_once() {
    for (mode, words) in [
        ("move:Done", &["EXAMINE \"Done\"", "SELECT", "UID MOVE", "UID SEARCH"][..]),
        ("trash", &["LIST", "UID MOVE"]),
        ("flag", &["UID STORE", "(UID FLAGS)"]),
    ] {
        for word in words {
            for act in [Act::Cut, Act::CutAnswer] {
                let dovecot = server(None);
                let relay = Relay::to(dovecot.imap);
                let site = site(&relay, &format!("delete_mode = \"{mode}\"\n"));
                relay.set_fault(When::ClientSays(word), act);
                site.cli(&["poll", "a"]);
                relay.heal();
                for _ in 0..2 {
                    site.cli(&["poll", "a"]);
                }
                let when = format!("{mode}, {act:?} at {word}");
                assert_eq!(stored_octets(&site), as_sent(&messages(5)), "{when}");
                if mode == "flag" {
                    assert_eq!(site.status()["accounts"][0]["flagged"], 5, "{when}");
                } else {
                    let folder = if mode == "trash" { "Bin" } else { "Done" };
                    assert_eq!(bodies(&dovecot, folder), all(), "{when}");
                    assert!(bodies(&dovecot, "INBOX").is_empty(), "{when}");
                }
                assert_eq!(site.status()["accounts"][0]["delete_due"], 0, "{when}");
            }
        }
    }
}

/// Without MOVE the copy comes first: cut behind it, the destination may have mail twice, never
/// not at all, and the archive has it once.
#[test]
fn i24_copy_that_is_cut_before_its_expunge_loses_nothing() {
    for word in ["UID COPY", "UID STORE", "UID EXPUNGE"] {
        for act in [Act::Cut, Act::CutAnswer] {
            let dovecot = server(Some("IMAP4rev1 UIDPLUS"));
            let relay = Relay::to(dovecot.imap);
            let site = site(&relay, "delete_mode = \"move:Done\"\n");
            relay.set_fault(When::ClientSays(word), act);
            site.cli(&["poll", "a"]);
            relay.heal();
            for _ in 0..2 {
                site.cli(&["poll", "a"]);
            }
            let when = format!("{act:?} at {word}");
            let moved = dovecot.imap_client("u1").list("Done");
            let distinct: BTreeSet<Vec<u8>> = moved.into_iter().map(|m| m.body).collect();
            assert_eq!(distinct, all(), "{when}");
            assert!(bodies(&dovecot, "INBOX").is_empty(), "{when}");
            assert_eq!(stored_octets(&site), as_sent(&messages(5)), "{when}");
        }
    }
}

/// Killed at each step that touches the disk, the intent and the fact of a delete among them.
#[test]
fn d01_killed_at_any_step_mail_is_moved_or_marked_once() {
    let dovecot = Dovecot::start_with(&Options { users: 200, more: FOLDERS, ..Options::default() });
    let next = AtomicUsize::new(1);
    in_parallel(&["move:Done", "flag"], |mode| {
        let stride = usize::try_from(asked_stride(4)).unwrap();
        for step in (1..).step_by(stride) {
            let user = format!("u{}", next.fetch_add(1, Ordering::SeqCst));
            for message in messages(2) {
                dovecot.deliver(&user, &message);
            }
            let account = dovecot.account("imap", "none", &user);
            let rules = format!("delete_read = true\ndelete_mode = \"{mode}\"\n");
            let site = Site::new(&[("a", account + &rules)]);
            let order = format!("kill@{step}");
            let killed = site.cli_with(&[("POSTRIDER_STEP", &order)], &["poll", "a"]).code == -1;
            for _ in 0..3 {
                site.poll();
            }
            let when = format!("{mode}, {order}");
            assert_eq!(stored_octets(&site), as_sent(&messages(2)), "{when}");
            let count = |mailbox| dovecot.imap_client(&user).uids(mailbox).len();
            let (inbox, done) = (count("INBOX"), count("Done"));
            if *mode == "flag" {
                assert_eq!((inbox, done), (2, 0), "{when}");
                assert_eq!(site.status()["accounts"][0]["flagged"], 2, "{when}");
            } else {
                assert_eq!((inbox, done), (0, 2), "{when}");
            }
            assert_eq!(site.status()["accounts"][0]["delete_due"], 0, "{when}");
            if !killed {
                assert!(step > 15, "{when}: {step} steps");
                return;
            }
        }
    });
}

/// A server that takes an expunge of one UID for an expunge of all that is marked, twice; others
/// have marked two of its five messages.
fn server_that_expunges_all() -> Server {
    let server = Server::start(Protocol::Imap);
    for n in 1..=5 {
        server.deliver(&sample(&format!("message {n}"), 300));
    }
    server.store(|store| {
        for uid in [4, 5] {
            let marked = store.inbox().messages.get_mut(&uid).unwrap();
            marked.flags.push("\\Deleted".to_owned());
        }
    });
    for (nth, uid) in [(1, 4), (2, 5)] {
        server.set_fault(Fault { vanish: vec![uid], ..Fault::on("UID EXPUNGE").nth(nth) });
    }
    server
}

#[test]
fn i26_mail_of_others_that_vanishes_with_ours_stops_deletes_until_a_person_resumes_them() {
    let server = server_that_expunges_all();
    let rules = "delete_read = true\ndelete_max_per_poll = 1\n";
    let site = Site::new(&[("a", loopback_account("imap", "none", server.port, "u1") + rules)]);
    let stores = || server.commands().iter().filter(|line| line.contains(" STORE ")).count();
    site.cli(&["poll", "a"]);
    assert_eq!(stores(), 1, "{:?}", server.commands());
    assert_eq!(site.log().iter().filter(|r| r["code"] == "imap-expunged-more").count(), 1);
    for _ in 0..2 {
        site.cli(&["poll", "a"]);
        assert_eq!(stores(), 1, "also in another process: {:?}", server.commands());
    }
    let status = site.cli(&["status"]);
    assert_eq!(status.code, 3, "{status:?}");
    assert!(status.stdout.contains("postrider account resume a"), "{status:?}");
    assert!(site.status()["accounts"][0]["delete_stop"]["why"].is_string());
    let plan = site.cli(&["plan", "a"]);
    assert!(plan.stdout.contains("until a person resumes them"), "{plan:?}");
    let resumed = site.cli(&["account", "resume", "a"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(resumed.stdout.contains("deletes are on again"), "{resumed:?}");
    let log = site.log();
    let record = log.iter().find(|r| r["code"] == "account-resumed").unwrap();
    assert!(record["message"].to_string().contains("Resumed by "), "{record}");
    assert!(site.status()["accounts"][0]["delete_stop"].is_null());
    site.cli(&["poll", "a"]);
    assert_eq!(stores(), 2, "{:?}", server.commands());
    assert!(site.cli(&["account", "resume", "a"]).stdout.contains("deletes are on again"));
    assert!(site.cli(&["account", "resume", "a"]).stdout.contains("nothing was stopped"));
    assert_eq!(site.cli(&["account", "resume", "b"]).code, 2);
}

/// A server without MOVE that copies, says this of it, and at last refuses what is asked for.
fn server_that_only_copies(copied: &str, refuses: &str) -> Server {
    let capabilities = Some("IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS".to_owned());
    let server = Server::start_as(Kind { capabilities, ..Kind::default() });
    for n in 1..=3 {
        server.deliver(&sample(&format!("message {n}"), 300));
    }
    server.store(|store| drop(store.mailboxes.insert("Done".to_owned(), Mailbox::default())));
    server.set_fault(Fault::on("UID COPY").instead(&format!("{{tag}} OK {copied} copied\\r\\n")));
    server.set_fault(Fault::on(refuses).instead("{tag} NO [NOPERM] not you\\r\\n"));
    server
}

#[test]
fn i24_copy_that_no_removal_follows_is_not_made_again_before_a_person_resumes_deletes() {
    let proven = "[COPYUID 7 1:3 101:103]";
    for (copied, refuses, said) in [
        ("", "UID STORE", "doesn't say what it copied"),
        ("[COPYUID 8 1:3 101:103]", "UID STORE", "another mailbox"),
        (proven, "UID STORE", "copied to `Done`, but not removed: STORE was refused"),
        (proven, "UID EXPUNGE", "copied to `Done`, but not removed: UID EXPUNGE was refused"),
    ] {
        let server = server_that_only_copies(copied, refuses);
        let account = loopback_account("imap", "none", server.port, "u1");
        let rules = "delete_read = true\ndelete_mode = \"move:Done\"\n";
        let site = Site::new(&[("a", account + rules)]);
        let copies = || server.commands().iter().filter(|line| line.contains(" COPY ")).count();
        for _ in 0..3 {
            site.cli(&["poll", "a"]);
            assert_eq!(copies(), 1, "{said}: {:?}", server.commands());
        }
        let log = site.log();
        let stops: Vec<_> = log.iter().filter(|r| r["code"] == "delete-only-copied").collect();
        assert!(stops.len() == 1 && stops[0].to_string().contains(said), "{said}: {stops:?}");
        let status = site.cli(&["status"]);
        assert!(status.code == 3 && status.stdout.contains(said), "{status:?}");
        assert!(status.stdout.contains("postrider account resume a"), "{status:?}");
        assert_eq!(site.cli(&["account", "resume", "a"]).code, 0);
        site.cli(&["poll", "a"]);
        assert_eq!(copies(), 2, "{said}: {:?}", server.commands());
        server.store(|store| assert_eq!(store.inbox().messages.len(), 3, "{said}"));
    }
}

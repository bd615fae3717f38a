//! Moves that rules want on the server: after the copy and the marks, once, and provenly.

use std::collections::BTreeSet;

use super::{actions, count, retry, with_rules};
use crate::crash::walk;
use crate::support::{
    Act, Dovecot, Options, Relay, Site, When, as_sent, loopback_account, messages, stored_octets,
};

const FOLDERS: &str = "namespace inbox {
 mailbox Processed {
  auto = create
 }
}
";

const MOVE: &str = "name = \"done\"\ndo = \"move\"\nto = \"Processed\"";
const MARK: &str = "name = \"word\"\ndo = \"flag\"\nflag = \"$Archived\"";

fn server(imap_capability: Option<&'static str>, count: usize) -> Dovecot {
    let dovecot = Dovecot::start_with(&Options {
        imap_capability,
        more: FOLDERS,
        users: 200,
        ..Options::default()
    });
    for message in messages(count) {
        dovecot.deliver("u1", &message);
    }
    dovecot
}

fn bodies(dovecot: &Dovecot, user: &str, mailbox: &str) -> Vec<Vec<u8>> {
    let listed = dovecot.imap_client(user).list(mailbox);
    let mut bodies: Vec<Vec<u8>> = listed.into_iter().map(|message| message.body).collect();
    bodies.sort();
    bodies
}

/// Commands that change something on the server.
fn acts(relay: &Relay) -> Vec<String> {
    let words = [" STORE ", " MOVE ", " COPY ", " EXPUNGE ", "CLOSE", "CREATE"];
    let said = relay.commands().into_iter().filter(|line| words.iter().any(|w| line.contains(w)));
    said.map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn promise_p3_rule_moves_a_message_after_its_copy_and_its_marks_and_no_other() {
    for (capability, moves) in [
        (None, vec!["UID MOVE 1,3 \"Processed\""]),
        (
            Some("IMAP4rev1 UIDPLUS"),
            vec![
                "UID COPY 1,3 \"Processed\"",
                "UID STORE 1,3 +FLAGS.SILENT (\\Deleted)",
                "UID EXPUNGE 1,3",
            ],
        ),
    ] {
        let dovecot = server(capability, 3);
        let relay = Relay::to(dovecot.imap);
        let account = loopback_account("imap", "none", relay.port, "u1");
        let only = format!("{MOVE}\nwhen = 'not subject ~ \"0001\"'");
        let site = Site::new(&[("a", with_rules(&account, &[&only, MARK]))]);
        let poll = site.cli(&["poll"]);
        assert!(poll.code == 0 && poll.stdout.contains("2 moved by rules"), "{poll:?}");
        let mut said = vec!["UID STORE 1:3 +FLAGS.SILENT ($Archived)"];
        said.extend(moves);
        assert_eq!(acts(&relay), said, "the mark needs the UID that the move takes away");
        let sent = as_sent(&messages(3));
        assert_eq!(bodies(&dovecot, "u1", "Processed").len(), 2);
        assert_eq!(bodies(&dovecot, "u1", "INBOX"), [sent[1].clone()]);
        let moved = dovecot.imap_client("u1").list("Processed");
        assert!(moved.iter().all(|m| m.flags.contains(&"$Archived".to_owned())), "{moved:?}");
        assert_eq!((stored_octets(&site), count(&site, "done")), (sent, 5));
        site.poll();
        assert_eq!(acts(&relay).len(), said.len(), "an idle poll moves nothing");
        let gone = actions(&site).into_iter().find(|action| action["kind"] == "move").unwrap();
        let why = site.cli(&["why", gone["message"].as_str().unwrap()]);
        assert!(why.stdout.contains("done: move done after 1 try"), "{why:?}");
        assert!(why.stdout.contains("on the server, by us (move:Processed)"), "{why:?}");
        let again = site.cli(&["replay", "a", "--rule", "done", "--dry-run"]);
        assert!(again.stdout.contains("done: move (applies, done before)"), "{again:?}");
        assert_eq!(site.cli(&["replay", "a", "--rule", "done"]).code, 0);
        site.poll();
        assert_eq!((count(&site, "pending"), count(&site, "dropped")), (0, 2), "they have left");
        assert_eq!(acts(&relay).len(), said.len());
    }
}

#[test]
fn destination_that_is_missing_is_told_and_made_by_a_person_only() {
    let dovecot = server(None, 2);
    let relay = Relay::to(dovecot.imap);
    let account = loopback_account("imap", "none", relay.port, "u1");
    let rule = MOVE.replace("Processed", "Elsewhere");
    let site = Site::new(&[("a", with_rules(&account, &[&rule]))]);
    site.poll();
    let waiting = actions(&site);
    let detail = waiting[0]["detail"].as_str().unwrap();
    assert_eq!(
        (&waiting[0]["state"], &waiting[0]["code"]),
        (&"pending".into(), &"destination".into())
    );
    assert!(
        detail.contains("CREATE \"Elsewhere\"") && detail.contains("`to` of the rule"),
        "{detail}"
    );
    assert_eq!(acts(&relay), [""; 0]);
    dovecot.imap_client("u1").command("CREATE Elsewhere");
    retry(&site);
    let plan = site.cli(&["plan", "a", "--messages"]);
    assert!(plan.stdout.contains("moved to `Elsewhere` by rule done"), "{plan:?}");
    let why = site.cli(&["why", waiting[0]["message"].as_str().unwrap()]);
    assert!(why.stdout.contains("moved to `Elsewhere` by rule done"), "{why:?}");
    site.poll();
    assert_eq!(acts(&relay), ["UID MOVE 1:2 \"Elsewhere\""]);
    assert_eq!((count(&site, "done"), bodies(&dovecot, "u1", "Elsewhere").len()), (2, 2));
}

#[test]
fn without_move_and_uidplus_a_rule_moves_nothing_and_says_why() {
    let dovecot = server(Some("IMAP4rev1"), 1);
    let relay = Relay::to(dovecot.imap);
    let account = loopback_account("imap", "none", relay.port, "u1");
    let rule = format!("{MOVE}\nretries = \"0s\"");
    let site = Site::new(&[("a", with_rules(&account, &[&rule]))]);
    site.poll();
    let ended = actions(&site);
    assert_eq!(ended[0]["state"], "failed", "{ended:?}");
    assert_eq!(
        ended[0]["detail"],
        "no way to move mail safely: the server has neither RFC 6851 nor RFC 4315"
    );
    assert_eq!((acts(&relay), bodies(&dovecot, "u1", "INBOX").len()), (Vec::new(), 1));
    retry(&site);
    let plan = site.cli(&["plan", "a"]);
    assert!(plan.stdout.contains("but the server lacks what a safe delete needs"), "{plan:?}");
}

/// A connection that breaks around the move: what the server shows decides, not what was sent.
#[test]
fn promise_p16_move_whose_answer_is_lost_ends_when_the_server_shows_it() {
    for (capability, word, acts) in [
        (None, "UID MOVE", &[Act::Cut, Act::CutAnswer][..]),
        (Some("IMAP4rev1 UIDPLUS"), "UID EXPUNGE", &[Act::CutAnswer][..]),
    ] {
        let dovecot = server(capability, 0);
        for (n, act) in acts.iter().enumerate() {
            let user = format!("u{}", n + 1);
            for message in messages(2) {
                dovecot.deliver(&user, &message);
            }
            let relay = Relay::to(dovecot.imap);
            let account = loopback_account("imap", "none", relay.port, &user);
            let site = Site::new(&[("a", with_rules(&account, &[MOVE]))]);
            relay.set_fault(When::ClientSays(word), *act);
            let when = format!("{word}, {act:?}");
            assert_eq!(site.cli(&["poll"]).code, 1, "{when}");
            assert_eq!(count(&site, "pending"), 2, "{when}: nobody knows");
            relay.heal();
            site.poll();
            assert_eq!(count(&site, "done"), 2, "{when}: {:?}", actions(&site));
            assert_eq!(bodies(&dovecot, &user, "Processed"), as_sent(&messages(2)), "{when}");
            assert_eq!(bodies(&dovecot, &user, "INBOX").len(), 0, "{when}");
            assert_eq!(stored_octets(&site), as_sent(&messages(2)), "{when}");
        }
    }
}

/// Killed at each step that touches the disk, the intent and the fact of the move among them.
#[test]
fn d01_killed_at_any_step_a_rule_moves_each_message_once() {
    let dovecot = server(None, 0);
    let steps = walk(9, |step| {
        let user = format!("u{step}");
        for message in messages(2) {
            dovecot.deliver(&user, &message);
        }
        let account = dovecot.account("imap", "none", &user) + "delete_after_actions = true\n";
        let site = Site::new(&[("a", with_rules(&account, &[MOVE, MARK]))]);
        let order = format!("kill@{step}");
        let killed = site.cli_with(&[("POSTRIDER_STEP", &order)], &["poll", "a"]).code == -1;
        let on_server: BTreeSet<Vec<u8>> = ["INBOX", "Processed"]
            .into_iter()
            .flat_map(|mailbox| bodies(&dovecot, &user, mailbox))
            .collect();
        assert_eq!(on_server.len(), 2, "{order}");
        for _ in 0..2 {
            site.poll();
        }
        assert_eq!(stored_octets(&site), as_sent(&messages(2)), "{order}");
        let moved = bodies(&dovecot, &user, "Processed").len();
        assert_eq!((moved, bodies(&dovecot, &user, "INBOX").len()), (2, 0), "{order}");
        assert_eq!(count(&site, "done"), 4, "{order}: {:?}", actions(&site));
        killed
    });
    assert!(steps > 15, "{steps} steps");
}

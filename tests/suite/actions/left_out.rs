//! `archive = false`: mail that rules leave out of the archive stays on the server, untouched.

use std::fs;

use super::{count, with_rules};
use crate::crash::walk;
use crate::support::{
    Dovecot, Options, Relay, Site, as_sent, loopback_account, messages, stored_octets,
};

const SPAM: &str = "name = \"spam\"\narchive = false\nwhen = 'subject ~ \"000[13]\"'";
const DELETES: &str = "delete_read = true\ndelete_after_days = 0\n";

fn deliver(dovecot: &Dovecot, user: &str, count: usize) {
    for message in messages(count) {
        dovecot.deliver(user, &message);
    }
}

/// Commands that fetch, mark or remove messages; the first word is the tag or, of POP3, itself.
fn said(relay: &Relay, words: &[&str]) -> Vec<String> {
    let is_one = |line: &String| words.iter().any(|word| line.contains(word));
    relay.commands().into_iter().filter(is_one).collect()
}

#[test]
fn promise_p4_mail_that_a_rule_leaves_out_is_fetched_once_and_never_removed_or_marked() {
    for protocol in ["imap", "pop3"] {
        let dovecot = Dovecot::start();
        deliver(&dovecot, "u1", 4);
        let relay = Relay::to(if protocol == "imap" { dovecot.imap } else { dovecot.pop3 });
        let marks = if protocol == "imap" { "mark_seen = true\n" } else { "" };
        let account = loopback_account(protocol, "none", relay.port, "u1") + DELETES + marks;
        let site = Site::new(&[("a", with_rules(&account, &[SPAM]))]);
        let plan = site.cli(&["plan", "a"]);
        assert!(plan.stdout.contains("judge each message once it is fetched"), "{plan:?}");
        let poll = site.cli(&["poll"]);
        assert!(poll.stdout.contains("2 archived"), "{poll:?}");
        assert!(poll.stdout.contains("2 not archived by rule spam"), "{poll:?}");
        for _ in 0..2 {
            dovecot.deliver("u1", &messages(1)[0]);
            site.poll();
        }
        let sent = as_sent(&messages(4));
        let left = dovecot.imap_client("u1").list("INBOX");
        let bodies: Vec<&Vec<u8>> = left.iter().map(|message| &message.body).collect();
        assert_eq!(bodies, [&sent[1], &sent[3]], "{protocol}");
        let seen = |flags: &[String]| flags.iter().any(|flag| flag == "\\Seen");
        assert!(protocol == "pop3" || left.iter().all(|message| !seen(&message.flags)), "{left:?}");
        if protocol == "imap" {
            for line in said(&relay, &["UID STORE", "UID EXPUNGE"]) {
                assert!(!line.contains(" 2") && !line.contains(" 4"), "{line}");
            }
        } else {
            assert_eq!(said(&relay, &["RETR"]).len(), 6, "each once: {:?}", relay.commands());
        }
        assert_eq!((site.stored().len(), site.tree_faults()), (4, Vec::<String>::new()));
        let status = site.cli(&["status"]);
        assert!(status.stdout.contains("a: 2 messages not archived by rule spam"), "{status:?}");
        assert_eq!(site.status()["accounts"][0]["not_archived"]["spam"], 2);
        let why = site.cli(&["why", "<message-0003@example.org>"]);
        let words = "by rule spam (`archive = false`); it stays on the server";
        assert!(why.code == 0 && why.stdout.contains(words), "{why:?}");
        let plan = site.cli(&["plan", "a"]);
        assert!(plan.stdout.contains("not archived by rule spam"), "{plan:?}");
        assert_eq!(site.cli(&["verify"]).code, 0);
    }
}

#[test]
fn what_was_left_out_comes_back_when_a_person_says_so_and_after_a_rebuild_it_is_judged_again() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, "u1", 4);
    let account = dovecot.account("imap", "none", "u1");
    let mut site = Site::new(&[("a", with_rules(&account, &[SPAM]))]);
    site.poll();
    fs::remove_file(site.path().join("state/ledger.db")).unwrap();
    assert_eq!(site.cli(&["ledger", "rebuild"]).code, 0);
    let again = site.cli(&["poll"]);
    assert!(again.stdout.contains("2 not archived by rule spam"), "{again:?}");
    site.account("a", &account);
    site.poll();
    assert_eq!(site.stored().len(), 2, "the rule is gone, what it decided stays");
    let would = site.cli(&["catch-up", "a", "--undo-left-out", "--dry-run"]);
    assert!(would.stdout.contains("INBOX  2 messages are fetched by the next poll"), "{would:?}");
    assert_eq!(site.cli(&["catch-up", "a", "--undo-left-out"]).code, 0);
    site.poll();
    assert_eq!(stored_octets(&site), as_sent(&messages(4)));
    let none = site.cli(&["catch-up", "a", "--undo-left-out"]);
    assert!(none.stdout.contains("no mail that was left out to take back"), "{none:?}");
}

/// Killed at each step: each message is in the archive or left out, none is lost or removed unseen.
#[test]
fn d01_killed_at_any_step_what_is_left_out_stays_and_all_else_is_stored_once() {
    let dovecot = Dovecot::start_with(&Options { users: 200, ..Options::default() });
    let sent = as_sent(&messages(4));
    let steps = walk(11, |step| {
        let user = format!("u{step}");
        deliver(&dovecot, &user, 4);
        let account = dovecot.account("imap", "none", &user) + DELETES;
        let site = Site::new(&[("a", with_rules(&account, &[SPAM]))]);
        let order = format!("kill@{step}");
        let killed = site.cli_with(&[("POSTRIDER_STEP", &order)], &["poll", "a"]).code == -1;
        for _ in 0..2 {
            site.poll();
        }
        assert_eq!(stored_octets(&site), [sent[0].clone(), sent[2].clone()], "{order}");
        let left = dovecot.imap_client(&user).list("INBOX");
        let left: Vec<Vec<u8>> = left.into_iter().map(|message| message.body).collect();
        assert_eq!(left, [sent[1].clone(), sent[3].clone()], "{order}");
        assert_eq!(site.status()["accounts"][0]["not_archived"]["spam"], 2, "{order}");
        killed
    });
    assert!(steps > 15, "{steps} steps");
}

#[test]
fn what_an_earlier_rule_acts_on_is_archived_and_config_that_acts_on_nothing_is_refused() {
    let dovecot = Dovecot::start();
    deliver(&dovecot, "u1", 4);
    let account = dovecot.account("imap", "none", "u1");
    let flag = "name = \"star\"\ndo = \"flag\"\nwhen = 'subject ~ 0003'";
    let site = Site::new(&[("a", with_rules(&account, &[flag, SPAM]))]);
    site.poll();
    assert_eq!((site.stored().len(), count(&site, "done")), (3, 1));
    for (rule, said) in [
        ("archive = false\ndo = \"seen\"", "`archive = false` leaves nothing to act on"),
        ("archive = false", "without `when`: nothing of the account is archived"),
        ("archive = true", "add `do = \"exec\"`"),
    ] {
        let mut site = Site::empty();
        site.account("a", &with_rules(&account, &[rule]));
        let check = site.cli(&["check"]);
        site.leave_unverified();
        assert!((check.stdout.clone() + &check.stderr).contains(said), "{rule}: {check:?}");
        assert!((check.stdout.clone() + &check.stderr).contains(".toml:"), "{rule}: {check:?}");
    }
}

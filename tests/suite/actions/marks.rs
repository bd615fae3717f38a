//! Marks that rules want on the server: after the copy, on the right messages, and never the one
//! that removes.

use super::{actions, count, retry, with_rules};
use crate::support::{Act, Dovecot, Relay, Site, When, loopback_account, sample};

/// The flags of each message in the INBOX, without `\\Recent`.
fn flags(dovecot: &Dovecot) -> Vec<String> {
    let listed = dovecot.imap_client("u1").list("INBOX");
    let of = |flags: &[String]| {
        let mut flags: Vec<&str> =
            flags.iter().map(String::as_str).filter(|flag| *flag != "\\Recent").collect();
        flags.sort_unstable();
        flags.join(" ")
    };
    listed.iter().map(|message| of(&message.flags)).collect()
}

fn stores(relay: &Relay) -> Vec<String> {
    let all = relay.commands().into_iter().filter(|line| line.contains("UID STORE"));
    all.filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect()
}

const RULES: [&str; 3] = [
    "name = \"read\"\ndo = \"seen\"\nwhen = 'header.x-kind = news'",
    "name = \"star\"\ndo = \"flag\"\nwhen = 'subject ~ \"[12]$\"'",
    "name = \"word\"\ndo = \"flag\"\nflag = \"$Archived\"",
];

fn deliver(dovecot: &Dovecot) {
    for n in 0..3 {
        let kind = if n == 0 { "X-Kind: news\r\n" } else { "" };
        let text = String::from_utf8(sample(&format!("letter {n}"), 300)).unwrap();
        dovecot.deliver("u1", format!("{kind}{text}").as_bytes());
    }
}

#[test]
fn rules_mark_stored_messages_once_and_a_lost_answer_is_made_up_for() {
    let dovecot = Dovecot::start();
    deliver(&dovecot);
    let relay = Relay::to(dovecot.imap);
    let account = loopback_account("imap", "none", relay.port, "u1");
    let site = Site::new(&[("a", with_rules(&account, &RULES))]);
    relay.set_fault(When::ClientSays("STORE 2:3 +FLAGS"), Act::CutAnswer);
    assert_eq!(site.cli(&["poll"]).code, 1);
    assert_eq!(site.stored().len(), 3, "the copy comes first");
    assert_eq!(flags(&dovecot), ["\\Seen", "\\Flagged", "\\Flagged"]);
    assert_eq!((count(&site, "done"), count(&site, "pending")), (1, 5), "{:?}", actions(&site));
    relay.heal();
    retry(&site);
    site.poll();
    assert_eq!(flags(&dovecot), ["$Archived \\Seen", "$Archived \\Flagged", "$Archived \\Flagged"]);
    assert_eq!(count(&site, "done"), 6);
    let marked = stores(&relay);
    site.poll();
    assert_eq!(stores(&relay), marked, "an idle poll marks nothing");
    assert_eq!(
        marked,
        [
            "UID STORE 1 +FLAGS.SILENT (\\Seen)",
            "UID STORE 2:3 +FLAGS.SILENT (\\Flagged)",
            "UID STORE 2:3 +FLAGS.SILENT (\\Flagged)",
            "UID STORE 1:3 +FLAGS.SILENT ($Archived)",
        ]
    );
    let stored = site.stored();
    let news = stored.iter().find(|message| message.text("subject") == "letter 0").unwrap();
    let why = site.cli(&["why", news.text("id")]);
    assert!(why.stdout.contains("read: seen done after 1 try"), "{why:?}");
    assert!(why.stdout.contains("word: flag done after 1 try"), "{why:?}");
    let why = site.cli(&["why", news.text("id"), "--json"]);
    let why: serde_json::Value = serde_json::from_str(&why.stdout).unwrap();
    assert_eq!(why["found"][0]["actions"][0]["rule"], "read");
    let again = site.cli(&["replay", "a", "--rule", "read", "--json"]);
    assert_eq!(again.code, 0, "done by the next poll: {again:?}");
    assert_eq!(count(&site, "pending"), 1);
}

#[test]
fn marks_come_before_the_delete_that_waits_for_them_and_are_given_up_with_the_message() {
    let dovecot = Dovecot::start();
    deliver(&dovecot);
    let relay = Relay::to(dovecot.imap);
    let account = loopback_account("imap", "none", relay.port, "u1");
    let lines = account.clone() + "delete_read = true\ndelete_after_actions = true\n";
    let mut site = Site::new(&[("a", with_rules(&lines, &RULES[2..]))]);
    site.poll();
    assert_eq!((flags(&dovecot).len(), count(&site, "done")), (0, 3));
    let heard = relay.commands().join("\n");
    let at = |what: &str| heard.find(what).unwrap_or_else(|| panic!("{what}: {heard}"));
    assert!(at("$Archived") < at("\\Deleted"), "{heard}");
    // What has left the server can't be marked any more.
    site.account("a", &with_rules(&lines, &RULES[1..]));
    assert_eq!(site.cli(&["replay", "a", "--rule", "star"]).code, 0);
    assert_eq!(count(&site, "pending"), 2);
    site.poll();
    assert_eq!((count(&site, "pending"), count(&site, "dropped")), (0, 2));
}

#[test]
fn check_refuses_marks_that_no_server_keeps_or_that_remove_mail() {
    let dovecot = Dovecot::start();
    for (protocol, rule, said) in [
        ("pop3", "do = \"seen\"", "is for IMAP: POP3 keeps no marks"),
        ("imap", "do = \"flag\"\nflag = \"\\\\Deleted\"", "`flag` is no mark"),
        ("imap", "do = \"flag\"\nflag = \"a) b\"", "`flag` is no mark"),
        ("imap", "do = \"seen\"\nflag = \"x\"", "`flag` is for `do = \"flag\"`"),
    ] {
        let mut site = Site::empty();
        site.account("a", &with_rules(&dovecot.account(protocol, "none", "u1"), &[rule]));
        let output = site.cli(&["check"]);
        site.leave_unverified();
        assert_eq!(output.code, 2, "{rule}: {output:?}");
        assert!((output.stdout.clone() + &output.stderr).contains(said), "{rule}: {output:?}");
    }
}

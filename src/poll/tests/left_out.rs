//! Mail that a rule leaves out of the archive: decided once, kept, never deleted, moved or marked;
//! in doubt it is archived.

use super::*;
use crate::config::{Deed, Rule};
use crate::rules::tests::rule;

fn spam(when: &str) -> Rule {
    let when = Some(when.to_owned());
    Rule { deed: Deed::None, archive: false, when, ..rule("spam") }
}

/// Stored mail is deleted and marked at once.
fn site(rules: Vec<Rule>) -> Site {
    let mut site = Site::new();
    site.config.on_received = rules;
    site.config.delete = DeleteRule::AfterDays(0);
    site.config.mark_seen = true;
    site
}

impl Site {
    fn fetched(&self) -> usize {
        self.server.with(|s| s.commands.iter().filter(|c| c.starts_with("fetch")).count())
    }

    /// The commands that mark or remove.
    fn touched(&self) -> Vec<String> {
        let is_one = |c: &&String| c.starts_with("delete") || c.starts_with("mark");
        self.server.with(|state| state.commands.iter().filter(is_one).cloned().collect())
    }

    fn is_maildrop(&mut self) {
        self.config.protocol = Protocol::Pop3;
        self.server.with(|state| state.maildrop = true);
    }

    async fn left_out(&self) -> Vec<(String, u64)> {
        let ledger = Ledger::open_read_only(&self.temp.path().join("state")).unwrap();
        ledger.read("test", |tx| tx.left_out("box")).await.unwrap()
    }
}

fn of_spam(n: u64) -> Vec<(String, u64)> {
    vec![("spam".to_owned(), n)]
}

#[tokio::test]
async fn promise_p4_what_a_rule_leaves_out_is_fetched_once_and_stays_on_the_server() {
    for maildrop in [false, true] {
        let mut site = site(vec![spam("subject ~ '[13]$'")]);
        if maildrop {
            site.is_maildrop();
        }
        site.deliver(4);
        let report = site.poll().await;
        ok(&report);
        assert_eq!((report.archived, report.not_archived.get("spam")), (2, Some(&2)));
        assert_eq!((site.stored().len(), site.stage(), site.fetched()), (2, 0, 4));
        assert_eq!(site.server.uids(), [2, 4], "what is archived goes, and nothing else");
        for _ in 0..3 {
            site.server.change(|_| ());
            let again = site.poll().await;
            ok(&again);
            assert_eq!((again.archived, again.not_archived.len()), (0, 0));
            assert_eq!(again.skipped.get("not-archived"), Some(&2));
        }
        assert_eq!((site.fetched(), site.server.uids()), (4, vec![2, 4]), "maildrop: {maildrop}");
        assert!(site.touched().iter().all(|c| !c.contains(['2', '4'])), "{:?}", site.touched());
        assert_eq!(site.left_out().await, of_spam(2));
    }
}

#[tokio::test]
async fn rules_that_change_judge_new_mail_and_what_was_decided_stays_until_a_person_takes_it_back()
{
    let mut site = site(vec![spam("subject ~ message")]);
    site.deliver(2);
    assert_eq!(site.poll().await.not_archived.get("spam"), Some(&2));
    site.config.on_received.clear();
    site.deliver(1);
    let report = site.poll().await;
    assert_eq!((report.archived, report.skipped.get("not-archived")), (1, Some(&2)));
    let state = site.temp.path().join("state");
    let ledger = Ledger::open_read_only(&state).unwrap();
    let would = undo_left_out(&ledger, "box", true).await.unwrap();
    assert_eq!(would, [("INBOX".to_owned(), 2)]);
    drop(ledger);
    let ledger = Ledger::open(&state).unwrap();
    assert_eq!(undo_left_out(&ledger, "box", false).await.unwrap(), would);
    drop(ledger);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, site.stored().len()), (2, 3));
    assert_eq!(site.left_out().await, []);
}

#[tokio::test]
async fn another_message_under_the_same_uid_is_fetched_and_the_same_one_is_known_by_its_content() {
    let site = site(vec![spam("subject ~ message")]);
    site.deliver(2);
    site.poll().await;
    // The server tells another size of the first one, and the second UID is another message's.
    site.server.change(|state| state.messages.get_mut(&1).unwrap().told_size = Some(9999));
    site.server.reuse(2, message(7).as_bytes(), Clock.now());
    let report = site.poll().await;
    ok(&report);
    assert_eq!((site.fetched(), report.archived), (4, 1), "in doubt it is archived");
    assert_eq!(site.stored()[0].1, message(7));
    assert_eq!(site.left_out().await[0].1, 2);
    site.server.change(|_| ());
    let again = site.poll().await;
    assert_eq!((site.fetched(), again.archived), (4, 0), "what is listed now is kept");
    assert!(site.server.uids().contains(&1));
}

#[tokio::test]
async fn unique_id_that_came_back_with_the_same_size_is_another_message() {
    let mut site = site(vec![spam("subject ~ message")]);
    site.is_maildrop();
    site.deliver(2);
    site.poll().await;
    let gone = site.server.with(|state| state.messages.remove(&2).unwrap());
    ok(&site.poll().await);
    assert_eq!(site.left_out().await, of_spam(1), "it has left");
    site.server.with(|state| {
        let octets = message(5).into_bytes();
        state.messages.insert(2, crate::mailbox::fake::FakeMessage { octets, ..gone });
    });
    assert_eq!(site.poll().await.not_archived.get("spam"), Some(&1));
    assert_eq!(site.fetched(), 3);
}

#[tokio::test]
async fn messages_that_share_a_unique_id_are_archived_whatever_the_rule() {
    let mut site = site(vec![spam("subject ~ message")]);
    site.is_maildrop();
    site.deliver(3);
    for uid in [1, 2] {
        site.server.with(|s| s.messages.get_mut(&uid).unwrap().unique_id = "same".to_owned());
    }
    let report = site.poll().await;
    assert_eq!((report.archived, report.not_archived.get("spam")), (2, Some(&1)));
    // The third joins them.
    site.server.with(|s| s.messages.get_mut(&3).unwrap().unique_id = "same".to_owned());
    ok(&site.poll().await);
    assert_eq!((site.stored().len(), site.server.uids().len()), (3, 3));
}

#[tokio::test]
async fn message_that_is_not_understood_whole_or_that_a_rule_acts_on_is_archived() {
    let acts = Rule { when: Some("subject ~ 1".to_owned()), ..rule("acts") };
    let site = site(vec![acts, spam("size > 0")]);
    site.deliver(2);
    let cut = "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n";
    let long = format!("X: {}\r\nSubject: y\r\n\r\nbody\r\n", "a".repeat(2 << 20));
    for text in [cut, long.as_str()] {
        site.server.deliver(text.as_bytes(), Timestamp::UNIX_EPOCH);
    }
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, report.not_archived.get("spam")), (3, Some(&1)));
    let subjects: Vec<bool> = site.stored().iter().map(|(_, eml)| *eml == message(0)).collect();
    assert!(!subjects.contains(&true), "the one that is whole and that nobody acts on");
}

#[tokio::test]
async fn copy_that_exists_is_found_again_and_never_left_out() {
    let mut site = site(Vec::new());
    site.config.delete = DeleteRule::Never;
    site.deliver(2);
    site.poll().await;
    site.config.on_received = vec![spam("subject ~ message")];
    site.server.change(|state| {
        state.uid_validity = 8;
        state.messages.get_mut(&1).unwrap().told_size = Some(5555);
    });
    for _ in 0..2 {
        let report = site.poll().await;
        ok(&report);
        assert_eq!((report.archived, report.not_archived.len()), (0, 0));
    }
    assert_eq!((site.stored().len(), site.left_out().await.len()), (2, 0));
}

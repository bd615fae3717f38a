//! What receivers may hold up, and what never: shown by the order of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{all_well, count, each_came, retry, site, with_rules};
use crate::support::{Dovecot, Receiver, Reply, Site, messages, sample, wait_for};

const SOON: Duration = Duration::from_mins(1);

#[test]
fn receiver_that_never_answers_holds_up_no_fetching() {
    const COUNT: usize = 250;
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("first", 100));
    let receiver = Receiver::start(|_, _| Reply::Hang);
    let rule = format!("do = \"webhook\"\nurl = \"{}\"\ntimeout = \"1h\"", receiver.url());
    let mut site = site(&dovecot, &[&rule]);
    site.add("inbound.a", "");
    let lines = dovecot.account("imap", "none", "u1") + "poll_interval = \"1s\"\n";
    site.account("a", &with_rules(&lines, &[&rule]));
    let daemon = site.spawn(&["run"]);
    wait_for("the receiver has the first message", SOON, || {
        (receiver.requests().len() == 1).then_some(())
    });
    // While that one is held, all others come and are stored.
    for message in messages(COUNT) {
        dovecot.deliver("u1", &message);
    }
    wait_for("all are stored", SOON, || (site.stored().len() == COUNT + 1).then_some(()));
    assert_eq!(receiver.requests().len(), 1, "it still has the first one only");
    wait_for("all are noted", SOON, || (count(&site, "pending") == COUNT).then_some(()));
    receiver.release();
    wait_for("all are done", SOON, || (count(&site, "done") == COUNT + 1).then_some(()));
    each_came(&site, &receiver.requests(), "after all");
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn in_the_order_of_messages_a_failing_one_holds_up_those_behind_it_and_no_other_rule() {
    let dovecot = Dovecot::start();
    for message in messages(12) {
        dovecot.deliver("u1", &message);
    }
    let ill = Arc::new(AtomicBool::new(true));
    let is_ill = Arc::clone(&ill);
    let strict = Receiver::start(move |_, _| {
        Reply::Status(if is_ill.load(Ordering::SeqCst) { 500 } else { 200 })
    });
    let loose = Receiver::start(|_, _| Reply::Status(200));
    let rules = [
        format!("do = \"webhook\"\nurl = \"{}\"\norder = \"message\"", strict.url()),
        format!("do = \"webhook\"\nurl = \"{}\"", loose.url()),
    ];
    let site = site(&dovecot, &[&rules[0], &rules[1]]);
    for _ in 0..2 {
        site.poll();
        retry(&site);
    }
    let asked = strict.requests();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].key(), asked[1].key(), "only the first message is tried");
    each_came(&site, &loose.requests(), "the other rule");
    ill.store(false, Ordering::SeqCst);
    site.poll();
    let order: Vec<u64> = strict.requests()[2..]
        .iter()
        .map(|request| serde_json::from_slice::<serde_json::Value>(&request.body).unwrap())
        .map(|json| json["uid"].as_u64().unwrap())
        .collect();
    assert_eq!(order, (1..=12).collect::<Vec<u64>>());
}

#[test]
fn daemon_tries_again_by_itself_and_a_stop_forgets_nothing() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 100));
    let receiver = Receiver::start(|before, _| match before {
        0 => Reply::Status(500),
        1 => Reply::Hang,
        _ => Reply::Status(200),
    });
    let rule = format!("do = \"webhook\"\nurl = \"{}\"\ntimeout = \"1h\"", receiver.url());
    let lines = dovecot.account("imap", "none", "u1") + "poll_interval = \"1s\"\n";
    let site = Site::new(&[("a", with_rules(&lines, &[&rule]))]);
    let daemon = site.spawn(&["run"]);
    wait_for("the second try", SOON, || (receiver.requests().len() == 2).then_some(()));
    let stopped = daemon.stop(SOON);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!(count(&site, "pending"), 1, "stopped while it was tried: not forgotten");
    let daemon = site.spawn(&["run"]);
    wait_for("the third try", SOON, || (count(&site, "done") == 1).then_some(()));
    each_came(&site, &receiver.requests(), "three tries");
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn end_of_an_action_that_can_not_be_written_is_written_later_without_a_restart() {
    let (dovecot, receiver) = (Dovecot::start(), all_well());
    dovecot.deliver("u1", &sample("one", 100));
    let rule = format!("name = \"ticket\"\ndo = \"webhook\"\nurl = \"{}\"", receiver.url());
    let mut site = site(&dovecot, &[]);
    site.poll();
    // From outside, so that nothing but this write fails.
    let db = rusqlite::Connection::open(site.state().join("ledger.db")).unwrap();
    db.execute_batch(
        "CREATE TRIGGER ill BEFORE UPDATE ON action WHEN OLD.state = 'running'
         BEGIN SELECT RAISE(ABORT, 'as the test wants it'); END",
    )
    .unwrap();
    let account = dovecot.account("imap", "none", "u1") + "poll_interval = \"1s\"\n";
    site.account("a", &with_rules(&account, &[&rule]));
    let daemon = site.spawn(&["run"]);
    dovecot.deliver("u1", &sample("two", 100));
    let failed = |site: &Site| {
        site.log().iter().any(|r| r["message"].to_string().contains("as the test wants it"))
    };
    wait_for("the failed write", SOON, || failed(&site).then_some(()));
    assert_eq!(count(&site, "running"), 1);
    db.execute_batch("DROP TRIGGER ill").unwrap();
    drop(db);
    // The next mail rings.
    dovecot.deliver("u1", &sample("three", 100));
    wait_for("both ends", SOON, || (count(&site, "done") == 2).then_some(()));
    assert_eq!(receiver.requests().len(), 2, "its end was known: it is not done again");
    assert_eq!(daemon.stop(SOON).code, 0);
}

#[test]
fn action_that_waited_while_the_machine_was_off_is_tried_anew_before_it_fails_for_good() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("one", 10));
    let receiver = Receiver::start(|_, _| Reply::Status(503));
    let rule = format!("do = \"webhook\"\nurl = \"{}\"\nretries = \"1h\"", receiver.url());
    let site = site(&dovecot, &[&rule]);
    site.poll();
    // For two days nothing runs; then some tries follow one another.
    let earlier = |milliseconds: i64| {
        let db = rusqlite::Connection::open(site.state().join("ledger.db")).unwrap();
        let sql = "UPDATE action SET first_at = first_at - ?1, last_at = last_at - ?1,
            due_at = due_at - ?1";
        assert_eq!(db.execute(sql, [milliseconds]).unwrap(), 1);
    };
    earlier(2 * 86_400_000);
    site.poll();
    assert_eq!((receiver.requests().len(), count(&site, "pending")), (2, 1));
    // Its hour is over by tries that could be made.
    let db = rusqlite::Connection::open(site.state().join("ledger.db")).unwrap();
    db.execute("UPDATE action SET first_at = first_at - 3600000, due_at = last_at", []).unwrap();
    drop(db);
    site.poll();
    assert_eq!((receiver.requests().len(), count(&site, "failed")), (3, 1));
}

//! Messages that leave the server without us, and what comes back under their identities.

use super::*;
use crate::ledger::DueBefore;

const THEN: Timestamp = Timestamp::UNIX_EPOCH;

fn maildrop() -> Site {
    let mut site = Site::new();
    site.server.with(|s| s.maildrop = true);
    site.config.protocol = Protocol::Pop3;
    site
}

impl Site {
    fn name(&self, number: u32, unique_id: &str) {
        self.server
            .with(|s| unique_id.clone_into(&mut s.messages.get_mut(&number).unwrap().unique_id));
    }

    async fn due(&self) -> u64 {
        let ledger = Ledger::open_read_only(&self.temp.path().join("state")).unwrap();
        let name = Arc::clone(&self.config.name);
        let due =
            DueBefore { moment: Timestamp::MAX, from_received: false, flagged_is_done: false };
        let counts = ledger.read("counts", move |tx| tx.counts(&name, THEN, Some(due)));
        counts.await.unwrap().due
    }
}

#[tokio::test]
async fn pop03_unique_id_that_comes_back_is_fetched_and_compared() {
    let site = maildrop();
    site.deliver(3);
    ok(&site.poll().await);
    let stored = site.stored();
    let gone = site.server.with(|s| s.messages.remove(&2).unwrap());
    ok(&site.poll().await);
    assert_eq!(site.due().await, 2, "what has left is not waited for");
    // The same message: its copy counts again.
    site.server.with(|s| s.messages.insert(2, gone.clone()));
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, site.count("fetch"), site.due().await), (0, 4, 3));
    assert_eq!(site.stored(), stored);
    // Another message of the same size, in the place of the one that left.
    site.server.with(|s| s.messages.remove(&2));
    ok(&site.poll().await);
    let other = message(1).replace("body", "BODY");
    site.server.with(|s| {
        s.messages.insert(2, gone.clone());
        s.messages.get_mut(&2).unwrap().octets = other.clone().into_bytes();
    });
    assert_eq!(site.poll().await.archived, 1);
    assert_eq!(site.stored().len(), 4);
    assert_eq!(site.poll().await.archived, 0);
    assert_eq!(site.due().await, 3);
}

#[tokio::test]
async fn pop03_another_size_under_a_unique_id_is_archived_beside_and_deleted_by_its_own_copy() {
    let mut site = maildrop();
    site.deliver(2);
    ok(&site.poll().await);
    site.server.with(|s| s.messages.get_mut(&1).unwrap().octets = message(100).into_bytes());
    assert_eq!(site.poll().await.archived, 1);
    for _ in 0..2 {
        let report = site.poll().await;
        ok(&report);
        assert_eq!(report.archived, 0);
    }
    assert_eq!(site.stored().len(), 3);
    site.config.delete = DeleteRule::AfterDays(0);
    assert_eq!(site.poll().await.deleted, 2);
    assert_eq!(site.server.uids(), Vec::<u32>::new());
}

#[tokio::test]
async fn pop03_attempt_that_was_cut_is_made_again_under_the_same_occurrence() {
    let site = maildrop();
    site.deliver(1);
    ok(&site.poll().await);
    site.server.with(|s| {
        s.messages.get_mut(&1).unwrap().octets = message(100).into_bytes();
        s.lose_after = Some(0);
    });
    for _ in 0..2 {
        assert!(site.poll().await.error.is_some());
    }
    site.server.with(|s| s.lose_after = None);
    assert_eq!(site.poll().await.archived, 1);
    let ledger = Ledger::open_read_only(&site.temp.path().join("state")).unwrap();
    let known = ledger
        .read("known", |tx| {
            let id = tx.find_mailbox("box", "")?.unwrap().id;
            tx.known(id, &[MessageKey::Pop3 { unique_id: "1".to_owned(), occurrence: 1 }])
        })
        .await
        .unwrap();
    assert_eq!(known.len(), 1);
}

#[tokio::test]
async fn pop04_unique_ids_that_all_change_store_nothing_twice_and_delete_nothing_in_that_poll() {
    let mut site = maildrop();
    site.server.with(|s| s.window = 6);
    site.deliver(20);
    for _ in 0..2 {
        site.server.deliver(message(99).as_bytes(), THEN);
    }
    ok(&site.poll().await);
    let stored = site.stored();
    for number in 1..=22 {
        site.name(number, &format!("new-{number}"));
    }
    site.deliver(1);
    site.config.delete = DeleteRule::AfterDays(0);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.rekeyed, report.archived, report.deleted), (22, 1, 0));
    assert_eq!(site.count("fetch"), 22 + 2 + 1, "equal messages and new ones only");
    assert!(stored.iter().all(|old| site.stored().contains(old)));
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, report.deleted, site.stored().len()), (0, 23, 23));
}

#[tokio::test]
async fn pop04_renumbering_that_was_cut_goes_on() {
    let site = maildrop();
    for _ in 0..12 {
        site.server.deliver(message(1).as_bytes(), THEN);
    }
    ok(&site.poll().await);
    for number in 1..=12 {
        site.name(number, &format!("new-{number}"));
    }
    site.server.with(|s| s.lose_after = Some(7));
    assert!(site.poll().await.error.is_some());
    site.server.with(|s| s.lose_after = None);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, report.rekeyed, site.stored().len()), (0, 5, 12));
}

#[tokio::test]
async fn pop02_messages_that_share_a_unique_id_are_archived_each_and_not_deleted() {
    let mut site = maildrop();
    site.config.delete = DeleteRule::AfterDays(0);
    site.deliver(3);
    site.name(1, "same");
    site.name(2, "same");
    for _ in 0..3 {
        let report = site.poll().await;
        ok(&report);
        assert_eq!(site.server.uids(), [1, 2]);
    }
    assert_eq!(site.stored().len(), 3);
    // One of them goes: the other is proven by its content, then deleted.
    site.server.with(|s| s.messages.remove(&1));
    for _ in 0..3 {
        ok(&site.poll().await);
    }
    assert_eq!((site.server.uids(), site.stored().len()), (Vec::<u32>::new(), 3));
}

#[tokio::test]
async fn i07_message_that_left_and_is_listed_again_is_the_stored_one() {
    let mut site = Site::new();
    site.deliver(5);
    ok(&site.poll().await);
    let gone = site.server.with(|s| s.messages.remove(&3).unwrap());
    site.server.change(|_| ());
    ok(&site.poll().await);
    assert_eq!(site.due().await, 4);
    site.server.change(|s| drop(s.messages.insert(3, gone)));
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, site.due().await, site.count("fetch")), (0, 5, 5));
    site.config.delete = DeleteRule::AfterDays(0);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, report.deleted, site.count("fetch")), (0, 5, 6));
}

#[tokio::test]
async fn received_dates_of_messages_that_left_are_forgotten() {
    let mut site = maildrop();
    site.config.ignore_older_than = Some(Duration::from_hours(1));
    site.deliver(8);
    ok(&site.poll().await);
    let seen = || async {
        let ledger = Ledger::open_read_only(&site.temp.path().join("state")).unwrap();
        let keys: Vec<MessageKey> = (1..=8)
            .map(|n: u32| MessageKey::Pop3 { unique_id: n.to_string(), occurrence: 0 })
            .collect();
        let read = move |tx: &crate::ledger::Tx<'_>| {
            tx.seen(tx.find_mailbox("box", "")?.unwrap().id, &keys)
        };
        ledger.read("seen", read).await.unwrap().iter().flatten().count()
    };
    assert_eq!(seen().await, 8);
    site.server.with(|s| s.messages.retain(|number, _| *number > 5));
    ok(&site.poll().await);
    assert_eq!(seen().await, 3);
}

#[tokio::test]
async fn pop02_message_that_joins_those_of_a_unique_id_or_takes_the_place_of_one_is_archived() {
    let mut site = maildrop();
    site.config.delete = DeleteRule::AfterDays(0);
    for n in [10, 100, 1000] {
        site.server.deliver(message(n).as_bytes(), THEN);
    }
    (1..=3).for_each(|number| site.name(number, "same"));
    ok(&site.poll().await);
    // One leaves, so that the places of the others shift, and another comes.
    site.server.with(|s| s.messages.remove(&1));
    let number = site.server.deliver(message(10_000).as_bytes(), THEN);
    site.name(number, "same");
    for _ in 0..3 {
        ok(&site.poll().await);
    }
    assert_eq!((site.stored().len(), site.count("fetch")), (4, 4));
    // One that had left comes back, and one that is as large as another joins.
    site.server.deliver(message(10).as_bytes(), THEN);
    site.server.deliver(message(101).as_bytes(), THEN);
    (5..=6).for_each(|number| site.name(number, "same"));
    for _ in 0..3 {
        ok(&site.poll().await);
    }
    assert_eq!((site.stored().len(), site.count("fetch")), (5, 6));
    assert_eq!(site.server.uids(), [2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn pop02_messages_of_a_shared_unique_id_whose_rows_are_in_doubt_are_fetched_and_found() {
    let mut site = maildrop();
    site.deliver(12);
    (1..=3).for_each(|number| site.name(number, "same"));
    ok(&site.poll().await);
    let stored = site.stored();
    site.config.host = "other.example".to_owned();
    site.server.with(|s| s.messages.remove(&1));
    site.server.deliver(message(50).as_bytes(), THEN);
    for _ in 0..3 {
        let report = site.poll().await;
        ok(&report);
    }
    assert!(stored.iter().all(|old| site.stored().contains(old)));
    assert_eq!(site.stored().len(), 13);
    assert!(site.count("fetch") <= 12 + 3, "{}", site.count("fetch"));
}

#[tokio::test]
async fn pop04_server_that_kept_some_messages_under_new_unique_ids_stores_none_of_them_twice() {
    for (count, kept) in [(50, 20), (50, 4), (3, 3)] {
        let mut site = maildrop();
        site.deliver(count);
        ok(&site.poll().await);
        let stored = site.stored();
        site.server.with(|s| s.messages.retain(|number, _| *number <= kept));
        (1..=kept).for_each(|number| site.name(number, &format!("new-{number}")));
        site.config.delete = DeleteRule::AfterDays(0);
        let report = site.poll().await;
        ok(&report);
        assert_eq!(
            (report.rekeyed, report.archived, report.deleted),
            (kept, 0, 0),
            "{count} {kept}"
        );
        assert_eq!(site.stored(), stored);
        assert_eq!(site.poll().await.deleted, kept);
    }
}

#[tokio::test]
async fn pop04_maildrop_that_others_empty_holds_no_deletes_though_all_of_it_is_new() {
    for (removed, new) in [(5, 6), (1, 6), (30, 40)] {
        let mut site = maildrop();
        site.deliver(removed + 1);
        ok(&site.poll().await);
        site.server.with(|s| s.messages.retain(|number, _| *number > removed));
        for n in 0..new {
            site.server.deliver(message(900 + n).as_bytes(), THEN);
        }
        site.config.delete = DeleteRule::AfterDays(0);
        let report = site.poll().await;
        ok(&report);
        let new = u32::try_from(new).unwrap();
        assert_eq!((report.archived, report.deleted), (new, new + 1), "{removed}");
    }
}

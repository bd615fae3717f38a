//! UIDs that the server gives to another message under the same UIDVALIDITY.

use super::*;

const THEN: Timestamp = Timestamp::UNIX_EPOCH;

fn later() -> Timestamp {
    THEN.checked_add(SignedDuration::from_hours(1)).unwrap()
}

impl Site {
    /// The subjects in the archive, sorted.
    fn subjects(&self) -> Vec<String> {
        let subject = |eml: &str| eml.lines().next().unwrap().replace("Subject: message ", "");
        let mut found: Vec<String> = self.stored().iter().map(|(_, eml)| subject(eml)).collect();
        found.sort();
        found
    }

    /// How often a message was fetched so far.
    fn fetches(&self) -> usize {
        self.server.with(|s| s.commands.iter().filter(|c| c.starts_with("fetch")).count())
    }

    /// The folder of the message with this number.
    fn folder(&self, n: usize) -> String {
        self.stored().into_iter().find(|(_, eml)| *eml == message(n)).unwrap().0
    }

    fn touch(&self, n: usize) {
        let file = Path::new(&self.folder(n)).join("message.eml");
        let file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
        std::io::Write::write_all(&mut &file, b"x").unwrap();
    }

    async fn held(&self) -> Vec<u32> {
        let ledger = Ledger::open_read_only(&self.temp.path().join("state")).unwrap();
        let held = ledger.read("held", |tx| tx.held("box", 9)).await.unwrap();
        held.iter().map(|held| held.key.generation()).collect()
    }
}

#[tokio::test]
async fn i06_another_message_under_a_known_uid_is_archived_beside_the_older_one() {
    // By its size, and by its date alone.
    for (n, date) in [(10, THEN), (3, later())] {
        let site = Site::new();
        site.deliver(2);
        assert_eq!(site.poll().await.archived, 2);
        site.server.reuse(1, message(n).as_bytes(), date);
        let report = site.poll().await;
        ok(&report);
        assert_eq!(report.archived, 1);
        let mut want = ["0".to_owned(), "1".to_owned(), n.to_string()];
        want.sort();
        assert_eq!(site.subjects(), want);
        let fetches = site.fetches();
        site.server.change(|_| ());
        let again = site.poll().await;
        ok(&again);
        assert_eq!((again.archived, again.unchanged), (0, 0));
        assert_eq!((site.fetches(), site.stage()), (fetches, 0));
    }
}

#[tokio::test]
async fn i06_all_messages_that_got_known_uids_come_in_one_poll_batch_after_batch() {
    let mut site = Site::new();
    site.config.batch_max = Some(3);
    site.deliver(9);
    assert_eq!(site.poll().await.archived, 9);
    for uid in 1..=8 {
        site.server.reuse(uid, message(100 + uid as usize).as_bytes(), THEN);
    }
    assert_eq!(site.poll().await.archived, 8);
    assert_eq!(site.subjects().len(), 17);
    assert_eq!(site.poll().await.unchanged, 1);
}

#[tokio::test]
async fn i06_each_message_of_a_uid_is_deleted_by_its_own_copy_only() {
    for (touched, deleted) in [(0, 1), (10, 0)] {
        let mut site = Site::new();
        site.deliver(1);
        ok(&site.poll().await);
        site.server.reuse(1, message(10).as_bytes(), THEN);
        ok(&site.poll().await);
        site.touch(touched);
        site.config.delete = DeleteRule::AfterDays(0);
        let report = site.poll().await;
        ok(&report);
        assert_eq!(report.deleted, deleted, "{touched}");
        assert_eq!(site.server.uids().len(), 1 - deleted as usize);
        assert_eq!(report.not_deleted.get("copy-modified"), (deleted == 0).then_some(&1));
        assert_eq!(site.stored().len(), 2);
    }
}

#[tokio::test]
async fn copy_of_an_older_message_lets_no_newer_one_go() {
    let mut site = Site::new();
    site.deliver(1);
    ok(&site.poll().await);
    site.config.delete = DeleteRule::AfterDays(0);
    // The newer one can't be stored: its body is empty.
    site.server.reuse(1, b"", THEN);
    for _ in 0..3 {
        let report = site.poll().await;
        ok(&report);
        assert_eq!((report.deleted, site.server.uids()), (0, vec![1]));
        site.server.change(|_| ());
    }
    assert_eq!(site.held().await, [1]);
}

#[tokio::test]
async fn uid_of_a_deleted_message_is_used_again() {
    let mut site = Site::new();
    site.config.delete = DeleteRule::AfterDays(0);
    for n in 0..4 {
        assert_eq!(site.server.deliver(message(n * 11).as_bytes(), THEN), 1);
        site.server.change(|_| ());
        let report = site.poll().await;
        ok(&report);
        // The first two have different sizes; the others differ in nothing the server tells.
        let want = u32::from(n < 2);
        assert_eq!((report.archived, report.deleted), (want, want), "{n}");
        if want == 0 {
            assert_eq!(report.kept.get("returned"), Some(&1));
            site.server.with(|s| s.messages.clear());
        }
    }
    assert_eq!(site.subjects(), ["0", "11"]);
}

#[tokio::test]
async fn server_that_tells_another_size_at_each_poll_gets_no_second_folder() {
    let mut site = Site::new();
    site.deliver(2);
    ok(&site.poll().await);
    let stored = site.stored();
    for n in 0..4_u32 {
        if n == 2 {
            site.config.delete = DeleteRule::AfterDays(30);
        }
        site.server.change(|s| {
            let message = s.messages.get_mut(&1).unwrap();
            message.told_size = Some(1000 + u64::from(n));
            message.internal_date = later();
        });
        let report = site.poll().await;
        ok(&report);
        assert_eq!((report.archived, report.deleted, report.held.len()), (0, 0, 0));
        assert_eq!((site.stored(), site.stage()), (stored.clone(), 0));
    }
    let fetches = site.fetches();
    site.config.delete = DeleteRule::AfterDays(0);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, report.deleted, site.fetches()), (0, 2, fetches));
    assert_eq!(site.stored(), stored);
}

#[tokio::test]
async fn i06_two_messages_that_take_turns_have_a_folder_each() {
    let mut site = Site::new();
    site.deliver(1);
    ok(&site.poll().await);
    for turn in 0..6 {
        let n = if turn % 2 == 0 { 10 } else { 0 };
        site.server.reuse(1, message(n).as_bytes(), THEN);
        let report = site.poll().await;
        ok(&report);
        assert_eq!(report.archived, u32::from(turn == 0), "{turn}");
        assert_eq!(site.subjects(), ["0", "10"]);
    }
    site.touch(10);
    site.config.delete = DeleteRule::AfterDays(0);
    assert_eq!(site.poll().await.deleted, 1, "message 0 stands there, by its own copy");
}

#[tokio::test]
async fn attempt_at_the_new_message_that_failed_is_made_again() {
    let site = Site::new();
    site.deliver(1);
    ok(&site.poll().await);
    site.server.reuse(1, message(10).as_bytes(), THEN);
    site.server.with(|s| s.lose_after = Some(0));
    assert!(site.poll().await.error.is_some());
    site.server.with(|s| s.lose_after = None);
    assert_eq!(site.poll().await.archived, 1);
    site.server.reuse(1, b"", THEN);
    assert_eq!(site.poll().await.held.len(), 1);
    assert_eq!(site.held().await, [2]);
    site.server.reuse(1, message(200).as_bytes(), THEN);
    assert_eq!(site.poll().await.archived, 1);
    assert_eq!(site.subjects(), ["0", "10", "200"]);
    assert_eq!(site.held().await, Vec::<u32>::new());
}

#[tokio::test]
async fn message_that_is_too_large_is_held_under_its_own_generation() {
    let mut site = Site::new();
    site.config.max_message_size = Some(ByteSize(100));
    site.deliver(1);
    ok(&site.poll().await);
    site.server.reuse(1, message(1).repeat(9).as_bytes(), THEN);
    for _ in 0..2 {
        assert_eq!(site.poll().await.archived, 0);
        assert_eq!(site.held().await, [1]);
        site.server.change(|_| ());
    }
    site.config.max_message_size = None;
    assert_eq!(site.poll().await.archived, 1);
}

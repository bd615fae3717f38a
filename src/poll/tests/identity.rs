//! Keys that mean other messages by now: another UIDVALIDITY, another server, none at all.

use super::*;

impl Site {
    /// Pretends that the account was pointed at another server, whose mailbox has the same
    /// UIDVALIDITY and, for all messages alike, the same UIDs, sizes and dates.
    fn point_elsewhere(&mut self) -> FakeServer {
        self.config.host = "other.example".to_owned();
        std::mem::replace(&mut self.server, FakeServer::new(7))
    }

    pub(super) fn count(&self, command: &str) -> usize {
        self.server.with(|s| s.commands.iter().filter(|c| c.starts_with(command)).count())
    }
}

/// As long as `message`, with another content.
fn foreign(n: usize) -> String {
    message(n).replace("body", "BODY").replace("@example", "@foreign")
}

#[tokio::test]
async fn i01_new_uidvalidity_downloads_only_what_facts_cannot_tell() {
    let mut site = Site::new();
    site.server.with(|s| s.window = 7);
    site.deliver(20);
    for _ in 0..2 {
        site.server.deliver(message(99).as_bytes(), Timestamp::UNIX_EPOCH);
    }
    ok(&site.poll().await);
    let (stored, fetches) = (site.stored(), site.count("fetch"));
    site.server.with(|s| s.uid_validity = 8);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.rekeyed, report.archived), (22, 0));
    assert_eq!((site.count("fetch") - fetches, site.stored() == stored), (2, true));
    assert_eq!(site.poll().await.unchanged, 1);
    // A delete that is due asks for the content of what only facts have told.
    site.config.delete = DeleteRule::AfterDays(0);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, report.deleted, site.count("fetch") - fetches), (0, 22, 22));
    assert_eq!(site.stored(), stored);
}

#[tokio::test]
async fn i01_row_that_only_facts_have_matched_deletes_no_message_with_other_content() {
    let mut site = Site::new();
    site.deliver(1);
    ok(&site.poll().await);
    // The same header, size and date, another body: facts can't tell.
    let other = message(0).replace("body", "BODY");
    site.server.with(|s| {
        s.uid_validity = 8;
        s.messages.get_mut(&1).unwrap().octets = other.clone().into_bytes();
    });
    ok(&site.poll().await);
    site.config.delete = DeleteRule::AfterDays(9);
    ok(&site.poll().await);
    assert_eq!(site.stored().len(), 1);
    site.config.delete = DeleteRule::AfterDays(0);
    let report = site.poll().await;
    ok(&report);
    let contents: Vec<String> = site.stored().into_iter().map(|(_, eml)| eml).collect();
    assert_eq!(contents.len(), 2, "it was archived before it was deleted by its own copy");
    assert!(contents.contains(&other));
}

#[tokio::test]
async fn p1_account_pointed_at_anothers_mailbox_takes_nothing_for_known_and_deletes_no_stranger() {
    let mut site = Site::new();
    site.deliver(3);
    ok(&site.poll().await);
    site.config.delete = DeleteRule::AfterDays(9);
    let before = site.point_elsewhere();
    for n in 0..3_u32 {
        let when = before.with(|s| s.messages[&(n + 1)].internal_date);
        site.server.deliver(foreign(n as usize).as_bytes(), when);
    }
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, report.rekeyed, report.deleted), (3, 0, 0));
    let mut want: Vec<String> = (0..3).flat_map(|n| [message(n), foreign(n)]).collect();
    want.sort();
    let mut have: Vec<String> = site.stored().into_iter().map(|(_, eml)| eml).collect();
    have.sort();
    assert_eq!(have, want);
    // The copies of the first three are touched: nothing of them counts for the strangers.
    for (path, eml) in site.stored() {
        if eml.contains("@example") {
            let file = Path::new(&path).join("message.eml");
            let file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
            std::io::Write::write_all(&mut &file, b"x").unwrap();
        }
    }
    site.config.delete = DeleteRule::AfterDays(0);
    assert_eq!(site.poll().await.deleted, 3);
    assert_eq!(before.uids(), [1, 2, 3]);
}

#[tokio::test]
async fn p1_message_under_a_key_that_a_moved_copy_had_gets_a_folder_of_its_own() {
    for maildrop in [false, true] {
        let mut site = Site::new();
        site.server.with(|s| s.maildrop = maildrop);
        site.config.protocol = if maildrop { Protocol::Pop3 } else { Protocol::Imap };
        let all = |site: &Site, range: std::ops::Range<usize>| {
            for n in range {
                site.server.deliver(message(n).as_bytes(), Timestamp::UNIX_EPOCH);
            }
        };
        all(&site, 0..6);
        ok(&site.poll().await);
        for first in [3, 0, 6] {
            site.point_elsewhere();
            site.server.with(|s| s.maildrop = maildrop);
            site.config.host = format!("{first}.example");
            all(&site, first..first + 6);
            let report = site.poll().await;
            ok(&report);
            assert_eq!(report.held.len(), 0, "{maildrop} {first}: {:?}", report.held);
        }
        let mut have: Vec<String> = site.stored().into_iter().map(|(_, eml)| eml).collect();
        let mut want: Vec<String> = (0..12).map(message).collect();
        have.sort();
        want.sort();
        assert_eq!(have, want, "{maildrop}");
    }
}

#[tokio::test]
async fn p2_mailbox_that_moved_to_another_host_is_stored_once_and_proven_before_deletes() {
    for keep_uids in [true, false] {
        let mut site = Site::new();
        site.deliver(30);
        ok(&site.poll().await);
        let stored = site.stored();
        let before = site.point_elsewhere();
        let moved: Vec<_> = before.with(|s| s.messages.values().cloned().collect());
        let order: Vec<usize> = if keep_uids { (0..30).collect() } else { (0..30).rev().collect() };
        for n in order {
            site.server.deliver(&moved[n].octets, moved[n].internal_date);
        }
        site.config.delete = DeleteRule::AfterDays(0);
        let report = site.poll().await;
        ok(&report);
        assert_eq!((report.rekeyed, report.archived, report.deleted), (30, 0, 0), "{keep_uids}");
        assert_eq!((site.count("fetch"), site.stored() == stored), (0, true));
        let report = site.poll().await;
        ok(&report);
        assert_eq!((report.archived, report.deleted, site.count("fetch")), (0, 30, 30));
        assert_eq!(site.stored(), stored);
    }
}

#[tokio::test]
async fn p2_protocol_that_changed_stores_nothing_twice() {
    for to_pop3 in [true, false] {
        let mut site = Site::new();
        site.server.with(|s| s.maildrop = !to_pop3);
        site.config.protocol = if to_pop3 { Protocol::Imap } else { Protocol::Pop3 };
        site.deliver(12);
        ok(&site.poll().await);
        let stored = site.stored();
        site.server.with(|s| s.maildrop = to_pop3);
        site.config.protocol = if to_pop3 { Protocol::Pop3 } else { Protocol::Imap };
        let report = site.poll().await;
        ok(&report);
        assert_eq!((report.rekeyed, report.archived), (12, 0), "{to_pop3}");
        assert_eq!(site.stored(), stored);
        ok(&site.poll().await);
        assert_eq!(site.stored(), stored);
    }
}

#[tokio::test]
async fn i03_without_uidvalidity_mail_is_archived_once_and_never_deleted() {
    let mut site = Site::new();
    site.server.with(|s| s.uid_validity = 0);
    site.config.delete = DeleteRule::AfterDays(0);
    site.deliver(6);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, report.deleted), (6, 0));
    let stored = site.stored();
    // The server counts its messages anew: each UID is another message's now.
    for shift in 1..4 {
        site.server.change(|s| {
            let mut all: Vec<_> = s.messages.values().cloned().collect();
            all.rotate_left(shift);
            s.messages = (1..).zip(all).collect();
        });
        let report = site.poll().await;
        ok(&report);
        assert_eq!((report.archived, report.deleted), (0, 0), "{shift}");
        assert_eq!(site.stored(), stored, "{shift}");
    }
    assert_eq!((site.count("delete"), site.server.uids().len()), (0, 6));
}

#[tokio::test]
async fn i03_uidvalidity_that_goes_backwards_and_forth_stores_nothing_twice() {
    let mut site = Site::new();
    site.deliver(5);
    ok(&site.poll().await);
    let stored = site.stored();
    for value in [3, 0, 9, 7, u32::MAX] {
        site.server.with(|s| s.uid_validity = value);
        site.deliver(0);
        let report = site.poll().await;
        ok(&report);
        assert_eq!((report.archived, report.deleted), (0, 0), "{value}");
        assert_eq!(site.stored(), stored, "{value}");
    }
    site.config.delete = DeleteRule::AfterDays(0);
    assert_eq!(site.poll().await.deleted, 5);
}

#[tokio::test]
async fn i01_header_section_that_ends_the_session_stops_no_mailbox_for_ever() {
    for lost in [5, 130] {
        let mut site = Site::new();
        site.deliver(140);
        ok(&site.poll().await);
        let stored = site.stored();
        site.server.with(|s| (s.uid_validity, s.lose_at_header) = (8, Some(lost)));
        let polls = if lost == 5 { 1 } else { 2 };
        for _ in 0..polls {
            assert!(site.poll().await.error.is_some(), "{lost}");
        }
        ok(&site.poll().await);
        // What facts told before the session was lost is not fetched.
        let fetched = if lost == 5 { 140 } else { 40 };
        assert_eq!((site.count("fetch"), site.stored() == stored), (140 + fetched, true), "{lost}");
        // Facts are tried again after the next change.
        site.server.with(|s| (s.uid_validity, s.lose_at_header) = (9, None));
        let report = site.poll().await;
        ok(&report);
        assert_eq!((report.rekeyed, site.count("fetch")), (140, 140 + fetched), "{lost}");
        site.config.delete = DeleteRule::AfterDays(0);
        assert_eq!(site.poll().await.deleted, 140);
    }
}

//! Whole polls against a mailbox in memory, with a real archive and a real ledger.

mod identity;
mod idle;
mod left_out;
mod moves;
mod preview;
mod renamed;
mod returned;
mod reuse;
mod seen;
mod states;

use std::path::Path;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::archive::root::{Root, init};
use crate::config::{
    ArchiveConfig, DeleteRule, Encryption, MinRate, Properties, SafeLogon, Schedule, WritePart,
};
use crate::mailbox::fake::FakeServer;
use crate::model::{ByteSize, MessageKey};
use crate::oauth::Vault;

struct Site {
    temp: TempDir,
    server: FakeServer,
    config: Inbound,
}

/// Locks a root that another site of this test had. A program that another test starts at that
/// moment holds the lock, too, until it has become that program.
fn take(root: &Root) {
    for _ in 0..200 {
        if root.lock().is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    root.lock().unwrap();
}

impl Site {
    fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    fn new_in(parent: &Path) -> Self {
        let temp = tempfile::tempdir_in(parent).unwrap();
        init(&temp.path().join("mail"), 0o750).unwrap();
        std::fs::DirBuilder::new().create(temp.path().join("state")).unwrap();
        Self { temp, server: FakeServer::new(7), config: account() }
    }

    fn deliver(&self, n: u32) {
        for _ in 0..n {
            let all = self.server.uids().len();
            let when = Timestamp::UNIX_EPOCH
                .checked_add(SignedDuration::from_hours(
                    i64::try_from(all).unwrap().saturating_mul(7),
                ))
                .unwrap();
            self.server.deliver(message(all).as_bytes(), when);
        }
    }

    /// Ledger and archive, opened as a start does.
    async fn tools(&self) -> Tools {
        let mut ledger = Ledger::open(&self.temp.path().join("state")).unwrap();
        let mut root = Root::open(&self.temp.path().join("mail")).unwrap();
        take(&root);
        let generation = ledger.bind(root.marker().root).await.unwrap();
        root.bind(ledger.identity().ledger.unwrap(), generation).unwrap();
        let archive = Archive::open(root, &archive_config(self.temp.path())).unwrap();
        Tools {
            archive: Arc::new(archive),
            ledger,
            clock: Clock,
            redactor: Redactor::default(),
            configured: Arc::default(),
            secrets: Arc::default(),
            tokens: Vault::new(self.temp.path(), Arc::default(), |_| {}),
            allow_network_root: true,
            outbox: Arc::default(),
        }
    }

    async fn poll(&self) -> PollReport {
        self.poll_with(self.tools().await).await
    }

    async fn poll_with(&self, tools: Tools) -> PollReport {
        let account = Account::new(Arc::new(self.config.clone()), tools, CancellationToken::new());
        let mut report = PollReport::new(&self.config.name, "run", Clock.now());
        let work = async {
            prepare(&account).await?;
            session(&account, self.server.session(), &mut report).await
        };
        if let Err(error) = work.await {
            report.fail(&error, &account);
        }
        report
    }

    /// Each message folder's `message.eml`, by path.
    fn stored(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        walk(&self.temp.path().join("mail"), &mut found);
        found.sort();
        found
    }

    fn stage(&self) -> usize {
        std::fs::read_dir(self.temp.path().join("mail/.stage")).unwrap().count()
    }
}

fn walk(at: &Path, found: &mut Vec<(String, String)>) {
    let Ok(entries) = std::fs::read_dir(at) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.join("message.eml").exists() {
            let eml = std::fs::read_to_string(path.join("message.eml")).unwrap();
            found.push((path.display().to_string(), eml));
        } else if path.is_dir() {
            walk(&path, found);
        }
    }
}

fn message(n: usize) -> String {
    format!("Subject: message {n}\r\nMessage-ID: <{n}@example>\r\n\r\nbody {n}\r\n")
}

fn archive_config(temp: &Path) -> ArchiveConfig {
    ArchiveConfig {
        root: temp.join("mail"),
        layout: "{account}/in/{date}/{message}".to_owned(),
        timezone: TimeZone::UTC,
        timezone_name: "UTC".to_owned(),
        write: vec![WritePart::Text, WritePart::Html, WritePart::Attachments],
        min_free: ByteSize(0),
        dir_mode: 0o750,
        file_mode: 0o640,
        allow_network_root: false,
    }
}

fn account() -> Inbound {
    let minute = Duration::from_mins(1);
    Inbound {
        name: "box".into(),
        renamed_from: None,
        description: None,
        label: None,
        enabled: true,
        protocol: Protocol::Imap,
        host: "localhost".to_owned(),
        port: 993,
        encryption: Encryption::Tls,
        allow_plaintext: false,
        bind_address: None,
        tls: crate::config::TlsRules::default(),
        user: "u".to_owned(),
        user_source: None,
        password: None,
        oauth: None,
        safe_logon: SafeLogon::On,
        sasl: Vec::new(),
        folders: vec!["INBOX".to_owned()],
        schedule: Schedule::Every(minute),
        batch_max: None,
        batch_max_bytes: None,
        drain: true,
        process_after: None,
        ignore_older_than: None,
        min_age: None,
        max_message_size: None,
        delete: DeleteRule::Never,
        delete_age_from: crate::config::DeleteAge::Stored,
        delete_mode: crate::config::DeleteMode::Expunge,
        delete_max_per_poll: None,
        only_unseen: false,
        mark_seen: false,
        pop3_no_uidl_download: false,
        connect_timeout: minute,
        read_timeout: minute,
        min_rate: MinRate { octets: 1, window: minute },
        poll_deadline: minute,
        protect: false,
        watch: crate::config::Watch::default(),
        debug: false,
        on_received: Vec::new(),
        delete_after_actions: false,
        properties: Properties {
            imap_fetch_chunk: ByteSize(1 << 20),
            imap_list_window: 5000,
            imap_fetch_batch: 200,
            pop3_pipeline: 50,
            tcp_keepalive: minute,
        },
    }
}

fn ok(report: &PollReport) {
    assert!(report.error.is_none(), "{:?}", report.error);
}

#[tokio::test]
async fn every_message_arrives_once_and_a_second_poll_finds_nothing_new() {
    let site = Site::new();
    site.deliver(450);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, report.held.len()), (450, 0));
    let stored = site.stored();
    let mut want: Vec<String> = (0..450).map(message).collect();
    let mut have: Vec<String> = stored.iter().map(|(_, eml)| eml.clone()).collect();
    want.sort();
    have.sort();
    assert_eq!(have, want);
    assert_eq!(site.stage(), 0);
    let again = site.poll().await;
    ok(&again);
    assert_eq!((again.archived, again.unchanged), (0, 1));
    assert_eq!(site.stored(), stored);
}

#[tokio::test]
async fn batches_go_on_oldest_first_until_nothing_is_left() {
    let mut site = Site::new();
    site.config.batch_max = Some(4);
    site.deliver(10);
    assert_eq!(site.poll().await.archived, 10);
    let fetched: Vec<String> = site
        .server
        .with(|s| s.commands.iter().filter(|c| c.starts_with("fetch")).cloned().collect());
    let want: Vec<String> = (1..=10).map(|n| format!("fetch {n}")).collect();
    assert_eq!(fetched, want);
}

#[tokio::test]
async fn without_drain_one_poll_is_one_batch() {
    let mut site = Site::new();
    (site.config.batch_max, site.config.drain) = (Some(4), false);
    site.deliver(10);
    let mut archived = Vec::new();
    for _ in 0..4 {
        archived.push(site.poll().await.archived);
    }
    assert_eq!(archived, [4, 4, 2, 0]);
}

#[tokio::test]
async fn a_lost_connection_keeps_what_came_and_the_next_poll_gets_the_rest() {
    let site = Site::new();
    site.deliver(30);
    site.server.with(|s| s.lose_after = Some(12));
    let report = site.poll().await;
    assert_eq!((report.archived, report.error.is_some()), (12, true));
    assert_eq!(site.stage(), 0);
    site.server.with(|s| s.lose_after = None);
    assert_eq!(site.poll().await.archived, 18);
    assert_eq!(site.stored().len(), 30);
}

#[tokio::test]
async fn i09_an_empty_body_is_held_and_neither_stored_nor_deleted() {
    let mut site = Site::new();
    site.config.delete = DeleteRule::AfterDays(0);
    site.deliver(2);
    let empty = site.server.deliver(b"", Timestamp::UNIX_EPOCH);
    for _ in 0..3 {
        let report = site.poll().await;
        ok(&report);
        assert_eq!(site.server.uids(), [empty]);
    }
    assert_eq!(site.stored().len(), 2);
}

#[tokio::test]
async fn i09_a_held_message_is_tried_again_though_the_mailbox_does_not_change() {
    let site = Site::new();
    site.deliver(2);
    let empty = site.server.deliver(b"", Timestamp::UNIX_EPOCH);
    assert_eq!(site.poll().await.held.len(), 1);
    site.server.with(|s| s.messages.get_mut(&empty).unwrap().octets = message(9).into_bytes());
    assert_eq!(site.poll().await.archived, 1);
    assert_eq!(site.poll().await.unchanged, 1);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_held_until_the_limit_is_raised() {
    let mut site = Site::new();
    site.config.max_message_size = Some(ByteSize(100));
    site.deliver(1);
    let large = message(1).repeat(9);
    site.server.deliver(large.as_bytes(), Timestamp::UNIX_EPOCH);
    assert_eq!(site.poll().await.archived, 1);
    let held = || async {
        let ledger = Ledger::open_read_only(&site.temp.path().join("state")).unwrap();
        ledger.read("held", |tx| tx.held("box", 9)).await.unwrap()
    };
    assert_eq!(held().await.iter().map(|h| &*h.code).collect::<Vec<_>>(), ["message-too-large"]);
    site.config.max_message_size = None;
    assert_eq!(site.poll().await.archived, 1);
}

#[tokio::test]
async fn stored_mail_is_deleted_in_the_same_poll_when_the_rule_has_no_days() {
    let mut site = Site::new();
    site.config.delete = DeleteRule::AfterDays(0);
    site.server.with(|s| s.window = 7);
    site.deliver(20);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, report.deleted), (20, 20));
    assert_eq!(site.server.uids(), Vec::<u32>::new());
    assert_eq!(site.stored().len(), 20);
}

#[tokio::test]
async fn d11_a_copy_that_was_touched_keeps_its_mail_and_no_other() {
    let mut site = Site::new();
    site.deliver(3);
    ok(&site.poll().await);
    let touched = site.stored().remove(1).0;
    let file = std::fs::OpenOptions::new()
        .append(true)
        .open(Path::new(&touched).join("message.eml"))
        .unwrap();
    std::io::Write::write_all(&mut &file, b"x").unwrap();
    site.config.delete = DeleteRule::AfterDays(0);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.deleted, report.not_deleted.get("copy-modified")), (2, Some(&1)));
    assert_eq!(site.server.uids(), [2]);
}

#[tokio::test]
async fn without_uidplus_nothing_is_deleted_and_the_number_that_waits_is_told() {
    let mut site = Site::new();
    site.config.delete = DeleteRule::AfterDays(0);
    site.server.with(|s| s.no_uid_plus = true);
    site.deliver(5);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.deleted, report.not_deleted.get("delete-pending")), (0, Some(&5)));
    assert!(site.server.with(|s| s.commands.iter().all(|c| !c.starts_with("delete"))));
}

#[tokio::test]
async fn i01_a_new_uidvalidity_finds_the_copies_again_and_deletes_nothing_in_that_poll() {
    let mut site = Site::new();
    site.deliver(20);
    ok(&site.poll().await);
    let stored = site.stored();
    site.config.delete = DeleteRule::AfterDays(0);
    site.server.with(|s| s.uid_validity = 8);
    site.deliver(1);
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.rekeyed, report.archived, report.deleted), (20, 1, 0));
    assert_eq!(site.stored().len(), 21);
    assert!(stored.iter().all(|old| site.stored().contains(old)));
    let report = site.poll().await;
    ok(&report);
    assert_eq!((report.archived, report.deleted), (0, 21));
}

#[tokio::test]
async fn promise_p2_equal_messages_keep_a_copy_each() {
    let site = Site::new();
    for _ in 0..3 {
        site.server.deliver(message(1).as_bytes(), Timestamp::UNIX_EPOCH);
    }
    assert_eq!(site.poll().await.archived, 3);
    assert_eq!(site.stored().len(), 3);
    site.server.with(|s| s.uid_validity = 9);
    assert_eq!(site.poll().await.rekeyed, 3);
    assert_eq!(site.stored().len(), 3);
}

#[tokio::test]
async fn a_copy_that_the_ledger_lost_is_adopted_not_doubled() {
    let site = Site::new();
    site.deliver(5);
    ok(&site.poll().await);
    let before = site.stored();
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let path = site.temp.path().join("state").join(name);
        assert!(rustix::fs::unlink(&path).is_ok() || !path.exists());
    }
    let report = site.poll().await;
    ok(&report);
    assert_eq!(site.stored(), before);
}

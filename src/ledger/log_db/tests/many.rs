//! How the log answers when it is large: `POSTRIDER_LOG_ROWS=10000000 cargo test --lib
//! log_db::tests::many -- --ignored --nocapture`, in `$TMPDIR`; 10 million rows take 4 GiB there.
#![expect(clippy::disallowed_methods, reason = "it measures, as far as its variable says")]

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::super::*;
use crate::model::Source;
use crate::query::{LOG, Moment, Query};

/// When the first record was made; two in a second follow.
const BEGIN: i64 = 1_800_000_000_000;
const STEP: i64 = 500;

fn rows() -> i64 {
    let rows = std::env::var("POSTRIDER_LOG_ROWS").ok();
    rows.and_then(|rows| rows.parse().ok()).unwrap_or(200_000)
}

/// Mostly what polls say; a few in a million are of each rare kind.
fn row(n: i64) -> Record {
    let mixed = (n.wrapping_mul(0x5851_f42d_4c95_7f2d) >> 33).rem_euclid(1_000_000);
    let account = format!("account-{:03}", mixed % 200);
    let (level, source, code, message) = match mixed {
        0..=4 => (Level::Error, Source::Oauth, "oauth-revoked", "the refresh token was revoked"),
        5..=9_999 => (Level::Error, Source::ImapAuth, "auth-rejected", "refused by the server"),
        10_000..=49_999 => (Level::Warning, Source::Incoming, "message-held", "held until later"),
        50_000..=299_999 => (Level::Debug, Source::ImapAuth, "", "C: A0001 UID FETCH 1:* (UID)"),
        300_000..=300_002 => (Level::Info, Source::Daemon, "config-loaded", "a needle in the hay"),
        _ => (Level::Info, Source::Incoming, "message-archived", "in/20261121/140001-abcdefgh"),
    };
    Record {
        id: 0,
        created_at: Timestamp::from_millisecond(BEGIN + n * STEP).unwrap(),
        level,
        source,
        code: code.to_owned(),
        message: format!("{message}, message {n} of this mailbox, 48211 octets"),
        username: Some(format!("{account}@example.org")),
        account: Some(if mixed == 7_777 { "rare".to_owned() } else { account }),
        run: Some(format!("r{:08x}", n / 40)),
        mailbox: Some("INBOX".to_owned()),
        uid: u32::try_from(n).ok(),
        created_by: "system".to_owned(),
        created_uid: 998,
        fields: json!({"size": mixed}).as_object().unwrap().clone(),
    }
}

fn condition(text: &str) -> LogQuery {
    let moment = Moment { now: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
    let condition = Some(Query::parse(text, &LOG, &moment).unwrap());
    LogQuery { condition, limit: Some(50), ..LogQuery::default() }
}

#[test]
#[ignore = "measures; a minute for each 2 million rows"]
fn large_log_answers_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let mut log = LogDb::open(&path).unwrap();
    let rows = rows();
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    for first in (0..rows).step_by(1000) {
        let batch: Vec<Record> = (first..(first + 1000).min(rows)).map(row).collect();
        let began = Instant::now();
        log.insert(&batch).unwrap();
        slowest = slowest.max(began.elapsed());
    }
    let took = start.elapsed().as_secs_f64();
    println!("{rows} rows stored in {took:.0} s, a batch of 1000 in {slowest:?} at most");
    println!("file: {} octets", path.metadata().unwrap().len());
    questions(&path, rows);
    retention(&mut log, &path);
}

fn questions(path: &Path, rows: i64) {
    let end = Timestamp::from_millisecond(BEGIN + rows * STEP).unwrap();
    let two_hours = end - jiff::SignedDuration::from_hours(2);
    let newest = LogQuery { limit: Some(50), ..LogQuery::default() };
    let ids = |id| LogQuery { ids: Some((id, id)), ..LogQuery::default() };
    let text = |text: &str| Some(text.to_owned());
    let questions = [
        ("newest 50", newest.clone()),
        ("since 2h, all of them", LogQuery { since: Some(two_hours), ..LogQuery::default() }),
        ("show ID", ids(rows / 2)),
        ("an account", LogQuery { account: text("account-017"), ..newest.clone() }),
        ("an account of few records", LogQuery { account: text("rare"), ..newest.clone() }),
        ("a code of few records", LogQuery { code: text("oauth-revoked"), ..newest.clone() }),
        ("level error", LogQuery { level: Some(Level::Error), ..newest.clone() }),
        (
            "incoming and level warning",
            LogQuery {
                level: Some(Level::Warning),
                sources: vec![Source::Incoming],
                ..newest.clone()
            },
        ),
        ("source = oauth and level = error", condition("source = oauth and level = error")),
        ("source = incoming and level = error", condition("source = incoming and level = error")),
        (
            "email-logger, errors, one account",
            condition("source = email-logger and level = error and account = account-017"),
        ),
        (
            "account = account-017 and level = debug",
            condition("account = account-017 and level = debug"),
        ),
        (
            "level = error and message ~ revoked, all errors read",
            condition("level = error and message ~ revoked"),
        ),
        ("message ~ needle, all rows read", condition("message ~ needle")),
        ("fields.size > 999990, all rows read", condition("fields.size > 999990")),
        ("nothing fits, all rows read", condition("mailbox = Nowhere")),
    ];
    for (name, query) in questions {
        let log = LogDb::open_read_only(path).unwrap().unwrap();
        let began = Instant::now();
        let found = log.query(&query).unwrap();
        let took = began.elapsed().as_secs_f64() * 1000.0;
        println!("{took:10.1} ms  {:6} records  {name}", found.len());
        let is_scan = name.ends_with(" read");
        assert!(is_scan || took < 2000.0, "{name}: {took} ms");
    }
}

/// Removes a tenth in the writer's steps, and gives the room back.
fn retention(log: &mut LogDb, path: &Path) {
    let oldest = log.oldest().unwrap().unwrap();
    let span = log.query(&LogQuery { limit: Some(1), ..LogQuery::default() }).unwrap();
    let before = oldest + span[0].created_at.duration_since(oldest) / 10;
    let (mut slowest, mut removed, began) = (Duration::ZERO, 0, Instant::now());
    loop {
        let step = Instant::now();
        let gone = log.prune(before, 500).unwrap();
        slowest = slowest.max(step.elapsed());
        removed += gone;
        if gone == 0 {
            break;
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!("{removed} removed in {took:.1} s, 500 in {slowest:?} at most");
    let (length, mut slowest, began) =
        (path.metadata().unwrap().len(), Duration::ZERO, Instant::now());
    while log.size().unwrap().free > 8 << 20 {
        let step = Instant::now();
        log.give_back(256).unwrap();
        slowest = slowest.max(step.elapsed());
    }
    log.connection.pragma(None, "wal_checkpoint", "truncate", |_| Ok(())).unwrap();
    let left = path.metadata().unwrap().len();
    let took = began.elapsed().as_secs_f64();
    println!(
        "{} octets given back in {took:.1} s, 256 pages in {slowest:?} at most",
        length - left
    );
    assert!(left < length, "the file gets smaller");
}

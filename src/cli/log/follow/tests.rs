//! Following while records come and go, and while the file is another one.

use serde_json::Map;

use super::*;
use crate::log::Level;
use crate::model::Source;
use crate::query::{LOG, Moment, Query};

fn record(message: &str, level: Level) -> Record {
    Record {
        id: 0,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        level,
        source: Source::Daemon,
        code: String::new(),
        message: message.to_owned(),
        account: None,
        run: None,
        mailbox: None,
        uid: None,
        username: None,
        created_by: "system".to_owned(),
        created_uid: 0,
        fields: Map::new(),
    }
}

fn messages(found: Result<Vec<Record>, SqliteError>) -> Vec<String> {
    found.unwrap().into_iter().map(|record| record.message).collect()
}

fn add(log: &mut LogDb, texts: &[&str]) {
    let records: Vec<Record> = texts.iter().map(|text| record(text, Level::Info)).collect();
    log.insert(&records).unwrap();
}

fn latest(count: u64) -> LogQuery {
    LogQuery { limit: Some(count), ..LogQuery::default() }
}

#[test]
fn new_records_come_once_and_survive_retention() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let mut log = LogDb::open(&path).unwrap();
    add(&mut log, &["a", "b", "c"]);
    let mut tail = Tail::new(&path, latest(2));
    assert_eq!(messages(tail.begin()), ["b", "c"]);
    assert_eq!(messages(tail.more()), [""; 0]);
    add(&mut log, &["d", "e"]);
    assert_eq!(messages(tail.more()), ["d", "e"]);
    assert_eq!(messages(tail.more()), [""; 0]);
    while log.prune(jiff::Timestamp::MAX, 500).unwrap() > 0 {}
    assert_eq!(messages(tail.more()), [""; 0]);
    add(&mut log, &["f"]);
    assert_eq!(messages(tail.more()), ["f"]);
}

#[test]
fn a_log_that_is_made_later_or_anew_is_followed_from_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let mut tail = Tail::new(&path, latest(10));
    assert_eq!(messages(tail.begin()), [""; 0]);
    assert_eq!(messages(tail.more()), [""; 0]);
    let mut log = LogDb::open(&path).unwrap();
    add(&mut log, &["a", "b"]);
    assert_eq!(messages(tail.more()), ["a", "b"]);
    drop(log);
    for name in ["log.db", "log.db-wal", "log.db-shm"] {
        #[expect(clippy::disallowed_methods, reason = "a person removes the log")]
        std::fs::remove_file(folder.path().join(name)).ok();
    }
    assert_eq!(messages(tail.more()), [""; 0]);
    let mut log = LogDb::open(&path).unwrap();
    add(&mut log, &["c"]);
    assert_eq!(messages(tail.more()), ["c"]);
}

#[test]
fn many_records_at_once_come_in_steps_and_conditions_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let mut log = LogDb::open(&path).unwrap();
    let moment = Moment { now: jiff::Timestamp::UNIX_EPOCH, zone: jiff::tz::TimeZone::UTC };
    let condition = Query::parse("level >= warning", &LOG, &moment).ok();
    let mut tail = Tail::new(&path, LogQuery { condition, ..latest(10) });
    assert_eq!(messages(tail.begin()), [""; 0]);
    let records: Vec<Record> = (0..5000)
        .map(|n| record("x", if n % 2 == 0 { Level::Error } else { Level::Info }))
        .collect();
    log.insert(&records).unwrap();
    let counts: Vec<usize> = (0..4).map(|_| messages(tail.more()).len()).collect();
    assert_eq!(counts, [1000, 1000, 500, 0]);
}

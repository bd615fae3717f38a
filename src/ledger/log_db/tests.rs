//! `log.db` written and read back.
#![expect(clippy::arithmetic_side_effects, reason = "the numbers of tests are small")]

mod agreement;
mod many;
mod older;

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::model::Source;

fn record(minute: i64, level: Level, source: Source, account: Option<&str>) -> Record {
    Record {
        id: 0,
        created_at: Timestamp::from_second(1_800_000_000 + minute * 60).expect("in range"),
        level,
        source,
        code: format!("code-{}", level.as_str()),
        message: format!("minute {minute}"),
        account: account.map(str::to_owned),
        run: Some("r1".to_owned()),
        mailbox: Some("INBOX".to_owned()),
        uid: Some(u32::MAX),
        username: account.map(|account| format!("{account}@example.org")),
        created_by: "system".to_owned(),
        created_uid: 998,
        fields: json!({"size": 12}).as_object().expect("an object").clone(),
    }
}

fn filled() -> (tempfile::TempDir, LogDb) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = LogDb::open(&folder.path().join("log.db")).expect("opens");
    let records: Vec<Record> = (0..40_i64)
        .map(|n| {
            let level = Level::ALL[usize::try_from(n % 4).expect("small")];
            let source = if n % 2 == 0 { Source::ImapAuth } else { Source::Incoming };
            record(n, level, source, (n % 5 == 0).then_some("orders"))
        })
        .collect();
    log.insert(&records).expect("inserts");
    (folder, log)
}

fn minutes(log: &LogDb, query: &LogQuery) -> Vec<i64> {
    let records = log.query(query).expect("a result");
    records.iter().map(|r| (r.created_at.as_second() - 1_800_000_000) / 60).collect()
}

#[test]
fn record_comes_back_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.db");
    let mut log = LogDb::open(&path).expect("opens");
    let wanted = record(1, Level::Warning, Source::Delete, Some("orders"));
    log.insert(std::slice::from_ref(&wanted)).expect("inserts");
    let reader = LogDb::open_read_only(&path).expect("opens").expect("is there");
    let found = reader.query(&LogQuery::default()).expect("a result");
    assert_eq!(found, [Record { id: 1, ..wanted }]);
    let line = serde_json::to_value(&found[0]).expect("json");
    assert_eq!(line["created_at"], "2027-01-15T08:01:00.000Z");
    assert_eq!((&line["level"], &line["source"]), (&json!("warning"), &json!("delete")));
    assert_eq!(line["fields"]["size"], 12);
}

#[test]
fn filters_hold_together() {
    let (_folder, log) = filled();
    let all = LogQuery { ascending: true, ..LogQuery::default() };
    assert_eq!(minutes(&log, &all), (0..40).collect::<Vec<_>>());
    assert_eq!(minutes(&log, &LogQuery { limit: Some(2), ..LogQuery::default() }), [39, 38]);
    let errors = LogQuery { level: Some(Level::Error), ..all.clone() };
    assert_eq!(minutes(&log, &errors), (0..40).step_by(4).collect::<Vec<_>>());
    let trouble = LogQuery { level: Some(Level::Warning), ..all.clone() };
    assert_eq!(minutes(&log, &trouble).len(), 20);
    let account = LogQuery { account: Some("orders".to_owned()), ..errors.clone() };
    assert_eq!(minutes(&log, &account), [0, 20]);
    let source = LogQuery { sources: vec![Source::Incoming], ..all.clone() };
    assert_eq!(minutes(&log, &source).len(), 20);
    let both = LogQuery { sources: vec![Source::Incoming, Source::ImapAuth], ..all.clone() };
    assert_eq!(minutes(&log, &both).len(), 40);
    let code = LogQuery { code: Some("code-debug".to_owned()), limit: Some(1), ..all.clone() };
    assert_eq!(minutes(&log, &code), [3]);
    let minute = |n: i64| Timestamp::from_second(1_800_000_000 + n * 60).ok();
    let time = LogQuery { since: minute(10), until: minute(12), ..all.clone() };
    assert_eq!(minutes(&log, &time), [10, 11]);
    assert_eq!(minutes(&log, &LogQuery { ids: Some((7, 7)), ..all.clone() }), [6]);
    assert_eq!(minutes(&log, &LogQuery { after_id: Some(38), ..all }), [38, 39]);
}

#[test]
fn pages_leave_no_record_out_when_times_are_equal() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = LogDb::open(&folder.path().join("log.db")).expect("opens");
    let same: Vec<Record> =
        (0..2500).map(|n| record(n / 900, Level::Info, Source::Archive, None)).collect();
    log.insert(&same).expect("inserts");
    for ascending in [true, false] {
        let found = log.query(&LogQuery { ascending, ..LogQuery::default() }).expect("a result");
        let mut ids: Vec<i64> = found.iter().map(|r| r.id).collect();
        if !ascending {
            ids.reverse();
        }
        assert_eq!(ids, (1..=2500).collect::<Vec<_>>());
    }
    let follow = LogQuery { after_id: Some(100), ..LogQuery::default() };
    let found = log.query(&follow).expect("a result");
    assert!(found.iter().map(|r| r.id).eq(101..=2500));
    let limited = LogQuery { limit: Some(1700), ..LogQuery::default() };
    assert_eq!(log.query(&limited).expect("a result").len(), 1700);
}

#[test]
fn old_records_go_in_bounded_steps_and_ids_are_not_used_again() {
    let (folder, mut log) = filled();
    let before = Timestamp::from_second(1_800_000_000 + 30 * 60).expect("in range");
    assert_eq!(log.prune(before, 20).expect("prunes"), 20);
    assert_eq!(log.prune(before, 20).expect("prunes"), 10);
    assert_eq!(log.prune(before, 20).expect("prunes"), 0);
    assert_eq!(log.prune(Timestamp::MAX, 100).expect("prunes"), 10);
    drop(log);
    let mut log = LogDb::open(&folder.path().join("log.db")).expect("opens");
    log.insert(&[record(0, Level::Info, Source::Archive, None)]).expect("inserts");
    assert_eq!(log.query(&LogQuery::default()).expect("a result")[0].id, 41);
}

#[test]
fn filters_use_their_index() {
    let (_folder, log) = filled();
    let plan = |query: &LogQuery| -> String {
        let (sql, mut params) = query.sql("record", None);
        params.push(Value::Integer(1));
        let mut statement =
            log.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("prepares");
        let rows = statement.query_map(params_from_iter(params), |r| r.get::<_, String>(3));
        rows.expect("a plan").collect::<Result<Vec<_>, _>>().expect("a plan").join("; ")
    };
    let errors = LogQuery { level: Some(Level::Error), ..LogQuery::default() };
    assert!(plan(&errors).contains("record_by_trouble"), "{}", plan(&errors));
    let account = LogQuery { account: Some("a".to_owned()), ..LogQuery::default() };
    assert!(plan(&account).contains("record_by_account"), "{}", plan(&account));
    let source = LogQuery { sources: vec![Source::Delete], ..LogQuery::default() };
    assert!(plan(&source).contains("record_by_source"), "{}", plan(&source));
    let since = LogQuery { since: Some(Timestamp::UNIX_EPOCH), ..LogQuery::default() };
    let follow = LogQuery { after_id: Some(1), ..LogQuery::default() };
    assert!(plan(&follow).contains("INTEGER PRIMARY KEY"), "{}", plan(&follow));
    for query in [errors, account, source, since, follow, LogQuery::default()] {
        assert!(!plan(&query).contains("TEMP B-TREE"), "{}", plan(&query));
    }
}

#[test]
fn log_of_a_newer_program_is_left_alone() {
    let (folder, log) = filled();
    log.connection.pragma_update(None, "user_version", 99).expect("sets");
    let path = folder.path().join("log.db");
    assert!(matches!(LogDb::open(&path), Err(SqliteError::NewerSchema { found: 99, .. })));
    assert!(LogDb::open_read_only(&path).is_err());
}

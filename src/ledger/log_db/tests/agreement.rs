//! Random conditions over random records: SQLite gives the answer that memory gives.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::query::{LOG, Moment, Query};

const TEXTS: [&str; 9] = ["", "a", "A", "a b", "auth-rejected", "Ä", "10", "a'; --", "%_"];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(TEXTS.to_vec()).prop_map(str::to_owned),
        1 => "[ -~äß]{0,6}",
    ]
}

fn small_record() -> impl Strategy<Value = Record> {
    let fields = prop_oneof![
        Just(json!({})),
        (0..40_i64).prop_map(|size| json!({"size": size})),
        text().prop_map(|text| json!({"size": text, "path": "a/b"})),
        Just(json!({"size": null, "path": true, "list": [1, "a"], "part": 1.5})),
    ];
    let maybe = || proptest::option::of(text());
    let head = (0..40_i64, 0..4_usize, 0..12_usize, text(), text());
    let about = (maybe(), maybe(), maybe(), proptest::option::of(0..9_u32), maybe());
    (head, about, (text(), 0..3_u32), fields).prop_map(|(head, about, by, fields)| Record {
        id: 0,
        created_at: Timestamp::from_second(1_800_000_000 + head.0 * 60).unwrap(),
        level: Level::ALL[head.1],
        source: Source::ALL[head.2],
        code: head.3,
        message: head.4,
        account: about.0,
        run: about.1,
        mailbox: about.2,
        uid: about.3,
        username: about.4,
        created_by: by.0,
        created_uid: by.1,
        fields: fields.as_object().unwrap().clone(),
    })
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// One comparison, as a person would write it.
fn test() -> impl Strategy<Value = String> {
    let texts = ["code", "message", "account", "username", "created_by", "run", "mailbox"];
    let any_text = proptest::sample::select(texts.to_vec());
    let order = || proptest::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let equal = || proptest::sample::select(vec!["=", "!=", "is", "is not"]);
    let is_match = proptest::sample::select(vec!["~", "!~"]);
    let patterns = ["^a", "a|b", ".", "^$", "[0-9]+", "ä", "\\bb", "reject", "(?-i)A"];
    let pattern = proptest::sample::select(patterns.to_vec());
    let level = proptest::sample::select(vec!["error", "warn", "Info", "debug"]);
    let source = proptest::sample::select(vec!["imap-auth", "email-logger", "DAEMON", "oauth"]);
    let number = proptest::sample::select(vec!["uid", "id", "created_uid"]);
    let time = (order(), 0..40_i64).prop_map(|(sign, minute)| {
        let at = Timestamp::from_second(1_800_000_000 + minute * 60).unwrap();
        format!("created_at {sign} {at}")
    });
    let null = ["account", "uid", "fields.size", "fields.path", "code", "run"];
    let list = proptest::sample::select(vec!["in", "not in"]);
    prop_oneof![
        (any_text.clone(), equal(), text()).prop_map(|(f, o, v)| format!("{f} {o} {}", quoted(&v))),
        (any_text.clone(), is_match, pattern)
            .prop_map(|(f, o, v)| format!("{f} {o} {}", quoted(v))),
        (any_text, list, text(), text()).prop_map(|(f, o, a, b)| format!(
            "{f} {o} ({}, {})",
            quoted(&a),
            quoted(&b)
        )),
        (order(), level).prop_map(|(o, v)| format!("level {o} {v}")),
        (equal(), source).prop_map(|(o, v)| format!("source {o} {v}")),
        (number, order(), 0..12_u32).prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        (order(), 0..40_u32).prop_map(|(o, v)| format!("fields.size {o} {v}")),
        (equal(), text()).prop_map(|(o, v)| format!("fields.path {o} {}", quoted(&v))),
        proptest::sample::select(null.to_vec()).prop_map(|f| format!("{f} is null")),
        proptest::sample::select(null.to_vec()).prop_map(|f| format!("{f} is not null")),
        time,
    ]
}

fn condition() -> impl Strategy<Value = String> {
    test().prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("not ({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} or {b}")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{a} and not {b}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_and_memory_give_the_same_answer(
        records in proptest::collection::vec(small_record(), 1..25),
        texts in proptest::collection::vec(condition(), 6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LogDb::open(&folder.path().join("log.db")).unwrap();
        log.insert(&records).unwrap();
        let stored = log.query(&LogQuery { ascending: true, ..LogQuery::default() }).unwrap();
        let moment = Moment { now: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
        for text in texts {
            let condition = match Query::parse(&text, &LOG, &moment) {
                Ok(condition) => condition,
                Err(mistake) => return Err(TestCaseError::fail(mistake.to_string())),
            };
            let wanted: Vec<i64> =
                stored.iter().filter(|r| condition.matches(*r)).map(|r| r.id).collect();
            for ascending in [true, false] {
                let query = LogQuery {
                    condition: Some(condition.clone()),
                    ascending,
                    ..LogQuery::default()
                };
                let mut found: Vec<i64> =
                    log.query(&query).unwrap().iter().map(|r| r.id).collect();
                if !ascending {
                    found.reverse();
                }
                prop_assert_eq!(&found, &wanted, "{}", text);
            }
            let denied = format!("not ({text})");
            let denied = Query::parse(&denied, &LOG, &moment).unwrap();
            let others = stored.iter().filter(|r| denied.matches(*r)).count();
            prop_assert_eq!(others + wanted.len(), stored.len(), "each record is in one half");
        }
    }
}

#[test]
fn all_fields_of_the_language_are_in_the_table() {
    let (_folder, log) = filled();
    let moment = Moment { now: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
    for field in LOG.fields {
        let name = if field.name == "fields" { "fields.size" } else { field.name };
        let condition = Query::parse(&format!("{name} is null"), &LOG, &moment).unwrap();
        let query = LogQuery { condition: Some(condition), ..LogQuery::default() };
        let found = log.query(&query).unwrap();
        assert_eq!(found.len(), if ["account", "username"].contains(&name) { 32 } else { 0 });
    }
    for source in Source::ALL {
        assert_eq!(crate::query::source_words(source.as_str()), Ok(vec![source.as_str()]));
    }
}

#[test]
fn conditions_use_their_index() {
    let (_folder, log) = filled();
    let moment = Moment { now: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
    for (text, index) in [
        ("source = oauth and level = error", "record_by_trouble"),
        ("level >= warning and (source = oauth or message ~ x)", "record_by_trouble"),
        ("level in (error, warning)", "record_by_trouble"),
        ("account = a", "record_by_account"),
        ("account is a and level = debug", "record_by_account"),
        ("code = tls-expired", "record_by_code"),
        ("source = oauth", "record_by_source"),
        ("source = email-logger", "record_by_time"),
        ("not level = error", "record_by_time"),
        ("level = error or level = info", "record_by_time"),
        ("created_at > 2026-11-21", "record_by_time"),
        ("id = 7", "INTEGER PRIMARY KEY"),
    ] {
        let condition = Some(Query::parse(text, &LOG, &moment).unwrap());
        let query = LogQuery { condition, ..LogQuery::default() };
        let (sql, mut params) = query.sql("record", None);
        params.push(Value::Integer(1));
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = log.connection.prepare(&sql).unwrap();
        let rows = statement.query_map(params_from_iter(params), |r| r.get::<_, String>(3));
        let plan: Vec<String> = rows.unwrap().collect::<Result<_, _>>().unwrap();
        let plan = plan.join("; ");
        assert!(plan.contains(index), "{text}: {plan}");
        assert!(!plan.contains("TEMP B-TREE") || text.starts_with("id"), "{text}: {plan}");
    }
}

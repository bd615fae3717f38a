//! Files of the first version: read as they are, and brought up to date by the first writer.

use super::*;

const FIRST: &str = "
CREATE TABLE record (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created_at INTEGER NOT NULL, level INTEGER NOT NULL,
    source TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, account TEXT, run TEXT,
    mailbox TEXT, uid INTEGER, username TEXT NOT NULL, created_by INTEGER NOT NULL,
    fields TEXT NOT NULL
) STRICT;
CREATE INDEX record_by_time ON record (created_at);
CREATE INDEX record_by_account ON record (account, created_at) WHERE account IS NOT NULL;
CREATE INDEX record_by_source ON record (source, created_at);
CREATE INDEX record_by_trouble ON record (created_at) WHERE level <= 1;
INSERT INTO record VALUES (7, 1800000000000, 0, 'imap-auth', 'auth-rejected', 'no', 'a', 'r', 'INBOX',
                           5, 'system', 998, '{\"size\":12}');
PRAGMA user_version = 1;
";

#[test]
fn first_version_is_read_and_then_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.db");
    Connection::open(&path).expect("opens").execute_batch(FIRST).expect("made");
    let errors = LogQuery { level: Some(Level::Error), ..LogQuery::default() };
    let reader = LogDb::open_read_only(&path).expect("opens").expect("is there");
    let before = reader.query(&errors).expect("a result");
    assert_eq!(
        (before[0].id, before[0].created_by.as_str(), before[0].created_uid),
        (7, "system", 998)
    );
    assert_eq!((before[0].username.as_deref(), &before[0].fields["size"]), (None, &json!(12)));
    drop(reader);

    let mut log = LogDb::open(&path).expect("opens");
    assert_eq!(log.query(&errors).expect("a result"), before);
    let new = record(1, Level::Info, Source::Archive, Some("orders"));
    log.insert(std::slice::from_ref(&new)).expect("inserts");
    let found =
        log.query(&LogQuery { ids: Some((8, 8)), ..LogQuery::default() }).expect("a result");
    assert_eq!(found, [Record { id: 8, ..new }]);
    log.give_back(10).expect("does nothing");
}

//! The ledger's tables, and their versions (`user_version`).
//!
//! Migrations are only ever added, never changed. Times are milliseconds since 1970 in UTC.

use rusqlite::Connection;

use super::error::{LedgerError, sqlite};

/// Marks a file as a postrider ledger: `PoRi`.
const APPLICATION_ID: i64 = 0x506F_5269;

const MIGRATIONS: [&str; 4] = [
    r"
CREATE TABLE meta (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    last_poll_at INTEGER,
    last_success_at INTEGER,
    next_poll_at INTEGER,
    failures INTEGER NOT NULL DEFAULT 0,
    auth_failures INTEGER NOT NULL DEFAULT 0,
    -- what the credentials were when they failed: a change tries again
    auth_mark TEXT NOT NULL DEFAULT '',
    retry_at INTEGER,
    error_since INTEGER,
    error_at INTEGER,
    error_code TEXT NOT NULL DEFAULT '',
    error_message TEXT NOT NULL DEFAULT '',
    error_hint TEXT NOT NULL DEFAULT '',
    -- polls for which deletes are held after a clock jump
    clock_hold INTEGER NOT NULL DEFAULT 0,
    -- deletes that are due and can't be done, and why
    delete_pending INTEGER NOT NULL DEFAULT 0,
    delete_pending_why TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES account (id),
    -- decoded; empty for a maildrop
    name TEXT NOT NULL,
    uid_validity INTEGER,
    -- of the last complete listing, to see that nothing changed
    uid_next INTEGER,
    message_count INTEGER,
    highest_modseq INTEGER,
    rules TEXT NOT NULL DEFAULT '',
    listed_at INTEGER,
    -- when a listing is needed although nothing changed: a wait or a delete comes due
    wake_at INTEGER,
    UNIQUE (account_id, name)
) STRICT;

CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox_id INTEGER NOT NULL REFERENCES mailbox (id),
    uid_validity INTEGER NOT NULL DEFAULT 0,
    uid INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    unique_id TEXT NOT NULL DEFAULT '',
    occurrence INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL CHECK (state IN
        ('fetching', 'held', 'placing', 'archived', 'deleting', 'deleted', 'gone')),
    -- begun, whatever became of them
    attempts INTEGER NOT NULL DEFAULT 0,
    -- ended by an error of this message
    failures INTEGER NOT NULL DEFAULT 0,
    retry_at INTEGER,
    reason_code TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    first_seen INTEGER NOT NULL,
    path TEXT NOT NULL DEFAULT '',
    sha256 BLOB,
    json_sha256 BLOB,
    size INTEGER,
    listed_size INTEGER,
    internal_date INTEGER,
    received INTEGER,
    archived_at INTEGER,
    deleted_at INTEGER,
    delete_ok INTEGER NOT NULL DEFAULT 1,
    UNIQUE (mailbox_id, uid_validity, uid, generation, unique_id, occurrence)
) STRICT;
CREATE INDEX message_open ON message (mailbox_id, state)
    WHERE state IN ('fetching', 'held', 'placing', 'deleting');
-- a copy is found by its content after a change of UIDVALIDITY
CREATE INDEX message_content ON message (mailbox_id, sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX message_archived ON message (mailbox_id, archived_at) WHERE state = 'archived';

-- what messages without a date from the server said of their age before they were fetched
CREATE TABLE seen (
    mailbox_id INTEGER NOT NULL REFERENCES mailbox (id),
    uid_validity INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    unique_id TEXT NOT NULL,
    occurrence INTEGER NOT NULL,
    received INTEGER NOT NULL,
    basis TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, uid_validity, uid, unique_id, occurrence)
) STRICT, WITHOUT ROWID;
",
    r"
-- how the delete was meant to be done: expunge, trash, move:FOLDER, flag
ALTER TABLE message ADD COLUMN delete_how TEXT NOT NULL DEFAULT '';
-- when we marked it \Deleted and the server showed the mark
ALTER TABLE message ADD COLUMN flagged_at INTEGER;
-- deletes of the account are off until a person resumes them, and why
ALTER TABLE account ADD COLUMN delete_stop TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN delete_stop_at INTEGER;
-- whose mailbox its messages are keyed by: protocol, user and host; empty before version 2
ALTER TABLE mailbox ADD COLUMN origin TEXT NOT NULL DEFAULT '';
-- the server had no such mailbox when it was last asked for
ALTER TABLE mailbox ADD COLUMN missing INTEGER NOT NULL DEFAULT 0;
-- fetching was begun and has not come to its end
ALTER TABLE mailbox ADD COLUMN parsing INTEGER NOT NULL DEFAULT 0;
-- header sections end the session there: until the next whole listing content decides, not facts
ALTER TABLE mailbox ADD COLUMN no_facts INTEGER NOT NULL DEFAULT 0;
-- of the header section, where it has a Message-ID: finds the copy again without its content
ALTER TABLE message ADD COLUMN header_sha256 BLOB;
-- the key may mean another message by now: server, user or unique-ids have changed
ALTER TABLE message ADD COLUMN doubtful INTEGER NOT NULL DEFAULT 0;
-- has another key than the one that its folder is named by
ALTER TABLE message ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;
-- left the server without us
ALTER TABLE message ADD COLUMN left_server INTEGER NOT NULL DEFAULT 0;
-- parses of this message alone that the process did not survive
ALTER TABLE message ADD COLUMN parse_marks INTEGER NOT NULL DEFAULT 0;
-- of the few that were about to be parsed together: after a crash they are the suspects
ALTER TABLE message ADD COLUMN parsing INTEGER NOT NULL DEFAULT 0;
CREATE INDEX message_parsing ON message (mailbox_id) WHERE parsing = 1;
CREATE INDEX message_facts ON message (mailbox_id, listed_size) WHERE header_sha256 IS NOT NULL;
CREATE INDEX message_doubtful ON message (mailbox_id) WHERE doubtful = 1;
-- whether a folder of the tree has a row
CREATE INDEX message_path ON message (path) WHERE path <> '';
",
    r"
-- a login was begun then, and its outcome is not known
ALTER TABLE account ADD COLUMN login_open_at INTEGER;
-- a person has paused it: since when, until when (NULL: until a person ends it), who and why
ALTER TABLE account ADD COLUMN paused_at INTEGER;
ALTER TABLE account ADD COLUMN paused_until INTEGER;
ALTER TABLE account ADD COLUMN paused_by TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN paused_reason TEXT NOT NULL DEFAULT '';
-- 1: mail of postrider itself, by its header; 2: a canary that this ledger sent out
ALTER TABLE message ADD COLUMN own INTEGER NOT NULL DEFAULT 0;
-- when the last mail was stored that is not our own
ALTER TABLE account ADD COLUMN last_mail_at INTEGER;
UPDATE account SET last_mail_at = (SELECT max(archived_at) FROM message
    JOIN mailbox ON mailbox.id = message.mailbox_id WHERE mailbox.account_id = account.id);
-- of the server's certificate, as it was shown last
ALTER TABLE account ADD COLUMN certificate_from INTEGER;
ALTER TABLE account ADD COLUMN certificate_until INTEGER;

-- what a person is to know of, and what was told of it
CREATE TABLE notice (
    kind TEXT NOT NULL,
    -- the account or record; empty where there is only one
    subject TEXT NOT NULL,
    grade INTEGER NOT NULL,
    since INTEGER NOT NULL,
    code TEXT NOT NULL,
    title TEXT NOT NULL,
    words TEXT NOT NULL,
    hint TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'over', 'rest')),
    raised_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    returns INTEGER NOT NULL,
    told_at INTEGER,
    told_grade INTEGER NOT NULL,
    told_times INTEGER NOT NULL,
    -- the mail that told it last: told anew when that is taken back
    mail INTEGER,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

-- mails of postrider, waiting or gone
CREATE TABLE notice_mail (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- the same for each attempt: a server that took it twice can know it
    message_id TEXT NOT NULL UNIQUE,
    made_at INTEGER NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    retry_at INTEGER,
    sent_at INTEGER,
    error_code TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    error_hint TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX notice_mail_waiting ON notice_mail (id) WHERE sent_at IS NULL;

-- test mails that must come back through a mailbox
CREATE TABLE canary (
    -- random; nobody can know it who was not sent it
    token TEXT PRIMARY KEY NOT NULL,
    account TEXT NOT NULL,
    via TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    sent_at INTEGER,
    -- the one message that was taken for it
    message INTEGER,
    found_at INTEGER,
    failed TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX canary_account ON canary (account, made_at);
CREATE INDEX canary_message ON canary (message) WHERE message IS NOT NULL;
-- the header's Message-ID as a number, to find a copy by it; copies of older versions have none
ALTER TABLE message ADD COLUMN message_id INTEGER;
CREATE INDEX message_message_id ON message (message_id) WHERE message_id IS NOT NULL;
-- \Seen is still to be set on the server; and when it was
ALTER TABLE message ADD COLUMN to_mark INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN marked_at INTEGER;
CREATE INDEX message_to_mark ON message (mailbox_id) WHERE to_mark = 1;
-- when a delete was last begun
ALTER TABLE message ADD COLUMN delete_at INTEGER;
-- of the last complete listing: how many messages were listed, and decided how, as JSON
ALTER TABLE mailbox ADD COLUMN decided TEXT NOT NULL DEFAULT '';
-- the delete rule that was last announced
ALTER TABLE account ADD COLUMN delete_rule TEXT NOT NULL DEFAULT '';
-- what was in a mailbox when a person said that it counts as known
CREATE TABLE catch_up (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox_id INTEGER NOT NULL REFERENCES mailbox (id),
    uid_validity INTEGER NOT NULL,
    -- the highest UID that was listed; 0 for a maildrop, whose messages are in caught_up
    up_to INTEGER NOT NULL,
    -- only mail received before
    before INTEGER,
    messages INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX catch_up_mailbox ON catch_up (mailbox_id);
CREATE TABLE caught_up (
    mailbox_id INTEGER NOT NULL REFERENCES mailbox (id),
    unique_id TEXT NOT NULL,
    size INTEGER,
    at INTEGER NOT NULL,
    PRIMARY KEY (mailbox_id, unique_id)
) STRICT, WITHOUT ROWID;
-- what is to be done with archived messages, and what became of it; rows come with the fact
CREATE TABLE action (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES account (id),
    message_id INTEGER NOT NULL,
    -- as message.json has it
    message TEXT NOT NULL,
    path TEXT NOT NULL,
    rule TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- the same whenever the same is to be done with the same message
    key TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'failed', 'dropped')),
    -- asked for once more by a person
    replay INTEGER NOT NULL DEFAULT 0,
    -- tries begun since it was asked for
    attempts INTEGER NOT NULL DEFAULT 0,
    -- those of them that the receiver has refused for good
    refusals INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    first_at INTEGER,
    last_at INTEGER,
    code TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX action_due ON action (account_id, rule, due_at) WHERE state = 'pending';
CREATE INDEX action_order ON action (account_id, rule, id) WHERE state IN ('pending', 'running');
CREATE INDEX action_ill ON action (account_id) WHERE state = 'failed';
CREATE INDEX action_open ON action (account_id) WHERE state IN ('pending', 'running', 'failed');
CREATE INDEX action_message ON action (message_id);
-- configurations as they were in effect: JSON, secrets as marks
CREATE TABLE config_facts (
    digest TEXT PRIMARY KEY NOT NULL,
    facts TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- who brought which of them into effect, and what it changed
CREATE TABLE config_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    note TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    act TEXT NOT NULL,
    digest TEXT NOT NULL REFERENCES config_facts (digest),
    changes TEXT NOT NULL
) STRICT;
-- outbound accounts whose login was begun or refused; one that was let in has no row
CREATE TABLE outbound (
    name TEXT PRIMARY KEY NOT NULL,
    auth_failures INTEGER NOT NULL DEFAULT 0,
    -- a digest of what the refused login hung on
    auth_mark TEXT NOT NULL DEFAULT '',
    retry_at INTEGER,
    login_open_at INTEGER,
    error_since INTEGER,
    error_at INTEGER,
    error_code TEXT NOT NULL DEFAULT '',
    error_message TEXT NOT NULL DEFAULT '',
    error_hint TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
-- taken from the tree by a ledger that doesn't know what rules asked for with it
ALTER TABLE message ADD COLUMN actions_unknown INTEGER NOT NULL DEFAULT 0;
CREATE INDEX message_actions_unknown ON message (mailbox_id) WHERE actions_unknown = 1;
",
    "
-- the server ended it below its listed size, and its own structure doesn't show its end
ALTER TABLE message ADD COLUMN cut INTEGER NOT NULL DEFAULT 0;
-- milliseconds by which the wall clock had leapt in all when it was archived
ALTER TABLE message ADD COLUMN clock_leaps INTEGER NOT NULL DEFAULT 0;
-- since when the server hasn't listed all of it
ALTER TABLE mailbox ADD COLUMN partly_since INTEGER;
-- made for copies of the tree, and not listed whole since
ALTER TABLE mailbox ADD COLUMN adopted INTEGER NOT NULL DEFAULT 0;
-- from this UID on the messages are in caught_up; NULL: none is
ALTER TABLE catch_up ADD COLUMN named_from INTEGER;
-- UIDNEXT then, where the server gave one above all UIDs: UIDs that are given out never go back
ALTER TABLE catch_up ADD COLUMN uid_next INTEGER;
-- INTERNALDATE: tells a message from another one under the same UID
ALTER TABLE caught_up ADD COLUMN internal_date INTEGER;
-- messages put back on servers: a row before the octets go, its end after the answer
CREATE TABLE restored (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- as message.json has it
    message TEXT NOT NULL,
    -- whose mailbox: protocol, user and host
    origin TEXT NOT NULL,
    mailbox TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    -- 0 where the server gives none
    uid_validity INTEGER NOT NULL,
    -- the message has this UID or a higher one
    uid_from INTEGER NOT NULL,
    -- 0 where the server doesn't say
    uid INTEGER NOT NULL DEFAULT 0,
    at INTEGER NOT NULL,
    -- no answer has come yet, so that it may be there or not
    is_open INTEGER NOT NULL,
    UNIQUE (message, origin, mailbox)
) STRICT;
CREATE INDEX restored_content ON restored (sha256);
CREATE INDEX restored_open ON restored (id) WHERE is_open = 1;
CREATE INDEX restored_uid ON restored (uid, uid_validity);
-- the action that the delete which was begun last carries out: a rule moves the message
ALTER TABLE message ADD COLUMN move_action INTEGER;
-- not archived, by this rule: the state is gone, and there is no copy
ALTER TABLE message ADD COLUMN skipped_by TEXT NOT NULL DEFAULT '';
ALTER TABLE message ADD COLUMN skipped_at INTEGER;
-- of its octets as they were fetched
ALTER TABLE message ADD COLUMN skipped_sha256 BLOB;
CREATE INDEX message_skipped ON message (mailbox_id) WHERE skipped_by <> '';
",
];

/// The number of the newest schema.
pub(super) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Refuses a file that another program made, or that has no ledger's tables.
pub(super) fn recognise(db: &Connection) -> Result<(), LedgerError> {
    if version(db)? == 0 {
        return Ok(());
    }
    let read = db.query_row("PRAGMA application_id", [], |row| row.get(0));
    let found: i64 = read.map_err(sqlite("read what it is"))?;
    if found == APPLICATION_ID {
        return Ok(());
    }
    Err(LedgerError::Corrupt { why: format!("application_id is {found:#x}: no postrider ledger") })
}

/// Brings a ledger to the newest schema, in one transaction.
pub(super) fn migrate(db: &mut Connection) -> Result<(), LedgerError> {
    migrate_to(db, MIGRATIONS.len(), true)
}

/// Brings a ledger to a schema; without `commit` all is taken back.
pub(super) fn migrate_to(
    db: &mut Connection,
    newest: usize,
    commit: bool,
) -> Result<(), LedgerError> {
    let found = version(db)?;
    let known = i64::try_from(newest).unwrap_or(i64::MAX);
    if found == known {
        return Ok(());
    }
    let tx = db
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(sqlite("begin a migration"))?;
    let from = usize::try_from(found).unwrap_or(0);
    for migration in MIGRATIONS.iter().take(newest).skip(from) {
        tx.execute_batch(migration).map_err(sqlite("migrate"))?;
    }
    tx.pragma_update(None, "user_version", known).map_err(sqlite("set its version"))?;
    tx.pragma_update(None, "application_id", APPLICATION_ID).map_err(sqlite("mark it"))?;
    if commit { tx.commit() } else { tx.rollback() }.map_err(sqlite("commit a migration"))
}

/// The schema of a ledger, 0 while it has no tables yet; one that is too new is an error.
pub(super) fn version(db: &Connection) -> Result<i64, LedgerError> {
    let read = db.query_row("PRAGMA user_version", [], |row| row.get(0));
    let found: i64 = read.map_err(sqlite("read its version"))?;
    let known = newest();
    if found > known { Err(LedgerError::Newer { found, known }) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d15_ledger_of_the_first_version_keeps_its_rows_and_gets_the_new_columns() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch(MIGRATIONS[0]).unwrap();
        db.pragma_update(None, "user_version", 1).unwrap();
        db.execute("INSERT INTO account (name, auth_failures) VALUES ('a', 3)", []).unwrap();
        migrate(&mut db).unwrap();
        assert_eq!(usize::try_from(version(&db).unwrap()).unwrap(), MIGRATIONS.len());
        let sql = "SELECT auth_failures, delete_stop, delete_stop_at FROM account";
        let row: (u32, String, Option<i64>) =
            db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        assert_eq!(row, (3, String::new(), None));
        db.prepare("SELECT delete_how, flagged_at FROM message").unwrap();
        db.prepare("SELECT paused_at, paused_until, paused_by, paused_reason FROM account")
            .unwrap();
        migrate(&mut db).unwrap();
    }
}

//! What a person ordered, and what a refusal or a doubt has stopped, taken over from the ledger
//! before into one that was made from the tree.
//!
//! Which messages were deleted or held is not taken over: the tree and the server say that.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, params};

use super::Ledger;
use super::error::{LedgerError, sqlite};
use super::open;
use super::tx::Tx;

/// Tables that are taken over as they are. Names of accounts in them are those of the moment.
const WHOLE: [&str; 5] = ["config_facts", "config_history", "notice", "notice_mail", "outbound"];

impl Ledger {
    /// Takes over from another file of the newest schema what isn't in the tree, all or nothing.
    /// `renamed` are accounts that have another name now.
    pub async fn carry_from(
        &self,
        path: &Path,
        renamed: BTreeMap<String, String>,
    ) -> Result<(), LedgerError> {
        let path = path.to_owned();
        self.call(move |db| {
            let act = || sqlite("take over orders");
            let file = path.to_string_lossy();
            db.execute("ATTACH DATABASE ?1 AS old", [&*file]).map_err(act())?;
            let carried = carry(db, &renamed);
            let detached = db.execute_batch("DETACH DATABASE old").map_err(act());
            carried.and(detached)
        })
        .await
    }
}

fn carry(db: &mut Connection, renamed: &BTreeMap<String, String>) -> Result<(), LedgerError> {
    let act = || sqlite("take over orders");
    if !open::is_newest(db, "old")? {
        return Err(LedgerError::Gone);
    }
    let tx = db.transaction().map_err(act())?;
    let book = Tx::new(&tx);
    let mut accounts = book.former_accounts(renamed)?;
    // What is ordered under the present name goes before.
    accounts.sort_by_key(|account| account.is_renamed);
    for account in &accounts {
        book.carry_account(account)?;
    }
    book.carry_mailboxes(&accounts)?;
    book.carry_messages()?;
    book.carry_actions(&accounts)?;
    for table in WHOLE {
        let sql = format!("INSERT OR IGNORE INTO {table} SELECT * FROM old.{table}");
        tx.execute(&sql, []).map_err(act())?;
    }
    drop(book);
    tx.commit().map_err(act())
}

/// An account of the ledger before.
struct FormerAccount {
    row: i64,
    /// Its name now.
    name: String,
    is_renamed: bool,
}

impl Tx<'_> {
    fn former_accounts(
        &self,
        renamed: &BTreeMap<String, String>,
    ) -> Result<Vec<FormerAccount>, LedgerError> {
        let act = || sqlite("take over orders");
        let mut get = self.db.prepare("SELECT id, name FROM old.account").map_err(act())?;
        let read = |row: &rusqlite::Row<'_>| {
            let name: String = row.get(1)?;
            let now = renamed.get(&name);
            let is_renamed = now.is_some();
            Ok(FormerAccount { row: row.get(0)?, name: now.cloned().unwrap_or(name), is_renamed })
        };
        let rows = get.query_map([], read).map_err(act())?;
        rows.collect::<Result<_, _>>().map_err(act())
    }

    /// Pauses, stops, holds, rests after refused logins, and what was told of.
    fn carry_account(&self, account: &FormerAccount) -> Result<(), LedgerError> {
        let id = self.account_id(&account.name)?;
        let run =
            |sql: &str| self.db.execute(sql, [account.row, id]).map_err(sqlite("take over orders"));
        run("UPDATE account SET paused_at = was.paused_at, paused_until = was.paused_until,
            paused_by = was.paused_by, paused_reason = was.paused_reason
            FROM old.account AS was WHERE was.id = ?1 AND account.id = ?2
            AND account.paused_at IS NULL")?;
        run(
            "UPDATE account SET delete_stop = was.delete_stop, delete_stop_at = was.delete_stop_at
            FROM old.account AS was WHERE was.id = ?1 AND account.id = ?2
            AND account.delete_stop_at IS NULL",
        )?;
        run("UPDATE account SET clock_hold = max(account.clock_hold, was.clock_hold)
            FROM old.account AS was WHERE was.id = ?1 AND account.id = ?2")?;
        run("UPDATE account SET failures = was.failures, auth_failures = was.auth_failures,
            auth_mark = was.auth_mark, retry_at = was.retry_at, login_open_at = was.login_open_at,
            error_since = was.error_since, error_at = was.error_at, error_code = was.error_code,
            error_message = was.error_message, error_hint = was.error_hint,
            last_poll_at = was.last_poll_at, last_success_at = was.last_success_at,
            last_mail_at = was.last_mail_at, delete_rule = was.delete_rule,
            certificate_from = was.certificate_from, certificate_until = was.certificate_until
            FROM old.account AS was WHERE was.id = ?1 AND account.id = ?2
            AND account.last_poll_at IS NULL")?;
        Ok(())
    }

    /// Catch-ups, first dates, and by what the keys of each mailbox were last in force.
    fn carry_mailboxes(&self, accounts: &[FormerAccount]) -> Result<(), LedgerError> {
        let act = || sqlite("take over catch-ups");
        let sql =
            "SELECT id, name, EXISTS (SELECT 1 FROM old.catch_up WHERE mailbox_id = mailbox.id)
            FROM old.mailbox AS mailbox WHERE account_id = ?1";
        let mut get = self.db.prepare(sql).map_err(act())?;
        for account in accounts {
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let rows = get.query_map([account.row], read).map_err(act())?;
            let found: Vec<(i64, String, bool)> = rows.collect::<Result<_, _>>().map_err(act())?;
            for (was, name, has_catch_up) in found {
                let now = self.find_mailbox(&account.name, &name)?;
                if now.is_none() && !has_catch_up {
                    continue;
                }
                let row = self.mailbox(&account.name, &name)?;
                let at = [was, row.id.0];
                let sql = "SELECT origin FROM old.mailbox WHERE id = ?1";
                let origin: String =
                    self.db.query_row(sql, [was], |row| row.get(0)).map_err(act())?;
                if !origin.is_empty() && !row.origin.is_empty() && origin != row.origin {
                    // Copies of another server or user than the one of the last poll.
                    self.doubt_all(row.id)?;
                }
                for sql in MAILBOX {
                    self.db.execute(sql, at).map_err(act())?;
                }
            }
        }
        Ok(())
    }

    /// What is known of copies that both ledgers have.
    fn carry_messages(&self) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET actions_unknown = was.actions_unknown, own = was.own,
            to_mark = was.to_mark, marked_at = was.marked_at, message_id = was.message_id
            FROM old.message AS was WHERE was.path = message.path AND was.path <> ''
            AND was.sha256 = message.sha256 AND was.state IN ('archived', 'deleting', 'deleted')";
        self.db.execute(sql, []).map_err(sqlite("take over marks"))?;
        Ok(())
    }

    /// What rules asked for, and what became of it; what is done stays done also of a message that
    /// comes again. Canaries, with the messages that were taken for them.
    fn carry_actions(&self, accounts: &[FormerAccount]) -> Result<(), LedgerError> {
        let act = || sqlite("take over actions");
        let sql = "INSERT OR IGNORE INTO action (account_id, message_id, message, path, rule, kind,
            key, state, replay, attempts, refusals, created_at, due_at, first_at, last_at, code,
            detail)
            SELECT ?2, coalesce(message.id, 0), was.message, was.path, was.rule, was.kind, was.key,
                was.state, was.replay, was.attempts, was.refusals, was.created_at, was.due_at,
                was.first_at, was.last_at, was.code, was.detail
            FROM old.action AS was LEFT JOIN old.message AS of ON of.id = was.message_id
            LEFT JOIN message ON message.path = of.path AND message.path <> ''
            WHERE was.account_id = ?1 AND (message.id IS NOT NULL OR was.state = 'done')
            ORDER BY was.id";
        for account in accounts {
            let id = self.account_id(&account.name)?;
            self.db.execute(sql, params![account.row, id]).map_err(act())?;
        }
        let sql = "INSERT OR IGNORE INTO canary (token, account, via, made_at, sent_at, message,
            found_at, failed)
            SELECT token, account, via, made_at, sent_at, message.id, found_at, failed
            FROM old.canary AS was LEFT JOIN old.message AS of ON of.id = was.message
            LEFT JOIN message ON message.path = of.path AND message.path <> ''";
        self.db.execute(sql, []).map_err(act())?;
        // Digests of secrets and of user names that are kept elsewhere hang on it.
        let sql = "INSERT OR REPLACE INTO meta (key, value) SELECT 'salt', value FROM old.meta
            WHERE key IN ('salt', 'ledger') ORDER BY key";
        self.db.execute(sql, []).map_err(act())?;
        let sql = "INSERT OR IGNORE INTO meta (key, value) SELECT key, value FROM old.meta
            WHERE key = 'clock'";
        self.db.execute(sql, []).map_err(act())?;
        Ok(())
    }
}

/// From the mailbox ?1 before to the one now, ?2.
const MAILBOX: [&str; 4] = [
    "UPDATE mailbox SET uid_validity = coalesce(was.uid_validity, mailbox.uid_validity),
        origin = CASE WHEN was.origin = '' THEN mailbox.origin ELSE was.origin END,
        adopted = 1 FROM old.mailbox AS was WHERE was.id = ?1 AND mailbox.id = ?2",
    "INSERT INTO catch_up (mailbox_id, uid_validity, up_to, before, messages, at)
        SELECT ?2, uid_validity, up_to, before, messages, at FROM old.catch_up
        WHERE mailbox_id = ?1",
    "INSERT OR IGNORE INTO caught_up (mailbox_id, unique_id, size, at)
        SELECT ?2, unique_id, size, at FROM old.caught_up WHERE mailbox_id = ?1",
    "INSERT OR IGNORE INTO seen (mailbox_id, uid_validity, uid, unique_id, occurrence, received,
        basis) SELECT ?2, uid_validity, uid, unique_id, occurrence, received, basis FROM old.seen
        WHERE mailbox_id = ?1",
];

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::{Adoption, Pause};
    use super::*;
    use crate::model::{MessageKey, Sha256};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn found(uid: u32) -> Adoption {
        let mailbox = "INBOX".to_owned();
        Adoption {
            account: "new".to_owned(),
            key: MessageKey::Imap { mailbox, uid_validity: 7, uid, generation: 0 },
            path: format!("a/in/{uid}"),
            sha256: Sha256([1; 32]),
            json_sha256: Sha256([2; 32]),
            size: 7,
            internal_date: None,
            received: at(1),
            archived_at: at(1),
            origin: "imap u@h".to_owned(),
        }
    }

    /// Each table is taken over here, or stands here with the reason why it isn't.
    #[tokio::test]
    async fn what_is_not_in_the_tree_is_taken_over_from_the_ledger_before() {
        let temp = tempfile::tempdir().unwrap();
        let old = Ledger::open_file(&temp.path().join("old")).unwrap();
        let fill = |tx: &Tx<'_>| {
            let account = tx.account_id("was")?;
            for uid in [1, 2] {
                tx.adopt(&Adoption { account: "was".to_owned(), ..found(uid) })?;
            }
            let pause = Pause { since: at(5), until: None, by: "x".into(), reason: "y".into() };
            tx.pause("was", &pause)?;
            tx.stop_deletes("was", "others vanished", at(6))?;
            let run = |sql: &str| tx.db.execute_batch(sql).unwrap();
            run("UPDATE account SET auth_failures = 5, auth_mark = 'm', delete_rule = 'r',
                clock_hold = 2, last_poll_at = 9;
                UPDATE message SET actions_unknown = 0, to_mark = 1, own = 1, message_id = 4;
                UPDATE mailbox SET uid_validity = 7, origin = 'imap u@h';
                INSERT INTO catch_up VALUES (1, 1, 7, 9, NULL, 3, 1000);
                INSERT INTO caught_up VALUES (1, '7/8', 5, 1000);
                INSERT INTO seen VALUES (1, 7, 3, '', 0, 5, 'first-seen');
                INSERT INTO canary VALUES ('t', 'was', 'o', 1, 2, 2, 3, '');
                INSERT INTO config_facts VALUES ('d', '{}');
                INSERT INTO config_history VALUES (1, 'n', 1, 'x', 'y', 'd', '[]');
                INSERT INTO notice VALUES ('k', 's', 1, 1, 'c', 't', 'w', 'h', 'open', 1, 1, 0,
                    1, 1, 1, 1);
                INSERT INTO notice_mail VALUES (1, 'id', 1, 's', 'b', 0, NULL, NULL, '', '', '');
                INSERT INTO outbound (name, auth_failures) VALUES ('o', 5)");
            let action = |n: i64, row: i64, state: &str| {
                run(&format!(
                    "INSERT INTO action (account_id, message_id, message, path, rule, kind, key,
                        state, created_at, due_at) VALUES ({account}, {row}, 'm', 'a/in/1', 'r',
                        'copy', 'key {n}', '{state}', 1, 1)"
                ));
            };
            action(1, 1, "done");
            action(2, 2, "pending");
            action(3, 77, "done");
            Ok(())
        };
        old.write("test", fill).await.unwrap();
        let salt = old.identity().ledger;
        old.close().await.unwrap();

        let path = temp.path().join("new");
        let new = Ledger::open_file(&path).unwrap();
        // The second comes first: rows have other numbers.
        new.write("test", |tx| [2, 1].iter().try_for_each(|uid| tx.adopt(&found(*uid)).map(drop)))
            .await
            .unwrap();
        let renamed = BTreeMap::from([("was".to_owned(), "new".to_owned())]);
        new.carry_from(&temp.path().join("old"), renamed).await.unwrap();
        let check = |tx: &Tx<'_>| {
            let row = tx.account("new")?.unwrap();
            assert_eq!(row.pause.unwrap().reason, "y");
            assert_eq!(row.delete_stop.unwrap().why, "others vanished");
            assert_eq!((row.state.auth_failures, row.clock_hold), (5, 2));
            assert!(tx.account("was")?.is_none() && tx.accounts_of_unknown_actions()?.is_empty());
            let id = tx.find_mailbox("new", "INBOX")?.unwrap().id;
            assert_eq!(tx.catch_ups(id)?.len(), 1);
            let of = |sql: &str| -> String { tx.db.query_row(sql, [], |row| row.get(0)).unwrap() };
            let all = "SELECT group_concat(a.key || ' ' || a.state || ' ' || coalesce(m.path, '-'))
                FROM (SELECT * FROM action ORDER BY key) AS a
                LEFT JOIN message AS m ON m.id = a.message_id";
            assert_eq!(of(all), "key 1 done a/in/1,key 2 pending a/in/2,key 3 done -");
            let path = "SELECT path FROM canary JOIN message ON message.id = canary.message";
            assert_eq!(of(path), "a/in/2");
            for table in [
                "caught_up",
                "seen",
                "config_facts",
                "config_history",
                "notice",
                "notice_mail",
                "outbound",
            ] {
                let sql = format!("SELECT CAST(count(*) AS TEXT) FROM {table}");
                assert_eq!(of(&sql), "1", "{table}");
            }
            // Nothing is left out by forgetting: whoever adds a table decides here.
            let tables = "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema
                WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name)";
            assert_eq!(
                of(tables),
                "account action canary catch_up caught_up config_facts config_history mailbox \
                 message meta notice notice_mail outbound seen"
            );
            Ok(())
        };
        new.read("test", check).await.unwrap();
        new.close().await.unwrap();
        assert_eq!(Ledger::open_file(&path).unwrap().identity().salt, salt);
    }
}

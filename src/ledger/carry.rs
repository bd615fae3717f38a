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
const WHOLE: [&str; 6] =
    ["config_facts", "config_history", "notice", "notice_mail", "outbound", "restored"];

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
            to_mark = was.to_mark, marked_at = was.marked_at, message_id = was.message_id,
            cut = was.cut, clock_leaps = was.clock_leaps
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
            WHERE key IN ('clock', 'clock-leaps')";
        self.db.execute(sql, []).map_err(act())?;
        Ok(())
    }
}

/// From the mailbox ?1 before to the one now, ?2.
const MAILBOX: [&str; 4] = [
    "UPDATE mailbox SET uid_validity = coalesce(was.uid_validity, mailbox.uid_validity),
        origin = CASE WHEN was.origin = '' THEN mailbox.origin ELSE was.origin END,
        adopted = 1 FROM old.mailbox AS was WHERE was.id = ?1 AND mailbox.id = ?2",
    "INSERT INTO catch_up (mailbox_id, uid_validity, up_to, before, messages, at, named_from,
        uid_next) SELECT ?2, uid_validity, up_to, before, messages, at, named_from, uid_next
        FROM old.catch_up WHERE mailbox_id = ?1",
    "INSERT OR IGNORE INTO caught_up (mailbox_id, unique_id, size, at, internal_date)
        SELECT ?2, unique_id, size, at, internal_date FROM old.caught_up WHERE mailbox_id = ?1",
    "INSERT OR IGNORE INTO seen (mailbox_id, uid_validity, uid, unique_id, occurrence, received,
        basis) SELECT ?2, uid_validity, uid, unique_id, occurrence, received, basis FROM old.seen
        WHERE mailbox_id = ?1",
];

//! Accounts that have another name now: their rows follow, and who has not said so is found.

use rusqlite::params;

use super::error::{LedgerError, sqlite};
use super::mailboxes::MailboxId;
use super::tx::Tx;
use crate::model::IMPORTED;

/// A mailbox that two accounts have, and whose each is.
struct Pair {
    from: MailboxId,
    to: MailboxId,
    /// Both are keyed by the same mailbox of the same server.
    alike: bool,
}

impl Tx<'_> {
    /// Gives an account's rows its new name; whether there was anything to rename.
    ///
    /// A row that the new name has already gives way, unless mail was listed under it: then the
    /// two are one only where they are known to be of the same server and user, or where all that
    /// the new name has was found in the tree.
    pub fn rename_account(&self, from: &str, to: &str) -> Result<bool, LedgerError> {
        let (Some(old), new) = (self.find_account(from)?, self.find_account(to)?) else {
            return Ok(false);
        };
        if let Some(new) = new {
            if self.has_mailbox(new)? {
                return Ok(self.has_mailbox(old)?
                    && self.is_one(old, new)?
                    && self.merge(old, new)?);
            }
            self.carry_orders(new, old)?;
            let sql = "DELETE FROM account WHERE id = ?1";
            self.db.execute(sql, [new]).map_err(sqlite("rename an account"))?;
        }
        let sql = "UPDATE account SET name = ?2 WHERE id = ?1";
        self.db.execute(sql, params![old, to]).map_err(sqlite("rename an account"))?;
        Ok(true)
    }

    /// The name under which the ledger has an account's mail: that before a rename, until the
    /// first poll after it.
    pub fn known_as(&self, name: &str, before: Option<&str>) -> Result<String, LedgerError> {
        let has = |name: &str| -> Result<bool, LedgerError> {
            self.find_account(name)?.map_or(Ok(false), |id| self.has_mailbox(id))
        };
        match before {
            Some(before) if !has(name)? && has(before)? => Ok(before.to_owned()),
            _ => Ok(name.to_owned()),
        }
    }

    /// Accounts under other names that have stored mail of the same server and user, the latest
    /// first; empty when the account has mailboxes of its own. One that was found in the tree, and
    /// not listed whole since, is none where the other account has mail of it that it lacks.
    pub fn namesakes(&self, account: &str, origin: &str) -> Result<Vec<String>, LedgerError> {
        let act = || sqlite("look for the account's mail");
        let sql = "SELECT DISTINCT account.name FROM mailbox
            JOIN account ON account.id = mailbox.account_id
            WHERE origin = ?2 AND account.name <> ?1
            AND EXISTS (SELECT 1 FROM message WHERE message.mailbox_id = mailbox.id
                AND state IN ('archived', 'deleting', 'deleted'))
            AND (NOT EXISTS (SELECT 1 FROM mailbox AS own JOIN account AS self
                    ON self.id = own.account_id WHERE self.name = ?1)
                OR EXISTS (SELECT 1 FROM mailbox AS own JOIN account AS self
                    ON self.id = own.account_id WHERE self.name = ?1
                    AND own.name = mailbox.name AND own.adopted = 1
                    AND EXISTS (SELECT 1 FROM message AS other WHERE other.mailbox_id = mailbox.id
                        AND other.state IN ('archived', 'deleting', 'deleted')
                        AND NOT EXISTS (SELECT 1 FROM message AS same
                            WHERE same.mailbox_id = own.id
                            AND same.uid_validity = other.uid_validity AND same.uid = other.uid
                            AND same.unique_id = other.unique_id))))
            ORDER BY account.id DESC";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows = get.query_map([account, origin], |row| row.get(0)).map_err(act())?;
        rows.collect::<Result<_, _>>().map_err(act())
    }

    fn find_account(&self, name: &str) -> Result<Option<i64>, LedgerError> {
        use rusqlite::OptionalExtension as _;
        let sql = "SELECT id FROM account WHERE name = ?1";
        let found = self.db.query_row(sql, [name], |row| row.get(0)).optional();
        found.map_err(sqlite("find an account"))
    }

    fn has_mailbox(&self, account: i64) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM mailbox WHERE account_id = ?1)";
        self.db.query_row(sql, [account], |row| row.get(0)).map_err(sqlite("find an account"))
    }

    /// Whether two accounts with mail are one whose name has changed.
    fn is_one(&self, old: i64, new: i64) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM mailbox AS own WHERE own.account_id = ?2
            AND (own.adopted = 1 OR EXISTS (SELECT 1 FROM mailbox WHERE mailbox.account_id = ?1
                AND mailbox.origin = own.origin AND own.origin <> '')))";
        let is = self.db.query_row(sql, [old, new], |row| row.get(0));
        is.map_err(sqlite("compare two accounts"))
    }

    /// Moves all that an account has to another one; whether that was anything. Of two copies of
    /// one message the second stays where it is.
    fn merge(&self, old: i64, new: i64) -> Result<bool, LedgerError> {
        let act = || sqlite("rename an account");
        let sql = "UPDATE mailbox SET account_id = ?2 WHERE account_id = ?1
            AND name NOT IN (SELECT name FROM mailbox WHERE account_id = ?2)";
        let mut moved = self.db.execute(sql, [old, new]).map_err(act())?;
        for pair in self.pairs(old, new)? {
            moved = moved.saturating_add(self.merge_mailboxes(&pair)?);
        }
        self.carry_orders(old, new)?;
        let sql = "UPDATE action SET account_id = ?2 WHERE account_id = ?1";
        self.db.execute(sql, [old, new]).map_err(act())?;
        let sql = "DELETE FROM account WHERE id = ?1
            AND NOT EXISTS (SELECT 1 FROM mailbox WHERE account_id = account.id)";
        self.db.execute(sql, [old]).map_err(act())?;
        Ok(moved > 0)
    }

    fn pairs(&self, old: i64, new: i64) -> Result<Vec<Pair>, LedgerError> {
        let act = || sqlite("read mailboxes");
        let sql = "SELECT mailbox.id, own.id, mailbox.name = ?3
            OR (mailbox.origin = own.origin AND own.origin <> '') FROM mailbox
            JOIN mailbox AS own ON own.name = mailbox.name AND own.account_id = ?2
            WHERE mailbox.account_id = ?1";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let read = |row: &rusqlite::Row<'_>| {
            let (from, to) = (MailboxId(row.get(0)?), MailboxId(row.get(1)?));
            Ok(Pair { from, to, alike: row.get(2)? })
        };
        let rows = get.query_map(params![old, new, IMPORTED], read).map_err(act())?;
        rows.collect::<Result<_, _>>().map_err(act())
    }

    fn merge_mailboxes(&self, pair: &Pair) -> Result<usize, LedgerError> {
        let act = || sqlite("rename an account");
        if !pair.alike {
            self.doubt_all(pair.from)?;
        }
        let at = [pair.from.0, pair.to.0];
        let run = |sql: &str| self.db.execute(sql, at).map_err(act());
        // An attempt gives way to a copy.
        run("DELETE FROM message WHERE mailbox_id = ?2 AND doubtful = 0
            AND state IN ('fetching', 'held', 'gone')
            AND EXISTS (SELECT 1 FROM message AS other WHERE other.mailbox_id = ?1
                AND other.uid_validity = message.uid_validity AND other.uid = message.uid
                AND other.generation = message.generation
                AND other.unique_id = message.unique_id
                AND other.occurrence = message.occurrence
                AND other.state NOT IN ('fetching', 'held', 'gone'))")?;
        let moved = run("UPDATE OR IGNORE message SET mailbox_id = ?2 WHERE mailbox_id = ?1")?;
        run("UPDATE catch_up SET mailbox_id = ?2 WHERE mailbox_id = ?1")?;
        for table in ["caught_up", "seen"] {
            run(&format!("UPDATE OR IGNORE {table} SET mailbox_id = ?2 WHERE mailbox_id = ?1"))?;
            run(&format!("DELETE FROM {table} WHERE mailbox_id = ?1 AND ?2 > 0"))?;
        }
        run("UPDATE mailbox SET listed_at = NULL, parsing = max(parsing,
                (SELECT parsing FROM mailbox WHERE id = ?1)), uid_validity = coalesce(uid_validity,
                (SELECT uid_validity FROM mailbox WHERE id = ?1)) WHERE id = ?2")?;
        run("DELETE FROM mailbox WHERE id = ?1 AND ?2 > 0
            AND NOT EXISTS (SELECT 1 FROM message WHERE mailbox_id = ?1)")?;
        Ok(moved)
    }

    /// What a person or a doubt has ordered for one account holds for the other, where that has no
    /// such order.
    fn carry_orders(&self, from: i64, to: i64) -> Result<(), LedgerError> {
        let act = || sqlite("carry orders over");
        let run = |sql: &str| self.db.execute(sql, [from, to]).map_err(act());
        run("UPDATE account SET paused_at = other.paused_at, paused_until = other.paused_until,
            paused_by = other.paused_by, paused_reason = other.paused_reason
            FROM account AS other WHERE other.id = ?1 AND account.id = ?2
            AND account.paused_at IS NULL")?;
        run("UPDATE account SET delete_stop = other.delete_stop,
            delete_stop_at = other.delete_stop_at
            FROM account AS other WHERE other.id = ?1 AND account.id = ?2
            AND account.delete_stop_at IS NULL")?;
        run("UPDATE account SET clock_hold = max(account.clock_hold, other.clock_hold)
            FROM account AS other WHERE other.id = ?1 AND account.id = ?2")?;
        Ok(())
    }
}

//! Messages that a ledger has found in the tree: what rules asked for with them, and what of it is
//! done, only a lost ledger knew.

use std::collections::BTreeSet;

use rusqlite::OptionalExtension;

use crate::ledger::error::{LedgerError, sqlite};
use crate::ledger::tx::Tx;
use crate::model::StoredCopy;

impl Tx<'_> {
    /// A person says that nothing is left to be done with the messages of an account of which a
    /// lost ledger knew more; how many.
    pub(super) fn forget_unknown(&self, account: &str) -> Result<u64, LedgerError> {
        let sql = "SELECT message.id FROM message
            JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id
            WHERE account.name = ?1 AND actions_unknown = 1";
        let act = || sqlite("read messages");
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows = get.query_map([account], |row| row.get(0)).map_err(act())?;
        let rows: Vec<i64> = rows.collect::<Result<_, _>>().map_err(act())?;
        self.actions_known(&rows)?;
        Ok(rows.len() as u64)
    }

    /// From now on all that is to be done with these messages is in the outbox; what was held up
    /// by that is looked at again.
    pub fn actions_known(&self, rows: &[i64]) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET actions_unknown = 0 WHERE id = ?1 AND actions_unknown = 1
            RETURNING mailbox_id";
        let act = || sqlite("record that actions are known");
        let mut set = self.db.prepare_cached(sql).map_err(act())?;
        let mut mailboxes = BTreeSet::new();
        for row in rows {
            let changed = set.query_row([row], |row| row.get(0)).optional();
            mailboxes.extend(changed.map_err(act())?.map(|id: i64| id));
        }
        for id in mailboxes {
            let wake = "UPDATE mailbox SET wake_at = 0 WHERE id = ?1";
            self.db.execute(wake, [id]).map_err(act())?;
        }
        Ok(())
    }

    /// Accounts with messages of which nobody knows what rules asked for.
    pub fn accounts_of_unknown_actions(&self) -> Result<Vec<String>, LedgerError> {
        let act = || sqlite("read messages");
        let sql = "SELECT DISTINCT account.name FROM message
            JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id
            WHERE actions_unknown = 1 ORDER BY account.name";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows = get.query_map([], |row| row.get(0)).map_err(act())?;
        rows.collect::<Result<_, _>>().map_err(act())
    }

    /// Whether there is any message of which nobody knows what rules asked for.
    pub(in crate::ledger) fn are_actions_unknown(&self) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM message WHERE actions_unknown = 1)";
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("read messages"))?;
        get.query_row([], |row| row.get(0)).map_err(sqlite("read messages"))
    }

    /// Puts down with a copy how its actions stand.
    pub(in crate::ledger) fn note_actions(&self, copy: &mut StoredCopy) -> Result<(), LedgerError> {
        self.note_open(copy)?;
        let sql = "SELECT actions_unknown FROM message WHERE id = ?1";
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("read a message"))?;
        let unknown = get.query_row([copy.row], |row| row.get(0)).optional();
        copy.actions_unknown = unknown.map_err(sqlite("read a message"))?.unwrap_or(false);
        Ok(())
    }
}

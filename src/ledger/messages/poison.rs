//! Marks of messages that the process may die of while it parses them.

use rusqlite::params;

use super::row::Columns;
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::Tx;
use crate::model::MessageKey;

impl Tx<'_> {
    /// Marks a suspect before it is parsed: a process that dies of it leaves the mark.
    pub fn mark_parse(&self, id: MailboxId, key: &MessageKey) -> Result<(), LedgerError> {
        self.set_marks(
            "UPDATE message SET parse_marks = parse_marks + 1
            WHERE mailbox_id = ?1 AND uid_validity = ?2 AND uid = ?3 AND generation = ?4
            AND unique_id = ?5 AND occurrence = ?6",
            id,
            key,
        )
    }

    /// Takes a suspect's marks back: it was parsed.
    pub fn unmark_parse(&self, id: MailboxId, key: &MessageKey) -> Result<(), LedgerError> {
        self.set_marks(
            "UPDATE message SET parse_marks = 0
            WHERE mailbox_id = ?1 AND uid_validity = ?2 AND uid = ?3 AND generation = ?4
            AND unique_id = ?5 AND occurrence = ?6",
            id,
            key,
        )
    }

    /// Records that these messages of a mailbox, and no others, are about to be parsed.
    pub fn parsing(&self, id: MailboxId, keys: &[MessageKey]) -> Result<(), LedgerError> {
        self.none_parsing(id)?;
        for key in keys {
            self.set_marks(
                "UPDATE message SET parsing = 1
                WHERE mailbox_id = ?1 AND uid_validity = ?2 AND uid = ?3 AND generation = ?4
                AND unique_id = ?5 AND occurrence = ?6",
                id,
                key,
            )?;
        }
        Ok(())
    }

    fn none_parsing(&self, id: MailboxId) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET parsing = 0 WHERE mailbox_id = ?1 AND parsing = 1";
        self.db.execute(sql, [id.0]).map_err(sqlite("mark messages"))?;
        Ok(())
    }

    /// Records that no message of a mailbox is being parsed any more.
    pub fn parsed(&self, id: MailboxId) -> Result<(), LedgerError> {
        self.none_parsing(id)?;
        let sql = "UPDATE mailbox SET parsing = 0 WHERE id = ?1";
        self.db.execute(sql, [id.0]).map_err(sqlite("end a fetch"))?;
        Ok(())
    }

    fn set_marks(&self, sql: &str, id: MailboxId, key: &MessageKey) -> Result<(), LedgerError> {
        let k = Columns::of(key);
        let row = params![id.0, k.uid_validity, k.uid, k.generation, k.unique_id, k.occurrence];
        let mut set = self.db.prepare_cached(sql).map_err(sqlite("mark a message"))?;
        set.execute(row).map_err(sqlite("mark a message"))?;
        Ok(())
    }
}

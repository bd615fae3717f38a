//! Moves on the server that rules ask for: actions that end with the message's own departure.

use jiff::Timestamp;
use rusqlite::params;

use super::WAITS;
use crate::ledger::error::{LedgerError, sqlite};
use crate::ledger::tx::{Tx, millis, timestamp};
use crate::model::{AskedMove, StoredCopy};

/// What is open of a message; all of it, since the states of the others count.
const OPEN: &str = "SELECT id, rule, kind, state, due_at, attempts, first_at, detail FROM action
    WHERE message_id = ?1 AND state IN ('pending', 'running', 'failed') ORDER BY id";

impl Tx<'_> {
    /// Puts down with a copy what is open of its actions.
    pub(super) fn note_open(&self, copy: &mut StoredCopy) -> Result<(), LedgerError> {
        let act = || sqlite("read actions");
        let mut get = self.db.prepare_cached(OPEN).map_err(act())?;
        let mut rows = get.query([copy.row]).map_err(act())?;
        let (mut marks, mut others, mut moves) = (false, false, Vec::new());
        while let Some(row) = rows.next().map_err(act())? {
            copy.actions_open = true;
            let mut read = || -> rusqlite::Result<()> {
                let kind: String = row.get("kind")?;
                let state: String = row.get("state")?;
                marks |= matches!(kind.as_str(), "seen" | "flag");
                others |= kind != "move";
                if kind == "move" && state != "running" {
                    moves.push(AskedMove {
                        action: row.get("id")?,
                        rule: row.get("rule")?,
                        due_at: timestamp(row.get("due_at")?),
                        failed: state == "failed",
                        marks_open: false,
                        others_open: false,
                        attempts: row.get("attempts")?,
                        first_at: row.get::<_, Option<i64>>("first_at")?.map(timestamp),
                        detail: row.get("detail")?,
                    });
                }
                Ok(())
            };
            read().map_err(act())?;
        }
        for asked in &mut moves {
            (asked.marks_open, asked.others_open) = (marks, others);
        }
        copy.moves = moves;
        Ok(())
    }

    /// Whether a message is still to be moved by an action.
    pub(in crate::ledger) fn is_move_wanted(
        &self,
        action: i64,
        row: i64,
    ) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM action WHERE id = ?1 AND message_id = ?2
            AND kind = 'move' AND state = 'pending')";
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("read actions"))?;
        get.query_row([action, row], |row| row.get(0)).map_err(sqlite("read actions"))
    }

    /// A message has left its mailbox by our delete: the move that this was is done, whatever a
    /// person has said of it meanwhile.
    pub(in crate::ledger) fn end_move(
        &self,
        action: Option<i64>,
        row: i64,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let Some(action) = action else { return Ok(()) };
        let sql = "UPDATE action SET state = 'done', attempts = attempts + 1,
            first_at = coalesce(first_at, ?3), last_at = ?3, code = '', detail = ''
            WHERE id = ?1 AND message_id = ?2 AND kind = 'move' AND state <> 'done'";
        let mut set = self.db.prepare_cached(sql).map_err(sqlite("end a move"))?;
        set.execute(params![action, row, millis(now)]).map_err(sqlite("end a move"))?;
        Ok(())
    }

    /// Moves that may not be made now, and why: no try is counted, no time is used up.
    pub fn moves_wait(&self, waiting: &[(i64, String)]) -> Result<(), LedgerError> {
        let sql = "UPDATE action SET code = ?3, detail = ?2
            WHERE id = ?1 AND kind = 'move' AND state = 'pending'";
        let mut set = self.db.prepare_cached(sql).map_err(sqlite("put off moves"))?;
        for (action, why) in waiting {
            set.execute(params![action, why, WAITS]).map_err(sqlite("put off moves"))?;
        }
        Ok(())
    }

    /// The mailbox of a message is listed anew at the next poll: a move is to be made there.
    pub(super) fn wake_mailbox_of(&self, row: i64) -> Result<(), LedgerError> {
        let sql = "UPDATE mailbox SET wake_at = 0
            WHERE id = (SELECT mailbox_id FROM message WHERE id = ?1)";
        self.db.execute(sql, [row]).map_err(sqlite("wake a mailbox"))?;
        Ok(())
    }

    /// The same of all mailboxes with a move that is due.
    pub(super) fn wake_for_moves(&self, now: Timestamp) -> Result<(), LedgerError> {
        let sql = "UPDATE mailbox SET wake_at = 0 WHERE id IN (
            SELECT message.mailbox_id FROM action JOIN message ON message.id = action.message_id
            WHERE action.kind = 'move' AND action.state IN ('pending', 'running')
            AND action.state = 'pending' AND action.due_at <= ?1)";
        self.db.execute(sql, [millis(now)]).map_err(sqlite("wake mailboxes"))?;
        Ok(())
    }
}

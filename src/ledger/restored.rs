//! Messages that were put back on a server, and those of which that isn't known.
//!
//! A row is committed before a message's octets go, and says of one whose answer never came that it
//! must be looked for before it is sent again.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::catch_up::{CatchUp, NamedMessage};
use super::error::{LedgerError, sqlite};
use super::mailboxes::MailboxId;
use super::messages::Placing;
use super::tx::{Tx, millis};
use crate::model::{MessageKey, Sha256};

/// A mailbox on a server that takes messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RestoreTarget {
    /// Whose: protocol, user and host.
    pub origin: String,
    /// Its name.
    pub mailbox: String,
    /// UIDVALIDITY; 0 where the server gives none.
    pub uid_validity: u32,
    /// What is put there from now on has this UID or a higher one; 0 where that isn't known.
    pub uid_from: u32,
}

/// What is known of one message and one mailbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RestoredRow {
    /// UIDVALIDITY of the mailbox then.
    pub uid_validity: u32,
    /// It has this UID or a higher one.
    pub uid_from: u32,
    /// Its UID; 0 where the server didn't say.
    pub uid: u32,
    /// The octets may have gone, and no answer came.
    pub is_open: bool,
}

/// How a message's way to the server ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RestoreEnd {
    /// It is there, under this UID; 0 where that isn't known.
    There(u32),
    /// It is not.
    NotThere,
}

/// Where a stored message was fetched from, if the ledger takes it to be there still.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Home {
    /// Whose mailbox; empty if not known.
    pub origin: String,
    /// The mailbox.
    pub mailbox: String,
    /// Its UIDVALIDITY.
    pub uid_validity: u32,
    /// Its UID.
    pub uid: u32,
}

impl Tx<'_> {
    /// What is known of messages and one mailbox, in order.
    pub fn restored(
        &self,
        origin: &str,
        mailbox: &str,
        messages: &[String],
    ) -> Result<Vec<Option<RestoredRow>>, LedgerError> {
        let act = || sqlite("read what was put back");
        let sql = "SELECT uid_validity, uid_from, uid, is_open FROM restored
            WHERE message = ?1 AND origin = ?2 AND mailbox = ?3";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(RestoredRow {
                uid_validity: row.get(0)?,
                uid_from: row.get(1)?,
                uid: row.get(2)?,
                is_open: row.get(3)?,
            })
        };
        let found = messages.iter().map(|message| {
            get.query_row(params![message, origin, mailbox], read).optional().map_err(act())
        });
        found.collect()
    }

    /// Commits the intent to put messages into a mailbox.
    pub fn restore_begins(
        &self,
        to: &RestoreTarget,
        messages: &[(String, Sha256)],
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let act = || sqlite("commit the intent to put back");
        let sql = "INSERT INTO restored (message, origin, mailbox, sha256, uid_validity, uid_from,
            at, is_open) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)
            ON CONFLICT (message, origin, mailbox) DO UPDATE SET sha256 = ?4, uid_validity = ?5,
            uid_from = ?6, uid = 0, at = ?7, is_open = 1";
        let mut put = self.db.prepare_cached(sql).map_err(act())?;
        for (message, sha256) in messages {
            let RestoreTarget { origin, mailbox, uid_validity, uid_from } = to;
            let at = millis(now);
            put.execute(params![message, origin, mailbox, sha256.0, uid_validity, uid_from, at])
                .map_err(act())?;
        }
        Ok(())
    }

    /// Commits what came of messages that were put into a mailbox, or found there.
    pub fn restore_ends(
        &self,
        to: &RestoreTarget,
        ends: &[(String, RestoreEnd)],
    ) -> Result<(), LedgerError> {
        let act = || sqlite("commit what was put back");
        let there = "UPDATE restored SET is_open = 0, uid = ?4, uid_validity = ?5
            WHERE message = ?1 AND origin = ?2 AND mailbox = ?3";
        let not_there = "DELETE FROM restored WHERE message = ?1 AND origin = ?2 AND mailbox = ?3";
        let mut there = self.db.prepare_cached(there).map_err(act())?;
        let mut not_there = self.db.prepare_cached(not_there).map_err(act())?;
        for (message, end) in ends {
            let RestoreTarget { origin, mailbox, uid_validity, .. } = to;
            match end {
                RestoreEnd::There(uid) => {
                    there.execute(params![message, origin, mailbox, uid, uid_validity])
                }
                RestoreEnd::NotThere => not_there.execute(params![message, origin, mailbox]),
            }
            .map_err(act())?;
        }
        Ok(())
    }

    /// Of some UIDs of a mailbox those that other messages have that were put there.
    pub fn restored_as(
        &self,
        to: &RestoreTarget,
        message: &str,
        uids: &[u32],
    ) -> Result<Vec<u32>, LedgerError> {
        let act = || sqlite("read what was put back");
        let sql = "SELECT EXISTS (SELECT 1 FROM restored WHERE uid = ?1 AND uid_validity = ?2
            AND origin = ?3 AND mailbox = ?4 AND is_open = 0 AND message <> ?5)";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let mut found = Vec::new();
        for uid in uids {
            let row = params![uid, to.uid_validity, to.origin, to.mailbox, message];
            if get.query_row(row, |row| row.get(0)).map_err(act())? {
                found.push(*uid);
            }
        }
        Ok(found)
    }

    /// How many other messages with the same content were put into a mailbox, under UIDs that the
    /// server didn't say.
    pub fn restored_unnamed(
        &self,
        to: &RestoreTarget,
        message: &str,
        sha256: Sha256,
    ) -> Result<usize, LedgerError> {
        let sql = "SELECT count(*) FROM restored WHERE sha256 = ?1 AND uid = 0
            AND uid_validity = ?2 AND origin = ?3 AND mailbox = ?4 AND is_open = 0
            AND message <> ?5";
        let row = params![sha256.0, to.uid_validity, to.origin, to.mailbox, message];
        let found: i64 = self
            .db
            .query_row(sql, row, |row| row.get(0))
            .map_err(sqlite("read what was put back"))?;
        Ok(usize::try_from(found).unwrap_or(0))
    }

    /// Where stored messages, by their rows, were fetched from, as far as they may be there still.
    pub fn homes(&self, rows: &[i64]) -> Result<Vec<Option<Home>>, LedgerError> {
        let act = || sqlite("read stored messages");
        let sql = "SELECT origin, mailbox.name, message.uid_validity, uid FROM message
            JOIN mailbox ON mailbox.id = message.mailbox_id
            WHERE message.id = ?1 AND uid > 0 AND state IN ('archived', 'deleting')";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Home {
                origin: row.get(0)?,
                mailbox: row.get(1)?,
                uid_validity: row.get(2)?,
                uid: row.get(3)?,
            })
        };
        rows.iter().map(|row| get.query_row([row], read).optional().map_err(act())).collect()
    }

    /// Whether a restore was cut before an answer was recorded.
    pub fn is_restore_open(&self) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM restored WHERE is_open = 1)";
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("read what was put back"))?;
        get.query_row([], |row| row.get(0)).map_err(sqlite("read what was put back"))
    }

    /// Whether a message that was just fetched is one that a restore was putting there when it was
    /// cut, before the answer was recorded: then it counts as known, as the answer would have had it.
    pub fn is_being_restored(
        &self,
        id: MailboxId,
        copy: &Placing,
        at: Timestamp,
    ) -> Result<bool, LedgerError> {
        let MessageKey::Imap { mailbox, uid_validity, uid, .. } = &copy.key else {
            return Ok(false);
        };
        let act = || sqlite("read what was put back");
        let sql = "SELECT restored.id, restored.origin, account.name FROM mailbox
            JOIN account ON account.id = mailbox.account_id
            JOIN restored ON restored.sha256 = ?2 AND restored.origin = mailbox.origin
            AND restored.mailbox = mailbox.name AND is_open = 1 AND restored.uid_validity = ?3
            AND uid_from <= ?4 WHERE mailbox.id = ?1 ORDER BY restored.id LIMIT 1";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let of = params![id.0, copy.sha256.0, uid_validity, uid];
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let found: Option<(i64, String, String)> =
            get.query_row(of, read).optional().map_err(act())?;
        let Some((row, origin, account)) = found else { return Ok(false) };
        let to = RestoreTarget {
            origin,
            mailbox: mailbox.clone(),
            uid_validity: *uid_validity,
            uid_from: *uid,
        };
        if !self.restored_are_known(&account, &to, &[*uid], at)? {
            return Ok(false);
        }
        let sql = "UPDATE restored SET is_open = 0, uid = ?2 WHERE id = ?1";
        self.db.execute(sql, params![row, uid]).map_err(act())?;
        self.forget_attempt(id, &copy.key)?;
        Ok(true)
    }

    /// Has messages that were put into a mailbox count as known where an account polls it, as a
    /// catch-up has: they are not archived again, and no rule deletes them. False where the account's
    /// messages there are keyed by something else, which its next poll finds out.
    pub fn restored_are_known(
        &self,
        account: &str,
        to: &RestoreTarget,
        uids: &[u32],
        at: Timestamp,
    ) -> Result<bool, LedgerError> {
        let row = self.mailbox(account, &to.mailbox)?;
        let moved = !row.origin.is_empty() && row.origin != to.origin;
        if to.uid_validity == 0 || moved || row.uid_validity.is_some_and(|is| is != to.uid_validity)
        {
            return Ok(false);
        }
        if row.uid_validity.is_none() {
            self.set_origin(row.id, &to.origin)?;
            self.set_uid_validity(row.id, Some(to.uid_validity))?;
        }
        let named = |uid: &u32| NamedMessage {
            name: format!("{}/{uid}", to.uid_validity),
            size: None,
            internal_date: None,
        };
        self.catch_up_messages(row.id, &uids.iter().map(named).collect::<Vec<_>>(), at)?;
        let messages = uids.len() as u64;
        let added = i64::try_from(messages).unwrap_or(i64::MAX);
        let more = "UPDATE catch_up SET messages = messages + ?3 WHERE mailbox_id = ?1 AND at = ?2";
        let more = self.db.execute(more, params![row.id.0, millis(at), added]);
        if more.map_err(sqlite("record what was put back"))? > 0 {
            self.forget_facts(row.id)?;
            return Ok(true);
        }
        let uid_validity = to.uid_validity;
        let catch_up = CatchUp {
            uid_validity,
            up_to: 0,
            named_from: None,
            uid_next: None,
            before: None,
            messages,
            at,
        };
        self.catch_up(row.id, &catch_up)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ledger;
    use super::*;
    use crate::model::{KnownState, MessageKey};

    fn target(uid_validity: u32) -> RestoreTarget {
        let origin = "imap u@h".to_owned();
        RestoreTarget { origin, mailbox: "Back".to_owned(), uid_validity, uid_from: 4 }
    }

    #[tokio::test]
    async fn intent_is_open_until_its_end_and_a_refusal_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let ids = ["a", "b"].map(str::to_owned);
        let rows = |ids: Vec<String>| {
            let ledger = ledger.clone();
            async move {
                let read = move |tx: &Tx<'_>| tx.restored("imap u@h", "Back", &ids);
                ledger.read("test", read).await.unwrap()
            }
        };
        let begin = ids.clone().map(|id| (id, Sha256([1; 32])));
        ledger
            .write("test", move |tx| tx.restore_begins(&target(7), &begin, Timestamp::UNIX_EPOCH))
            .await
            .unwrap();
        let open = RestoredRow { uid_validity: 7, uid_from: 4, uid: 0, is_open: true };
        assert_eq!(rows(ids.to_vec()).await, [Some(open), Some(open)]);
        let ends = [("a".to_owned(), RestoreEnd::There(9)), ("b".to_owned(), RestoreEnd::NotThere)];
        ledger.write("test", move |tx| tx.restore_ends(&target(7), &ends)).await.unwrap();
        let done = RestoredRow { uid: 9, is_open: false, ..open };
        assert_eq!(rows(ids.to_vec()).await, [Some(done), None]);
        let told = ledger.read("test", |tx| {
            let others = tx.restored_as(&target(7), "b", &[8, 9])?;
            let own = tx.restored_as(&target(7), "a", &[8, 9])?;
            let elsewhere = tx.restored_as(&target(8), "b", &[9])?;
            Ok((others, own, elsewhere, tx.restored_unnamed(&target(7), "b", Sha256([1; 32]))?))
        });
        assert_eq!(told.await.unwrap(), (vec![9], vec![], vec![], 0));
    }

    #[tokio::test]
    async fn what_was_put_into_a_polled_mailbox_counts_as_known_there() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let key = |uid| MessageKey::Imap {
            mailbox: "Back".to_owned(),
            uid_validity: 7,
            uid,
            generation: 0,
        };
        let known = ledger.write("test", move |tx| {
            let at = Timestamp::UNIX_EPOCH;
            assert!(tx.restored_are_known("a", &target(7), &[3], at)?);
            assert!(tx.restored_are_known("a", &target(7), &[5], at)?);
            assert!(!tx.restored_are_known("a", &target(8), &[4], at)?, "other messages by now");
            let id = tx.mailbox("a", "Back")?.id;
            assert_eq!(tx.catch_ups(id)?.iter().map(|one| one.messages).sum::<u64>(), 2);
            tx.known(id, &[3, 4, 5].map(key))
        });
        let known = known.await.unwrap();
        assert!(matches!(known.get(&key(3)), Some(KnownState::CaughtUp { .. })));
        assert!(matches!(known.get(&key(5)), Some(KnownState::CaughtUp { .. })));
        assert_eq!(known.len(), 2);
    }
}

//! Copies that were found in the tree, and rows that are looked for in it: what a rebuild, a
//! reconcile and a verify ask of the ledger.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::leaps;
use super::row::{Columns, copy, key};
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::mailboxes::MailboxId;
use crate::ledger::tx::{Tx, millis};
use crate::model::{IMPORTED, MessageKey, Sha256, StoredCopy};

/// A copy that proved itself by its own folder.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// The account that it belongs to now.
    pub account: String,
    /// Identity.
    pub key: MessageKey,
    /// Below the root.
    pub path: String,
    /// Of `message.eml`.
    pub sha256: Sha256,
    /// Of `message.json`.
    pub json_sha256: Sha256,
    /// Octets of `message.eml`.
    pub size: u64,
    /// The server's INTERNALDATE, if it is known.
    pub internal_date: Option<Timestamp>,
    /// The date that placed it.
    pub received: Timestamp,
    /// When it was stored.
    pub archived_at: Timestamp,
    /// Whose mailbox its key is of: protocol, user and host; empty if not known.
    pub origin: String,
}

/// What became of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Adopted {
    /// It has a row now.
    New,
    /// Its message has a copy elsewhere.
    Twice(String),
}

/// A row and the copy that it vouches for.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// The copy.
    pub copy: StoredCopy,
    /// The row says `placing`.
    pub placing: bool,
    /// The message was deleted on the server: the copy is all there is of it.
    pub deleted: bool,
}

/// What a listing says of a copy whose identity had to be proven: it is the one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Proof {
    /// Row of the ledger.
    pub row: i64,
    /// The size that the server lists.
    pub listed_size: Option<u64>,
    /// The server's INTERNALDATE.
    pub internal_date: Option<Timestamp>,
}

const COLUMNS_OF_SHELF: &str = concat!(
    "SELECT message.id, message.uid_validity, uid, generation, unique_id,
    occurrence, state, path, sha256, json_sha256, size, listed_size, internal_date, received,
    archived_at, delete_ok, cut, flagged_at, own, mailbox.name AS mailbox, ",
    leaps!(),
    "
    FROM message JOIN mailbox ON mailbox.id = message.mailbox_id
    JOIN account ON account.id = mailbox.account_id
    WHERE message.id > ?1 AND state IN ('placing', 'archived', 'deleting', 'deleted')
    AND (?2 = '' OR account.name = ?2) AND message.id <= coalesce(?4, message.id)
    ORDER BY message.id LIMIT ?3"
);

impl Tx<'_> {
    /// Gives a copy that was found in the tree its row; it may not be deleted before the server
    /// has shown that it is the one. What a unique-id means by now only the content tells: which
    /// messages had left the server is not known, nor what rules asked for with it and whether that
    /// was done.
    pub fn adopt(&self, found: &Adoption) -> Result<Adopted, LedgerError> {
        let (id, is_of_another) = self.home_of(found)?;
        let k = Columns::of(&found.key);
        let sql = "INSERT INTO message (mailbox_id, uid_validity, uid, generation, unique_id,
            occurrence, state, attempts, first_seen, path, sha256, json_sha256, size,
            internal_date, received, archived_at, delete_ok, doubtful, actions_unknown, clock_leaps)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'archived', 1, ?12, ?7, ?8, ?9, ?10, ?11, ?13, ?12, 0,
            ?14, 1,
            coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'clock-leaps'), 0))
            ON CONFLICT (mailbox_id, uid_validity, uid, generation, unique_id, occurrence)
            DO UPDATE SET state = 'archived', path = ?7, sha256 = ?8, json_sha256 = ?9, size = ?10,
            listed_size = NULL, internal_date = ?11, received = ?13, archived_at = ?12,
            delete_ok = 0, doubtful = ?14, actions_unknown = 1, retry_at = NULL, reason_code = '', reason = '',
            clock_leaps = excluded.clock_leaps
            WHERE state IN ('fetching', 'held', 'gone')";
        let row = params![
            id.0,
            k.uid_validity,
            k.uid,
            k.generation,
            k.unique_id,
            k.occurrence,
            found.path,
            found.sha256.0,
            found.json_sha256.0,
            i64::try_from(found.size).unwrap_or(i64::MAX),
            found.internal_date.map(millis),
            millis(found.archived_at),
            millis(found.received),
            !k.unique_id.is_empty() || is_of_another,
        ];
        let mut put = self.db.prepare_cached(sql).map_err(sqlite("adopt a copy"))?;
        if put.execute(row).map_err(sqlite("adopt a copy"))? > 0 {
            return Ok(Adopted::New);
        }
        let sql = "SELECT path FROM message WHERE mailbox_id = ?1 AND uid_validity = ?2
            AND uid = ?3 AND generation = ?4 AND unique_id = ?5 AND occurrence = ?6";
        let at = params![id.0, k.uid_validity, k.uid, k.generation, k.unique_id, k.occurrence];
        let other = self.db.query_row(sql, at, |row| row.get(0));
        Ok(Adopted::Twice(other.map_err(sqlite("find the other copy"))?))
    }

    /// The mailbox that a copy was found for, made when it isn't known, and whether the copy's key
    /// is that of another server or user than the one of the newest copy: then it means nothing.
    fn home_of(&self, found: &Adoption) -> Result<(MailboxId, bool), LedgerError> {
        let name = found.key.home();
        let before = self.find_mailbox(&found.account, name)?;
        let row = self.mailbox(&found.account, name)?;
        if before.is_none() {
            let sql = "UPDATE mailbox SET adopted = 1 WHERE id = ?1";
            self.db.execute(sql, [row.id.0]).map_err(sqlite("adopt a copy"))?;
        }
        if found.origin.is_empty() || name == IMPORTED || row.origin == found.origin {
            return Ok((row.id, false));
        }
        let sql = "SELECT max(archived_at) FROM message WHERE mailbox_id = ?1";
        let newest: Option<i64> = self
            .db
            .query_row(sql, [row.id.0], |row| row.get(0))
            .map_err(sqlite("find the newest copy"))?;
        if newest.is_some_and(|newest| newest > millis(found.archived_at)) {
            // What the other copies are of isn't known: they may well be of the same mailbox.
            return Ok((row.id, !row.origin.is_empty()));
        }
        if !row.origin.is_empty() {
            self.doubt_all(row.id)?;
        }
        self.set_origin(row.id, &found.origin)?;
        Ok((row.id, false))
    }

    /// Whether a row vouches for the folder at a path.
    pub fn has_path(&self, path: &str) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM message WHERE path = ?1 AND path <> ''
            AND state IN ('placing', 'archived', 'deleting', 'deleted') LIMIT 1";
        let mut get = self.db.prepare_cached(sql).map_err(sqlite("look for a path"))?;
        let found = get.query_row([path], |_| Ok(())).optional();
        Ok(found.map_err(sqlite("look for a path"))?.is_some())
    }

    /// After copies were adopted: each mailbox is listed anew, and of a mailbox whose UIDVALIDITY
    /// is not known the newest copy tells it.
    pub fn settle_mailboxes(&self) -> Result<(), LedgerError> {
        let sql = "UPDATE mailbox SET listed_at = NULL, uid_validity = coalesce(uid_validity,
            (SELECT message.uid_validity FROM message WHERE mailbox_id = mailbox.id
             AND message.uid_validity > 0 ORDER BY archived_at DESC LIMIT 1))";
        self.db.execute(sql, []).map_err(sqlite("settle mailboxes"))?;
        Ok(())
    }

    /// Holds the deletes of all copies until the server has shown each of them again: by its size
    /// and date, by its content where a doubt was there before, and in maildrops.
    pub fn doubt_copies(&self) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET delete_ok = 0, listed_size = NULL
            WHERE state IN ('archived', 'deleting') AND unique_id = '' AND delete_ok = 1";
        self.db.execute(sql, []).map_err(sqlite("hold deletes"))?;
        let sql = "UPDATE message SET delete_ok = 0, doubtful = 1,
            state = CASE WHEN state = 'deleting' THEN 'archived' ELSE state END
            WHERE state IN ('archived', 'deleting', 'deleted') AND unique_id <> ''";
        self.db.execute(sql, []).map_err(sqlite("hold deletes"))?;
        Ok(())
    }

    /// Records that the server shows the messages of which these copies are.
    pub fn prove(&self, proofs: &[Proof]) -> Result<(), LedgerError> {
        let sql = "UPDATE message SET delete_ok = 1, listed_size = ?2, internal_date = ?3
            WHERE id = ?1 AND state IN ('archived', 'deleting')";
        let mut set = self.db.prepare_cached(sql).map_err(sqlite("record proofs"))?;
        for proof in proofs {
            let size = proof.listed_size.map(|size| i64::try_from(size).unwrap_or(i64::MAX));
            let row = params![proof.row, size, proof.internal_date.map(millis)];
            set.execute(row).map_err(sqlite("record proofs"))?;
        }
        Ok(())
    }

    /// Copies that rows vouch for, of one account or (empty) of all, from behind a row on.
    pub fn shelf(&self, account: &str, after: i64, n: u32) -> Result<Vec<Shelf>, LedgerError> {
        self.shelves(account, after, n, None)
    }

    /// One of them, looked at again.
    pub fn shelf_at(&self, row: i64) -> Result<Option<Shelf>, LedgerError> {
        Ok(self.shelves("", row.saturating_sub(1), 1, Some(row))?.pop())
    }

    /// How many there are.
    pub fn shelf_len(&self, account: &str) -> Result<u64, LedgerError> {
        let sql = "SELECT count(*) FROM message JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id
            WHERE state IN ('placing', 'archived', 'deleting', 'deleted')
            AND (?1 = '' OR account.name = ?1)";
        let n: i64 =
            self.db.query_row(sql, [account], |row| row.get(0)).map_err(sqlite("count copies"))?;
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// The newest row; 0 where there is none.
    pub fn last_row(&self) -> Result<i64, LedgerError> {
        let sql = "SELECT coalesce(max(id), 0) FROM message";
        self.db.query_row(sql, [], |row| row.get(0)).map_err(sqlite("read the newest row"))
    }

    /// The accounts that have rows.
    pub fn accounts(&self) -> Result<Vec<String>, LedgerError> {
        let act = || sqlite("read accounts");
        let mut get = self.db.prepare("SELECT name FROM account ORDER BY name").map_err(act())?;
        let rows = get.query_map([], |row| row.get(0)).map_err(act())?;
        rows.collect::<Result<Vec<String>, _>>().map_err(act())
    }

    fn shelves(
        &self,
        account: &str,
        after: i64,
        n: u32,
        last: Option<i64>,
    ) -> Result<Vec<Shelf>, LedgerError> {
        let act = || sqlite("read copies");
        let mut get = self.db.prepare_cached(COLUMNS_OF_SHELF).map_err(act())?;
        let mut rows = get.query(params![after, account, n, last]).map_err(act())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(act())? {
            let state: String = row.get("state").map_err(act())?;
            let (placing, deleted) = (state == "placing", state == "deleted");
            found.push(Shelf { copy: copy(row, key(row)?)?, placing, deleted });
        }
        Ok(found)
    }
}

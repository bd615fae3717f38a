//! Everything that is known of one message, for a person who asks; and the ways to find it.

use std::ops::ControlFlow;

use jiff::Timestamp;
use rusqlite::{Params, Row, params};
use sha2::{Digest, Sha256 as Hasher};

use super::leaps;
use super::row::{copy, key};
use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::tx::{Tx, timestamp};
use crate::model::{MessageKey, Sha256, StoredCopy};

/// Rows that one question leads to at most.
const FOUND_MAX: i64 = 100;

/// What the ledger knows of a message.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column")]
pub struct Trail {
    /// Its row.
    pub row: i64,
    /// The account.
    pub account: String,
    /// Identity.
    pub key: MessageKey,
    /// The word of its state.
    pub state: String,
    /// The copy, where there is one.
    pub copy: Option<StoredCopy>,
    /// When it was first fetched or held.
    pub first_seen: Timestamp,
    /// Attempts that were begun.
    pub attempts: u32,
    /// Attempts that failed.
    pub failures: u32,
    /// When it is tried again.
    pub retry_at: Option<Timestamp>,
    /// Why it is held: the code and the words.
    pub reason: Option<(String, String)>,
    /// As listed.
    pub listed_size: Option<u64>,
    /// The server's INTERNALDATE.
    pub internal_date: Option<Timestamp>,
    /// When it was marked as read, by us; `None` also when it is still to be.
    pub marked_at: Option<Timestamp>,
    /// It is still to be marked as read.
    pub to_mark: bool,
    /// When a delete was last begun, and how.
    pub delete_at: Option<Timestamp>,
    /// The delete's mode.
    pub delete_how: String,
    /// When it left the server.
    pub deleted_at: Option<Timestamp>,
    /// Without us.
    pub left_server: bool,
    /// When it was marked `\Deleted`.
    pub flagged_at: Option<Timestamp>,
    /// Its folder has its name by another key.
    pub moved: bool,
    /// What stands under the key may be another message by now.
    pub doubtful: bool,
    /// Its header says that it is mail of postrider.
    pub own: bool,
    /// A rule has left it out of the archive: the rule, when, and its digest as it was fetched.
    pub skipped: Option<(String, Timestamp, Option<Sha256>)>,
}

/// A Message-ID as a number of the index: the brackets and blanks around it say nothing.
pub fn message_id_number(message_id: &str) -> Option<i64> {
    let bare = message_id.trim().trim_start_matches('<').trim_end_matches('>').trim();
    let digest = Hasher::digest(bare.as_bytes());
    let octets: [u8; 8] = digest.get(..8)?.try_into().ok()?;
    (!bare.is_empty()).then(|| i64::from_be_bytes(octets))
}

impl Tx<'_> {
    /// All that is known of a row's message.
    pub fn trail(&self, row: i64) -> Result<Option<Trail>, LedgerError> {
        let act = || sqlite("read a message");
        let sql = concat!(
            "SELECT ",
            leaps!(),
            ", message.*, mailbox.name AS mailbox, account.name AS account
            FROM message JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id WHERE message.id = ?1"
        );
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let mut rows = get.query([row]).map_err(act())?;
        let mut trail = rows.next().map_err(act())?.map(read).transpose()?;
        if let Some(copy) = trail.as_mut().and_then(|trail| trail.copy.as_mut()) {
            self.note_actions(copy)?;
        }
        Ok(trail)
    }

    /// Rows of copies with this Message-ID, as far as the index has it: other messages may share
    /// its number.
    pub fn rows_by_message_id(&self, message_id: &str) -> Result<Vec<i64>, LedgerError> {
        let sql = "SELECT id FROM message WHERE message_id = ?1 LIMIT ?2";
        self.rows(sql, params![message_id_number(message_id), FOUND_MAX])
    }

    /// Paths of copies whose Message-ID isn't in the index: those of older versions and of a
    /// rebuild.
    pub fn visit_unindexed(
        &self,
        mut visit: impl FnMut(i64, &str) -> ControlFlow<()>,
    ) -> Result<(), LedgerError> {
        let act = || sqlite("read messages");
        let sql = "SELECT id, path FROM message WHERE message_id IS NULL AND path <> ''
            AND state IN ('archived', 'deleting', 'deleted')";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let mut rows = get.query([]).map_err(act())?;
        while let Some(row) = rows.next().map_err(act())? {
            let path: String = row.get(1).map_err(act())?;
            if visit(row.get(0).map_err(act())?, &path).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Rows of a folder below the root.
    pub fn rows_by_path(&self, path: &str) -> Result<Vec<i64>, LedgerError> {
        let sql = "SELECT id FROM message WHERE path = ?1 AND path <> '' LIMIT ?2";
        self.rows(sql, params![path, FOUND_MAX])
    }

    /// Rows of a UID, under any UIDVALIDITY.
    pub fn rows_by_uid(
        &self,
        account: &str,
        mailbox: &str,
        uid: u32,
    ) -> Result<Vec<i64>, LedgerError> {
        let sql = "SELECT message.id FROM message JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id
            WHERE account.name = ?1 AND mailbox.name = ?2 AND uid = ?3
            ORDER BY message.id LIMIT ?4";
        self.rows(sql, params![account, mailbox, uid, FOUND_MAX])
    }

    /// Rows of a unique-id, in any maildrop.
    pub fn rows_by_unique_id(&self, unique_id: &str) -> Result<Vec<i64>, LedgerError> {
        let sql = "SELECT message.id FROM mailbox JOIN message ON message.mailbox_id = mailbox.id
            AND message.uid_validity = 0 AND uid = 0 AND generation = 0 AND unique_id = ?1
            WHERE ?1 <> '' ORDER BY message.id LIMIT ?2";
        self.rows(sql, params![unique_id, FOUND_MAX])
    }

    /// Rows of messages whose id begins so; walks through the whole ledger.
    pub fn rows_by_id(&self, id: &str) -> Result<Vec<i64>, LedgerError> {
        let act = || sqlite("look for an id");
        let suffix: String = id.chars().take(crate::model::FOLDER_SUFFIX_LEN).collect();
        let by_folder = "SELECT id FROM message WHERE path <> '' AND substr(path, -16) = ?1
            LIMIT ?2";
        let mut found = self.rows(by_folder, params![suffix, FOUND_MAX])?;
        let sql = "SELECT message.id, message.uid_validity, uid, generation, unique_id,
            occurrence, mailbox.name AS mailbox, account.name AS account
            FROM message JOIN mailbox ON mailbox.id = message.mailbox_id
            JOIN account ON account.id = mailbox.account_id WHERE path = '' OR moved = 1";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let mut rows = get.query([]).map_err(act())?;
        while let Some(row) = rows.next().map_err(act())? {
            let (at, account): (i64, String) =
                (row.get(0).map_err(act())?, row.get("account").map_err(act())?);
            if key(row)?.id(&account).folder_suffix() == suffix && !found.contains(&at) {
                found.push(at);
            }
        }
        Ok(found)
    }

    fn rows(&self, sql: &'static str, of: impl Params) -> Result<Vec<i64>, LedgerError> {
        let act = || sqlite("look for a message");
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows = get.query_map(of, |row| row.get(0)).map_err(act())?;
        rows.collect::<Result<_, _>>().map_err(act())
    }

    /// The names of an account's mailboxes; empty for a maildrop.
    pub fn mailbox_names(&self, account: &str) -> Result<Vec<String>, LedgerError> {
        let act = || sqlite("read mailboxes");
        let sql = "SELECT mailbox.name FROM mailbox JOIN account
            ON account.id = mailbox.account_id WHERE account.name = ?1 ORDER BY mailbox.name";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows = get.query_map([account], |row| row.get(0)).map_err(act())?;
        rows.collect::<Result<_, _>>().map_err(act())
    }
}

fn read(row: &Row<'_>) -> Result<Trail, LedgerError> {
    let key = key(row)?;
    let has_copy: Option<Vec<u8>> = row.get("sha256").map_err(sqlite("read a message"))?;
    let copy = has_copy.is_some().then(|| copy(row, key.clone())).transpose()?;
    let rest = || -> rusqlite::Result<Trail> {
        let time = |column: &str| -> rusqlite::Result<Option<Timestamp>> {
            Ok(row.get::<_, Option<i64>>(column)?.map(timestamp))
        };
        let (code, words): (String, String) = (row.get("reason_code")?, row.get("reason")?);
        let size: Option<i64> = row.get("listed_size")?;
        let digest: Option<Vec<u8>> = row.get("skipped_sha256")?;
        let digest = digest.and_then(|digest| Sha256::from_slice(&digest));
        let (rule, at): (String, _) = (row.get("skipped_by")?, time("skipped_at")?);
        Ok(Trail {
            skipped: at.filter(|_| !rule.is_empty()).map(|at| (rule, at, digest)),
            row: row.get("id")?,
            account: row.get("account")?,
            key,
            state: row.get("state")?,
            copy,
            first_seen: timestamp(row.get("first_seen")?),
            attempts: row.get("attempts")?,
            failures: row.get("failures")?,
            retry_at: time("retry_at")?,
            reason: (!code.is_empty()).then_some((code, words)),
            listed_size: size.and_then(|size| u64::try_from(size).ok()),
            internal_date: time("internal_date")?,
            marked_at: time("marked_at")?,
            to_mark: row.get("to_mark")?,
            delete_at: time("delete_at")?,
            delete_how: row.get("delete_how")?,
            deleted_at: time("deleted_at")?,
            left_server: row.get("left_server")?,
            flagged_at: time("flagged_at")?,
            moved: row.get("moved")?,
            doubtful: row.get("doubtful")?,
            own: row.get::<_, i64>("own")? > 0,
        })
    };
    rest().map_err(sqlite("read a message"))
}

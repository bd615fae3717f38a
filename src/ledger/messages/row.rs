//! A row of the `message` table: its key's columns, and what is read back from it.

use jiff::{SignedDuration, Timestamp};
use rusqlite::Row;

use crate::ledger::LedgerError;
use crate::ledger::error::sqlite;
use crate::ledger::tx::timestamp;
use crate::model::{KnownState, MessageKey, Sha256, StoredCopy};

/// `message.own` of a canary.
const CANARY: i64 = 2;

/// A key as the columns of its row.
pub(super) struct Columns<'k> {
    pub(super) uid_validity: u32,
    pub(super) uid: u32,
    pub(super) generation: u32,
    pub(super) unique_id: &'k str,
    pub(super) occurrence: u32,
}

impl<'k> Columns<'k> {
    pub(super) fn of(key: &'k MessageKey) -> Self {
        match key {
            MessageKey::Imap { mailbox: _, uid_validity, uid, generation } => Self {
                uid_validity: *uid_validity,
                uid: *uid,
                generation: *generation,
                unique_id: "",
                occurrence: 0,
            },
            MessageKey::Pop3 { unique_id, occurrence } => {
                Self { uid_validity: 0, uid: 0, generation: 0, unique_id, occurrence: *occurrence }
            }
        }
    }
}

pub(super) fn key(row: &Row<'_>) -> Result<MessageKey, LedgerError> {
    let read = || -> rusqlite::Result<MessageKey> {
        let unique_id: String = row.get("unique_id")?;
        if !unique_id.is_empty() {
            return Ok(MessageKey::Pop3 { unique_id, occurrence: row.get("occurrence")? });
        }
        Ok(MessageKey::Imap {
            mailbox: row.get("mailbox")?,
            uid_validity: row.get("uid_validity")?,
            uid: row.get("uid")?,
            generation: row.get("generation")?,
        })
    };
    read().map_err(sqlite("read a message's key"))
}

/// What a row says of its message; `None` if nothing that counts.
pub(super) fn state(row: &Row<'_>, key: MessageKey) -> Result<Option<KnownState>, LedgerError> {
    let text = |column: &str| -> Result<String, LedgerError> {
        row.get(column).map_err(sqlite("read a message"))
    };
    let attempts: u32 = row.get("failures").map_err(sqlite("read a message"))?;
    let doubtful: bool = row.get("doubtful").map_err(sqlite("read a message"))?;
    Ok(match text("state")?.as_str() {
        "archived" | "deleting" | "deleted" | "gone" if doubtful => Some(KnownState::Other { key }),
        // One whose retry was begun and not reached has failed before all the same.
        "fetching" if attempts == 0 => None,
        "held" | "fetching" => {
            let at: Option<i64> = row.get("retry_at").map_err(sqlite("read a message"))?;
            let retry_at = at.map_or(Timestamp::MIN, timestamp);
            Some(KnownState::Held { key, attempts, retry_at })
        }
        "placing" => Some(KnownState::Placing { key }),
        "archived" | "deleting" => Some(KnownState::Stored(copy(row, key)?)),
        "deleted" => Some(KnownState::Deleted {
            key,
            listed_size: number(row, "listed_size")?.and_then(|size| u64::try_from(size).ok()),
            internal_date: number(row, "internal_date")?.map(timestamp),
        }),
        "gone" => skipped(row, key)?,
        _ => None,
    })
}

/// What a rule has left out of the archive, as long as the server has it; else nothing that counts.
fn skipped(row: &Row<'_>, key: MessageKey) -> Result<Option<KnownState>, LedgerError> {
    let act = || sqlite("read a message");
    let rule: String = row.get("skipped_by").map_err(act())?;
    let left: bool = row.get("left_server").map_err(act())?;
    if rule.is_empty() || left {
        return Ok(None);
    }
    Ok(Some(KnownState::Skipped {
        key,
        rule,
        at: number(row, "skipped_at")?.map_or(Timestamp::MIN, timestamp),
        listed_size: number(row, "listed_size")?.and_then(|size| u64::try_from(size).ok()),
        internal_date: number(row, "internal_date")?.map(timestamp),
    }))
}

pub(super) fn copy(row: &Row<'_>, key: MessageKey) -> Result<StoredCopy, LedgerError> {
    let id: i64 = row.get("id").map_err(sqlite("read a message"))?;
    let damaged = |why| LedgerError::Damaged { table: "message", row: id, why };
    let number = |column| number(row, column);
    let digest = |column: &str| -> Result<Sha256, LedgerError> {
        let octets: Option<Vec<u8>> = row.get(column).map_err(sqlite("read a message"))?;
        let octets = octets.ok_or_else(|| damaged("a digest is missing"))?;
        Sha256::from_slice(&octets).ok_or_else(|| damaged("a digest has the wrong length"))
    };
    let unsigned = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    let state: String = row.get("state").map_err(sqlite("read a message"))?;
    let delete_ok: bool = row.get("delete_ok").map_err(sqlite("read a message"))?;
    Ok(StoredCopy {
        row: id,
        key,
        path: row.get("path").map_err(sqlite("read a message"))?,
        sha256: digest("sha256")?,
        json_sha256: digest("json_sha256")?,
        size: unsigned(number("size")?).ok_or_else(|| damaged("the size is missing"))?,
        listed_size: unsigned(number("listed_size")?),
        internal_date: number("internal_date")?.map(timestamp),
        received: number("received")?.map(timestamp),
        archived_at: number("archived_at")?
            .map(timestamp)
            .ok_or_else(|| damaged("the time of archiving is missing"))?,
        leaps: SignedDuration::from_millis(number("leaps")?.unwrap_or(0)),
        deleting: state == "deleting",
        flagged: number("flagged_at")?.is_some(),
        delete_ok: delete_ok && state != "placing",
        cut: row.get("cut").map_err(sqlite("read a message"))?,
        canary: number("own")? == Some(CANARY),
        actions_open: false,
        actions_unknown: false,
        moves: Vec::new(),
    })
}

fn number(row: &Row<'_>, column: &str) -> Result<Option<i64>, LedgerError> {
    row.get(column).map_err(sqlite("read a message"))
}

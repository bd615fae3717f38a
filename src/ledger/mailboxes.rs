//! Mailboxes of accounts: their UIDVALIDITY, and what their last complete listing said.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::error::{LedgerError, sqlite};
use super::tx::{Tx, millis, timestamp};
use crate::model::IMPORTED;

/// Row of a mailbox.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct MailboxId(pub i64);

/// What the ledger knows of a mailbox.
#[derive(Clone, Debug)]
pub struct MailboxRow {
    /// Its row.
    pub id: MailboxId,
    /// Decoded name; empty for a maildrop.
    pub name: String,
    /// Whose mailbox its messages are keyed by: protocol, user and host; empty if not known.
    pub origin: String,
    /// Messages were being parsed when the process died.
    pub crashed: bool,
    /// Header sections can't be asked for: see [`Tx::set_no_facts`].
    pub no_facts: bool,
    /// UIDVALIDITY that its messages are keyed by.
    pub uid_validity: Option<u32>,
    /// The last complete listing.
    pub facts: Option<MailboxFacts>,
    /// The latest listing wasn't complete.
    pub partly: bool,
    /// UIDNEXT at the latest catch-up with the UIDVALIDITY in force: a lower one means that UIDs
    /// were begun anew.
    pub caught_up_next: Option<u32>,
}

/// A mailbox of which the server lists a part only.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PartlyListed {
    /// Decoded name; empty for a maildrop.
    pub mailbox: String,
    /// Since when.
    pub since: Timestamp,
}

/// What a mailbox looked like when it was last listed whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailboxFacts {
    /// UIDNEXT.
    pub uid_next: Option<u32>,
    /// Messages in it.
    pub exists: u32,
    /// HIGHESTMODSEQ (RFC 7162).
    pub highest_modseq: Option<u64>,
    /// Fingerprint of the account's rules.
    pub rules: String,
    /// When.
    pub listed_at: Timestamp,
    /// When a listing is needed although nothing changed.
    pub wake_at: Option<Timestamp>,
    /// How many messages were listed, and decided how: JSON, for people who ask.
    pub decided: String,
}

impl Tx<'_> {
    /// A mailbox of an account, made when it isn't known.
    pub fn mailbox(&self, account: &str, name: &str) -> Result<MailboxRow, LedgerError> {
        let account_id = self.account_id(account)?;
        let sql = "INSERT INTO mailbox (account_id, name) VALUES (?1, ?2)
            ON CONFLICT (account_id, name) DO NOTHING";
        self.db.execute(sql, params![account_id, name]).map_err(sqlite("add a mailbox"))?;
        self.find_mailbox(account, name)?.ok_or(LedgerError::Damaged {
            table: "mailbox",
            row: account_id,
            why: "the row that was added is not there",
        })
    }

    /// A mailbox of an account, if the ledger knows it.
    pub fn find_mailbox(
        &self,
        account: &str,
        name: &str,
    ) -> Result<Option<MailboxRow>, LedgerError> {
        let sql = "SELECT mailbox.id, mailbox.name, uid_validity, uid_next, message_count,
            highest_modseq, rules, listed_at, wake_at, origin, parsing, no_facts, partly_since,
            decided, (SELECT max(catch_up.uid_next) FROM catch_up
                WHERE catch_up.mailbox_id = mailbox.id
                AND catch_up.uid_validity = mailbox.uid_validity) AS caught_up_next
            FROM mailbox JOIN account ON account.id = mailbox.account_id
            WHERE account.name = ?1 AND mailbox.name = ?2";
        self.db.query_row(sql, [account, name], read).optional().map_err(sqlite("read a mailbox"))
    }

    /// Sets the UIDVALIDITY that a mailbox's messages are keyed by from now on.
    pub fn set_uid_validity(&self, id: MailboxId, value: Option<u32>) -> Result<(), LedgerError> {
        let sql = "UPDATE mailbox SET uid_validity = ?2, listed_at = NULL WHERE id = ?1";
        self.db.execute(sql, params![id.0, value]).map_err(sqlite("set UIDVALIDITY"))?;
        Ok(())
    }

    /// Sets whose mailbox the messages are keyed by from now on.
    pub fn set_origin(&self, id: MailboxId, origin: &str) -> Result<(), LedgerError> {
        let sql = "UPDATE mailbox SET origin = ?2 WHERE id = ?1";
        self.db.execute(sql, params![id.0, origin]).map_err(sqlite("set whose mailbox it is"))?;
        Ok(())
    }

    /// Records whether the server has a mailbox, if the ledger knows it.
    pub fn set_missing(&self, account: &str, name: &str, is: bool) -> Result<(), LedgerError> {
        let sql = "UPDATE mailbox SET missing = ?3 WHERE name = ?2 AND missing <> ?3
            AND account_id = (SELECT id FROM account WHERE name = ?1)";
        let set = self.db.execute(sql, params![account, name, is]);
        set.map_err(sqlite("record a missing mailbox"))?;
        Ok(())
    }

    /// Records whether the server lists all of a mailbox.
    pub fn set_partly(
        &self,
        id: MailboxId,
        partly: bool,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let sql = "UPDATE mailbox SET partly_since = CASE WHEN ?2 THEN ?3 END
            WHERE id = ?1 AND (partly_since IS NOT NULL) <> ?2";
        let set = self.db.execute(sql, params![id.0, partly, millis(now)]);
        set.map_err(sqlite("record what is listed"))?;
        Ok(())
    }

    /// The account's mailboxes of which the server lists a part only.
    pub fn partly_listed(&self, account: &str) -> Result<Vec<PartlyListed>, LedgerError> {
        let act = || sqlite("read mailboxes");
        let sql = "SELECT mailbox.name, partly_since FROM mailbox
            JOIN account ON account.id = mailbox.account_id
            WHERE account.name = ?1 AND partly_since IS NOT NULL ORDER BY mailbox.name";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let read = |row: &Row<'_>| {
            Ok(PartlyListed { mailbox: row.get(0)?, since: timestamp(row.get(1)?) })
        };
        get.query_map([account], read).map_err(act())?.collect::<Result<_, _>>().map_err(act())
    }

    /// The account's mailboxes that are not polled any more, or that the server has no more: one
    /// that is new may be such a one under another name.
    pub fn former_mailboxes(
        &self,
        account: &str,
        polled: &[String],
    ) -> Result<Vec<MailboxId>, LedgerError> {
        let act = || sqlite("read mailboxes");
        let sql = "SELECT mailbox.id, mailbox.name, missing FROM mailbox
            JOIN account ON account.id = mailbox.account_id WHERE account.name = ?1
            ORDER BY mailbox.id";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let mut rows = get.query([account]).map_err(act())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(act())? {
            let (name, missing): (String, bool) =
                (row.get(1).map_err(act())?, row.get(2).map_err(act())?);
            if name != IMPORTED && (missing || !polled.contains(&name)) {
                found.push(MailboxId(row.get(0).map_err(act())?));
            }
        }
        Ok(found)
    }

    /// Records a complete listing.
    pub fn set_facts(&self, id: MailboxId, facts: &MailboxFacts) -> Result<(), LedgerError> {
        let sql = "UPDATE mailbox SET uid_next = ?2, message_count = ?3,
            highest_modseq = ?4, rules = ?5, listed_at = ?6, wake_at = ?7, no_facts = 0,
            decided = ?8, adopted = 0
            WHERE id = ?1";
        let modseq = facts.highest_modseq.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
        let row = params![
            id.0,
            facts.uid_next,
            facts.exists,
            modseq,
            facts.rules,
            millis(facts.listed_at),
            facts.wake_at.map(millis),
            facts.decided
        ];
        self.db.execute(sql, row).map_err(sqlite("record a listing"))?;
        Ok(())
    }

    /// Records that a header section ended the session: until the mailbox has been listed whole,
    /// copies are found again by their content alone.
    pub fn set_no_facts(&self, id: MailboxId) -> Result<(), LedgerError> {
        let sql = "UPDATE mailbox SET no_facts = 1 WHERE id = ?1";
        self.db.execute(sql, [id.0]).map_err(sqlite("record a lost session"))?;
        Ok(())
    }

    /// Forgets the last complete listing, so that the next poll lists anew.
    pub fn forget_facts(&self, id: MailboxId) -> Result<(), LedgerError> {
        let sql = "UPDATE mailbox SET listed_at = NULL WHERE id = ?1";
        self.db.execute(sql, [id.0]).map_err(sqlite("forget a listing"))?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<MailboxRow> {
    let listed_at: Option<i64> = row.get("listed_at")?;
    let modseq: Option<i64> = row.get("highest_modseq")?;
    let wake_at: Option<i64> = row.get("wake_at")?;
    let facts = match listed_at {
        Some(at) => Some(MailboxFacts {
            uid_next: row.get("uid_next")?,
            exists: row.get::<_, Option<u32>>("message_count")?.unwrap_or(0),
            highest_modseq: modseq.and_then(|value| u64::try_from(value).ok()),
            rules: row.get("rules")?,
            listed_at: timestamp(at),
            wake_at: wake_at.map(timestamp),
            decided: row.get("decided")?,
        }),
        None => None,
    };
    Ok(MailboxRow {
        id: MailboxId(row.get("id")?),
        name: row.get("name")?,
        origin: row.get("origin")?,
        crashed: row.get("parsing")?,
        no_facts: row.get("no_facts")?,
        partly: row.get::<_, Option<i64>>("partly_since")?.is_some(),
        uid_validity: row.get("uid_validity")?,
        facts,
        caught_up_next: row.get("caught_up_next")?,
    })
}

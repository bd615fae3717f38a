//! What was in a mailbox when a person said that it counts as known: never stored, never deleted.
//!
//! The messages have a row each, with size and date, so that another message that gets the identity
//! of one is told from it; they count once the row that names their moment is there, so that a
//! listing that was cut counts for nothing. Of a large IMAP mailbox only the newest have; the older
//! ones are known by the highest UID and by being dated before.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;

use super::error::{LedgerError, sqlite};
use super::mailboxes::MailboxId;
use super::tx::{Tx, millis, timestamp};
use crate::model::{Known, KnownState, Listed, MessageKey};

/// A message that a catch-up names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedMessage {
    /// [Its name](CatchUp::name_of).
    pub name: String,
    /// The size that was listed.
    pub size: Option<u64>,
    /// The server's INTERNALDATE.
    pub internal_date: Option<Timestamp>,
}

impl NamedMessage {
    /// A listed message, if it can be named.
    pub fn of(listed: &Listed) -> Option<Self> {
        let Listed { size, internal_date, .. } = *listed;
        Some(Self { name: CatchUp::name_of(&listed.key)?, size, internal_date })
    }

    /// Whether it is the listed message, as far as the server tells. Where both are known, one of
    /// size and date is enough: some servers state sizes anew, and dates after a move.
    fn is(&self, listed: &Listed) -> bool {
        let differs = |then: Option<i64>, now: Option<i64>| Some(then? != now?);
        let number = |size: Option<u64>| size.and_then(|size| i64::try_from(size).ok());
        let date = |at: Option<Timestamp>| at.map(Timestamp::as_second);
        let size = differs(number(self.size), number(listed.size));
        match (size, differs(date(self.internal_date), date(listed.internal_date))) {
            (Some(size), Some(date)) => !(size && date),
            (one, other) => !one.or(other).unwrap_or(false),
        }
    }
}

/// One catch-up of one mailbox.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CatchUp {
    /// UIDVALIDITY of the UIDs; 0 for a maildrop.
    pub uid_validity: u32,
    /// The highest UID that was listed; 0 for a maildrop.
    pub up_to: u32,
    /// From this UID on messages are named one by one; `None` where none is.
    #[serde(skip)]
    pub named_from: Option<u32>,
    /// UIDNEXT then, where it was above all UIDs.
    #[serde(skip)]
    pub uid_next: Option<u32>,
    /// Only mail that was received before.
    pub before: Option<Timestamp>,
    /// How many messages it was.
    pub messages: u64,
    /// When.
    pub at: Timestamp,
}

impl CatchUp {
    /// What a message is called in a catch-up that names each: its unique-id, or UIDVALIDITY and UID.
    pub fn name_of(key: &MessageKey) -> Option<String> {
        match key {
            MessageKey::Pop3 { unique_id, occurrence: 0 } => Some(unique_id.clone()),
            MessageKey::Imap { uid_validity, uid, generation: 0, .. } => {
                Some(format!("{uid_validity}/{uid}"))
            }
            _ => None,
        }
    }

    /// The key of a message that is called so, in a mailbox of this name.
    fn key_of(mailbox: &str, name: String) -> MessageKey {
        let uid =
            name.split_once('/').and_then(|(v, uid)| Some((v.parse().ok()?, uid.parse().ok()?)));
        match uid.filter(|_| !mailbox.is_empty()) {
            Some((uid_validity, uid)) => {
                MessageKey::Imap { mailbox: mailbox.to_owned(), uid_validity, uid, generation: 0 }
            }
            None => MessageKey::Pop3 { unique_id: name, occurrence: 0 },
        }
    }

    /// Whether a message of IMAP that isn't named is one of these, as far as the server tells: one
    /// without a date, or with a later one, never is.
    pub fn covers(&self, listed: &Listed) -> bool {
        let MessageKey::Imap { uid_validity, uid, generation: 0, .. } = listed.key else {
            return false;
        };
        let received = listed.received.map(|received| received.at).or(listed.internal_date);
        uid_validity == self.uid_validity
            && uid <= self.up_to
            && self.named_from.is_none_or(|from| uid < from)
            && !Self::is_late(listed, self.at)
            && self.before.is_none_or(|before| received.is_some_and(|at| at < before))
    }

    /// Whether a message isn't dated before a catch-up: one that is there all the same is named.
    pub fn is_late(listed: &Listed, at: Timestamp) -> bool {
        listed.internal_date.is_none_or(|date| date > at)
    }
}

impl Tx<'_> {
    /// The catch-ups of a mailbox, the latest first.
    pub fn catch_ups(&self, id: MailboxId) -> Result<Vec<CatchUp>, LedgerError> {
        let act = || sqlite("read catch-ups");
        let sql = "SELECT uid_validity, up_to, before, messages, at, named_from, uid_next
            FROM catch_up WHERE mailbox_id = ?1 ORDER BY at DESC, id DESC";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let read = |row: &rusqlite::Row<'_>| {
            let messages: i64 = row.get(3)?;
            Ok(CatchUp {
                uid_validity: row.get(0)?,
                up_to: row.get(1)?,
                before: row.get::<_, Option<i64>>(2)?.map(timestamp),
                messages: u64::try_from(messages).unwrap_or(0),
                at: timestamp(row.get(4)?),
                named_from: row.get(5)?,
                uid_next: row.get(6)?,
            })
        };
        let rows = get.query_map([id.0], read).map_err(act())?;
        rows.collect::<Result<_, _>>().map_err(act())
    }

    /// Adds what catch-ups say of listed messages that nothing else is known of. Of a unique-id
    /// that several messages share, or that has another size by now, it says nothing.
    pub(super) fn add_caught_up(
        &self,
        id: MailboxId,
        listed: &[Listed],
        known: &mut Known,
    ) -> Result<(), LedgerError> {
        let catch_ups = self.catch_ups(id)?;
        if catch_ups.is_empty() {
            return Ok(());
        }
        for message in listed {
            if known.contains_key(&message.key) {
                continue;
            }
            let by_uid = catch_ups.iter().find(|catch_up| catch_up.covers(message));
            let at = match by_uid {
                Some(catch_up) => Some(catch_up.at),
                None => self.caught_up_at(id, message)?,
            };
            if let Some(at) = at {
                let key = message.key.clone();
                known.insert(message.key.clone(), KnownState::CaughtUp { key, at });
            }
        }
        Ok(())
    }

    fn caught_up_at(
        &self,
        id: MailboxId,
        listed: &Listed,
    ) -> Result<Option<Timestamp>, LedgerError> {
        let Some(unique_id) = CatchUp::name_of(&listed.key).filter(|_| listed.alone) else {
            return Ok(None);
        };
        let act = || sqlite("read catch-ups");
        let sql =
            "SELECT at, size, internal_date FROM caught_up WHERE mailbox_id = ?1 AND unique_id = ?2
            AND at IN (SELECT at FROM catch_up WHERE mailbox_id = ?1)";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let read = |row: &rusqlite::Row<'_>| {
            let size = row.get::<_, Option<i64>>(1)?.and_then(|size| u64::try_from(size).ok());
            let internal_date = row.get::<_, Option<i64>>(2)?.map(timestamp);
            let name = unique_id.clone();
            Ok((timestamp(row.get(0)?), NamedMessage { name, size, internal_date }))
        };
        let found = get.query_row(params![id.0, unique_id], read).optional().map_err(act())?;
        Ok(found.filter(|(_, named)| named.is(listed)).map(|(at, _)| at))
    }

    /// The accounts whose catch-ups have a unique-id, and when that was.
    pub fn caught_up_unique_id(
        &self,
        unique_id: &str,
    ) -> Result<Vec<(String, Timestamp)>, LedgerError> {
        let act = || sqlite("read catch-ups");
        let sql = "SELECT account.name, caught_up.at FROM mailbox
            JOIN account ON account.id = mailbox.account_id
            JOIN caught_up ON caught_up.mailbox_id = mailbox.id AND caught_up.unique_id = ?1
            JOIN catch_up ON catch_up.mailbox_id = mailbox.id AND catch_up.at = caught_up.at";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let rows = get.query_map([unique_id], |row| Ok((row.get(0)?, timestamp(row.get(1)?))));
        rows.map_err(act())?.collect::<Result<_, _>>().map_err(act())
    }

    /// Mail that an account received up to then may be covered by a catch-up.
    pub fn caught_up_until(&self, account: &str) -> Result<Option<Timestamp>, LedgerError> {
        let sql = "SELECT max(coalesce(before, at)) FROM catch_up
            JOIN mailbox ON mailbox.id = catch_up.mailbox_id
            JOIN account ON account.id = mailbox.account_id WHERE account.name = ?1";
        let found: Option<i64> = self
            .db
            .query_row(sql, [account], |row| row.get(0))
            .map_err(sqlite("read catch-ups"))?;
        Ok(found.map(timestamp))
    }

    /// Begins a catch-up: forgets what one that was cut has left.
    pub fn begin_catch_up(&self, id: MailboxId) -> Result<(), LedgerError> {
        let sql = "DELETE FROM caught_up WHERE mailbox_id = ?1
            AND at NOT IN (SELECT at FROM catch_up WHERE mailbox_id = ?1)";
        self.db.execute(sql, [id.0]).map_err(sqlite("begin a catch-up"))?;
        Ok(())
    }

    /// Adds messages to a catch-up that is under way.
    pub fn catch_up_messages(
        &self,
        id: MailboxId,
        messages: &[NamedMessage],
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let act = || sqlite("record a catch-up");
        let sql = "INSERT INTO caught_up (mailbox_id, unique_id, size, at, internal_date)
            VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (mailbox_id, unique_id) DO UPDATE
            SET size = excluded.size, at = excluded.at, internal_date = excluded.internal_date";
        let mut put = self.db.prepare_cached(sql).map_err(act())?;
        for NamedMessage { name, size, internal_date } in messages {
            let size = size.map(|size| i64::try_from(size).unwrap_or(i64::MAX));
            let date = internal_date.map(millis);
            put.execute(params![id.0, name, size, millis(at), date]).map_err(act())?;
        }
        Ok(())
    }

    /// Puts a catch-up in force. The mailbox is listed anew at the next poll.
    pub fn catch_up(&self, id: MailboxId, catch_up: &CatchUp) -> Result<(), LedgerError> {
        let act = || sqlite("record a catch-up");
        if catch_up.up_to > 0 && catch_up.before.is_none() {
            let sql = "DELETE FROM catch_up WHERE mailbox_id = ?1 AND up_to <= ?2 AND up_to > 0";
            self.db.execute(sql, params![id.0, catch_up.up_to]).map_err(act())?;
        }
        let sql = "INSERT INTO catch_up (mailbox_id, uid_validity, up_to, before, messages, at,
            named_from, uid_next) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let row = params![
            id.0,
            catch_up.uid_validity,
            catch_up.up_to,
            catch_up.before.map(millis),
            i64::try_from(catch_up.messages).unwrap_or(i64::MAX),
            millis(catch_up.at),
            catch_up.named_from,
            catch_up.uid_next
        ];
        self.db.execute(sql, row).map_err(act())?;
        self.forget_facts(id)
    }

    /// Ends all catch-ups of a mailbox: what they covered is mail like any other. How many messages
    /// they were.
    pub fn end_catch_ups(&self, id: MailboxId) -> Result<u64, LedgerError> {
        let act = || sqlite("end a catch-up");
        let found = self.catch_ups(id)?;
        let n = found.iter().map(|catch_up| catch_up.messages).fold(0, u64::saturating_add);
        self.db.execute("DELETE FROM catch_up WHERE mailbox_id = ?1", [id.0]).map_err(act())?;
        self.db.execute("DELETE FROM caught_up WHERE mailbox_id = ?1", [id.0]).map_err(act())?;
        if !found.is_empty() {
            self.forget_facts(id)?;
        }
        Ok(n)
    }

    /// Forgets unique-ids that are not listed: what comes under them later is other mail.
    pub fn prune_caught_up(
        &self,
        id: MailboxId,
        is_listed: impl Fn(&MessageKey) -> bool,
    ) -> Result<(), LedgerError> {
        let act = || sqlite("forget what has left");
        let sql = "SELECT unique_id, mailbox.name FROM caught_up
            JOIN mailbox ON mailbox.id = mailbox_id WHERE mailbox_id = ?1";
        let mut get = self.db.prepare_cached(sql).map_err(act())?;
        let mut rows = get.query([id.0]).map_err(act())?;
        let mut absent: Vec<String> = Vec::new();
        while let Some(row) = rows.next().map_err(act())? {
            let unique_id: String = row.get(0).map_err(act())?;
            let mailbox: String = row.get(1).map_err(act())?;
            let key = CatchUp::key_of(&mailbox, unique_id.clone());
            if !is_listed(&key) {
                absent.push(unique_id);
            }
        }
        drop(rows);
        let sql = "DELETE FROM caught_up WHERE mailbox_id = ?1 AND unique_id = ?2";
        let mut forget = self.db.prepare_cached(sql).map_err(act())?;
        for unique_id in &absent {
            forget.execute(params![id.0, unique_id]).map_err(act())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn listed(uid: u32, size: Option<u64>, date: Option<i64>) -> Listed {
        let mailbox = "INBOX".to_owned();
        Listed {
            key: MessageKey::Imap { mailbox, uid_validity: 7, uid, generation: 0 },
            number: uid,
            alone: true,
            size,
            internal_date: date.map(at),
            received: None,
            flags: Vec::new(),
        }
    }

    #[test]
    fn i06_message_dated_after_a_catch_up_or_among_the_named_is_not_covered_by_its_uid() {
        let catch_up = CatchUp {
            uid_validity: 7,
            up_to: 90,
            named_from: None,
            uid_next: None,
            before: None,
            messages: 90,
            at: at(1_000),
        };
        assert!(catch_up.covers(&listed(90, None, Some(1_000))));
        assert!(!catch_up.covers(&listed(90, None, Some(1_001))), "dated later");
        assert!(!catch_up.covers(&listed(90, None, None)), "not dated");
        assert!(!catch_up.covers(&listed(91, None, Some(1))), "a later UID");
        let catch_up = CatchUp { named_from: Some(50), ..catch_up };
        assert!(catch_up.covers(&listed(49, None, Some(1))));
        assert!(!catch_up.covers(&listed(50, None, Some(1))), "only by its name");
    }

    #[test]
    fn i06_named_message_is_told_from_another_by_size_and_date() {
        let named = NamedMessage::of(&listed(3, Some(700), Some(10))).unwrap();
        for (size, date, same) in [
            (Some(700), Some(10), true),
            (Some(701), Some(10), true),
            (Some(700), Some(11), true),
            (Some(701), Some(11), false),
            (Some(701), None, false),
            (None, Some(11), false),
            (None, None, true),
        ] {
            assert_eq!(named.is(&listed(3, size, date)), same, "{size:?} {date:?}");
        }
    }
}

//! "Start from now": what a server lists counts as known, without a copy.
//!
//! Works on a session that can only read, by type. What is recorded is no storing: no rule ever
//! deletes it, and it can be taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::credentials::{Keys, connect_imap, connect_pop3};
use super::error::PollError;
use super::identity::{Epoch, begun_anew, origin_of};
use super::preview::date;
use super::{Clock, Keyring, folders};
use crate::config::{Inbound, Protocol};
use crate::ledger::{CatchUp, Ledger, MailboxId, MailboxRow, NamedMessage, Tx};
use crate::mailbox::{Opened, ReadMailbox};
use crate::model::{Known, KnownState, Listed};

/// Messages of a mailbox of IMAP that are named, the newest; a row each.
const NAMED: usize = 10_000;

/// Records what is on an account's server as known.
#[derive(Debug)]
pub struct Catcher {
    /// The account's configuration.
    pub config: Arc<Inbound>,
    /// The ledger; opened for reading is enough where nothing is recorded.
    pub ledger: Ledger,
    /// The clocks.
    pub clock: Clock,
    /// What resolves the account's secrets.
    pub keyring: Keyring,
    /// Only mail that was received before; `None`: all.
    pub before: Option<Timestamp>,
    /// Only these: what another program has fetched; `None`: all.
    pub only: Option<Elsewhere>,
    /// Nothing is recorded.
    pub dry_run: bool,
    /// The moment of the catch-up.
    pub at: Timestamp,
}

/// Messages that another program has fetched, by mailbox (empty for a maildrop): unique-ids, or
/// UIDVALIDITY and UID with a slash between.
pub type Elsewhere = BTreeMap<String, BTreeSet<String>>;

/// What a catch-up found in one mailbox.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CaughtUp {
    /// Its name; empty for a maildrop.
    pub mailbox: String,
    /// Messages that the server listed.
    pub listed: u64,
    /// Those that count as known from now on.
    pub caught_up: u64,
    /// Those that did before.
    pub already: u64,
    /// Those that are stored, or were: they stay what they are.
    pub stored: u64,
    /// Those whose fetch has failed: they are tried again.
    pub held: u64,
    /// Those that are fetched: received later, without a date, or sharing a unique-id.
    pub left: u64,
    /// The highest UID that was listed; 0 for a maildrop.
    pub up_to: u32,
    /// The newest messages of IMAP, by UID.
    #[serde(skip)]
    newest: BTreeMap<u32, Option<NamedMessage>>,
    /// There are older ones.
    #[serde(skip)]
    has_older: bool,
}

impl Catcher {
    /// Lists the account's mailboxes and records what is in them, each whole or not at all.
    pub async fn run(&self) -> Result<Vec<CaughtUp>, PollError> {
        let keys = Keys::new(&self.config, &self.keyring, self.clock);
        match self.config.protocol {
            Protocol::Imap => self.walk(connect_imap(&self.config, &keys).await?).await,
            Protocol::Pop3 => self.walk(connect_pop3(&self.config, &keys).await?).await,
        }
    }

    async fn walk<M: ReadMailbox>(&self, mut session: M) -> Result<Vec<CaughtUp>, PollError> {
        let origin = origin_of(&self.config, &self.keyring, &self.ledger).await?;
        let mut done = Vec::new();
        let names = folders::choose(&self.config, &mut session).await?;
        let only = self.only.as_ref().map(|only| as_named(only, &names));
        for name in names {
            let opened = session.open(&name).await?;
            let id = self.begin(&name, &origin, &opened).await?;
            let found = self.list(&mut session, (id, &name), only.as_ref()).await?;
            let nothing = self.only.is_some() && found.caught_up == 0;
            if let Some(id) = id.filter(|_| !self.dry_run && !nothing) {
                self.record(id, &opened, &found).await?;
            }
            done.push(found);
        }
        session.quit().await?;
        Ok(done)
    }

    /// The mailbox's row. One whose keys mean other messages by now must be polled first: its
    /// copies are found again by then.
    async fn begin(
        &self,
        name: &str,
        origin: &str,
        opened: &Opened,
    ) -> Result<Option<MailboxId>, PollError> {
        let (account, mailbox) = (Arc::clone(&self.config.name), name.to_owned());
        let find = move |tx: &Tx<'_>| tx.find_mailbox(&account, &mailbox);
        let row = self.ledger.read("find a mailbox", find).await?;
        let epoch = row.as_ref().map_or(Epoch::First, |row| Epoch::of(origin, row, opened));
        let shown = if name.is_empty() { "the maildrop" } else { name };
        if !name.is_empty() && opened.uid_validity.is_none() {
            let why = "the server gives no UIDVALIDITY, so that its UIDs may mean other mail soon";
            return Err(PollError::CatchUp(format!("{shown}: {why}")));
        }
        if matches!(epoch, Epoch::Changed | Epoch::Moved) {
            let why = "server, user or UIDVALIDITY changed since the last poll: poll it once";
            return Err(PollError::CatchUp(format!("{shown}: {why}")));
        }
        if self.dry_run {
            return Ok(row.map(|row| row.id));
        }
        let (account, mailbox) = (Arc::clone(&self.config.name), name.to_owned());
        let (origin, now) = (origin.to_owned(), opened.uid_validity);
        let begun_anew = row.as_ref().is_some_and(|row| begun_anew(row, opened));
        let make = move |tx: &Tx<'_>| {
            let MailboxRow { id, .. } = tx.mailbox(&account, &mailbox)?;
            if begun_anew {
                tx.end_catch_ups(id)?;
            }
            tx.set_origin(id, &origin)?;
            if epoch == Epoch::First {
                tx.set_uid_validity(id, now)?;
            }
            tx.begin_catch_up(id)?;
            Ok(id)
        };
        Ok(Some(self.ledger.write("begin a catch-up", make).await?))
    }

    /// Goes through all windows; unique-ids are written window by window, and count only once the
    /// whole is recorded.
    async fn list<M: ReadMailbox>(
        &self,
        session: &mut M,
        (id, name): (Option<MailboxId>, &str),
        only: Option<&Elsewhere>,
    ) -> Result<CaughtUp, PollError> {
        let mut found = CaughtUp { mailbox: name.to_owned(), ..CaughtUp::default() };
        while let Some(mut listing) = session.next_window().await? {
            if !listing.complete {
                let why = format!("{name}: the server doesn't list all messages");
                return Err(PollError::CatchUp(why));
            }
            let known = match id {
                Some(id) => {
                    let listed = listing.messages.clone();
                    let read = move |tx: &Tx<'_>| tx.known_listed(id, &listed);
                    self.ledger.read("read messages", read).await?
                }
                None => Known::new(),
            };
            if self.before.is_some() {
                date((&self.ledger, self.clock), session, id, &mut listing, &known).await?;
            }
            let mut named = Vec::new();
            for listed in &listing.messages {
                let message = NamedMessage::of(listed);
                let state = known.get(&listed.key);
                if let Some(only) = only {
                    let of = only.get(name);
                    let message =
                        message.filter(|message| of.is_some_and(|of| of.contains(&message.name)));
                    if found.count_if(message.is_some(), listed, state) {
                        named.extend(message);
                    }
                    continue;
                }
                let counts = found.count(listed, state, self.before);
                if let Some(uid) = listed.key.uid() {
                    // What an earlier catch-up left alone is left alone by this one, too.
                    let counts = counts || matches!(state, Some(KnownState::CaughtUp { .. }));
                    let message = message.filter(|_| counts);
                    let is_late = message.is_some() && CatchUp::is_late(listed, self.at);
                    named.extend(message.clone().filter(|_| is_late));
                    found.add_newest(uid, message);
                } else if counts {
                    named.extend(message);
                }
            }
            self.name(id, named).await?;
        }
        let newest = found.newest.values().flatten().cloned().collect();
        self.name(id, newest).await?;
        Ok(found)
    }

    /// Writes messages down. By its moment the rows are told from those of other catch-ups.
    async fn name(&self, id: Option<MailboxId>, named: Vec<NamedMessage>) -> Result<(), PollError> {
        let Some(id) = id.filter(|_| !self.dry_run && !named.is_empty()) else { return Ok(()) };
        let at = self.at;
        let write = move |tx: &Tx<'_>| tx.catch_up_messages(id, &named, at);
        Ok(self.ledger.write("record a catch-up", write).await?)
    }

    async fn record(
        &self,
        id: MailboxId,
        opened: &Opened,
        found: &CaughtUp,
    ) -> Result<(), PollError> {
        let catch_up = CatchUp {
            uid_validity: opened.uid_validity.unwrap_or(0),
            up_to: found.up_to,
            named_from: if found.has_older {
                found.newest.first_key_value().map(|(uid, _)| *uid)
            } else {
                Some(1)
            },
            uid_next: opened.uid_next.filter(|next| *next > found.up_to && found.up_to > 0),
            before: self.before,
            messages: found.caught_up,
            at: self.at,
        };
        let write = move |tx: &Tx<'_>| tx.catch_up(id, &catch_up);
        Ok(self.ledger.write("record a catch-up", write).await?)
    }
}

/// The same by the names that the server has: another program may write `Lists/a` for `Lists.a`.
fn as_named(only: &Elsewhere, names: &[String]) -> Elsewhere {
    let mut ours = only.clone();
    for (theirs, ids) in only.iter().filter(|(theirs, _)| !names.contains(theirs)) {
        let is_meant = |name: &&String| name.replace('.', "/") == *theirs;
        let mut meant = names.iter().filter(is_meant);
        if let (Some(name), None) = (meant.next(), meant.next()) {
            ours.entry(name.clone()).or_insert_with(|| ids.clone());
        }
    }
    ours
}

impl CaughtUp {
    /// The same where only some messages are meant.
    fn count_if(&mut self, is_meant: bool, listed: &Listed, state: Option<&KnownState>) -> bool {
        if is_meant || state.is_some() {
            return self.count(listed, state, None);
        }
        self.listed = self.listed.saturating_add(1);
        self.left = self.left.saturating_add(1);
        false
    }

    /// Notes a message of IMAP, among so many of the newest.
    fn add_newest(&mut self, uid: u32, message: Option<NamedMessage>) {
        self.up_to = self.up_to.max(uid);
        self.newest.insert(uid, message);
        if self.newest.len() > NAMED {
            self.newest.pop_first();
            self.has_older = true;
        }
    }

    /// Counts a message; whether it is known from now on.
    fn count(
        &mut self,
        listed: &Listed,
        state: Option<&KnownState>,
        before: Option<Timestamp>,
    ) -> bool {
        self.listed = self.listed.saturating_add(1);
        let counter = match state {
            Some(KnownState::CaughtUp { .. } | KnownState::Skipped { .. }) => &mut self.already,
            Some(KnownState::Held { .. }) => &mut self.held,
            Some(_) => &mut self.stored,
            None if is_covered(listed, before) => {
                self.caught_up = self.caught_up.saturating_add(1);
                return true;
            }
            None => &mut self.left,
        };
        *counter = counter.saturating_add(1);
        false
    }
}

/// Whether a message that nothing is known of counts as known: never on a guess.
fn is_covered(listed: &Listed, before: Option<Timestamp>) -> bool {
    let is_old = |before| listed.received.is_some_and(|received| received.at < before);
    listed.alone && before.is_none_or(is_old)
}

/// Ends all catch-ups of an account: their mail is fetched like any other. How many messages it
/// was, by mailbox.
pub async fn undo_catch_up(
    ledger: &Ledger,
    account: &str,
    dry_run: bool,
) -> Result<Vec<(String, u64)>, PollError> {
    let account = account.to_owned();
    let act = move |tx: &Tx<'_>| {
        let mut done = Vec::new();
        for name in tx.mailbox_names(&account)? {
            let Some(MailboxRow { id, .. }) = tx.find_mailbox(&account, &name)? else { continue };
            let found = tx.catch_ups(id)?;
            let n = found.iter().map(|one| one.messages).fold(0, u64::saturating_add);
            if !dry_run {
                tx.end_catch_ups(id)?;
            }
            if !found.is_empty() {
                done.push((name, n));
            }
        }
        Ok(done)
    };
    Ok(if dry_run {
        ledger.read("read catch-ups", act).await?
    } else {
        ledger.write("end catch-ups", act).await?
    })
}

/// Takes back what rules have left out of an account's archive: it is fetched and judged again, by
/// the rules as they are then. Mailboxes, and how many messages it was.
pub async fn undo_left_out(
    ledger: &Ledger,
    account: &str,
    dry_run: bool,
) -> Result<Vec<(String, u64)>, PollError> {
    let account = account.to_owned();
    let act = move |tx: &Tx<'_>| {
        let mut done = Vec::new();
        for name in tx.mailbox_names(&account)? {
            let Some(MailboxRow { id, .. }) = tx.find_mailbox(&account, &name)? else { continue };
            let n = if dry_run { tx.count_left_out(id)? } else { tx.end_left_out(id)? };
            if n > 0 {
                done.push((name, n));
            }
        }
        Ok(done)
    };
    Ok(if dry_run {
        ledger.read("read what is not archived", act).await?
    } else {
        ledger.write("forget what is not archived", act).await?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_programs_are_the_server_s_where_only_one_can_be_meant() {
        let of = |names: &[&str]| -> Elsewhere {
            names
                .iter()
                .map(|name| ((*name).to_owned(), BTreeSet::from([format!("1/{name}")])))
                .collect()
        };
        let meant = |theirs: &[&str], here: &[&str], name: &str| {
            let here: Vec<String> = here.iter().map(|name| (*name).to_owned()).collect();
            as_named(&of(theirs), &here).get(name).and_then(|ids| ids.first().cloned())
        };
        assert_eq!(meant(&["L/a"], &["INBOX", "L.a"], "L.a").as_deref(), Some("1/L/a"));
        assert_eq!(meant(&["L/a"], &["L/a", "L.a"], "L.a"), None, "another mailbox");
        assert_eq!(meant(&["L/a", "L.a"], &["L.a"], "L.a").as_deref(), Some("1/L.a"));
        assert_eq!(meant(&["x/y/z"], &["x.y/z", "x/y.z"], "x.y/z"), None, "either could be");
    }
}

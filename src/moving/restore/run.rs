//! The run: page by page of the archive, batch by batch to the server, session after session as
//! far as they are lost.
//!
//! The order of a batch: 1. its copies are read and are what was stored; 2. the intent is committed;
//! 3. the octets go; 4. what the server answered is committed. Cut anywhere behind 2, its messages
//! are looked for on the server before any is sent again.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::decide::{Fate, asked, fate};
use super::look::{LookError, Looked, look};
use super::send::{BATCH, BATCH_OCTETS};
use super::{Became, Failed, Restore, RestoreError, Restored, Tell, Told};
use crate::config::Inbound;
use crate::ledger::{RestoreEnd, RestoreTarget, Tx};
use crate::mailbox::imap::ImapSession;
use crate::mailbox::{MailboxError, ReadMailbox, Target};
use crate::moving::select::{Found, Look, Walk};
use crate::poll::{PollError, open_imap};
use crate::steps;

/// Sessions in a row that may be lost without a message that was answered.
const LOSSES: u32 = 3;
/// The rest before the first new session; four times as long before each further one.
const REST: Duration = Duration::from_millis(250);
/// For so long nothing may have come into the mailbox before a message is missed there: a server
/// goes on for a while with what a lost session has sent.
const QUIET: Duration = Duration::from_millis(500);
/// Looks at a mailbox that is never quiet, as others put mail there.
const QUIET_LOOKS: u32 = 20;

/// A message on its way.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) found: Found,
    /// Sessions that ended while it was sent alone.
    pub(super) losses: u32,
}

/// Why a round ended.
pub(super) enum Halt {
    /// The session is over; another one may do.
    Lost(MailboxError),
    /// The run is over.
    End(RestoreError),
}

/// A run under way.
pub(super) struct Run<'r, 'a> {
    pub(super) restore: &'r Restore<'a>,
    /// The account, without its limit on what is fetched.
    config: Inbound,
    tell: &'r mut Tell<'r>,
    pub(super) done: Restored,
    pub(super) session: Option<ImapSession>,
    pub(super) target: Option<Target>,
    pub(super) to: RestoreTarget,
    /// The mailbox was opened only to look since it was opened for writing.
    pub(super) examined: bool,
    /// Nothing of an earlier session comes into the mailbox any more.
    is_quiet: bool,
    /// When it began: tells its records from those of other runs.
    began: Timestamp,
    pub(super) losses: u32,
    pub(super) refusals: u32,
    /// Messages that are sent one by one, as one of them may have cost the session.
    pub(super) alone: usize,
    /// The server is asked before each message.
    pub(super) wary: bool,
}

impl Restore<'_> {
    /// Puts back what is meant; `tell` is told of each copy that was looked at, and of each message
    /// that was meant what became of it.
    ///
    /// Where it ended before its end, what was done by then is told all the same.
    pub async fn run(&self, tell: &mut Tell<'_>) -> (Restored, Option<RestoreError>) {
        let config = Inbound { max_message_size: None, ..self.config.clone() };
        let (origin, mailbox) = (self.origin.clone(), self.mailbox.to_owned());
        let mut run = Run {
            restore: self,
            config,
            tell,
            done: Restored::default(),
            session: None,
            target: None,
            to: RestoreTarget { origin, mailbox, uid_validity: 0, uid_from: 0 },
            examined: false,
            is_quiet: false,
            began: self.clock.now(),
            losses: 0,
            refusals: 0,
            alone: 0,
            wary: false,
        };
        let ended = run.all().await.err();
        if let Some(session) = run.session.take() {
            // The farewell changes nothing any more.
            drop(session.quit().await);
        }
        (run.done, ended)
    }
}

impl Run<'_, '_> {
    async fn all(&mut self) -> Result<(), RestoreError> {
        let Restore { ledger, root, selection, config, id, .. } = self.restore;
        let mut walk = Walk::new(ledger, root, selection, &config.name);
        let (mut items, mut octets) = (VecDeque::new(), 0_u64);
        while let Some(look) = walk.next().await? {
            (self.tell)(None);
            match look {
                Look::Found(found) if found.facts.id.starts_with(id) => {
                    octets = octets.saturating_add(found.copy.size);
                    items.push_back(Item { found: *found, losses: 0 });
                }
                Look::Found(_) | Look::Other => {}
                Look::Unreadable(path, why) => self.fail(&path, why),
            }
            if items.len() >= steps::batch(BATCH) || octets >= BATCH_OCTETS {
                self.page(&mut items).await?;
                octets = 0;
            }
        }
        self.page(&mut items).await
    }

    /// Puts a page back, in as many sessions as it takes.
    async fn page(&mut self, items: &mut VecDeque<Item>) -> Result<(), RestoreError> {
        while !items.is_empty() {
            match self.round(items).await {
                Ok(()) => self.losses = 0,
                Err(Halt::End(error)) => return Err(error),
                Err(Halt::Lost(error)) => {
                    (self.session, self.target, self.is_quiet) = (None, None, false);
                    self.losses = self.losses.saturating_add(1);
                    if self.losses > LOSSES {
                        return Err(RestoreError::Session(error));
                    }
                    tracing::debug!(target: "archive", %error, "session lost, another one is opened");
                    let times = 4_u32.saturating_pow(self.losses.saturating_sub(1));
                    tokio::time::sleep(REST.saturating_mul(times)).await;
                }
            }
        }
        Ok(())
    }

    /// One batch: what of a page is decided without sending, and the first messages that are sent.
    async fn round(&mut self, items: &mut VecDeque<Item>) -> Result<(), Halt> {
        self.enter().await?;
        let fates = self.fates(items).await?;
        let is_missed = |fate: &Fate| matches!(fate, Fate::Look { .. });
        if fates.iter().any(is_missed) && !self.restore.dry_run {
            self.quiet().await?;
        }
        let mut left = VecDeque::new();
        for (item, fate) in items.drain(..).zip(fates) {
            left.push_back((item, fate));
        }
        let settled = self.settle(&mut left, items).await;
        items.extend(left.into_iter().map(|(item, _)| item));
        settled?;
        if self.restore.dry_run {
            for item in items.drain(..) {
                self.count(&item.found, Became::Restored, None);
            }
            return Ok(());
        }
        self.send(items).await
    }

    /// Waits until nothing comes into the mailbox any more; once in a session.
    async fn quiet(&mut self) -> Result<(), Halt> {
        let Some(session) = self.session.as_mut().filter(|_| !self.is_quiet) else { return Ok(()) };
        self.examined = true;
        let mut before = None;
        for _ in 0..QUIET_LOOKS {
            let now = session.open(&self.to.mailbox).await?;
            if before.as_ref() == Some(&now) {
                break;
            }
            before = Some(now);
            tokio::time::sleep(QUIET).await;
        }
        self.is_quiet = true;
        Ok(())
    }

    /// Takes those off whose fate is no sending; the others go on, in order.
    async fn settle(
        &mut self,
        left: &mut VecDeque<(Item, Fate)>,
        on: &mut VecDeque<Item>,
    ) -> Result<(), Halt> {
        while let Some((item, fate)) = left.front() {
            let (found, fate) = (&item.found.clone(), *fate);
            let goes_on = match fate {
                Fate::Append => self.fits(found),
                Fate::Before => {
                    self.count(found, Became::Before, None);
                    false
                }
                Fate::There(uid) => {
                    self.count(found, Became::There, Some(uid));
                    false
                }
                Fate::Look { .. } if self.restore.dry_run => {
                    self.count(found, Became::Unsure, None);
                    false
                }
                Fate::Look { from } => self.looked(found, from).await?,
            };
            let Some((item, _)) = left.pop_front() else { break };
            if goes_on {
                on.push_back(item);
            }
        }
        Ok(())
    }

    /// Whether the mailbox takes a message of this size; one that it doesn't is told.
    fn fits(&mut self, found: &Found) -> bool {
        let limit = self.target.as_ref().and_then(|target| target.limit);
        let Some(limit) = limit.filter(|limit| found.copy.size > *limit) else { return true };
        let why = format!("larger than the {limit} octets that the server takes (APPENDLIMIT)");
        self.fail(&found.copy.path, why);
        false
    }

    /// Looks for a message; true when it is to be sent.
    async fn looked(&mut self, found: &Found, from: u32) -> Result<bool, Halt> {
        let Some(session) = &mut self.session else { return Ok(false) };
        self.examined = true;
        let looked = look(self.restore, session, found, &self.to, from).await;
        match looked {
            Ok(Looked::NotThere) => Ok(self.fits(found)),
            Ok(Looked::There(uid)) => {
                let (to, now) = (self.to.clone(), self.restore.clock.now());
                let message = vec![(found.facts.id.clone(), found.copy.sha256)];
                let begin = move |tx: &Tx<'_>| tx.restore_begins(&to, &message, now);
                self.restore.ledger.write("record what was found", begin).await?;
                self.commit(vec![(found.facts.id.clone(), RestoreEnd::There(uid))]).await?;
                self.count(found, Became::There, Some(uid));
                Ok(false)
            }
            Ok(Looked::Unsure(why)) => {
                self.fail(&found.copy.path, why);
                Ok(false)
            }
            Err(LookError::Session(error)) => Err(Halt::Lost(error)),
            Err(LookError::Run(error)) => Err(Halt::End(error)),
        }
    }

    /// What becomes of each message, by ledger and server.
    async fn fates(&mut self, items: &VecDeque<Item>) -> Result<Vec<Fate>, Halt> {
        let ids: Vec<String> = items.iter().map(|item| item.found.facts.id.clone()).collect();
        let rows: Vec<i64> = items.iter().map(|item| item.found.copy.row).collect();
        let to = self.to.clone();
        let read =
            move |tx: &Tx<'_>| Ok((tx.restored(&to.origin, &to.mailbox, &ids)?, tx.homes(&rows)?));
        let (known, homes) = self.restore.ledger.read("read what was put back", read).await?;
        let wish = self.restore.wish;
        let asked: Vec<Vec<u32>> = known
            .iter()
            .zip(&homes)
            .map(|(row, home)| asked(row.as_ref(), home.as_ref(), &self.to, wish.again))
            .collect();
        let uids: Vec<u32> = asked.iter().flatten().copied().collect();
        let mut there = BTreeSet::new();
        if let Some(session) = self.session.as_mut().filter(|_| !uids.is_empty()) {
            self.examined = true;
            session.open(&self.to.mailbox).await?;
            there = session.still_there(&uids).await?;
        }
        let fates = known.iter().zip(&asked);
        Ok(fates.map(|(row, uids)| fate(row.as_ref(), (uids, &there), &self.to, wish)).collect())
    }

    /// Opens a session and the mailbox, if none is open.
    async fn enter(&mut self) -> Result<(), Halt> {
        if self.session.is_some() && self.target.is_some() {
            return Ok(());
        }
        let Restore { keyring, ledger, wary, dry_run, mailbox, .. } = self.restore;
        let counted = (!dry_run).then_some(*ledger);
        let opened = open_imap(&self.config, keyring, counted, *wary && self.losses == 0).await;
        let mut session = opened.map_err(|error| match error {
            PollError::Mailbox(error @ MailboxError::Net(_)) if self.losses > 0 => {
                Halt::Lost(error)
            }
            error => Halt::End(RestoreError::Opening(error)),
        })?;
        let target = match session.target(mailbox, !dry_run).await {
            Err(MailboxError::NoMailbox { mailbox, said }) => {
                self.missing(&mut session, mailbox, said).await?
            }
            target => target?,
        };
        self.entered(target);
        self.session = Some(session);
        Ok(())
    }

    /// Notes what the mailbox says now.
    pub(super) fn entered(&mut self, target: Target) {
        self.to.mailbox.clone_from(&target.mailbox);
        self.to.uid_validity = target.uid_validity;
        self.to.uid_from = target.uid_next;
        (self.target, self.examined) = (Some(target), false);
    }

    /// Makes the mailbox where that is wanted.
    async fn missing(
        &mut self,
        session: &mut ImapSession,
        mailbox: String,
        said: String,
    ) -> Result<Target, Halt> {
        if !self.restore.wish.create {
            return Err(Halt::End(RestoreError::NoMailbox { mailbox, said }));
        }
        self.done.created = true;
        if self.restore.dry_run {
            let (uid_validity, uid_next) = (0, 0);
            let (keeps, limit) = (None, None);
            return Ok(Target { mailbox, uid_validity, uid_next, keeps, limit, binary: false });
        }
        match session.create(&mailbox).await {
            Ok(()) => {}
            Err(MailboxError::Refused { said, .. }) => {
                self.done.created = false;
                return Err(Halt::End(RestoreError::NotMade { mailbox, said }));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(session.target(&mailbox, true).await?)
    }

    /// Commits answers, and has what was put there count as known to who polls it; how many messages
    /// do not.
    pub(super) async fn commit_known(
        &self,
        ends: Vec<(String, RestoreEnd)>,
        uids: Vec<u32>,
    ) -> Result<u64, Halt> {
        let put = ends.iter().filter(|(_, end)| *end != RestoreEnd::NotThere).count() as u64;
        let (pollers, to, at) = (self.restore.pollers.clone(), self.to.clone(), self.began);
        let commit = move |tx: &Tx<'_>| {
            tx.restore_ends(&to, &ends)?;
            let mut unknown = 0;
            for poller in pollers.iter().filter(|_| put > 0) {
                let known = tx.restored_are_known(poller, &to, &uids, at)?;
                let known = if known { uids.len() as u64 } else { 0 };
                unknown = put.saturating_sub(known).max(unknown);
            }
            Ok(unknown)
        };
        Ok(self.restore.ledger.write("commit what was put back", commit).await?)
    }

    pub(super) async fn commit(&self, ends: Vec<(String, RestoreEnd)>) -> Result<(), Halt> {
        let uids = ends.iter().filter_map(|(_, end)| match end {
            RestoreEnd::There(uid) if *uid > 0 => Some(*uid),
            _ => None,
        });
        let uids = uids.collect();
        self.commit_known(ends, uids).await.map(drop)
    }

    pub(super) fn count(&mut self, found: &Found, became: Became, uid: Option<u32>) {
        let counter = match became {
            Became::Restored => &mut self.done.restored,
            Became::There => &mut self.done.there,
            Became::Before => &mut self.done.before,
            Became::Unsure | Became::Failed => &mut self.done.unsure,
        };
        *counter = counter.saturating_add(1);
        if became == Became::Restored {
            self.done.octets = self.done.octets.saturating_add(found.copy.size);
        }
        (self.tell)(Some(&Told { path: &found.copy.path, became, uid, why: None }));
    }

    pub(super) fn fail(&mut self, path: &str, why: String) {
        let told = Told { path, became: Became::Failed, uid: None, why: Some(&why) };
        (self.tell)(Some(&told));
        self.done.failed.push(Failed { path: path.to_owned(), why });
    }
}

impl From<MailboxError> for Halt {
    fn from(error: MailboxError) -> Self {
        Self::Lost(error)
    }
}

impl From<crate::ledger::LedgerError> for Halt {
    fn from(error: crate::ledger::LedgerError) -> Self {
        Self::End(error.into())
    }
}

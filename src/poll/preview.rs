//! What the next poll would do: the same plan, not carried out.
//!
//! Works on a session that can only read, by type.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::credentials::{Keys, connect_imap, connect_pop3};
use super::error::PollError;
use super::{Clock, Keyring, ages, folders};
use crate::config::{Inbound, Protocol};
use crate::ledger::{Ledger, MailboxId};
use crate::mailbox::ReadMailbox;
use crate::model::{
    Delete, DeletesHeld, Fetch, Keep, Known, LeftOver, Listed, Listing, MessageKey, Plan, Skip,
};
use crate::plan::{Budget, Conditions, Rules, plan};

/// The plan of one account.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// The account.
    pub account: String,
    /// When it was made.
    pub now: Timestamp,
    /// How messages leave the server, as the config has it.
    pub delete_mode: String,
    /// Each mailbox's plan.
    pub mailboxes: Vec<MailboxPlan>,
}

/// The plan of one mailbox, all windows together.
#[derive(Debug, Serialize)]
pub struct MailboxPlan {
    /// Its name; empty for a maildrop.
    pub mailbox: String,
    /// Messages that the server listed.
    pub listed: u64,
    /// To be fetched.
    pub fetch: Vec<Fetch>,
    /// To be deleted.
    pub delete: Vec<Delete>,
    /// Skipped by rules.
    pub skip: Vec<Skip>,
    /// Known, left alone.
    pub keep: Vec<Keep>,
    /// Wanted, later.
    pub left_over: Vec<LeftOver>,
}

/// Makes previews of one account.
#[derive(Debug)]
pub struct Previewer {
    /// Its configuration.
    pub config: Arc<Inbound>,
    /// The ledger, opened for reading.
    pub ledger: Ledger,
    /// The clocks.
    pub clock: Clock,
    /// What resolves the account's secrets.
    pub keyring: Keyring,
}

impl Previewer {
    /// Plans the next poll; changes nothing on either side.
    pub async fn preview(&self) -> Result<Preview, PollError> {
        let config = &self.config;
        let keys = Keys::new(config, &self.keyring, self.clock);
        match config.protocol {
            Protocol::Imap => self.walk(connect_imap(config, &keys).await?).await,
            Protocol::Pop3 => self.walk(connect_pop3(config, &keys).await?).await,
        }
    }

    async fn walk<M: ReadMailbox>(&self, mut session: M) -> Result<Preview, PollError> {
        let rules = Rules::of(&self.config);
        let mut budget = Budget::of(&rules);
        if self.config.drain {
            budget = Budget::of(&Rules { batch_max: None, batch_max_bytes: None, ..rules.clone() });
        }
        let held = self.deletes_held(&session).await?;
        let mut mailboxes = Vec::new();
        for name in folders::choose(&self.config, &mut session).await? {
            mailboxes.push(self.mailbox(&mut session, &name, (&rules, held), &mut budget).await?);
        }
        session.quit().await?;
        let account = self.config.name.to_string();
        let delete_mode = self.config.delete_mode.to_string();
        Ok(Preview { account, now: self.clock.now(), delete_mode, mailboxes })
    }

    /// Why the next poll would delete nothing, as far as ledger and server tell without being
    /// changed. What its look at the mailbox and at the copies finds is not known yet.
    async fn deletes_held<M: ReadMailbox>(
        &self,
        session: &M,
    ) -> Result<Option<DeletesHeld>, PollError> {
        let (name, mark) = (Arc::clone(&self.config.name), self.clock.mark());
        let look = move |tx: &crate::ledger::Tx<'_>| {
            let row = tx.account(&name)?.unwrap_or_default();
            let doubt = row.clock_hold > 0 || tx.doubts_clock(&mark)?;
            Ok((row.delete_stop.is_some(), doubt))
        };
        let (stopped, doubt) = self.ledger.read("read an account", look).await?;
        Ok(match (stopped, doubt, session.can_delete()) {
            (true, ..) => Some(DeletesHeld::Stopped),
            (false, true, _) => Some(DeletesHeld::ClockDoubt),
            (false, false, false) => Some(DeletesHeld::NotOffered),
            (false, false, true) => None,
        })
    }

    async fn mailbox<M: ReadMailbox>(
        &self,
        session: &mut M,
        name: &str,
        (rules, held): (&Rules, Option<DeletesHeld>),
        budget: &mut Budget,
    ) -> Result<MailboxPlan, PollError> {
        let opened = session.open(name).await?;
        let (account, mailbox) = (Arc::clone(&self.config.name), name.to_owned());
        let find = move |tx: &crate::ledger::Tx<'_>| tx.find_mailbox(&account, &mailbox);
        let row = self.ledger.read("find a mailbox", find).await?;
        let before = row.as_ref().and_then(|row| row.uid_validity);
        let changed = before.is_some() && before != opened.uid_validity;
        let held = held.or(changed.then_some(DeletesHeld::UidValidityChanged));
        let row = row.map(|row| row.id);
        let mut all = MailboxPlan::new(name);
        while let Some(mut listing) = session.next_window().await? {
            let known = self.known(row, &listing).await?;
            if rules.ask_age() {
                self.date(session, row, &mut listing, &known).await?;
            }
            let conditions = Conditions { held };
            let now = self.clock.now();
            all.add(&listing, plan(&listing, &known, rules, &conditions, budget, now));
        }
        Ok(all)
    }

    async fn known(&self, row: Option<MailboxId>, listing: &Listing) -> Result<Known, PollError> {
        let Some(id) = row else { return Ok(Known::new()) };
        let listed = listing.messages.clone();
        Ok(self.ledger.read("read messages", move |tx| tx.known_listed(id, &listed)).await?)
    }

    /// As `poll::ages` does, without keeping what is learnt.
    async fn date<M: ReadMailbox>(
        &self,
        session: &mut M,
        row: Option<MailboxId>,
        listing: &mut Listing,
        known: &Known,
    ) -> Result<(), PollError> {
        let undated = |l: &&mut Listed| l.received.is_none() && !known.contains_key(&l.key);
        let mut undated: Vec<&mut Listed> = listing.messages.iter_mut().filter(undated).collect();
        if let Some(id) = row {
            let keys: Vec<MessageKey> = undated.iter().map(|l| l.key.clone()).collect();
            let kept =
                self.ledger.read("read received dates", move |tx| tx.seen(id, &keys)).await?;
            for (listed, kept) in undated.iter_mut().zip(kept) {
                listed.received = kept;
            }
            undated.retain(|listed| listed.received.is_none());
        }
        let mut rest = undated.as_mut_slice();
        while !rest.is_empty() {
            let asked = rest.iter().take(ages::AT_ONCE);
            let wanted: Vec<Listed> = asked.map(|listed| (**listed).clone()).collect();
            let headers = session.headers(&wanted).await?;
            let (now, dated) = (self.clock.now(), headers.len());
            for (listed, header) in rest.iter_mut().zip(headers) {
                listed.received = Some(ages::received(header, now));
            }
            rest = rest.get_mut(dated..).unwrap_or_default();
        }
        Ok(())
    }
}

impl MailboxPlan {
    fn new(mailbox: &str) -> Self {
        Self {
            mailbox: mailbox.to_owned(),
            listed: 0,
            fetch: Vec::new(),
            delete: Vec::new(),
            skip: Vec::new(),
            keep: Vec::new(),
            left_over: Vec::new(),
        }
    }

    fn add(&mut self, listing: &Listing, plan: Plan) {
        self.listed = self.listed.saturating_add(listing.messages.len() as u64);
        self.fetch.extend(plan.fetch);
        self.delete.extend(plan.delete);
        self.skip.extend(plan.skip);
        self.keep.extend(plan.keep);
        self.left_over.extend(plan.left_over);
    }
}

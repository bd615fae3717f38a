//! What the next poll would do: the same plan, not carried out.
//!
//! Works on a session that can only read, by type.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::credentials::{Keys, connect_imap, connect_pop3};
use super::error::PollError;
use super::identity::{Epoch, origin_of};
use super::sift::may_leave_out;
use super::{Clock, Configured, Keyring, ages, folders, refuse_namesake};
use crate::config::{Inbound, Protocol};
use crate::ledger::{Ledger, MailboxId, Tx};
use crate::mailbox::ReadMailbox;
use crate::model::{
    Delete, DeleteMode, DeletesHeld, Fetch, Keep, Known, KnownState, LeftOver, Listed, Listing,
    MessageKey, Plan, Skip,
};
use crate::plan::{Budget, Conditions, Rules, due_when_stored, plan};

/// The plan of one account.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// The account.
    pub account: String,
    /// When it was made.
    pub now: Timestamp,
    /// How messages leave the server, as the config has it.
    pub delete_mode: String,
    /// Rules may leave some of what is fetched out of the archive; which, is known only then.
    pub may_leave_out: bool,
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
    /// Of those to be fetched: how many are due to be deleted as soon as they are stored.
    pub delete_when_stored: u64,
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
    /// Another configuration of the same mailboxes: it is planned by, too, from the same listing.
    pub other: Option<Arc<Inbound>>,
    /// The ledger, opened for reading.
    pub ledger: Ledger,
    /// The clocks.
    pub clock: Clock,
    /// What resolves the account's secrets.
    pub keyring: Keyring,
    /// The names of all inbound accounts in the config.
    pub configured: Configured,
    /// The archive root is on a network file system, from which nothing may be deleted.
    pub network_root: bool,
}

/// One configuration, and what it leads to.
struct Side {
    config: Arc<Inbound>,
    rules: Rules,
    budget: Budget,
    conditions: Conditions,
    mailboxes: Vec<MailboxPlan>,
}

/// What is asked of the ledger about the whole account.
struct Standing {
    /// The name under which its mail is known.
    name: String,
    held: Option<DeletesHeld>,
    origin: String,
}

impl Previewer {
    /// Plans the next poll; changes nothing on either side.
    pub async fn preview(&self) -> Result<Preview, PollError> {
        self.both().await.map(|(preview, _)| preview)
    }

    /// Plans the next poll by both configurations, of one and the same listing.
    pub async fn both(&self) -> Result<(Preview, Option<Preview>), PollError> {
        let config = &self.config;
        let keys = Keys::new(config, &self.keyring, self.clock);
        match config.protocol {
            Protocol::Imap => self.both_in(connect_imap(config, &keys).await?).await,
            Protocol::Pop3 => self.both_in(connect_pop3(config, &keys).await?).await,
        }
    }

    /// The same in an open session.
    pub(super) async fn both_in<M: ReadMailbox>(
        &self,
        session: M,
    ) -> Result<(Preview, Option<Preview>), PollError> {
        let standing = self.standing().await?;
        let origin = (&*self.config, &*standing.origin);
        refuse_namesake(origin, &self.configured, &self.ledger).await?;
        let sides = self.walk(session, &standing).await?;
        let mut previews = sides.into_iter().map(|side| Preview {
            account: side.config.name.to_string(),
            now: self.clock.now(),
            delete_mode: side.config.delete_mode.to_string(),
            may_leave_out: may_leave_out(&side.config),
            mailboxes: side.mailboxes,
        });
        let Some(first) = previews.next() else { return Err(PollError::Cancelled) };
        Ok((first, previews.next()))
    }

    async fn walk<M: ReadMailbox>(
        &self,
        mut session: M,
        standing: &Standing,
    ) -> Result<Vec<Side>, PollError> {
        let configs = [Some(&self.config), self.other.as_ref()];
        let mut sides: Vec<Side> = configs.into_iter().flatten().map(Side::new).collect();
        let mut names: Vec<String> = Vec::new();
        let mut polled = Vec::new();
        for side in &mut sides {
            let lacks =
                |how: &DeleteMode| (!session.can_delete(how)).then_some(DeletesHeld::NotOffered);
            side.conditions = Conditions {
                held: standing.held,
                deletes: lacks(&side.config.delete_mode),
                moves: lacks(&DeleteMode::Move(String::new())),
            };
            let own = folders::choose(&side.config, &mut session).await?;
            names.extend(
                own.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>(),
            );
            polled.push(own);
        }
        for name in names {
            let its: Vec<&mut Side> = sides
                .iter_mut()
                .zip(&polled)
                .filter_map(|(side, own)| own.contains(&name).then_some(side))
                .collect();
            self.mailbox(&mut session, (&name, standing), its).await?;
        }
        session.quit().await?;
        Ok(sides)
    }

    /// What goes for the whole account, as far as ledger and root tell without being changed: why
    /// the next poll would delete nothing, and whose mail the ledger has.
    async fn standing(&self) -> Result<Standing, PollError> {
        let origin = origin_of(&self.config, &self.keyring, &self.ledger).await?;
        let (name, mark) = (Arc::clone(&self.config.name), self.clock.mark());
        let renamed = self.config.renamed_from.clone();
        let look = move |tx: &Tx<'_>| {
            let name = tx.known_as(&name, renamed.as_deref())?;
            let row = tx.account(&name)?.unwrap_or_default();
            let doubt = row.clock_hold > 0 || tx.doubts_clock(&mark)?;
            Ok((name, row.delete_stop.is_some(), doubt))
        };
        let (name, stopped, doubt) = self.ledger.read("read an account", look).await?;
        let held = match (stopped, doubt, self.network_root) {
            (true, ..) => Some(DeletesHeld::Stopped),
            (false, true, _) => Some(DeletesHeld::ClockDoubt),
            (false, false, true) => Some(DeletesHeld::NetworkRoot),
            (false, false, false) => None,
        };
        Ok(Standing { name, held, origin })
    }

    async fn mailbox<M: ReadMailbox>(
        &self,
        session: &mut M,
        (name, standing): (&str, &Standing),
        mut sides: Vec<&mut Side>,
    ) -> Result<(), PollError> {
        let opened = session.open(name).await?;
        let (account, mailbox) = (standing.name.clone(), name.to_owned());
        let find = move |tx: &Tx<'_>| tx.find_mailbox(&account, &mailbox);
        let row = self.ledger.read("find a mailbox", find).await?;
        let epoch =
            row.as_ref().map_or(Epoch::First, |row| Epoch::of(&standing.origin, row, &opened));
        let row = row.map(|row| row.id);
        let mut plans: Vec<MailboxPlan> = sides.iter().map(|_| MailboxPlan::new(name)).collect();
        while let Some(mut listing) = session.next_window().await? {
            let mut known = self.known(row, &listing).await?;
            if epoch == Epoch::Moved {
                known = doubted(known);
            }
            if sides.iter().any(|side| side.rules.ask_age()) {
                date((&self.ledger, self.clock), session, row, &mut listing, &known).await?;
            }
            let now = self.clock.now();
            for (side, all) in sides.iter_mut().zip(&mut plans) {
                let held = side.conditions.held.or(epoch.holds());
                let conditions = Conditions { held, ..side.conditions };
                let budget = &mut side.budget;
                let plan = plan(&listing, &known, &side.rules, &conditions, budget, now);
                let due = plan.fetch.iter().filter(|f| due_when_stored(f, &side.rules, now));
                all.delete_when_stored = all.delete_when_stored.saturating_add(due.count() as u64);
                all.add(&listing, plan);
            }
        }
        for (side, plan) in sides.iter_mut().zip(plans) {
            side.mailboxes.push(plan);
        }
        Ok(())
    }

    async fn known(&self, row: Option<MailboxId>, listing: &Listing) -> Result<Known, PollError> {
        let Some(id) = row else { return Ok(Known::new()) };
        let listed = listing.messages.clone();
        Ok(self.ledger.read("read messages", move |tx| tx.known_listed(id, &listed)).await?)
    }
}

impl Side {
    fn new(config: &Arc<Inbound>) -> Self {
        let rules = Rules::of(config);
        let mut budget = Budget::of(&rules);
        if config.drain {
            budget = Budget::of(&Rules { batch_max: None, batch_max_bytes: None, ..rules.clone() });
        }
        Self {
            config: Arc::clone(config),
            rules,
            budget,
            conditions: Conditions::default(),
            mailboxes: Vec::new(),
        }
    }
}

/// What is known once server or user of the account have changed: keys mean other messages, what
/// has no copy is forgotten.
fn doubted(known: Known) -> Known {
    let doubt = |(listed, state)| {
        let key = match state {
            KnownState::Stored(copy) => copy.key,
            KnownState::Deleted { key, .. } | KnownState::Other { key } => key,
            KnownState::CaughtUp { .. }
            | KnownState::Held { .. }
            | KnownState::Placing { .. }
            | KnownState::Skipped { .. } => return None,
        };
        Some((listed, KnownState::Other { key }))
    };
    known.into_iter().filter_map(doubt).collect()
}

/// As `poll::ages` does, without keeping what is learnt.
pub(super) async fn date<M: ReadMailbox>(
    (ledger, clock): (&Ledger, Clock),
    session: &mut M,
    row: Option<MailboxId>,
    listing: &mut Listing,
    known: &Known,
) -> Result<(), PollError> {
    let undated = |l: &&mut Listed| l.received.is_none() && !known.contains_key(&l.key);
    let mut undated: Vec<&mut Listed> = listing.messages.iter_mut().filter(undated).collect();
    if let Some(id) = row {
        let keys: Vec<MessageKey> = undated.iter().map(|l| l.key.clone()).collect();
        let kept = ledger.read("read received dates", move |tx| tx.seen(id, &keys)).await?;
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
        let (now, dated) = (clock.now(), headers.len());
        for (listed, header) in rest.iter_mut().zip(headers) {
            listed.received = Some(ages::received(header, now));
        }
        rest = rest.get_mut(dated..).unwrap_or_default();
    }
    Ok(())
}

impl MailboxPlan {
    fn new(mailbox: &str) -> Self {
        Self {
            mailbox: mailbox.to_owned(),
            listed: 0,
            fetch: Vec::new(),
            delete: Vec::new(),
            delete_when_stored: 0,
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

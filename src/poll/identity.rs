//! Whose messages a mailbox's keys mean, and where its copies are when they mean others by now.
//!
//! Keys go out of date when UIDVALIDITY changes, when an account is pointed at another server or
//! user, when a mailbox gets another name, and when a server gives all messages new unique-ids.
//! Copies are then found again by size, INTERNALDATE and header section, without a download, and
//! else by their content.

use std::collections::BTreeSet;
use std::sync::Arc;

use data_encoding::HEXLOWER;

use super::Account;
use super::Keyring;
use super::ages::{AT_ONCE, ends_the_session};
use super::commit::blocking;
use super::error::PollError;
use super::presence::{Presence, shown};
use crate::config::Inbound;
use crate::ledger::{Ledger, MailboxId, MailboxRow, Tx};
use crate::mail;
use crate::mailbox::{Opened, ReadMailbox};
use crate::model::{self, DeletesHeld, Known, KnownState, Listed, Listing, Sighting};
use crate::plan::{may_be_renumbered, pair};
use crate::secret;

/// Maildrops with fewer messages change too often for a warning.
const WARN_FROM: usize = 10;

/// Whose mailbox an account's messages are keyed by. A user name that is kept elsewhere counts by
/// its mark.
pub(super) async fn origin(account: &Account) -> Result<String, PollError> {
    origin_of(&account.config, &account.tools.keyring(), &account.tools.ledger).await
}

/// The same, where there is nothing to poll with.
pub async fn origin_of(
    config: &Inbound,
    keyring: &Keyring,
    ledger: &Ledger,
) -> Result<String, PollError> {
    let user = match keyring.hidden_user(config).await? {
        None => config.user.clone(),
        Some(user) => {
            let salt = ledger.identity().salt.unwrap_or_default();
            let mark = move || Ok(secret::mark(&user, salt.as_bytes()));
            format!("#{}", HEXLOWER.encode(&blocking(mark).await?))
        }
    };
    Ok(model::origin(config.protocol.as_str(), &user, &config.host))
}

/// How what is opened relates to what the ledger keyed its messages by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Epoch {
    /// UIDVALIDITY changed.
    Changed,
    /// The mailbox is new.
    First,
    /// Server or user of the account changed.
    Moved,
    /// Nothing changed.
    Same,
}

impl Epoch {
    pub(super) fn of(origin: &str, row: &MailboxRow, opened: &Opened) -> Self {
        if !row.origin.is_empty() && row.origin != origin {
            return Self::Moved;
        }
        match (row.uid_validity, opened.uid_validity) {
            (before, now) if before == now => Self::Same,
            (Some(_), _) => Self::Changed,
            (None, _) => Self::First,
        }
    }

    /// Why nothing may be deleted in this poll.
    pub(super) fn holds(self) -> Option<DeletesHeld> {
        match self {
            Self::Changed => Some(DeletesHeld::UidValidityChanged),
            Self::Moved => Some(DeletesHeld::IdentityChanged),
            Self::First | Self::Same => None,
        }
    }

    /// Records what the messages are keyed by from now on.
    pub(super) async fn enter(
        self,
        account: &Account,
        origin: &str,
        row: &MailboxRow,
        opened: &Opened,
    ) -> Result<(), PollError> {
        let (origin, id, now) = (origin.to_owned(), row.id, opened.uid_validity);
        let begun_anew = begun_anew(row, opened);
        if self == Self::Same && row.origin == origin && !begun_anew {
            return Ok(());
        }
        match self {
            Self::Changed => tracing::warn!(
                target: "incoming",
                code = "uidvalidity-changed",
                mailbox = row.name,
                before = row.uid_validity,
                now = opened.uid_validity,
                "UIDVALIDITY changed: messages are matched by facts and content, nothing is \
                 deleted in this poll"
            ),
            Self::Moved => tracing::warn!(
                target: "incoming",
                code = "account-moved",
                mailbox = row.name,
                before = row.origin,
                now = origin,
                "The account's server or user changed: messages are matched by facts and content, \
                 nothing is deleted in this poll"
            ),
            Self::First | Self::Same => {}
        }
        let set = move |tx: &Tx<'_>| {
            tx.set_origin(id, &origin)?;
            // What was caught up with is told by keys alone: by others it is new mail.
            let ended = match self {
                Self::Changed | Self::Moved => tx.end_catch_ups(id)?,
                Self::First | Self::Same if begun_anew => tx.end_catch_ups(id)?,
                Self::First | Self::Same => 0,
            };
            if self == Self::Moved {
                tx.doubt_all(id)?;
            }
            if self != Self::Same {
                tx.set_uid_validity(id, now)?;
            }
            Ok(ended)
        };
        let ended = account.tools.ledger.write("set UIDVALIDITY", set).await?;
        if ended > 0 {
            tracing::warn!(
                target: "incoming",
                code = "catch-up-ended",
                mailbox = row.name,
                n = ended,
                "{ended} messages that a catch-up had left alone can't be told from others any \
                 more: they are fetched"
            );
        }
        Ok(())
    }
}

/// Whether UIDs were begun anew since a catch-up, under the same UIDVALIDITY: it holds no more.
pub(super) fn begun_anew(row: &MailboxRow, opened: &Opened) -> bool {
    let is_lower = |then: u32| opened.uid_next.is_some_and(|next| next < then);
    row.caught_up_next.is_some_and(is_lower)
}

/// Where copies with out-of-date keys may be.
#[derive(Clone, Debug)]
pub(super) struct Formers {
    /// The mailbox whose messages they may be.
    pub(super) mailbox: MailboxId,
    /// Mailboxes of the account that are polled no more, or that the server has no more.
    pub(super) others: Vec<MailboxId>,
    /// UIDVALIDITY of the keys that are in force; 0 for a maildrop.
    pub(super) uid_validity: u32,
    /// There are such copies: what is fetched is compared with them.
    pub(super) any: bool,
    /// The mailbox has not been listed whole since its keys changed, so that facts are compared
    /// before anything is fetched.
    pub(super) by_facts: bool,
    /// A header section has ended a session, so that they aren't.
    pub(super) no_facts: bool,
}

impl Formers {
    pub(super) async fn find(
        account: &Account,
        row: &MailboxRow,
        opened: &Opened,
        polled: &[String],
    ) -> Result<Self, PollError> {
        let (name, id, polled) = (Arc::clone(&account.config.name), row.id, polled.to_vec());
        let uid_validity = opened.uid_validity.unwrap_or(0);
        let no_facts = row.no_facts;
        let read = move |tx: &Tx<'_>| {
            let mut others = tx.former_mailboxes(&name, &polled)?;
            others.retain(|other| *other != id);
            let any = tx.has_former(id, uid_validity, &others)?;
            Ok(Self { mailbox: id, others, uid_validity, any, by_facts: false, no_facts })
        };
        Ok(account.tools.ledger.read("look for older identities", read).await?)
    }

    /// Re-keys the copies of listed messages that facts alone tell from all others; how many.
    pub(super) async fn rekey<M: ReadMailbox>(
        &self,
        account: &Account,
        session: &mut M,
        listing: &Listing,
        known: &Known,
    ) -> Result<u32, PollError> {
        if !self.any || !self.by_facts || self.no_facts {
            return Ok(0);
        }
        let is_new =
            |l: &&Listed| matches!(known.get(&l.key), None | Some(KnownState::Other { .. }));
        let new: Vec<&Listed> = listing.messages.iter().filter(is_new).collect();
        let sizes: BTreeSet<u64> = new.iter().filter_map(|listed| listed.size).collect();
        let ledger = &account.tools.ledger;
        let (id, others, uid_validity) = (self.mailbox, self.others.clone(), self.uid_validity);
        let read = move |tx: &Tx<'_>| tx.formers(id, uid_validity, &others, &sizes);
        let formers = ledger.read("read older identities", read).await?;
        let found: BTreeSet<u64> = formers.iter().filter_map(|former| former.size).collect();
        let mut wanted: Vec<Listed> = new.into_iter().cloned().collect();
        wanted.retain(|listed| listed.size.is_some_and(|size| found.contains(&size)));
        let mut sightings = Vec::with_capacity(wanted.len());
        let asked = sight(account, session, &wanted, &mut sightings).await;
        let pairs = pair(&sightings, &formers).into_iter();
        let pairs: Vec<(Sighting, i64)> =
            pairs.filter_map(|(at, row)| Some((sightings.get(at)?.clone(), row))).collect();
        // A server that ends the session at a header section would end each poll there.
        let stuck = pairs.is_empty() && asked.as_ref().is_err_and(ends_the_session);
        if stuck {
            ledger.write("record a lost session", move |tx| tx.set_no_facts(id)).await?;
        }
        let write = move |tx: &Tx<'_>| tx.rekey_by_facts(id, &pairs);
        let n = ledger.write("re-key messages", write).await?;
        asked?;
        if n == 0 {
            return Ok(0);
        }
        tracing::debug!(
            target: "incoming",
            code = "rekeyed",
            n,
            "{n} messages were found again without a download"
        );
        Ok(n)
    }
}

/// Asks for the header sections of messages, as far as the session lasts.
async fn sight<M: ReadMailbox>(
    account: &Account,
    session: &mut M,
    wanted: &[Listed],
    sightings: &mut Vec<Sighting>,
) -> Result<(), PollError> {
    for chunk in wanted.chunks(AT_ONCE) {
        let headers = account.unless_stopped(session.headers(chunk)).await?;
        for (listed, header) in chunk.iter().zip(headers) {
            let Some(header) = header.and_then(|header| mail::fingerprint(&header)) else {
                continue;
            };
            let Listed { key, alone, size, internal_date, .. } = listed.clone();
            sightings.push(Sighting { key, alone, size, internal_date, header });
        }
    }
    Ok(())
}

/// What goes for the keys of a whole mailbox, before anything is decided about its messages.
#[derive(Debug, Default)]
pub(super) struct Survey {
    listed: usize,
    unknown: usize,
    shown: BTreeSet<i64>,
}

/// A maildrop whose messages may have got other unique-ids: one that is found again says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Renumbered {
    listed: usize,
    unknown: usize,
}

impl Renumbered {
    /// A message was found again under another unique-id.
    pub(super) fn warn(self) {
        let Self { listed, unknown } = self;
        if listed >= WARN_FROM {
            tracing::warn!(
                target: "incoming",
                code = "unique-ids-changed",
                n = unknown,
                "{unknown} of {listed} unique-ids are new, and messages under them are stored: they \
                 are matched by facts and content, nothing is deleted in this poll"
            );
        }
    }
}

impl Survey {
    /// Looks at a window.
    pub(super) fn add(&mut self, listing: &Listing, known: &Known) {
        let is_new =
            |l: &&Listed| matches!(known.get(&l.key), None | Some(KnownState::Deleted { .. }));
        self.listed = self.listed.saturating_add(listing.messages.len());
        let unknown = listing.messages.iter().filter(is_new).count();
        self.unknown = self.unknown.saturating_add(unknown);
        self.shown.extend(listing.messages.iter().filter_map(|listed| shown(listed, known)));
    }

    /// Doubts the keys of all copies that are not shown, if the messages may have got other keys:
    /// where the server gives no UIDVALIDITY that may be at any time, in a maildrop where many
    /// unique-ids are new. `None` if they have not.
    pub(super) async fn doubt(
        self,
        account: &Account,
        presence: &Presence,
        is_maildrop: bool,
    ) -> Result<Option<Renumbered>, PollError> {
        let Self { listed, unknown, shown } = self;
        let mut absent = presence.absent();
        absent.retain(|row| !shown.contains(row));
        let renumbered = may_be_renumbered(listed, unknown, presence.len(), absent.len());
        if absent.is_empty() || (is_maildrop && !renumbered) {
            return Ok(None);
        }
        let doubt = move |tx: &Tx<'_>| tx.doubt(&absent);
        account.tools.ledger.write("doubt older identities", doubt).await?;
        Ok(Some(Renumbered { listed, unknown }))
    }
}

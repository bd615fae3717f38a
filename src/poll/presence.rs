//! Which stored messages a mailbox still shows: those that it doesn't have left the server.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use jiff::Timestamp;

use super::Account;
use super::error::PollError;
use crate::ledger::{MailboxId, Tx};
use crate::model::{Known, KnownState, Listed, Listing, MessageKey};
use crate::plan::is_same;

/// The copies that a mailbox had when its listing began, and which of them it has shown since.
#[derive(Debug)]
pub(super) struct Presence {
    /// Ascending.
    rows: Vec<i64>,
    /// For each of the rows.
    present: Vec<bool>,
    /// Hashes of all listed keys, where received dates are kept; a collision keeps one longer.
    listed: Option<Vec<u64>>,
    hash: RandomState,
}

impl Presence {
    /// Takes down what is archived of a mailbox.
    pub(super) async fn begin(account: &Account, id: MailboxId) -> Result<Self, PollError> {
        let read = move |tx: &Tx<'_>| Ok((tx.archived_rows(id)?, tx.has_seen(id)?));
        let (rows, has_seen) = account.tools.ledger.read("read what is archived", read).await?;
        let present = vec![false; rows.len()];
        let listed = has_seen.then(Vec::new);
        Ok(Self { rows, present, listed, hash: RandomState::new() })
    }

    /// Copies that there were.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Takes down what a window shows.
    pub(super) fn see(&mut self, listing: &Listing, known: &Known) {
        for listed in &listing.messages {
            if let Some(row) = shown(listed, known) {
                self.see_row(row);
            }
            if let Some(all) = &mut self.listed {
                all.push(self.hash.hash_one(&listed.key));
            }
        }
    }

    /// A copy's message is there.
    pub(super) fn see_row(&mut self, row: i64) {
        let at = self.rows.binary_search(&row).ok();
        if let Some(present) = at.and_then(|at| self.present.get_mut(at)) {
            *present = true;
        }
    }

    /// Rows of copies whose messages were not shown.
    pub(super) fn absent(&self) -> Vec<i64> {
        let unseen = self.rows.iter().zip(&self.present).filter(|(_, present)| !**present);
        unseen.map(|(row, _)| *row).collect()
    }

    /// After a whole listing: records what has left the server, and forgets what was kept of it.
    pub(super) async fn end(
        self,
        account: &Account,
        id: MailboxId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), PollError> {
        let absent = self.absent();
        let Self { listed, hash, .. } = self;
        if absent.is_empty() && listed.is_none() {
            return Ok(());
        }
        let name: Arc<str> = name.into();
        let record = move |tx: &Tx<'_>| {
            tx.left_server(&absent, now)?;
            let Some(mut listed) = listed else { return Ok(()) };
            listed.sort_unstable();
            let is_listed = |key: &MessageKey| listed.binary_search(&hash.hash_one(key)).is_ok();
            tx.prune_seen(id, &name, is_listed)?;
            tx.prune_skipped(id, &name, is_listed)?;
            tx.prune_caught_up(id, is_listed)
        };
        Ok(account.tools.ledger.write("record departures", record).await?)
    }
}

/// The row of the copy that a listed message is, as far as the server tells.
pub(super) fn shown(listed: &Listed, known: &Known) -> Option<i64> {
    match known.get(&listed.key) {
        Some(state @ KnownState::Stored(copy)) if is_same(listed, state) => Some(copy.row),
        _ => None,
    }
}

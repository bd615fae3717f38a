//! One account's rules, and the conditions under which a plan is made.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::{DeleteAge, DeleteMode, DeleteRule, Inbound};
use crate::model::{DeletesHeld, Listing};

/// What the config wants of one account.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Mail received earlier is skipped; mail of that very second is taken.
    pub process_after: Option<Timestamp>,
    /// Mail received longer ago is skipped.
    pub ignore_older_than: Option<Duration>,
    /// Mail younger than this waits.
    pub min_age: Option<Duration>,
    /// Messages in a batch; `None`: no limit.
    pub batch_max: Option<u32>,
    /// Octets in a batch; one message always fits.
    pub batch_max_bytes: Option<u64>,
    /// Larger messages are held.
    pub max_message_size: Option<u64>,
    /// Messages that somebody has read are skipped.
    pub only_unseen: bool,
    /// Which stored messages leave the server.
    pub delete: DeleteRule,
    /// What their age is counted from.
    pub delete_age_from: DeleteAge,
    /// How they leave it.
    pub delete_mode: DeleteMode,
    /// A delete waits until what `on_received` asks for is done.
    pub delete_after_actions: bool,
    /// Deletes in one poll; `None`: no limit.
    pub delete_max_per_poll: Option<u32>,
    /// Canaries leave the server once they are stored.
    pub canary: bool,
    /// Rules on received mail that move it on the server: by name, where to.
    pub moves: BTreeMap<String, String>,
}

impl Rules {
    /// The rules of an account.
    pub fn of(inbound: &Inbound) -> Self {
        Self {
            process_after: inbound.process_after,
            ignore_older_than: inbound.ignore_older_than,
            min_age: inbound.min_age,
            batch_max: inbound.batch_max,
            batch_max_bytes: inbound.batch_max_bytes.map(|size| size.0),
            max_message_size: inbound.max_message_size.map(|size| size.0),
            only_unseen: inbound.only_unseen,
            delete: inbound.delete,
            delete_age_from: inbound.delete_age_from,
            delete_mode: inbound.delete_mode.clone(),
            delete_after_actions: inbound.delete_after_actions,
            delete_max_per_poll: inbound.delete_max_per_poll,
            canary: inbound.watch.canary.is_some(),
            moves: moves(inbound),
        }
    }

    /// Whether anything may ever leave the server by us.
    pub fn may_delete(&self) -> bool {
        self.canary || self.delete != DeleteRule::Never || !self.moves.is_empty()
    }

    /// Whether any rule needs to know when a message was received.
    pub fn ask_age(&self) -> bool {
        self.process_after.is_some() || self.ignore_older_than.is_some() || self.min_age.is_some()
    }

    /// A text that differs when a rule differs that decides what is fetched: a change calls for a
    /// full listing.
    pub fn fingerprint(&self) -> String {
        let Self { process_after, ignore_older_than, min_age, max_message_size, delete, .. } = self;
        let (age_from, mode) = (self.delete_age_from, &self.delete_mode);
        let unseen = if self.only_unseen { " unseen" } else { "" };
        let after = if self.delete_after_actions { " after actions" } else { "" };
        let moves: Vec<String> =
            self.moves.iter().map(|(rule, to)| format!(" {rule} to {to:?}")).collect();
        format!(
            "{process_after:?} {ignore_older_than:?} {min_age:?} {max_message_size:?} {delete:?} \
             {age_from:?} {mode}{unseen}{after}{}",
            moves.concat()
        )
    }
}

impl Default for Rules {
    /// No rule: everything is fetched, nothing is deleted.
    fn default() -> Self {
        Self {
            process_after: None,
            ignore_older_than: None,
            min_age: None,
            batch_max: None,
            batch_max_bytes: None,
            max_message_size: None,
            only_unseen: false,
            delete: DeleteRule::Never,
            delete_age_from: DeleteAge::Stored,
            delete_mode: DeleteMode::Expunge,
            delete_after_actions: false,
            delete_max_per_poll: None,
            canary: false,
            moves: BTreeMap::new(),
        }
    }
}

fn moves(inbound: &Inbound) -> BTreeMap<String, String> {
    let to = inbound
        .on_received
        .iter()
        .filter_map(|rule| Some((rule.name.clone(), rule.deed.moves_to()?.to_owned())));
    to.collect()
}

/// What the world says about deletes at the moment of the plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    /// Nothing may be planned to leave the server; why.
    pub held: Option<DeletesHeld>,
    /// The same of deletes alone.
    pub deletes: Option<DeletesHeld>,
    /// The same of moves that rules ask for alone.
    pub moves: Option<DeletesHeld>,
}

/// Why nothing of a listing may leave the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// By the account's rule of deletes.
    pub(super) deletes: Option<DeletesHeld>,
    /// By a rule on received mail.
    pub(super) moves: Option<DeletesHeld>,
}

impl Conditions {
    /// Why nothing of this listing may leave the server, if so.
    pub(super) fn held_of(self, listing: &Listing) -> Held {
        let nameless = listing.mailbox.is_some() && listing.uid_validity.is_none();
        let held = self
            .held
            .or((!listing.complete).then_some(DeletesHeld::IncompleteListing))
            .or(nameless.then_some(DeletesHeld::NoUidValidity));
        Held { deletes: held.or(self.deletes), moves: held.or(self.moves) }
    }
}

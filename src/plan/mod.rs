//! What a poll will do with each listed message, and why.
//!
//! Pure: takes a listing, what the ledger knows, the account's rules and one `now`; reads no
//! clock, no disk, no server. The acts are `poll::fetch` and `poll::delete`.
//!
//! ```
//! use jiff::Timestamp;
//! use postrider::model::{Known, Listing};
//! use postrider::plan::{Budget, Conditions, Rules, plan};
//!
//! let listing = Listing {
//!     mailbox: Some("INBOX".into()),
//!     uid_validity: Some(1),
//!     range: (1, 5000),
//!     messages: vec![],
//!     complete: true,
//! };
//! let rules = Rules::default();
//! let mut budget = Budget::of(&rules);
//! let now = Timestamp::UNIX_EPOCH;
//! let plan = plan(&listing, &Known::new(), &rules, &Conditions::default(), &mut budget, now);
//! assert!(plan.fetch.is_empty());
//! ```
#![warn(clippy::wildcard_enum_match_arm)]

mod arming;
mod budget;
mod identity;
mod retain;
mod reuse;
mod rules;
mod select;

use jiff::Timestamp;

use crate::model::{
    DeletesHeld, Keep, KeepReason, Known, KnownState, Listed, Listing, Plan, Skip, SkipReason,
};

use reuse::{Before, Sight};

pub use arming::Arming;
pub use budget::Budget;
pub use identity::{may_be_renumbered, pair};
pub use retain::{Fate, counted_from, due_when_stored, proof};
pub use rules::{Conditions, Rules};
pub use select::{Choice, next_bound, retry_at};
pub use select::{is_truly_empty, may_be_another, may_be_cut};

/// Puts each listed message into exactly one list of a [`Plan`], each with its reason.
///
/// Oldest first: the listing's order (ascending UID or message number) is kept. What the budget
/// can't take is left over; the budget is carried from window to window by the caller.
#[must_use]
#[expect(clippy::too_many_arguments, reason = "each is one of the facts that decide")]
pub fn plan(
    listing: &Listing,
    known: &Known,
    rules: &Rules,
    conditions: &Conditions,
    budget: &mut Budget,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan {
        now,
        fetch: Vec::new(),
        delete: Vec::new(),
        skip: Vec::new(),
        keep: Vec::new(),
        left_over: Vec::new(),
    };
    let held = conditions.held_of(listing);
    for listed in &listing.messages {
        let Some(state) = known.get(&listed.key) else {
            select::fresh(listed, rules, now).file(listed, budget, &mut plan);
            continue;
        };
        match sight(listed, state) {
            Sight::Same => {}
            Sight::Other(other) => {
                select::fresh(&other, rules, now).file(&other, budget, &mut plan);
                continue;
            }
            Sight::Doubtful(why) => {
                plan.keep.push(Keep { key: listed.key.clone(), why });
                continue;
            }
        }
        match state {
            KnownState::CaughtUp { key, at } => {
                plan.skip.push(Skip { key: key.clone(), why: SkipReason::CaughtUp { at: *at } });
            }
            // What several messages share says of none of them that it was the one.
            KnownState::Skipped { .. } if !listed.alone => {
                select::fresh(listed, rules, now).file(listed, budget, &mut plan);
            }
            KnownState::Skipped { key, rule, at, .. } => {
                let why = SkipReason::LeftOut { rule: rule.clone(), at: *at };
                plan.skip.push(Skip { key: key.clone(), why });
            }
            KnownState::Held { key, attempts, retry_at } => {
                let listed = Listed { key: key.clone(), ..listed.clone() };
                match select::held(&listed, *attempts, *retry_at, now) {
                    Some(keep) => plan.keep.push(keep),
                    None => {
                        select::select(&listed, *attempts, rules, now)
                            .file(&listed, budget, &mut plan);
                    }
                }
            }
            KnownState::Placing { key } => {
                let why = KeepReason::DeletesHeld { cause: DeletesHeld::Identity };
                plan.keep.push(Keep { key: key.clone(), why });
            }
            KnownState::Stored(copy) => {
                retain::retain(listed, copy, rules, held, now).file(listed, budget, &mut plan);
            }
            // `Other` never comes so far: `sight` has called it another message.
            KnownState::Deleted { key, .. } | KnownState::Other { key } => {
                plan.keep.push(retain::returned(key.clone()));
            }
        }
    }
    plan
}

/// Whether a listed message is the one that the ledger knows under its key, as far as the server
/// tells.
pub fn is_same(listed: &Listed, state: &KnownState) -> bool {
    matches!(sight(listed, state), Sight::Same)
}

/// What a listed message is to the one that the ledger knows under its key.
fn sight(listed: &Listed, state: &KnownState) -> Sight {
    match state {
        KnownState::CaughtUp { .. } | KnownState::Held { .. } | KnownState::Placing { .. } => {
            Sight::Same
        }
        KnownState::Skipped { .. } if !listed.alone => Sight::Same,
        KnownState::Skipped { key, listed_size, internal_date, .. } => {
            let (listed_size, internal_date) = (*listed_size, *internal_date);
            Before { key, listed_size, internal_date }.sight(listed)
        }
        KnownState::Other { key } => Before::other(key, listed),
        KnownState::Stored(copy) => Before::of(copy).sight(listed),
        KnownState::Deleted { key, listed_size, internal_date } => {
            let (listed_size, internal_date) = (*listed_size, *internal_date);
            Before { key, listed_size, internal_date }.sight_of_return(listed)
        }
    }
}

#[cfg(test)]
mod tests;

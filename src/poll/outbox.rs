//! What rules ask for of messages that are about to be recorded as archived.
//!
//! The facts are those of `message.json` in its final place: what a later replay sees, too. A
//! document that can't be read ends the poll before the fact is recorded, and the next poll settles
//! the placement, so that no action is forgotten.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::commit::blocking;
use super::error::PollError;
use crate::action;
use crate::archive::{Archive, ArchiveError};
use crate::config::Inbound;
use crate::ledger::NewAction;
use crate::query::{Mistake, Moment};
use crate::rules::{self, Rules};

/// The actions for stored messages (row, path), in their order.
pub(super) async fn asked(
    archive: &Arc<Archive>,
    account: &Arc<Inbound>,
    now: Timestamp,
    messages: Vec<(i64, String)>,
) -> Result<Vec<NewAction>, PollError> {
    if account.on_received.is_empty() || messages.is_empty() {
        return Ok(Vec::new());
    }
    let (archive, account) = (Arc::clone(archive), Arc::clone(account));
    blocking(move || {
        let mut actions = Vec::new();
        let zone = TimeZone::get(archive.timezone_name()).unwrap_or(TimeZone::UTC);
        let rules = Rules::read(&account.on_received, &Moment { now, zone });
        let unread = |mistake: Mistake| std::io::Error::other(mistake.to_string());
        let rules = rules.map_err(|mistake| ArchiveError::io("read", "rules")(unread(mistake)))?;
        let header = rules.ask_header();
        for (row, path) in messages {
            let facts = action::facts_with(archive.root(), &path, header).map_err(|why| {
                ArchiveError::io("read", path.clone())(std::io::Error::other(why))
            })?;
            for rule in rules.due(&facts) {
                actions.push(NewAction {
                    row,
                    message: facts.id.clone(),
                    path: path.clone(),
                    rule: rule.name.clone(),
                    kind: rule.deed.as_str(),
                    key: rules::key(&facts.id, &rule.name),
                });
            }
        }
        Ok(actions)
    })
    .await
}

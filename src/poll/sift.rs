//! Which fetched messages a rule leaves out of the archive, before anything of them is durable.
//!
//! In doubt a message is archived: when its facts are not whole, when it may be another message
//! than the one that had its identity before, when anything about it can't be read.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::commit::Committed;
use super::stager::StagedMessage;
use crate::archive::InStage;
use crate::config::Inbound;
use crate::ledger::LeftOut;
use crate::mail::{HEADER_MAX, header_fields};
use crate::model::Fetch;
use crate::query::Moment;
use crate::rules::{MessageFacts, Rules};

/// The largest `message.json` that is judged.
const MAX_JSON: u64 = 64 << 20;

/// Whether any rule of an account leaves mail out.
pub(super) fn may_leave_out(account: &Inbound) -> bool {
    account.on_received.iter().any(|rule| !rule.archive)
}

/// What is known of a staged message, beside its document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight<'a> {
    pub(super) fetch: &'a Fetch,
    /// Its facts may lack something.
    pub(super) incomplete: bool,
    /// Its header names a canary's token.
    pub(super) canary: bool,
}

/// The name of the rule that leaves a staged message out of the archive.
pub(super) fn left_out(
    account: &Inbound,
    (in_stage, sight): (&InStage, Sight<'_>),
    (now, zone): (Timestamp, &str),
) -> Option<String> {
    let is_first = sight.fetch.alone && sight.fetch.key.turn() == 0;
    if !may_leave_out(account) || sight.incomplete || sight.canary || !is_first {
        return None;
    }
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let rules = Rules::read(&account.on_received, &Moment { now, zone }).ok()?;
    let document = in_stage.read("message.json", MAX_JSON).ok()?;
    let mut facts = MessageFacts::read(&document).ok()?;
    if rules.ask_header() {
        let octets = in_stage.read("message.eml", HEADER_MAX as u64).ok()?;
        facts.header = header_fields(&octets);
    }
    Some(rules.leaves_out(&facts)?.name.clone())
}

/// What the ledger keeps of a message that is left out.
pub(super) fn decision(message: &StagedMessage) -> Option<LeftOut> {
    Some(LeftOut {
        key: message.fetch.key.clone(),
        rule: message.left_out.clone()?,
        sha256: message.staged.sha256,
        size: message.staged.size,
        listed_size: message.fetch.size,
        internal_date: message.fetch.internal_date,
        received: message.received.at,
        message_id: message.message_id,
        at: message.archived_at,
    })
}

/// Counts what was left out, now that the decisions are durable; the staged folders go.
pub(super) fn count(account: &Inbound, messages: Vec<StagedMessage>, done: &mut Committed) {
    for message in messages {
        let Some(rule) = message.left_out else { continue };
        tracing::debug!(
            target: "incoming",
            code = "message-not-archived",
            account = &*account.name,
            message_key = %message.fetch.key,
            rule,
            "Not archived, by rule {rule}: it stays on the server"
        );
        let count = done.not_archived.entry(rule).or_default();
        *count = count.saturating_add(1);
    }
}

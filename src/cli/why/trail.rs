//! From what the ledger, the log and the archive say of a message to what happened, in its order,
//! and what the rules say of it now.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::Sources;
use crate::archive::Depth;
use crate::cli::plan::is_network;
use crate::cli::reasons;
use crate::cli::render::plural;
use crate::config::{DeleteRule, Inbound};
use crate::ledger::{ActionRow, ActionState, LedgerError, Trail};
use crate::log::{Level, LogQuery};
use crate::model::{
    ByteSize, DeletesHeld, KeepReason, Known, KnownState, Listed, Listing, Plan, Received,
    ReceivedBasis,
};
use crate::plan::{Budget, Conditions, Rules, plan};

/// Records of the log that are told of a message.
const RECORDS: u64 = 20;

/// Something that happened to a message, or will.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Event {
    /// When; `None`: no moment is known.
    pub(super) at: Option<Timestamp>,
    /// What, in a word or two.
    pub(super) what: String,
    /// The figures.
    pub(super) text: String,
}

/// All that is told of one message.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub(super) account: String,
    #[serde(flatten)]
    pub(super) key: crate::model::MessageKey,
    pub(super) id: String,
    pub(super) state: String,
    pub(super) subject: Option<String>,
    pub(super) path: Option<String>,
    pub(super) sha256: Option<String>,
    /// What is wrong with the copy; empty: it is there and whole. `None`: there is no copy, or no
    /// archive to look into.
    pub(super) copy_faults: Option<Vec<String>>,
    /// In their order.
    pub(super) events: Vec<Event>,
    /// What rules asked for.
    pub(super) actions: Vec<ActionRow>,
    /// What the rules say of it now.
    pub(super) now: Event,
}

impl Sources<'_> {
    /// Puts together what is known of a message.
    pub(super) async fn tell(
        &self,
        trail: Trail,
        subject: Option<String>,
    ) -> Result<Told, LedgerError> {
        let mut events = events(&trail);
        self.add_records(&trail, &mut events);
        let row = trail.row;
        let actions = self.ledger.read("read actions", move |tx| tx.actions_of(row)).await?;
        events.extend(actions.iter().map(action));
        events.sort_by_key(|event| event.at.unwrap_or(Timestamp::MAX));
        let held = self.held(&trail.account).await?;
        let account = self.config.inbound.get(trail.account.as_str());
        let now = decision(&trail, account, held, self.now);
        let copy_faults = trail.copy.as_ref().zip(self.archive.as_ref()).map(|(copy, archive)| {
            let faults = archive.inspect(copy, Depth::Whole);
            faults.into_iter().map(|fault| fault.what).collect()
        });
        Ok(Told {
            id: trail.key.id(&trail.account).to_string(),
            subject,
            path: trail.copy.as_ref().map(|copy| copy.path.clone()),
            sha256: trail.copy.as_ref().map(|copy| copy.sha256.to_hex()),
            copy_faults,
            events,
            actions,
            now,
            state: if trail.skipped.is_some() { "not-archived".to_owned() } else { trail.state },
            account: trail.account,
            key: trail.key,
        })
    }

    /// Why nothing of an account is deleted at present.
    async fn held(&self, account: &str) -> Result<Option<DeletesHeld>, LedgerError> {
        let name: Arc<str> = account.into();
        let row = self.ledger.read("read an account", move |tx| tx.account(&name)).await?;
        let row = row.unwrap_or_default();
        Ok(match (row.delete_stop.is_some(), row.clock_hold > 0, is_network(self.config)) {
            (true, ..) => Some(DeletesHeld::Stopped),
            (false, true, _) => Some(DeletesHeld::ClockDoubt),
            (false, false, true) => Some(DeletesHeld::NetworkRoot),
            (false, false, false) => None,
        })
    }

    fn add_records(&self, trail: &Trail, events: &mut Vec<Event>) {
        let Some(log) = &self.log else { return };
        let query = LogQuery {
            level: Some(Level::Info),
            account: Some(trail.account.clone()),
            message_key: Some(trail.key.to_string()),
            limit: Some(RECORDS),
            ..LogQuery::default()
        };
        for record in log.query(&query).unwrap_or_default() {
            let text = format!("{}: {} (record {})", record.code, record.message, record.id);
            events.push(Event { at: Some(record.created_at), what: "log".to_owned(), text });
        }
    }
}

fn event(at: Option<Timestamp>, what: &str, text: impl Into<String>) -> Event {
    Event { at, what: what.to_owned(), text: text.into() }
}

/// What the ledger knows to have happened.
fn events(trail: &Trail) -> Vec<Event> {
    let octets = |size: Option<u64>| size.map_or("-".to_owned(), |size| ByteSize(size).to_string());
    let received = trail.copy.as_ref().and_then(|copy| copy.received).or(trail.internal_date);
    let received = received.map_or("-".to_owned(), super::show::second);
    let listed = format!("size {}, received {received}", octets(trail.listed_size));
    let mut all = vec![event(Some(trail.first_seen), "listed", listed)];
    if trail.attempts > 1 || trail.failures > 0 {
        let text = format!("{} begun, {} failed", trail.attempts, trail.failures);
        all.push(event(None, "attempts", text));
    }
    if let Some((code, words)) = &trail.reason {
        all.push(event(None, "held", format!("{code}: {words}")));
    }
    if let Some(copy) = &trail.copy {
        all.push(event(Some(copy.archived_at), "archived", copy.path.as_str()));
        all.push(event(Some(copy.archived_at), "sha256", copy.sha256.to_hex()));
    }
    if let Some((rule, at, digest)) = &trail.skipped {
        let text = format!("by rule {rule} (`archive = false`); it stays on the server");
        all.push(event(Some(*at), "not archived", text));
        all.extend(digest.map(|digest| event(Some(*at), "sha256", digest.to_hex())));
    }
    if trail.copy.as_ref().is_some_and(|copy| copy.canary) {
        all.push(event(
            None,
            "canary",
            "a test mail of ours, by a token that only this ledger knew",
        ));
    } else if trail.own {
        all.push(event(None, "own", "its header says that it is mail of postrider"));
    }
    if trail.moved {
        let text = "its folder has its name by an earlier key: UIDVALIDITY, server, mailbox or \
                    unique-ids changed";
        all.push(event(None, "re-keyed", text));
    }
    if trail.doubtful {
        let text = "what the server shows under this key may be another message by now";
        all.push(event(None, "in doubt", text));
    }
    match (trail.marked_at, trail.to_mark) {
        (Some(at), _) => all.push(event(Some(at), "marked", "as read, on the server")),
        (None, true) => all.push(event(None, "to mark", "as read, by the next poll")),
        (None, false) => {}
    }
    all.extend(departure(trail));
    all
}

/// How an action stands.
fn action(row: &ActionRow) -> Event {
    let ActionRow { rule, kind, attempts, code, detail, .. } = row;
    let tries = plural(u64::from(*attempts), "try").replace("trys", "tries");
    let (at, how) = match row.state {
        ActionState::Pending => (Some(row.due_at), format!("due ({tries} so far)")),
        ActionState::Running => (row.last_at, format!("under way, {tries}")),
        ActionState::Done => (row.last_at, format!("done after {tries}")),
        ActionState::Failed => (row.last_at, format!("FAILED after {tries}")),
        ActionState::Dropped => (row.last_at, "given up".to_owned()),
    };
    let why = if code.is_empty() { String::new() } else { format!(": {code}: {detail}") };
    let replay = if row.replay { ", asked for once more" } else { "" };
    event(at, "rule", format!("{rule}: {kind} {how}{replay}{why}"))
}

/// How it left the server, or was to.
fn departure(trail: &Trail) -> Vec<Event> {
    let mut all = Vec::new();
    let how = if trail.delete_how.is_empty() { "-" } else { &trail.delete_how };
    if trail.delete_at.is_some() || trail.state == "deleting" {
        let unknown = if trail.state == "deleting" { ", its outcome is not known yet" } else { "" };
        let text = format!("delete_mode {how}{unknown}");
        all.push(event(trail.delete_at, "delete begun", text));
    }
    if let Some(at) = trail.flagged_at {
        all.push(event(Some(at), "flagged", "\\Deleted is set on the server"));
    }
    match (trail.deleted_at, trail.left_server) {
        (Some(at), true) => all.push(event(Some(at), "left", "the server, not by us")),
        (Some(at), false) => {
            all.push(event(Some(at), "deleted", format!("on the server, by us ({how})")));
        }
        (None, true) if trail.skipped.is_some() => {
            all.push(event(None, "left", "the server, not by us"));
        }
        (None, false) if trail.skipped.is_some() => {}
        (None, _) if trail.state == "gone" && !trail.doubtful => {
            all.push(event(None, "left", "the server before it could be stored"));
        }
        (None, _) => {}
    }
    all
}

/// What the next poll would do with it if the server still lists it as before.
fn decision(
    trail: &Trail,
    account: Option<&Inbound>,
    held: Option<DeletesHeld>,
    now: Timestamp,
) -> Event {
    let Some(account) = account else {
        return event(None, "rules", "the config has no such account any more");
    };
    let key = &trail.key;
    let state = match (trail.state.as_str(), &trail.copy) {
        _ if trail.doubtful => Some(KnownState::Other { key: key.clone() }),
        ("archived" | "deleting", Some(copy)) => Some(KnownState::Stored(copy.clone())),
        ("placing", _) => Some(KnownState::Placing { key: key.clone() }),
        ("held" | "fetching", _) if trail.failures > 0 || trail.state == "held" => {
            let retry_at = trail.retry_at.unwrap_or(Timestamp::MIN);
            Some(KnownState::Held { key: key.clone(), attempts: trail.failures, retry_at })
        }
        ("gone", _) if !trail.left_server && trail.skipped.is_some() => skipped(trail),
        ("deleted" | "gone", _) => return event(None, "rules", "nothing is left to decide"),
        _ => None,
    };
    let uid_validity = match key {
        crate::model::MessageKey::Imap { uid_validity, .. } => Some(*uid_validity),
        crate::model::MessageKey::Pop3 { .. } => None,
    };
    let received = trail.copy.as_ref().and_then(|copy| copy.received).or(trail.internal_date);
    let listed = Listed {
        key: key.with_turn(0),
        number: key.uid().unwrap_or(0),
        alone: true,
        size: trail.listed_size,
        internal_date: trail.internal_date,
        received: received.map(|at| Received { at, basis: ReceivedBasis::InternalDate }),
        flags: Vec::new(),
    };
    let known: Known = state.map(|state| (listed.key.clone(), state)).into_iter().collect();
    let listing = Listing {
        mailbox: key.mailbox().map(str::to_owned),
        uid_validity: uid_validity.filter(|value| *value > 0),
        range: (listed.number, listed.number),
        messages: vec![listed],
        complete: true,
    };
    let rules = Rules::of(account);
    let mut budget = Budget::of(&rules);
    let plan = plan(
        &listing,
        &known,
        &rules,
        &Conditions { held, ..Conditions::default() },
        &mut budget,
        now,
    );
    words(&plan, account)
}

/// What a rule has left out, as the planner knows it.
fn skipped(trail: &Trail) -> Option<KnownState> {
    let (rule, at, _) = trail.skipped.clone()?;
    let (listed_size, internal_date) = (trail.listed_size, trail.internal_date);
    Some(KnownState::Skipped { key: trail.key.clone(), rule, at, listed_size, internal_date })
}

fn words(plan: &Plan, account: &Inbound) -> Event {
    if let Some(delete) = plan.delete.first() {
        return event(Some(plan.now), "delete due", reasons::delete(&delete.why));
    }
    if let Some(fetch) = plan.fetch.first() {
        return event(Some(plan.now), "fetch", reasons::fetch(&fetch.why));
    }
    if let Some(skip) = plan.skip.first() {
        return event(None, "skip", reasons::skip(&skip.why));
    }
    if let Some(left) = plan.left_over.first() {
        return event(None, "wait", reasons::left(&left.why));
    }
    match (plan.keep.first().map(|keep| &keep.why), account.delete) {
        (Some(KeepReason::TooYoung { until }), DeleteRule::AfterDays(days)) => {
            let text = reasons::due(days, account.delete_age_from);
            event(Some(*until), "delete due", text)
        }
        (Some(why), _) => event(None, "keep", reasons::keep(why)),
        (None, _) => event(None, "rules", "nothing is decided"),
    }
}

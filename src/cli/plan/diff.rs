//! What another config would change: two plans of one listing, compared.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::reasons;
use super::super::render::{Out, Tone, count, moment};
use crate::config::Inbound;
use crate::model::MessageKey;
use crate::poll::{MailboxPlan, Preview, keep_word, left_word, skip_word};

/// The lists of a plan, as people read them.
const ACTS: [&str; 5] = ["fetch", "skip", "delete", "keep", "wait"];

/// One message in one plan.
struct Decision {
    act: &'static str,
    /// The reason's word.
    code: &'static str,
    /// The reason with its figures.
    text: String,
    value: Value,
}

/// Decisions by the key that the server lists.
type Decisions = BTreeMap<MessageKey, Decision>;

/// Why two configs can't be compared: they are of two accounts.
pub(super) fn comparable(old: &Inbound, new: &Inbound) -> Result<(), String> {
    let differs = [
        ("protocol", old.protocol != new.protocol),
        ("host", !old.host.eq_ignore_ascii_case(&new.host)),
        ("user", old.user != new.user || old.user_source != new.user_source),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        Some((key, _)) => Err(format!("{}: the configs differ in `{key}`", new.name)),
        None => Ok(()),
    }
}

/// Prints what would change; each message with `messages`.
pub(super) fn show(out: Out, (old, new): (&Preview, &Preview), messages: bool) {
    let mut mailboxes: Vec<&str> = old.mailboxes.iter().map(|plan| &*plan.mailbox).collect();
    let more = new.mailboxes.iter().map(|plan| &*plan.mailbox);
    mailboxes.extend(more.filter(|name| old.mailboxes.iter().all(|plan| plan.mailbox != *name)));
    let mut all = Vec::new();
    for name in mailboxes {
        let of = |preview: &Preview| {
            let found = preview.mailboxes.iter().find(|plan| plan.mailbox == name);
            (found.map(|plan| plan.listed), found.map(decisions).unwrap_or_default())
        };
        let ((listed, before), (listed_too, after)) = (of(old), of(new));
        if out.json {
            all.push(value(name, &before, &after));
            continue;
        }
        let shown = if name.is_empty() { "maildrop" } else { name };
        let listed = listed.or(listed_too).unwrap_or(0);
        out.line(&format!("{shown}  {} listed at {}", count(listed), moment(new.now)));
        out.table(&lists(&before, &after));
        out.table(&changes(&before, &after, messages));
    }
    if out.json {
        out.value(&json!({ "account": new.account, "now": new.now, "mailboxes": all }));
    }
}

fn decisions(plan: &MailboxPlan) -> Decisions {
    let mut all = Decisions::new();
    let mut add = |key: &MessageKey, act, code, (text, value): (String, Value)| {
        all.insert(key.with_turn(0), Decision { act, code, text, value });
    };
    for one in &plan.fetch {
        add(&one.key, "fetch", "wanted", (reasons::fetch(&one.why), json(&one.why)));
    }
    for one in &plan.skip {
        add(&one.key, "skip", skip_word(&one.why), (reasons::skip(&one.why), json(&one.why)));
    }
    for one in &plan.delete {
        add(&one.key, "delete", "due", (reasons::delete(&one.why), json(&one.why)));
    }
    for one in &plan.keep {
        add(&one.key, "keep", keep_word(&one.why), (reasons::keep(&one.why), json(&one.why)));
    }
    for one in &plan.left_over {
        add(&one.key, "wait", left_word(&one.why), (reasons::left(&one.why), json(&one.why)));
    }
    all
}

fn json(why: &impl Serialize) -> Value {
    serde_json::to_value(why).unwrap_or_default()
}

/// Of each list: how long it is and will be, and what comes and goes.
fn lists(before: &Decisions, after: &Decisions) -> Vec<Vec<(String, Tone)>> {
    let plain = |text: String| (text, Tone::Plain);
    let head = ["", "before", "after", "added", "removed"];
    let mut rows = vec![head.iter().map(|word| plain((*word).to_owned())).collect::<Vec<_>>()];
    for act in ACTS {
        let [was, is, added, removed] = figures(act, before, after).map(|n| count(n as u64));
        rows.push([format!("  {act}"), was, is, added, removed].map(plain).to_vec());
    }
    rows
}

fn figures(act: &str, before: &Decisions, after: &Decisions) -> [usize; 4] {
    let is = |found: Option<&Decision>| found.is_some_and(|decision| decision.act == act);
    let of = |all: &Decisions| all.values().filter(|decision| decision.act == act).count();
    let gone = |these: &Decisions, those: &Decisions| {
        these.iter().filter(|(key, one)| one.act == act && !is(those.get(key))).count()
    };
    [of(before), of(after), gone(after, before), gone(before, after)]
}

/// What becomes of messages that are decided otherwise.
fn changes(before: &Decisions, after: &Decisions, messages: bool) -> Vec<Vec<(String, Tone)>> {
    let plain = |text: String| (text, Tone::Plain);
    let word = |one: Option<&Decision>| {
        one.map_or("not listed".to_owned(), |one| format!("{} ({})", one.act, one.code))
    };
    let full = |one: Option<&Decision>| {
        one.map_or("not listed".to_owned(), |one| format!("{}: {}", one.act, one.text))
    };
    let changed = changed(before, after);
    if messages {
        let row = |(key, was, is): &(&MessageKey, Option<&Decision>, Option<&Decision>)| {
            vec![plain(format!("  {key}")), plain(format!("{} -> {}", full(*was), full(*is)))]
        };
        return changed.iter().map(row).collect();
    }
    let mut groups: BTreeMap<String, u64> = BTreeMap::new();
    for (_, was, is) in changed {
        let n = groups.entry(format!("{} -> {}", word(was), word(is))).or_default();
        *n = n.saturating_add(1);
    }
    let row = |(text, n): (String, u64)| vec![plain(format!("  {}", count(n))), plain(text)];
    groups.into_iter().map(row).collect()
}

type Changed<'a> = Vec<(&'a MessageKey, Option<&'a Decision>, Option<&'a Decision>)>;

/// Messages that stand in another list, or in the same one for another reason.
fn changed<'a>(before: &'a Decisions, after: &'a Decisions) -> Changed<'a> {
    let mut keys: Vec<&MessageKey> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let both = keys.into_iter().map(|key| (key, before.get(key), after.get(key)));
    let word = |one: Option<&Decision>| one.map(|one| (one.act, one.code));
    both.filter(|(_, was, is)| word(*was) != word(*is)).collect()
}

fn value(mailbox: &str, before: &Decisions, after: &Decisions) -> Value {
    let lists: BTreeMap<&str, Value> = ACTS
        .iter()
        .map(|act| {
            let [was, is, added, removed] = figures(act, before, after);
            (*act, json!({ "before": was, "after": is, "added": added, "removed": removed }))
        })
        .collect();
    let decision = |one: Option<&Decision>| {
        one.map(|one| json!({ "act": one.act, "code": one.code, "reason": one.value }))
    };
    let changes: Vec<Value> = changed(before, after)
        .into_iter()
        .map(|(key, was, is)| {
            json!({ "message": key, "before": decision(was), "after": decision(is) })
        })
        .collect();
    json!({ "mailbox": mailbox, "lists": lists, "changes": changes })
}

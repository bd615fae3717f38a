//! Rules on received mail: each message is acted on at least once, whatever the receiver or the
//! machine does; what comes again has the same key; nothing of a mail becomes a command.

mod delete;
mod examples;
mod exec;
mod forward;
mod left_out;
mod marks;
mod moves;
mod order;
mod proxy;
mod replaying;
mod webhook;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::support::{Dovecot, Receiver, Reply, Request, Site};

/// `[inbound.a]` with these rules (lines of each table).
fn with_rules(account: &str, rules: &[&str]) -> String {
    let mut lines = account.to_owned();
    for rule in rules {
        writeln!(lines, "\n[[inbound.a.on_received]]\n{rule}").unwrap();
    }
    lines
}

fn site(dovecot: &Dovecot, rules: &[&str]) -> Site {
    Site::new(&[("a", with_rules(&dovecot.account("imap", "none", "u1"), rules))])
}

/// `actions list --all --json`.
fn actions(site: &Site) -> Vec<Value> {
    let output = site.cli(&["actions", "list", "--all", "--limit", "100000", "--json"]);
    let value: Value =
        serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    value["actions"].as_array().unwrap().clone()
}

fn count(site: &Site, state: &str) -> usize {
    actions(site).iter().filter(|action| action["state"] == state).count()
}

/// Makes all that waits due at once.
fn retry(site: &Site) {
    let output = site.cli(&["actions", "retry"]);
    assert_eq!(output.code, 0, "{output:?}");
}

/// Every stored message came at least once, under a key of its own, as it is stored.
fn each_came(site: &Site, requests: &[Request], when: &str) {
    let mut by_key: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for request in requests {
        let first = by_key.entry(request.key()).or_insert(&request.body);
        assert_eq!(*first, request.body, "{when}: one key, two messages");
        assert_eq!(request.fields["idempotency-key"], request.key());
    }
    let mut ids: Vec<String> = by_key.values().map(|body| id(body)).collect();
    ids.sort();
    let mut stored: Vec<String> = site.stored().iter().map(|s| s.text("id").to_owned()).collect();
    stored.sort();
    assert_eq!(ids, stored, "{when}");
}

fn id(body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap();
    json["id"].as_str().unwrap().to_owned()
}

fn all_well() -> Receiver {
    Receiver::start(|_, _| Reply::Status(204))
}

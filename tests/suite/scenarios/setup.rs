//! What a scenario starts from: its server, what that holds, and the account's table.

use super::file::{Expected, Scenario};
use crate::support::server::{Kind, Protection, Protocol, Server};
use crate::support::{Certs, Site, crlf, sample};

/// The server as it is when it does right.
pub(super) fn server(scenario: &Scenario, protocol: Protocol, site: &Site) -> Server {
    let facts = &scenario.server;
    let protection = facts.protection.unwrap_or(scenario.encryption);
    let is_plain = scenario.encryption == Protection::None && protection == Protection::None;
    let certs = (!is_plain).then(|| Certs::make(site.path(), facts.certificate.kind()));
    Server::start_as(Kind {
        protocol,
        protection,
        certs,
        capabilities: facts.capabilities.clone(),
        tickets: facts.tickets,
        archive: Some(site.root()),
    })
}

/// The account's table: keys of the scenario win.
pub(super) fn account(scenario: &Scenario, server: &Server) -> toml::Table {
    let mut table: toml::Table = toml::from_str(&server.account("u1")).unwrap();
    let word = scenario.encryption.word();
    table.insert("encryption".to_owned(), word.into());
    if word == "none" {
        table.insert("allow_plaintext".to_owned(), true.into());
    } else {
        table.remove("allow_plaintext");
    }
    // Short only where it is waited for: elsewhere a busy machine must not look like a dead server.
    let silent = |poll: &Expected| poll.error.as_deref() == Some("server-silent");
    let limit = if scenario.poll.iter().any(silent) { "1s" } else { "20s" };
    for key in ["connect_timeout", "read_timeout"] {
        table.insert(key.to_owned(), limit.into());
    }
    table.extend(scenario.account.clone());
    table
}

/// The lines of a table.
pub(super) fn lines(table: &toml::Table) -> String {
    let lines: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    lines.join("\n")
}

/// Puts in what the server holds and does wrong; the octets of all messages.
pub(super) fn fill(scenario: &Scenario, server: &Server) -> Vec<Vec<u8>> {
    scenario.fault.iter().cloned().for_each(|fault| server.set_fault(fault));
    server.store(|store| {
        for name in &scenario.server.mailboxes {
            let mailbox = store.mailboxes.entry(name.clone()).or_default();
            mailbox.deliver(crlf(&sample(&format!("in {name}"), 900)));
        }
        let inbox = store.inbox();
        inbox.generated = scenario.server.generated;
        for n in 0..scenario.messages {
            let size = n as usize % 7 * 3_000;
            inbox.deliver(crlf(&sample(&format!("message {n:04}"), size)));
        }
        for facts in &scenario.message {
            let uid = facts.uid.unwrap_or(inbox.uid_next);
            inbox.put(uid, facts.octets());
            let message = inbox.messages.get_mut(&uid).unwrap();
            message.told_size = facts.told_size;
            if let Some(date) = &facts.internal_date {
                message.internal_date.clone_from(date);
            }
            if let Some(id) = &facts.unique_id {
                message.unique_id.clone_from(id);
            }
        }
        let all = store.mailboxes.values().flat_map(|mailbox| mailbox.messages.values());
        all.map(|message| message.octets.to_vec()).collect()
    })
}

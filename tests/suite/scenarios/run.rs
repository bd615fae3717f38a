//! Plays a scenario with the real program, beside an account whose server does nothing wrong.

use std::collections::BTreeMap;

use serde_json::Value;

use super::checks::{check_commands, check_output};
use super::file::{Expected, Scenario};
use super::setup::{account, fill, lines, server};
use crate::support::server::{Protocol, Server};
use crate::support::{Output, Site, crlf, sample};

/// Plays it over each of its protocols.
pub fn play(kind: &str, name: &str) {
    if kind == "smtp" {
        return super::outbound::play(name);
    }
    let scenario = super::file::read(kind, name);
    for protocol in scenario.protocols.clone() {
        let name = format!("{name} ({})", protocol.word());
        Play::new(&scenario, protocol, name).go();
    }
}

struct Play<'a> {
    scenario: &'a Scenario,
    name: String,
    server: Server,
    /// Keeps the good account's server alive.
    good: Server,
    site: Site,
    account: toml::Table,
    /// Octets of all messages that the archive must have at the end, with their subjects.
    mail: Vec<Vec<u8>>,
    records: usize,
}

impl<'a> Play<'a> {
    fn new(scenario: &'a Scenario, protocol: Protocol, name: String) -> Self {
        let good = Server::start(protocol);
        (0..2).for_each(|n| good.deliver(&sample(&format!("good {n}"), 2_000)));
        let mut site = Site::empty();
        for (table, keys) in &scenario.tables {
            let lines = toml::to_string(keys).unwrap();
            site.add(table, &lines);
        }
        let server = server(scenario, protocol, &site);
        let account = account(scenario, &server);
        site.account("bad", &lines(&account));
        site.account("good", &good.account("u2"));
        site.init_root();
        let mail = fill(scenario, &server);
        Self { scenario, name, server, good, site, account, mail, records: 0 }
    }

    fn go(mut self) {
        for (number, expected) in (1..).zip(&self.scenario.poll) {
            let when = format!("{}, poll {number}", self.name);
            self.change(expected);
            self.server.begin_poll(number);
            let (connections, heard) = (self.server.connections(), self.server.heard().len());
            let output = self.poll(expected);
            check_output(&output, expected, &when);
            self.check_state(expected, &output, &when);
            let commands = self.server.commands().split_off(heard);
            check_commands(&commands, expected, &when);
            let made = self.server.connections() - connections;
            assert!(expected.connections.is_none_or(|most| made <= most), "{when}: {made}");
            self.check_promises(&when, expected.short);
            assert!(expected.short || self.is_good_whole(), "{when}: the account beside it");
        }
        self.heal();
    }

    fn poll(&self, expected: &Expected) -> Output {
        let forwards = format!("+{}h", expected.hours);
        let clock = ["env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1", "faketime", "-f"];
        let mut wrapper: Vec<&str> = expected.below.iter().map(String::as_str).collect();
        if expected.hours > 0 {
            wrapper.extend(clock);
            wrapper.push(&forwards);
        }
        let command: Vec<&str> = expected.command.iter().map(String::as_str).collect();
        if wrapper.is_empty() {
            self.site.cli(&command)
        } else {
            self.site.cli_below(&wrapper, &command)
        }
    }

    fn change(&mut self, expected: &Expected) {
        let change = &expected.before;
        if !change.account.is_empty() {
            self.account.extend(change.account.clone());
            self.site.account("bad", &lines(&self.account));
        }
        let came = self.server.store(|store| {
            let inbox = store.inbox();
            change.vanish.iter().for_each(|uid| drop(inbox.messages.remove(uid)));
            inbox.uid_validity = change.uid_validity.unwrap_or(inbox.uid_validity);
            let before: Vec<u32> = inbox.messages.keys().copied().collect();
            (0..change.arrive).for_each(|_| inbox.arrive());
            let mut came: Vec<_> = inbox
                .messages
                .iter()
                .filter(|(uid, _)| !before.contains(uid))
                .map(|(_, m)| m.octets.to_vec())
                .collect();
            for uid in &change.reuse {
                let octets = crlf(&sample(&format!("another under {uid}"), 700));
                inbox.put(*uid, octets.clone());
                came.push(octets);
            }
            came
        });
        self.mail.extend(came);
    }

    fn check_state(&mut self, expected: &Expected, output: &Output, when: &str) {
        let status = self.site.status();
        let row = &status["accounts"][0];
        let error = row["last_error"]["code"].as_str();
        let wanted = expected.error.as_deref();
        let is_one = wanted.is_some_and(|codes| codes.split('|').any(|code| error == Some(code)));
        assert!(is_one || error == wanted, "{when}: {error:?}, {status} {output:?}");
        let stored = self.stored("bad").len();
        assert!(
            expected.stored.is_none_or(|most| stored == most),
            "{when}: stored {stored}, {status}"
        );
        let held = usize::try_from(row["held"].as_u64().unwrap()).unwrap();
        assert!(expected.held.is_none_or(|most| held == most), "{when}: {status}");
        for message in row["held_messages"].as_array().unwrap() {
            let wanted = expected.held_code.as_deref();
            assert!(wanted.is_none() || message["code"].as_str() == wanted, "{when}: {status}");
        }
        let remaining = self.server.store(|store| store.remaining());
        assert!(expected.remaining.is_none_or(|most| remaining == most), "{when}: {remaining}");
        let records = self.site.log().split_off(self.records);
        self.records += records.len();
        let codes: Vec<&str> = records
            .iter()
            .filter(|record| record["account"] == "bad")
            .filter_map(|record| record["code"].as_str())
            .collect();
        for code in &expected.codes {
            assert!(codes.contains(&code.as_str()), "{when}: no {code} in {codes:?}, {output:?}");
        }
        for code in &expected.no_codes {
            assert!(!codes.contains(&code.as_str()), "{when}: {code} in {codes:?}, {output:?}");
        }
        for text in [&output.stdout, &output.stderr, &format!("{records:?}"), &status.to_string()] {
            let harmless = !text.contains("secret-u") && !text.contains('\u{1b}');
            assert!(harmless, "{when}: {text}");
        }
        let longest = records.iter().map(|record| record.to_string().len()).max().unwrap_or(0);
        assert!(longest < 4096, "{when}: a record of {longest} octets");
    }

    /// What must hold after every poll, whatever the server does.
    fn check_promises(&self, when: &str, short: bool) {
        let mut faults = self.site.tree_faults();
        // Who can open no file can't remove one; the next start clears the stage.
        faults.retain(|fault| !short || !fault.starts_with("left over"));
        assert_eq!(faults, [""; 0], "{when}");
        for removal in self.server.removals() {
            assert!(removal.was_stored, "{when}: UID {} was not stored", removal.uid);
        }
        for command in self.server.commands() {
            let word = command.split(' ').next().unwrap_or_default().to_uppercase();
            assert!(!matches!(word.as_str(), "EXPUNGE" | "CLOSE"), "{when}: {command}");
        }
    }

    fn is_good_whole(&self) -> bool {
        let mut good: Vec<Vec<u8>> = self.good.store(|store| {
            store.inbox().messages.values().map(|message| message.octets.to_vec()).collect()
        });
        good.sort();
        self.stored("good") == good
    }

    /// Octets of an account's messages in the archive, sorted.
    fn stored(&self, account: &str) -> Vec<Vec<u8>> {
        let all = self.site.stored().into_iter().filter(|stored| stored.account() == account);
        let mut octets: Vec<Vec<u8>> = all.map(|stored| stored.eml).collect();
        octets.sort();
        octets
    }

    /// The server is well again, hours go by: everything is stored, once.
    fn heal(mut self) {
        let end = &self.scenario.end;
        let (hours, command) = (3, vec!["poll".to_owned()]);
        let healthy = Expected { hours, command, ..Expected::default() };
        if !end.heals {
            return;
        }
        self.server.heal();
        let arrived = self.server.store(|store| {
            store
                .inbox()
                .messages
                .values()
                .map(|message| message.octets.to_vec())
                .collect::<Vec<_>>()
        });
        for octets in arrived {
            if !self.mail.contains(&octets) {
                self.mail.push(octets);
            }
        }
        // After a step of the clock deletes rest for three polls.
        let polls = if end.remaining.is_some() { 5 } else { 2 };
        for n in 1..=polls {
            let when = format!("{}, healthy poll {n}", self.name);
            self.server.begin_poll(1_000 + n);
            let output = self.poll(&healthy);
            assert_eq!(output.code, 0, "{when}: {output:?}");
            self.check_promises(&when, false);
            assert!(self.is_good_whole(), "{when}: the account beside it");
        }
        let is_wanted = |octets: &&Vec<u8>| {
            let text = String::from_utf8_lossy(octets).into_owned();
            !end.without.iter().any(|subject| text.contains(&format!("Subject: {subject}")))
        };
        let mut wanted: Vec<Vec<u8>> = self.mail.iter().filter(is_wanted).cloned().collect();
        wanted.sort();
        let stored: Vec<Vec<u8>> = self.stored("bad").iter().filter(is_wanted).cloned().collect();
        let subjects = |all: &[Vec<u8>]| -> BTreeMap<String, usize> {
            let mut counts = BTreeMap::new();
            for octets in all {
                let text = String::from_utf8_lossy(octets);
                let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
                *counts
                    .entry(format!("{} {}", subject.unwrap_or("-"), octets.len()))
                    .or_default() += 1;
            }
            counts
        };
        assert_eq!(subjects(&stored), subjects(&wanted), "{}: at the end", self.name);
        assert!(stored == wanted, "{}: the octets at the end", self.name);
        let remaining = self.server.store(|store| store.remaining());
        assert!(end.remaining.is_none_or(|most| most == remaining), "{}: {remaining}", self.name);
        let row: Value = self.site.status()["accounts"][0].clone();
        assert_eq!(row["held"].as_u64(), Some(end.held as u64), "{}: {row}", self.name);
        assert!(row["last_error"].is_null(), "{}: {row}", self.name);
    }
}

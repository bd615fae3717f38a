//! What must be true after each round, judged by those who deliver the mail and read the tree,
//! never by what the program says of itself.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::support::{Dovecot, Site, Stored, crlf};

/// A message's content.
type Content = [u8; 32];
/// What a server calls a message.
type Identity = String;

/// Every message that was ever delivered, and every one that another client removed.
#[derive(Debug, Default)]
pub struct Oracle {
    sent: BTreeMap<(String, Content), u64>,
    removed: BTreeMap<(String, Content), u64>,
    /// Of those that were sent, the ones that no rule lets go yet.
    young: BTreeMap<(String, Content), u64>,
}

/// What is wrong, counted; all 0 when nothing is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Wrongs {
    /// Neither on the server nor whole in the tree, and nobody else removed it.
    pub lost: u64,
    /// More copies than messages, or two folders for one identity.
    pub twice: u64,
    /// Folders that aren't whole, strangers, wrong modes.
    pub partial: u64,
    /// `deleted` in the ledger, yet on the server.
    pub untrue: u64,
    /// No longer on the server, although its days are not over.
    pub early: u64,
}

impl Wrongs {
    pub fn add(&mut self, more: Self) {
        self.lost += more.lost;
        self.twice += more.twice;
        self.partial += more.partial;
        self.untrue += more.untrue;
        self.early += more.early;
    }
}

impl Oracle {
    /// A message of an account is about to be delivered.
    pub fn sends(&mut self, account: &str, octets: &[u8]) {
        *self.sent.entry((account.to_owned(), digest(&crlf(octets)))).or_default() += 1;
    }

    /// One that was sent just now must stay on the server.
    pub fn keeps(&mut self, account: &str, octets: &[u8]) {
        *self.young.entry((account.to_owned(), digest(&crlf(octets)))).or_default() += 1;
    }

    /// How many of these must stay on the server.
    pub fn young_of(&self, account: &str, server: &[(Identity, Vec<u8>)]) -> u64 {
        let is_young =
            |octets: &[u8]| self.young.contains_key(&(account.to_owned(), digest(octets)));
        server.iter().filter(|(_, octets)| is_young(octets)).count() as u64
    }

    /// Another client is about to remove a message, as the server shows it.
    pub fn removes(&mut self, account: &str, octets: &[u8]) {
        *self.removed.entry((account.to_owned(), digest(octets))).or_default() += 1;
    }

    pub fn all_sent(&self) -> u64 {
        self.sent.values().sum()
    }

    pub fn all_removed(&self) -> u64 {
        self.removed.values().sum()
    }

    /// Compares one account's server and tree with what was sent; nothing may be running.
    pub fn judge(&self, site: &Site, account: &str, server: &[(Identity, Vec<u8>)]) -> Wrongs {
        let mut wrongs = Wrongs::default();
        let mut seen: BTreeMap<Content, BTreeSet<Identity>> = BTreeMap::new();
        let mut copies: BTreeMap<Content, u64> = BTreeMap::new();
        for stored in site.whole().iter().filter(|stored| stored.account() == account) {
            let content = digest(&stored.eml);
            *copies.entry(content).or_default() += 1;
            if !seen.entry(content).or_default().insert(identity(stored)) {
                wrongs.twice += 1;
            }
        }
        let mut there: BTreeMap<Content, u64> = BTreeMap::new();
        for (name, octets) in server {
            *there.entry(digest(octets)).or_default() += 1;
            seen.entry(digest(octets)).or_default().insert(name.clone());
        }
        for ((of, content), sent) in self.sent.iter().filter(|((of, _), _)| of == account) {
            let removed = self.removed.get(&(of.clone(), *content)).copied().unwrap_or(0);
            let have = seen.get(content).map_or(0, BTreeSet::len) as u64;
            wrongs.lost += (sent - removed.min(*sent)).saturating_sub(have);
            wrongs.twice += copies.get(content).copied().unwrap_or(0).saturating_sub(*sent);
        }
        for ((of, content), young) in self.young.iter().filter(|((of, _), _)| of == account) {
            let removed = self.removed.get(&(of.clone(), *content)).copied().unwrap_or(0);
            let there = there.get(content).copied().unwrap_or(0);
            wrongs.early += young.saturating_sub(removed).saturating_sub(there);
        }
        let gone = deleted(site, account);
        wrongs.untrue = server.iter().filter(|(name, _)| gone.contains(name)).count() as u64;
        wrongs
    }
}

/// What is wrong in the tree between two rounds: a dead run may leave things in the stage.
pub fn tree_faults(site: &Site) -> Vec<String> {
    let mut faults = site.tree_faults();
    faults.retain(|fault| !fault.contains("/.stage/") && !fault.contains("/.trial"));
    faults
}

/// What a server shows of an account: identities and octets, of these mailboxes over IMAP.
pub fn on_server(
    dovecot: &Dovecot,
    protocol: &str,
    user: &str,
    mailboxes: &[String],
) -> Vec<(Identity, Vec<u8>)> {
    if protocol == "pop3" {
        let mut client = dovecot.pop3_client(user);
        let listed = client.uidl();
        let named = |(number, id): (u32, String)| (format!("{id} 0"), client.retr(number));
        let all = listed.into_iter().map(named).collect();
        client.quit();
        return all;
    }
    let mut client = dovecot.imap_client(user);
    let mut found = Vec::new();
    for mailbox in mailboxes {
        let validity = client.uid_validity(mailbox);
        let listed = client.list(mailbox).into_iter();
        found.extend(listed.map(|m| (format!("{mailbox} {validity} {} 0", m.uid), m.body)));
    }
    found
}

fn identity(stored: &Stored) -> Identity {
    let json = &stored.json;
    match stored.uid() {
        Some(uid) => {
            let (mailbox, generation) = (stored.text("mailbox"), &json["generation"]);
            format!("{mailbox} {} {uid} {generation}", json["uid_validity"])
        }
        None => format!("{} {}", stored.text("unique_id"), json["occurrence"]),
    }
}

/// Identities of which the ledger says that we deleted them; read from a copy, so that nothing is
/// changed. What others removed may come back: a mailbox was renamed for a while.
fn deleted(site: &Site, account: &str) -> BTreeSet<Identity> {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ledger.db", "ledger.db-wal"] {
        // There is none before the first run.
        drop(std::fs::copy(site.state().join(name), folder.path().join(name)));
    }
    let Ok(db) = Connection::open(folder.path().join("ledger.db")) else { return BTreeSet::new() };
    let sql = "SELECT CASE unique_id WHEN ''
            THEN mailbox.name || ' ' || message.uid_validity || ' ' || uid || ' ' || generation
            ELSE unique_id || ' ' || occurrence END
        FROM message JOIN mailbox ON mailbox.id = message.mailbox_id
        JOIN account ON account.id = mailbox.account_id
        WHERE account.name = ?1 AND state = 'deleted' AND left_server = 0";
    let Ok(mut rows) = db.prepare(sql) else { return BTreeSet::new() };
    let row = |row: &rusqlite::Row<'_>| row.get(0);
    rows.query_map([account], row).unwrap().map(Result::unwrap).collect()
}

fn digest(octets: &[u8]) -> Content {
    Sha256::digest(octets).into()
}

#[test]
fn oracle_sees_what_is_lost_and_what_is_there_twice() {
    let site = Site::empty();
    let mut oracle = Oracle::default();
    for content in ["same\r\n", "same\r\n", "other\r\n"] {
        oracle.sends("a", content.as_bytes());
    }
    let on = |all: &[(&str, &str)]| -> Vec<(Identity, Vec<u8>)> {
        all.iter().map(|(name, octets)| ((*name).to_owned(), octets.as_bytes().to_vec())).collect()
    };
    let all = on(&[("1 1", "same\r\n"), ("1 2", "same\r\n"), ("1 3", "other\r\n")]);
    assert_eq!(oracle.judge(&site, "a", &all), Wrongs::default());
    assert_eq!(oracle.judge(&site, "a", &all[1..]).lost, 1);
    assert_eq!(oracle.judge(&site, "a", &[]).lost, 3);
    oracle.removes("a", b"same\r\n");
    assert_eq!(oracle.judge(&site, "a", &all[1..]), Wrongs::default());
    oracle.keeps("a", b"other\r\n");
    assert_eq!(oracle.judge(&site, "a", &all[1..]), Wrongs::default());
    assert_eq!(oracle.judge(&site, "a", &all[1..2]).early, 1);
    assert_eq!(oracle.young_of("a", &all), 1);
    assert_eq!(oracle.judge(&site, "b", &[]), Wrongs::default());
}

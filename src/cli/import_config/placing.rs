//! Under which name each account is here, and where its secret goes: pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Config, Inbound, Protocol};
use crate::moving::foreign::{ForeignAccount, numbered};

/// What tells one mailbox from another; two accounts of one name may mean two of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mailbox {
    imap: bool,
    host: String,
    port: u16,
    user: String,
}

/// An account under the name that it has here.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) account: ForeignAccount,
    /// It is to be added; otherwise the same mailbox is here under this name.
    pub(super) new: bool,
    /// The name it would have, had no other mailbox that name.
    pub(super) asked: Option<String>,
}

impl Placed {
    /// The same, and off where it is new and one of these.
    pub(super) fn disabled(&self, names: &[&str]) -> Self {
        let mut account = self.account.clone();
        if self.new && names.contains(&account.name.as_str()) {
            account.keys.insert("enabled".to_owned(), "false".to_owned());
        }
        Self { account, new: self.new, asked: self.asked.clone() }
    }
}

impl Mailbox {
    fn of(account: &ForeignAccount) -> Self {
        let text = |key: &str| {
            let text = account.keys.get(key).and_then(|toml| serde_json::from_str(toml).ok());
            let text: String = text.unwrap_or_default();
            text
        };
        let (imap, tls) = (text("protocol") == "imap", text("encryption") == "tls");
        let usual = match (imap, tls) {
            (true, true) => 993,
            (true, false) => 143,
            (false, true) => 995,
            (false, false) => 110,
        };
        let port = account.keys.get("port").and_then(|port| port.parse().ok()).unwrap_or(usual);
        Self { imap, host: text("host").to_ascii_lowercase(), port, user: text("user") }
    }

    fn here(inbound: &Inbound) -> Self {
        Self {
            imap: inbound.protocol == Protocol::Imap,
            host: inbound.host.to_ascii_lowercase(),
            port: inbound.port,
            user: inbound.user.clone(),
        }
    }
}

/// Names of this configuration's accounts, and what they mean.
pub(super) fn mailboxes(config: &Config) -> BTreeMap<String, Mailbox> {
    config
        .inbound
        .iter()
        .map(|(name, inbound)| (name.to_string(), Mailbox::here(inbound)))
        .collect()
}

/// Gives each account a name that no other mailbox has, here or in the files read before.
pub(super) fn place(
    accounts: impl IntoIterator<Item = ForeignAccount>,
    here: &BTreeMap<String, Mailbox>,
) -> Vec<Placed> {
    let mut known = here.clone();
    let mut placed = Vec::new();
    for mut account in accounts {
        let own = Mailbox::of(&account);
        let base = account.name.clone();
        let mut names = (1_u32..).map(|n| numbered(&base, n));
        let free = names.find(|name| known.get(name).is_none_or(|other| *other == own));
        let Some(name) = free else { continue };
        let new = known.insert(name.clone(), own).is_none();
        let asked = (name != base).then_some(base);
        account.name = name;
        placed.push(Placed { account, new, asked });
    }
    placed
}

/// The first name for a secret that is free, or that holds this very text already: a secret that
/// is there belongs to another server.
pub(super) fn secret_name(
    account: &str,
    taken: &BTreeSet<String>,
    holds: impl Fn(&str) -> Option<bool>,
) -> (String, bool) {
    for n in 1_u32.. {
        let name = numbered(account, n);
        match holds(&name) {
            _ if taken.contains(&name) => {}
            None => return (name, false),
            Some(true) => return (name, true),
            Some(false) => {}
        }
    }
    (account.to_owned(), false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moving::foreign::Program;

    fn mpop(name: &str, host: &str, user: &str) -> ForeignAccount {
        let rc = format!("account {name}\nhost {host}\nuser {user}\ntls on\n");
        Program::Mpop.read(&rc).accounts.remove(0)
    }

    fn names(placed: &[Placed]) -> Vec<(&str, &str, bool)> {
        let user = |one: &Placed| one.account.keys["user"].len();
        assert!(placed.iter().all(|one| user(one) > 2));
        placed
            .iter()
            .map(|one| (one.account.name.as_str(), one.account.keys["user"].as_str(), one.new))
            .collect()
    }

    #[test]
    fn other_mailbox_of_the_same_name_gets_a_name_of_its_own() {
        let ann = mpop("office", "h", "u5");
        let bob = mpop("office", "h", "u6");
        let placed = place([ann.clone(), bob.clone(), ann.clone()], &BTreeMap::new());
        assert_eq!(
            names(&placed),
            [("office", "\"u5\"", true), ("office-2", "\"u6\"", true), ("office", "\"u5\"", false)]
        );
        assert_eq!(placed[1].asked.as_deref(), Some("office"));
        let here = BTreeMap::from([("office".to_owned(), Mailbox::of(&ann))]);
        let again = place([bob.clone()], &here);
        assert_eq!(names(&again), [("office-2", "\"u6\"", true)]);
        let both = BTreeMap::from([
            ("office".to_owned(), Mailbox::of(&ann)),
            ("office-2".to_owned(), Mailbox::of(&bob)),
        ]);
        assert_eq!(names(&place([bob], &both)), [("office-2", "\"u6\"", false)]);
        let elsewhere = place([mpop("office", "other", "u5")], &both);
        assert_eq!(names(&elsewhere), [("office-3", "\"u5\"", true)]);
        assert_eq!(
            names(&place([mpop("office", "H", "u5")], &both)),
            [("office", "\"u5\"", false)]
        );
    }

    #[test]
    fn secret_that_is_there_is_never_anothers() {
        let none = BTreeSet::new();
        let holds = |same: &'static str| {
            move |name: &str| (name == "ops" || name == "ops-2").then_some(name == same)
        };
        assert_eq!(secret_name("ops", &none, holds("ops")), ("ops".to_owned(), true));
        assert_eq!(secret_name("ops", &none, holds("ops-2")), ("ops-2".to_owned(), true));
        assert_eq!(secret_name("ops", &none, holds("")), ("ops-3".to_owned(), false));
        assert_eq!(secret_name("new", &none, holds("")), ("new".to_owned(), false));
        let taken = BTreeSet::from(["new".to_owned()]);
        assert_eq!(secret_name("new", &taken, holds("")), ("new-2".to_owned(), false));
    }
}

//! Rules between accounts.

use std::collections::BTreeMap;

use super::Builder;
use super::delete::DELETE_KEYS;
use crate::config::deleting::DeleteRule;
use crate::config::folders::polled;
use crate::config::include;
use crate::config::problem::{Place, Problem};
use crate::config::types::{Config, Deed, Inbound, Protocol};
use crate::model::DeleteMode;

impl Builder<'_> {
    pub(super) fn across(&mut self, config: &Config) {
        self.shared_mailboxes(config);
        self.moved_to_others(config);
        self.sender(config);
        self.sending(config);
        self.reports_to_ourselves(config);
        self.canaries(config);
        self.forwards(config);
        self.idle(config);
        self.idle_defaults(config);
        self.renames(config);
    }

    /// Two accounts on one mailbox: each would fetch all, and one's deletes hit the other's mail.
    fn shared_mailboxes(&mut self, config: &Config) {
        let mut seen: BTreeMap<_, Vec<&Inbound>> = BTreeMap::new();
        for account in config.inbound.values().filter(|account| account.enabled) {
            let user = user_of(account);
            if account.host.is_empty() || user.is_empty() {
                continue;
            }
            let key = (account.protocol, &account.host, service(account), user);
            let others = seen.entry(key).or_default();
            let clash = others.iter().find_map(|other| Some((*other, overlap(other, account)?)));
            others.push(account);
            let Some((other, folder)) = clash else { continue };
            let deletes =
                [other, account].iter().any(|a| a.delete != DeleteRule::Never || moves(a));
            let what = format!(
                "`{}` and `{}` poll the same mailbox: {folder} of {} at {}",
                other.name,
                account.name,
                user_of(account),
                account.host
            );
            let problem = if deletes {
                Problem::error(format!("{what}; what one deletes, the other may not have stored"))
            } else {
                Problem::warning(format!("{what}; its mail is stored twice"))
            };
            let hint = "disable one of them, or give them different `folders`";
            self.report_account(&account.name, problem.hint(hint));
        }
    }

    /// What is moved into a mailbox that another account polls is stored again there, and moved
    /// again, perhaps back.
    fn moved_to_others(&mut self, config: &Config) {
        let enabled = || config.inbound.values().filter(|account| account.enabled);
        for account in enabled().filter(|account| account.protocol == Protocol::Imap) {
            let by_rules = account.on_received.iter().filter_map(|rule| rule.deed.moves_to());
            let by_delete = match &account.delete_mode {
                DeleteMode::Move(to) if account.delete != DeleteRule::Never => Some(to.as_str()),
                _ => None,
            };
            for to in by_rules.chain(by_delete) {
                let polls = |other: &&Inbound| {
                    other.name != account.name
                        && login(other) == login(account)
                        && polled(&other.folders, to)
                };
                let Some(other) = enabled().find(polls) else { continue };
                let what = format!(
                    "mail is moved to `{to}`, which `{}` polls: it comes again",
                    other.name
                );
                let hint = format!("add `\"!{to}\"` to its `folders`, or move to another mailbox");
                self.report_account(&account.name, Problem::error(what).hint(hint));
            }
        }
    }

    pub(super) fn report_account(&mut self, name: &str, problem: Problem) {
        let raw = self.raw;
        let table = raw.inbound.get(name).map(|half| &half.table);
        let place: Option<&Place> = table.and_then(|table| table.place.as_ref());
        self.report(place, table.map_or("", |table| table.path.as_str()), problem);
    }

    /// Mail that is sent on to its own mailbox comes again, and is sent on again.
    fn forwards(&mut self, config: &Config) {
        for account in config.inbound.values() {
            for rule in &account.on_received {
                let Deed::Forward(forward) = &rule.deed else { continue };
                let own = forward.to.iter().find(|to| to.eq_ignore_ascii_case(&account.user));
                if let Some(own) = own {
                    let what =
                        format!("rule `{}` forwards to {own}, which this account polls", rule.name);
                    let problem = Problem::error(what).hint("forward to another address");
                    self.report_account(&account.name, problem);
                }
                let unknown =
                    forward.via.as_ref().is_some_and(|via| !config.outbound.contains_key(via));
                if let (Err(error), false) =
                    (config.outbound_account(forward.via.as_deref()), unknown)
                {
                    let problem = Problem::error(format!("rule `{}`: {error}", rule.name));
                    self.report_account(&account.name, problem.hint(error.hint()));
                }
            }
        }
    }

    fn idle(&mut self, config: &Config) {
        if self.raw.broken || config.inbound.values().any(|account| account.enabled) {
            return;
        }
        let what = if config.inbound.is_empty() {
            "there is no inbound account: nothing is polled"
        } else {
            "every inbound account is disabled: nothing is polled"
        };
        let hint = "add `[inbound.NAME]`, or set `enabled = true`";
        self.report(None, "", Problem::warning(what).hint(hint));
    }

    /// `delete_after_days` in the defaults, and nobody deletes.
    fn idle_defaults(&mut self, config: &Config) {
        let raw = self.raw;
        let defaults = &raw.defaults_inbound;
        let deletes = config
            .inbound
            .values()
            .any(|account| account.delete != DeleteRule::Never || moves(account));
        for key in DELETE_KEYS {
            let given = defaults.entries.contains_key(key);
            if given && !deletes && !defaults.entries.contains_key("delete_read") && !raw.broken {
                let problem = Problem::error(format!("`{key}` needs `delete_read = true`"))
                    .hint(format!("add `delete_read = true`, or remove `{key}`"));
                self.report(defaults.place_of(key), "defaults.inbound", problem);
            }
        }
    }

    fn renames(&mut self, config: &Config) {
        let raw = self.raw;
        for account in config.inbound.values() {
            let Some(old) = &account.renamed_from else { continue };
            if config.inbound.contains_key(old) {
                let table = raw.inbound.get(account.name.as_ref()).map(|half| &half.table);
                let place = table.and_then(|table| table.place_of("renamed_from"));
                let problem = Problem::error(format!("`renamed_from = \"{old}\"` still exists"));
                let hint = format!("remove `[inbound.{old}]`, or `renamed_from`");
                self.report(place, table.map_or("", |t| t.path.as_str()), problem.hint(hint));
            }
        }
    }
}

/// Whether a rule of the account moves mail on the server.
fn moves(account: &Inbound) -> bool {
    account.on_received.iter().any(|rule| rule.deed.moves_to().is_some())
}

/// Whose mailboxes an account polls.
fn login(account: &Inbound) -> (Protocol, &str, u16, String) {
    (account.protocol, &account.host, service(account), user_of(account))
}

/// The user name, or where it is: two names in one place are one name.
pub(super) fn user_of(account: &Inbound) -> String {
    match &account.user_source {
        Some(source) => format!("{source:?}"),
        None => account.user.clone(),
    }
}

/// Standard ports of one protocol are one service; any other port is a server of its own.
fn service(account: &Inbound) -> u16 {
    match (account.protocol, account.port) {
        (Protocol::Imap, 143 | 993) => 143,
        (Protocol::Pop3, 110 | 995) => 110,
        (_, port) => port,
    }
}

/// A folder that both accounts poll, as far as the config tells; the maildrop for POP3.
fn overlap(a: &Inbound, b: &Inbound) -> Option<String> {
    if a.protocol == Protocol::Pop3 {
        return Some("the maildrop".to_owned());
    }
    let included = |account: &Inbound, name: &str| {
        !account.folders.iter().any(|f| f.strip_prefix('!').is_some_and(|f| hits(f, name)))
    };
    let pairs = a.folders.iter().flat_map(|x| b.folders.iter().map(move |y| (x, y)));
    let clash = pairs
        .filter(|(x, y)| !x.starts_with('!') && !y.starts_with('!'))
        .filter(|(x, y)| hits(x, y) || hits(y, x))
        // The one without wildcards is the folder in question.
        .map(|(x, y)| if x.contains(['*', '%']) { y } else { x })
        .find(|name| included(a, name) && included(b, name));
    clash.map(|name| format!("`{name}`"))
}

fn hits(pattern: &str, name: &str) -> bool {
    let spelled = |text: &str| -> Vec<char> {
        let inbox = text.eq_ignore_ascii_case("INBOX");
        let text = if inbox { "INBOX".to_owned() } else { text.replace('%', "*") };
        text.chars().collect()
    };
    include::matches(&spelled(pattern), &spelled(name))
}

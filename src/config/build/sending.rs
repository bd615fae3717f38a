//! Rules between outbound accounts and what sends by them.

use super::Builder;
use crate::config::problem::Problem;
use crate::config::types::{Config, Outbound};

/// Hosts that take no passwords for SMTP AUTH, or are about to.
const NO_PASSWORDS: [&str; 2] = ["office365.com", "outlook.com"];

impl Builder<'_> {
    pub(super) fn sending(&mut self, config: &Config) {
        if self.raw.broken {
            return;
        }
        self.only_one(config);
        self.default_one(config);
        self.own_address(config);
        for account in config.outbound.values().filter(|account| account.enabled) {
            self.password_refused(account);
        }
    }

    /// `daemon.single_outbound`: the product's strict rule.
    fn only_one(&mut self, config: &Config) {
        let enabled: Vec<String> = enabled(config).map(|name| format!("`{name}`")).collect();
        if !config.daemon.single_outbound || enabled.len() < 2 {
            return;
        }
        let what = format!(
            "outbound accounts {} are enabled; only one may be (`single_outbound`)",
            enabled.join(" and ")
        );
        let problem = Problem::error(what).hint("set `enabled = false` in the others");
        let raw = self.raw;
        self.report(raw.daemon.place_of("single_outbound"), "daemon", problem);
    }

    /// Accounts that nothing uses: "configured, and no mail flows" deserves a word.
    fn default_one(&mut self, config: &Config) {
        let raw = self.raw;
        if let Some(name) = &config.notices.outbound {
            if config.outbound.get(name).is_some_and(|account| !account.enabled) {
                let what = format!("`outbound = \"{name}\"` is disabled: nothing can be sent");
                let hint = format!("set `enabled = true` in `[outbound.{name}]`");
                let place = raw.notices.place_of("outbound");
                self.report(place, "notices", Problem::error(what).hint(hint));
            }
            return;
        }
        let named = config.notices.error_reporting.is_some() || config.notices.feedback.is_some();
        let enabled: Vec<&str> = enabled(config).collect();
        if enabled.len() < 2 || named || config.daemon.single_outbound {
            return;
        }
        let what = format!("{} outbound accounts and no default: none sends", enabled.len());
        let hint = format!("set `outbound` in `[notices]` to one of {}", enabled.join(", "));
        self.report(None, "notices", Problem::warning(what).hint(hint));
    }

    /// Servers refuse senders that aren't the account's own (550 5.7.60).
    fn own_address(&mut self, config: &Config) {
        let raw = self.raw;
        let Ok(account) = config.outbound_account(None) else { return };
        let Some(system) = &config.notices.system else {
            if config.sender_of(account).is_none() && config.notices.error_reporting.is_some() {
                let what = "notices have no From address";
                let hint = format!("set `system`, or `from` in `[outbound.{}]`", account.name);
                let place = raw.notices.place_of("error_reporting");
                self.report(place, "notices", Problem::error(what).hint(hint));
            }
            return;
        };
        if account.owns(system) {
            return;
        }
        let own = account.from.as_ref().or(account.user.as_ref()).cloned().unwrap_or_default();
        let what = format!(
            "`system = \"{system}\"` isn't the address of `{}` ({own}): many servers refuse other \
             senders than the account's own",
            account.name
        );
        let hint = format!(
            "`postrider test {}` shows whether this one does; then `allowed_from = \"{system}\"` in \
             `[outbound.{}]` ends this warning",
            account.name, account.name
        );
        let place = raw.notices.place_of("system");
        self.report(place, "notices", Problem::warning(what).hint(hint));
    }

    fn password_refused(&mut self, account: &Outbound) {
        let host = account.host.to_ascii_lowercase();
        let refuses = NO_PASSWORDS.iter().any(|end| {
            host.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        if !refuses || account.password.is_none() || !account.has_login() {
            return;
        }
        let what = format!("{} takes no passwords for SMTP in most tenants", account.host);
        let hint = "use `oauth = \"NAME\"` and `[oauth.NAME]` with `provider = \"office365\"`";
        let raw = self.raw;
        let table = raw.outbound.get(account.name.as_ref()).map(|half| &half.table);
        let place = table.and_then(|table| table.place_of("password"));
        let path = table.map_or("", |table| table.path.as_str());
        self.report(place, path, Problem::warning(what).hint(hint));
    }
}

fn enabled(config: &Config) -> impl Iterator<Item = &str> {
    config.outbound.values().filter(|account| account.enabled).map(|account| account.name.as_ref())
}

//! `[notices]`, and when a person is told of an account.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Builder;
use super::across::user_of;
use super::server::known;
use crate::config::keys;
use crate::config::problem::Problem;
use crate::config::raw::RawHalf;
use crate::config::types::{Canary, Config, NoticesConfig, Watch};
use crate::config::value::duration_text;
use crate::config::view::{Layer, View};

impl<'a> Builder<'a> {
    pub(super) fn notices(&mut self) -> NoticesConfig {
        let view = self.single(&keys::NOTICES, &self.raw.notices);
        let sends = ["error_reporting", "feedback"].into_iter().find(|key| view.has(key));
        if let Some(key) = sends.filter(|_| !view.has("system")) {
            let problem = Problem::error(format!("`{key}` needs `system`, the From of its mail"));
            self.report_at(&view, key, problem.hint("add `system = \"robot@example.org\"`"));
        }
        NoticesConfig {
            system: view.text("system"),
            error_reporting: view.text("error_reporting"),
            feedback: view.text("feedback"),
            outbound: view.account("outbound"),
            digest: view.duration("digest").unwrap_or_default(),
            max_per_hour: view.number("max_per_hour").unwrap_or(1),
            max_per_day: view.number("max_per_day").unwrap_or(1),
            remind_every: view.duration("remind_every").unwrap_or(Duration::MAX),
        }
    }

    /// When a person is told of an account.
    pub(super) fn watch(&mut self, view: &View<'_>, half: &'a RawHalf) -> Watch {
        let every = view.duration("poll_interval").filter(|_| !view.has("cron"));
        let mut no_success = view.duration("alert_if_no_success").unwrap_or(Duration::MAX);
        if let Some(every) = every {
            if !view.has("alert_if_no_success") {
                no_success = no_success.max(every.saturating_mul(2));
            } else if no_success <= every {
                let what = format!(
                    "`alert_if_no_success = \"{}\"` is not longer than `poll_interval`: each poll \
                     comes too late",
                    duration_text(no_success)
                );
                let hint = format!("make it longer than {}", duration_text(every));
                self.report_at(view, "alert_if_no_success", Problem::error(what).hint(hint));
            }
        }
        let no_mail = view.duration("alert_if_no_mail");
        Watch { no_success, no_mail, canary: self.canary(view, half) }
    }

    fn canary(&mut self, account: &View<'_>, half: &'a RawHalf) -> Option<Canary> {
        half.canary.place.as_ref()?;
        let view = View::new(&keys::CANARY, vec![(Layer::Own, &half.canary)]);
        self.origins.insert(half.canary.path.clone(), view.origins());
        self.require(&view, "via", "add `via = \"NAME\"`, an `[outbound.NAME]`");
        let user = account.text("user").or_else(|| account.text("address"));
        let to = view.text("to").or_else(|| user.filter(|user| user.contains('@')));
        if to.is_none() && !view.has("to") && !view.is_broken() {
            let problem = Problem::error("`to` is missing: `user` is no mail address");
            let hint = "add `to = \"invoices@example.org\"`, the mailbox's own address";
            self.report_at(&view, "to", problem.hint(hint));
        }
        let (every, max) = (view.duration("every")?, view.duration("max")?);
        self.canary_times(account, &view, every, max);
        Some(Canary { via: view.account("via")?, to: to.unwrap_or_default(), every, max })
    }

    /// A canary that could never be in time.
    fn canary_times(
        &mut self,
        account: &View<'_>,
        view: &View<'_>,
        every: Duration,
        max: Duration,
    ) {
        let slower = [
            ("poll_interval", account.duration("poll_interval").filter(|_| !account.has("cron"))),
            ("min_age", account.duration("min_age")),
        ];
        let shown = duration_text(max);
        for (key, time) in slower {
            let Some(time) = time.filter(|time| *time >= max) else { continue };
            let what = format!(
                "`max = \"{shown}\"` is not longer than `{key}`: each canary is late by itself"
            );
            let hint = format!("make `max` longer than {}", duration_text(time));
            self.report_at(view, "max", Problem::error(what).hint(hint));
        }
        if max > every {
            let what = format!("`max = \"{shown}\"` is longer than `every`");
            let hint = "make `every` the longer one";
            self.report_at(view, "max", Problem::error(what).hint(hint));
        }
    }

    /// Canaries need the outbound account that they name, and a From.
    pub(super) fn canaries(&mut self, config: &Config) {
        let raw = self.raw;
        let defined: Vec<&str> = config.outbound.keys().map(AsRef::as_ref).collect();
        for account in config.inbound.values().filter(|account| account.enabled) {
            let Some(canary) = &account.watch.canary else { continue };
            let Some(half) = raw.inbound.get(&*account.name) else { continue };
            let view = View::new(&keys::CANARY, vec![(Layer::Own, &half.canary)]);
            let via = &canary.via;
            let (what, hint) = match config.outbound.get(via) {
                None if raw.broken => continue,
                None => (
                    format!("`via = \"{via}\"` is not defined"),
                    format!("the name of an `[outbound.NAME]`{}", known(&defined)),
                ),
                Some(outbound) if !outbound.enabled => (
                    format!("`via = \"{via}\"` is disabled"),
                    format!("set `enabled = true` in `[outbound.{via}]`"),
                ),
                Some(outbound) if config.sender_of(outbound).is_none() => (
                    "a canary needs `system` in `[notices]`, the From of its mail".to_owned(),
                    "add `[notices]` with `system = \"robot@example.org\"`".to_owned(),
                ),
                Some(_) => continue,
            };
            self.report_at(&view, "via", Problem::error(what).hint(hint));
        }
    }

    /// Reports into a mailbox that is polled: known by their header, yet whoever reads them there
    /// learns nothing while it can't be polled.
    pub(super) fn reports_to_ourselves(&mut self, config: &Config) {
        let polled: BTreeSet<String> = config
            .inbound
            .values()
            .filter(|account| account.enabled)
            .map(|account| user_of(account).to_lowercase())
            .collect();
        let addresses = [
            ("error_reporting", &config.notices.error_reporting),
            ("feedback", &config.notices.feedback),
        ];
        for (key, address) in addresses {
            let Some(address) = address.as_ref().filter(|a| polled.contains(&a.to_lowercase()))
            else {
                continue;
            };
            let what = format!("`{key} = \"{address}\"` is a mailbox that is polled");
            let hint = "reports are known there by their header and cause no others; but a person \
                        should read them elsewhere";
            let place = self.raw.notices.place_of(key);
            self.report(place, "notices", Problem::warning(what).hint(hint));
        }
    }

    /// Notices need an outbound account that exists and is the only one, or is named.
    pub(super) fn sender(&mut self, config: &Config) {
        let raw = self.raw;
        let defined: Vec<&str> = config.outbound.keys().map(AsRef::as_ref).collect();
        let place = |key: &str| raw.notices.place_of(key);
        if let Some(name) = &config.notices.outbound {
            if !config.outbound.contains_key(name) && !raw.broken {
                let what = format!("`outbound = \"{name}\"` is not defined");
                let hint = format!("the name of an `[outbound.NAME]`{}", known(&defined));
                self.report(place("outbound"), "notices", Problem::error(what).hint(hint));
            }
            return;
        }
        let notices = [
            ("error_reporting", &config.notices.error_reporting),
            ("feedback", &config.notices.feedback),
        ];
        let Some((key, _)) = notices.into_iter().find(|(_, address)| address.is_some()) else {
            return;
        };
        let enabled: Vec<&str> =
            config.outbound.values().filter(|o| o.enabled).map(|o| o.name.as_ref()).collect();
        let problem = match enabled.len() {
            1 => return,
            0 => Problem::warning(format!("`{key}` is set, but no outbound account can send"))
                .hint("add an `[outbound.NAME]`"),
            _ => Problem::error(format!("`{key}` needs `outbound`: there are {}", enabled.len()))
                .hint(format!("set `outbound` to one of {}", enabled.join(", "))),
        };
        self.report(place(key), "notices", problem);
    }
}

//! `[inbound.NAME]` and the rules between its keys.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::Builder;
use super::delete::delete_age;
use super::server::layers;
use crate::config::deleting::DeleteRule;
use crate::config::keys;
use crate::config::origin::{Origin, OriginKind};
use crate::config::problem::Problem;
use crate::config::raw::RawHalf;
use crate::config::types::{Inbound, MinRate, Properties, Protocol, Schedule};
use crate::config::value::{Value, duration_text};
use crate::config::view::{Layer, View};
use crate::model::{AccountName, ByteSize};
use crate::provider::Service;

impl<'a> Builder<'a> {
    pub(super) fn inbound(&mut self) -> BTreeMap<AccountName, Inbound> {
        let raw = self.raw;
        let mut accounts = BTreeMap::new();
        for (name, half) in &raw.inbound {
            let name = AccountName::from(name.as_str());
            accounts.insert(AccountName::clone(&name), self.account(name, half));
        }
        accounts
    }

    fn account(&mut self, name: AccountName, half: &'a RawHalf) -> Inbound {
        let view = layers(&keys::INBOUND, half, &self.raw.defaults_inbound);
        self.origins.insert(view.path().to_owned(), view.origins());
        self.require(&view, "protocol", "add `protocol = \"imap\"` or `protocol = \"pop3\"`");
        let (protocol, service) = protocol(&view);
        let view = self.preset(view, service, "imap.example.org");
        let encryption = self.encryption(&view);
        let tls = self.tls(&view);
        let port = self.port(&view, protocol.as_str(), encryption);
        let oauth = self.credentials(&view);
        let on_received = self.rules_of(half, &view, protocol);
        let delete = self.delete(&view, &on_received);
        self.ages(&view, delete);
        self.protocol_keys(&view, protocol);
        let delete_mode = self.delete_mode(&view, protocol, delete);
        Inbound {
            name,
            renamed_from: view.account("renamed_from"),
            description: view.text("description").or_else(|| view.text("address")),
            label: view.text("label"),
            enabled: view.flag("enabled"),
            protocol,
            host: view.text("host").unwrap_or_default(),
            port,
            encryption,
            allow_plaintext: view.flag("allow_plaintext"),
            bind_address: view.ip("bind_address"),
            tls,
            user: self.user(&view),
            user_source: view.secret("user"),
            password: if oauth { None } else { view.secret("password") },
            oauth: if oauth { self.token_of(&view) } else { None },
            safe_logon: view.safe_logon(),
            sasl: view.mechanisms(),
            folders: view.list("folders"),
            schedule: self.schedule(&view),
            batch_max: view.number("batch_max"),
            batch_max_bytes: view.size("batch_max_bytes"),
            drain: view.flag("drain"),
            process_after: self.process_after(&view),
            ignore_older_than: view.duration("ignore_older_than"),
            min_age: view.duration("min_age"),
            max_message_size: view.size("max_message_size"),
            only_unseen: protocol == Protocol::Imap && view.flag("only_unseen"),
            mark_seen: protocol == Protocol::Imap && view.flag("mark_seen"),
            delete,
            delete_age_from: delete_age(&view),
            delete_mode,
            delete_after_actions: view.flag("delete_after_actions"),
            delete_max_per_poll: view.number("delete_max_per_poll"),
            pop3_no_uidl_download: view.text("pop3_no_uidl").as_deref() == Some("download"),
            connect_timeout: view.duration("connect_timeout").unwrap_or_default(),
            read_timeout: view.duration("read_timeout").unwrap_or_default(),
            min_rate: min_rate(&view),
            poll_deadline: view.duration("poll_deadline").unwrap_or_default(),
            protect: view.flag("protect"),
            debug: view.flag("debug"),
            properties: self.properties(half),
            watch: self.watch(&view, half),
            on_received,
        }
    }

    fn user(&mut self, view: &View<'_>) -> String {
        if let Some(user) = view.text("user") {
            return user;
        }
        if view.secret("user").is_some() {
            return String::new();
        }
        let Some(address) = view.text("address") else {
            if !view.has("address") {
                self.require(view, "user", "add `user = \"…\"`, or `address = \"…\"`");
            }
            return String::new();
        };
        let from = OriginKind::Computed("address".to_owned());
        let origin = Origin::plain(format!("\"{address}\""), from);
        self.origins.entry(view.path().to_owned()).or_default().insert("user", origin);
        address
    }

    /// Whether `oauth` is used; one of it and `password` must be there.
    fn credentials(&mut self, view: &View<'_>) -> bool {
        let oauth = self.uses_oauth(view);
        if oauth {
            self.oauth_exists(view);
        } else if !view.has("tls_client_certificate") {
            let hint = "add `password = { file = \"PATH\" }`, another source of a password, or \
                        `oauth = \"NAME\"`";
            self.require(view, "password", hint);
        }
        oauth
    }

    fn process_after(&mut self, view: &View<'_>) -> Option<Timestamp> {
        let after = match view.value("process_after")? {
            Value::Timestamp(after) => after,
            Value::LocalTime(local) => {
                let zoned = local.to_zoned(self.zone.clone()).ok()?;
                let what = format!(
                    "`process_after = {local}` has no offset: taken as {}, in `archive.timezone`",
                    zoned.timestamp()
                );
                let hint = format!("write `process_after = {}`", zoned.timestamp());
                self.report_at(view, "process_after", Problem::warning(what).hint(hint));
                zoned.timestamp()
            }
            _ => return None,
        };
        if after > self.now {
            let what =
                format!("`process_after = {after}` is in the future: no mail is fetched till then");
            self.report_at(view, "process_after", Problem::warning(what));
        }
        Some(after)
    }

    fn schedule(&mut self, view: &View<'_>) -> Schedule {
        let (cron, interval) = (view.depth("cron"), view.depth("poll_interval"));
        if cron == interval && cron != usize::MAX {
            let problem = Problem::error("`poll_interval` and `cron` exclude each other");
            let other = view.place("poll_interval").map(ToString::to_string).unwrap_or_default();
            let hint = format!("keep one of them; `poll_interval` is at {other}");
            self.report_at(view, "cron", problem.hint(hint));
        }
        if let Some(Value::Cron(schedule)) = view.value("cron").filter(|_| cron < interval) {
            return Schedule::Cron(schedule);
        }
        let every = view.duration("poll_interval").unwrap_or_default();
        if every < Duration::from_secs(30) {
            let every = duration_text(every);
            let what =
                format!("`poll_interval = \"{every}\"` is short: providers throttle below 30s");
            self.report_at(view, "poll_interval", Problem::warning(what));
        }
        Schedule::Every(every)
    }

    /// Age rules that leave nothing to fetch, or leave mail on the server for ever.
    fn ages(&mut self, view: &View<'_>, delete: DeleteRule) {
        let Some(oldest) = view.duration("ignore_older_than") else { return };
        let shown = duration_text(oldest);
        if let Some(youngest) = view.duration("min_age").filter(|youngest| *youngest >= oldest) {
            let what = format!(
                "`min_age = \"{}\"` and `ignore_older_than = \"{shown}\"` leave no mail to fetch",
                duration_text(youngest)
            );
            self.report_at(
                view,
                "min_age",
                Problem::error(what).hint("make `min_age` the shorter one"),
            );
        }
        let DeleteRule::AfterDays(days) = delete else { return };
        if oldest < Duration::from_hours(24).saturating_mul(days) {
            let what = format!(
                "`ignore_older_than = \"{shown}\"` is shorter than `delete_after_days = {days}`: \
                 mail that is not stored within {shown} stays on the server"
            );
            let hint = "only stored mail is ever deleted; lengthen `ignore_older_than` if that is not meant";
            self.report_at(view, "ignore_older_than", Problem::warning(what).hint(hint));
        }
    }

    /// Keys of the other protocol; in the defaults they are for the accounts that have it.
    fn protocol_keys(&mut self, view: &View<'_>, protocol: Protocol) {
        let foreign: &[(&str, &str)] = match protocol {
            Protocol::Pop3 => &[
                ("folders", "`folders` is for IMAP: POP3 has no folders"),
                ("only_unseen", "`only_unseen` is for IMAP: POP3 doesn't tell what was read"),
                ("mark_seen", "`mark_seen` is for IMAP: POP3 can't mark what was read"),
            ],
            Protocol::Imap => &[("pop3_no_uidl", "`pop3_no_uidl` is for POP3")],
        };
        for (key, what) in foreign {
            let own = view.entry(key).is_some_and(|(layer, _)| layer == Layer::Own);
            if view.has("protocol") && own {
                let problem = Problem::error(*what).hint(format!("remove `{key}`"));
                self.report_at(view, key, problem);
            }
        }
    }

    fn properties(&mut self, half: &'a RawHalf) -> Properties {
        let layers =
            vec![(Layer::Own, &half.properties), (Layer::Defaults, &self.raw.defaults_properties)];
        let view = View::new(&keys::PROPERTIES, layers);
        self.origins.insert(format!("{}.properties", half.table.path), view.origins());
        Properties {
            imap_fetch_chunk: view.size("imap.fetch_chunk").unwrap_or(ByteSize(1 << 20)),
            imap_list_window: view.number("imap.list_window").unwrap_or(1),
            imap_fetch_batch: view.number("imap.fetch_batch").unwrap_or(1),
            pop3_pipeline: view.number("pop3.pipeline").unwrap_or(1),
            tcp_keepalive: view.duration("tcp.keepalive").unwrap_or_default(),
        }
    }
}

fn protocol(view: &View<'_>) -> (Protocol, Service) {
    match view.text("protocol").as_deref() {
        Some("pop3") => (Protocol::Pop3, Service::Pop3),
        _ => (Protocol::Imap, Service::Imap),
    }
}

fn min_rate(view: &View<'_>) -> MinRate {
    if let Some(Value::Rate(rate)) = view.value("min_rate") {
        rate
    } else {
        MinRate { octets: 1, window: Duration::MAX }
    }
}

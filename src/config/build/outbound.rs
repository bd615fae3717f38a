//! `[outbound.NAME]`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::Builder;
use super::server::{known, layers};
use crate::config::keys;
use crate::config::origin::{Origin, OriginKind};
use crate::config::problem::Problem;
use crate::config::raw::RawHalf;
use crate::config::types::{Outbound, Transport};
use crate::config::value::Value;
use crate::config::view::View;
use crate::model::AccountName;
use crate::provider::Service;

impl<'a> Builder<'a> {
    pub(super) fn outbound(&mut self) -> BTreeMap<AccountName, Outbound> {
        let raw = self.raw;
        let mut accounts = BTreeMap::new();
        for (name, half) in &raw.outbound {
            let name = AccountName::from(name.as_str());
            accounts.insert(AccountName::clone(&name), self.submission(name, half));
        }
        accounts
    }

    fn submission(&mut self, name: AccountName, half: &'a RawHalf) -> Outbound {
        let view = layers(&keys::OUTBOUND, half, &self.raw.defaults_outbound);
        self.origins.insert(view.path().to_owned(), view.origins());
        let transport = self.transport(&view);
        let view = match transport {
            Transport::Smtp => self.preset(view, Service::Smtp, "smtp.example.org"),
            Transport::Sendmail(_) => view,
        };
        let encryption = self.encryption(&view);
        let tls = self.tls(&view);
        let port = self.port(&view, "smtp", encryption);
        let user = self.or_address(&view, "user", half);
        let oauth = self.submission_credentials(&view, user.is_some());
        self.pop_before_smtp(&view);
        Outbound {
            name,
            description: view.text("description"),
            enabled: view.flag("enabled"),
            transport,
            host: view.text("host").unwrap_or_default(),
            port,
            encryption,
            allow_plaintext: view.flag("allow_plaintext"),
            bind_address: view.ip("bind_address"),
            tls,
            connect_timeout: view.duration("connect_timeout").unwrap_or_default(),
            send_timeout: view.duration("send_timeout").unwrap_or_default(),
            read_timeout: view.duration("read_timeout").unwrap_or_default(),
            log_in: view.text("auth").as_deref() != Some("none"),
            user,
            user_source: view.secret("user"),
            password: if oauth { None } else { view.secret("password") },
            oauth: if oauth { self.token_of(&view) } else { None },
            safe_logon: view.safe_logon(),
            sasl: view.mechanisms(),
            pop_before_smtp: view.account("pop_before_smtp"),
            pop_before_smtp_ttl: view.duration("pop_before_smtp_ttl").unwrap_or_default(),
            from: self.or_address(&view, "from", half),
            allowed_from: view.list("allowed_from"),
            from_name: view.text("from_name"),
            organization: view.text("organization"),
            reply_to: view.list("reply_to"),
            test_to: view.text("test_to"),
            protect: view.flag("protect"),
            debug: view.flag("debug"),
        }
    }

    /// `sendmail` must be there and be a program: found out now, not with the first error mail.
    fn transport(&mut self, view: &View<'_>) -> Transport {
        if view.text("transport").as_deref() != Some("sendmail") {
            if view.has("sendmail") {
                let problem =
                    Problem::warning("`sendmail` does nothing without `transport = \"sendmail\"`");
                let hint = "add it, or remove `sendmail`";
                self.report_at(view, "sendmail", problem.hint(hint));
            }
            return Transport::Smtp;
        }
        let argv = view.list("sendmail");
        let program = argv.first().map(PathBuf::from).unwrap_or_default();
        let is_program = |path: &PathBuf| {
            path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        };
        if !program.is_absolute() || !is_program(&program) {
            let key = if view.has("sendmail") { "sendmail" } else { "transport" };
            let what = format!("`{}` is no program that can be run", program.display());
            let hint = "install a mail transfer agent, or give the whole path of its `sendmail`";
            self.report_at(view, key, Problem::error(what).hint(hint));
        }
        Transport::Sendmail(argv)
    }

    /// `user` and `from` default to the `address` of `[account.NAME]`.
    fn or_address(&mut self, view: &View<'_>, key: &'static str, half: &RawHalf) -> Option<String> {
        if view.has(key) {
            return view.text(key);
        }
        let entry = half.shared.as_ref()?.entries.get("address")?;
        let Some(Value::Text(address)) = &entry.value else { return None };
        let from = OriginKind::Computed("address".to_owned());
        let origin = Origin::plain(entry.shown.clone(), from);
        self.origins.entry(view.path().to_owned()).or_default().insert(key, origin);
        Some(address.clone())
    }

    fn submission_credentials(&mut self, view: &View<'_>, user: bool) -> bool {
        let oauth = self.uses_oauth(view);
        let key = if oauth { "oauth" } else { "password" };
        if oauth {
            self.oauth_exists(view);
        }
        if view.has(key) && !user && !view.has("user") {
            let problem = Problem::error(format!("`{key}` needs `user`"));
            self.report_at(view, key, problem.hint("add `user = \"…\"`"));
        }
        let certificate = view.has("tls_client_certificate");
        if view.has("user") && !view.has(key) && !certificate && !view.is_broken() {
            let problem = Problem::error("`user` needs `password` or `oauth`");
            let hint = "add one of them, or remove `user` for a relay that asks for none";
            self.report_at(view, "user", problem.hint(hint));
        }
        oauth
    }

    fn pop_before_smtp(&mut self, view: &View<'_>) {
        let Some(name) = view.text("pop_before_smtp") else { return };
        if self.raw.inbound.contains_key(&name) || self.raw.broken {
            return;
        }
        let defined: Vec<&str> = self.raw.inbound.keys().map(String::as_str).collect();
        let what = format!("`pop_before_smtp = \"{name}\"` is no inbound account");
        let hint = format!("the name of an `[inbound.NAME]`{}", known(&defined));
        self.report_at(view, "pop_before_smtp", Problem::error(what).hint(hint));
    }
}

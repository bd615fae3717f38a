//! `[oauth.NAME]` and the rules between its keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Builder;
use super::server::layers;
use crate::config::keys;
use crate::config::problem::Problem;
use crate::config::types::{
    ClientCertificate, ClientProof, Grant, Oauth, OauthEndpoints, OauthProvider, OauthUses,
    SECRET_EXPIRY_WARNING,
};
use crate::config::value::Value;
use crate::config::view::{Layer, View};

/// Tenants that are no tenant of one's own.
const SHARED_TENANTS: [&str; 3] = ["common", "organizations", "consumers"];

/// Key → the grants that it means something to.
const OF_GRANTS: &[(&str, &[Grant])] = &[
    ("user", &[Grant::Password]),
    ("password", &[Grant::Password]),
    ("service_account_file", &[Grant::ServiceAccount]),
    ("subject", &[Grant::ServiceAccount]),
    ("refresh_token", &[Grant::RefreshToken]),
    ("device_url", &[Grant::DeviceCode]),
];

impl Builder<'_> {
    pub(super) fn oauth(&mut self) -> BTreeMap<String, Arc<Oauth>> {
        let raw = self.raw;
        let mut all = BTreeMap::new();
        for (name, table) in &raw.oauth {
            let view = View::new(&keys::OAUTH, vec![(Layer::Own, table)]);
            self.origins.insert(view.path().to_owned(), view.origins());
            let provider = provider(&view);
            let grant = grant(&view);
            self.required(&view, grant);
            self.fitting(&view, provider, grant);
            self.tenant(&view, provider, grant);
            self.urls(&view);
            self.oauth_files(&view);
            let oauth = Oauth {
                name: name.clone(),
                provider,
                grant,
                tenant_id: view.text("tenant_id"),
                client_id: view.text("client_id").unwrap_or_default(),
                client: self.client(&view),
                refresh_token: view.secret("refresh_token"),
                user: view.text("user"),
                password: view.secret("password"),
                service_account_file: view.path_of("service_account_file"),
                subject: view.text("subject"),
                secret_expires: self.secret_expires(&view),
                endpoints: OauthEndpoints {
                    issuer: view.text("issuer"),
                    auth: view.text("auth_url"),
                    token: view.text("token_url"),
                    device: view.text("device_url"),
                    revoke: view.text("revoke_url"),
                },
                scopes: view.list("scopes"),
                ca_file: view.path_of("tls_ca_file"),
                timeout: view.duration("timeout").unwrap_or_default(),
                uses: self.uses(name),
            };
            all.insert(name.clone(), Arc::new(oauth));
        }
        all
    }

    /// What the accounts that name this table speak; disabled ones count, as they come back.
    fn uses(&self, name: &str) -> OauthUses {
        let raw = self.raw;
        let mut uses = OauthUses::default();
        for half in raw.inbound.values() {
            let view = layers(&keys::INBOUND, half, &raw.defaults_inbound);
            if view.text("oauth").as_deref() == Some(name) {
                let pop3 = view.text("protocol").as_deref() == Some("pop3");
                uses.pop3 |= pop3;
                uses.imap |= !pop3;
            }
        }
        for half in raw.outbound.values() {
            let view = layers(&keys::OUTBOUND, half, &raw.defaults_outbound);
            uses.smtp |= view.text("oauth").as_deref() == Some(name);
        }
        uses
    }

    fn required(&mut self, view: &View<'_>, grant: Grant) {
        let hint = "add `provider = \"google\"`, `\"office365\"` or `\"generic\"`";
        self.require(view, "provider", hint);
        if view.text("provider").as_deref() == Some("generic") && !view.has("issuer") {
            let hint = "`generic` needs `issuer = \"https://…\"`, or `token_url = \"https://…\"`";
            self.require(view, "token_url", hint);
            let further = match grant {
                Grant::AuthorizationCode => Some("auth_url"),
                Grant::DeviceCode => Some("device_url"),
                _ => None,
            };
            if let Some(key) = further.filter(|_| view.has("token_url")) {
                let hint = format!("`grant = \"{}\"` needs `{key}`, or `issuer`", grant.as_str());
                self.require(view, key, &hint);
            }
        }
        if grant != Grant::ServiceAccount {
            self.require(view, "client_id", "add `client_id = \"…\"`, as it was registered");
        }
        let needed: &[(&str, &str)] = match grant {
            Grant::RefreshToken => &[("refresh_token", "{ file = \"PATH\" }")],
            Grant::Password => &[("user", "…"), ("password", "{ file = \"PATH\" }")],
            Grant::ServiceAccount => {
                &[("service_account_file", "PATH"), ("subject", "mailbox@example.org")]
            }
            Grant::AuthorizationCode | Grant::ClientCredentials | Grant::DeviceCode => &[],
        };
        for (key, example) in needed {
            let quote = if example.starts_with('{') { "" } else { "\"" };
            let hint =
                format!("`grant = \"{}\"` needs `{key} = {quote}{example}{quote}`", grant.as_str());
            self.require(view, key, &hint);
        }
        let proofs = ["client_secret", "client_certificate_file", "federated_token_file"];
        if grant == Grant::ClientCredentials && !proofs.iter().any(|key| view.has(key)) {
            let hint = "`client_credentials` needs `client_secret`, `client_certificate_file` or \
                        `federated_token_file`";
            self.require(view, "client_secret", hint);
        }
    }

    /// Grants that the provider doesn't have, and keys that the grant doesn't use.
    fn fitting(&mut self, view: &View<'_>, provider: OauthProvider, grant: Grant) {
        let wrong = match (provider, grant) {
            (OauthProvider::Google, Grant::DeviceCode) => Some((
                "Google has no device flow for mail",
                "use `authorization_code`; `postrider oauth login NAME --print-url` works without \
                 a browser on this machine",
            )),
            (OauthProvider::Google, Grant::ClientCredentials) => Some((
                "Google has no client_credentials for mail",
                "use `service_account`, with domain-wide delegation",
            )),
            (OauthProvider::Google, Grant::Password) => Some((
                "Google has no password grant",
                "use `authorization_code`, or an app password without OAuth",
            )),
            (OauthProvider::Office365 | OauthProvider::Generic, Grant::ServiceAccount) => {
                Some(("service accounts are Google's", "use `client_credentials`"))
            }
            _ => None,
        };
        if let Some((what, hint)) = wrong {
            let what = format!("`grant = \"{}\"`: {what}", grant.as_str());
            self.report_at(view, "grant", Problem::error(what).hint(hint));
            return;
        }
        for (key, grants) in OF_GRANTS {
            if view.has(key) && !grants.contains(&grant) {
                let wanted = grants.first().map_or("", |grant| grant.as_str());
                let what = format!("`{key}` is not used by `grant = \"{}\"`", grant.as_str());
                let hint = format!("remove `{key}`, or set `grant = \"{wanted}\"`");
                self.report_at(view, key, Problem::error(what).hint(hint));
            }
        }
        if provider != OauthProvider::Generic && view.has("issuer") {
            let what =
                format!("`issuer` is for `generic`: {} has fixed endpoints", provider.as_str());
            self.report_at(view, "issuer", Problem::error(what).hint("remove `issuer`"));
        }
        if grant == Grant::Password {
            let what = "`grant = \"password\"` fails for users with multi-factor authentication, \
                        federated and personal accounts";
            let hint = "Microsoft advises against it; `client_credentials` needs no person either";
            self.report_at(view, "grant", Problem::warning(what).hint(hint));
        }
        let public = provider == OauthProvider::Office365 && grant == Grant::DeviceCode;
        if public && view.has("client_secret") {
            let what = "`client_secret` with `grant = \"device_code\"`: Microsoft takes no secret \
                        there (AADSTS7000218)";
            let hint = "remove `client_secret`; the app needs \"Allow public client flows\"";
            self.report_at(view, "client_secret", Problem::error(what).hint(hint));
        }
        let desktop = matches!(grant, Grant::AuthorizationCode | Grant::RefreshToken);
        if provider == OauthProvider::Google && desktop && !view.has("client_secret") {
            let hint = "Google wants `client_secret` even for desktop clients";
            self.require(view, "client_secret", hint);
        }
    }

    fn tenant(&mut self, view: &View<'_>, provider: OauthProvider, grant: Grant) {
        if provider != OauthProvider::Office365 {
            if view.has("tenant_id") && view.text("provider").is_some() {
                let what = "`tenant_id` is for `provider = \"office365\"`";
                self.report_at(view, "tenant_id", Problem::error(what).hint("remove `tenant_id`"));
            }
            return;
        }
        let own = matches!(grant, Grant::ClientCredentials);
        let Some(tenant) = view.text("tenant_id") else {
            if !view.has("token_url") {
                let hint = if own {
                    "add `tenant_id = \"…\"`: the directory's GUID or domain"
                } else {
                    "add `tenant_id = \"…\"`: the directory's GUID or domain, `organizations`, or \
                     `consumers` for Outlook.com"
                };
                self.require(view, "tenant_id", hint);
            }
            return;
        };
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let problem = if own && SHARED_TENANTS.contains(&tenant.as_str()) {
            let what =
                format!("`tenant_id = \"{tenant}\"`: client_credentials needs the tenant's own id");
            Problem::error(what).hint("the directory's GUID or domain")
        } else if grant == Grant::Password && ["common", "consumers"].contains(&tenant.as_str()) {
            let what = format!("`tenant_id = \"{tenant}\"`: password needs a tenant of its own");
            Problem::error(what).hint("the directory's GUID or domain, or `organizations`")
        } else if tenant == "common" {
            let what = "`tenant_id = \"common\"`: an address may exist as a work account and as a \
                        personal one";
            let hint = "the directory's GUID or domain, `organizations`, or `consumers`";
            Problem::warning(what).hint(hint)
        } else if !tenant.chars().all(good) {
            Problem::error("`tenant_id` is neither a GUID nor a domain")
                .hint("the directory's GUID or domain")
        } else {
            return;
        };
        self.report_at(view, "tenant_id", problem);
    }

    fn urls(&mut self, view: &View<'_>) {
        for key in ["issuer", "auth_url", "token_url", "device_url", "revoke_url"] {
            if view.text(key).is_some_and(|url| !is_https(&url)) {
                let what = format!("`{key}` is not an https URL");
                self.report_at(view, key, Problem::error(what).hint("secrets are sent to it"));
            }
        }
    }

    fn oauth_files(&mut self, view: &View<'_>) {
        let keys = ["client_certificate_file", "client_key_file", "service_account_file"];
        for key in keys.into_iter().chain(["tls_ca_file"]) {
            if let Some(file) = view.path_of(key).filter(|file| !file.is_file()) {
                let what = format!("`{key}`: cannot read `{}`", file.display());
                self.report_at(view, key, Problem::error(what).hint("correct the path"));
            }
        }
    }

    /// What the client proves itself by: one thing.
    fn client(&mut self, view: &View<'_>) -> ClientProof {
        let (secret, certificate, federated) = (
            view.secret("client_secret"),
            view.path_of("client_certificate_file"),
            view.path_of("federated_token_file"),
        );
        let names = ["client_secret", "client_certificate_file", "federated_token_file"];
        let given: Vec<&str> = names.into_iter().filter(|key| view.has(key)).collect();
        if let [first, second, ..] = given.as_slice() {
            let problem = Problem::error(format!("`{first}` and `{second}` exclude each other"));
            self.report_at(view, second, problem.hint("keep one of them"));
        }
        if view.has("client_key_file") && certificate.is_none() {
            let problem = Problem::error("`client_key_file` needs `client_certificate_file`");
            let hint = "add `client_certificate_file = \"PATH\"`";
            self.report_at(view, "client_key_file", problem.hint(hint));
        }
        match (secret, certificate, federated) {
            (Some(secret), ..) => ClientProof::Secret(secret),
            (None, Some(certificate), _) => {
                let key = view.path_of("client_key_file").unwrap_or_else(|| certificate.clone());
                ClientProof::Certificate(ClientCertificate { certificate, key })
            }
            (None, None, Some(file)) => ClientProof::FederatedToken(file),
            (None, None, None) => ClientProof::None,
        }
    }

    fn secret_expires(&mut self, view: &View<'_>) -> Option<Timestamp> {
        let at = match view.value("secret_expires")? {
            Value::Timestamp(at) => at,
            Value::LocalTime(local) => local.to_zoned(self.zone.clone()).ok()?.timestamp(),
            _ => return None,
        };
        let left = at.duration_since(self.now);
        let what = if left <= SignedDuration::ZERO {
            format!("the client's secret expired at {at}, as `secret_expires` says")
        } else if left <= SECRET_EXPIRY_WARNING {
            format!("the client's secret expires in {} days", left.as_hours() / 24)
        } else {
            return Some(at);
        };
        let hint = "make a new one at the provider, put it where `client_secret` points, and \
                    correct `secret_expires`";
        self.report_at(view, "secret_expires", Problem::warning(what).hint(hint));
        Some(at)
    }
}

fn provider(view: &View<'_>) -> OauthProvider {
    match view.text("provider").as_deref() {
        Some("google") => OauthProvider::Google,
        Some("office365") => OauthProvider::Office365,
        _ => OauthProvider::Generic,
    }
}

fn grant(view: &View<'_>) -> Grant {
    match view.text("grant").as_deref() {
        Some("refresh_token") => Grant::RefreshToken,
        Some("client_credentials") => Grant::ClientCredentials,
        Some("password") => Grant::Password,
        Some("device_code") => Grant::DeviceCode,
        Some("service_account") => Grant::ServiceAccount,
        None if view.has("refresh_token") => Grant::RefreshToken,
        None if view.has("service_account_file") => Grant::ServiceAccount,
        _ => Grant::AuthorizationCode,
    }
}

/// `https://HOST…`, with nothing in it that would not be an address.
fn is_https(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let plain = url.bytes().all(|octet| octet.is_ascii_graphic());
    plain && !host.is_empty() && !host.contains(['@', '#', '\\'])
}

//! `[oauth.NAME]`.

use std::collections::BTreeMap;

use super::Builder;
use crate::config::keys;
use crate::config::problem::Problem;
use crate::config::types::Oauth;
use crate::config::view::{Layer, View};

impl Builder<'_> {
    pub(super) fn oauth(&mut self) -> BTreeMap<String, Oauth> {
        let raw = self.raw;
        let mut all = BTreeMap::new();
        for (name, table) in &raw.oauth {
            let view = View::new(&keys::OAUTH, vec![(Layer::Own, table)]);
            self.origins.insert(view.path().to_owned(), view.origins());
            self.provider(&view);
            let oauth = Oauth {
                provider: view.text("provider").unwrap_or_default(),
                grant: view.text("grant"),
                tenant_id: view.text("tenant_id"),
                client_id: view.text("client_id").unwrap_or_default(),
                client_secret: view.secret("client_secret"),
                refresh_token: view.secret("refresh_token"),
                auth_url: view.text("auth_url"),
                token_url: view.text("token_url"),
                device_url: view.text("device_url"),
                scopes: view.list("scopes"),
            };
            all.insert(name.clone(), oauth);
        }
        all
    }

    fn provider(&mut self, view: &View<'_>) {
        let hint = "add `provider = \"google\"`, `\"office365\"` or `\"generic\"`";
        self.require(view, "provider", hint);
        self.require(view, "client_id", "add `client_id = \"…\"`, as it was registered");
        let (provider, grant) = (view.text("provider"), view.text("grant"));
        if provider.as_deref() == Some("generic") {
            self.require(view, "token_url", "`generic` needs `token_url = \"https://…\"`");
        }
        if grant.as_deref() == Some("client_credentials") {
            self.require(view, "client_secret", "`client_credentials` needs `client_secret`");
            let tenant = view.text("tenant_id");
            let common =
                tenant.filter(|t| ["common", "organizations", "consumers"].contains(&t.as_str()));
            if let Some(tenant) = common {
                let what = format!(
                    "`tenant_id = \"{tenant}\"`: client_credentials needs the tenant's own id"
                );
                self.report_at(
                    view,
                    "tenant_id",
                    Problem::error(what).hint("the directory's GUID or domain"),
                );
            }
        }
        if (provider.as_deref(), grant.as_deref()) == (Some("google"), Some("device_code")) {
            let what = "`grant = \"device_code\"`: Google has no device flow for mail";
            let hint = "use `authorization_code` or `refresh_token`";
            self.report_at(view, "grant", Problem::error(what).hint(hint));
        }
        for key in ["auth_url", "token_url", "device_url"] {
            if view.text(key).is_some_and(|url| !url.starts_with("https://")) {
                let what = format!("`{key}` is not an https URL");
                self.report_at(view, key, Problem::error(what).hint("secrets are sent to it"));
            }
        }
    }
}

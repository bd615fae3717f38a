//! Endpoints and scopes of the providers. Pure.

use crate::config::{Grant, Oauth, OauthProvider};

/// Where a record's requests go; `None`: to be discovered, or there is none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Endpoints {
    pub(super) auth: Option<String>,
    pub(super) token: Option<String>,
    pub(super) device: Option<String>,
    pub(super) revoke: Option<String>,
}

/// What the config says, else what the provider is known to have.
pub(super) fn known(oauth: &Oauth) -> Endpoints {
    let own = &oauth.endpoints;
    let usual = match oauth.provider {
        OauthProvider::Generic => Endpoints::default(),
        OauthProvider::Google => Endpoints {
            auth: Some("https://accounts.google.com/o/oauth2/v2/auth".to_owned()),
            token: Some("https://oauth2.googleapis.com/token".to_owned()),
            device: None,
            revoke: Some("https://oauth2.googleapis.com/revoke".to_owned()),
        },
        OauthProvider::Office365 => {
            let tenant = oauth.tenant_id.as_deref().unwrap_or("organizations");
            let url = |what: &str| {
                Some(format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/{what}"))
            };
            Endpoints {
                auth: url("authorize"),
                token: url("token"),
                device: url("devicecode"),
                revoke: None,
            }
        }
    };
    Endpoints {
        auth: own.auth.clone().or(usual.auth),
        token: own.token.clone().or(usual.token),
        device: own.device.clone().or(usual.device),
        revoke: own.revoke.clone().or(usual.revoke),
    }
}

/// The scopes to ask for: the config's, else what provider, grant and protocols come to.
pub fn scopes(oauth: &Oauth) -> Vec<String> {
    if !oauth.scopes.is_empty() {
        return oauth.scopes.clone();
    }
    match (oauth.provider, oauth.grant) {
        (OauthProvider::Generic, _) => Vec::new(),
        (OauthProvider::Google, Grant::ServiceAccount | Grant::RefreshToken) => words(&[GMAIL]),
        // The latter two say whose token it is.
        (OauthProvider::Google, _) => words(&[GMAIL, "openid", "email"]),
        (OauthProvider::Office365, Grant::ClientCredentials) => {
            words(&["https://outlook.office365.com/.default"])
        }
        (OauthProvider::Office365, grant) => delegated(oauth, grant),
    }
}

const GMAIL: &str = "https://mail.google.com/";

/// What a person permits at Microsoft; one resource to a token, so nothing of Graph.
fn delegated(oauth: &Oauth, grant: Grant) -> Vec<String> {
    let uses = oauth.uses;
    let nothing_yet = !(uses.imap || uses.pop3 || uses.smtp);
    let all = [
        (uses.imap || nothing_yet, "https://outlook.office.com/IMAP.AccessAsUser.All"),
        (uses.pop3, "https://outlook.office.com/POP.AccessAsUser.All"),
        (uses.smtp, "https://outlook.office.com/SMTP.Send"),
        (grant != Grant::Password, "offline_access"),
        (grant.needs_person(), "openid"),
        (grant.needs_person(), "email"),
        (grant.needs_person(), "profile"),
    ];
    all.into_iter().filter(|(wanted, _)| *wanted).map(|(_, scope)| scope.to_owned()).collect()
}

fn words(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(|&scope| scope.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OauthUses;
    use crate::oauth::tests::record;

    #[test]
    fn scopes_follow_provider_grant_and_protocols() {
        let both = OauthUses { imap: true, pop3: true, smtp: false };
        let oauth = |provider, grant| Oauth { uses: both, ..record(provider, grant) };
        let office = scopes(&oauth(OauthProvider::Office365, Grant::DeviceCode));
        assert_eq!(
            office[..3],
            [
                "https://outlook.office.com/IMAP.AccessAsUser.All",
                "https://outlook.office.com/POP.AccessAsUser.All",
                "offline_access"
            ]
        );
        let app = scopes(&oauth(OauthProvider::Office365, Grant::ClientCredentials));
        assert_eq!(app, ["https://outlook.office365.com/.default"]);
        let google = scopes(&oauth(OauthProvider::Google, Grant::RefreshToken));
        assert_eq!(google, ["https://mail.google.com/"]);
        assert!(scopes(&oauth(OauthProvider::Generic, Grant::DeviceCode)).is_empty());
        let own = Oauth {
            scopes: vec!["x".to_owned()],
            ..oauth(OauthProvider::Google, Grant::RefreshToken)
        };
        assert_eq!(scopes(&own), ["x"]);
    }

    #[test]
    fn own_endpoints_replace_the_providers_one_by_one() {
        let mut oauth = record(OauthProvider::Office365, Grant::DeviceCode);
        oauth.tenant_id = Some("t".to_owned());
        oauth.endpoints.token = Some("https://other/token".to_owned());
        let endpoints = known(&oauth);
        assert_eq!(endpoints.token.as_deref(), Some("https://other/token"));
        assert_eq!(
            endpoints.device.as_deref(),
            Some("https://login.microsoftonline.com/t/oauth2/v2.0/devicecode")
        );
        assert_eq!(endpoints.revoke, None);
    }
}

//! Endpoints that a generic provider publishes (RFC 8414 §3).

use serde::Deserialize;

use super::endpoints::{Endpoints, known};
use super::{OauthError, answer, http};
use crate::config::Oauth;
use crate::net::Url;

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
}

/// An endpoint that somebody needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    Auth,
    Device,
    Revoke,
    Token,
}

/// The endpoints of a record; its issuer is asked if one is needed that the config doesn't say.
pub(super) async fn endpoints(oauth: &Oauth, needs: &[Need]) -> Result<Endpoints, OauthError> {
    let own = known(oauth);
    let has = |need: &Need| match need {
        Need::Auth => own.auth.is_some(),
        Need::Device => own.device.is_some(),
        Need::Revoke => own.revoke.is_some(),
        Need::Token => own.token.is_some(),
    };
    let issuer = oauth.endpoints.issuer.as_deref().filter(|_| !needs.iter().all(has));
    let Some(issuer) = issuer else { return Ok(own) };
    let issuer = issuer.trim_end_matches('/');
    let url = format!("{issuer}/.well-known/openid-configuration");
    let said = http::get(oauth, &url).await?;
    let document: Document = serde_json::from_slice(answer::json(&said)?)
        .map_err(|_| OauthError::unavailable(format!("{url}: no discovery document")))?;
    if document.issuer.trim_end_matches('/') != issuer {
        // RFC 8414 §3.3: another issuer's document must not be used.
        let said = answer::plain(&document.issuer, 200);
        return Err(OauthError::unavailable(format!("{url} is the document of {said}")));
    }
    let https = |url: Option<String>| url.filter(|url| Url::parse(url).is_some());
    Ok(Endpoints {
        auth: own.auth.or_else(|| https(document.authorization_endpoint)),
        token: own.token.or_else(|| https(document.token_endpoint)),
        device: own.device.or_else(|| https(document.device_authorization_endpoint)),
        revoke: own.revoke.or_else(|| https(document.revocation_endpoint)),
    })
}

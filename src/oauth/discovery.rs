//! Endpoints that a generic provider publishes (RFC 8414 §3).

use serde::Deserialize;

use super::endpoints::{Endpoints, known};
use super::url::Url;
use super::{OauthError, answer, http};
use crate::config::Oauth;

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
}

/// All endpoints of a record; asks its issuer for those that the config doesn't say.
pub(super) async fn endpoints(oauth: &Oauth) -> Result<Endpoints, OauthError> {
    let own = known(oauth);
    let Some(issuer) = oauth.endpoints.issuer.as_deref() else { return Ok(own) };
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

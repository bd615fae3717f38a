//! The part with a person: consent in a browser (RFC 6749 §4.1 with PKCE, RFC 7636). By a code typed
//! on another device it is [`DeviceLogin`].
//!
//! Prints nothing and reads nothing: `cli` shows what is here and hands back what was pasted.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::answer::{Said, Tokens};
use super::discovery::Need;
use super::endpoints::{Endpoints, scopes};
use super::grants::{Client, Presented};
use super::loopback::{self, Back};
use super::store::Stored;
use super::url::{Form, encode};
use super::{Moment, OauthError, Refusal, Vault, diagnose, discovery, http};
use crate::config::{ClientProof, Oauth, OauthProvider};
use crate::secret::Secret;

pub use super::device::DeviceLogin;

/// How long a consent is waited for.
const CONSENT_LIMIT: Duration = Duration::from_mins(10);

/// A login by a browser that has begun.
pub struct CodeLogin {
    /// What the person opens.
    pub url: String,
    oauth: Arc<Oauth>,
    endpoints: Endpoints,
    redirect_uri: String,
    state: String,
    verifier: Zeroizing<String>,
    listener: Option<TcpListener>,
}

impl CodeLogin {
    /// Begins a login; with `listens` the browser comes back by itself, if it runs on this
    /// machine. `hint` names the user to the provider.
    pub async fn begin(
        oauth: &Arc<Oauth>,
        hint: Option<&str>,
        listens: bool,
    ) -> Result<Self, OauthError> {
        let endpoints = discovery::endpoints(oauth, &[Need::Auth, Need::Token]).await?;
        let auth = endpoints.auth.clone();
        let auth =
            auth.ok_or_else(|| OauthError::unavailable("there is no authorization endpoint"))?;
        let broken = |error: std::io::Error| OauthError::unavailable(format!("loopback: {error}"));
        let listener = if listens {
            Some(TcpListener::bind(("127.0.0.1", 0)).await.map_err(broken)?)
        } else {
            None
        };
        // Microsoft compares the host by its letters, and has "localhost" registered.
        let host = match oauth.provider {
            OauthProvider::Office365 => "localhost",
            OauthProvider::Generic | OauthProvider::Google => "127.0.0.1",
        };
        let redirect_uri = match &listener {
            Some(listener) => {
                format!("http://{host}:{}", listener.local_addr().map_err(broken)?.port())
            }
            None => format!("http://{host}"),
        };
        let (state, verifier) = (chance(), Zeroizing::new(chance()));
        let url = consent_url(oauth, &auth, &redirect_uri, (&state, &verifier), hint);
        let oauth = Arc::clone(oauth);
        Ok(Self { url, oauth, endpoints, redirect_uri, state, verifier, listener })
    }

    /// The port of the loopback that is listened on.
    pub fn port(&self) -> Option<u16> {
        self.listener.as_ref()?.local_addr().ok().map(|address| address.port())
    }

    /// Waits for the browser to come back, at most ten minutes.
    pub async fn wait(self, vault: &Vault, now: &Moment) -> Result<Stored, OauthError> {
        let Some(listener) = &self.listener else {
            return Err(OauthError::unavailable("nothing listens for the browser"));
        };
        let came = crate::net::within(CONSENT_LIMIT, loopback::wait(listener, &self.state)).await;
        let back =
            came.ok_or_else(|| OauthError::unavailable("no consent within 10 minutes"))??;
        self.carry_out(vault, back, now).await
    }

    /// Takes the address that a person pasted.
    pub async fn pasted(
        self,
        vault: &Vault,
        address: &str,
        now: &Moment,
    ) -> Result<Stored, OauthError> {
        let query = loopback::query_of(address);
        let back = loopback::read(query, &self.state)
            .map_err(|why| OauthError::unavailable(format!("the pasted address: {why}")))?;
        self.carry_out(vault, back, now).await
    }

    /// A code is good once: who stops waiting doesn't stop the tokens' way to the disk.
    async fn carry_out(
        self,
        vault: &Vault,
        back: Back,
        now: &Moment,
    ) -> Result<Stored, OauthError> {
        let (own, now) = (vault.clone(), now.clone());
        vault.to_its_end(async move { self.exchange(&own, back, &now).await }).await
    }

    async fn exchange(self, vault: &Vault, back: Back, now: &Moment) -> Result<Stored, OauthError> {
        let code = match back {
            Back::Code(code) => code,
            Back::Refused(refusal) => return Err(refused(&refusal, &self.oauth)),
        };
        let client = Client {
            oauth: &self.oauth,
            endpoints: self.endpoints,
            now,
            hide: &*vault.hide,
            secrets: &vault.secrets,
        };
        let presented = Presented::Code {
            code: &code,
            redirect_uri: &self.redirect_uri,
            verifier: &self.verifier,
        };
        match client.ask(presented).await? {
            Said::Tokens(tokens) => keep(vault, &self.oauth, tokens, now).await,
            Said::Refused(refusal) => Err(refused(&refusal, &self.oauth)),
        }
    }
}

impl std::fmt::Debug for CodeLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeLogin").field("oauth", &self.oauth.name).finish_non_exhaustive()
    }
}

/// The page that asks for consent.
fn consent_url(
    oauth: &Oauth,
    auth: &str,
    redirect_uri: &str,
    (state, verifier): (&str, &str),
    hint: Option<&str>,
) -> String {
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(verifier));
    let scope = scopes(oauth).join(" ");
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", &oauth.client_id),
        ("redirect_uri", redirect_uri),
        ("state", state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    if !scope.is_empty() {
        pairs.push(("scope", &scope));
    }
    if let Some(hint) = hint {
        pairs.push(("login_hint", hint));
    }
    match oauth.provider {
        // Without both no refresh token comes on a second login.
        OauthProvider::Google => pairs.extend([("access_type", "offline"), ("prompt", "consent")]),
        OauthProvider::Office365 => pairs.push(("response_mode", "query")),
        OauthProvider::Generic => {}
    }
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let joint = if auth.contains('?') { '&' } else { '?' };
    format!("{auth}{joint}{}", pairs.join("&"))
}

pub(super) async fn keep(
    vault: &Vault,
    oauth: &Oauth,
    tokens: Tokens,
    now: &Moment,
) -> Result<Stored, OauthError> {
    if tokens.refresh.is_none() {
        let hint = match oauth.provider {
            OauthProvider::Google => {
                "remove the application at https://myaccount.google.com/permissions, and log in anew"
            }
            OauthProvider::Office365 | OauthProvider::Generic => {
                "add the scope that gives refresh tokens, mostly `offline_access`, to `scopes`"
            }
        };
        return Err(OauthError::NeedsPerson {
            code: "oauth-refused",
            message: format!("oauth `{}`: no refresh token came", oauth.name),
            hint: hint.to_owned(),
        });
    }
    vault.keep(oauth, tokens, now).await
}

pub(super) fn refused(refusal: &Refusal, oauth: &Oauth) -> OauthError {
    OauthError::of(diagnose(refusal, oauth))
}

/// Tells the provider that a token shall end (RFC 7009), if it can be told; one that it doesn't
/// know has ended.
pub(super) async fn revoke(
    vault: &Vault,
    oauth: &Oauth,
    token: &Secret,
    now: &Moment,
) -> Result<bool, OauthError> {
    // A certificate's assertion is made out to the token endpoint.
    let signs = matches!(oauth.client, ClientProof::Certificate(_));
    let needs = if signs { &[Need::Revoke, Need::Token][..] } else { &[Need::Revoke] };
    let endpoints = discovery::endpoints(oauth, needs).await?;
    let Some(url) = endpoints.revoke.clone() else { return Ok(false) };
    let client = Client { oauth, endpoints, now, hide: &*vault.hide, secrets: &vault.secrets };
    let mut form = Form::default();
    form.add("token", token.expose());
    let authorization = client.identify(&mut form).await?;
    let answer = http::post(oauth, &url, &form, authorization.as_ref()).await?;
    match answer.status {
        200..=299 | 400 => Ok(true),
        status => Err(OauthError::unavailable(format!("the revocation failed (HTTP {status})"))),
    }
}

/// Chance in 64 characters, 244 bits.
fn chance() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Grant;
    use crate::oauth::tests::record;

    #[test]
    fn pkce_is_the_example_of_its_rfc() {
        // RFC 7636 appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let oauth = record(OauthProvider::Google, Grant::AuthorizationCode);
        let redirect = "http://127.0.0.1:9";
        let url = consent_url(&oauth, "https://a/auth", redirect, ("s", verifier), Some("u@x"));
        let challenge = "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(url.contains(&format!("{challenge}&code_challenge_method=S256")), "{url}");
        assert!(url.contains("access_type=offline&prompt=consent") && url.contains("state=s"));
        assert!(url.contains("login_hint=u%40x") && !url.contains(verifier), "{url}");
        assert_ne!(chance(), chance());
        assert_eq!(chance().len(), 64);
    }
}

//! A login by a code that a person types on another device (RFC 8628).

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::answer::{Said, Seconds, json, plain};
use super::discovery::Need;
use super::endpoints::{Endpoints, scopes};
use super::grants::{Client, Presented};
use super::login::{keep, refused};
use super::store::Stored;
use super::url::Form;
use super::{Moment, OauthError, Refusal, Vault, discovery, http};
use crate::config::Oauth;
use crate::secret::Secret;

/// RFC 8628 §3.5: how much longer to wait after `slow_down`.
const SLOWER: Duration = Duration::from_secs(5);

/// A login by a device code that has begun.
pub struct DeviceLogin {
    /// Where the person goes, on any device.
    pub url: String,
    /// What is typed there.
    pub user_code: String,
    /// How long that is good for.
    pub expires_in: Duration,
    oauth: Arc<Oauth>,
    endpoints: Endpoints,
    device_code: Secret,
    interval: Duration,
}

#[derive(Deserialize)]
struct DeviceAnswer {
    device_code: Option<String>,
    user_code: Option<String>,
    #[serde(alias = "verification_url")]
    verification_uri: Option<String>,
    expires_in: Option<Seconds>,
    interval: Option<Seconds>,
    error: Option<String>,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error_codes: Vec<u32>,
}

impl DeviceLogin {
    /// Asks for a code to type.
    pub async fn begin(vault: &Vault, oauth: &Arc<Oauth>) -> Result<Self, OauthError> {
        let endpoints = discovery::endpoints(oauth, &[Need::Device, Need::Token]).await?;
        let url = endpoints.device.clone();
        let url = url.ok_or_else(|| {
            OauthError::unavailable("there is no device endpoint; use `--loopback`")
        })?;
        let mut form = Form::default();
        form.add("client_id", &oauth.client_id);
        form.add("scope", &scopes(oauth).join(" "));
        let answer = http::post(oauth, &url, &form, None).await?;
        let unreadable = || OauthError::unavailable("the device endpoint gave no code");
        let said: DeviceAnswer =
            serde_json::from_slice(json(&answer)?).map_err(|_| unreadable())?;
        if let Some(error) = said.error {
            let error = plain(&error, 64);
            let description = plain(&said.error_description, 400);
            return Err(refused(&Refusal { error, description, codes: said.error_codes }, oauth));
        }
        let device_code = said.device_code.and_then(|code| Secret::new(code).ok());
        let device_code = device_code.ok_or_else(unreadable)?;
        (vault.hide)(device_code.expose());
        let seconds = |given: Option<Seconds>, usual: u64| {
            let given = given.and_then(|seconds| seconds.duration());
            given.unwrap_or(Duration::from_secs(usual))
        };
        Ok(Self {
            url: plain(&said.verification_uri.ok_or_else(unreadable)?, 512),
            user_code: plain(&said.user_code.ok_or_else(unreadable)?, 64),
            expires_in: seconds(said.expires_in, 900),
            oauth: Arc::clone(oauth),
            endpoints,
            device_code,
            interval: seconds(said.interval, 5).max(Duration::from_secs(1)),
        })
    }

    /// Asks again and again, as slowly as it is told to, until the person has decided.
    pub async fn wait(self, vault: &Vault, now: &Moment) -> Result<Stored, OauthError> {
        let begin = Instant::now();
        let end = begin.checked_add(self.expires_in).unwrap_or(begin);
        let (mut interval, login) = (self.interval, Arc::new(self));
        loop {
            tokio::time::sleep(interval).await;
            let asked = if Instant::now() > end {
                let error = "expired_token".to_owned();
                Ok(Answer::Refused(Refusal { error, ..Refusal::default() }))
            } else {
                // The tokens come once: who stops waiting doesn't stop their way to the disk.
                let (login, own, now) = (Arc::clone(&login), vault.clone(), now.clone());
                vault.to_its_end(async move { login.ask(&own, &now).await }).await
            };
            match asked {
                Ok(Answer::Stored(stored)) => return Ok(*stored),
                Ok(Answer::Refused(refusal)) => match pace(&refusal, interval) {
                    Some(next) => interval = next,
                    None => return Err(refused(&refusal, &login.oauth)),
                },
                // RFC 8628 §3.5: an endpoint that doesn't answer is asked half as often.
                Err(OauthError::Unavailable { .. }) => {
                    interval = interval.saturating_mul(2).min(Duration::from_mins(1));
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Asks once; tokens are stored on return.
    async fn ask(&self, vault: &Vault, now: &Moment) -> Result<Answer, OauthError> {
        let client = Client {
            oauth: &self.oauth,
            endpoints: self.endpoints.clone(),
            now,
            hide: &*vault.hide,
            secrets: &vault.secrets,
        };
        Ok(match client.ask(Presented::Device(&self.device_code)).await? {
            Said::Tokens(tokens) => {
                Answer::Stored(Box::new(keep(vault, &self.oauth, tokens, now).await?))
            }
            Said::Refused(refusal) => Answer::Refused(refusal),
        })
    }
}

/// What came of asking once.
enum Answer {
    Stored(Box<Stored>),
    Refused(Refusal),
}

impl std::fmt::Debug for DeviceLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceLogin").field("oauth", &self.oauth.name).finish_non_exhaustive()
    }
}

/// How long to wait before asking again; `None`: it is decided.
fn pace(refusal: &Refusal, interval: Duration) -> Option<Duration> {
    match refusal.error.as_str() {
        "authorization_pending" => Some(interval),
        "slow_down" => Some(interval.saturating_add(SLOWER)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_is_asked_more_slowly_when_told_so() {
        let said = |error: &str| Refusal { error: error.to_owned(), ..Refusal::default() };
        let five = Duration::from_secs(5);
        assert_eq!(pace(&said("authorization_pending"), five), Some(five));
        assert_eq!(pace(&said("slow_down"), five), Some(2 * five));
        for end in ["expired_token", "access_denied", "authorization_declined", "invalid_grant"] {
            assert_eq!(pace(&said(end), five), None, "{end}");
        }
    }
}

//! What is kept of an answer, which refresh token is tried next, and what a refusal depends on.

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::answer::Tokens;
use super::grants::resolve;
use super::store::{Access, Refused, Stored};
use super::{Moment, OauthError, scopes};
use crate::config::{ClientProof, Oauth, SecretSpec};
use crate::secret::{Secret, Surroundings};

pub(super) fn empty(oauth: &Oauth, now: Timestamp) -> Stored {
    Stored {
        granted_at: now,
        refreshed_at: now,
        account: None,
        scopes: Vec::new(),
        access: None,
        refresh: None,
        previous: None,
        seed: None,
        config: config_digest(oauth),
        refused: None,
    }
}

/// What is kept after tokens came: an endpoint that rotates nothing leaves the refresh token.
pub(super) fn merged(
    oauth: &Oauth,
    before: Option<&Stored>,
    tokens: Tokens,
    seed: Option<Secret>,
    now: &Moment,
) -> Stored {
    let Tokens { access, lifetime, refresh, scopes: granted, account } = tokens;
    let seed_digest = seed.as_ref().map(digest);
    let same_seed = before.is_some_and(|before| before.seed == seed_digest);
    let old = before.and_then(|before| before.refresh.clone()).filter(|_| same_seed).or(seed);
    let rotated = refresh.as_ref().is_some_and(|new| Some(new) != old.as_ref());
    let previous = if rotated { old.clone() } else { before.and_then(|b| b.previous.clone()) };
    let keeps = oauth.grant.keeps_refresh_token();
    Stored {
        granted_at: before.map_or(now.wall, |before| before.granted_at),
        refreshed_at: now.wall,
        account: account.or_else(|| before.and_then(|before| before.account.clone())),
        scopes: granted.unwrap_or_else(|| scopes(oauth)),
        access: Some(Access { token: access, lifetime, got: now.clone() }),
        refresh: refresh.or(old).filter(|_| keeps),
        previous: previous.filter(|_| keeps),
        seed: seed_digest,
        config: config_digest(oauth),
        refused: None,
    }
}

/// Refresh tokens to try, in order. A changed token of the config comes before what is stored.
pub(super) fn candidates(
    oauth: &Oauth,
    stored: Option<&Stored>,
    seed: Option<&Secret>,
) -> Vec<Secret> {
    if !oauth.grant.keeps_refresh_token() {
        return Vec::new();
    }
    let same_seed = stored.is_some_and(|stored| stored.seed == seed.map(digest));
    let kept = stored.filter(|_| same_seed || seed.is_none());
    let tokens = kept.into_iter().flat_map(|kept| kept.refresh.iter().chain(&kept.previous));
    let mut all: Vec<Secret> = tokens.cloned().collect();
    if all.is_empty() {
        all.extend(seed.cloned());
    }
    all
}

/// The config's own refresh token. One that can't be read any more is no reason to stop: what
/// replaced it is stored.
pub(super) async fn seed(oauth: &Oauth, secrets: &Surroundings) -> Option<Secret> {
    resolve(oauth, oauth.refresh_token.as_ref()?, "refresh_token", secrets).await.ok()
}

pub(super) fn no_token(oauth: &Oauth) -> OauthError {
    OauthError::NeedsPerson {
        code: "oauth-needs-login",
        message: format!("oauth `{}`: no token yet", oauth.name),
        hint: format!("run: postrider oauth login {}", oauth.name),
    }
}

pub(super) fn known_refusal(refused: &Refused) -> OauthError {
    let known = ["oauth-needs-login", "oauth-refused"].into_iter();
    OauthError::NeedsPerson {
        code: known.into_iter().find(|code| refused.code == **code).unwrap_or("oauth-refused"),
        message: refused.message.clone(),
        hint: refused.hint.clone(),
    }
}

/// What a token depends on besides secrets: another client or scope needs another token.
pub(super) fn config_digest(oauth: &Oauth) -> String {
    let text = format!(
        "{:?} {:?} {:?} {} {:?} {:?} {:?} {:?}",
        oauth.provider,
        oauth.grant,
        oauth.tenant_id,
        oauth.client_id,
        oauth.endpoints,
        oauth.user,
        oauth.subject,
        scopes(oauth)
    );
    data_encoding::HEXLOWER.encode(Sha256::digest(text).get(..8).unwrap_or_default())
}

/// Config and secrets; of each secret 16 bits, which tell most changes and no password.
pub(super) async fn mark(oauth: &Oauth, secrets: &Surroundings) -> String {
    let mut mark = config_digest(oauth);
    let client = if let ClientProof::Secret(spec) = &oauth.client { Some(spec) } else { None };
    let specs: [Option<&SecretSpec>; 3] =
        [client, oauth.refresh_token.as_ref(), oauth.password.as_ref()];
    for spec in specs.into_iter().flatten() {
        if let Ok(secret) = resolve(oauth, spec, "secret", secrets).await {
            mark.push('-');
            mark.push_str(&digest(&secret));
        }
    }
    let files = match &oauth.client {
        ClientProof::Certificate(ours) => Some(&ours.certificate),
        ClientProof::FederatedToken(_) | ClientProof::None | ClientProof::Secret(_) => None,
    };
    for path in files.into_iter().chain(&oauth.service_account_file) {
        if let Ok(meta) = std::fs::metadata(path) {
            write!(mark, "-{:?}", meta.modified().ok()).ok();
        }
    }
    mark
}

fn digest(secret: &Secret) -> String {
    let digest = Sha256::digest(secret.expose());
    data_encoding::HEXLOWER.encode(digest.get(..2).unwrap_or_default())
}

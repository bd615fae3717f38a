//! What is kept of an answer, which refresh token is tried next, and what a refusal depends on.

use std::os::unix::fs::MetadataExt as _;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::answer::Tokens;
use super::grants::resolve;
use super::store::{Access, Refused, Stored};
use super::{Moment, OauthError, scopes};
use crate::config::{ClientProof, Oauth, SecretSpec};
use crate::secret::{Marks, Secret, Surroundings};

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

/// What is kept after tokens came for `used`, the refresh token that was presented. An endpoint that
/// rotates nothing leaves it in force.
pub(super) fn merged(
    oauth: &Oauth,
    before: Option<&Stored>,
    tokens: Tokens,
    (used, seed): (Option<&Secret>, Option<&Secret>),
    now: &Moment,
) -> Stored {
    let Tokens { access, lifetime, refresh, scopes: granted, account } = tokens;
    let rotated = refresh.as_ref().is_some_and(|new| Some(new) != used);
    let before_that = || before.and_then(|before| before.previous.clone());
    let previous = if rotated { used.cloned() } else { before_that() };
    let keeps = oauth.grant.keeps_refresh_token();
    // A seed that can't be read any more hasn't changed.
    let seed = seed.map(digest).or_else(|| before.and_then(|before| before.seed.clone()));
    Stored {
        granted_at: before.map_or(now.wall, |before| before.granted_at),
        refreshed_at: now.wall,
        account: account.or_else(|| before.and_then(|before| before.account.clone())),
        scopes: granted.unwrap_or_else(|| scopes(oauth)),
        access: Some(Access { token: access, lifetime, got: now.clone() }),
        refresh: refresh.or_else(|| used.cloned()).filter(|_| keeps),
        previous: previous.filter(|_| keeps),
        seed,
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

/// The config's own refresh token. One that can't be read any more is no reason to stop where what
/// replaced it is stored.
pub(super) async fn seed(
    oauth: &Oauth,
    stored: Option<&Stored>,
    secrets: &Surroundings,
) -> Result<Option<Secret>, OauthError> {
    let Some(spec) = &oauth.refresh_token else { return Ok(None) };
    match resolve(oauth, spec, "refresh_token", secrets).await {
        Err(_) if stored.is_some_and(|stored| stored.refresh.is_some()) => Ok(None),
        read => read.map(Some),
    }
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

/// Config and secrets; of each secret 16 bits, which tell most changes and no password. What a
/// command prints is had only `with_commands`.
pub(super) async fn mark(oauth: &Oauth, secrets: &Surroundings, with_commands: bool) -> Marks {
    let mut marks = Marks::default();
    marks.push(config_digest(oauth));
    let client = if let ClientProof::Secret(spec) = &oauth.client { Some(spec) } else { None };
    let specs = [client, oauth.refresh_token.as_ref(), oauth.password.as_ref()];
    for spec in specs.into_iter().flatten() {
        let secret = match spec {
            SecretSpec::Command(_) if !with_commands => None,
            spec => resolve(oauth, spec, "secret", secrets).await.ok(),
        };
        marks.push_if(secret.as_ref().map(digest));
    }
    let files = match &oauth.client {
        ClientProof::Certificate(ours) => vec![&ours.certificate, &ours.key],
        ClientProof::FederatedToken(path) => vec![path],
        ClientProof::None | ClientProof::Secret(_) => Vec::new(),
    };
    for path in files.into_iter().chain(&oauth.service_account_file) {
        marks.push_if(std::fs::metadata(path).ok().map(|meta| {
            format!("{}.{}-{}-{}", meta.mtime(), meta.mtime_nsec(), meta.ino(), meta.len())
        }));
    }
    marks
}

fn digest(secret: &Secret) -> String {
    let digest = Sha256::digest(secret.expose());
    data_encoding::HEXLOWER.encode(digest.get(..2).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Grant, OauthProvider};
    use crate::oauth::tests::record;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned()).unwrap()
    }

    fn tokens(refresh: Option<&str>) -> Tokens {
        let lifetime = Duration::from_hours(1);
        let (access, refresh) = (secret("access"), refresh.map(secret));
        Tokens { access, lifetime, refresh, scopes: None, account: None }
    }

    fn now() -> Moment {
        let boot = jiff::SignedDuration::from_secs(1);
        Moment { wall: Timestamp::UNIX_EPOCH, boot, boot_id: "b".to_owned() }
    }

    /// The refresh tokens that are kept, the one in force first.
    fn kept(stored: &Stored) -> [Option<&str>; 2] {
        [stored.refresh.as_ref().map(Secret::expose), stored.previous.as_ref().map(Secret::expose)]
    }

    #[test]
    fn a04_rotated_token_is_kept_with_the_one_before() {
        let oauth = record(OauthProvider::Office365, Grant::DeviceCode);
        let step = |before: Option<&Stored>, new: Option<&str>, used: Option<&str>| {
            let used = used.map(secret);
            merged(&oauth, before, tokens(new), (used.as_ref(), None), &now())
        };
        let first = step(None, Some("r1"), None);
        assert_eq!(kept(&first), [Some("r1"), None]);
        let second = step(Some(&first), Some("r2"), Some("r1"));
        assert_eq!(kept(&second), [Some("r2"), Some("r1")]);
        let same = step(Some(&second), None, Some("r2"));
        assert_eq!(kept(&same), [Some("r2"), Some("r1")]);
        // The one before was the good one, and nothing rotates: it is in force again.
        let back = step(Some(&second), None, Some("r1"));
        assert_eq!(kept(&back)[0], Some("r1"));
    }

    #[test]
    fn changed_token_of_the_config_is_taken_and_a_lost_one_changes_nothing() {
        let oauth = record(OauthProvider::Google, Grant::RefreshToken);
        let seed = secret("seed");
        let stored = merged(&oauth, None, tokens(Some("r1")), (Some(&seed), Some(&seed)), &now());
        let tried = |seed: Option<&Secret>| -> Vec<String> {
            let all = candidates(&oauth, Some(&stored), seed);
            all.iter().map(|token| token.expose().to_owned()).collect()
        };
        assert_eq!(tried(Some(&seed)), ["r1", "seed"]);
        assert_eq!(tried(None), ["r1", "seed"]);
        assert_eq!(tried(Some(&secret("other"))), ["other"]);
        let later =
            merged(&oauth, Some(&stored), tokens(None), (Some(&secret("r1")), None), &now());
        assert_eq!((later.seed == stored.seed, kept(&later)[0]), (true, Some("r1")));
    }
}

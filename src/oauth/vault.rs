//! The tokens of all records: kept, renewed in time, and never asked for in vain.
//!
//! The order that no rotated refresh token is lost by:
//!
//! 1. take the record's lock, and read its file again: another process may have been faster;
//! 2. ask the token endpoint;
//! 3. write what came, durably, the refresh token before it included;
//! 4. only then hand the access token out.
//!
//! Steps 2 to 4 go on when their asker is gone. A refusal that only a person can mend is kept in
//! the file: until config, secret or file change, nobody is asked again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::answer::{Said, Tokens};
use super::grants::{Client, Presented};
use super::keeping::{
    candidates, config_digest, empty, known_refusal, mark, merged, no_token, seed,
};
use super::store::{Access, Folder, Lock, Refused, Stored};
use super::{
    Diagnosis, Freshness, Moment, OauthError, Refusal, diagnose, discovery, freshness,
    keep_alive_due, steps,
};
use crate::config::Oauth;
use crate::secret::{Secret, Surroundings};

/// How long another process's refresh is waited for.
const LOCK_WAIT: Duration = Duration::from_mins(2);

/// Told of each secret before it goes anywhere.
pub(super) type Hide = Arc<dyn Fn(&str) + Send + Sync>;

/// The tokens below one state folder; clones share them.
#[derive(Clone)]
pub struct Vault {
    folder: Folder,
    pub(super) hide: Hide,
    pub(super) secrets: Arc<Surroundings>,
}

/// An access token for use.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token and its times.
    pub access: Access,
    /// It came just now: a server that refuses it refuses any.
    pub is_new: bool,
}

/// What became of a revocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Revoked {
    /// The provider was told, and the tokens are gone here.
    Everywhere,
    /// The tokens are gone here; the provider has no way to be told.
    Here,
    /// There were none.
    Nothing,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Vault {
    /// The tokens below a state folder; `hide` is told of each secret before it is used.
    pub fn new(
        state_dir: &Path,
        secrets: Arc<Surroundings>,
        hide: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        Self { folder: Folder::below(state_dir), hide: Arc::new(hide), secrets }
    }

    /// What is kept of a record; its tokens are hidden from the log from here on.
    pub fn read(&self, name: &str) -> Result<Option<Stored>, OauthError> {
        let stored = self.folder.read(name)?;
        if let Some(stored) = &stored {
            let access = stored.access.as_ref().map(|access| &access.token);
            for secret in access.into_iter().chain(&stored.refresh).chain(&stored.previous) {
                (self.hide)(secret.expose());
            }
        }
        Ok(stored)
    }

    /// An access token that is good for a while; `now` is when it is asked for.
    pub async fn token(&self, oauth: &Arc<Oauth>, now: &Moment) -> Result<Token, OauthError> {
        if let Some(token) = self.usable(oauth, None, now).await? {
            return Ok(token);
        }
        self.refreshed(oauth, None, now).await
    }

    /// A token instead of one that a server has refused.
    pub async fn instead_of(
        &self,
        oauth: &Arc<Oauth>,
        refused: &Secret,
        now: &Moment,
    ) -> Result<Token, OauthError> {
        self.refreshed(oauth, Some(refused.clone()), now).await
    }

    /// Uses a refresh token that has rested for a week, so that it doesn't end; whether it did.
    pub async fn keep_alive(&self, oauth: &Arc<Oauth>, now: &Moment) -> Result<bool, OauthError> {
        let stored = self.read(&oauth.name)?;
        let due = stored.is_some_and(|stored| {
            stored.refused.is_none()
                && stored.refresh.is_some()
                && keep_alive_due(stored.refreshed_at, now.wall)
        });
        if !due || !oauth.grant.keeps_refresh_token() {
            return Ok(false);
        }
        self.refreshed(oauth, None, now).await.map(|token| token.is_new)
    }

    /// Gets the first token of a grant that needs no person, or says why there is none.
    pub async fn begin(&self, oauth: &Arc<Oauth>, now: &Moment) -> Result<Stored, OauthError> {
        let lock = self.lock(&oauth.name).await?;
        let mut before = self.read(&oauth.name)?;
        if let Some(before) = &mut before {
            before.refused = None;
        }
        let job = Job { vault: self.clone(), oauth: Arc::clone(oauth), now: now.clone() };
        let mut stored = job.refresh(before).await?;
        stored.granted_at = now.wall;
        let stored = self.save(&oauth.name, stored).await?;
        drop(lock);
        Ok(stored)
    }

    /// Tells the provider that the tokens shall end, and removes them here.
    pub async fn revoke(&self, oauth: &Oauth, now: &Moment) -> Result<Revoked, OauthError> {
        let lock = self.lock(&oauth.name).await?;
        let Some(stored) = self.read(&oauth.name)? else { return Ok(Revoked::Nothing) };
        let access = stored.access.as_ref().map(|access| &access.token);
        let mut revoked = Revoked::Here;
        if let Some(token) = stored.refresh.as_ref().or(access)
            && let Some(url) = discovery::endpoints(oauth).await?.revoke
        {
            super::login::revoke(self, oauth, (&url, token), now).await?;
            revoked = Revoked::Everywhere;
        }
        self.folder.remove(&oauth.name)?;
        drop(lock);
        Ok(revoked)
    }

    /// Differs when a person has changed what a refusal depends on: config, secrets, login.
    pub async fn mark(&self, oauth: &Oauth) -> String {
        let granted = self.folder.read(&oauth.name).ok().flatten().map(|stored| stored.granted_at);
        format!("{} {granted:?}", mark(oauth, &self.secrets).await)
    }

    /// Keeps what a login has brought.
    pub(super) async fn keep(
        &self,
        oauth: &Oauth,
        tokens: Tokens,
        now: &Moment,
    ) -> Result<Stored, OauthError> {
        let lock = self.lock(&oauth.name).await?;
        let seed = seed(oauth, None, &self.secrets).await.ok().flatten();
        let stored = merged(oauth, None, tokens, (None, seed.as_ref()), now);
        steps::pass("write");
        let stored = self.save(&oauth.name, stored).await?;
        drop(lock);
        Ok(stored)
    }

    /// The stored access token, if it may be used; an error where it is known that there is none.
    async fn usable(
        &self,
        oauth: &Oauth,
        refused: Option<&Secret>,
        now: &Moment,
    ) -> Result<Option<Token>, OauthError> {
        let Some(stored) = self.read(&oauth.name)? else { return Ok(None) };
        if let Some(refusal) = &stored.refused
            && refusal.mark == mark(oauth, &self.secrets).await
        {
            return Err(known_refusal(refusal));
        }
        let Some(access) = stored.access else { return Ok(None) };
        let fresh = freshness(&access.got, access.lifetime, now) == Freshness::Fresh;
        let other = refused.is_none_or(|refused| *refused != access.token);
        let fits = stored.config == config_digest(oauth);
        Ok((fresh && other && fits).then(|| Token { access, is_new: refused.is_some() }))
    }

    /// Refreshes, unless somebody else did meanwhile. Goes on when its asker is gone.
    async fn refreshed(
        &self,
        oauth: &Arc<Oauth>,
        refused: Option<Secret>,
        now: &Moment,
    ) -> Result<Token, OauthError> {
        let job = Job { vault: self.clone(), oauth: Arc::clone(oauth), now: now.clone() };
        let work = async move {
            let lock = job.vault.lock(&job.oauth.name).await?;
            if let Some(token) = job.vault.usable(&job.oauth, refused.as_ref(), &job.now).await? {
                return Ok(token);
            }
            let before = job.vault.read(&job.oauth.name)?;
            let stored = job.refresh(before).await?;
            drop(lock);
            let none = || OauthError::unavailable("the token endpoint gave no token");
            let access = stored.access.ok_or_else(none)?;
            Ok(Token { access, is_new: true })
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "a rotated token is saved though its asker has gone"
        )]
        let task = tokio::spawn(work.in_current_span());
        task.await.unwrap_or_else(|error| Err(OauthError::unavailable(error.to_string())))
    }

    /// Writes off the runtime's threads; once begun, it is done even if nobody waits for it.
    async fn save(&self, name: &str, stored: Stored) -> Result<Stored, OauthError> {
        let (folder, name) = (self.folder.clone(), name.to_owned());
        let write = move || folder.write(&name, &stored).map(|()| stored);
        let written = tokio::task::spawn_blocking(write).await;
        written.unwrap_or_else(|error| Err(OauthError::unavailable(error.to_string())))
    }

    async fn lock(&self, name: &str) -> Result<Lock, OauthError> {
        const PAUSE: Duration = Duration::from_millis(50);
        let mut waited = Duration::ZERO;
        loop {
            if let Some(lock) = self.folder.try_lock(name)? {
                return Ok(lock);
            }
            if waited > LOCK_WAIT {
                return Err(OauthError::unavailable(format!(
                    "another postrider holds the lock of oauth `{name}`"
                )));
            }
            tokio::time::sleep(PAUSE).await;
            waited = waited.saturating_add(PAUSE);
        }
    }
}

/// One refresh, under the record's lock.
struct Job {
    vault: Vault,
    oauth: Arc<Oauth>,
    now: Moment,
}

impl Job {
    /// Asks for tokens and keeps them; a refusal is kept, too.
    async fn refresh(&self, before: Option<Stored>) -> Result<Stored, OauthError> {
        let oauth = &*self.oauth;
        let seed = seed(oauth, before.as_ref(), &self.vault.secrets).await?;
        let candidates = candidates(oauth, before.as_ref(), seed.as_ref());
        if oauth.grant.keeps_refresh_token() && candidates.is_empty() {
            return Err(no_token(oauth));
        }
        let endpoints = discovery::endpoints(oauth).await?;
        let client = Client {
            oauth,
            endpoints,
            now: &self.now,
            hide: &*self.vault.hide,
            secrets: &self.vault.secrets,
        };
        let mut used = candidates.first();
        let mut said = match used {
            Some(token) => client.ask(Presented::Refresh(token)).await?,
            None => client.ask(Presented::Configured).await?,
        };
        if let (Said::Refused(refusal), Some(previous)) = (&said, candidates.get(1))
            && refusal.error == "invalid_grant"
            // The last answer may have been lost in a crash: the one before is tried, once.
            && let again @ Said::Tokens(_) = client.ask(Presented::Refresh(previous)).await?
        {
            (used, said) = (Some(previous), again);
        }
        let tokens = match said {
            Said::Tokens(tokens) => tokens,
            Said::Refused(refusal) => return Err(self.refuse(before, &refusal).await?),
        };
        let seeds = (used, seed.as_ref());
        let stored = merged(oauth, before.as_ref(), tokens, seeds, &self.now);
        steps::pass("write");
        let stored = self.vault.save(&oauth.name, stored).await?;
        tracing::debug!(
            target: "oauth",
            code = "oauth-refreshed",
            seconds = stored.access.as_ref().map(|access| access.lifetime.as_secs()),
            "Tokens of `{}` were renewed",
            oauth.name
        );
        Ok(stored)
    }

    /// The error of a refusal; one that only a person can mend is kept.
    async fn refuse(
        &self,
        before: Option<Stored>,
        refusal: &Refusal,
    ) -> Result<OauthError, OauthError> {
        let Diagnosis { code, message, hint } = diagnose(refusal, &self.oauth);
        let Some(code) = code else { return Ok(OauthError::unavailable(message)) };
        let now = self.now.wall;
        let refused = Refused {
            code: code.to_owned(),
            message: message.clone(),
            hint: hint.clone(),
            at: now,
            mark: mark(&self.oauth, &self.vault.secrets).await,
        };
        let mut stored = before.unwrap_or_else(|| empty(&self.oauth, now));
        stored.access = None;
        stored.previous = None;
        stored.refused = Some(refused);
        self.vault.save(&self.oauth.name, stored).await?;
        Ok(OauthError::NeedsPerson { code, message, hint })
    }
}

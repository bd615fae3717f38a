//! The tokens of all records: kept, renewed in time, and never asked for in vain.
//!
//! The order that no rotated refresh token is lost by:
//!
//! 1. take the record's lock, and read its file again: another process may have been faster;
//! 2. take room on the disk for what may come, durably;
//! 3. ask the token endpoint;
//! 4. write what came, durably, the refresh token before it included;
//! 5. only then hand the access token out.
//!
//! Steps 2 to 5 go on when their asker is gone, and the process ends after them. What can't be written in step 4 stays in memory, and
//! is written before anything else is done with the record. A refusal that only a person can mend is
//! kept in the file: until config, secret or file change, nobody is asked again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::answer::{Said, Tokens};
use super::discovery::Need;
use super::endpoints::Endpoints;
use super::grants::{Client, Presented};
use super::keeping::{
    candidates, config_digest, empty, known_refusal, mark, merged, no_token, seed,
};
use super::store::{Access, Folder, Lock, Refused, Stored};
use super::unsaved::{Unsaved, Version};
use super::{
    Freshness, Moment, OauthError, Refusal, diagnose, discovery, freshness, keep_alive_due,
};
use crate::config::Oauth;
use crate::secret::{Marks, Secret, Surroundings};

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
    pub(super) unsaved: Unsaved,
    /// What must not be cut off by the end of the process.
    pub(super) tasks: TaskTracker,
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
#[derive(Debug)]
pub enum Revoked {
    /// The provider was told, and the tokens are gone here.
    Everywhere,
    /// The tokens are gone here; the provider has no way to be told.
    Here,
    /// There were none.
    Nothing,
    /// They couldn't be read, and their file is there now.
    SetAside(PathBuf),
    /// The tokens are gone here; telling the provider failed.
    Untold(OauthError),
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
        let folder = Folder::below(state_dir);
        let (unsaved, tasks) = (Unsaved::default(), TaskTracker::new());
        Self { folder, hide: Arc::new(hide), secrets, unsaved, tasks }
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
        self.settle(&oauth.name).await?;
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
        self.settle(&oauth.name).await?;
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
        let job = Job { vault: self.clone(), oauth: Arc::clone(oauth), now: now.clone() };
        let work = async move {
            let (vault, name) = (&job.vault, &job.oauth.name);
            let lock = vault.lock(name).await?;
            let mut before = vault.read(name)?;
            if let Some(before) = &mut before {
                before.refused = None;
            }
            let mut stored = job.refresh(before).await?;
            let over = Some(Version::of(&stored));
            stored.granted_at = job.now.wall;
            let stored = vault.save(name, stored, over).await?;
            drop(lock);
            Ok(stored)
        };
        self.to_its_end(work).await
    }

    /// Makes sure that a login's tokens can be kept; a file that can't be read is set aside, and
    /// where it is then is returned.
    pub async fn make_way(&self, name: &str) -> Result<Option<PathBuf>, OauthError> {
        let lock = self.lock(name).await?;
        let aside = match self.read(name) {
            Ok(_) => None,
            Err(_) => Some(self.folder.set_aside(name)?),
        };
        self.reserve(name).await?;
        self.folder.release(name);
        drop(lock);
        Ok(aside)
    }

    /// What is wrong with a record's place on the disk, in words.
    pub fn trouble(&self, oauth: &Oauth) -> Option<&'static str> {
        if self.folder.is_cut_off(&oauth.name) {
            return Some(
                "the tokens of the last renewal were not saved: it was cut off, or the disk took \
                 nothing; a running daemon that has them writes them again",
            );
        }
        let full = oauth.grant.keeps_refresh_token() && !self.folder.has_room();
        full.then_some("the state folder's disk has no room for renewed tokens: none are asked for")
    }

    /// Tells the provider that the tokens shall end, and removes them here, whatever it says; goes
    /// on when its asker is gone.
    pub async fn revoke(&self, oauth: &Arc<Oauth>, now: &Moment) -> Result<Revoked, OauthError> {
        let (vault, oauth, now) = (self.clone(), Arc::clone(oauth), now.clone());
        self.to_its_end(async move { vault.end(&oauth, &now).await }).await
    }

    async fn end(&self, oauth: &Oauth, now: &Moment) -> Result<Revoked, OauthError> {
        let lock = self.lock(&oauth.name).await?;
        let stored = match self.read(&oauth.name) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(Revoked::Nothing),
            Err(_) => return self.folder.set_aside(&oauth.name).map(Revoked::SetAside),
        };
        let access = stored.access.as_ref().map(|access| &access.token);
        let revoked = match stored.refresh.as_ref().or(access) {
            Some(token) => match super::login::revoke(self, oauth, token, now).await {
                Ok(true) => Revoked::Everywhere,
                Ok(false) => Revoked::Here,
                Err(error) => Revoked::Untold(error),
            },
            None => Revoked::Here,
        };
        self.folder.remove(&oauth.name)?;
        drop(lock);
        Ok(revoked)
    }

    /// What a refusal hangs on and a person can change: config, secrets, login. What a command
    /// prints is had only `with_commands`.
    pub async fn marks(&self, oauth: &Oauth, with_commands: bool) -> Marks {
        let mut marks = mark(oauth, &self.secrets, with_commands).await;
        let granted = |stored: Option<Stored>| match stored {
            Some(stored) => stored.granted_at.to_string(),
            None => "none".to_owned(),
        };
        marks.push_if(self.folder.read(&oauth.name).ok().map(granted));
        marks
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
        let over = self.read(&oauth.name).ok().flatten().as_ref().map(Version::of);
        let stored = self.save(&oauth.name, stored, over).await?;
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
            && !mark(oauth, &self.secrets, true).await.differs_from(&refusal.mark)
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
            job.vault.unsaved.write(&job.vault.folder, &job.oauth.name)?;
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
        self.to_its_end(work).await
    }

    /// Writes over what was read before, off the runtime's threads; once begun, it is done even if
    /// nobody waits for it. What can't be written is kept in memory.
    async fn save(
        &self,
        name: &str,
        stored: Stored,
        over: Option<Version>,
    ) -> Result<Stored, OauthError> {
        let (vault, name) = (self.clone(), name.to_owned());
        let write = move || match vault.folder.write(&name, &stored) {
            Ok(()) => Ok(stored),
            Err(error) => Err(vault.unsaved.keep(&name, stored, over, error)),
        };
        let written = tokio::task::spawn_blocking(write).await;
        written.unwrap_or_else(|error| Err(OauthError::unavailable(error.to_string())))
    }

    /// Takes room for the next file, off the runtime's threads.
    async fn reserve(&self, name: &str) -> Result<(), OauthError> {
        let (folder, name) = (self.folder.clone(), name.to_owned());
        let taken = tokio::task::spawn_blocking(move || folder.reserve(&name)).await;
        taken.unwrap_or_else(|error| Err(OauthError::unavailable(error.to_string())))
    }

    /// Writes what couldn't be written before.
    pub(super) async fn settle(&self, name: &str) -> Result<(), OauthError> {
        if !self.unsaved.has(name) {
            return Ok(());
        }
        let lock = self.lock(name).await?;
        let (vault, name) = (self.clone(), name.to_owned());
        let write = move || vault.unsaved.write(&vault.folder, &name);
        let written = tokio::task::spawn_blocking(write).await;
        drop(lock);
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
        if self.vault.tasks.is_closed() {
            return Err(OauthError::unavailable("this process ends: it renews no tokens any more"));
        }
        let oauth = &*self.oauth;
        let seed = seed(oauth, before.as_ref(), &self.vault.secrets).await?;
        let candidates = candidates(oauth, before.as_ref(), seed.as_ref());
        let keeps = oauth.grant.keeps_refresh_token();
        if keeps && candidates.is_empty() {
            return Err(no_token(oauth));
        }
        let endpoints = discovery::endpoints(oauth, &[Need::Token]).await?;
        if keeps {
            self.vault.reserve(&oauth.name).await?;
        }
        let asked = self.ask(endpoints, &candidates).await;
        if keeps && !matches!(asked, Ok((_, Said::Tokens(_)))) {
            self.vault.folder.release(&oauth.name);
        }
        let (used, said) = asked?;
        let tokens = match said {
            Said::Tokens(tokens) => tokens,
            Said::Refused(refusal) => return Err(self.refuse(before, &refusal).await?),
        };
        let seeds = (used, seed.as_ref());
        let stored = merged(oauth, before.as_ref(), tokens, seeds, &self.now);
        let over = before.as_ref().map(Version::of);
        let stored = self.vault.save(&oauth.name, stored, over).await?;
        tracing::debug!(
            target: "oauth",
            code = "oauth-refreshed",
            seconds = stored.access.as_ref().map(|access| access.lifetime.as_secs()),
            "Tokens of `{}` were renewed",
            oauth.name
        );
        Ok(stored)
    }

    /// What the endpoint says, and to which refresh token.
    async fn ask<'a>(
        &self,
        endpoints: Endpoints,
        candidates: &'a [Secret],
    ) -> Result<(Option<&'a Secret>, Said), OauthError> {
        let client = Client {
            oauth: &self.oauth,
            endpoints,
            now: &self.now,
            hide: &*self.vault.hide,
            secrets: &self.vault.secrets,
        };
        let used = candidates.first();
        let said = match used {
            Some(token) => client.ask(Presented::Refresh(token)).await?,
            None => client.ask(Presented::Configured).await?,
        };
        if let (Said::Refused(refusal), Some(previous)) = (&said, candidates.get(1))
            && refusal.error == "invalid_grant"
            // The last answer may have been lost in a crash: the one before is tried, once.
            && let again @ Said::Tokens(_) = client.ask(Presented::Refresh(previous)).await?
        {
            return Ok((Some(previous), again));
        }
        Ok((used, said))
    }

    /// The error of a refusal; one that only a person can mend is kept.
    async fn refuse(
        &self,
        before: Option<Stored>,
        refusal: &Refusal,
    ) -> Result<OauthError, OauthError> {
        let found = diagnose(refusal, &self.oauth);
        let Some(code) = found.code else { return Ok(OauthError::of(found)) };
        let (message, hint) = (found.message.clone(), found.hint.clone());
        let now = self.now.wall;
        let refused = Refused {
            code: code.to_owned(),
            message,
            hint,
            at: now,
            mark: mark(&self.oauth, &self.vault.secrets, true).await.to_string(),
        };
        let over = before.as_ref().map(Version::of);
        let mut stored = before.unwrap_or_else(|| empty(&self.oauth, now));
        stored.access = None;
        if refusal.error == "invalid_grant" {
            // It was tried, too, or is none of what was refused.
            stored.previous = None;
        }
        stored.refused = Some(refused);
        self.vault.save(&self.oauth.name, stored, over).await?;
        Ok(OauthError::of(found))
    }
}

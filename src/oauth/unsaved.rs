//! Tokens that came and couldn't be written: kept in memory until they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::OauthError;
use super::store::{Folder, Stored};

/// By record; clones share it.
#[derive(Clone, Default)]
pub(super) struct Unsaved(Arc<Mutex<BTreeMap<String, Kept>>>);

struct Kept {
    stored: Stored,
    /// The file that they were to replace: over another one they would undo a login.
    over: Option<Version>,
}

/// When the tokens of a file were granted and refreshed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Version(Timestamp, Timestamp);

impl Version {
    /// Of a file's tokens.
    pub(super) fn of(stored: &Stored) -> Self {
        Self(stored.granted_at, stored.refreshed_at)
    }
}

impl Unsaved {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.all().contains_key(name)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.all().keys().cloned().collect()
    }

    /// Keeps tokens that were to replace the file's `over`; the error that says so.
    pub(super) fn keep(
        &self,
        name: &str,
        stored: Stored,
        over: Option<Version>,
        error: OauthError,
    ) -> OauthError {
        self.all().insert(name.to_owned(), Kept { stored, over });
        match error {
            OauthError::Store { path, why } => {
                let why = format!(
                    "{why}; the new tokens are in this process's memory alone until they can be \
                     written"
                );
                OauthError::Store { path, why }
            }
            other => other,
        }
    }

    /// Writes what is kept of a record, whose lock is held; an error as long as it can't. Only a
    /// file that is known to be another one is left as it is.
    pub(super) fn write(&self, folder: &Folder, name: &str) -> Result<(), OauthError> {
        let Some(Kept { stored, over }) = self.all().remove(name) else { return Ok(()) };
        let own = Some(Version::of(&stored));
        let written = match folder.read(name) {
            Ok(found) => {
                let found = found.as_ref().map(Version::of);
                // Our own may be there, renamed and not yet durable.
                if found != over && found != own {
                    return Ok(());
                }
                folder.write(name, &stored)
            }
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => {
                tracing::info!(
                    target: "oauth",
                    code = "oauth-saved-late",
                    "The tokens of `{name}` that couldn't be written are saved now"
                );
                Ok(())
            }
            Err(error) => Err(self.keep(name, stored, over, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;
    use crate::config::{Grant, OauthProvider};
    use crate::oauth::keeping::empty;
    use crate::oauth::tests::record;
    use crate::secret::Secret;

    fn stored(refresh: &str, at: i64) -> Stored {
        let oauth = record(OauthProvider::Google, Grant::AuthorizationCode);
        let refresh = Secret::new(refresh.to_owned()).ok();
        let refreshed_at = Timestamp::from_second(at).unwrap();
        Stored { refreshed_at, refresh, ..empty(&oauth, Timestamp::UNIX_EPOCH) }
    }

    fn error() -> OauthError {
        OauthError::Store { path: "rec.json".to_owned(), why: "the disk is full".to_owned() }
    }

    /// A file with old tokens, and new ones that couldn't be written over it.
    fn unsaved() -> (TempDir, Folder, Unsaved) {
        let state = TempDir::new().unwrap();
        let (folder, unsaved) = (Folder::below(state.path()), Unsaved::default());
        let old = stored("old", 1);
        folder.write("rec", &old).unwrap();
        drop(unsaved.keep("rec", stored("new", 2), Some(Version::of(&old)), error()));
        (state, folder, unsaved)
    }

    fn refresh(folder: &Folder) -> String {
        folder.read("rec").unwrap().unwrap().refresh.unwrap().expose().to_owned()
    }

    #[test]
    fn a04_file_that_can_not_be_read_costs_no_unsaved_token() {
        let (state, folder, unsaved) = unsaved();
        let mode = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(state.path().join("tokens/rec.json"), permissions).unwrap();
        };
        mode(0o644);
        let error = unsaved.write(&folder, "rec").unwrap_err().to_string();
        assert!(error.contains("others can read it") && error.contains("memory alone"), "{error}");
        assert!(unsaved.has("rec"));
        mode(0o600);
        assert_eq!(refresh(&folder), "old");
        unsaved.write(&folder, "rec").unwrap();
        assert!(!unsaved.has("rec"));
        assert_eq!(refresh(&folder), "new");
    }

    #[test]
    fn a04_unsaved_tokens_undo_neither_a_login_nor_a_revocation() {
        let (_state, folder, unsaved) = unsaved();
        folder.write("rec", &stored("of a login", 3)).unwrap();
        unsaved.write(&folder, "rec").unwrap();
        assert_eq!((refresh(&folder), unsaved.has("rec")), ("of a login".to_owned(), false));
        let (_state, folder, unsaved) = self::unsaved();
        folder.remove("rec").unwrap();
        unsaved.write(&folder, "rec").unwrap();
        assert!(folder.read("rec").unwrap().is_none() && !unsaved.has("rec"));
    }
}

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
type Version = (Timestamp, Timestamp);

impl Unsaved {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.all().contains_key(name)
    }

    /// Keeps tokens; the error that says so.
    pub(super) fn keep(
        &self,
        folder: &Folder,
        name: &str,
        stored: Stored,
        error: OauthError,
    ) -> OauthError {
        let kept = Kept { stored, over: version(folder, name) };
        self.all().insert(name.to_owned(), kept);
        match error {
            OauthError::Store { path, why } => {
                let why = format!(
                    "{why}; the new tokens are in this process's memory alone, which tries again to \
                     write them"
                );
                OauthError::Store { path, why }
            }
            other => other,
        }
    }

    /// Writes what is kept of a record, whose lock is held; an error as long as it can't.
    pub(super) fn write(&self, folder: &Folder, name: &str) -> Result<(), OauthError> {
        let Some(kept) = self.all().remove(name) else { return Ok(()) };
        if kept.over != version(folder, name) {
            return Ok(());
        }
        match folder.write(name, &kept.stored) {
            Ok(()) => {
                tracing::info!(
                    target: "oauth",
                    code = "oauth-saved-late",
                    "The tokens of `{name}` that couldn't be written are saved now"
                );
                Ok(())
            }
            Err(error) => Err(self.keep(folder, name, kept.stored, error)),
        }
    }
}

fn version(folder: &Folder, name: &str) -> Option<Version> {
    let stored = folder.read(name).ok().flatten()?;
    Some((stored.granted_at, stored.refreshed_at))
}

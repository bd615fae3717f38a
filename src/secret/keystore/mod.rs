//! The keystore: secrets by name in one age file, opened by a key of its own.
//!
//! `STATE/keystore.age` is an age v1 file (age-encryption.org/v1) for one X25519 recipient, so that
//! `age --decrypt` opens it without this program. Inside is a line for each secret: name, a tab,
//! when it was set, a tab, the secret. Nothing is cached: each look reads the file anew.

mod contents;
mod durable;
mod key;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::config::DaemonConfig;

use super::{Secret, SecretFault, file};
use contents::Contents;
use durable::Lock;
use key::Keys;

/// The systemd credential that holds the key, where there is one.
pub const KEY_CREDENTIAL: &str = "postrider-keystore";

/// Octets of the file; more is no keystore.
const MAX_FILE: usize = 16 << 20;

/// Where the keystore is, and the key that opens it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Keystore {
    /// The age file.
    pub file: PathBuf,
    /// The key's file, where no credential has it.
    pub key_file: PathBuf,
    /// systemd's credentials, where it gave any.
    pub credentials_directory: Option<PathBuf>,
}

/// Why the keystore can't be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeystoreFault {
    /// The file is not what it should be, or the disk refuses.
    #[error("{what}")]
    Broken {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Another process changes it.
    #[error("another process is changing the keystore")]
    Busy,
    /// The key can't be had, or isn't the one.
    #[error("{what}")]
    Closed {
        /// What is missing.
        what: String,
        /// What to do.
        hint: String,
    },
    /// There is no secret of this name.
    #[error("the keystore has no `{name}` (it has: {})", listed(.known))]
    NoName {
        /// The name.
        name: String,
        /// Those that are there.
        known: Vec<String>,
    },
}

impl KeystoreFault {
    /// What a person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Broken { hint, .. } | Self::Closed { hint, .. } => hint.clone(),
            Self::Busy => "try again when the other `postrider secret` has ended".to_owned(),
            Self::NoName { name, .. } => format!("postrider secret set {name}"),
        }
    }
}

/// "a, b, c", or that there is none.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing yet".to_owned() } else { names.join(", ") }
}

/// What setting a secret has done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WasSet {
    /// There was one of this name before.
    pub replaced: bool,
    /// The key's file, where it was made for this.
    pub made_key: Option<PathBuf>,
}

impl Keystore {
    /// The keystore of an installation.
    pub fn of(daemon: &DaemonConfig, credentials_directory: Option<&Path>) -> Self {
        Self {
            file: daemon.state_dir.join("keystore.age"),
            key_file: daemon.keystore_key_file.clone(),
            credentials_directory: credentials_directory.map(Path::to_path_buf),
        }
    }

    /// Whether a name may stand in the keystore: what `{ key = "NAME" }` can say.
    pub fn is_name(name: &str) -> bool {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@');
        !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && name.bytes().all(good)
    }

    /// The secret of this name.
    pub fn find(&self, name: &str) -> Result<Secret, SecretFault> {
        let contents = self.read().map_err(SecretFault::Keystore)?;
        if let Some(secret) = contents.secret(name) {
            return Secret::new(secret.to_owned());
        }
        let known = contents.names().map(|(name, _)| name.to_owned()).collect();
        Err(SecretFault::Keystore(KeystoreFault::NoName { name: name.to_owned(), known }))
    }

    /// All names, and when each was set; empty without a keystore.
    pub fn names(&self) -> Result<Vec<(String, Timestamp)>, KeystoreFault> {
        let contents = self.read()?;
        Ok(contents.names().map(|(name, at)| (name.to_owned(), at)).collect())
    }

    /// Stores a secret under a name; durable on return. The first one makes the key.
    pub fn set(
        &self,
        name: &str,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<WasSet, KeystoreFault> {
        let _lock = Lock::take(&self.file)?;
        let fresh = !self.file.exists() && self.key_is_missing();
        let keys = if fresh { Keys::make(&self.key_file)? } else { self.keys()? };
        let mut contents = self.read()?;
        let replaced = contents.set(name, secret.expose(), now);
        self.write(&contents, &keys)?;
        Ok(WasSet { replaced, made_key: fresh.then(|| self.key_file.clone()) })
    }

    /// Takes a secret out; whether it was there. Durable on return.
    pub fn remove(&self, name: &str) -> Result<bool, KeystoreFault> {
        let _lock = Lock::take(&self.file)?;
        let mut contents = self.read()?;
        if !contents.remove(name) {
            return Ok(false);
        }
        self.write(&contents, &self.keys()?)?;
        Ok(true)
    }

    /// Makes a new key and encrypts all secrets for it; how many.
    ///
    /// Cut at any point, the key file opens the keystore: it holds both keys in between.
    pub fn rotate(&self) -> Result<usize, KeystoreFault> {
        let _lock = Lock::take(&self.file)?;
        if let Some(path) = self.credential() {
            return Err(KeystoreFault::Closed {
                what: format!("the key is the credential `{}`, which is read-only", path.display()),
                hint: "make a new one where it was sealed: see \"Keystore\" in docs/operations.md"
                    .to_owned(),
            });
        }
        let contents = self.read()?;
        let old = Keys::read(&self.key_file)?;
        let new = old.with_a_new_one();
        // 1. Both keys, 2. the secrets under the new one, 3. the new one alone.
        new.write(&self.key_file)?;
        self.write(&contents, &new)?;
        new.only_the_first().write(&self.key_file)?;
        Ok(contents.names().count())
    }

    /// The credential with the key, when it is there.
    fn credential(&self) -> Option<PathBuf> {
        let path = self.credentials_directory.as_ref()?.join(KEY_CREDENTIAL);
        path.exists().then_some(path)
    }

    fn key_is_missing(&self) -> bool {
        self.credential().is_none() && !self.key_file.exists()
    }

    fn keys(&self) -> Result<Keys, KeystoreFault> {
        Keys::read(self.credential().as_deref().unwrap_or(&self.key_file))
    }

    fn read(&self) -> Result<Contents, KeystoreFault> {
        if !self.file.exists() {
            return Ok(Contents::default());
        }
        // A rotation may come between the two files; then the second look finds both new.
        self.read_once().or_else(|_| self.read_once())
    }

    fn read_once(&self) -> Result<Contents, KeystoreFault> {
        let keys = self.keys()?;
        let octets =
            file::read_octets(&self.file, MAX_FILE).map_err(|fault| self.broken(&fault))?;
        let opened = keys.open(&octets).map_err(|why| match why {
            key::Why::OtherKey => KeystoreFault::Closed {
                what: format!("`{}` was encrypted for another key", self.file.display()),
                hint: format!("put the right one back: {}", self.key_file.display()),
            },
            key::Why::Damaged(why) => {
                self.broken(&format!("`{}` can't be decrypted: {why}", self.file.display()))
            }
        })?;
        Contents::parse(&opened)
            .ok_or_else(|| self.broken(&format!("`{}` is no keystore", self.file.display())))
    }

    fn write(&self, contents: &Contents, keys: &Keys) -> Result<(), KeystoreFault> {
        let text: Zeroizing<Vec<u8>> = contents.to_octets();
        let sealed = keys.seal(&text).map_err(|why| self.broken(&why))?;
        durable::replace(&self.file, &sealed)
    }

    fn broken(&self, what: &dyn std::fmt::Display) -> KeystoreFault {
        KeystoreFault::Broken {
            what: what.to_string(),
            hint: format!(
                "see `{}`; the copy of a back-up has the secrets of its time",
                self.file.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests;

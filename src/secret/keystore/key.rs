//! The keys that open the keystore: one, or two while it is rotated; the first one seals.

use std::io::Read as _;
use std::path::Path;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use age::{DecryptError, Decryptor};
use zeroize::Zeroizing;

use super::{KeystoreFault, durable};
use crate::secret::{MAX_SECRET, file};

/// At least one.
pub(super) struct Keys {
    first: Identity,
    others: Vec<Identity>,
}

/// Why a file can't be opened.
#[derive(Debug)]
pub(super) enum Why {
    Damaged(String),
    OtherKey,
}

impl Keys {
    /// Reads a file as `age-keygen` writes it: a key a line, `#` begins a comment.
    pub(super) fn read(path: &Path) -> Result<Self, KeystoreFault> {
        let shown = path.display();
        let closed = |what: String| KeystoreFault::Closed {
            what,
            hint: format!(
                "restore `{shown}`, or give the service the credential `{}`",
                super::KEY_CREDENTIAL
            ),
        };
        let octets = file::read_octets(path, MAX_SECRET)
            .map_err(|fault| closed(format!("the keystore's key: {fault}")))?;
        let no_key = || closed(format!("`{shown}` holds no age key (AGE-SECRET-KEY-1…)"));
        let text = std::str::from_utf8(&octets).map_err(|_| no_key())?;
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let read: Result<Vec<Identity>, _> = lines.map(str::parse).collect();
        let mut keys = read.map_err(|_| no_key())?.into_iter();
        let first = keys.next().ok_or_else(no_key)?;
        Ok(Self { first, others: keys.collect() })
    }

    /// Makes one and writes it; durable on return.
    pub(super) fn make(path: &Path) -> Result<Self, KeystoreFault> {
        let keys = Self { first: Identity::generate(), others: Vec::new() };
        keys.write(path)?;
        Ok(keys)
    }

    /// These, with a new one before them.
    pub(super) fn with_a_new_one(&self) -> Self {
        let others = std::iter::once(&self.first).chain(&self.others).cloned().collect();
        Self { first: Identity::generate(), others }
    }

    pub(super) fn only_the_first(&self) -> Self {
        Self { first: self.first.clone(), others: Vec::new() }
    }

    /// Replaces the file, with mode 0600; durable on return.
    pub(super) fn write(&self, path: &Path) -> Result<(), KeystoreFault> {
        let mut text = Zeroizing::new(String::with_capacity(4096));
        text.push_str(
            "# The key of postrider's keystore: who reads it reads all secrets in there.\n",
        );
        for key in std::iter::once(&self.first).chain(&self.others) {
            let line = key.to_string();
            for part in ["# public key: ", &key.to_public().to_string(), "\n"] {
                text.push_str(part);
            }
            for part in [line.expose_secret(), "\n"] {
                text.push_str(part);
            }
        }
        durable::replace(path, text.as_bytes())
    }

    /// Decrypts an age file.
    pub(super) fn open(&self, octets: &[u8]) -> Result<Zeroizing<Vec<u8>>, Why> {
        let damaged = |error: &dyn std::fmt::Display| Why::Damaged(error.to_string());
        let decryptor = Decryptor::new_buffered(octets).map_err(|error| damaged(&error))?;
        let keys = std::iter::once(&self.first).chain(&self.others);
        let opened = decryptor.decrypt(keys.map(|key| key as &dyn age::Identity));
        let mut reader = opened.map_err(|error| match error {
            DecryptError::NoMatchingKeys => Why::OtherKey,
            other => damaged(&other),
        })?;
        // The plain text is shorter: it never grows, which would leave copies behind.
        let mut plain = Zeroizing::new(Vec::with_capacity(octets.len()));
        reader.read_to_end(&mut plain).map_err(|error| damaged(&error))?;
        Ok(plain)
    }

    /// Encrypts for the first key.
    pub(super) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, String> {
        age::encrypt(&self.first.to_public(), plain).map_err(|error| error.to_string())
    }
}

//! What is inside the keystore: names, times and secrets, in memory that is wiped.

use std::collections::BTreeMap;

use jiff::Timestamp;
use zeroize::Zeroizing;

/// The first line, with the format's version.
const HEAD: &str = "postrider-keystore 1";

/// The secrets by name.
#[derive(Default)]
pub(super) struct Contents(BTreeMap<String, (Timestamp, Zeroizing<String>)>);

impl Contents {
    /// Reads the decrypted file; `None` when it isn't a keystore's.
    pub(super) fn parse(octets: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(octets).ok()?;
        let mut lines = text.split_terminator('\n');
        if lines.next()? != HEAD {
            return None;
        }
        let mut secrets = BTreeMap::new();
        for line in lines {
            // The secret may hold tabs, and never a line end.
            let mut fields = line.splitn(3, '\t');
            let (name, at, secret) = (fields.next()?, fields.next()?, fields.next()?);
            secrets.insert(name.to_owned(), (at.parse().ok()?, Zeroizing::new(secret.to_owned())));
        }
        Some(Self(secrets))
    }

    /// As [`parse`](Self::parse) reads it.
    pub(super) fn to_octets(&self) -> Zeroizing<Vec<u8>> {
        // Reserved at once: growing would leave copies behind that nobody wipes.
        let lines =
            self.0.iter().map(|(name, (_, secret))| name.len().saturating_add(secret.len()));
        let size = lines.fold(64_usize, |sum, line| sum.saturating_add(line).saturating_add(64));
        let mut octets = Zeroizing::new(Vec::with_capacity(size));
        octets.extend_from_slice(HEAD.as_bytes());
        octets.push(b'\n');
        for (name, (at, secret)) in &self.0 {
            octets.extend_from_slice(format!("{name}\t{at}\t").as_bytes());
            octets.extend_from_slice(secret.as_bytes());
            octets.push(b'\n');
        }
        octets
    }

    pub(super) fn secret(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|(_, secret)| secret.as_str())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.0.iter().map(|(name, (at, _))| (name.as_str(), *at))
    }

    /// Whether there was one of this name.
    pub(super) fn set(&mut self, name: &str, secret: &str, at: Timestamp) -> bool {
        self.0.insert(name.to_owned(), (at, Zeroizing::new(secret.to_owned()))).is_some()
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }
}

//! Mailboxes in memory, for all protocols: they outlive connections, and know what was removed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::support::{crlf, sample};

/// One message as the server keeps and shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// POP3's; any octets that text can hold.
    pub unique_id: String,
    pub octets: Arc<Vec<u8>>,
    /// What the server says of its size, if not the truth.
    pub told_size: Option<u64>,
    /// As IMAP writes it: `19-Nov-2026 09:12:31 +0000`.
    pub internal_date: String,
    pub flags: Vec<String>,
}

impl Message {
    pub(super) fn size(&self) -> u64 {
        self.told_size.unwrap_or(self.octets.len() as u64)
    }
}

/// Many messages that are made when they are asked for; they can't be removed.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generated {
    pub count: u32,
    /// From one UID to the next; the first is 1.
    pub step: u32,
}

/// One mailbox, or POP3's maildrop.
#[derive(Clone, Debug)]
pub struct Mailbox {
    pub uid_validity: u32,
    pub uid_next: u32,
    pub messages: BTreeMap<u32, Message>,
    pub generated: Option<Generated>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { uid_validity: 7, uid_next: 1, messages: BTreeMap::new(), generated: None }
    }
}

impl Mailbox {
    /// Adds a message with the next UID.
    pub fn deliver(&mut self, octets: Vec<u8>) {
        self.put(self.uid_next, octets);
    }

    /// Adds a message under a UID, or takes its place there.
    pub fn put(&mut self, uid: u32, octets: Vec<u8>) {
        let message = Message {
            unique_id: format!("{:08x}{uid:08x}", self.uid_validity),
            octets: Arc::new(octets),
            told_size: None,
            internal_date: "19-Nov-2026 09:12:31 +0000".to_owned(),
            flags: Vec::new(),
        };
        self.messages.insert(uid, message);
        self.uid_next = self.uid_next.max(uid.saturating_add(1));
    }

    /// Adds some message.
    pub fn arrive(&mut self) {
        self.deliver(crlf(&sample(&format!("message {:04}", self.uid_next - 1), 500)));
    }

    pub(super) fn exists(&self) -> u32 {
        self.generated.map_or(u32::try_from(self.messages.len()).unwrap(), |many| many.count)
    }

    pub(super) fn uid_next(&self) -> u32 {
        self.generated.map_or(self.uid_next, |many| many.count.saturating_mul(many.step) + 1)
    }

    /// Sequence number, UID and message of those with a UID in the range.
    pub(super) fn between(&self, first: u32, last: u32) -> Vec<(u32, u32, Message)> {
        if let Some(many) = self.generated {
            return many.between(first, last);
        }
        let mut found = Vec::new();
        for (number, (uid, message)) in (1..).zip(&self.messages) {
            if (first..=last).contains(uid) {
                found.push((number, *uid, message.clone()));
            }
        }
        found
    }

    pub(super) fn highest(&self) -> u32 {
        let last = self.messages.last_key_value().map_or(0, |(uid, _)| *uid);
        self.generated.map_or(last, |many| many.uid(many.count))
    }
}

impl Generated {
    fn uid(self, number: u32) -> u32 {
        (number - 1) * self.step + 1
    }

    fn between(self, first: u32, last: u32) -> Vec<(u32, u32, Message)> {
        let from = first.saturating_sub(1).div_ceil(self.step) + 1;
        let numbers = (from..=self.count).take_while(|number| self.uid(*number) <= last);
        let octets = Arc::new(b"Subject: one of many\r\n\r\nOne of many.\r\n".to_vec());
        let message = |number| {
            let message = Message {
                unique_id: String::new(),
                octets: Arc::clone(&octets),
                told_size: None,
                internal_date: "19-Nov-2026 09:12:31 +0000".to_owned(),
                flags: Vec::new(),
            };
            (number, self.uid(number), message)
        };
        numbers.map(message).collect()
    }
}

/// One message that a client removed.
#[derive(Clone, Debug)]
pub struct Removal {
    pub mailbox: String,
    pub uid: u32,
    pub octets: Arc<Vec<u8>>,
    /// Whether the archive held these octets when it happened; `true` without an archive.
    pub was_stored: bool,
}

/// All mailboxes of a server, and the mail that it has taken over SMTP.
#[derive(Debug, Default)]
pub struct Store {
    pub mailboxes: BTreeMap<String, Mailbox>,
    pub removals: Vec<Removal>,
    pub taken: Vec<Taken>,
}

/// One message that came over SMTP.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Taken {
    pub from: String,
    pub to: Vec<String>,
    /// Without the stuffed dots.
    pub octets: Vec<u8>,
}

impl Store {
    /// INBOX, which is there whether it was asked for before or not.
    pub fn inbox(&mut self) -> &mut Mailbox {
        self.mailboxes.entry("INBOX".to_owned()).or_default()
    }

    /// Messages that are still there, of all mailboxes.
    pub fn remaining(&self) -> usize {
        self.mailboxes.values().map(|mailbox| mailbox.messages.len()).sum()
    }

    pub(super) fn remove(&mut self, mailbox: &str, uid: u32, archive: Option<&Path>) {
        let Some(found) = self.mailboxes.get_mut(mailbox) else { return };
        let Some(message) = found.messages.remove(&uid) else { return };
        let was_stored = archive.is_none_or(|root| holds(root, &message.octets));
        let mailbox = mailbox.to_owned();
        self.removals.push(Removal { mailbox, uid, octets: message.octets, was_stored });
    }
}

/// Whether a message folder in its place below the root holds these octets.
fn holds(root: &Path, octets: &[u8]) -> bool {
    let below = |folder: &Path| -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let accounts = below(root).into_iter().map(|account| account.join("in"));
    let days = accounts.flat_map(|folder| below(&folder));
    let mut messages = days.flat_map(|day| below(&day)).map(|folder| folder.join("message.eml"));
    messages.any(|path| std::fs::read(path).is_ok_and(|found| found == octets))
}

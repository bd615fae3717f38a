//! One message folder, looked at: as a stored copy against its row, or as a stranger that may be
//! one.
//!
//! What stands in a folder is hostile until it is proven: sizes are capped, no link is followed,
//! the id is computed anew from the fields that it stands for.

use std::collections::BTreeSet;
use std::io::{self, Read};

use jiff::Timestamp;
use serde::Deserialize;

use super::dir::{Folder, Kind};
use super::fault::{Fault, FaultKind};
use super::layout::split;
use super::stage::Modes;
use super::survey::{is_plain, wider};
use super::verify::{self, CopyFault, MAX_JSON, Parts, digest};
use crate::model::{MessageKey, Sha256, StoredCopy, origin};

/// The longest mailbox name and unique-id that are believed.
const MAX_NAME: usize = 4096;

/// How closely a copy is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Depth {
    /// Presence, names, modes and sizes.
    Quick,
    /// Every octet.
    Whole,
}

/// A message folder that proves itself.
#[derive(Clone, Debug)]
pub struct FoundCopy {
    /// The account that it was fetched for.
    pub account: String,
    /// Identity.
    pub key: MessageKey,
    /// Below the root.
    pub path: String,
    /// Of `message.eml`.
    pub sha256: Sha256,
    /// Of `message.json`.
    pub json_sha256: Sha256,
    /// Octets of `message.eml`.
    pub size: u64,
    /// The server's INTERNALDATE, where that placed it.
    pub internal_date: Option<Timestamp>,
    /// The date that placed it.
    pub received: Timestamp,
    /// When it was stored.
    pub archived_at: Timestamp,
    /// Whose mailbox it was fetched from: protocol, user and host; empty if not known.
    pub origin: String,
}

/// Compares a copy's folder with its row; what is wrong.
pub(super) fn inspect(root: &Folder, copy: &StoredCopy, modes: Modes, depth: Depth) -> Vec<Fault> {
    let path = &copy.path;
    let missing = |error: io::Error| {
        vec![Fault::new(FaultKind::CopyMissing, path, format!("its folder: {error}"))]
    };
    let folder = match root.folder(path) {
        Ok(folder) => folder,
        Err(error) => return missing(error),
    };
    let content = match depth {
        Depth::Whole => verify::verify(root, copy),
        Depth::Quick => sizes(&folder, copy),
    };
    let mut faults: Vec<Fault> = content
        .err()
        .map(|fault| {
            let kind = match fault {
                CopyFault::Missing { .. } => FaultKind::CopyMissing,
                CopyFault::Unreadable { .. } => FaultKind::Unreadable,
                CopyFault::Modified { .. } => FaultKind::CopyModified,
            };
            Fault::new(kind, path, fault.to_string())
        })
        .into_iter()
        .collect();
    let expected = if depth == Depth::Whole { expected(&folder) } else { None };
    entries(&folder, path, modes, expected.as_ref(), &mut faults);
    if let Ok(mode) = folder.mode() {
        faults.extend(wider(mode, modes.dir).map(|what| Fault::new(FaultKind::Mode, path, what)));
    }
    faults
}

/// Presence and size, without reading.
fn sizes(folder: &Folder, copy: &StoredCopy) -> Result<(), CopyFault> {
    let missing = |name: &str, error: io::Error| verify::absent(name, &error);
    for name in ["message.eml", "message.json"] {
        let file = folder.read(name).map_err(|error| missing(name, error))?;
        let size = file.metadata().map_err(|error| missing(name, error))?.len();
        let good = if name == "message.eml" { size == copy.size } else { size > 0 };
        if !good {
            return Err(CopyFault::Modified { what: name.to_owned() });
        }
    }
    Ok(())
}

/// The files that `message.json` names.
fn expected(folder: &Folder) -> Option<BTreeSet<String>> {
    let mut text = Vec::new();
    folder.read("message.json").ok()?.take(MAX_JSON).read_to_end(&mut text).ok()?;
    let parts: Parts = serde_json::from_slice(&text).ok()?;
    let bodies = [parts.body.text, parts.body.html].into_iter().flatten();
    let attached = parts.attachments.into_iter().map(|part| format!("attachments/{}", part.file));
    let own = ["message.eml", "message.json"].map(str::to_owned);
    Some(own.into_iter().chain(bodies).chain(attached).collect())
}

/// Names, kinds and modes of what stands in a message folder.
fn entries(
    folder: &Folder,
    path: &str,
    modes: Modes,
    expected: Option<&BTreeSet<String>>,
    faults: &mut Vec<Fault>,
) {
    const OWN: [&str; 4] = ["message.eml", "message.json", "body.txt", "body.html"];
    let mut below = vec![String::new()];
    while let Some(part) = below.pop() {
        let here = if part.is_empty() { folder.again() } else { folder.folder(&part) };
        let listed = match here.and_then(|here| here.entries()) {
            Ok(listed) => listed,
            Err(error) => {
                let at = format!("{path}/{part}");
                faults.push(Fault::new(FaultKind::Unreadable, at, error.to_string()));
                continue;
            }
        };
        for entry in listed {
            let name =
                if part.is_empty() { entry.name.clone() } else { format!("{part}/{}", entry.name) };
            let mut add = |kind, what: String| {
                faults.push(Fault::new(kind, format!("{path}/{name}"), what));
            };
            let may = match entry.kind {
                Kind::Folder if name == "attachments" => {
                    below.push(name.clone());
                    modes.dir
                }
                Kind::File if is_plain(&entry.name) => {
                    let known = match expected {
                        Some(expected) => expected.contains(&name),
                        None => !part.is_empty() || OWN.contains(&name.as_str()),
                    };
                    if !known {
                        add(FaultKind::Stranger, "not a file of this message".to_owned());
                    }
                    modes.file
                }
                Kind::File => {
                    add(FaultKind::Name, "no name that postrider gives to a file".to_owned());
                    modes.file
                }
                Kind::Link => {
                    add(FaultKind::Link, "a symbolic link".to_owned());
                    continue;
                }
                Kind::Folder | Kind::Other => {
                    add(FaultKind::Stranger, "not a file of this message".to_owned());
                    continue;
                }
            };
            if let Some(what) = wider(entry.mode, may) {
                add(FaultKind::Mode, what);
            }
        }
    }
}

/// The fields of `message.json` that a row is made from.
#[derive(Deserialize)]
struct Fields {
    schema: u32,
    id: String,
    account: String,
    protocol: String,
    #[serde(default)]
    host: String,
    user: Option<String>,
    mailbox: Option<String>,
    uid_validity: Option<u32>,
    uid: Option<u32>,
    generation: Option<u32>,
    unique_id: Option<String>,
    occurrence: Option<u32>,
    received: Timestamp,
    received_basis: String,
    archived_at: Timestamp,
    size: u64,
    sha256: String,
}

impl Fields {
    /// As the ledger has it; a user that is kept elsewhere stands in no document.
    fn origin(&self) -> String {
        match &self.user {
            Some(user) if !self.host.is_empty() => origin(&self.protocol, user, &self.host),
            _ => String::new(),
        }
    }

    fn key(&self) -> Option<MessageKey> {
        let fits = |name: &String| name.len() <= MAX_NAME && !name.is_empty();
        let pop3 = || {
            Some(MessageKey::Pop3 {
                unique_id: self.unique_id.clone().filter(fits)?,
                occurrence: self.occurrence?,
            })
        };
        if let Some(imported) = pop3().filter(MessageKey::is_imported) {
            return Some(imported);
        }
        match self.protocol.as_str() {
            "imap" => Some(MessageKey::Imap {
                mailbox: self.mailbox.clone().filter(fits)?,
                uid_validity: self.uid_validity?,
                uid: self.uid.filter(|uid| *uid > 0)?,
                generation: self.generation?,
            }),
            "pop3" => pop3(),
            _ => None,
        }
    }
}

/// Reads a message folder that no row vouches for; why it can't be taken for a copy.
pub(super) fn read(root: &Folder, path: &str) -> Result<FoundCopy, String> {
    let folder = root.folder(path).map_err(|error| error.to_string())?;
    let said = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let file = folder.read("message.json").map_err(said("message.json"))?;
    if file.metadata().map_err(said("message.json"))?.len() > MAX_JSON {
        return Err("message.json is too large".to_owned());
    }
    let mut text = Vec::new();
    file.take(MAX_JSON).read_to_end(&mut text).map_err(said("message.json"))?;
    let fields: Fields =
        serde_json::from_slice(&text).map_err(|error| format!("message.json: {error}"))?;
    if fields.schema != 1 {
        return Err(format!("message.json has schema {}, this postrider knows 1", fields.schema));
    }
    if !is_account(&fields.account) {
        return Err("message.json names no account".to_owned());
    }
    let key = fields.key().ok_or("message.json has no identity of a message")?;
    let id = key.id(&fields.account);
    if id.as_str() != fields.id {
        return Err("message.json: its id is not that of its fields".to_owned());
    }
    if !split(path).1.ends_with(id.folder_suffix()) {
        return Err("the folder's name is not that of its message".to_owned());
    }
    let eml = folder.read("message.eml").map_err(said("message.eml"))?;
    let (sha256, size) = digest(eml).map_err(said("message.eml"))?;
    if sha256.to_hex() != fields.sha256 || size != fields.size {
        return Err("message.eml is not what message.json says".to_owned());
    }
    let (json_sha256, _) = digest(text.as_slice()).map_err(said("message.json"))?;
    let by_server = fields.received_basis == "internal-date";
    let copy = FoundCopy {
        origin: fields.origin(),
        account: fields.account,
        key,
        path: path.to_owned(),
        sha256,
        json_sha256,
        size,
        internal_date: by_server.then_some(fields.received),
        received: fields.received,
        archived_at: fields.archived_at,
    };
    verify::verify(root, &copy.as_stored()).map_err(|fault| fault.to_string())?;
    Ok(copy)
}

impl FoundCopy {
    /// As a row would have it.
    fn as_stored(&self) -> StoredCopy {
        StoredCopy {
            canary: false,
            cut: false,
            leaps: jiff::SignedDuration::ZERO,
            row: 0,
            key: self.key.clone(),
            path: self.path.clone(),
            sha256: self.sha256,
            json_sha256: self.json_sha256,
            size: self.size,
            listed_size: None,
            internal_date: self.internal_date,
            received: Some(self.received),
            archived_at: self.archived_at,
            deleting: false,
            flagged: false,
            delete_ok: false,
            actions_open: false,
            actions_unknown: false,
            moves: Vec::new(),
        }
    }
}

/// `^[a-z0-9][a-z0-9._-]{0,63}$`, as the config has it.
fn is_account(name: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit();
    (1..=64).contains(&name.len())
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|octet| plain(octet) || matches!(octet, b'.' | b'_' | b'-'))
}

/// Reads an archive that another process may be writing to; changes nothing.
#[derive(Debug)]
pub struct Reader {
    root: super::root::Root,
    modes: Modes,
}

impl Reader {
    /// A reader of a root, with the modes that its folders and files should have.
    pub fn new(root: super::root::Root, config: &crate::config::ArchiveConfig) -> Self {
        Self { root, modes: Modes { dir: config.dir_mode, file: config.file_mode } }
    }

    /// The root.
    pub fn root(&self) -> &super::root::Root {
        &self.root
    }

    /// The root, to write to its marker.
    pub fn root_mut(&mut self) -> &mut super::root::Root {
        &mut self.root
    }

    /// Walks the tree by its names.
    pub fn survey(&self) -> io::Result<super::survey::Survey> {
        super::survey::Survey::begin(self.root.folder(), Some(self.modes))
    }

    /// Compares a stored copy with its folder.
    pub fn inspect(&self, copy: &StoredCopy, depth: Depth) -> Vec<Fault> {
        inspect(self.root.folder(), copy, self.modes, depth)
    }

    /// Reads a message folder that no row vouches for; why it can't be taken for a copy.
    pub fn read(&self, path: &str) -> Result<FoundCopy, String> {
        read(self.root.folder(), path)
    }

    /// Whether something stands at a path.
    pub fn has(&self, path: &str) -> bool {
        self.root.folder().has(path).unwrap_or(true)
    }

    /// Makes a folder durable that was found in the tree.
    pub fn make_durable(&self) -> io::Result<()> {
        self.root.folder().again()?.sync_file_system()
    }

    /// Names that were left in one of postrider's own folders at the root.
    pub fn left_in(&self, folder: &str) -> Vec<String> {
        let folder = self.root.folder().folder(folder);
        let entries = folder.and_then(|folder| folder.entries()).unwrap_or_default();
        entries.into_iter().map(|entry| entry.name).collect()
    }
}

//! Stored messages, written for other programs: files, an mbox, a Maildir, a ZIP file.
//!
//! Reads ledger and archive and changes neither. A copy that is not what was stored is left out and
//! named. Of a message only some octets are in memory at a time.

mod mbox;
mod place;
mod zip;

use std::fs::{File, FileTimes};
use std::io::{BufWriter, Result, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Serialize;

use super::select::{Found, Look, ReadFault, Selection, Walk};
use crate::archive::dir::Folder;
use crate::archive::root::Root;
use crate::ledger::{Ledger, LedgerError};
use mbox::{Quoter, from_line};
use place::{Begun, Place};
use zip::Zip;

/// What is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A folder of files, in the archive's own order.
    Eml,
    /// One file, quoted the `mboxrd` way.
    Mbox,
    /// A Maildir.
    Maildir,
    /// One ZIP file of files.
    Zip,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Export<'a> {
    /// Of these accounts.
    pub accounts: &'a [String],
    /// Which messages.
    pub selection: &'a Selection,
    /// As what.
    pub format: Format,
    /// Where; nothing must be there.
    pub to: &'a Path,
}

/// A copy that was left out.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Damaged {
    /// Its folder, relative to the archive root.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

/// What came of it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Exported {
    /// Messages that were written.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// Messages that got a line end more, as an mbox has no other way.
    pub line_ends_added: u64,
    /// Copies that were left out.
    pub damaged: Vec<Damaged>,
}

/// Why an export ended.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger can't be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What is written can't be.
    #[error("{0}")]
    Write(#[from] std::io::Error),
}

/// What is being written.
enum Writer {
    Eml(Folder),
    Mbox(BufWriter<File>, u64),
    Maildir(Folder),
    Zip(Zip),
}

impl Export<'_> {
    /// Writes it; `progress` is told of each copy that was looked at.
    ///
    /// Where no message is meant nothing is written.
    pub async fn run(
        &self,
        ledger: &Ledger,
        root: &Root,
        progress: &mut dyn FnMut(),
    ) -> std::result::Result<Exported, ExportError> {
        let place = Place::take(self.to, root)?;
        let mut writer = None;
        let mut exported = Exported::default();
        for account in self.accounts {
            let mut walk = Walk::new(ledger, root, self.selection, account);
            while let Some(look) = walk.next().await? {
                progress();
                let found = match look {
                    Look::Found(found) => found,
                    Look::Other => continue,
                    Look::Unreadable(path, why) => {
                        exported.damaged.push(Damaged { path, why });
                        continue;
                    }
                };
                let writer = match &mut writer {
                    Some(writer) => writer,
                    none => none.insert(Writer::begin(self.format, &place)?),
                };
                writer.add(&found, root, &mut exported)?;
            }
        }
        if let Some(writer) = writer.filter(|_| exported.messages > 0) {
            place.put(&writer.end()?)?;
        }
        Ok(exported)
    }
}

impl Writer {
    fn begin(format: Format, place: &Place) -> Result<Self> {
        let begun = match format {
            Format::Eml | Format::Maildir => place.folder()?,
            Format::Mbox | Format::Zip => place.file()?,
        };
        Ok(match (begun, format) {
            (Begun::Folder(folder), Format::Maildir) => {
                for name in ["cur", "new", "tmp"] {
                    folder.make(name, 0o700)?;
                }
                Self::Maildir(folder)
            }
            (Begun::Folder(folder), _) => Self::Eml(folder),
            (Begun::File(file), Format::Zip) => Self::Zip(Zip::new(file)),
            (Begun::File(file), _) => Self::Mbox(BufWriter::new(file), 0),
        })
    }

    /// Adds a message, or leaves nothing of it.
    fn add(&mut self, found: &Found, root: &Root, done: &mut Exported) -> Result<()> {
        let at = found.facts.received;
        let read = match self {
            Self::Eml(folder) => {
                let name = format!("{}.eml", found.copy.path);
                make_folders(folder, &name)?;
                file(folder, &name, at, found, root)
            }
            Self::Maildir(folder) => {
                let (seconds, row) = (at.as_second(), found.copy.row);
                let name = format!("cur/{seconds}.{row}.postrider:2,{}", flags(&found.facts.flags));
                file(folder, &name, at, found, root)
            }
            Self::Mbox(to, end) => mbox(to, end, found, root, &mut done.line_ends_added),
            Self::Zip(zip) => {
                let mut writing = zip.begin(&format!("{}.eml", found.copy.path), at)?;
                let read = found.read(root, |octets| zip.write(&mut writing, octets));
                if read.is_ok() {
                    zip.end(writing)?;
                } else {
                    zip.take_back(&writing)?;
                }
                read
            }
        };
        match read {
            Ok(()) => {
                done.messages = done.messages.saturating_add(1);
                done.octets = done.octets.saturating_add(found.copy.size);
            }
            Err(ReadFault::Taker(error)) => return Err(error),
            Err(ReadFault::Copy(error)) => {
                let (path, why) = (found.copy.path.clone(), error.to_string());
                done.damaged.push(Damaged { path, why });
            }
        }
        Ok(())
    }

    fn end(self) -> Result<Begun> {
        Ok(match self {
            Self::Eml(folder) | Self::Maildir(folder) => Begun::Folder(folder),
            Self::Mbox(to, _) => {
                Begun::File(to.into_inner().map_err(std::io::IntoInnerError::into_error)?)
            }
            Self::Zip(zip) => Begun::File(zip.finish()?),
        })
    }
}

/// Writes a message behind the others; `end` is where they end.
fn mbox(
    to: &mut BufWriter<File>,
    end: &mut u64,
    found: &Found,
    root: &Root,
    added: &mut u64,
) -> std::result::Result<(), ReadFault> {
    let taker = ReadFault::Taker;
    writeln!(to, "{}", from_line(&found.facts)).map_err(taker)?;
    let mut quoter = Quoter::default();
    let read = found.read(root, |octets| quoter.write(octets, to));
    if let Err(fault) = read {
        to.flush().map_err(taker)?;
        to.get_ref().set_len(*end).map_err(taker)?;
        to.seek(SeekFrom::Start(*end)).map_err(taker)?;
        return Err(fault);
    }
    let cut = quoter.end(to).map_err(taker)?;
    *added = added.saturating_add(u64::from(cut));
    *end = to.stream_position().map_err(taker)?;
    Ok(())
}

/// Writes a message into a file of its own, whose time is that of its receipt.
fn file(
    folder: &Folder,
    name: &str,
    at: Timestamp,
    found: &Found,
    root: &Root,
) -> std::result::Result<(), ReadFault> {
    let taker = ReadFault::Taker;
    let mut file = folder.create(name, 0o600).map_err(taker)?;
    if let Err(fault) = found.read(root, |octets| file.write_all(octets)) {
        let (above, own) = name.rsplit_once('/').unwrap_or((".", name));
        folder.folder(above).and_then(|above| above.remove_all(own)).map_err(taker)?;
        return Err(fault);
    }
    let seconds = Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0));
    // Readers of a Maildir take it for the date of receipt.
    let modified = SystemTime::UNIX_EPOCH.checked_add(seconds);
    let times = FileTimes::new().set_modified(modified.unwrap_or(SystemTime::UNIX_EPOCH));
    file.set_times(times).map_err(taker)
}

/// Makes the folders above a file.
fn make_folders(folder: &Folder, name: &str) -> Result<()> {
    let mut above = folder.clone();
    let parts: Vec<&str> = name.split('/').collect();
    for part in parts.iter().rev().skip(1).rev() {
        above = above.open_or_make(part, 0o700)?.0;
    }
    Ok(())
}

/// Flags as a Maildir has them, in its order.
fn flags(flags: &[String]) -> String {
    const LETTERS: [(&str, char); 4] =
        [("\\Draft", 'D'), ("\\Flagged", 'F'), ("\\Answered", 'R'), ("\\Seen", 'S')];
    let has = |name: &str| flags.iter().any(|flag| flag.eq_ignore_ascii_case(name));
    LETTERS.iter().filter(|(name, _)| has(name)).map(|(_, letter)| *letter).collect()
}

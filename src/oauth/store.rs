//! The tokens of each record on disk: `STATE/tokens/NAME.json`, for postrider's user alone.
//!
//! A file appears whole or not at all: written beside as `NAME.new`, synced, renamed over the old
//! one, its folder synced. `NAME.new` takes its room before an endpoint is asked; one that stays
//! tells of tokens that were not saved. `NAME.lock` beside it is held over read, refresh and write,
//! by whichever process or task does that. `NAME.damaged` could not be read.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Moment, OauthError, fresh};
use crate::secret::Secret;
use crate::steps;

/// Octets of one file; more is none of ours.
const FILE_MAX: u64 = 1 << 20;

/// What an endpoint's answer can add to a file at most, and the words around it.
const ROOM: u64 = 68 << 10;

/// What is kept of one record. Debug shows no token.
#[derive(Clone, Debug)]
pub struct Stored {
    /// When a person logged in, or the first token came.
    pub granted_at: Timestamp,
    /// When tokens came last.
    pub refreshed_at: Timestamp,
    /// Whose they are, as they said.
    pub account: Option<String>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// The access token.
    pub access: Option<Access>,
    /// The refresh token.
    pub refresh: Option<Secret>,
    /// The one before it: tried once, should a crash have lost the last answer.
    pub previous: Option<Secret>,
    /// What the config's own refresh token was when it was taken.
    pub(super) seed: Option<String>,
    /// What the config was when the access token was got.
    pub(super) config: String,
    /// Why no endpoint is asked any more.
    pub refused: Option<Refused>,
}

/// An access token.
#[derive(Clone, Debug)]
pub struct Access {
    /// The token.
    pub token: Secret,
    /// How long it lives.
    pub lifetime: Duration,
    /// When it was asked for.
    pub got: Moment,
}

impl Access {
    /// Whether its whole lifetime is over; false where its age can't be told.
    pub fn is_over(&self, now: &Moment) -> bool {
        fresh::is_over(&self.got, self.lifetime, now)
    }
}

/// A refusal that only a person can mend.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Refused {
    /// Stable code of the log.
    pub code: String,
    /// The cause.
    pub message: String,
    /// The step.
    pub hint: String,
    /// When.
    pub at: Timestamp,
    /// What config and secrets were then.
    pub(super) mark: String,
}

#[derive(Serialize)]
struct Written<'a> {
    schema: u32,
    granted_at: Timestamp,
    refreshed_at: Timestamp,
    account: &'a Option<String>,
    scopes: &'a [String],
    access_token: Option<&'a str>,
    lifetime_seconds: Option<u64>,
    got: Option<&'a Moment>,
    refresh_token: Option<&'a str>,
    previous_refresh_token: Option<&'a str>,
    seed: &'a Option<String>,
    config: &'a str,
    refused: &'a Option<Refused>,
}

#[derive(Deserialize)]
struct Found {
    schema: u32,
    granted_at: Timestamp,
    refreshed_at: Timestamp,
    account: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    access_token: Option<String>,
    lifetime_seconds: Option<u64>,
    got: Option<Moment>,
    refresh_token: Option<String>,
    previous_refresh_token: Option<String>,
    seed: Option<String>,
    #[serde(default)]
    config: String,
    refused: Option<Refused>,
}

/// The folder of all token files.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

/// Held while a record is read, refreshed and written; other processes wait.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the lock lasts as long as the file")] File);

impl Folder {
    pub(super) fn below(state_dir: &Path) -> Self {
        Self(state_dir.join("tokens"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.json"))
    }

    fn new_file(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.new"))
    }

    /// Takes room for the next [`write`](Self::write) on the disk, durably.
    pub(super) fn reserve(&self, name: &str) -> Result<(), OauthError> {
        let new = self.new_file(name);
        let now = self.file(name).metadata().map_or(0, |meta| meta.len().min(FILE_MAX));
        let size = now.saturating_add(ROOM);
        let take = || -> std::io::Result<()> {
            steps::pass("oauth-reserve")?;
            self.open()?;
            let mut file = self.create(&new)?;
            std::io::copy(&mut std::io::repeat(0).take(size), &mut file)?;
            file.sync_all()
        };
        take().map_err(|error| {
            self.release(name);
            failed_at(&new)(&format!("no room for renewed tokens, so none are asked for: {error}"))
        })
    }

    /// Gives the room back.
    pub(super) fn release(&self, name: &str) {
        // What stays is taken for the room of the next one.
        rustix::fs::unlink(self.new_file(name)).ok();
    }

    /// Whether tokens came, or may have come, and were not saved: nobody is at it now.
    pub(super) fn is_cut_off(&self, name: &str) -> bool {
        let Ok(lock) = File::open(self.0.join(format!("{name}.lock"))) else { return false };
        let free = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        free && self.new_file(name).exists()
    }

    /// Whether the disk has room for renewed tokens, as far as can be seen without writing.
    pub(super) fn has_room(&self) -> bool {
        let disk = self.0.parent().and_then(|state_dir| rustix::fs::statvfs(state_dir).ok());
        disk.is_none_or(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) > ROOM)
    }

    /// Puts a file that can't be read out of the way; where it is then.
    pub(super) fn set_aside(&self, name: &str) -> Result<PathBuf, OauthError> {
        let (path, aside) = (self.file(name), self.0.join(format!("{name}.damaged")));
        let failed = failed_at(&path);
        let put = || -> std::io::Result<()> {
            rustix::fs::rename(&path, &aside)?;
            rustix::fs::chmod(&aside, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
            self.open()?.sync_all()
        };
        put().map_err(|error| failed(&format!("it can't be set aside: {error}")))?;
        Ok(aside)
    }

    /// Reads a record's tokens; `None` when there are none.
    pub(super) fn read(&self, name: &str) -> Result<Option<Stored>, OauthError> {
        let path = self.file(name);
        let failed = failed_at(&path);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error.to_string())),
        };
        let meta = file.metadata().map_err(|error| failed(&error.to_string()))?;
        if meta.mode() & 0o077 != 0 {
            return Err(failed(&format!("others can read it; chmod 600 {}", path.display())));
        }
        if meta.len() > FILE_MAX {
            return Err(failed("it is too long to be ours"));
        }
        let length = usize::try_from(meta.len()).unwrap_or(0);
        let mut octets = Zeroizing::new(Vec::with_capacity(length.saturating_add(1)));
        let read = file.take(FILE_MAX).read_to_end(&mut octets);
        read.map_err(|error| failed(&error.to_string()))?;
        let found: Found = serde_json::from_slice(&octets)
            .map_err(|_| failed("it is damaged; `postrider oauth login` makes a new one"))?;
        if found.schema != 1 {
            return Err(failed("it is from a newer postrider"));
        }
        Ok(Some(found.into()))
    }

    /// Writes a record's tokens; durable on return.
    pub(super) fn write(&self, name: &str, stored: &Stored) -> Result<(), OauthError> {
        let path = self.file(name);
        let failed = failed_at(&path);
        // Reserved at once: growing would leave copies of tokens behind that nobody wipes.
        let mut text = Zeroizing::new(Vec::with_capacity(256 << 10));
        let access = stored.access.as_ref();
        let written = Written {
            schema: 1,
            granted_at: stored.granted_at,
            refreshed_at: stored.refreshed_at,
            account: &stored.account,
            scopes: &stored.scopes,
            access_token: access.map(|access| access.token.expose()),
            lifetime_seconds: access.map(|access| access.lifetime.as_secs()),
            got: access.map(|access| &access.got),
            refresh_token: stored.refresh.as_ref().map(Secret::expose),
            previous_refresh_token: stored.previous.as_ref().map(Secret::expose),
            seed: &stored.seed,
            config: &stored.config,
            refused: &stored.refused,
        };
        serde_json::to_writer(&mut *text, &written).map_err(|error| failed(&error.to_string()))?;
        let put = || -> std::io::Result<()> {
            steps::pass("oauth-write")?;
            let folder = self.open()?;
            let new = self.new_file(name);
            let mut options = OpenOptions::new();
            // Into the room that was taken, or what a crash left of it.
            let mut file =
                options.write(true).create(true).truncate(false).mode(0o600).open(&new)?;
            self.give(&file)?;
            file.write_all(&text)?;
            file.set_len(u64::try_from(text.len()).unwrap_or(FILE_MAX))?;
            file.sync_all()?;
            steps::pass("oauth-rename")?;
            rustix::fs::rename(&new, &path)?;
            folder.sync_all()?;
            steps::pass("oauth-saved")
        };
        put().map_err(|error| failed(&error.to_string()))
    }

    /// Removes a record's tokens; whether there were any.
    pub(super) fn remove(&self, name: &str) -> Result<bool, OauthError> {
        let path = self.file(name);
        let failed = failed_at(&path);
        self.release(name);
        rustix::fs::unlink(self.0.join(format!("{name}.damaged"))).ok();
        match rustix::fs::unlink(&path) {
            Ok(()) => {}
            Err(rustix::io::Errno::NOENT) => return Ok(false),
            Err(error) => return Err(failed(&error.to_string())),
        }
        let folder = self.open().map_err(|error| failed(&error.to_string()))?;
        folder.sync_all().map_err(|error| failed(&error.to_string()))?;
        Ok(true)
    }

    /// Takes a record's lock if nobody has it.
    pub(super) fn try_lock(&self, name: &str) -> Result<Option<Lock>, OauthError> {
        let path = self.0.join(format!("{name}.lock"));
        let failed = failed_at(&path);
        let open = || -> std::io::Result<File> {
            self.open()?;
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(&path)?;
            self.give(&file)?;
            Ok(file)
        };
        let file = open().map_err(|error| failed(&error.to_string()))?;
        let taken = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(taken.is_ok().then_some(Lock(file)))
    }

    /// The folder, made where it is missing; its mode is ours whatever the umask.
    fn open(&self) -> std::io::Result<File> {
        match File::open(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                match DirBuilder::new().mode(0o700).create(&self.0) {
                    Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                        return Err(error);
                    }
                    _ => {}
                }
                let folder = File::open(&self.0)?;
                self.give(&folder)?;
                if let Some(parent) = self.0.parent() {
                    File::open(parent)?.sync_all()?;
                }
                Ok(folder)
            }
            found => found,
        }
    }

    fn create(&self, path: &Path) -> std::io::Result<File> {
        // What a crash left behind.
        match rustix::fs::unlink(path) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        self.give(&file)?;
        Ok(file)
    }

    /// Root works for the state folder's owner: a file of root's would shut the daemon out.
    fn give(&self, file: &File) -> std::io::Result<()> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let Some(parent) = self.0.parent() else { return Ok(()) };
        let owner = parent.metadata()?;
        std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid()))
    }
}

impl From<Found> for Stored {
    fn from(found: Found) -> Self {
        let secret = |text: Option<String>| text.and_then(|text| Secret::new(text).ok());
        let access = match (secret(found.access_token), found.lifetime_seconds, found.got) {
            (Some(token), Some(seconds), Some(got)) => {
                Some(Access { token, lifetime: Duration::from_secs(seconds), got })
            }
            _ => None,
        };
        Self {
            granted_at: found.granted_at,
            refreshed_at: found.refreshed_at,
            account: found.account,
            scopes: found.scopes,
            access,
            refresh: secret(found.refresh_token),
            previous: secret(found.previous_refresh_token),
            seed: found.seed,
            config: found.config,
            refused: found.refused,
        }
    }
}

fn failed_at(path: &Path) -> impl Fn(&str) -> OauthError {
    let path = path.display().to_string();
    move |why| OauthError::Store { path: path.clone(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn stored(refresh: &str) -> Stored {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let got =
            Moment { wall: at, boot: jiff::SignedDuration::from_secs(9), boot_id: "b".into() };
        let secret = |text: &str| Secret::new(text.to_owned()).unwrap();
        Stored {
            granted_at: at,
            refreshed_at: at,
            account: Some("u1@example.org".into()),
            scopes: vec!["s".into()],
            access: Some(Access { token: secret("acc"), lifetime: Duration::from_secs(7), got }),
            refresh: Some(secret(refresh)),
            previous: Some(secret("prev")),
            seed: None,
            config: "c".into(),
            refused: None,
        }
    }

    #[test]
    fn tokens_are_kept_for_their_owner_alone_and_shown_to_nobody() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::below(temp.path());
        assert!(folder.read("m365").unwrap().is_none());
        folder.write("m365", &stored("first")).unwrap();
        folder.write("m365", &stored("second")).unwrap();
        let back = folder.read("m365").unwrap().unwrap();
        assert_eq!(back.refresh.as_ref().unwrap().expose(), "second");
        assert_eq!(back.previous.as_ref().unwrap().expose(), "prev");
        assert_eq!(back.access.as_ref().unwrap().lifetime, Duration::from_secs(7));
        let shown = format!("{back:?}");
        assert!(!shown.contains("second") && !shown.contains("acc\""), "{shown}");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let tokens = temp.path().join("tokens");
        assert_eq!((mode(&tokens), mode(&tokens.join("m365.json"))), (0o700, 0o600));
        assert!(folder.remove("m365").unwrap() && !folder.remove("m365").unwrap());
    }

    #[test]
    fn file_that_others_can_read_or_that_is_damaged_is_not_used() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::below(temp.path());
        folder.write("x", &stored("r")).unwrap();
        let path = temp.path().join("tokens/x.json");
        let readable = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&path, readable).unwrap();
        assert!(folder.read("x").unwrap_err().to_string().contains("chmod 600"));
        let mut file = folder.create(&path).unwrap();
        file.write_all(b"{\"schema\":1,\"refresh_token\":\"hunter2").unwrap();
        let error = folder.read("x").unwrap_err().to_string();
        assert!(error.contains("damaged") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a05_second_holder_of_the_lock_has_to_wait() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::below(temp.path());
        let first = folder.try_lock("x").unwrap();
        assert!(first.is_some() && folder.try_lock("x").unwrap().is_none());
        assert!(folder.try_lock("y").unwrap().is_some());
        drop(first);
        assert!(folder.try_lock("x").unwrap().is_some());
    }
}

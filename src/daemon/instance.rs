//! One writing postrider: its state folder, its locks, its ledger and its archive root, each
//! proven to belong together before anything is written.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::FlockOperation;

use crate::archive::dir::Folder;
use crate::archive::root::{Marker, Root};
use crate::archive::{Archive, ArchiveError, FileSystem};
use crate::config::{Config, DaemonConfig};
use crate::control::users;
use crate::ledger::{Identity, LEDGER_FILE, Ledger, LedgerError};
use crate::log::Redactor;
use crate::oauth::Vault;
use crate::poll::{Clock, Tools};
use crate::secret::Surroundings;

/// The means to poll, held until the process ends.
#[derive(Debug)]
pub struct Instance {
    /// What all polls share.
    pub tools: Tools,
    _lock: Lock,
}

/// Why this process may not write.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// The archive root.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Another postrider holds the lock.
    #[error("another postrider uses {}{}", state_dir.display(), holder(*pid))]
    Busy {
        /// The state folder.
        state_dir: PathBuf,
        /// Its process, where it is known.
        pid: Option<u32>,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The state folder can't be used.
    #[error("state folder {}: {why}", state_dir.display())]
    State {
        /// The state folder.
        state_dir: PathBuf,
        /// Why.
        why: String,
        /// What to do.
        hint: String,
    },
}

impl InstanceError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Archive(error) => error.hint(),
            Self::Busy { .. } => Some(
                "where it is the daemon, commands ask it by its control socket: see `postrider \
                     log --code control-unavailable`; else wait for its end"
                    .to_owned(),
            ),
            Self::Ledger(error) => error.hint().map(str::to_owned),
            Self::State { hint, .. } => Some(hint.clone()),
        }
    }

    /// Whether another process is in the way.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Archive(ArchiveError::RootBusy { .. }))
    }

    /// Whether nothing can go on before a person has acted.
    pub fn needs_person(&self) -> bool {
        match self {
            Self::Archive(error) => {
                use ArchiveError::{RootChanged, RootMissing, Unfit};
                matches!(error, RootMissing { .. } | RootChanged { .. } | Unfit { .. })
            }
            Self::Ledger(error) => error.needs_person(),
            Self::State { .. } => true,
            Self::Busy { .. } => false,
        }
    }
}

impl Instance {
    /// Takes the locks, compares ledger and root, binds them on the first run, counts the start
    /// and clears the stage.
    ///
    /// Nothing is made before the comparison: a ledger that is missing stays missing.
    pub async fn open(config: &Config, redactor: Redactor) -> Result<Self, InstanceError> {
        let state_dir = &config.daemon.state_dir;
        let (mut root, lock) = hold(config)?;
        fit(state_dir, &root)?;
        let mut ledger = Ledger::open(state_dir)?;
        let generation = ledger.bind(root.marker().root).await?;
        if let Some(name) = ledger.identity().ledger {
            root.bind(name, generation)?;
            ledger.record_marker(generation).await?;
        }
        let archive = Arc::new(Archive::open(root, &config.archive)?);
        let secrets = Arc::new(Surroundings::of(&config.daemon));
        let tools = Tools {
            archive,
            ledger,
            clock: Clock,
            tokens: tokens(&config.daemon, &secrets, &redactor),
            redactor,
            configured: Arc::new(Mutex::new(config.inbound.keys().cloned().collect())),
            secrets,
            allow_network_root: config.archive.allow_network_root,
            outbox: Arc::default(),
        };
        Ok(Self { tools, _lock: lock })
    }

    /// Closes the ledger, so that nothing of it is left but its file. What is lost by an error
    /// here is done by the next start.
    pub async fn close(self) {
        if let Err(error) = self.tools.ledger.close().await {
            tracing::debug!(target: "daemon", %error, "ledger not closed");
        }
    }
}

/// Takes the state folder and the archive root for this process alone, for as long as both are
/// held.
pub fn hold(config: &Config) -> Result<(Root, Lock), InstanceError> {
    let state_dir = &config.daemon.state_dir;
    check_state_dir(state_dir)?;
    let lock = lock(state_dir)?;
    let root = Root::open(&config.archive.root)?;
    root.lock()?;
    Ok((root, Lock(lock)))
}

/// The state folder's lock.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, never read")] File);

/// Whether the ledger in the state folder and a root belong together; changes neither.
pub fn fit(state_dir: &Path, root: &Root) -> Result<(), InstanceError> {
    let found = Ledger::open_read_only(state_dir)?.identity().clone();
    let path = state_dir.join(LEDGER_FILE);
    let ledger_generation = found.generation;
    let error = match compare(root.marker(), &found, root.is_empty()?) {
        Fit::Same | Fit::FirstRun => return Ok(()),
        Fit::LedgerMissing => LedgerError::Missing { path },
        Fit::Foreign(why) => LedgerError::Foreign { path, why: why.to_owned() },
        Fit::Older { found, wanted } => LedgerError::Older { path, found, wanted },
        Fit::RootOlder { found, wanted } => {
            let is_copy = ledger_generation < root.marker().generation;
            LedgerError::ArchiveOlder { found, wanted, is_copy }
        }
    };
    Err(error.into())
}

/// The process that holds the state folder's lock: seen in `/proc/locks`, without trying the lock.
pub fn lock_holder(state_dir: &Path) -> Option<u32> {
    let path = state_dir.join("lock");
    let inode = format!(":{} ", path.metadata().ok()?.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let held = locks.lines().any(|line| line.contains("FLOCK") && line.contains(&inode));
    held.then(|| std::fs::read_to_string(&path).ok()?.trim().parse().ok())?
}

/// The OAuth2 tokens of an installation; the log hides each before it is used.
pub fn tokens(daemon: &DaemonConfig, secrets: &Arc<Surroundings>, redactor: &Redactor) -> Vault {
    let redactor = redactor.clone();
    Vault::new(&daemon.state_dir, Arc::clone(secrets), move |secret| redactor.register(secret))
}

/// How a ledger and a root belong together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fit {
    FirstRun,
    Foreign(&'static str),
    LedgerMissing,
    Older { found: u64, wanted: u64 },
    RootOlder { found: u64, wanted: u64 },
    Same,
}

/// Compares the root's marker with the ledger's identity.
fn compare(marker: &Marker, ledger: &Identity, root_is_empty: bool) -> Fit {
    if let Some(bound) = ledger.root
        && bound != marker.root
    {
        return Fit::Foreign("it belongs to another archive root");
    }
    let Some(wanted) = marker.ledger else {
        // Cut between the ledger's binding and the root's, the next run goes on.
        let goes_on = root_is_empty || ledger.root == Some(marker.root);
        return if goes_on {
            Fit::FirstRun
        } else {
            Fit::Foreign("the root holds mail that this ledger doesn't know")
        };
    };
    match ledger.ledger {
        None => Fit::LedgerMissing,
        Some(found) if found != wanted => Fit::Foreign("the archive root names another ledger"),
        // Not the ledger's own generation: a start that was cut, or that found the root's disk
        // full, has counted without its marker.
        Some(_) if marker.generation < ledger.marked => {
            Fit::RootOlder { found: marker.generation, wanted: ledger.marked }
        }
        Some(_) if ledger.generation < marker.generation => {
            Fit::Older { found: ledger.generation, wanted: marker.generation }
        }
        Some(_) => Fit::Same,
    }
}

/// The state folder is ours, and closed to others; it is made where its parent exists.
pub fn check_state_dir(state_dir: &Path) -> Result<(), InstanceError> {
    let state = |why: String, hint: String| InstanceError::State {
        state_dir: state_dir.to_owned(),
        why,
        hint,
    };
    let shown = state_dir.display();
    let found = match state_dir.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            DirBuilder::new().mode(0o700).create(state_dir).map_err(|error| {
                state(error.to_string(), format!("make it: install -d -m 0700 {shown}"))
            })?;
            state_dir.metadata()
        }
        found => found,
    };
    let found =
        found.map_err(|error| state(error.to_string(), "see `daemon.state_dir`".to_owned()))?;
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own {
        let why = format!("it belongs to uid {}, this is uid {own}", found.uid());
        return Err(state(why, run_as(found.uid())));
    }
    if found.mode() & 0o077 != 0 {
        let why = format!("others can enter it (mode {:04o})", found.mode() & 0o7777);
        return Err(state(why, format!("chmod 700 {shown}")));
    }
    let folder = Folder::open(state_dir);
    let folder = folder.map_err(|error| state(error.to_string(), String::new()))?;
    if FileSystem::of(&folder) == FileSystem::Network {
        // SQLite's locks and shared memory can't be relied on there.
        let why = "it is on a network file system, where no ledger can be kept".to_owned();
        return Err(state(why, "set `daemon.state_dir` to a folder on a local disk".to_owned()));
    }
    Ok(())
}

/// How a command is run as the owner of a folder.
pub fn run_as(uid: u32) -> String {
    let name = users::user(uid).map_or_else(|| format!("'#{uid}'"), |user| user.name);
    format!("run as its owner: runuser -u {name} -- postrider …")
}

/// Takes the lock for as long as the process lives; the file names the process, for people.
fn lock(state_dir: &Path) -> Result<File, InstanceError> {
    let path = state_dir.join("lock");
    let state = |error: std::io::Error| InstanceError::State {
        state_dir: state_dir.to_owned(),
        why: format!("lock: {error}"),
        hint: format!("see {}", path.display()),
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(state)?;
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut text = String::new();
        let read = file.read_to_string(&mut text).ok();
        let pid = read.and_then(|_| text.trim().parse().ok());
        return Err(InstanceError::Busy { state_dir: state_dir.to_owned(), pid });
    }
    let own = format!("{}\n", std::process::id());
    let write = |file: &mut File| -> std::io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(own.as_bytes())
    };
    write(&mut file).map_err(state)?;
    Ok(file)
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn marker(ledger: Option<Uuid>, generation: u64) -> Marker {
        Marker { root: Uuid::from_u128(1), ledger, generation }
    }

    fn identity(ledger: Option<u128>, root: Option<u128>, generation: u64) -> Identity {
        Identity {
            path: PathBuf::new(),
            exists: ledger.is_some(),
            ledger: ledger.map(Uuid::from_u128),
            root: root.map(Uuid::from_u128),
            salt: None,
            generation,
            marked: 0,
        }
    }

    #[test]
    fn an_unbound_empty_root_may_begin() {
        assert_eq!(compare(&marker(None, 0), &identity(None, None, 0), true), Fit::FirstRun);
    }

    #[test]
    fn a_first_run_that_was_cut_goes_on() {
        assert_eq!(compare(&marker(None, 0), &identity(Some(2), Some(1), 1), false), Fit::FirstRun);
    }

    #[test]
    fn an_unbound_root_with_mail_needs_a_person() {
        let fit = compare(&marker(None, 0), &identity(None, None, 0), false);
        assert!(matches!(fit, Fit::Foreign(_)));
    }

    #[test]
    fn a_lost_ledger_is_never_made_anew() {
        let fit = compare(&marker(Some(Uuid::from_u128(2)), 4), &identity(None, None, 0), false);
        assert_eq!(fit, Fit::LedgerMissing);
    }

    #[test]
    fn g04_another_ledger_another_root_or_an_old_copy_does_not_fit() {
        let bound = marker(Some(Uuid::from_u128(2)), 4);
        for other in [identity(Some(3), Some(1), 9), identity(Some(2), Some(7), 9)] {
            assert!(matches!(compare(&bound, &other, false), Fit::Foreign(_)));
        }
        let old = compare(&bound, &identity(Some(2), Some(1), 3), false);
        assert_eq!(old, Fit::Older { found: 3, wanted: 4 });
        assert_eq!(compare(&bound, &identity(Some(2), Some(1), 4), false), Fit::Same);
        assert_eq!(compare(&bound, &identity(Some(2), Some(1), 5), false), Fit::Same);
        // Starts that could not write their marker are no older root.
        let marked = |marked| Identity { marked, ..identity(Some(2), Some(1), 9) };
        assert_eq!(compare(&bound, &marked(4), false), Fit::Same);
        let older = Fit::RootOlder { found: 4, wanted: 5 };
        assert_eq!(compare(&bound, &marked(5), false), older);
        // Also beside a copy of the ledger.
        let copy = Identity { marked: 5, ..identity(Some(2), Some(1), 0) };
        assert_eq!(compare(&bound, &copy, false), older);
    }
}

//! Where each account's password goes, and the tables that say so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::cli::exit::Exit;
use crate::cli::render;
use crate::config::Config;
use crate::daemon::instance::check_state_dir;
use crate::moving::foreign::{ForeignAccount, ForeignSecret};
use crate::poll::Clock;
use crate::secret::{self, Secret, Surroundings};

use super::Secrets;
use super::placing::{Placed, secret_name};

/// Where one account's password is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Spot {
    /// In the keystore under this name.
    Key { name: String, state: State },
    /// In a file.
    File { path: PathBuf, state: State },
    /// A command prints it.
    Command(Vec<String>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// It is to be written.
    ToWrite,
    /// It is there.
    There,
    /// Nobody has it: a person must set it.
    Missing,
}

/// By account.
pub(super) type Spots = BTreeMap<String, Spot>;

/// What was written, to be taken back.
pub(super) enum Kept {
    Key(String),
    File(PathBuf),
}

/// Finds each new account's spot; nothing that is there is overwritten, or taken for another one.
pub(super) fn spots(
    placed: &[Placed],
    config: &Config,
    (secrets, dry_run): (Secrets, bool),
) -> Result<Spots, Exit> {
    let keystore = Surroundings::of(&config.daemon).keystore;
    let known: BTreeSet<String> = match keystore.names() {
        Ok(names) => names.into_iter().map(|(name, _)| name).collect(),
        // Who only looks may not be the one who may read it.
        Err(_) if dry_run => BTreeSet::new(),
        Err(fault) => {
            render::error(&fault.to_string(), Some("nothing was changed"));
            return Err(Exit::Failed);
        }
    };
    let mut taken = BTreeSet::new();
    let mut spots = Spots::new();
    for Placed { account, .. } in placed.iter().filter(|placed| placed.new) {
        let text = match &account.secret {
            Some(ForeignSecret::Command(argv)) => {
                spots.insert(account.name.clone(), Spot::Command(argv.clone()));
                continue;
            }
            Some(ForeignSecret::Text(text)) if secrets != Secrets::None => {
                Some(secret(account, text)?)
            }
            _ => None,
        };
        let spot = if let (Some(text), Secrets::File) = (&text, secrets) {
            let holds = |name: &str| same_file(&secret_file(config, name), text);
            let (name, there) = secret_name(&account.name, &taken, holds);
            let path = secret_file(config, &name);
            taken.insert(name);
            Spot::File { path, state: if there { State::There } else { State::ToWrite } }
        } else {
            let holds = |name: &str| {
                let same = |text: &Secret| {
                    keystore.find(name).is_ok_and(|found| found.expose() == text.expose())
                };
                known.contains(name).then(|| text.as_ref().is_some_and(same))
            };
            let (name, there) = secret_name(&account.name, &taken, holds);
            taken.insert(name.clone());
            let state = match (there, &text) {
                (true, _) => State::There,
                (false, Some(_)) => State::ToWrite,
                (false, None) => State::Missing,
            };
            Spot::Key { name, state }
        };
        spots.insert(account.name.clone(), spot);
    }
    Ok(spots)
}

/// The same before anything is written: a file that isn't there yet is no mistake.
pub(super) fn before(spots: &Spots) -> Spots {
    let of = |(account, spot): (&String, &Spot)| {
        let spot = match spot {
            Spot::File { state: State::ToWrite, .. } => {
                Spot::Key { name: account.clone(), state: State::ToWrite }
            }
            spot => spot.clone(),
        };
        (account.clone(), spot)
    };
    spots.iter().map(of).collect()
}

fn secret(account: &ForeignAccount, text: &str) -> Result<Secret, Exit> {
    secret::one_line(text.as_bytes()).map_err(|fault| failed(&account.name, &fault.to_string()))
}

fn failed(account: &str, what: &str) -> Exit {
    let hint = "nothing was changed; --secrets none leaves passwords out";
    render::error(&format!("the password of `{account}`: {what}"), Some(hint));
    Exit::Failed
}

fn secret_file(config: &Config, name: &str) -> PathBuf {
    config.daemon.state_dir.join("secrets").join(name)
}

/// Whether a file has this secret; `None`: there is none.
fn same_file(path: &Path, text: &Secret) -> Option<bool> {
    path.symlink_metadata().ok()?;
    Some(
        std::fs::read(path)
            .map(Zeroizing::new)
            .is_ok_and(|found| **found == *text.expose().as_bytes()),
    )
}

/// Writes what is to be written; all of it or nothing.
pub(super) fn keep(placed: &[Placed], spots: &Spots, config: &Config) -> Result<Vec<Kept>, Exit> {
    let mut kept = Vec::new();
    for Placed { account, .. } in placed.iter().filter(|placed| placed.new) {
        let (Some(ForeignSecret::Text(text)), Some(spot)) =
            (&account.secret, spots.get(&account.name))
        else {
            continue;
        };
        let done = secret(account, text).and_then(|secret| {
            let wrong = |what: String| failed(&account.name, &what);
            check_state_dir(&config.daemon.state_dir).map_err(|error| {
                render::error(&error.to_string(), error.hint().as_deref());
                Exit::Person
            })?;
            match spot {
                Spot::Key { name, state: State::ToWrite } => {
                    let keystore = Surroundings::of(&config.daemon).keystore;
                    let set = keystore.set(name, &secret, Clock.now());
                    set.map_err(|fault| wrong(fault.to_string()))?;
                    kept.push(Kept::Key(name.clone()));
                }
                Spot::File { path, state: State::ToWrite } => {
                    let written = crate::moving::place::keep_secret(path, secret.expose());
                    written.map_err(|error| wrong(error.to_string()))?;
                    kept.push(Kept::File(path.clone()));
                }
                _ => {}
            }
            Ok(())
        });
        done.inspect_err(|_| take_back(&kept, config))?;
    }
    Ok(kept)
}

/// Removes what was written: the accounts don't come.
pub(super) fn take_back(kept: &[Kept], config: &Config) {
    for one in kept {
        match one {
            Kept::Key(name) => drop(Surroundings::of(&config.daemon).keystore.remove(name)),
            Kept::File(path) => drop(crate::moving::place::remove_secret(path)),
        }
    }
}

/// The new accounts as tables of ours.
pub(super) fn tables(placed: &[Placed], spots: &Spots) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    for Placed { account, .. } in placed.iter().filter(|placed| placed.new) {
        let mut add = |line: std::fmt::Arguments<'_>| {
            // Writing to a String can't fail.
            text.write_fmt(line).ok();
        };
        add(format_args!("[inbound.\"{}\"]\n", account.name));
        for (key, value) in &account.keys {
            add(format_args!("{key} = {value}\n"));
        }
        let place = match spots.get(&account.name) {
            Some(Spot::Command(argv)) => {
                let argv: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
                format!("{{ command = [{}] }}", argv.join(", "))
            }
            Some(Spot::File { path, .. }) => {
                format!("{{ file = {} }}", quoted(&path.to_string_lossy()))
            }
            Some(Spot::Key { name, .. }) => format!("{{ key = {} }}", quoted(name)),
            None => format!("{{ key = {} }}", quoted(&account.name)),
        };
        add(format_args!("password = {place}\n"));
    }
    text
}

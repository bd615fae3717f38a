//! Message folders of the tree that no row vouches for, taken into a ledger.

use std::collections::BTreeMap;

use super::RecoveryError;
use super::absent::Absent;
use crate::archive::{ArchiveError, Reader, Seen};
use crate::ledger::{Adopted, Adoption, Ledger};

/// Folders of one transaction.
const AT_ONCE: usize = 200;
/// Skipped folders that are named; the others are counted.
const NAMED: usize = 1000;

/// What a walk through the tree has led to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Folders that have a row now, by account.
    pub adopted: BTreeMap<String, u64>,
    /// Folders that had one.
    pub known: u64,
    /// Folders that could not be taken, and why; the first of them.
    pub skipped: Vec<Skipped>,
    /// How many.
    pub skipped_count: u64,
    /// What an older archive lacks.
    pub absent: Absent,
    /// Accounts of whose messages nobody knows what rules asked for.
    pub rules_unknown: Vec<String>,
    /// What persons ordered before is known: pauses, stops, catch-ups.
    pub orders_known: bool,
}

/// A folder that can't be taken for a stored message.
#[derive(Debug)]
pub struct Skipped {
    /// Below the root.
    pub path: String,
    /// Why not.
    pub why: String,
}

impl Outcome {
    /// Copies that have a row now, of all accounts.
    pub fn messages(&self) -> u64 {
        self.adopted.values().fold(0, |sum, n| sum.saturating_add(*n))
    }

    fn skip(&mut self, path: String, why: String) {
        self.skipped_count = self.skipped_count.saturating_add(1);
        if self.skipped.len() < NAMED {
            self.skipped.push(Skipped { path, why });
        }
    }
}

/// Walks the tree and gives a row to each message folder that has none and proves itself; with
/// `dry` it only says which. Accounts that were renamed get their mail under the new name.
///
/// What is adopted was read after everything on the file system was made durable.
pub(super) async fn adopt_all(
    ledger: &Ledger,
    reader: &Reader,
    renamed: &BTreeMap<String, String>,
    dry: bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Outcome, RecoveryError> {
    let io = |act| ArchiveError::io(act, "archive root");
    if !dry {
        reader.make_durable().map_err(io("sync"))?;
    }
    let mut outcome = Outcome::default();
    let mut survey = reader.survey().map_err(io("list"))?;
    let mut seen = 0_u64;
    loop {
        let next = survey.by_ref().filter_map(|seen| match seen {
            Seen::Message(path) => Some(path),
            Seen::Fault(_) => None,
        });
        let paths: Vec<String> = next.take(AT_ONCE).collect();
        if paths.is_empty() {
            return Ok(outcome);
        }
        seen = seen.saturating_add(paths.len() as u64);
        let (orphans, known) = without_rows(ledger, paths).await?;
        outcome.known = outcome.known.saturating_add(known);
        let mut found = Vec::with_capacity(orphans.len());
        for path in orphans {
            match reader.read(&path) {
                Ok(copy) => {
                    let account = renamed.get(&copy.account).unwrap_or(&copy.account).clone();
                    found.push(Adoption {
                        account,
                        key: copy.key,
                        path: copy.path,
                        sha256: copy.sha256,
                        json_sha256: copy.json_sha256,
                        size: copy.size,
                        internal_date: copy.internal_date,
                        received: copy.received,
                        archived_at: copy.archived_at,
                        origin: copy.origin,
                    });
                }
                Err(why) => outcome.skip(path, why),
            }
        }
        record(ledger, found, dry, &mut outcome).await?;
        progress(seen);
    }
}

/// Those of these folders that no row vouches for, and how many have one.
async fn without_rows(
    ledger: &Ledger,
    paths: Vec<String>,
) -> Result<(Vec<String>, u64), RecoveryError> {
    let all = paths.len();
    let look = move |tx: &crate::ledger::Tx<'_>| {
        let mut orphans = Vec::new();
        for path in paths {
            if !tx.has_path(&path)? {
                orphans.push(path);
            }
        }
        Ok(orphans)
    };
    let orphans = ledger.read("look for paths", look).await?;
    let known = all.saturating_sub(orphans.len()) as u64;
    Ok((orphans, known))
}

async fn record(
    ledger: &Ledger,
    found: Vec<Adoption>,
    dry: bool,
    outcome: &mut Outcome,
) -> Result<(), RecoveryError> {
    let names: Vec<(String, String)> =
        found.iter().map(|copy| (copy.account.clone(), copy.path.clone())).collect();
    let adopted = if dry {
        vec![Adopted::New; found.len()]
    } else {
        let adopt = move |tx: &crate::ledger::Tx<'_>| {
            found.iter().map(|copy| tx.adopt(copy)).collect::<Result<Vec<_>, _>>()
        };
        ledger.write("adopt copies", adopt).await?
    };
    for ((account, path), adopted) in names.into_iter().zip(adopted) {
        match adopted {
            Adopted::New => {
                let count = outcome.adopted.entry(account).or_default();
                *count = count.saturating_add(1);
            }
            Adopted::Twice(other) => {
                outcome.skip(path, format!("another copy of the same message is in {other}"));
            }
        }
    }
    Ok(())
}

//! A ledger made anew from the tree, and an old one brought up to it.
//!
//! Every step can be the last one: the next start then refuses with 78 and names the command, and
//! the command begins anew. A ledger that was there is never removed.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::RecoveryError;
use super::absent::forget;
use super::adopt::{Outcome, adopt_all};
use crate::archive::dir::Folder;
use crate::archive::{ArchiveError, Reader};
use crate::ledger::{LEDGER_FILE, Ledger, LedgerError, Tx};

/// The ledger that is being made.
const NEW: &str = "ledger.db.new";
/// What SQLite keeps beside a file. They go before the file: one that stayed would be taken for
/// the new ledger's.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Where the files of a rebuild are, and what it must know.
#[derive(Debug)]
pub struct Place<'a> {
    /// The state folder.
    pub state_dir: &'a Path,
    /// Accounts that have another name now.
    pub renamed: &'a BTreeMap<String, String>,
    /// The ledger that is there is this archive's: what persons ordered is taken over from it.
    pub carry: bool,
    /// It is no old copy, so that all of that is in it.
    pub orders_known: bool,
    /// Accounts whose mail is deleted on the server by a rule.
    pub deleting: &'a [String],
    /// The archive is older than the ledger, and a person goes on with it.
    pub archive_is_older: bool,
    /// For the name of what is set aside.
    pub now: Timestamp,
}

/// Makes a new ledger from the tree and puts it in the place of what is there, which is set aside
/// as `ledger.db.WORD-TIME`. The caller holds the locks of state folder and root.
pub async fn rebuild(
    reader: &mut Reader,
    place: &Place<'_>,
    word: &str,
    progress: &mut dyn FnMut(u64),
) -> Result<Outcome, RecoveryError> {
    let state = Folder::open(place.state_dir).map_err(io("open", "state folder"))?;
    for name in [format!("{NEW}-wal"), format!("{NEW}-shm"), NEW.to_owned()] {
        state.remove_all(&name).map_err(io("remove", name))?;
    }
    // 1. The new ledger, whole and closed, under another name.
    let mut ledger = Ledger::open_file(&place.state_dir.join(NEW))?;
    let mut outcome = adopt_all(&ledger, reader, place.renamed, false, progress).await?;
    let carried = place.carry && take_over(&ledger, place).await.is_ok();
    outcome.orders_known = place.orders_known && carried;
    conclude(&ledger, place, &mut outcome).await?;
    let marker = reader.root().marker().clone();
    let generation = ledger.bind_above(marker.root, marker.generation).await?;
    let name = ledger.identity().ledger.ok_or(LedgerError::Gone)?;
    ledger.close().await?;
    state.sync().map_err(io("sync", "state folder"))?;
    // 2. The root names it: from here on the old one is refused, whatever happens.
    reader.root_mut().bind(name, generation)?;
    // 3. The old one goes aside, what lies beside it first.
    set_aside(&state, word, place.now).map_err(io("set aside", LEDGER_FILE))?;
    // 4. The new one takes its place.
    state.rename(NEW, &state, LEDGER_FILE).map_err(io("rename", NEW))?;
    state.sync().map_err(io("sync", "state folder"))?;
    Ok(outcome)
}

/// Takes over what the ledger that is there knows and the tree doesn't.
async fn take_over(ledger: &Ledger, place: &Place<'_>) -> Result<(), LedgerError> {
    // Brings it to the newest schema, after a copy.
    Ledger::open(place.state_dir)?.close().await?;
    ledger.carry_from(&place.state_dir.join(LEDGER_FILE), place.renamed.clone()).await
}

/// Where orders may be missing nothing is deleted before a person has looked: a stop or a catch-up
/// may be among them.
async fn conclude(
    ledger: &Ledger,
    place: &Place<'_>,
    outcome: &mut Outcome,
) -> Result<(), LedgerError> {
    let stop = if outcome.orders_known { Vec::new() } else { place.deleting.to_vec() };
    let now = place.now;
    let settle = move |tx: &Tx<'_>| {
        tx.settle_mailboxes()?;
        stop.iter().try_for_each(|name| tx.stop_deletes(name, UNKNOWN, now))?;
        tx.accounts_of_unknown_actions()
    };
    outcome.rules_unknown = ledger.write("settle mailboxes", settle).await?;
    Ok(())
}

/// Why deletes are stopped.
const UNKNOWN: &str = "the ledger was made anew, or is an old copy: pauses, stops and catch-ups may \
    be missing";

/// Finishes a rebuild that was cut after the root had named the new ledger; whether there was one.
/// The caller holds the locks.
pub async fn finish(
    reader: &Reader,
    state_dir: &Path,
    now: Timestamp,
) -> Result<bool, RecoveryError> {
    let path = state_dir.join(NEW);
    if !path.exists() {
        return Ok(false);
    }
    // One that was cut earlier may be anything.
    let Ok(new) = Ledger::open_file(&path) else { return Ok(false) };
    let is_named = reader.root().marker().ledger == new.identity().ledger;
    new.close().await?;
    if !is_named {
        return Ok(false);
    }
    let state = Folder::open(state_dir).map_err(io("open", "state folder"))?;
    set_aside(&state, "replaced", now).map_err(io("set aside", LEDGER_FILE))?;
    state.rename(NEW, &state, LEDGER_FILE).map_err(io("rename", NEW))?;
    state.sync().map_err(io("sync", "state folder"))?;
    Ok(true)
}

fn doubt(tx: &Tx<'_>) -> Result<(), LedgerError> {
    tx.doubt_copies()
}

/// Gives the old ledger, with what lies beside it, a name that nothing has yet.
fn set_aside(state: &Folder, word: &str, now: Timestamp) -> std::io::Result<()> {
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    let mut aside = format!("{LEDGER_FILE}.{word}-{time}");
    for n in 2..100_u32 {
        let taken = BESIDE.iter().chain([&""]).map(|beside| state.has(&format!("{aside}{beside}")));
        if !taken.collect::<Result<Vec<_>, _>>()?.contains(&true) {
            break;
        }
        aside = format!("{LEDGER_FILE}.{word}-{time}.{n}");
    }
    for beside in BESIDE.iter().chain([&""]) {
        match state.rename(&format!("{LEDGER_FILE}{beside}"), state, &format!("{aside}{beside}")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            moved => moved?,
        }
    }
    state.sync()
}

/// What a rebuild or a reconcile would do; changes nothing.
pub async fn rehearse(
    reader: &Reader,
    ledger: &Ledger,
    place: &Place<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Outcome, RecoveryError> {
    let mut outcome = adopt_all(ledger, reader, place.renamed, true, progress).await?;
    outcome.orders_known = place.orders_known;
    if place.archive_is_older {
        outcome.absent = forget(ledger, reader, true).await?;
    }
    Ok(outcome)
}

/// Takes the message folders that a ledger doesn't know into it. Deletes are held until the
/// server has shown each message again. The caller holds the locks.
pub async fn reconcile(
    reader: &mut Reader,
    place: &Place<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Outcome, RecoveryError> {
    let mut ledger = Ledger::open(place.state_dir)?;
    ledger.write("hold deletes", doubt).await?;
    // Before their copies are adopted: an account that has mail is not taken for another one's
    // new name.
    let renamed = place.renamed.clone();
    let rename = move |tx: &Tx<'_>| {
        renamed.iter().try_for_each(|(from, to)| tx.rename_account(from, to).map(drop))
    };
    ledger.write("rename accounts", rename).await?;
    let mut outcome = adopt_all(&ledger, reader, place.renamed, false, progress).await?;
    if place.archive_is_older {
        outcome.absent = forget(&ledger, reader, false).await?;
    }
    outcome.orders_known = place.orders_known;
    conclude(&ledger, place, &mut outcome).await?;
    // Not before all is known: until then the ledger is older than the root, and refused.
    let marker = reader.root().marker().clone();
    let generation = ledger.bind_above(marker.root, marker.generation).await?;
    if let Some(name) = ledger.identity().ledger {
        reader.root_mut().bind(name, generation)?;
    }
    ledger.close().await?;
    Ok(outcome)
}

fn io(act: &'static str, path: impl Into<String>) -> impl FnOnce(std::io::Error) -> ArchiveError {
    ArchiveError::io(act, path)
}

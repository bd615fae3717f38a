//! Rows whose copies are not in an archive that is older than its ledger.

use super::RecoveryError;
use crate::archive::Reader;
use crate::ledger::{Ledger, Tx};

/// Rows of one transaction.
const AT_ONCE: u32 = 200;
/// Lost copies that are named; the others are counted.
const NAMED: usize = 1000;

/// What an archive lacks that its ledger knows.
#[derive(Debug, Default)]
pub struct Absent {
    /// Messages that are fetched again if the server still lists them.
    pub forgotten: u64,
    /// Copies of messages that were deleted on the server; the first of them.
    pub lost: Vec<String>,
    /// How many.
    pub lost_count: u64,
}

/// Forgets the copies that are not there; with `dry` it only counts them.
pub(super) async fn forget(
    ledger: &Ledger,
    reader: &Reader,
    dry: bool,
) -> Result<Absent, RecoveryError> {
    let mut absent = Absent::default();
    let mut after = 0_i64;
    loop {
        let page = move |tx: &Tx<'_>| tx.shelf("", after, AT_ONCE);
        let page = ledger.read("read copies", page).await?;
        let Some(last) = page.last() else { return Ok(absent) };
        after = last.copy.row;
        let mut rows = Vec::new();
        for found in page {
            // A placement that is open is settled by the next poll.
            if found.placing || reader.has(&found.copy.path) {
                continue;
            }
            if !found.deleted {
                rows.push(found.copy.row);
                continue;
            }
            absent.lost_count = absent.lost_count.saturating_add(1);
            if absent.lost.len() < NAMED {
                absent.lost.push(found.copy.path);
            }
        }
        absent.forgotten = absent.forgotten.saturating_add(rows.len() as u64);
        if !dry && !rows.is_empty() {
            ledger.write("forget copies", move |tx| tx.forget_copies(&rows)).await?;
        }
    }
}

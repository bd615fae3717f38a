//! Placements that a dead or failed run left open, before anything else of an account happens.

use std::sync::Arc;

use super::Account;
use super::commit::blocking;
use super::error::PollError;
use super::outbox::asked;
use crate::archive::Settled;
use crate::ledger::{Asked, PlacingRow, Tx};

/// Finds out for each `placing` row what became of its folder, and records it: whole folders are
/// archived without asking the server again, the others are fetched anew.
pub(super) async fn settle(account: &Account) -> Result<u32, PollError> {
    let name = Arc::clone(&account.config.name);
    let ledger = &account.tools.ledger;
    let open = ledger.read("read open placements", move |tx| tx.placing_rows(&name)).await?;
    let (mut whole, mut lost) = (Vec::new(), Vec::new());
    for PlacingRow { key, copy } in open {
        let (archive, row) = (Arc::clone(&account.tools.archive), copy.row);
        let path = copy.path.clone();
        let id = key.id(&account.config.name);
        match blocking(move || archive.settle(&id, &copy)).await? {
            Settled::Whole => whole.push((row, path)),
            Settled::Adopted(json_sha256) => {
                let adopt = move |tx: &Tx<'_>| tx.set_json(row, json_sha256);
                ledger.write("adopt a copy", adopt).await?;
                whole.push((row, path));
            }
            Settled::Absent => lost.push(row),
            Settled::Damaged(fault) => {
                tracing::warn!(
                    target: "archive",
                    code = "copy-quarantined",
                    path,
                    "A folder of a run that died is damaged ({fault}) and was moved to the \
                     quarantine; the message is fetched again"
                );
                lost.push(row);
            }
        }
    }
    let settled = u32::try_from(whole.len()).unwrap_or(u32::MAX);
    if !whole.is_empty() || !lost.is_empty() {
        let rows: Vec<i64> = whole.iter().map(|(row, _)| *row).collect();
        let (name, now) = (Arc::clone(&account.config.name), account.tools.clock.now());
        let actions = asked(&account.tools.archive, &account.config, now, whole).await?;
        let added = ledger
            .write("settle open placements", move |tx| {
                tx.archived(&rows)?;
                tx.unplace(&lost)?;
                tx.add_actions(&name, &actions, Asked::ByArrival, now)
            })
            .await?;
        if added > 0 {
            account.tools.outbox.notify_one();
        }
    }
    Ok(settled)
}

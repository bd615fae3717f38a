//! Deletes on the server, each after its proofs.
//!
//! For every message: its copy in the archive is read and compared; the server shows the same
//! message in this session; the ledger commits the intent; only then the command goes out, and
//! only what the server has shown to be gone is recorded as deleted.

use std::sync::Arc;

use super::Account;
use super::commit::blocking;
use super::error::PollError;
use super::report::PollReport;
use crate::archive::CopyFault;
use crate::mailbox::{DeleteMail, DeleteOutcome, DeleteRefusal, Recheck, Verdict};
use crate::model::{Delete, Listing};

/// Messages of one round of proofs and commands.
const ROUND: usize = 200;

/// Ledger rows of POP3 messages that go with QUIT's `+OK`.
pub(super) type OnQuit = Vec<i64>;

/// Carries out the deletes of one window of a mailbox.
pub(super) struct Deleter<'a> {
    pub(super) account: &'a Account,
    pub(super) listing: &'a Listing,
    pub(super) on_quit: &'a mut OnQuit,
    pub(super) report: &'a mut PollReport,
}

impl Deleter<'_> {
    /// Deletes what a plan found due, round after round.
    pub(super) async fn delete<M: DeleteMail>(
        self,
        session: &mut M,
        mut due: Vec<Delete>,
    ) -> Result<(), PollError> {
        let Self { account, listing, on_quit, report } = self;
        while !due.is_empty() {
            let rest = due.split_off(due.len().min(ROUND));
            let round = prove_copies(account, due, report).await?;
            due = rest;
            if round.is_empty() {
                continue;
            }
            let archive = Arc::clone(&account.tools.archive);
            blocking(move || archive.root().check()).await?;
            let mailbox = listing.mailbox.as_deref();
            let recheck = session.recheck(mailbox, listing.uid_validity, &round);
            let verdicts = match account.unless_stopped(recheck).await? {
                Recheck::Verdicts(verdicts) => verdicts,
                Recheck::Refused(why) => {
                    refused(why, round.len().saturating_add(due.len()), report);
                    return Ok(());
                }
            };
            let same = sort_out(account, round, verdicts, report).await?;
            if same.is_empty() {
                continue;
            }
            let intent = account.tools.ledger.begin_delete(same).await?;
            let outcome = account.unless_stopped(session.delete_from_server(&intent)).await?;
            record(account, outcome, on_quit, report).await?;
        }
        Ok(())
    }
}

/// Records deletes that QUIT's `+OK` has made happen.
pub(super) async fn after_quit(
    account: &Account,
    rows: OnQuit,
    report: &mut PollReport,
) -> Result<(), PollError> {
    let n = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let now = account.tools.clock.now();
    account.tools.ledger.write("record deletes", move |tx| tx.deleted(&rows, now)).await?;
    report.deleted = report.deleted.saturating_add(n);
    done(n);
    Ok(())
}

/// What left the server by our hand, for the log.
fn done(n: u32) {
    if n > 0 {
        tracing::info!(target: "delete", code = "delete-done", n, "{n} deleted on the server");
    }
}

/// Keeps the deletes whose copies are in the archive, whole and unchanged.
async fn prove_copies(
    account: &Account,
    round: Vec<Delete>,
    report: &mut PollReport,
) -> Result<Vec<Delete>, PollError> {
    let archive = Arc::clone(&account.tools.archive);
    let proven: Vec<(Delete, Option<CopyFault>)> = blocking(move || {
        let prove = |delete: Delete| {
            let fault = archive.verify(&delete.copy).err();
            (delete, fault)
        };
        Ok(round.into_iter().map(prove).collect())
    })
    .await?;
    let mut good = Vec::with_capacity(proven.len());
    for (delete, fault) in proven {
        let Some(fault) = fault else {
            good.push(delete);
            continue;
        };
        tracing::warn!(
            target: "delete",
            code = fault.code(),
            message_key = %delete.key,
            path = delete.copy.path,
            "Not deleted on the server: its copy is not what was stored ({fault})"
        );
        report.not_deleted(fault.code(), 1);
    }
    Ok(good)
}

/// Keeps the deletes of messages that the server still shows unchanged.
async fn sort_out(
    account: &Account,
    round: Vec<Delete>,
    verdicts: Vec<Verdict>,
    report: &mut PollReport,
) -> Result<Vec<Delete>, PollError> {
    let (mut same, mut gone) = (Vec::new(), Vec::new());
    for (delete, verdict) in round.into_iter().zip(verdicts) {
        match verdict {
            Verdict::Same => same.push(delete),
            Verdict::Gone => gone.push(delete.copy.row),
            Verdict::Changed => {
                tracing::warn!(
                    target: "delete",
                    code = "delete-changed",
                    message_key = %delete.key,
                    "Not deleted on the server: another message stands there now"
                );
                report.not_deleted("delete-changed", 1);
            }
        }
    }
    if !gone.is_empty() {
        let now = account.tools.clock.now();
        let ledger = &account.tools.ledger;
        ledger.write("record departures", move |tx| tx.left_server(&gone, now)).await?;
    }
    Ok(same)
}

async fn record(
    account: &Account,
    outcome: DeleteOutcome,
    on_quit: &mut OnQuit,
    report: &mut PollReport,
) -> Result<(), PollError> {
    let DeleteOutcome { gone, on_quit: waiting, refused } = outcome;
    for (_, said) in &refused {
        tracing::warn!(
            target: "delete",
            code = "delete-refused",
            "The server refused a delete: \"{said}\""
        );
    }
    report.not_deleted("delete-refused", refused.len());
    let n = u32::try_from(gone.len()).unwrap_or(u32::MAX);
    let now = account.tools.clock.now();
    let back: Vec<i64> = refused.into_iter().map(|(row, _)| row).collect();
    account
        .tools
        .ledger
        .write("record deletes", move |tx| {
            tx.deleted(&gone, now)?;
            tx.undelete(&back)
        })
        .await?;
    report.deleted = report.deleted.saturating_add(n);
    done(n);
    on_quit.extend(waiting);
    Ok(())
}

fn refused(why: DeleteRefusal, n: usize, report: &mut PollReport) {
    let (code, words) = match why {
        DeleteRefusal::NoUidPlus => (
            "delete-pending",
            "the server lacks UIDPLUS, so that a delete could remove others' messages",
        ),
        DeleteRefusal::ReadOnly => ("delete-read-only", "the mailbox can't be written to"),
        DeleteRefusal::UidValidityChanged => {
            ("delete-uidvalidity", "UIDVALIDITY changed while the poll was running")
        }
    };
    tracing::warn!(target: "delete", code, waiting = n, "{n} messages wait to be deleted: {words}");
    report.not_deleted(code, n);
}

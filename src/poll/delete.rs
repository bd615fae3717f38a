//! Deletes on the server, each after its proofs.
//!
//! For every message: its copy in the archive is read and compared; the server shows the same
//! message in this session; the ledger commits the intent; only then the command goes out, and
//! only what the server has shown to be gone is recorded as deleted.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use super::Account;
use super::commit::blocking;
use super::error::PollError;
use super::moves::{self, Ends};
use super::report::PollReport;
use crate::archive::CopyFault;
use crate::mailbox::{DeleteMail, DeleteOutcome, DeleteRefusal, Recheck, Verdict};
use crate::model::{Delete, DeleteMode, DeletesHeld, Listing};

/// Messages of one round of proofs and commands.
const ROUND: usize = 200;

/// Why a message that was copied elsewhere is still in its own mailbox.
const COPIED: &str = "delete-only-copied";

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
    /// Deletes what a plan found due: what leaves in one way together, round after round.
    pub(super) async fn delete<M: DeleteMail>(
        mut self,
        session: &mut M,
        due: Vec<Delete>,
    ) -> Result<Ended, PollError> {
        for (how, due) in by_way(due) {
            if self.delete_so(session, due, &how).await? == Ended::Stopped {
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Done)
    }

    async fn delete_so<M: DeleteMail>(
        &mut self,
        session: &mut M,
        mut due: Vec<Delete>,
        how: &DeleteMode,
    ) -> Result<Ended, PollError> {
        let Self { account, listing, on_quit, report } = self;
        while !due.is_empty() {
            let rest = due.split_off(due.len().min(ROUND));
            let round = prove_copies(account, due, report).await?;
            due = rest;
            if round.is_empty() {
                continue;
            }
            make_durable(account, &round).await?;
            let mailbox = listing.mailbox.as_deref();
            let recheck = session.recheck(mailbox, listing.uid_validity, &round, how);
            let verdicts = match account.unless_stopped(recheck).await? {
                Recheck::Verdicts(verdicts) => verdicts,
                Recheck::Refused(why) => {
                    let waiting: Vec<Delete> = round.into_iter().chain(due).collect();
                    let now = account.tools.clock.now();
                    moves::refused(account, &waiting, &why, now).commit(account).await?;
                    refused(why, &waiting, report);
                    return Ok(Ended::Done);
                }
            };
            let same = sort_out(account, round, verdicts, report).await?;
            if same.is_empty() {
                continue;
            }
            let now = account.tools.clock.now();
            let sent = same.clone();
            let intent = account.tools.ledger.begin_delete(same, how.clone(), now).await?;
            if intent.deletes().is_empty() {
                continue;
            }
            let outcome = account.unless_stopped(session.delete_from_server(&intent)).await?;
            on_quit.extend(&outcome.on_quit);
            if record(account, outcome, (&sent, how), report).await? {
                let n = due.len();
                report.not_deleted(DeletesHeld::Stopped.as_str(), n);
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Done)
    }
}

/// What leaves in one way together, each way once, in the order of the plan.
fn by_way(due: Vec<Delete>) -> Vec<(DeleteMode, Vec<Delete>)> {
    let mut ways: Vec<(DeleteMode, Vec<Delete>)> = Vec::new();
    for delete in due {
        let by_rule = delete.action.is_some();
        let same = |(how, of): &&mut (DeleteMode, Vec<Delete>)| {
            // All of one way are alike.
            *how == delete.how && of.first().is_some_and(|one| one.action.is_some() == by_rule)
        };
        match ways.iter_mut().find(same) {
            Some((_, of)) => of.push(delete),
            None => ways.push((delete.how.clone(), vec![delete])),
        }
    }
    ways
}

/// Whether deletes may go on in this poll.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// They may.
    Done,
    /// They may not, in no mailbox of the account.
    Stopped,
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
    done(n, &account.config.delete_mode);
    Ok(())
}

/// What left the server by our hand, for the log.
fn done(n: u32, mode: &DeleteMode) {
    if n > 0 {
        let words = match mode {
            DeleteMode::Expunge => "deleted on the server".to_owned(),
            DeleteMode::Flag => "marked \\Deleted on the server, where they stay".to_owned(),
            DeleteMode::Move(folder) => format!("moved to `{folder}` on the server"),
            DeleteMode::Trash => "moved to the trash of the server".to_owned(),
        };
        tracing::info!(target: "delete", code = "delete-done", n, "{n} {words}");
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
    let mut ends = Ends::default();
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
        ends.wait([&delete], &format!("its copy is not what was stored ({fault})"));
    }
    ends.commit(account).await?;
    Ok(good)
}

/// Whoever put the copies where they are may not have synced them there.
async fn make_durable(account: &Account, round: &[Delete]) -> Result<(), PollError> {
    let archive = Arc::clone(&account.tools.archive);
    let paths: Vec<String> = round.iter().map(|delete| delete.copy.path.clone()).collect();
    blocking(move || {
        archive.root().check()?;
        archive.make_all_durable(paths.iter().map(String::as_str))
    })
    .await
}

/// Keeps the deletes of messages that the server still shows unchanged.
async fn sort_out(
    account: &Account,
    round: Vec<Delete>,
    verdicts: Vec<Verdict>,
    report: &mut PollReport,
) -> Result<Vec<Delete>, PollError> {
    let (mut same, mut gone) = (Vec::new(), Vec::new());
    let mut ends = Ends::default();
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
                ends.wait([&delete], "another message stands there now");
            }
        }
    }
    ends.commit(account).await?;
    if !gone.is_empty() {
        let now = account.tools.clock.now();
        let ledger = &account.tools.ledger;
        ledger.write("record departures", move |tx| tx.left_server(&gone, now)).await?;
    }
    Ok(same)
}

/// Records what came of deletes; whether no more may be sent.
async fn record(
    account: &Account,
    outcome: DeleteOutcome,
    (sent, how): (&[Delete], &DeleteMode),
    report: &mut PollReport,
) -> Result<bool, PollError> {
    let stop = Stop::of(&outcome);
    let now = account.tools.clock.now();
    let ends = not_moved(account, sent, (&outcome, stop.as_ref()), now);
    let DeleteOutcome { gone, flagged, refused, copied, .. } = outcome;
    for (_, said) in &refused {
        tracing::warn!(
            target: "delete",
            code = "delete-refused",
            "The server refused a delete: \"{said}\""
        );
    }
    report.not_deleted("delete-refused", refused.len());
    report.not_deleted(COPIED, copied.len());
    let count = |rows: &[i64]| u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let (n, marked) = (count(&gone), count(&flagged));
    let (stops, why) = (stop.is_some(), stop.as_ref().map(|stop| stop.why.clone()));
    let name = Arc::clone(&account.config.name);
    let back: Vec<i64> = refused.into_iter().chain(copied).map(|(row, _)| row).collect();
    account
        .tools
        .ledger
        .write("record deletes", move |tx| {
            tx.deleted(&gone, now)?;
            tx.flagged(&flagged, now)?;
            if let Some(why) = why {
                tx.stop_deletes(&name, &why, now)?;
            }
            tx.undelete(&back)?;
            ends.record(tx, now)
        })
        .await?;
    let by_rule = sent.iter().any(|delete| delete.action.is_some());
    let count = if by_rule { &mut report.moved } else { &mut report.deleted };
    *count = count.saturating_add(n);
    report.flagged = report.flagged.saturating_add(marked);
    done(n, how);
    done(marked, &DeleteMode::Flag);
    if let Some(Stop { code, n, why }) = stop {
        tracing::error!(
            target: "delete",
            code,
            n,
            hint = format!("postrider account resume {}", account.config.name),
            "{why}: nothing is deleted in this account until a person resumes it"
        );
    }
    Ok(stops)
}

/// What becomes of moves whose messages are still there: a refusal was a try, what came of
/// others before was none.
fn not_moved(
    account: &Account,
    sent: &[Delete],
    (outcome, stop): (&DeleteOutcome, Option<&Stop>),
    now: Timestamp,
) -> Ends {
    let mut ends = Ends::default();
    for (row, said) in outcome.refused.iter().chain(&outcome.copied) {
        let of = sent.iter().filter(|delete| delete.copy.row == *row);
        if let Some(stop) = stop {
            ends.wait(of, &stop.why);
            continue;
        }
        for delete in of {
            ends.fail(&account.config, delete, ("refused", said), now);
        }
    }
    ends
}

/// Why nothing more is deleted in an account before a person has looked.
struct Stop {
    code: &'static str,
    n: usize,
    why: String,
}

impl Stop {
    /// Others' mail that is gone weighs more than copies that are one too many.
    fn of(outcome: &DeleteOutcome) -> Option<Self> {
        let n = outcome.others_gone;
        if n > 0 {
            let why = format!("{n} messages that others had marked as deleted vanished with ours");
            return Some(Self { code: "imap-expunged-more", n, why });
        }
        let (_, said) = outcome.copied.first()?;
        let n = outcome.copied.len();
        let why = format!("{n} messages were copied on the server and not removed ({said})");
        Some(Self { code: COPIED, n, why })
    }
}

fn refused(why: DeleteRefusal, waiting: &[Delete], report: &mut PollReport) {
    let by_rule = waiting.iter().any(|delete| delete.action.is_some());
    let (n, act) = (waiting.len(), if by_rule { "moved by a rule" } else { "deleted" });
    let (code, words) = match why {
        DeleteRefusal::NoDestination(why) => ("delete-no-destination", Cow::Owned(why)),
        DeleteRefusal::NoUidPlus => (
            "delete-pending",
            "the server lacks UIDPLUS, so that a delete could remove others' messages".into(),
        ),
        DeleteRefusal::ReadOnly => ("delete-read-only", "the mailbox can't be written to".into()),
        DeleteRefusal::UidValidityChanged => {
            ("delete-uidvalidity", "UIDVALIDITY changed while the poll was running".into())
        }
    };
    tracing::warn!(target: "delete", code, waiting = n, "{n} messages wait to be {act}: {words}");
    report.not_deleted(code, n);
}

//! The log's records of tries.

use crate::ledger::{ActionRow, Verdict};

/// What became of a try.
pub(super) fn report(row: &ActionRow, verdict: &Verdict) {
    let ActionRow { account, rule, message, attempts, path, .. } = row;
    match verdict {
        Verdict::Done => tracing::debug!(
            target: "rules", code = "action-done", account, rule, message_id = message, path,
            attempts, "Done: {rule}"
        ),
        Verdict::Rests { until, detail } => tracing::debug!(
            target: "rules", code = "action-retry", account, rule, message_id = message, path,
            "{rule} is not tried, and looked at again at {until}: {detail}"
        ),
        Verdict::Again { at, code, detail, .. } if *attempts == 1 => tracing::warn!(
            target: "rules", code = "action-retry", account, rule, message_id = message, path,
            attempts, why = code, "{rule} failed and is tried again at {at}: {detail}"
        ),
        Verdict::Again { at, code, detail, .. } => tracing::debug!(
            target: "rules", code = "action-retry", account, rule, message_id = message, path,
            attempts, why = code, "{rule} failed and is tried again at {at}: {detail}"
        ),
        Verdict::Failed { code, detail } => tracing::error!(
            target: "rules", code = "action-failed", account, rule, message_id = message, path,
            attempts, why = code, "{rule} has failed for good after {attempts} tries: {detail}"
        ),
    }
}

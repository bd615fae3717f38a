//! Outbound accounts that were not let in: until when they rest, and what a person can do.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::render::{Out, ago, moment, plural};
use crate::daemon::state::Scope;
use crate::ledger::{LastError, Ledger, LedgerError, OutboundRow, Tx};
use crate::schedule::Backoff;

/// One that has refused logins behind it; those that are in order have no line.
#[derive(Debug, Serialize)]
pub(super) struct Outgoing {
    name: String,
    /// `FAILING` or `STOPPED`.
    state: &'static str,
    refused_logins: u32,
    retry_at: Option<Timestamp>,
    last_error: Option<LastError>,
}

/// Reads them.
pub(super) async fn read(state_dir: &Path, scope: &Scope) -> Result<Vec<Outgoing>, LedgerError> {
    let ledger = Ledger::open_read_only(state_dir)?;
    let names = scope.outbound.clone();
    let find = move |tx: &Tx<'_>| names.iter().map(|name| tx.outbound(name)).collect();
    let rows: Vec<Option<OutboundRow>> = ledger.read("read outbound accounts", find).await?;
    let refused = rows.into_iter().flatten().filter(|row| row.state.auth_failures > 0);
    Ok(refused.map(Outgoing::of).collect())
}

impl Outgoing {
    fn of(row: OutboundRow) -> Self {
        let OutboundRow { name, state, last_error, .. } = row;
        let backoff = Backoff { authentication: state.auth_failures, ..Backoff::default() };
        Self {
            name,
            state: if backoff.is_stopped() { "STOPPED" } else { "FAILING" },
            refused_logins: state.auth_failures,
            retry_at: state.retry_at,
            last_error,
        }
    }

    /// Prints what it said, and what mends it.
    pub(super) fn print(&self, out: Out, now: Timestamp) {
        let Self { name, state, refused_logins, retry_at, last_error } = self;
        out.line("");
        let said = last_error.as_ref().map_or("login refused", |error| error.message.as_str());
        out.line(&format!("outbound {name}: {state}: {said}"));
        if let Some(error) = last_error {
            let since = ago(Some(error.since), now);
            let refused = plural(u64::from(*refused_logins), "refused login");
            out.line(&format!("  since {since}, {refused}; code: {}", error.code));
            if let Some(hint) = &error.hint {
                out.line(&format!("  hint: {hint}"));
            }
        }
        let again = match (*state, retry_at) {
            ("FAILING", Some(at)) if *at > now => format!("after {}", moment(*at)),
            ("FAILING", _) => "with the next mail".to_owned(),
            _ => "after a change of config or secret".to_owned(),
        };
        out.line(&format!("  tried again {again}, or: postrider account resume {name}"));
    }
}

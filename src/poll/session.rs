//! A session for who puts messages onto a server: opened as a poll's is.

use super::credentials::{Keys, connect_imap};
use super::error::PollError;
use super::{Clock, Keyring};
use crate::config::Inbound;
use crate::ledger::Ledger;
use crate::mailbox::imap::ImapSession;

/// Opens an IMAP session; its login is counted in the ledger, where one is given. `wary`: the last
/// login was refused.
pub async fn open_imap(
    config: &Inbound,
    keyring: &Keyring,
    ledger: Option<&Ledger>,
    wary: bool,
) -> Result<ImapSession, PollError> {
    let keys = Keys::new(config, keyring, Clock).wary(wary);
    match ledger {
        Some(ledger) => connect_imap(config, &keys.counted_in(ledger)).await,
        None => connect_imap(config, &keys).await,
    }
}

//! Whether an account could be polled: the way to its mailboxes, looked at and left as it was.
//!
//! Works on a session that can only read, by type; needs neither ledger nor archive.

use std::sync::Arc;

use super::credentials::{Keys, connect_imap, connect_pop3, log_in_imap, log_in_pop3};
use super::error::PollError;
use super::{Clock, Keyring, folders};
use crate::config::{Inbound, Protocol};
use crate::ledger::Ledger;
use crate::mailbox::ReadMailbox;
use crate::net::{Facts, Stage, Witness};
use crate::secret;

/// Tries one account.
#[derive(Debug)]
pub struct Prober {
    /// Its configuration.
    pub config: Arc<Inbound>,
    /// What resolves its secrets.
    pub keyring: Keyring,
    /// Whether all mailboxes of the server are listed.
    pub list_all: bool,
}

impl Prober {
    /// Logs in and opens for reading what would be polled; one attempt.
    ///
    /// On failure the witness knows the stage.
    pub async fn probe(&self, witness: &mut Witness) -> Result<(), PollError> {
        witness.begin(Stage::Secret);
        let keys = Keys::new(&self.config, &self.keyring, Clock);
        let (account, credentials) = keys.credentials(&self.config).await?;
        let tokens = self.config.oauth.as_ref().map(|oauth| format!("[oauth.{}]", oauth.name));
        let place = tokens.or_else(|| self.config.password.as_ref().map(secret::place));
        witness.found(|| Some(Facts::Secret { from: place? }));
        match account.protocol {
            Protocol::Imap => {
                let session = log_in_imap(&account, credentials, &keys, witness).await?;
                self.look(session, witness).await
            }
            Protocol::Pop3 => {
                let session = log_in_pop3(&account, credentials, &keys, witness).await?;
                self.look(session, witness).await
            }
        }
    }

    /// Logs in and out, for a server that lets nobody send before.
    pub async fn log_in(&self, witness: &mut Witness) -> Result<(), PollError> {
        let keys = Keys::new(&self.config, &self.keyring, Clock);
        let (account, credentials) = keys.credentials(&self.config).await?;
        match account.protocol {
            Protocol::Imap => {
                log_in_imap(&account, credentials, &keys, witness).await?.quit().await?;
            }
            Protocol::Pop3 => {
                log_in_pop3(&account, credentials, &keys, witness).await?.quit().await?;
            }
        }
        Ok(())
    }

    /// The same, counted in the ledger like the login of a poll. `wary`: its last login was refused.
    pub async fn log_in_counted(&self, ledger: &Ledger, wary: bool) -> Result<(), PollError> {
        let keys = Keys::new(&self.config, &self.keyring, Clock).counted_in(ledger).wary(wary);
        match self.config.protocol {
            Protocol::Imap => connect_imap(&self.config, &keys).await?.quit().await?,
            Protocol::Pop3 => connect_pop3(&self.config, &keys).await?.quit().await?,
        }
        Ok(())
    }

    async fn look<M: ReadMailbox>(
        &self,
        mut session: M,
        witness: &mut Witness,
    ) -> Result<(), PollError> {
        witness.begin(Stage::Mailbox);
        if self.list_all {
            let mailboxes = session.mailboxes().await?;
            witness.found(|| Some(Facts::Mailboxes { mailboxes }));
        }
        for mailbox in folders::choose(&self.config, &mut session).await? {
            let opened = session.open(&mailbox).await?;
            let (messages, uid_validity) = (opened.exists, opened.uid_validity);
            witness.found(|| Some(Facts::Mailbox { mailbox, messages, uid_validity }));
        }
        Ok(session.quit().await?)
    }
}

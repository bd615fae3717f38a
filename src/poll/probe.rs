//! Whether an account could be polled: the way to its mailboxes, looked at and left as it was.
//!
//! Works on a session that can only read, by type; needs neither ledger nor archive.

use std::sync::Arc;

use super::error::PollError;
use super::{Keyring, deadline, folders, keyring};
use crate::config::{Inbound, Protocol};
use crate::mailbox::{ReadMailbox, imap, pop3};
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
        let (account, credentials) = self.keyring.credentials(&self.config).await?;
        let place = self.config.password.as_ref().map(secret::place);
        witness.found(|| Some(Facts::Secret { from: place? }));
        let (proof, deadline) = (credentials.proof(), deadline(&account));
        let hide = |error| keyring::without_user(&account, error);
        match account.protocol {
            Protocol::Imap => {
                let session = imap::connect(&account, proof, deadline, witness).await;
                self.look(session.map_err(hide)?, witness).await
            }
            Protocol::Pop3 => {
                let session = pop3::connect(&account, proof, deadline, witness).await;
                self.look(session.map_err(hide)?, witness).await
            }
        }
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

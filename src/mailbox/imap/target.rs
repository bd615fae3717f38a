//! The mailbox that messages are put into: opened, made where a person wants that, and asked what
//! it takes.

use super::ImapSession;
use super::dialogue::Caps;
use super::select::{examine, on_the_wire, select_and_see};
use crate::mailbox::{MailboxError, Opened, Target};

impl ImapSession {
    /// Opens a mailbox, for writing or only to look, and asks what it takes.
    pub async fn target(&mut self, mailbox: &str, write: bool) -> Result<Target, MailboxError> {
        let patience = self.patience;
        self.dialogue.stream().go_on_for(patience);
        let (selected, opened) = if write {
            select_and_see(self, mailbox).await?
        } else {
            examine(self, mailbox).await?
        };
        let limit = match self.capabilities.append_limit() {
            Some(0) => self.limit_of(mailbox).await?,
            limit => limit,
        };
        let Opened { uid_validity, uid_next, .. } = opened;
        Ok(Target {
            mailbox: selected.mailbox,
            uid_validity: uid_validity.unwrap_or(0),
            uid_next: uid_next.unwrap_or(0),
            keeps: selected.keeps,
            limit,
            binary: self.capabilities.has_binary(),
        })
    }

    /// Makes a mailbox and subscribes to it, so that mail programs show it.
    pub async fn create(&mut self, mailbox: &str) -> Result<(), MailboxError> {
        let name = on_the_wire(self, mailbox)?;
        let made = self.dialogue.run(&format!("CREATE {name}"), Caps::SMALL, |_| {}).await?;
        made.or_refused("CREATE")?;
        let done = self.dialogue.run(&format!("SUBSCRIBE {name}"), Caps::SMALL, |_| {}).await?;
        if !done.ok {
            tracing::debug!(target: "incoming", said = done.said, "SUBSCRIBE was refused");
        }
        Ok(())
    }

    /// Asks for the limit of one mailbox (RFC 7889 §3); a server that doesn't say has none.
    async fn limit_of(&mut self, mailbox: &str) -> Result<Option<u64>, MailboxError> {
        let name = on_the_wire(self, mailbox)?;
        self.dialogue.forget_append_limit();
        let command = format!("STATUS {name} (APPENDLIMIT)");
        self.dialogue.run(&command, Caps::SMALL, |_| {}).await?;
        Ok(self.dialogue.append_limit())
    }
}

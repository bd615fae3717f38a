//! Commands under way: how many may be sent before the first is answered (RFC 2449 §6.6).

use tokio::io::{AsyncRead, AsyncWrite};

use super::channel::Channel;
use crate::mailbox::MailboxError;

/// Commands that are sent in order, some ahead of their answers.
#[derive(Debug)]
pub(super) struct Pipeline {
    commands: Vec<String>,
    depth: usize,
    sent: usize,
    answered: usize,
}

impl Pipeline {
    pub(super) fn new(commands: Vec<String>, depth: usize) -> Self {
        Self { commands, depth: depth.max(1), sent: 0, answered: 0 }
    }

    /// Sends what may be sent, so that at least one command is under way.
    pub(super) async fn top_up<S>(&mut self, channel: &mut Channel<S>) -> Result<(), MailboxError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let under_way = self.sent.saturating_sub(self.answered);
        // Half a depth at once: one segment for many commands.
        if under_way > 0 && under_way > self.depth / 2 {
            return Ok(());
        }
        let until = self.sent.saturating_add(self.depth.saturating_sub(under_way));
        let until = until.min(self.commands.len());
        let mut lines = String::new();
        for command in self.commands.get(self.sent..until).unwrap_or_default() {
            lines.push_str(command);
            lines.push_str("\r\n");
        }
        self.sent = until;
        if lines.is_empty() { Ok(()) } else { channel.send(lines.as_bytes()).await }
    }

    /// A command has been answered.
    pub(super) fn answered(&mut self) {
        self.answered = self.answered.saturating_add(1);
    }

    /// Sends no further command.
    pub(super) fn stop(&mut self) {
        self.commands.truncate(self.sent);
    }

    /// Whether every command has been answered that was, or will be, sent.
    pub(super) fn is_done(&self) -> bool {
        self.answered >= self.commands.len()
    }
}

//! APPEND (RFC 9051 §6.3.12): messages into a mailbox, several under way at a time.
//!
//! A small message goes together with its command where the server announces that it takes it so
//! (RFC 7888): a round trip is paid for a batch, not for each. A large one waits for the server's
//! word, so that what is refused isn't sent for nothing; its octets are handed on piece by piece.

use super::ImapSession;
use super::append_reply::refusal;
use super::date;
use super::dialogue::{Caps, Done, Step};
use super::select::on_the_wire;
use crate::mailbox::{Appended, Letter, MailboxError};

/// Octets of a message that isn't worth a round trip.
const SMALL: u64 = 1 << 20;
/// Octets behind which a session may go on for another while.
const STRIDE: u64 = 1 << 20;

/// Messages on their way into one mailbox.
#[derive(Debug)]
pub struct Appending<'s> {
    session: &'s mut ImapSession,
    /// The mailbox as an argument.
    to: String,
    /// Octets of a literal that the server reads without having asked for them.
    unasked: u64,
    /// For each command under way, the oldest first: whether its octets went unasked.
    under_way: Vec<bool>,
    answers: Vec<Appended>,
    /// Octets of the message that is being sent since the session was last given time.
    since: u64,
}

impl ImapSession {
    /// Begins to put messages into a mailbox. `wary`: the server is asked before each message,
    /// whatever it announces.
    pub fn appending(&mut self, mailbox: &str, wary: bool) -> Result<Appending<'_>, MailboxError> {
        let to = on_the_wire(self, mailbox)?;
        let unasked = self.capabilities.literal_plus().filter(|_| !wary).unwrap_or(0).min(SMALL);
        let under_way = Vec::new();
        Ok(Appending { session: self, to, unasked, under_way, answers: Vec::new(), since: 0 })
    }
}

impl Appending<'_> {
    /// Sends a message whose octets are at hand. Its answer may come later.
    pub async fn whole(&mut self, letter: &Letter, octets: &[u8]) -> Result<(), MailboxError> {
        if letter.octets > self.unasked {
            if self.begin(letter).await? {
                self.more(octets).await?;
                self.end().await?;
            }
            return Ok(());
        }
        self.give_time();
        self.session.dialogue.set_caps(Caps::SMALL);
        self.under_way.push(true);
        let behind = [octets, b"\r\n"].concat();
        self.session.dialogue.send_with(&self.command(letter, "+"), &behind).await
    }

    /// Sends a message's command and waits for the server's word; false when it doesn't want the
    /// octets: the answer says why.
    pub async fn begin(&mut self, letter: &Letter) -> Result<bool, MailboxError> {
        self.give_time();
        self.session.dialogue.set_caps(Caps::SMALL);
        self.under_way.push(false);
        let command = self.command(letter, "");
        self.session.dialogue.send_before_literal(&command).await?;
        while !self.under_way.is_empty() {
            match self.session.dialogue.step(|_| ()).await? {
                Step::Literal => return Ok(true),
                Step::Done(done) => self.answered(&done)?,
                Step::Untagged(()) => {}
            }
        }
        Ok(false)
    }

    /// Sends octets of the message that was begun, in order, together as many as were announced.
    pub async fn more(&mut self, octets: &[u8]) -> Result<(), MailboxError> {
        self.since = self.since.saturating_add(octets.len() as u64);
        if self.since >= STRIDE {
            self.give_time();
        }
        self.session.dialogue.write(octets).await
    }

    /// Ends the message that was begun.
    pub async fn end(&mut self) -> Result<(), MailboxError> {
        self.session.dialogue.write(b"\r\n").await?;
        self.session.dialogue.flush().await
    }

    /// Waits for the answers that are still to come.
    pub async fn finish(&mut self) -> Result<(), MailboxError> {
        self.session.dialogue.set_caps(Caps::SMALL);
        while !self.under_way.is_empty() {
            self.give_time();
            if let Step::Done(done) = self.session.dialogue.step(|_| ()).await? {
                self.answered(&done)?;
            }
        }
        Ok(())
    }

    /// The answers so far, in the order of the messages: of those behind them nothing is known,
    /// should the session be over.
    pub fn into_answers(self) -> Vec<Appended> {
        self.answers
    }

    fn command(&self, letter: &Letter, unasked: &str) -> String {
        let flags = if letter.flags.is_empty() {
            String::new()
        } else {
            format!(" ({})", letter.flags.join(" "))
        };
        let at = letter.at.and_then(date::written);
        let at = at.map(|at| format!(" \"{at}\"")).unwrap_or_default();
        // RFC 3516's literal differs only in that it may hold NUL.
        let binary = if letter.has_nul { "~" } else { "" };
        let (to, octets) = (&self.to, letter.octets);
        format!("APPEND {to}{flags}{at} {binary}{{{octets}{unasked}}}")
    }

    fn answered(&mut self, done: &Done) -> Result<(), MailboxError> {
        let unasked = !self.under_way.is_empty() && self.under_way.remove(0);
        if done.ok {
            let place = done.appended.as_ref().map(|found| (found.uid_validity, found.uid));
            self.answers.push(Appended::Done(place));
            return Ok(());
        }
        if done.bad && unasked {
            // Whether it has read the octets as a message or as commands can't be known: this is no
            // answer, and the session is over.
            let said = &done.said;
            let what = format!("it doesn't take a literal as it has announced: \"{said}\"");
            return Err(MailboxError::Protocol { what });
        }
        self.answers.push(Appended::Refused(refusal(done)));
        Ok(())
    }

    fn give_time(&mut self) {
        self.since = 0;
        let patience = self.session.patience;
        self.session.dialogue.stream().go_on_for(patience);
    }
}

//! A mailbox in memory, for tests of what is above: it does what its messages say and keeps a
//! list of the commands that change it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{
    DeleteMail, DeleteOutcome, DeleteRefusal, MailboxError, MarkMail, Marked, Opened, Part,
    ReadMailbox, Recheck, Verdict,
};
use crate::model::{
    Delete, DeleteIntent, DeleteMode, Fetch, Listed, Listing, MessageKey, Received, ReceivedBasis,
};

/// What the pretended server holds; shared by the sessions of a test.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeServer {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub(crate) struct State {
    /// 0: the server gives none.
    pub(crate) uid_validity: u32,
    /// A POP3 maildrop: messages are named by their unique-ids, and have no dates.
    pub(crate) maildrop: bool,
    /// Name of the only mailbox; empty is INBOX.
    pub(crate) mailbox: String,
    pub(crate) messages: BTreeMap<u32, FakeMessage>,
    pub(crate) commands: Vec<String>,
    pub(crate) no_uid_plus: bool,
    /// What moves name is not there.
    pub(crate) no_destination: bool,
    /// No message leaves.
    pub(crate) refuse_deletes: bool,
    /// Marks are refused.
    pub(crate) no_marks: bool,
    /// Messages of one window.
    pub(crate) window: u32,
    /// The connection is lost after so many fetched messages.
    pub(crate) lose_after: Option<u32>,
    /// The header section of this message ends the session.
    pub(crate) lose_at_header: Option<u32>,
    /// Counts changes that UIDNEXT and the number of messages don't show.
    pub(crate) modseq: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct FakeMessage {
    pub(crate) octets: Vec<u8>,
    pub(crate) internal_date: Timestamp,
    /// The size that the server states, if not the real one.
    pub(crate) told_size: Option<u64>,
    /// Of a maildrop's message; empty: its number stands for it.
    pub(crate) unique_id: String,
    /// Somebody has read it.
    pub(crate) seen: bool,
}

impl FakeMessage {
    fn new(octets: &[u8], internal_date: Timestamp) -> Self {
        Self {
            octets: octets.to_vec(),
            internal_date,
            told_size: None,
            unique_id: String::new(),
            seen: false,
        }
    }

    fn size(&self) -> u64 {
        self.told_size.unwrap_or(self.octets.len() as u64)
    }
}

/// One session with it.
#[derive(Debug)]
pub(crate) struct FakeSession {
    server: FakeServer,
    next: u32,
    opened: Opened,
}

impl FakeServer {
    pub(crate) fn new(uid_validity: u32) -> Self {
        let server = Self::default();
        server.with(|state| {
            state.uid_validity = uid_validity;
            state.window = 5000;
        });
        server
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub(crate) fn deliver(&self, octets: &[u8], internal_date: Timestamp) -> u32 {
        self.with(|state| {
            let last = state.messages.last_key_value().map_or(0, |(uid, _)| *uid);
            let uid = last.saturating_add(1);
            state.messages.insert(uid, FakeMessage::new(octets, internal_date));
            uid
        })
    }

    /// Gives a UID to another message.
    pub(crate) fn reuse(&self, uid: u32, octets: &[u8], internal_date: Timestamp) {
        self.change(|state| {
            state.messages.insert(uid, FakeMessage::new(octets, internal_date));
        });
    }

    /// Changes something that a session must list the mailbox to see.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        self.with(|state| {
            change(state);
            state.modseq = Some(state.modseq.unwrap_or(0).saturating_add(1));
        });
    }

    pub(crate) fn uids(&self) -> Vec<u32> {
        self.with(|state| state.messages.keys().copied().collect())
    }

    pub(crate) fn session(&self) -> FakeSession {
        FakeSession { server: self.clone(), next: 1, opened: Opened::default() }
    }
}

impl ReadMailbox for FakeSession {
    async fn mailboxes(&mut self) -> Result<Vec<String>, MailboxError> {
        Ok(vec![self.server.with(|state| state.mailbox().to_owned())])
    }

    async fn open(&mut self, mailbox: &str) -> Result<Opened, MailboxError> {
        self.next = 1;
        let exists = self.server.with(|state| {
            state.commands.push(format!("open {mailbox}"));
            state.mailbox() == mailbox
        });
        if !exists {
            let (mailbox, said) = (mailbox.to_owned(), "NONEXISTENT".to_owned());
            return Err(MailboxError::NoMailbox { mailbox, said });
        }
        self.opened = self.server.with(|state| {
            let last = state.messages.last_key_value().map_or(0, |(uid, _)| *uid);
            Opened {
                uid_validity: state.uid_validity(),
                uid_next: (!state.maildrop).then(|| last.saturating_add(1)),
                exists: u32::try_from(state.messages.len()).unwrap_or(u32::MAX),
                highest_modseq: state.modseq,
            }
        });
        Ok(self.opened.clone())
    }

    async fn next_window(&mut self) -> Result<Option<Listing>, MailboxError> {
        let first = self.next;
        let last = self.server.with(|s| s.messages.last_key_value().map_or(0, |(uid, _)| *uid));
        if first > 1 && first > last {
            return Ok(None);
        }
        Ok(Some(self.server.with(|state| {
            state.commands.push("list".to_owned());
            let last = first.saturating_add(state.window.saturating_sub(1));
            self.next = last.saturating_add(1);
            let listed = state.messages.range(first..=last).map(|(uid, message)| Listed {
                key: state.key(*uid),
                number: *uid,
                alone: state.is_alone(message),
                size: Some(message.size()),
                internal_date: (!state.maildrop).then_some(message.internal_date),
                received: (!state.maildrop).then_some(Received {
                    at: message.internal_date,
                    basis: ReceivedBasis::InternalDate,
                }),
                flags: if message.seen { vec!["\\Seen".to_owned()] } else { Vec::new() },
            });
            Listing {
                mailbox: (!state.maildrop).then(|| state.mailbox().to_owned()),
                uid_validity: state.uid_validity(),
                range: (first, last),
                messages: listed.collect(),
                complete: true,
            }
        })))
    }

    async fn headers(&mut self, wanted: &[Listed]) -> Result<Vec<Option<Bytes>>, MailboxError> {
        let lost = self.server.with(|state| state.lose_at_header);
        if lost.is_some_and(|lost| wanted.iter().any(|listed| listed.number == lost)) {
            return Err(MailboxError::Protocol { what: "the connection is lost".to_owned() });
        }
        Ok(self.server.with(|state| {
            state.commands.push(format!("headers {}", wanted.len()));
            let header = |listed: &Listed| {
                let octets = &state.messages.get(&listed.number)?.octets;
                let end =
                    memchr::memmem::find(octets, b"\r\n\r\n").map_or(0, |at| at.saturating_add(4));
                Some(Bytes::copy_from_slice(octets.get(..end)?))
            };
            wanted.iter().map(header).collect()
        }))
    }

    async fn fetch(
        &mut self,
        wanted: &[Fetch],
        parts: &mpsc::Sender<Part>,
    ) -> Result<(), MailboxError> {
        let lost = || MailboxError::Protocol { what: "the connection is lost".to_owned() };
        for fetch in wanted {
            let octets = self.server.with(|state| {
                state.commands.push(format!("fetch {}", fetch.number));
                if let Some(left) = &mut state.lose_after {
                    *left = left.checked_sub(1)?;
                }
                Some(state.messages.get(&fetch.number)?.octets.clone())
            });
            let octets = octets.ok_or_else(lost)?;
            let length = octets.len() as u64;
            let sent = [
                Part::Begin { key: fetch.key.clone() },
                Part::Data(octets.into()),
                Part::End { octets: length, early: false },
            ];
            for part in sent {
                parts.send(part).await.map_err(|_| lost())?;
            }
        }
        Ok(())
    }

    fn can_delete(&self, _how: &DeleteMode) -> bool {
        self.server.with(|state| !state.no_uid_plus)
    }

    async fn quit(self) -> Result<(), MailboxError> {
        Ok(())
    }
}

impl MarkMail for FakeSession {
    async fn mark(
        &mut self,
        _mailbox: &str,
        uid_validity: u32,
        uids: &[u32],
        flag: &str,
    ) -> Result<Marked, MailboxError> {
        Ok(self.server.with(|state| {
            if state.no_marks || state.uid_validity() != Some(uid_validity) {
                return Marked::Refused("no".to_owned());
            }
            if flag != "\\Seen" {
                state.commands.push(format!("mark {flag} {uids:?}"));
                return Marked::Done;
            }
            state.commands.push(format!("mark {uids:?}"));
            for uid in uids {
                if let Some(message) = state.messages.get_mut(uid) {
                    message.seen = true;
                }
            }
            if let Some(modseq) = &mut state.modseq {
                *modseq = modseq.saturating_add(1);
            }
            Marked::Done
        }))
    }
}

impl DeleteMail for FakeSession {
    async fn recheck(
        &mut self,
        _mailbox: Option<&str>,
        uid_validity: Option<u32>,
        deletes: &[Delete],
        how: &DeleteMode,
    ) -> Result<Recheck, MailboxError> {
        Ok(self.server.with(|state| {
            if state.no_uid_plus {
                return Recheck::Refused(DeleteRefusal::NoUidPlus);
            }
            if let (DeleteMode::Move(to), true) = (how, state.no_destination) {
                return Recheck::Refused(DeleteRefusal::NoDestination(format!("no {to}")));
            }
            if uid_validity != state.uid_validity() {
                return Recheck::Refused(DeleteRefusal::UidValidityChanged);
            }
            let verdict = |delete: &Delete| match state.messages.get(&delete.number) {
                None => Verdict::Gone,
                Some(found)
                    if Some(found.size()) != delete.copy.listed_size
                        || (!state.maildrop
                            && Some(found.internal_date) != delete.copy.internal_date) =>
                {
                    Verdict::Changed
                }
                Some(_) => Verdict::Same,
            };
            Recheck::Verdicts(deletes.iter().map(verdict).collect())
        }))
    }

    async fn delete_from_server(
        &mut self,
        intent: &DeleteIntent,
    ) -> Result<DeleteOutcome, MailboxError> {
        Ok(self.server.with(|state| {
            let mut outcome = DeleteOutcome::default();
            for delete in intent.deletes() {
                let act = match intent.how() {
                    DeleteMode::Expunge => "delete".to_owned(),
                    how => how.to_string(),
                };
                state.commands.push(format!("{act} {}", delete.number));
                if state.refuse_deletes {
                    outcome.refused.push((delete.row, "no".to_owned()));
                    continue;
                }
                state.messages.remove(&delete.number);
                outcome.gone.push(delete.row);
            }
            outcome
        }))
    }
}

impl State {
    fn mailbox(&self) -> &str {
        match self.mailbox.as_str() {
            _ if self.maildrop => "",
            "" => "INBOX",
            name => name,
        }
    }

    fn uid_validity(&self) -> Option<u32> {
        Some(self.uid_validity).filter(|value| *value > 0 && !self.maildrop)
    }

    /// The key that is listed for a message.
    fn key(&self, number: u32) -> MessageKey {
        let (mailbox, uid_validity) = (self.mailbox().to_owned(), self.uid_validity);
        if !self.maildrop {
            return MessageKey::Imap { mailbox, uid_validity, uid: number, generation: 0 };
        }
        let unique_id = |number: u32, message: &FakeMessage| match message.unique_id.as_str() {
            "" => number.to_string(),
            name => name.to_owned(),
        };
        let own = self.messages.get(&number).map(|message| unique_id(number, message));
        let own = own.unwrap_or_default();
        let before = self.messages.range(..number).filter(|(n, m)| unique_id(**n, m) == own);
        let occurrence = u32::try_from(before.count()).unwrap_or(0);
        MessageKey::Pop3 { unique_id: own, occurrence }
    }

    fn is_alone(&self, message: &FakeMessage) -> bool {
        let same = |other: &&FakeMessage| other.unique_id == message.unique_id;
        message.unique_id.is_empty() || self.messages.values().filter(same).count() == 1
    }
}

//! A mailbox in memory, for tests of what is above: it does what its messages say and keeps a
//! list of the commands that change it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{
    DeleteMail, DeleteOutcome, DeleteRefusal, MailboxError, Opened, Part, ReadMailbox, Recheck,
    Verdict,
};
use crate::model::{
    Delete, DeleteIntent, Fetch, Listed, Listing, MessageKey, Received, ReceivedBasis,
};

/// What the pretended server holds; shared by the sessions of a test.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeServer {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) uid_validity: u32,
    pub(crate) messages: BTreeMap<u32, FakeMessage>,
    pub(crate) commands: Vec<String>,
    pub(crate) no_uid_plus: bool,
    /// Messages of one window.
    pub(crate) window: u32,
    /// The connection is lost after so many fetched messages.
    pub(crate) lose_after: Option<u32>,
    /// Counts changes that UIDNEXT and the number of messages don't show.
    pub(crate) modseq: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct FakeMessage {
    pub(crate) octets: Vec<u8>,
    pub(crate) internal_date: Timestamp,
    /// The size that the server states, if not the real one.
    pub(crate) told_size: Option<u64>,
}

impl FakeMessage {
    fn new(octets: &[u8], internal_date: Timestamp) -> Self {
        Self { octets: octets.to_vec(), internal_date, told_size: None }
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
        Ok(vec!["INBOX".to_owned()])
    }

    async fn open(&mut self, mailbox: &str) -> Result<Opened, MailboxError> {
        self.next = 1;
        self.opened = self.server.with(|state| {
            state.commands.push(format!("open {mailbox}"));
            let last = state.messages.last_key_value().map_or(0, |(uid, _)| *uid);
            Opened {
                uid_validity: Some(state.uid_validity),
                uid_next: Some(last.saturating_add(1)),
                exists: u32::try_from(state.messages.len()).unwrap_or(u32::MAX),
                highest_modseq: state.modseq,
            }
        });
        Ok(self.opened.clone())
    }

    async fn next_window(&mut self) -> Result<Option<Listing>, MailboxError> {
        let first = self.next;
        if first > 1 && first >= self.opened.uid_next.unwrap_or(0) {
            return Ok(None);
        }
        Ok(Some(self.server.with(|state| {
            state.commands.push("list".to_owned());
            let last = first.saturating_add(state.window.saturating_sub(1));
            self.next = last.saturating_add(1);
            let listed = state.messages.range(first..=last).map(|(uid, message)| Listed {
                key: key(state.uid_validity, *uid),
                number: *uid,
                size: Some(message.size()),
                internal_date: Some(message.internal_date),
                received: Some(Received {
                    at: message.internal_date,
                    basis: ReceivedBasis::InternalDate,
                }),
                flags: Vec::new(),
            });
            Listing {
                mailbox: Some("INBOX".to_owned()),
                uid_validity: Some(state.uid_validity),
                range: (first, last),
                messages: listed.collect(),
                complete: true,
            }
        })))
    }

    async fn headers(&mut self, wanted: &[Listed]) -> Result<Vec<Option<Bytes>>, MailboxError> {
        Ok(wanted.iter().map(|_| None).collect())
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
                Part::End { octets: length },
            ];
            for part in sent {
                parts.send(part).await.map_err(|_| lost())?;
            }
        }
        Ok(())
    }

    async fn quit(self) -> Result<(), MailboxError> {
        Ok(())
    }
}

impl DeleteMail for FakeSession {
    async fn recheck(
        &mut self,
        _mailbox: Option<&str>,
        uid_validity: Option<u32>,
        deletes: &[Delete],
    ) -> Result<Recheck, MailboxError> {
        Ok(self.server.with(|state| {
            if state.no_uid_plus {
                return Recheck::Refused(DeleteRefusal::NoUidPlus);
            }
            if uid_validity != Some(state.uid_validity) {
                return Recheck::Refused(DeleteRefusal::UidValidityChanged);
            }
            let verdict = |delete: &Delete| match state.messages.get(&delete.number) {
                None => Verdict::Gone,
                Some(found)
                    if Some(found.size()) != delete.copy.listed_size
                        || Some(found.internal_date) != delete.copy.internal_date =>
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
                state.commands.push(format!("delete {}", delete.number));
                state.messages.remove(&delete.number);
                outcome.gone.push(delete.row);
            }
            outcome
        }))
    }
}

fn key(uid_validity: u32, uid: u32) -> MessageKey {
    MessageKey::Imap { mailbox: "INBOX".to_owned(), uid_validity, uid, generation: 0 }
}

//! EXAMINE and SELECT (RFC 9051 §6.3.2, §6.3.3), and what the server says of the mailbox.

use std::borrow::Cow;

use async_imap::imap_proto::{MailboxDatum, Response, ResponseCode};

use super::ImapSession;
use super::dialogue::Caps;
use super::said::throttled;
use super::utf7;
use crate::mailbox::{MailboxError, Opened};

/// A mailbox that the server has selected for us.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Selected {
    /// Decoded name.
    pub(super) mailbox: String,
    /// `None` when the server gave none, or 0.
    pub(super) uid_validity: Option<u32>,
    /// Selected, not examined; and `\Deleted` can be set.
    pub(super) writable: bool,
    /// Flags that can be set for good; none where it is examined. `None`: all.
    pub(super) keeps: Option<Vec<String>>,
}

impl Selected {
    /// Whether a flag can be set; a keyword also where the server takes new ones (RFC 9051 §7.1).
    pub(super) fn keeps(&self, flag: &str) -> bool {
        let is_new = |kept: &str| kept == "\\*" && !flag.starts_with('\\');
        self.keeps.as_ref().is_none_or(|keeps| {
            keeps.iter().any(|kept| kept.eq_ignore_ascii_case(flag) || is_new(kept))
        })
    }
}

/// What the responses to SELECT say.
#[derive(Debug, Default)]
struct Facts {
    opened: Opened,
    read_only: bool,
    /// PERMANENTFLAGS.
    keeps: Option<Vec<String>>,
}

impl Facts {
    fn take(&mut self, response: &Response<'_>) {
        let outcome = match response {
            Response::MailboxData(MailboxDatum::Exists(exists)) => {
                self.opened.exists = *exists;
                return;
            }
            Response::Data { outcome, .. } | Response::Done { outcome, .. } => outcome,
            _ => return,
        };
        match &outcome.code {
            Some(ResponseCode::UidValidity(value)) => {
                self.opened.uid_validity = Some(*value).filter(|value| *value > 0);
            }
            Some(ResponseCode::UidNext(uid)) => self.opened.uid_next = Some(*uid),
            Some(ResponseCode::HighestModSeq(value)) => self.opened.highest_modseq = Some(*value),
            Some(ResponseCode::ReadOnly) => self.read_only = true,
            Some(ResponseCode::PermanentFlags(flags)) => {
                let flags = flags.iter().map(|flag: &Cow<'_, str>| flag.to_string());
                self.keeps = Some(flags.collect());
            }
            _ => {}
        }
    }
}

/// Opens a mailbox read-only.
pub(super) async fn examine(
    session: &mut ImapSession,
    mailbox: &str,
) -> Result<(Selected, Opened), MailboxError> {
    let facts = run(session, "EXAMINE", mailbox).await?;
    Ok(note(session, mailbox, &facts, true))
}

/// Opens a mailbox for writing, as far as the server allows.
pub(super) async fn select(
    session: &mut ImapSession,
    mailbox: &str,
) -> Result<Selected, MailboxError> {
    Ok(select_and_see(session, mailbox).await?.0)
}

/// The same, with what the server says of the mailbox.
pub(super) async fn select_and_see(
    session: &mut ImapSession,
    mailbox: &str,
) -> Result<(Selected, Opened), MailboxError> {
    let facts = run(session, "SELECT", mailbox).await?;
    Ok(note(session, mailbox, &facts, facts.read_only))
}

/// Has what `open` opened selected again, if another mailbox is by now.
pub(super) async fn reopen(session: &mut ImapSession) -> Result<Selected, MailboxError> {
    let Some((open, _)) = &session.open else {
        return Err(MailboxError::Protocol { what: "no mailbox is open".to_owned() });
    };
    let open = open.clone();
    let is_open =
        |now: &Selected| now.mailbox == open.mailbox && now.uid_validity == open.uid_validity;
    // Courier may show another UIDVALIDITY under SELECT; what counts is what `open` asked for.
    if session.selected.as_ref().is_some_and(is_open)
        || is_open(&examine(session, &open.mailbox).await?.0)
    {
        return Ok(open);
    }
    Err(MailboxError::NoMailbox {
        mailbox: open.mailbox,
        said: "UIDVALIDITY changed while it was open".to_owned(),
    })
}

fn note(
    session: &mut ImapSession,
    mailbox: &str,
    facts: &Facts,
    read_only: bool,
) -> (Selected, Opened) {
    // Without PERMANENTFLAGS all flags can be kept (RFC 9051 §7.1).
    let keeps = if read_only { Some(Vec::new()) } else { facts.keeps.clone() };
    let mut selected = Selected {
        mailbox: canonical(mailbox).to_owned(),
        uid_validity: facts.opened.uid_validity,
        writable: false,
        keeps,
    };
    selected.writable = selected.keeps("\\Deleted");
    session.selected = Some(selected.clone());
    (selected, facts.opened.clone())
}

async fn run(
    session: &mut ImapSession,
    command: &str,
    mailbox: &str,
) -> Result<Facts, MailboxError> {
    session.selected = None;
    session.dialogue.expunged.clear();
    let plain = format!("{command} {}", on_the_wire(session, mailbox)?);
    let mut facts = Facts::default();
    let mut full = plain.clone();
    if session.capabilities.has_condstore() {
        full.push_str(" (CONDSTORE)");
    }
    let mut done = session.dialogue.run(&full, Caps::SMALL, |r| facts.take(r)).await?;
    if done.bad && full != plain {
        facts = Facts::default();
        done = session.dialogue.run(&plain, Caps::SMALL, |r| facts.take(r)).await?;
    }
    if done.ok {
        return Ok(facts);
    }
    Err(throttled(&done.said).unwrap_or_else(|| MailboxError::NoMailbox {
        mailbox: mailbox.to_owned(),
        said: done.said,
    }))
}

/// The mailbox as an argument: quoted, in the server's own spelling where that is known.
pub(super) fn on_the_wire(session: &ImapSession, mailbox: &str) -> Result<String, MailboxError> {
    let wire = match session.odd_names.get(mailbox) {
        Some(wire) => wire.clone(),
        None => utf7::encode(canonical(mailbox)),
    };
    if wire.is_empty() || wire.contains(['\r', '\n', '\0']) {
        return Err(MailboxError::NoMailbox {
            mailbox: mailbox.to_owned(),
            said: "the name can't be sent".to_owned(),
        });
    }
    Ok(format!("\"{}\"", wire.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// `INBOX` in any case is INBOX (RFC 9051 §5.1); other names are compared as they are.
pub(super) fn canonical(mailbox: &str) -> &str {
    if mailbox.eq_ignore_ascii_case("INBOX") { "INBOX" } else { mailbox }
}

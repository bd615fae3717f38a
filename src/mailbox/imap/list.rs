//! What the server holds: its mailboxes, and a mailbox's messages window by window.

use std::collections::{BTreeMap, BTreeSet};

use async_imap::imap_proto::{MailboxDatum, MailboxListData, NameAttribute, Response};

use super::ImapSession;
use super::dialogue::Caps;
use super::listed::{Item, merge, read_item};
use super::select::{Selected, canonical, reopen};
use super::utf7;
use super::windows::{Answer, Closed, Window, Windows};
use crate::mailbox::MailboxError;
use crate::model::{Listed, Listing, MessageKey, Received, ReceivedBasis};
use crate::net::NetError;

/// Mailboxes of one account; more are taken for an endless list.
const MAILBOXES_MAX: usize = 5000;
/// Octets of a mailbox's name on the wire.
const NAME_MAX: usize = 1000;

/// The names of all mailboxes that can be selected.
pub(super) async fn mailboxes(session: &mut ImapSession) -> Result<Vec<String>, MailboxError> {
    Ok(list(session, "LIST \"\" \"*\"").await?.all.into_iter().collect())
}

/// Mailboxes by what they are for.
#[derive(Debug)]
pub(super) struct Uses {
    /// Those that the server marks `\Trash`.
    pub(super) trash: Vec<String>,
    /// All.
    pub(super) names: Vec<String>,
}

/// The mailboxes that the server marks for a use (RFC 6154). Where marks must be asked for and the
/// server says that they can be, they are; else a plain LIST may have them.
pub(super) async fn uses(session: &mut ImapSession) -> Result<Uses, MailboxError> {
    let asks = session.capabilities.has_special_use();
    let command = if asks { "LIST \"\" \"*\" RETURN (SPECIAL-USE)" } else { "LIST \"\" \"*\"" };
    let found = list(session, command).await?;
    Ok(Uses { trash: found.trash, names: found.all.into_iter().collect() })
}

async fn list(session: &mut ImapSession, command: &str) -> Result<Names, MailboxError> {
    let mut names = Names::default();
    let caps = Caps { literal: 64 << 10, response: 16 << 20 };
    let done = session.dialogue.run(command, caps, |r| names.take(r)).await?;
    done.or_refused("LIST")?;
    if names.all.len() > MAILBOXES_MAX {
        let what = format!("over {MAILBOXES_MAX} mailboxes");
        return Err(NetError::TooMuch { what }.into());
    }
    session.odd_names = std::mem::take(&mut names.odd);
    Ok(names)
}

#[derive(Debug, Default)]
struct Names {
    all: BTreeSet<String>,
    odd: BTreeMap<String, String>,
    trash: Vec<String>,
}

impl Names {
    fn take(&mut self, response: &Response<'_>) {
        let Response::MailboxData(MailboxDatum::List(data)) = response else { return };
        // One more than the limit is kept, to tell that it is passed.
        if self.all.len() > MAILBOXES_MAX || !is_selectable(data) {
            return;
        }
        let wire = data.name.as_ref();
        // imap-proto puts U+FFFD where the name is not UTF-8: it could never be named again.
        if wire.is_empty() || wire.len() > NAME_MAX || wire.contains('\u{fffd}') {
            tracing::debug!(target: "incoming", name = ?wire, "mailbox left out");
            return;
        }
        let name = utf7::decode(wire).unwrap_or_else(|| wire.to_owned());
        let name = canonical(&name).to_owned();
        if utf7::encode(&name) != wire && !wire.eq_ignore_ascii_case("INBOX") {
            self.odd.entry(name.clone()).or_insert_with(|| wire.to_owned());
        }
        if data.name_attributes.iter().any(|use_| matches!(use_, NameAttribute::Trash)) {
            self.trash.push(name.clone());
        }
        self.all.insert(name);
    }
}

fn is_selectable(data: &MailboxListData<'_>) -> bool {
    !data.name_attributes.iter().any(|attribute| match attribute {
        NameAttribute::NoSelect => true,
        NameAttribute::Extension(word) => word.eq_ignore_ascii_case("\\NonExistent"),
        _ => false,
    })
}

/// The next window of the open mailbox.
pub(super) async fn next_window(
    session: &mut ImapSession,
) -> Result<Option<Listing>, MailboxError> {
    let open = reopen(session).await?;
    let Some((_, windows)) = &mut session.open else { return Ok(None) };
    let Some(window) = windows.next() else { return Ok(None) };
    for number in std::mem::take(&mut session.dialogue.expunged) {
        windows.expunged(number, 0);
    }
    let mut gathered = Gathered::new(window, windows.most());
    let last = window.last.map_or_else(|| "*".to_owned(), |last| last.to_string());
    let command = format!("UID FETCH {}:{last} (UID FLAGS INTERNALDATE RFC822.SIZE)", window.first);
    let caps = windows.caps();
    let take = |response: &Response<'_>| match response {
        Response::Expunge(number) => gathered.expunge(windows, *number),
        _ => gathered.take(response),
    };
    let done = session.dialogue.run(&command, caps, take).await?;
    session.dialogue.expunged.clear();
    // A refused listing that passed for a short one would leave mail behind in silence.
    done.or_refused("UID FETCH")?;
    let answer = gathered.answer();
    let closed = windows.close(window, gathered.items, answer);
    if windows.next().is_none() && !closed.complete {
        tracing::warn!(
            target: "incoming",
            code = "mailbox-incomplete",
            mailbox = open.mailbox,
            exists = windows.exists(),
            listed = windows.listed(),
            "the server does not list all messages, or some can't be read; until it does, \
             nothing is deleted in this mailbox",
        );
    }
    Ok(Some(listing(&open, closed)))
}

/// The smallest UIDs of a window's reply, up to a number.
struct Gathered {
    window: Window,
    most: usize,
    items: BTreeMap<u32, Item>,
    readable: bool,
    cut: bool,
    highest: u32,
    expunged: u64,
}

impl Gathered {
    fn new(window: Window, most: usize) -> Self {
        Self {
            window,
            most,
            items: BTreeMap::new(),
            readable: true,
            cut: false,
            highest: 0,
            expunged: 0,
        }
    }

    fn take(&mut self, response: &Response<'_>) {
        let (uid, item) = match read_item(response) {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(()) => {
                self.readable = false;
                return;
            }
        };
        // `500:*` names the highest UID even when that is 400 (RFC 9051 §9, seq-range).
        if uid < self.window.first || self.window.last.is_some_and(|last| uid > last) {
            return;
        }
        self.highest = self.highest.max(uid);
        merge(&mut self.items, uid, item);
        if self.items.len() > self.most {
            self.items.pop_last();
            self.cut = true;
        }
    }

    fn expunge(&mut self, windows: &mut Windows, number: u32) {
        let came = u64::try_from(self.items.len()).unwrap_or(u64::MAX);
        if windows.expunged(number, came.saturating_sub(self.expunged)) {
            self.expunged = self.expunged.saturating_add(1);
        }
    }

    fn answer(&self) -> Answer {
        let Self { readable, cut, highest, expunged, .. } = *self;
        Answer { readable, cut, highest, expunged }
    }
}

fn listing(open: &Selected, closed: Closed) -> Listing {
    let messages = closed.items.into_iter().map(|(uid, item)| Listed {
        key: MessageKey::Imap {
            mailbox: open.mailbox.clone(),
            uid_validity: open.uid_validity.unwrap_or(0),
            uid,
            generation: 0,
        },
        number: uid,
        alone: true,
        size: item.size,
        internal_date: item.internal_date,
        received: item.internal_date.map(|at| Received { at, basis: ReceivedBasis::InternalDate }),
        flags: item.flags,
    });
    Listing {
        mailbox: Some(open.mailbox.clone()),
        uid_validity: open.uid_validity,
        range: closed.range,
        messages: messages.collect(),
        complete: closed.complete,
    }
}

//! A maildrop's messages as UIDL and LIST name them in one session (RFC 1939 §5 and §7).
//!
//! Pure: lines in, windows and verdicts out. Built for millions of messages: all unique-ids stand
//! in one block.

use std::collections::BTreeSet;

use super::reply::printable;
use crate::mailbox::{MailboxError, Verdict};
use crate::model::{Delete, Listed, Listing, MessageKey};
use crate::net::NetError;

/// Messages of one window.
const WINDOW: usize = 5_000;
/// Lines of UIDL or LIST that are taken.
const LINES_MAX: usize = 5_000_000;
/// Octets of all unique-ids together.
const UNIQUE_IDS_MAX: usize = 256 * 1024 * 1024;
/// Octets of one unique-id; RFC 1939 says 70, servers say more.
const UNIQUE_ID_MAX: usize = 1_024;

/// What a session has listed. Neither STAT nor anything of an earlier session goes in.
#[derive(Debug, Default)]
pub(super) struct Maildrop {
    unique_ids: String,
    /// Ascending by message number.
    messages: Vec<Message>,
    /// Indices into `messages`, ascending by unique-id, then message number.
    by_unique_id: Vec<u32>,
    complete: bool,
    /// Messages in LIST.
    exists: u32,
    /// The highest message number in either list.
    last: u32,
    next: usize,
    ended: bool,
    deleted: BTreeSet<u32>,
}

/// The two lists, while they come.
#[derive(Debug, Default)]
pub(super) struct Lists {
    unique_ids: String,
    named: Vec<Message>,
    sized: Vec<(u32, u64)>,
    last: u32,
    incomplete: bool,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    number: u32,
    occurrence: u32,
    size: u64,
    begin: usize,
    end: usize,
}

impl Lists {
    /// Takes a line of UIDL: message number, a space, unique-id verbatim.
    pub(super) fn unique_id_line(&mut self, line: &[u8]) -> Result<(), MailboxError> {
        let line = line.trim_ascii_start();
        let at = line.iter().position(|octet| matches!(octet, b' ' | b'\t')).unwrap_or(line.len());
        let (number, unique_id) = line.split_at(at);
        let number = number_of(number, line)?;
        self.name(number, unique_id.get(1..).unwrap_or_default())
    }

    /// Gives a message its unique-id; one that can't be kept leaves the message unlisted.
    pub(super) fn name(&mut self, number: u32, unique_id: &[u8]) -> Result<(), MailboxError> {
        check_count(self.named.len())?;
        self.last = self.last.max(number);
        let good = |text: &&str| {
            (1..=UNIQUE_ID_MAX).contains(&text.len()) && !text.contains(char::is_control)
        };
        let Some(unique_id) = std::str::from_utf8(unique_id).ok().filter(good) else {
            self.forget(number, &format!("no usable unique-id: \"{}\"", printable(unique_id)));
            return Ok(());
        };
        let begin = self.unique_ids.len();
        self.unique_ids.push_str(unique_id);
        let end = self.unique_ids.len();
        if end > UNIQUE_IDS_MAX {
            let what = format!("more than {UNIQUE_IDS_MAX} octets of unique-ids");
            return Err(NetError::TooMuch { what }.into());
        }
        self.named.push(Message { number, occurrence: 0, size: 0, begin, end });
        Ok(())
    }

    /// Leaves a message out, which makes the listing incomplete.
    pub(super) fn forget(&mut self, number: u32, why: &str) {
        self.leave_out(&format!("message {number} has {why}"));
    }

    /// Told once in a session.
    fn leave_out(&mut self, why: &str) {
        if !self.incomplete {
            tracing::warn!(
                target: "incoming",
                code = "mailbox-incomplete",
                "{why}; while messages are left out of the listing, nothing is deleted",
            );
        }
        self.incomplete = true;
    }

    /// Takes a line of LIST: message number, size, anything.
    pub(super) fn size_line(&mut self, line: &[u8]) -> Result<(), MailboxError> {
        check_count(self.sized.len())?;
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let number = number_of(words.next().unwrap_or_default(), line)?;
        let size = decimal(words.next().unwrap_or_default()).ok_or_else(|| bad_line(line))?;
        self.last = self.last.max(number);
        self.sized.push((number, size));
        Ok(())
    }

    /// Whether there are messages, and UIDL has named none of them.
    pub(super) fn is_nameless(&self) -> bool {
        self.named.is_empty() && !self.sized.is_empty()
    }

    /// The messages, to be named by other means than UIDL.
    pub(super) fn unnamed(&mut self) -> Vec<u32> {
        self.incomplete = false;
        self.sized.iter().map(|(number, _)| *number).collect()
    }

    /// Both lists are there: what stands in both is listed.
    pub(super) fn finish(mut self) -> Maildrop {
        let before = self.named.len().max(self.sized.len());
        self.named.sort_by_key(|message| message.number);
        self.named.dedup_by_key(|message| message.number);
        self.sized.sort_unstable();
        self.sized.dedup_by_key(|(number, _)| *number);
        let exists = u32::try_from(self.sized.len()).unwrap_or(u32::MAX);
        let mut sizes = std::mem::take(&mut self.sized).into_iter().peekable();
        self.named.retain_mut(|message| {
            while sizes.next_if(|(number, _)| *number < message.number).is_some() {}
            let size = sizes.next_if(|(number, _)| *number == message.number);
            message.size = size.map_or(0, |(_, size)| size);
            size.is_some()
        });
        self.named.shrink_to_fit();
        if self.named.len() < before {
            self.leave_out("UIDL and LIST don't name the same messages");
        }
        let mut maildrop = Maildrop {
            unique_ids: self.unique_ids,
            messages: self.named,
            complete: !self.incomplete,
            exists,
            last: self.last,
            ..Maildrop::default()
        };
        maildrop.count_occurrences();
        maildrop
    }
}

impl Maildrop {
    pub(super) fn exists(&self) -> u32 {
        self.exists
    }

    /// Begins anew with the first window.
    pub(super) fn rewind(&mut self) {
        self.next = 0;
        self.ended = false;
    }

    /// The next window, ascending by message number; `None` after the last and for an empty
    /// maildrop. One that only seems empty has a window, which is not complete.
    pub(super) fn next_window(&mut self) -> Option<Listing> {
        let rest = self.messages.get(self.next..)?;
        if self.ended || (rest.is_empty() && self.complete) {
            return None;
        }
        let first = match self.next.checked_sub(1).and_then(|before| self.messages.get(before)) {
            Some(before) => before.number.saturating_add(1),
            None => 1,
        };
        let window = rest.get(..WINDOW).unwrap_or(rest);
        self.next = self.next.saturating_add(window.len());
        self.ended = self.next >= self.messages.len();
        let last = if self.ended { self.last } else { window.last().map_or(first, |m| m.number) };
        let messages = window.iter().filter(|m| !self.deleted.contains(&m.number));
        Some(Listing {
            mailbox: None,
            uid_validity: None,
            range: (first, last),
            messages: messages.map(|message| self.listed(message)).collect(),
            complete: self.complete,
        })
    }

    /// Whether a message number of this session means this message: what is fetched by a number
    /// of another session would be archived under a wrong identity. An occurrence that this listing
    /// does not have counts messages that had the unique-id before.
    pub(super) fn is_listed(&self, number: u32, key: &MessageKey) -> bool {
        let MessageKey::Pop3 { unique_id, occurrence } = key else { return false };
        let found = self.messages.binary_search_by_key(&number, |message| message.number);
        let message = found.ok().and_then(|at| self.messages.get(at));
        message.is_some_and(|m| {
            self.unique_id(m) == unique_id
                && (m.occurrence == *occurrence || self.count_of(unique_id) <= *occurrence)
                && !self.deleted.contains(&number)
        })
    }

    /// What this session shows of a message that is to be deleted. A unique-id that several
    /// messages share proves nothing of any of them.
    pub(super) fn verdict(&self, delete: &Delete) -> Verdict {
        let MessageKey::Pop3 { unique_id, .. } = &delete.key else {
            return Verdict::Changed;
        };
        match self.first_two(unique_id) {
            (None, _) if self.complete => Verdict::Gone,
            (Some(message), None)
                if message.number == delete.number
                    && delete.copy.listed_size == Some(message.size) =>
            {
                Verdict::Same
            }
            _ => Verdict::Changed,
        }
    }

    /// Whether a DELE of this number can only mean this message.
    pub(super) fn may_delete(&self, number: u32, key: &MessageKey) -> bool {
        let MessageKey::Pop3 { unique_id, .. } = key else { return false };
        self.is_listed(number, key) && self.is_alone(unique_id)
    }

    /// Whether no other message shares a unique-id. Of one that is alone the occurrence in a key
    /// counts earlier messages of that unique-id.
    fn is_alone(&self, unique_id: &str) -> bool {
        self.first_two(unique_id).1.is_none()
    }

    /// How many messages share a unique-id; 0 for one that is alone.
    fn count_of(&self, unique_id: &str) -> u32 {
        if self.is_alone(unique_id) {
            return 0;
        }
        let from = self.by_unique_id.partition_point(|at| self.unique_id_at(*at) < unique_id);
        let to = self.by_unique_id.partition_point(|at| self.unique_id_at(*at) <= unique_id);
        u32::try_from(to.saturating_sub(from)).unwrap_or(u32::MAX)
    }

    /// The messages with a unique-id: one, and another where it is shared.
    fn first_two(&self, unique_id: &str) -> (Option<&Message>, Option<&Message>) {
        let from = self.by_unique_id.partition_point(|at| self.unique_id_at(*at) < unique_id);
        let mut same = self.by_unique_id.iter().skip(from).filter_map(|at| self.at(*at));
        let mut next = || same.next().filter(|message| self.unique_id(message) == unique_id);
        (next(), next())
    }

    /// The server has taken a DELE.
    pub(super) fn mark_deleted(&mut self, number: u32) {
        self.deleted.insert(number);
    }

    fn listed(&self, message: &Message) -> Listed {
        Listed {
            key: MessageKey::Pop3 {
                unique_id: self.unique_id(message).to_owned(),
                occurrence: message.occurrence,
            },
            number: message.number,
            alone: self.is_alone(self.unique_id(message)),
            size: Some(message.size),
            internal_date: None,
            received: None,
            flags: Vec::new(),
        }
    }

    fn unique_id(&self, message: &Message) -> &str {
        self.unique_ids.get(message.begin..message.end).unwrap_or_default()
    }

    fn at(&self, index: u32) -> Option<&Message> {
        self.messages.get(usize::try_from(index).ok()?)
    }

    fn unique_id_at(&self, index: u32) -> &str {
        self.at(index).map_or("", |message| self.unique_id(message))
    }

    fn count_occurrences(&mut self) {
        let count = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        let mut order: Vec<u32> = (0..count).collect();
        order.sort_unstable_by(|a, b| {
            self.unique_id_at(*a).cmp(self.unique_id_at(*b)).then(a.cmp(b))
        });
        let mut before: Option<u32> = None;
        for index in &order {
            let occurrence = match before {
                Some(other) if self.unique_id_at(other) == self.unique_id_at(*index) => {
                    self.at(other).map_or(0, |message| message.occurrence.saturating_add(1))
                }
                _ => 0,
            };
            let at = usize::try_from(*index).unwrap_or(usize::MAX);
            if let Some(message) = self.messages.get_mut(at) {
                message.occurrence = occurrence;
            }
            before = Some(*index);
        }
        self.by_unique_id = order;
    }
}

fn check_count(lines: usize) -> Result<(), MailboxError> {
    if lines >= LINES_MAX {
        let what = format!("a list of more than {LINES_MAX} messages");
        return Err(NetError::TooMuch { what }.into());
    }
    Ok(())
}

fn number_of(word: &[u8], line: &[u8]) -> Result<u32, MailboxError> {
    let number = decimal(word).and_then(|number| u32::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| bad_line(line))
}

/// Digits only: `parse` alone would take a sign.
fn decimal(word: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(word).ok()?;
    digits.bytes().all(|octet| octet.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn bad_line(line: &[u8]) -> MailboxError {
    MailboxError::Protocol { what: format!("a list has the line \"{}\"", printable(line)) }
}

#[cfg(test)]
mod tests;

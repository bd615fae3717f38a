//! What IMAP's FETCH and SEARCH say of a mailbox.

use std::fmt::Write;

use super::{Mailbox, Message};

/// Ranges of a sequence set; `*` is `highest`.
pub(super) fn ranges(set: &str, highest: u32) -> Vec<(u32, u32)> {
    let number = |text: &str| if text == "*" { highest } else { text.parse().unwrap_or(0) };
    let range = |part: &str| {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let (first, last) = (number(first), number(last));
        (first.min(last), first.max(last))
    };
    set.split(',').map(range).collect()
}

/// Whether a set without `*` names this UID.
pub(super) fn is_in(set: &str, uid: u32) -> bool {
    ranges(set, u32::MAX).iter().any(|(first, last)| (first..=last).contains(&&uid))
}

/// The answer to UID FETCH, without the tagged response.
pub(super) fn fetch(mailbox: &Mailbox, set: &str, items: &str) -> Vec<u8> {
    let mut said = Vec::new();
    let items = items.trim_start_matches('(').trim_end_matches(')');
    for (first, last) in ranges(set, mailbox.highest()) {
        for (number, uid, message) in mailbox.between(first, last) {
            said.extend_from_slice(format!("* {number} FETCH (").as_bytes());
            let mut has_uid = false;
            for (n, item) in items.split(' ').enumerate() {
                said.extend_from_slice(if n > 0 { b" " } else { b"" });
                has_uid |= item == "UID";
                show(&mut said, item, uid, &message);
            }
            if !has_uid {
                said.extend_from_slice(format!(" UID {uid}").as_bytes());
            }
            said.extend_from_slice(b")\r\n");
        }
    }
    said
}

/// The answer to UID SEARCH, without the tagged response.
/// `UID set`, `DELETED`, or all.
pub(super) fn search(mailbox: &Mailbox, set: &str) -> Vec<u8> {
    let mut said = "* SEARCH".to_owned();
    if set == "DELETED" {
        let marked = |message: &Message| message.flags.iter().any(|flag| flag == "\\Deleted");
        for (uid, _) in mailbox.messages.iter().filter(|(_, message)| marked(message)) {
            write!(said, " {uid}").unwrap();
        }
        return (said + "\r\n").into_bytes();
    }
    for (first, last) in ranges(set, mailbox.highest()) {
        for (_, uid, _) in mailbox.between(first, last) {
            write!(said, " {uid}").unwrap();
        }
    }
    (said + "\r\n").into_bytes()
}

fn show(said: &mut Vec<u8>, item: &str, uid: u32, message: &Message) {
    let word = match item {
        "UID" => format!("UID {uid}"),
        "FLAGS" => format!("FLAGS ({})", message.flags.join(" ")),
        "INTERNALDATE" => format!("INTERNALDATE \"{}\"", message.internal_date),
        "RFC822.SIZE" => format!("RFC822.SIZE {}", message.size()),
        body => return show_body(said, body, message),
    };
    said.extend_from_slice(word.as_bytes());
}

/// `BODY.PEEK[]`, `BODY.PEEK[HEADER]`, either with `<first.count>`.
fn show_body(said: &mut Vec<u8>, item: &str, message: &Message) {
    let (name, partial) = item.split_once('<').unwrap_or((item, ""));
    let whole = message.octets.as_slice();
    let header =
        whole.windows(4).position(|four| four == b"\r\n\r\n").map_or(whole.len(), |n| n + 4);
    let octets = if name.contains("HEADER") { &whole[..header] } else { whole };
    let mut shown = name.replace(".PEEK", "");
    let mut piece = octets;
    if let Some((first, count)) = partial.trim_end_matches('>').split_once('.') {
        let (first, count): (usize, usize) = (first.parse().unwrap(), count.parse().unwrap());
        let first_in = first.min(octets.len());
        piece = &octets[first_in..first_in.saturating_add(count).min(octets.len())];
        write!(shown, "<{first}>").unwrap();
    }
    said.extend_from_slice(format!("{shown} {{{}}}\r\n", piece.len()).as_bytes());
    said.extend_from_slice(piece);
}

//! What one FETCH response says of a message. Pure.

use std::collections::BTreeMap;

use async_imap::imap_proto::{AttributeValue, MessageSection, Response, SectionPath};
use bytes::Bytes;
use jiff::Timestamp;

use super::date::internal_date;

/// Octets of one [`Part::Data`](crate::mailbox::Part::Data).
const PIECE_OCTETS: usize = 256 << 10;
/// Flags of one message that are kept,
const FLAGS_MAX: usize = 32;
/// and octets of one; longer ones are left out.
const FLAG_OCTETS: usize = 64;

/// The facts of a listed message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Item {
    /// RFC822.SIZE.
    pub(super) size: Option<u64>,
    pub(super) internal_date: Option<Timestamp>,
    pub(super) flags: Vec<String>,
    /// The message's place now; two places under one UID are two messages.
    pub(super) sequence_number: u32,
    /// Another place came under this UID.
    pub(super) doubled: bool,
}

/// The UID of a FETCH response and its facts. `Err` when facts came without a UID.
pub(super) fn read_item(response: &Response<'_>) -> Result<Option<(u32, Item)>, ()> {
    let Response::Fetch(sequence_number, attributes) = response else { return Ok(None) };
    let mut item = Item { sequence_number: *sequence_number, ..Item::default() };
    let (mut uid, mut has_facts) = (None, false);
    for attribute in attributes {
        match attribute {
            AttributeValue::Uid(number) => uid = uid.or(Some(*number)),
            AttributeValue::Rfc822Size(octets) => {
                has_facts = true;
                item.size = Some(u64::from(*octets));
            }
            AttributeValue::InternalDate(text) => {
                has_facts = true;
                item.internal_date = internal_date(text);
            }
            AttributeValue::Flags(flags) => {
                let flags = flags.iter().filter(|flag| flag.len() <= FLAG_OCTETS).take(FLAGS_MAX);
                item.flags = flags.map(|flag| flag.clone().into_owned()).collect();
            }
            _ => {}
        }
    }
    match uid {
        Some(uid) if uid > 0 => Ok(Some((uid, item))),
        // Another client's change of flags may come without a UID.
        None if !has_facts => Ok(None),
        _ => Err(()),
    }
}

/// Adds an item to those that came before; facts that are missing may come in a later response.
pub(super) fn merge(items: &mut BTreeMap<u32, Item>, uid: u32, item: Item) {
    let Some(known) = items.get_mut(&uid) else {
        items.insert(uid, item);
        return;
    };
    known.doubled |= known.sequence_number != item.sequence_number;
    known.size = known.size.or(item.size);
    known.internal_date = known.internal_date.or(item.internal_date);
    if !item.flags.is_empty() {
        known.flags = item.flags;
    }
}

/// A body, or a piece or the header section of one, as a FETCH response carries it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Body {
    pub(super) uid: u32,
    /// The origin octet, where the response names one.
    pub(super) origin: Option<u32>,
    /// In pieces of at most 256 KiB; none when the server sent NIL or nothing.
    pub(super) pieces: Vec<Bytes>,
}

impl Body {
    pub(super) fn octets(&self) -> u64 {
        let octets = |piece: &Bytes| u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.pieces.iter().map(octets).fold(0, u64::saturating_add)
    }
}

/// Which section of a message is awaited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Section {
    Header,
    Whole,
}

/// The body of a FETCH response; `None` without a UID or without that section.
pub(super) fn read_body(response: &Response<'_>, wanted: Section) -> Option<Body> {
    let Response::Fetch(_, attributes) = response else { return None };
    let uid = attributes.iter().find_map(|attribute| match attribute {
        AttributeValue::Uid(uid) => Some(*uid),
        _ => None,
    })?;
    attributes.iter().find_map(|attribute| {
        let AttributeValue::BodySection { section, index, data } = attribute else { return None };
        let fits = matches!(
            (section, wanted),
            (None, Section::Whole)
                | (Some(SectionPath::Full(MessageSection::Header)), Section::Header)
        );
        let pieces = data.iter().flat_map(|data| data.chunks(PIECE_OCTETS));
        fits.then(|| Body {
            uid,
            origin: *index,
            pieces: pieces.map(Bytes::copy_from_slice).collect(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Response<'_> {
        Response::parse(line.as_bytes()).unwrap().1
    }

    #[test]
    fn facts_are_read_in_any_order_and_case() {
        let line = "* 3 fetch (flags (\\Seen $X) rfc822.size 12 \
                    internaldate \"01-Jan-2026 00:00:00 +0000\" uid 9)\r\n";
        let (uid, item) = read_item(&parsed(line)).unwrap().unwrap();
        assert_eq!((uid, item.size, item.sequence_number), (9, Some(12), 3));
        assert_eq!(item.flags, ["\\Seen", "$X"]);
        assert_eq!(item.internal_date, Some("2026-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn endless_flags_are_not_kept() {
        let flags = vec![format!("{} {}", "x".repeat(64), "y".repeat(65)); 50].join(" ");
        let line = format!("* 1 FETCH (UID 1 FLAGS ({flags}))\r\n");
        let (_, item) = read_item(&parsed(&line)).unwrap().unwrap();
        assert_eq!(item.flags.len(), 32);
        assert!(item.flags.iter().all(|flag| flag.len() == 64));
    }

    #[test]
    fn facts_without_a_uid_are_an_error_and_flags_are_not() {
        assert_eq!(read_item(&parsed("* 3 FETCH (RFC822.SIZE 12)\r\n")), Err(()));
        assert_eq!(read_item(&parsed("* 3 FETCH (RFC822.SIZE 12 UID 0)\r\n")), Err(()));
        assert_eq!(read_item(&parsed("* 3 FETCH (FLAGS (\\Seen))\r\n")), Ok(None));
    }

    #[test]
    fn size_beyond_32_bits_is_no_size() {
        let (_, item) =
            read_item(&parsed("* 3 FETCH (UID 1 RFC822.SIZE 5000000000)\r\n")).unwrap().unwrap();
        assert_eq!(item.size, None);
    }

    #[test]
    fn two_places_under_one_uid_are_seen() {
        let mut items = BTreeMap::new();
        merge(&mut items, 5, Item { sequence_number: 1, size: Some(3), ..Item::default() });
        merge(&mut items, 5, Item { sequence_number: 1, ..Item::default() });
        assert!(!items[&5].doubled && items[&5].size == Some(3));
        merge(&mut items, 5, Item { sequence_number: 2, ..Item::default() });
        assert!(items[&5].doubled);
    }

    #[test]
    fn bodies_are_read_with_their_origin() {
        let body = read_body(&parsed("* 1 FETCH (UID 4 BODY[]<10> {2}\r\nab)\r\n"), Section::Whole);
        let body = body.unwrap();
        assert_eq!((body.uid, body.origin, body.octets()), (4, Some(10), 2));
        let nil = read_body(&parsed("* 1 FETCH (BODY[] NIL UID 4)\r\n"), Section::Whole).unwrap();
        assert_eq!(nil.octets(), 0);
        let header = "* 1 FETCH (UID 4 BODY[HEADER] {2}\r\nab)\r\n";
        assert!(read_body(&parsed(header), Section::Header).is_some());
        assert_eq!(read_body(&parsed(header), Section::Whole), None);
        assert_eq!(read_body(&parsed("* 1 FETCH (BODY[] {1}\r\na)\r\n"), Section::Whole), None);
    }
}

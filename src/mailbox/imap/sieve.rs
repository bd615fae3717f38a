//! What stands between the server's octets and async-imap: caps, and only lines that it can read.
//!
//! Sans-I/O: octets in, octets out, the same for every way they are split. It holds lines back
//! until they are whole (async-imap would parse a line anew for each octet of it), counts line
//! length, literals and a command's whole response, and
//! - drops untagged responses that nobody here asked for, known or not, with their literals:
//!   imap-proto ends the session at an unknown one, and panics at some known ones;
//! - drops a FETCH or LIST response with a NUL outside its literals (RFC 9051 §9 has none there):
//!   it costs one message or mailbox, where an unreadable line costs the session;
//! - limits the depth of parentheses (imap-proto recurses);
//! - turns quoted strings with a backslash into literals (imap-proto leaves the backslash in);
//! - turns `INTERNALDATE NIL` into a date that is none, and hides 8-bit octets behind a `]`
//!   (imap-proto panics at both).

use std::ops::Range;

use super::append_reply::{AppendUid, append_limit};
use super::copy_uid::CopyUid;
use crate::net::NetError;

/// Octets of a line.
pub(super) const LINE_MAX: usize = 1 << 20;
/// Parentheses within each other; what is asked for here has three.
const DEPTH_MAX: u32 = 50;
/// APPENDUIDs that wait to be taken; fewer commands are under way.
const APPENDED_MAX: usize = 1000;

/// The sieve's state.
#[derive(Debug)]
pub(super) struct Sieve {
    line: Vec<u8>,
    literal_left: u64,
    /// The kind of the response whose later lines are awaited, behind a literal.
    going_on: Option<Kind>,
    depth: u32,
    literal_cap: u64,
    response_cap: u64,
    response_octets: u64,
    current_uid: Option<u32>,
    /// The last COPYUID: imap-proto reads it, but into a type that it doesn't name.
    pub(super) copies: Option<CopyUid>,
    /// The APPENDUIDs of tagged responses that nobody has taken, which it reads into the same type.
    pub(super) appended: Vec<AppendUid>,
    /// The last APPENDLIMIT of a mailbox, which imap-proto can't read.
    pub(super) append_limit: Option<u64>,
}

/// What a response is, as far as the sieve minds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Not wanted.
    Dropped,
    /// `* n FETCH (…`.
    Fetch,
    /// `* LIST …`.
    List,
    /// Numbers: EXISTS, EXPUNGE, SEARCH.
    Plain,
    /// A status, tagged or not, or a continuation: text to the end of the line.
    Text,
}

impl Sieve {
    pub(super) fn new() -> Self {
        Self {
            line: Vec::new(),
            literal_left: 0,
            going_on: None,
            depth: 0,
            literal_cap: 1 << 20,
            response_cap: 64 << 20,
            response_octets: 0,
            current_uid: None,
            copies: None,
            appended: Vec::new(),
            append_limit: None,
        }
    }

    /// From here on: octets of one literal, and of all that comes until the next call.
    pub(super) fn set_caps(&mut self, literal: u64, response: u64) {
        self.literal_cap = literal;
        self.response_cap = response;
        self.response_octets = 0;
    }

    /// The UID of the FETCH response whose literal is under way, or was too large.
    pub(super) fn current_uid(&self) -> Option<u32> {
        self.current_uid
    }

    /// Takes octets from the server and appends what async-imap may see.
    pub(super) fn feed(&mut self, mut octets: &[u8], out: &mut Vec<u8>) -> Result<(), NetError> {
        let count = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        self.response_octets = self.response_octets.saturating_add(count);
        if self.response_octets > self.response_cap {
            return Err(too_much(format!("over {} octets in one reply", self.response_cap)));
        }
        while !octets.is_empty() {
            octets = if self.literal_left > 0 {
                self.take_literal(octets, out)
            } else {
                self.take_line(octets, out)?
            };
        }
        Ok(())
    }

    fn take_literal<'a>(&mut self, octets: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let most = usize::try_from(self.literal_left).unwrap_or(usize::MAX);
        let (data, rest) = octets.split_at(octets.len().min(most));
        let taken = u64::try_from(data.len()).unwrap_or(u64::MAX);
        self.literal_left = self.literal_left.saturating_sub(taken);
        if self.going_on != Some(Kind::Dropped) {
            out.extend_from_slice(data);
        }
        rest
    }

    fn take_line<'a>(&mut self, octets: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], NetError> {
        let end = octets.iter().position(|octet| *octet == b'\n');
        let (piece, rest) = octets.split_at(end.map_or(octets.len(), |at| at.saturating_add(1)));
        if self.line.len().saturating_add(piece.len()) > LINE_MAX {
            return Err(too_much(format!("a line of over {LINE_MAX} octets")));
        }
        self.line.extend_from_slice(piece);
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            self.end_line(&line, out)?;
            self.line = line;
            self.line.clear();
        }
        Ok(rest)
    }

    fn end_line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), NetError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let kind = self.going_on.take().unwrap_or_else(|| {
            self.depth = 0;
            self.current_uid = None;
            match kind_of(line) {
                Kind::Fetch | Kind::List if line.contains(&0) => Kind::Dropped,
                kind => kind,
            }
        });
        match kind {
            Kind::Dropped => {
                self.append_limit = append_limit(line).or(self.append_limit);
                self.begin_literal(line, kind)?;
            }
            Kind::Plain => end_plain(line, out),
            Kind::Text => {
                self.copies = CopyUid::of_line(line).or_else(|| self.copies.take());
                if self.appended.len() < APPENDED_MAX {
                    self.appended.extend(AppendUid::of_line(line));
                }
                end_text(line, out);
            }
            Kind::Fetch | Kind::List => {
                let structure = Structure::scan(line, &mut self.depth)?;
                self.begin_literal(line, kind)?;
                structure.rewrite(line, kind, out);
            }
        }
        Ok(())
    }

    /// A line that ends with `{n}` goes on behind n octets.
    fn begin_literal(&mut self, line: &[u8], kind: Kind) -> Result<(), NetError> {
        let Some((_, digits)) = literal_of(line) else { return Ok(()) };
        if kind == Kind::Fetch {
            self.current_uid = uid_of(line).or(self.current_uid);
        }
        let announced = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok());
        match announced {
            Some(octets) if octets <= self.literal_cap => {
                self.literal_left = octets;
                self.going_on = Some(kind);
                Ok(())
            }
            _ => {
                let digits: String = digits.iter().take(24).copied().map(char::from).collect();
                Err(too_much(format!("a literal of {digits} octets (limit {})", self.literal_cap)))
            }
        }
    }
}

fn too_much(what: String) -> NetError {
    NetError::TooMuch { what }
}

/// Where a line's `{n}` begins, and its digits.
fn literal_of(line: &[u8]) -> Option<(usize, &[u8])> {
    let head = line.strip_suffix(b"}")?;
    let brace = head.iter().rposition(|octet| *octet == b'{')?;
    let digits = head.get(brace.checked_add(1)?..)?;
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then_some((brace, digits))
}

/// The number behind the word UID.
pub(super) fn uid_of(line: &[u8]) -> Option<u32> {
    let line = std::str::from_utf8(line).ok()?.to_ascii_uppercase();
    let (_, after) = line.split_once("(UID ").or_else(|| line.split_once(" UID "))?;
    let end = after.find(|c: char| !c.is_ascii_digit())?;
    after.get(..end)?.parse().ok()
}

fn kind_of(line: &[u8]) -> Kind {
    let Some(rest) = line.strip_prefix(b"* ") else { return Kind::Text };
    let mut words = rest.split(|octet| *octet == b' ').map(<[u8]>::to_ascii_uppercase);
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_number = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
    match (first.as_slice(), second.as_slice()) {
        (b"OK" | b"NO" | b"BAD" | b"BYE" | b"PREAUTH", _) => Kind::Text,
        (b"LIST", _) => Kind::List,
        (b"SEARCH", _) => Kind::Plain,
        (_, b"EXISTS" | b"EXPUNGE") if is_number => Kind::Plain,
        (_, b"FETCH") if is_number => Kind::Fetch,
        _ => Kind::Dropped,
    }
}

fn end_plain(line: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(line.trim_ascii_end());
    out.extend_from_slice(b"\r\n");
}

fn end_text(line: &[u8], out: &mut Vec<u8>) {
    let mut before = 0;
    for octet in line {
        out.push(if before == b']' && !octet.is_ascii() { b'?' } else { *octet });
        before = *octet;
    }
    out.extend_from_slice(b"\r\n");
}

/// Places of a line of a structured response that need care.
#[derive(Debug, Default)]
struct Structure {
    /// Quoted strings with a backslash, quotes included.
    escaped: Vec<Range<usize>>,
    /// Ranges of NIL behind INTERNALDATE.
    no_dates: Vec<Range<usize>>,
}

impl Structure {
    fn scan(line: &[u8], depth: &mut u32) -> Result<Self, NetError> {
        const NO_DATE: &[u8] = b"INTERNALDATE NIL";
        let mut found = Self::default();
        let mut octets = line.iter().enumerate();
        let mut strings = true;
        while let Some((at, octet)) = octets.next() {
            match octet {
                b'(' => *depth = depth.saturating_add(1),
                b')' => *depth = depth.saturating_sub(1),
                b'"' if strings => {
                    let string = line.get(at..).and_then(Quoted::read);
                    let Some(Quoted { length, escaped }) = string else {
                        // A quote that nothing closes is none, to imap-proto either; nor is any
                        // behind it, lest the line be read again for each.
                        strings = false;
                        continue;
                    };
                    octets.nth(length.saturating_sub(2));
                    if escaped {
                        found.escaped.push(at..at.saturating_add(length));
                    }
                }
                b'I' | b'i' => {
                    let end = at.saturating_add(NO_DATE.len());
                    let word = line.get(at..end).unwrap_or_default();
                    if word.eq_ignore_ascii_case(NO_DATE) {
                        found.no_dates.push(end.saturating_sub(3)..end);
                    }
                }
                _ => {}
            }
            if *depth > DEPTH_MAX {
                return Err(too_much(format!("over {DEPTH_MAX} parentheses within each other")));
            }
        }
        Ok(found)
    }

    /// Writes the line with those places made readable.
    fn rewrite(&self, line: &[u8], kind: Kind, out: &mut Vec<u8>) {
        // LIST's first string is the delimiter, which imap-proto takes only when it is quoted.
        let wanted = |range: &&Range<usize>| kind == Kind::Fetch || range.end == line.len();
        let mut edits: Vec<(&Range<usize>, Vec<u8>)> = self
            .escaped
            .iter()
            .filter(wanted)
            .map(|range| (range, as_literal(line.get(range.clone()).unwrap_or_default())))
            .chain(self.no_dates.iter().map(|range| (range, b"\"0\"".to_vec())))
            .collect();
        edits.sort_by_key(|(range, _)| range.start);
        let mut written = 0;
        for (range, text) in edits {
            out.extend_from_slice(line.get(written..range.start).unwrap_or_default());
            out.extend_from_slice(&text);
            written = range.end;
        }
        let rest = line.get(written..).unwrap_or_default();
        // `~{n}` is RFC 3516's literal, which differs only in that it may hold NUL.
        if let Some((brace, _)) = literal_of(rest)
            && let Some((head, literal)) = rest.split_at_checked(brace)
            && let Some(head) = head.strip_suffix(b"~")
        {
            out.extend_from_slice(head);
            out.extend_from_slice(literal);
        } else {
            out.extend_from_slice(rest);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// A quoted string that stands at the beginning of some octets.
struct Quoted {
    /// Quotes included.
    length: usize,
    /// It has a backslash.
    escaped: bool,
}

impl Quoted {
    /// `None` when nothing closes it.
    fn read(octets: &[u8]) -> Option<Self> {
        let mut escaped = false;
        let mut inside = octets.iter().enumerate().skip(1);
        while let Some((at, octet)) = inside.next() {
            match octet {
                b'\\' => {
                    escaped = true;
                    inside.next();
                }
                b'"' => return Some(Self { length: at.saturating_add(1), escaped }),
                _ => {}
            }
        }
        None
    }
}

/// A quoted string as the literal that means the same.
fn as_literal(quoted: &[u8]) -> Vec<u8> {
    let inner = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let mut plain = Vec::with_capacity(quoted.len());
    let mut octets = inner.unwrap_or_default().iter();
    while let Some(octet) = octets.next() {
        let octet = if *octet == b'\\' { octets.next() } else { Some(octet) };
        plain.extend(octet);
    }
    let mut literal = format!("{{{}}}\r\n", plain.len()).into_bytes();
    literal.extend_from_slice(&plain);
    literal
}

#[cfg(test)]
mod tests;

//! Undoes what mail does to text: encoded words, parameters, character sets, transfer encodings.
//!
//! The only file that sees `mail_parser`; it gives single fields and contents to it, never a
//! message, because its own walk through a message opens nested messages, recurses when it drops
//! them and looks for a missing boundary again and again. RFC 2045, 2047, 2231, 5322.

use std::borrow::Cow;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::DecoderFnc;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::parsers::MessageStream;
use mail_parser::{Addr, HeaderValue};

use super::facts::{Mailbox, WarningCode, Warnings};
use super::fields::Field;

/// An unstructured field's text, on one line; `None` when it is blank.
pub(super) fn unstructured(field: Field<'_>, warnings: &mut Warnings) -> Option<String> {
    let octets = prepare(field, warnings);
    match MessageStream::new(&octets).parse_unstructured() {
        HeaderValue::Text(text) => one_line(&text),
        _ => None,
    }
}

/// Trims, and puts a blank for line ends, which come in encoded words; `None` when it is blank.
fn one_line(text: &str) -> Option<String> {
    let lines = text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ");
    Some(line).filter(|line| !line.is_empty())
}

/// An address list, groups flattened.
pub(super) fn addresses(field: Field<'_>, warnings: &mut Warnings) -> Vec<Mailbox> {
    let octets = prepare(field, warnings);
    match MessageStream::new(&octets).parse_address() {
        HeaderValue::Address(address) => address.iter().map(mailbox).collect(),
        _ => Vec::new(),
    }
}

/// Message-IDs without their angle brackets; the whole text as one where no bracket is.
pub(super) fn ids(field: Field<'_>, warnings: &mut Warnings) -> Vec<String> {
    let octets = prepare(field, warnings);
    match MessageStream::new(&octets).parse_id() {
        HeaderValue::Text(id) => vec![id.into_owned()],
        HeaderValue::TextList(ids) => ids.into_iter().map(Cow::into_owned).collect(),
        _ => Vec::new(),
    }
}

fn mailbox(address: &Addr<'_>) -> Mailbox {
    let mailbox = Mailbox {
        name: address.name.as_deref().and_then(one_line),
        address: address.address.as_deref().and_then(one_line),
    };
    match mailbox {
        // A lone word is an address of the sender's own host: `From: root`.
        Mailbox { name: Some(word), address: None } if !word.contains(char::is_whitespace) => {
            Mailbox { name: None, address: Some(word) }
        }
        mailbox => mailbox,
    }
}

/// A field's name, for a warning.
pub(super) fn detail(field: Field<'_>) -> String {
    String::from_utf8_lossy(field.name.get(..40).unwrap_or(field.name)).into_owned()
}

/// A field's body as `mail_parser` wants it: UTF-8 (no one declares a character set here, so what is
/// not UTF-8 is replaced), with adjacent encoded words joined, and a line
/// end, without which it sees nothing.
fn prepare<'a>(field: Field<'a>, warnings: &mut Warnings) -> Cow<'a, [u8]> {
    let mut body = Cow::Borrowed(field.body);
    if std::str::from_utf8(&body).is_err() {
        warnings.add(WarningCode::HeaderNotUtf8, detail(field));
        body = Cow::Owned(String::from_utf8_lossy(&body).into_owned().into_bytes());
    }
    if let Some(joined) = join_encoded_words(&body) {
        body = Cow::Owned(joined);
    }
    if !body.ends_with(b"\n") {
        body.to_mut().push(b'\n');
    }
    body
}

/// Makes one encoded word of neighbours in the same character set and encoding.
///
/// Mailers cut a character's octets in two; RFC 2047 §5 forbids it, yet only joined words can be
/// read then. `None` when there is nothing to join.
fn join_encoded_words(body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = body;
    // The `charset?encoding?` that the last word began with, while nothing but words came since.
    let mut prefix: Option<&[u8]> = None;
    while let Some(at) = find(rest, b"=?") {
        let (before, word) = rest.split_at_checked(at)?;
        let Some((this, length)) = encoded_word(word) else {
            let (kept, left) = rest.split_at_checked(at.saturating_add(2))?;
            out.extend_from_slice(kept);
            rest = left;
            prefix = None;
            continue;
        };
        let (word, left) = word.split_at_checked(length)?;
        let adjacent = before.iter().all(u8::is_ascii_whitespace);
        // Words in ISO 2022 are whole by themselves, and decoders object to joined escapes.
        let stateful = this.get(..8).is_some_and(|set| set.eq_ignore_ascii_case(b"iso-2022"));
        if adjacent && !stateful && prefix.is_some_and(|p| p.eq_ignore_ascii_case(this)) {
            out.truncate(out.len().saturating_sub(2));
            out.extend_from_slice(word.get(this.len().saturating_add(2)..)?);
        } else {
            out.extend_from_slice(before);
            out.extend_from_slice(word);
        }
        prefix = Some(this);
        rest = left;
    }
    out.extend_from_slice(rest);
    (out.len() < body.len()).then_some(out)
}

/// The `charset?encoding?` of the encoded word that `text` begins with, and the word's length.
fn encoded_word(text: &[u8]) -> Option<(&[u8], usize)> {
    let inner = text.strip_prefix(b"=?")?;
    let charset = find(inner, b"?")?;
    let encoding = inner.get(charset.saturating_add(1)..charset.saturating_add(3))?;
    if !matches!(encoding, [b'b' | b'B' | b'q' | b'Q', b'?']) {
        return None;
    }
    let prefix = inner.get(..charset.saturating_add(3))?;
    let content = inner.get(prefix.len()..)?;
    let end = find(content, b"?")?;
    let blank = content.get(..end)?.iter().any(|o| matches!(o, b'\r' | b'\n'));
    if blank || content.get(end.saturating_add(1)) != Some(&b'=') {
        return None;
    }
    // `=?` + prefix + content + `?=`
    Some((prefix, prefix.len().saturating_add(end).saturating_add(4)))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Octets as text in a declared character set.
///
/// What is invalid is replaced; without a usable declaration the octets are UTF-8 or, failing that,
/// Windows-1252, which can be undone.
pub(super) fn text(
    octets: Cow<'_, [u8]>,
    charset: Option<&str>,
    warnings: &mut Warnings,
) -> String {
    let charset = Charset::read(charset, warnings);
    if let Some(decoder) = charset.decoder {
        let text = decoder(&octets);
        if text.contains('\u{fffd}') {
            warnings.add(WarningCode::CharsetBroken, charset.name);
        }
        return text;
    }
    let octets = match String::from_utf8(octets.into_owned()) {
        Ok(text) => return text,
        Err(error) => error.into_bytes(),
    };
    if charset.not_utf8(warnings) {
        return windows_1252(&octets);
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// A declared character set.
pub(super) struct Charset {
    /// In lower case; empty when none is declared.
    pub(super) name: String,
    /// `None` where UTF-8 is tried first.
    pub(super) decoder: Option<DecoderFnc>,
}

impl Charset {
    pub(super) fn read(declared: Option<&str>, warnings: &mut Warnings) -> Self {
        // A comment may follow it (RFC 2045 §5.1).
        let name = declared.and_then(|set| set.split_whitespace().next());
        let name = name.unwrap_or_default().to_ascii_lowercase();
        if name.is_empty() || is_ascii(&name) || is_utf8(&name) {
            return Self { name, decoder: None };
        }
        let decoder = decoder(&name);
        if decoder.is_none() {
            warnings.add(WarningCode::CharsetUnknown, name.chars().take(40).collect::<String>());
        }
        Self { name, decoder }
    }

    /// Octets without a decoder are no UTF-8: says whether they are read as Windows-1252.
    pub(super) fn not_utf8(&self, warnings: &mut Warnings) -> bool {
        if is_utf8(&self.name) {
            warnings.add(WarningCode::CharsetBroken, "utf-8");
            return false;
        }
        warnings.add(WarningCode::CharsetGuessed, "windows-1252");
        true
    }
}

/// Makes each CRLF an LF, in place: a body may be as large as the message.
pub(super) fn with_lf(text: String) -> String {
    let mut octets = text.into_bytes();
    octets.dedup_by(|next, kept| {
        let is_crlf = (*kept, *next) == (b'\r', b'\n');
        if is_crlf {
            *kept = b'\n';
        }
        is_crlf
    });
    String::from_utf8(octets)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn is_ascii(charset: &str) -> bool {
    matches!(charset, "us-ascii" | "ascii" | "ansi_x3.4-1968" | "7bit" | "8bit")
}

fn is_utf8(charset: &str) -> bool {
    matches!(charset, "utf-8" | "utf8" | "unicode-1-1-utf-8")
}

/// Sets for which `mail_parser` gives one replacement character instead of the text are 7-bit
/// ones; read as ASCII at least their Latin letters remain.
fn decoder(charset: &str) -> Option<DecoderFnc> {
    let lost = matches!(
        charset,
        "hz-gb-2312"
            | "iso-2022-kr"
            | "csiso2022kr"
            | "iso-2022-cn"
            | "iso-2022-cn-ext"
            | "replacement"
    );
    if lost { None } else { charset_decoder(charset.as_bytes()) }
}

pub(super) fn windows_1252(octets: &[u8]) -> String {
    match charset_decoder(b"windows-1252") {
        Some(decoder) => decoder(octets),
        None => String::from_utf8_lossy(octets).into_owned(),
    }
}

/// Decodes base64, and says whether it was sound. Otherwise what is not of its alphabet is passed
/// over, and padding ends it (RFC 2045 §6.8), lest text after it be taken for more of it.
pub(super) fn base64(octets: &[u8]) -> (Vec<u8>, bool) {
    if let Some(decoded) = base64_decode(octets) {
        return (decoded, true);
    }
    let alphabet = |o: &u8| o.is_ascii_alphanumeric() || matches!(o, b'+' | b'/');
    let content = octets.split(|octet| *octet == b'=').next().unwrap_or_default();
    let cleaned: Vec<u8> = content.iter().copied().filter(alphabet).collect();
    (base64_decode(&cleaned).unwrap_or_default(), false)
}

/// Decodes quoted-printable, and says whether it was sound; an `=` that encodes nothing stays.
///
/// By hand, because `mail_parser` gives up at the first such `=` (RFC 2045 §6.7 asks to keep it).
pub(super) fn quoted_printable(octets: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(octets.len());
    let mut sound = true;
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        let content = line.trim_ascii_end();
        let end = line_end_of(line);
        let soft = content.last() == Some(&b'=');
        let content = if soft { content.split_last().map_or(content, |(_, c)| c) } else { content };
        sound &= quoted_octets(content, &mut out);
        if !soft {
            out.extend_from_slice(end);
        }
    }
    (out, sound)
}

/// Decodes what stands before a line's end, and says whether it was sound.
pub(super) fn quoted_octets(mut rest: &[u8], out: &mut Vec<u8>) -> bool {
    let mut sound = true;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'=', [high, low, left @ ..]) if let Some(octet) = hex(*high, *low) => {
                out.push(octet);
                rest = left;
            }
            (b'=', _) => {
                out.push(b'=');
                sound = false;
            }
            _ => out.push(*first),
        }
    }
    sound
}

fn line_end_of(line: &[u8]) -> &[u8] {
    match line {
        [.., b'\r', b'\n'] => b"\r\n",
        [.., b'\n'] => b"\n",
        _ => b"",
    }
}

/// The octet that two hexadecimal digits stand for.
pub(super) fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some((digit(high)? << 4) | digit(low)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subject(body: &str) -> Option<String> {
        let field = Field { name: b"Subject", body: body.as_bytes() };
        unstructured(field, &mut Warnings::default())
    }

    #[test]
    fn character_cut_in_two_by_encoded_words_is_whole_again() {
        assert_eq!(subject(" =?utf-8?Q?a=C3?=\r\n =?UTF-8?q?=A4b?=").as_deref(), Some("aäb"));
        assert_eq!(subject("=?utf-8?B?4oI=?= =?utf-8?B?rA==?=").as_deref(), Some("€"));
        assert_eq!(subject("=?utf-8?Q?a?= b =?utf-8?Q?c?=").as_deref(), Some("a b c"));
    }

    #[test]
    fn quoted_printable_keeps_what_it_cannot_decode() {
        assert_eq!(quoted_printable(b"a=3Db=\r\nc \r\nd"), (b"a=bc\r\nd".to_vec(), true));
        assert_eq!(quoted_printable(b"a==b=zz=4"), (b"a==b=zz=4".to_vec(), false));
    }

    #[test]
    fn base64_passes_over_junk() {
        assert_eq!(base64(b"SGFs\r\nbG8="), (b"Hallo".to_vec(), true));
        assert_eq!(base64(b"SGF!s*bG8="), (b"Hallo".to_vec(), false));
    }

    #[test]
    fn only_crlf_becomes_lf() {
        assert_eq!(with_lf("a\r\n\r\n\n\rb\r\r\nä\r".into()), "a\n\n\n\rb\r\nä\r");
    }

    #[test]
    fn undeclared_octets_are_utf8_or_windows_1252() {
        let mut warnings = Warnings::default();
        assert_eq!(text("ä".as_bytes().into(), None, &mut warnings), "ä");
        assert_eq!(text(b"\xe4"[..].into(), Some("us-ascii"), &mut warnings), "ä");
        assert_eq!(warnings.into_vec()[0].code, WarningCode::CharsetGuessed);
    }

    proptest! {
        #[test]
        fn no_field_makes_it_panic(body: Vec<u8>) {
            let field = Field { name: b"X", body: &body };
            let mut warnings = Warnings::default();
            let _ = unstructured(field, &mut warnings);
            let _ = addresses(field, &mut warnings);
            let _ = ids(field, &mut warnings);
        }

        #[test]
        fn quoted_printable_of_anything_comes_back(octets: Vec<u8>) {
            let hex = data_encoding::HEXUPPER.encode(&octets).into_bytes();
            let encoded: Vec<u8> = hex.chunks(2).flat_map(|two| [b'=', two[0], two[1]]).collect();
            prop_assert_eq!(quoted_printable(&encoded), (octets, true));
        }
    }
}

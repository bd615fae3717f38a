//! Content-Type and Content-Disposition: a value and its parameters (RFC 2045 §5.1, RFC 2231).
//!
//! By hand and not by `mail_parser`, which decodes each piece of a continued parameter alone (a
//! character may be cut in two), wants semicolons where mailers forget them, and compares each
//! piece with all others.

use super::decode::{self, detail};
use super::facts::{WarningCode, Warnings};
use super::fields::Field;

/// A Content-Type or Content-Disposition field.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// `text/plain` or `attachment`, in lower case; empty when there is none.
    pub(super) value: String,
    /// Names in lower case, values decoded. Those in RFC 2231's form stand first, so they win.
    parameters: Vec<(String, String)>,
}

/// A piece of a parameter in RFC 2231's form.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Piece {
    name: String,
    section: u32,
    /// Percent-encoded; the first piece begins with `charset'language'`.
    encoded: bool,
    octets: Vec<u8>,
}

impl Parameters {
    /// Reads a field's body.
    pub(super) fn read(field: Field<'_>, warnings: &mut Warnings) -> Self {
        let body: Vec<u8> =
            field.body.iter().copied().filter(|o| !matches!(o, b'\r' | b'\n')).collect();
        let mut scanner = Scanner { rest: &body };
        let value = scanner.value();
        let mut simple = Vec::new();
        let mut pieces = Vec::new();
        while let Some((name, octets)) = scanner.parameter() {
            match name.split_once('*') {
                None => simple.push((name, plain(&octets, field, warnings))),
                Some((name, suffix)) => {
                    let section = suffix.trim_end_matches('*').parse().unwrap_or(0);
                    let encoded = suffix.is_empty() || suffix.ends_with('*');
                    pieces.push(Piece { name: name.to_owned(), section, encoded, octets });
                }
            }
        }
        let mut parameters = joined(pieces, warnings);
        parameters.extend(simple);
        Self { value, parameters }
    }

    /// The first parameter of that name; `None` when it is blank.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(n, _)| n == name)?;
        Some(found.1.trim()).filter(|value| !value.is_empty())
    }
}

/// A plain value; encoded words in it are against RFC 2047 §5, and common.
fn plain(octets: &[u8], field: Field<'_>, warnings: &mut Warnings) -> String {
    if octets.windows(2).any(|two| two == b"=?") {
        let words = Field { body: octets, ..field };
        return decode::unstructured(words, warnings).unwrap_or_default();
    }
    String::from_utf8(octets.to_vec()).unwrap_or_else(|error| {
        warnings.add(WarningCode::HeaderNotUtf8, detail(field));
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    })
}

/// The parameters whose pieces these are, each decoded as a whole.
fn joined(mut pieces: Vec<Piece>, warnings: &mut Warnings) -> Vec<(String, String)> {
    pieces.sort_by(|a, b| (&a.name, a.section).cmp(&(&b.name, b.section)));
    let mut out = Vec::new();
    for of_one in pieces.chunk_by(|a, b| a.name == b.name) {
        let mut octets = Vec::new();
        let mut charset = None;
        for (i, piece) in of_one.iter().enumerate() {
            let mut raw = piece.octets.as_slice();
            if !piece.encoded {
                octets.extend_from_slice(raw);
                continue;
            }
            let mut thirds = raw.splitn(3, |octet| *octet == b'\'');
            if let (0, Some(set), Some(_), Some(text)) =
                (i, thirds.next(), thirds.next(), thirds.next())
            {
                charset = Some(String::from_utf8_lossy(set).into_owned());
                raw = text;
            }
            percent_decode(raw, &mut octets);
        }
        let charset = charset.as_deref().filter(|charset| !charset.is_empty());
        let name = of_one.first().map(|piece| piece.name.clone()).unwrap_or_default();
        out.push((name, decode::text(octets.into(), charset, warnings)));
    }
    out
}

fn percent_decode(mut rest: &[u8], out: &mut Vec<u8>) {
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if let (b'%', [high, low, left @ ..]) = (first, tail)
            && let Some(octet) = decode::hex(*high, *low)
        {
            out.push(octet);
            rest = left;
        } else {
            out.push(*first);
        }
    }
}

/// Goes over an unfolded field body.
struct Scanner<'a> {
    rest: &'a [u8],
}

impl Scanner<'_> {
    /// The first word, or `type/subtype` with blanks around its slash.
    fn value(&mut self) -> String {
        self.skip(is_blank);
        let mut value = self.until(|octet| octet == b';' || is_blank(octet));
        self.skip(is_blank);
        while value.ends_with(b"/") != self.rest.starts_with(b"/") && !self.rest.is_empty() {
            value.extend(self.until(|octet| octet == b';' || is_blank(octet)));
            self.skip(is_blank);
            if self.rest.starts_with(b";") {
                break;
            }
        }
        String::from_utf8_lossy(&value).trim_matches('"').to_ascii_lowercase()
    }

    /// The next name, in lower case, and its value.
    fn parameter(&mut self) -> Option<(String, Vec<u8>)> {
        loop {
            self.skip(|octet| octet == b';' || is_blank(octet));
            if self.rest.is_empty() {
                return None;
            }
            if self.rest.starts_with(b"(") {
                self.skip_comment();
                continue;
            }
            let name = self.until(|octet| matches!(octet, b'=' | b';'));
            if self.rest.starts_with(b"=") {
                self.skip_one();
                self.skip(is_blank);
                let name = String::from_utf8_lossy(&name).trim().to_ascii_lowercase();
                return Some((name, self.parameter_value()));
            }
        }
    }

    /// A quoted string without its quotes, or all up to the next semicolon: names with blanks come
    /// without quotes, too.
    fn parameter_value(&mut self) -> Vec<u8> {
        if !self.rest.starts_with(b"\"") {
            let value = self.until(|octet| octet == b';');
            return value.trim_ascii().to_vec();
        }
        self.skip_one();
        let mut value = Vec::new();
        while let Some((first, tail)) = self.rest.split_first() {
            self.rest = tail;
            match (first, tail.first()) {
                (b'"', _) => break,
                (b'\\', Some(escaped)) => {
                    value.push(*escaped);
                    self.skip_one();
                }
                _ => value.push(*first),
            }
        }
        value
    }

    fn skip_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some((first, tail)) = self.rest.split_first() {
            self.rest = tail;
            match first {
                b'(' => depth = depth.saturating_add(1),
                b')' => depth = depth.saturating_sub(1),
                b'\\' => self.skip_one(),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }

    fn until(&mut self, stop: impl Fn(u8) -> bool) -> Vec<u8> {
        let end = self.rest.iter().position(|octet| stop(*octet)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, b""));
        self.rest = rest;
        taken.to_vec()
    }

    fn skip(&mut self, what: impl Fn(u8) -> bool) {
        while self.rest.first().is_some_and(|octet| what(*octet)) {
            self.skip_one();
        }
    }

    fn skip_one(&mut self) {
        self.rest = self.rest.split_first().map_or(self.rest, |(_, tail)| tail);
    }
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Parameters {
        let field = Field { name: b"Content-Type", body: body.as_bytes() };
        Parameters::read(field, &mut Warnings::default())
    }

    fn name(body: &str) -> Option<String> {
        read(body).get("name").map(str::to_owned)
    }

    #[test]
    fn value_and_parameters_are_read_as_mailers_write_them() {
        assert_eq!(read(" TEXT / Plain ;charset=x\r\n").value, "text/plain");
        assert_eq!(read("application/pdf name=\"a b.pdf\"\r\n").value, "application/pdf");
        for body in [
            "a/b; name=\"a b.pdf\"; x=y",
            "a/b; NAME = a b.pdf ; x",
            "a/b name=\"a b.pdf\"",
            "a/b; x; (c (d) =;) name=\"a b.pdf",
            "a/b;\r\n\tname=\"a\r\n b.pdf\"",
            "a/b; name=\"=?us-ascii?q?a_b?=\r\n =?us-ascii?q?.pdf?=\"",
        ] {
            assert_eq!(name(body).as_deref(), Some("a b.pdf"), "{body}");
        }
        assert_eq!(name("a/b; name=\"a\\\"b\\\\c\"").as_deref(), Some("a\"b\\c"));
        assert_eq!(name("a/b; name=\" \""), None);
    }

    #[test]
    fn continued_parameters_are_joined_before_they_are_decoded() {
        let body = "a/b; name=x; name*1*=%A4b; name*0*=utf-8'de'a%C3; name*2=\"%c\"";
        assert_eq!(name(body).as_deref(), Some("aäb%c"));
        assert_eq!(name("a/b; name*=iso-8859-1''%E4").as_deref(), Some("ä"));
        assert_eq!(name("a/b; name*0=\"../\"; name*1=x").as_deref(), Some("../x"));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in "[a-z/;=*'%\"\\\\() 0-9?]{0,80}") {
            let _ = read(&body);
        }

        #[test]
        fn quoted_name_comes_back(sent in "[^\\x00-\\x1f=]{1,80}") {
            let quoted = sent.replace('\\', "\\\\").replace('"', "\\\"");
            let back = name(&format!("a/b; name=\"{quoted}\"")).unwrap_or_default();
            prop_assert_eq!(back, sent.trim());
        }
    }
}

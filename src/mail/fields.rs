//! Header sections: where they end and which fields they hold (RFC 5322 §2.2).
//!
//! Bare LF is a line end as CRLF is. Nothing is decoded here; see `decode`. Every octet is looked
//! at a bounded number of times.

/// One header field, undecoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    /// As sent, without white space around it.
    pub(super) name: &'a [u8],
    /// All after the colon, folded as sent, line end included.
    pub(super) body: &'a [u8],
}

impl Field<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The index after the line that begins at `from`, its line end included.
pub(super) fn line_end(octets: &[u8], from: usize) -> usize {
    let rest = octets.get(from..).unwrap_or_default();
    let end = rest.iter().position(|octet| *octet == b'\n');
    end.map_or(octets.len(), |end| from.saturating_add(end).saturating_add(1))
}

/// Where a header section ends and where its body begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SectionEnd {
    pub(super) header: usize,
    pub(super) body: usize,
}

/// Finds the end of the header section that begins at `from`: an empty line, a line for which
/// `stop` holds, or a line that can be no field.
///
/// A line that is no field is passed over when a field follows it (a broken fold, mbox's `From `),
/// else it begins the body: so a message without an empty line keeps its body.
pub(super) fn section_end(octets: &[u8], from: usize, stop: impl Fn(&[u8]) -> bool) -> SectionEnd {
    let mut at = from;
    while at < octets.len() {
        let next = line_end(octets, at);
        let line = octets.get(at..next).unwrap_or_default();
        if matches!(line, b"\n" | b"\r\n") {
            return SectionEnd { header: at, body: next };
        }
        if stop(line) {
            return SectionEnd { header: at, body: at };
        }
        let belongs = is_folded(line) || field_name(line).is_some() || {
            let follower = octets.get(next..line_end(octets, next)).unwrap_or_default();
            field_name(follower).is_some() && !stop(follower)
        };
        if !belongs {
            return SectionEnd { header: at, body: at };
        }
        at = next;
    }
    SectionEnd { header: octets.len(), body: octets.len() }
}

/// The fields of a header section, from the top.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < header.len() {
            let start = at;
            at = line_end(header, at);
            let Some(name) = field_name(header.get(start..at).unwrap_or_default()) else {
                continue;
            };
            while header.get(at).is_some_and(|octet| matches!(octet, b' ' | b'\t')) {
                at = line_end(header, at);
            }
            let whole = header.get(start..at).unwrap_or_default();
            let colon = whole.iter().position(|octet| *octet == b':').unwrap_or(0);
            let body = whole.get(colon.saturating_add(1)..).unwrap_or_default();
            return Some(Field { name, body });
        }
        None
    })
}

pub(super) fn is_folded(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

/// The name of the field that a line begins (RFC 5322 §2.2: printable, no colon); white space
/// before the colon is tolerated (§4.5.8).
pub(super) fn field_name(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|octet| !matches!(octet, 33..=57 | 59..=126))?;
    let (name, rest) = line.split_at_checked(colon)?;
    let after = rest.iter().find(|octet| !matches!(octet, b' ' | b'\t'))?;
    (!name.is_empty() && *after == b':').then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(header: &[u8]) -> Vec<String> {
        fields(header).map(|f| String::from_utf8_lossy(f.name).into_owned()).collect()
    }

    fn split(octets: &[u8]) -> (&[u8], &[u8]) {
        let end = section_end(octets, 0, |_| false);
        (&octets[..end.header], &octets[end.body..])
    }

    #[test]
    fn section_ends_at_the_empty_line_whatever_the_line_ends() {
        assert_eq!(split(b"A: 1\r\nB: 2\r\n\r\nbody"), (&b"A: 1\r\nB: 2\r\n"[..], &b"body"[..]));
        assert_eq!(split(b"A: 1\n\nbody"), (&b"A: 1\n"[..], &b"body"[..]));
        assert_eq!(split(b"\nbody"), (&b""[..], &b"body"[..]));
    }

    #[test]
    fn body_without_an_empty_line_is_kept() {
        assert_eq!(split(b"A: 1\nHello,\nyou\n"), (&b"A: 1\n"[..], &b"Hello,\nyou\n"[..]));
        assert_eq!(split(b"no header at all"), (&b""[..], &b"no header at all"[..]));
    }

    #[test]
    fn line_that_is_no_field_does_not_end_the_section_while_fields_follow() {
        let octets = b"From x Mon Jan 1\nA: 1\nbroken fold\nB : 2\n\nbody";
        assert_eq!(split(octets).1, b"body");
        assert_eq!(names(split(octets).0), ["A", "B"]);
    }

    #[test]
    fn folded_fields_are_one_field() {
        let header = b"A: 1\r\n\t2\r\nB:3\r\n";
        let bodies: Vec<_> = fields(header).map(|f| f.body).collect();
        assert_eq!(bodies, [&b" 1\r\n\t2\r\n"[..], &b"3\r\n"[..]]);
    }
}

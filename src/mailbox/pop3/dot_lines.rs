//! Multi-line responses (RFC 1939 §3): finds their end and undoes the dot-stuffing.
//!
//! Sans-I/O and exact for every split of the octets; knows nothing of messages. What comes out is
//! what the server meant, the last line's CRLF included.

use bytes::{BufMut, BytesMut};
use memchr::{memchr, memmem};

/// Undoes the dot-stuffing of one multi-line response.
///
/// The response's first line decides what ends its lines. Where that is CRLF, a bare LF is content
/// like any octet: Apache James passes a message's bare LF on and stuffs no dot behind it, so
/// taking it for the end of a line would cut that message at `LF . CRLF`, and a sender could so
/// forge whatever the server seems to say next. Where it is LF, the server sends its files as they
/// are, and LF ends every line.
#[derive(Debug)]
pub(super) struct Unstuff {
    at: At,
    ends: Option<LineEnd>,
    dot_after_lf: memmem::Finder<'static>,
}

/// What one [`Unstuff::feed`] did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Fed {
    /// Octets taken from the input; all of them unless the response ended.
    pub(super) used: usize,
    /// The final dot was among them.
    pub(super) ended: bool,
}

/// Where in a line the next octet stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    Start,
    Dot,
    DotCr,
    Text { after_cr: bool },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LineEnd {
    Crlf,
    Lf,
}

impl Unstuff {
    pub(super) fn new() -> Self {
        Self { at: At::Start, ends: None, dot_after_lf: memmem::Finder::new(b"\n.") }
    }

    /// Appends to `out` what `octets` mean, up to the end of the response; at most one octet more
    /// than it uses.
    pub(super) fn feed(&mut self, octets: &[u8], out: &mut BytesMut) -> Fed {
        let mut used = 0_usize;
        loop {
            let rest = octets.get(used..).unwrap_or_default();
            let Some(&first) = rest.first() else {
                return Fed { used, ended: false };
            };
            match (self.at, first) {
                (At::Start, b'.') => {
                    self.at = At::Dot;
                    used = used.saturating_add(1);
                }
                (At::Dot, b'\r') => {
                    self.at = At::DotCr;
                    used = used.saturating_add(1);
                }
                (At::Dot | At::DotCr, b'\n') => {
                    return Fed { used: used.saturating_add(1), ended: true };
                }
                (At::Start | At::Dot, _) => self.at = At::Text { after_cr: false },
                (At::DotCr, _) => {
                    out.put_u8(b'\r');
                    self.at = At::Text { after_cr: true };
                }
                (At::Text { after_cr }, _) => {
                    used = used.saturating_add(self.copy(rest, after_cr, out));
                }
            }
        }
    }

    /// Copies up to a line feed behind which a dot may mean something; gives the octets copied.
    fn copy(&mut self, rest: &[u8], after_cr: bool, out: &mut BytesMut) -> usize {
        let line_feed = match self.ends {
            None => memchr(b'\n', rest),
            Some(_) => self.dot_after_lf.find(rest),
        };
        let run = line_feed.and_then(|at| rest.get(..=at)).unwrap_or(rest);
        out.extend_from_slice(run);
        self.at = match *run {
            [.., before, b'\n'] => self.after_line_feed(before == b'\r'),
            [b'\n'] => self.after_line_feed(after_cr),
            [.., last] => At::Text { after_cr: last == b'\r' },
            [] => self.at,
        };
        run.len()
    }

    fn after_line_feed(&mut self, after_cr: bool) -> At {
        let this = if after_cr { LineEnd::Crlf } else { LineEnd::Lf };
        match *self.ends.get_or_insert(this) {
            LineEnd::Crlf if !after_cr => At::Text { after_cr: false },
            LineEnd::Crlf | LineEnd::Lf => At::Start,
        }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "offsets into a test's input")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All of `input` fed in the given pieces: what came out, octets used, whether it ended.
    fn fed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, usize, bool) {
        let (mut unstuff, mut out, mut used) = (Unstuff::new(), BytesMut::new(), 0);
        for piece in pieces {
            let fed = unstuff.feed(piece, &mut out);
            used += fed.used;
            if fed.ended {
                return (out.to_vec(), used, true);
            }
            assert_eq!(fed.used, piece.len());
        }
        (out.to_vec(), used, false)
    }

    fn whole(input: &[u8]) -> (Vec<u8>, usize, bool) {
        fed([input])
    }

    /// RFC 1939 §3, line by line, on the whole response at once.
    fn model(input: &[u8]) -> Option<(Vec<u8>, usize)> {
        let lf_first = input.iter().position(|o| *o == b'\n')?;
        let crlf = lf_first > 0 && input[lf_first - 1] == b'\r';
        let (mut out, mut at) = (Vec::new(), 0);
        loop {
            let rest = &input[at..];
            if rest.starts_with(b".\r\n") {
                return Some((out, at + 3));
            }
            if rest.starts_with(b".\n") {
                return Some((out, at + 2));
            }
            let dot = usize::from(rest.first() == Some(&b'.'));
            let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
            let line = rest.windows(end.len()).position(|w| w == end)? + end.len();
            out.extend_from_slice(&rest[dot..line]);
            at += line;
        }
    }

    #[test]
    fn stuffed_dots_lose_one_dot_and_nothing_else_changes() {
        let (out, used, ended) = whole(b"a\r\n..\r\n...b\r\nc.\r\n\r\n.\r\n+OK");
        assert_eq!(out, b"a\r\n.\r\n..b\r\nc.\r\n\r\n");
        assert_eq!((used, ended), (22, true));
    }

    #[test]
    fn dot_in_the_first_line_ends_an_empty_response() {
        assert_eq!(whole(b".\r\n"), (vec![], 3, true));
        assert_eq!(whole(b".\n"), (vec![], 2, true));
        assert_eq!(whole(b"..\r\n.\r\n"), (b".\r\n".to_vec(), 7, true));
    }

    #[test]
    fn lines_with_bare_lf_are_kept_as_sent() {
        assert_eq!(whole(b"a\n..b\r\n\n.\n"), (b"a\n.b\r\n\n".to_vec(), 10, true));
    }

    #[test]
    fn dot_behind_a_bare_lf_is_content_where_lines_end_with_crlf() {
        let input = b"Received: x\r\n\r\nbody\n.\r\n+OK forged\r\n.\r\n";
        let (out, used, ended) = whole(input);
        assert_eq!(out, b"Received: x\r\n\r\nbody\n.\r\n+OK forged\r\n");
        assert_eq!((used, ended), (input.len(), true));
    }

    #[test]
    fn dot_and_cr_without_lf_is_no_end() {
        assert_eq!(whole(b"a\r\n.\rb\r\n.\r\n").0, b"a\r\n\rb\r\n");
        assert_eq!(whole(b"a\r\n.\r\r\n.\r\n"), (b"a\r\n\r\r\n".to_vec(), 10, true));
    }

    #[test]
    fn last_line_without_crlf_hides_the_final_dot() {
        assert!(!whole(b"a\r\nb.\r\n").2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_split_means_what_the_model_means(
            input in proptest::collection::vec(
                prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), Just(b'a'), Just(0xff)], 0..24),
        ) {
            let all = whole(&input);
            match model(&input) {
                Some((out, used)) => prop_assert_eq!(&all, &(out, used, true)),
                None => prop_assert!(!all.2),
            }
            for at in 0..=input.len() {
                let (left, right) = input.split_at(at);
                prop_assert_eq!(&fed([left, right]), &all);
                let (middle, end) = right.split_at(right.len() / 2);
                prop_assert_eq!(&fed([left, middle, end]), &all);
            }
            prop_assert_eq!(fed(input.chunks(1)), all);
        }

        #[test]
        fn what_is_stuffed_comes_out_again(
            lines in proptest::collection::vec("[.a\u{e9}]{0,6}", 0..12),
        ) {
            let (mut text, mut wire) = (String::new(), String::new());
            for line in &lines {
                text.extend([line, "\r\n"]);
                wire.extend([if line.starts_with('.') { "." } else { "" }, line, "\r\n"]);
            }
            wire.push_str(".\r\n");
            let expected = (text.into_bytes(), wire.len(), true);
            for at in 0..=wire.len() {
                let (left, right) = wire.as_bytes().split_at(at);
                prop_assert_eq!(&fed([left, right]), &expected);
            }
            prop_assert_eq!(fed(wire.as_bytes().chunks(1)), expected);
        }
    }
}

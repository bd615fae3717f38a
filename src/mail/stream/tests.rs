//! What comes from a file is what comes from memory, however the file is read.
//!
//! Differences there may be, each by a bound of [`Sizes`]:
//! - a boundary, or a field's name, longer than [`Sizes::line`] is none;
//! - a body above [`Sizes::gather`] in a set of several octets a character (not UTF-8) is cut;
//! - attachments whose names together are longer than [`Sizes::names`] are left out;
//! - an attached message's subject is sought in [`Sizes::nested_header`] octets;
//! - with more than 50 warnings others may be kept.

mod fuzz;

use std::convert::Infallible;
use std::io::Cursor;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::mail::parse;

/// What a sink was given.
#[derive(Debug, Default)]
struct Found {
    text: Option<String>,
    html: Option<String>,
    attachments: Vec<(Attachment<'static>, Vec<u8>)>,
    /// Octets of the largest piece.
    largest: usize,
}

impl Sink for Found {
    type Error = Infallible;

    fn text(&mut self, text: &str) -> Result<(), Infallible> {
        self.largest = self.largest.max(text.len());
        self.text.get_or_insert_default().push_str(text);
        Ok(())
    }

    fn html(&mut self, text: &str) -> Result<(), Infallible> {
        self.largest = self.largest.max(text.len());
        self.html.get_or_insert_default().push_str(text);
        Ok(())
    }

    fn attachment(&mut self, head: Attachment<'static>) -> Result<(), Infallible> {
        self.attachments.push((head, Vec::new()));
        Ok(())
    }

    fn data(&mut self, octets: &[u8]) -> Result<(), Infallible> {
        self.largest = self.largest.max(octets.len());
        self.attachments.last_mut().unwrap().1.extend_from_slice(octets);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn abandon(&mut self) -> Result<(), Infallible> {
        panic!("the parser failed");
    }
}

fn stream(octets: &[u8], sizes: Sizes, limits: &Limits) -> (Facts<'static>, Found) {
    let mut found = Found::default();
    let blocks = Blocks::new(Cursor::new(octets), sizes);
    let facts = extract_by(blocks, octets.len() as u64, limits, &mut found).unwrap();
    (facts, found)
}

/// Compares all that both ways give.
fn assert_same(octets: &[u8], sizes: Sizes, limits: &Limits) {
    let whole = parse(octets, limits);
    let (facts, found) = stream(octets, sizes, limits);
    let shown = String::from_utf8_lossy(octets.get(..2000).unwrap_or(octets)).into_owned();
    let cut = |w: &crate::mail::Warning| w.detail.starts_with("only the beginning of a large text");
    if facts.warnings.iter().any(cut) {
        assert!(sizes.gather < Sizes::default().gather, "{shown}");
        return;
    }
    assert_eq!(
        serde_json::to_value(&facts).unwrap(),
        serde_json::to_value(&whole).unwrap(),
        "{sizes:?} {shown:?}"
    );
    assert_eq!(facts.received_field, whole.received_field, "{shown:?}");
    assert_eq!((&found.text, &found.html), (&whole.text, &whole.html), "{sizes:?} {shown:?}");
    assert_eq!(found.attachments.len(), whole.attachments.len(), "{sizes:?} {shown:?}");
    for ((head, content), other) in found.attachments.iter().zip(&whole.attachments) {
        assert_eq!(
            serde_json::to_value(head).unwrap(),
            serde_json::to_value(other).unwrap(),
            "{sizes:?} {shown:?}"
        );
        assert!(head.octets.is_empty());
        assert!(*content == *other.octets, "{:?} {sizes:?} {shown:?}", head.name);
    }
}

/// Blocks of so many octets, and bodies above so many in pieces.
fn sizes(block: u64, gather: usize) -> Sizes {
    Sizes { block, gather, ..Sizes::default() }
}

const WAYS: [(u64, usize); 7] =
    [(1, 0), (2, 0), (3, 10), (7, 0), (61, 4 << 20), (256 << 10, 0), (256 << 10, 4 << 20)];

const NARROW: Limits =
    Limits { parts: 4, files: 2, nesting: 2, header: 60, decoded_factor: 0, decoded_extra: 30 };

fn with_crlf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for octet in octets {
        if *octet == b'\n' && out.last() != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(*octet);
    }
    out
}

fn messages(folder: PathBuf) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    files.flat_map(std::fs::read).flat_map(|m| [with_crlf(&m), m]).collect()
}

#[test]
fn samples_come_out_the_same_in_blocks_of_any_size() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let messages = messages(folder);
    assert!(messages.len() > 50);
    for message in &messages {
        for (block, gather) in WAYS {
            assert_same(message, sizes(block, gather), &Limits::default());
            assert_same(message, sizes(block, gather), &NARROW);
        }
        for cut in (0..message.len()).step_by(13) {
            assert_same(&message[..cut], sizes(97, 0), &Limits::default());
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the corpus is named by the environment")]
fn corpus_comes_out_the_same_in_blocks_of_any_size() {
    let Ok(folder) = std::env::var("POSTRIDER_CORPUS") else {
        println!("skipped: no corpus (set POSTRIDER_CORPUS)");
        return;
    };
    for message in &messages(folder.into()) {
        for (block, gather) in [(5, 0), (256 << 10, 0), (256 << 10, 4 << 20)] {
            assert_same(message, sizes(block, gather), &Limits::default());
        }
        assert_same(message, sizes(1000, 0), &NARROW);
    }
}

/// Lines of which messages are made here.
const LINES: &[&[u8]] = &[
    b"",
    b"",
    b"",
    b"\r",
    b"--a",
    b"--a--",
    b"--a  \t",
    b"--b",
    b"--b--",
    b"--b-",
    b"--ab",
    b"--",
    b"-",
    b" ",
    b" folded",
    b"\tfolded",
    b"no field",
    b"Subject: s",
    b"Subject:  =?utf-8?q?=C3=A4?=",
    b"Content-Type: multipart/mixed; boundary=a",
    b"Content-Type: multipart/alternative; boundary=b",
    b"Content-Type: multipart/digest; boundary=ab",
    b"Content-Type: multipart/mixed",
    b"Content-Type: message/rfc822",
    b"Content-Type: text/html; charset=utf-8",
    b"Content-Type: text/plain; charset=utf-8",
    b"Content-Type: text/plain",
    b"Content-Type: text/html; charset=iso-8859-2",
    b"Content-Type: text/plain; charset=koi8-r",
    b"Content-Type: text/plain; charset=windows-1253",
    b"Content-Type: text/plain; charset=nonesuch",
    b"Content-Type: text/plain; charset=gb18030",
    b"Content-Type: text/plain; charset=utf-16",
    b"Content-Type: text/plain; name=n.txt",
    b"Content-Type: a/b; name=a.bin",
    b"Content-Disposition: attachment; filename=f",
    b"Content-Disposition: inline",
    b"Content-ID: <c@d>",
    b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: quoted-printable",
    b"Content-Transfer-Encoding: x-uu",
    b"SGFsbG8gSGFsbG8=",
    b"SGFsbG8gSGFsbG8gSGFs",
    b"SGFs!bG8",
    b"SGF=",
    b"SGF=SGFs",
    b"S",
    b"\xffSGFs",
    b"=3D=C3=A4 =e4=",
    b"a=",
    b"=4",
    b"==3D=3",
    b"a=20  ",
    b"soft =  ",
    b"\xe4\xf6 \xd2\xaf",
    "äöü €".as_bytes(),
    b"\xe2\x82",
    b"\xac\xf0\x9f",
    b"cr\rcr\r",
    b"\xa4\xa4\x1b$B",
    b"x\0y",
];

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::sample::select(LINES).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ]
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let ended = (line(), prop::sample::select(vec![&b"\n"[..], b"\r\n", b"\r\n", b"\r\r\n"]));
    let lines = prop::collection::vec(ended, 0..40);
    lines.prop_map(|lines| {
        lines.into_iter().flat_map(|(line, end)| [line, end.to_vec()].concat()).collect()
    })
}

/// One part of each kind, with content that is all of what can go wrong.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let heads = prop::collection::vec(line(), 0..3);
    let lines = prop::collection::vec(line(), 0..20);
    (heads, lines).prop_map(|(heads, lines)| {
        let heads = heads.into_iter().filter(|head| head.contains(&b':'));
        let lines = heads.chain([Vec::new()]).chain(lines);
        let part = lines.flat_map(|line| [&line[..], b"\r\n"].concat());
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
            .iter()
            .copied()
            .chain(part)
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_message_comes_out_the_same(
        message in prop_oneof![message(), part()],
        block in 1_u64..90,
        gather in prop_oneof![Just(0_usize), Just(40)],
        narrow: bool,
    ) {
        let limits = if narrow { NARROW } else { Limits::default() };
        assert_same(&message, sizes(block, gather), &limits);
    }

    #[test]
    fn quoted_printable_in_long_lines_comes_out_the_same(
        lines in prop::collection::vec(line(), 0..60),
        line in 1_usize..40,
        block in 1_u64..20,
    ) {
        let content = lines.concat();
        let range = 0..content.len() as u64;
        let few = Sizes { line, ..sizes(block, 0) };
        let mut blocks = Blocks::new(Cursor::new(&content), few);
        let look = Coded::look::<_, Infallible>(&mut blocks, range, Encoding::QuotedPrintable);
        let coded = look.unwrap();
        let octets = coded.gather::<_, Infallible>(&mut blocks).unwrap();
        prop_assert_eq!((octets, coded.sound), decode::quoted_printable(&content));
    }
}

/// Streams what no block holds and says what was found.
fn large(head: &str, unit: &[u8], count: usize, tail: &str) -> (Facts<'static>, Found) {
    let octets = [head.as_bytes(), &unit.repeat(count), tail.as_bytes()].concat();
    assert_same(&octets, sizes(64 << 10, 0), &Limits::default());
    stream(&octets, sizes(64 << 10, 0), &Limits::default())
}

#[test]
fn c14_line_without_end_is_taken_in_pieces() {
    for encoding in ["7bit", "quoted-printable", "base64"] {
        let head = format!("Content-Transfer-Encoding: {encoding}\n\n");
        for unit in [&b"abcd"[..], b"=3D ", b"    ", b"--b-"] {
            let (_, found) = large(&head, unit, 1 << 20, "x");
            assert!(found.largest <= 128 << 10, "{encoding} {}", found.largest);
        }
    }
}

#[test]
fn c04_header_without_end_is_cut_at_its_limit() {
    for unit in [&b"X-A: 12345\r\n"[..], b"X:", b" ", b"no field\nX: y\n"] {
        let (facts, _) = large("Subject: s\r\n", unit, (3 << 20) / unit.len(), "");
        assert!(facts.warnings.iter().any(|w| w.code == WarningCode::HeaderTruncated));
    }
}

#[test]
fn c02_multiparts_nested_a_hundred_thousand_deep_end() {
    use std::fmt::Write as _;
    let mut mail = String::new();
    for i in 0..100_000 {
        write!(mail, "Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n").unwrap();
    }
    assert_same(mail.as_bytes(), Sizes::default(), &Limits::default());
    let mail = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
    assert_same(mail.as_bytes(), Sizes::default(), &Limits::default());
}

#[test]
fn c01_c04_many_parts_and_lines_like_boundaries_take_linear_time() {
    let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    large(head, b"--b\r\nContent-Type: a/b; name=a.pdf\r\n\r\nx\r\n", 20_000, "");
    large(head, b"--b\r\nContent-Type: multipart/mixed; boundary=never\r\n\r\nx\r\n", 30_000, "");
    large(head, b"--bb\r\n", 1 << 20, "--b--\r\n");
    large(head, b"--b\r\n", 100_000, "");
}

#[test]
fn names_are_bounded_together() {
    let few = Sizes { names: 100, ..sizes(1000, 0) };
    let part = format!("--b\r\nContent-Type: a/b; name={}\r\n\r\nx\r\n", "n".repeat(30));
    let mail = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", part.repeat(9));
    let (facts, found) = stream(mail.as_bytes(), few, &Limits::default());
    assert_eq!(found.attachments.len(), 3);
    assert!(facts.warnings.iter().any(|w| w.code == WarningCode::PartsTruncated));
}

#[test]
fn large_text_of_several_octets_a_character_is_cut_at_a_line_and_says_so() {
    let head = b"Content-Type: text/plain; charset=gb18030\n\n";
    let octets = [&head[..], &b"\xc4\xe3\xba\xc3\n".repeat(20)].concat();
    let (facts, found) = stream(&octets, sizes(7, 23), &Limits::default());
    assert_eq!(found.text.unwrap(), "你好\n".repeat(4));
    assert_eq!(facts.warnings[0].code, WarningCode::DecodedTruncated);
}

//! The sieve, octet by octet.

use async_imap::imap_proto::Response;
use proptest::prelude::*;

use super::*;

fn sift(input: &[u8]) -> Result<Vec<u8>, NetError> {
    let mut out = Vec::new();
    Sieve::new().feed(input, &mut out)?;
    Ok(out)
}

fn text(input: &str) -> String {
    String::from_utf8(sift(input.as_bytes()).unwrap()).unwrap()
}

fn refusal(input: &str) -> String {
    sift(input.as_bytes()).unwrap_err().to_string()
}

#[test]
fn what_is_wanted_passes_as_it_is() {
    for line in [
        "* OK [UIDVALIDITY 7] hm\r\n",
        "A1 NO [LIMIT] {12}\r\n",
        "* 5 EXISTS\r\n",
        "* 5 EXPUNGE\r\n",
        "* SEARCH 1 2 3\r\n",
        "* LIST (\\HasNoChildren) \"\\\\\" INBOX\r\n",
        "* 1 FETCH (UID 5 BODY[] {5}\r\na)\r\nb)\r\n",
        "* 1 fetch (UID 5 FLAGS (\\Seen))\r\n",
        "+ go on\r\n",
    ] {
        assert_eq!(text(line), line);
    }
}

#[test]
fn what_nobody_asked_for_is_dropped_with_its_literals() {
    let noise = "* METADATA \"\" (/private/\u{fc} {3}\r\nA1 x)\r\n* ID NIL\r\n* XYZZY\r\n\
                 * 1 RECENT\r\n* CAPABILITY  a\r\n* ACL x\r\n";
    assert_eq!(text(&format!("{noise}A1 OK done\r\n")), "A1 OK done\r\n");
}

#[test]
fn quoted_strings_with_a_backslash_become_literals() {
    assert_eq!(
        text("* 1 FETCH (BODY[] \"a \\\"b\\\\ (\" UID 3)\r\n"),
        "* 1 FETCH (BODY[] {7}\r\na \"b\\ ( UID 3)\r\n"
    );
    assert_eq!(text("* LIST () \"\\\\\" \"a\\\"b\"\r\n"), "* LIST () \"\\\\\" {3}\r\na\"b\r\n");
}

#[test]
fn missing_dates_and_octets_behind_a_code_are_made_harmless() {
    assert_eq!(
        text("* 1 FETCH (UID 1 internaldate nil)\r\n"),
        "* 1 FETCH (UID 1 internaldate \"0\")\r\n"
    );
    let body = "* 1 FETCH (BODY[] \"INTERNALDATE NIL\")\r\n";
    assert_eq!(text(body), body, "within a string it is text");
    assert_eq!(sift(b"* OK [ALERT]\xe9\r\n").unwrap(), b"* OK [ALERT]?\r\n");
}

#[test]
fn quote_that_nothing_closes_hides_no_missing_date() {
    assert_eq!(
        text("* 1 FETCH (X \" INTERNALDATE NIL UID 1)\r\n"),
        "* 1 FETCH (X \" INTERNALDATE \"0\" UID 1)\r\n"
    );
    let many = format!("* 1 FETCH ({}\r\n", "\\\"".repeat(500_000));
    assert_eq!(text(&many), many, "in linear time");
}

#[test]
fn bare_line_feeds_end_lines_too() {
    assert_eq!(text("* 5 EXISTS \nA1 OK\n"), "* 5 EXISTS\r\nA1 OK\r\n");
}

#[test]
fn binary_literals_are_literals() {
    assert_eq!(text("* 1 FETCH (BODY[] ~{2}\r\n()\r\n"), "* 1 FETCH (BODY[] {2}\r\n()\r\n");
}

#[test]
fn too_much_of_anything_is_refused() {
    assert!(refusal("* 1 FETCH (BODY[] {4294967296}\r\n").contains("literal of 4294967296"));
    assert!(refusal("* 1 FETCH (BODY[] {99999999999999999999999}\r\n").contains("literal of"));
    assert!(refusal(&"x".repeat(LINE_MAX + 1)).contains("line"));
    assert!(refusal(&format!("* 1 FETCH {}\r\n", "(".repeat(51))).contains("parentheses"));
    let mut sieve = Sieve::new();
    sieve.set_caps(100, 1000);
    let mut out = Vec::new();
    let line = "* OK still here\r\n".repeat(10);
    let results: Vec<_> = (0..10).map(|_| sieve.feed(line.as_bytes(), &mut out)).collect();
    assert!(results[4].is_ok() && results[6].is_err());
}

#[test]
fn uid_of_a_literal_that_is_too_large_is_known() {
    let mut sieve = Sieve::new();
    sieve.set_caps(100, 1000);
    let line = b"* 1 FETCH (FLAGS () UID 77 BODY[] {101}\r\n";
    assert!(sieve.feed(line, &mut Vec::new()).is_err());
    assert_eq!(sieve.current_uid(), Some(77));
}

/// Lines that are near the grammar, so that a random one reaches deep into it.
fn server_octets() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"* ".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"1 FETCH (UID 5 ".to_vec()),
        Just(b"BODY[] ".to_vec()),
        Just(b"BODY[]<0> NIL".to_vec()),
        Just(b"BODYSTRUCTURE (((".to_vec()),
        Just(b"INTERNALDATE NIL ".to_vec()),
        Just(b"RFC822.SIZE 12 ".to_vec()),
        Just(b"FLAGS (\\Seen".to_vec()),
        Just(b"LIST (\\Noselect) \"/\" ".to_vec()),
        Just(b"METADATA \"\" (/private/x {2}\r\n".to_vec()),
        Just(b"OK [ALERT]".to_vec()),
        Just(b"A1 NO [BADCHARSET (".to_vec()),
        Just(b"SEARCH 1 2".to_vec()),
        Just(b"3 EXISTS".to_vec()),
        Just(b"{3}\r\n".to_vec()),
        Just(b"\"a\\\"".to_vec()),
        Just(b")".to_vec()),
        "[ -~]{0,6}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_split_gives_the_same(input in server_octets(), cuts in any::<[u8; 8]>()) {
        let whole = sift(&input).map_err(|error| error.to_string());
        let mut sieve = Sieve::new();
        let mut out = Vec::new();
        let mut rest = input.as_slice();
        let mut verdict = Ok(());
        for cut in cuts.iter().cycle() {
            let (piece, left) = rest.split_at(rest.len().min(usize::from(*cut % 7) + 1));
            verdict = sieve.feed(piece, &mut out).map_err(|error| error.to_string());
            rest = left;
            if verdict.is_err() || rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(whole, verdict.map(|()| out));
    }

    #[test]
    fn what_passes_never_makes_the_parser_panic(input in server_octets()) {
        if let Ok(out) = sift(&input) {
            let mut rest = out.as_slice();
            while let Ok((left, _)) = Response::parse(rest) {
                rest = left;
            }
        }
    }
}

//! Fuzz target: any octets give the same from memory and from a file, within the limits.

use super::*;
use crate::tests::fuzz::{about, fuzz_from, way};

#[test]
fn fuzz_message_from_a_file_is_that_from_memory() {
    let lines: Vec<String> =
        LINES.iter().map(|line| String::from_utf8_lossy(line).into_owned() + "\r\n").collect();
    let words: Vec<&str> = lines.iter().map(String::as_str).collect();
    fuzz_from(&["tests/samples"], "message", &words, |input| {
        let block = input.len() as u64 % 89 + 1;
        let limits = if input.len() % 3 == 0 { NARROW } else { Limits::default() };
        assert_same(input, sizes(block, 0), &limits);
        let facts = parse(input, &limits);
        let text = facts.text.as_ref().map_or(0, String::len);
        let html = facts.html.as_ref().map_or(0, String::len);
        let files: usize = facts.attachments.iter().map(|file| file.octets.len()).sum();
        let joints = 2 * limits.parts.min(input.len());
        let budget = input.len() * limits.decoded_factor + limits.decoded_extra;
        assert!(text + html + files <= budget + joints);
        assert!(facts.attachments.len() <= limits.files);
        let codes: Vec<_> = facts.warnings.iter().map(|warning| warning.code).take(4).collect();
        way((codes, about(facts.attachments.len()), about(text), about(html)))
    });
}

//! Whether a message's own structure shows that its end is there.

use super::Warnings;
use super::fields::fields;
use super::header_section;
use super::parameters::Parameters;

/// Whether a message is a multipart whose end boundary has come (RFC 2046 §5.1.1). Of any other
/// message nothing but its length tells where it ends.
///
/// `head` holds its header section, `tail` its last octets; the boundary is looked for there.
pub fn is_closed(head: &[u8], tail: &[u8]) -> bool {
    let mut warnings = Warnings::default();
    let declared = fields(header_section(head)).find(|field| field.is("Content-Type"));
    let Some(declared) = declared.map(|field| Parameters::read(field, &mut warnings)) else {
        return false;
    };
    let boundary = declared.get("boundary").filter(|boundary| !boundary.is_empty());
    let (Some(boundary), true) = (boundary, declared.value.starts_with("multipart/")) else {
        return false;
    };
    let ending = format!("--{boundary}--");
    tail.split(|octet| *octet == b'\n').any(|line| line.trim_ascii_end() == ending.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipart_with_its_end_boundary_is_closed() {
        let head =
            b"Subject: x\r\nContent-Type: Multipart/Mixed;\r\n boundary=\"a b\"\r\n\r\n--a b--\r\n";
        for (tail, closed) in [
            ("text\r\n--a b--\r\n", true),
            ("text\r\n--a b-- \r\n\r\nepilogue", true),
            ("--a b--", true),
            ("text\r\n--a b\r\n", false),
            ("text --a b--\r\n", false),
            ("", false),
        ] {
            assert_eq!(is_closed(head, tail.as_bytes()), closed, "{tail:?}");
        }
        for head in ["Subject: x\n\n", "Content-Type: text/plain; boundary=b\n\n", ""] {
            assert!(!is_closed(head.as_bytes(), b"--b--\r\n"), "{head:?}");
        }
        assert!(!is_closed(b"Content-Type: multipart/mixed; boundary=\"\"\n\n", b"----\r\n"));
    }
}

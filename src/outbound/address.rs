//! Mail addresses as they go over the wire (RFC 5321 §4.1.2): a dot-atom or UTF-8 local part, and a
//! domain in ASCII.

/// The address with its domain as punycode; `None` where it can't be sent.
///
/// Quoted local parts and address literals are no addresses here: neither is needed to send a
/// notice, and both are ways to smuggle parameters into a command.
pub(super) fn to_wire(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || "()<>[]:;,\\\"@".contains(c);
    let dots = |part: &str| part.starts_with('.') || part.ends_with('.') || part.contains("..");
    if local.is_empty() || local.len() > 64 || local.contains(odd) || dots(local) {
        return None;
    }
    let domain = idna::domain_to_ascii(domain).ok()?;
    let good = !domain.is_empty() && domain.len() <= 253 && !domain.contains(odd) && !dots(&domain);
    good.then(|| format!("{local}@{domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_can_be_sent_pass() {
        assert_eq!(to_wire("a@example.org").as_deref(), Some("a@example.org"));
        assert_eq!(to_wire("a+b@bücher.example").as_deref(), Some("a+b@xn--bcher-kva.example"));
        assert_eq!(to_wire("jürgen@localhost").as_deref(), Some("jürgen@localhost"));
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a b@c",
            "a@b@c",
            "<a@b>",
            "a@b..c",
            "a@b\r\nRCPT TO:<c@d>",
            "a\r\n@b",
            "a@b> SIZE=1",
            "a@[127.0.0.1]",
            "\"a b\"@c",
            "a\u{7f}@b",
            "a\0@b",
        ] {
            assert_eq!(to_wire(bad), None, "{bad:?}");
        }
    }
}

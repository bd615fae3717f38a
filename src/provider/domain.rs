//! Domains of addresses and hosts, compared label by label.

/// The domain of an address, in ASCII and lower case; `None` when it is no address.
pub fn domain_of(address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    let plain = |c: char| !c.is_control() && !c.is_whitespace();
    if local.is_empty() || !local.chars().all(plain) || address.len() > 320 {
        return None;
    }
    let ascii = idna::domain_to_ascii_strict(domain.strip_suffix('.').unwrap_or(domain)).ok()?;
    is_name(&ascii).then_some(ascii)
}

/// Whether a text is a DNS name of letters, digits, hyphens and underscores (RFC 1035 §2.3.4), and
/// not an address.
pub(super) fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x"));
    name.len() <= 253 && name.split('.').all(label) && !numeric
}

/// Whether a host is a domain or in it.
pub fn is_below(host: &str, domain: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let domain = domain.to_ascii_lowercase();
    host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// A name for an account, from an address: what stands before the `@`, in the letters of names.
pub fn suggested_name(address: &str) -> String {
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
    let mut name: String = local
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
        .take(64)
        .collect();
    while name.starts_with(['.', '_', '-']) {
        name.remove(0);
    }
    if name.is_empty() { "mail".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_domain_in_ascii() {
        let domain = |address| domain_of(address);
        assert_eq!(domain("joe@Example.ORG").as_deref(), Some("example.org"));
        assert_eq!(domain("a@b@bücher.example").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(domain("joe@localhost").as_deref(), Some("localhost"));
        for bad in ["joe", "@x.org", "joe@", "joe@[192.0.2.1]", "joe@192.0.2.1", "j\r\n@x.org"] {
            assert_eq!(domain(bad), None, "{bad:?}");
        }
        assert_eq!(domain(&format!("joe@{}", "a.".repeat(200))), None);
    }

    #[test]
    fn a_host_is_below_a_domain_by_whole_labels() {
        assert!(
            is_below("imap.example.org", "example.org") && is_below("Example.org.", "example.org")
        );
        assert!(
            !is_below("badexample.org", "example.org") && !is_below("example.org", "a.example.org")
        );
    }

    #[test]
    fn an_address_suggests_a_name() {
        assert_eq!(suggested_name("Invoices+2026@example.org"), "invoices-2026");
        assert_eq!(suggested_name("__@x"), "mail");
        assert_eq!(suggested_name("Jörg@x"), "j-rg");
    }
}

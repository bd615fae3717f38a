//! Host names: DNS names in ASCII (IDN as punycode, UTS #46) or IP addresses without brackets.

use std::net::IpAddr;

use super::Fault;

/// Hosts that product pages name and that do not exist.
const WRONG: [(&str, &str); 4] = [
    ("pop3.gmail.com", "Gmail's POP3 server is `pop.gmail.com`, port 995"),
    ("pop.3.gmail.com", "Gmail's POP3 server is `pop.gmail.com`, port 995"),
    ("imap4.gmail.com", "Gmail's IMAP server is `imap.gmail.com`, port 993"),
    ("mail.gmail.com", "Gmail's servers are `imap.gmail.com`, `pop.gmail.com`, `smtp.gmail.com`"),
];

pub(super) fn check(text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        return Err(Fault::new("is empty"));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return Err(with_scheme(scheme, rest));
    }
    let unbracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = unbracketed.parse::<IpAddr>() {
        return Ok(ip.to_string());
    }
    if let Some((host, port)) = text.rsplit_once(':') {
        return Err(Fault::new("has a port in it").hint(if port.parse::<u16>().is_ok() {
            format!("split it: `host = \"{host}\"` and `port = {port}`")
        } else {
            "a DNS name or IP address alone".to_owned()
        }));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let ascii = match idna::domain_to_ascii_strict(name) {
        Ok(ascii) if is_dns_name(&ascii) => ascii,
        _ => return Err(Fault::new("is not a DNS name or IP address")),
    };
    match WRONG.iter().find(|(wrong, _)| *wrong == ascii) {
        Some((_, hint)) => Err(Fault::new("does not exist").hint(*hint)),
        None => Ok(ascii),
    }
}

fn with_scheme(scheme: &str, rest: &str) -> Fault {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, Some(port)),
        _ => (host, None),
    };
    let encryption = if scheme.ends_with('s') { "tls" } else { "starttls" };
    let port = port.map(|port| format!(", `port = {port}`")).unwrap_or_default();
    let hint = format!("split it: `host = \"{host}\"`, `encryption = \"{encryption}\"`{port}");
    Fault::new("is a URL").hint(hint)
}

/// RFC 1035 §2.3.4 lengths; letters, digits, hyphens and (as some servers have) underscores.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(text: &str) -> String {
        check(text).unwrap_err().hint.unwrap_or_default()
    }

    #[test]
    fn names_and_addresses_are_taken() {
        assert_eq!(check("imap.example.org").unwrap(), "imap.example.org");
        assert_eq!(check("localhost").unwrap(), "localhost");
        assert_eq!(check("[2001:DB8::1]").unwrap(), "2001:db8::1");
        assert_eq!(check("192.0.2.1").unwrap(), "192.0.2.1");
        assert_eq!(check("Bücher.Example").unwrap(), "xn--bcher-kva.example");
    }

    #[test]
    fn a_port_or_a_scheme_is_to_be_split_off() {
        assert!(hint("imap.example.org:993").contains("port = 993"));
        let split = hint("imaps://joe:secret@imap.example.org:993/INBOX");
        assert!(split.contains("host = \"imap.example.org\""), "{split}");
        assert!(split.contains("encryption = \"tls\"") && split.contains("port = 993"));
        assert!(!split.contains("secret"));
    }

    #[test]
    fn known_wrong_hosts_name_the_right_one() {
        assert!(hint("pop3.gmail.com").contains("pop.gmail.com"));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "a b", "a..b", "-", "ex/ample", "a\u{0}b", &"x".repeat(300)] {
            let taken = check(bad);
            assert!(bad == "-" || taken.is_err(), "{bad}");
        }
    }
}

//! As much of URLs and forms as OAuth2 needs (RFC 3986, WHATWG's form encoding).

use zeroize::Zeroizing;

/// An https URL, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Url {
    /// DNS name, or address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query; begins with `/`.
    pub(super) path: String,
}

impl Url {
    /// Takes an https URL apart; `None` for any other text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("https://")?;
        let rest = rest.split('#').next()?;
        if !rest.bytes().all(|octet| octet.is_ascii_graphic()) {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = (rest.get(..end)?, rest.get(end..)?);
        if authority.is_empty() || authority.contains('@') {
            return None;
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(address) => {
                let (host, after) = address.split_once(']')?;
                (host, after.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = port.map_or(Some(443), |port| port.parse().ok())?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { host: host.to_owned(), port, path })
    }

    /// For the Host field: the port only where it isn't the usual one.
    pub(super) fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 443 { host } else { format!("{host}:{}", self.port) }
    }
}

/// Names and values of a form, in order; wiped when dropped.
#[derive(Default)]
pub(super) struct Form(Vec<(&'static str, Zeroizing<String>)>);

impl Form {
    pub(super) fn add(&mut self, name: &'static str, value: &str) {
        self.0.push((name, Zeroizing::new(value.to_owned())));
    }

    /// `application/x-www-form-urlencoded`.
    pub(super) fn encoded(&self) -> Zeroizing<String> {
        // Reserved at once: growing would leave copies behind that nobody wipes.
        let longest = self.0.iter().map(|(name, value)| {
            name.len().saturating_add(value.len().saturating_mul(3)).saturating_add(2)
        });
        let mut text = Zeroizing::new(String::with_capacity(longest.sum()));
        for (name, value) in &self.0 {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(name);
            text.push('=');
            encode_into(value, &mut text);
        }
        text
    }
}

/// Percent-encodes everything but the unreserved characters.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode_into(text, &mut out);
    out
}

fn encode_into(text: &str, out: &mut String) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(octet));
        } else {
            out.push('%');
            for half in [octet >> 4, octet & 15] {
                out.push(DIGITS.get(usize::from(half)).copied().unwrap_or('0'));
            }
        }
    }
}

/// The value of a name in a query; decoded.
pub(super) fn parameter(query: &str, name: &str) -> Option<Zeroizing<String>> {
    let pair = query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    });
    pair.and_then(decode)
}

fn decode(text: &str) -> Option<Zeroizing<String>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from((high << 4) | low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(octets).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_urls_are_taken_apart_and_others_refused() {
        let url = Url::parse("https://login.example.org:8443/a/token?x=1").unwrap();
        assert_eq!((&*url.host, url.port, &*url.path), ("login.example.org", 8443, "/a/token?x=1"));
        assert_eq!(url.authority(), "login.example.org:8443");
        let url = Url::parse("https://[::1]").unwrap();
        assert_eq!((&*url.host, url.port, &*url.path), ("::1", 443, "/"));
        assert_eq!(url.authority(), "[::1]");
        for bad in ["http://a/", "https://", "https://u@h/", "https://h:x/", "https://h/a\r\nb"] {
            assert_eq!(Url::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn forms_are_encoded_and_queries_decoded() {
        let mut form = Form::default();
        form.add("scope", "https://a/ b");
        form.add("p", "ü&=+");
        assert_eq!(&**form.encoded(), "scope=https%3A%2F%2Fa%2F%20b&p=%C3%BC%26%3D%2B");
        let value = parameter("x=1&code=4%2F0+a%C3%BC&y", "code").unwrap();
        assert_eq!(&**value, "4/0 aü");
        assert_eq!(parameter("code=%4", "code"), None);
        assert_eq!(parameter("a=1", "b"), None);
    }
}

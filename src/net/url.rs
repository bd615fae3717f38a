//! As much of URLs as is asked for here (RFC 3986).

/// A URL of the web, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Url {
    /// Over TLS: `https`.
    pub secure: bool,
    /// DNS name, or address without brackets.
    pub host: String,
    /// 443 or 80, unless it is said.
    pub port: u16,
    /// Path and query; begins with `/`.
    pub path: String,
}

impl Url {
    /// Takes an https URL apart; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_any(text).filter(|url| url.secure)
    }

    /// Takes an https or http URL apart; `None` for any other text.
    pub fn parse_any(text: &str) -> Option<Self> {
        let (rest, secure) = match text.strip_prefix("https://") {
            Some(rest) => (rest, true),
            None => (text.strip_prefix("http://")?, false),
        };
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
        let port = port.map_or(Some(if secure { 443 } else { 80 }), |port| port.parse().ok())?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { secure, host: host.to_owned(), port, path })
    }

    /// For the Host field: the port only where it isn't the usual one.
    pub fn authority(&self) -> String {
        let usual = if self.secure { 443 } else { 80 };
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
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
        let plain = Url::parse_any("http://a.example/x").unwrap();
        assert_eq!((plain.secure, plain.port, &*plain.authority()), (false, 80, "a.example"));
        for bad in ["http://a/", "https://", "https://u@h/", "https://h:x/", "https://h/a\r\nb"] {
            assert_eq!(Url::parse(bad), None, "{bad}");
        }
    }
}

//! What CAPA says (RFC 2449), as far as postrider uses it.

use std::time::Duration;

/// A server's capabilities; all absent when it has no CAPA.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Capabilities {
    /// LOGIN-DELAY: the least time between two logins.
    pub(super) login_delay: Option<Duration>,
    /// SASL mechanisms in capitals; `None` when there is no SASL line.
    pub(super) mechanisms: Option<Vec<String>>,
    /// Commands may be sent before the last one is answered.
    pub(super) pipelining: bool,
    /// STLS (RFC 2595).
    pub(super) stls: bool,
    /// USER and PASS.
    pub(super) user: bool,
}

impl Capabilities {
    /// Those of them that are used, by name.
    pub(super) fn names(&self) -> Vec<String> {
        let words = [("PIPELINING", self.pipelining), ("STLS", self.stls), ("USER", self.user)];
        let mechanisms = self.mechanisms.iter().flatten().map(|name| format!("AUTH={name}"));
        let mut names: Vec<String> = mechanisms.collect();
        names.extend(words.into_iter().filter(|(_, has)| *has).map(|(name, _)| name.to_owned()));
        names
    }

    /// Takes one line of CAPA's response in; unknown ones are left alone.
    pub(super) fn learn(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace();
        let name = words.next().unwrap_or_default().to_ascii_uppercase();
        match name.as_str() {
            "LOGIN-DELAY" => {
                self.login_delay =
                    words.next().and_then(|s| s.parse().ok()).map(Duration::from_secs);
            }
            "PIPELINING" => self.pipelining = true,
            "SASL" => {
                let offered = words.map(str::to_ascii_uppercase);
                self.mechanisms.get_or_insert_default().extend(offered);
            }
            "STLS" => self.stls = true,
            "USER" => self.user = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_lines_neither_hide_others_nor_break_anything() {
        let mut known = Capabilities::default();
        for line in [
            "LOGIN-DELAY 900 USER",
            "UTF8 USER",
            "sasl  SCRAM-SHA-256-PLUS plain ",
            "",
            "x \u{fc}",
            "PIPELINING",
            "LANG",
        ] {
            known.learn(line.as_bytes());
        }
        known.learn(b"\xff\0");
        assert_eq!(known.login_delay, Some(Duration::from_mins(15)));
        assert_eq!(known.mechanisms.unwrap(), ["SCRAM-SHA-256-PLUS", "PLAIN"]);
        assert!(known.pipelining);
        assert!(!known.user && !known.stls);
    }
}

//! What a server offers (RFC 9051 §7.2.2). Pure.

use std::collections::BTreeSet;

use crate::model::Mechanism;

/// A server's capabilities, compared without case.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Capabilities(BTreeSet<String>);

impl Capabilities {
    /// Reads what follows the word CAPABILITY; any number of blanks between two is taken.
    pub(super) fn read(list: &str) -> Self {
        Self(list.split_ascii_whitespace().map(str::to_ascii_uppercase).collect())
    }

    /// Reads an untagged `CAPABILITY …` line, without the `* `.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let (word, list) = line.split_once(' ')?;
        word.eq_ignore_ascii_case("CAPABILITY").then(|| Self::read(list))
    }

    /// Reads the code of a status text: `[CAPABILITY …] words`.
    pub(super) fn of_code(text: &str) -> Option<Self> {
        let (code, _) = text.trim_start().strip_prefix('[')?.split_once(']')?;
        Self::of_line(code)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// All of them, in alphabetical order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The SASL mechanisms that postrider knows.
    pub(super) fn mechanisms(&self) -> impl Iterator<Item = Mechanism> {
        self.0.iter().filter_map(|word| Mechanism::of_name(word.strip_prefix("AUTH=")?))
    }

    /// UID EXPUNGE (RFC 4315), which RFC 9051 includes.
    pub(super) fn has_uid_plus(&self) -> bool {
        self.has("UIDPLUS") || self.has("IMAP4REV2")
    }

    /// UID MOVE (RFC 6851), which RFC 9051 includes.
    pub(super) fn has_move(&self) -> bool {
        self.has("MOVE") || self.has("IMAP4REV2")
    }

    /// Marks of special mailboxes on request (RFC 6154), by LIST's RETURN (RFC 5258).
    pub(super) fn has_special_use(&self) -> bool {
        self.has("SPECIAL-USE") && (self.has("LIST-EXTENDED") || self.has("IMAP4REV2"))
    }

    /// Octets of the largest message that is taken (RFC 7889); 0: each mailbox has its own limit.
    pub(super) fn append_limit(&self) -> Option<u64> {
        if self.has("APPENDLIMIT") {
            return Some(0);
        }
        self.0.iter().find_map(|word| word.strip_prefix("APPENDLIMIT=")?.parse().ok())
    }

    /// Octets that may be sent without waiting for the server (RFC 7888); `None`: none.
    pub(super) fn literal_plus(&self) -> Option<u64> {
        const MINUS: u64 = 4096;
        if self.has("LITERAL+") {
            return Some(u64::MAX);
        }
        (self.has("LITERAL-") || self.has("IMAP4REV2")).then_some(MINUS)
    }

    /// Literals that may hold NUL (RFC 3516), which RFC 9051 includes for APPEND.
    pub(super) fn has_binary(&self) -> bool {
        self.has("BINARY") || self.has("IMAP4REV2")
    }

    pub(super) fn has_condstore(&self) -> bool {
        self.has("CONDSTORE") || self.has("QRESYNC")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_with_double_blanks_and_in_any_case() {
        let found = Capabilities::of_line("CAPABILITY IMAP4rev1  uidplus   AUTH=PLAIN ").unwrap();
        assert!(found.has("AUTH=PLAIN") && found.has_uid_plus() && !found.has_condstore());
    }

    #[test]
    fn code_of_a_status_text_is_read() {
        let found = Capabilities::of_code("[CAPABILITY IMAP4rev1 SASL-IR] Dovecot ready.");
        assert!(found.unwrap().has("SASL-IR"));
        assert_eq!(Capabilities::of_code("Dovecot ready."), None);
        assert_eq!(Capabilities::of_code("[ALERT] CAPABILITY"), None);
    }
}

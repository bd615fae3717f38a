//! What is said and heard when a message is put into a mailbox. Plain data.

use jiff::Timestamp;

/// A mailbox that is to take messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// Decoded name.
    pub mailbox: String,
    /// UIDVALIDITY; 0 where the server gives none.
    pub uid_validity: u32,
    /// UIDNEXT: messages with lower UIDs are there already; 0 where the server doesn't say.
    pub uid_next: u32,
    /// Flags that it keeps (PERMANENTFLAGS); `None`: all.
    pub keeps: Option<Vec<String>>,
    /// Octets of the largest message that it takes (APPENDLIMIT, RFC 7889).
    pub limit: Option<u64>,
    /// It takes messages that hold NUL (BINARY, RFC 3516).
    pub binary: bool,
}

/// A message on its way into a mailbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Letter {
    /// Its octets.
    pub octets: u64,
    /// It holds NUL.
    pub has_nul: bool,
    /// Its flags, as the mailbox keeps them.
    pub flags: Vec<String>,
    /// Its INTERNALDATE.
    pub at: Option<Timestamp>,
}

/// What a server has said of one message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Appended {
    /// It is in the mailbox; its UIDVALIDITY and UID, where the server tells (UIDPLUS).
    Done(Option<(u32, u32)>),
    /// It is not.
    Refused(Refusal),
}

/// Why a message was not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// How far it reaches.
    pub kind: RefusalKind,
    /// The server's words.
    pub said: String,
}

/// How far a refusal reaches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefusalKind {
    /// Nobody may put anything there.
    Forbidden,
    /// This message alone.
    Message,
    /// The mailbox is not there.
    NoMailbox,
    /// The server asks to come later.
    NotNow,
    /// No room is left for this user.
    OverQuota,
}

impl Target {
    /// Of stored flags those that the mailbox keeps and that a client may set: never `\Recent`,
    /// never the one that removes.
    pub fn kept(&self, flags: &[String]) -> Vec<String> {
        const SYSTEM: [&str; 4] = ["\\Answered", "\\Draft", "\\Flagged", "\\Seen"];
        let named = |name: &str, flag: &str| name.eq_ignore_ascii_case(flag);
        let mut kept: Vec<String> = Vec::new();
        for flag in flags {
            let system = SYSTEM.iter().find(|name| named(name, flag));
            let is_new = |keep: &String| keep == "\\*" && system.is_none();
            let keeps = self
                .keeps
                .as_ref()
                .is_none_or(|keeps| keeps.iter().any(|keep| named(keep, flag) || is_new(keep)));
            let may = system.is_some() || is_keyword(flag);
            if keeps && may && !kept.iter().any(|before| named(before, flag)) {
                kept.push(flag.clone());
            }
        }
        kept
    }
}

/// An atom (RFC 9051 §9), which can end no command.
fn is_keyword(flag: &str) -> bool {
    const SPECIALS: &[u8] = b"(){%*\"\\]";
    let is_atom = |octet: u8| octet.is_ascii_graphic() && !SPECIALS.contains(&octet);
    !flag.is_empty() && flag.len() <= 64 && flag.bytes().all(is_atom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(keeps: Option<&[&str]>, flags: &[&str]) -> Vec<String> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (mailbox, limit) = (String::new(), None);
        let keeps = keeps.map(owned);
        let target = Target { mailbox, uid_validity: 1, uid_next: 1, keeps, limit, binary: false };
        target.kept(&owned(flags))
    }

    const ALL: &[&str] = &["\\Seen", "\\deleted", "\\Recent", "\\FLAGGED", "$Forwarded", "Junk"];

    #[test]
    fn flags_are_set_only_as_far_as_the_mailbox_keeps_them() {
        assert_eq!(kept(None, ALL), ["\\Seen", "\\FLAGGED", "$Forwarded", "Junk"]);
        assert_eq!(kept(Some(&["\\Seen", "\\Deleted", "\\Recent"]), ALL), ["\\Seen"]);
        assert_eq!(kept(Some(&["\\Deleted", "\\*"]), ALL), ["$Forwarded", "Junk"]);
        assert_eq!(kept(Some(&["junk", "\\flagged"]), ALL), ["\\FLAGGED", "Junk"]);
        assert!(kept(Some(&[]), ALL).is_empty());
        assert_eq!(kept(None, &["x", "X", "x"]), ["x"]);
    }

    #[test]
    fn what_is_no_flag_goes_into_no_command() {
        let bad = ["", "a b", "x)\r\nR9 DELETE INBOX", "\\Else", "\\*", "é", "a]", "{3}", "\"q\""];
        assert!(kept(None, &bad).is_empty());
    }
}

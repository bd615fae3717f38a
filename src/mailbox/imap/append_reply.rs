//! What a server's answer to APPEND means (RFC 9051 §6.3.12, RFC 4315, RFC 7889). Pure.

use super::dialogue::Done;
use super::said::throttled;
use crate::mailbox::{Refusal, RefusalKind};

/// Where an APPEND has put its message (RFC 4315 §3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct AppendUid {
    tag: String,
    /// UIDVALIDITY of the mailbox that has it; not 0.
    pub(super) uid_validity: u32,
    /// Its UID; not 0.
    pub(super) uid: u32,
}

impl AppendUid {
    /// Reads it out of a tagged status line. A code with several UIDs is no answer to one message.
    pub(super) fn of_line(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let (tag, rest) = line.split_once(' ')?;
        let rest = rest.split_once(' ').filter(|(status, _)| status.eq_ignore_ascii_case("OK"))?.1;
        let (code, _) = rest.trim_start().strip_prefix('[')?.split_once(']')?;
        let mut words = code.split_ascii_whitespace();
        let is_it = words.next()?.eq_ignore_ascii_case("APPENDUID");
        let number = |word: &str| word.parse::<u32>().ok().filter(|number| *number > 0);
        let (uid_validity, uid) = (number(words.next()?)?, number(words.next()?)?);
        let ends = words.next().is_none() && tag != "*" && tag != "+";
        (is_it && ends).then(|| Self { tag: tag.to_owned(), uid_validity, uid })
    }

    /// Takes a command's out of those that came; older ones are nobody's.
    pub(super) fn take(tag: &str, came: &mut Vec<Self>) -> Option<Self> {
        let at = came.iter().position(|found| found.tag == tag)?;
        came.drain(..=at).next_back()
    }
}

/// The limit of one mailbox out of `* STATUS mailbox (APPENDLIMIT n)`; NIL is none.
pub(super) fn append_limit(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    let (_, rest) =
        line.split_at_checked(9).filter(|(head, _)| head.eq_ignore_ascii_case("* STATUS "))?;
    // The last list: a name may hold parentheses.
    let (_, list) = rest.rsplit_once('(')?;
    let mut words = list.split([' ', ')']).filter(|word| !word.is_empty());
    words.find(|word| word.eq_ignore_ascii_case("APPENDLIMIT"))?;
    words.next()?.parse().ok()
}

/// How far a refusal reaches, by its response code (RFC 5530) or, where servers have none, words.
pub(super) fn refusal(done: &Done) -> Refusal {
    let lower = done.said.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let is_full = lower.contains("quota") && has(&["exceed", "full", "over"]);
    let kind = if done.code == "TRYCREATE" || has(&["[trycreate]", "[nonexistent]"]) {
        RefusalKind::NoMailbox
    } else if has(&["[overquota]"]) || is_full {
        RefusalKind::OverQuota
    } else if done.code == "READ-ONLY" || has(&["[noperm]", "[read-only]"]) {
        RefusalKind::Forbidden
    } else if has(&["[limit]", "[toobig]"]) || done.bad {
        RefusalKind::Message
    } else if throttled(&done.said).is_some() {
        RefusalKind::NotNow
    } else {
        RefusalKind::Message
    };
    Refusal { kind, said: done.said.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_of_a_message_is_read_out_of_its_own_answer() {
        let read = |line: &str| AppendUid::of_line(line.as_bytes());
        let found = |tag: &str| AppendUid { tag: tag.to_owned(), uid_validity: 7, uid: 9 };
        assert_eq!(read("R5 OK [APPENDUID 7 9] done"), Some(found("R5")));
        assert_eq!(read("R5 ok [appenduid 7 9]"), Some(found("R5")));
        for line in [
            "* OK [APPENDUID 7 9] x",
            "R5 NO [APPENDUID 7 9] x",
            "R5 OK APPENDUID 7 9",
            "R5 OK done [APPENDUID 7 9]",
            "R5 OK [APPENDUID 7 9:10] x",
            "R5 OK [APPENDUID 7 0] x",
            "R5 OK [APPENDUID 0 9] x",
            "R5 OK [APPENDUID 7] x",
            "R5 OK [COPYUID 7 9 9] x",
            "R5 OK [APPENDUID 7 99999999999] x",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
        let mut came = vec![found("R1"), found("R2"), found("R3")];
        assert_eq!(AppendUid::take("R2", &mut came), Some(found("R2")));
        assert_eq!(AppendUid::take("R2", &mut came), None);
        assert_eq!(came, [found("R3")]);
    }

    #[test]
    fn limit_of_a_mailbox_is_read() {
        for (line, limit) in [
            ("* STATUS \"x\" (APPENDLIMIT 300)", Some(300)),
            ("* status x (MESSAGES 3 appendlimit 257890)", Some(257_890)),
            ("* STATUS \"a (APPENDLIMIT 1)\" (APPENDLIMIT 2)", Some(2)),
            ("* STATUS x (APPENDLIMIT NIL)", None),
            ("* STATUS x (MESSAGES 3)", None),
            ("* STATUS", None),
            ("* OK STATUS x (APPENDLIMIT 3)", None),
        ] {
            assert_eq!(append_limit(line.as_bytes()), limit, "{line}");
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        use RefusalKind::{Forbidden, Message, NoMailbox, NotNow, OverQuota};
        for (code, said, kind) in [
            ("TRYCREATE", "Mailbox doesn't exist: x", NoMailbox),
            ("", "[NONEXISTENT] gone", NoMailbox),
            ("", "[OVERQUOTA] Quota exceeded (mailbox for user is full)", OverQuota),
            ("", "Over quota", OverQuota),
            ("READ-ONLY", "no", Forbidden),
            ("", "[NOPERM] Permission denied", Forbidden),
            ("", "[UNAVAILABLE] try again later", NotNow),
            ("", "[TOOBIG] message is too large", Message),
            ("", "[LIMIT] too many keywords", Message),
            ("", "Message contains NUL characters", Message),
        ] {
            let done = Done { ok: false, bad: false, said: said.to_owned(), code, appended: None };
            assert_eq!(refusal(&done).kind, kind, "{said}");
        }
    }
}

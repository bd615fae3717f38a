//! Replies of a server (RFC 5321 §4.2), with their enhanced codes (RFC 2034, RFC 3463). Pure.

use serde::Serialize;

/// A whole reply; its text is printable, and knows no secret.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// `5.7.60`: class, subject, detail.
    #[serde(serialize_with = "dotted")]
    pub enhanced: Option<[u16; 3]>,
    /// The text of its lines, without their codes.
    pub lines: Vec<String>,
}

impl Reply {
    /// 2yz: done.
    pub fn is_done(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// 3yz: go on.
    pub fn is_intermediate(&self) -> bool {
        (300..400).contains(&self.code)
    }

    /// 4yz: a later try may do.
    pub fn is_transient(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// Everything in one line, with the code.
    pub fn said(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" "))
    }

    /// `5.7.60`.
    pub fn enhanced_text(&self) -> Option<String> {
        self.enhanced.map(|[class, subject, detail]| format!("{class}.{subject}.{detail}"))
    }
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn dotted<S: serde::Serializer>(code: &Option<[u16; 3]>, to: S) -> Result<S::Ok, S::Error> {
    match code {
        Some([class, subject, detail]) => to.serialize_some(&format!("{class}.{subject}.{detail}")),
        None => to.serialize_none(),
    }
}

/// One line of a reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ReplyLine<'a> {
    pub(super) code: u16,
    /// Whether no further line follows.
    pub(super) is_last: bool,
    pub(super) text: &'a [u8],
}

impl<'a> ReplyLine<'a> {
    /// Reads a line without its CRLF; `None` where it is none: no code, or one that means nothing.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let (digits, rest) = line.split_at_checked(3)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let code: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let (is_last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return None,
        };
        (200..600).contains(&code).then_some(Self { code, is_last, text })
    }
}

/// The enhanced code that a text begins with, if it fits the reply's class (RFC 2034 §4).
pub(super) fn enhanced(code: u16, text: &str) -> Option<[u16; 3]> {
    let word = text.split_whitespace().next()?;
    let mut parts = word.split('.');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        let good = (1..=digits).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        good.then(|| part.parse::<u16>().ok())?
    };
    let found = [number(1)?, number(3)?, number(3)?];
    let [class, ..] = found;
    (parts.next().is_none() && Some(class) == code.checked_div(100)).then_some(found)
}

/// What servers write before a message's name.
const BEFORE: [&str; 6] = ["queued as ", "queued mail id ", "queue id ", "ok id=", "id=", "<id "];

/// What stands for the message in the server's queue, of the reply to its end: servers have no
/// common form, so it is what usually goes before or behind `queued as`.
pub(super) fn queue_id(reply: &Reply) -> Option<String> {
    let text = reply.lines.join(" ");
    let lower = text.to_ascii_lowercase();
    let clean = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        (!word.is_empty()).then(|| word.to_owned())
    };
    let behind = BEFORE.iter().find_map(|words| {
        let at = lower.find(words)?.checked_add(words.len())?;
        clean(text.get(at..)?.split_whitespace().next()?)
    });
    behind.or_else(|| {
        // Sendmail, Exim and Dovecot: "2.0.0 ID Message accepted", "2.0.0 <user> ID Saved".
        let words = text.split_whitespace();
        let words: Vec<&str> = words.filter(|word| enhanced(reply.code, word).is_none()).collect();
        let is_id = |word: &&&str| {
            word.len() >= 8
                && word.bytes().any(|b| b.is_ascii_digit())
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=-_.".contains(&b))
        };
        words.iter().find(is_id).and_then(|word| clean(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_a_code_are_none() {
        let good = |line: &str| ReplyLine::parse(line.as_bytes()).is_some();
        assert!(good("250 ok") && good("250-more") && good("250") && good("599 x"));
        for bad in ["", "25", "2500 ok", "ok", "250x", "150 go", "600 x", "2 0 x", "* OK", "+OK"] {
            assert!(!good(bad), "{bad}");
        }
    }

    #[test]
    fn enhanced_codes_are_read_where_they_fit() {
        assert_eq!(enhanced(550, "5.7.60 SMTP; Client"), Some([5, 7, 60]));
        assert_eq!(enhanced(250, "2.0.0 ok"), Some([2, 0, 0]));
        for (code, text) in
            [(550, "4.7.1 x"), (550, "5.7"), (550, "5.7.1.2"), (550, "5.7.1000"), (550, "x")]
        {
            assert_eq!(enhanced(code, text), None, "{text}");
        }
    }

    #[test]
    fn ids_of_common_servers_are_found() {
        let id = |text: &str| {
            queue_id(&Reply { code: 250, enhanced: None, lines: vec![text.to_owned()] })
        };
        for (text, wanted) in [
            ("2.0.0 Ok: queued as 4XyZ12abcd", "4XyZ12abcd"),
            ("OK id=1rABcd-0001Xy-2B", "1rABcd-0001Xy-2B"),
            ("2.0.0 5AB12cd3012345 Message accepted for delivery", "5AB12cd3012345"),
            ("2.0.0 <u1@example.org> kA8sAbCdEf12 Saved", "kA8sAbCdEf12"),
            ("2.0.0 OK 1718000000 a1-20020a05b - gsmtp", "1718000000"),
        ] {
            assert_eq!(id(text).as_deref(), Some(wanted), "{text}");
        }
        assert_eq!(id("2.0.0 taken"), None);
        assert_eq!(id(""), None);
    }
}

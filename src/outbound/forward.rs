//! A stored message sent on: as it came, with a block of Resent fields in front of it (RFC 5322
//! §3.6.6), or as an attachment of a mail of ours.
//!
//! Pure: octets in, octets out. No text of the message gets into a field of ours but its subject,
//! which is encoded.

use std::fmt::Write as _;

use data_encoding::BASE64;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

/// Names the rule that has sent a message on; it never gets there a second time.
pub const FORWARDED_FIELD: &str = "X-Postrider-Forwarded";
/// Received fields of a message that goes round (RFC 5321 §6.3).
const MOST_HOPS: usize = 100;
/// Octets of a line without its end (RFC 5322 §2.1.1).
const LONGEST_LINE: usize = 998;
/// Octets of an encoded word's text, so that the word has 75 (RFC 2047 §2).
const WORD: usize = 45;
/// Octets of a subject that are taken over.
const SUBJECT: usize = 500;

/// What stands in the fields of ours.
#[derive(Clone, Debug)]
pub struct Onward<'a> {
    /// Our address, as it goes over the wire.
    pub from: &'a str,
    /// Recipients, as they go over the wire.
    pub to: &'a [String],
    /// When.
    pub date: Timestamp,
    /// The action's key: the same for each try.
    pub key: &'a str,
    /// The rule's mark, by [`mark`].
    pub mark: &'a str,
}

/// Why a message can't be sent on, whoever tries it how often.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unfit {
    /// `loop` or `refused`.
    pub code: &'static str,
    /// In words.
    pub why: String,
}

/// What [`FORWARDED_FIELD`] says of mail that this rule has sent on: nobody else's rule says it.
pub fn mark(account: &str, rule: &str, to: &[String]) -> String {
    let mut digest = Sha256::new();
    for part in ["postrider forward v1", account, rule].into_iter().chain(to.iter().map(|a| &**a)) {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    data_encoding::HEXLOWER.encode(digest.finalize().get(..12).unwrap_or_default())
}

/// Whether a message with these header fields (names in lower case) may be sent on: none that was
/// sent on by this rule, that goes round, or that answers a mail by itself. An answer to what was sent on
/// would be sent on, too, and so be answered again.
pub fn may_go(fields: &[(String, String)], mark: &str) -> Result<(), Unfit> {
    let all = |name: &'static str| fields.iter().filter(move |(n, _)| n == name).map(|(_, v)| v);
    let unfit = |why: String| Err(Unfit { code: "loop", why });
    let lower = FORWARDED_FIELD.to_ascii_lowercase();
    if fields.iter().any(|(name, value)| *name == lower && value.trim() == mark) {
        return unfit("this rule has sent it on before, and it has come back".to_owned());
    }
    let hops = all("received").count();
    if hops >= MOST_HOPS {
        return unfit(format!("it has {hops} Received fields: it goes round"));
    }
    let starts = |value: &String, word: &str| {
        value.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    if all("auto-submitted").any(|value| starts(value, "auto-replied")) {
        return unfit("it answers a mail by itself (Auto-Submitted: auto-replied)".to_owned());
    }
    if all("content-type").any(|value| starts(value, "multipart/report")) {
        return unfit("it is a report on a mail (multipart/report)".to_owned());
    }
    if all("return-path").any(|value| value.trim() == "<>") {
        return unfit(
            "it has no sender that could be told of a failure (Return-Path: <>)".to_owned(),
        );
    }
    Ok(())
}

/// The message's own octets behind a block of Resent fields.
///
/// A message that SMTP can't carry as it is, is refused: nothing of it is changed.
pub fn resent(octets: &[u8], onward: &Onward<'_>) -> Result<Vec<u8>, Unfit> {
    let unfit = |why: &str| Err(Unfit { code: "refused", why: why.to_owned() });
    let begins = octets.iter().take_while(|octet| octet.is_ascii_graphic() && **octet != b':');
    let name = begins.count();
    if name == 0 || octets.get(name) != Some(&b':') {
        return unfit(
            "its first line is no header field; `forward_as = \"attachment\"` can carry it",
        );
    }
    if !are_lines_fit(octets) {
        return unfit(
            "it has a line of more than 998 octets, a NUL, or a CR or LF alone, which SMTP can't carry; \
             `forward_as = \"attachment\"` can",
        );
    }
    let Onward { from, to, date, key, mark } = onward;
    let mut block = format!(
        "Resent-Date: {}\r\nResent-From: <{from}>\r\nResent-To: {}\r\n\
         Resent-Message-ID: <{}>\r\n{FORWARDED_FIELD}: {mark}\r\n",
        written(*date),
        listed(to),
        message_id(key, from)
    )
    .into_bytes();
    block.extend_from_slice(octets);
    Ok(block)
}

/// A mail of ours with the message as its attachment: as a message where each line may go as it
/// is, else as a file, since a message in a message may not be encoded (RFC 2046 §5.2.1).
pub fn attached(
    octets: &[u8],
    onward: &Onward<'_>,
    (fields, subject): (&[(String, String)], Option<&str>),
) -> Vec<u8> {
    let Onward { from, to, date, key, mark } = onward;
    let mut text = format!(
        "Date: {}\r\nFrom: <{from}>\r\nTo: {}\r\nMessage-ID: <{}>\r\nSubject:{}\r\n\
         Auto-Submitted: auto-generated\r\n{FORWARDED_FIELD}: {mark}\r\n",
        written(*date),
        listed(to),
        message_id(key, from),
        encoded(&format!("Fwd: {}", subject.unwrap_or("(no subject)"))),
    );
    // Marks of rules that had it before, so that none gets it twice.
    let lower = FORWARDED_FIELD.to_ascii_lowercase();
    let is_mark =
        |value: &str| value.len() <= 64 && value.bytes().all(|b| b.is_ascii_alphanumeric());
    for (_, value) in fields.iter().filter(|(name, value)| *name == lower && is_mark(value)) {
        // Writing to a String can't fail.
        write!(text, "{FORWARDED_FIELD}: {value}\r\n").ok();
    }
    let boundary = format!("postrider-{key}");
    let plain = octets.is_ascii() && are_lines_fit(octets);
    let (kind, encoding) =
        if plain { ("message/rfc822", "7bit") } else { ("application/octet-stream", "base64") };
    write!(
        text,
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
         The message is attached as it came.\r\n\r\n\
         --{boundary}\r\nContent-Type: {kind}\r\n\
         Content-Disposition: attachment; filename=\"message.eml\"\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    .ok();
    let mut mail = text.into_bytes();
    if plain {
        mail.extend_from_slice(octets);
    } else {
        for line in octets.chunks(57) {
            mail.extend_from_slice(BASE64.encode(line).as_bytes());
            mail.extend_from_slice(b"\r\n");
        }
    }
    mail.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    mail
}

/// Whether SMTP carries all lines as they are.
fn are_lines_fit(octets: &[u8]) -> bool {
    let mut rest = octets;
    while !rest.is_empty() {
        let end = memchr::memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
        if end > LONGEST_LINE {
            return false;
        }
        rest = match rest.get(end..).unwrap_or_default() {
            [] => return true,
            [b'\r', b'\n', rest @ ..] => rest,
            _ => return false,
        };
    }
    true
}

fn written(date: Timestamp) -> String {
    let zoned = date.to_zoned(TimeZone::UTC);
    zoned.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

fn listed(to: &[String]) -> String {
    to.iter().map(|to| format!("<{to}>")).collect::<Vec<_>>().join(",\r\n ")
}

fn message_id(key: &str, from: &str) -> String {
    let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    format!("{key}@{domain}")
}

/// A foreign text as encoded words, folded, each with a blank before it.
fn encoded(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut words = String::new();
    let (mut word, mut taken) = (String::new(), 0_usize);
    let mut put = |word: &str| {
        let fold = if words.is_empty() { " " } else { "\r\n " };
        // Writing to a String can't fail.
        write!(words, "{fold}=?utf-8?B?{}?=", BASE64.encode(word.as_bytes())).ok();
    };
    for c in clean.chars() {
        taken = taken.saturating_add(c.len_utf8());
        if taken > SUBJECT {
            break;
        }
        if word.len().saturating_add(c.len_utf8()) > WORD {
            put(&word);
            word.clear();
        }
        word.push(c);
    }
    put(&word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn onward(to: &[String]) -> Onward<'_> {
        let date = "2026-11-21T16:00:00Z".parse().unwrap();
        Onward { from: "us@example.org", to, date, key: "k1", mark: "m1" }
    }

    fn to() -> [String; 2] {
        ["a@b.example".to_owned(), "c@d.example".to_owned()]
    }

    fn field(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn resent_message_is_unchanged_behind_a_block_that_is_the_same_for_each_try() {
        let message = b"Received: x\r\nSubject: y\r\n\r\nK\xc3\xb6ln\r\n.\r\n";
        let sent = resent(message, &onward(&to())).unwrap();
        let block = "Resent-Date: Sat, 21 Nov 2026 16:00:00 +0000\r\nResent-From: <us@example.org>\r\n\
                     Resent-To: <a@b.example>,\r\n <c@d.example>\r\n\
                     Resent-Message-ID: <k1@example.org>\r\nX-Postrider-Forwarded: m1\r\n";
        assert_eq!(sent, [block.as_bytes(), message].concat());
        assert_eq!(resent(message, &onward(&to())).unwrap(), sent);
    }

    #[test]
    fn message_that_smtp_cannot_carry_is_refused_rather_than_changed() {
        let long = format!("A: b\r\n\r\n{}\r\n", "x".repeat(999));
        for bad in ["", "\r\nbody\r\n", "From x\r\nA: b\r\n", "A: b\n", "A: b\r\n\r\nc\rd", &long] {
            assert_eq!(
                resent(bad.as_bytes(), &onward(&to())).unwrap_err().code,
                "refused",
                "{bad:?}"
            );
        }
        assert!(resent(b"A: b\r\n\r\nx\0y\r\n", &onward(&to())).is_err());
        let just = format!("A: b\r\n\r\n{}", "x".repeat(998));
        assert!(resent(just.as_bytes(), &onward(&to())).is_ok());
    }

    #[test]
    fn attached_message_is_whole_and_no_line_of_the_mail_is_too_long_or_8_bit() {
        let long = format!("A: b\n\nK\u{f6}ln {}", "x".repeat(3000));
        for message in [b"A: b\r\n\r\nc\r\n".as_slice(), long.as_bytes(), b"", b"\0\r\n"] {
            let subject = "\u{dc}ber\r\nBcc: x@y \u{1f600}".repeat(9);
            let fields =
                [field("x-postrider-forwarded", "m0"), field("x-postrider-forwarded", "a b")];
            let mail = attached(message, &onward(&to()), (&fields, Some(&subject)));
            assert!(mail.is_ascii() && are_lines_fit(&mail));
            let text = String::from_utf8(mail.clone()).unwrap();
            assert!(!text.contains("\r\nBcc:"), "{text}");
            assert!(
                text.contains("\r\nX-Postrider-Forwarded: m1\r\nX-Postrider-Forwarded: m0\r\nMIME")
            );
            let facts = crate::mail::parse(&mail, &crate::mail::Limits::default());
            assert!(facts.subject.as_deref().unwrap().starts_with("Fwd: \u{dc}ber  Bcc: x@y"));
            assert_eq!(facts.message_id.as_deref(), Some("k1@example.org"));
            let carried = facts.attachments[0].octets.trim_ascii_end();
            assert_eq!(carried, message.trim_ascii_end());
        }
    }

    #[test]
    fn what_came_back_goes_round_or_answers_by_itself_is_not_sent_on() {
        assert_eq!(may_go(&[], "m1"), Ok(()));
        let fine =
            [field("auto-submitted", "auto-generated"), field("x-postrider-forwarded", "m2")];
        assert_eq!(may_go(&fine, "m1"), Ok(()));
        let hops = vec![field("received", "x"); 100];
        assert_eq!(may_go(&hops[1..], "m1"), Ok(()));
        for bad in [
            vec![field("x-postrider-forwarded", "m1")],
            vec![field("auto-submitted", "Auto-Replied (vacation)")],
            vec![field("content-type", "multipart/report; report-type=delivery-status")],
            vec![field("return-path", "<>")],
            hops,
        ] {
            assert_eq!(may_go(&bad, "m1").unwrap_err().code, "loop", "{bad:?}");
        }
        let to = to();
        assert_ne!(mark("a", "r", &to), mark("a", "r2", &to));
        assert_ne!(mark("a", "r", &to), mark("a", "r", &to[..1]));
    }
}

//! Letters: what they look like on the wire, and what they refuse.

mod fuzz;

use jiff::Timestamp;

use super::*;
use crate::mail;

fn letter() -> Letter {
    Letter {
        from: "robot@example.org".to_owned(),
        to: vec!["ops@example.org".to_owned()],
        subject: "Hello".to_owned(),
        text: "One\nTwo\n".to_owned(),
        message_id: "1234@example.org".to_owned(),
        report: "test".to_owned(),
        ..Letter::default()
    }
}

fn text(letter: &Letter) -> String {
    let (octets, _) = letter.build(Timestamp::UNIX_EPOCH).unwrap();
    String::from_utf8(octets).unwrap()
}

#[test]
fn letter_is_a_message() {
    let mut letter = letter();
    letter.from_name = Some("Pöst Rider, Ltd".to_owned());
    letter.organization = Some("Example Ltd".to_owned());
    letter.reply_to = vec!["help@example.org".to_owned(), "x@bücher.example".to_owned()];
    letter.headers = vec![("X-Thing".to_owned(), "one two".to_owned())];
    let text = text(&letter);
    let (header, body) = text.split_once("\r\n\r\n").unwrap();
    for line in [
        "Subject: Hello",
        "To: ops@example.org",
        "Message-ID: <1234@example.org>",
        "Date: Thu, 01 Jan 1970 00:00:00 +0000",
        "Organization: Example Ltd",
        "Reply-To: help@example.org, x@xn--bcher-kva.example",
        "Auto-Submitted: auto-generated",
        "X-Postrider-Report: test",
        "X-Thing: one two",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
    ] {
        assert!(header.lines().any(|found| found == line), "{line}: {header}");
    }
    assert!(header.contains("=?utf-8?b?") && header.contains("<robot@example.org>"), "{header}");
    assert_eq!(body, "One\r\nTwo\r\n");
    let facts = mail::header_facts(text.as_bytes());
    assert_eq!(facts.from.first().and_then(|from| from.name.clone()), letter.from_name);
}

#[test]
fn c17_no_header_takes_a_line_end() {
    let evil = "x\r\nBcc: victim@example.net";
    let with = |change: fn(&mut Letter, &str)| {
        let mut letter = letter();
        change(&mut letter, evil);
        letter.build(Timestamp::UNIX_EPOCH).unwrap_err()
    };
    let changes: [fn(&mut Letter, &str); 7] = [
        |letter, evil| letter.subject = evil.to_owned(),
        |letter, evil| letter.from_name = Some(evil.to_owned()),
        |letter, evil| letter.organization = Some(evil.to_owned()),
        |letter, evil| letter.message_id = evil.to_owned(),
        |letter, evil| letter.report = evil.to_owned(),
        |letter, evil| letter.headers = vec![("X-A".to_owned(), evil.to_owned())],
        |letter, evil| letter.headers = vec![(evil.to_owned(), "a".to_owned())],
    ];
    for change in changes {
        assert!(matches!(with(change), LetterError::Injection { .. }));
    }
    let addresses: [fn(&mut Letter, &str); 3] = [
        |letter, evil| letter.from = format!("a@example.org{evil}"),
        |letter, evil| letter.to = vec![format!("a@example.org{evil}")],
        |letter, evil| letter.reply_to = vec![format!("a@example.org{evil}")],
    ];
    for change in addresses {
        assert!(matches!(with(change), LetterError::Address { .. }));
    }
    let mut letter = letter();
    letter.attachments = vec![Attachment {
        name: evil.to_owned(),
        content_type: "text/plain".to_owned(),
        octets: Vec::new(),
    }];
    assert!(matches!(letter.build(Timestamp::UNIX_EPOCH), Err(LetterError::Injection { .. })));
    assert_eq!(one_line(evil, 100), "x Bcc: victim@example.net");
    assert_eq!(one_line("a\u{1b}[2J\0b", 100), "a [2J b");
}

#[test]
fn fields_of_the_letter_itself_are_not_given_twice() {
    for name in ["bcc", "From", "X-POSTRIDER-REPORT", "Content-Type"] {
        let mut letter = letter();
        letter.headers = vec![(name.to_owned(), "x".to_owned())];
        let error = letter.build(Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(matches!(error, LetterError::Field { .. }), "{error}");
    }
    let nobody = Letter { to: Vec::new(), ..letter() };
    assert_eq!(nobody.build(Timestamp::UNIX_EPOCH), Err(LetterError::NoRecipient));
}

#[test]
fn body_is_seven_bit_whatever_is_in_it() {
    let mut letter = letter();
    letter.text = format!("Grüße\r\n.\r\n\0{}\rend", "x".repeat(5000));
    letter.subject = format!("Grüße {}", "ö".repeat(300));
    letter.attachments = vec![Attachment {
        name: "größe \"1\".log".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        octets: (0..=255).collect(),
    }];
    let text = text(&letter);
    assert!(text.is_ascii() && !text.contains('\0'));
    assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
    assert_eq!(text, self::text(&letter), "a further try sends the same octets");
}

#[test]
fn addresses_decide_what_the_server_must_be_able_to() {
    let mut letter = letter();
    letter.to = vec!["a@bücher.example".to_owned()];
    let (octets, envelope) = letter.build(Timestamp::UNIX_EPOCH).unwrap();
    assert!(octets.is_ascii() && !envelope.needs_smtputf8());
    assert_eq!(envelope.to, ["a@xn--bcher-kva.example"]);
    letter.to = vec!["jürgen@example.org".to_owned()];
    let (_, envelope) = letter.build(Timestamp::UNIX_EPOCH).unwrap();
    assert!(envelope.needs_smtputf8());
}

#[test]
fn each_message_has_an_id_in_its_senders_domain() {
    let (a, b) = (message_id("a@bücher.example"), message_id("nonsense"));
    assert!(a.ends_with("@xn--bcher-kva.example") && b.ends_with("@localhost"), "{a} {b}");
    assert_ne!(message_id("a@b"), message_id("a@b"));
}

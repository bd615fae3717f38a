//! Mail made to exhaust a parser: small stack, bounded time, bounded output.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use postrider::mail::{Facts, Limits, WarningCode, header_facts, parse, received_date};

/// Much for an unoptimised build on a busy machine, and far from what anything quadratic takes.
const DEADLINE: Duration = Duration::from_secs(20);
const STACK: usize = 2 << 20;

/// Parses in a thread with a small stack and hands the facts to the check.
fn survive(octets: Vec<u8>, check: impl Fn(&Facts<'_>) + Send + 'static) {
    let work = move || {
        let begin = Instant::now();
        let facts = parse(&octets, &Limits::default());
        assert!(!facts.warnings.iter().any(|w| w.code == WarningCode::ParseFailed));
        let decoded: usize = facts.attachments.iter().map(|a| a.octets.len()).sum();
        let text = facts.text.as_ref().map_or(0, String::len);
        let html = facts.html.as_ref().map_or(0, String::len);
        assert!(decoded + text + html <= 2 * octets.len() + (1 << 20) + 2 * 10_000);
        check(&facts);
        let _ = (header_facts(&octets), received_date(&octets));
        drop(facts);
        assert!(begin.elapsed() < DEADLINE, "{:?}", begin.elapsed());
    };
    std::thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap();
}

fn warned(facts: &Facts<'_>, code: WarningCode) -> bool {
    facts.warnings.iter().any(|warning| warning.code == code)
}

#[test]
fn c01_ten_thousand_parts_are_bounded() {
    let part = "--b\r\nContent-Type: a/b; name=a.pdf\r\n\r\nx\r\n";
    let mail = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", part.repeat(20_000));
    survive(mail.into_bytes(), |facts| {
        assert_eq!(facts.attachments.len(), 2_000);
        assert!(warned(facts, WarningCode::PartsTruncated));
        assert!(facts.warnings.len() < 60);
    });
}

#[test]
fn c02_multiparts_nested_a_hundred_thousand_deep_end() {
    use std::fmt::Write as _;
    let mut mail = String::new();
    for i in 0..100_000 {
        write!(mail, "Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n").unwrap();
    }
    survive(mail.into_bytes(), |facts| assert!(warned(facts, WarningCode::NestingTooDeep)));
}

#[test]
fn c02_messages_nested_a_hundred_thousand_deep_are_one_file() {
    let mail = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
    survive(mail.into_bytes(), |facts| assert_eq!(facts.attachments.len(), 1));
}

#[test]
fn c04_boundaries_that_never_come_are_not_sought_again_and_again() {
    let part = "--b\r\nContent-Type: multipart/mixed; boundary=never\r\n\r\nx\r\n";
    let mail = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", part.repeat(100_000));
    survive(mail.into_bytes(), |facts| assert!(warned(facts, WarningCode::BoundaryMissing)));
}

#[test]
fn c04_lines_like_boundaries_take_linear_time() {
    use std::fmt::Write as _;
    let mut mail = String::new();
    for i in 0..20 {
        write!(mail, "Content-Type: multipart/mixed; boundary=bbbb{i:02}\r\n\r\n--bbbb{i:02}\r\n")
            .unwrap();
    }
    mail.push_str("\r\n");
    mail.push_str(&"--bbbbbb\r\n".repeat(1_000_000));
    survive(mail.into_bytes(), |facts| assert!(facts.text.is_some()));
}

#[test]
fn c04_huge_header_fields_take_linear_time() {
    for (name, unit) in [
        ("Subject", "x"),
        ("Subject", "=?utf-8?q?"),
        ("Subject", "=?utf-8?q?a?= "),
        ("Subject", "=?utf-8?b?4oI=?=\r\n "),
        ("From", "((("),
        ("From", "a@b,"),
        ("From", "\"<"),
        ("To", "a:b;"),
        ("References", "<a@b> "),
        ("References", "<<<"),
        ("Received", "(;"),
        ("Date", "1 "),
        ("Content-Type", "text/plain; a*1=b; "),
        ("Content-Type", "multipart/mixed; (("),
        ("Content-Disposition", "attachment; filename*0*=%C3;"),
        ("X-Other", "\r\n "),
    ] {
        let count = 1_000_000 / unit.len();
        let mail = format!("{name}: {}\r\n\r\nbody\r\n", unit.repeat(count));
        survive(mail.into_bytes(), |_| ());
    }
}

#[test]
fn c04_header_section_is_cut_at_its_limit_and_the_body_is_kept() {
    let mail = format!("Subject: s\r\n{}\r\nbody\r\n", "X-A: 12345\r\n".repeat(500_000));
    survive(mail.into_bytes(), |facts| {
        assert_eq!(facts.subject.as_deref(), Some("s"));
        assert_eq!(facts.text.as_deref(), Some("body\n"));
        assert!(warned(facts, WarningCode::HeaderTruncated));
    });
    let received = "Received: from a by b; Mon, 2 Mar 2026 10:00:00 +0000\r\n".repeat(100_000);
    survive(received.into_bytes(), |facts| assert!(facts.received_field.is_some()));
}

#[test]
fn c04_continued_names_without_number_take_linear_time() {
    use std::fmt::Write as _;
    let mut header = String::from("Content-Type: application/pdf");
    for i in 0..60_000 {
        write!(header, ";\r\n n{i}*1=x").unwrap();
    }
    let part = format!("--b\r\n{header}\r\n\r\nx\r\n");
    let mail = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", part.repeat(8));
    survive(mail.into_bytes(), |facts| assert_eq!(facts.attachments.len(), 8));
}

#[test]
fn c03_text_that_grows_when_decoded_is_cut() {
    let mut mail = b"Content-Type: text/plain; charset=tis-620\r\n\r\n".to_vec();
    mail.resize(4 << 20, 0xa1);
    survive(mail, |facts| assert!(warned(facts, WarningCode::DecodedTruncated)));
}

const LINES: [&str; 13] = [
    "--b",
    "--b--",
    "--c",
    "Content-Type: multipart/mixed; boundary=b",
    "Content-Type: multipart/digest; boundary=\"c\"",
    "Content-Type: message/rfc822",
    "Content-Type: text/html; charset=utf-16; name*0*=x''%e4",
    "Content-Disposition: attachment; filename==?utf-8?b?4oI=?=",
    "Content-Transfer-Encoding: base64",
    "Subject: =?iso-2022-jp?B?GyRC?= =?utf-8?q?=C3?=",
    "From: a <b>, \"c\" (d) <e@f>; g:",
    "",
    " ",
];

/// A line of mail, more or less.
fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::sample::select(&LINES[..]).prop_map(|line| line.as_bytes().to_vec()),
        1 => any::<Vec<u8>>(),
    ]
}

proptest! {
    #[test]
    fn c20_no_lines_fail_the_parser(
        lines in prop::collection::vec(line(), 0..40),
    ) {
        let facts_of = |separator: &[u8]| {
            let mail = lines.join(separator);
            let facts = parse(&mail, &Limits::default());
            assert!(!warned(&facts, WarningCode::ParseFailed));
            assert!(serde_json::to_string(&facts).is_ok());
        };
        facts_of(b"\n");
        facts_of(b"\r\n");
    }

    #[test]
    fn parts_come_back_as_they_went_in(
        contents in prop::collection::vec("[a-z=. \u{e4}-]{0,20}(\n[a-z=. -]{0,20}){0,3}", 1..8),
        crlf: bool,
    ) {
        let mut mail = String::from("Content-Type: multipart/mixed; boundary=B\n\npreamble\n");
        for content in &contents {
            mail.push_str("--B\nContent-Type: a/b\n\n");
            mail.push_str(content);
            mail.push('\n');
        }
        mail.push_str("--B--\nepilogue\n");
        let end = if crlf { "\r\n" } else { "\n" };
        let mail = mail.replace('\n', end);
        let facts = parse(mail.as_bytes(), &Limits::default());
        let back: Vec<_> = facts.attachments.iter().map(|a| a.octets.to_vec()).collect();
        let sent: Vec<_> = contents.iter().map(|c| c.replace('\n', end).into_bytes()).collect();
        prop_assert!(facts.warnings.is_empty());
        prop_assert_eq!(back, sent);
    }
}

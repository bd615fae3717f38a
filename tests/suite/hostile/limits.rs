//! Too many parts, too deep, too long, too large.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::*;

/// Much for an unoptimised build on a busy machine, and far from what anything quadratic takes.
const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn c01_parts_and_files_beyond_the_limits_stay_in_the_message() {
    let files = multipart((0..2_100).map(|n| ("Content-Type: a/b; name=a.pdf", format!("{n}"))));
    let texts = multipart((0..11_000).map(|_| ("Content-Type: text/plain", "x")));
    let polled = Polled::poll(&[files, texts]);
    polled.each(0, |copy| {
        assert_eq!(copy.attachments.len(), 2_000);
        assert_eq!(warnings(copy), ["parts-truncated"]);
        assert_eq!(copy.attachments[1_999], ("a-2000.pdf".to_owned(), b"1999".to_vec()));
    });
    polled.each(1, |copy| {
        let text = polled.file(copy, "body.txt");
        assert_eq!((text.lines().filter(|line| *line == "x").count()), 10_000);
        assert_eq!(warnings(copy), ["parts-truncated"]);
    });
    assert!(polled.output.took < LIMIT, "{:?}", polled.output.took);
}

#[test]
fn c02_nested_multiparts_and_messages_are_opened_to_a_depth_and_kept_whole() {
    let nested = |depth: usize| {
        let mut mail = String::from("Subject: nested\n");
        for n in 0..depth {
            write!(mail, "Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n").unwrap();
        }
        mail + "\ninnermost\n"
    };
    let messages = "Content-Type: message/rfc822\n\n".repeat(500) + "Subject: inner\n\nx\n";
    let polled = Polled::poll(&[nested(100), nested(1_000), nested(100_000), messages]);
    polled.each(0, |copy| {
        assert_eq!(polled.file(copy, "body.txt"), "innermost\n");
        assert_eq!(warnings(copy), ["boundary-unclosed"]);
    });
    for n in [1, 2] {
        polled.each(n, |copy| assert!(warnings(copy).contains(&"nesting-too-deep")));
    }
    polled.each(3, |copy| {
        let [(_, content)] = &copy.attachments[..] else { panic!("{:?}", names(copy)) };
        assert!(copy.eml.ends_with(content), "an attached message is one file");
    });
    assert!(polled.output.took < LIMIT, "{:?}", polled.output.took);
}

#[test]
fn c03_decoded_octets_are_bounded_and_archives_are_not_opened() {
    // Each octet becomes three in UTF-8.
    let mut grows = b"Content-Type: text/plain; charset=tis-620\n\n".to_vec();
    grows.resize(3 << 20, 0xa1);
    let zip = b"PK\x03\x04 a zip in a zip in a zip";
    let encoded = data_encoding::BASE64.encode(zip);
    let header = "Content-Type: application/zip; name=42.zip\nContent-Transfer-Encoding: base64";
    let polled = Polled::poll(&[grows, multipart([(header, encoded)]).into_bytes()]);
    polled.each(0, |copy| {
        let text = polled.file(copy, "body.txt");
        assert!(text.len() <= 2 * copy.eml.len() + (1 << 20), "{}", text.len());
        assert_eq!(warnings(copy), ["decoded-truncated"]);
    });
    polled.each(1, |copy| assert_eq!(copy.attachments, [("42.zip".to_owned(), zip.to_vec())]));
}

#[test]
fn c04_what_invites_quadratic_work_is_taken_apart_in_time() {
    let field = |name: &str, unit: &str| {
        format!("{name}: {}\nX-Last: 1\n\nbody\n", unit.repeat(900_000 / unit.len()))
    };
    let boundaries = "--bb\n".repeat(300_000);
    let messages = [
        field("Subject", "x"),
        field("Subject", "=?utf-8?q?"),
        field("Subject", "=?utf-8?q?a?= "),
        field("From", "((("),
        field("To", "a@b,"),
        field("References", "<a@b> "),
        field("X-Folded", "y\n "),
        "Received: from a by b; Mon, 2 Mar 2026 10:00:00 +0000\n".repeat(18_000) + "\nbody\n",
        format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n{boundaries}--b--\n"),
    ];
    let polled = Polled::poll(&messages);
    for n in 0..messages.len() - 1 {
        polled.each(n, |copy| assert_eq!(polled.file(copy, "body.txt"), "body\n", "{n}"));
    }
    assert!(polled.output.took < LIMIT, "{:?}", polled.output.took);
}

#[test]
fn c04_header_section_beyond_its_limit_is_cut_with_a_warning() {
    let header = "Subject: s\n".to_owned() + &"X-A: 12345\n".repeat(100_000);
    let polled = Polled::poll(&[header.clone() + "X-Late: 1\nFrom: late@example.org\n\nbody\n"]);
    polled.each(0, |copy| {
        assert_eq!(copy.text("subject"), "s");
        assert_eq!(warnings(copy), ["header-truncated"]);
        assert_eq!(polled.file(copy, "body.txt"), "body\n");
        assert!(copy.json["from"].as_array().unwrap().is_empty(), "behind the limit");
    });
}

#[test]
fn c14_promise_p6_large_lines_texts_and_files_take_little_memory() {
    const SIZE: usize = 20 << 20;
    let line = "Subject: one line\n\n".to_owned() + &"x".repeat(SIZE);
    let text = "Subject: text\n\n".to_owned() + &"twenty octets a line\n".repeat(SIZE / 21);
    let header = "Content-Type: a/b; name=large.bin\nContent-Transfer-Encoding: base64";
    let file = multipart([(header, "QUJD".repeat(SIZE / 4))]);
    let dovecot = Dovecot::start();
    for message in [&line, &text, &file] {
        dovecot.deliver("u1", message.as_bytes());
    }
    for protocol in ["imap", "pop3"] {
        let site = Site::new(&[("a", dovecot.account(protocol, "none", "u1"))]);
        let output = site.spawn(&["poll"]).wait(LIMIT * 2);
        let peak = output.used.memory;
        assert_eq!(output.code, 0, "{output:?}");
        println!("{protocol}: {} MiB at most, {:?}", peak >> 10, output.took);
        assert!(peak > 0 && peak < 80 << 10, "{protocol}: {peak} KiB");
        let stored = site.stored();
        assert_eq!(stored.len(), 3);
        let file = stored.iter().find(|copy| copy.text("subject") == "parts").unwrap();
        assert_eq!(file.attachments[0].1.len(), SIZE / 4 * 3);
        assert_eq!(site.tree_faults(), [""; 0]);
    }
}

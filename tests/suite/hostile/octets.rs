//! Content of every kind: character sets, broken encodings, odd messages, formats of others.

use std::net::TcpListener;

use super::*;
use crate::support::Relay;

#[test]
fn c11_character_sets_that_are_unknown_broken_or_mixed_give_valid_utf8() {
    let part = |charset: &str, body: &[u8]| {
        let mut mail =
            format!("Subject: x\nContent-Type: text/plain; charset={charset}\n\n").into_bytes();
        mail.extend_from_slice(body);
        mail.push(b'\n');
        mail
    };
    let mixed = b"Subject: raw \xe4 =?utf-8?q?=C3=28?= =?x-none?b?/w==?= \xc3\xa4\nFrom: \xff\xfe <a@b>\n\nx\n";
    let messages = [
        part("x-unknown-set", b"gr\xfc\xdfe"),
        part("\"utf-8\\0\"", b"\xed\xa0\x80 surrogate"),
        part("utf-7", b"+AGEAYgBj- +2AA-"),
        part("utf-16", b"a\0b\0\0\xd8x"),
        part("utf-8", b"\xff\xfe\xc0\xaf\xf5\x80"),
        part("iso-2022-jp", b"\x1b$B\xff\x1b"),
        mixed.to_vec(),
    ];
    let polled = Polled::poll(&messages);
    for n in 0..messages.len() {
        polled.each(n, |copy| {
            // `file` and `stored` refuse what is not UTF-8.
            assert!(n == 6 || !polled.file(copy, "body.txt").is_empty(), "{n}");
            assert!(n == 2 || !warnings(copy).is_empty(), "{n}: {:?}", copy.json);
        });
    }
    polled.each(0, |copy| {
        assert_eq!(warnings(copy), ["charset-unknown", "charset-guessed"]);
        assert_eq!(polled.file(copy, "body.txt"), "grüße\n");
    });
}

#[test]
fn c13_messages_that_are_hardly_any_are_stored_as_they_are() {
    let polled = Polled::poll(&[
        "Subject: header only\n",
        "\nbody only\n",
        "no header, no end of line",
        "\n",
        "x",
        "From someone Thu Nov 19 10:12:30 2026\nSubject: mbox\n\nbody\n",
    ]);
    assert_eq!(polled.copy(0).text("subject"), "header only");
    polled.each(1, |copy| assert_eq!(polled.file(copy, "body.txt"), "body only\n"));
    polled.each(5, |copy| assert_eq!(copy.text("subject"), "mbox"));
}

#[test]
fn c15_formats_of_others_are_files_and_nothing_is_done_to_them() {
    let uuencode =
        "begin 644 run.sh\n#:&D*\n`\nend\n=ybegin line=128 size=1 name=x\n+\n=yend size=1\n";
    let parts = [
        ("Content-Type: text/plain", uuencode, None),
        ("Content-Type: application/ms-tnef; name=winmail.dat", "x\u{9f}>\"", Some("winmail.dat")),
        ("Content-Type: application/pkcs7-mime", "der", Some("part-002.p7m")),
        ("Content-Type: application/pgp-encrypted", "Version: 1", Some("part-003.bin")),
        ("Content-Type: text/calendar; method=REQUEST", "BEGIN:VCALENDAR", Some("part-004.ics")),
        ("Content-Type: application/applefile; name=\"._r\"", "\u{1}\u{5}", Some("_r")),
        (
            "Content-Type: application/x-sh; name=run.sh",
            "#!/bin/sh\ntouch /tmp/run",
            Some("run.sh"),
        ),
    ];
    let polled =
        Polled::poll(&[multipart(parts.iter().map(|(header, content, _)| (header, content)))]);
    polled.each(0, |copy| {
        let files: Vec<&str> = parts.iter().filter_map(|(.., file)| *file).collect();
        assert_eq!(names(copy).iter().map(|(file, _)| *file).collect::<Vec<_>>(), files);
        assert!(polled.file(copy, "body.txt").contains("begin 644 run.sh"));
        for ((file, content), (_, sent, _)) in copy.attachments.iter().zip(&parts[1..]) {
            assert_eq!(content, &crlf(sent.as_bytes()), "{file}");
        }
    });
    // `tree_faults` has seen that no file can be executed.
}

#[test]
fn c16_promise_p8_broken_encodings_and_boundaries_are_warnings_and_cost_no_message() {
    let base64 = "Content-Transfer-Encoding: base64\n\n";
    let polled = Polled::poll(&[
        format!("{base64}SGFs!bG8*=\n"),
        format!("{base64}SGFsbG8\n"),
        "Content-Transfer-Encoding: quoted-printable\n\na=ZZ b=\n".to_owned(),
        "Content-Transfer-Encoding: x-own\n\nas it is\n".to_owned(),
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\ncut off".to_owned(),
        "Content-Type: multipart/mixed; boundary=never\n\nstill readable\n".to_owned(),
        "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\nstill readable\n".to_owned(),
        format!(
            "Content-Type: multipart/mixed; boundary={0}\n\n--{0}\n\nx\n--{0}--\n",
            "b".repeat(100)
        ),
        "Content-Type: multipart/mixed; boundary=ab\n\n--ab\n\n--a\n--abc\n--ab--\n".to_owned(),
    ]);
    let codes = [
        &["base64-broken"][..],
        &[],
        &["quoted-printable-broken"],
        &["encoding-unknown"],
        &["boundary-unclosed"],
        &["boundary-missing"],
        &["boundary-missing"],
        &[],
        &[],
    ];
    for (n, codes) in codes.iter().enumerate() {
        polled.each(n, |copy| {
            assert_eq!(warnings(copy), *codes, "{n}");
            assert!(!polled.file(copy, "body.txt").is_empty(), "{n}");
        });
    }
    polled.each(0, |copy| assert_eq!(polled.file(copy, "body.txt"), "Hallo"));
    polled.each(8, |copy| assert_eq!(polled.file(copy, "body.txt"), "--a\n--abc"));
}

#[test]
fn c21_mail_that_a_scanner_takes_away_is_not_fetched_again() {
    // In pieces, so that no scanner takes this file for one.
    let gtube =
        ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"].concat();
    let mut polled =
        Polled::poll(&[format!("Subject: spam\n\n{gtube}\n"), "Subject: ham\n\nx\n".to_owned()]);
    polled.each(0, |copy| assert!(polled.file(copy, "body.txt").contains("GTUBE")));
    for account in ["i", "p"] {
        let copy = of(&polled.stored, account).find(|copy| copy.text("subject") == "spam").unwrap();
        fs::remove_file(polled.site.root().join(&copy.path).join("message.eml")).unwrap();
        fs::remove_file(polled.site.root().join(&copy.path).join("body.txt")).unwrap();
    }
    polled.site.leave_unverified();
    // Through relays that write down what is asked for.
    let relays = [("i", "imap", polled.dovecot.imap), ("p", "pop3", polled.dovecot.pop3)].map(
        |(account, protocol, port)| {
            let relay = Relay::to(port);
            let lines = polled.dovecot.account(protocol, "none", "u1");
            let there = format!("port = {port}");
            assert!(lines.contains(&there), "{lines}");
            let lines = lines.replace(&there, &format!("port = {}", relay.port));
            polled.site.account(account, &lines);
            relay
        },
    );
    for _ in 0..2 {
        polled.site.poll();
    }
    // Another mail shows that a body is seen when it is asked for.
    polled.dovecot.deliver_as("u1", b"Subject: new\n\nx\n", &Delivery::default().at(ARRIVED));
    polled.site.poll();
    for (relay, (open, body)) in relays.iter().zip([("EXAMINE", "BODY.PEEK[]"), ("UIDL", "RETR")]) {
        let asked = relay.commands();
        let count = |word: &str| asked.iter().filter(|line| line.contains(word)).count();
        assert!(count(open) >= 3, "{asked:?}");
        assert_eq!(count(body), 1, "{asked:?}");
    }
    let folders: Vec<_> = fs::read_dir(polled.site.root().join("i/in/20261119")).unwrap().collect();
    assert_eq!(folders.len(), 3);
    assert_eq!(polled.dovecot.imap_client("u1").uids("INBOX").len(), 3);
}

#[test]
fn c23_nothing_that_a_message_names_is_ever_asked_for() {
    let tempting = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    tempting.set_nonblocking(true).unwrap();
    let url = format!("http://{}/x", tempting.local_addr().unwrap());
    let html = format!(
        "<html><img src=\"{url}\"><script src=\"{url}\"></script><link rel=stylesheet href=\"{url}\">\
         <iframe src=\"{url}\"></iframe><body onload=\"fetch('{url}')\">"
    );
    let external = format!("Content-Type: message/external-body; access-type=URL; url=\"{url}\"");
    let polled = Polled::poll(&[
        format!(
            "Disposition-Notification-To: a@127.0.0.1\nList-Unsubscribe: <{url}>\nContent-Type: text/html\n\n{html}\n"
        ),
        multipart([
            (external.as_str(), "Content-Type: image/png\n\n"),
            ("Content-Type: text/html", &html),
        ]),
    ]);
    for n in [0, 1] {
        polled.each(n, |copy| assert_eq!(polled.file(copy, "body.html").trim_end(), html));
    }
    let asked = tempting.accept().map(|(_, from)| from);
    assert_eq!(asked.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

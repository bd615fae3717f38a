//! Names of files that lead elsewhere, mean something, or meet.

use std::collections::BTreeSet;

use super::*;

/// What a file below `attachments` may be called.
fn assert_safe(file: &str) {
    let octets = file.as_bytes();
    assert!((1..=200).contains(&octets.len()), "{file:?}");
    assert!(octets.iter().all(|o| o.is_ascii_alphanumeric() || b"._-".contains(o)), "{file:?}");
    assert!(octets[0].is_ascii_alphanumeric() || octets[0] == b'_', "{file:?}");
    assert!(!file.ends_with('.'), "{file:?}");
}

/// Files of a message whose attachments have these names.
fn files_of(polled: &Polled, n: usize, count: usize) {
    polled.each(n, |copy| {
        let names = names(copy);
        assert_eq!(names.len(), count);
        for (file, _) in &names {
            assert_safe(file);
        }
        let unique: BTreeSet<_> = names.iter().map(|(file, _)| file.to_lowercase()).collect();
        assert_eq!(unique.len(), count, "{names:?}");
        for (at, (file, content)) in copy.attachments.iter().enumerate() {
            assert_eq!(content, format!("content {at}").as_bytes(), "{file}");
        }
    });
}

fn files(polled: &Polled, n: usize) -> Vec<&str> {
    names(polled.copy(n)).into_iter().map(|(file, _)| file).collect()
}

#[test]
fn c05_promise_p11_no_name_leads_out_of_the_message_folder() {
    let plain = [
        "../../../../x",
        "/etc/passwd",
        "..\\\\..\\\\x",
        "C:\\\\x",
        "%2e%2e/y",
        "=?utf-8?b?Li4vLi4vZW5jb2RlZA==?=",
        "=?utf-8?q?..=2F..=2Fencoded?=",
        "a/../../b",
        "//x",
        "\u{c0}\u{af}x",
    ];
    let continued = multipart([
        (
            "Content-Type: a/b\nContent-Disposition: attachment; filename*0=\"..\"; filename*1=\"/\"; \
          filename*2=\"joined\"",
            "content 0",
        ),
        ("Content-Type: a/b; name*=utf-8''..%2F..%2Fpercent", "content 1"),
        ("Content-Type: message/rfc822", "Subject: ../../subject\n\nx"),
    ]);
    let overlong = b"\xc0\xae\xc0\xae\xc0\xafoverlong";
    let mut raw = with_files(&["RAW"]).into_bytes();
    let at = raw.windows(3).position(|w| w == b"RAW").unwrap();
    raw.splice(at..at + 3, overlong.iter().copied());
    let polled = Polled::poll(&[with_files(&plain).into_bytes(), continued.into_bytes(), raw]);
    files_of(&polled, 0, plain.len());
    assert_eq!(
        files(&polled, 0)[..7],
        ["x", "etc_passwd", "x-2", "x-3", "_2e_2e_y", "encoded", "encoded-2"]
    );
    assert_eq!(names(polled.copy(0))[0].1, "../../../../x", "message.json has the name as sent");
    assert_eq!(files(&polled, 1), ["joined", "percent", "subject.eml"]);
    files_of(&polled, 2, 1);
}

#[test]
fn c06_names_that_say_nothing_or_mean_something_are_replaced() {
    let sent = [
        ".",
        "..",
        "",
        "   ",
        ". . .",
        "CON",
        "aux.txt",
        "nul .txt",
        "a. ",
        "desktop.ini",
        ".htaccess",
        "-rf",
        "autorun.inf",
        "COM1.tar.gz",
    ];
    let polled = Polled::poll(&[with_files(&sent)]);
    files_of(&polled, 0, sent.len());
    assert_eq!(
        files(&polled, 0),
        [
            "part-001.bin",
            "part-002.bin",
            "part-003.bin",
            "part-004.bin",
            "part-005.bin",
            "_CON",
            "_aux.txt",
            "_nul_.txt",
            "a",
            "_desktop.ini",
            "htaccess",
            "rf",
            "_autorun.inf",
            "_COM1.tar.gz"
        ]
    );
}

#[test]
fn c07_names_of_our_own_files_do_not_meet_them() {
    let sent =
        ["message.eml", "message.json", "body.txt", "body.html", "attachments", ".postrider-root"];
    let polled = Polled::poll(&[with_files(&sent)]);
    files_of(&polled, 0, sent.len());
    assert_eq!(files(&polled, 0)[..5], sent[..5]);
}

#[test]
fn c08_equal_names_get_numbers_whatever_their_case_and_form() {
    let mut sent = vec!["a.pdf"; 300];
    sent.extend([
        "A.PDF",
        "\u{e9}.txt",
        "e\u{301}.txt",
        "E\u{301}.TXT",
        "\u{fb01}le",
        "file",
        "stra\u{df}e",
        "STRASSE",
    ]);
    let polled = Polled::poll(&[with_files(&sent)]);
    files_of(&polled, 0, sent.len());
    polled.each(0, |copy| {
        let as_sent: Vec<&str> = names(copy).into_iter().map(|(_, sent)| sent).collect();
        assert_eq!(as_sent, sent, "message.json has the names as sent");
    });
}

#[test]
fn c09_long_names_are_cut_at_a_character_and_keep_their_extension() {
    let sent = [
        "a".repeat(4_000) + ".pdf",
        "\u{e9}".repeat(255) + ".docx",
        "\u{4f60}".repeat(255),
        format!("x.{}", "e".repeat(300)),
        "a".repeat(4_000) + ".pdf",
    ];
    let polled = Polled::poll(&[with_files(&sent)]);
    files_of(&polled, 0, sent.len());
    polled.each(0, |copy| {
        let files = names(copy);
        assert!(files[0].0.len() == 200 && files[0].0.ends_with("aa.pdf"));
        assert!(files[1].0.ends_with("ee.docx") && files[4].0.ends_with("aa-2.pdf"));
        assert_eq!(files[0].1.len(), 4_004);
    });
}

#[test]
fn c10_directions_escapes_and_line_breaks_stay_out_of_names_and_lines() {
    let hostile = "=?utf-8?q?cod=E2=80=AEfdp.exe=1B[31m=C2=9B2J=0D=0Ax=E2=80=8B=07?=";
    let mail = format!(
        "From: {hostile} <a@example.org>\nSubject: {hostile}\nMessage-ID: <\u{1b}[2J@x>\n\
         Content-Type: a/b; name=\"{hostile}\"\n\nx\n"
    );
    let raw = "Subject: \u{1b}]0;title\u{7}\u{9b}31m\u{202e}\nX: y\n\nbody\n";
    let polled = Polled::poll(&[mail.as_str(), raw]);
    polled.each(0, |copy| {
        let names = names(copy);
        assert_safe(names[0].0);
        assert!(names[0].1.contains('\u{202e}'), "message.json has the name as sent: {names:?}");
        assert!(copy.text("subject").contains('\u{9b}') && !copy.text("subject").contains('\n'));
    });
}

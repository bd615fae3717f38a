//! Sample messages of our own making, each for one way in which mail is hard to read.
//!
//! Every sample is read with LF and with CRLF line ends; both must give the same facts.

use std::path::Path;

use postrider::archive::component::{safe_name, unique_names};
use postrider::mail::{Facts, Limits, Mailbox, WarningCode, header_facts, parse, received_date};

use crate::corpus::with_crlf;

/// Reads a sample in both forms and hands the facts to the check.
fn read(name: &str, check: impl Fn(&Facts<'_>)) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name);
    let sample = std::fs::read(path.with_extension("eml")).unwrap();
    for octets in [with_crlf(&sample), sample] {
        let facts = parse(&octets, &Limits::default());
        check(&facts);
        let header = header_facts(&octets);
        assert_eq!((header.subject, header.date), (facts.subject, facts.date));
        assert!(serde_json::to_string(&header.from).is_ok());
    }
}

fn codes(facts: &Facts<'_>) -> Vec<WarningCode> {
    facts.warnings.iter().map(|warning| warning.code).collect()
}

/// Name, type and content of each attachment; line ends are made LF.
fn files(facts: &Facts<'_>) -> Vec<(Option<String>, String, String)> {
    let of = facts.attachments.iter().map(|a| {
        let content = String::from_utf8_lossy(&a.octets).replace("\r\n", "\n");
        (a.name.clone(), a.content_type.clone(), content)
    });
    of.collect()
}

fn names(facts: &Facts<'_>) -> Vec<String> {
    facts.attachments.iter().map(|a| a.name.clone().unwrap_or_default()).collect()
}

fn safe_names(facts: &Facts<'_>) -> Vec<String> {
    let names = facts.attachments.iter().zip(1..);
    unique_names(names.map(|(a, i)| safe_name(a.name.as_deref(), &a.content_type, i)))
}

fn file(name: &str, content_type: &str, content: &str) -> (Option<String>, String, String) {
    (Some(name.to_owned()), content_type.to_owned(), content.to_owned())
}

fn mailbox(name: Option<&str>, address: &str) -> Mailbox {
    Mailbox { name: name.map(str::to_owned), address: Some(address.to_owned()) }
}

#[test]
fn dots_are_kept() {
    read("dots", |facts| {
        assert_eq!(facts.text.as_deref(), Some(".\n..\n.hidden\n. \nend\n"));
        assert_eq!(facts.message_id.as_deref(), Some("dots@example.org"));
        assert_eq!(facts.date.unwrap().to_string(), "2026-03-02T09:00:00Z");
        assert!(facts.html.is_none() && facts.warnings.is_empty());
    });
}

#[test]
fn attached_message_is_one_file_named_after_its_subject() {
    read("nested-message", |facts| {
        assert_eq!(facts.text.as_deref(), Some("see below"));
        assert_eq!(names(facts), ["Inner: offer / 2.eml", "grüße.eml"]);
        assert_eq!(safe_names(facts), ["Inner_offer_2.eml", "grusse.eml"]);
        let inner = files(facts).swap_remove(0).2;
        assert!(inner.starts_with("From: c@example.org\n") && inner.ends_with("--in--"), "{inner}");
        assert_eq!(&*facts.attachments[1].octets, b"Subject: encoded\r\n\r\nhi\r\n");
    });
}

#[test]
fn digest_is_made_of_messages() {
    read("digest", |facts| {
        assert_eq!(names(facts), ["one.eml", "two.eml"]);
        assert_eq!(facts.attachments[1].content_type, "message/rfc822");
        assert_eq!(facts.text, None);
    });
}

#[test]
fn names_are_decoded_in_all_their_forms() {
    read("names-rfc2231", |facts| {
        assert_eq!(
            names(facts),
            [
                "Geschäftsbericht € 2026.pdf",
                "Übersicht.doc",
                "счет №7.xls",
                "quote\"d \\ back.txt",
                "no quotes, but blanks.txt"
            ]
        );
        assert!(facts.warnings.is_empty());
    });
}

#[test]
fn c11_character_sets_become_utf8() {
    read("windows-1252", |facts| {
        assert_eq!(facts.subject.as_deref(), Some("€uro – naïve"));
        assert_eq!(facts.text.as_deref(), Some("€ 5 – “naïve”\n"));
    });
    read("iso-2022-jp", |facts| {
        assert_eq!(facts.subject.as_deref(), Some("日本語のメール"));
        assert_eq!(facts.text.as_deref(), Some("日本語のメール\n"));
        assert!(facts.warnings.is_empty());
    });
    read("gb2312", |facts| {
        assert_eq!(facts.subject.as_deref(), Some("你好，世界"));
        assert_eq!(facts.text.as_deref(), Some("你好，世界"));
    });
}

#[test]
fn undeclared_octets_are_marked_or_guessed_with_a_warning() {
    read("undeclared-8bit", |facts| {
        assert_eq!(facts.subject.as_deref(), Some("Gr\u{fffd}\u{fffd}e"));
        assert_eq!(facts.text.as_deref(), Some("Grüße\n"));
        assert_eq!(codes(facts), [WarningCode::HeaderNotUtf8, WarningCode::CharsetGuessed]);
    });
}

#[test]
fn c16_broken_encodings_lose_nothing_readable() {
    read("broken-base64", |facts| {
        assert_eq!(facts.text.as_deref(), Some("1+1=2 and 1=1, ab"));
        let binary = "application/octet-stream";
        let odd = file("odd.bin", binary, "as it is");
        assert_eq!(files(facts), [file("junk.bin", binary, "Hallo, Welt!"), odd]);
        let warned = [
            WarningCode::QuotedPrintableBroken,
            WarningCode::Base64Broken,
            WarningCode::EncodingUnknown,
        ];
        assert_eq!(codes(facts), warned);
    });
}

#[test]
fn c13_message_without_header_or_body_is_read() {
    read("no-headers", |facts| {
        let text = "This is no header.\nNor is this: it has a colon\n\nbody\n";
        assert_eq!(facts.text.as_deref(), Some(text));
        assert!(facts.from.is_empty() && facts.subject.is_none());
    });
    for (name, subject) in [("empty-body", "Empty"), ("header-only", "Header only")] {
        read(name, |facts| {
            assert_eq!(facts.subject.as_deref(), Some(subject));
            assert!(facts.text.is_none() && facts.attachments.is_empty());
        });
    }
    assert!(parse(b"", &Limits::default()).warnings.is_empty());
}

#[test]
fn c16_multipart_without_its_boundary_is_text() {
    for name in ["missing-boundary", "absent-boundary"] {
        read(name, |facts| {
            assert!(facts.text.as_ref().unwrap().contains("still readable"));
            assert_eq!(codes(facts), [WarningCode::BoundaryMissing]);
        });
    }
}

#[test]
fn parts_of_a_message_that_was_cut_off_are_kept() {
    read("unclosed", |facts| {
        assert_eq!(facts.text.as_deref(), Some("plain"));
        assert_eq!(facts.html.as_deref(), Some("<p>html</p>"));
        assert_eq!(files(facts), [file("cut.pdf", "application/pdf", "%PDF-1.4\n")]);
        assert!(codes(facts).iter().all(|code| *code == WarningCode::BoundaryUnclosed));
        assert_eq!(facts.warnings.len(), 2);
    });
}

#[test]
fn bodies_and_attachments_are_told_apart_in_nested_multiparts() {
    read("multipart-in-multipart", |facts| {
        assert_eq!(facts.text.as_deref(), Some("Grüße\n\nfooter"));
        assert_eq!(facts.html.as_deref(), Some("<img src=\"cid:logo@example.org\">"));
        let [image, pdf] = &facts.attachments[..] else { panic!("{:?}", names(facts)) };
        assert_eq!(image.content_type, "image/png");
        assert_eq!(image.content_id.as_deref(), Some("logo@example.org"));
        assert_eq!(image.disposition.as_deref(), Some("inline"));
        assert!(image.octets.starts_with(b"\x89PNG") && image.name.is_none());
        assert_eq!((pdf.name.as_deref(), &*pdf.octets), (Some("a.pdf"), &b"%PDF"[..]));
        assert_eq!(safe_names(facts), ["part-001.png", "a.pdf"]);
    });
}

#[test]
fn boundary_that_begins_another_is_not_taken_for_it() {
    read("boundary-prefix", |facts| {
        assert_eq!(facts.text.as_deref(), Some("--ab is text, and so is --a"));
        assert_eq!(files(facts)[0].2, "file\n");
        assert_eq!(facts.attachments.len(), 1);
    });
}

#[test]
fn calendar_signature_and_encrypted_mail_are_files() {
    read("calendar", |facts| {
        assert_eq!(facts.text.as_deref(), Some("Come."));
        assert_eq!(safe_names(facts), ["part-001.ics"]);
    });
    read("smime-signed", |facts| {
        assert_eq!(facts.text.as_deref(), Some("signed"));
        assert_eq!(names(facts), ["smime.p7s"]);
    });
    read("smime-opaque", |facts| {
        assert_eq!(facts.text, None);
        assert_eq!(safe_names(facts), ["part-001.p7m"]);
    });
}

#[test]
fn html_is_never_made_into_text() {
    read("html-only", |facts| {
        assert_eq!(facts.html.as_deref(), Some("<p>Only &amp; HTML</p>\n"));
        assert_eq!(facts.text, None);
    });
}

#[test]
fn names_that_climb_stay_in_their_folder() {
    read("traversal", |facts| {
        assert_eq!(names(facts)[0], "../../etc/cron.d/x");
        assert_eq!(names(facts)[7], "../passwd");
        assert_eq!(
            safe_names(facts),
            [
                "etc_cron.d_x",
                "boot.ini",
                "part-003.bin",
                "evil",
                "_con",
                "htaccess",
                "a_b.txt",
                "passwd"
            ]
        );
    });
}

#[test]
fn equal_names_get_files_of_their_own() {
    read("same-name", |facts| {
        assert_eq!(names(facts), ["a.pdf", "A.PDF", "a.pdf"]);
        assert_eq!(safe_names(facts), ["a.pdf", "A-2.PDF", "a-3.pdf"]);
    });
}

#[test]
fn nul_harms_nothing() {
    read("nul", |facts| {
        assert_eq!(facts.subject.as_deref(), Some("N\0ul"));
        assert_eq!(facts.text.as_deref(), Some("a\0b\n"));
        assert_eq!(codes(facts), [WarningCode::CharsetUnknown]);
    });
}

#[test]
fn injected_line_ends_make_no_field_and_no_file_name() {
    read("header-injection", |facts| {
        assert_eq!(facts.subject.as_deref(), Some("Hi Bcc: eve@example.com"));
        assert_eq!(safe_names(facts), ["a_X-Evil_1_2J.pdf"]);
        let json = serde_json::to_string(facts).unwrap();
        assert!(!json.contains(['\r', '\n', '\u{1b}']));
    });
}

#[test]
fn addresses_references_and_dates_are_read() {
    read("addresses", |facts| {
        assert_eq!(facts.from, [mailbox(Some("Example, Ann"), "ann@example.org")]);
        assert_eq!(facts.reply_to, [mailbox(None, "root")]);
        let to = [
            mailbox(None, "b@example.net"),
            mailbox(Some("Jörg"), "j@example.net"),
            mailbox(Some("Cee"), "c@example.net"),
            mailbox(None, "d@example.net"),
        ];
        assert_eq!(facts.to, to);
        assert!(facts.cc.is_empty());
        assert_eq!(facts.delivered_to, [mailbox(None, "bob@example.net")]);
        assert_eq!(facts.in_reply_to, ["1@example.org"]);
        assert_eq!(facts.references, ["0@example.org", "1@example.org"]);
        assert_eq!(facts.subject.as_deref(), Some("Re: A folded   subject"));
        assert_eq!(facts.received_field.unwrap().to_string(), "2026-03-02T09:59:58Z");
    });
    let top = b"Received: by a; 1 Jan 2026 00:00:00 +0200\r\n\r\nbody";
    assert_eq!(received_date(top).unwrap().to_string(), "2025-12-31T22:00:00Z");
    assert_eq!(received_date(b"Subject: none\r\n\r\n"), None);
    assert_eq!(received_date(b"Received:\n\t"), None);
}

#[test]
fn line_of_an_mbox_before_the_header_is_passed_over() {
    read("mbox-from", |facts| {
        assert_eq!(facts.subject.as_deref(), Some("Mbox"));
        assert_eq!(facts.text.as_deref(), Some("From here on, text.\n"));
    });
}

//! `message.json`: its fields are a promise.

use serde_json::{Value, json};

use super::*;

/// In the order in which they are written.
const FIELDS: [&str; 33] = [
    "schema",
    "id",
    "account",
    "label",
    "protocol",
    "host",
    "user",
    "mailbox",
    "uid_validity",
    "uid",
    "generation",
    "unique_id",
    "occurrence",
    "flags",
    "received",
    "timezone",
    "received_basis",
    "archived_at",
    "size",
    "sha256",
    "message_id",
    "date",
    "subject",
    "from",
    "to",
    "cc",
    "reply_to",
    "delivered_to",
    "in_reply_to",
    "references",
    "body",
    "attachments",
    "warnings",
];

fn read(site: &Site, staged: &Staged) -> Value {
    let folder = site.path(&format!(".stage/{}", staged.id));
    let text = std::fs::read(folder.join("message.json")).unwrap();
    let (sha256, _) = digest(text.as_slice()).unwrap();
    assert_eq!(sha256, staged.json_sha256);
    assert!(text.is_ascii() || std::str::from_utf8(&text).is_ok());
    assert_eq!(text.last(), Some(&b'\n'));
    serde_json::from_slice(&text).unwrap()
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn sorted(names: &[&'static str]) -> Vec<&'static str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}

#[test]
fn document_of_a_bare_message_has_every_field() {
    let site = Site::new();
    let staged = site.stage(&key(5), "\r\n");
    let found = read(&site, &staged);
    assert_eq!(names(&found), sorted(&FIELDS));
    let want = json!({
        "schema": 1, "id": key(5).id("box").as_str(), "account": "box", "label": null,
        "protocol": "imap", "host": "mail.example.org", "user": "u",
        "mailbox": "INBOX", "uid_validity": 7, "uid": 5, "generation": 0,
        "unique_id": null, "occurrence": null, "flags": [],
        "received": "2026-11-19T09:12:31Z", "timezone": "UTC",
        "received_basis": "internal-date", "archived_at": "2026-11-19T09:12:31.000Z",
        "size": 2, "sha256": staged.sha256.to_hex(),
        "message_id": null, "date": null, "subject": null,
        "from": [], "to": [], "cc": [], "reply_to": [], "delivered_to": [],
        "in_reply_to": [], "references": [],
        "attachments": [], "warnings": [],
        "body": {"text": null, "html": null, "text_sha256": null, "html_sha256": null},
    });
    assert_eq!(found, want);
}

#[test]
fn fields_are_written_in_the_order_of_the_schema() {
    let site = Site::new();
    let staged = site.stage(&key(5), "\r\n");
    let folder = site.path(&format!(".stage/{}", staged.id));
    let text = std::fs::read_to_string(folder.join("message.json")).unwrap();
    let written: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("  \"")?.split('"').next()).collect();
    assert_eq!(written, FIELDS);
}

#[test]
fn document_says_what_the_message_says() {
    let site = Site::new();
    let staged = site.stage(&key(5), RICH);
    let found = read(&site, &staged);
    let named = |name: Option<&str>, address: &str| json!({"name": name, "address": address});
    assert_eq!(found["from"], json!([named(Some("Jörg"), "joerg@example.org")]));
    let to = json!([named(None, "a@example.org"), named(Some("B"), "b@example.org")]);
    assert_eq!(found["to"], to);
    assert_eq!(
        (&found["subject"], &found["message_id"]),
        (&json!("hello"), &json!("1@example.org"))
    );
    assert_eq!(found["date"], "2026-11-19T09:12:00Z");
    assert_eq!(found["size"], RICH.len());
    assert_eq!(found["body"]["text"], "body.txt");
    assert_eq!(found["body"]["html"], "body.html");
    for (field, file) in [("text_sha256", "body.txt"), ("html_sha256", "body.html")] {
        let path = site.path(&format!(".stage/{}/{file}", staged.id));
        let (sha256, _) = digest(std::fs::File::open(path).unwrap()).unwrap();
        assert_eq!(found["body"][field], sha256.to_hex());
    }
    let digest_of = |text: &str| digest(text.as_bytes()).unwrap().0.to_hex();
    let attachments = json!([
        {
            "file": "a_b.pdf", "name": "../a b.pdf", "content_type": "application/pdf",
            "disposition": "attachment", "content_id": "c@example.org", "size": 3,
            "sha256": digest_of("pdf"),
        },
        {
            "file": "part-002.png", "name": null, "content_type": "image/png",
            "disposition": "inline", "content_id": null, "size": 3, "sha256": digest_of("png"),
        },
    ]);
    assert_eq!(found["attachments"], attachments);
}

#[test]
fn maildrop_message_has_its_unique_id_and_null_for_the_rest() {
    let site = Site::with(|config| {
        config.timezone = TimeZone::get("Asia/Kolkata").unwrap();
        config.timezone_name = "Asia/Kolkata".to_owned();
    });
    let key = MessageKey::Pop3 { unique_id: "\u{7f}\"é".to_owned(), occurrence: 2 };
    let mut account = account("pop3");
    account.label = Some("a label".to_owned());
    let mut staging = site.archive.stage(key.id("box")).unwrap();
    staging.write(b"\r\n").unwrap();
    let raw = staging.end().unwrap();
    let flags = ["\\Seen".to_owned()];
    let origin = Origin {
        account: &account,
        key: &key,
        flags: &flags,
        received: Received { at: received(), basis: ReceivedBasis::FirstSeen },
        archived_at: received().checked_add(SignedDuration::from_millis(5)).unwrap(),
    };
    let facts = mail::parse(b"\r\n", &Limits::default());
    let (staged, _in_stage) = complete(&site.archive, staging, &raw, &origin, &facts).unwrap();
    let found = read(&site, &staged);
    assert_eq!(names(&found), sorted(&FIELDS));
    for field in ["mailbox", "uid_validity", "uid", "generation"] {
        assert_eq!(found[field], Value::Null, "{field}");
    }
    for (field, want) in [
        ("unique_id", json!("\u{7f}\"é")),
        ("occurrence", json!(2)),
        ("protocol", json!("pop3")),
        ("label", json!("a label")),
        ("flags", json!(["\\Seen"])),
        ("received_basis", json!("first-seen")),
        ("received", json!("2026-11-19T09:12:31Z")),
        ("archived_at", json!("2026-11-19T09:12:31.005Z")),
        ("timezone", json!("Asia/Kolkata")),
    ] {
        assert_eq!(found[field], want, "{field}");
    }
    assert!(staged.path.starts_with("box/in/20261119/144231-"), "{}", staged.path);
}

#[test]
fn only_what_the_config_asks_for_is_written_beside() {
    for (write, files) in [
        (vec![], vec!["message.eml", "message.json"]),
        (vec![WritePart::Html], vec!["body.html", "message.eml", "message.json"]),
        (vec![WritePart::Text], vec!["body.txt", "message.eml", "message.json"]),
    ] {
        let site = Site::with(|config| config.write.clone_from(&write));
        let (staged, copy) = site.archived(&key(1), RICH);
        assert_eq!(walk(&site.path(&staged.path)), files);
        site.archive.verify(&copy).unwrap();
    }
}

#[test]
fn warnings_are_words_with_a_detail() {
    let site = Site::new();
    let eml = "Content-Type: text/plain; charset=x-unknown\r\n\r\n\u{e9}\r\n";
    let found = read(&site, &site.stage(&key(1), eml));
    let warnings = found["warnings"].as_array().unwrap();
    assert_eq!(names(&warnings[0]), ["code", "detail"]);
    assert_eq!(warnings[0]["code"], "charset-unknown");
}

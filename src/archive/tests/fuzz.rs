//! Fuzz targets: any octets as a message, as a file name, and as a `message.json` of the tree.

use super::component::{MAX_NAME, UniqueNames, safe_name};
use super::*;
use crate::tests::fuzz::{about, fuzz, fuzz_from, way};

/// Words of messages with files.
const WORDS: &[&str] = &[
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-Type: message/rfc822\r\n",
    "\r\n",
    "--b\r\n",
    "--b--\r\n",
    "Content-Type: a/b; name=\"",
    "Content-Disposition: attachment; filename=\"",
    "\"\r\n",
    "../../x",
    "/etc/passwd",
    "..\\..\\x",
    "C:\\x",
    "%2e%2e/",
    "=?utf-8?b?Li4v?=",
    "; filename*0=\"..\"; filename*1=\"/x\"\r\n",
    "CON",
    "aux.txt",
    "message.eml",
    "message.json",
    "attachments",
    ".htaccess",
    "desktop.ini",
    "\u{202e}",
    "\0",
    "\u{1b}[2J",
    "\u{9b}",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Type: text/html\r\n",
    "Content-Type: text/plain; charset=utf-7\r\n",
    "Subject: =?utf-8?q?=0D=0A=1B?=\r\n",
    "From: a <b@c>\r\n",
    "Message-ID: <../x>\r\n",
    "AAAA",
    "é",
    "e\u{301}",
    "-",
    ".",
    " ",
];

/// What every name of a file must be.
fn assert_safe(name: &str) {
    let octets = name.as_bytes();
    assert!((1..=MAX_NAME).contains(&octets.len()), "{name:?}");
    assert!(octets.iter().all(|o| o.is_ascii_alphanumeric() || b"._-".contains(o)), "{name:?}");
    assert!(octets[0].is_ascii_alphanumeric() || octets[0] == b'_', "{name:?}");
    assert!(!name.ends_with('.'), "{name:?}");
}

#[test]
fn fuzz_message_to_files() {
    let site = Site::new();
    let key = key(1);
    let own = format!(".stage/{}", key.id("box"));
    let before = walk(&site.path(""));
    let beside = walk(site.temp.path()).len();
    fuzz_from(&["tests/samples"], "message-to-files", WORDS, |input| {
        let staged = site.stage(&key, input);
        let (inside, all) = (walk(&site.path(&own)), walk(&site.path("")));
        assert_eq!(all.len(), before.len() + 1 + inside.len(), "{all:?}");
        assert_eq!(walk(site.temp.path()).len(), beside + 1 + inside.len());
        for name in &inside {
            match name.strip_prefix("attachments/") {
                Some(file) => assert_safe(file),
                None => assert!(OURS.contains(&name.as_str()), "{name}"),
            }
        }
        let json = std::fs::read(site.path(&own).join("message.json")).unwrap();
        assert_plain_json(&json);
        assert_eq!(std::fs::read(site.path(&own).join("message.eml")).unwrap(), input);
        site.archive.stage.remove_all(staged.id.as_str()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let codes = value["warnings"].as_array().unwrap().iter().map(|w| w["code"].to_string());
        way((about(inside.len()), codes.take(3).collect::<Vec<_>>()))
    });
    assert_eq!(walk(&site.path("")), before);
}

/// What a message folder holds beside its attachments.
const OURS: [&str; 5] = ["attachments", "body.html", "body.txt", "message.eml", "message.json"];

/// UTF-8, JSON, and no character that a terminal would obey.
fn assert_plain_json(octets: &[u8]) {
    let text = std::str::from_utf8(octets).unwrap();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text}");
}

#[test]
fn fuzz_file_names() {
    fuzz("file-name", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        let mut unique = UniqueNames::default();
        let mut taken = std::collections::BTreeSet::new();
        let types = ["message/rfc822", "application/pdf", "x"];
        for (index, line) in text.lines().take(40).enumerate() {
            let name = safe_name(Some(line), types[index % 3], index + 1);
            assert_safe(&name);
            assert_eq!(safe_name(Some(&name), types[index % 3], index + 1), name);
            let name = unique.next(&name);
            assert_safe(&name);
            assert!(taken.insert(name.to_ascii_lowercase()), "{name} twice");
        }
        let first = taken.first().map(|name| name.chars().take(3).collect::<String>());
        way((about(taken.len()), first))
    });
}

#[test]
fn fuzz_message_json_of_the_tree() {
    let site = Site::new();
    let key = key(1);
    let (staged, copy) = site.archived(&key, RICH);
    let file = site.path(&staged.path).join("message.json");
    let sound = std::fs::read_to_string(&file).unwrap();
    let mut words: Vec<&str> = sound.lines().collect();
    words.extend([
        sound.as_str(),
        "\"../../x\"",
        "/etc/passwd",
        "null",
        "[",
        "{",
        "}",
        "]",
        "1e999",
    ]);
    fuzz("message-json", &words, |input| {
        write(&file, input);
        let found = site.archive.find(&staged.path, &staged.id).is_some();
        let verified = site.archive.verify(&copy);
        assert_eq!(verified.is_ok(), input == sound.as_bytes());
        way((
            found,
            verified.map_err(|fault| fault.to_string().chars().take(20).collect::<String>()),
        ))
    });
}

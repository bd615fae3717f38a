//! Bodies and attachments, whole or in pieces: the folder is the same.

use std::io::Cursor;

use super::*;
use crate::archive::parts::PartsWriter;
use crate::mail::Attachment;
use crate::mail::stream::{Sink, extract};
use document::conclude;

/// As [`Site::stage`], but taken apart from the file.
fn extracted(site: &Site, key: &MessageKey, eml: &str) -> Staged {
    let mut staging = site.archive.stage(key.id("box")).unwrap();
    staging.write(eml.as_bytes()).unwrap();
    let raw = staging.end().unwrap();
    let mut writer = PartsWriter::new(&site.archive, &staging);
    let reader = staging.reader().unwrap();
    let facts = extract(reader, raw.size, &Limits::default(), &mut writer).unwrap();
    let parts = writer.finish().unwrap();
    let account = account("imap");
    let origin = Origin {
        account: &account,
        key,
        flags: &[],
        received: Received { at: received(), basis: ReceivedBasis::InternalDate },
        archived_at: received(),
    };
    let done = conclude(&site.archive, staging, &raw, &origin, (&facts, parts)).unwrap();
    done.1.placed();
    done.0
}

/// Every file of the stage with its content.
fn files(site: &Site) -> Vec<(String, Vec<u8>)> {
    let stage = site.path(".stage");
    let paths = walk(&stage).into_iter();
    paths.map(|path| (path.clone(), std::fs::read(stage.join(path)).unwrap_or_default())).collect()
}

#[test]
fn folder_is_the_same_from_memory_and_from_the_file() {
    let same_names = RICH.replace("\"../a b.pdf\"", "A.PDF").replace(
        "Content-Disposition: inline",
        "Content-Transfer-Encoding: base64\r\nContent-Type: image/png; name=a.pdf",
    );
    for eml in [RICH, &same_names, "Subject: s\r\n\r\n", "\r\n"] {
        for write in [vec![WritePart::Html], vec![], config(Path::new("/")).write] {
            let (whole, pieces) = (
                Site::with(|c| c.write.clone_from(&write)),
                Site::with(|c| c.write = write.clone()),
            );
            let of_whole = whole.stage(&key(1), eml);
            let of_pieces = extracted(&pieces, &key(1), eml);
            assert_eq!(of_whole.json_sha256, of_pieces.json_sha256);
            assert_eq!(files(&whole), files(&pieces));
        }
    }
}

#[test]
fn attachment_in_pieces_has_the_digest_of_the_whole() {
    let site = Site::new();
    let staging = site.archive.stage(key(1).id("box")).unwrap();
    let octets: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
    let mut writer = staging.add_stream("a").unwrap();
    for piece in octets.chunks(777) {
        writer.write(piece).unwrap();
    }
    let raw = writer.end().unwrap();
    let (sha256, length) = digest(Cursor::new(&octets)).unwrap();
    assert_eq!((raw.sha256, raw.size), (sha256, length));
    let path = site.path(".stage").join(staging.id().as_str()).join("a");
    assert_eq!(std::fs::read(path).unwrap(), octets);
}

#[test]
fn what_was_abandoned_leaves_no_file() {
    let site = Site::new();
    let staging = site.archive.stage(key(1).id("box")).unwrap();
    let mut writer = PartsWriter::new(&site.archive, &staging);
    writer.text("t").unwrap();
    let head = Attachment {
        name: None,
        content_type: "a/b".to_owned(),
        disposition: None,
        content_id: None,
        octets: (&[][..]).into(),
    };
    writer.attachment(head).unwrap();
    writer.data(b"x").unwrap();
    writer.abandon().unwrap();
    writer.finish().unwrap();
    let id = staging.id().as_str();
    assert_eq!(walk(&site.path(".stage")), [id.to_owned(), format!("{id}/message.eml")]);
}

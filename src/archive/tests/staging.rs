//! One message in the stage.

use super::*;

#[test]
fn dropped_staging_leaves_nothing() {
    let site = Site::new();
    let mut staging = site.archive.stage(key(1).id("box")).unwrap();
    staging.write(b"half").unwrap();
    staging.add_folder("attachments").unwrap();
    staging.add("attachments/a.pdf", b"pdf").unwrap();
    assert_eq!(site.staged(), [key(1).id("box").as_str()]);
    drop(staging);
    assert!(site.staged().is_empty());
}

#[test]
fn complete_folder_goes_with_what_holds_it() {
    let site = Site::new();
    let staging = site.archive.stage(key(1).id("box")).unwrap();
    let in_stage = staging.finish();
    assert_eq!(site.staged(), [key(1).id("box").as_str()]);
    drop(in_stage);
    assert!(site.staged().is_empty());
}

#[test]
fn message_begun_again_begins_anew() {
    let site = Site::new();
    let first = site.stage(&key(1), RICH);
    let again = site.stage(&key(1), "Subject: x\r\n\r\nbody\r\n");
    assert_eq!((&first.id, &first.path), (&again.id, &again.path));
    let files = walk(&site.path(&format!(".stage/{}", again.id)));
    assert_eq!(files, ["body.txt", "message.eml", "message.json"]);
}

#[test]
fn opening_clears_what_a_dead_process_left_and_nothing_else() {
    let site = Site::new();
    site.stage(&key(1), RICH);
    write(&site.path(".stage/note"), b"a person's");
    let config = config(site.temp.path());
    let archive = Archive::open(Root::open(&config.root).unwrap(), &config).unwrap();
    assert_eq!(archive.stage.names().unwrap(), ["note"]);
}

#[test]
fn octets_are_those_that_came_whatever_their_pieces() {
    let site = Site::new();
    let octets: Vec<u8> =
        (0..3_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[2]).collect();
    for piece in [1_000, 70_000, 1 << 20, 3_000_000] {
        let mut staging = site.archive.stage(key(1).id("box")).unwrap();
        for piece in octets.chunks(piece) {
            staging.write(piece).unwrap();
        }
        let raw = staging.end().unwrap();
        assert_eq!((raw.sha256, raw.size), digest(octets.as_slice()).unwrap());
        assert_eq!(staging.read_back(1 << 20).unwrap(), octets[..1 << 20]);
        assert_eq!(staging.read_back(u64::MAX).unwrap(), octets);
        let eml = site.path(&format!(".stage/{}/message.eml", staging.id()));
        assert!(std::fs::read(eml).unwrap() == octets);
    }
}

#[test]
fn small_message_is_read_back_from_memory_and_from_the_file() {
    let site = Site::new();
    let mut staging = site.archive.stage(key(1).id("box")).unwrap();
    staging.write(b"small").unwrap();
    staging.end().unwrap();
    for _ in 0..2 {
        assert_eq!(staging.read_back(5).unwrap(), b"small");
    }
    assert_eq!(staging.read_back(2).unwrap(), b"sm");
}

#[test]
fn empty_message_is_a_message() {
    let site = Site::new();
    let (staged, copy) = site.archived(&key(1), "");
    assert_eq!(staged.size, 0);
    site.archive.verify(&copy).unwrap();
}

#[test]
fn attachments_of_one_name_do_not_meet() {
    let site = Site::new();
    let part = "--b\r\nContent-Type: application/pdf\r\n\
                Content-Disposition: attachment; filename=a.pdf\r\n\r\n";
    let eml =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{part}1\r\n{part}2\r\n--b--\r\n");
    let (staged, copy) = site.archived(&key(1), &eml);
    let names = walk(&site.path(&format!("{}/attachments", staged.path)));
    assert_eq!(names, ["a-2.pdf", "a.pdf"]);
    site.archive.verify(&copy).unwrap();
}

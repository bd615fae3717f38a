//! What became of placements that were cut short.

use super::*;

#[test]
fn copy_that_never_left_the_stage_is_absent_and_cleared() {
    let site = Site::new();
    let staged = site.stage(&key(1), RICH);
    let settled = site.archive.settle(&staged.id, &copy_of(&staged)).unwrap();
    assert_eq!(settled, Settled::Absent);
    assert!(site.staged().is_empty());
    // Once more, as after a second cut.
    let settled = site.archive.settle(&staged.id, &copy_of(&staged)).unwrap();
    assert_eq!(settled, Settled::Absent);
}

#[test]
fn whole_copy_stays_where_it_is() {
    for mode in [SyncMode::Each, SyncMode::FileSystem] {
        let site = Site::synced(mode);
        let (staged, copy) = site.archived(&key(1), RICH);
        let before = walk(&site.path(""));
        assert_eq!(site.archive.settle(&staged.id, &copy).unwrap(), Settled::Whole);
        assert_eq!(walk(&site.path("")), before);
    }
}

#[test]
fn damaged_copies_make_room_and_are_kept_aside() {
    let site = Site::new();
    let mut names = Vec::new();
    for n in 1..=3 {
        let (staged, copy) = site.archived(&key(1), RICH);
        write(&site.path(&staged.path).join("message.eml"), b"torn");
        let settled = site.archive.settle(&staged.id, &copy).unwrap();
        assert!(matches!(settled, Settled::Damaged(CopyFault::Modified { .. })), "{settled:?}");
        assert!(!site.path(&staged.path).exists());
        let name = layout::split(&staged.path).1.to_owned();
        names.push(if n == 1 { name } else { format!("{name}.{n}") });
    }
    let kept = site.archive.root().folder().folder(QUARANTINE).unwrap().names().unwrap();
    assert_eq!(kept, names);
    let torn = site.path(&format!("{QUARANTINE}/{}/message.eml", kept[0]));
    assert_eq!(std::fs::read(torn).unwrap(), b"torn");
    let (_, copy) = site.archived(&key(1), RICH);
    site.archive.verify(&copy).unwrap();
}

#[test]
fn folder_without_its_document_is_damaged() {
    let site = Site::new();
    let (staged, copy) = site.archived(&key(1), RICH);
    remove(&site.path(&staged.path).join("message.json"));
    let settled = site.archive.settle(&staged.id, &copy).unwrap();
    assert!(matches!(settled, Settled::Damaged(CopyFault::Missing { .. })), "{settled:?}");
}

#[test]
fn copy_of_a_lost_ledger_is_found_again() {
    let site = Site::new();
    let (staged, _) = site.archived(&key(1), RICH);
    let found = site.archive.find(&staged.path, &staged.id).unwrap();
    assert_eq!((found.size, found.sha256), (staged.size, staged.sha256));
    assert_eq!((found.json_sha256, &found.path), (staged.json_sha256, &staged.path));
    site.archive.verify(&copy_of(&found)).unwrap();
}

#[test]
fn folder_that_is_no_copy_of_the_message_is_not_found() {
    let site = Site::new();
    let (staged, _) = site.archived(&key(1), RICH);
    let find = || site.archive.find(&staged.path, &staged.id);
    assert!(site.archive.find(&staged.path, &key(2).id("box")).is_none());
    assert!(site.archive.find("box/in/20261119", &staged.id).is_none());
    assert!(site.archive.find("../mail", &staged.id).is_none());
    let (eml, json) =
        (site.path(&staged.path).join("message.eml"), site.path(&staged.path).join("message.json"));
    write(&eml, b"another message");
    assert!(find().is_none());
    write(&eml, RICH.as_bytes());
    assert!(find().is_some());
    write(&json, b"{\"id\": 1}");
    assert!(find().is_none());
    remove(&json);
    assert!(find().is_none());
}

#[test]
fn older_copy_of_the_same_message_is_adopted() {
    let site = Site::new();
    let staged = site.stage(&key(1), RICH);
    Site::place(&site.archive.batch().unwrap(), std::slice::from_ref(&staged));
    let newer = StoredCopy { json_sha256: Sha256([7; 32]), ..copy_of(&staged) };
    let settled = site.archive.settle(&staged.id, &newer).unwrap();
    assert_eq!(settled, Settled::Adopted(staged.json_sha256));
    let other = StoredCopy { sha256: Sha256([7; 32]), ..newer };
    let settled = site.archive.settle(&staged.id, &other).unwrap();
    assert!(matches!(settled, Settled::Damaged(_)), "{settled:?}");
}

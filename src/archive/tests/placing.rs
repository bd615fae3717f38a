//! From the stage into the dated tree.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

const MODES: [SyncMode; 2] = [SyncMode::Each, SyncMode::FileSystem];

#[test]
fn staged_folder_is_placed_exactly_once() {
    for mode in MODES {
        let site = Site::synced(mode);
        let (staged, copy) = site.archived(&key(1), RICH);
        let suffix = key(1).id("box").folder_suffix().to_owned();
        assert_eq!(staged.path, format!("box/in/20261119/091231-{suffix}"));
        let files = walk(&site.path(&staged.path));
        let want = [
            "attachments",
            "attachments/a_b.pdf",
            "attachments/part-002.png",
            "body.html",
            "body.txt",
            "message.eml",
            "message.json",
        ];
        assert_eq!(files, want);
        let eml = std::fs::read(site.path(&staged.path).join("message.eml")).unwrap();
        assert_eq!(eml, RICH.as_bytes());
        site.archive.verify(&copy).unwrap();
        assert!(site.staged().is_empty());
        let before = walk(&site.path("box"));
        site.archive.batch().unwrap().place(&[staged]).unwrap_err();
        assert_eq!(walk(&site.path("box")), before);
    }
}

#[test]
fn batch_of_many_days_is_placed_in_order() {
    for mode in MODES {
        let site = Site::synced(mode);
        let batch = site.archive.batch().unwrap();
        let staged: Vec<Staged> = (1..=8)
            .map(|n| {
                let mut staged = site.stage(&key(n), format!("Subject: {n}\r\n\r\n"));
                let day = SignedDuration::from_hours(i64::from(n / 2).saturating_mul(24));
                let at = received().checked_add(day).unwrap();
                staged.path = site.archive.path("box", &key(n), at);
                staged
            })
            .collect();
        let placed = Site::place(&batch, &staged);
        assert_eq!(placed.len(), 8);
        assert!(placed.iter().all(|placed| matches!(placed, Placed::Moved)));
        for staged in &staged {
            site.archive.verify(&copy_of(staged)).unwrap();
        }
        assert_eq!(std::fs::read_dir(site.path("box/in")).unwrap().count(), 5);
    }
}

#[test]
fn d10_what_stands_there_already_is_left_alone() {
    let site = Site::new();
    let batch = site.archive.batch().unwrap();
    let staged: Vec<Staged> =
        (1..=4).map(|n| site.stage(&key(n), format!("Subject: {n}\r\n\r\n"))).collect();
    // An empty folder, a file and a dead link; the fourth place is free.
    for folder in ["box", "box/in", "box/in/20261119"] {
        site.archive.root().folder().make(folder, 0o700).unwrap();
    }
    let at = |n: usize| site.path(&staged[n].path);
    std::fs::DirBuilder::new().create(at(0)).unwrap();
    write(&at(1), b"x");
    symlink("/nowhere", at(2)).unwrap();
    let placed = Site::place(&batch, &staged);
    let occupied: Vec<bool> = placed.iter().map(|p| matches!(p, Placed::Occupied)).collect();
    assert_eq!(occupied, [true, true, true, false]);
    assert_eq!(std::fs::read_dir(at(0)).unwrap().count(), 0);
    assert_eq!(std::fs::read(at(1)).unwrap(), b"x");
    assert!(at(2).is_symlink());
    site.archive.verify(&copy_of(&staged[3])).unwrap();
    let mut left: Vec<&str> = staged[..3].iter().map(|staged| staged.id.as_str()).collect();
    left.sort_unstable();
    assert_eq!(site.staged(), left);
}

#[test]
fn tree_that_leads_outside_is_not_followed() {
    let site = Site::new();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), site.path("box")).unwrap();
    let batch = site.archive.batch().unwrap();
    let staged = site.stage(&key(1), RICH);
    let error = batch.place(std::slice::from_ref(&staged)).unwrap_err();
    assert_eq!(error.code(), "archive-write-failed");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(site.staged(), [staged.id.as_str()]);
}

#[test]
fn file_in_the_way_of_a_folder_is_an_error() {
    let site = Site::new();
    write(&site.path("box"), b"x");
    let batch = site.archive.batch().unwrap();
    let staged = site.stage(&key(1), RICH);
    batch.place(std::slice::from_ref(&staged)).unwrap_err();
    assert_eq!(site.staged(), [staged.id.as_str()]);
}

#[test]
fn d26_modes_are_those_of_the_config_whatever_the_umask() {
    // No usual umask leaves these as they are.
    for (dir, file) in [(0o777, 0o666), (0o700, 0o600), (0o750, 0o640)] {
        let site = Site::with(|config| (config.dir_mode, config.file_mode) = (dir, file));
        site.archived(&key(1), RICH);
        let mode = |path: &str| site.path(path).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(""), mode(".stage"), mode(root::MARKER)), (dir, 0o700, 0o440));
        assert_eq!(mode("box"), dir);
        for path in walk(&site.path("box")) {
            let path = format!("box/{path}");
            let want = if site.path(&path).is_dir() { dir } else { file };
            assert_eq!(mode(&path), want, "{path}");
        }
    }
}

#[test]
fn folder_stands_by_the_received_date_in_the_zone() {
    let zone = |name: &str| TimeZone::get(name).unwrap();
    for (name, layout, at, want) in [
        ("UTC", "{account}/in/{date}/{message}", "2026-12-31T23:30:00Z", "box/in/20261231/233000"),
        (
            "Asia/Kolkata",
            "{account}/{date}/{message}",
            "2026-12-31T23:30:00Z",
            "box/20270101/050000",
        ),
        (
            "America/New_York",
            "{date}/{account}/{message}",
            "2026-01-01T04:59:59Z",
            "20251231/box/235959",
        ),
        // The hour that is there twice: the id tells the two apart.
        ("Europe/Berlin", "{message}", "2026-10-25T00:30:00Z", "023000"),
        ("Europe/Berlin", "{message}", "2026-10-25T01:30:00Z", "023000"),
    ] {
        let site = Site::with(|config| {
            (config.timezone, config.layout) = (zone(name), layout.to_owned());
        });
        let path = site.archive.path("box", &key(1), at.parse().unwrap());
        let suffix = key(1).id("box").folder_suffix().to_owned();
        assert_eq!(path, format!("{want}-{suffix}"), "{name}");
    }
}

#[test]
fn layout_without_folders_is_placed_in_the_root() {
    for mode in MODES {
        let mut site = Site::with(|config| config.layout = "{message}".to_owned());
        site.archive.sync = mode;
        let (staged, copy) = site.archived(&key(1), RICH);
        assert!(!staged.path.contains('/'));
        site.archive.verify(&copy).unwrap();
        assert_eq!(site.archive.settle(&staged.id, &copy).unwrap(), Settled::Whole);
    }
}

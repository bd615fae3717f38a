//! Links that somebody planted in the archive: nothing goes through them.

use std::os::unix::fs::symlink;

use super::*;

/// A site whose account `i` has one message in the tree, and more to come; another account is
/// beside it.
fn site(dovecot: &Dovecot) -> Site {
    for user in ["u1", "u2"] {
        dovecot.deliver_as(user, b"Subject: first\n\nx\n", &Delivery::default().at(ARRIVED));
    }
    let site = Site::new(&[
        ("i", dovecot.account("imap", "none", "u1")),
        ("p", dovecot.account("pop3", "none", "u2")),
    ]);
    site.poll();
    for user in ["u1", "u2"] {
        dovecot.deliver_as(user, b"Subject: second\n\nx\n", &Delivery::default().at(ARRIVED));
    }
    site
}

/// Every path below a folder.
fn listing(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.push(format!("{} {:o}", path.display(), fs::symlink_metadata(&path).unwrap().mode()));
        if path.is_dir() && !path.is_symlink() {
            all.extend(listing(&path));
        }
    }
    all.sort();
    all
}

/// Replaces a folder of the archive by a link, and polls: account `i` stops and says where, `p`
/// goes on, nothing is written behind the link; with the folder back all is well.
fn stops_at(link: &str) {
    let dovecot = Dovecot::start();
    let site = site(&dovecot);
    let target = tempfile::tempdir().unwrap();
    fs::create_dir(target.path().join("20261119")).unwrap();
    let before = listing(target.path());
    let (path, aside) = (site.root().join(link), site.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    symlink(target.path(), &path).unwrap();
    let output = site.cli(&["poll"]);
    assert_eq!(output.code, 3, "{output:?}");
    assert!(output.stdout.contains(link), "{link} is not named: {output:?}");
    assert_eq!(listing(target.path()), before);
    let status = site.status();
    let error = &status["accounts"][0]["last_error"];
    assert!(error["message"].as_str().unwrap_or_default().contains(link), "{error}");
    assert!(status["accounts"][1]["last_error"].is_null(), "{status}");
    fs::remove_file(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    site.poll();
    assert_eq!(site.stored().len(), 4);
    assert_eq!(site.tree_faults(), [""; 0]);
}

#[test]
fn c19_link_in_place_of_a_dated_folder_stops_its_account() {
    stops_at("i/in/20261119");
}

#[test]
fn c19_link_in_place_of_an_account_folder_stops_its_account() {
    stops_at("i/in");
}

#[test]
fn c19_link_in_place_of_the_stage_stops_everything_and_is_named() {
    let dovecot = Dovecot::start();
    let site = site(&dovecot);
    let target = tempfile::tempdir().unwrap();
    fs::remove_dir(site.root().join(".stage")).unwrap();
    symlink(target.path(), site.root().join(".stage")).unwrap();
    let output = site.cli(&["poll"]);
    assert_ne!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains(".stage") || output.stdout.contains(".stage"), "{output:?}");
    assert_eq!(listing(target.path()), [""; 0]);
}

#[test]
fn c19_links_within_the_stage_are_removed_and_not_followed() {
    let dovecot = Dovecot::start();
    let site = site(&dovecot);
    let target = tempfile::tempdir().unwrap();
    fs::write(target.path().join("keep"), "x").unwrap();
    let id = site.stored()[0].text("id").to_owned();
    let stage = site.root().join(".stage");
    symlink(target.path(), stage.join(&id)).unwrap();
    let other = id.chars().rev().collect::<String>();
    fs::create_dir(stage.join(&other)).unwrap();
    symlink(target.path(), stage.join(&other).join("attachments")).unwrap();
    symlink(target.path().join("keep"), stage.join(&other).join("message.eml")).unwrap();
    site.poll();
    assert_eq!(fs::read(target.path().join("keep")).unwrap(), b"x");
    assert_eq!(listing(target.path()).len(), 1);
    assert_eq!(site.tree_faults(), [""; 0]);
    assert_eq!(site.stored().len(), 4);
}

#[test]
fn c19_link_in_place_of_a_message_folder_is_neither_followed_nor_replaced() {
    let dovecot = Dovecot::start();
    let site = site(&dovecot);
    let target = tempfile::tempdir().unwrap();
    site.poll();
    let copy = site.stored().into_iter().find(|c| c.account() == "i").unwrap();
    let folder = site.root().join(&copy.path);
    let aside = site.path().join("aside");
    fs::rename(&folder, &aside).unwrap();
    symlink(target.path(), &folder).unwrap();
    site.leave_unverified();
    // The rule that deletes wants to verify the copy, and finds a link.
    site_deletes(&site, &dovecot);
    assert_eq!(listing(target.path()), [""; 0]);
    let subjects = dovecot.imap_client("u1").list("INBOX");
    assert!(subjects.iter().any(|m| m.body == copy.eml), "its copy is behind a link: it stays");
}

fn site_deletes(site: &Site, dovecot: &Dovecot) {
    let mut deleting = dovecot.account("imap", "none", "u1");
    deleting.push_str("delete_read = true\ndelete_after_days = 0\n");
    let config = fs::read_to_string(site.config()).unwrap();
    let plain = dovecot.account("imap", "none", "u1");
    let config = config.replace(&plain, &deleting);
    assert!(config.contains("delete_read"));
    fs::write(site.config(), config).unwrap();
    let output = site.cli(&["poll", "i"]);
    assert!(output.stdout.contains("delete") || output.code == 0, "{output:?}");
}

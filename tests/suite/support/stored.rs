//! Reads an archive as a stranger would: by `message.json` alone, believing nothing unchecked.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// One message folder whose files are what its `message.json` says.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Relative to the archive root.
    pub path: PathBuf,
    /// `message.json`.
    pub json: Value,
    /// `message.eml`.
    pub eml: Vec<u8>,
    /// Names and octets of `attachments/`, in the message's order.
    pub attachments: Vec<(String, Vec<u8>)>,
}

impl Stored {
    /// A text field of `message.json`; empty when it is null.
    pub fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_default()
    }

    /// The account's name.
    pub fn account(&self) -> &str {
        self.text("account")
    }

    /// UID, for IMAP.
    pub fn uid(&self) -> Option<u64> {
        self.json["uid"].as_u64()
    }
}

/// Every message folder below the root, by path.
pub fn read_all(root: &Path) -> Vec<Stored> {
    let mut all = Vec::new();
    for folder in message_folders(root) {
        match read(root, &folder) {
            Ok(stored) => all.push(stored),
            Err(faults) => panic!("{}", faults.join("\n")),
        }
    }
    all
}

/// Every message folder that is whole, by path.
pub fn read_whole(root: &Path) -> Vec<Stored> {
    message_folders(root).iter().filter_map(|folder| read(root, folder).ok()).collect()
}

/// Everything that should not be: stray files and folders, half messages, wrong digests, wrong
/// modes, links, leavings in `.stage` and `.quarantine`, one identity in two folders.
pub fn tree_faults(root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ids: BTreeMap<String, PathBuf> = BTreeMap::new();
    check_modes(root, root, &mut faults);
    for name in entries(root) {
        match name.as_str() {
            ".postrider-root" => {}
            ".stage" | ".quarantine" => {
                let left = files_below(&root.join(&name));
                faults.extend(left.iter().map(|path| format!("left over: {}", path.display())));
            }
            account => faults.extend(strangers(root, account)),
        }
    }
    for folder in message_folders(root) {
        match read(root, &folder) {
            Err(found) => faults.extend(found),
            Ok(stored) => {
                let id = stored.text("id").to_owned();
                if let Some(other) = ids.insert(id, stored.path.clone()) {
                    faults.push(format!("twice: {} and {}", other.display(), folder.display()));
                }
            }
        }
    }
    faults
}

fn read(root: &Path, folder: &Path) -> Result<Stored, Vec<String>> {
    let at = folder.strip_prefix(root).unwrap().to_path_buf();
    let fault = |what: &str| vec![format!("{}: {what}", at.display())];
    let Ok(eml) = fs::read(folder.join("message.eml")) else {
        return Err(fault("no message.eml"));
    };
    let Ok(json) = fs::read(folder.join("message.json")) else {
        return Err(fault("no message.json"));
    };
    let json: Value = serde_json::from_slice(&json).map_err(|e| fault(&e.to_string()))?;
    let mut faults = Vec::new();
    compare(&json, &eml, "message.eml", &mut faults);
    if !at
        .to_string_lossy()
        .ends_with(json["id"].as_str().map_or("?", |id| &id[..id.len().min(16)]))
    {
        faults.push("the folder is not named after the id".to_owned());
    }
    let mut expected = vec!["message.eml".to_owned(), "message.json".to_owned()];
    for kind in ["text", "html"] {
        expected.extend(json["body"][kind].as_str().map(str::to_owned));
    }
    let attachments = attachments(folder, &json, &mut expected, &mut faults);
    let mut found: Vec<String> = files_below(folder)
        .iter()
        .map(|path| path.strip_prefix(folder).unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    expected.sort();
    if found != expected {
        faults.push(format!("holds {found:?}, should hold {expected:?}"));
    }
    if faults.is_empty() {
        return Ok(Stored { path: at, json, eml, attachments });
    }
    Err(faults.iter().map(|what| format!("{}: {what}", at.display())).collect())
}

fn attachments(
    folder: &Path,
    json: &Value,
    expected: &mut Vec<String>,
    faults: &mut Vec<String>,
) -> Vec<(String, Vec<u8>)> {
    let mut attachments = Vec::new();
    for entry in json["attachments"].as_array().into_iter().flatten() {
        let file = entry["file"].as_str().unwrap_or_default();
        let file = file.strip_prefix("attachments/").unwrap_or(file).to_owned();
        match fs::read(folder.join("attachments").join(&file)) {
            Ok(octets) => {
                compare(entry, &octets, &file, faults);
                expected.push(format!("attachments/{file}"));
                attachments.push((file, octets));
            }
            Err(error) => faults.push(format!("attachment {file}: {error}")),
        }
    }
    attachments
}

fn compare(json: &Value, octets: &[u8], name: &str, faults: &mut Vec<String>) {
    let sha256 = data_encoding::HEXLOWER.encode(&Sha256::digest(octets));
    if json["sha256"] != sha256.as_str() {
        faults.push(format!("{name}: sha256 is {sha256}, message.json says {}", json["sha256"]));
    }
    if json["size"] != octets.len() {
        faults.push(format!("{name}: {} octets, message.json says {}", octets.len(), json["size"]));
    }
}

/// `ROOT/ACCOUNT/in/YYYYMMDD/*`, sorted.
fn message_folders(root: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for account in entries(root).iter().filter(|name| !name.starts_with('.')) {
        let inbound = root.join(account).join("in");
        for date in entries(&inbound) {
            let day = inbound.join(date);
            folders.extend(entries(&day).iter().map(|name| day.join(name)));
        }
    }
    folders
}

/// What stands between the root and the message folders and doesn't belong there.
fn strangers(root: &Path, account: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expect = |path: PathBuf, good: bool| {
        if !good || !path.is_dir() {
            faults.push(format!("should not be there: {}", path.display()));
        }
    };
    expect(root.join(account), !account.starts_with('.'));
    for name in entries(&root.join(account)) {
        expect(root.join(account).join(&name), name == "in");
    }
    let inbound = root.join(account).join("in");
    for date in entries(&inbound) {
        let is_date = date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
        expect(inbound.join(&date), is_date);
        for name in entries(&inbound.join(&date)) {
            let is_time = name.len() == 23 && name[..6].bytes().all(|b| b.is_ascii_digit());
            expect(inbound.join(&date).join(&name), is_time);
        }
    }
    faults
}

fn check_modes(root: &Path, folder: &Path, faults: &mut Vec<String>) {
    for name in entries(folder) {
        let path = folder.join(&name);
        let data = fs::symlink_metadata(&path).unwrap();
        let mode = data.permissions().mode() & 0o7777;
        let at = path.strip_prefix(root).unwrap().display();
        if data.is_symlink() {
            faults.push(format!("a link: {at}"));
        } else if data.is_file() && data.nlink() != 1 {
            faults.push(format!("a hard link: {at}"));
        } else if !name.starts_with('.') || folder != root {
            let good = if data.is_dir() { 0o750 } else { 0o640 };
            if mode != good {
                faults.push(format!("mode {mode:o} instead of {good:o}: {at}"));
            }
            if data.is_dir() {
                check_modes(root, &path, faults);
            }
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for name in entries(folder) {
        let path = folder.join(name);
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "d54sfsb5wa3c7sq5uxdzvxpizymrwfjf73h4eveei7onha53fyaa";

    fn archive() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/in/20261119/091231-d54sfsb5wa3c7sq5");
        fs::create_dir_all(folder.join("attachments")).unwrap();
        let digest = |octets: &[u8]| data_encoding::HEXLOWER.encode(&Sha256::digest(octets));
        let json = json!({
            "id": ID, "account": "a", "uid": 7, "size": 4, "sha256": digest(b"mail"),
            "body": { "text": "body.txt", "html": null },
            "attachments": [{ "file": "x.bin", "size": 2, "sha256": digest(b"xx") }],
        });
        fs::write(folder.join("message.json"), json.to_string()).unwrap();
        fs::write(folder.join("message.eml"), "mail").unwrap();
        fs::write(folder.join("body.txt"), "text").unwrap();
        fs::write(folder.join("attachments/x.bin"), "xx").unwrap();
        fs::write(root.path().join(".postrider-root"), "").unwrap();
        fs::create_dir_all(root.path().join(".stage/a")).unwrap();
        set_modes(root.path());
        (root, folder)
    }

    fn set_modes(folder: &Path) {
        for name in entries(folder) {
            let path = folder.join(name);
            let mode = if path.is_dir() { 0o750 } else { 0o640 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            set_modes(&path);
        }
    }

    #[test]
    fn whole_archive_is_read_without_faults() {
        let (root, _) = archive();
        assert_eq!(tree_faults(root.path()), [""; 0]);
        let stored = read_all(root.path());
        assert_eq!(stored.len(), 1);
        assert_eq!(
            (stored[0].account(), stored[0].uid(), &*stored[0].eml),
            ("a", Some(7), &b"mail"[..])
        );
        assert_eq!(stored[0].attachments, [("x.bin".to_owned(), b"xx".to_vec())]);
    }

    #[test]
    fn every_kind_of_fault_is_found() {
        let change = |change: &dyn Fn(&Path, &Path)| {
            let (root, folder) = archive();
            change(root.path(), &folder);
            tree_faults(root.path()).join("\n")
        };
        let expect = |found: String, word: &str| assert!(found.contains(word), "{word}: {found}");
        expect(change(&|_, f| fs::write(f.join("message.eml"), "mali").unwrap()), "sha256");
        expect(change(&|_, f| fs::write(f.join("attachments/x.bin"), "xxx").unwrap()), "3 octets");
        expect(change(&|_, f| fs::remove_file(f.join("message.json")).unwrap()), "no message.json");
        expect(change(&|_, f| fs::write(f.join("more"), "").unwrap()), "should hold");
        expect(change(&|r, _| fs::write(r.join(".stage/a/x"), "").unwrap()), "left over");
        expect(change(&|r, _| fs::write(r.join("stray"), "").unwrap()), "should not be there");
        expect(change(&|r, _| fs::create_dir(r.join("a/in/2026")).unwrap()), "should not be there");
        let mode = |f: &Path| {
            let mode = fs::Permissions::from_mode(0o600);
            fs::set_permissions(f.join("message.eml"), mode).unwrap();
        };
        expect(change(&|_, f| mode(f)), "mode 600");
        let link = |f: &Path| std::os::unix::fs::symlink("/etc/passwd", f.join("body")).unwrap();
        expect(change(&|_, f| link(f)), "a link");
        let copy = |r: &Path, f: &Path| {
            let to = r.join("a/in/20261119/000000-d54sfsb5wa3c7sq5/attachments");
            fs::create_dir_all(&to).unwrap();
            for name in ["message.eml", "message.json", "body.txt", "attachments/x.bin"] {
                fs::copy(f.join(name), to.parent().unwrap().join(name)).unwrap();
            }
            set_modes(r);
        };
        expect(change(&copy), "twice");
    }
}

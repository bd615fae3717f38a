//! Copies that are no longer what was stored.

use std::os::unix::fs::symlink;

use super::*;

/// Does something to one file of an archived message; what the copy is worth then.
fn after(file: &str, act: impl FnOnce(&Path)) -> Result<(), CopyFault> {
    let site = Site::new();
    let (staged, copy) = site.archived(&key(1), RICH);
    site.archive.verify(&copy).unwrap();
    act(&site.path(&staged.path).join(file));
    site.archive.verify(&copy)
}

const VOUCHED: [&str; 4] =
    ["message.eml", "message.json", "attachments/a_b.pdf", "attachments/part-002.png"];
const BODIES: [&str; 2] = ["body.txt", "body.html"];

#[test]
fn each_file_that_is_vouched_for_is_compared_octet_by_octet() {
    for file in VOUCHED {
        let modified = Err(CopyFault::Modified { what: file.to_owned() });
        for at in ["first", "last"] {
            let changed = after(file, |path| {
                let mut octets = std::fs::read(path).unwrap();
                let octet = if at == "first" { octets.first_mut() } else { octets.last_mut() };
                *octet.unwrap() ^= 1;
                write(path, &octets);
            });
            assert_eq!(changed, modified, "{file}: {at} octet");
        }
        let longer = after(file, |path| {
            let mut octets = std::fs::read(path).unwrap();
            octets.push(b'\n');
            write(path, &octets);
        });
        assert_eq!(longer, modified, "{file}: longer");
        assert_eq!(after(file, |path| write(path, b"")), modified, "{file}: emptied");
    }
}

#[test]
fn each_file_must_be_there_and_be_a_file() {
    for file in VOUCHED.into_iter().chain(BODIES) {
        let missing = |result| matches!(result, Err(CopyFault::Missing { .. }));
        assert!(missing(after(file, remove)), "{file}: removed");
        let linked = after(file, |path| {
            let aside = path.with_file_name("aside");
            rustix::fs::rename(path, &aside).unwrap();
            symlink(&aside, path).unwrap();
        });
        assert!(missing(linked), "{file}: a link to the same octets");
        let folder = after(file, |path| {
            remove(path);
            std::fs::DirBuilder::new().create(path).unwrap();
        });
        assert!(missing(folder), "{file}: a folder");
        let fifo = after(file, |path| {
            remove(path);
            let mode = rustix::fs::Mode::RUSR;
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0)
                .unwrap();
        });
        assert!(missing(fifo), "{file}: a pipe that nobody writes to");
    }
}

#[test]
fn missing_folders_are_missing_copies() {
    let gone = after(".", |path| remove(&path.join("attachments")));
    assert_eq!(gone.unwrap_err().code(), "copy-missing");
    let gone = after("..", |path| remove(&path.canonicalize().unwrap()));
    assert_eq!(gone.unwrap_err().code(), "copy-missing");
}

#[test]
fn file_that_somebody_added_does_not_matter() {
    after("note.txt", |path| write(path, b"a person's")).unwrap();
}

#[test]
fn document_that_names_files_elsewhere_is_no_proof() {
    let site = Site::new();
    let (staged, copy) = site.archived(&key(1), RICH);
    let (other, _) = site.archived(&key(2), RICH);
    let folder = site.path(&staged.path);
    let name = site.path(&other.path).file_name().unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(folder.join("message.json")).unwrap();
    for elsewhere in [format!("../../{name}/attachments/a_b.pdf"), "/etc/passwd".to_owned()] {
        let text = text.replace("\"a_b.pdf\"", &format!("\"{elsewhere}\""));
        write(&folder.join("message.json"), text.as_bytes());
        let (json_sha256, _) = digest(text.as_bytes()).unwrap();
        let copy = StoredCopy { json_sha256, ..copy.clone() };
        let fault = site.archive.verify(&copy).unwrap_err();
        assert_eq!(fault.code(), "copy-missing", "{elsewhere}: {fault}");
    }
}

#[test]
fn copy_is_measured_by_the_ledger_and_not_by_what_lies_beside_it() {
    let site = Site::new();
    let (_, copy) = site.archived(&key(1), RICH);
    let (_, other) = site.archived(&key(2), "Subject: x\r\n\r\n");
    for wrong in [
        StoredCopy { path: other.path.clone(), ..copy.clone() },
        StoredCopy { sha256: other.sha256, ..copy.clone() },
        StoredCopy { json_sha256: other.json_sha256, ..copy.clone() },
        StoredCopy { size: other.size, ..copy.clone() },
    ] {
        assert_eq!(site.archive.verify(&wrong).unwrap_err().code(), "copy-modified");
    }
    for path in ["", "/", "..", "../mail", "box/../box"] {
        let wrong = StoredCopy { path: path.to_owned(), ..copy.clone() };
        assert_eq!(site.archive.verify(&wrong).unwrap_err().code(), "copy-missing", "{path}");
    }
}

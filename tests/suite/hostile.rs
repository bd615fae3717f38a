//! Hostile mail through the real program, from a real server, by both protocols, to the disk.
//!
//! Whatever a message is made of: its octets are stored as they came, its parts within the limits,
//! nothing is made or changed outside its folder, and no control character of it reaches a
//! terminal, the log or `message.json`.

mod limits;
mod links;
mod names;
mod octets;
mod secrets;
mod words;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::support::{Delivery, Dovecot, Output, Site, Stored, crlf};

/// A mailbox that was polled by IMAP (account `i`) and by POP3 (account `p`).
struct Polled {
    dovecot: Dovecot,
    site: Site,
    output: Output,
    stored: Vec<Stored>,
    /// What the server shows of each message by IMAP, in the order of delivery,
    imap: Vec<Vec<u8>>,
    /// and by POP3, which ends each last line.
    pop3: Vec<Vec<u8>>,
}

/// When the messages came, by the server: 2026-11-19.
const ARRIVED: u64 = 1_795_080_751;

impl Polled {
    /// Delivers the messages, polls, and holds what holds for every message.
    fn poll<M: AsRef<[u8]>>(messages: &[M]) -> Self {
        let dovecot = Dovecot::start();
        for message in messages {
            dovecot.deliver_as("u1", message.as_ref(), &Delivery::default().at(ARRIVED));
        }
        let account = |protocol| dovecot.account(protocol, "none", "u1") + "debug = true\n";
        let site = Site::new(&[("i", account("imap")), ("p", account("pop3"))]);
        let before = outside(&site);
        let output = site.cli(&["poll"]);
        assert_eq!(output.code, 0, "{output:?}");
        assert_eq!(outside(&site), before, "something changed outside the message folders");
        assert_eq!(site.tree_faults(), [""; 0]);
        let stored = site.stored();
        let imap: Vec<Vec<u8>> = dovecot
            .imap_client("u1")
            .list("INBOX")
            .into_iter()
            .map(|message| message.body)
            .collect();
        let pop3 = dovecot.pop3_client("u1").all();
        assert_eq!((imap.len(), pop3.len()), (messages.len(), messages.len()));
        for (account, shown) in [("i", &imap), ("p", &pop3)] {
            let mut octets: Vec<&[u8]> = of(&stored, account).map(|s| s.eml.as_slice()).collect();
            let mut shown: Vec<&[u8]> = shown.iter().map(Vec::as_slice).collect();
            octets.sort_unstable();
            shown.sort_unstable();
            assert!(octets == shown, "{account}: not all octets are as the server shows them");
        }
        assert_plain(&site, &output);
        Self { dovecot, site, output, stored, imap, pop3 }
    }

    /// Hands both copies of the n-th message to the check.
    fn each(&self, n: usize, check: impl Fn(&Stored)) {
        for (account, shown) in [("i", &self.imap), ("p", &self.pop3)] {
            let copy = of(&self.stored, account).find(|copy| copy.eml == shown[n]);
            check(copy.expect("stored"));
        }
    }

    /// The copy by IMAP of the n-th message.
    fn copy(&self, n: usize) -> &Stored {
        let copy = of(&self.stored, "i").find(|copy| copy.eml == self.imap[n]);
        copy.expect("stored")
    }

    /// A file beside `message.eml`, as text.
    fn file(&self, copy: &Stored, name: &str) -> String {
        fs::read_to_string(self.site.root().join(&copy.path).join(name)).unwrap()
    }
}

fn of<'a>(stored: &'a [Stored], account: &'a str) -> impl Iterator<Item = &'a Stored> {
    stored.iter().filter(move |copy| copy.account() == account)
}

/// Codes of the warnings in a `message.json`.
fn warnings(copy: &Stored) -> Vec<&str> {
    let warnings = copy.json["warnings"].as_array().unwrap();
    warnings.iter().map(|warning| warning["code"].as_str().unwrap()).collect()
}

/// The attachments: their files, and their names as they were sent.
fn names(copy: &Stored) -> Vec<(&str, &str)> {
    let files = copy.json["attachments"].as_array().unwrap().iter();
    files
        .map(|file| (file["file"].as_str().unwrap(), file["name"].as_str().unwrap_or_default()))
        .collect()
}

/// Every path of the site with what can change of it, apart from the databases and the messages.
fn outside(site: &Site) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![site.path().to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let data = fs::symlink_metadata(&path).unwrap();
            let below = path.strip_prefix(site.path()).unwrap();
            let is_own = ["mail/i", "mail/p", "state"].iter().any(|own| below.starts_with(own));
            let is_made = ["mail/.postrider-root", "mail/.stage"].map(Path::new).contains(&below);
            if !is_own && !is_made {
                found.push(format!("{} {:o}", below.display(), data.mode()));
            }
            if data.is_dir() && !is_own {
                open.push(path);
            }
        }
    }
    found.sort();
    found
}

/// No control character of a message, nor any that changes how others are shown, is in what the
/// program says or keeps.
fn assert_plain(site: &Site, output: &Output) {
    let is_plain = |what: &str, text: &str| {
        let harmful = text.chars().find(|c| {
            (c.is_control() && *c != '\n')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        });
        assert!(harmful.is_none(), "{what}: {harmful:?} in {text:?}");
    };
    is_plain("poll", &output.stdout);
    is_plain("poll's log", &output.stderr);
    for arguments in
        [&["log"][..], &["log", "--json"], &["status"], &["status", "--json"], &["plan"]]
    {
        let said = site.cli(arguments);
        is_plain(&arguments.join(" "), &said.stdout);
        is_plain(&arguments.join(" "), &said.stderr);
    }
    for copy in site.stored() {
        let json = fs::read(site.root().join(&copy.path).join("message.json")).unwrap();
        is_plain("message.json", std::str::from_utf8(&json).expect("UTF-8"));
    }
}

/// A multipart message of these parts: header lines and content.
fn multipart<H: AsRef<str>, C: AsRef<str>>(parts: impl IntoIterator<Item = (H, C)>) -> String {
    let mut mail = String::from(
        "From: a@example.org\nSubject: parts\nMIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=\"=b\"\n\n",
    );
    for (header, content) in parts {
        let (header, content) = (header.as_ref(), content.as_ref());
        write!(mail, "--=b\n{header}\n\n{content}\n").unwrap();
    }
    mail + "--=b--\n"
}

/// A multipart message with a file for each name, in a quoted string.
fn with_files<N: AsRef<str>>(names: &[N]) -> String {
    multipart(names.iter().enumerate().map(|(n, name)| {
        let name = name.as_ref();
        let header =
            format!("Content-Type: a/b\nContent-Disposition: attachment; filename=\"{name}\"");
        (header, format!("content {n}"))
    }))
}

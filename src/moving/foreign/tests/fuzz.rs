//! Fuzz targets: any text as another program's configuration.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::config::load_text;
use crate::tests::fuzz::{fuzz, way};

const WORDS: &[&str] = &[
    "poll",
    "skip",
    "defaults",
    "user",
    "password",
    "is",
    "here",
    "folder",
    "ssl",
    "no",
    "keep",
    "set daemon 60",
    "proto pop3",
    "\"",
    "'",
    "\\",
    "#",
    "\n",
    "\n\n",
    "=",
    "account",
    "host h\n",
    "user u\n",
    "tls on\n",
    "port 1\n",
    "[retriever]\n",
    "type=SimplePOP3Retriever\n",
    "server=h\n",
    "username=u\n",
    "port=1\n [daemon]\n",
    "mailboxes=('a','b')\n",
    "[options]\n",
    "delete_after=5\n",
    "IMAPAccount a\n",
    "Host h\nUser u\n",
    "IMAPStore s\nAccount a\n\n",
    "Channel c\nFar :s:\n",
    "Patterns * !x\n",
    "SyncState *\n",
    "MaxSize 1m\n",
    ":",
];

/// Whatever stood there, what comes of it is a table of ours with nothing else in it, and a name.
fn take(program: Program, input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let found = program.read(&text);
    for account in &found.accounts {
        let mut table = format!("[inbound.\"{}\"]\n", account.name);
        for (key, value) in &account.keys {
            writeln!(table, "{key} = {value}").unwrap();
        }
        let loaded = load_text(&table, Path::new("/x"), jiff::Timestamp::UNIX_EPOCH);
        for problem in &loaded.problems {
            let what = &problem.message;
            assert!(
                !what.contains("not TOML") && !what.contains("not allowed in"),
                "{table}{what}"
            );
            assert!(!what.contains("unknown") && !what.contains("twice"), "{table}{what}");
        }
        assert_eq!(loaded.facts.keys().filter(|name| !name.name.is_empty()).count(), 1, "{table}");
        assert!(account.name.len() <= 64 && !account.name.is_empty());
    }
    assert!(found.not_carried.iter().all(|lost| lost.what.chars().count() <= 80));
    way((
        found.accounts.len(),
        found.not_carried.len(),
        found.not_carried.last().map(|l| l.what.clone()),
    ))
}

#[test]
fn fuzz_fetchmailrc() {
    fuzz("fetchmailrc", WORDS, |input| take(Program::Fetchmail, input));
}

#[test]
fn fuzz_getmailrc() {
    fuzz("getmailrc", WORDS, |input| take(Program::Getmail, input));
}

#[test]
fn fuzz_mbsyncrc() {
    fuzz("mbsyncrc", WORDS, |input| take(Program::Mbsync, input));
}

#[test]
fn fuzz_mpoprc() {
    fuzz("mpoprc", WORDS, |input| take(Program::Mpop, input));
}

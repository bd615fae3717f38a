//! What the tests stand on: real servers, faulty ones, and a place to run `postrider` in.
//!
//! Everything listens on the loopback, lives in temporary folders and ends with its owner, also
//! when a test panics or the test process is killed.

mod certs;
mod disk;
mod dns;
mod dovecot;
mod imap;
mod issuer;
mod maildir;
mod order;
mod pop3;
mod process;
mod receiver;
mod relay;
pub mod server;
mod site;
mod stored;
mod submission;
mod trace;
mod web;

pub use certs::{Certificate, Certs};
pub use disk::{Disk, FORGETFUL};
pub use dns::{Dns, Record};
pub use dovecot::{Dovecot, Options, loopback_account};
pub use imap::{ImapClient, ImapMessage};
pub use issuer::{Fault as TokenFault, Issuer, MARK, SECRET};
pub use maildir::Delivery;
pub use order::{Copy, Places, faults};
pub use pop3::Pop3Client;
pub use process::{Output, Running, Used};
pub use receiver::{Receiver, Reply, Request};
pub use relay::{Act, Relay, When};
pub use server::{Fault, Protocol, Server, Then};
pub use site::Site;
pub use stored::Stored;
pub use submission::Submission;
pub use trace::{Call, Trace, is_allowed, is_below, traced};
pub use web::Web;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Asks again and again until the answer is `Some`; panics with `what` after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Does the work for each job, on as many threads as there are processors; the first panic is the
/// caller's.
pub fn in_parallel<T: Sync>(jobs: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(job);
                }
            });
        }
    });
}

/// The octets of the stored messages of all accounts, sorted, in a tree without faults.
pub fn stored_octets(site: &Site) -> Vec<Vec<u8>> {
    assert_eq!(site.tree_faults(), [""; 0]);
    let mut all: Vec<Vec<u8>> = site.stored().into_iter().map(|stored| stored.eml).collect();
    all.sort();
    all
}

/// Messages of several sizes.
pub fn messages(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| sample(&format!("message {n:04}"), n % 7 * 3_000)).collect()
}

/// What should be stored of these messages: as a server sends them, sorted.
pub fn as_sent(messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = messages.iter().map(|message| crlf(message)).collect();
    all.sort();
    all
}

/// A message with this subject and about so many octets of text, LF line ends.
pub fn sample(subject: &str, octets: usize) -> Vec<u8> {
    let mut text = format!(
        "Return-Path: <sender@example.org>\nReceived: from mx.example.org by mail.example.net; \
         Thu, 19 Nov 2026 09:12:31 +0000\nDate: Thu, 19 Nov 2026 10:12:30 +0100\n\
         From: Sender <sender@example.org>\nTo: u1@example.net\nSubject: {subject}\n\
         Message-ID: <{}@example.org>\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\n\n",
        subject.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
    );
    while text.len() < octets {
        text.push_str("The quick brown fox jumps over the lazy dog, and then again.\n");
    }
    text.push_str(".a line that begins with a dot\n");
    text.into_bytes()
}

/// The octets as a server sends them: a bare LF becomes CRLF.
pub fn crlf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 32);
    let mut before = 0;
    for &octet in octets {
        if octet == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(octet);
        before = octet;
    }
    out
}

//! Fuzz targets: every octet that a POP3 server can send.

#![expect(clippy::arithmetic_side_effects, reason = "counts and offsets of test inputs")]

use super::super::dot_lines::Unstuff;
use super::super::reply::{Reply, Status, printable, refused_greeting, refused_login};
use super::hostile::{drive_login, drive_session, run};
use super::*;
use crate::tests::fuzz::{about, fuzz, way};

/// Words of POP3.
const WORDS: &[&str] = &[
    "+OK",
    "-ERR",
    "+ ",
    "\r\n",
    "\n",
    "\r",
    ".",
    ".\r\n",
    "..",
    "+OK\r\n.\r\n",
    "1 a\r\n",
    "2 b",
    "1 10\r\n",
    "USER\r\n",
    "SASL PLAIN X\r\n",
    "PIPELINING\r\n",
    "STLS\r\n",
    "LOGIN-DELAY 9\r\n",
    "[AUTH]",
    "[IN-USE]",
    "[SYS/TEMP]",
    "[LOGIN-DELAY]",
    "locked",
    "Received: x; ",
    "\r\n\r\n",
];

/// All of the input in the given pieces: what came out, octets used, whether it ended.
fn unstuffed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, usize, bool) {
    let (mut unstuff, mut out, mut used) = (Unstuff::new(), bytes::BytesMut::new(), 0);
    for piece in pieces {
        let fed = unstuff.feed(piece, &mut out);
        used += fed.used;
        if fed.ended {
            return (out.to_vec(), used, true);
        }
        assert_eq!(fed.used, piece.len());
    }
    (out.to_vec(), used, false)
}

#[test]
fn fuzz_dot_lines() {
    fuzz("pop3-dot-lines", WORDS, |input| {
        let whole = unstuffed([input]);
        for size in [1, 2, 3, 7] {
            assert_eq!(unstuffed(input.chunks(size)), whole);
        }
        let (out, used, ended) = whole;
        assert!(out.len() <= used + 1);
        if ended {
            // What came out, stuffed again, means the same.
            assert!(input[..used].ends_with(b".\n") || input[..used].ends_with(b".\r\n"));
        }
        way((ended, about(used - out.len().min(used)), about(input.len() - used)))
    });
}

#[test]
fn fuzz_replies() {
    fuzz("pop3-reply", WORDS, |input| {
        assert!(printable(input).len() <= 512);
        assert!(!printable(input).contains(char::is_control));
        let mut capabilities = Capabilities::default();
        input.split(|octet| *octet == b'\n').for_each(|line| capabilities.learn(line));
        let Some(reply) = Reply::parse(input) else { return way(capabilities.login_delay) };
        assert!(!reply.said.contains(char::is_control));
        let login = refused_login(&reply, "u", "PASS", capabilities.login_delay);
        let greeting = refused_greeting(&reply);
        way((reply.status == Status::Ok, login.code(), greeting.code()))
    });
}

/// The input in pieces, whose size its first octet says.
fn pieces(input: &[u8]) -> Vec<Vec<u8>> {
    let (size, rest) = input.split_first().map_or((1, input), |(first, rest)| (*first, rest));
    rest.chunks(usize::from(size) * 4 + 1).map(<[u8]>::to_vec).collect()
}

/// UIDL, LIST, a pipelined batch of RETR, a batch of TOP, cut at each octet and in pieces.
#[test]
fn whole_batch_is_the_same_however_its_octets_are_cut() {
    let seed = include_bytes!("../../../../tests/seeds/pop3-session/two-messages");
    let octets = &seed[1..];
    let all = |pieces: Vec<Vec<u8>>| run(drive_session(pieces, true, false));
    let whole = all(vec![octets.to_vec()]);
    assert_eq!(whole.1[1], "A: b\r\n\r\nhi\r\n");
    assert_eq!(whole.1[3], "C: d\r\n\r\n.x\r\n");
    assert_eq!((whole.0, whole.2), (2, "fetched"));
    for at in 1..octets.len() {
        let (left, right) = octets.split_at(at);
        assert_eq!(all(vec![left.to_vec(), right.to_vec()]), whole, "cut at {at}");
        assert_eq!(all(octets.chunks(at).map(<[u8]>::to_vec).collect()), whole, "by {at}");
    }
}

#[test]
fn fuzz_logins() {
    fuzz("pop3-login", WORDS, |input| {
        let greeted = input.len() % 2 == 1;
        way(run(drive_login(pieces(input), greeted)).map_err(|error| error.code()).map(|_| ()))
    });
}

#[test]
fn fuzz_sessions() {
    fuzz("pop3-session", WORDS, |input| {
        let (pipelining, download) = (input.len() % 2 == 1, input.len() % 4 > 1);
        way(run(drive_session(pieces(input), pipelining, download)))
    });
}

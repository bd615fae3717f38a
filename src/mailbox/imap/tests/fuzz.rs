//! Fuzz targets: every octet that an IMAP server can send.

use async_imap::imap_proto::Response;

use super::super::append_reply::{AppendUid, append_limit};
use super::super::sieve::Sieve;
use super::super::{date, listed, said, uid_set, utf7};
use super::*;
use crate::net::NetError;
use crate::tests::fuzz::{fuzz, way};

/// Words of IMAP; a NUL ends one reply of a scripted server.
const WORDS: &[&str] = &[
    "* ",
    "TAG OK ",
    "TAG NO ",
    "TAG BAD ",
    "\r\n",
    "\0",
    "1 FETCH (UID 1 ",
    "2 FETCH (",
    "UID 2 ",
    "BODY[] ",
    "BODY[HEADER] ",
    "BODY[]<0> ",
    "{5}\r\nabcd\n",
    "{3}\r\n",
    "~{2}\r\nab",
    "\"a\\\"b\" ",
    "NIL",
    "INTERNALDATE \"01-Jan-2026 00:00:00 +0000\" ",
    "INTERNALDATE NIL ",
    "RFC822.SIZE 5 ",
    "FLAGS (\\Seen) ",
    ")",
    "(",
    "LIST (\\Noselect) \"/\" ",
    "INBOX",
    "&-",
    "&AOQ-",
    "SEARCH 1 2",
    "3 EXISTS",
    "1 EXPUNGE",
    "BYE ",
    "OK [UIDVALIDITY 7] x",
    "[UIDNEXT 9]",
    "[CAPABILITY IMAP4rev1 ",
    "[ALERT]",
    "[BADCHARSET (",
    "STATUS ",
    "METADATA \"\" (/x ",
    "BODYSTRUCTURE (((",
    "ENVELOPE (",
    "VANISHED (EARLIER) 1:3",
    "+ go",
    "AUTH=PLAIN ",
    "SASL-IR ",
    "UIDPLUS CONDSTORE ESEARCH] ",
    "R1 OK [APPENDUID 7 9] x",
    "* STATUS x (APPENDLIMIT 5)",
];

fn sift<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Option<String>) {
    let (mut sieve, mut out) = (Sieve::new(), Vec::new());
    sieve.set_caps(4_000, 12_000);
    for piece in pieces {
        if let Err(error) = sieve.feed(piece, &mut out) {
            return (out, Some(error.to_string()));
        }
    }
    (out, None)
}

#[test]
fn fuzz_sieve_and_the_parser_behind_it() {
    fuzz("imap-sieve", WORDS, |input| {
        let (out, error) = sift([input]);
        // A quoted string becomes a literal, `{n}CRLF` longer at most than its quotes.
        assert!(out.len() <= input.len() * 4 + 64, "{} of {}", out.len(), input.len());
        // Where imap-proto takes a part of an attribute that it doesn't know for one that it does,
        // it panics at a date of NIL; `dialogue` catches that.
        let no_date = out.to_ascii_uppercase().windows(16).any(|w| w == b"INTERNALDATE NIL");
        let mut rest = if no_date { &[][..] } else { out.as_slice() };
        let mut parsed = Vec::new();
        while let Ok((left, response)) = Response::parse(rest) {
            parsed.push(std::mem::discriminant(&response));
            drop(listed::read_item(&response));
            rest = left;
        }
        for size in [1, 3, 10] {
            let (pieced, other) = sift(input.chunks(size));
            // What a reply may hold in all is counted by piece, so more may pass before the end.
            if error.is_none() || !error.as_ref().is_some_and(|e| e.contains("in one reply")) {
                assert_eq!((&pieced, &other), (&out, &error));
            }
        }
        parsed.truncate(3);
        way((error.map(|error| error.chars().take(6).collect::<String>()), parsed, rest.is_empty()))
    });
}

#[test]
fn fuzz_words_of_a_server() {
    fuzz("imap-words", WORDS, |input| {
        let text = String::from_utf8_lossy(input);
        assert!(!said::shown(&text).contains(char::is_control));
        let throttled = said::throttled(&text).map(|error| error.code());
        let name = utf7::decode(&text);
        if let Some(name) = &name {
            assert!(utf7::encode(name).is_ascii());
            assert_eq!(utf7::decode(&utf7::encode(name)).as_ref(), Some(name));
        }
        assert_eq!(utf7::decode(&utf7::encode(&text)).as_deref(), Some(&*text));
        let capabilities = Capabilities::of_line(&text).or_else(|| Capabilities::of_code(&text));
        let uids = uid_set::uids_of(&text).take(5).count();
        let date = date::internal_date(&text).is_some();
        let place = AppendUid::of_line(input);
        assert!(place.as_ref().is_none_or(|place| place.uid > 0 && place.uid_validity > 0));
        way((
            throttled,
            said::bye(&text).code(),
            name.is_some(),
            date,
            uids,
            capabilities.is_some(),
            place.is_some(),
            append_limit(input).is_some(),
        ))
    });
}

/// Plays a whole session with a server that gives one reply after the other, whatever it is asked;
/// says what became of it and what was fetched.
async fn drive(replies: Vec<String>, piece: usize) -> (Vec<String>, Vec<Vec<u8>>) {
    let mut bodies = Vec::new();
    let ways = drive_into(replies, piece, &mut bodies).await;
    (ways, bodies)
}

async fn drive_into(replies: Vec<String>, piece: usize, bodies: &mut Vec<Vec<u8>>) -> Vec<String> {
    let mut replies = replies.into_iter();
    let greeting = replies.next().unwrap_or_default();
    let next = move |_: &str| replies.next().unwrap_or_else(|| "CLOSE".to_owned());
    let (wire, _server) = Server::start_in_pieces(piece, &greeting, next);
    let mut ways = Vec::new();
    let proof = Proof::Password("secret");
    let mut session = match start::log_in(wire, &account(), proof, &mut Witness::blind()).await {
        Ok(session) => session,
        Err(error) => return vec![error.code().to_owned()],
    };
    let listed = async {
        drop(session.mailboxes().await?);
        session.open("INBOX").await?;
        session.next_window().await
    };
    let window = match listed.await {
        Ok(window) => window,
        Err(error) => return vec!["in".to_owned(), error.code().to_owned()],
    };
    let (sender, mut parts) = mpsc::channel(4);
    let fetching = async {
        let keys = window.iter().flat_map(|window| &window.messages);
        let keys: Vec<Fetch> = keys.map(|listed| wanted(listed.number, listed.size)).collect();
        let fetched = session.fetch(&keys, &sender).await;
        drop(sender);
        fetched
    };
    let taking = async {
        let mut body = Vec::new();
        while let Some(part) = parts.recv().await {
            match part {
                Part::Begin { key } => {
                    body.clear();
                    ways.push(key.to_string());
                }
                Part::Data(octets) => body.extend_from_slice(&octets),
                Part::End { octets, .. } => {
                    assert_eq!(octets, body.len() as u64);
                    bodies.push(body.clone());
                }
                Part::Failed { key, error } => ways.push(format!("{key} {}", error.code())),
            }
        }
    };
    let (fetched, ()) = tokio::join!(fetching, taking);
    if let (Ok(()), Some(window)) = (&fetched, &window) {
        drop(session.headers(&window.messages).await);
    }
    session.quit().await.unwrap();
    ways.push(fetched.err().map_or("whole", |error| error.code()).to_owned());
    ways
}

/// The replies of a prelude, and those that a NUL ends.
fn replies(input: &[u8], prelude: &[&str]) -> Vec<String> {
    let text = String::from_utf8_lossy(input).into_owned();
    let prelude = prelude.iter().map(|reply| (*reply).to_owned());
    prelude.chain(text.split('\0').map(str::to_owned)).collect()
}

fn play(replies: Vec<String>, piece: usize) -> (Vec<String>, Vec<Vec<u8>>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        tokio::select! {
            ways = drive(replies, piece) => ways,
            () = tokio::time::sleep(Duration::from_hours(1)) => panic!("it hangs"),
        }
    })
}

#[test]
fn fuzz_sessions_from_the_greeting() {
    fuzz("imap-session", WORDS, |input| way(play(replies(input, &[]), 1 << 20).0));
}

/// Two mailboxes' worth of good manners, so that the octets reach listing and fetching.
const LOGGED_IN: &[&str] = &[
    "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS] hello\r\n",
    "TAG OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS] in\r\n",
    "* LIST () \"/\" INBOX\r\nTAG OK done\r\n",
    "* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 4] x\r\nTAG OK [READ-ONLY] ok\r\n",
];

#[test]
fn fuzz_sessions_from_the_listing() {
    fuzz("imap-fetch", WORDS, |input| way(play(replies(input, LOGGED_IN), 1 << 20).0));
}

/// Listing, small messages in one command, a large one in chunks, header sections.
#[test]
fn whole_fetch_is_the_same_however_its_octets_are_cut() {
    let seed = include_bytes!("../../../../tests/seeds/imap-fetch/small-and-large");
    let whole = play(replies(seed, LOGGED_IN), 1 << 20);
    assert_eq!(whole.1, [b"hello".to_vec(), [[b'x'; 1000], [b'y'; 1000]].concat()], "{whole:?}");
    for piece in (1..100).chain([127, 255, 500, 999, 1000, 1001, 1024, 2000]) {
        assert_eq!(play(replies(seed, LOGGED_IN), piece), whole, "in pieces of {piece}");
    }
}

#[test]
fn reply_is_bounded_for_every_octet() {
    let mut sieve = Sieve::new();
    sieve.set_caps(100, 1_000);
    let mut out = Vec::new();
    let fed: Vec<_> = (0..90).map(|_| sieve.feed(b"* 1 FETCH (\"", &mut out)).collect();
    assert_eq!(fed.iter().position(Result::is_err), Some(1_000 / 12));
    let error = sieve.feed(b"x", &mut out).unwrap_err();
    assert!(matches!(error, NetError::TooMuch { .. }) && out.is_empty());
}

/// Puts three messages into a mailbox of a server that gives one reply after the other to whatever
/// it hears; what is known of them, and how the session ended.
async fn append(replies: Vec<String>) -> Vec<String> {
    let mut replies = replies.into_iter();
    let greeting = replies.next().unwrap_or_default();
    let next = move |_: &str| replies.next().unwrap_or_else(|| "CLOSE".to_owned());
    let (wire, _server) = Server::start(&greeting, next);
    let proof = Proof::Password("secret");
    let mut session = start::log_in(wire, &account(), proof, &mut Witness::blind()).await.unwrap();
    session.capabilities = Capabilities::read("LITERAL- UIDPLUS APPENDLIMIT BINARY");
    let target = match session.target("Back", true).await {
        Ok(target) => target,
        Err(error) => return vec![error.code().to_owned()],
    };
    let flags = target.kept(&["\\Seen".to_owned(), "x".to_owned()]);
    let mut appending = session.appending(&target.mailbox, false).unwrap();
    let sent = async {
        for body in [&b"one"[..], &[b'x'; 5000], b"three"] {
            let (octets, flags) = (body.len() as u64, flags.clone());
            let letter = crate::mailbox::Letter { octets, has_nul: false, flags, at: None };
            appending.whole(&letter, body).await?;
        }
        appending.finish().await
    };
    let sent = sent.await;
    let answers = appending.into_answers();
    assert!(answers.len() <= 3 && (sent.is_err() || answers.len() == 3), "{answers:?}");
    let told = answers.iter().map(|answer| format!("{:?}", std::mem::discriminant(answer)));
    told.chain([sent.err().map_or("whole", |error| error.code()).to_owned()]).collect()
}

#[test]
fn fuzz_sessions_that_append() {
    fuzz("imap-append", WORDS, |input| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        way(runtime.block_on(async {
            tokio::select! {
                ways = append(replies(input, &LOGGED_IN[..2])) => ways,
                () = tokio::time::sleep(Duration::from_hours(1)) => panic!("it hangs"),
            }
        }))
    });
}

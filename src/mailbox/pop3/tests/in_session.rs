//! Listing, fetching, deleting and leaving.

use jiff::Timestamp;

use super::super::capabilities::Capabilities;
use super::*;
use crate::mailbox::Verdict;
use crate::model::{DeleteReason, FetchReason, MessageKey, Sha256, StoredCopy};

const UIDL: Step<'_> = ("UIDL", b"+OK\r\n1 a\r\n2 b\r\n3 c\r\n.\r\n");
const LIST: Step<'_> = ("LIST", b"+OK 3\r\n1 10\r\n2 20\r\n3 30\r\n.\r\n");
const NOOP: Step<'_> = ("NOOP", b"+OK\r\n");

fn key(unique_id: &str) -> MessageKey {
    MessageKey::Pop3 { unique_id: unique_id.to_owned(), occurrence: 0 }
}

fn wanted(unique_id: &str, number: u32) -> Fetch {
    Fetch {
        key: key(unique_id),
        number,
        alone: true,
        size: None,
        internal_date: None,
        received: None,
        flags: Vec::new(),
        why: FetchReason::New,
    }
}

fn delete(unique_id: &str, number: u32) -> Delete {
    let copy = StoredCopy {
        cut: false,
        leaps: jiff::SignedDuration::ZERO,
        canary: false,
        row: i64::from(number).saturating_mul(100),
        key: key(unique_id),
        path: "p".to_owned(),
        sha256: Sha256([0; 32]),
        json_sha256: Sha256([0; 32]),
        size: 1,
        listed_size: Some(u64::from(number).saturating_mul(10)),
        internal_date: None,
        archived_at: Timestamp::UNIX_EPOCH,
        deleting: true,
        delete_ok: true,
        actions_open: false,
        actions_unknown: false,
        moves: Vec::new(),
        received: None,
        flagged: false,
    };
    Delete {
        key: key(unique_id),
        number,
        copy,
        how: DeleteMode::Expunge,
        action: None,
        why: DeleteReason::Begun,
    }
}

/// What came of a fetch: for each message its octets, or why not.
async fn fetched(
    session: &mut Pop3Session<DuplexStream>,
    wanted: &[Fetch],
) -> (Vec<(String, Result<Vec<u8>, String>)>, Result<(), MailboxError>) {
    let (sender, mut parts) = mpsc::channel(4);
    let collect = async {
        let (mut all, mut open) = (Vec::new(), None);
        while let Some(part) = parts.recv().await {
            match part {
                Part::Begin { key } => open = Some((key.to_string(), Vec::new())),
                Part::Data(octets) => open.as_mut().unwrap().1.extend_from_slice(&octets),
                Part::End { octets, .. } => {
                    let (key, body) = open.take().unwrap();
                    assert_eq!(octets, body.len() as u64);
                    all.push((key, Ok(body)));
                }
                Part::Failed { key, error } => {
                    open = None;
                    all.push((key.to_string(), Err(error.to_string())));
                }
            }
        }
        all
    };
    let fetch = async {
        let result = session.fetch(wanted, &sender).await;
        drop(sender);
        result
    };
    let (result, all) = tokio::join!(fetch, collect);
    (all, result)
}

#[tokio::test]
async fn maildrop_is_read_once_and_listed() {
    session_with(&account(), &[UIDL, LIST], async |mut session| {
        assert_eq!(session.mailboxes().await.unwrap(), [""]);
        assert_eq!(session.open("").await.unwrap().exists, 3);
        assert_eq!(session.open("").await.unwrap().exists, 3);
        let window = session.next_window().await.unwrap().unwrap();
        assert!(window.complete && window.messages.len() == 3);
        assert!(session.next_window().await.unwrap().is_none());
        assert_eq!(session.open("INBOX").await.unwrap_err().code(), "mailbox-missing");
    })
    .await;
}

#[tokio::test]
async fn messages_come_pipelined_and_exact() {
    let steps: [Step<'_>; 6] = [
        UIDL,
        LIST,
        ("RETR 1", b"+OK\r\nA: b\r\n\r\n..dot\r\n\0\xff\r\n.\r\n"),
        ("RETR 2", b"-ERR [SYS/TEMP] not now\r\n"),
        ("RETR 3", b"+OK\r\nbare\n..x\n.\n"),
        NOOP,
    ];
    session_with(&account(), &steps, async |mut session| {
        let all = [wanted("a", 1), wanted("b", 2), wanted("c", 3)];
        let (parts, result) = fetched(&mut session, &all).await;
        assert!(result.is_ok());
        assert_eq!(parts[0].1.as_deref(), Ok(b"A: b\r\n\r\n.dot\r\n\0\xff\r\n".as_slice()));
        assert!(parts[1].1.as_ref().is_err_and(|why| why.contains("not now")));
        assert_eq!(parts[2].1.as_deref(), Ok(b"bare\n.x\n".as_slice()));
    })
    .await;
}

#[tokio::test]
async fn i09_empty_messages_are_failures() {
    let steps: [Step<'_>; 4] = [UIDL, LIST, ("RETR 1", b"+OK 0\r\n.\r\n"), NOOP];
    session_with(&account(), &steps, async |mut session| {
        let (parts, result) = fetched(&mut session, &[wanted("a", 1)]).await;
        assert!(result.is_ok());
        assert!(parts[0].1.as_ref().is_err_and(|why| why.contains("empty")));
    })
    .await;
}

#[tokio::test]
async fn pop06_numbers_of_another_session_are_not_fetched() {
    session_with(&account(), &[UIDL, LIST], async |mut session| {
        let (parts, result) = fetched(&mut session, &[wanted("a", 2), wanted("z", 9)]).await;
        assert!(result.is_ok());
        assert!(parts.len() == 2 && parts.iter().all(|(_, body)| body.is_err()));
    })
    .await;
}

#[tokio::test]
async fn message_cut_at_an_unstuffed_dot_has_no_end() {
    let steps: [Step<'_>; 4] =
        [UIDL, LIST, ("RETR 1", b"+OK\r\nhalf\r\n.\r\nthe rest\r\n.\r\n"), NOOP];
    session_with(&account(), &steps, async |mut session| {
        let (parts, result) = fetched(&mut session, &[wanted("a", 1)]).await;
        assert_eq!(result.unwrap_err().code(), "protocol-error");
        assert!(parts.len() == 1 && parts[0].1.is_err());
    })
    .await;
}

#[tokio::test]
async fn end_of_file_inside_a_message_is_an_error_at_once() {
    for reply in [b"".as_slice(), b"+OK", b"+OK\r\n", b"+OK\r\nx\r\n", b"+OK\r\nx\r\n.\r"] {
        session_with(&account(), &[UIDL, LIST, ("RETR 1", reply)], async |mut session| {
            let (parts, result) = fetched(&mut session, &[wanted("a", 1)]).await;
            assert_eq!(result.unwrap_err().code(), "connection-lost");
            assert!(parts.len() == 1 && parts[0].0 == key("a").to_string() && parts[0].1.is_err());
        })
        .await;
    }
}

#[tokio::test]
async fn message_that_always_costs_the_session_lets_the_others_through() {
    let whole = b"+OK\r\nx\r\n.\r\n".as_slice();
    for cut in [b"".as_slice(), b"+O", b"+OK\r\n", b"+OK\r\nhalf"] {
        let all = [wanted("a", 1), wanted("b", 2), wanted("c", 3)];
        let steps = [UIDL, LIST, ("RETR 1", whole), ("RETR 2", cut)];
        session_with(&account(), &steps, async |mut session| {
            let (parts, result) = fetched(&mut session, &all).await;
            assert_eq!(result.unwrap_err().code(), "connection-lost");
            let names: Vec<_> = parts.iter().map(|(key, body)| (&**key, body.is_ok())).collect();
            let (a, b) = (key("a").to_string(), key("b").to_string());
            // What answers with +OK proves the message before it, and nothing else does.
            if cut.starts_with(b"+OK") {
                assert_eq!(names, [(&*a, true), (&*b, false)]);
            } else {
                assert_eq!(names, [(&*b, false)]);
            }
        })
        .await;
        // The next poll: what failed comes last, whatever the order is.
        let why = FetchReason::Retry { attempts: 1 };
        let all = [Fetch { why, ..wanted("b", 2) }, wanted("a", 1), wanted("c", 3)];
        let steps = [UIDL, LIST, ("RETR 1", whole), ("RETR 3", whole), ("RETR 2", b"+OK\r\nhalf")];
        session_with(&account(), &steps, async |mut session| {
            let (parts, result) = fetched(&mut session, &all).await;
            assert!(result.is_err());
            let good: Vec<_> = parts.iter().map(|(_, body)| body.is_ok()).collect();
            assert_eq!(good, [true, true, false]);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn farewell_that_nothing_hangs_on_is_short() {
    let (ours, theirs) = duplex(1 << 20);
    let transaction = Transaction::new(ours, &Capabilities::default(), &account());
    let begun = Instant::now();
    quickly((Pop3Session { transaction }).quit()).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 5);
    drop(theirs);
}

#[tokio::test]
async fn large_message_comes_in_bounded_pieces() {
    let body = b"0123456789abcdef\r\n".repeat(200_000);
    let reply = [b"+OK\r\n".as_slice(), &body, b".\r\n"].concat();
    let steps: [Step<'_>; 4] = [UIDL, LIST, ("RETR 1", &reply), NOOP];
    session_with(&account(), &steps, async |mut session| {
        let (sender, mut parts) = mpsc::channel(1);
        let all = [wanted("a", 1)];
        let fetch = async { session.fetch(&all, &{ sender }).await };
        let collect = async {
            let mut octets = Vec::new();
            while let Some(part) = parts.recv().await {
                if let Part::Data(data) = part {
                    assert!(data.len() <= 256 * 1024);
                    octets.extend_from_slice(&data);
                }
            }
            octets
        };
        let (result, octets) = tokio::join!(fetch, collect);
        assert!(result.is_ok() && octets == body);
    })
    .await;
}

#[tokio::test]
async fn message_beyond_the_limit_ends_the_session() {
    let account = Inbound { max_message_size: Some(ByteSize(1000)), ..account() };
    let reply = [b"+OK\r\n".as_slice(), &b"line\r\n".repeat(1000), b".\r\n"].concat();
    let steps: [Step<'_>; 4] = [UIDL, LIST, ("RETR 1", &reply), NOOP];
    session_with(&account, &steps, async |mut session| {
        let (parts, result) = fetched(&mut session, &[wanted("a", 1)]).await;
        assert_eq!(result.unwrap_err().code(), "server-too-much");
        assert!(parts.len() == 1 && parts[0].1.is_err());
    })
    .await;
}

#[tokio::test]
async fn nobody_left_to_take_messages_ends_the_fetch() {
    let steps: [Step<'_>; 4] = [UIDL, LIST, ("RETR 1", b"+OK\r\nx\r\n.\r\n"), NOOP];
    session_with(&account(), &steps, async |mut session| {
        let (sender, parts) = mpsc::channel(1);
        drop(parts);
        assert!(session.fetch(&[wanted("a", 1)], &sender).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn header_sections_end_at_the_blank_line() {
    let steps: [Step<'_>; 5] = [
        UIDL,
        LIST,
        ("TOP 1 0", b"+OK\r\nA: 1\r\n\r\n.\r\n"),
        ("TOP 2 0", b"-ERR no\r\n"),
        ("TOP 3 0", b"+OK\r\nB: 2\r\n\r\nbody, unasked\r\n\r\n.\r\n"),
    ];
    session_with(&account(), &steps, async |mut session| {
        session.open("").await.unwrap();
        let window = session.next_window().await.unwrap().unwrap();
        let sections = session.headers(&window.messages).await.unwrap();
        let wanted = [Some("A: 1\r\n\r\n".into()), None, Some("B: 2\r\n\r\n".into())];
        assert_eq!(sections, wanted);
    })
    .await;
}

#[tokio::test]
async fn server_without_top_is_asked_three_times() {
    let account = {
        let mut account = account();
        account.properties.pop3_pipeline = 1;
        account
    };
    let uidl: Step<'_> = ("UIDL", b"+OK\r\n1 a\r\n2 b\r\n3 c\r\n4 d\r\n5 e\r\n.\r\n");
    let list: Step<'_> = ("LIST", b"+OK\r\n1 1\r\n2 1\r\n3 1\r\n4 1\r\n5 1\r\n.\r\n");
    let no = b"-ERR unknown\r\n".as_slice();
    let steps: [Step<'_>; 6] =
        [uidl, list, ("TOP 1 0", no), ("TOP 2 0", no), ("TOP 3 0", no), ("QUIT", b"+OK\r\n")];
    session_with(&account, &steps, async |mut session| {
        session.open("").await.unwrap();
        let window = session.next_window().await.unwrap().unwrap();
        assert_eq!(session.headers(&window.messages).await.unwrap(), vec![None; 5]);
        session.quit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn pop01_server_without_uidl_is_unsupported_and_names_the_key() {
    let steps: [Step<'_>; 2] = [("UIDL", b"-ERR unknown\r\n"), LIST];
    session_with(&account(), &steps, async |mut session| {
        let error = session.open("").await.unwrap_err();
        assert_eq!(error.code(), "server-unsupported");
        assert!(error.to_string().contains("pop3_no_uidl = \"download\""));
    })
    .await;
}

#[tokio::test]
async fn pop01_uidl_that_names_no_message_is_none() {
    let steps: [Step<'_>; 2] = [("UIDL", b"+OK\r\n1 \xff\r\n2\r\n.\r\n"), LIST];
    session_with(&account(), &steps, async |mut session| {
        assert_eq!(session.open("").await.unwrap_err().code(), "server-unsupported");
    })
    .await;
}

#[tokio::test]
async fn pop01_without_uidl_messages_may_be_named_by_their_hash() {
    let account = Inbound { pop3_no_uidl_download: true, ..account() };
    let steps: [Step<'_>; 6] = [
        ("UIDL", b"-ERR unknown\r\n"),
        LIST,
        ("RETR 1", b"+OK\r\nabc\r\n.\r\n"),
        ("RETR 2", b"+OK\r\nother\r\n.\r\n"),
        ("RETR 3", b"+OK\r\nabc\r\n.\r\n"),
        NOOP,
    ];
    session_with(&account, &steps, async |mut session| {
        session.open("").await.unwrap();
        let window = session.next_window().await.unwrap().unwrap();
        let ids: Vec<_> = window.messages.iter().map(|m| m.key.to_string()).collect();
        let abc = "unique-id sha256:\
                   552bab68644e5e4a0a2b7d7dfb1af65ff1bbb0c9a8a3b4b7a55e0fa6a4a8d9b9";
        assert_eq!(ids[0].len(), abc.len());
        assert_eq!(ids[2], format!("{} #1", ids[0]));
        assert_ne!(ids[0], ids[1]);
        assert!(window.complete);
    })
    .await;
}

#[tokio::test]
async fn pop10_pop11_only_proven_messages_are_deleted_and_only_by_quit() {
    let steps: [Step<'_>; 5] = [
        UIDL,
        LIST,
        ("DELE 1", b"+OK\r\n"),
        ("DELE 2", b"-ERR cannot\r\n"),
        ("QUIT", b"+OK bye\r\n"),
    ];
    session_with(&account(), &steps, async |mut session| {
        let deletes = [delete("a", 1), delete("b", 2), delete("z", 3)];
        let recheck = session.recheck(None, None, &deletes, &DeleteMode::Expunge).await.unwrap();
        let Recheck::Verdicts(verdicts) = recheck else { panic!("{recheck:?}") };
        assert_eq!(verdicts, [Verdict::Same, Verdict::Same, Verdict::Gone]);
        let intent = DeleteIntent::committed(&deletes, DeleteMode::Expunge);
        let outcome = session.delete_from_server(&intent).await.unwrap();
        assert_eq!(outcome.on_quit, [100]);
        assert!(outcome.gone.is_empty());
        let refused: Vec<_> = outcome.refused.iter().map(|(row, _)| *row).collect();
        assert_eq!(refused, [300, 200]);
        session.quit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn pop08_pop09_failing_quit_matters_only_behind_a_dele() {
    for reply in [b"-ERR some deleted messages not removed\r\n".as_slice(), b"", b"+O"] {
        session_with(&account(), &[("QUIT", reply)], async |session| {
            session.quit().await.unwrap();
        })
        .await;
        let steps = [UIDL, LIST, ("DELE 1", b"+OK\r\n".as_slice()), ("QUIT", reply)];
        session_with(&account(), &steps, async |mut session| {
            let intent = DeleteIntent::committed(&[delete("a", 1)], DeleteMode::Expunge);
            session.delete_from_server(&intent).await.unwrap();
            assert!(session.quit().await.is_err());
        })
        .await;
    }
}

#[tokio::test]
async fn lists_that_break_off_or_lie_are_errors() {
    let cases: [(&[u8], &str); 5] = [
        (b"+OK\r\n1 a\r\n2 ", "connection-lost"),
        (b"+OK\r\n-1 a\r\n.\r\n", "protocol-error"),
        (b"+OK\r\n4294967296 a\r\n.\r\n", "protocol-error"),
        (b"garbage\r\n", "protocol-error"),
        (&[b'1'; 5000], "server-too-much"),
    ];
    for (reply, code) in cases {
        session_with(&account(), &[("UIDL", reply)], async |mut session| {
            assert_eq!(session.open("").await.unwrap_err().code(), code);
        })
        .await;
    }
}

#[tokio::test]
async fn without_pipelining_each_command_waits_for_its_reply() {
    let (ours, theirs) = duplex(1 << 20);
    let transaction = Transaction::new(ours, &Capabilities::default(), &account());
    let mut session = Pop3Session { transaction };
    let server = async {
        let (mut reads, mut writes) = tokio::io::split(theirs);
        for reply in ["+OK\r\n1 a\r\n.\r\n", "+OK\r\n1 1\r\n.\r\n"] {
            let mut seen = [0; 64];
            let count = tokio::io::AsyncReadExt::read(&mut reads, &mut seen).await.unwrap();
            assert_eq!(count, "UIDL\r\n".len());
            writes.write_all(reply.as_bytes()).await.unwrap();
        }
    };
    let (opened, ()) = quickly(async { tokio::join!(session.open(""), server) }).await;
    assert_eq!(opened.unwrap().exists, 1);
}

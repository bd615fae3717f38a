//! Mailboxes, windows and header sections.

use super::*;
use crate::net::NetError;

fn item(n: u32, uid: u32) -> String {
    format!(
        "* {n} FETCH (UID {uid} FLAGS (\\Seen) INTERNALDATE \"01-Jan-2026 00:00:00 +0000\" \
         RFC822.SIZE 10)\r\n"
    )
}

/// All windows of a mailbox whose listing commands are answered by `answer`.
async fn windows(exists: u32, answer: impl Fn(&str) -> String + Send + 'static) -> Vec<Listing> {
    let (mut session, _server) = session(exists, move |command| {
        let listing = command.strip_prefix("UID FETCH ");
        listing.map(|rest| answer(rest.split(' ').next().unwrap())).unwrap_or_default()
    })
    .await;
    session.open("inbox").await.unwrap();
    let mut windows = Vec::new();
    while let Some(listing) = session.next_window().await.unwrap() {
        windows.push(listing);
    }
    windows
}

fn uids(listing: &Listing) -> Vec<u32> {
    listing.messages.iter().map(|message| message.number).collect()
}

#[tokio::test]
async fn opened_mailbox_says_what_it_is() {
    let (mut session, server) = session(3, |_| String::new()).await;
    let opened = session.open("InBox").await.unwrap();
    assert_eq!((opened.uid_validity, opened.uid_next, opened.exists), (Some(7), Some(4), 3));
    assert_eq!(server.commands().last().unwrap(), "EXAMINE \"INBOX\"");
}

#[tokio::test]
async fn i03_uidvalidity_that_is_missing_or_zero_is_none() {
    for code in ["* OK [UIDVALIDITY 0] x\r\n", "", "* OK [UIDVALIDITY 4294967296] x\r\n"] {
        let (mut session, _server) = session(0, move |command| {
            if command.starts_with("EXAMINE") {
                format!("{code}TAG OK x\r\n")
            } else {
                String::new()
            }
        })
        .await;
        assert_eq!(session.open("INBOX").await.unwrap().uid_validity, None);
    }
}

#[tokio::test]
async fn i34_missing_mailbox_spoils_only_itself() {
    let (mut session, _server) = session(0, |command| {
        if command.contains("gone") { "TAG NO [NONEXISTENT] no such\r\n" } else { "" }.to_owned()
    })
    .await;
    let error = session.open("gone").await.unwrap_err();
    assert!(matches!(&error, MailboxError::NoMailbox { said, .. } if said.contains("NONEXISTENT")));
    session.open("INBOX").await.unwrap();
}

#[tokio::test]
async fn names_go_over_encoded_and_quoted() {
    let (mut session, server) = session(0, |_| String::new()).await;
    session.open("Büro \"1\"\\x\r\nA1 DELETE INBOX").await.unwrap();
    assert_eq!(
        server.commands().last().unwrap(),
        "EXAMINE \"B&APw-ro \\\"1\\\"\\\\x&AA0ACg-A1 DELETE INBOX\""
    );
}

#[tokio::test]
async fn mailboxes_are_decoded_and_filtered() {
    let (mut session, server) = session(0, |command| {
        if !command.starts_with("LIST") {
            return String::new();
        }
        "* LIST (\\HasChildren) \"/\" inbox\r\n* LIST (\\Noselect) \"/\" \"no\"\r\n\
         * LIST (\\NonExistent) NIL gone\r\n* LIST () \"\\\\\" \"B&APw-ro\"\r\n\
         * LIST () \".\" {3}\r\nR&D\r\n* LIST () \".\" \"a\\\"b\"\r\n* LIST () \".\" \"\"\r\n\
         * LIST () \".\" ../../etc\r\nTAG OK\r\n"
            .to_owned()
    })
    .await;
    let names = session.mailboxes().await.unwrap();
    assert_eq!(names, ["../../etc", "Büro", "INBOX", "R&D", "a\"b"]);
    session.open("R&D").await.unwrap();
    assert_eq!(server.commands().last().unwrap(), "EXAMINE \"R&D\"", "as the server spells it");
}

#[tokio::test]
async fn endless_list_of_mailboxes_is_refused() {
    let (mut session, _server) = session(0, |command| {
        if !command.starts_with("LIST") {
            return String::new();
        }
        let names: Vec<String> = (0..5001).map(|n| format!("* LIST () \"/\" m{n}\r\n")).collect();
        names.concat() + "TAG OK\r\n"
    })
    .await;
    let error = session.mailboxes().await.unwrap_err();
    assert!(matches!(error, MailboxError::Net(NetError::TooMuch { .. })));
}

#[tokio::test]
async fn empty_mailbox_is_one_empty_complete_window() {
    let windows = windows(0, |_| "* 1 FETCH (FLAGS ())\r\nTAG OK\r\n".to_owned()).await;
    assert_eq!(windows.len(), 1);
    assert!(windows[0].messages.is_empty() && windows[0].complete);
    assert_eq!(windows[0].range, (1, u32::MAX));
}

#[tokio::test]
async fn messages_are_listed_with_their_facts() {
    let windows = windows(2, |set| {
        assert_eq!(set, "1:*");
        format!("{}* 2 FETCH (UID 9 INTERNALDATE NIL)\r\nTAG OK\r\n", item(1, 5))
    })
    .await;
    let [first, second] = windows[0].messages.as_slice() else { panic!() };
    assert_eq!((first.key.clone(), first.size), (key(5), Some(10)));
    assert_eq!(first.internal_date, Some("2026-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!((second.size, second.internal_date), (None, None));
    assert!(windows[0].complete);
}

#[tokio::test]
async fn i05_open_end_that_names_an_earlier_uid_lists_nothing() {
    let windows = windows(150, |set| match set {
        "1:100" => (1..=100).map(|n| item(n, n)).collect::<String>() + "TAG OK\r\n",
        "101:*" => item(100, 100) + "TAG OK\r\n",
        other => panic!("{other}"),
    })
    .await;
    assert_eq!(windows.iter().map(|w| w.messages.len()).collect::<Vec<_>>(), [100, 0]);
    assert!(windows[0].complete && !windows[1].complete, "EXISTS promised 150");
}

#[tokio::test]
async fn listing_is_complete_only_when_all_was_readable_and_ok() {
    let bad = "* 1 FETCH (RFC822.SIZE 10)\r\nTAG OK\r\n";
    let windows_of_bad = windows(1, move |_| item(1, 5) + bad).await;
    assert_eq!(uids(&windows_of_bad[0]), [5]);
    assert!(!windows_of_bad[0].complete);
    let windows = windows(2, |_| item(1, 5) + &item(2, 5) + "TAG OK\r\n").await;
    assert!(!windows[0].complete, "two messages under one UID");
}

#[tokio::test]
async fn refused_listing_is_an_error_and_not_a_short_list() {
    for (reply, code) in [
        ("TAG NO [SERVERBUG] oops\r\n", "server-refused"),
        ("TAG NO [UNAVAILABLE] later\r\n", "server-busy"),
        ("TAG BAD what\r\n", "server-refused"),
    ] {
        let (mut session, _server) = session(1, move |command| {
            if command.starts_with("UID FETCH") { item(1, 5) + reply } else { String::new() }
        })
        .await;
        session.open("INBOX").await.unwrap();
        assert_eq!(session.next_window().await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn incomplete_listing_is_told_once_and_at_its_end() {
    let bad = "* 1 FETCH (RFC822.SIZE 10)\r\n";
    for (uids, extra, told) in [(150, "", 0), (149, "", 1), (150, bad, 1)] {
        let (log, _guard) = log();
        let windows = windows(150, move |set| {
            let first = if set.starts_with("1:") { 1 } else { 101 };
            let last = if first == 1 { 100 } else { uids };
            (first..=last).map(|n| item(n, n)).collect::<String>() + extra + "TAG OK\r\n"
        })
        .await;
        assert_eq!(windows.len(), 2);
        let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
        assert_eq!(log.matches("mailbox-incomplete").count(), told, "{log}");
    }
}

#[tokio::test]
async fn more_messages_than_a_window_keeps_come_with_the_next() {
    let windows = windows(90, |set| {
        let first: u32 = set.split(':').next().unwrap().parse().unwrap();
        (first..=500).rev().map(|n| item(n, n)).collect::<String>() + "TAG OK\r\n"
    })
    .await;
    let all: Vec<u32> = windows.iter().flat_map(uids).collect();
    assert_eq!(all, (1..=500).collect::<Vec<u32>>());
    assert!(windows.iter().all(|window| window.messages.len() <= 200));
}

#[tokio::test]
async fn mailbox_is_opened_again_when_another_is_selected() {
    let (mut session, server) = session(0, |command| {
        if command.contains("other") { "* OK [UIDVALIDITY 9] x\r\nTAG OK\r\n" } else { "" }
            .to_owned()
    })
    .await;
    session.open("INBOX").await.unwrap();
    session.recheck(Some("other"), Some(9), &[], &DeleteMode::Expunge).await.unwrap();
    session.next_window().await.unwrap().unwrap();
    let commands = server.commands().join("|");
    assert!(commands.contains("SELECT \"other\"|EXAMINE \"INBOX\"|UID FETCH 1:*"), "{commands}");
}

#[tokio::test]
async fn headers_come_in_the_order_asked_for() {
    let (mut session, _server) = session(2, |command| {
        if !command.contains("BODY.PEEK[HEADER]") {
            return String::new();
        }
        format!(
            "* 2 FETCH (UID 6 BODY[HEADER]<0> {})\r\n* 1 FETCH (BODY[HEADER]<0> {} UID 5)\r\n\
             * 3 FETCH (UID 7 BODY[HEADER]<0> NIL)\r\nTAG OK\r\n",
            literal("B: 2\r\n"),
            literal("A: 1\r\n")
        )
    })
    .await;
    session.open("INBOX").await.unwrap();
    let listed: Vec<Listed> = [5, 6, 7, 8]
        .map(|uid| Listed {
            key: key(uid),
            number: uid,
            alone: true,
            size: None,
            internal_date: None,
            received: None,
            flags: Vec::new(),
        })
        .into();
    let headers = session.headers(&listed).await.unwrap();
    assert_eq!(headers[0].as_deref(), Some(b"A: 1\r\n".as_slice()));
    assert_eq!(headers[1].as_deref(), Some(b"B: 2\r\n".as_slice()));
    assert_eq!(headers[2..], [None, None]);
}

#[tokio::test]
async fn c20_response_that_makes_the_parser_panic_ends_only_the_session() {
    let (mut session, _server) = session(3, |command| {
        let panics = "* 1 FETCH (X (\") INTERNALDATE NIL (\") UID 1)\r\nTAG OK done\r\n";
        if command.starts_with("UID FETCH") { panics } else { "" }.to_owned()
    })
    .await;
    session.open("INBOX").await.unwrap();
    let error = session.next_window().await.unwrap_err();
    assert!(matches!(error, MailboxError::Protocol { .. }), "{error}");
}

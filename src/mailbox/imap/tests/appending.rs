//! What a server hears of an APPEND, and what each of its answers means.

use super::*;
use crate::mailbox::{Appended, Letter, Refusal, RefusalKind, Target};

fn letter(body: &[u8]) -> Letter {
    Letter {
        octets: body.len() as u64,
        has_nul: body.contains(&0),
        flags: vec!["\\Seen".to_owned(), "paid".to_owned()],
        at: Some("2026-02-03T04:05:06.7Z".parse().unwrap()),
    }
}

/// A session with a server that has these capabilities, too; a blank is silence.
async fn offering(
    offered: &str,
    mut answer: impl FnMut(&str) -> String + Send + 'static,
) -> (ImapSession, Server) {
    let greeting = format!("* OK [CAPABILITY {CAPABILITIES}] hello\r\n");
    let (wire, server) = Server::start(&greeting, move |line| match answer(line).as_str() {
        " " => String::new(),
        "" => "TAG OK done\r\n".to_owned(),
        own => own.to_owned(),
    });
    let mut session = log_in(wire, &account(), Proof::Password("pass")).await.unwrap();
    session.capabilities = Capabilities::read(offered);
    (session, server)
}

/// Sends bodies to `Back`; what is known of each, and how it ended.
async fn put(
    session: &mut ImapSession,
    wary: bool,
    bodies: &[&[u8]],
) -> (Vec<Appended>, Result<(), MailboxError>) {
    let mut appending = session.appending("Bäck", wary).unwrap();
    let sent = async {
        for body in bodies {
            appending.whole(&letter(body), body).await?;
        }
        appending.finish().await
    };
    let sent = sent.await;
    (appending.into_answers(), sent)
}

const COMMAND: &str = "APPEND \"B&AOQ-ck\" (\\Seen paid) \"03-Feb-2026 04:05:06 +0000\"";

/// A server that takes a message of two lines behind each command, and asks for it or not.
fn takes(asks: bool) -> impl FnMut(&str) -> String + Send + 'static {
    let mut uid = 0;
    move |line| match line {
        _ if line.starts_with("APPEND") && asks => "+ go\r\n".to_owned(),
        "the end" => {
            uid += 1;
            format!("* {uid} EXISTS\r\nTAG OK [APPENDUID 7 {uid}] done\r\n")
        }
        _ if line.starts_with("APPEND") || line == "a line" || line.is_empty() => " ".to_owned(),
        _ => String::new(),
    }
}

const BODY: &[u8] = b"a line\r\nthe end";

#[tokio::test]
async fn octets_wait_for_the_servers_word_unless_it_takes_them_unasked() {
    for (offered, wary, literal) in [
        ("IMAP4rev1", false, "{15}"),
        ("LITERAL+ UIDPLUS", false, "{15+}"),
        ("LITERAL-", false, "{15+}"),
        ("IMAP4rev2", false, "{15+}"),
        ("LITERAL+", true, "{15}"),
    ] {
        let asks = !literal.contains('+');
        let (mut session, server) = offering(offered, takes(asks)).await;
        let (answers, sent) = put(&mut session, wary, &[BODY, BODY]).await;
        sent.unwrap();
        assert_eq!(answers, [Appended::Done(Some((7, 1))), Appended::Done(Some((7, 2)))]);
        let heard = server.commands();
        let heard: Vec<&String> = heard.iter().filter(|line| line.starts_with("APPEND")).collect();
        assert_eq!(heard, [&format!("{COMMAND} {literal}"); 2], "{offered}");
    }
}

#[tokio::test]
async fn large_message_is_announced_first_whatever_the_server_takes_unasked() {
    let large = [vec![b'x'; 5000], b"\r\nthe end".to_vec()].concat();
    let answer = |line: &str| match line {
        _ if line.starts_with("APPEND") => "+ go\r\n".to_owned(),
        "the end" => "TAG OK done\r\n".to_owned(),
        _ if line.starts_with('x') || line.is_empty() => " ".to_owned(),
        _ => String::new(),
    };
    let (mut session, server) = offering("LITERAL-", answer).await;
    let (answers, sent) = put(&mut session, false, &[&large]).await;
    sent.unwrap();
    assert_eq!(answers, [Appended::Done(None)], "without UIDPLUS nobody knows where");
    assert!(server.commands().contains(&format!("{COMMAND} {{{}}}", large.len())));
}

#[tokio::test]
async fn literal_that_may_hold_nul_is_marked_as_such() {
    let body = b"a line\r\n\0\r\nthe end";
    let mut takes = takes(false);
    let answer = move |line: &str| if line == "\0" { " ".to_owned() } else { takes(line) };
    let (mut session, server) = offering("LITERAL+ BINARY", answer).await;
    put(&mut session, false, &[body]).await.1.unwrap();
    assert!(server.commands().contains(&format!("{COMMAND} ~{{18+}}")));
}

#[tokio::test]
async fn message_that_is_refused_before_its_octets_costs_only_itself() {
    let mut takes = takes(true);
    let mut n = 0;
    let answer = move |line: &str| {
        n += u32::from(line.starts_with("APPEND"));
        if n == 2 && line.starts_with("APPEND") {
            return "TAG NO [TOOBIG] no\r\n".to_owned();
        }
        takes(line)
    };
    let (mut session, server) = offering("IMAP4rev1", answer).await;
    let (answers, sent) = put(&mut session, false, &[BODY, BODY, BODY]).await;
    sent.unwrap();
    let refused = Refusal { kind: RefusalKind::Message, said: "[TOOBIG] no".to_owned() };
    let done = |uid| Appended::Done(Some((7, uid)));
    assert_eq!(answers, [done(1), Appended::Refused(refused), done(2)]);
    let lines = server.commands().iter().filter(|line| *line == "the end").count();
    assert_eq!(lines, 2, "octets that nobody asked for would be commands");
}

#[tokio::test]
async fn server_that_breaks_its_word_about_literals_ends_the_session() {
    let answer = |line: &str| match line {
        _ if line.starts_with("APPEND") => "TAG BAD what\r\n".to_owned(),
        _ => String::new(),
    };
    let (mut session, _server) = offering("LITERAL+", answer).await;
    let (answers, sent) = put(&mut session, false, &[BODY]).await;
    assert!(matches!(sent, Err(MailboxError::Protocol { .. })), "{sent:?}");
    assert!(answers.is_empty(), "it may have taken the octets for anything: {answers:?}");
}

#[tokio::test]
async fn answers_that_came_are_known_when_the_session_is_lost() {
    let mut n = 0;
    let answer = move |line: &str| match line {
        "the end" => {
            n += 1;
            if n == 2 { "CLOSE".to_owned() } else { "TAG OK [APPENDUID 7 1] x\r\n".to_owned() }
        }
        _ if line.starts_with("APPEND") || line == "a line" || line.is_empty() => " ".to_owned(),
        _ => String::new(),
    };
    let (mut session, _server) = offering("LITERAL+", answer).await;
    let (answers, sent) = put(&mut session, false, &[BODY, BODY, BODY]).await;
    assert!(matches!(sent, Err(MailboxError::Net(_))), "{sent:?}");
    assert_eq!(answers, [Appended::Done(Some((7, 1)))]);
}

async fn target(offered: &str, select: &'static str, status: &'static str) -> Target {
    let (mut session, _server) = offering(offered, move |line| match line.split(' ').next() {
        Some("SELECT") => select.to_owned(),
        Some("STATUS") => status.to_owned(),
        _ => String::new(),
    })
    .await;
    session.target("Back", true).await.unwrap()
}

#[tokio::test]
async fn mailbox_says_what_it_takes() {
    let select = "* OK [PERMANENTFLAGS (\\Seen \\*)] x\r\n* OK [UIDVALIDITY 9] x\r\n\
                  * OK [UIDNEXT 5] x\r\nTAG OK done\r\n";
    let found = target("APPENDLIMIT=300 BINARY", select, "").await;
    assert_eq!((found.uid_validity, found.uid_next, found.limit), (9, 5, Some(300)));
    assert!(found.binary && found.kept(&["x".to_owned()]) == ["x"]);
    let status = "* STATUS Back (APPENDLIMIT 77)\r\nTAG OK done\r\n";
    assert_eq!(target("APPENDLIMIT", select, status).await.limit, Some(77));
    let nil = "* STATUS Back (APPENDLIMIT NIL)\r\nTAG OK done\r\n";
    assert_eq!(target("APPENDLIMIT", select, nil).await.limit, None);
    assert_eq!(target("IMAP4rev1", "TAG OK done\r\n", "").await.keeps, None);
}

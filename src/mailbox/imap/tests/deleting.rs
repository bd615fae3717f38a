//! What may be deleted, and exactly that.

use std::path::Path;

use super::*;
use crate::mailbox::{DeleteRefusal, Verdict};
use crate::model::{DeleteReason, Sha256, StoredCopy};

fn delete(uid: u32, listed_size: Option<u64>, date: Option<&str>) -> Delete {
    Delete {
        key: key(uid),
        number: uid,
        copy: StoredCopy {
            cut: false,
            leaps: jiff::SignedDuration::ZERO,
            canary: false,
            row: i64::from(uid) + 1000,
            key: key(uid),
            path: Path::new("x").display().to_string(),
            sha256: Sha256([0; 32]),
            json_sha256: Sha256([0; 32]),
            size: 10,
            listed_size,
            internal_date: date.map(|date| date.parse().unwrap()),
            received: None,
            archived_at: jiff::Timestamp::UNIX_EPOCH,
            deleting: false,
            flagged: false,
            delete_ok: true,
            actions_open: false,
            actions_unknown: false,
            moves: Vec::new(),
        },
        how: DeleteMode::Expunge,
        action: None,
        why: DeleteReason::Begun,
    }
}

const DATE: &str = "2026-01-01T00:00:00Z";

fn facts(n: u32, uid: u32, size: u32) -> String {
    format!(
        "* {n} FETCH (UID {uid} RFC822.SIZE {size} INTERNALDATE \"01-Jan-2026 00:00:00 +0000\")\r\n"
    )
}

pub(super) fn deletes() -> Vec<Delete> {
    [5, 6, 7].map(|uid| delete(uid, Some(10), Some(DATE))).into()
}

async fn verdicts(
    deletes: &[Delete],
    answer: impl Fn(&str) -> String + Send + 'static,
) -> Vec<Verdict> {
    let (mut session, _server) = session(9, move |command| answer(command)).await;
    match session.recheck(Some("INBOX"), Some(7), deletes, &DeleteMode::Expunge).await.unwrap() {
        Recheck::Verdicts(verdicts) => verdicts,
        other @ Recheck::Refused(_) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_message_is_compared_with_its_copy() {
    let found = verdicts(&deletes(), |command| {
        if command == "UID SEARCH UID 7" {
            return "* SEARCH\r\nTAG OK\r\n".to_owned();
        }
        if !command.starts_with("UID FETCH") {
            return String::new();
        }
        assert!(command.starts_with("UID FETCH 5:7 "));
        facts(1, 5, 10) + &facts(2, 6, 11) + "TAG OK\r\n"
    })
    .await;
    assert_eq!(found, [Verdict::Same, Verdict::Changed, Verdict::Gone]);
}

#[tokio::test]
async fn what_cannot_be_proven_is_changed() {
    let answer = |command: &str| {
        if command.starts_with("UID FETCH") {
            "* 1 FETCH (UID 5 FLAGS ())\r\nTAG OK\r\n".to_owned()
        } else {
            String::new()
        }
    };
    assert_eq!(verdicts(&[delete(5, Some(10), None)], answer).await, [Verdict::Changed]);
    assert_eq!(verdicts(&[delete(5, None, Some(DATE))], answer).await, [Verdict::Changed]);
    assert_eq!(verdicts(&[delete(5, None, None)], answer).await, [Verdict::Changed]);
    let mut other = delete(5, None, None);
    other.key =
        MessageKey::Imap { mailbox: "INBOX".to_owned(), uid_validity: 8, uid: 5, generation: 0 };
    assert_eq!(verdicts(&[other], answer).await, [Verdict::Changed]);
}

#[tokio::test]
async fn two_messages_under_one_uid_are_never_the_same() {
    let found = verdicts(&[delete(5, Some(10), Some(DATE))], |command| {
        if command.starts_with("UID FETCH") {
            facts(1, 5, 10) + &facts(2, 5, 10) + "TAG OK\r\n"
        } else {
            String::new()
        }
    })
    .await;
    assert_eq!(found, [Verdict::Changed]);
}

#[tokio::test]
async fn i08_message_that_fetch_hides_but_search_shows_is_not_gone() {
    let found = verdicts(&[delete(5, Some(10), None)], |command| {
        if command.starts_with("UID SEARCH") { "* SEARCH 5\r\nTAG OK\r\n" } else { "" }.to_owned()
    })
    .await;
    assert_eq!(found, [Verdict::Changed]);
}

async fn refusal(select: &'static str) -> DeleteRefusal {
    let (mut session, _server) =
        session(
            9,
            move |command| {
                if command.starts_with("SELECT") { select.to_owned() } else { String::new() }
            },
        )
        .await;
    match session.recheck(Some("INBOX"), Some(7), &deletes(), &DeleteMode::Expunge).await.unwrap() {
        Recheck::Refused(why) => why,
        other @ Recheck::Verdicts(_) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn i02_i27_mailbox_that_is_read_only_or_another_is_refused() {
    assert_eq!(
        refusal("* OK [UIDVALIDITY 7] x\r\nTAG OK [READ-ONLY] x\r\n").await,
        DeleteRefusal::ReadOnly
    );
    assert_eq!(
        refusal("* OK [UIDVALIDITY 7] x\r\n* OK [PERMANENTFLAGS (\\Seen)] x\r\nTAG OK x\r\n").await,
        DeleteRefusal::ReadOnly
    );
    for other in [
        "* OK [UIDVALIDITY 8] x\r\nTAG OK\r\n",
        "* OK [UIDVALIDITY 0] x\r\nTAG OK\r\n",
        "TAG OK\r\n",
    ] {
        assert_eq!(refusal(other).await, DeleteRefusal::UidValidityChanged);
    }
}

#[tokio::test]
async fn i24_without_uidplus_nothing_is_even_selected() {
    let (mut session, server) = session(9, |command| {
        if command.starts_with("AUTHENTICATE") {
            "TAG OK [CAPABILITY IMAP4rev1 MOVE] in\r\n".to_owned()
        } else {
            String::new()
        }
    })
    .await;
    let recheck =
        session.recheck(Some("INBOX"), Some(7), &deletes(), &DeleteMode::Expunge).await.unwrap();
    assert!(matches!(recheck, Recheck::Refused(DeleteRefusal::NoUidPlus)));
    let outcome = session
        .delete_from_server(&DeleteIntent::committed(&deletes(), DeleteMode::Expunge))
        .await
        .unwrap();
    assert_eq!((outcome.gone.len(), outcome.refused.len()), (0, 3));
    assert_eq!(server.commands().len(), 1, "only the login");
}

async fn deleted(
    answer: impl Fn(&str) -> String + Send + 'static,
) -> (Result<DeleteOutcome, MailboxError>, Vec<String>) {
    let (mut session, server) = session(9, move |command| answer(command)).await;
    session.recheck(Some("INBOX"), Some(7), &[], &DeleteMode::Expunge).await.unwrap();
    let mut deletes = deletes();
    deletes.push(delete(9, Some(10), None));
    let result =
        session.delete_from_server(&DeleteIntent::committed(&deletes, DeleteMode::Expunge)).await;
    (result, server.commands().split_off(2))
}

#[tokio::test]
async fn promise_p4_exactly_the_committed_uids_are_deleted() {
    let (result, commands) = deleted(|command| {
        match command {
            "UID SEARCH DELETED" => "* SEARCH 5 6 7 9 40\r\nTAG OK\r\n",
            "UID SEARCH UID 40" => "* SEARCH 40\r\nTAG OK\r\n",
            search if search.starts_with("UID SEARCH") => "* SEARCH 7\r\nTAG OK\r\n",
            _ => "",
        }
        .to_owned()
    })
    .await;
    let outcome = result.unwrap();
    assert_eq!(outcome.gone, [1005, 1006, 1009]);
    assert_eq!(outcome.refused.len(), 1);
    assert_eq!(outcome.refused[0].0, 1007);
    assert_eq!(
        commands,
        [
            "UID STORE 5:7,9 +FLAGS.SILENT (\\Deleted)",
            "UID SEARCH DELETED",
            "UID EXPUNGE 5:7,9",
            "UID SEARCH UID 5:7,9",
            "UID SEARCH UID 40"
        ]
    );
}

#[tokio::test]
async fn i25_refused_store_or_expunge_ends_the_attempt() {
    for (refused, last) in [("UID STORE", 1), ("UID EXPUNGE", 3)] {
        for status in ["NO [READ-ONLY]", "BAD"] {
            let (result, commands) = deleted(move |command| {
                if command.starts_with(refused) {
                    format!("TAG {status} no\r\n")
                } else {
                    String::new()
                }
            })
            .await;
            let outcome = result.unwrap();
            assert_eq!((outcome.gone.len(), outcome.refused.len()), (0, 4));
            assert_eq!(commands.len(), last, "no other way is tried: {commands:?}");
        }
    }
}

#[tokio::test]
async fn i37_search_that_says_nothing_is_no_proof() {
    let (result, commands) = deleted(|command| {
        match command.split(' ').nth(1) {
            Some("SEARCH") => "TAG NO unsupported\r\n",
            Some("FETCH") => "* 1 FETCH (UID 6 FLAGS (\\Deleted))\r\nTAG OK\r\n",
            _ => "",
        }
        .to_owned()
    })
    .await;
    let outcome = result.unwrap();
    assert_eq!(outcome.gone, [1005, 1007, 1009]);
    assert_eq!(commands.last().unwrap(), "UID FETCH 5:7,9 (UID FLAGS)");
}

#[tokio::test]
async fn connection_that_ends_at_expunge_leaves_the_outcome_open() {
    let (result, _) = deleted(|command| {
        if command.starts_with("UID EXPUNGE") { "CLOSE".to_owned() } else { String::new() }
    })
    .await;
    assert!(matches!(result, Err(MailboxError::Net(_))));
}

#[tokio::test]
async fn nothing_is_deleted_in_a_mailbox_that_is_only_examined() {
    let (mut session, server) = session(9, |_| String::new()).await;
    session.open("INBOX").await.unwrap();
    let outcome = session
        .delete_from_server(&DeleteIntent::committed(&deletes(), DeleteMode::Expunge))
        .await
        .unwrap();
    assert_eq!((outcome.gone.len(), outcome.refused.len()), (0, 3));
    assert!(!server.commands().iter().any(|c| c.contains("STORE") || c.contains("EXPUNGE")));
}

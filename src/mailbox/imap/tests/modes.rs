//! Deletes that move or mark, and a server that removes more than it is asked to.

use super::deleting::deletes;
use super::*;
use crate::mailbox::DeleteRefusal;

/// Capabilities behind the login, and what is said to commands.
struct Way<'a> {
    mode: DeleteMode,
    capabilities: &'static str,
    folders: &'a [&'a str],
}

const MOVES: &str = "IMAP4rev1 MOVE";
const COPIES: &str = "IMAP4rev1 UIDPLUS";

/// A session that has looked at its messages, the refusal of that, and what was said.
async fn looked(
    way: Way<'_>,
    answer: impl Fn(&str) -> String + Send + 'static,
) -> (ImapSession, Option<DeleteRefusal>, Server) {
    let (mut session, server) = session(9, move |command| {
        if command.starts_with("AUTHENTICATE") {
            return format!("TAG OK [CAPABILITY {}] in\r\n", way.capabilities);
        }
        let own = answer(command);
        if own.is_empty() && command.starts_with("LIST") {
            return "* LIST (\\Trash) \"/\" \"Bin\"\r\n* LIST () \"/\" \"INBOX\"\r\nTAG OK\r\n"
                .to_owned();
        }
        own
    })
    .await;
    session.folders = way.folders.iter().map(|name| (*name).to_owned()).collect();
    let refusal = match session.recheck(Some("INBOX"), Some(7), &[], &way.mode).await.unwrap() {
        Recheck::Refused(why) => Some(why),
        Recheck::Verdicts(_) => None,
    };
    (session, refusal, server)
}

async fn done(session: &mut ImapSession, how: DeleteMode) -> (Vec<i64>, Vec<i64>, Vec<String>) {
    let intent = DeleteIntent::committed(&deletes(), how);
    let outcome = session.delete_from_server(&intent).await.unwrap();
    let still_there = outcome.refused.into_iter().chain(outcome.copied);
    let said = still_there.map(|(_, said)| said).collect();
    (outcome.gone, outcome.flagged, said)
}

fn way(mode: DeleteMode, capabilities: &'static str) -> Way<'static> {
    Way { mode, capabilities, folders: &["INBOX"] }
}

fn to_done() -> DeleteMode {
    DeleteMode::Move("Done".to_owned())
}

fn dangerous(server: &Server) -> Vec<String> {
    let words = ["STORE", "MOVE", "COPY", "EXPUNGE", "CREATE"];
    let is_one = |command: &String| words.iter().any(|word| command.contains(word));
    server.commands().into_iter().filter(is_one).collect()
}

#[tokio::test]
async fn i24_move_needs_no_uidplus_and_says_one_command() {
    let empty = |c: &str| {
        if c.starts_with("UID SEARCH") { "* SEARCH 7\r\nTAG OK\r\n" } else { "" }.to_owned()
    };
    for (mode, to) in [(to_done(), "Done"), (DeleteMode::Trash, "Bin")] {
        let (mut session, refusal, server) = looked(way(mode.clone(), MOVES), empty).await;
        assert_eq!(refusal, None);
        let (gone, flagged, said) = done(&mut session, mode).await;
        assert_eq!((gone, flagged.len()), (vec![1005, 1006], 0));
        assert_eq!(said, ["still there afterwards"]);
        assert_eq!(dangerous(&server), [format!("UID MOVE 5:7 \"{to}\"")]);
        assert!(server.commands().contains(&format!("EXAMINE \"{to}\"")));
    }
}

#[tokio::test]
async fn refused_move_records_what_left_all_the_same() {
    let (mut session, _, server) = looked(way(to_done(), MOVES), |c| {
        match c.split(' ').nth(1) {
            Some("MOVE") => "TAG NO [TRYCREATE] no such mailbox\r\n",
            Some("SEARCH") => "* SEARCH 6 7\r\nTAG OK\r\n",
            _ => "",
        }
        .to_owned()
    })
    .await;
    let (gone, _, said) = done(&mut session, to_done()).await;
    assert_eq!(gone, [1005]);
    assert!(said[0].contains("MOVE to `Done` was refused") && said.len() == 2, "{said:?}");
    assert_eq!(dangerous(&server).len(), 1);
}

async fn copied(code: &'static str) -> (Vec<i64>, Vec<String>, Vec<String>) {
    let (mut session, refusal, server) =
        looked(way(to_done(), COPIES), move |c| match c.split(' ').nth(1) {
            Some("COPY") => format!("TAG OK {code} copied\r\n"),
            Some("SEARCH") => "* SEARCH\r\nTAG OK\r\n".to_owned(),
            _ => String::new(),
        })
        .await;
    assert_eq!(refusal, None);
    let (gone, _, said) = done(&mut session, to_done()).await;
    (gone, said, dangerous(&server))
}

#[tokio::test]
async fn i24_without_move_a_proven_copy_comes_before_the_expunge() {
    let (gone, _, commands) = copied("[COPYUID 7 5:7 101:103]").await;
    assert_eq!(gone, [1005, 1006, 1007]);
    let mark = "UID STORE 5:7 +FLAGS.SILENT (\\Deleted)";
    assert_eq!(commands, ["UID COPY 5:7 \"Done\"", mark, "UID EXPUNGE 5:7"]);
}

#[tokio::test]
async fn i24_copy_that_is_not_proven_removes_nothing() {
    for code in [
        "",
        "[COPYUID 8 5:7 101:103]",
        "[COPYUID 7 5:6 101:102]",
        "[COPYUID 7 5:7 101:102]",
        "[COPYUID 7 4:6 101:103]",
    ] {
        let (gone, said, commands) = copied(code).await;
        assert!(gone.is_empty(), "{code}");
        assert!(said[0].contains("nothing removed after COPY"), "{code}: {said:?}");
        assert_eq!(commands, ["UID COPY 5:7 \"Done\""], "{code}");
    }
}

#[tokio::test]
async fn i24_without_move_and_uidplus_nothing_is_done() {
    for mode in [to_done(), DeleteMode::Trash, DeleteMode::Expunge] {
        let (mut session, refusal, server) =
            looked(way(mode.clone(), "IMAP4rev1"), |_| String::new()).await;
        assert_eq!(refusal, Some(DeleteRefusal::NoUidPlus));
        assert!(!session.can_delete(&mode));
        assert_eq!(done(&mut session, mode).await.2.len(), 3);
        assert_eq!(dangerous(&server), [""; 0]);
    }
}

#[tokio::test]
async fn trash_is_the_one_that_the_server_names_and_never_guessed() {
    let cases: [(&str, &[&str]); 4] = [
        ("* LIST () \"/\" \"Trash\"\r\nTAG OK\r\n", &["no mailbox", "`Trash`", "move:FOLDER"]),
        (
            "* LIST (\\Trash) \"/\" \"A\"\r\n* LIST (\\Trash) \"/\" \"B\"\r\nTAG OK\r\n",
            &["several", "`A`, `B`", "move:FOLDER"],
        ),
        ("* LIST (\\Trash \\Noselect) \"/\" \"A\"\r\nTAG OK\r\n", &["no mailbox"]),
        ("* LIST (\\Trash) \"/\" \"INBOX\"\r\nTAG OK\r\n", &["polled itself", "!INBOX"]),
    ];
    for (list, words) in cases {
        let answer =
            move |c: &str| if c.starts_with("LIST") { list.to_owned() } else { String::new() };
        let (_session, refusal, server) = looked(way(DeleteMode::Trash, MOVES), answer).await;
        let Some(DeleteRefusal::NoDestination(why)) = refusal else {
            panic!("{list}: {refusal:?}")
        };
        assert!(words.iter().all(|word| why.contains(word)), "{list}: {why}");
        assert_eq!(dangerous(&server), [""; 0]);
    }
}

#[tokio::test]
async fn destination_that_is_missing_is_not_made() {
    let (_session, refusal, server) = looked(way(to_done(), MOVES), |c| {
        if c.starts_with("EXAMINE") {
            "TAG NO [NONEXISTENT] no\r\n".to_owned()
        } else {
            String::new()
        }
    })
    .await;
    let Some(DeleteRefusal::NoDestination(why)) = refusal else { panic!("{refusal:?}") };
    assert!(why.contains("CREATE \"Done\"") && why.contains("`delete_mode`"), "{why}");
    assert_eq!(dangerous(&server), [""; 0]);
}

#[tokio::test]
async fn marks_count_when_the_server_shows_them() {
    let (mut session, refusal, server) = looked(way(DeleteMode::Flag, "IMAP4rev1"), |c| {
        match c.split(' ').nth(1) {
            Some("FETCH") => {
                "* 1 FETCH (UID 5 FLAGS (\\Seen \\Deleted))\r\n* 2 FETCH (UID 6 FLAGS ())\r\nTAG OK\r\n"
            }
            Some("SEARCH") => "* SEARCH 5 6\r\nTAG OK\r\n",
            _ => "",
        }
        .to_owned()
    })
    .await;
    assert_eq!(refusal, None);
    let (gone, flagged, said) = done(&mut session, DeleteMode::Flag).await;
    assert_eq!((gone, flagged), (vec![1007], vec![1005]));
    assert_eq!(said, ["not marked after STORE"]);
    assert_eq!(dangerous(&server), ["UID STORE 5:7 +FLAGS.SILENT (\\Deleted)"]);
}

/// Messages of others that vanished with ours, where 40 and 41 were marked by others.
async fn others_gone(marked: &'static str, left: &'static str, expunged: u32) -> usize {
    let (mut session, _, _server) = looked(way(DeleteMode::Expunge, COPIES), move |c| {
        if c.starts_with("UID EXPUNGE") {
            return "* 1 EXPUNGE\r\n".repeat(expunged as usize) + "TAG OK\r\n";
        }
        match c {
            "UID SEARCH DELETED" => format!("{marked}TAG OK\r\n"),
            "UID SEARCH UID 5:7" => "* SEARCH\r\nTAG OK\r\n".to_owned(),
            "UID SEARCH UID 40:41" => format!("* SEARCH{left}\r\nTAG OK\r\n"),
            _ => String::new(),
        }
    })
    .await;
    let intent = DeleteIntent::committed(&deletes(), DeleteMode::Expunge);
    let outcome = session.delete_from_server(&intent).await.unwrap();
    assert_eq!(outcome.gone.len(), 3);
    outcome.others_gone
}

#[tokio::test]
async fn i26_marked_messages_of_others_that_vanish_with_ours_are_an_alarm() {
    let marked = "* SEARCH 5 6 7 40 41\r\n";
    assert_eq!(others_gone(marked, "", 5).await, 2);
    assert_eq!(others_gone(marked, "", 3).await, 2, "though the server hides it");
    assert_eq!(others_gone(marked, " 41", 4).await, 1);
    assert_eq!(others_gone(marked, " 40 41", 3).await, 0);
    assert_eq!(others_gone(marked, " 40 41", 9).await, 0, "unmarked mail that others moved away");
    assert_eq!(others_gone("* SEARCH 5 6 7\r\n", "", 4).await, 0, "nobody else's was marked");
    assert_eq!(others_gone("", "", 5).await, 2, "who it was can't be asked");
    assert_eq!(others_gone("", "", 3).await, 0);
}

//! Requests from anybody.

use std::path::Path;
use std::sync::Arc;

use super::message::{Command, Reply, Request, VERSION};
use super::serve::understand;
use super::{Peer, Person, Policy, REQUEST_MAX, serve, users};
use crate::tests::fuzz::{fuzz, way};

const STATE: &str = "/var/lib/postrider";

fn code(line: &str) -> String {
    understand(line.as_bytes(), Path::new(STATE)).unwrap_err().code
}

#[test]
fn request_is_understood_as_it_was_sent() {
    for command in [
        Command::Status,
        Command::Reload,
        Command::Poll { accounts: vec!["a".into()], force: true },
        Command::Pause { account: "a".into(), seconds: Some(60), reason: "\"\n\u{1b}".into() },
        Command::Resume { account: "a".into() },
        Command::Debug { account: "a".into(), seconds: 0 },
        Command::Replay {
            account: "a".into(),
            rule: Some("r".into()),
            rules: "0".repeat(64),
            rows: vec![i64::MAX; 200],
            asked_at: None,
        },
    ] {
        let state_dir = STATE.into();
        let sent = Request { postrider: VERSION, state_dir, claim: None, command };
        let line = serde_json::to_vec(&sent).unwrap();
        assert!(!line.contains(&b'\n'));
        assert_eq!(understand(&line, Path::new(STATE)).unwrap(), sent);
    }
}

#[test]
fn whatever_else_is_said_is_refused_by_a_word() {
    let with = |rest: &str| format!("{{\"postrider\":1,\"state_dir\":\"{STATE}\"{rest}}}");
    for line in ["", "\0", "[]", "{\"postrider\":", "\u{feff}{}", "GET / HTTP/1.0"] {
        assert!(["control-unreadable", "control-version"].contains(&&*code(line)), "{line}");
    }
    assert_eq!(code("{\"postrider\":2,\"command\":\"new\"}"), "control-version");
    assert_eq!(code(&with("")), "control-unreadable");
    assert_eq!(code(&with(",\"command\":\"delete\"")), "control-unreadable");
    assert_eq!(code(&with(",\"command\":\"pause\",\"account\":7")), "control-unreadable");
    assert_eq!(
        code(&with(",\"command\":\"debug\",\"account\":\"a\",\"seconds\":-1")),
        "control-unreadable"
    );
    assert_eq!(code(&"[".repeat(REQUEST_MAX)), "control-unreadable");
    assert_eq!(code(&"x".repeat(REQUEST_MAX + 1)), "control-unreadable");
    let other = with(",\"command\":\"status\"").replace("/var", "/srv");
    assert_eq!(code(&other), "control-other");
}

#[test]
fn only_root_the_own_user_and_the_group_may() {
    let (own, group) = (4_000_000_001, 4_000_000_002);
    let peer = |uid, gid| Peer { uid, gid };
    let closed = Policy { own, group: None };
    for (policy, uid, gid, may) in [
        (&closed, 0, 0, true),
        (&closed, own, 7, true),
        (&closed, 4_000_000_003, 0, false),
        (&closed, 4_000_000_003, group, false),
    ] {
        assert_eq!(policy.allows(peer(uid, gid)), may, "{uid} {gid}");
    }
    // `daemon` has number 1 on every Debian.
    let members = vec!["daemon".to_owned()];
    let open = Policy { own, group: Some(users::Group { gid: group, members }) };
    assert!(open.allows(peer(4_000_000_003, group)), "its current group");
    assert!(open.allows(peer(1, 1)), "a listed member");
    assert!(!open.allows(peer(2, 2)));
    assert!(!open.goes_first(peer(1, 1)) && open.goes_first(peer(0, 0)));
}

#[test]
fn claim_is_told_as_a_claim_and_never_as_the_person() {
    assert_eq!(Person::of(0, None).to_string(), "root (uid 0)");
    let person = Person::of(0, Some("alice\u{1b}[2J"));
    assert_eq!((person.name.as_str(), person.uid), ("root", 0));
    assert_eq!(person.to_string(), "root (uid 0), who says to act for alice\\u{1b}[2J");
    assert_eq!(Person::of(0, Some(&"x".repeat(9_999))).claim.unwrap().len(), 64);
    assert_eq!(Person::of(0, Some("root")).claim, None);
    assert_eq!(Person::of(4_000_000_001, Some("")).to_string(), "uid 4000000001");
}

#[test]
fn lines_of_an_answer_are_what_the_client_reads() {
    for reply in [
        Reply::Done { result: serde_json::json!({ "a": [1, null] }) },
        Reply::Waits { account: "a".into(), why: "paused".into(), meant: true },
        Reply::Refused(super::Refusal::new("x", "y", Some("z"))),
        Reply::Progress { account: "a".into(), wanted: 1, messages: 2, octets: u64::MAX },
    ] {
        let line = serde_json::to_string(&reply).unwrap();
        assert_eq!(serde_json::from_str::<Reply>(&line).unwrap(), reply);
    }
}

#[tokio::test]
async fn socket_outlives_a_server_that_dies() {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control");
    let listener = Arc::new(tokio::net::UnixListener::bind(&path).unwrap());
    let policy = Policy { own: rustix::process::geteuid().as_raw(), group: None };
    for round in 0..2 {
        let (calls, mut got) = tokio::sync::mpsc::channel(1);
        let mut server = tokio::task::JoinSet::new();
        server.spawn(serve(Arc::clone(&listener), policy.clone(), STATE.into(), calls));
        let mut client = tokio::net::UnixStream::connect(&path).await.unwrap();
        let line =
            format!("{{\"postrider\":1,\"state_dir\":\"{STATE}\",\"command\":\"status\"}}\n");
        client.write_all(line.as_bytes()).await.unwrap();
        let call = got.recv().await.unwrap();
        call.replies.end(Ok(serde_json::json!(round)));
        let mut answer = String::new();
        BufReader::new(client).read_line(&mut answer).await.unwrap();
        assert_eq!(answer, format!("{{\"reply\":\"done\",\"result\":{round}}}\n"));
        server.abort_all();
        assert!(server.join_next().await.unwrap().unwrap_err().is_cancelled());
    }
}

/// Words of requests.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\u0000",
    "null",
    "-1",
    "1e999",
    "postrider",
    "state_dir",
    "command",
    "claim",
    "accounts",
    "force",
    "seconds",
    "reason",
    "reload",
    "status",
    "debug",
    "18446744073709551616",
];

#[test]
fn fuzz_requests_of_the_control_socket() {
    fuzz("control", WORDS, |input| match understand(input, Path::new(STATE)) {
        Ok(request) => {
            assert!(request.postrider == VERSION && request.state_dir == Path::new(STATE));
            let line = serde_json::to_vec(&request).unwrap();
            assert_eq!(understand(&line, Path::new(STATE)).unwrap(), request);
            way(std::mem::discriminant(&request.command))
        }
        Err(refusal) => way((refusal.code, refusal.message.chars().take(40).collect::<String>())),
    });
}

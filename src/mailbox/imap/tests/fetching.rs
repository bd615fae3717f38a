//! Bodies: whole, in chunks, missing, lied about.

use super::*;
use crate::net::NetError;

/// What a fetch hands on, one word for each message, and how it ends.
struct Fetched {
    words: Vec<String>,
    result: Result<(), MailboxError>,
    commands: Vec<String>,
}

async fn fetch(wanted: Vec<Fetch>, answer: impl FnMut(&str) -> String + Send + 'static) -> Fetched {
    fetch_with(&account(), wanted, answer).await
}

async fn fetch_with(
    account: &Inbound,
    wanted: Vec<Fetch>,
    mut answer: impl FnMut(&str) -> String + Send + 'static,
) -> Fetched {
    let (mut session, server) = session(100, move |command| {
        if command.starts_with("UID FETCH") { answer(command) } else { String::new() }
    })
    .await;
    session.dialogue.stream().hurry(account.poll_deadline);
    session.properties = account.properties.clone();
    session.max_message_size = account.max_message_size.map(|size| size.0);
    session.open("INBOX").await.unwrap();
    let (sender, mut parts) = mpsc::channel(4);
    let keys: Vec<MessageKey> = wanted.iter().map(|wanted| wanted.key.clone()).collect();
    let fetching = async {
        let result = session.fetch(&wanted, &sender).await;
        drop(sender);
        result
    };
    let taking = async {
        let mut words = Vec::new();
        let mut current: Option<(MessageKey, Vec<u8>)> = None;
        while let Some(part) = parts.recv().await {
            match part {
                Part::Begin { key } => {
                    assert!(keys.contains(&key), "not the key that was asked for: {key:?}");
                    assert!(current.replace((key, Vec::new())).is_none(), "messages interleave");
                }
                Part::Data(octets) => {
                    assert!(octets.len() <= 256 << 10);
                    current.as_mut().unwrap().1.extend_from_slice(&octets);
                }
                Part::End { octets, .. } => {
                    let (key, body) = current.take().unwrap();
                    assert_eq!(octets, body.len() as u64);
                    let body = String::from_utf8(body).unwrap();
                    words.push(format!("{}={body}", key.uid().unwrap()));
                }
                Part::Failed { key, error } => {
                    assert!(keys.contains(&key), "not the key that was asked for: {key:?}");
                    assert!(matches!(error, MailboxError::Message { .. }));
                    current = None;
                    words.push(format!("{} failed", key.uid().unwrap()));
                }
            }
        }
        words
    };
    let (result, words) = tokio::join!(fetching, taking);
    let commands = server.commands().into_iter().filter(|c| c.starts_with("UID FETCH")).collect();
    Fetched { words, result, commands }
}

fn body(uid: u32, text: &str) -> String {
    format!("* 1 FETCH (UID {uid} BODY[] {})\r\n", literal(text))
}

fn small(uids: impl IntoIterator<Item = u32>) -> Vec<Fetch> {
    uids.into_iter().map(|uid| wanted(uid, Some(5))).collect()
}

#[tokio::test]
async fn small_messages_share_commands() {
    let fetched = fetch(small(1..=5), |command| {
        if command.contains("1:3") {
            body(1, "a") + &body(2, "b") + &body(3, "c") + "TAG OK\r\n"
        } else {
            body(5, "e") + &body(4, "d") + "TAG OK\r\n"
        }
    })
    .await;
    fetched.result.unwrap();
    assert_eq!(fetched.words, ["1=a", "2=b", "3=c", "5=e", "4=d"]);
    let expected = ["UID FETCH 1:3 (UID BODY.PEEK[])", "UID FETCH 4:5 (UID BODY.PEEK[])"];
    assert_eq!(fetched.commands, expected);
}

#[tokio::test]
async fn message_is_handed_on_under_the_generation_that_was_asked_for() {
    let mut messages = small([1, 2, 3]);
    for message in &mut messages {
        message.key = message.key.with_generation(2);
        message.why = FetchReason::Reused { generation: 2 };
    }
    let fetched = fetch(messages, |command| {
        if command.contains("1:3") {
            body(1, "a") + "* 2 FETCH (UID 2 BODY[] NIL)\r\nTAG OK\r\n"
        } else {
            "* 3 FETCH (UID 3 BODY[]<0> {5}\r\nccccc)\r\nTAG OK\r\n".to_owned()
        }
    })
    .await;
    fetched.result.unwrap();
    assert_eq!(fetched.words, ["1=a", "2 failed", "3=ccccc"]);
}

#[tokio::test]
async fn i22_only_what_was_asked_for_counts_and_the_first_wins() {
    let fetched = fetch(small([1, 2]), |_| {
        let noise = "* 9 EXPUNGE\r\n* 7 EXISTS\r\n* 1 FETCH (FLAGS (\\Seen))\r\n\
                     * 1 FETCH (UID 1 FLAGS ())\r\n* 3 FETCH (BODY[] {1}\r\nx)\r\n";
        noise.to_owned()
            + &body(9, "no")
            + &body(1, "a")
            + &body(1, "z")
            + &body(2, "b")
            + "TAG OK\r\n"
    })
    .await;
    fetched.result.unwrap();
    assert_eq!(fetched.words, ["1=a", "2=b"]);
}

#[tokio::test]
async fn i08_i09_empty_bodies_and_missing_ones_fail_alone() {
    let fetched = fetch(small([1, 2, 3]), |_| {
        "* 1 FETCH (UID 1 BODY[] NIL)\r\n* 1 FETCH (UID 2 BODY[] \"\")\r\nTAG OK\r\n".to_owned()
    })
    .await;
    fetched.result.unwrap();
    assert_eq!(fetched.words, ["1 failed", "2 failed", "3 failed"]);
}

#[tokio::test]
async fn message_that_cannot_be_read_costs_no_other_its_fetch() {
    let fetched = fetch(small(1..=4), |command| {
        if command.contains("1:3") {
            body(1, "a") + "TAG NO [UNAVAILABLE] can't read 2\r\n"
        } else if command.contains(" 2 ") {
            "TAG NO [UNAVAILABLE] can't read 2\r\n".to_owned()
        } else if command.contains(" 3 ") {
            "* 3 FETCH (UID 3 BODY[]<0> {5}\r\nccccc)\r\nTAG OK\r\n".to_owned()
        } else {
            body(4, "d") + "TAG OK\r\n"
        }
    })
    .await;
    fetched.result.unwrap();
    assert_eq!(fetched.words, ["1=a", "4=d", "2 failed", "3=ccccc"]);
}

#[tokio::test]
async fn throttled_fetch_ends_the_session() {
    let fetched = fetch(small([1]), |_| "TAG NO [THROTTLED] wait\r\n".to_owned()).await;
    assert!(matches!(fetched.result, Err(MailboxError::Throttled { .. })));
    assert!(fetched.words.is_empty(), "the message is not to blame: {:?}", fetched.words);
}

#[tokio::test]
async fn quoted_bodies_are_octet_exact() {
    let fetched =
        fetch(small([1]), |_| "* 1 FETCH (UID 1 BODY[] \"a\\\"b\\\\c\")\r\nTAG OK\r\n".to_owned())
            .await;
    assert_eq!(fetched.words, ["1=a\"b\\c"]);
}

fn text(octets: usize) -> String {
    "0123456789".chars().cycle().take(octets).collect()
}

/// A message that goes by chunks, whatever size is listed.
fn retried(uid: u32, size: Option<u64>) -> Fetch {
    Fetch { why: FetchReason::Retry { attempts: 1 }, ..wanted(uid, size) }
}

/// Answers partial fetches of a message as a good server does.
fn partial(command: &str, whole: &str) -> String {
    let (_, range) = command.split_once('<').unwrap();
    let (offset, octets) = range.trim_end_matches(">)").split_once('.').unwrap();
    let offset: usize = offset.parse().unwrap();
    let octets: usize = octets.parse().unwrap();
    let end = (offset + octets).min(whole.len());
    let piece = whole.get(offset.min(end)..end).unwrap();
    format!("* 1 FETCH (UID 1 BODY[]<{offset}> {})\r\nTAG OK\r\n", literal(piece))
}

#[tokio::test]
async fn large_messages_come_in_chunks_whatever_the_listed_size_is() {
    for octets in [999, 1000, 1001, 2000, 3500] {
        for size in [None, Some(1001), Some(100_000)] {
            let whole = text(octets);
            let expected = format!("1={whole}");
            let fetched =
                fetch(vec![wanted(1, size)], move |command| partial(command, &whole)).await;
            fetched.result.unwrap();
            assert_eq!(fetched.words, [expected]);
            let asks = octets.div_ceil(1000) + usize::from(size != Some(octets as u64));
            assert_eq!(fetched.commands.len(), asks, "{octets} listed as {size:?}");
        }
    }
}

#[tokio::test]
async fn chunk_that_is_shorter_than_asked_for_does_not_end_a_message() {
    for size in [None, Some(3500), Some(10)] {
        let whole = text(3500);
        let expected = format!("1={whole}");
        let fetched = fetch(vec![retried(1, size)], move |command| {
            partial(&command.replace(".1000>", ".600>"), &whole)
        })
        .await;
        fetched.result.unwrap();
        assert_eq!(fetched.words, [expected]);
    }
}

#[tokio::test]
async fn nil_behind_the_end_ends_a_message_and_no_answer_fails_it() {
    for (end, expected) in [("BODY[] NIL", "1=abc"), ("FLAGS ()", "1 failed")] {
        let fetched = fetch(vec![retried(1, None)], move |command| {
            if command.contains("<0.") {
                partial(command, "abc")
            } else {
                format!("* 1 FETCH (UID 1 {end})\r\nTAG OK\r\n")
            }
        })
        .await;
        fetched.result.unwrap();
        assert_eq!(fetched.words, [expected]);
    }
}

#[tokio::test]
async fn retried_message_goes_by_chunks_alone_and_last() {
    let mut messages = small([1, 2]);
    messages[0].why = FetchReason::Retry { attempts: 1 };
    let fetched = fetch(messages, |command| {
        if command.contains('<') { partial(command, "a") } else { body(2, "b") + "TAG OK\r\n" }
    })
    .await;
    assert_eq!(fetched.words, ["2=b", "1=a"]);
}

#[tokio::test]
async fn server_without_partial_fetch_sends_the_whole() {
    let whole = text(5000);
    let expected = format!("1={whole}");
    let fetched = fetch(vec![wanted(1, Some(5000))], move |_| body(1, &whole) + "TAG OK\r\n").await;
    fetched.result.unwrap();
    assert_eq!(fetched.words, [expected]);
}

#[tokio::test]
async fn wrong_chunks_fail_the_message_and_end() {
    let fetched = fetch(vec![wanted(1, Some(5000))], |command| {
        partial(&command.replace("<1000.", "<0."), &text(5000))
    })
    .await;
    fetched.result.unwrap();
    assert_eq!(fetched.words, ["1 failed"]);
    assert_eq!(fetched.commands.len(), 2);
}

#[tokio::test]
async fn large_message_that_is_empty_fails() {
    let fetched = fetch(vec![wanted(1, Some(5000))], |command| partial(command, "")).await;
    fetched.result.unwrap();
    assert_eq!(fetched.words, ["1 failed"]);
}

#[tokio::test]
async fn message_beyond_the_limit_is_not_read_on_and_spoils_no_other() {
    let account = Inbound { max_message_size: Some(ByteSize(2500)), ..account() };
    let messages = vec![retried(1, Some(10)), retried(2, Some(10)), wanted(3, Some(10))];
    let fetched = fetch_with(&account, messages, |command| match command.split(' ').nth(2) {
        Some("1") => partial(command, &text(1_000_000)),
        Some("2") => body(2, &text(3000)) + "TAG OK\r\n",
        _ => body(3, &text(2501)) + "TAG OK\r\n",
    })
    .await;
    fetched.result.unwrap();
    assert_eq!(fetched.words, ["3 failed", "1 failed", "2 failed"]);
    assert_eq!(fetched.commands.len(), 5);
}

#[tokio::test]
async fn endless_message_costs_the_session() {
    let mut account = account();
    account.properties.imap_fetch_chunk = ByteSize(8 << 20);
    let piece = text(8 << 20);
    let fetched = fetch_with(&account, vec![retried(1, Some(10))], move |command| {
        let (_, range) = command.split_once('<').unwrap();
        let (offset, _) = range.split_once('.').unwrap();
        format!("* 1 FETCH (UID 1 BODY[]<{offset}> {})\r\nTAG OK\r\n", literal(&piece))
    })
    .await;
    assert!(matches!(fetched.result, Err(MailboxError::Net(NetError::TooMuch { .. }))));
    assert_eq!(fetched.words, ["1 failed"]);
    assert_eq!(fetched.commands.len(), 9, "64 MiB and a piece");
}

#[tokio::test]
async fn message_that_breaks_its_cap_is_named_and_costs_the_session() {
    let fetched = fetch(small([1, 2, 3]), |_| body(1, "a") + &body(2, &text(70_000))).await;
    assert!(matches!(fetched.result, Err(MailboxError::Net(NetError::TooMuch { .. }))));
    assert_eq!(fetched.words, ["1=a", "2 failed"]);
}

#[tokio::test]
async fn connection_that_ends_in_a_body_ends_nothing_else() {
    let fetched =
        fetch(small([1, 2]), |_| body(1, "a") + "* 2 FETCH (UID 2 BODY[] {100}\r\nhalf CLOSE")
            .await;
    assert!(matches!(fetched.result, Err(MailboxError::Net(NetError::Lost { .. }))));
    assert_eq!(fetched.words, ["1=a", "2 failed"]);
}

#[tokio::test(start_paused = true)]
async fn message_that_always_costs_the_session_lets_the_others_through() {
    // Nothing of message 4 comes: closed, half a response, a BYE, silence.
    for end in ["CLOSE", "* 4 FETCH (BODY[] {9}\r\nabcCLOSE", "* BYE oops\r\nCLOSE", "* 4 "] {
        let mut left: Vec<Fetch> = small(1..=10);
        let mut held: Option<Fetch> = None;
        let mut arrived = Vec::new();
        for _ in 0..3 {
            let wanted: Vec<Fetch> = held.iter().chain(&left).cloned().collect();
            let fetched = fetch(wanted, move |command| {
                let set = command.split(' ').nth(2).unwrap();
                let mut reply = String::new();
                for uid in uid_set::uids_of(set) {
                    if uid == 4 {
                        return reply + end;
                    }
                    reply += &body(uid, "x");
                }
                reply + "TAG OK\r\n"
            })
            .await;
            assert!(fetched.result.is_err());
            assert_eq!(fetched.words.last().unwrap(), "4 failed", "{end}");
            for word in &fetched.words {
                if let Some((uid, _)) = word.split_once('=') {
                    arrived.push(uid.parse::<u32>().unwrap());
                }
            }
            left.retain(|message| message.number != 4 && !arrived.contains(&message.number));
            held = Some(retried(4, Some(5)));
        }
        arrived.sort_unstable();
        assert_eq!(arrived, [1, 2, 3, 5, 6, 7, 8, 9, 10], "{end}");
    }
}

#[tokio::test(start_paused = true)]
async fn polls_end_is_no_messages_fault_unless_it_was_under_way() {
    let account = Inbound { poll_deadline: Duration::from_secs(1), ..account() };
    for (reply, together, apart) in [
        ("* 7 EXISTS\r\n", vec![], vec![]),
        ("* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\n", vec!["1=a"], vec!["1 failed"]),
        ("* 1 FETCH (UID 1 BODY[] {9}\r\nabc", vec!["1 failed"], vec!["1 failed"]),
    ] {
        for (messages, words) in [(small([1, 2]), together), (vec![retried(1, None)], apart)] {
            let fetched = fetch_with(&account, messages, move |_| reply.to_owned()).await;
            let error = fetched.result.unwrap_err();
            assert!(matches!(error, MailboxError::Net(NetError::PollDeadline)), "{error:?}");
            assert_eq!(fetched.words, words);
        }
    }
}

#[tokio::test]
async fn literal_that_is_longer_than_announced_ends_the_session() {
    let fetched =
        fetch(small([1]), |_| "* 1 FETCH (UID 1 BODY[] {3}\r\nabcdef)\r\nTAG OK\r\n".to_owned())
            .await;
    assert!(matches!(fetched.result, Err(MailboxError::Protocol { .. })));
    assert_eq!(fetched.words, ["1 failed"], "it would end every poll");
}

#[tokio::test(start_paused = true)]
async fn literal_that_is_shorter_than_announced_ends_the_session() {
    for (messages, reply) in [
        (small([1, 2]), "* 1 FETCH (UID 1 BODY[] {9}\r\nabc)\r\n"),
        (vec![wanted(1, None)], "* 1 FETCH (UID 1 BODY[]<0> {9}\r\nabc)\r\n"),
    ] {
        let fetched = fetch(messages, move |_| reply.to_owned()).await;
        assert!(matches!(fetched.result, Err(MailboxError::Net(NetError::Silent { .. }))));
        assert_eq!(fetched.words, ["1 failed"]);
    }
}

#[tokio::test]
async fn reply_to_another_command_ends_the_session() {
    let fetched = fetch(small([1]), |_| body(1, "a") + "TAG OK\r\nTAG OK\r\n").await;
    fetched.result.unwrap();
    let fetched = fetch(small([1]), |_| "R99 OK\r\n".to_owned()).await;
    assert!(matches!(fetched.result, Err(MailboxError::Protocol { .. })));
}

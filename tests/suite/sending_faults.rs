//! What a submission server can do wrong, at each of its words: the message is either taken once
//! or not at all, the wait has an end, and the code says which.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sending::{account, json, site};
use crate::support::server::{Kind, Protection};
use crate::support::{Certificate, Certs, Fault, Protocol, Server, Then, in_parallel};

/// Sends a test message to a server that does this wrong; its error, the server, and the time.
fn send(fault: Fault) -> (Value, Server, Duration) {
    let server = Server::start(Protocol::Smtp);
    server.set_fault(fault);
    let begun = Instant::now();
    let output = site(&account(&server)).cli(&["send-test", "o", "--json"]);
    let took = begun.elapsed();
    assert_eq!(output.code, 1, "{output:?}");
    assert!(!output.stdout.contains("secret-u1"), "{output:?}");
    (json(&output)["error"].clone(), server, took)
}

#[test]
fn s01_each_refusal_has_its_code_and_leaves_no_message() {
    let cases = [
        ("connect", "554 5.7.1 go away", "server-refused"),
        ("connect", "421 4.3.2 later", "server-busy"),
        ("EHLO", "550 5.0.0 no", "server-refused"),
        ("EHLO", "421 4.3.2 later", "server-busy"),
        ("AUTH", "535 5.7.8 no", "auth-rejected"),
        ("AUTH", "454 4.7.0 later", "server-busy"),
        ("AUTH", "504 5.5.4 what", "server-refused"),
        ("MAIL", "550 5.7.60 not you", "sender-refused"),
        ("MAIL", "451 4.3.0 later", "server-busy"),
        ("MAIL", "421 4.3.2 bye", "server-busy"),
        ("RCPT", "550 5.1.1 who", "recipient-refused"),
        ("RCPT", "450 4.2.0 later", "recipient-refused"),
        ("RCPT", "421 4.3.2 bye", "recipient-refused"),
        ("DATA", "554 5.5.1 no", "message-refused"),
        ("DATA", "451 4.3.0 later", "server-busy"),
        ("DATA", "250 ok", "message-refused"),
        (".", "554 5.6.0 spam", "message-refused"),
        (".", "451 4.3.0 later", "server-busy"),
        (".", "421 4.3.2 later", "server-busy"),
    ];
    in_parallel(&cases, |(on, said, code)| {
        let (error, server, _) = send(Fault::on(on).instead(&format!("{said}\r\n")));
        assert_eq!(error["code"], *code, "{on} {said}: {error}");
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
        assert!(server.store(|store| store.taken.is_empty()), "{on} {said}");
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn s01_silence_at_any_word_ends_within_its_limit() {
    let words = ["connect", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "."];
    in_parallel(&words, |on| {
        let (error, _, took) = send(Fault::on(on).instead("").then(Then::Hang));
        // What comes behind the final dot has a limit of its own, and may have been taken.
        let (code, least) = if *on == "." { ("send-uncertain", 2) } else { ("server-silent", 1) };
        assert_eq!(error["code"], code, "{on}: {error}");
        let seconds = took.as_secs_f64();
        assert!((f64::from(least)..f64::from(least) + 3.0).contains(&seconds), "{on}: {seconds}");
    });
}

#[test]
fn s01_dripping_reply_has_the_limit_of_a_whole_one() {
    let words = ["connect", "EHLO", "MAIL", "RCPT", "DATA"];
    in_parallel(&words, |on| {
        let drip = Fault { segment: 1, every_ms: 300, ..Fault::on(on) };
        let (error, server, took) = send(drip);
        assert_eq!(error["code"], "server-silent", "{on}: {error}");
        assert!(took < Duration::from_secs(4), "{on}: {took:?}");
        assert!(server.store(|store| store.taken.is_empty()));
    });
}

#[test]
fn s01_reply_that_is_none_or_is_cut_ends_the_session() {
    let words = ["connect", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "."];
    in_parallel(&words, |on| {
        let faults = [
            (Fault { cut: Some(6), ..Fault::on(on) }.then(Then::Close), "connection-lost"),
            (Fault::on(on).instead("").then(Then::Reset), "connection-lost"),
            (Fault::on(on).instead("hello there\r\n"), "protocol-error"),
            (Fault::on(on).instead("* OK IMAP4rev1\r\n"), "protocol-error"),
            (Fault::on(on).instead("250-a\r\n550 b\r\n"), "protocol-error"),
            (Fault::on(on).instead("{*100000:x*}\r\n"), "server-too-much"),
            (Fault::on(on).instead("{*100000:250-x\r\n*}"), "server-too-much"),
        ];
        for (fault, code) in faults {
            let (error, server, _) = send(fault);
            // Behind the final dot nobody knows whether the server has it.
            let code = if *on == "." { "send-uncertain" } else { code };
            // A reset in place of the greeting may be seen by connect() itself.
            let at_once = *on == "connect" && error["code"] == "connect-failed";
            assert!(at_once || error["code"] == code, "{on} {code}: {error}");
            assert_eq!(server.connections(), 1, "{on}: {error}");
        }
    });
}

#[test]
fn s01_lost_behind_the_final_dot_is_uncertain_although_it_was_taken() {
    let fault = Fault { done: true, ..Fault::on(".").instead("") }.then(Then::Close);
    let (error, server, _) = send(fault);
    assert_eq!(error["code"], "send-uncertain");
    assert_eq!(server.store(|store| store.taken.len()), 1);
}

#[test]
fn s01_what_the_server_lacks_is_said_before_anything_is_sent() {
    let lacking = |words: &str, to: &str| {
        let capabilities = Some(words.to_owned());
        let kind = Kind { protocol: Protocol::Smtp, capabilities, ..Kind::default() };
        let server = Server::start_as(kind);
        let output = site(&account(&server)).cli(&["send-test", "o", "--to", to, "--json"]);
        (output.code, json(&output)["error"]["code"].clone(), server)
    };
    // Without 8BITMIME: what we write is 7-bit.
    let (code, _, _) = lacking("AUTH:PLAIN", "x@example.org");
    assert_eq!(code, 0);
    let (_, code, server) = lacking("AUTH:PLAIN 8BITMIME", "jürgen@example.org");
    assert_eq!(code, "server-unsupported");
    assert!(!server.commands().iter().any(|line| line.starts_with("MAIL")));
    let (code, _, server) = lacking("AUTH:PLAIN 8BITMIME SMTPUTF8", "jürgen@example.org");
    assert_eq!(code, 0);
    assert!(server.commands().iter().any(|line| line.ends_with(" SMTPUTF8")));
    let (_, code, server) = lacking("AUTH:PLAIN SIZE:100", "x@example.org");
    assert_eq!(code, "server-unsupported");
    assert!(!server.commands().iter().any(|line| line.starts_with("MAIL")));
    let (_, code, _) = lacking("8BITMIME", "x@example.org");
    assert_eq!(code, "auth-no-mechanism");
}

/// The codes of a server with STARTTLS that does this wrong, and what it heard.
fn start_tls(fault: Fault) -> (Value, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let certs = Certs::make(folder.path(), Certificate::Good);
    let ca = certs.ca.display().to_string();
    let server = Server::start_as(Kind {
        protocol: Protocol::Smtp,
        protection: Protection::StartTls,
        certs: Some(certs),
        ..Kind::default()
    });
    server.set_fault(fault);
    let lines = account(&server).replace("\"none\"\nallow_plaintext = true", "\"starttls\"")
        + &format!("tls_ca_file = \"{ca}\"\n");
    let output = site(&lines).cli(&["send-test", "o", "--json"]);
    let value = json(&output);
    (
        if output.code == 0 { "sent".into() } else { value["error"]["code"].clone() },
        server.commands(),
    )
}

#[test]
fn t12_t13_t14_s01_nothing_secret_is_said_without_tls() {
    let (good, heard) = start_tls(Fault::on("nothing of this kind"));
    assert_eq!(good, "sent");
    assert!(heard[0].starts_with("EHLO") && heard[1] == "STARTTLS" && heard[2].starts_with("EHLO"));
    let strip = [["STARTTLS".to_owned(), "XSTARTTLX".to_owned()]];
    let cases = [
        (Fault { replace: strip.to_vec(), ..Fault::on("EHLO") }, "starttls-missing"),
        (Fault::on("STARTTLS").instead("454 4.7.0 not now\r\n"), "starttls-refused"),
        (Fault::on("STARTTLS").instead("550 no\r\n"), "starttls-refused"),
        (
            Fault { after: "250-x\r\n250 AUTH PLAIN\r\n".to_owned(), ..Fault::on("STARTTLS") },
            "tls-inject",
        ),
    ];
    for (fault, code) in cases {
        let (found, heard) = start_tls(fault);
        assert_eq!(found, code, "{heard:?}");
        let plain = |line: &String| line.starts_with("EHLO") || line == "STARTTLS";
        assert!(heard.iter().all(plain), "{heard:?}");
    }
}

#[test]
fn a13_s01_password_that_the_server_repeats_is_hidden() {
    let coded = data_encoding::BASE64.encode(b"\0u1\0secret-u1");
    let said = format!("535 5.7.8 no: secret-u1 {coded}\r\n");
    let server = Server::start(Protocol::Smtp);
    server.set_fault(Fault::on("AUTH").instead(&said));
    let lines = account(&server) + "debug = true\n";
    for arguments in
        [&["send-test", "o"][..], &["send-test", "o", "--json"], &["test", "o", "--debug"]]
    {
        let output = site(&lines).cli_with(&[("RUST_LOG", "trace")], arguments);
        assert_eq!(output.code, 1);
        let shown = format!("{}{}", output.stdout, output.stderr);
        assert!(shown.contains("***") && !shown.contains("secret-u1"), "{shown}");
        assert!(!shown.contains(coded.trim_end_matches('=')), "{shown}");
    }
}

//! What a submission server lacks, and what it says of secrets. What it can do wrong at each of
//! its words is in `tests/scenarios/smtp`.

use serde_json::Value;

use crate::sending::{account, json, site};
use crate::support::server::{Kind, Protection};
use crate::support::{Certificate, Certs, Fault, Protocol, Server};

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

/// The code of a server with STARTTLS, and what it heard.
fn start_tls() -> (Value, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let certs = Certs::make(folder.path(), Certificate::Good);
    let ca = certs.ca.display().to_string();
    let server = Server::start_as(Kind {
        protocol: Protocol::Smtp,
        protection: Protection::StartTls,
        certs: Some(certs),
        ..Kind::default()
    });
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
fn s01_starttls_comes_before_anything_else_and_again_behind_it() {
    let (good, heard) = start_tls();
    assert_eq!(good, "sent");
    assert!(heard[0].starts_with("EHLO") && heard[1] == "STARTTLS" && heard[2].starts_with("EHLO"));
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

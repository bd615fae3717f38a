//! Greeting, TLS and login.

use super::*;
use crate::mailbox::Retry;
use crate::net::NetError;

/// What a login ends with, and what the server has seen.
async fn start(
    account: &Inbound,
    greeting: &str,
    answer: impl FnMut(&str) -> String + Send + 'static,
) -> (Result<ImapSession, MailboxError>, Vec<String>) {
    let (wire, server) = Server::start(greeting, answer);
    let result = log_in(wire, account, Proof::Password("p\"a\\ss ü")).await;
    tokio::task::yield_now().await;
    (result, server.commands())
}

fn with_starttls() -> Inbound {
    Inbound { encryption: Encryption::StartTls, ..account() }
}

fn no_secret(commands: &[String]) {
    for command in commands {
        let word = command.split(' ').next().unwrap_or_default();
        assert!(["CAPABILITY", "STARTTLS"].contains(&word), "{command}");
    }
}

async fn starttls_code(greeting: &str, reply: &'static str) -> &'static str {
    let (result, commands) = start(&with_starttls(), greeting, move |command| {
        match command {
            "CAPABILITY" => "* CAPABILITY IMAP4rev1  STARTTLS AUTH=PLAIN\r\nTAG OK x\r\n",
            "STARTTLS" => reply,
            _ => "TAG BAD what\r\n",
        }
        .to_owned()
    })
    .await;
    no_secret(&commands);
    let error = result.unwrap_err();
    assert!(error.hint().is_some());
    error.code()
}

#[tokio::test]
async fn nothing_but_starttls_goes_before_tls() {
    let hello = "* OK hello\r\n";
    let missing = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n";
    assert_eq!(starttls_code(missing, "").await, "starttls-missing");
    assert_eq!(starttls_code(hello, "TAG NO not now\r\n").await, "starttls-refused");
    assert_eq!(starttls_code(hello, "TAG BAD not now\r\n").await, "starttls-refused");
    let inject = "TAG OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n";
    assert_eq!(starttls_code(hello, inject).await, "tls-inject");
    assert_eq!(starttls_code("* PREAUTH welcome\r\n", "").await, "starttls-preauth");
}

#[tokio::test]
async fn preauth_is_refused_without_starttls_too() {
    let (result, commands) = start(&account(), "* PREAUTH hi\r\n", |_| String::new()).await;
    assert!(matches!(result, Err(MailboxError::Unsupported { .. })));
    assert!(commands.is_empty());
}

#[tokio::test]
async fn bye_instead_of_a_greeting_is_told_apart() {
    let busy = "* BYE [UNAVAILABLE] later\r\n";
    let (result, _) = start(&account(), busy, |_| String::new()).await;
    assert!(matches!(result, Err(MailboxError::Throttled { .. })));
    let (result, _) = start(&account(), "* BYE no\r\n", |_| String::new()).await;
    assert!(matches!(result, Err(MailboxError::Refused { .. })));
    let (result, _) = start(&account(), "HTTP/1.0 400 Bad\r\n", |_| String::new()).await;
    assert!(matches!(result, Err(MailboxError::Protocol { .. })));
}

#[tokio::test(start_paused = true)]
async fn silent_server_is_given_up() {
    let (result, _) = start(&account(), "", |_| String::new()).await;
    let Err(MailboxError::Net(error)) = result else { panic!() };
    assert!(matches!(error, NetError::Silent { stage: "greeting", .. }), "{error:?}");
}

#[tokio::test]
async fn password_goes_over_in_one_step_or_two() {
    let response = sasl_response();
    for sasl_ir in [" SASL-IR", ""] {
        let greeting = format!("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN{sasl_ir}] hello\r\n");
        let (result, commands) = start(&account(), &greeting, |command| {
            match command {
                "AUTHENTICATE PLAIN" => "+ \r\n",
                "CAPABILITY" => "* CAPABILITY IMAP4rev1 UIDPLUS\r\nTAG OK x\r\n",
                _ => "TAG OK in\r\n",
            }
            .to_owned()
        })
        .await;
        assert!(result.unwrap().capabilities.has_uid_plus(), "asked again after the login");
        let all = commands.join("|");
        if sasl_ir.is_empty() {
            assert_eq!(all, format!("AUTHENTICATE PLAIN|{response}|CAPABILITY"));
        } else {
            assert_eq!(all, format!("AUTHENTICATE PLAIN {response}|CAPABILITY"));
        }
    }
}

fn sasl_response() -> String {
    data_encoding::BASE64.encode("\0u\0p\"a\\ss ü".as_bytes())
}

#[tokio::test]
async fn a07_refused_token_is_told_by_a_challenge_that_wants_an_empty_answer() {
    let account = Inbound { sasl: vec![crate::sasl::Mechanism::XOAuth2], ..account() };
    let json = data_encoding::BASE64.encode(br#"{"status":"401","schemes":"bearer"}"#);
    for sasl_ir in [" SASL-IR", ""] {
        let greeting = format!("* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2{sasl_ir}] hello\r\n");
        let json = json.clone();
        let (wire, server) = Server::start(&greeting, move |command| match command {
            "AUTHENTICATE XOAUTH2" => "+ \r\n".to_owned(),
            "" => "TAG NO [AUTHENTICATIONFAILED] no\r\n".to_owned(),
            _ => format!("+ {json}\r\n"),
        });
        let error = log_in(wire, &account, Proof::Token("t0ken")).await.unwrap_err();
        assert_eq!(error.code(), "auth-rejected");
        let shown = error.to_string();
        assert!(shown.contains("401") && !shown.contains("t0ken"), "{shown}");
        let commands = server.commands();
        assert_eq!(commands.last().map(String::as_str), Some(""), "{commands:?}");
        assert_eq!(commands.len(), if sasl_ir.is_empty() { 3 } else { 2 }, "{commands:?}");
    }
}

#[tokio::test]
async fn a09_login_quotes_what_it_sends() {
    let mut account = account();
    account.user = "a \"b\" c\\d".to_owned();
    let (wire, server) = Server::start("* OK [CAPABILITY IMAP4rev1] hi\r\n", |command| {
        if command == "CAPABILITY" { "TAG BAD no such command\r\n" } else { "TAG OK in\r\n" }
            .to_owned()
    });
    log_in(wire, &account, Proof::Password("p\"a\\ss")).await.unwrap();
    assert_eq!(server.commands().first().unwrap(), "LOGIN \"a \\\"b\\\" c\\\\d\" \"p\\\"a\\\\ss\"");
}

#[tokio::test]
async fn a08_refused_credentials_are_tried_once() {
    for said in ["[AUTHENTICATIONFAILED] no", "[AUTHORIZATIONFAILED] no", "[EXPIRED] no", "no"] {
        let greeting = format!("* OK [CAPABILITY {CAPABILITIES}] hello\r\n");
        let (result, commands) =
            start(&account(), &greeting, move |_| format!("TAG NO {said}\r\n")).await;
        let error = result.unwrap_err();
        assert!(
            matches!(&error, MailboxError::Credentials { mechanism, .. } if mechanism == "PLAIN")
        );
        assert_eq!(error.retry(), Retry::Credentials);
        assert_eq!(commands.len(), 1, "never a second attempt: {commands:?}");
    }
}

#[tokio::test]
async fn i30_busy_server_is_not_the_credentials_fault() {
    for said in ["[UNAVAILABLE] x", "[LIMIT] too many connections", "[INUSE] x", "[OVERQUOTA] x"] {
        let greeting = format!("* OK [CAPABILITY {CAPABILITIES}] hello\r\n");
        let (result, _) = start(&account(), &greeting, move |_| format!("TAG NO {said}\r\n")).await;
        assert!(matches!(result, Err(MailboxError::Throttled { .. })), "{said}");
    }
}

#[tokio::test]
async fn refused_mechanism_is_no_refused_password() {
    let greeting = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n";
    let (result, commands) = start(&account(), greeting, |_| "TAG NO unknown\r\n".to_owned()).await;
    assert!(matches!(result, Err(MailboxError::NoMechanism { .. })));
    assert_eq!(commands, ["AUTHENTICATE PLAIN"]);
}

#[tokio::test]
async fn reply_under_a_foreign_tag_ends_the_session() {
    let greeting = format!("* OK [CAPABILITY {CAPABILITIES}] hello\r\n");
    let (result, _) = start(&account(), &greeting, |_| "X9 OK in\r\n".to_owned()).await;
    assert!(matches!(result, Err(MailboxError::Protocol { .. })));
}

#[tokio::test]
async fn farewell_is_short_and_never_an_error() {
    let (session, server) = session(0, |_| String::new()).await;
    session.quit().await.unwrap();
    assert_eq!(server.commands().last().unwrap(), "LOGOUT");
    let (session, _server) =
        self::session(
            0,
            |command| {
                if command == "LOGOUT" { "CLOSE".to_owned() } else { String::new() }
            },
        )
        .await;
    session.quit().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn farewell_without_an_answer_takes_five_seconds_at_most() {
    let (session, _server) =
        session(0, |command| if command == "LOGOUT" { "\0".to_owned() } else { String::new() })
            .await;
    let begun = tokio::time::Instant::now();
    session.quit().await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 5);
}

/// Speaks in the clear up to STARTTLS, then TLS with a certificate of its own.
async fn serve_starttls(stream: DuplexStream) -> Vec<String> {
    use rustls::pki_types::PrivateKeyDer;
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    .unwrap();
    let mut plain = BufReader::new(stream);
    let hello = b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi\r\n";
    plain.write_all(hello).await.unwrap();
    let mut line = String::new();
    plain.read_line(&mut line).await.unwrap();
    plain.write_all(b"P1 OK go\r\n").await.unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let mut tls = BufReader::new(acceptor.accept(plain.into_inner()).await.unwrap());
    let mut lines = vec![line];
    for reply in ["* CAPABILITY AUTH=PLAIN SASL-IR\r\nP1", "P2", "* CAPABILITY UIDPLUS\r\nP3"] {
        let mut line = String::new();
        tls.read_line(&mut line).await.unwrap();
        tls.write_all(format!("{reply} OK\r\n").as_bytes()).await.unwrap();
        lines.push(line);
    }
    lines
}

#[tokio::test]
async fn capabilities_are_asked_anew_after_starttls_and_after_login() {
    let mut account = with_starttls();
    account.tls.verify = false;
    account.allow_plaintext = false;
    let (ours, theirs) = duplex(1 << 16);
    let wire = Wire::over_memory(ours, &Endpoint::of(&account), Endpoint::far_deadline());
    let (session, lines) =
        tokio::join!(log_in(wire, &account, Proof::Password("pass")), serve_starttls(theirs));
    assert!(session.unwrap().capabilities.has_uid_plus());
    let words: Vec<&str> =
        lines.iter().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(words, ["STARTTLS", "CAPABILITY", "AUTHENTICATE", "CAPABILITY"]);
}

#[tokio::test]
async fn servers_words_never_repeat_the_password() {
    let greeting = format!("* OK [CAPABILITY {CAPABILITIES}] hello\r\n");
    let (result, _) = start(&account(), &greeting, |command| {
        format!("TAG NO wrong: {command} \"p\\\"a\\\\ss ü\" p\"a\\ss ü\r\n")
    })
    .await;
    let said = result.unwrap_err().to_string();
    assert!(said.contains("AUTHENTICATE PLAIN (hidden) (hidden) (hidden)"), "{said}");
}

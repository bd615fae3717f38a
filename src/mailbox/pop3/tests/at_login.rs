//! Greeting, CAPA, STLS and login.

use super::*;
use crate::net::NetError;

/// A login as `u` with password `p`.
async fn login(greeting: &str, steps: &[Step<'_>]) -> Result<Capabilities, MailboxError> {
    login_as(&account(), "p", greeting.as_bytes(), steps).await
}

async fn login_as(
    account: &Inbound,
    password: &str,
    greeting: &[u8],
    steps: &[Step<'_>],
) -> Result<Capabilities, MailboxError> {
    let (mut ours, theirs) = duplex(1 << 20);
    let login = Login::permitted(account, Proof::Password(password))?;
    let both =
        async { tokio::join!(log_in(&mut ours, &login, false), serve(theirs, greeting, steps)).0 };
    quickly(both).await
}

async fn upgrade(greeting: &str, steps: &[Step<'_>]) -> Result<(), MailboxError> {
    let (mut ours, theirs) = duplex(1 << 20);
    let both =
        async { tokio::join!(ask_for_tls(&mut ours), serve(theirs, greeting.as_bytes(), steps)).0 };
    quickly(both).await
}

fn code(result: Result<impl Sized, MailboxError>) -> &'static str {
    result.err().map_or("ok", |error| error.code())
}

#[tokio::test]
async fn password_goes_once_by_user_and_pass() {
    let known = login("+OK ready <1.2@x>\r\n", &[CAPA, USER, PASS]).await.unwrap();
    assert!(known.pipelining);
    let refused = ("PASS p", b"-ERR [AUTH] no\r\n".as_slice());
    let error = login("+OK\r\n", &[CAPA, USER, refused]).await.unwrap_err();
    let MailboxError::Credentials { user, mechanism, said } = error else { panic!("{error}") };
    assert_eq!((&*user, &*mechanism, &*said), ("u", "USER", "[AUTH] no"));
}

#[tokio::test]
async fn sasl_plain_is_used_where_it_is_offered() {
    let capa: Step<'_> = ("CAPA", b"+OK\r\nSASL SCRAM-SHA-256-PLUS PLAIN\r\nUTF8 USER\r\n.\r\n");
    let good = ("AUTH PLAIN AHUAcA==", b"+OK\r\n".as_slice());
    assert!(login("+OK\r\n", &[capa, good]).await.is_ok());
    let bad = ("AUTH PLAIN AHUAcA==", b"-ERR no\r\n".as_slice());
    let error = login("+OK\r\n", &[capa, bad]).await.unwrap_err();
    assert!(matches!(error, MailboxError::Credentials { mechanism, .. } if mechanism == "PLAIN"));
}

#[tokio::test]
async fn sasl_plain_goes_in_two_steps_when_the_server_wants_it_or_it_is_long() {
    let capa: Step<'_> = ("CAPA", b"+OK\r\nSASL PLAIN\r\n.\r\n");
    let first = ("AUTH PLAIN AHUAcA==", b"+ \r\n".as_slice());
    let second = ("AHUAcA==", b"+OK\r\n".as_slice());
    assert!(login("+OK\r\n", &[capa, first, second]).await.is_ok());
    let second = ("AHUAcA==", b"-ERR no\r\n".as_slice());
    assert_eq!(code(login("+OK\r\n", &[capa, first, second]).await), "auth-rejected");

    let long = "x".repeat(300);
    let response = data_encoding::BASE64.encode(format!("\0u\0{long}").as_bytes());
    let steps: [Step<'_>; 3] = [capa, ("AUTH PLAIN", b"+ \r\n"), (&response, b"+OK\r\n")];
    assert!(login_as(&account(), &long, b"+OK\r\n", &steps).await.is_ok());
}

#[tokio::test]
async fn a09_blanks_and_utf8_go_as_they_are() {
    let account = Inbound { user: "d\u{f6} e".to_owned(), ..account() };
    let steps: [Step<'_>; 3] =
        [CAPA, ("USER d\u{f6} e", b"+OK\r\n"), ("PASS p \u{e9} ", b"+OK\r\n")];
    assert!(login_as(&account, "p \u{e9} ", b"+OK\r\n", &steps).await.is_ok());
}

#[tokio::test]
async fn a09_what_ends_a_line_is_never_sent() {
    for password in ["a\r\nDELE 1", "a\nb", "a\0b"] {
        let result = login_as(&account(), password, b"", &[]).await;
        assert_eq!(code(result), "auth-no-mechanism");
    }
    let account = Inbound { user: "u\r\nx".to_owned(), ..account() };
    assert_eq!(code(login_as(&account, "p", b"", &[]).await), "auth-no-mechanism");
}

#[tokio::test]
async fn plain_mechanisms_need_tls_or_leave() {
    let capa: Step<'_> = ("CAPA", b"+OK\r\nUSER\r\nSASL PLAIN LOGIN\r\n.\r\n");
    for (allow_plaintext, safe_logon) in
        [(false, SafeLogon::On), (false, SafeLogon::Off), (true, SafeLogon::Strict)]
    {
        let account = Inbound { allow_plaintext, safe_logon, ..account() };
        assert_eq!(code(login_as(&account, "p", b"+OK\r\n", &[capa]).await), "auth-no-mechanism");
    }
}

#[tokio::test]
async fn a07_token_goes_in_two_steps_and_a_refusal_is_told_with_the_servers_json() {
    let account = Inbound { encryption: Encryption::Tls, ..account() };
    let (mut ours, theirs) = duplex(1 << 20);
    let login = Login::permitted(&account, Proof::Token("t0ken")).unwrap();
    let sent = data_encoding::BASE64.encode(b"user=u\x01auth=Bearer t0ken\x01\x01");
    let json = data_encoding::BASE64.encode(br#"{"status":"401"}"#);
    let challenge = format!("+ {json}\r\n");
    let steps: [Step<'_>; 4] = [
        ("CAPA", b"+OK\r\nSASL PLAIN XOAUTH2\r\nUSER\r\n.\r\n"),
        ("AUTH XOAUTH2", b"+ \r\n"),
        (&sent, challenge.as_bytes()),
        ("", b"-ERR [AUTH] no\r\n"),
    ];
    let both = async {
        tokio::join!(log_in(&mut ours, &login, false), serve(theirs, b"+OK\r\n", &steps)).0
    };
    let error = quickly(both).await.unwrap_err();
    assert_eq!(error.code(), "auth-rejected");
    let shown = error.to_string();
    assert!(shown.contains("401") && !shown.contains("t0ken"), "{shown}");
}

#[tokio::test]
async fn pop20_apop_is_used_where_it_is_named_and_the_timestamp_is_sound() {
    let account = Inbound { sasl: vec![crate::model::Mechanism::Apop], ..account() };
    let greeting = "+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n";
    let apop = "APOP u c4c9334bac560ecc979e58001b3e22fb";
    let steps: [Step<'_>; 2] = [("CAPA", b"-ERR\r\n"), (apop, b"+OK\r\n")];
    let result = login_as(&account, "tanstaaf", greeting.as_bytes(), &steps).await;
    assert!(result.is_ok(), "{result:?}");
    let unsound = login_as(&account, "tanstaaf", b"+OK <a b>\r\n", &steps[..1]).await;
    assert_eq!(code(unsound), "auth-no-mechanism");
}

#[tokio::test]
async fn server_without_capa_gets_user_and_pass_and_no_pipelining() {
    let capa: Step<'_> = ("CAPA", b"-ERR what?\r\n");
    let known = login("+OK\r\n", &[capa, USER, PASS]).await.unwrap();
    assert_eq!(known, Capabilities::default());
}

#[tokio::test]
async fn server_with_other_mechanisms_only_gets_no_password() {
    let capa: Step<'_> = ("CAPA", b"+OK\r\nSASL XOAUTH2\r\n.\r\n");
    assert_eq!(code(login("+OK\r\n", &[capa]).await), "auth-no-mechanism");
}

#[tokio::test]
async fn greetings_are_told_apart() {
    assert_eq!(code(login("-ERR [SYS/TEMP] later\r\n", &[]).await), "server-busy");
    assert_eq!(code(login("-ERR go away\r\n", &[]).await), "server-refused");
    assert_eq!(code(login("HTTP/1.1 400 Bad Request\r\n\r\n", &[]).await), "protocol-error");
    assert_eq!(code(login("* OK IMAP4rev1\r\n", &[]).await), "protocol-error");
    assert_eq!(code(login("\0\x7f\u{fc}\r\n", &[]).await), "protocol-error");
    assert_eq!(code(login("", &[]).await), "connection-lost");
    assert_eq!(code(login("+OK half a li", &[]).await), "connection-lost");
    assert_eq!(code(login(&"x".repeat(100_000), &[]).await), "server-too-much");
}

#[tokio::test]
async fn end_of_file_at_each_stage_is_an_error_at_once() {
    let cut: [&[Step<'_>]; 6] = [
        &[("CAPA", b"")],
        &[("CAPA", b"+OK\r\nUSE")],
        &[CAPA, ("USER u", b"")],
        &[CAPA, ("USER u", b"+O")],
        &[CAPA, USER, ("PASS p", b"")],
        &[CAPA, USER, ("PASS p", b"+OK no end")],
    ];
    for steps in cut {
        assert_eq!(code(login("+OK\r\n", steps).await), "connection-lost");
    }
}

#[tokio::test]
async fn odd_replies_neither_panic_nor_hang() {
    let nul: Step<'_> = ("CAPA", b"+OK \0\xff\r\nX\0\xfe y\r\nUSER\r\n..\r\n.\r\n");
    assert!(login("+OK \u{fc}\0 \x1b[2J\r\n", &[nul, USER, PASS]).await.is_ok());
    let bare_lf: Step<'_> = ("CAPA", b"+OK\nUSER\n.\n");
    assert!(login("+OK\n", &[bare_lf, ("USER u", b"+OK\n"), ("PASS p", b"+OK\n")]).await.is_ok());
    let endless = [b"+OK\r\n".as_slice(), &b"X-Y z\r\n".repeat(20_000)].concat();
    assert_eq!(code(login("+OK\r\n", &[("CAPA", &endless)]).await), "server-too-much");
    let early: Step<'_> = ("CAPA", b"-ERR\r\n+OK\r\n+OK\r\n");
    assert_eq!(code(login("+OK\r\n", &[early]).await), "protocol-error");
}

#[tokio::test]
async fn replies_in_single_octets_are_read() {
    let (mut ours, theirs) = duplex(1);
    let account = account();
    let login = Login::permitted(&account, Proof::Password("p")).unwrap();
    let steps = [CAPA, USER, PASS];
    let both = async {
        tokio::join!(log_in(&mut ours, &login, false), serve(theirs, b"+OK a\r\n", &steps)).0
    };
    assert!(quickly(both).await.unwrap().pipelining);
}

#[tokio::test]
async fn octets_behind_the_login_are_a_fault() {
    let pass: Step<'_> = ("PASS p", b"+OK\r\n+OK 1 a\r\n");
    assert_eq!(code(login("+OK\r\n", &[CAPA, USER, pass]).await), "protocol-error");
}

#[tokio::test]
async fn stls_comes_before_anything_else() {
    let capa: Step<'_> = ("CAPA", b"+OK\r\nSTLS\r\n.\r\n");
    assert!(upgrade("+OK\r\n", &[capa, ("STLS", b"+OK go\r\n")]).await.is_ok());

    let stripped: Step<'_> = ("CAPA", b"+OK\r\nUSER\r\n.\r\n");
    assert_eq!(code(upgrade("+OK\r\n", &[stripped]).await), "starttls-missing");
    assert_eq!(code(upgrade("+OK\r\n", &[("CAPA", b"-ERR\r\n")]).await), "starttls-missing");
    let steps: [Step<'_>; 2] = [capa, ("STLS", b"-ERR no\r\n")];
    assert_eq!(code(upgrade("+OK\r\n", &steps).await), "starttls-refused");
    let steps: [Step<'_>; 2] = [capa, ("STLS", b"+OK go\r\n+OK\r\n")];
    assert_eq!(code(upgrade("+OK\r\n", &steps).await), "tls-inject");
    let steps: [Step<'_>; 2] = [capa, ("STLS", b"")];
    assert_eq!(code(upgrade("+OK\r\n", &steps).await), "connection-lost");
    assert_eq!(code(upgrade("-ERR [SYS/TEMP] x\r\n", &[]).await), "server-busy");
    let endless = [b"+OK\r\n".as_slice(), &b"X\r\n".repeat(20_000)].concat();
    assert_eq!(code(upgrade("+OK\r\n", &[("CAPA", &endless)]).await), "server-too-much");
}

#[tokio::test]
async fn after_stls_the_login_needs_no_greeting() {
    let (mut ours, theirs) = duplex(1 << 20);
    let account = account();
    let login = Login::permitted(&account, Proof::Password("p")).unwrap();
    let steps = [CAPA, USER, PASS];
    let both =
        async { tokio::join!(log_in(&mut ours, &login, true), serve(theirs, b"", &steps)).0 };
    assert!(quickly(both).await.is_ok());
}

#[tokio::test]
async fn errors_of_the_stream_come_through_async_pop() {
    struct Broken;
    impl AsyncRead for Broken {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Err(NetError::PollDeadline.into_io()))
        }
    }
    let mut stream = tokio::io::join(Broken, tokio::io::sink());
    let account = account();
    let login = Login::permitted(&account, Proof::Password("p")).unwrap();
    assert_eq!(code(log_in(&mut stream, &login, false).await), "poll-deadline");
}

#[tokio::test]
async fn password_that_the_server_repeats_stands_in_no_error() {
    let password = "S3cret pass/w\u{f6}rd";
    let plain = data_encoding::BASE64.encode(format!("\0u\0{password}").as_bytes());
    let base64 = data_encoding::BASE64.encode(password.as_bytes());
    let user_pass = format!("PASS {password}");
    let auth = format!("AUTH PLAIN {plain}");
    let capa: Step<'_> = ("CAPA", b"+OK\r\nSASL PLAIN\r\n.\r\n");
    // The last one would be cut in the middle of the password.
    for echo in [
        format!("-ERR bad \"{user_pass}\" [{base64}] {plain}\r\n"),
        format!("?? {password} {}\r\n", plain.trim_end_matches('=')),
        format!("-ERR {}{password}\r\n", "x".repeat(505)),
    ] {
        for steps in [
            vec![CAPA, USER, (&*user_pass, echo.as_bytes())],
            vec![capa, (&*auth, echo.as_bytes())],
        ] {
            let result = login_as(&account(), password, b"+OK\r\n", &steps).await;
            let error = result.map(drop).unwrap_err();
            let shown = format!("{error} {error:?}");
            for secret in ["S3cret", &*base64, plain.trim_end_matches('=')] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
}

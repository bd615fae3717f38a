use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::{Certificate, ImapClient, Pop3Client, crlf, sample};
use super::*;

fn with_two_messages(protocol: Protocol) -> Server {
    let server = Server::start(protocol);
    server.deliver(&sample("one", 100));
    server.deliver(&sample("two", 5_000));
    server
}

#[test]
fn imap_server_lists_fetches_and_removes_what_is_told() {
    let server = with_two_messages(Protocol::Imap);
    let mut client = ImapClient::login(("127.0.0.1", server.port), "u1", "secret-u1");
    let bodies: Vec<Vec<u8>> = client.list("INBOX").into_iter().map(|found| found.body).collect();
    assert_eq!(bodies, [crlf(&sample("one", 100)), crlf(&sample("two", 5_000))]);
    client.command("SELECT INBOX");
    let part = client.command("UID FETCH 2 (BODY.PEEK[]<7.6>)");
    assert_eq!(part, b"* 2 FETCH (BODY[]<7> {6}\r\nPath:  UID 2)\r\n");
    client.command("UID STORE 2 +FLAGS.SILENT (\\Deleted)");
    assert_eq!(client.command("UID EXPUNGE 1"), b"");
    assert_eq!(client.command("UID EXPUNGE 1:*"), b"* 2 EXPUNGE\r\n");
    assert_eq!(client.command("UID SEARCH UID 1:*"), b"* SEARCH 1\r\n");
    let removals = server.removals();
    assert_eq!((removals.len(), removals[0].uid, removals[0].was_stored), (1, 2, true));
    assert_eq!(server.commands().last().unwrap(), "UID SEARCH UID 1:*");
}

#[test]
fn pop3_server_removes_at_quit_and_keeps_the_rest_for_the_next_session() {
    let server = with_two_messages(Protocol::Pop3);
    let mut client = Pop3Client::login(("127.0.0.1", server.port), "u1", "secret-u1");
    assert_eq!(client.retr(2), crlf(&sample("two", 5_000)));
    client.command("DELE 1");
    assert_eq!(server.store(|store| store.remaining()), 2);
    client.command("QUIT");
    assert_eq!(server.removals().len(), 1);
    let mut client = Pop3Client::login(("127.0.0.1", server.port), "u1", "secret-u1");
    assert_eq!(client.uidl(), [(1, "0000000700000002".to_owned())]);
    assert_eq!(server.connections(), 2);
}

/// Says a line, and reads the lines of the answer.
fn smtp(stream: &mut BufReader<TcpStream>, line: &str) -> String {
    if !line.is_empty() {
        stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }
    let mut all = String::new();
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the end, after {all}");
        all += &line;
        if line.as_bytes().get(3) != Some(&b'-') {
            return all;
        }
    }
}

#[test]
fn smtp_server_takes_mail_and_takes_the_stuffed_dots_out() {
    let server = Server::start(Protocol::Smtp);
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", server.port)).unwrap());
    assert!(smtp(&mut stream, "").starts_with("220 "));
    assert!(smtp(&mut stream, "EHLO x").contains("250-AUTH PLAIN\r\n"));
    let sasl = |text: &str| data_encoding::BASE64.encode(text.as_bytes());
    let response = format!("AUTH PLAIN {}", sasl("\0u1\0secret-u1"));
    assert!(smtp(&mut stream, &response).starts_with("235 "));
    assert!(smtp(&mut stream, "AUTH PLAIN").starts_with("334 "));
    assert!(smtp(&mut stream, &sasl("\0u1\0wrong")).starts_with("535 "));
    for line in ["MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>"] {
        assert!(smtp(&mut stream, line).starts_with("250 "));
    }
    assert!(smtp(&mut stream, "DATA").starts_with("354 "));
    stream.get_mut().write_all(b"Subject: x\r\n\r\n..dot\r\n").unwrap();
    assert!(smtp(&mut stream, ".").starts_with("250 "));
    assert!(smtp(&mut stream, "QUIT").starts_with("221 "));
    let taken = server.store(|store| store.taken.clone());
    assert_eq!((taken.len(), taken[0].from.as_str()), (1, "<a@example.org>"));
    assert_eq!(taken[0].to, ["<b@example.org>"]);
    assert_eq!(taken[0].octets, b"Subject: x\r\n\r\n.dot\r\n");
}

#[test]
fn fault_strikes_at_its_command_in_its_poll_and_the_rest_is_as_it_should_be() {
    let server = with_two_messages(Protocol::Imap);
    server.set_fault(Fault::on("uid*search").nth(2).instead("{tag} NO not now\r\n"));
    server.set_fault(Fault { polls: vec![2], ..Fault::on("NOOP").then(Then::Close) });
    let mut client = ImapClient::login(("127.0.0.1", server.port), "u1", "secret-u1");
    client.command("SELECT INBOX");
    client.command("UID SEARCH UID 1:*");
    assert_eq!(client.attempt("UID SEARCH UID 1:*").1, "NO not now");
    client.command("UID SEARCH UID 1:*");
    client.command("NOOP");
    server.begin_poll(2);
    client.command("UID SEARCH UID 1:*");
    assert_eq!(client.attempt("UID SEARCH UID 1:*").1, "NO not now");
    server.heal();
    client.command("NOOP");
}

#[test]
fn server_drips_cuts_and_resets() {
    let server = Server::start(Protocol::Pop3);
    let every_ms = 10;
    let drip = Fault { segment: 1, every_ms, cut: Some(5), ..Fault::on("connect") };
    server.set_fault(drip.nth(1).then(Then::Close));
    server.set_fault(Fault::on("connect").nth(2).then(Then::Reset));
    let since = Instant::now();
    let mut all = String::new();
    let connect = || TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    connect().read_to_string(&mut all).unwrap();
    assert_eq!(all, "+OK r");
    assert!(since.elapsed() >= Duration::from_millis(5 * every_ms));
    let mut stream = connect();
    let ended = stream.read_to_string(&mut String::new()).unwrap_err();
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn server_speaks_tls_after_starttls() {
    let folder = tempfile::tempdir().unwrap();
    let certs = Certs::make(folder.path(), Certificate::Good);
    let server = Server::start_as(Kind {
        protocol: Protocol::Pop3,
        protection: Protection::StartTls,
        certs: Some(certs.clone()),
        ..Kind::default()
    });
    let tcp = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    (&tcp).write_all(b"STLS\r\n").unwrap();
    let mut plain = [0; 22];
    (&tcp).read_exact(&mut plain).unwrap();
    assert_eq!(&plain, b"+OK ready\r\n+OK begin\r\n");
    let name = "localhost".try_into().unwrap();
    let tls = rustls::ClientConnection::new(certs.client_config(), name).unwrap();
    let mut stream = BufReader::new(rustls::StreamOwned::new(tls, tcp));
    stream.get_mut().write_all(b"NOOP\r\n").unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert_eq!(line, "-ERR log in first\r\n");
}

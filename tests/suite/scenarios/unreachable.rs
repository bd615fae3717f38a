//! A server whose machine takes no connection and says nothing about it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::support::{Protocol, Server, Site, as_sent, loopback_account, messages, stored_octets};

/// A port whose queue is full: the kernel drops each further SYN, as a firewall would. `None`,
/// said aloud, where it doesn't.
fn black_hole() -> Option<(TcpListener, Vec<TcpStream>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    // Again with a queue for none; the kernel makes room for one or two all the same.
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..8 {
        match TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => return Some((listener, waiting)),
        }
    }
    eprintln!("skipped: this kernel takes every connection");
    None
}

#[test]
fn t02_server_behind_a_black_hole_costs_its_account_the_deadline_and_no_other_anything() {
    let Some((listener, waiting)) = black_hole() else { return };
    let SocketAddr::V4(address) = listener.local_addr().unwrap() else { panic!("IPv4") };
    let good = Server::start(Protocol::Imap);
    for message in messages(3) {
        good.deliver(&message);
    }
    let hurried = |protocol: &str| {
        let account = loopback_account(protocol, "tls", address.port(), "u1");
        account.replace("connect_timeout = \"5s\"", "connect_timeout = \"1s\"")
    };
    let site =
        Site::new(&[("a", hurried("imap")), ("b", hurried("pop3")), ("good", good.account("u2"))]);
    let output = site.cli(&["poll"]);
    assert_eq!(output.code, 3, "{output:?}");
    assert!(output.took < Duration::from_secs(8), "{output:?}");
    assert_eq!(stored_octets(&site), as_sent(&messages(3)));
    let status = site.status();
    for n in 0..2 {
        let error = &status["accounts"][n]["last_error"];
        assert_eq!(error["code"], "connect-failed", "{status}");
    }
    drop(waiting);
}

//! Web services behind an HTTP proxy: it is asked for the way, and sees nothing of what passes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{actions, count, each_came, retry, with_rules};
use crate::support::{Certificate, Certs, Dovecot, Receiver, Site, sample};

/// A proxy: its port, and all octets that it was sent.
struct Proxy {
    port: u16,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    /// One that opens the way, or answers with this status.
    fn start(refusal: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let all = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                serve(client, refusal, &all);
            }
        });
        Self { port, seen }
    }

    fn saw(&self, what: &str) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.windows(what.len()).any(|octets| octets == what.as_bytes())
    }
}

fn serve(mut client: TcpStream, refusal: Option<u16>, seen: &Arc<Mutex<Vec<u8>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        if client.read_exact(&mut octet).is_err() {
            return;
        }
        head.push(octet[0]);
    }
    seen.lock().unwrap().extend_from_slice(&head);
    if let Some(status) = refusal {
        // The client may be gone.
        drop(client.write_all(format!("HTTP/1.1 {status} no\r\n\r\n").as_bytes()));
        return;
    }
    let text = String::from_utf8(head).unwrap();
    let to = text.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
    let mut server = TcpStream::connect(to).unwrap();
    client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n").unwrap();
    let (mut from, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || {
        // Either side may end it.
        drop(std::io::copy(&mut from, &mut back));
        drop(back.shutdown(Shutdown::Both));
    });
    let mut block = [0; 4096];
    while let Ok(n @ 1..) = client.read(&mut block) {
        seen.lock().unwrap().extend_from_slice(&block[..n]);
        if server.write_all(&block[..n]).is_err() {
            return;
        }
    }
}

#[test]
fn hook_goes_through_a_proxy_that_sees_no_more_than_where_to() {
    let dovecot = Dovecot::start();
    dovecot.deliver("u1", &sample("between us", 10));
    let folder = tempfile::tempdir().unwrap();
    let certs = Certs::make(folder.path(), Certificate::Good);
    let receiver = Receiver::start_tls(&certs);
    let rule = |port: u16| {
        format!(
            "do = \"webhook\"\nurl = \"{}\"\ntls_ca_file = \"{}\"\nproxy = \"http://127.0.0.1:{port}\"",
            receiver.url(),
            certs.ca.display()
        )
    };
    let (no, yes) = (Proxy::start(Some(403)), Proxy::start(None));
    let account = dovecot.account("imap", "none", "u1");
    let mut site = Site::new(&[("a", with_rules(&account, &[&rule(no.port)]))]);
    site.poll();
    let detail = actions(&site).remove(0)["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("answered with status 403"), "{detail}");
    assert_eq!((receiver.requests().len(), count(&site, "pending")), (0, 1));
    site.account("a", &with_rules(&account, &[&rule(yes.port)]));
    retry(&site);
    site.poll();
    assert_eq!(count(&site, "done"), 1, "{:?}", actions(&site));
    each_came(&site, &receiver.requests(), "through the proxy");
    assert!(yes.saw("CONNECT 127.0.0.1:") && !yes.saw("between us") && !yes.saw("POST"));
}

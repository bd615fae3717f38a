//! A TCP relay before a server: it writes down what both say, and cuts or stalls where told to.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// When a fault strikes, counted in each connection anew.
#[derive(Clone, Debug)]
pub enum When {
    /// The client sends a line that contains this text, in capitals or not.
    ClientSays(&'static str),
    /// So many octets have come from the server.
    ServerOctets(usize),
}

/// What the fault is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    /// The connection ends; a client's line that triggers it never reaches the server.
    Cut,
    /// The connection ends once the server has the client's line; the answer is lost.
    CutAnswer,
    /// Nothing passes any more in either direction, and nothing ends.
    Stall,
}

/// A fault of every connection.
#[derive(Clone, Debug)]
pub struct Fault {
    pub when: When,
    pub act: Act,
}

/// A running relay; it ends its connections when it is dropped.
#[derive(Debug)]
pub struct Relay {
    /// The port to connect to.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    commands: Mutex<Vec<String>>,
    from_server: Mutex<Vec<u8>>,
    fault: Mutex<Option<Fault>>,
    streams: Mutex<Vec<TcpStream>>,
    ended: Mutex<bool>,
}

impl Relay {
    /// Starts a relay to a port of the loopback.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, target, &for_thread));
        Self { port: own, shared }
    }

    /// From now on every connection, open ones included, has this fault.
    pub fn set_fault(&self, when: When, act: Act) {
        *self.shared.fault.lock().unwrap() = Some(Fault { when, act });
    }

    /// New connections are whole again.
    pub fn heal(&self) {
        *self.shared.fault.lock().unwrap() = None;
    }

    /// The client's lines so far, all connections together, without line ends. Octets under TLS
    /// are lines too, of no use.
    pub fn commands(&self) -> Vec<String> {
        self.shared.commands.lock().unwrap().clone()
    }

    /// What the server has sent so far.
    pub fn answers(&self) -> Vec<u8> {
        self.shared.from_server.lock().unwrap().clone()
    }

    /// Ends every connection that is open now.
    pub fn cut_now(&self) {
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            // The other side may have ended it already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        *self.shared.ended.lock().unwrap() = true;
        self.cut_now();
        drop(TcpStream::connect(("127.0.0.1", self.port))); // Wakes the listener.
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if *shared.ended.lock().unwrap() {
            return;
        }
        let Ok(client) = client else { continue };
        let Ok(server) = TcpStream::connect(target) else { continue };
        let clones = [client.try_clone().unwrap(), server.try_clone().unwrap()];
        shared.streams.lock().unwrap().extend(clones);
        let pair = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let up = Arc::clone(shared);
        thread::spawn(move || relay_client(client, server, &up));
        let down = Arc::clone(shared);
        thread::spawn(move || relay_server(pair.1, pair.0, &down));
    }
}

fn relay_client(mut client: TcpStream, mut server: TcpStream, shared: &Shared) {
    let mut line = Vec::new();
    let mut passed = 0; // Of `line`.
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        let mut pass = Vec::new();
        for &octet in &buffer[..read] {
            line.push(octet);
            if octet != b'\n' {
                continue;
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            shared.commands.lock().unwrap().push(text.clone());
            let act = struck(shared, |when| match when {
                When::ClientSays(word) => text.to_uppercase().contains(&word.to_uppercase()),
                When::ServerOctets(_) => false,
            });
            let whole = std::mem::take(&mut line);
            let rest = &whole[std::mem::take(&mut passed)..];
            match act {
                None => pass.extend_from_slice(rest),
                Some(Act::Cut) => return end(&client, &server),
                Some(Act::Stall) => return drop(server.write_all(&pass)),
                Some(Act::CutAnswer) => {
                    pass.extend_from_slice(rest);
                    drop(client.shutdown(Shutdown::Both));
                    drop(server.write_all(&pass));
                    // The server reads the line, answers into nothing and sees the end.
                    drop(server.shutdown(Shutdown::Write));
                    return;
                }
            }
        }
        // What is no whole line yet (TLS records, a literal) passes at once.
        pass.extend_from_slice(&line[passed..]);
        passed = line.len();
        if server.write_all(&pass).is_err() {
            break;
        }
    }
    drop(server.shutdown(Shutdown::Write));
}

fn relay_server(mut server: TcpStream, mut client: TcpStream, shared: &Shared) {
    let mut sent = 0_usize;
    let mut buffer = [0; 16_384];
    while let Ok(read @ 1..) = server.read(&mut buffer) {
        let mut pass = &buffer[..read];
        let left = |limit: usize| limit.saturating_sub(sent);
        let mut rest = None;
        let act = struck(shared, |when| match when {
            When::ServerOctets(limit) if left(*limit) < read => {
                rest = Some(left(*limit));
                true
            }
            _ => false,
        });
        if let Some(rest) = rest {
            pass = &pass[..rest];
        }
        sent += pass.len();
        shared.from_server.lock().unwrap().extend_from_slice(pass);
        let written = client.write_all(pass);
        match act {
            None if written.is_err() => break,
            None => {}
            Some(Act::Stall) => return,
            Some(Act::Cut | Act::CutAnswer) => return end(&client, &server),
        }
    }
    drop(client.shutdown(Shutdown::Write));
}

fn struck(shared: &Shared, mut hit: impl FnMut(&When) -> bool) -> Option<Act> {
    let fault = shared.fault.lock().unwrap();
    fault.as_ref().filter(|fault| hit(&fault.when)).map(|fault| fault.act)
}

fn end(client: &TcpStream, server: &TcpStream) {
    drop(client.shutdown(Shutdown::Both));
    drop(server.shutdown(Shutdown::Both));
}

#[cfg(test)]
mod tests {
    use super::super::{Dovecot, ImapClient, sample};
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::time::Duration;

    #[test]
    fn commands_pass_and_are_written_down() {
        let dovecot = Dovecot::start();
        dovecot.deliver("u1", &sample("x", 100));
        let relay = Relay::to(dovecot.imap);
        let mut client = ImapClient::login(("127.0.0.1", relay.port), "u1", "secret-u1");
        assert_eq!(client.uids("INBOX"), [1]);
        let expected = ["t1 LOGIN u1 secret-u1", "t2 SELECT \"INBOX\"", "t3 UID SEARCH ALL"];
        assert_eq!(relay.commands(), expected);
        assert!(relay.answers().starts_with(b"* OK "));
    }

    #[test]
    fn command_that_is_cut_does_not_reach_the_server() {
        let dovecot = Dovecot::start();
        dovecot.deliver("u1", &sample("x", 100));
        for (act, left) in [(Act::Cut, 1), (Act::CutAnswer, 0)] {
            let relay = Relay::to(dovecot.pop3);
            relay.set_fault(When::ClientSays("QUIT"), act);
            let stream = TcpStream::connect(("127.0.0.1", relay.port)).unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut said = String::new();
            for line in ["", "USER u1\r\n", "PASS secret-u1\r\n", "DELE 1\r\n", "QUIT\r\n"] {
                (&stream).write_all(line.as_bytes()).unwrap();
                said.clear();
                drop(reader.read_line(&mut said));
            }
            assert_eq!(said, "");
            super::super::wait_for("the maildrop", Duration::from_secs(5), || {
                (dovecot.pop3_client("u1").uidl().len() == left).then_some(())
            });
        }
    }

    #[test]
    fn server_is_cut_after_so_many_octets() {
        let server = super::super::Server::start(super::super::Protocol::Pop3);
        server.set_fault(super::super::Fault::on("connect").instead("0123456789"));
        let relay = Relay::to(server.port);
        relay.set_fault(When::ServerOctets(4), Act::Cut);
        let mut all = Vec::new();
        drop(TcpStream::connect(("127.0.0.1", relay.port)).unwrap().read_to_end(&mut all));
        assert_eq!(all, b"0123");
    }
}

//! A fake server that follows a script: greets, waits for commands, answers, drips, hangs, closes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::Certs;

/// One step of a script. `{tag}` in what is sent becomes the tag of the last line that was heard.
#[derive(Clone, Debug)]
pub enum Step {
    /// Answers each line by the first pair whose word it contains (in capitals or not), until a
    /// line contains `until`; that one is left to the next `Send`.
    Answer { table: Vec<(&'static str, &'static str)>, until: &'static str },
    /// Ends the connection. The end of the script does that, too.
    Close,
    /// Sends one octet, waits, sends the next.
    Drip { octets: Vec<u8>, every: Duration },
    /// Reads one line, which must contain this word; else the connection ends.
    Expect(&'static str),
    /// Says nothing more, and keeps the connection until the client ends it.
    Hang,
    /// Sends octets.
    Send(Vec<u8>),
    /// From here on TLS.
    StartTls,
}

impl Step {
    /// Sends text.
    pub fn send(text: &str) -> Self {
        Self::Send(text.as_bytes().to_vec())
    }
}

/// A running server: each connection follows the script from its start.
#[derive(Debug)]
pub struct Script {
    /// The port to connect to.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    steps: Vec<Step>,
    tls: Option<Arc<rustls::ServerConfig>>,
    heard: Mutex<Vec<String>>,
    connections: Mutex<Vec<TcpStream>>,
    ended: Mutex<bool>,
}

impl Script {
    /// A server in plaintext.
    pub fn start(steps: Vec<Step>) -> Self {
        Self::start_with(steps, None)
    }

    /// A server with a certificate, for [`Step::StartTls`]; as the first step it is implicit TLS.
    pub fn start_tls(steps: Vec<Step>, certs: &Certs) -> Self {
        Self::start_with(steps, Some(certs.server_config()))
    }

    fn start_with(steps: Vec<Step>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            steps,
            tls,
            heard: Mutex::default(),
            connections: Mutex::default(),
            ended: Mutex::new(false),
        });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &for_thread));
        Self { port, shared }
    }

    /// Every line that clients have sent, without line ends.
    pub fn heard(&self) -> Vec<String> {
        self.shared.heard.lock().unwrap().clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.connections.lock().unwrap().len()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        *self.shared.ended.lock().unwrap() = true;
        for stream in self.shared.connections.lock().unwrap().iter() {
            // The client may have ended it already.
            drop(stream.shutdown(Shutdown::Both));
        }
        drop(TcpStream::connect(("127.0.0.1", self.port))); // Wakes the listener.
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if *shared.ended.lock().unwrap() {
            return;
        }
        let Ok(stream) = stream else { continue };
        shared.connections.lock().unwrap().push(stream.try_clone().unwrap());
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let ending = stream.try_clone().unwrap();
            // A client that goes away in the middle is the test's matter, not the server's.
            drop(follow(&shared, stream));
            drop(ending.shutdown(Shutdown::Both));
        });
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn follow(shared: &Shared, tcp: TcpStream) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let plain = tcp.try_clone()?;
    let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(Box::new(tcp));
    let mut tag = String::new();
    for step in &shared.steps {
        match step {
            Step::Answer { table, until } => loop {
                let line = hear(shared, &mut stream, &mut tag)?;
                if contains(&line, until) {
                    break;
                }
                let answer = table.iter().find(|(word, _)| contains(&line, word));
                let answer = answer.map_or("{tag} BAD not in the script\r\n", |pair| pair.1);
                stream.get_mut().write_all(answer.replace("{tag}", &tag).as_bytes())?;
            },
            Step::Close => return Ok(()),
            Step::Drip { octets, every } => {
                for &octet in octets {
                    stream.get_mut().write_all(&[octet])?;
                    stream.get_mut().flush()?;
                    thread::sleep(*every);
                }
            }
            Step::Expect(word) => {
                if !contains(&hear(shared, &mut stream, &mut tag)?, word) {
                    return Ok(());
                }
            }
            Step::Hang => drop(std::io::copy(&mut stream, &mut std::io::sink())?),
            Step::Send(octets) => {
                stream.get_mut().write_all(&with_tag(octets, &tag))?;
            }
            Step::StartTls => {
                let config = Arc::clone(shared.tls.as_ref().expect("start_tls"));
                let tls = rustls::ServerConnection::new(config).expect("a good config");
                let tls = rustls::StreamOwned::new(tls, plain.try_clone()?);
                stream = BufReader::new(Box::new(tls));
            }
        }
        stream.get_mut().flush()?;
    }
    Ok(())
}

fn hear(
    shared: &Shared,
    stream: &mut BufReader<Box<dyn Stream>>,
    tag: &mut String,
) -> std::io::Result<String> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
    line.split(' ').next().unwrap_or_default().clone_into(tag);
    shared.heard.lock().unwrap().push(line.clone());
    Ok(line)
}

fn contains(line: &str, word: &str) -> bool {
    line.to_uppercase().contains(&word.to_uppercase())
}

fn with_tag(octets: &[u8], tag: &str) -> Vec<u8> {
    match std::str::from_utf8(octets) {
        Ok(text) => text.replace("{tag}", tag).into_bytes(),
        Err(_) => octets.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Certificate, ImapClient};
    use super::*;

    #[test]
    fn script_answers_in_order_with_the_clients_tags() {
        let script = Script::start(vec![
            Step::send("* OK ready\r\n"),
            Step::Answer { table: vec![("CAPABILITY", "{tag} OK none\r\n")], until: "LOGIN" },
            Step::send("{tag} NO [AUTHENTICATIONFAILED] no\r\n"),
            Step::Hang,
        ]);
        let mut client = ImapClient::connect(("127.0.0.1", script.port));
        assert_eq!(client.greeting, "* OK ready");
        assert_eq!(client.attempt("capability").1, "OK none");
        assert!(client.attempt("ENABLE X").1.starts_with("BAD"));
        assert_eq!(client.attempt("LOGIN a b").1, "NO [AUTHENTICATIONFAILED] no");
        assert_eq!(script.heard().last().unwrap(), "t3 LOGIN a b");
        assert_eq!(script.connections(), 1);
    }

    #[test]
    fn script_drips_and_closes() {
        let every = Duration::from_millis(20);
        let drip = Step::Drip { octets: b"* OK".to_vec(), every };
        let script = Script::start(vec![drip, Step::Close, Step::send("never")]);
        let since = std::time::Instant::now();
        let mut all = String::new();
        TcpStream::connect(("127.0.0.1", script.port)).unwrap().read_to_string(&mut all).unwrap();
        assert_eq!(all, "* OK");
        assert!(since.elapsed() >= every * 3);
    }

    #[test]
    fn script_speaks_tls_from_where_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let certs = Certs::make(folder.path(), Certificate::Good);
        let script = Script::start_tls(
            vec![
                Step::send("+OK plain\r\n"),
                Step::Expect("STLS"),
                Step::send("+OK begin\r\n"),
                Step::StartTls,
                Step::Expect("CAPA"),
                Step::send("+OK under TLS\r\n"),
            ],
            &certs,
        );
        let tcp = TcpStream::connect(("127.0.0.1", script.port)).unwrap();
        (&tcp).write_all(b"STLS\r\n").unwrap();
        let mut plain = [0; 22];
        (&tcp).read_exact(&mut plain).unwrap();
        assert_eq!(&plain, b"+OK plain\r\n+OK begin\r\n");
        let name = "localhost".try_into().unwrap();
        let tls = rustls::ClientConnection::new(certs.client_config(), name).unwrap();
        let mut stream = BufReader::new(rustls::StreamOwned::new(tls, tcp));
        stream.get_mut().write_all(b"CAPA\r\n").unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert_eq!(line, "+OK under TLS\r\n");
    }
}

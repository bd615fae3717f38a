//! A web service that takes what webhooks bring, and does wrong where it is told to.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use super::Certs;

/// What the service does with a request that it has read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reply {
    /// Answers with this status.
    Status(u16),
    /// Keeps silent until it is released, then answers with 200.
    Hang,
    /// Closes the connection without a word.
    Die,
    /// Begins an answer and closes.
    Half,
    /// Answers 200, twice.
    Twice,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names in lower case.
    pub fields: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// What was done with it.
    pub reply: Reply,
}

impl Request {
    /// The idempotency key.
    pub fn key(&self) -> &str {
        &self.fields["webhook-id"]
    }
}

type Decide = dyn Fn(usize, &str) -> Reply + Send + Sync;

struct Shared {
    requests: Mutex<Vec<Request>>,
    released: Mutex<bool>,
    bell: Condvar,
    decide: Box<Decide>,
}

/// The running service; it ends with the test's process.
pub struct Receiver {
    scheme: &'static str,
    port: u16,
    shared: Arc<Shared>,
}

impl Receiver {
    /// A service that decides by the requests of the same key before (counted from 0) and the key.
    pub fn start(decide: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, Box::new(decide))
    }

    /// One over TLS, which takes all with 200.
    pub fn start_tls(certs: &Certs) -> Self {
        Self::listen(Some(certs), Box::new(|_, _| Reply::Status(200)))
    }

    fn listen(certs: Option<&Certs>, decide: Box<Decide>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            released: Mutex::new(false),
            bell: Condvar::new(),
            decide,
        });
        let of_threads = Arc::clone(&shared);
        let tls = certs.map(Certs::server_config);
        let scheme = if tls.is_some() { "https" } else { "http" };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&of_threads);
                let tls = tls.clone();
                thread::spawn(move || shared.greet(stream, tls));
            }
        });
        Self { scheme, port, shared }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/hook?x=1", self.scheme, self.port)
    }

    /// What came so far, in the order of coming.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests().clone()
    }

    /// Lets all that hang go on, from now on.
    pub fn release(&self) {
        *self.shared.released.lock().unwrap() = true;
        self.shared.bell.notify_all();
    }
}

impl Shared {
    fn requests(&self) -> MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap()
    }

    fn greet(&self, mut stream: TcpStream, tls: Option<Arc<rustls::ServerConfig>>) {
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        match tls {
            None => self.serve(&mut stream),
            Some(config) => {
                let mut session = rustls::ServerConnection::new(config).unwrap();
                self.serve(&mut rustls::Stream::new(&mut session, &mut stream));
                session.send_close_notify();
                // The client may be gone.
                drop(session.write_tls(&mut stream));
            }
        }
        // The client may be gone.
        drop(stream.shutdown(Shutdown::Both));
    }

    fn serve(&self, stream: &mut (impl Read + Write)) {
        let Some((fields, body)) = read(stream) else { return };
        let key = fields.get("webhook-id").cloned().unwrap_or_default();
        let reply = {
            let mut requests = self.requests();
            let before = requests.iter().filter(|request| request.key() == key).count();
            let reply = (self.decide)(before, &key);
            requests.push(Request { fields, body, reply });
            reply
        };
        let answer = |status: u16| {
            format!("HTTP/1.1 {status} x\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nok")
        };
        let text = match reply {
            Reply::Status(status) => answer(status),
            Reply::Hang => {
                let mut released = self.released.lock().unwrap();
                while !*released {
                    released = self.bell.wait(released).unwrap();
                }
                answer(200)
            }
            Reply::Die => String::new(),
            Reply::Half => "HTTP/1.1 20".to_owned(),
            Reply::Twice => answer(200).repeat(2),
        };
        // The client may be gone.
        drop(stream.write_all(text.as_bytes()));
    }
}

fn read(stream: &mut impl Read) -> Option<(BTreeMap<String, String>, Vec<u8>)> {
    let (mut octets, mut block) = (Vec::new(), vec![0; 65536]);
    loop {
        if let Some(end) = octets.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(octets[..end].to_vec()).unwrap();
            assert!(head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{head}");
            let fields: BTreeMap<String, String> = head
                .lines()
                .skip(1)
                .map(|line| line.split_once(": ").unwrap())
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            let length: usize = fields["content-length"].parse().unwrap();
            let whole = end + 4 + length;
            if octets.len() >= whole {
                return Some((fields, octets[end + 4..whole].to_vec()));
            }
        }
        match stream.read(&mut block) {
            Ok(0) | Err(_) => return None,
            Ok(n) => octets.extend_from_slice(&block[..n]),
        }
    }
}

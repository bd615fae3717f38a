//! A web server over TLS that gives one document for each path.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::Certs;

/// The running server.
#[derive(Debug)]
pub struct Web {
    /// Its port.
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
}

impl Web {
    /// Starts one: path and the whole answer, head and body; all others are 404.
    pub fn start(certs: &Certs, answers: &[(&str, String)]) -> Self {
        let answers: BTreeMap<String, String> =
            answers.iter().map(|(path, answer)| ((*path).to_owned(), answer.clone())).collect();
        let answers = Arc::new(answers);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, ended) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (all, over, config) = (Arc::clone(&asked), Arc::clone(&ended), certs.server_config());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (all, answers) = (Arc::clone(&all), Arc::clone(&answers));
                let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                thread::spawn(move || serve(session, stream, &answers, &all));
            }
        });
        Self { port, asked, ended }
    }

    /// An answer of 200 with this document.
    pub fn document(text: &str) -> String {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        )
    }

    /// The first lines of all requests.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port))); // Wakes the listener.
    }
}

fn serve(
    session: rustls::ServerConnection,
    stream: TcpStream,
    answers: &BTreeMap<String, String>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut stream = BufReader::new(rustls::StreamOwned::new(session, stream));
    let mut first = String::new();
    stream.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
    }
    asked.lock().unwrap().push(first.trim_end().to_owned());
    let path = first.split(' ').nth(1).unwrap_or_default();
    let none = "HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n".to_owned();
    let stream = stream.get_mut();
    stream.write_all(answers.get(path).unwrap_or(&none).as_bytes())?;
    stream.flush()
}

//! A DNS server in memory, by UDP and TCP, that gives the answers that a test wants.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What a name has.
#[derive(Clone, Debug)]
pub enum Record {
    /// Priority, weight, port, target.
    Srv(u16, u16, u16, &'static str),
    /// Preference, exchanger.
    Mx(u16, &'static str),
    /// An alias of itself, for ever.
    Loop,
    /// A target of these octets as its one label.
    Octets(&'static [u8]),
    /// So many SRV records that they don't fit into a datagram.
    Flood,
    /// No DNS message at all.
    Garbage,
    /// Nothing: the question stays open.
    Silence,
}

/// The running server.
#[derive(Debug)]
pub struct Dns {
    /// Of both protocols.
    pub port: u16,
    ended: Arc<AtomicBool>,
}

impl Dns {
    /// Starts one with the records of names, without their last dot; all others don't exist.
    pub fn start(records: &[(&str, Record)]) -> Self {
        let records = records.iter().map(|(name, record)| (name.to_lowercase(), record.clone()));
        let records: Arc<BTreeMap<String, Record>> = Arc::new(records.collect());
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
                let tcp = TcpListener::bind(udp.local_addr().unwrap()).ok()?;
                Some((udp, tcp))
            })
            .expect("a port that is free for both");
        let port = udp.local_addr().unwrap().port();
        let ended = Arc::new(AtomicBool::new(false));
        udp.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let (own, over) = (Arc::clone(&records), Arc::clone(&ended));
        thread::spawn(move || {
            let mut octets = [0_u8; 1500];
            while !over.load(Ordering::SeqCst) {
                let Ok((length, from)) = udp.recv_from(&mut octets) else { continue };
                if let Some(answer) = answer(&octets[..length], &own, true) {
                    drop(udp.send_to(&answer, from));
                }
            }
        });
        let over = Arc::clone(&ended);
        thread::spawn(move || {
            for stream in tcp.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let records = Arc::clone(&records);
                thread::spawn(move || stream.map(|stream| serve(stream, &records)));
            }
        });
        Self { port, ended }
    }

    /// For `--dns-server`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port))); // Wakes the listener.
    }
}

fn serve(mut stream: TcpStream, records: &BTreeMap<String, Record>) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    loop {
        let mut length = [0_u8; 2];
        stream.read_exact(&mut length).ok()?;
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut octets).ok()?;
        let answer = answer(&octets, records, false)?;
        stream.write_all(&u16::try_from(answer.len()).ok()?.to_be_bytes()).ok()?;
        stream.write_all(&answer).ok()?;
    }
}

/// The answer to a question with one name (RFC 1035 §4.1).
fn answer(octets: &[u8], records: &BTreeMap<String, Record>, datagram: bool) -> Option<Vec<u8>> {
    let (mut name, mut at) = (Vec::new(), 12);
    while octets[at] != 0 {
        let length = usize::from(octets[at]);
        name.push(String::from_utf8_lossy(&octets[at + 1..at + 1 + length]).to_lowercase());
        at += 1 + length;
    }
    let question = &octets[12..at + 5];
    let record = records.get(&name.join("."));
    let (mut kind, mut data): (u16, Vec<Vec<u8>>) = (33, Vec::new());
    let srv = |priority: u16, weight: u16, port: u16, target: Vec<u8>| {
        [&priority.to_be_bytes()[..], &weight.to_be_bytes(), &port.to_be_bytes(), &target].concat()
    };
    match record {
        None => {}
        Some(Record::Silence) => return None,
        Some(Record::Garbage) => return Some([&octets[..2], &[0xff; 40]].concat()),
        Some(Record::Srv(priority, weight, port, target)) => {
            data.push(srv(*priority, *weight, *port, encoded(target)));
        }
        Some(Record::Octets(label)) => {
            let mut target = vec![u8::try_from(label.len()).unwrap()];
            target.extend_from_slice(label);
            target.push(0);
            data.push(srv(0, 0, 993, target));
        }
        Some(Record::Flood) => {
            data = (0..1500).map(|n| srv(n, 0, 993, encoded("flood.lab.example"))).collect();
        }
        Some(Record::Mx(preference, exchanger)) => {
            kind = 15;
            data.push([&preference.to_be_bytes()[..], &encoded(exchanger)].concat());
        }
        Some(Record::Loop) => {
            kind = 5;
            data.push(vec![0xc0, 12]);
        }
    }
    let truncated = datagram && data.len() > 10;
    if truncated {
        data.clear();
    }
    let flags: u16 =
        0x8180 | if truncated { 0x0200 } else { 0 } | if record.is_none() { 3 } else { 0 };
    let count = u16::try_from(data.len()).unwrap();
    let mut out = octets[..2].to_vec();
    for word in [flags, 1, count, 0, 0] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(question);
    for data in data {
        out.extend_from_slice(&[0xc0, 12]);
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        out.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&data);
    }
    Some(out)
}

fn encoded(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

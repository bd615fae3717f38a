//! One HTTP request with a body from memory and files, and the head of its answer (RFC 9112).
//!
//! No redirect is followed: the secret and the mail are for the host that the config names. No
//! proxy is taken from the environment. Of the answer only status and `Retry-After` count.

use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::Instant;

use crate::config::{Encryption, MinRate, TlsRules, WebUrl};
use crate::net::{self, Endpoint, NetError, NetStream, Wire, Witness};

/// Octets of an answer's head.
const HEAD_MAX: usize = 16 << 10;
/// Octets of a file that are in memory at a time.
const BLOCK: usize = 64 << 10;

/// The way out.
type Sending = WriteHalf<NetStream>;

/// A piece of a body.
#[derive(Debug)]
pub(super) enum Piece {
    /// Octets in memory.
    Text(Vec<u8>),
    /// A file and its size.
    File(File, u64),
}

impl Piece {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Text(octets) => octets.len() as u64,
            Self::File(_, size) => *size,
        }
    }

    /// Hands all octets on, block by block; an error is one of reading.
    pub(super) fn each(&mut self, mut take: impl FnMut(&[u8])) -> std::io::Result<()> {
        match self {
            Self::Text(octets) => take(octets),
            Self::File(file, size) => {
                let mut block = vec![0_u8; BLOCK];
                let mut left = *size;
                std::io::Seek::rewind(file)?;
                while left > 0 {
                    let read = next_block(file, &mut block, left)?;
                    take(block.get(..read).unwrap_or_default());
                    left = left.saturating_sub(read as u64);
                }
            }
        }
        Ok(())
    }
}

/// An answer.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
}

/// A request's address, the lines of its head, and how long it may take.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) url: &'a WebUrl,
    pub(super) tls: &'a TlsRules,
    /// The way to it leads through this HTTP proxy (RFC 9110 §9.3.6).
    pub(super) proxy: Option<&'a WebUrl>,
    /// Each with its line end.
    pub(super) fields: String,
    pub(super) timeout: Duration,
}

/// Sends it and reads the head of the answer; all of it within the timeout.
pub(super) async fn post(request: Request<'_>, body: Vec<Piece>) -> Result<Answer, NetError> {
    let Request { url, tls, proxy, fields, timeout } = request;
    let begin = Instant::now();
    let deadline = begin.checked_add(timeout).unwrap_or(begin);
    let encryption = if url.encrypted { Encryption::Tls } else { Encryption::None };
    let endpoint = Endpoint {
        host: url.host.clone(),
        port: url.port,
        encryption,
        bind_address: None,
        connect_timeout: timeout,
        read_timeout: timeout,
        min_rate: MinRate { octets: 1, window: timeout },
        tcp_keepalive: Duration::from_mins(1),
        tls: tls.clone(),
    };
    let wire = match proxy {
        Some(proxy) => through(proxy, &endpoint, deadline).await?,
        None => net::connect(&endpoint, deadline, &mut Witness::blind()).await?,
    };
    let stream = if url.encrypted { wire.start_tls(&endpoint).await? } else { wire.plain() };
    let length = body.iter().map(Piece::len).fold(0, u64::saturating_add);
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: postrider/{}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{fields}\r\n",
        url.path,
        url.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    exchange(stream, head.as_bytes(), body).await
}

/// Sends all and reads the answer. One that refuses what it has not read yet ends it (RFC 9110
/// §15.5): such a receiver may read no further, or close.
async fn exchange(stream: NetStream, head: &[u8], body: Vec<Piece>) -> Result<Answer, NetError> {
    let (mut from, mut to) = tokio::io::split(stream);
    let (answer, sending) = (read(&mut from), send(&mut to, head, body));
    tokio::pin!(answer, sending);
    let failed = |error| NetError::from_io(error, "answer");
    tokio::select! {
        biased;
        answer = &mut answer => {
            let answer = answer.map_err(failed)?;
            if answer.status < 300 {
                // It takes what it has not read yet; whether it did, it has said.
                drop(sending.await);
            }
            Ok(answer)
        }
        // What it said before it closed is still there.
        sent = &mut sending => match (answer.await, sent) {
            (Ok(answer), _) => Ok(answer),
            (Err(_), Err(error)) | (Err(error), Ok(())) => Err(failed(error)),
        },
    }
}

/// A wire to the receiver through a proxy, which sees its name and port and, of https, no more.
async fn through(proxy: &WebUrl, to: &Endpoint, deadline: Instant) -> Result<Wire, NetError> {
    let own = Endpoint { host: proxy.host.clone(), port: proxy.port, ..to.clone() };
    let mut wire = net::connect(&own, deadline, &mut Witness::blind()).await?;
    let host = if to.host.contains(':') { format!("[{}]", to.host) } else { to.host.clone() };
    let authority = format!("{host}:{}", to.port);
    let asked = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let head = async {
        wire.write_all(asked.as_bytes()).await?;
        wire.flush().await?;
        let mut head = Vec::new();
        // One by one: what comes behind the head is the receiver's.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() > HEAD_MAX {
                return Err(std::io::Error::other("the proxy's answer has no end within 16 KiB"));
            }
            head.push(wire.read_u8().await?);
        }
        Ok(head)
    };
    let head = head.await.map_err(|error| NetError::from_io(error, "the proxy's answer"))?;
    let answer = parse(String::from_utf8_lossy(&head).trim_end());
    match answer.map(|answer| answer.status) {
        Some(200..300) => Ok(wire),
        status => {
            let said = status.map_or("no HTTP".to_owned(), |status| format!("status {status}"));
            let why = format!("the proxy {} answered with {said}", proxy.authority());
            Err(NetError::Connect { host: to.host.clone(), port: to.port, why })
        }
    }
}

async fn send(stream: &mut Sending, head: &[u8], body: Vec<Piece>) -> std::io::Result<()> {
    stream.write_all(head).await?;
    for piece in body {
        match piece {
            Piece::Text(octets) => stream.write_all(&octets).await?,
            Piece::File(file, size) => send_file(stream, file, size).await?,
        }
    }
    stream.flush().await
}

async fn send_file(stream: &mut Sending, file: File, size: u64) -> std::io::Result<()> {
    let mut file = tokio::fs::File::from_std(file);
    tokio::io::AsyncSeekExt::rewind(&mut file).await?;
    let mut block = vec![0_u8; BLOCK];
    let mut left = size;
    while left > 0 {
        let room = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        let read = file.read(block.get_mut(..room).unwrap_or_default()).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        stream.write_all(block.get(..read).unwrap_or_default()).await?;
        left = left.saturating_sub(read as u64);
    }
    Ok(())
}

fn next_block(file: &mut File, block: &mut [u8], left: u64) -> std::io::Result<usize> {
    let room = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
    match file.read(block.get_mut(..room).unwrap_or_default())? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        read => Ok(read),
    }
}

/// The head of the final answer; interim ones are passed over.
async fn read(stream: &mut ReadHalf<NetStream>) -> std::io::Result<Answer> {
    let mut octets = Vec::new();
    let mut block = [0_u8; 4096];
    loop {
        while let Some(end) = memchr::memmem::find(&octets, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(octets.get(..end).unwrap_or_default()).into_owned();
            let answer = parse(&head)
                .ok_or_else(|| std::io::Error::other("the answer is not in HTTP/1.1"))?;
            if answer.status >= 200 {
                return Ok(answer);
            }
            octets.drain(..end.saturating_add(4));
        }
        if octets.len() > HEAD_MAX {
            return Err(std::io::Error::other("the answer's head has no end within 16 KiB"));
        }
        let read = stream.read(&mut block).await?;
        octets.extend_from_slice(block.get(..read).unwrap_or_default());
    }
}

fn parse(head: &str) -> Option<Answer> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    let status = words.next()?.parse().ok().filter(|status| (100..600).contains(status))?;
    let retry_after = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("retry-after").then(|| value.trim().parse().ok())?
    });
    Some(Answer { status, retry_after: retry_after.map(Duration::from_secs) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_answers_are_read_and_others_refused() {
        let answer = |status, retry| Answer { status, retry_after: retry };
        assert_eq!(parse("HTTP/1.1 204 No Content"), Some(answer(204, None)));
        let busy = parse("HTTP/1.0 429 Busy\r\nX: y\r\nRETRY-after:  7 \r\n");
        assert_eq!(busy, Some(answer(429, Some(Duration::from_secs(7)))));
        let dated = parse("HTTP/1.1 503 x\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(dated, Some(answer(503, None)));
        for bad in ["", "HTTP/2 200", "HTTP/1.1 2x", "HTTP/1.1 999 x", "SSH-2.0-x", "HTTP/1.1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    /// A body that no socket's buffers hold.
    fn large() -> Vec<Piece> {
        const SIZE: u64 = 64 << 20;
        let file = tempfile::tempfile().unwrap();
        file.set_len(SIZE).unwrap();
        vec![Piece::Text(b"{}".to_vec()), Piece::File(file, SIZE)]
    }

    /// What comes of an answer that a receiver gives behind the head of the request.
    async fn early(answer: &'static str, closes: bool) -> Result<Answer, NetError> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let receiver = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut octet = [0];
                stream.read_exact(&mut octet).unwrap();
                head.extend(octet);
            }
            std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
            if !closes {
                // Until the sender has ended.
                assert!(wait.recv().is_err());
            }
        });
        let url = WebUrl::parse(&format!("http://127.0.0.1:{port}/hook")).unwrap();
        let request = Request {
            url: &url,
            tls: &TlsRules::default(),
            proxy: None,
            fields: String::new(),
            timeout: Duration::from_mins(2),
        };
        let heard = post(request, large()).await;
        drop(done);
        receiver.join().unwrap();
        heard
    }

    #[tokio::test]
    async fn receiver_that_refuses_behind_the_head_is_heard_whether_it_closes_or_reads_no_more() {
        for (said, status) in [("413 Content Too Large", 413), ("401 Unauthorized", 401)] {
            let said = format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 {said}\r\nX: y\r\n\r\n");
            for closes in [true, false] {
                let heard = early(said.clone().leak(), closes).await.unwrap();
                assert_eq!((heard.status, heard.retry_after), (status, None), "{closes}");
            }
        }
        // Nothing was said: the connection broke.
        assert!(early("", true).await.is_err());
    }
}

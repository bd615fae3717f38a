//! One HTTP request and its answer (RFC 9112), as little as tokens and autoconfig need.
//!
//! Our own few lines, since what matters here is what doesn't happen: no redirect is followed, no
//! proxy is taken from the environment, no answer is longer than 64 KiB, and all of it ends by one
//! deadline. A failure here is never a failed login.

use std::fmt;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::url::Url;
use super::{Endpoint, NetError, NetStream, Witness, dial};
use crate::config::{Encryption, MinRate, TlsRules};

/// Octets of an answer's body.
const BODY_MAX: usize = 64 << 10;
/// Octets of an answer's head.
const HEAD_MAX: usize = 16 << 10;

/// An answer; its body is wiped when it is dropped.
pub struct Answer {
    /// 200, 404…
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// `Location`.
    pub location: Option<String>,
    /// The media type, in lower case, without parameters.
    pub media_type: String,
    /// At most 64 KiB.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Where.
    pub url: &'a Url,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The media type that is wanted.
    pub accept: &'static str,
    /// Further lines of the head, each with its CR LF.
    pub fields: &'a str,
    /// What is sent.
    pub body: &'a str,
}

/// Sends a request, and reads its answer; all within `timeout`. The error is for people.
pub async fn exchange(
    request: Request<'_>,
    tls: TlsRules,
    timeout: Duration,
) -> Result<Answer, String> {
    let url = request.url;
    let failed = |error: &NetError| in_words(error, url, timeout);
    let begin = Instant::now();
    let deadline = begin.checked_add(timeout).unwrap_or(begin);
    let endpoint = endpoint(url, tls, timeout);
    let blind = &mut Witness::blind();
    let wire = dial::connect(&endpoint, deadline, blind).await.map_err(|error| failed(&error))?;
    let mut stream = if url.secure {
        wire.start_tls(&endpoint).await.map_err(|error| failed(&error))?
    } else {
        wire.plain()
    };
    let Request { method, accept, fields, body, .. } = request;
    let head = Zeroizing::new(format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: postrider/{}\r\n\
         Accept: {accept}\r\nConnection: close\r\n{fields}\r\n",
        url.path,
        url.authority(),
        env!("CARGO_PKG_VERSION"),
    ));
    let lost = |error: std::io::Error| failed(&NetError::from_io(error, "HTTP"));
    stream.write_all(head.as_bytes()).await.map_err(lost)?;
    stream.write_all(body.as_bytes()).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    let octets = read(&mut stream).await.map_err(lost)?;
    parse(&octets).map_err(|why| format!("{} answered, but {why}", url.authority()))
}

fn endpoint(url: &Url, tls: TlsRules, timeout: Duration) -> Endpoint {
    Endpoint {
        host: url.host.clone(),
        port: url.port,
        encryption: if url.secure { Encryption::Tls } else { Encryption::None },
        bind_address: None,
        connect_timeout: timeout,
        read_timeout: timeout,
        min_rate: MinRate { octets: 1, window: timeout },
        tcp_keepalive: Duration::from_mins(1),
        tls,
    }
}

fn in_words(error: &NetError, url: &Url, timeout: Duration) -> String {
    let host = url.authority();
    match error {
        NetError::PollDeadline | NetError::Silent { .. } | NetError::TooSlow { .. } => {
            format!("{host}: no complete answer within {timeout:?}")
        }
        other => format!("{host}: {other}"),
    }
}

/// Everything up to the end that the head announces, or the connection's.
async fn read(stream: &mut NetStream) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let most = HEAD_MAX.saturating_add(BODY_MAX);
    let mut octets = Zeroizing::new(Vec::with_capacity(most.saturating_add(4096)));
    let mut block = Zeroizing::new([0_u8; 4096]);
    loop {
        if octets.len() > most || is_whole(&octets) {
            return Ok(octets);
        }
        match stream.read(block.as_mut_slice()).await {
            Ok(read) => octets.extend_from_slice(block.get(..read).unwrap_or_default()),
            // Without a length the end of the connection is the end of the answer.
            Err(error)
                if error.kind() == std::io::ErrorKind::UnexpectedEof && has_head(&octets) =>
            {
                return Ok(octets);
            }
            Err(error) => return Err(error),
        }
    }
}

fn split(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memmem::find(octets, b"\r\n\r\n")?;
    Some((octets.get(..end)?, octets.get(end.saturating_add(4)..)?))
}

fn has_head(octets: &[u8]) -> bool {
    split(octets).is_some()
}

fn is_whole(octets: &[u8]) -> bool {
    let Some((head, body)) = split(octets) else { return octets.len() > HEAD_MAX };
    let head = String::from_utf8_lossy(head);
    match (field(&head, "transfer-encoding"), length(&head)) {
        (Some(_), _) => chunks(body).is_some(),
        (None, Some(length)) => body.len() >= length || length > BODY_MAX,
        (None, None) => false,
    }
}

fn length(head: &str) -> Option<usize> {
    field(head, "content-length")?.parse().ok()
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").skip(1);
    lines.find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// The octets of a chunked body (RFC 9112 §7.1); `None` before its end.
fn chunks(mut rest: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut body = Zeroizing::new(Vec::with_capacity(BODY_MAX));
    loop {
        let end = memchr::memmem::find(rest, b"\r\n")?;
        let line = std::str::from_utf8(rest.get(..end)?).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        let from = end.checked_add(2)?;
        if size == 0 {
            return Some(body);
        }
        let to = from.checked_add(size)?;
        body.extend_from_slice(rest.get(from..to)?);
        rest = rest.get(to.checked_add(2)?..)?;
    }
}

/// Reads an answer; an error says what is wrong with it.
fn parse(octets: &[u8]) -> Result<Answer, String> {
    let (head, body) = split(octets).ok_or("its head has no end within 16 KiB")?;
    let head = std::str::from_utf8(head).map_err(|_| "its head is no text")?;
    let status_line = head.split("\r\n").next().unwrap_or_default();
    let mut words = status_line.split(' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|status| status.parse::<u16>().ok());
    let status = status.filter(|_| version.starts_with("HTTP/1.")).ok_or("not in HTTP/1.1")?;
    let chunked = field(head, "transfer-encoding").is_some();
    let body = match length(head) {
        _ if chunked => chunks(body).ok_or("it is cut or longer than 64 KiB")?,
        Some(length) if body.len() < length || length > BODY_MAX => {
            return Err("it is cut or longer than 64 KiB".to_owned());
        }
        Some(length) => Zeroizing::new(body.get(..length).unwrap_or_default().to_vec()),
        None => Zeroizing::new(body.to_vec()),
    };
    if body.len() > BODY_MAX {
        return Err("it is longer than 64 KiB".to_owned());
    }
    let media_type = field(head, "content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let retry_after = field(head, "retry-after").and_then(|value| value.parse().ok());
    let retry_after = retry_after.map(Duration::from_secs);
    let location = field(head, "location").map(str::to_owned);
    Ok(Answer { status, retry_after, location, media_type, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Result<String, String> {
        parse(text.as_bytes()).map(|answer| String::from_utf8(answer.body.to_vec()).unwrap())
    }

    #[test]
    fn bodies_by_length_by_chunks_and_by_the_end_are_read() {
        let by_length = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(body(by_length).as_deref(), Ok("{}"));
        assert!(is_whole(by_length.as_bytes()) && !is_whole(&by_length.as_bytes()[..39]));
        let chunked =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1;x\r\n}\r\n0\r\n\r\n";
        assert_eq!(body(chunked).as_deref(), Ok("{}"));
        assert!(is_whole(chunked.as_bytes()));
        assert_eq!(body("HTTP/1.0 400 Bad\r\n\r\n{}").as_deref(), Ok("{}"));
    }

    #[test]
    fn head_fields_are_read_in_any_case() {
        let text = "HTTP/1.1 429 X\r\nretry-AFTER: 7\r\nContent-Type: Text/HTML; charset=x\r\n\r\n";
        let answer = parse(text.as_bytes()).ok().unwrap();
        assert_eq!(answer.status, 429);
        assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(answer.media_type, "text/html");
    }

    #[test]
    fn a06_cut_endless_and_foreign_answers_are_no_answers() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 200 OK",
        ] {
            assert!(body(text).is_err(), "{text}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(BODY_MAX + 1));
        assert!(body(&endless).is_err());
    }
}

//! Where a browser comes back to after consent (RFC 8252 §7.3): a listener on the loopback that
//! answers one request, and the same by hand for a host without a browser.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

use super::answer::plain;
use super::url::parameter;
use super::{OauthError, Refusal};
use crate::net;

/// A browser that says nothing is not waited for.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Octets of a request's first line.
const LINE_MAX: usize = 8 << 10;

/// What came back.
pub(super) enum Back {
    Code(Zeroizing<String>),
    Refused(Refusal),
}

/// Reads the query of a redirect; an error says what is wrong with it.
///
/// The state must be the one of this very login: a link that somebody else made brings nothing.
pub(super) fn read(query: &str, state: &str) -> Result<Back, &'static str> {
    let given = parameter(query, "state");
    if given.is_none_or(|given| *given != state) {
        return Err("it doesn't belong to this login (another `state`)");
    }
    if let Some(error) = parameter(query, "error") {
        let description = parameter(query, "error_description");
        return Ok(Back::Refused(Refusal {
            error: plain(&error, 64),
            description: plain(description.as_ref().map_or("", |text| text.as_str()), 400),
            codes: Vec::new(),
        }));
    }
    let code = parameter(query, "code").filter(|code| !code.is_empty());
    code.map(Back::Code).ok_or("it holds no `code`")
}

/// The query of an address that a person pasted.
pub(super) fn query_of(pasted: &str) -> &str {
    let pasted = pasted.trim().trim_matches(['\'', '"', '<', '>']);
    let query = pasted.split_once('?').map_or(pasted, |(_, query)| query);
    query.split('#').next().unwrap_or_default()
}

/// Waits for the browser; other requests are answered and forgotten.
pub(super) async fn wait(listener: &TcpListener, state: &str) -> Result<Back, OauthError> {
    loop {
        let (mut stream, _) = listener
            .accept()
            .await
            .map_err(|error| OauthError::unavailable(format!("loopback: {error}")))?;
        let heard = net::within(REQUEST_LIMIT, request(&mut stream)).await.flatten();
        let Some(query) = heard else {
            drop(net::within(REQUEST_LIMIT, answer(&mut stream, "404 Not Found", "")).await);
            continue;
        };
        let (status, page, back) = match read(&query, state) {
            Ok(Back::Code(code)) => ("200 OK", DONE, Some(Back::Code(code))),
            Ok(refused @ Back::Refused(_)) => ("200 OK", REFUSED, Some(refused)),
            Err(_) => ("400 Bad Request", FOREIGN, None),
        };
        drop(net::within(REQUEST_LIMIT, answer(&mut stream, status, page)).await);
        if let Some(back) = back {
            return Ok(back);
        }
    }
}

const DONE: &str = "Consent received. This window can be closed; see the terminal for the rest.";
const REFUSED: &str = "No consent was given. See the terminal.";
const FOREIGN: &str = "This answer does not belong to the login that waits here.";

/// The query of a GET; `None` for any other request.
async fn request(stream: &mut TcpStream) -> Option<Zeroizing<String>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(LINE_MAX.saturating_add(1024)));
    let mut block = Zeroizing::new([0_u8; 1024]);
    while memchr::memmem::find(&octets, b"\r\n\r\n").is_none() {
        let read = stream.read(block.as_mut_slice()).await.ok()?;
        if read == 0 || octets.len() > LINE_MAX {
            break;
        }
        octets.extend_from_slice(block.get(..read)?);
    }
    let end = memchr::memmem::find(&octets, b"\r\n")?;
    let line = std::str::from_utf8(octets.get(..end)?).ok()?;
    let target = line.strip_prefix("GET ")?.split(' ').next()?;
    let (path, query) = target.split_once('?')?;
    (path == "/").then(|| Zeroizing::new(query.to_owned()))
}

async fn answer(stream: &mut TcpStream, status: &str, page: &str) -> std::io::Result<()> {
    let page = format!("<!DOCTYPE html><title>postrider</title><p>{page}\n");
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_with_our_state_counts() {
        let good = read("code=4%2F0x&state=s1&scope=a", "s1");
        assert!(matches!(good, Ok(Back::Code(code)) if *code == "4/0x"));
        assert!(read("code=x&state=s2", "s1").is_err());
        assert!(read("code=x", "s1").is_err() && read("state=s1", "s1").is_err());
        let refused = read("error=access_denied&error_description=no%20way&state=s1", "s1");
        let Ok(Back::Refused(refusal)) = refused else { panic!() };
        assert_eq!((&*refusal.error, &*refusal.description), ("access_denied", "no way"));
    }

    #[test]
    fn pasted_addresses_are_taken_with_all_that_surrounds_them() {
        for pasted in ["http://127.0.0.1/?a=1", " 'http://localhost:1/?a=1#_' ", "a=1"] {
            assert_eq!(query_of(pasted), "a=1", "{pasted}");
        }
    }
}

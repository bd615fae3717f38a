//! From a host name to a connected socket.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use super::witness::{Facts, Stage, Witness};
use super::{Endpoint, NetError, Wire};

/// How long an address is tried alone, before the next one is tried beside it (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to the endpoint: every address in turn, all within `connect_timeout` and the poll's
/// deadline. The stream is guarded from its first octet.
pub async fn connect(
    endpoint: &Endpoint,
    deadline: Instant,
    witness: &mut Witness,
) -> Result<Wire, NetError> {
    let now = Instant::now();
    let limit = now.checked_add(endpoint.connect_timeout).unwrap_or(deadline).min(deadline);
    witness.begin(Stage::Dns);
    let addresses = resolve(endpoint, limit).await?;
    witness.found(|| Some(Facts::Addresses { addresses: addresses.iter().copied().collect() }));
    witness.begin(Stage::Connect);
    let stream = first_of(endpoint, addresses, limit).await?;
    witness.found(|| Some(Facts::Address { address: stream.peer_addr().ok()? }));
    if let Err(error) = tune(&stream, endpoint) {
        tracing::debug!(target: "library", %error, "socket options were refused");
    }
    Ok(Wire::over_tcp(stream, endpoint, deadline))
}

async fn resolve(endpoint: &Endpoint, limit: Instant) -> Result<VecDeque<SocketAddr>, NetError> {
    let failed = |why: String| NetError::Dns { host: endpoint.host.clone(), why };
    let lookup = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port));
    let found = tokio::select! {
        found = lookup => found.map_err(|error| failed(error.to_string()))?,
        () = tokio::time::sleep_until(limit) => {
            return Err(failed(format!("no answer within {:?}", endpoint.connect_timeout)));
        }
    };
    let same_family = |address: &SocketAddr| {
        endpoint.bind_address.is_none_or(|local| local.is_ipv4() == address.is_ipv4())
    };
    let addresses: VecDeque<_> = found.filter(same_family).collect();
    if addresses.is_empty() {
        return Err(failed("no address of `bind_address`'s family".to_owned()));
    }
    Ok(addresses)
}

/// The first address that answers. Later ones start when an earlier one fails or is slow.
async fn first_of(
    endpoint: &Endpoint,
    mut addresses: VecDeque<SocketAddr>,
    limit: Instant,
) -> Result<TcpStream, NetError> {
    let mut running = FuturesUnordered::new();
    let mut last = format!("no answer within {:?}", endpoint.connect_timeout);
    loop {
        if let Some(address) = addresses.pop_front() {
            running.push(open(address, endpoint.bind_address));
        }
        let stagger = tokio::time::sleep(STAGGER);
        tokio::select! {
            opened = running.next() => match opened {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => last = error.to_string(),
                None => break,
            },
            () = stagger, if !addresses.is_empty() => {}
            () = tokio::time::sleep_until(limit) => break,
        }
    }
    Err(NetError::Connect { host: endpoint.host.clone(), port: endpoint.port, why: last })
}

async fn open(address: SocketAddr, local: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(local) = local {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    socket.connect(address).await
}

/// Keepalive finds a peer that is gone while we wait, the user timeout one that is gone while
/// what we sent is unacknowledged.
fn tune(stream: &TcpStream, endpoint: &Endpoint) -> io::Result<()> {
    use rustix::net::sockopt;
    const PROBES: u32 = 4;
    const BETWEEN_PROBES: Duration = Duration::from_secs(15);
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    let idle = endpoint.tcp_keepalive.clamp(Duration::from_secs(1), Duration::from_secs(32_767));
    sockopt::set_tcp_keepidle(stream, idle)?;
    sockopt::set_tcp_keepintvl(stream, BETWEEN_PROBES)?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    let unacknowledged = u32::try_from(endpoint.read_timeout.as_millis()).unwrap_or(0);
    sockopt::set_tcp_user_timeout(stream, unacknowledged)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(port: u16) -> Endpoint {
        Endpoint { host: "127.0.0.1".to_owned(), port, ..Endpoint::for_tests() }
    }

    async fn try_connect(endpoint: &Endpoint) -> Result<Wire, NetError> {
        connect(endpoint, Endpoint::far_deadline(), &mut Witness::blind()).await
    }

    #[tokio::test]
    async fn refused_connection_says_where() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = try_connect(&local(port)).await.unwrap_err();
        assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
        assert_eq!(error.code(), "connect-failed");
    }

    #[tokio::test]
    async fn t01_bad_address_does_not_hide_the_good_one() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let closed = SocketAddr::new(good.ip(), 1);
        let stream =
            first_of(&local(good.port()), VecDeque::from([closed, good]), Endpoint::far_deadline())
                .await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn t01_name_without_an_address_is_a_dns_error() {
        let endpoint = Endpoint { host: "nowhere.invalid".to_owned(), ..local(1) };
        assert_eq!(try_connect(&endpoint).await.unwrap_err().code(), "dns-failed");
    }

    #[tokio::test]
    async fn local_address_of_another_family_is_said() {
        let endpoint = Endpoint { bind_address: Some("::1".parse().unwrap()), ..local(1) };
        let error = try_connect(&endpoint).await.unwrap_err();
        assert!(error.to_string().contains("bind_address"), "{error}");
    }
}

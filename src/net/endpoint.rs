//! Where to connect to, and how patiently: the network half of an account.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::{Encryption, Inbound, MinRate, Outbound, TlsRules};

/// A submission's replies have limits of their own; this one is for what lies between them.
const SUBMISSION_RATE: MinRate = MinRate { octets: 1, window: Duration::from_mins(10) };
/// Idle time before the first keepalive probe of a submission.
const SUBMISSION_KEEPALIVE: Duration = Duration::from_mins(1);

/// A server and the rules of its connections.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// DNS name in ASCII or IP address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// When TLS begins; the protocol's code reads it, [`connect`](super::connect) does not.
    pub encryption: Encryption,
    /// Local address to connect from.
    pub bind_address: Option<IpAddr>,
    /// Name resolution and TCP connect together.
    pub connect_timeout: Duration,
    /// Each wait for the server's next octets.
    pub read_timeout: Duration,
    /// The least that the server must send while something is awaited from it.
    pub min_rate: MinRate,
    /// Idle time before TCP's first keepalive probe.
    pub tcp_keepalive: Duration,
    /// Whose certificates are taken.
    pub tls: TlsRules,
}

impl Endpoint {
    /// The endpoint of an inbound account.
    pub fn of(account: &Inbound) -> Self {
        Self {
            host: account.host.clone(),
            port: account.port,
            encryption: account.encryption,
            bind_address: account.bind_address,
            connect_timeout: account.connect_timeout,
            read_timeout: account.read_timeout,
            min_rate: account.min_rate,
            tcp_keepalive: account.properties.tcp_keepalive,
            tls: account.tls.clone(),
        }
    }

    /// The endpoint of an outbound account.
    pub fn of_outbound(account: &Outbound) -> Self {
        Self {
            host: account.host.clone(),
            port: account.port,
            encryption: account.encryption,
            bind_address: account.bind_address,
            connect_timeout: account.connect_timeout,
            read_timeout: account.read_timeout.max(account.send_timeout),
            min_rate: SUBMISSION_RATE,
            tcp_keepalive: SUBMISSION_KEEPALIVE,
            tls: account.tls.clone(),
        }
    }

    /// The name that the server's certificate must be good for.
    pub fn tls_name(&self) -> &str {
        self.tls.name.as_deref().unwrap_or(&self.host)
    }
}

#[cfg(test)]
impl Endpoint {
    /// A poll's deadline that no test reaches.
    pub(crate) fn far_deadline() -> tokio::time::Instant {
        tokio::time::Instant::now().checked_add(Duration::from_hours(1)).unwrap()
    }

    /// An endpoint for tests over memory: patient enough, without a network.
    pub(crate) fn for_tests() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 1,
            encryption: Encryption::None,
            bind_address: None,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
            min_rate: MinRate { octets: 1024, window: Duration::from_mins(5) },
            tcp_keepalive: Duration::from_mins(1),
            tls: TlsRules::default(),
        }
    }
}

//! The streams that mail protocols speak over.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::guard::{Guard, Limits};
use super::{Endpoint, NetError, TlsFacts, tls};

/// A connected and guarded stream, not encrypted (yet).
pub struct Wire(Guard<Transport>);

impl Wire {
    pub(super) fn over_tcp(stream: TcpStream, endpoint: &Endpoint, deadline: Instant) -> Self {
        Self(Guard::new(Transport::Tcp(stream), endpoint, deadline))
    }

    /// A wire to a scripted server.
    #[cfg(test)]
    pub(crate) fn over_memory(
        stream: tokio::io::DuplexStream,
        endpoint: &Endpoint,
        deadline: Instant,
    ) -> Self {
        Self(Guard::new(Transport::Memory(stream), endpoint, deadline))
    }

    /// Encrypts the stream from here on: at once for implicit TLS, or after the server's OK to
    /// STARTTLS or STLS. What the caller has buffered before must be dropped, and be empty.
    pub async fn start_tls(mut self, endpoint: &Endpoint) -> Result<NetStream, NetError> {
        self.set_stage("TLS handshake");
        let mut stream =
            NetStream::new(Inner::Tls(Box::new(tls::connect(self.0, endpoint).await?)));
        stream.set_stage("reply");
        Ok(stream)
    }

    /// Goes on in the clear.
    pub fn plain(mut self) -> NetStream {
        self.set_stage("reply");
        NetStream::new(Inner::Plain(Box::new(self.0)))
    }

    /// Names what the next waits are for, in [`NetError::Silent`].
    pub fn set_stage(&mut self, stage: &'static str) {
        self.0.limits().stage = stage;
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

/// A guarded stream, encrypted or not. Its end is an error of kind `UnexpectedEof`, never an
/// empty read; its errors are [`NetError`]s inside [`io::Error`], see [`NetError::from_io`].
pub struct NetStream {
    inner: Inner,
    octets_left: Option<u64>,
    cap: u64,
}

impl NetStream {
    fn new(inner: Inner) -> Self {
        Self { inner, octets_left: None, cap: 0 }
    }

    /// Whether TLS protects it.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.inner, Inner::Tls(_))
    }

    /// What the handshake has found; `None` without TLS.
    pub fn tls_facts(&self) -> Option<TlsFacts> {
        let Inner::Tls(stream) = &self.inner else { return None };
        Some(TlsFacts::of(stream.get_ref().1))
    }

    /// What binds an authentication to this very connection: `tls-exporter` (RFC 9266), which
    /// only TLS 1.3 gives without further proofs.
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        let Inner::Tls(stream) = &self.inner else { return None };
        let (_, session) = stream.get_ref();
        if session.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
            return None;
        }
        session.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok()
    }

    /// Names what the next waits are for, in [`NetError::Silent`].
    pub fn set_stage(&mut self, stage: &'static str) {
        self.limits().stage = stage;
    }

    /// From here on no wait is longer than `limit`, nor goes on after it in sum: for the farewell.
    pub fn hurry(&mut self, limit: Duration) {
        let now = Instant::now();
        let limits = self.limits();
        limits.read_timeout = limits.read_timeout.min(limit);
        limits.deadline = now.checked_add(limit).unwrap_or(now);
    }

    /// From here on the session may go on for so long, whenever it was to end: for one that is as long
    /// as what it has to do, with each step of which this is said anew.
    pub fn go_on_for(&mut self, limit: Duration) {
        let now = Instant::now();
        self.limits().deadline = now.checked_add(limit).unwrap_or(now);
    }

    /// Allows so many more decrypted octets, then [`NetError::TooMuch`]; `None`: no limit.
    pub fn set_octets_cap(&mut self, cap: Option<u64>) {
        self.octets_left = cap;
        self.cap = cap.unwrap_or(0);
    }

    fn limits(&mut self) -> &mut Limits {
        match &mut self.inner {
            Inner::Plain(guard) => guard.limits(),
            Inner::Tls(stream) => stream.get_mut().0.limits(),
        }
    }

    fn count(&mut self, octets: usize) -> Result<(), NetError> {
        let Some(left) = self.octets_left else { return Ok(()) };
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        let Some(left) = left.checked_sub(octets) else {
            let what = format!("over {} octets in one reply", self.cap);
            return Err(NetError::TooMuch { what });
        };
        self.octets_left = Some(left);
        Ok(())
    }
}

impl fmt::Debug for NetStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetStream").field("encrypted", &self.is_encrypted()).finish()
    }
}

enum Inner {
    Plain(Box<Guard<Transport>>),
    Tls(Box<TlsStream<Guard<Transport>>>),
}

enum Transport {
    Tcp(TcpStream),
    #[cfg(test)]
    Memory(tokio::io::DuplexStream),
}

impl AsyncRead for NetStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
            Inner::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        };
        std::task::ready!(polled).map_err(|error| this.limits().carry(error))?;
        let octets = buffer.filled().len().saturating_sub(before);
        // TLS says a clean end with close_notify; for mail protocols it is as unexpected.
        if octets == 0 && buffer.remaining() > 0 {
            return Poll::Ready(Err(NetError::end_of_file().into_io()));
        }
        Poll::Ready(this.count(octets).map_err(NetError::into_io))
    }
}

macro_rules! to_each {
    ($self:ident, $enum:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            $enum::Tcp($stream) => $call,
            #[cfg(test)]
            $enum::Memory($stream) => $call,
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        to_each!(self, Self, stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        to_each!(self, Self, stream => Pin::new(stream).poll_write(context, octets))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        to_each!(self, Self, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        to_each!(self, Self, stream => Pin::new(stream).poll_shutdown(context))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, octets)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}

impl AsyncWrite for NetStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream.as_mut()).poll_write(context, octets),
            Inner::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, octets),
        };
        polled.map_err(|error| this.limits().carry(error))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream.as_mut()).poll_flush(context),
            Inner::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        };
        polled.map_err(|error| this.limits().carry(error))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
            Inner::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}

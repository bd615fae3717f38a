//! One connection: lines in, octets out at any pace, TLS from any moment, and rude endings.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{Fault, Then};

trait Duplex: Read + Write + Send {}
impl<T: Read + Write + Send> Duplex for T {}

/// A connection of the server.
pub(super) struct Wire {
    stream: BufReader<Box<dyn Duplex>>,
    tcp: TcpStream,
}

impl Wire {
    pub(super) fn new(tcp: TcpStream) -> std::io::Result<Self> {
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Duplex> = Box::new(tcp.try_clone()?);
        Ok(Self { stream: BufReader::new(stream), tcp })
    }

    /// The next line, without its end.
    pub(super) fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Sends octets in the fault's segments and at its pace.
    pub(super) fn send(&mut self, octets: &[u8], pace: &Fault) -> std::io::Result<()> {
        let segment = if pace.segment == 0 { usize::MAX } else { pace.segment };
        for piece in octets.chunks(segment.min(octets.len().max(1))) {
            self.stream.get_mut().write_all(piece)?;
            self.stream.get_mut().flush()?;
            if pace.every_ms > 0 {
                thread::sleep(Duration::from_millis(pace.every_ms));
            }
        }
        Ok(())
    }

    /// From here on TLS.
    pub(super) fn start_tls(&mut self, config: Arc<rustls::ServerConfig>) -> std::io::Result<()> {
        let mut tls = rustls::ServerConnection::new(config).expect("a good config");
        let mut tcp = self.tcp.try_clone()?;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        self.stream = BufReader::new(Box::new(rustls::StreamOwned::new(tls, tcp)));
        Ok(())
    }

    /// `Some` when the connection is over, with whether by a reset.
    pub(super) fn end_by(&mut self, then: Then) -> std::io::Result<Option<bool>> {
        match then {
            Then::GoOn => Ok(None),
            Then::Close => Ok(Some(false)),
            Then::Hang => {
                std::io::copy(&mut self.stream, &mut std::io::sink())?;
                Ok(Some(false))
            }
            Then::Reset => {
                let at_once = Some(Duration::ZERO);
                rustix::net::sockopt::set_socket_linger(&self.tcp, at_once)?;
                Ok(Some(true))
            }
        }
    }
}

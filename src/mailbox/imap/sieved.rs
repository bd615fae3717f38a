//! The stream that async-imap reads: the network's, through the [`Sieve`].

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::sieve::Sieve;
use crate::net::{NetError, NetStream};

/// async-imap reads 4 KiB at a time; the network is asked for more at once.
const INPUT_OCTETS: usize = 256 << 10;

/// A stream whose read side is sifted.
pub(super) struct Sieved {
    stream: NetStream,
    sieve: Sieve,
    input: Box<[u8]>,
    sifted: Vec<u8>,
    read: usize,
    failed: Option<NetError>,
}

impl Sieved {
    /// `unread`: octets that came over the stream before.
    pub(super) fn new(stream: NetStream, unread: &[u8]) -> Self {
        let mut sieved = Self {
            stream,
            sieve: Sieve::new(),
            input: vec![0; INPUT_OCTETS].into_boxed_slice(),
            sifted: Vec::new(),
            read: 0,
            failed: None,
        };
        sieved.failed = sieved.sieve.feed(unread, &mut sieved.sifted).err();
        sieved
    }

    pub(super) fn stream(&mut self) -> &mut NetStream {
        &mut self.stream
    }

    pub(super) fn sieve(&mut self) -> &mut Sieve {
        &mut self.sieve
    }
}

impl fmt::Debug for Sieved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sieved").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl AsyncRead for Sieved {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let unread = this.sifted.get(this.read..).unwrap_or_default();
            if !unread.is_empty() {
                let (now, _) = unread.split_at(unread.len().min(buffer.remaining()));
                buffer.put_slice(now);
                this.read = this.read.saturating_add(now.len());
                return Poll::Ready(Ok(()));
            }
            // What came whole before the failure has been handed on by now.
            if let Some(error) = &this.failed {
                return Poll::Ready(Err(error.clone().into_io()));
            }
            this.sifted.clear();
            this.read = 0;
            let mut input = ReadBuf::new(&mut this.input);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut input))?;
            this.failed = this.sieve.feed(input.filled(), &mut this.sifted).err();
        }
    }
}

impl AsyncWrite for Sieved {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, octets)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

//! A stream whose every wait has an end.
//!
//! A read-time limit alone never ends a server that drips one octet a minute, and a limit on the
//! whole poll alone wastes half an hour on a dead one; so three limits run together: silence,
//! rate, and the poll's deadline. Time that the program itself takes between two reads counts for
//! none but the last.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::{Endpoint, NetError};
use crate::config::MinRate;

/// Puts the limits of an [`Endpoint`] on a stream. Time is tokio's.
#[derive(Debug)]
pub(super) struct Guard<S> {
    inner: S,
    limits: Limits,
    reading: Wait,
    writing: Wait,
    rate: Rate,
}

/// What bounds a wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// What is waited for, for the message.
    pub(super) stage: &'static str,
    /// Silence.
    pub(super) read_timeout: Duration,
    /// Drip.
    pub(super) min_rate: MinRate,
    /// The end of the poll.
    pub(super) deadline: Instant,
}

impl<S> Guard<S> {
    pub(super) fn new(inner: S, endpoint: &Endpoint, deadline: Instant) -> Self {
        let limits = Limits {
            stage: "reply",
            read_timeout: endpoint.read_timeout,
            min_rate: endpoint.min_rate,
            deadline,
        };
        Self {
            inner,
            limits,
            reading: Wait::default(),
            writing: Wait::default(),
            rate: Rate::default(),
        }
    }

    pub(super) fn limits(&mut self) -> &mut Limits {
        &mut self.limits
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if this.limits.deadline <= Instant::now() {
            return Poll::Ready(Err(NetError::PollDeadline.into_io()));
        }
        match Pin::new(&mut this.inner).poll_read(context, buffer) {
            Poll::Ready(result) => {
                this.rate.waited(this.reading.end());
                result.map_err(|error| this.limits.carry(error))?;
                let octets = buffer.filled().len().saturating_sub(before);
                if octets == 0 && buffer.remaining() > 0 {
                    return Poll::Ready(Err(NetError::end_of_file().into_io()));
                }
                this.rate.came(octets);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => this.poll_limits_of_read(context),
        }
    }
}

impl<S> Guard<S> {
    /// Pending until a limit is over; several may pass in one call.
    fn poll_limits_of_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let since = self.reading.begin();
            let silent_at = later(since, self.limits.read_timeout);
            let window_at = later(self.reading.counted_to(), self.rate.left(self.limits.min_rate));
            let first = silent_at.min(window_at).min(self.limits.deadline);
            if self.reading.poll_until(first, context).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if self.limits.deadline <= now {
                return Poll::Ready(Err(NetError::PollDeadline.into_io()));
            }
            if silent_at <= now {
                return Poll::Ready(Err(self.limits.silent().into_io()));
            }
            self.rate.waited(self.reading.count());
            if let Err(error) = self.rate.close_window(self.limits.min_rate) {
                return Poll::Ready(Err(error.into_io()));
            }
        }
    }

    fn poll_limits_of_write(&mut self, context: &mut Context<'_>) -> NetErrorPoll {
        let silent_at = later(self.writing.begin(), self.limits.read_timeout);
        let first = silent_at.min(self.limits.deadline);
        if self.writing.poll_until(first, context).is_pending() {
            return Poll::Pending;
        }
        if self.limits.deadline <= Instant::now() {
            return Poll::Ready(NetError::PollDeadline.into_io());
        }
        Poll::Ready(self.limits.silent().into_io())
    }

    fn guarded<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(result) => {
                self.writing.end();
                Poll::Ready(result.map_err(|error| self.limits.carry(error)))
            }
            Poll::Pending => self.poll_limits_of_write(context).map(Err),
        }
    }
}

type NetErrorPoll = Poll<io::Error>;

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_write(context, octets);
        this.guarded(polled, context)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_flush(context);
        this.guarded(polled, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_shutdown(context);
        this.guarded(polled, context)
    }
}

impl Limits {
    /// A reset and the like as a [`NetError`], so that nobody takes it for the protocol's fault.
    pub(super) fn carry(&self, error: io::Error) -> io::Error {
        NetError::from_io(error, self.stage).into_io()
    }

    fn silent(&self) -> NetError {
        NetError::Silent { stage: self.stage, limit: self.read_timeout }
    }
}

/// One direction's wait, from the first `Pending` to the next `Ready`.
#[derive(Debug, Default)]
struct Wait {
    since: Option<Instant>,
    counted: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Wait {
    fn begin(&mut self) -> Instant {
        *self.since.get_or_insert_with(Instant::now)
    }

    fn counted_to(&mut self) -> Instant {
        let since = self.begin();
        self.counted.unwrap_or(since)
    }

    /// The time that was waited since the last count.
    fn count(&mut self) -> Duration {
        let now = Instant::now();
        let from = self.counted_to();
        self.counted = Some(now);
        now.saturating_duration_since(from)
    }

    fn end(&mut self) -> Duration {
        if self.since.is_none() {
            return Duration::ZERO;
        }
        let waited = self.count();
        self.since = None;
        self.counted = None;
        waited
    }

    fn poll_until(&mut self, moment: Instant, context: &mut Context<'_>) -> Poll<()> {
        // The timer is kept from wait to wait: making one costs more than resetting it.
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(moment)));
        if timer.deadline() != moment {
            timer.as_mut().reset(moment);
        }
        timer.as_mut().poll(context)
    }
}

/// Octets and waiting time of the current window.
#[derive(Debug, Default)]
struct Rate {
    octets: u64,
    waited: Duration,
}

impl Rate {
    fn came(&mut self, octets: usize) {
        self.octets = self.octets.saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
    }

    fn waited(&mut self, time: Duration) {
        self.waited = self.waited.saturating_add(time);
    }

    fn left(&self, rule: MinRate) -> Duration {
        rule.window.saturating_sub(self.waited)
    }

    fn close_window(&mut self, rule: MinRate) -> Result<(), NetError> {
        if self.waited < rule.window {
            return Ok(());
        }
        if self.octets < rule.octets {
            return Err(NetError::TooSlow { octets: self.octets, window: rule.window });
        }
        *self = Self::default();
        Ok(())
    }
}

/// A far future instead of an overflow.
fn later(moment: Instant, by: Duration) -> Instant {
    const YEAR: Duration = Duration::from_hours(24 * 365);
    moment.checked_add(by.min(YEAR)).unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn guarded(endpoint: &Endpoint, poll: Duration) -> (Guard<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(64);
        (Guard::new(ours, endpoint, later(Instant::now(), poll)), theirs)
    }

    async fn read_error(guard: &mut Guard<DuplexStream>) -> NetError {
        let mut buffer = [0; 8];
        loop {
            if let Err(error) = guard.read(&mut buffer).await {
                return NetError::from_io(error, "reply");
            }
        }
    }

    const HOUR: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn silent_server_ends_the_wait() {
        let (mut guard, _server) = guarded(&Endpoint::for_tests(), HOUR);
        guard.limits().stage = "greeting";
        let begun = Instant::now();
        let error = read_error(&mut guard).await;
        assert!(matches!(error, NetError::Silent { stage: "greeting", .. }), "{error:?}");
        assert_eq!(begun.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn dripping_server_is_ended_by_the_rate() {
        let (mut guard, mut server) = guarded(&Endpoint::for_tests(), HOUR);
        let begun = Instant::now();
        let drip = async {
            while server.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
        };
        let error = tokio::select! { e = read_error(&mut guard) => e, () = drip => panic!() };
        assert!(matches!(error, NetError::TooSlow { octets: 90..=101, .. }), "{error:?}");
        assert_eq!(begun.elapsed().as_secs(), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn steady_server_is_never_too_slow() {
        let (mut guard, mut server) = guarded(&Endpoint::for_tests(), HOUR);
        let steady = async {
            for _ in 0..1000 {
                server.write_all(&[b'x'; 50]).await.unwrap();
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            drop(server);
        };
        let (error, ()) = tokio::join!(read_error(&mut guard), steady);
        assert!(matches!(error, NetError::Lost { .. }), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn own_pauses_are_not_the_servers_fault() {
        let (mut guard, mut server) = guarded(&Endpoint::for_tests(), HOUR);
        for _ in 0..10 {
            server.write_all(b"x").await.unwrap();
            tokio::time::sleep(Duration::from_secs(200)).await;
            assert_eq!(guard.read_u8().await.unwrap(), b'x');
        }
    }

    #[tokio::test(start_paused = true)]
    async fn polls_deadline_ends_even_a_busy_stream() {
        let (mut guard, mut server) = guarded(&Endpoint::for_tests(), Duration::from_secs(4));
        let busy = async {
            while server.write_all(&[b'x'; 50]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let error = tokio::select! { e = read_error(&mut guard) => e, () = busy => panic!() };
        assert!(matches!(error, NetError::PollDeadline), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn server_that_takes_nothing_ends_the_write() {
        let (mut guard, _server) = guarded(&Endpoint::for_tests(), HOUR);
        let error = guard.write_all(&[0; 100]).await.unwrap_err();
        assert!(matches!(NetError::from_io(error, "reply"), NetError::Silent { .. }));
    }

    #[tokio::test]
    async fn end_of_the_stream_is_an_error() {
        let (mut guard, server) = guarded(&Endpoint::for_tests(), HOUR);
        drop(server);
        let error = guard.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(matches!(NetError::from_io(error, "reply"), NetError::Lost { .. }));
    }
}

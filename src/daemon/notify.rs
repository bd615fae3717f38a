//! What systemd is told: ready, reloading, stopping, alive, and one line of status.
//!
//! Follows `sd_notify(3)`. Without `$NOTIFY_SOCKET` nothing happens; nothing here is fatal, and it
//! never waits longer than a datagram to the service manager takes.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::log::{cap, escape};
use crate::model::Source;

/// Startup is over.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(&line(status))]);
}

/// The config is read again; [`ready`] must follow, whether it is taken or rejected.
pub fn reloading() {
    // systemd 253 and later want to know when.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// Shutdown has begun.
pub fn stopping(status: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(&line(status))]);
}

/// What `systemctl status` shows.
pub fn status(status: &str) {
    send(&[NotifyState::Status(&line(status))]);
}

/// The daemon is alive; to be sent once in each [`watchdog_interval`], by the loop that must not
/// hang.
pub fn watchdog() {
    send(&[NotifyState::Watchdog]);
}

/// How often [`watchdog`] is due: half of `WatchdogSec`; `None` when systemd doesn't watch.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().and_then(half)
}

fn half(limit: Duration) -> Option<Duration> {
    limit.checked_div(2).filter(|half| !half.is_zero())
}

/// A line break in a status would begin another message to systemd, such as `MAINPID=1`.
fn line(status: &str) -> String {
    cap(&escape(status), STATUS_MAX)
}

fn send(states: &[NotifyState<'_>]) {
    report(sd_notify::notify(states));
}

fn report(sent: io::Result<()>) {
    if let Err(error) = sent {
        tracing::debug!(target: Source::Daemon.as_str(), "systemd was not told: {error}");
    }
}

/// Longest status, in octets.
const STATUS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_one_line_whatever_a_server_said() {
        assert_eq!(line("scans: NO\r\nMAINPID=1"), "scans: NO\\r\\nMAINPID=1");
        assert_eq!(line(&"x".repeat(1000)).len(), STATUS_MAX);
    }

    #[test]
    fn sign_of_life_is_due_twice_in_the_limit() {
        assert_eq!(half(Duration::from_mins(2)), Some(Duration::from_mins(1)));
        assert_eq!(half(Duration::ZERO), None);
    }

    #[test]
    fn without_systemd_nothing_happens() {
        report(Ok(()));
        report(Err(io::ErrorKind::NotFound.into()));
    }
}

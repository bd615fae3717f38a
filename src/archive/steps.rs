//! Numbered steps of the durable sequence, where a test can fail or kill the program.
//!
//! Exists in debug builds only: in a release build [`pass`] is nothing. The environment variable
//! `POSTRIDER_STEP` says what happens where: `kill@17` kills the process before its 17th step,
//! `eio@17` and `enospc@17` fail that step once, `enospc@17+` that step and all later ones.
//! `POSTRIDER_BATCH` bounds the messages of one commit, so that a small mailbox has several.
//! `POSTRIDER_PARSE_ABORT` is a text: a message that holds it aborts the process when it is parsed.

/// Passes one step of the durable sequence.
#[cfg(not(debug_assertions))]
#[inline]
pub fn pass(_name: &'static str) -> std::io::Result<()> {
    Ok(())
}

/// Messages of one commit: as many as the caller wants.
#[cfg(not(debug_assertions))]
#[inline]
pub fn batch(wanted: usize) -> usize {
    wanted
}

/// Passes the moment before a message is parsed.
#[cfg(not(debug_assertions))]
#[inline]
pub fn parse(_octets: &[u8]) {}

#[cfg(debug_assertions)]
pub use debug::{batch, parse, pass, passed};

#[cfg(debug_assertions)]
mod debug {
    use std::io;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::io::Errno;

    static PASSED: AtomicU64 = AtomicU64::new(0);
    static ORDER: OnceLock<Option<Order>> = OnceLock::new();

    struct Order {
        act: Act,
        at: u64,
        ever_after: bool,
    }

    enum Act {
        Fail(Errno),
        Kill,
    }

    /// Steps passed so far.
    pub fn passed() -> u64 {
        PASSED.load(Ordering::SeqCst)
    }

    /// Passes one step of the durable sequence: counts it, and does what `POSTRIDER_STEP` orders.
    #[expect(clippy::disallowed_methods, reason = "tests steer a debug build by its environment")]
    pub fn pass(name: &'static str) -> io::Result<()> {
        let step = PASSED.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let order =
            ORDER.get_or_init(|| std::env::var("POSTRIDER_STEP").ok().and_then(|s| read(&s)));
        let Some(order) = order else { return Ok(()) };
        if step < order.at || (step > order.at && !order.ever_after) {
            return Ok(());
        }
        match order.act {
            Act::Fail(errno) => {
                tracing::debug!(target: "archive", step, name, "step failed on purpose");
                Err(errno.into())
            }
            Act::Kill => {
                let own = rustix::process::getpid();
                rustix::process::kill_process(own, rustix::process::Signal::KILL)?;
                Ok(())
            }
        }
    }

    /// Messages of one commit: as many as the caller wants, or fewer where a test says so.
    #[expect(clippy::disallowed_methods, reason = "tests steer a debug build by its environment")]
    pub fn batch(wanted: usize) -> usize {
        static LIMIT: OnceLock<Option<usize>> = OnceLock::new();
        let read = || std::env::var("POSTRIDER_BATCH").ok().and_then(|text| text.parse().ok());
        LIMIT.get_or_init(read).map_or(wanted, |limit| wanted.min(limit))
    }

    /// Passes the moment before a message is parsed: one that holds the text of
    /// `POSTRIDER_PARSE_ABORT` ends the process.
    #[expect(clippy::disallowed_methods, reason = "tests steer a debug build by its environment")]
    pub fn parse(octets: &[u8]) {
        static POISON: OnceLock<Option<String>> = OnceLock::new();
        let poison = POISON.get_or_init(|| std::env::var("POSTRIDER_PARSE_ABORT").ok());
        if let Some(poison) = poison
            && memchr::memmem::find(octets, poison.as_bytes()).is_some()
        {
            std::process::abort();
        }
    }

    fn read(text: &str) -> Option<Order> {
        let (act, at) = text.split_once('@')?;
        let act = match act {
            "kill" => Act::Kill,
            "eio" => Act::Fail(Errno::IO),
            "enospc" => Act::Fail(Errno::NOSPC),
            _ => return None,
        };
        let ever_after = at.ends_with('+');
        Some(Order { act, at: at.trim_end_matches('+').parse().ok()?, ever_after })
    }
}
